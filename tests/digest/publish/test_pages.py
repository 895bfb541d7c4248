"""Round-ups, the feed and the pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import feedparser
import pytest

import sillok
from sillok.digest import Digest
from sillok.digest.publish import write_day, write_feed, write_month, write_week
from sillok.digest.publish.page import day_page
from sillok.digest.summarise import Summary

Make = Callable[..., Summary]
TUESDAY, WEDNESDAY, SUNDAY, NEXT = date(2024, 12, 3), date(2024, 12, 4), date(2024, 12, 8), date(2024, 12, 30)


@pytest.fixture
def root(summary: Make, tmp_path: Path) -> Path:
    write_day(TUESDAY, [summary("2412.00001", 3), summary("2412.00002", 8)], tmp_path)
    write_day(WEDNESDAY, [summary("2412.00003", None), summary("2412.00001", 5)], tmp_path)
    write_day(NEXT, [summary("2412.00004", 1)], tmp_path)
    return tmp_path


def test_a_week_has_every_paper_once_by_votes(root: Path) -> None:
    done = write_week(SUNDAY, root)
    assert [path.relative_to(root).as_posix() for path in done.files] == [
        f"2024/weekly/2024-W49{suffix}" for suffix in (".md", ".json", ".html")
    ]
    found = sillok.read(done.files[0])
    assert isinstance(found, Digest) and not found.warnings
    assert found.date == date(2024, 12, 2)
    assert [(entry.id, entry.votes) for entry in found.entries] == [
        ("2412.00002", 8), ("2412.00001", 5), ("2412.00003", None)
    ]  # fmt: skip
    listed = found.entries[1].section("Listed")
    assert listed is not None and listed.text == "[2024-12-03](../12/03.md), [2024-12-04](../12/04.md)"
    assert all((done.files[0].parent / link).exists() for link in re.findall(r"\]\((\.\.[^)]+)", listed.text))
    assert found.entries[0].sections[0].name == "What's New" and "⚠" in found.entries[0].sections[0].text
    assert sillok.write(found) == done.files[0].read_text("utf-8")
    assert write_week(TUESDAY, root).changed == ()


def test_a_week_at_the_turn_of_the_year_is_the_isos(root: Path) -> None:
    done = write_week(NEXT, root)
    assert done.files[0].relative_to(root).as_posix() == "2025/weekly/2025-W01.md"
    found = sillok.read(done.files[0])
    assert isinstance(found, Digest) and [entry.id for entry in found.entries] == ["2412.00004"]


def test_a_month_lists_all_and_tells_of_the_first(root: Path) -> None:
    done = write_month(WEDNESDAY, root, top=2)
    assert done.files[0].relative_to(root).as_posix() == "2024/12/index.md"
    found = sillok.read(done.files[0])
    assert isinstance(found, Digest)
    names = [[section.name for section in entry.sections] for entry in found.entries]
    assert names == [["What's New", "Listed"]] * 2 + [["Listed"]] * 2
    page = done.files[2].read_text("utf-8")
    assert 'href="03.html"' in page and 'href="04.html#p2412-00001"' in page
    assert 'id="p2412-00001"' in (root / "2024/12/04.html").read_text("utf-8")


def test_a_round_up_of_nothing(tmp_path: Path) -> None:
    for make in (write_week, write_month):
        with pytest.raises(FileNotFoundError, match="no day from 2024-12-0"):
            make(WEDNESDAY, tmp_path)
    with pytest.raises(FileNotFoundError, match="no digest"):
        write_feed(tmp_path)


def test_the_feed_is_atom_for_another_reader(root: Path) -> None:
    (path,) = write_feed(root, url="https://example.org/d").files
    found = feedparser.parse(path.read_bytes())
    assert not found.bozo and found.version == "atom10"
    assert found.feed.id == "https://example.org/d/" and found.feed.updated_parsed
    assert [entry.title for entry in found.entries] == [
        f"Daily Papers (2024-12-{d})" for d in ("30", "04", "03")
    ]
    assert found.entries[1].link == "https://example.org/d/2024/12/04.html"
    assert len({entry.id for entry in found.entries}) == 3
    assert (
        "나무를" in found.entries[1].content[0].value and "<script" not in found.entries[1].content[0].value
    )
    assert found.feed.author == "Sillok"


def test_the_feeds_times_change_with_the_days(root: Path, summary: Make) -> None:
    first, second = datetime(2024, 12, 4, 9, tzinfo=UTC), datetime(2024, 12, 5, 9, tzinfo=UTC)
    (path,) = write_feed(root, now=first).files
    assert write_feed(root, now=second).changed == ()
    write_day(WEDNESDAY, [summary("2412.00003", 7)], root)
    assert write_feed(root, now=second).changed == (path,)
    found = feedparser.parse(path.read_bytes())
    assert [entry.updated for entry in found.entries] == [
        "2024-12-04T09:00:00Z", "2024-12-05T09:00:00Z", "2024-12-04T09:00:00Z"
    ]  # fmt: skip
    assert found.feed.updated == "2024-12-05T09:00:00Z"


def test_characters_that_xml_cannot_hold(summary: Make, tmp_path: Path) -> None:
    write_day(
        WEDNESDAY,
        [summary(title="A \x0b\x1f title", sections=(("What's New", "a\x0c & <b> \ufffe"),))],
        tmp_path,
    )
    (path,) = write_feed(tmp_path).files
    assert not feedparser.parse(path.read_bytes()).bozo


def test_a_feed_that_cannot_be_read_is_not_written_over(root: Path) -> None:
    (root / "feed.xml").write_text("<feed", "utf-8")
    with pytest.raises(ValueError, match="remove it"):
        write_feed(root)
    with pytest.raises(ValueError, match="url: 'javascript:x'"):
        write_feed(root, url="javascript:x")


class Parsed(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "link", "br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_loads_nothing_and_obeys_nothing(summary: Make) -> None:
    evil = (
        (
            "What's New",
            '<img src=x onerror=alert(1)> ![](https://e.org/spy.png) [x](javascript:alert(1)) "q"',
        ),
        ("<b>Name", "`<i>` \\<script>"),
    )
    page = day_page(WEDNESDAY, [summary(title='"><script>x</script>', sections=evil), summary("2412.00002")])
    parsed = Parsed(page)
    assert not parsed.open
    tags = {tag for tag, _ in parsed.tags}
    assert not tags & {"script", "img", "link", "iframe", "i", "b"}
    assert not any("src" in attrs or any(name.startswith("on") for name in attrs) for _, attrs in parsed.tags)
    links = [attrs["href"] or "" for tag, attrs in parsed.tags if tag == "a"]
    assert all(link.startswith("https://") for link in links)
    assert parsed.tags[0] == ("html", {"lang": "ko"})
    assert "prefers-color-scheme: dark" in page and "Apple SD Gothic Neo" in page
    assert "width=device-width" in page
    assert '<strong class="mark">⚠ 논문에서 확인되지 않음</strong>' in page
    assert "Foo: no such name in the paper" in page and "Trees &amp; &lt;script&gt;" in page


def test_pictures_only_when_asked_for(summary: Make) -> None:
    page = day_page(WEDNESDAY, [summary()], pictures=True)
    images = [attrs for tag, attrs in Parsed(page).tags if tag == "img"]
    assert [image["src"] for image in images] == ["https://cdn.example.org/2412.00001.png"]


@pytest.mark.browser
def test_a_page_fits_a_phone(summary: Make, tmp_path: Path) -> None:
    """360 pixels wide, light and dark: nothing sticks out, and the text stands out from the ground."""
    from playwright.sync_api import sync_playwright

    long = (
        ("What's New", "x" * 300 + " 나무를심는새로운방법입니다" * 20 + " $\\alpha$ `" + "y" * 200 + "`"),
    )
    path = tmp_path / "day.html"
    path.write_text(
        day_page(WEDNESDAY, [summary(sections=long, title="T" * 200), summary("2412.00002")]), "utf-8"
    )
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 360
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            text = page.evaluate("getComputedStyle(document.body).color")
            light = [sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (ground, text)]
            assert (light[0] - light[1]) * (1 if scheme == "light" else -1) > 400
        browser.close()
