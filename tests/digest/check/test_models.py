"""Embedding and entailment models: stand-ins for what they do, and a tiny random model for the loaders."""

from __future__ import annotations

from pathlib import Path

import pytest
from planted_set import paper

from sillok.digest.check import check_text, load_embedder, load_entailment

RIVER = "2901.00001"
FAR = "Purple elephants wander slowly through endless misty valleys."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of random weights with a tokenizer of a few words."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    path = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cache", "is", "small", "key"]
    (path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(vocab_file=str(path / "vocab.txt")).save_pretrained(path)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    config.id2label = {0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"}
    config.label2id = {label: index for index, label in config.id2label.items()}
    BertForSequenceClassification(config).save_pretrained(path)
    return path


def test_an_embedder_is_loaded_by_name(folder: Path) -> None:
    embed = load_embedder(str(folder), batch=2)
    rows = embed(["the cache is small", "key", "the cache is small"])
    assert rows.shape == (3, 16)
    assert rows[0] == pytest.approx(rows[2], abs=1e-5) and rows[0] != pytest.approx(rows[1], abs=1e-3)
    assert (rows**2).sum(1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert check_text(FAR, paper(RIVER), embedder=embed)[0].evidence


def test_an_entailment_model_is_loaded_by_name(folder: Path) -> None:
    entails = load_entailment(str(folder))
    chances = entails("the cache is small", "key")
    assert set(chances) == {"entailment", "neutral", "contradiction"}
    assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
    check_text("The cache is small.", paper(RIVER), entailment=entails)


def test_a_model_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be loaded") as caught:
        load_embedder(str(tmp_path / "none"))
    assert "\n" not in str(caught.value)


def test_labels_of_another_task_are_refused(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder)
    model.config.id2label = {0: "good", 1: "bad", 2: "ugly"}
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="entailment and contradiction are needed"):
        load_entailment(str(tmp_path))


def test_a_model_lifts_shared_words_only() -> None:
    assert check_text(FAR, paper(RIVER))[0].verdict == "not found"

    def same(texts: list[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]

    assert check_text(FAR, paper(RIVER), embedder=same)[0].verdict == "supported"
    wrong = "Decoding is 2.7 times faster than with FullKV."
    assert check_text(wrong, paper(RIVER), embedder=same)[0].verdict == "contradicted"
    sure = {"entailment": 0.99, "neutral": 0.01, "contradiction": 0.0}
    assert check_text(FAR, paper(RIVER), entailment=lambda p, h: sure)[0].verdict == "supported"
    assert check_text(wrong, paper(RIVER), entailment=lambda p, h: sure)[0].verdict == "contradicted"


def test_an_entailment_model_may_contradict() -> None:
    true = "Decoding is 2.4 times faster than with FullKV."
    (found,) = check_text(true, paper(RIVER), entailment=lambda p, h: (0.0, 0.05, 0.95))
    assert found.verdict == "contradicted" and "the entailment model" in found.reasons[-1]
