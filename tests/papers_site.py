"""A real HTTP server on loopback that answers as Hugging Face's and arXiv's do, faults included.

Shapes: Hub, `GET /api/daily_papers?date=&limit=&p=` (a list of objects with `paper`, `title`, `thumbnail` ...);
arXiv's Atom feed as its API user's manual describes it; `/html/<id>v<n>` and `/pdf/<id>v<n>`.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

FEED = """<?xml version='1.0' encoding='UTF-8'?>
<feed xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns:arxiv="http://arxiv.org/schemas/atom" \
xmlns="http://www.w3.org/2005/Atom">
  <id>https://arxiv.org/api/cHxbiOdZaP56ODnBPIenZhzg5f8</id>
  <title>arXiv Query: {query}</title>
  <updated>2024-12-05T00:00:00Z</updated>
  <link href="https://arxiv.org/api/query" type="application/atom+xml"/>
  <opensearch:itemsPerPage>{size}</opensearch:itemsPerPage>
  <opensearch:totalResults>{total}</opensearch:totalResults>
  <opensearch:startIndex>{start}</opensearch:startIndex>
{entries}</feed>
"""
ENTRY = """  <entry>
    <id>http://arxiv.org/abs/{id}v{version}</id>
    <title>{title}</title>
    <updated>{date}T17:58:00Z</updated>
    <link href="https://arxiv.org/abs/{id}v{version}" rel="alternate" type="text/html"/>
    <link href="https://arxiv.org/pdf/{id}v{version}" rel="related" type="application/pdf" title="pdf"/>
    <summary>{summary}</summary>
    <category term="cs.LG" scheme="http://arxiv.org/schemas/atom"/>
    <published>{date}T17:58:00Z</published>
    {comment}<arxiv:primary_category term="cs.LG"/>
{authors}  </entry>
"""


@dataclass
class Paper:
    """What the site knows of one paper; `files` maps "html" and "pdf" to a version's bytes."""

    id: str
    title: str = "A Paper"
    version: int = 1
    date: str = "2024-12-03"
    summary: str = "We do things."
    comment: str = ""
    authors: tuple[str, ...] = ("Ada Lovelace", "Emmy Noether")
    files: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def entry(self, version: int | None) -> str:
        comment = f"<arxiv:comment>{escape(self.comment)}</arxiv:comment>\n    " if self.comment else ""
        authors = "".join(
            f"    <author>\n      <name>{escape(a)}</name>\n    </author>\n" for a in self.authors
        )
        return ENTRY.format(
            id=self.id, version=version or self.version, title=escape(self.title), date=self.date,
            summary=escape(self.summary), comment=comment, authors=authors,
        )  # fmt: skip


def row(id: str, votes: int = 3, **more: Any) -> dict[str, Any]:
    """One paper of the Hub's list."""
    paper = {
        "id": id,
        "authors": [
            {"_id": "674f", "name": "Emmy Noether", "hidden": False},
            {"_id": "6750", "name": "Ada Lovelace", "hidden": False},
        ],
        "publishedAt": "2024-12-03T17:58:00.000Z",
        "submittedOnDailyAt": "2024-12-04T00:00:00.000Z",
        "title": f"Paper {id}",
        "summary": "We do\nthings.",
        "upvotes": votes,
        "discussionId": "674f0a",
    }
    return {
        "paper": paper,
        "publishedAt": "2024-12-03T17:58:00.000Z",
        "title": f"Paper {id}",
        "summary": "We do\nthings.",
        "thumbnail": f"https://cdn-thumbnails.huggingface.co/social-thumbnails/papers/{id}.png",
        "numComments": 1,
        "submittedBy": {
            "_id": "63",
            "fullname": "A Reader",
            "name": "reader",
            "type": "user",
            "isPro": False,
        },
        "isAuthorParticipating": False,
        **more,
    }


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose path begins so."""

    path: str
    times: int = 1
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    body: bytes | None = None
    hang: float = 0.0


class Site:
    """The state of the server; `log` has a (time, path, headers) for each request."""

    def __init__(self) -> None:
        self.days: dict[str, list[dict[str, Any]]] = {}
        self.papers: dict[str, Paper] = {}
        self.faults: list[Fault] = []
        self.log: list[tuple[float, str, dict[str, str]]] = []
        self.url = ""
        self.released = threading.Event()

    def add(self, *papers: Paper) -> None:
        self.papers.update({paper.id: paper for paper in papers})

    def paths(self, start: str = "/") -> list[str]:
        return [path for _, path, _ in self.log if path.startswith(start)]

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, str, bytes, dict[str, str]]:
        if path == "/api/daily_papers":
            return self._day(query)
        if path == "/api/query":
            return 200, "application/atom+xml", self._feed(query).encode(), {}
        if (match := re.fullmatch(r"/moved/(.*)", path)) is not None:
            return 301, "text/html", b"", {"Location": f"/{match[1]}"}
        match = re.fullmatch(r"/(html|pdf)/(.+?)v([0-9]+)", path)
        paper = self.papers.get(match[2]) if match else None
        body = paper.files.get((match[1], int(match[3]))) if match and paper else None
        if match is None or body is None:
            return 404, "text/html", b"<html><body>No HTML for this paper</body></html>", {}
        return 200, "text/html" if match[1] == "html" else "application/pdf", body, {}

    def _day(self, query: dict[str, str]) -> tuple[int, str, bytes, dict[str, str]]:
        if query["date"] not in self.days and query["date"] > "2025":
            return 400, "application/json", b'{"error":"Invalid date"}', {}
        limit, page = int(query["limit"]), int(query["p"])
        rows = self.days.get(query["date"], [])[page * limit : (page + 1) * limit]
        body = json.dumps(rows).encode()
        return 200, "application/json", body, {"ETag": f'W/"{hashlib.md5(body).hexdigest()}"'}

    def _feed(self, query: dict[str, str]) -> str:
        start, size = int(query["start"]), int(query["max_results"])
        if query.get("id_list"):
            named = [re.fullmatch(r"(.+?)(?:v([0-9]+))?", id) for id in query["id_list"].split(",")]
            found = [
                (self.papers[m[1]], int(m[2]) if m[2] else None) for m in named if m and m[1] in self.papers
            ]
        else:
            first, last = re.findall(r"[0-9]{12}", query["search_query"])
            found = [
                (paper, None) for paper in self.papers.values()
                if first <= paper.date.replace("-", "") + "1200" <= last
            ]  # fmt: skip
        entries = "".join(paper.entry(version) for paper, version in found[start : start + size])
        return FEED.format(
            query=escape(str(query)), size=size, total=len(found), start=start, entries=entries
        )


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            site.log.append((time.time(), self.path, headers))
            status, kind, body, more = site.answer(parts.path, query)
            fault = next((f for f in site.faults if f.times and self.path.startswith(f.path)), None)
            if fault is not None:
                fault.times -= 1
                if fault.hang:
                    site.released.wait(fault.hang)
                    self.close_connection = True
                    return
                status, more = fault.status or status, more | fault.headers
                body = fault.body if fault.body is not None else body if status == 200 else b"Try again later"
            if status == 200 and more.get("ETag") and headers.get("if-none-match") == more["ETag"]:
                status, body = 304, b""
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            if fault is not None and fault.cut:
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            else:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def serve() -> Iterator[Site]:
    """Run a site on a free port of loopback."""
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        site.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
