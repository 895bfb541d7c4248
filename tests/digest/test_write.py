"""Writing: digests made in Python, and changes to digests that were read."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace

import pytest

from sillok.digest import Digest, Entry, Media, Section, read_text, write

DETAILS = Section("Technical Details", "New.")
PICTURE = "https://cdn.example.org/social-thumbnails/papers/2412.00001.png"

NEW = Digest(
    date=datetime.date(2025, 1, 8),
    entries=(
        Entry(
            id="2501.00001",
            title="A New Paper",
            picture=Media("image", ("https://e.org/a.png",)),
            votes=3,
            authors=("Ada Lovelace", "Emmy Noether"),
            sections=(Section("What's New", "One.\n\nTwo."), Section("Details", "1. a\n2. b")),
        ),
        Entry(id="2501.00002", title="Another", version=2, picture=Media("video", ("https://e.org/v.mp4",))),
    ),
)

CANONICAL = """\
## Daily Papers (2025-01-08)

### [A New Paper](https://arxiv.org/abs/2501.00001)

![](https://e.org/a.png)

Vote: 3

Authors: Ada Lovelace, Emmy Noether

- ***What's New***: One.

  Two.
- ***Details***:
  1. a
  2. b

### [Another](https://arxiv.org/abs/2501.00002v2)

[Watch Video](https://e.org/v.mp4)
<div><video controls src="https://e.org/v.mp4" muted="false"></video></div>

Vote: -

"""


def read(text: str) -> Digest:
    digest = read_text(text)
    assert isinstance(digest, Digest)
    return digest


def test_a_new_digest_is_written_in_the_usual_form() -> None:
    assert write(NEW) == CANONICAL
    assert read(CANONICAL) == NEW


def test_several_new_digests() -> None:
    other = replace(NEW, date=datetime.date(2025, 1, 9))
    assert write([NEW, other]) == CANONICAL + CANONICAL.replace("2025-01-08", "2025-01-09")
    assert read_text(write([NEW, other])) == [NEW, other]


def test_a_digest_without_a_date() -> None:
    digest = Digest(None, NEW.entries)
    assert write(digest).startswith("## Daily Papers\n\n### ")
    assert read(write(digest)) == digest


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (lambda e: replace(e, votes=5), "Vote: 38", "Vote: 5"),
        (lambda e: replace(e, votes=None), "Vote: 38", "Vote: -"),
        (lambda e: replace(e, authors=("Ada Lovelace",)), "Ada Lovelace, Emmy Noether", "Ada Lovelace"),
        (lambda e: replace(e, authors=()), "Authors: Ada Lovelace, Emmy Noether\n\n", ""),
        (lambda e: replace(e, title="Trees"), "Planting Trees: Roots [and Leaves] in Graphs", "Trees"),
        (lambda e: replace(e, id="2412.00003"), "abs/2412.00001", "abs/2412.00003"),
        (lambda e: replace(e, version=2), "abs/2412.00001", "abs/2412.00001v2"),
        (lambda e: replace(e, picture=None), f"![]({PICTURE})\n\n", ""),
        (
            lambda e: replace(e, sections=(e.sections[0], DETAILS, e.sections[2])),
            "1. Roots are drawn. 2. Leaves follow.",
            "New.",
        ),
        (
            lambda e: replace(e, sections=(*e.sections, Section("Limits", "None."))),
            "3.5 times more leaves.\n",
            "3.5 times more leaves.\n- ***Limits***: None.\n",
        ),
        (
            lambda e: replace(e, sections=e.sections[1:]),
            "- ***What's New***: 나무를 심는 새로운 방법입니다.\n",
            "",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_change_shows_and_the_rest_stays(
    text: str, change: Callable[[Entry], Entry], old: str, new: str, newline: str
) -> None:
    text, old, new = (part.replace("\n", newline) for part in (text, old, new))
    digest = read(text)
    changed = replace(digest, entries=(change(digest.entries[0]), digest.entries[1]))
    assert text.count(old) == 1
    assert write(changed) == text.replace(old, new)
    assert read(write(changed)) == changed


def test_the_date_of_a_digest(text: str) -> None:
    changed = replace(read(text), date=datetime.date(2024, 12, 5))
    assert write(changed) == text.replace("2024-12-04", "2024-12-05")
    undated = replace(read(text), date=None)
    assert write(undated) == text.replace(" (2024-12-04)", "")
    assert write(replace(read(write(undated)), date=datetime.date(2024, 12, 4))) == text


def test_facts_that_were_missing_take_their_usual_place() -> None:
    head = "## Daily Papers (2024-12-04)\n\n### [A](https://arxiv.org/abs/2412.00001)\n\n"
    digest = read(head + "Authors: A B\n\n- **X**: y")
    entry = replace(digest.entries[0], votes=3, picture=Media("image", ("https://e.org/a.png",)))
    written = write(replace(digest, entries=(entry,)))
    assert written == head + "![](https://e.org/a.png)\n\nVote: 3\n\nAuthors: A B\n\n- **X**: y"


def test_entries_are_moved_removed_and_added(text: str) -> None:
    digest = read(text.rstrip("\n"))
    first, second = digest.entries
    turned = write(replace(digest, entries=(second, first)))
    assert [e.id for e in read(turned).entries] == ["2412.00002", "2412.00001"]
    assert read(turned).entries == (second, first)
    added = write(replace(digest, entries=(first, second, NEW.entries[0])))
    assert added.startswith(text.rstrip("\n") + "\n\n### [A New Paper]")
    assert read(added).entries == (first, second, NEW.entries[0])
    assert read(write(replace(digest, entries=(first,)))).entries == (first,)


def test_unknown_text_survives_a_change() -> None:
    head = "## Daily Papers (2024-12-04)\n\n### [A](https://arxiv.org/abs/2412.00001)\n\n"
    text = f"{head}Vote: 1\n\n> kept\n\n- ***X***: y\n\nthe tail\n---\n"
    digest = read(text)
    changed = replace(digest, entries=(replace(digest.entries[0], votes=2),))
    assert write(changed) == text.replace("Vote: 1", "Vote: 2")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Entry(id="2411.19870v2", title="T"), r"id: '2411.19870v2' is no arXiv identifier"),
        (lambda: Entry(id=None, title="a\nb"), r"title: 'a\\nb' has a line break"),
        (lambda: Entry(id=None, title="T", votes=-1), r"votes: -1 is negative"),
        (lambda: Entry(id=None, title="T", authors=("A, B",)), r"authors: 'A, B' is empty or has a comma"),
        (lambda: Section("a\nb", "x"), r"name: 'a\\nb' is not one line"),
        (lambda: Media("image", ()), r"urls: \(\) is not"),
        (lambda: Media("sound", ("x",)), r"kind: 'sound' is neither"),  # type: ignore[arg-type]
        (lambda: Digest(None, newline="x"), r"newline: 'x' is none of"),
    ],
)
def test_what_a_digest_cannot_hold_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_only_digests_are_written() -> None:
    with pytest.raises(TypeError, match="digest: str given"):
        write(["text"])  # type: ignore[list-item]
