"""Papers' texts from a folder of `<arXiv id>.txt|.html|.pdf|.md`."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from sillok.digest.text import Kind, PaperText, Passage

_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\Z")
_CAPTION = re.compile(r"(?:Table|Figure|Fig\.)\s*[0-9]+\s*[:.]")
_REFERENCES = re.compile(r"\W*(?:[0-9.]+\s+)?(?:references|bibliography)\W*\Z", re.IGNORECASE)


def read_plain(text: str, id: str, version: int | None = None) -> PaperText:
    """Read a paper from plain text or Markdown: headings, paragraphs, captions, tables of pipes."""
    passages: list[Passage] = []
    trail: list[tuple[int, str]] = []
    dropped: int | None = None
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        block = block.strip()
        while (line := block.partition("\n")[0]) and (match := _HEADING.fullmatch(line)):
            level, name = len(match[1]), match[2]
            block = block.partition("\n")[2].strip()
            if dropped is not None and level <= dropped:
                dropped = None
            if _REFERENCES.match(name):
                dropped = level
            trail = [pair for pair in trail if pair[0] < level]
            if level == 1 and not passages:
                passages.append(Passage("title", "", name))
            else:
                trail.append((level, name))
        if not block or dropped is not None:
            continue
        section = " / ".join(name for _, name in trail)
        kind: Kind = "abstract" if re.search(r"\babstract\b", section, re.IGNORECASE) else "paragraph"
        if block.startswith("|"):
            rows = [row.strip().strip("|") for row in block.split("\n")]
            rows = [row for row in rows if not re.fullmatch(r"[\s|:-]*", row)]
            cells = [" | ".join(cell.strip() for cell in row.split("|")) for row in rows]
            passages.append(Passage("table", section, "\n".join(cells)))
            continue
        if _CAPTION.match(block):
            kind = "caption"
        passages.append(Passage(kind, section, " ".join(block.split())))
    return PaperText(id, version, tuple(passages), "text")


def papers(path: str | os.PathLike[str]) -> Mapping[str, PaperText]:
    """Return the papers of a folder, read when asked for: `<arXiv id>.txt|.html|.pdf|.md`.

    Raises:
        ValueError: the folder does not exist.
    """
    if not Path(path).is_dir():
        raise ValueError(
            f"papers: {os.fspath(path)} is no folder; one with <arXiv id>.txt, .html, .pdf or .md is accepted"
        )
    if importlib.util.find_spec("sillok.digest.texts") is not None:
        found: Mapping[str, PaperText] = importlib.import_module("sillok.digest.texts").folder(path)
        return found
    return _Plain(Path(path))


class _Plain(Mapping[str, PaperText]):
    """Text and Markdown files only, until `sillok.digest.texts` reads all kinds."""

    def __init__(self, path: Path) -> None:
        self._paths: dict[str, Path] = {}
        for file in sorted(path.iterdir()):
            match = re.fullmatch(r"(.+?)(?:v[0-9]+)?", file.stem)
            if file.suffix in (".txt", ".md") and match:
                self._paths.setdefault(
                    re.sub(r"^([a-z-]+(?:\.[A-Z]{2})?)[_-](?=[0-9]{7})", r"\1/", match[1]), file
                )

    def __getitem__(self, id: str) -> PaperText:
        return read_plain(self._paths[id].read_text(encoding="utf-8", errors="replace"), id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
