"""The desk and the queue in Debian's Chromium: upload, paste, a real run from click to verdict, cancel, two tabs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sillok.record import Record
from sillok.web import application

from . import samples
from .conftest import serving
from .test_browser import problems
from .test_desk import TOKEN

pytestmark = pytest.mark.browser
QUICK = ("2411.19415", "correction")  # the quickest trial: about a second, with a worker's start about ten


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site where runs may be started."""
    with (
        Record.open(tmp_path_factory.mktemp("workshop") / "r.sqlite") as record,
        serving(application(record, hosts=["127.0.0.1"], token=TOKEN)) as address,
    ):
        yield address


def log_in(page: Any, site: str) -> None:
    page.goto(f"{site}/papers/{QUICK[0]}")
    page.locator(f"#{QUICK[1]}").get_by_role("link", name="Log in to start runs from this page").click()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**/papers/{QUICK[0]}#{QUICK[1]}")


def fine(page: Any) -> None:
    """Nothing that axe finds, in either theme, and no sideways scrolling on a phone."""
    page.emulate_media(reduced_motion="reduce")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert problems(page) == [], scheme
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_digest_is_uploaded(page: Any, server: str, tmp_path: Path) -> None:
    file = tmp_path / "day.md"
    file.write_text(samples.HOSTILE.replace("Vote: 3", "Vote: many"))
    page.goto(server)
    page.get_by_role("link", name="Desk").click()
    fine(page)
    page.get_by_label("A file").set_input_files(file)
    page.get_by_role("button", name="Read it").click()
    page.get_by_role("heading", name="What was read: day.md").wait_for()
    assert page.locator(".warned li").first.inner_text().startswith("line 7")
    assert page.get_by_role("heading", name='<script>alert(1)</script> and "quotes" & more').is_visible()
    fine(page)


def test_a_digest_is_pasted_in_korean_and_the_way_back_works(page: Any, server: str) -> None:
    page.goto(f"{server}/desk?lang=ko")
    page.get_by_label("또는 본문").fill(samples.DIGEST)
    page.get_by_role("button", name="읽기").click()
    page.get_by_text("항목 3개").wait_for()
    fine(page)
    page.get_by_role("link", name="DeMo: Decoupled Momentum Optimization").click()
    page.wait_for_url("**/papers/2411.19870")
    page.goto(f"{server}/desk?lang=ko")
    assert page.get_by_label("또는 본문").input_value() == ""


def test_a_run_from_click_to_verdict_with_live_progress(page: Any, workshop: str) -> None:
    page.goto(f"{workshop}/runs/queue")
    fine(page)
    log_in(page, workshop)
    fine(page)
    page.add_init_script(  # the page loads itself anew at the end: what came before is kept beside it
        "const E = EventSource; window.EventSource = function (url) { const s = new E(url);"
        " s.addEventListener('job', e => sessionStorage.seen = (sessionStorage.seen || '') +"
        " JSON.parse(e.data).share + ' '); return s }"
    )
    page.locator(f"#{QUICK[1]}").get_by_role("button", name="Start").click()
    page.wait_for_url("**/runs/queue/*")
    assert page.locator("[data-job=state]").inner_text() in ("waiting", "running")
    fine(page)
    other = page.context.new_page()
    other.goto(page.url)
    page.locator("[data-job=state].done").wait_for(timeout=120_000)
    other.locator("[data-job=state].done").wait_for(timeout=20_000)
    shares = [float(share) for share in page.evaluate("sessionStorage.seen").split()]
    assert shares == sorted(shares) and any(0 < share < 1 for share in shares), "progress was live"
    verdict = page.locator("#job .verdict").inner_text()
    assert re.search("upheld|inconclusive", verdict)
    assert page.locator("pre.log").inner_text().count(", seed ") >= 10
    fine(page)
    page.get_by_role("link", name="To the paper").click()
    page.wait_for_url(f"**/papers/{QUICK[0]}#{QUICK[1]}")
    assert page.locator(f"#{QUICK[1]} .results").get_by_text("rehearsal").count() >= 1
    page.go_back()
    assert page.locator("#job .verdict").inner_text() == verdict


def test_two_tabs_and_cancel(page: Any, workshop: str) -> None:
    log_in(page, workshop)
    other = page.context.new_page()
    other.goto(page.url)
    for tab in (page, other):
        place = tab.locator(f"#{QUICK[1]}")
        place.get_by_label("Scale").select_option("here")
        place.get_by_role("button", name="Start").click()
        tab.wait_for_url("**/runs/queue/*")
    assert page.url == other.url, "what waits or runs already is not queued twice"
    page.get_by_role("button", name="Cancel").click()
    for tab in (page, other):
        tab.locator("[data-job=state].cancelled").wait_for(timeout=30_000)
    page.get_by_role("link", name="Queue").click()
    page.locator(".jobs .job.cancelled").first.wait_for()
    fine(page)
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("link", name="Log in to start runs").wait_for()


def test_without_javascript(browser: Any, workshop: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{workshop}/desk")
    page.get_by_label("Or its text").fill(samples.DIGEST)
    page.get_by_role("button", name="Read it").click()
    assert "3 entries" in page.locator("main").inner_text()
    log_in(page, workshop)
    place = page.locator(f"#{QUICK[1]}")
    place.get_by_label("Mode").select_option("placebo")
    place.get_by_role("button", name="Start").click()
    page.wait_for_url("**/runs/queue/*")
    page.locator("[data-job=state].done").wait_for(timeout=120_000)  # the page refreshes itself
    assert "placebo" in page.locator("main .by").nth(1).inner_text()
    page.get_by_role("link", name="To the paper").click()
    page.wait_for_url(f"**/papers/{QUICK[0]}*")
    context.close()


def test_a_wrong_token_is_told(page: Any, browser: Any, workshop: str) -> None:
    page.goto(f"{workshop}/login")
    fine(page)
    context = browser.new_context()  # Chromium tells of the 403 on the console
    other = context.new_page()
    other.goto(f"{workshop}/login")
    other.get_by_label("Token").fill("not the token at all")
    with other.expect_response("**/login") as answered:
        other.get_by_role("button", name="Log in").click()
    assert answered.value.status == 403
    other.get_by_role("alert").get_by_text("That is not the token.").wait_for()
    context.close()
