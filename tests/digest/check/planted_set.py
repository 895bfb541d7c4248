"""The planted set: invented papers, true summaries of them, and errors planted into the summaries."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sillok.digest.text import PaperText
from sillok.digest.texts import read_text_of

FOLDER = Path(__file__).parent / "planted"
IDS = tuple(sorted(path.stem for path in FOLDER.glob("*.md")))
#: Rules and weights were made on the sentences of the development half, which holds the papers of earlier blind
#: measurements. The blind one is by writers who did not know the checker; see docs/checking.md.
_FROM = ((1, "development"), (35, "blind"), (41, "development"), (59, "blind"), (65, "development"))
HALVES: dict[str, tuple[str, ...]] = {half: () for _, half in _FROM}
for _id in IDS:
    _half = next(half for first, half in reversed(_FROM) if int(_id[-5:]) >= first)
    HALVES[_half] += (_id,)
KINDS = ("digit", "unit", "baseline", "sign", "paper", "dataset", "model", "metric", "magnitude", "count")
_SLOT = re.compile(r"\{([^{}|]*)((?:\|[^{}|]*)+)\}")


class Sentence(NamedTuple):
    """A sentence for a paper; `kind` is None for a true one, else the kind of the planted error."""

    id: str
    language: str
    text: str
    kind: str | None


@cache
def paper(id: str) -> PaperText:
    """Return a paper of the set."""
    return read_text_of(FOLDER / f"{id}.md", id=id)


def _lines(id: str) -> Iterator[tuple[str, str]]:
    for line in (FOLDER / f"{id}.txt").read_text(encoding="utf-8").splitlines():
        language, _, text = line.partition("| ")
        yield language, text


def _true(text: str) -> str:
    return _SLOT.sub(lambda match: match[1], text)


def true(ids: tuple[str, ...]) -> list[Sentence]:
    """Return the true sentences of these papers."""
    return [Sentence(id, language, _true(text), None) for id in ids for language, text in _lines(id)]


def planted(ids: tuple[str, ...], seed: int = 0) -> list[Sentence]:
    """Return sentences with one error each: every slot's alternatives, changed digits, another paper's text."""
    draw = random.Random(seed)
    found: list[Sentence] = []
    for number, id in enumerate(ids):
        for language, text in _lines(id):
            slots = list(_SLOT.finditer(text))
            for slot in slots:
                for alternative in slot[2].split("|")[1:]:
                    kind, _, wrong = alternative.partition(":")
                    assert kind in KINDS, alternative
                    wrong = wrong or _digits(slot[1], draw)
                    spoilt = text[: slot.start()] + wrong + text[slot.end() :]
                    found.append(Sentence(id, language, _true(spoilt), kind))
        other = ids[(number + 1) % len(ids)]
        found += [Sentence(id, language, _true(text), "paper") for language, text in _lines(other)]
    return found


def _digits(text: str, draw: random.Random) -> str:
    """Change one digit of the first figure: never its first one to nought, and seldom the last one only."""
    match = re.search(r"[0-9][0-9,.]*[0-9]|[0-9]", text)
    assert match is not None, text
    places = [i for i in range(match.start(), match.end()) if text[i].isdigit()]
    place = draw.choice(places[:2])
    choices = [d for d in "0123456789" if d != text[place] and not (d == "0" and place == places[0])]
    return text[:place] + draw.choice(choices) + text[place + 1 :]
