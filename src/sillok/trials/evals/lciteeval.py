"""L-CiteEval on simulated readers with planted rates: do citations show who reads, where correctness does not?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sillok.methods.evals.lcite_generate import counting_stars, fact_qa, needle, reply_with, stated
from sillok.methods.evals.lciteeval import lcite_score
from sillok.testbeds.texts import prose
from sillok.verify import Measure, Paired, Run, Truth, trial

#: Words of a passage, and of the contexts of the three lengths (a word of this text is some 1.6 tokens).
PASSAGE, LENGTHS = 90, {"8k": 5_000, "16k": 10_000, "32k": 20_000}
FACTS, STARS, TOP = 3, 6, 12
SPURIOUS = 0.25  # chance that a sentence cites an idle passage besides the right one
NEAR, FAR = (
    0.95,
    0.35,
)  # chance of the right citation where a fact stands at the context's beginning, and at its end


@dataclass(frozen=True)
class Reader:
    """What a simulated model does with one sentence of the right answer."""

    memory: bool  # it knows the answer, and cites at random

    def cites(self, at: int, n_docs: int, rng: np.random.Generator) -> list[int]:
        """The passages that a fact of passage `at` is given; the right one less often the deeper it stands."""
        if self.memory:
            return [int(rng.integers(0, n_docs))]
        right = rng.random() < chance_at(at, n_docs)
        cited = [at if right else _another(at, n_docs, rng)]
        if rng.random() < SPURIOUS:
            cited.append(_another(cited[0], n_docs, rng))
        return cited


def chance_at(at: int, n_docs: int) -> float:
    """P(the right passage is cited), falling with depth from `NEAR` to `FAR`."""
    return NEAR - (NEAR - FAR) * at / max(1, n_docs - 1)


def _another(at: int, n_docs: int, rng: np.random.Generator) -> int:
    return int((at + rng.integers(1, n_docs)) % n_docs) if n_docs > 1 else at


def passages(run: Run) -> list[str]:
    """Passages of `PASSAGE` words of the standard library's prose."""
    words = b" ".join(prose(run.pick(smoke="val", here="train"))).decode().split()
    chosen = words[: PASSAGE * run.pick(smoke=200, here=2000)]
    lines = [" ".join(chosen[at : at + PASSAGE // 3]) for at in range(0, len(chosen), PASSAGE // 3)]
    return ["\n".join(lines[at : at + 3]) for at in range(0, len(lines) - 2, 3)]


def retrieved(record: dict[str, Any]) -> dict[str, Any]:
    """The record with the passages that share most words with its question moved to the front, the first `TOP` of them.

    The question's words count by how rare they are among the passages.
    """
    docs: list[str] = record["docs"]
    asked = set(str(record["question"] or "little penguin counted").lower().strip("?").split())
    sets = [set(doc.lower().replace(".", " ").split()) for doc in docs]
    weight = {word: math.log((1 + len(docs)) / (1 + sum(word in s for s in sets))) for word in asked}
    score = [sum(weight[word] for word in asked & s) for s in sets]
    order = sorted(range(len(docs)), key=lambda at: -score[at])[:TOP]
    gold = [order.index(at) if at in order else None for at in record["gold"]]
    return {**record, "docs": [docs[at] for at in order], "gold": gold}


def answered(run: Run, record: dict[str, Any], number: int) -> str:
    """The reply of the arm's reader: the right answer, sentence by sentence, with its citations."""
    reader = Reader(memory=run.arm == "memory")
    rng = run.rng(f"reply/{number}/{record['task']}")
    gold: Sequence[int | None] = record["gold"]
    n = len(record["docs"])
    marks = [reader.cites(at, n, rng) if at is not None else [int(rng.integers(0, n))] for at in gold]
    if record["task"] == "counting_stars":
        marks = [[at for mark in marks for at in mark]]
    if run.fault:  # marks from 0, as models that count so would write them
        marks = [[at - 1 for at in mark] for mark in marks]
    return reply_with(record, marks)


def cell(run: Run, task: str, length: str, n: int, filler: list[str]) -> dict[str, float]:
    """Figures of one task at one length, and how far recall and precision are from what was planted."""
    docs = LENGTHS[length] // PASSAGE
    make = {
        "niah": lambda seed: needle(docs, seed, filler=filler),
        "counting_stars": lambda seed: counting_stars(docs, STARS, seed, filler=filler),
        "hotpotqa": lambda seed: fact_qa(docs, seed, facts=FACTS, filler=filler),
    }[task]
    base = run.subseed(f"{task}/{length}") % 10**6 * 1000
    records = [make(base + at) for at in range(n)]
    if run.arm == "retrieval":
        records = [retrieved(record) for record in records]
    replies = {record["id"]: answered(run, record, at) for at, record in enumerate(records)}
    result = lcite_score(records, replies, stated)
    figures = {key.partition("/")[2]: value for key, value in result.figures.items() if value is not None}
    correct = figures.get("rouge-1", figures.get("acc", figures.get("recall", 0.0)))
    found = {
        "f1": figures["citation_f1"],
        "cr": figures["citation_cr"],
        "cp": figures["citation_cp"],
        "correct": correct,
    }
    if run.arm != "retrieval" and task != "counting_stars":  # of memory: how far it is from reading
        found["gap"] = planted_gap(records, result.items, task)
    return found


def planted_gap(records: Sequence[dict[str, Any]], items: Sequence[Any], task: str) -> float:
    """The larger distance of citation recall and precision from the planted rates, in standard errors."""
    chances = [np.mean([chance_at(at, len(r["docs"])) for at in r["gold"]]) for r in records]
    recall = np.array([item.values["cr"] for item in items]) - chances
    # of a sentence with one right citation and perhaps an idle one, one citation in 1 + SPURIOUS counts on the average
    used = np.array([item.values["cp"] * item.values["n_citations"] for item in items])
    cited = np.array([item.values["n_citations"] for item in items])
    sentences = 1 if task == "niah" else FACTS
    if task == "niah":  # precision is 1 / citations where the needle is among them
        wanted = np.array(chances) * (1 - SPURIOUS / 2)
        precision = np.array([item.values["cp"] for item in items]) - wanted
    else:
        precision = used / sentences - np.array(chances)
    gaps = [abs(d.mean()) / max(d.std(ddof=1) / math.sqrt(len(d)), 1e-12) for d in (recall, precision)]
    extra = cited / sentences - (1 + SPURIOUS)
    return float(max(*gaps, abs(extra.mean()) / max(extra.std(ddof=1) / math.sqrt(len(extra)), 1e-12)))


TASKS = ("niah", "counting_stars", "hotpotqa")
_TEXT = {
    "f1": ("%", "citation F1"),
    "correct": ("%", "correctness"),
    "cr": ("%", "citation recall"),
    "cp": ("%", "citation precision"),
}


@trial(
    paper="2410.02115",
    claim="context",
    arms=("memory", "context", "retrieval"),
    measures={
        **{
            key: Measure(unit, "higher", text=f"{text}, mean of three tasks at 32k")
            for key, (unit, text) in _TEXT.items()
        },
        **{
            f"f1_{name}": Measure("%", "higher", text=f"citation F1 of {name}, mean of three lengths")
            for name in TASKS
        },
        "gap": Measure(
            "standard errors", "lower", text="recall, precision, citations from what was planted: the largest"
        ),
        "gaps": Measure("share", "higher", text="of these distances within two standard errors"),
    },
    minutes={"smoke": 0.4, "here": 4},
    seeds={"smoke": 3, "here": 5},
    needs=("evals", "testbeds"),
    fault="passages are cited by numbers that begin at 0",
    memory_gb=3.0,
)
def context(run: Run) -> dict[str, float]:
    """Citation F1 and correctness of a model that knows, one that reads, and one that reads what was retrieved."""
    filler, n = passages(run), run.pick(smoke=12, here=200)
    cells: dict[tuple[str, str], dict[str, float]] = {}
    for task in TASKS:
        for length in LENGTHS:
            cells[task, length] = cell(run, task, length, n, filler)
            run.progress(len(cells), len(TASKS) * len(LENGTHS))
        words = [LENGTHS[length] for length in LENGTHS]
        f1s = [cells[task, length]["f1"] for length in LENGTHS]
        run.curve(f"citation F1 of {task}", words, f1s, x_label="words of context", y_label="citation F1, %")
    longest = [cells[task, "32k"] for task in TASKS]
    measured = {key: float(np.mean([found[key] for found in longest])) for key in _TEXT}
    measured |= {f"f1_{t}": float(np.mean([cells[t, length]["f1"] for length in LENGTHS])) for t in TASKS}
    gaps = [found["gap"] for found in cells.values() if "gap" in found]
    return measured | ({"gap": max(gaps), "gaps": float(np.mean([gap <= 2 for gap in gaps]))} if gaps else {})


@context.upheld_if
def _(paired: Paired) -> Truth:
    known, read, found = (paired.values("f1", arm) for arm in ("memory", "context", "retrieval"))
    return (
        paired.difference("correct", "memory", "context").at_least(
            -1
        )  # memory answers as well as reading does
        & paired.every(
            "citation F1 of the reader at least 30 points higher", lambda i: read[i] >= known[i] + 30
        )
        & paired.every("retrieval first lifts the reader's citation F1", lambda i: found[i] > read[i])
        & paired.mean("gap").at_most(3)  # the largest of some fifty distances of chance
    )
