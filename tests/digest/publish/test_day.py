"""A day's files: the archive's form, nothing changed by a second run, nothing lost by a merge."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sillok
from sillok.digest import Digest, read_text, write
from sillok.digest.publish import load_day, write_day
from sillok.digest.summarise import Summary

DAY = date(2024, 12, 4)
Make = Callable[..., Summary]

CANONICAL = """\
## Daily Papers (2024-12-04)

### [Second](https://arxiv.org/abs/2412.00002)

![](https://cdn.example.org/2412.00002.png)

Vote: 38

Authors: Ada Lovelace, Emmy Noether

- ***What's New***: 2412.00002: 나무를 **심는** 새로운 방법입니다. [⚠ 논문에서 확인되지 않음]
- ***Technical Details***:
  1. 뿌리를 뽑습니다.
  2. 잎을 정렬합니다.
- ***Performance Highlights***: Shrub보다 2.1배 빠릅니다.

### [Arbor](https://arxiv.org/abs/2412.00001)

![](https://cdn.example.org/2412.00001.png)

Vote: -

Authors: Ada Lovelace, Emmy Noether

- ***What's New***: 발췌입니다.
- ***Note***: 언어 모델 없이.

"""


def markdown(root: Path) -> Path:
    return root / "2024" / "12" / "04.md"


def ids(root: Path) -> list[str | None]:
    found = sillok.read(markdown(root))
    assert isinstance(found, Digest)
    assert not found.warnings
    return [entry.id for entry in found.entries]


def test_the_form_of_the_archive(summary: Make, tmp_path: Path) -> None:
    own = {
        "model": None,
        "sections": (("What's New", "발췌입니다."),),
        "notes": ("언어 모델 없이.",),
        "findings": (),
    }
    first = write_day(DAY, [summary(votes=None, **own), summary("2412.00002", 38, "Second")], tmp_path)
    assert [path.name for path in first.files] == ["04.md", "04.json", "04.html"]
    assert first.changed == first.files
    assert markdown(tmp_path).read_text("utf-8") == CANONICAL
    read = sillok.read(markdown(tmp_path))
    assert sillok.write(read) == CANONICAL


def test_a_second_run_changes_no_byte(summary: Make, tmp_path: Path) -> None:
    day = [summary(), summary("2412.00002", 38), summary("2412.00003", None)]
    files = write_day(DAY, day, tmp_path).files
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    again = write_day(DAY, list(reversed(load_day(tmp_path, DAY))), tmp_path)
    assert again.changed == () and write_day(DAY, day, tmp_path).changed == ()
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in files] == before


def test_summaries_come_back_from_the_json(summary: Make, tmp_path: Path) -> None:
    day = [summary("2412.00002", 38), summary()]
    write_day(DAY, day, tmp_path)
    assert load_day(tmp_path, DAY) == day
    data = json.loads(markdown(tmp_path).with_suffix(".json").read_text("utf-8"))
    assert data["date"] == "2024-12-04"
    assert data["papers"][0]["findings"][0]["verdict"] == "not found"


def test_more_entries_come_to_those_that_are_there(summary: Make, tmp_path: Path) -> None:
    write_day(DAY, [summary("2412.00001", 3), summary("2412.00002", 38)], tmp_path)
    write_day(DAY, [summary("2412.00003", 20)], tmp_path)
    assert ids(tmp_path) == ["2412.00002", "2412.00003", "2412.00001"]
    write_day(DAY, [summary("2412.00001", 90)], tmp_path)
    assert ids(tmp_path) == ["2412.00001", "2412.00002", "2412.00003"]
    assert [one.listing.votes for one in load_day(tmp_path, DAY)] == [90, 38, 20]


FOREIGN = """\
A preamble.

## Daily Papers (2024-12-04)

### [By hand](https://arxiv.org/abs/2412.00009v2)

Vote: 5

Authors: Kurt Gödel

- **What's New**: 손으로 쓴 글.
- a note of my own

### [No paper at all](https://example.org/)

Kept text.

### [Another](https://arxiv.org/abs/2412.00001)

Vote: 1

- **What's New**: 다른 사람의 요약.

---
licensed under CC BY-NC-ND 4.0"""


def test_what_others_wrote_stays(summary: Make, tmp_path: Path) -> None:
    """The file of somebody else: its text, its notes and its licence stay; a paper of ours comes to it."""
    path = markdown(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(FOREIGN, "utf-8")
    done = write_day(DAY, [summary("2412.00001", 44), summary("2412.00003", 7)], tmp_path)
    text = path.read_text("utf-8")
    for line in filter(None, FOREIGN.splitlines()):
        assert line in text or line == "Vote: 1"
    assert "Vote: 44" in text and "2412.00003: 나무를" in text and "2412.00001: 나무를" not in text
    assert any("2412.00001" in line and "kept" in line for line in done.remarks)
    again = write_day(DAY, [summary("2412.00001", 44), summary("2412.00003", 7)], tmp_path)
    assert again.changed == () and path.read_text("utf-8") == text
    write_day(DAY, [summary("2412.00001", 44)], tmp_path, replace_all=True)
    assert "2412.00001: 나무를" in path.read_text("utf-8")


def test_an_edited_entry_stays_and_its_votes_are_new(summary: Make, tmp_path: Path) -> None:
    write_day(DAY, [summary(votes=3)], tmp_path)
    path = markdown(tmp_path)
    path.write_text(path.read_text("utf-8").replace("2.1배", "두 배 남짓"), "utf-8")
    done = write_day(DAY, [summary(votes=9)], tmp_path)
    assert "두 배 남짓" in path.read_text("utf-8") and "Vote: 9" in path.read_text("utf-8")
    assert done.remarks == (
        "2412.00001: the entry in the file was not written by Sillok, or edited since; kept",
    )
    write_day(DAY, [summary(votes=9)], tmp_path)
    assert "두 배 남짓" in path.read_text("utf-8")


def test_an_extract_never_takes_the_place_of_a_summary(summary: Make, tmp_path: Path) -> None:
    own = summary(model=None, sections=(("What's New", "발췌."),), notes=("n",), findings=())
    write_day(DAY, [own], tmp_path)
    write_day(DAY, [summary()], tmp_path)
    assert load_day(tmp_path, DAY) == [summary()]
    done = write_day(DAY, [own], tmp_path)
    assert load_day(tmp_path, DAY) == [summary()] and len(done.remarks) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "## Daily Papers (2024-12-05)\n\n### [A](https://arxiv.org/abs/2412.00001)\n",
            "the digest of 2024-12-05",
        ),
        ("## Daily Papers (2024-12-04)\n\n## Daily Papers (2024-12-05)\n", "2 digests"),
        ("notes of mine\n", "no digest with a date"),
    ],
)
def test_another_file_is_not_written_over(summary: Make, tmp_path: Path, text: str, message: str) -> None:
    path = markdown(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=message):
        write_day(DAY, [summary()], tmp_path)
    assert path.read_text("utf-8") == text


TITLES = [
    "A <script>alert(1)</script> & B &amp; C", "Foo](https://arxiv.org/abs/2401.00001) [bar", "*b* `c` __x__ a_b",
    r"$\alpha_{i}$ \{x\}", "ends with \\", "[A [b]] c]", "![x](http://e.org/a.png)", "~~s~~ <!-- c", "# x", "Vote: 3",
    "나무 | 숲", "Planting Trees: Roots [and Leaves]", "two\nlines",
]  # fmt: skip


@pytest.mark.parametrize("title", TITLES)
def test_titles_read_back_as_they_were(summary: Make, tmp_path: Path, title: str) -> None:
    write_day(DAY, [summary(title=title), summary("2412.00002", 1)], tmp_path)
    found = sillok.read(markdown(tmp_path))
    assert isinstance(found, Digest) and len(found.entries) == 2
    assert found.entries[0].title == title.replace("\n", " ")
    assert found.entries[0].id == "2412.00001" and not found.warnings
    html = markdown(tmp_path).with_suffix(".html").read_text("utf-8")
    assert "<script" not in html and "<!-- " not in html and "<img" not in html


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(list("\\[]()<>*_`&!#a "))
        | st.sampled_from(["https://arxiv.org/abs/2401.00001", "](", "&lt;"]),
        min_size=1,
    ).map(lambda parts: "".join(parts).strip())
)
def test_any_title_reads_back(title: str) -> None:
    from sillok.digest import Entry

    if not title:
        return
    one = Digest(DAY, (Entry("2412.00001", title), Entry("2412.00002", "z")))
    assert read_text(write(one)) == one


def test_authors_that_a_line_cannot_hold(summary: Make, tmp_path: Path) -> None:
    one = summary()
    names = ("Ada Lovelace, Jr.", "-", "*Emmy* <b>", "X\nY", "")
    write_day(DAY, [replace(one, listing=replace(one.listing, authors=names))], tmp_path)
    found = sillok.read(markdown(tmp_path))
    assert isinstance(found, Digest)
    assert found.entries[0].authors == ("Ada Lovelace Jr.", "Emmy* ‹b›", "X Y")


def test_a_day_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="write the day first"):
        load_day(tmp_path, DAY)


def test_a_killed_write_leaves_the_old_file(
    summary: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_day(DAY, [summary()], tmp_path)
    before = markdown(tmp_path).read_bytes()

    def stop(self: Path, target: Any) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_day(DAY, [summary("2412.00002", 9)], tmp_path)
    assert markdown(tmp_path).read_bytes() == before
    assert [path.name for path in markdown(tmp_path).parent.iterdir() if path.name.startswith(".")] == []


def test_killed_between_two_files_the_same_again_completes_them(summary: Make, tmp_path: Path) -> None:
    """The Markdown is there and the JSON is not, or is the one before: nothing of the findings is lost."""
    extract, written = summary(model=None, findings=(), sections=(("What's New", "Own words."),)), summary()
    whole = tmp_path / "whole"
    write_day(DAY, [written], whole)
    for name, before in (("none", []), ("before", [extract])):
        root = tmp_path / name
        if before:
            write_day(DAY, before, root)
        markdown(root).parent.mkdir(parents=True, exist_ok=True)
        markdown(root).write_bytes(markdown(whole).read_bytes())
        assert write_day(DAY, [written], root).remarks == ()
        for suffix in (".md", ".json", ".html"):
            wanted = markdown(whole).with_suffix(suffix).read_bytes()
            assert markdown(root).with_suffix(suffix).read_bytes() == wanted


def test_runs_at_once_lose_no_entry(summary: Make, tmp_path: Path) -> None:
    ids = [f"2412.0000{number}" for number in range(8)]
    with ThreadPoolExecutor(len(ids)) as pool:
        list(pool.map(lambda id: write_day(DAY, [summary(id)], tmp_path), ids))
    found = sillok.read(markdown(tmp_path))
    assert isinstance(found, Digest) and set(found.ids) == set(ids)
    assert {one.listing.id for one in load_day(tmp_path, DAY)} == set(ids)


def test_a_disk_that_is_full_names_the_file(summary: Make, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk; what was there stays, and nothing half does."""
    write_day(DAY, [summary()], tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(OSError, match="04.md") as caught:
            write_day(DAY, [summary(f"2412.0000{number}") for number in range(9)], tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(markdown(tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_day_with_windows_line_ends_keeps_them(summary: Make, tmp_path: Path) -> None:
    write_day(DAY, [summary()], tmp_path)
    path = markdown(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert write_day(DAY, [summary()], tmp_path).changed == ()
    write_day(DAY, [summary(), summary("2412.00002", 9)], tmp_path)
    data = path.read_bytes()
    assert b"2412.00002" in data and data.count(b"\n") == data.count(b"\r\n")
