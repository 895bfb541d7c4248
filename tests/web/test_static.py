"""The site as files: the same pages, whole by themselves, and unchanged when nothing has changed."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from posixpath import dirname, normpath
from typing import Any
from urllib.parse import unquote

import feedparser
import pytest

from sillok.record import Record
from sillok.web.static import Export

from . import samples
from .conftest import until
from .test_pages import Parsed


@pytest.fixture(scope="module")
def made(record: Record, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The export of the record's site."""
    made = Export(tmp_path_factory.mktemp("static") / "site", record, "https://papers.example.org")
    made.run()
    return made


@pytest.fixture(scope="module")
def site(made: Export) -> Path:
    return made.folder


def test_every_page_is_a_file_in_both_languages(site: Path) -> None:
    for name in (
        "index",
        "digests",
        "digests/2025-02-03",
        "papers/2411.19870",
        "families/optim",
        "runs/demo-1-trial",
    ):
        for lang, folder in (("en", site), ("ko", site / "ko")):
            text = (folder / f"{name}.html").read_text(encoding="utf-8")
            assert f'<html lang="{lang}"' in text
    assert len(list((site / "papers").glob("*.html"))) == 132
    data = json.loads((site / "api" / "papers" / "2411.19870.json").read_text(encoding="utf-8"))
    assert data["claims"][0]["results"][0]["machine"]["name"] == "A small machine"


def test_every_link_names_a_file(site: Path) -> None:
    names = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    missing = set()
    for name in names:
        if not name.endswith(".html"):
            continue
        for tag, attrs in Parsed((site / name).read_text(encoding="utf-8")).tags:
            if attrs.get("rel") == "canonical":
                continue
            for link in (attrs.get("href"), attrs.get("src"), attrs.get("action")):
                if link and not re.match(r"https?:|#", link):
                    target = normpath(f"{dirname(name)}/{unquote(link.partition('#')[0])}").lstrip("/")
                    if target not in names:
                        missing.add((name, tag, link))
    assert not missing


def test_feeds_and_sitemap_have_whole_addresses(site: Path) -> None:
    feed = feedparser.parse((site / "feeds" / "digests.xml").read_text(encoding="utf-8"))
    assert not feed.bozo and feed.entries[0].link == "https://papers.example.org/digests/2025-02-04"
    assert "https://papers.example.org/ko/papers/2411.19870.html" in (site / "sitemap.xml").read_text()


def test_the_same_record_changes_no_file(made: Export) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*") if path.is_file()}
    assert made.run() == len(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.fixture(scope="module")
def host(site: Path) -> Iterator[str]:
    """A plain file server."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.browser
def test_a_copy_works_in_a_browser(page: Any, host: str) -> None:
    page.goto(f"{host}/index.html")
    page.locator("#find").fill("나무")
    page.locator("#find").press("Enter")
    page.locator("#hits li h2 a").click()
    page.wait_for_url(f"**/papers/{samples.KOREAN}.html")
    page.get_by_role("link", name="한국어").click()
    page.wait_for_url(f"**/ko/papers/{samples.KOREAN}.html")
    page.locator(".themes a[data-theme=dark]").click()
    page.locator("nav.pages a").nth(2).click()
    page.wait_for_url("**/ko/families.html")
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.goto(f"{host}/papers/2411.19870.html")
    page.locator(".charts img").first.scroll_into_view_if_needed()
    until(page, "document.querySelector('.charts img').naturalWidth > 0")


@pytest.mark.browser
def test_a_copy_opens_from_the_disk(page: Any, site: Path) -> None:
    page.goto((site / "index.html").as_uri())
    page.locator(".entry h3 a").first.click()
    assert page.url.startswith("file:") and page.locator("h1").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(251, 250, 248)"
