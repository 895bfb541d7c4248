"""Round-ups of a week or a month, made from the days' files: every paper once, most votes first."""

from __future__ import annotations

import calendar
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date as Date
from datetime import timedelta
from os.path import relpath
from pathlib import Path

from sillok.digest.files import write_if_changed
from sillok.digest.model import Digest, Entry, Section, by_votes
from sillok.digest.publish.day import Written, day_path, load_day
from sillok.digest.publish.page import render
from sillok.digest.summarise.summary import SECTIONS, Summary
from sillok.digest.writer import write

#: Papers of a round-up that keep what is new in them; the rest are listed with their votes and days.
TOP = 30


@dataclass(frozen=True, slots=True)
class _Period:
    name: str
    first: Date
    last: Date
    stem: Path


def write_week(date: Date, root: Path | str, *, top: int = TOP) -> Written:
    """Write the round-up of a date's ISO week as YYYY/weekly/YYYY-Www.md, .json and .html.

    Raises:
        FileNotFoundError: no day of the week has a file.
        ValueError: a day's file that cannot be read.
    """
    year, week, _ = date.isocalendar()
    first = Date.fromisocalendar(year, week, 1)
    stem = Path(root) / str(year) / "weekly" / f"{year}-W{week:02d}"
    return _write(_Period(f"{year}-W{week:02d}", first, first + timedelta(6), stem), Path(root), top)


def write_month(date: Date, root: Path | str, *, top: int = TOP) -> Written:
    """Write the round-up of a date's month as YYYY/MM/index.md, .json and .html.

    Raises:
        FileNotFoundError: no day of the month has a file.
        ValueError: a day's file that cannot be read.
    """
    first = date.replace(day=1)
    last = date.replace(day=calendar.monthrange(date.year, date.month)[1])
    stem = Path(root) / f"{date:%Y}" / f"{date:%m}" / "index"
    return _write(_Period(f"{date:%Y-%m}", first, last, stem), Path(root), top)


def days_written(root: Path, first: Date, last: Date) -> Iterator[Date]:
    """Yield the days from first to last that have a file."""
    day = first
    while day <= last:
        if day_path(root, day).exists():
            yield day
        day += timedelta(1)


def _write(period: _Period, root: Path, top: int) -> Written:
    days = {day: load_day(root, day) for day in days_written(root, period.first, period.last)}
    if not days:
        raise FileNotFoundError(f"{period.name}: no day from {period.first} to {period.last} has a file")
    listed: dict[str, list[Date]] = {}
    papers: dict[str, Summary] = {}
    for day, summaries in days.items():
        for summary in summaries:
            id = summary.listing.id
            listed.setdefault(id, []).append(day)
            papers[id] = _joined(papers[id], summary) if id in papers else summary
    order = sorted(papers.values(), key=lambda one: (-by_votes(one.listing), one.listing.id))
    shown = [_short(one, index < top) for index, one in enumerate(order)]
    links = {day: relpath(day_path(root, day), period.stem.parent) for day in days}
    html = {day: link.removesuffix(".md") + ".html" for day, link in links.items()}
    title = f"Daily Papers {period.name}"
    page = render(
        "roundup.html",
        title,
        shown,
        days=[{"date": day, "href": html[day], "count": len(days[day])} for day in days],
        listed={id: [{"date": day, "href": html[day]} for day in on] for id, on in listed.items()},
    )
    data = {
        "period": period.name,
        "first": period.first.isoformat(),
        "last": period.last.isoformat(),
        "days": {day.isoformat(): len(found) for day, found in days.items()},
        "papers": [
            {**one.to_dict(), "days": [day.isoformat() for day in listed[one.listing.id]]} for one in shown
        ],
    }
    outputs = {
        ".md": write(_digest(period, shown, listed, links)),
        ".json": json.dumps(data, ensure_ascii=False, indent=1) + "\n",
        ".html": page,
    }
    files = {period.stem.parent / (period.stem.name + suffix): text for suffix, text in outputs.items()}
    return Written(tuple(files), tuple(path for path, text in files.items() if write_if_changed(path, text)))


def _digest(
    period: _Period,
    papers: Sequence[Summary],
    listed: Mapping[str, Sequence[Date]],
    links: Mapping[Date, str],
) -> Digest:
    counts = ", ".join(f"[{day}]({links[day]})" for day in links)
    preamble = f"# Daily Papers {period.name}\n\nPapers: {len(papers)}. Days: {counts}.\n\n"
    return Digest(
        period.first,
        tuple(_entry(one, listed[one.listing.id], links) for one in papers),
        preamble=preamble,
    )


def _entry(summary: Summary, days: Sequence[Date], links: Mapping[Date, str]) -> Entry:
    where = Section("Listed", ", ".join(f"[{day}]({links[day]})" for day in days))
    entry = summary.entry()
    return replace(entry, sections=(*entry.sections, where))


def _short(summary: Summary, with_text: bool) -> Summary:
    """Return what a round-up says of a paper: what is new, with its marks, and its findings there."""
    if not with_text:
        return replace(summary, sections=(), notes=(), findings=())
    new = tuple(part for part in summary.sections if part[0] == SECTIONS[0]) or summary.sections[:1]
    names = {name for name, _ in new}
    findings = tuple(one for one in summary.findings if one.section in names)
    return replace(summary, sections=new, findings=findings)


def _joined(one: Summary, other: Summary) -> Summary:
    """Return one summary for a paper of two days: a model's before an extract, the later of equals."""
    better = one if one.model is not None and other.model is None else other
    votes = max((s.listing.votes for s in (one, other) if s.listing.votes is not None), default=None)
    return replace(better, listing=replace(better.listing, votes=votes))
