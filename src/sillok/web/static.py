"""The site as static files: the same pages, for any web host, and even opened from a disk.

Addresses become relative names: `/papers/ID` is `papers/ID.html`, Korean stands under `ko/`. What a page links
to is what is written: pages are followed from the front page on, so that no link leads nowhere.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname, relpath
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from sillok.digest.files import write_if_changed
from sillok.record import Record
from sillok.record.text import fold
from sillok.web import cite, feeds, pages, views
from sillok.web.answers import Site
from sillok.web.charts import Charts
from sillok.web.models import DigestView, Lang, PaperView, Shape
from sillok.web.render import Context, assets, page, plain_url
from sillok.web.shelf import Shelf
from sillok.web.views import NotFound
from sillok.web.words import LANGUAGES

_CHART = re.compile(r"/charts/([^/]+)/([^/]+)/(shipped|record)/([^/]+)/([^/]+)/(\d+)\.svg")
_RUN_CHART = re.compile(r"/charts/runs/([^/]+)/(\d+)\.svg")
_CITE = re.compile(r"/(papers|digests)/(.+)/cite\.(bib|ris|json)")


def export(folder: str | Path, record: Record | str | Path | None = None, *, url: str | None = None) -> int:
    """Write the site below a folder; returns how many files it has. The same record again changes no byte.

    Args:
        folder: made where it is missing; files of other names in it stay.
        record: a record, its URL or path; None is the default one.
        url: where the site will be served; it brings feeds and a sitemap, whose addresses are whole ones.

    Raises:
        OSError: the folder cannot be written.
        RecordError: the record cannot be read.
    """
    opened = record if isinstance(record, Record) else Record.open(record)
    return Export(Path(folder), opened, (url or "").rstrip("/")).run()


@dataclass(frozen=True)
class _Made:
    """A page's template with its values, and its view for the API (None: it has none)."""

    template: str
    values: dict[str, Any]
    view: Shape | None


class Export:
    """One export: `run` writes the site, and the next one what has changed since."""

    def __init__(self, folder: Path, record: Record, base: str) -> None:
        self.folder, self.base = folder, base
        self.shelf = Shelf(record)
        self.site = Site(self.shelf, Charts(self.shelf), base or None)
        self.files: set[str] = set()
        self.queue: deque[str] = deque()
        self.seen: set[str] = set()

    def run(self) -> int:
        """Write everything; returns how many files there are."""
        self.files.clear()
        self.seen.clear()
        for address in ["/", "/search", *self._roots()]:
            self._follow(address)
        while self.queue:
            with self.shelf.record.at_once():
                self._write_address(self.queue.popleft())
        for one in assets().values():
            self._write(one.address.lstrip("/"), one.data)
        index = [{**row, "words": fold(row["words"])} for row in self._index()]
        self._write("api/search-index.json", json.dumps(index, ensure_ascii=False))
        if self.base:
            self._write_feeds()
        return len(self.files)

    def _roots(self) -> Iterator[str]:
        """Every paper, the newest first: a paper that nothing links to is a page too."""
        before: int | None = None
        while rows := self.shelf.record.lists.papers(before=before, limit=1000):
            yield from (f"/papers/{row.id}" for row in rows)
            before = rows[-1].key
        yield from (f"/papers/{id}" for id in self.shelf.cards)

    def _index(self) -> Iterator[dict[str, str]]:
        """What a browser searches: titles, ids, families and the beginning of summaries."""
        before: int | None = None
        while rows := self.shelf.record.lists.papers(before=before, limit=500):
            texts = self.shelf.record.lists.summaries(row.id for row in rows)
            for row in rows:
                words = " ".join([row.title, row.id, row.family or "", *texts.get(row.id, {}).values()])
                yield {
                    "id": row.id,
                    "title": row.title,
                    "published": row.published or "",
                    "family": row.family or "",
                    "words": words[:3000],
                }
            before = rows[-1].key

    def _follow(self, address: str) -> None:
        if address not in self.seen:
            self.seen.add(address)
            self.queue.append(address)

    def _write(self, name: str, data: str | bytes) -> None:
        path = self.folder / name
        self.files.add(name)
        write_if_changed(path, data, sync=False)

    def _write_address(self, address: str) -> None:
        path = unquote(urlsplit(address).path)
        data = self._file(path)
        if data is not None:
            self._write(path.lstrip("/"), data)
            return
        for lang in LANGUAGES:
            made = self._page(address, path, lang)
            if made is None:
                return
            context = self._context(address, path, lang)
            self._write(file_name(address, lang), page(made.template, context, **made.values))
            if made.view is not None and lang == "en":
                self._write(f"api{json_name(address)}", made.view.model_dump_json())
                self._write_citations(path, made.view)

    def _write_citations(self, path: str, view: Shape) -> None:
        """What a paper's or a digest's page links to for citing it, from the view that is at hand."""
        if isinstance(view, PaperView):
            work = pages.paper_work(view, self.base)
        elif isinstance(view, DigestView):
            work = pages.digest_work(view, self.base)
        else:
            return
        for form in cite.FORMATS:
            self._write(f"{path.lstrip('/')}/cite.{form}", cite.cite(work, form))

    def _context(self, address: str, path: str, lang: Lang) -> Context:
        here = file_name(address, lang)

        def url(path: str, **query: object) -> str:
            target = plain_url(path, **query)
            if path.startswith(("/assets/", "/pictures/", "/charts/")) or _CITE.fullmatch(path):
                if path.startswith(("/pictures/", "/charts/")):
                    self._follow(plain_url(path))
                return quote(relpath(path.lstrip("/"), dirname(here) or "."))
            if path.startswith("/api/"):
                return quote(relpath(path.lstrip("/"), dirname(here) or "."))
            self._follow(target)
            return quote(relpath(file_name(target, lang), dirname(here) or "."))

        def switch(other: Lang) -> str:
            return quote(relpath(file_name(address, other), dirname(here) or "."))

        query = dict(parse_qsl(urlsplit(address).query))
        return Context(lang=lang, path=path, query=query, base=self.base, static=True, url=url, switch=switch)

    def _file(self, path: str) -> str | bytes | None:
        """What is a file and no page; None for pages."""
        if found := _RUN_CHART.fullmatch(path):
            return self.site.charts.of_run(found[1], int(found[2]))
        if found := _CHART.fullmatch(path):
            paper, claim, source, machine, scale, number = found.groups()
            return self.site.charts.of_result(
                paper.replace("_", "/"), claim, source, machine, scale, int(number)
            )
        if path.startswith("/pictures/"):
            return self.shelf.pictures[path.removeprefix("/pictures/")].data
        return None

    def _page(self, address: str, path: str, lang: Lang) -> _Made | None:
        """A page as the served site makes it; None where there is none."""
        _, kind, name = (*path.split("/", 2), "")[:3]
        query = dict(parse_qsl(urlsplit(address).query))
        try:
            return self._views()[kind](name, query, lang)
        except NotFound:
            return None

    def _views(self) -> dict[str, Callable[[str, dict[str, str], Lang], _Made]]:
        return {
            "": lambda name, query, lang: _made("today.html", views.today(self.shelf, lang)),
            "digests": self._digest,
            "papers": lambda name, query, lang: _made("paper.html", views.paper(self.shelf, name, lang)),
            "families": self._family,
            "machines": self._machine,
            "runs": self._run,
            "search": lambda name, query, lang: _Made(
                "search.html",
                {"view": views.search(self.shelf, ""), **pages.search_values(self.site)},
                None,
            ),
        }

    def _digest(self, name: str, query: dict[str, str], lang: Lang) -> _Made:
        if not name:
            return _made("digests.html", views.digests(self.shelf, query.get("before")))
        view = views.digest(self.shelf, name, lang, int(query.get("page", 1)))
        return _Made("digest.html", pages.digest_values(view, self.base), view)

    def _family(self, name: str, query: dict[str, str], lang: Lang) -> _Made:
        if not name:
            return _made("families.html", views.families(self.shelf))
        before = int(query["before"]) if "before" in query else None
        return _made("family.html", views.family(self.shelf, name, lang, before), first=before is None)

    def _machine(self, name: str, query: dict[str, str], lang: Lang) -> _Made:
        from sillok.web.api import moment_cursor

        if not name:
            return _made("machines.html", views.machines(self.shelf))
        before = moment_cursor(query.get("before", ""))
        return _made("machine.html", views.machine(self.shelf, name, lang, before))

    def _run(self, name: str, query: dict[str, str], lang: Lang) -> _Made:
        if not name:  # the newest ones: the papers' pages link to all that their verdicts stand on
            return _made("runs.html", views.runs(self.shelf), asked={})
        return _made("run.html", views.run(self.shelf, name))

    def _write_feeds(self) -> None:
        context = Context(base=self.base)
        self._write("feeds/digests.xml", feeds.of_digests(self.shelf, context))
        for ref in views.digests(self.shelf, None).digests:
            self._write(f"feeds/digests/{ref.name}.xml", feeds.of_digest(self.shelf, ref.name, context))
        for one in views.families(self.shelf).families:
            self._write(f"feeds/families/{one.name}.xml", feeds.of_family(self.shelf, one.name, context))
        paths = sorted(name for name in self.files if name.endswith(".html"))
        self._write("sitemap.xml", feeds.urls(context, [f"/{name}" for name in paths]))
        self._write("robots.txt", f"User-agent: *\nAllow: /\nSitemap: {self.base}/sitemap.xml\n")


def _made(template: str, view: Shape, **values: Any) -> _Made:
    return _Made(template, {"view": view, **values}, view)


def file_name(address: str, lang: Lang) -> str:
    """The file of a page: `/papers/ID` is `papers/ID.html`, with `ko/` before it in Korean."""
    return ("" if lang == "en" else f"{lang}/") + _stem(address) + ".html"


def json_name(address: str) -> str:
    """The file of a page's data, below `api`."""
    return f"/{_stem(address)}.json"


def _stem(address: str) -> str:
    split = urlsplit(address)
    path = unquote(split.path).strip("/") or "index"
    query = "".join(f"-{name}-{value}" for name, value in parse_qsl(split.query))
    return path + re.sub(r"[^A-Za-z0-9_.+-]", "_", query)
