"""Atom feeds, the sitemap and robots.txt."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from xml.etree import ElementTree as ET

from sillok.digest.publish.feed import ATOM, add
from sillok.web.models import DigestView, PaperRef, Part
from sillok.web.render import Context, page, plain_url
from sillok.web.shelf import Shelf
from sillok.web.views import digests, families, search
from sillok.web.words import WORDS

TYPE = "application/atom+xml; charset=utf-8"
_SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"


def _feed(context: Context, path: str, title: str, page_path: str) -> ET.Element:
    ET.register_namespace("", ATOM)
    feed = ET.Element(f"{{{ATOM}}}feed", {"{http://www.w3.org/XML/1998/namespace}lang": context.lang})
    add(feed, "id", context.base + path)
    add(feed, "title", title)
    add(add(feed, "author"), "name", "Sillok")
    add(feed, "link", rel="self", type="application/atom+xml", href=context.base + path)
    add(feed, "link", rel="alternate", type="text/html", href=context.base + page_path)
    return feed


def _entry(feed: ET.Element, context: Context, path: str, title: str, day: str | None, content: str) -> None:
    entry = add(feed, "entry")
    moment = _moment(day)
    add(entry, "id", context.base + path)
    add(entry, "title", title)
    add(entry, "updated", moment)
    add(entry, "published", moment)
    add(entry, "link", rel="alternate", type="text/html", href=context.base + path)
    add(entry, "content", content, type="html")


def _moment(day: str | None) -> str:
    """Midnight of a day, or of a month's first; the epoch where none is known."""
    parts = [int(part) for part in re.findall(r"\d+", day or "")[:3]]
    try:
        found = date(*(parts + [1] * (3 - len(parts)))) if parts else date(1970, 1, 1)
    except (ValueError, TypeError):
        found = date(1970, 1, 1)
    return datetime(found.year, found.month, found.day, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(feed: ET.Element) -> str:
    """The feed as text; its time of change is its newest entry's."""
    times = [entry.findtext(f"{{{ATOM}}}updated") or "" for entry in feed.iter(f"{{{ATOM}}}entry")]
    add(feed, "updated", max(times, default=_moment(None)))
    ET.indent(feed, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(feed, encoding="unicode")}\n'


def of_digests(shelf: Shelf, context: Context) -> str:
    """The latest digests, an entry a day."""
    words = WORDS[context.lang]
    feed = _feed(context, "/feeds/digests.xml", f"Sillok: {words.digests}", "/digests")
    for ref in digests(shelf, None).digests[:15]:
        one = digest_of(shelf, ref.name, context)
        content = page("feed_digest.html", context, digest=one)
        _entry(feed, context, f"/digests/{ref.name}", _title(words.daily, one), one.date, content)
    return _text(feed)


def digest_of(shelf: Shelf, name: str, context: Context) -> DigestView:
    """A digest's first page."""
    from sillok.web.views import digest

    return digest(shelf, name, context.lang)


def _title(daily: str, one: DigestView) -> str:
    return f"{daily} ({one.date or one.source})"


def of_digest(shelf: Shelf, name: str, context: Context) -> str:
    """A digest, an entry a paper."""
    words = WORDS[context.lang]
    one = digest_of(shelf, name, context)
    feed = _feed(
        context, f"/feeds/digests/{name}.xml", f"Sillok: {_title(words.daily, one)}", f"/digests/{name}"
    )
    for entry in one.entries:
        path = f"/papers/{entry.id}" if entry.id else f"/digests/{name}#e{entry.position}"
        parts = entry.summary.parts if entry.summary else []
        _entry(feed, context, path, entry.title, one.date, _content(context, parts))
    return _text(feed)


def _content(context: Context, parts: Iterable[Part]) -> str:
    return page("feed_paper.html", context, parts=list(parts))


def of_family(shelf: Shelf, name: str, context: Context) -> str:
    """The newest papers of a family, an entry a paper. Raises NotFound for a family without papers."""
    if not any(one.name == name for one in families(shelf).families):
        from sillok.web.views import NotFound

        raise NotFound(f"no paper is in a family {name!r}")
    found = search(shelf, "", family=name)
    feed = _feed(context, f"/feeds/families/{name}.xml", f"Sillok: {name}", f"/families/{name}")
    for hit in found.hits:
        _entry(feed, context, f"/papers/{hit.id}", hit.title, hit.published, _snippet(context, hit))
    return _text(feed)


def _snippet(context: Context, hit: PaperRef) -> str:
    return _content(context, [Part(name="", text=hit.snippet)] if hit.snippet else [])


PAPERS = 5000  # papers of one sitemap


def sitemap_index(shelf: Shelf, context: Context) -> str:
    """The sitemaps: one of the pages, and one a month of papers."""
    root = ET.Element("sitemapindex", xmlns=_SITEMAP)
    months = shelf.kept("months", lambda: _months(shelf))
    for name in ["pages", *months]:
        ET.SubElement(ET.SubElement(root, "sitemap"), "loc").text = f"{context.base}/sitemaps/{name}.xml"
    return _xml(root)


def _months(shelf: Shelf) -> list[str]:
    """The months from the newest paper's to the oldest's; none where no paper has a date."""
    found = shelf.record.lists.span()
    if found is None:
        return []
    first, last = found
    count = (last.year - first.year) * 12 + last.month - first.month
    starts = [first.year * 12 + first.month - 1 + number for number in range(count + 1)]
    return [f"{start // 12:04d}-{start % 12 + 1:02d}" for start in reversed(starts)]


def sitemap_pages(shelf: Shelf, context: Context) -> str:
    """The pages that are not papers."""
    paths = ["/", "/digests", "/families", "/machines", "/runs", "/search"]
    paths += [f"/digests/{ref.name}" for ref in digests(shelf, None).digests]
    paths += [f"/families/{ref.name}" for ref in families(shelf).families]
    return urls(context, paths)


def sitemap_month(shelf: Shelf, month: str, context: Context) -> str:
    """The papers of a month. Raises ValueError for what is no month."""
    year, number = map(int, month.split("-"))
    last = date(year + number // 12, number % 12 + 1, 1)
    rows = shelf.record.lists.papers_of(date(year, number, 1), last, PAPERS)
    return urls(context, [f"/papers/{id}" for id in rows])


def urls(context: Context, paths: Iterable[str]) -> str:
    root = ET.Element("urlset", xmlns=_SITEMAP)
    for path in paths:
        ET.SubElement(ET.SubElement(root, "url"), "loc").text = context.base + plain_url(path)
    return _xml(root)


def _xml(root: ET.Element) -> str:
    ET.indent(root, " ")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def robots(context: Context) -> str:
    """What crawlers may read: the pages, and not every search."""
    return f"User-agent: *\nDisallow: /search?\nDisallow: /runs?\nSitemap: {context.base}/sitemap.xml\n"
