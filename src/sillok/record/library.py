"""Papers, claims and digests: from rows and to rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, select

from sillok.record import search
from sillok.record.codec import add_missing, clean, dump, texts_of, upsert
from sillok.record.model import StoredClaim, StoredDigest, StoredEntry, StoredPaper
from sillok.record.tables import claims, digests, entries, papers, summaries


def put_papers(connection: Connection, batch: Sequence[StoredPaper]) -> None:
    """Store papers in the place of what is there under their ids; summaries in other languages stay."""
    latest = {paper.id: paper for paper in batch}
    rows: list[Mapping[str, Any]] = []
    texts: list[Mapping[str, Any]] = []
    for paper in latest.values():
        _check(paper)
        rows.append(
            {
                "id": paper.id,
                "title": clean(paper.title),
                "authors": dump("authors", [clean(name) for name in paper.authors]),
                "published": paper.published,
                "family": paper.family,
                "facts": dump("facts", dict(paper.facts)),
            }
        )
        for language, body in paper.summaries.items():
            texts.append({"paper": paper.id, "language": language, "text": clean(body)})
    upsert(connection, papers, rows)
    upsert(connection, summaries, texts)
    search.index(connection, list(latest))


def _check(paper: StoredPaper) -> None:
    if not isinstance(paper.id, str) or not paper.id:
        raise ValueError(f"id: {paper.id!r} is no paper's id; an arXiv id such as '2411.19870' is")
    if isinstance(paper.authors, str):
        raise TypeError(f"authors: {paper.authors!r} is one text; a sequence of names is expected")
    if paper.published is not None and not isinstance(paper.published, str):
        raise TypeError(
            f"published: {paper.published!r} is no text; an ISO date such as '2024-11-29' is expected"
        )


def as_paper(value: StoredPaper | Mapping[str, Any]) -> StoredPaper:
    """Read a paper from a mapping with the arguments of `add_paper` (dates may be `datetime.date`)."""
    if isinstance(value, StoredPaper):
        return value
    values = dict(value)
    if values.get("published") is not None:
        values["published"] = str(values["published"])
    authors = values.get("authors", ())
    if isinstance(authors, str):
        raise TypeError(f"authors: {authors!r} is one text; a sequence of names is expected")
    return StoredPaper(**(values | {"authors": tuple(authors)}))


def read_papers(
    connection: Connection, *, id: str | None, family: str | None, limit: int | None, offset: int
) -> list[StoredPaper]:
    """Read papers, the newest first."""
    query = select(papers).order_by(papers.c.published.desc().nulls_last(), papers.c.id.desc())
    if id is not None:
        query = query.where(papers.c.id == id)
    if family is not None:
        query = query.where(papers.c.family == family)
    rows = connection.execute(query.limit(limit).offset(offset)).fetchall()
    texts = texts_of(connection, [row.id for row in rows])
    return [
        StoredPaper(
            id=row.id,
            title=row.title,
            authors=tuple(json.loads(row.authors)),
            published=row.published,
            family=row.family,
            summaries=texts.get(row.id, {}),
            facts=json.loads(row.facts),
        )
        for row in rows
    ]


def put_claims(connection: Connection, paper: str, items: Iterable[Mapping[str, Any]]) -> None:
    """Store claims (`id`, `text`, `data`) of one paper, replacing all of its earlier ones."""
    if connection.execute(select(papers.c.id).where(papers.c.id == paper)).scalar() is None:
        raise ValueError(f"paper: {paper!r} is not in the record; add the paper before its claims")
    rows = [
        {
            "paper": paper,
            "id": c["id"],
            "text": clean(c["text"]),
            "data": dump("data", dict(c.get("data") or {})),
        }
        for c in items
    ]
    connection.execute(delete(claims).where(claims.c.paper == paper))
    upsert(connection, claims, list(rows))


def read_claims(connection: Connection, paper: str | None) -> list[StoredClaim]:
    """Read the claims of a paper, or of all."""
    query = select(claims).order_by(claims.c.paper, claims.c.id)
    if paper is not None:
        query = query.where(claims.c.paper == paper)
    return [
        StoredClaim(paper=row.paper, id=row.id, text=row.text, data=json.loads(row.data))
        for row in connection.execute(query)
    ]


def put_digest(
    connection: Connection, day: str | None, source: str, text: str, items: Sequence[Mapping[str, Any]]
) -> int:
    """Store a digest and its entries; returns how many entries, 0 where the digest was there already."""
    text = clean(text)
    name = hashlib.sha256(f"{day or ''}\n{text}".encode()).hexdigest()[:32]
    row = {"id": name, "date": day, "source": clean(source), "text": text, "added": datetime.now(UTC)}
    if not add_missing(connection, digests, [row]):
        return 0
    rows = [
        {
            "digest": name,
            "position": int(item.get("position", at)),
            "paper": item.get("paper"),
            "title": clean(item["title"]),
            "votes": item.get("votes"),
            "authors": dump("authors", list(item.get("authors") or ())),
            "sections": dump("sections", item.get("sections")),
        }
        for at, item in enumerate(items, 1)
    ]
    if rows:
        connection.execute(entries.insert(), rows)
    return len(rows)


def read_digests(connection: Connection, day: str | None = None) -> list[StoredDigest]:
    """Read digests with their entries, the newest date first."""
    query = select(digests).order_by(digests.c.date.desc().nulls_last(), digests.c.added.desc(), digests.c.id)
    if day is not None:
        query = query.where(digests.c.date == day)
    out = []
    for row in connection.execute(query).fetchall():
        inside = select(entries).where(entries.c.digest == row.id).order_by(entries.c.position)
        held = tuple(
            StoredEntry(
                position=entry.position,
                paper=entry.paper,
                title=entry.title,
                votes=entry.votes,
                authors=tuple(json.loads(entry.authors)),
                sections=json.loads(entry.sections),
            )
            for entry in connection.execute(inside)
        )
        out.append(StoredDigest(**row._asdict(), entries=held))
    return out
