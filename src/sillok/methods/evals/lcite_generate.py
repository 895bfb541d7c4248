"""Contexts with known answers at any length, in the manner of L-CiteEval (arXiv 2410.02115).

A needle, a penguin that counts stars, and facts over several passages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_NAMES = ("Mira", "Tovi", "Lasse", "Juno", "Edda", "Koren", "Silvan", "Ylva", "Bram", "Oda", "Pirlo", "Senna")
_THINGS = (
    "lantern",
    "kettle",
    "ledger",
    "compass",
    "violin",
    "sextant",
    "loom",
    "anvil",
    "sundial",
    "barometer",
)
_PLACES = (
    "the boathouse",
    "the attic",
    "the granary",
    "the chapel",
    "the cellar",
    "the orchard",
    "the mill",
    "the quay",
)


def _filled(n_docs: int, rng: np.random.Generator, filler: Sequence[str]) -> list[str]:
    if n_docs < 1 or not filler:
        raise ValueError(
            f"n_docs must be at least 1, and filler hold a text; got {n_docs!r}, {len(filler)} texts"
        )
    return [filler[int(at)] for at in rng.integers(0, len(filler), n_docs)]


def _somewhere(doc: str, sentence: str, rng: np.random.Generator) -> str:
    """`sentence` set between two lines of a passage."""
    lines = doc.splitlines() or [""]
    at = int(rng.integers(0, len(lines) + 1))
    return "\n".join([*lines[:at], sentence, *lines[at:]])


def needle(n_docs: int, seed: int, *, filler: Sequence[str] = ("Nothing of note.",)) -> dict[str, Any]:
    """One sentence about a thing, hidden in one of `n_docs` passages: a record of the task "niah".

    Args:
        n_docs: passages.
        seed: of everything.
        filler: texts of the passages around it.

    Returns:
        A record with "id", "question", "answer", "docs", "length" (words) and "task"; "gold" are the passages (from 0)
        that hold the answer.

    Raises:
        ValueError: no passage, or no filler.
    """
    rng = np.random.default_rng([seed, 59])
    docs = _filled(n_docs, rng, filler)
    thing, place = str(rng.choice(_THINGS)), str(rng.choice(_PLACES))
    number = int(rng.integers(1000, 9999))
    answer = f"The {thing} number {number} is kept in {place}."
    at = int(rng.integers(0, n_docs))
    docs[at] = _somewhere(docs[at], answer, rng)
    return _record("niah", seed, f"Where is the {thing} number {number} kept?", answer, docs, [at])


def counting_stars(
    n_docs: int, n_stars: int, seed: int, *, filler: Sequence[str] = ("Nothing of note.",)
) -> dict[str, Any]:
    """A little penguin that counts stars in `n_stars` of `n_docs` passages: a record of the task "counting_stars".

    Args:
        n_docs, seed, filler: as `needle` takes them.
        n_stars: passages in which it counts, each another number.

    Raises:
        ValueError: as `needle`, or more stars than passages, or fewer than one.
    """
    if not 1 <= n_stars <= n_docs:
        raise ValueError(f"n_stars must lie in [1, n_docs = {n_docs}], not {n_stars!r}")
    rng = np.random.default_rng([seed, 61])
    docs = _filled(n_docs, rng, filler)
    gold = sorted(int(at) for at in rng.choice(n_docs, n_stars, replace=False))
    counts = [int(count) for count in rng.choice(np.arange(2, 300), n_stars, replace=False)]
    for at, count in zip(gold, counts, strict=True):
        docs[at] = _somewhere(docs[at], f"The little penguin counted {count} ★", rng)
    return _record("counting_stars", seed, None, counts, docs, gold)


def fact_qa(
    n_docs: int, seed: int, *, facts: int = 3, filler: Sequence[str] = ("Nothing of note.",)
) -> dict[str, Any]:
    """A question whose answer takes `facts` sentences from as many passages: a record of the task "hotpotqa".

    Args:
        n_docs, seed, filler: as `needle` takes them.
        facts: sentences "Mira owns the lantern." that the answer repeats, each in a passage of its own.

    Returns:
        As `needle`; "gold" has the passage of each fact, in the order of the sentences of "answer".

    Raises:
        ValueError: as `needle`, or more facts than passages or things.
    """
    if not 1 <= facts <= min(n_docs, len(_THINGS)):
        raise ValueError(f"facts must lie in [1, {min(n_docs, len(_THINGS))}], not {facts!r}")
    rng = np.random.default_rng([seed, 67])
    docs = _filled(n_docs, rng, filler)
    name = f"{rng.choice(_NAMES)} {int(rng.integers(100, 999))}"
    things = [str(thing) for thing in rng.choice(_THINGS, facts, replace=False)]
    gold = [int(at) for at in rng.choice(n_docs, facts, replace=False)]
    sentences = [f"{name} owns the {thing}." for thing in things]
    for at, sentence in zip(gold, sentences, strict=True):
        docs[at] = _somewhere(docs[at], sentence, rng)
    return _record("hotpotqa", seed, f"What does {name} own?", " ".join(sentences), docs, gold)


def _record(
    task: str, seed: int, question: str | None, answer: Any, docs: list[str], gold: list[int]
) -> dict[str, Any]:
    words = sum(len(doc.split()) for doc in docs)
    kept = {"id": f"{task}-{seed}", "question": question, "answer": answer, "docs": docs, "gold": gold}
    return kept | {"length": words, "task": task}


def stated(premise: str, hypothesis: str) -> bool:
    """Entailment where facts stand word by word: every sentence of the hypothesis is in the premise."""
    claims = [claim.strip() for claim in hypothesis.split(".") if claim.strip()]
    return bool(claims) and all(f"{claim}." in premise for claim in claims)


def reply_with(record: Mapping[str, Any], cited: Sequence[Sequence[int]]) -> str:
    """The right answer to a record, its sentences citing the passages (from 0) of `cited` (stars: the first list)."""
    if record["task"] == "counting_stars":
        return json.dumps({"little_penguin": record["answer"], "passage_id": [at + 1 for at in cited[0]]})
    sentences = [part for part in str(record["answer"]).split(".") if part.strip()]
    return " ".join(
        sentence.strip() + "".join(f" [{at + 1}]" for at in marks) + "."
        for sentence, marks in zip(sentences, cited, strict=True)
    )
