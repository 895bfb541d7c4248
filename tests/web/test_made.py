"""Pages that are kept: never older than the record, never another reader's."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.pool import QueuePool
from starlette.testclient import TestClient

from sillok import digest
from sillok.record import Machine, Record
from sillok.verify import library
from sillok.web import application, made
from sillok.web.made import Pages
from sillok.web.shelf import Shelf

from . import samples
from .test_desk import TOKEN, log_in


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("made") / "r.sqlite"


@pytest.fixture(scope="module")
def writer(place: Path) -> Iterator[Record]:
    """Another process's record, as far as the site can tell."""
    with Record.open(place) as opened:
        yield opened


@pytest.fixture(scope="module")
def reader(place: Path, writer: Record) -> Iterator[TestClient]:
    with Record.open(place) as opened:
        yield TestClient(application(opened))


def _digest(record: Record) -> None:
    read = digest.read_text(samples.DIGEST)
    library.keep(record, read if isinstance(read, list) else [read], "digest.md", samples.DIGEST)


def _measure(record: Record) -> None:
    for run in samples.runs():
        record.add_run(run)
    for verdict in samples.verdicts():
        record.add_verdict(verdict)


def _machine(record: Record) -> None:
    record.add_machine(Machine(id="m1", data={"id": "m1", "name": "Renamed just now"}))


#: A write, and pages with words that are on them from then on.
TREES = "Trees of tokens"
WRITES: tuple[tuple[Callable[[Record], None], dict[str, str]], ...] = (
    (
        _digest,
        {
            "/": TREES,
            "/?lang=ko": TREES,
            "/digests": "2025-02-03",
            "/digests/2025-02-03": TREES,
            f"/papers/{samples.KOREAN}": TREES,
            "/search?q=trees+of": TREES,
        },
    ),
    (
        _measure,
        {"/": "2026-12-0", "/runs": "adamw-0-trial"}
        | dict.fromkeys(("/machines", "/machines/m1", "/papers/2411.19870", "/families/optim"), "m1"),
    ),
    (_machine, dict.fromkeys(("/machines", "/machines/m1", "/papers/2411.19870"), "Renamed just now")),
)


def test_what_another_process_writes_is_on_every_page_at_once(reader: TestClient, writer: Record) -> None:
    for write, expected in WRITES:
        for path, words in expected.items():
            before = reader.get(path)
            assert before.status_code == 404 or words not in before.text, path
        write(writer)
        for path, words in expected.items():
            text = reader.get(path).text
            assert words in text, path
            assert reader.get(path).text == text, "and from then on it is kept"


def test_a_page_is_made_once_until_something_is_written(writer: Record) -> None:
    pages = Pages(Shelf(writer))
    made: list[int] = []

    def make() -> str:
        made.append(1)
        return f"page {len(made)}"

    first = pages.page("a", make)
    assert pages.page("a", make) is first and len(made) == 1
    assert pages.page("b", make).data == b"page 2"
    writer.add_paper("2501.00009", title="Another", authors=[])
    changed = pages.page("a", make)
    assert changed.data == b"page 3" == gzip.decompress(changed.packed) and changed.tag != first.tag


def test_a_write_while_a_page_is_made_is_not_lost(writer: Record) -> None:
    pages = Pages(Shelf(writer))

    def make() -> str:
        told = f"{len(writer.papers())} papers"
        with Record.open(writer.url) as other:
            other.add_paper(f"2501.1{len(writer.papers()):04d}", title="Meanwhile", authors=[])
        return told

    before = pages.page("a", make).data
    assert pages.page("a", make).data != before, "it was made of an older record"


def test_what_is_kept_has_bounds(writer: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made, "MOST", 3)
    monkeypatch.setattr(made, "MOST_BYTES", 100)
    pages = Pages(Shelf(writer))
    kept = [pages.page(key, lambda: "x") for key in range(5)]
    assert [pages.page(key, lambda: "x") is kept[key] for key in (4, 3, 2)] == [True] * 3
    assert pages.page(0, lambda: "x") is not kept[0], "the oldest had to go"
    large = pages.page("large", lambda: "x" * 101)
    assert pages.page("large", lambda: "x" * 101) is not large


def test_a_kept_page_is_sent_packed_or_plain_and_confirmed_by_its_tag(reader: TestClient) -> None:
    plain = reader.get("/families", headers={"accept-encoding": "identity"})
    packed = reader.get("/families", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
    assert packed.text == plain.text and packed.headers["etag"] == plain.headers["etag"]
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    again = reader.get("/families", headers={"if-none-match": plain.headers["etag"]})
    assert again.status_code == 304 and not again.content


def test_a_page_of_one_reader_is_not_given_to_another(place: Path, writer: Record) -> None:
    site = application(writer, token=TOKEN)
    stranger, member = TestClient(site), TestClient(site)
    path = "/papers/2411.19870"
    before = stranger.get(path)
    log_in(member)
    for _ in range(2):
        seen = member.get(path)
        assert 'name="ticket"' in seen.text and seen.headers["cache-control"].startswith("private")
    after = stranger.get(path)
    assert after.text == before.text and 'name="ticket"' not in after.text
    for lang, theme in (("ko", "dark"), ("en", "light")):
        shown = stranger.get(f"{path}?lang={lang}&theme={theme}")
        assert f'<html lang="{lang}" data-theme="{theme}">' in shown.text
        assert stranger.get(path).text.count(f'<html lang="{lang}" data-theme="{theme}">') == 1, "kept"
    hosts = {TestClient(site, base_url=f"http://{name}").get("/").text for name in ("a.example", "b.example")}
    assert len(hosts) == 2, "addresses in full are each host's own"


def test_who_counts_does_not_wait_for_those_who_wait_for_him(writer: Record) -> None:
    """Others hold every other connection of the record while they wait for what one thread counts."""
    connections = writer._engine.pool
    assert isinstance(connections, QueuePool)
    most = connections.size() + connections._max_overflow
    shelf, counting, inside = Shelf(writer), threading.Event(), threading.Semaphore(0)

    def count() -> int:
        counting.set()
        for _ in range(most - 1):
            assert inside.acquire(timeout=20)
        inside.acquire(timeout=0.3)  # one more, if there is a connection for it
        return len(writer.papers())

    def wait(_: int) -> int:
        assert counting.wait(20)
        with writer.at_once():
            inside.release()
            return shelf.kept("papers", count)

    with ThreadPoolExecutor(most + 1) as pool:
        first = pool.submit(lambda: shelf.kept("papers", count))
        rest = pool.map(wait, range(most))
        assert {first.result(), *rest} == {len(writer.papers())}
