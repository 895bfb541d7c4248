"""The forms of digests that occur in the wild, one test each."""

from __future__ import annotations

import datetime

import pytest

from sillok.digest import Digest, Entry, read_text, write

HEAD = "## Daily Papers (2024-12-04)\n\n### [A Paper](https://arxiv.org/abs/2412.00001)\n\n"


def one(text: str) -> Digest:
    read = read_text(text)
    assert isinstance(read, Digest)
    assert write(read) == text
    return read


def entry(body: str, head: str = HEAD) -> Entry:
    read = one(head + body)
    assert len(read.entries) == 1
    return read.entries[0]


def named(entry: Entry) -> list[tuple[str | None, str]]:
    return [(section.name, section.text) for section in entry.sections]


def test_the_usual_form(text: str) -> None:
    read = one(text)
    assert (read.date, read.line, read.warnings) == (datetime.date(2024, 12, 4), 1, ())
    first, second = read.entries
    assert (first.id, first.version, first.votes) == ("2412.00001", None, 38)
    assert first.title == "Planting Trees: Roots [and Leaves] in Graphs"
    assert first.authors == ("Ada Lovelace", "Emmy Noether")
    assert first.picture is not None and first.picture.kind == "image"
    assert first.picture.urls == ("https://cdn.example.org/social-thumbnails/papers/2412.00001.png",)
    assert named(first) == [
        ("What's New", "나무를 심는 새로운 방법입니다."),
        ("Technical Details", "1. Roots are drawn. 2. Leaves follow."),
        ("Performance Highlights", "3.5 times more leaves."),
    ]
    assert [s.line for s in first.sections] == [11, 12, 13]
    assert (first.line, first.end_line, second.line, second.end_line) == (3, 13, 15, 24)
    assert [s.style for s in first.sections + second.sections] == ["***"] * 3 + ["**"] * 2
    assert second.votes is None
    assert second.section("limits") is second.sections[1]
    assert second.section("none") is None


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_line_endings(text: str, newline: str) -> None:
    read = one(text.replace("\n", newline))
    assert read.entries == one(text).entries
    assert [e.line for e in read.entries] == [3, 15]
    assert read.entries[1].sections[1].line == 24


def test_byte_order_mark(text: str) -> None:
    read = one("\ufeff" + text)
    assert read.bom and read.date == datetime.date(2024, 12, 4) and read.preamble == ""


@pytest.mark.parametrize(
    ("url", "id", "version"),
    [
        ("https://arxiv.org/abs/2411.19870v2", "2411.19870", 2),
        ("http://arxiv.org/pdf/2411.19870", "2411.19870", None),
        ("https://arxiv.org/pdf/2411.19870v3.pdf", "2411.19870", 3),
        ("https://huggingface.co/papers/2411.19870", "2411.19870", None),
        ("https://www.arxiv.org/html/2411.19870v1#S3", "2411.19870", 1),
        ("https://arxiv.org/abs/cs/0112017", "cs/0112017", None),
        ("https://arxiv.org/abs/hep-th/9901001v2", "hep-th/9901001", 2),
    ],
)
def test_links(url: str, id: str, version: int | None) -> None:
    read = one(f"## Daily Papers (2024-12-04)\n\n### [T]({url})\n\nVote: 1\n")
    assert (read.entries[0].id, read.entries[0].version, read.entries[0].url) == (id, version, url)
    assert read.warnings == ()


@pytest.mark.parametrize(
    ("vote", "expected"), [("0", 0), ("1,234", 1234), ("-", None), ("–", None), ("", None)]
)
def test_votes(vote: str, expected: int | None) -> None:
    read = one(f"{HEAD}Vote: {vote}\n")
    assert read.entries[0].votes == expected and read.warnings == ()


def test_votes_that_are_no_number() -> None:
    read = one(f"{HEAD}Vote: many\n\nAuthors: A B\n")
    assert read.entries[0].votes is None and read.entries[0].other == ("Vote: many",)
    assert read.entries[0].authors == ("A B",)
    assert [w.line for w in read.warnings] == [5] and "'many'" in read.warnings[0].message


def test_no_blank_lines() -> None:
    text = (
        "## Daily Papers (2024-12-04)\n### [A](https://arxiv.org/abs/2412.00001)\n![](https://e.org/a.png)\n"
        "Vote: 3\nAuthors: A B, C D\n- ***What's New***: x\n- ***Technical Details***: y\n"
        "### [B](https://arxiv.org/abs/2412.00002)\n***What's New***: p\n***Technical Details***: q"
    )
    first, second = one(text).entries
    assert (first.votes, first.authors) == (3, ("A B", "C D")) and first.picture is not None
    assert named(first) == [("What's New", "x"), ("Technical Details", "y")]
    assert named(second) == [("What's New", "p"), ("Technical Details", "q")]


VIDEO = "https://cdn.example.org/v.mp4"
TAG = f'<video controls src="{VIDEO}" muted="false"></video>'


@pytest.mark.parametrize(
    "lines",
    [
        f"[Watch Video]({VIDEO})",
        f"[Watch Video]{VIDEO}",
        f"[Watch Video]({VIDEO})\n<div>{TAG}</div>",
        f"[Watch Video]({VIDEO})\n\n{TAG}",
        f"<div>\n{TAG}\n</div>",
        f"<video controls>\n<source src='{VIDEO}' type='video/mp4'>\n</video>",
        f"<video src={VIDEO}>no video here</video>",
    ],
)
@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_video(lines: str, gap: str) -> None:
    read = entry(f"{lines}{gap}Vote: 3{gap}- ***What's New***: x\n")
    assert read.picture is not None
    assert (read.picture.kind, read.picture.urls) == ("video", (VIDEO,))
    assert read.votes == 3 and named(read) == [("What's New", "x")] and read.other == ()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("- **What's New:** colon inside\n", [("What's New", "colon inside")]),
        ("* __Other__: under\n", [("Other", "under")]),
        ("***Late***: one\n\n***Early***: two\n", [("Late", "one"), ("Early", "two")]),
        ("- first point\n- second point\n", [(None, "first point"), (None, "second point")]),
        ("1. first\n2. second\n", [(None, "first"), (None, "second")]),
        ("One.\n\nTwo,\nof two lines.\n", [(None, "One."), (None, "Two,\nof two lines.")]),
        ("- **Foo** is a sentence: not a name\n", [(None, "**Foo** is a sentence: not a name")]),
        ("- **A**:\n  1. one\n  2. two\n- **B**: x\n", [("A", "1. one\n2. two"), ("B", "x")]),
        ("- **A**: x\n1. one\n2. **two**: 2\n- **B**: y\n", [("A", "x\n1. one\n2. **two**: 2"), ("B", "y")]),
        ("- **A**:\n- one\n- two\n- **B**: y\n", [("A", "- one\n- two"), ("B", "y")]),
        ("**A**:\n- **k**: two\n```\nc\n```\n**B**: y\n", [("A", "- **k**: two\n```\nc\n```"), ("B", "y")]),
        ("#### **A**\n\np\n\n> q\n\n#### B:\nr\n", [("A", "p\n\n> q"), ("B", "r")]),
        ("- **A**: x\ny\n\n  z\n", [("A", "x\ny\n\nz")]),
        ("- **A**: 1) x 2) y, v2.0, 3 %\n", [("A", "1) x 2) y, v2.0, 3 %")]),
        ("", []),
    ],
)  # fmt: skip
def test_summaries(body: str, expected: list[tuple[str | None, str]]) -> None:
    read = one(HEAD + body)
    assert named(read.entries[0]) == expected
    assert read.entries[0].other == () and read.warnings == ()


def test_parts_in_any_order() -> None:
    read = entry("- ***B***: y\n- ***A***: x\n\nAuthors: P Q\n\nVote: 7\n\n![](https://e.org/a.png)\n")
    assert [s.name for s in read.sections] == ["B", "A"]
    assert (read.votes, read.authors) == (7, ("P Q",)) and read.picture is not None


def test_several_digests_with_preamble_and_licence() -> None:
    preamble = (
        "# Daily Papers\n\nAn [archive](https://huggingface.co/papers).\n\n### How to read\n\nSlowly.\n\n"
    )
    second = "## Daily Papers (2024-12-05)\n\n### [B](https://arxiv.org/abs/2412.00001)\n\nVote: 2\n\n"
    tail = (
        "## License\n\n[CC0](https://creativecommons.org/zero)\n\n### Citation\n\n```bibtex\n@misc{x}\n```\n"
    )
    text = preamble + HEAD + "- ***A***: x\n\n" + second + tail
    read = read_text(text)
    assert isinstance(read, list) and write(read) == text
    assert [str(d.date) for d in read] == ["2024-12-04", "2024-12-05"]
    assert [len(d.entries) for d in read] == [1, 1]
    assert (read[0].preamble, read[1].preamble, read[1].tail) == (preamble, "", tail)
    assert (read[0].line, read[1].line) == (9, 15)
    assert all(d.warnings == () for d in read)


@pytest.mark.parametrize(
    "tail",
    [
        "---\n\nThis work is free.\n",
        "This work is licensed under CC BY 4.0.\n",
        '<a rel="license" href="https://creativecommons.org/licenses/by/4.0/">CC</a>\n',
        "### License\n\nCC0\n",
    ],
)
def test_licence_below_the_last_entry(tail: str) -> None:
    read = one(f"{HEAD}- ***A***: x\n\n{tail}")
    assert read.tail == tail and len(read.entries) == 1
    assert named(read.entries[0]) == [("A", "x")] and read.entries[0].end_line == 5


def test_text_above_the_first_entry() -> None:
    read = one("## Daily Papers (2024-12-04)\n\nToday: trees.\n\n### [A](https://arxiv.org/abs/2412.00001)\n")
    assert read.intro == "Today: trees.\n\n" and len(read.entries) == 1


def test_rules_between_entries() -> None:
    read = one(f"{HEAD}A paragraph.\n---\n\n### [B](https://arxiv.org/abs/2412.00002)\n")
    assert [e.other for e in read.entries] == [("---",), ()]
    assert named(read.entries[0]) == [(None, "A paragraph.")] and read.warnings == ()


def test_duplicates_are_kept() -> None:
    read = one(HEAD + "Vote: 1\n\n### [Again](https://arxiv.org/pdf/2412.00001v2)\n\nVote: 2\n")
    assert [e.votes for e in read.entries] == [1, 2] and read.ids == ("2412.00001",)
    assert [w.line for w in read.warnings] == [7] and "line 3" in read.warnings[0].message


@pytest.mark.parametrize(
    ("heading", "title", "url"),
    [
        ("### A heading without a link", "A heading without a link", None),
        ("### [Elsewhere](https://example.org/x)", "Elsewhere", "https://example.org/x"),
        ("### [Empty]()", "Empty", None),
        ("###", "", None),
    ],
)
def test_headings_that_link_to_no_paper(heading: str, title: str, url: str | None) -> None:
    read = one(f"{HEAD}Vote: 1\n\n{heading}\n\nVote: 2\n\n- ***A***: x\n")
    second = read.entries[1]
    assert (second.id, second.title, second.url, second.votes) == (None, title, url, 2)
    assert [w.line for w in read.warnings] == [7]


@pytest.mark.parametrize(
    "heading",
    [
        "### 1. [A Paper](https://arxiv.org/abs/2412.00001)",
        "### **[A Paper](https://arxiv.org/abs/2412.00001)**",
        "### [A Paper](<https://arxiv.org/abs/2412.00001> \"title\") ###",
        "# [A Paper](https://arxiv.org/abs/2412.00001)",
        "##### [A Paper](https://arxiv.org/abs/2412.00001)",
        "###[A Paper](https://arxiv.org/abs/2412.00001)",
        "### A Paper (https://arxiv.org/abs/2412.00001)",
    ],
)  # fmt: skip
def test_other_headings(heading: str) -> None:
    read = one(f"## Daily Papers (2024-12-04)\n\n{heading}\n\nVote: 4\n")
    assert [(e.id, e.title, e.votes) for e in read.entries] == [("2412.00001", "A Paper", 4)]
    assert read.warnings == ()


def test_two_links_in_a_heading() -> None:
    heading = "### [A Paper](https://arxiv.org/abs/2412.00001) ([code](https://example.org/c))"
    read = one(f"## Daily Papers (2024-12-04)\n\n{heading}\n")
    assert (read.entries[0].id, read.entries[0].title) == ("2412.00001", "A Paper")
    assert [w.line for w in read.warnings] == [3]


def test_code_and_comments_hold_no_entries() -> None:
    fake = "### [Fake](https://arxiv.org/abs/2412.00009)"
    text = f"{HEAD}- ***A***: x\n\n```\n{fake}\n```\n\n<!--\n{fake}\n-->\n\n### [B](https://arxiv.org/abs/2412.00002)\n"
    read = one(text)
    assert read.ids == ("2412.00001", "2412.00002")
    assert [w.line for w in read.warnings] == [7, 7, 11, 11]


def test_an_unclosed_fence_hides_nothing() -> None:
    read = one(f"{HEAD}- ***A***: x\n\n```\ncode\n\n### [B](https://arxiv.org/abs/2412.00002)\n\nVote: 2\n")
    assert read.ids == ("2412.00001", "2412.00002") and read.entries[1].votes == 2


def test_what_is_not_understood_is_kept() -> None:
    read = one(
        f"{HEAD}Vote: 1\n\n- ***A***: x\n\n> a quotation\n\n## Interlude\n\ntext\n\n### [B](https://arxiv.org/abs/2412.00002)\n"
    )
    assert read.entries[0].other == ("> a quotation", "## Interlude\n\ntext")
    assert [w.line for w in read.warnings] == [9, 11]
    assert named(read.entries[0]) == [("A", "x")]


def test_dates() -> None:
    read = one("## Daily Papers (2024-02-30)\n\n### [A](https://arxiv.org/abs/2412.00001)\n")
    assert read.date is None and [w.line for w in read.warnings] == [1]
    bare = one("### [A](https://arxiv.org/abs/2412.00001)\n\nVote: 1\n")
    assert bare.date is None and bare.ids == ("2412.00001",) and [w.line for w in bare.warnings] == [1]


@pytest.mark.parametrize("text", ["", "\n\n", "Just a letter.\n", "# Title\n\n### No digest\n"])
def test_no_digest(text: str) -> None:
    read = one(text)
    assert read.entries == () and read.preamble == text and len(read.warnings) == 1
