"""Full-text search: one analyser, one index per database, one ranking for both.

A paper is found when it has every word of the query, in its title, authors or summaries (`text` says
what a word is). Ranking every match would take seconds for a word that all papers have, so only the
`POOL` newest papers that match in the title and the `POOL` newest that match anywhere are ranked, by
BM25F with the title weighing eight times and the authors three times the summaries; equal scores stand
newest first. Where a query has more matches than that, the rest follow unranked, newest first.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, text

from sillok.record.codec import insert
from sillok.record.model import Hit
from sillok.record.tables import papers, search, summaries, words
from sillok.record.text import MAX_TOKENS, Phrase, is_paired, phrases, tokens

POOL = 300
MAX_PHRASES = 32  # of a query; a reader types fewer, a program that pastes a page is cut here
MAX_ENDINGS = 12  # the commonest words that the beginning of a word may stand for
_WEIGHTS = (8.0, 3.0, 1.0)  # title, authors, summaries
_ALL = ""  # in `words`: the row that counts the papers themselves
_LOCK = 0x5111_0D  # PostgreSQL: two that count words at once would wait for each other in a circle


def index(connection: Connection, ids: Sequence[str]) -> None:
    """Bring the index up to date for these papers, from what `papers` and `summaries` now hold."""
    if not ids:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    counts: Counter[str] = Counter()
    fields = (search.c.title, search.c.authors, search.c.body)
    for old in connection.execute(select(*fields).where(search.c.paper.in_(ids))):
        counts.subtract({_ALL, *" ".join(old).split()})
    if counts:
        connection.execute(delete(search).where(search.c.paper.in_(ids)))
    texts: dict[str, list[str]] = {}
    for paper, summary in connection.execute(
        select(summaries.c.paper, summaries.c.text)
        .where(summaries.c.paper.in_(ids))
        .order_by(summaries.c.language)
    ):
        texts.setdefault(paper, []).append(summary)
    rows = []
    for paper in connection.execute(select(papers).where(papers.c.id.in_(ids))):
        row = _row(paper, texts.get(paper.id, []), vectors=connection.dialect.name == "postgresql")
        counts.update({_ALL, *row["title"].split(), *row["authors"].split(), *row["body"].split()})
        rows.append(row)
    if rows:
        connection.execute(search.insert(), rows)
    changed = [{"word": word, "papers": count} for word, count in sorted(counts.items()) if count]
    if changed:
        statement = insert(connection, words)
        more = {"papers": words.c.papers + statement.excluded.papers}
        connection.execute(statement.on_conflict_do_update(index_elements=["word"], set_=more), changed)


def rebuild_if_short(connection: Connection) -> None:
    """Index every paper anew where the index lacks some, as after the migration that brought it."""
    there = connection.execute(select(func.count()).select_from(papers)).scalar_one()
    if there == connection.execute(select(func.count()).select_from(search)).scalar_one():
        return
    connection.execute(delete(search))
    connection.execute(delete(words))
    ids = list(connection.execute(select(papers.c.id)).scalars())
    for start in range(0, len(ids), 1000):
        index(connection, ids[start : start + 1000])


def find(connection: Connection, query: str, *, limit: int, offset: int, family: str | None) -> list[Hit]:
    """Find the papers that have every word of the query; see the module for how they are ranked."""
    asked = phrases(query)[:MAX_PHRASES]
    groups = [_endings(connection, phrase) for phrase in asked]
    if not asked or not all(groups):
        return []
    rarity = _rarity(connection, groups)
    if rarity is None:
        return []
    match = _match(connection, groups, family)
    newest = _newest(connection, "all", match, POOL)
    pool = sorted({*newest, *_newest(connection, "title", match, POOL)}, reverse=True)
    ranked = _rank(connection, pool, asked, rarity)[offset : offset + limit]
    if len(ranked) < limit and len(newest) == POOL:
        skip = max(0, offset - len(pool))
        rest = _newest(connection, "all", match, limit - len(ranked) + skip + len(pool), below=newest[-1])
        rest = [key for key in rest if key not in set(pool)][skip : skip + limit - len(ranked)]
        ranked += [(0.0, key) for key in rest]
    return _hits(connection, ranked, asked)


def _key(paper: str, published: str | None) -> int:
    """Order papers by date in 63 bits: 20 of the day, 43 of the id's hash (papers of a day never meet)."""
    try:
        day = date.fromisoformat((published or "")[:10]).toordinal()
    except ValueError:
        arxiv = re.match(r"(\d\d)(0[1-9]|1[0-2])\.\d{4,5}", paper)
        day = date(2000 + int(arxiv[1]), int(arxiv[2]), 1).toordinal() if arxiv else 0
    digest = hashlib.blake2b(paper.encode(), digest_size=8).digest()
    return day << 43 | int.from_bytes(digest, "big") >> 21


def _row(paper: Any, texts: list[str], *, vectors: bool) -> dict[str, Any]:
    title = tokens(f"{paper.title} / {paper.id}")
    authors = tokens(" / ".join(json.loads(paper.authors)))
    body = tokens("\n".join(texts))[: max(0, MAX_TOKENS - len(title) - len(authors))]
    tag = _tag(paper.family)
    return {
        "key": _key(paper.id, paper.published),
        "paper": paper.id,
        "tag": tag,
        "title": " ".join(title),
        "authors": " ".join(authors),
        "body": " ".join(body),
        "title_vector": _vector([[tag], title]) if vectors else None,
        "vector": _vector([[tag], title, authors, body]) if vectors else None,
    }


def _tag(family: str | None) -> str:
    """The family as one term that no text can hold, so that it narrows a search inside the index."""
    return "\ue000" + (family or "").encode().hex()


def _vector(fields: list[list[str]]) -> str:
    """A tsvector with each token where it stands; an empty place between fields, so no phrase spans two."""
    places: dict[str, list[str]] = {}
    place = 0
    for field in fields:
        for token in field:
            place += 1
            if place < 16_383:
                places.setdefault(token, []).append(str(place))
        place += 1
    return " ".join(f"'{token}':{','.join(at[:255])}" for token, at in places.items())


def _endings(connection: Connection, phrase: Phrase) -> list[tuple[str, ...]]:
    """The phrases that an open phrase may stand for: those whose last word is one the record has."""
    if not phrase.open:
        return [phrase.tokens]
    begin = phrase.tokens[-1]
    found = connection.execute(
        text(
            "SELECT word FROM words WHERE word >= :a AND word < :b AND papers > 0 "
            "ORDER BY papers DESC LIMIT :n"
        ),
        {"a": begin, "b": begin + "\U0010ffff", "n": MAX_ENDINGS},
    ).scalars()
    known = list(dict.fromkeys([begin, *found]))
    return [(*phrase.tokens[:-1], word) for word in known]


def _rarity(connection: Connection, groups: list[list[tuple[str, ...]]]) -> list[float] | None:
    """How much each word of the query tells: ln(1 + papers / papers that have it); None where none has it."""
    wanted = {token for group in groups for phrase in group for token in phrase} | {_ALL}
    statement = select(words.c.word, words.c.papers).where(words.c.word.in_(bindparam("w", expanding=True)))
    known = {row.word: row.papers for row in connection.execute(statement, {"w": sorted(wanted)})}
    out = []
    for group in groups:
        having = sum(min(known.get(token, 0) for token in phrase) for phrase in group)
        if having <= 0:
            return None
        out.append(math.log1p(max(known.get(_ALL, 1), 1) / having))
    return out


def _match(connection: Connection, groups: list[list[tuple[str, ...]]], family: str | None) -> str:
    """The query in the database's own language; tokens are letters and digits, so nothing needs escaping."""
    if family is not None:
        groups = [*groups, [(_tag(family),)]]
    if connection.dialect.name == "postgresql":
        parts = [
            " | ".join("(" + " <-> ".join(f"'{t}'" for t in phrase) + ")" for phrase in g) for g in groups
        ]
        return " & ".join(f"({part})" for part in parts)
    parts = [" OR ".join('"' + " ".join(phrase) + '"' for phrase in group) for group in groups]
    return " AND ".join(f"({part})" for part in parts)


def _newest(
    connection: Connection, where: str, match: str, count: int, *, below: int | None = None
) -> list[int]:
    """The keys of the newest matches, newest first; `where` is "title" or "all"."""
    if connection.dialect.name == "postgresql":
        vector = "title_vector" if where == "title" else "vector"
        under = "AND key < :below" if below is not None else ""
        query = (
            f"SELECT key FROM search WHERE {vector} @@ CAST(:m AS tsquery) {under} ORDER BY key DESC LIMIT :n"
        )
    else:
        table = f"search_{where}"
        under = "AND rowid < :below" if below is not None else ""
        query = f"SELECT rowid FROM {table} WHERE {table} MATCH :m {under} ORDER BY rowid DESC LIMIT :n"
    values = {"m": match, "n": count} | ({"below": below} if below is not None else {})
    return list(connection.execute(text(query), values).scalars())


def _rank(
    connection: Connection, pool: list[int], asked: list[Phrase], rarity: list[float]
) -> list[tuple[float, int]]:
    """Score the pool by BM25F (k1 = 1.2, b = 0.3), best first."""
    statement = select(search.c.key, search.c.title, search.c.authors, search.c.body).where(
        search.c.key.in_(bindparam("keys", expanding=True))
    )
    rows = connection.execute(statement, {"keys": pool}).fetchall()
    mean = sum(len(row[3]) for row in rows) / max(len(rows), 1) or 1.0
    needles = [
        (f" {' '.join(p.tokens)}", "" if p.open else " ", weight)
        for p, weight in zip(asked, rarity, strict=True)
    ]
    scored = []
    for key, title, authors, body in rows:
        length = 0.7 + 0.3 * len(body) / mean
        fields = (
            (f" {title} ", _WEIGHTS[0]),
            (f" {authors} ", _WEIGHTS[1]),
            (f" {body} ", _WEIGHTS[2] / length),
        )
        score = 0.0
        for needle, end, weight in needles:
            times = sum(field.count(needle + end) * worth for field, worth in fields)
            if not end:  # the whole word counts twice: "model" before "modelling"
                times += sum(field.count(needle + " ") * worth for field, worth in fields)
            score += weight * times * 2.2 / (times + 1.2)
        scored.append((score, key))
    return sorted(scored, reverse=True)


def _hits(connection: Connection, ranked: Iterable[tuple[float, int]], asked: list[Phrase]) -> list[Hit]:
    scores = {key: score for score, key in ranked}
    joined = search.join(papers, papers.c.id == search.c.paper)
    columns = (search.c.key, papers.c.id, papers.c.title, papers.c.family, papers.c.published)
    rows = {
        row.key: row
        for row in connection.execute(
            select(*columns).select_from(joined).where(search.c.key.in_(list(scores)))
        )
    }
    ids = [row.id for row in rows.values()]
    texts: dict[str, dict[str, str]] = {}
    for paper, language, body in connection.execute(select(summaries).where(summaries.c.paper.in_(ids))):
        texts.setdefault(paper, {})[language] = body
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
        if found := pattern.search(body):
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
    piece = " ".join(body[start : start + width].split())
    return ("… " if start else "") + piece + (" …" if start + width < len(body) else "")


def _surface(terms: tuple[str, ...]) -> str:
    """A pattern for how a phrase looks in a text: pairs of one word grown together, marks between words."""
    parts = [re.escape(terms[0])]
    for before, term in pairwise(terms):
        overlap = is_paired(term) and is_paired(before) and len(term) == 2 and before[-1] == term[0]
        parts.append(re.escape(term[1:]) if overlap else r"[\W_]*" + re.escape(term))
    return "".join(parts)
