"""Files that are no digests: one clear line, or a partial read with warnings; never a traceback or a hang."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sillok.digest import Digest, DigestError, read, read_text, write

HEAD = "## Daily Papers (2024-12-04)\n\n### [T](https://arxiv.org/abs/2412.00001)\n\n"


def refused(path: Path | str, **limits: int) -> str:
    with pytest.raises(DigestError) as caught:
        read(path, **limits)
    message = str(caught.value)
    assert "\n" not in message and os.fspath(path) in message.replace("\\x00", "\0")
    return message


def test_no_file(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "none.md")
    assert "a directory" in refused(tmp_path)
    assert "no file name" in refused("a\0b")
    assert "cannot be read" in refused(tmp_path / ("x" * 300))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refused(tmp_path / "pipe")


def test_wrong_types() -> None:
    with pytest.raises(TypeError, match="path: 3 is int"):
        read(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="text: bytes given"):
        read_text(b"")  # type: ignore[arg-type]


def test_binary(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" * 20)
    assert "binary data" in refused(path)
    with pytest.raises(DigestError, match="NUL"):
        read_text("a\0b")


@pytest.mark.parametrize("encoding", ["cp949", "utf-16", "latin-1"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    text = "é" * 40 if encoding == "latin-1" else "모델의 학습을 다룬 논문" * 20
    path = tmp_path / "a.md"
    path.write_bytes(text.encode(encoding))
    assert "UTF-8" in refused(path)


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    with path.open("wb") as file:
        file.truncate(200 * 2**20)  # sparse: no disk is used, and the file is refused before it is read
    assert "209,715,200 bytes are more than the limit of 67,108,864" in refused(path)
    path.write_bytes(HEAD.encode())
    assert "limit of 10" in refused(path, max_bytes=10)
    assert read(path, max_bytes=100) == read_text(HEAD)
    with pytest.raises(DigestError, match="limit of 10"):
        read_text(HEAD, max_bytes=10)


@pytest.mark.parametrize("lost", [1, 2])
def test_cut_in_the_middle_of_a_character(tmp_path: Path, lost: int) -> None:
    data = (HEAD + "Vote: 3\n\n- ***What's New***: 모델").encode()
    path = tmp_path / "a.md"
    path.write_bytes(data[:-lost])
    digest = read(path)
    assert isinstance(digest, Digest)
    assert [s.text for s in digest.entries[0].sections] == ["모"] and digest.entries[0].votes == 3
    assert [(w.line, "middle of a character" in w.message) for w in digest.warnings] == [(7, True)]


def test_a_few_bad_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes((HEAD + "Vote: 3\n\n- ***A***: x").encode() + b"\xffy\n")
    digest = read(path)
    assert isinstance(digest, Digest)
    assert digest.entries[0].sections[0].text == "x\ufffdy"
    assert [(w.line, "1 bad bytes" in w.message) for w in digest.warnings] == [(7, True)]


def test_cut_anywhere(text: str) -> None:
    for end in range(0, len(text), 7):
        assert write(read_text(text[:end])) == text[:end]


N = 30_000
DEEP = {
    "quotations": ">" * N,
    "quotations with spaces": "> " * N,
    "list items": "- " * N,
    "indented lists": "".join(" " * 2 * i + "- a\n" for i in range(700)),
    "quoted lists": ("> - " * 9 + "a\n") * 500,
    "brackets": "[" * N,
    "images": "![" * N,
    "video labels": "[" + "video" * 200_000,
    "emphasis": "- " + "**a" * N,
    "tags": "<div><video>" * N,
    "open tags": "<div " * N,
    "longer and longer fences": "".join("`" * i + "\n" for i in range(3, 400)),
    "shorter and shorter fences": "".join("`" * i + "\n" for i in range(400, 3, -1)),
    "fences that close nothing": "~~~ x\n" * 100_000,
    "comments": "<!--\n" * 2000,
    "link in heading": "### " + "[a](" * N,
    "rules": "- a\n" + "---\n" * 2000 + "Vote: 3\n",
    "empty headings": "#\n" * N,
    "one entry of many lines": "- a\n" * N,
    "entries": "### [T](https://arxiv.org/abs/2412.00001)\n" * 1000,
    "one long line": "- ***A***: " + "word <b " * N,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", DEEP)
def test_hostile_text_is_read_and_kept(name: str) -> None:
    """Each takes well under a second; quadratic time would take minutes, and the limit above is the test."""
    text = HEAD + DEEP[name]
    assert write(read_text(text)) == text


def test_an_endless_entry_is_kept_with_a_warning() -> None:
    digest = read_text(HEAD + "Vote: 3\n" + "- a\n" * 6000)
    assert isinstance(digest, Digest)
    entry = digest.entries[0]
    assert (entry.votes, entry.end_line, len(entry.sections)) == (3, 6005, 4997)
    assert entry.other == ("\n".join(["- a"] * 1003),)
    assert [(w.line, "more than 5000 lines" in w.message) for w in digest.warnings] == [(5003, True)]


@pytest.mark.parametrize("blank", [4990, 4997, 4998, 5000, 6000])
def test_endless_blank_lines_are_no_text(blank: int) -> None:
    text = HEAD + "Vote: 3\n" + "\n" * blank
    digest = read_text(text)
    assert isinstance(digest, Digest) and write(digest) == text
    assert (digest.warnings, digest.entries[0].other, digest.entries[0].end_line) == ((), (), 5)
    text = HEAD + "- ***A***: x\n\n---\n" + "\n" * blank
    digest = read_text(text)
    assert isinstance(digest, Digest) and write(digest) == text
    assert digest.tail == "---\n" + "\n" * blank and digest.entries[0].end_line == 5
