"""Reading one file of a paper, and looking papers up in a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, get_args

from sillok.digest.model import ARXIV_ID
from sillok.digest.text import PaperText

FileKind = Literal["html", "pdf", "txt", "md"]

#: Pages of a PDF beyond this number are left out, with a warning.
MAX_PAGES = 200

#: Larger files are refused: a paper's HTML or PDF seldom passes 50 MB.
MAX_BYTES = 256 * 2**20

_SUFFIXES: dict[str, FileKind] = {
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".txt": "txt",
    ".md": "md",
}
_PREFERRED = (".html", ".htm", ".xhtml", ".md", ".txt", ".pdf")
_OLD = re.compile(r"(?P<archive>[a-z]+(?:-[a-z]+)?(?:\.[A-Z]{2})?)[_-](?P<number>[0-9]{7})")


def read_text_of(
    source: str | os.PathLike[str] | bytes,
    *,
    id: str,
    version: int | None = None,
    kind: FileKind | None = None,
    max_pages: int = MAX_PAGES,
) -> PaperText:
    """Read the text of one paper from a file or from its bytes.

    Args:
        source: a path, or the file's content.
        id: arXiv identifier without version.
        version: where the caller knows it; else what the file itself says, or None.
        kind: "html", "pdf", "txt" or "md"; by default what the path's suffix or the first bytes tell.
        max_pages: of a PDF; what is left out stands in the text's warnings.

    Returns:
        Passages in reading order, references left out. A file without any text (a scanned PDF) gives no
        passages and a warning.

    Raises:
        ValueError: an empty, encrypted or damaged file, one that is too large, or a kind that is not read.
        TypeError: `source` is neither path nor bytes.
        ImportError: the extra `digest` is not installed.
    """
    if kind is not None and kind not in get_args(FileKind):
        raise ValueError(f"kind: {kind!r} is none of {', '.join(get_args(FileKind))}")
    if max_pages < 1:
        raise ValueError(f"max_pages: {max_pages} given; at least 1 is accepted")
    if isinstance(source, bytes):
        data, name = source, f"the text of {id}"
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source)
        name = path.name
        kind = kind or _SUFFIXES.get(path.suffix.lower())
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ValueError(f"{name}: {size:,} bytes; at most {MAX_BYTES:,} are read")
        data = path.read_bytes()
    else:
        raise TypeError(f"source: {source!r} is {type(source).__name__}; a path or bytes are accepted")
    if not data.strip():
        raise ValueError(f"{name}: an empty file")
    return _parse(data, kind or _sniffed(data), name, id, version, max_pages)


def _parse(data: bytes, kind: FileKind, name: str, id: str, version: int | None, max_pages: int) -> PaperText:
    try:
        if kind == "pdf":
            from sillok.digest.texts import pdf

            return pdf.parse(data, id=id, version=version, name=name, max_pages=max_pages)
        if kind == "html":
            from sillok.digest.texts import html

            return html.parse(data, id=id, version=version, name=name)
    except ImportError as error:
        raise ImportError(
            f"reading {kind.upper()} needs {error.name}, which is not installed: pip install 'sillok[digest]'"
        ) from None
    from sillok.digest.texts import plain

    return plain.parse(data, id=id, version=version, markdown=kind == "md")


def _sniffed(data: bytes) -> FileKind:
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if b"%PDF-" in start:
        return "pdf"
    return "html" if re.match(rb"<(?:!doctype|\?xml|html|head|body|article|!--)", start, re.I) else "txt"


def parse_name(stem: str) -> tuple[str, int | None] | None:
    """Return the identifier and version that a file's name without suffix means, or None.

    Identifiers from before April 2007 have a slash; in a name it is "_" or "-": "cs_0112017v2".
    """
    match = re.fullmatch(r"(?P<id>.+?)(?:v(?P<version>[0-9]{1,4}))?", stem)
    if match is None:
        return None
    version = int(match["version"]) if match["version"] else None
    old = _OLD.fullmatch(match["id"])
    id = f"{old['archive']}/{old['number']}" if old else match["id"]
    return (id, version) if ARXIV_ID.fullmatch(id) else None


class Folder(Mapping[str, PaperText]):
    """Papers' texts in a folder, by arXiv identifier; a text is read when it is asked for.

    `papers["2411.19870"]` is the newest version that lies there, `papers["2411.19870v1"]` that one. Where a
    paper lies there in several forms, HTML comes before Markdown, text and PDF.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_pages: int = MAX_PAGES) -> None:
        root = Path(path)
        if not root.is_dir():
            raise ValueError(f"path: {str(path)!r} is no folder")
        self.root = root
        self._max_pages = max_pages
        self._files: dict[str, dict[int | None, Path]] = {}
        rank = {suffix: index for index, suffix in enumerate(_PREFERRED)}
        found = [file for file in root.iterdir() if file.suffix.lower() in rank and file.is_file()]
        for file in sorted(found, key=lambda file: (rank[file.suffix.lower()], file.name)):
            named = parse_name(file.stem)
            if named is not None:
                self._files.setdefault(named[0], {}).setdefault(named[1], file)

    def path(self, id: str) -> Path:
        """The file that is read for an identifier, with or without version.

        Raises:
            KeyError: there is none.
        """
        named = parse_name(id) or (id, None)
        versions = self._files[named[0]]
        if named[1] is not None:
            # A file without version in its name serves where the asked one does not lie there by name.
            return versions[named[1]] if named[1] in versions else versions[None]
        return versions[max(versions, key=lambda version: -1 if version is None else version)]

    def __getitem__(self, id: str) -> PaperText:
        file = self.path(id)
        named = parse_name(file.stem)
        assert named is not None
        return read_text_of(file, id=named[0], version=named[1], max_pages=self._max_pages)

    def __contains__(self, id: object) -> bool:
        try:
            return isinstance(id, str) and self.path(id) is not None
        except KeyError:
            return False

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._files))

    def __len__(self) -> int:
        return len(self._files)


def folder(path: str | os.PathLike[str], *, max_pages: int = MAX_PAGES) -> Folder:
    """Return the papers' texts of a folder: files named `<arXiv id>.txt|.html|.pdf|.md`.

    Raises:
        ValueError: there is no such folder.
    """
    return Folder(path, max_pages=max_pages)
