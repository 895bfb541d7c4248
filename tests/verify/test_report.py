"""The HTML report: what it says, that it needs no network, and how it looks in a browser."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sillok import papers
from sillok.record import Record, StoredRun, StoredVerdict
from sillok.verify import report, tables, view

CARD = papers.load("2411.19870")
DECLARATION = {
    "arms": ["adamw", "demo", "signum"],
    "peers": ["signum"],
    "measures": {"loss": {"unit": "nats", "text": "test loss <b>"}, "bytes": {"unit": "B/step", "text": ""}},
    "fault": "the residual is dropped",
    "interleave": None,
}


def run(arm: str, seed: int, **measures: float) -> StoredRun:
    return StoredRun(
        id=f"{arm}{seed}",
        paper=CARD.id,
        claim="traffic",
        trial="t",
        version=1,
        arm=arm,
        seed=seed,
        scale="here",
        mode="trial",
        state="done",
        measures=measures,
        units={"loss": "nats", "bytes": "B/step"},
        curves=[
            {
                "name": "training loss",
                "series": "",
                "x": "step",
                "y": "nats",
                "log": "",
                "points": [[1, 5.0], [2, 3 + seed / 9]],
            }
        ],
        fingerprint={"sillok": "0.1.0", "python": "3.11", "torch": None},
        reason=None,
        log="",
        started=datetime.now(UTC),
        seconds=1.0,
        machine="m",
    )


VERDICT = StoredVerdict(
    paper=CARD.id,
    claim="traffic",
    trial="t",
    version=1,
    scale="here",
    mode="trial",
    machine="m",
    verdict="not upheld",
    reason="loss, demo / adamw = 1.08 <script>alert(1)</script>",
    intervals={"bytes, demo / adamw": {"low": 0.0129, "mean": 0.013, "high": 0.0131, "n": 3, "level": 0.95}},
    seeds=[0, 1, 2],
    declaration=DECLARATION,
    decided=datetime(2026, 11, 20, tzinfo=UTC),
)
RUNS = tuple(
    run(arm, seed, loss=loss + seed / 50, bytes=size)
    for arm, loss, size in (("adamw", 2.0, 722176.0), ("demo", 2.2, 9408.0), ("signum", 2.3, 722176.0))
    for seed in range(3)
)
RESULT = view.Result(VERDICT, RUNS, {"id": "m", "name": "A machine <i>"}, False)


@pytest.fixture(scope="module")
def html() -> str:
    return report.render([(CARD, CARD.claims[0], [RESULT])])


def test_it_sets_the_measured_beside_the_papers(html: str) -> None:
    text = re.sub(r"<[^>]+>", " ", html)
    text = re.sub(r"\s+", " ", text)
    assert CARD.title in text
    assert "85 x less data" in text
    assert "not upheld" in text
    assert "0.013 [0.0129, 0.0131] = 1/76.9" in text
    assert "sillok verify 2411.19870/traffic --scale here" in text
    assert "A machine &lt;i&gt;" in text
    assert CARD.claims[0].scope[:40] in text
    assert "torch None" not in text


def test_every_seed_is_a_point(html: str) -> None:
    figure = re.search(r'<figure aria-label="loss">(.*?)</figure>', html, flags=re.S)
    assert figure is not None
    assert len(re.findall(r'aria-roledescription="circle"|aria-roledescription="point"', figure[1])) == 9


def test_it_needs_no_network_and_escapes_what_it_is_given(html: str) -> None:
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "test loss &lt;b&gt;" in html
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)|url\(([^)]+)\)|@import""", html)
    assert {a for a, b in loaded if a} == {CARD.url}
    assert not [b for a, b in loaded if b and not b.startswith("#")]
    assert "default-src 'none'" in html


def test_smoke_is_called_a_rehearsal() -> None:
    smoke = dataclasses.replace(VERDICT, scale="smoke")
    text = report.render([(CARD, CARD.claims[0], [view.Result(smoke, RUNS, {"id": "m"}, False)])])
    assert "a rehearsal" in text
    assert "rehearsal" in str(tables.verdict_text("upheld", "smoke"))
    assert "rehearsal" not in str(tables.verdict_text("upheld", "here"))


def test_a_claim_without_runs_says_why() -> None:
    blocked = dataclasses.replace(
        VERDICT, verdict="out of reach", reason="needs a CUDA GPU", intervals={}, declaration={}
    )
    text = report.render([(CARD, CARD.claims[0], [view.Result(blocked, (), {"id": "m"}, False)])])
    assert "needs a CUDA GPU" in text
    assert "not measured" in report.render([(CARD, CARD.claims[0], [])])
    assert "No claim" in report.render([])


def test_placebo_and_fault_stand_beside_the_verdict(tmp_path: Path) -> None:
    with Record.open(tmp_path / "r.sqlite") as record:
        for mode, verdict in (("placebo", "not upheld"), ("fault", "upheld")):
            record.add_verdict(dataclasses.replace(VERDICT, mode=mode, verdict=verdict))
        text = report.render([(CARD, CARD.claims[0], [RESULT])], record)
    assert "Placebo (the baseline in every arm): <strong>not upheld</strong>, as it must be." in text
    assert "Planted fault (the residual is dropped): <strong>upheld</strong>. THE TRIAL IS BROKEN." in text


def test_targets_are_checked_before_anything_is_measured(tmp_path: Path) -> None:
    with pytest.raises(report.ReportError, match="is a folder"):
        report.check_target(tmp_path)
    with pytest.raises(report.ReportError, match="is not there"):
        report.check_target(tmp_path / "none" / "r.html")
    report.check_target(tmp_path / "r.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        yield found
        found.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(html: str, browser: Any, tmp_path: Path, width: int, scheme: str) -> None:
    path = tmp_path / "report.html"
    path.write_text(html, encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert said == []
    assert asked == [path.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    boxes = page.locator("figure svg").evaluate_all("all => all.map(x => x.getBoundingClientRect().width)")
    assert len(boxes) == 3
    assert all(0 < box <= width for box in boxes)
    assert page.locator("article h2").inner_text() == CARD.title
    page.close()


def test_charts_drawn_without_checks_pass_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import altair
    import jsonschema
    import vl_convert

    specs: list[dict[str, Any]] = []
    monkeypatch.setattr(vl_convert, "vegalite_to_svg", lambda spec: specs.append(spec) or "<svg >")
    drawings = report.drawings(RESULT)
    for one in drawings:
        one.svg()
    assert len(specs) == len(drawings) == 3 and {"layer" in spec for spec in specs} == {True, False}
    for spec in specs:
        del spec[
            "config"
        ]  # Sillok's own, with a background that Vega-Lite takes and its schema does not name
        kind = altair.LayerChart if "layer" in spec else altair.Chart
        assert kind.from_dict(spec).to_dict()["$schema"] == spec["$schema"]
        with pytest.raises(jsonschema.ValidationError):
            kind.from_dict(spec | {"width": "wide"})
