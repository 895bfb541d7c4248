"""The simulated model measured: its rates as stated and as drawn, and a conversation, for its page."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from inspect_ai.model import GenerateConfig

from sillok.testbeds.base import Exhibit, check_count
from sillok.testbeds.sim_model.provider import SimulatedAPI

QUESTION = "What is 17 + 25?"
CHOICE = "What is 17 + 25?\nA) 41\nB) 42\nC) 43\nD) 44"
PLAIN: dict[str, Any] = {"right": "42", "wrong_answers": {"41": 2, "43": 1}}
CHOOSES = {"p_choice": 0.7, "preferred": "C", "preference": 0.2}
CHECKS = {"sensitivity": 0.9, "specificity": 0.8}
SCORES = {"scale": (1, 10), "quality": {"42": 7, "41": 3}, "score_bias": 0.5, "score_noise": 1.5}


def compare(first: str, second: str) -> str:
    """A prompt that asks for a comparison of two solutions."""
    return (
        f"{QUESTION}\n<solution_1>\n{first}\n</solution_1>\n<solution_2>\n{second}\n</solution_2>\n"
        "Which is better? VERDICT: 1 or 2"
    )


def judge(solution: str, asked: str = "How good is it, from 1 to 10?") -> str:
    """A prompt that asks for a judgement of one solution."""
    return f"{QUESTION}\n<answer>\n{solution}\n</answer>\n{asked}"


@dataclass(frozen=True)
class Measured:
    """One rate: as stated, as measured over `n` draws, and the standard error that chance leaves to it."""

    what: str
    stated: float
    measured: float
    error: float
    n: int


def measured_rates(n: int = 2000, seed: int = 0) -> list[Measured]:
    """Every stated rate beside what `n` draws of it give.

    Raises:
        ValueError: n below 2.
    """
    check_count("n", n, 2)
    right, wrong, long = "ANSWER: 42", "ANSWER: 41", "After long thought:\nANSWER: 42"
    biased = {"p_comp": 0.7, "position_bias": 0.1, "length_bias": 0.15}
    cases: list[tuple[str, dict[str, Any], str, str, float]] = [
        ("p_gen: right answer", {"p_gen": 0.6}, QUESTION, "ANSWER: 42", 0.6),
        ("wrong_answers: share of 41", {"p_gen": 0.6}, QUESTION, "ANSWER: 41", 0.4 * 2 / 3),
        ("p_choice: right option", {"p_choice": 0.7}, CHOICE, "ANSWER: B", 0.7),
        ("preference 0.2 for C: right option", CHOOSES, CHOICE, "ANSWER: B", 0.8 * 0.7),
        ("preference 0.2 for C: option C", CHOOSES, CHOICE, "ANSWER: C", 0.2 + 0.8 * 0.1),
        ("p_comp: right preferred", {"p_comp": 0.7}, compare(right, wrong), "VERDICT: 1", 0.7),
        ("+ position_bias 0.1, length_bias 0.15", biased, compare(long, wrong), "VERDICT: 1", 0.95),
        ("the same, sides swapped", biased, compare(wrong, long), "VERDICT: 1", 0.25),
        ("tie", {"tie": 0.2}, compare(right, wrong), "VERDICT: tie", 0.2),
        ("sensitivity", CHECKS, judge(right, "Is it right, yes or no?"), "Yes", 0.9),
        ("specificity", CHECKS, judge(wrong, "Is it right, yes or no?"), "No", 0.8),
        ("unparsable", {**CHECKS, "unparsable": 0.1}, judge(wrong, "Right, yes or no?"), "looks at it.", 0.1),
        ("refusal", {"refusal": 0.15}, QUESTION, "help with that.", 0.15),
    ]
    rows = []
    for what, arguments, prompt, ending, stated in cases:
        texts = _draws({**PLAIN, **arguments, "seed": seed}, prompt, n)
        share = sum(text.endswith(ending) for text in texts) / n
        rows.append(Measured(what, stated, share, math.sqrt(stated * (1 - stated) / n), n))
    return [*rows, *_scores(n, seed), *_correlations(n, seed)]


def _scores(n: int, seed: int) -> list[Measured]:
    """Mean score and its scatter; rounding adds a twelfth to the variance."""
    texts = _draws({**PLAIN, **SCORES, "seed": seed}, judge("ANSWER: 42"), n)
    scores = np.array([float(text.removeprefix("<score>").removesuffix("</score>")) for text in texts])
    spread = math.sqrt(1.5**2 + 1 / 12)
    return [
        # less what the end of the scale cuts off: E[max(x - 10.5, 0)] and on, in whole points
        Measured(
            "scale: mean score of quality 7 + bias 0.5",
            _clipped_mean(),
            float(scores.mean()),
            spread / n**0.5,
            n,
        )
    ]


def _clipped_mean() -> float:
    api = SimulatedAPI("simulated", **PLAIN, **SCORES)
    [reply] = api.replies(judge("ANSWER: 42"), GenerateConfig())
    return sum(int(score) * p for score, p in reply.chances.items())


def _correlations(n: int, seed: int) -> list[Measured]:
    """How much two calls about one question have in common, over n questions."""
    found = []
    for what, arguments, prompt, ending in (
        ("correlation: of two answers", {"p_gen": 0.6}, QUESTION, "42"),
        ("correlation: of two checks", CHECKS, judge("ANSWER: 41", "Is it right, yes or no?"), "No"),
    ):
        api = SimulatedAPI("simulated", **{**PLAIN, **arguments, "correlation": 0.4, "seed": seed})
        config = GenerateConfig(num_choices=2)
        pairs = [api.replies(f"Question {i}. {prompt}", config) for i in range(n)]
        hits = np.array([[reply.text.endswith(ending) for reply in pair] for pair in pairs], float)
        measured = float(np.corrcoef(hits.T)[0, 1])
        found.append(Measured(what, 0.4, measured, 1.2 / math.sqrt(n), n))
    return found


def _draws(arguments: dict[str, Any], prompt: str, n: int) -> list[str]:
    api = SimulatedAPI("simulated", **arguments)
    return [reply.text for reply in api.replies(prompt, GenerateConfig(num_choices=n))]


def describe(n: int = 2000) -> str:
    """A few lines of text: every stated rate beside what `n` draws of it give."""
    rows = [f"{'stated rate':44s}{'stated':>9s}{'measured':>10s}{'+-':>8s}"]
    rows += [
        f"{row.what:44s}{row.stated:9.3f}{row.measured:10.3f}{2 * row.error:8.3f}"
        for row in measured_rates(n)
    ]
    return "\n".join(rows)


def exhibits(n: int = 2000) -> list[Exhibit]:
    """What the page of the simulated model shows: a conversation, log-probabilities, and the rates."""
    api = SimulatedAPI("simulated", **PLAIN, **CHOOSES, **CHECKS, **SCORES, p_gen=0.6, seed=1)
    shown: Callable[[str], str] = lambda prompt: api.replies(prompt, GenerateConfig())[0].text  # noqa: E731
    solutions = [shown(QUESTION) for _ in range(2)]
    prompts = [
        CHOICE,
        compare(*solutions),
        judge(solutions[0]),
        judge(solutions[0], "Is it right, yes or no?"),
    ]
    turns = [(QUESTION, solutions[0]), *((prompt, shown(prompt)) for prompt in prompts)]
    talk = "\n\n".join(f"user:\n{asked}\n\nmodel:\n{answer}" for asked, answer in turns)
    [reply] = api.replies(CHOICE, GenerateConfig())
    chances = "\n".join(
        f"{letter}  p = {p:.3f}  log p = {math.log(p):7.3f}" for letter, p in reply.chances.items()
    )
    caption = "One model asked in every way: a question, a choice, a comparison, a score, a check."
    return [
        Exhibit("conversation", caption, text=talk),
        Exhibit("logprobs", "Top log-probabilities of the choice above: the stated chances.", text=chances),
        Exhibit(
            "rates", f"Stated and measured, {n:,} draws each (+- two standard errors).", text=describe(n)
        ),
    ]
