"""Long papers: how many tokens a text has, about, and how it is divided into parts by section."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from sillok.digest.text import PaperText, Passage

_WIDE = re.compile("[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]")
_APPENDIX = re.compile(
    r"(?i:appendi|supplement|acknowledg|broader impact|ethic|author contrib)"
    r"|[A-Z](?:\.[0-9]+)+\b|[B-HJ-Z]\.?\s+[A-Z]|A\.?\s+(?:Proof|Detail|Additional|More|Further|Implementation)|A\.\s"
)


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a text has, rather too many than too few.

    A Chinese, Japanese or Korean character counts as one token, four ASCII characters as one, two others as
    one. Tokenizers of 2024 stay below that for prose; dense tables and mathematics may exceed it by a third.
    """
    wide = len(_WIDE.findall(text))
    ascii_ = sum(char < "\x80" for char in text)
    return wide + math.ceil(ascii_ / 4) + math.ceil((len(text) - wide - ascii_) / 2)


class Plan(NamedTuple):
    """How a paper is read: its text in parts, each within the budget, and what is left out (passages, why)."""

    parts: tuple[str, ...]
    left_out: int


def plan(paper: PaperText, budget: int, ceiling: int) -> Plan:
    """Divide a paper into parts of at most `budget` tokens by section, at most `ceiling` tokens in all.

    What comes first at the ceiling is the paper in reading order, appendices and acknowledgements last. A
    passage longer than a whole part is divided at white space.
    """
    chosen = _within(paper.passages, ceiling)
    left_out = sum(bool(p.text.strip()) for p in paper.passages) - len(chosen)
    pieces: list[tuple[str, str]] = []  # top section, text
    section = None
    for passage in chosen:
        head = f"## {passage.section}\n" if passage.section and passage.section != section else ""
        section = passage.section
        top = passage.section.split(" / ")[0]
        for piece in _cut(head + _render(passage), budget):
            pieces.append((top, piece))
    return Plan(tuple(pack(pieces, budget)), left_out)


def pack(pieces: list[tuple[str, str]], budget: int) -> list[str]:
    """Join (section, text) pieces in order into parts within the budget; a section is kept whole if it fits."""
    groups: list[tuple[str, list[str]]] = []
    for top, text in pieces:
        if not groups or groups[-1][0] != top:
            groups.append((top, []))
        groups[-1][1].append(text)
    parts: list[list[str]] = [[]]
    room = budget
    for _, texts in groups:
        whole = sum(estimate_tokens(text) + 1 for text in texts)
        if whole > room and whole <= budget:
            parts.append([])
            room = budget
        for text in texts:
            size = estimate_tokens(text) + 1
            if size > room and parts[-1]:
                parts.append([])
                room = budget
            parts[-1].append(text)
            room -= size
    return ["\n\n".join(part) for part in parts if part]


def _within(passages: tuple[Passage, ...], ceiling: int) -> list[Passage]:
    order = sorted(
        (index for index, passage in enumerate(passages) if passage.text.strip()),
        key=lambda index: (is_appendix(passages[index].section), index),
    )
    chosen: list[int] = []
    room = ceiling
    for index in order:
        room -= estimate_tokens(_render(passages[index])) + 1
        if room < 0 and chosen:
            break
        chosen.append(index)
    return [passages[index] for index in sorted(chosen)]


def is_appendix(section: str) -> bool:
    """Tell whether a section stands after the paper's argument: an appendix, thanks, a statement."""
    return _APPENDIX.match(section.split(" / ")[0].strip()) is not None


def _render(passage: Passage) -> str:
    lead = {"title": "Title: ", "caption": "Caption: ", "table": "Table:\n", "footnote": "Footnote: "}
    return lead.get(passage.kind, "") + passage.text.strip()


def _cut(text: str, budget: int) -> list[str]:
    if estimate_tokens(text) < budget:
        return [text]
    pieces, piece, size = [], "", 0
    for word in re.findall(r"\S{1,400}\s*|\s+", text):
        cost = estimate_tokens(word)
        if piece and size + cost >= budget:
            pieces.append(piece.strip())
            piece, size = "", 0
        piece, size = piece + word, size + cost
    return [*pieces, piece.strip()] if piece.strip() else pieces
