"""The corpus and its language models: splits, batches for several processes, quality, training."""

from __future__ import annotations

import math
import sysconfig
from pathlib import Path

import pytest
import torch

from sillok import testbeds
from sillok.testbeds import corpus


@pytest.fixture(scope="module")
def bed():
    return corpus.Corpus("xs")


def rows(tokens):
    return {tuple(row) for row in tokens.tolist()}


def test_files_are_the_standard_librarys_in_order():
    root = Path(sysconfig.get_path("stdlib"))
    names = [path.relative_to(root).as_posix() for path in corpus.files()]
    assert names == sorted(names)
    assert {"argparse.py", "json/decoder.py"} <= set(names)
    assert not [name for name in names if {"site-packages", "test", "tests"} & set(name.split("/"))]


def test_every_file_is_in_one_split_and_the_splits_make_up_the_whole(bed):
    root = Path(sysconfig.get_path("stdlib"))
    names = [path.relative_to(root).as_posix() for path in corpus.files()]
    sizes = {split: [corpus.split_of(name) for name in names].count(split) for split in corpus.SPLITS}
    assert sum(sizes.values()) == len(names)
    assert min(sizes.values()) > 0.05 * len(names)
    ends = {split: int((corpus._text(split) == corpus.END).sum()) for split in corpus.SPLITS}
    assert ends == sizes


def test_splits_share_no_text(bed):
    # files are split whole; windows of 512 are longer than a licence header or a run of spaces
    train, val, test = (rows(bed.data(split, seq_len=512)) for split in corpus.SPLITS)
    assert min(len(train), len(val), len(test)) > 100
    assert not (train & val or train & test or val & test)


def test_data_is_the_text(bed):
    tokens = bed.data("val", seq_len=64)
    assert tokens.dtype == torch.int64
    assert tokens.shape[1] == 64
    text = corpus.decode(tokens[:50].flatten())
    assert corpus.encode(text).tolist() == tokens[:50].flatten().tolist()
    assert "import" in corpus.decode(tokens.flatten())
    few = bed.data("val", seq_len=64, n=10)
    assert few.shape == (10, 64)
    assert rows(few) <= rows(tokens)


def test_shards_are_disjoint_and_together_the_whole(bed):
    whole = bed.batches("val", 8, 64, seed=3)
    shards = [bed.batches("val", 8, 64, seed=3, rank=rank, world=2) for rank in range(2)]
    for _ in range(5):
        batch, (first, second) = next(whole), [next(shard) for shard in shards]
        assert first.shape == (4, 64)
        assert torch.equal(batch[0::2], first)
        assert torch.equal(batch[1::2], second)


def test_order_follows_the_seed_and_each_epoch_is_a_new_permutation(bed):
    windows = len(bed.data("val", seq_len=1024))
    batches = bed.batches("val", 4, 1024, seed=0)
    epoch = windows // 4
    first = torch.cat([next(batches) for _ in range(epoch)])
    second = torch.cat([next(batches) for _ in range(epoch)])
    assert len(rows(first)) == 4 * epoch
    assert not torch.equal(first, second)
    again, other = bed.batches("val", 4, 1024, seed=0), bed.batches("val", 4, 1024, seed=1)
    assert torch.equal(next(again), first[:4])
    assert not torch.equal(next(other), first[:4])


@pytest.mark.parametrize("size", ["xs", "s"])
def test_new_models_have_weights_that_chunk_well(size):
    model = corpus.new_model(size, seed=1)
    assert model.training
    assert all(length % 64 == 0 for p in model.parameters() if p.ndim == 2 for length in p.shape)
    same, other = corpus.new_model(size, seed=1), corpus.new_model(size, seed=2)
    key = "model.layers.0.self_attn.q_proj.weight"
    assert torch.equal(model.state_dict()[key], same.state_dict()[key])
    assert not torch.equal(model.state_dict()[key], other.state_dict()[key])
    assert model.config.hidden_size // model.config.num_attention_heads == 64


def test_evaluate_of_a_model_that_knows_nothing(bed):
    model = bed.build()
    torch.nn.init.zeros_(model.get_input_embeddings().weight)
    assert bed.evaluate(model, n=4) == pytest.approx(math.log(256), rel=1e-4)


def test_evaluate_keeps_the_mode_and_equals_the_models_own_loss(bed):
    model = corpus.new_model("xs")
    tokens = bed.data("val", n=8)
    loss, _ = corpus.evaluate(model, tokens, batch=3)
    assert model.training
    with torch.no_grad():
        assert loss == pytest.approx(float(model(tokens, labels=tokens).loss), rel=1e-4)


@pytest.mark.parametrize("size", ["xs", "s"])
def test_shipped_quality_holds_on_a_small_sample(size):
    it = testbeds.load("corpus", size)
    measured = it.measure(it.model, n=48)
    # another Python has other sources, and 48 windows are few: a tolerance of 0.25 nats
    assert measured["val_loss"] == pytest.approx(it.quality["val_loss"], abs=0.25)
    assert measured["test_loss"] < it.bounds()["test_loss"][1] + 0.2
    assert measured["val_accuracy"] > 0.4


def test_larger_is_better():
    small, large = testbeds.load("corpus", "xs"), testbeds.load("corpus", "s")
    assert large.quality["val_loss"] < small.quality["val_loss"] - 0.05
    assert large.evaluate(large.model, n=48) < small.evaluate(small.model, n=48)


def test_the_head_is_tied_to_the_embedding():
    model = testbeds.load("corpus", "s").model
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.lm_head.weight.abs().sum() > 0


def test_completions_look_like_python():
    it = testbeds.load("corpus", "s")
    prompt = corpus.encode("class Parser:\n    def __init__(self, ")[None]
    tokens = it.model.generate(prompt, max_new_tokens=40, do_sample=False)
    text = corpus.decode(tokens[0])
    assert text.startswith("class Parser:")
    assert "self" in text[len("class Parser:\n    def __init__(self, ") :]


def test_training_at_a_reduced_size_lowers_the_loss(tmp_path):
    found = testbeds.train("corpus", "xs", steps=24, samples=16, out=tmp_path)
    assert found.log[-1]["loss"] < 0.8 * found.log[0]["loss"]
    assert found.quality["val_loss"] < 4


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda b: b.data("dev"), "split must be one of train, val, test; got 'dev'"),
        (lambda b: b.data("val", seq_len=1), "seq_len must be an integer of at least 2; got 1"),
        (lambda b: b.data("val", seq_len=2048), "seq_len must be at most 1024; got 2048"),
        (lambda b: b.data("val", n=10**9), "n must be at most"),
        (lambda b: b.batches("val", 3, world=2), r"batch_size must be a multiple of world \(2\); got 3"),
        (lambda b: b.batches("val", 4, rank=2, world=2), r"rank must lie in \[0, 1\]; got 2"),
        (lambda b: b.batches("val", 10**9), "batch_size must be at most"),
    ],
)
def test_bad_input(bed, call, words):
    with pytest.raises(ValueError, match=words):
        call(bed)
