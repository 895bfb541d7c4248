"""For any text: reading does not fail, and writing what was read gives the text back."""

from __future__ import annotations

import datetime
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sillok.digest import Digest, Entry, Media, Section, read_text, write

PIECES = st.sampled_from(
    [
        "## Daily Papers (2024-12-04)", "# Daily Papers", "## License", "### no link", "#### deeper",
        "### [A [b] c](https://arxiv.org/abs/2412.00001v2)", "### [B](https://huggingface.co/papers/2412.00002)",
        "![](https://e.org/a.png)", "[Watch Video](https://e.org/v.mp4)", "<video src='v'></video>", "<div>",
        "Vote: 3", "Vote: -", "Vote: x", "Authors: A B,", "Authors: C", "- ***What's New***: x", "- **A**:",
        "**B**: y", "- plain", "  indented", "1. one", "2) two", "```", "~~~ py", "> quote", "---", "<!--",
        "-->", "text", "\t", " ", "", "", "| a |", "|---|", "licensed under CC BY", "모델의 학습을", "\ufeff",
        "\u2028",
    ]
)  # fmt: skip
DOCUMENTS = st.lists(st.tuples(PIECES, st.sampled_from(["\n", "\n\n", "\r\n", "\r"])), max_size=25).map(
    lambda pairs: "".join(piece + end for piece, end in pairs)
)
ANY = st.one_of(DOCUMENTS, st.text(st.characters(exclude_characters="\0"), max_size=200))

LINE = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="[]()*_#<>`~|\\:：,-+.\"'!"), min_size=1
)
BLOCKS = st.sampled_from(["", "- a", "1. b", "> c", "```", "### [x](https://arxiv.org/abs/2412.00001)"])
TEXT = st.lists(st.one_of(LINE, BLOCKS), max_size=6).map(lambda lines: "\n".join(lines).strip())
SECTIONS = st.builds(Section, LINE, TEXT.filter(bool))
URLS = st.lists(
    st.from_regex(r"https://e\.org/[a-z]{1,9}", fullmatch=True), min_size=1, max_size=3, unique=True
)
ENTRIES = st.builds(
    Entry,
    id=st.from_regex(r"[0-9]{4}\.[0-9]{5}", fullmatch=True),
    title=st.lists(LINE, min_size=1, max_size=3).map(" ".join),
    version=st.none() | st.integers(1, 99),
    picture=st.none() | st.builds(Media, st.sampled_from(["image", "video"]), URLS.map(tuple)),
    votes=st.none() | st.integers(0, 10**6),
    authors=st.lists(LINE, max_size=4).map(tuple),
    sections=st.lists(SECTIONS, max_size=4).map(tuple),
)
DIGESTS = st.builds(
    Digest,
    st.dates(datetime.date(1000, 1, 1)),
    st.lists(ENTRIES, max_size=4).map(tuple),
    newline=st.sampled_from(["\n", "\r\n"]),
)


@settings(max_examples=400, deadline=None)
@given(ANY)
def test_any_text_returns(text: str) -> None:
    assert write(read_text(text)) == text


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS)
def test_lines_are_true(text: str) -> None:
    """The line of each entry and section is the line of the file where it begins."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    read = read_text(text)
    for digest in read if isinstance(read, list) else [read]:
        assert all(1 <= warning.line <= len(lines) for warning in digest.warnings)
        for entry in digest.entries:
            assert lines[entry.line - 1].startswith("#") and entry.title in lines[entry.line - 1]
            for section in entry.sections:
                assert entry.line < section.line <= entry.end_line
                first = section.name or section.text.split("\n")[0]
                assert first in lines[section.line - 1]


@settings(max_examples=200, deadline=None)
@given(DIGESTS)
def test_new_digests_read_back_equal(digest: Digest) -> None:
    assert read_text(write(digest)) == digest


@settings(max_examples=200, deadline=None)
@given(DOCUMENTS, st.integers(0, 999))
def test_a_change_of_votes_changes_one_line(text: str, votes: int) -> None:
    """A document with any variant in it: the votes of an entry change, and nothing else does."""
    read = read_text(text)
    for digest in read if isinstance(read, list) else [read]:
        for index, entry in enumerate(digest.entries):
            if not any(part.kind == "votes" for part in entry.source) or entry.votes == votes:
                continue
            changed = replace(entry, votes=votes)
            entries = (*digest.entries[:index], changed, *digest.entries[index + 1 :])
            before = write(digest).replace("\r\n", "\n").replace("\r", "\n").split("\n")
            after = (
                write(replace(digest, entries=entries)).replace("\r\n", "\n").replace("\r", "\n").split("\n")
            )
            different = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
            assert len(different) == 1 and different[0][1] == f"Vote: {votes}"
