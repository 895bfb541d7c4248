"""What happens when something breaks behind a page, and what several readers at once see."""

from __future__ import annotations

import re
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from sillok.record import Record
from sillok.web import application
from sillok.web.security import accepted
from sillok.web.shelf import Shelf
from sillok.web.words import preferred


def test_a_record_that_breaks_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    with Record.open(path) as record:
        reader = TestClient(application(record))
        assert reader.get("/runs").status_code == 200
        with sqlite3.connect(path) as direct:
            direct.execute("DROP TABLE runs")
        page = reader.get("/runs")
        assert page.status_code == 503 and "The record cannot be read" in page.text
        assert "Traceback" not in page.text and "content-security-policy" in page.headers
        assert reader.get("/api/runs").json()["detail"].startswith("cannot read the record")
        assert reader.get("/families").status_code == 200, "the other pages go on"


def test_a_mistake_of_ours_shows_no_traceback(tmp_path: Path) -> None:
    with Record.open(tmp_path / "r.sqlite") as record:
        app = application(record)

        @app.get("/broken")
        def broken() -> None:
            raise RuntimeError("a secret of the server")

        page = TestClient(app, raise_server_exceptions=False).get("/broken")
        assert page.status_code == 500 and "secret" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]


def test_a_record_that_can_only_be_read_is_served(tmp_path: Path) -> None:
    Record.open(tmp_path / "r.sqlite").close()
    with Record.open(tmp_path / "r.sqlite", read_only=True) as record:
        reader = TestClient(application(record))
        for path in (
            "/",
            "/papers/2411.19870",
            "/families/diffusion",
            "/digests/2024-12-04",
            "/search?q=x",
            "/runs",
        ):
            assert reader.get(path).status_code == 200, path
        assert "not upheld" in reader.get("/papers/2411.19870").text


def test_many_readers_at_once_get_whole_pages(server: str) -> None:
    paths = ["/", "/papers/2411.19870", "/search?q=model", "/families/diffusion", "/machines", "/runs"] * 10
    with httpx.Client(base_url=server, timeout=60) as reader, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(reader.get, paths))
    assert [answer.status_code for answer in answers] == [200] * len(paths)
    assert all(answer.text.rstrip().endswith("</html>") for answer in answers)


WATCHED: list[
    list[str]
] = []  # what is opened or called while a test looks; an audit hook cannot be taken back


def _watch(event: str, given: tuple[object, ...]) -> None:
    if WATCHED and event in ("open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        WATCHED[-1].append(f"{event} {given[:2]}")


def test_no_request_reaches_a_file_or_another_host(record: Record) -> None:
    reader = TestClient(application(record))
    addresses = [
        *("/", "/digests/2025-02-03", "/digests/2025-02-04", "/papers/2411.19870", "/search?q=model"),
        *(
            "/machines/m1",
            "/runs/demo-1-trial",
            "/feeds/digests.xml",
            "/sitemap.xml",
            "/api/papers/2411.19870",
        ),
        *re.findall(
            r'(?:src|href)="(/(?:charts|pictures|assets)/[^"]+)"', reader.get("/papers/2412.00100").text
        )[:9],
    ]
    up = (
        "../" * 8 + "etc/passwd",
        "%2e%2e%2f" * 8 + "etc%2fpasswd",
        "..%5c..%5csetup.cfg",
        "%2fetc%2fpasswd",
        "x%00.svg",
    )
    below = (
        "/assets/",
        "/pictures/",
        "/charts/",
        "/charts/runs/",
        "/papers/",
        "/digests/",
        "/feeds/digests/",
        "/runs/",
    )
    wrong = [f"{place}{name}" for place in below for name in up]
    wrong += [f"/charts/{name}/a/record/m1/here/0.svg" for name in up]
    # Templates and what draws are loaded when they are first used.
    expected = [reader.get(address).text for address in [*addresses, wrong[0]]]
    sys.addaudithook(_watch)
    seen: list[str] = []
    WATCHED.append(seen)
    try:
        with Path(__file__).open() as _:
            assert any("test_trouble" in event for event in seen), "the hook is at work"
        seen.clear()
        assert [reader.get(address).text for address in [*addresses, wrong[0]]] == expected
        answers = [reader.get(address) for address in wrong]
    finally:
        WATCHED.clear()
    assert seen == []
    assert {answer.status_code for answer in answers} <= {404, 422} and not any(
        "root:" in a.text for a in answers
    )


def test_what_is_counted_is_counted_once_for_all(shelf: Shelf) -> None:
    counted: list[int] = []
    started = threading.Barrier(8)

    def count() -> int:
        counted.append(1)
        return len(counted)

    def ask(_: int) -> int:
        started.wait()
        return shelf.kept("test", lambda: shelf.kept("inner", count))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {1}


@pytest.mark.parametrize(
    ("host", "url", "expected"),
    [
        ("127.0.0.1", None, ["127.0.0.1", "localhost", "127.0.0.1", "::1"]),
        (
            "127.0.0.1",
            "https://papers.example.org/x",
            ["127.0.0.1", "papers.example.org", "localhost", "127.0.0.1", "::1"],
        ),
        ("192.0.2.7", None, ["192.0.2.7"]),
        ("0.0.0.0", None, None),
        ("0.0.0.0", "https://papers.example.org", ["papers.example.org", "localhost", "127.0.0.1", "::1"]),
    ],
)
def test_which_hosts_are_answered(host: str, url: str | None, expected: list[str] | None) -> None:
    assert accepted(host, url) == expected


@pytest.mark.parametrize(
    ("header", "lang"),
    [
        ("ko", "ko"),
        ("en-US,ko;q=0.9", "en"),
        ("de,ko;q=0.5,en;q=0.4", "ko"),
        ("", "en"),
        ("ko;q=x", "en"),
        ("*", "en"),
    ],
)
def test_the_browsers_language(header: str, lang: str) -> None:
    assert preferred(header) == lang
