"""How text becomes search terms, the same for both databases and for what is stored and what is asked.

Text is folded (NFKC, case, accents of Latin letters). Words of letters and digits stay whole; a run
of Hangul or of Chinese or Japanese characters becomes its overlapping pairs, since most Korean words
have two syllables and carry their particles with them: 모델의 is stored as 모델 and 델의, so that 모델
finds it. A run of one character stays as it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

MAX_WORD = 64  # characters of one word: a database's lexemes have a limit, and no reader types more
MAX_TOKENS = 15_000  # of one text; PostgreSQL numbers no more than 16,383 positions

_PAIRED = "가-힣\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_RUN = re.compile(rf"(?P<paired>[{_PAIRED}]+)|[^\W_{_PAIRED}]+")
_ACCENTED = re.compile("[\u00c0-\u024f\u0300-\u036f\u1e00-\u1eff]")
_MARKS = re.compile("[\u0300-\u036f]")
_CHUNK = re.compile(
    r"[\w\-‐‑./:'’+]+"
)  # what binds one query word together: low-rank, 2411.19870, d'alembert
# Particles that a reader may leave on a query word; the longest first, so that 에서 goes before 서.
_PARTICLES = (
    *("으로부터", "에서부터", "이라는", "에서의", "으로의", "에서는", "으로는"),
    *("에서", "에게", "으로", "까지", "부터", "처럼", "보다", "에는", "와의", "과의", "로의", "라는", "이나"),
    *("은", "는", "이", "가", "을", "를", "의", "에", "로", "와", "과", "도", "만", "나"),
)


@dataclass(frozen=True)
class Phrase:
    """Tokens that must follow one another; `open` lets the last one be the beginning of a longer one."""

    tokens: tuple[str, ...]
    open: bool = False


def fold(text: str) -> str:
    """Fold what a reader does not distinguish: compatibility forms, case, accents of Latin letters."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if _ACCENTED.search(text):
        text = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text)))
    return text


def tokens(text: str) -> list[str]:
    """Give the search terms of a text in their order, at most `MAX_TOKENS` of them."""
    out: list[str] = []
    for run in _RUN.finditer(fold(text)):
        out.extend(_of_run(run))
        if len(out) >= MAX_TOKENS:
            break
    return out[:MAX_TOKENS]


def phrases(query: str) -> list[Phrase]:
    """Read what a reader typed: every word must be found, in any order; no text is a syntax error.

    A word with inner marks (low-rank, 2411.19870) is a phrase of its parts. A particle at the end of a
    Korean word of three syllables or more is dropped, so that 모델의 finds 모델을 too. The last Latin
    word, and any single syllable, may be the beginning of a longer term.
    """
    out: list[Phrase] = []
    for chunk in _CHUNK.finditer(fold(query)):
        terms = tuple(_of_chunk(chunk.group()))
        if terms:
            out.append(Phrase(terms, open=is_paired(terms[-1]) and len(terms[-1]) == 1))
    if out and not is_paired(out[-1].tokens[-1]):
        out[-1] = Phrase(out[-1].tokens, open=len(out[-1].tokens[-1]) > 1)
    return list(dict.fromkeys(out))


def is_paired(token: str) -> bool:
    """Whether a term comes from a script that is stored by pairs of characters."""
    return re.match(f"[{_PAIRED}]", token) is not None


def _of_run(run: re.Match[str]) -> Iterator[str]:
    word = run.group()
    if run["paired"] is None:
        yield word[:MAX_WORD]
    elif len(word) == 1:
        yield word
    else:
        yield from (word[i : i + 2] for i in range(len(word) - 1))


def _of_chunk(chunk: str) -> Iterator[str]:
    runs = list(_RUN.finditer(chunk))
    for run in runs[:-1]:
        yield from _of_run(run)
    if not runs:
        return
    last = runs[-1]
    word = last.group()
    if last["paired"] is not None:
        attached = last.start() > 0 and not is_paired(chunk[last.start() - 1])
        if attached and word in _PARTICLES:  # LoRA를: the particle belongs to the Latin word
            return
        word = _stem(word)
        last = _RUN.match(word) or last
    yield from _of_run(last)


def _stem(word: str) -> str:
    for particle in _PARTICLES:
        if word.endswith(particle) and len(word) - len(particle) >= 2:
            return word[: -len(particle)]
    return word
