"""Full-text search: one analyser, one index per database, one ranking for both.

A paper is found when it has every word of the query, in its title, authors or summaries (`text` says
what a word is). Ranking every match would take seconds for a word that all papers have, so only the
`POOL` newest papers that match in the title and the `POOL` newest that match anywhere are ranked, by
BM25F with the title weighing eight times and the authors three times the summaries; equal scores stand
newest first. Where a query has more matches than that, the rest follow unranked, newest first.

What narrows a search (a family, what a paper needs, a verdict) stands in the index as terms that no text can
hold, and a range of days is a range of keys, so that no filter reads papers that it then leaves out.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, text

from sillok.record.codec import insert
from sillok.record.model import Hit
from sillok.record.ranking import hits, rank
from sillok.record.tables import papers, search, summaries, verdicts, words
from sillok.record.text import MAX_TOKENS, Phrase, phrases, tokens

POOL = 300
RARE = POOL  # a word that fewer papers have is rare
COMMON = 10 * POOL  # a word that more papers have is not looked for in the index beside a rare one
MAX_PHRASES = 32  # of a query; a reader types fewer, a program that pastes a page is cut here
MAX_ENDINGS = 12  # the commonest words that the beginning of a word may stand for
_ALL = ""  # in `words`: the row that counts the papers themselves
LAST = (1 << 63) - 1  # a key that no paper has, for none is as great
_COUNTS = select(words).where(words.c.word.in_(bindparam("words", expanding=True)))
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
    judged = _judged(connection, ids)
    vectors = connection.dialect.name == "postgresql"
    for paper in connection.execute(select(papers).where(papers.c.id.in_(ids))):
        row = _row(paper, texts.get(paper.id, []), _tags(paper, judged.get(paper.id, [])), vectors=vectors)
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


def index_judged(connection: Connection) -> None:
    """Index the papers that have verdicts anew, as after the migration that made verdicts narrow a search."""
    ids = list(connection.execute(select(verdicts.c.paper).distinct()).scalars())
    for start in range(0, len(ids), 1000):
        index(connection, ids[start : start + 1000])


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What narrows a search; None narrows nothing. `since` and `until` are ISO days, both included."""

    family: str | None = None
    needs: str | None = None
    verdict: str | None = None
    since: str | None = None
    until: str | None = None

    @property
    def tags(self) -> list[str]:
        """The terms that a paper must have in the index."""
        return [
            tag(kind, value)
            for kind, value in (("family", self.family), ("needs", self.needs), ("verdict", self.verdict))
            if value is not None
        ]

    @property
    def keys(self) -> tuple[int, int]:
        """The first key that is meant, and the first that is no more; ValueError for what is no day."""
        low = 0 if self.since is None else key_of_day(date.fromisoformat(self.since))
        high = LAST if self.until is None else date.fromisoformat(self.until).toordinal() + 1 << 43
        return low, high


def find(connection: Connection, query: str, *, limit: int, offset: int, filters: Filters) -> list[Hit]:
    """Find the papers that have every word of the query; see the module for how they are ranked.

    A query without words finds nothing, or with filters the newest papers that they let through.
    """
    asked = phrases(query)[:MAX_PHRASES]
    low, high = filters.keys
    if not asked:
        if filters == Filters():
            return []
        keys = browse(connection, filters.tags, limit + offset, low, high)[offset:]
        return hits(connection, [(0.0, key) for key in keys], [])
    groups = [_endings(connection, phrase) for phrase in asked]
    if not all(groups):
        return []
    having, total = _having(connection, groups)
    if not all(having):
        return []
    # Where a word is rare enough for all of its papers to be read, words that many papers have are looked for
    # in these and not in the index, which would have to be read from end to end.
    rare = min(having) < RARE
    must = [group for group, count in zip(groups, having, strict=True) if rare and count > COMMON]
    match = _match(connection, [group for group in groups if group not in must], filters.tags)
    most = RARE if must else POOL
    pool = newest = _newest(connection, "all", match, most, low, high)
    if len(newest) == most:
        pool = sorted({*newest, *_newest(connection, "title", match, most, low, high)}, reverse=True)
    rarity = [math.log1p(total / count) for count in having]
    ranked = rank(connection, pool, asked, rarity, must)[offset : offset + limit]
    if len(ranked) < limit and len(newest) == most:
        skip = max(0, offset - len(pool))
        rest = _newest(connection, "all", match, limit - len(ranked) + skip + len(pool), low, newest[-1])
        rest = [key for key in rest if key not in set(pool)][skip : skip + limit - len(ranked)]
        ranked += [(0.0, key) for key in rest]
    return hits(connection, ranked, asked)


def browse(connection: Connection, tags: list[str], count: int, low: int, high: int) -> list[int]:
    """The keys of the newest papers that have every tag, newest first."""
    if tags:
        return _newest(connection, "all", _match(connection, [], tags), count, low, high)
    statement = select(search.c.key).where(search.c.key >= low, search.c.key < high)
    return list(connection.execute(statement.order_by(search.c.key.desc()).limit(count)).scalars())


def key_of_day(day: date) -> int:
    """The least key that a paper of a day may have."""
    return day.toordinal() << 43


def day_of_key(key: int) -> date:
    """The day of a key."""
    return date.fromordinal(key >> 43)


def _key(paper: str, published: str | None) -> int:
    """Order papers by date in 63 bits: 20 of the day, 43 of the id's hash (papers of a day never meet)."""
    try:
        day = date.fromisoformat((published or "")[:10]).toordinal()
    except ValueError:
        arxiv = re.match(r"(\d\d)(0[1-9]|1[0-2])\.\d{4,5}", paper)
        day = date(2000 + int(arxiv[1]), int(arxiv[2]), 1).toordinal() if arxiv else 0
    digest = hashlib.blake2b(paper.encode(), digest_size=8).digest()
    return day << 43 | int.from_bytes(digest, "big") >> 21


def _row(paper: Any, texts: list[str], tags: list[str], *, vectors: bool) -> dict[str, Any]:
    title = tokens(f"{paper.title} / {paper.id}")
    authors = tokens(" / ".join(json.loads(paper.authors)))
    body = tokens("\n".join(texts))[: max(0, MAX_TOKENS - len(title) - len(authors))]
    return {
        "key": _key(paper.id, paper.published),
        "paper": paper.id,
        "tag": " ".join(tags),
        "title": " ".join(title),
        "authors": " ".join(authors),
        "body": " ".join(body),
        "title_vector": _vector([tags, title]) if vectors else None,
        "vector": _vector([tags, title, authors, body]) if vectors else None,
    }


_KINDS = {"family": "\ue000", "needs": "\ue001", "verdict": "\ue002"}


def tag(kind: str, value: str) -> str:
    """A family, a need or a verdict as one term that no text can hold, so that it narrows inside the index."""
    return _KINDS[kind] + value.encode().hex()


def _judged(connection: Connection, ids: Sequence[str]) -> dict[str, list[Any]]:
    """The verdicts of these papers that are evidence: of trials proper, at no rehearsal."""
    columns = (verdicts.c.paper, verdicts.c.verdict, verdicts.c.scale, verdicts.c.declaration)
    query = select(*columns).where(
        verdicts.c.paper.in_(ids), verdicts.c.mode == "trial", verdicts.c.scale != "smoke"
    )
    found: dict[str, list[Any]] = {}
    for row in connection.execute(query):
        found.setdefault(row.paper, []).append(row)
    return found


def _tags(paper: Any, judged: list[Any]) -> list[str]:
    """What a paper may be narrowed by: its family; needs and verdicts of its facts and of the record's verdicts."""
    facts = json.loads(paper.facts)
    needs, said = set(_words(facts.get("needs"))), set(_words(facts.get("verdicts")))
    for row in judged:
        said.add(row.verdict)
        declared = json.loads(row.declaration).get("needs")
        needs.update(_words(declared.get(row.scale)) if isinstance(declared, dict) else ())
    tags = [tag("family", paper.family or "")]
    return tags + [tag("needs", n) for n in sorted(needs)] + [tag("verdict", v) for v in sorted(said)]


def _words(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


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


def _having(connection: Connection, groups: list[list[tuple[str, ...]]]) -> tuple[list[int], int]:
    """How many papers can have each part of the query, at most; and how many papers there are, at least 1."""
    wanted = {token for group in groups for phrase in group for token in phrase} | {_ALL}
    known = {row.word: row.papers for row in connection.execute(_COUNTS, {"words": sorted(wanted)})}
    having = [
        sum(max(0, min(known.get(token, 0) for token in phrase)) for phrase in group) for group in groups
    ]
    return having, max(known.get(_ALL, 1), 1)


def _match(connection: Connection, groups: list[list[tuple[str, ...]]], tags: list[str]) -> str:
    """The query in the database's own language; tokens are letters and digits, so nothing needs escaping."""
    groups = groups + [[(term,)] for term in tags]
    if connection.dialect.name == "postgresql":
        parts = [
            " | ".join("(" + " <-> ".join(f"'{t}'" for t in phrase) + ")" for phrase in g) for g in groups
        ]
        return " & ".join(f"({part})" for part in parts)
    parts = [" OR ".join('"' + " ".join(phrase) + '"' for phrase in group) for group in groups]
    return " AND ".join(f"({part})" for part in parts)


def _newest(connection: Connection, where: str, match: str, count: int, low: int, high: int) -> list[int]:
    """The keys of the newest matches from `low` to below `high`, newest first; `where` is "title" or "all"."""
    if connection.dialect.name == "postgresql":
        vector = "title_vector" if where == "title" else "vector"
        table, key, matching = "search", "key", f"{vector} @@ CAST(:m AS tsquery)"
    else:
        table, key = f"search_{where}", "rowid"
        matching = f"{table} MATCH :m"
    values: dict[str, Any] = {"m": match, "n": count}
    bounds = ""
    for mark, name, bound in ((">=", "low", low or None), ("<", "high", high if high < LAST else None)):
        if bound is not None:
            bounds += f" AND {key} {mark} :{name}"
            values[name] = bound
    query = f"SELECT {key} FROM {table} WHERE {matching}{bounds} ORDER BY {key} DESC LIMIT :n"
    return list(connection.execute(text(query), values).scalars())
