"""Verdicts, answers, swapped orders."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from inspect_ai.model import ModelOutput, get_model

from sillok.methods.search.pairwise import comparison_prompt, pairwise, parse_verdict, swap_counts
from sillok.methods.search.sampling import chosen_letter, extract_answer
from sillok.testbeds.sim_model import simulated_model

A, B = "By hand.\nANSWER: right", "By guess.\nANSWER: wrong"


@pytest.mark.parametrize(
    ("reply", "share"),
    [
        ("VERDICT: 1", 1.0),
        ("Long thought.\n**VERDICT: 2**", 0.0),
        ("**Verdict:** Solution 1", 1.0),
        ("verdict: <solution_2>", 0.0),
        ("VERDICT: Tie.", 0.5),
        ("VERDICT: 1, at first sight.\nNo:\nVERDICT: 2", 0.0),
        ("VERDICT: 12", None),
        ("VERDICT: neither", None),
        ("Solution 1 is better.", None),
        ("", None),
    ],
)
def test_parse_verdict(reply: str, share: float | None) -> None:
    assert parse_verdict(reply) == share


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("ANSWER: 42", "42"),
        ("so\n**ANSWER:** (B)", "b"),
        ("ANSWER: 1\nno\nAnswer: $x + 1$.", "x + 1"),
        ("ANSWER:   New   York ", "new york"),
        ("ANSWER: \nnothing", None),
        ("42", None),
    ],
)
def test_extract_answer(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("answer", "letter"),
    [("b", "b"), ("c) four", "c"), ("a. x", "a"), ("both", None), ("4", None), (None, None)],
)
def test_chosen_letter(answer: str | None, letter: str | None) -> None:
    assert chosen_letter(answer) == letter


def _recorder(reply: str) -> tuple[object, list[str]]:
    seen: list[str] = []

    def answer(messages, *_: object) -> ModelOutput:
        seen.append(messages[-1].text)
        output = ModelOutput.from_content("mock", reply)
        output.usage = None
        return output

    model = get_model("mockllm/model", custom_outputs=answer)

    async def no_count(*_: object) -> None:  # the mock would fetch a tokenizer to count
        return None

    model.api._ensure_default_usage = no_count  # type: ignore[attr-defined]
    return model, seen


@pytest.mark.parametrize("k", range(1, 8))
def test_both_orders_as_often_as_can_be(k: int) -> None:
    model, seen = _recorder("VERDICT: 1")
    result = asyncio.run(pairwise("Q?", A, B, k=k, judge=model))
    counts = Counter(seen)
    straight, swapped = counts[comparison_prompt("Q?", A, B)], counts[comparison_prompt("Q?", B, A)]
    assert (straight, swapped) == swap_counts(k)
    assert straight + swapped == k and 0 <= straight - swapped <= 1
    # a judge that always takes the first shown has no say: each side wins where it stood first
    assert (result.wins_a, result.wins_b) == (straight, swapped)


@pytest.mark.parametrize(
    ("reply", "wins", "unparsable"),
    [("VERDICT: tie", 1.5, 0), ("I cannot say.", 1.5, 3), ("VERDICT: 2", 1, 0)],
)
def test_ties_and_unreadable_replies_count_one_half(reply: str, wins: float, unparsable: int) -> None:
    model, _ = _recorder(reply)
    result = asyncio.run(pairwise("Q?", A, B, k=3, judge=model))
    assert (result.wins_a, result.wins_b, result.unparsable) == (wins, 3 - wins, unparsable)
    assert sum(result.verdicts) == wins


def test_odd_k_never_ties_without_tie_verdicts() -> None:
    model = simulated_model(0.5, 0.5, seed=1)

    async def many() -> list[float]:
        return [(await pairwise("Q?", f"{i} {A}", B, k=3, judge=model)).wins_a for i in range(60)]

    assert set(asyncio.run(many())) == {0, 1, 2, 3}


def test_position_bias_cancels_only_with_both_orders() -> None:
    model = simulated_model(0.5, 0.6, position_bias=0.3, seed=2)

    async def both() -> tuple[float, float]:
        swapped = await pairwise("Q?", A, B, k=600, judge=model)
        prompt = comparison_prompt("Q?", A, B)
        one_way = [parse_verdict((await model.generate(prompt)).completion) for _ in range(300)]
        return swapped.wins_a / 600, sum(v or 0.0 for v in one_way) / 300

    fair, biased = asyncio.run(both())
    assert abs(fair - 0.6) < 0.06
    assert abs(biased - 0.9) < 0.06


@pytest.mark.parametrize("cot", [True, False])
def test_prompt_shows_all_and_the_simulated_model_reads_it(cot: bool) -> None:
    prompt = comparison_prompt("What {is} it?", A, B, cot=cot)
    assert all(text in prompt for text in ("What {is} it?", A, B, "VERDICT: tie"))
    assert ("step by step" in prompt) is cot
    model = simulated_model(0.5, 1.0)
    assert asyncio.run(pairwise("Q?", A, B, k=4, judge=model, cot=cot)).wins_a == 4


def test_k_below_one() -> None:
    with pytest.raises(ValueError, match="k must be at least 1, not 0"):
        asyncio.run(pairwise("Q?", A, B, k=0, judge=simulated_model(0.5, 0.5)))
