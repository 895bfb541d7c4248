"""The real digests beside the checkout (`SILLOK_SHARED`, or ../shared): read whole, written back byte by
byte.

They cannot be in the repository (their licence), so a checkout without them has no tests here.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sillok import digest

SHARED = Path(os.environ.get("SILLOK_SHARED") or Path(__file__).parents[3] / "shared")
ENTRIES = {"2024-10-04": 27, "2024-11-21": 11, "2024-12-04": 50, "2024-12-11": 27, "2025-01-08": 15}

if (SHARED / "digests").is_dir():

    @pytest.mark.parametrize("date", ENTRIES)
    @pytest.mark.parametrize("form", ["as it is", "crlf", "bom", "no final newline"])
    def test_bytes_return(date: str, form: str, tmp_path: Path) -> None:
        data = (SHARED / "digests" / f"{date}.md").read_bytes()
        if form == "crlf":
            data = data.replace(b"\n", b"\r\n")
        elif form == "bom":
            data = b"\xef\xbb\xbf" + data
        elif form == "no final newline":
            data = data.rstrip(b"\n")
        path = tmp_path / "digest.md"
        path.write_bytes(data)
        read = digest.read(path)
        assert isinstance(read, digest.Digest)
        assert digest.write(read).encode() == data
        assert str(read.date) == date
        assert len(read.entries) == ENTRIES[date]
        assert read.warnings == ()

    @pytest.mark.parametrize("date", ENTRIES)
    def test_every_part_is_understood(date: str) -> None:
        read = digest.read(SHARED / "digests" / f"{date}.md")
        assert isinstance(read, digest.Digest)
        lines = (SHARED / "digests" / f"{date}.md").read_text("utf-8").split("\n")
        for entry in read.entries:
            assert entry.id is not None and entry.picture is not None and entry.authors
            assert entry.url == f"https://arxiv.org/abs/{entry.id}"
            names = [section.name for section in entry.sections]
            assert names[:3] == ["What's New", "Technical Details", "Performance Highlights"][: len(names)]
            assert not entry.other
            assert entry.title in lines[entry.line - 1]
            assert all(section.text in lines[section.line - 1] for section in entry.sections)
            assert lines[entry.end_line - 1] and not lines[entry.end_line]

    def test_facts() -> None:
        read = digest.read(SHARED / "digests" / "2024-10-04.md")
        assert isinstance(read, digest.Digest)
        first = read.entries[0]
        assert (first.id, first.votes, len(first.authors)) == ("2410.02740", 38, 12)
        assert [entry.votes for entry in read.entries].count(None) == 1
        assert {s.style for entry in read.entries for s in entry.sections} == {"**"}

    def test_rewriting_everything_changes_nothing() -> None:
        """The usual form is the archive's: without the source text, the newer files are written the same."""
        for date in ("2024-11-21", "2024-12-04", "2025-01-08"):
            read = digest.read(SHARED / "digests" / f"{date}.md")
            assert isinstance(read, digest.Digest)
            bare = digest.Digest(
                read.date,
                tuple(
                    digest.Entry(e.id, e.title, None, None, e.picture, e.votes, e.authors, e.sections)
                    for e in read.entries
                ),
            )
            assert digest.write(bare) == (SHARED / "digests" / f"{date}.md").read_text("utf-8")
