"""Ordering what a search has found, and showing where its words stand: see `sillok.record.search`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

from sqlalchemy import Connection, bindparam, select, text

from sillok.record.codec import texts_of
from sillok.record.model import Hit
from sillok.record.tables import papers, search
from sillok.record.text import Phrase, is_paired

_WEIGHTS = (8.0, 3.0, 1.0)  # title, authors, summaries
_FIELDS = ("' ' || title || ' '", "' ' || authors || ' '", "' ' || body || ' '")
_POOL_SQLITE = text(
    f"SELECT key, {', '.join(f'CAST({field} AS BLOB)' for field in _FIELDS)} FROM search "
    "WHERE key IN (SELECT value FROM json_each(:keys))"
)
_POOL_POSTGRES = text(
    f"SELECT key, {', '.join(f'convert_to({field}, $$UTF8$$)' for field in _FIELDS)} FROM search "
    "WHERE key = ANY(:keys)"
)
_FOUND = (
    select(search.c.key, papers.c.id, papers.c.title, papers.c.family, papers.c.published)
    .select_from(search.join(papers, papers.c.id == search.c.paper))
    .where(search.c.key.in_(bindparam("keys", expanding=True)))
)


def rank(
    connection: Connection,
    pool: list[int],
    asked: list[Phrase],
    rarity: list[float],
    must: Sequence[Sequence[tuple[str, ...]]] = (),
) -> list[tuple[float, int]]:
    """Score the pool by BM25F (k1 = 1.2, b = 0.3), best first; what lacks all phrases of a group of `must` is left out.

    Counting is done on bytes, as the database holds them: making text of some hundred papers would cost as
    much as finding them.
    """
    if connection.dialect.name == "postgresql":
        rows = connection.execute(_POOL_POSTGRES, {"keys": pool}).fetchall()
    else:
        rows = connection.execute(_POOL_SQLITE, {"keys": json.dumps(pool)}).fetchall()
    groups = [[f" {' '.join(tokens)} ".encode() for tokens in group] for group in must]
    rows = [row for row in rows if all(any(w in t for w in group for t in row[1:]) for group in groups)]
    mean = sum(len(row[3]) for row in rows) / max(len(rows), 1)
    needles = []
    for phrase, weight in zip(asked, rarity, strict=True):
        begin = f" {' '.join(phrase.tokens)}".encode()
        needles.append((begin if phrase.open else b"", begin + b" ", weight))
    in_title, in_authors, in_body = _WEIGHTS
    scored = []
    for key, title, authors, body in rows:
        each = in_body / (0.7 + 0.3 * len(body) / mean)
        score = 0.0
        for begin, word, weight in needles:
            times = title.count(word) * in_title + authors.count(word) * in_authors + body.count(word) * each
            if begin:  # the whole word counts twice: "model" before "modelling"
                times += title.count(begin) * in_title + authors.count(begin) * in_authors
                times += body.count(begin) * each
            score += weight * times * 2.2 / (times + 1.2)
        scored.append((score, key))
    return sorted(scored, reverse=True)


def hits(connection: Connection, ranked: Iterable[tuple[float, int]], asked: list[Phrase]) -> list[Hit]:
    """What a search gives for scored keys, in their order."""
    scores = {key: score for score, key in ranked}
    rows = {row.key: row for row in connection.execute(_FOUND, {"keys": list(scores)})}
    texts = texts_of(connection, [row.id for row in rows.values()])
    return [
        Hit(
            id=row.id,
            title=row.title,
            family=row.family,
            published=row.published,
            snippet=_snippet(texts.get(row.id, {}), asked),
            score=round(score, 6),
        )
        for key, score in scores.items()
        if (row := rows.get(key)) is not None
    ]


def _snippet(texts: dict[str, str], asked: list[Phrase], width: int = 200) -> str:
    """About `width` characters of the summary around the first word found; the reader's language first."""
    first = "ko" if any(is_paired(phrase.tokens[-1]) for phrase in asked) else "en"
    ordered = [texts[language] for language in sorted(texts, key=lambda code: (code != first, code))]
    pattern = re.compile("|".join(_surface(phrase.tokens) for phrase in asked), re.IGNORECASE)
    for body in ordered:
        if asked and (found := pattern.search(body)):
            start = (
                body.rfind(" ", 0, max(0, found.start() - width // 3)) + 1
                if found.start() > width // 3
                else 0
            )
            break
    else:
        if not ordered:
            return ""
        body, start = ordered[0], 0
    piece = body[start : start + width]
    if start + width < len(body) and not body[start + width].isspace():
        piece = piece.rsplit(maxsplit=1)[0] if len(piece.split()) > 1 else piece  # no half of a word
    return ("… " if start else "") + " ".join(piece.split()) + (" …" if start + width < len(body) else "")


def _surface(terms: tuple[str, ...]) -> str:
    """A pattern for how a phrase looks in a text: pairs of one word grown together, marks between words."""
    parts = [re.escape(terms[0])]
    for before, term in pairwise(terms):
        overlap = is_paired(term) and is_paired(before) and len(term) == 2 and before[-1] == term[0]
        parts.append(re.escape(term[1:]) if overlap else r"[\W_]*" + re.escape(term))
    return "".join(parts)
