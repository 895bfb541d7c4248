"""A language model's opinions on sentences: what it is shown, and what of its answer counts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sillok.digest.check.figures import comparable, figures, matches
from sillok.digest.check.findings import Verdict
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.latex import delatex
from sillok.digest.check.sentences import plain
from sillok.digest.text import PaperText, Passage

#: Passages that a sentence brings along, and tokens of passages in one call.
PASSAGES, BUDGET = 5, 12_000
#: Characters that a quotation must have.
_LEAST = 12
#: What is shown along with a passage beside it.
_PARTNER = {"table": "caption", "caption": "table"}
#: Doubts that no opinion lifts: a name that the paper has nowhere, another unit.
_HARD = frozenset(("name", "name-plain", "unit", "unit2", "unit-metric"))


class Opinion(NamedTuple):
    """What a language model says of one sentence: its verdict, quotations from the paper, and one line of reason."""

    verdict: Verdict
    quotes: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Question:
    """Sentences of one entry with the passages that the check found for them.

    Attributes:
        paper: name of the paper, with its version.
        passages: in the paper's order.
        sentences: each without Markdown.
    """

    paper: str
    passages: tuple[Passage, ...]
    sentences: tuple[str, ...]


#: Questions to opinions, one for each sentence; None where the model gave none.
Judge = Callable[[Sequence[Question]], "list[list[Opinion | None]]"]


def shown(passage: Passage) -> str:
    """Return a passage with its section, as it is shown to the model."""
    return (f"({passage.section}) " if passage.section else "") + passage.text


def chosen(numbers: Iterable[Sequence[int]], paper: PaperText) -> tuple[Passage, ...]:
    """Return the passages of evidence of several sentences in the paper's order, captions with their tables.

    Of each sentence the most telling come first, and all stay within `BUDGET`.
    """
    from sillok.digest.summarise.budget import estimate_tokens  # brings in what only a model needs

    kept: set[int] = set()
    spent = 0
    lists = [list(one)[:PASSAGES] for one in numbers]
    for place in range(PASSAGES):
        for one in lists:
            if place >= len(one):
                continue
            partner = _PARTNER.get(paper.passages[one[place]].kind)
            for number in (one[place] - 1, one[place], one[place] + 1):
                if number in kept or not 0 <= number < len(paper.passages):
                    continue
                if number != one[place] and paper.passages[number].kind != partner:
                    continue
                tokens = estimate_tokens(shown(paper.passages[number]))
                if spent + tokens <= BUDGET:
                    kept.add(number)
                    spent += tokens
    return tuple(paper.passages[number] for number in sorted(kept))


def refine(sentence: str, result: Judgement, opinion: Opinion | None, paper: PaperText) -> None:
    """Bring a language model's opinion into a judgement; what it does not quote from the paper does not count.

    A contradiction overrules "supported". "Supported" lifts a failed sentence only where the quotations hold all its
    figures and no name of it is missing from the paper. "Not found" changes nothing: the model saw a few passages.
    """
    if opinion is None:
        return
    places = {quote: number for quote in opinion.quotes if (number := _place(quote, paper)) is not None}
    if not places:
        return
    if opinion.verdict == "contradicted":
        if result.verdict == "supported":
            result.reasons.clear()
        result.fail("contradicted", f"a language model: {opinion.why or 'the paper says otherwise'}")
    elif opinion.verdict == "supported" and result.verdict != "supported":
        known = {one.kind for one in result.doubts}
        if known & _HARD or not _borne(sentence, places, paper):
            return
        result.verdict = "supported"
        result.reasons[:] = [
            "a language model quotes the paper for it; by its words and figures alone it failed"
        ]
    else:
        return
    result.passages[:0] = [
        number for number in dict.fromkeys(places.values()) if number not in result.passages
    ]


def _borne(sentence: str, places: Mapping[str, int], paper: PaperText) -> bool:
    """Tell whether each figure of a sentence stands in a quotation; one of a table may leave its unit to the header."""
    there = [
        replace(figure, unit="?") if not figure.unit and paper.passages[number].kind == "table" else figure
        for quote, number in places.items()
        for figure in figures(delatex(plain(quote)))
    ]
    return all(
        any(comparable(figure, other) and matches(figure, other) for other in there)
        for figure in figures(delatex(plain(sentence)))
        if not figure.word
    )


def _place(quote: str, paper: PaperText) -> int | None:
    wanted = _even(quote)
    if len(wanted) < _LEAST:
        return None
    return next((n for n, passage in enumerate(paper.passages) if wanted in _even(passage.text)), None)


def _even(text: str) -> str:
    """Return a text without case, white space, marks of tables and quotation marks."""
    return re.sub(r"[\s|\"'“”‘’*`]+", "", unicodedata.normalize("NFKC", text)).casefold()
