"""Steps of a completion in text and tokens, first-error labels, pass@k, votes."""

from __future__ import annotations

import itertools

import pytest

from sillok.testbeds import arith
from sillok.testbeds.arith.tokenizer import build_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def test_steps_tile_the_completion():
    for text in ("12+56\n68", "12+56\n68\n", "\n\n1", "", "\n", "a\u2028b\r\nc"):
        steps = arith.split_steps(text)
        assert "".join(text[step.start : step.end] for step in steps) == text
        assert [step.text for step in steps] == (text.removesuffix("\n").split("\n") if text else [])
    assert len(arith.split_steps("1\n" * 9, limit=4)) == 4


def test_tokens_of_steps_by_a_character_tokenizer(tokenizer):
    prompt, completion = "12+7*8\n", "12+56\n68"
    ids = tokenizer(prompt + completion)["input_ids"]
    ranges = arith.step_tokens(tokenizer, prompt, completion)
    assert [tokenizer.decode(ids[a:b]) for a, b in ranges] == ["12+56\n", "68"]
    assert ranges == [(8, 14), (14, 16)]


def test_tokens_of_steps_where_tokens_are_longer_than_characters():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    # "8\n6" is one token across two steps: it belongs to the first, in which it begins
    vocabulary = {
        piece: place for place, piece in enumerate(["1", "2", "5", "6", "8", "+", "\n", "8\n", "8\n6"])
    }
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[("8", "\n"), ("8\n", "6")]))
    wide = PreTrainedTokenizerFast(tokenizer_object=inner)
    assert arith.step_tokens(wide, "1+8\n", "12+58\n68\n6\n") == [(3, 8), (8, 9), (9, 10)]
    assert arith.step_tokens(wide, "", "8\n6\n1") == [(0, 1), (1, 2), (2, 3)]


def test_values_go_to_the_tokens_of_their_step(tokenizer):
    ranges = arith.step_tokens(tokenizer, "7*8\n", "50\n56")
    assert arith.per_token([0.5, -1.0], ranges, 10) == [0.0] * 5 + [0.5] * 3 + [-1.0] * 2
    with pytest.raises(ValueError, match="values must have one value for each of 2 steps; got 1"):
        arith.per_token([0.5], ranges, 10)
    with pytest.raises(ValueError, match=r"ranges must lie in \[0, 3\]"):
        arith.per_token([0.5, 1], ranges, 3)


def test_slow_tokenizers_are_refused():
    with pytest.raises(ValueError, match="tokenizer must be a fast one"):
        arith.step_tokens(object(), "", "1")


def test_first_error_labels():
    assert arith.first_error_labels(3, None) == [True] * 3
    assert arith.first_error_labels(3, 1) == [True, False, False]
    assert arith.verify("7*8", "50\n56").labels == [False, False]
    with pytest.raises(ValueError, match=r"first_error must be None or lie in \[0, 2\]; got 3"):
        arith.first_error_labels(3, 3)


def test_prefixes_stop_before_each_step():
    assert arith.prefixes("7+1*8", "7+8\n15") == ["7+1*8\n", "7+1*8\n7+8\n", "7+1*8\n7+8\n15\n"]
    assert arith.prefixes("7+1*8", "") == ["7+1*8\n"]


@pytest.mark.parametrize(
    ("n", "c", "k"), [(n, c, k) for n in (1, 4, 6) for c in range(n + 1) for k in range(1, n + 1)]
)
def test_pass_at_k_is_the_share_of_subsets(n, c, k):
    subsets = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert arith.pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_with_many_samples_and_bad_input():
    assert arith.pass_at_k(10_000, 1, 100) == pytest.approx(0.01)
    for args, words in (
        ((4, 5, 1), "c must be at most n"),
        ((4, 1, 5), "k must be at most n"),
        ((0, 0, 1), "n must"),
    ):
        with pytest.raises(ValueError, match=words):
            arith.pass_at_k(*args)


def test_majority_and_best_of():
    assert arith.majority([3, None, 4, 4, None, None]) == 4
    assert arith.majority([5, 3, 3, 5]) == 5
    assert arith.majority([None]) is None
    assert arith.best_of([0.1, 0.7, 0.7]) == 1
    with pytest.raises(ValueError, match="none of them NaN"):
        arith.best_of([0.1, float("nan")])
    with pytest.raises(ValueError, match="one number or more"):
        arith.best_of([])
