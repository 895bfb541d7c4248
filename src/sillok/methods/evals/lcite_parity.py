"""Adversarial replies for parity with L-CiteEval's scripts, and what Sillok makes of them."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from sillok.methods.evals.lcite_generate import counting_stars, fact_qa, needle, reply_with
from sillok.methods.evals.lcite_scores import (
    answer_scores,
    citation_score,
    first_line,
    needle_citations,
    rouge,
    stars_citations,
    stars_correct,
    summary_of,
    without_citations,
)

_ODD = (
    "", "   ", "No idea.", "[1][2][3][4][5]", "[0] it is. [99] Or that. [1]", "I'm sorry, I cannot. [2]",
    "Summary: it is so [1]. And so [2][3].\nSecond line [4].", "The summary says nothing", "See [1, 2].", "끝. [1]",
    "Dr. Smith met Mr. Jones [1]. U.S. prices rose 3.5% [2]! Did they? [3]", "[1] [1] [1] same.",
    "One [1 and two [2 ] . Three",
    '{"little_penguin": [1, 2], "passage_id": [1, 1, 2]}', '{"little_penguin": [], "passage_id": [3]}', "{broken",
    '{"passage_id": [1], "little_penguin": [4], "x": {"y": 1}}',
)  # fmt: skip


def entailed(premise: str, claim: str) -> bool:
    """A stand-in for the entailment model that both sides ask: a coin, settled by the two texts."""
    return zlib.crc32(f"{premise}\0{claim}".encode()) % 100 < 60


def parity_cases(seed: int, n: int) -> list[dict[str, Any]]:
    """`n` replies to generated records of three tasks, with the sentences that they are cut into."""
    rng = np.random.default_rng([seed, 71])
    filler = ("Nothing of note.\nStill nothing.", "Rain fell for an hour.", "The clerk wrote it down.")
    cases = []
    for at in range(n):
        kind, number = ("niah", "counting_stars", "hotpotqa")[at % 3], int(rng.integers(3, 9))
        if kind == "niah":
            record = needle(number, seed * n + at, filler=filler)
        elif kind == "counting_stars":
            record = counting_stars(number, int(rng.integers(1, number + 1)), seed * n + at, filler=filler)
        else:
            record = fact_qa(number, seed * n + at, filler=filler)
        parts = 1 if kind != "hotpotqa" else 3
        marks = [[int(m) for m in rng.integers(0, number + 1, int(rng.integers(0, 6)))] for _ in range(parts)]
        reply = reply_with(record, marks) if rng.random() < 0.6 else _ODD[int(rng.integers(0, len(_ODD)))]
        if kind == "counting_stars" and ("passage_id" not in reply or '"passage_id": []' in reply):
            reply = "{broken" if rng.random() < 0.5 else '{"little_penguin": [5, 5], "passage_id": [1]}'
        if kind == "niah" and not without_citations(first_line(reply)).strip():
            reply = "Nowhere [1]."  # their script ends in a TypeError where nothing is left of a reply
        sentences = [part for part in reply.replace("! ", ".\0").replace(". ", ".\0").split("\0") if part]
        cases.append({"record": record, "reply": reply, "sentences": sentences})
    return cases


def parity_score(case: dict[str, Any]) -> dict[str, Any]:
    """Citations and correctness of one reply, under the names that the authors' adapter gives them."""
    record, reply, docs = case["record"], case["reply"], case["record"]["docs"]
    if record["task"] == "niah":
        cited = needle_citations(reply, docs, record["answer"])
        line = without_citations(first_line(reply))
        correct = {"rouge-1": rouge(line, [record["answer"]], "rouge-1", "r")}
    elif record["task"] == "counting_stars":
        cited, correct = stars_citations(reply, docs), {"acc": stars_correct(reply, docs)}
    else:
        cited = citation_score(reply, docs, entailed, split=lambda text: case["sentences"])
        correct = answer_scores(reply, [record["answer"]])
        correct["rouge-l"] = rouge(summary_of(reply), [record["answer"]], "rouge-l", "f")
    if not cited["n_sentences"]:
        return correct
    return {
        "cr": cited["cr"],
        "cp": cited["cp"],
        "citation_f1": cited["f1"],
        "cites": cited["n_citations"],
        **correct,
    }
