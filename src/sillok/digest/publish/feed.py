"""The Atom feed (RFC 4287) of a folder of digests: one entry a day, with the whole day in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from datetime import date as Date
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as ET

from sillok.digest.files import write_if_changed
from sillok.digest.publish.day import Written, day_path, load_day
from sillok.digest.publish.page import main_language, render
from sillok.digest.summarise.summary import Summary

ATOM = "http://www.w3.org/2005/Atom"

#: Days in the feed.
DAYS = 30

# What XML 1.0 cannot hold, whatever the escape.
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_feed(
    root: Path | str,
    *,
    url: str = "",
    title: str = "Daily Papers",
    author: str = "Sillok",
    now: datetime | None = None,
) -> Written:
    """Write root/feed.xml with the latest days; the same days again change no byte.

    A day's time of change stays what it was as long as its text does.

    Args:
        url: where `root` is served, e.g. "https://example.org/digests/"; without it links are relative.
        now: the time that changed days get; the present by default.

    Raises:
        FileNotFoundError: there is no day under `root`.
        ValueError: a day's file, or the feed that is there, cannot be read; `url` is no web address.
    """
    root = Path(root)
    if url and not re.fullmatch(r"https?://[^\s<>\"]+", url):
        raise ValueError(f"url: {url!r} is no web address such as 'https://example.org/digests/'")
    days = _days(root)
    if not days:
        raise FileNotFoundError(f"{root}: no digest YYYY/MM/DD.md in it")
    base = url if not url or url.endswith("/") else url + "/"
    path = root / "feed.xml"
    before = _before(path)
    moment = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ET.register_namespace("", ATOM)
    feed = ET.Element(f"{{{ATOM}}}feed")
    entries = [_entry(day, load_day(root, day), base) for day in days]
    changes = []
    for entry in entries:
        id, content = entry.findtext(_name("id")) or "", _content(entry)
        old = before.get(id)
        changes.append(old[0] if old and old[1] == content else moment)
        updated = entry.find(_name("updated"))
        assert updated is not None
        updated.text = changes[-1]
    add(feed, "id", base or "urn:sillok:digests:" + quote(title))
    add(feed, "title", title)
    add(feed, "updated", max(changes))
    add(add(feed, "author"), "name", author)
    if base:
        add(feed, "link", rel="self", type="application/atom+xml", href=base + "feed.xml")
    feed.extend(entries)
    ET.indent(feed, " ")
    text = ET.tostring(feed, encoding="unicode")
    changed = write_if_changed(path, f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')
    return Written((path,), (path,) if changed else ())


def _days(root: Path) -> list[Date]:
    """Return the latest days that have a file, the latest first."""
    days = []
    for path in root.glob("[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9].md"):
        try:
            day = Date.fromisoformat("-".join([*path.parts[-3:-1], path.stem]))
        except ValueError:
            continue  # 2024/13/45.md is somebody's file, and no day
        days.append(day)
    return sorted(days, reverse=True)[:DAYS]


def _entry(day: Date, summaries: list[Summary], base: str) -> ET.Element:
    entry = ET.Element(f"{{{ATOM}}}entry")
    page = day_path(Path(), day, ".html").as_posix()
    add(entry, "id", f"{base}{page}" if base else f"urn:sillok:digest:{day.isoformat()}")
    add(entry, "title", f"Daily Papers ({day.isoformat()})")
    add(entry, "updated")
    add(entry, "published", f"{day.isoformat()}T00:00:00Z")
    add(entry, "link", rel="alternate", type="text/html", href=base + page)
    add(entry, "content", render("feed.html", "", summaries), type="html")
    entry.set("{http://www.w3.org/XML/1998/namespace}lang", main_language(summaries))
    return entry


def add(parent: ET.Element, name: str, text: str = "", **attributes: str) -> ET.Element:
    """Add an element of Atom, without what XML cannot hold."""
    child = ET.SubElement(parent, f"{{{ATOM}}}{name}", attributes)
    child.text = _ILLEGAL.sub("", text.replace("\r", "\n")) or None
    return child


def _name(name: str) -> str:
    return f"{{{ATOM}}}{name}"


def _content(entry: ET.Element) -> str:
    return f"{entry.findtext(_name('title'))}\n{entry.findtext(_name('content')) or ''}"


def _before(path: Path) -> dict[str, tuple[str, str]]:
    """Return the feed's entries as they are: time of change and content by id."""
    try:
        root = ET.fromstring(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ET.ParseError as error:
        raise ValueError(
            f"{path}: no feed that can be read ({error}); remove it to have it made anew"
        ) from None
    return {
        entry.findtext(_name("id")) or "": (entry.findtext(_name("updated")) or "", _content(entry))
        for entry in root.iter(_name("entry"))
    }
