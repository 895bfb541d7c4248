"""L-CiteEval: citations, correctness, buckets, boards, generated contexts, the task, parity with the scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from inspect_ai import eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from sillok.methods.evals import benchmark, lcite_scores, parity
from sillok.methods.evals.lcite_generate import counting_stars, fact_qa, needle, reply_with, stated
from sillok.methods.evals.lcite_scores import (
    answer_scores,
    citation_score,
    citations,
    load_nli,
    needle_citations,
    plain_sentences,
    rouge,
    stars_citations,
    stars_correct,
    summary_of,
    without_citations,
)
from sillok.methods.evals.lciteeval import (
    CATEGORIES,
    LCiteEval,
    l_citeeval,
    lcite_score,
    load_records,
    prompt_of,
)

DOCS = ["Ada owns a cat.", "Bob owns a dog.", "Rain fell.", "Ada owns a cat. Bob owns a dog."]


def score(reply: str, **options: Any) -> dict[str, float]:
    return citation_score(reply, DOCS, stated, split=plain_sentences, **options)


def test_right_citations_score_one_and_none_score_nothing() -> None:
    whole = score("Ada owns a cat [1]. Bob owns a dog [2].")
    assert (whole["cr"], whole["cp"], whole["f1"], whole["n_sentences"]) == (1, 1, 1, 2)
    assert score("Ada owns a cat. Bob owns a dog.")["f1"] == 0
    assert score("Ada owns a cat [3]. Bob owns a dog [9].") == {
        "cr": 0,
        "cp": 0,
        "f1": 0,
        "n_sentences": 2,
        "n_citations": 1,
    }
    assert score("")["n_sentences"] == 0


def test_idle_citations_lower_precision_alone() -> None:
    found = score("Ada owns a cat [1][3].")
    assert (found["cr"], found["cp"]) == (
        1,
        0.5,
    )  # rain is idle: it bears nothing out, and the rest does without it
    twice = score("Ada owns a cat [1][4].")
    assert twice["cp"] == 1  # each bears it out by itself
    both = citation_score("Ada owns a cat. Bob owns a dog [1][2].", DOCS, stated, split=lambda text: [text])
    assert (both["cr"], both["cp"]) == (1, 1)  # both are needed
    assert score("Ada owns a cat [2][3].")["cp"] == 0  # of a sentence that is not borne out none counts


def test_three_citations_are_looked_at() -> None:
    found = score("Ada owns a cat [3][3][3][1].")
    assert (found["cr"], found["n_citations"]) == (0, 3)
    assert score("Ada owns a cat [3][3][3][1].", max_cites=4)["cr"] == 1


def test_everything_entails_gives_recall_one_and_the_leave_one_out_rule() -> None:
    found = citation_score("One [1][2]. Two [3].", DOCS, lambda premise, claim: True, split=plain_sentences)
    assert (found["cr"], found["cp"]) == (1, 1)
    alone = citation_score("One [1][2].", DOCS, lambda premise, claim: "\n" in premise, split=plain_sentences)
    assert (alone["cr"], alone["cp"]) == (1, 1)  # neither entails alone, and neither can be left out


def test_zero_and_marks_after_the_stop_are_published_faults() -> None:
    assert citations("a [0] b [12][3") == [-1, 11, 2]
    last = "Ada owns a cat [0]."
    assert score(last)["cr"] == 1  # reads the last passage
    assert score(last, mode="strict")["cr"] == 0
    late = "Ada owns a cat. [1] Bob owns a dog. [2]"
    assert score(late)["cr"] == 0
    assert score(late, mode="strict")["f1"] == 1


def test_marks_are_taken_off() -> None:
    assert without_citations("So [1][2] it is [3]. | [4") == "So it is."
    assert plain_sentences('One. Two! "Three?" 4 is more. [1] e.g. this') == [
        "One.",
        "Two!",
        '"Three?',
        "4 is more.",
        "[1] e.g. this",
    ]


def test_needle_and_stars() -> None:
    docs = ["x", "the key is red", "the key is red"]
    found = needle_citations("It is red [2][3].\nLater [1]", docs, "key is red")
    assert (found["cr"], found["cp"], found["n_citations"]) == (1, 0.5, 2)
    assert (
        needle_citations("It is red [3].", docs, "key is red")["cr"] == 0
    )  # the first passage that holds it counts
    assert needle_citations("", docs, "not there")["f1"] == 0
    sky = ["The little penguin counted 5 ★", "-", "The little penguin counted 9 ★"]
    reply = 'Here: {"little_penguin": [9, 9], "passage_id": [3, 3, 2]} done'
    stars = stars_citations(reply, sky)
    assert (stars["cr"], stars["cp"]) == (0.5, 0.5)
    assert stars_correct(reply, sky) == 1  # published: one count named twice counts twice
    assert stars_correct(reply, sky, "strict") == 0.5
    for odd in (
        "",
        "{broken",
        "[1, 2]",
        '{"passage_id": 3}',
        '{"little_penguin": null, "passage_id": []}',
        '{"passage_id": [[1]]}',
    ):
        assert stars_citations(odd, sky)["f1"] == 0
        assert stars_correct(odd, sky) == 0


def test_correctness_takes_the_best_of_each_over_the_answers() -> None:
    found = answer_scores("The cat of Ada [1].\nAnd more.", ["cat Ada", "a cat of Ada and Bob"])
    assert found["precision"] == pytest.approx(1)  # of the second answer
    assert found["recall"] == pytest.approx(1)  # of the first
    assert answer_scores("", ["x"]) == {"precision": 0, "recall": 0, "f1": 0}
    assert rouge("the cat sat", ["the cat sat"], "rouge-l", "f") == pytest.approx(1, abs=1e-6)
    assert rouge("", ["x"], "rouge-1", "r") == 0
    assert summary_of("Summary of it: Rain fell [1].\nMore.") == "Rain fell."
    assert summary_of("The summary says nothing") == ""


def test_parity_with_the_authors_scripts_on_generated_replies() -> None:
    report = parity.kept(Path(__file__).parent / "parity" / "l_citeeval.json.gz")
    assert report.commit.startswith("6e49326776")
    assert report.cases == 1500
    assert report.figures > 8500
    assert report.equal, str(report)


def records_of(task: str, n: int = 6) -> list[dict[str, Any]]:
    filler = ("Nothing of note.\nStill nothing.", "Rain fell.")
    make = {
        "niah": needle,
        "counting_stars": lambda docs, seed, filler: counting_stars(docs, 3, seed, filler=filler),
    }
    return [make.get(task, fact_qa)(12, seed, filler=filler) for seed in range(n)]


@pytest.mark.parametrize("task", ["niah", "counting_stars", "hotpotqa"])
def test_generated_records_are_answered_and_scored(task: str) -> None:
    records = records_of(task)
    again = records_of(task)
    assert records == again
    good = {
        r["id"]: reply_with(r, [r["gold"]] if task == "counting_stars" else [[at] for at in r["gold"]])
        for r in records
    }
    result = lcite_score(records, good, stated)
    assert result.figures["f1"] == 100
    correct = {"niah": "rouge-1", "counting_stars": "acc", "hotpotqa": "f1"}[task]
    assert result.figures[f"{task}/{correct}"] > 99
    from_memory = {r["id"]: reply_with(r, [[]] * len(r["gold"])) for r in records}
    memory = lcite_score(records, from_memory, stated).figures
    assert memory["f1"] == 0
    assert memory[f"{task}/{correct}"] > 99  # right, and nothing of the context cited
    assert not lcite_score(records, {}, stated).figures["f1"]


def test_generators_refuse_what_cannot_be() -> None:
    for call in (
        lambda: needle(0, 0),
        lambda: needle(3, 0, filler=()),
        lambda: counting_stars(3, 4, 0),
        lambda: fact_qa(3, 0, facts=4),
    ):
        with pytest.raises(ValueError, match="must"):
            call()


def test_records_between_two_buckets_leave_the_sum_as_published() -> None:
    records = [
        r | {"length": length}
        for r, length in zip(records_of("niah", 4), (500, 8000, 47999, 48000), strict=True)
    ]
    good = {r["id"]: reply_with(r, [r["gold"]]) for r in records}
    figures = lcite_score(records, good, stated).figures
    assert figures["niah/citation_f1"] == 100  # the one of 48,000 tokens is in no bucket at all
    assert figures["niah/rouge-1"] == pytest.approx(
        50, abs=0.1
    )  # 8,000 falls between two buckets, 48,000 out
    assert lcite_score(records, good, stated, mode="strict").figures["niah/rouge-1"] == pytest.approx(
        100, abs=0.1
    )


def test_empty_replies_vanish_as_published_and_count_strictly() -> None:
    records = records_of("hotpotqa", 4)
    good = {r["id"]: reply_with(r, [[at] for at in r["gold"]]) for r in records}
    good[records[0]["id"]] = ""
    published, strict = (
        lcite_score(records, good, stated, mode=mode).figures for mode in ("published", "strict")
    )
    assert published["hotpotqa/citation_f1"] == 100
    assert strict["hotpotqa/citation_f1"] == 75
    assert published["hotpotqa/no_sentence"] == 1
    assert published["hotpotqa/f1"] == 75  # correctness counts it all the same


def test_the_authors_predictions_are_read_and_placed() -> None:
    records = [r | {"id": at + 1} for at, r in enumerate(records_of("niah"))]
    theirs = [
        {"id": r["id"], "question": "?", "answer": r["answer"], "generation": [reply_with(r, [r["gold"]])]}
        for r in records
    ]
    result = lcite_score(records, theirs)
    assert result.figures["f1"] == 100
    assert result.place().rank == 1
    assert result.reasons == ("6 records, and 120 are published",)
    qa = lcite_score(records_of("hotpotqa"), {}, stated)
    assert "no record of 2wikimultihopqa" in qa.reasons
    assert f"entailment is not by {lcite_scores.NLI}" in qa.reasons
    with pytest.raises(ValueError, match="must be of one category"):
        lcite_score([*records, *records_of("hotpotqa")], {}, stated)
    with pytest.raises(ValueError, match="variant must be one of"):
        LCiteEval("needle", variant="data")


def test_records_are_loaded_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "niah.json"
    path.write_text(json.dumps(records_of("niah")))
    assert load_records("niah", path) == records_of("niah")
    with pytest.raises(ValueError, match="name must be one of niah"):
        load_records("needle", path)
    path.write_text(json.dumps([{"id": 1}]))
    with pytest.raises(ValueError, match="row 0 has no 'question'"):
        load_records("niah", path)
    assert sum(len(names) for names in CATEGORIES.values()) == 11


def test_the_task_runs_and_prompts_are_sillok_s_or_the_authors(tmp_path: Path) -> None:
    records = records_of("niah", 3)
    path = tmp_path / "niah.json"
    path.write_text(json.dumps(records))
    prompt = {
        "instruction": "INSTRUCT",
        "demo_sep": "\n---\n",
        "demo_prompt": "{D}\n{INST}\nQ: {Q}\nA: {A}",
        "doc_prompt": "P [{ID}]: {P}\n",
        "demos": [{"question": "why?", "answer": "so [1].", "docs": ["d1", {"title": "t", "text": "d2\n"}]}],
    }
    (tmp_path / "prompt.json").write_text(json.dumps(prompt))
    theirs = prompt_of(records[0], prompt)
    assert theirs.startswith("P [1]: d1\nP [2]: d2\n\nINSTRUCT\nQ: why?\nA:so [1].\n---\nP [1]: ")
    assert theirs.endswith(f"Q: {records[0]['question']}\nA:")
    ours = prompt_of(records[0])
    assert "Passage [12]: " in ours and records[0]["question"] in ours and records[0]["answer"] in ours
    reply = ModelOutput.from_content("mockllm/model", reply_with(records[0], [records[0]["gold"]]))
    reply.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    model = get_model("mockllm/model", custom_outputs=[reply] * 3, memoize=False)
    options: dict[str, Any] = {
        "display": "none",
        "log_level": "error",
        "log_dir": str(tmp_path),
        "log_realtime": False,
    }
    [log] = eval(l_citeeval("niah", source=str(path)), model=model, max_samples=1, **options)
    assert log.status == "success", log.error
    result = benchmark.result_of_log(log)
    saved = lcite_score(records, {r["id"]: reply.completion for r in records})
    assert result.figures == pytest.approx(saved.figures)
    assert 30 < result.figures["f1"] < 100
    assert "the prompt is in Sillok's words" in result.reasons


def test_a_named_entailment_model_is_loaded_and_asked(tmp_path: Path) -> None:
    """The real loading code, on a tiny classifier with fresh weights."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    vocabulary = {
        word: at for at, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "ada", "cat", "owns"])
    }
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=16, **names).save_pretrained(tmp_path)
    labels = {0: "entailment", 1: "neutral", 2: "contradiction"}
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(
        vocab_size=7,
        max_position_embeddings=16,
        id2label=labels,
        label2id={v: k for k, v in labels.items()},
        **sizes,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertForSequenceClassification(config)
    for label in (0, 1):
        with torch.no_grad():
            model.classifier.bias.copy_(torch.eye(3)[label] * 50)
        model.save_pretrained(tmp_path)
        entails = load_nli(str(tmp_path))
        assert entails("ada owns " * 100, "ada owns cat") is (
            label == 0
        )  # a long premise is cut, the claim is not
    with pytest.raises(ValueError, match="cannot be loaded as a text classifier"):
        load_nli(str(tmp_path / "nowhere"))
