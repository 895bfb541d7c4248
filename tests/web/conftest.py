"""One site, one server and one browser for all tests: a record with a digest, runs, and things that may hurt."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from sillok import digest
from sillok.record import Machine, Record
from sillok.verify import library

from . import samples

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs them all: they share a record and a server."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("web"))


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Record]:
    """The catalogue, a read digest, runs on two machines, and papers without a card."""
    with Record.open(tmp_path_factory.mktemp("site") / "record.sqlite") as opened:
        library.sync(opened)
        for text in (samples.DIGEST, samples.HOSTILE):
            read = digest.read_text(text)
            library.keep(opened, read if isinstance(read, list) else [read], "digest.md", text)
        opened.add_machine(Machine(id="m1", data={"id": "m1", "name": "A small machine", "cores": 2}))
        for run in samples.runs():
            opened.add_run(run)
        for verdict in samples.verdicts():
            opened.add_verdict(verdict)
        yield opened


@pytest.fixture(scope="session")
def shelf(record: Record) -> Any:
    from sillok.web.shelf import Shelf

    return Shelf(record)


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The address of an application, served by uvicorn on loopback."""
    instance = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=instance.run, daemon=True)
    thread.start()
    while not instance.started:
        assert thread.is_alive()
        thread.join(0.02)
    port = instance.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    instance.should_exit = True
    thread.join(20)


@pytest.fixture(scope="session")
def server(record: Record) -> Iterator[str]:
    """The address of the site."""
    from sillok.web import application

    with serving(application(record, hosts=["127.0.0.1", "localhost"])) as address:
        yield address


@pytest.fixture
def client(server: str) -> Iterator[httpx.Client]:
    """A reader without cookies."""
    with httpx.Client(base_url=server, timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for a module and no longer: Playwright's loop would be in the way of other tests' loops."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        yield found
        found.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of a fresh context; what the browser complains of fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    opened = context.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(f"{message.text} ({opened.url})"))
    opened.on("pageerror", lambda error: said.append(f"{error} ({opened.url})"))
    yield opened
    context.close()
    assert said == []


def until(page: Any, expression: str, seconds: float = 20.0) -> None:
    """Wait until an expression is true in a page; Playwright's own wait evaluates text there, which the CSP forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not so after {seconds:g} s: {expression}"
        page.wait_for_timeout(50)
