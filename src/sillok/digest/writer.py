"""Writing digests: what was read and not changed comes out as the same bytes, the rest in the usual form."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sillok.digest.escape import escape_title
from sillok.digest.headings import replace_date
from sillok.digest.model import Digest, Entry, Media, Part, Section

_BLOCK = re.compile(r"(?:[-*+]|[0-9]{1,9}[.)])[ \t]|[>#|<]|`{3}|~{3}")
_FACTS = ("picture", "votes", "authors")


def write(digest: Digest | Iterable[Digest]) -> str:
    """Return the Markdown text of a digest or of several in one file.

    For what `read` returned unchanged, the text encoded as UTF-8 is the file that was read. A part that was
    changed (by `dataclasses.replace`) or made in Python is written in the form of newer digests: "***" around
    section names, one blank line between parts, "Vote: -" without votes.

    Raises:
        TypeError: something else than digests.
    """
    digests = [digest] if isinstance(digest, Digest) else list(digest)
    out = _Text()
    for index, one in enumerate(digests):
        if not isinstance(one, Digest):
            raise TypeError(f"digest: {type(one).__name__} given; a Digest or several are accepted")
        out.newline = one.newline
        if one.bom and index == 0:
            out.add("\ufeff")
        _digest(out, one)
    return "".join(out.pieces)


class _Text:
    """The text so far; knows the line ending, and that a part begins on a line of its own."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.newline = "\n"

    def add(self, text: str) -> None:
        """Add text as it stands."""
        if text:
            self.pieces.append(text)

    def start_line(self) -> None:
        """End an unfinished line and leave a blank one (only where a part was added after it)."""
        if self.pieces and self.pieces[-1] != "\ufeff" and self.pieces[-1][-1] not in "\r\n":
            self.add(self.newline * 2)

    def part(self, body: str, gap: str | None = None) -> None:
        """Add one part; `body` has "\\n" inside, `gap` is the source's white space after it, if any."""
        self.start_line()
        self.add(body.replace("\n", self.newline) if self.newline != "\n" else body)
        self.add(self.newline * 2 if gap is None else gap)


def _digest(out: _Text, digest: Digest) -> None:
    if digest.preamble:
        out.add(digest.preamble)
    source = digest.source
    if source is not None and source.value == digest.date:
        if source.body:
            out.start_line()
        out.add(source.body + source.gap)
    elif source is not None and source.body:
        out.start_line()
        out.add(replace_date(source.body, digest.date) + source.gap)
    elif digest.date is not None or digest.entries or digest.intro:
        out.part("## Daily Papers" + (f" ({digest.date.isoformat()})" if digest.date is not None else ""))
    out.add(digest.intro)
    for entry in digest.entries:
        _entry(out, entry)
    if digest.tail:
        out.start_line()
        out.add(digest.tail)


def _entry(out: _Text, entry: Entry) -> None:
    values = {"picture": entry.picture, "votes": entry.votes, "authors": entry.authors}
    read = {part.kind for part in entry.source}
    sections = tuple(part.value for part in entry.source if part.kind == "section")
    others = tuple(part.value for part in entry.source if part.kind == "other")
    written: set[str] = set()

    def facts(before: str) -> None:
        """Write the facts that the source does not have, where they usually stand."""
        for kind in _FACTS[: _FACTS.index(before) if before in _FACTS else None]:
            if (
                kind not in read
                and kind not in written
                and (values[kind] or (kind == "votes" and _says_votes(entry)))
            ):
                out.part(_fact(kind, values[kind]))
            written.add(kind)

    for part in entry.source or (Part("heading", "", "", None),):
        if part.kind != "heading" and part.kind not in written:
            facts(part.kind)
        if part.kind == "heading":
            same = part.value == (entry.id, entry.version, entry.title, entry.url)
            body = part.body if same else _heading(entry, part.body)
            _keep(out, part, body)
        elif part.kind in _FACTS:
            value = values[part.kind]
            if value == part.value:
                _keep(out, part, part.body)
            elif value or part.kind == "votes":
                _keep(out, part, _fact(part.kind, value))
            written.add(part.kind)
        elif part.kind == "section" and sections == entry.sections:
            _keep(out, part, part.body)
        elif part.kind == "section" and "section" not in written:
            written.add("section")
            _sections(out, entry)
        elif part.kind == "other" and others == entry.other:
            _keep(out, part, part.body)
    facts("section")
    if "section" not in read and entry.sections:
        _sections(out, entry)
    if others != entry.other:
        for text in entry.other:
            out.part(text)


def _says_votes(entry: Entry) -> bool:
    """A new entry says "Vote: -" when it has none; one that was read without the line stays without."""
    return entry.votes is not None or not entry.source


def _keep(out: _Text, part: Part, body: str) -> None:
    """Write a part with the white space that followed it in its source."""
    if not part.gap and not part.body:
        out.part(body)
    elif body == part.body:
        out.start_line()
        out.add(part.body)
        out.add(part.gap)
    else:
        out.part(body, part.gap)


def _heading(entry: Entry, source: str) -> str:
    marks = re.match(r"#{1,6}", source)
    level = marks[0] if marks else "###"
    return (
        f"{level} [{escape_title(entry.title)}]({entry.url})"
        if entry.url is not None
        else f"{level} {entry.title}"
    )


def _fact(kind: str, value: object) -> str:
    if isinstance(value, Media):
        if value.kind == "image":
            return "\n".join(f"![]({url})" for url in value.urls)
        tag = '<div><video controls src="{}" muted="false"></video></div>'
        return "\n".join(f"[Watch Video]({url})\n{tag.format(url)}" for url in value.urls)
    if isinstance(value, tuple):
        return "Authors: " + ", ".join(value)
    return f"Vote: {'-' if value is None else value}"


def _sections(out: _Text, entry: Entry) -> None:
    """Write changed sections; those that were read and are still there keep their source text."""
    source = [part for part in entry.source if part.kind == "section"]
    bodies = {id(part.value): part.body for part in source}
    for index, section in enumerate(entry.sections):
        last = index == len(entry.sections) - 1
        following = None if last else entry.sections[index + 1]
        listed = bool(section.marker) and following is not None and bool(following.marker)
        gap = out.newline * (1 if listed else 2)
        raw = bodies.get(id(section))
        if raw is None:
            out.part(_section(section), gap)
        else:
            out.start_line()
            out.add(raw)
            out.add(gap)


def _section(section: Section) -> str:
    text = section.text.replace("\r\n", "\n").replace("\r", "\n").strip()
    lead = f"{section.marker} " if section.marker else ""
    indent = " " * len(lead)
    style = section.style or "***"
    if section.name is not None and style.startswith("#"):
        return f"{style} {section.name}" + (f"\n\n{text}" if text else "")
    if section.name is not None:
        # A list, quotation or code begins on a line of its own, below the name.
        text = f"{style}{section.name}{style}:" + ("\n" if _BLOCK.match(text) else " " if text else "") + text
    first, *rest = text.split("\n")
    return "\n".join([(lead + first).rstrip(), *(indent + line if line else line for line in rest)])
