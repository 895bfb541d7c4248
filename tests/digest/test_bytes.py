"""Digests from bytes in memory are read as the same bytes in a file are."""

from __future__ import annotations

from pathlib import Path

import pytest

from sillok import digest

TEXT = "## Daily Papers (2025-02-03)\n\n### [나무](https://arxiv.org/abs/2502.00001)\n\nVote: 3\n"


@pytest.mark.parametrize(
    "data", [TEXT.encode(), b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode(), TEXT.encode() + b"\xea"]
)
def test_bytes_are_read_as_a_file_is(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "d.md").write_bytes(data)
    assert digest.read_bytes(data) == digest.read(tmp_path / "d.md")
    assert digest.write(digest.read_bytes(data)) == digest.write(digest.read(tmp_path / "d.md"))


def test_what_is_no_text_is_refused_by_its_name() -> None:
    for data, said in ((b"a\0", "x.md: binary data"), (TEXT.encode("utf-16"), "x.md: UTF-16")):
        with pytest.raises(digest.DigestError, match=said):
            digest.read_bytes(data, name="x.md")
    with pytest.raises(digest.DigestError, match="more than the limit of 3"):
        digest.read_bytes(b"abcd", max_bytes=3)
    with pytest.raises(TypeError, match="bytes are accepted"):
        digest.read_bytes(TEXT)  # type: ignore[arg-type]
