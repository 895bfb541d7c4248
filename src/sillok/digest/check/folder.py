"""Papers' texts from a folder of `<arXiv id>.txt|.html|.pdf|.md`."""

from __future__ import annotations

import re

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
