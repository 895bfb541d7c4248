"""What a digest is in Python: digests, entries, sections and pictures, each with its line in the file.

The objects are frozen. Whoever changes one makes another with `dataclasses.replace`; `sillok.digest.write`
then shows the change and leaves every other byte of the file as it was, because each object that was read
carries its source text in `source`, which takes no part in comparison.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date as Date
from typing import Any, Literal, NamedTuple

#: An identifier of arXiv without its version: "2411.19870", or "cs/0112017" from before April 2007.
ARXIV_ID = re.compile(r"(?:[0-9]{4}\.[0-9]{4,5}|[a-z]+(?:-[a-z]+)?(?:\.[A-Z]{2})?/[0-9]{7})")

_PAPER_URL = re.compile(
    r"(?:https?://)?(?:[a-z]+\.)?(?:arxiv\.org/(?:abs|pdf|html|ps|format)/|(?:huggingface\.co|hf\.co)/papers/)"
    rf"(?P<id>{ARXIV_ID.pattern})(?:v(?P<version>[0-9]{{1,4}}))?(?:\.pdf)?/?(?:[?#]\S*)?",
    re.IGNORECASE,
)


def arxiv_id(url: str) -> tuple[str, int | None] | None:
    """Return the arXiv identifier and the version (None where the link has none) that a link names.

    Reads arxiv.org's /abs/, /pdf/ and /html/ and the paper pages of huggingface.co; None for any other link.
    """
    match = _PAPER_URL.fullmatch(url.strip())
    if match is None:
        return None
    version = match["version"]
    return match["id"], int(version) if version else None


def arxiv_url(id: str, version: int | None = None) -> str:
    """Return the address of a paper's abstract page."""
    return f"https://arxiv.org/abs/{id}" + (f"v{version}" if version is not None else "")


def by_votes(paper: Any) -> int:
    """The key that sorts papers (anything with `votes`) by their votes; one without stands below one with 0."""
    return -1 if paper.votes is None else int(paper.votes)


class DigestError(ValueError):
    """A file that cannot be read as a digest at all; the message is one line that names the file."""


class DigestTooLarge(DigestError):
    """A file beyond the limit on its size."""


class Warning_(NamedTuple):
    """Something that was kept as it stands because it was not understood: its line (from 1) and why."""

    line: int
    message: str


class Part(NamedTuple):
    """A stretch of source text: its kind, its text, the white space after it, and the value read from it."""

    kind: str
    body: str
    gap: str
    value: Any


@dataclass(frozen=True, slots=True)
class Media:
    """The picture or video of an entry; `urls` holds every address once, in the order of the file."""

    kind: Literal["image", "video"]
    urls: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.kind not in ("image", "video"):
            raise ValueError(f"kind: {self.kind!r} is neither 'image' nor 'video'")
        if not self.urls or any(not url or re.search(r"[\s()<>]", url) for url in self.urls):
            raise ValueError(f"urls: {self.urls!r} is not a tuple of addresses without spaces or brackets")


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a summary.

    Attributes:
        name: what stands between the marks, e.g. "Technical Details"; None where the text has no name.
        text: the Markdown of the section without its name, lines joined by "\\n", outer white space removed.
        line: its first line in the file, from 1 (0 when made in Python).
        style: the marks around the name ("***", "**", "__"), the heading's "####", or "" where name is None.
        marker: the list marker before it ("-", "*", "1."), or "" for a paragraph or heading.
    """

    name: str | None
    text: str
    line: int = field(default=0, compare=False)
    style: str | None = None
    marker: str = "-"

    def __post_init__(self) -> None:
        if self.name is not None and (not self.name.strip() or "\n" in self.name):
            raise ValueError(f"name: {self.name!r} is not one line of text, nor None")
        if self.style is None:
            object.__setattr__(self, "style", "" if self.name is None else "***")


@dataclass(frozen=True, slots=True)
class Entry:
    """One paper of a digest.

    Attributes:
        id: arXiv identifier without version, or None where the heading links to no paper.
        title: as the heading prints it.
        version: version in the link, or None.
        url: the link of the heading; made from `id` and `version` when left out.
        picture: picture or video, or None.
        votes: None where the digest prints "-" or nothing.
        authors: as printed; a digest's order may be arbitrary.
        sections: the summary, in the order of the file.
        other: what was not understood, as it stands (each stretch also has a warning on the digest).
        line, end_line: first and last line of the entry in the file, from 1 (0 when made in Python).

    Raises:
        ValueError: a value that Markdown's one-line fields cannot hold, named in the message.
    """

    id: str | None
    title: str
    version: int | None = None
    url: str | None = None
    picture: Media | None = None
    votes: int | None = None
    authors: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    other: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)
    end_line: int = field(default=0, compare=False)
    source: tuple[Part, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        if re.search(r"[\r\n]", self.title):
            raise ValueError(f"title: {self.title!r} has a line break; a title is one line")
        if self.id is not None and not ARXIV_ID.fullmatch(self.id):
            raise ValueError(
                f"id: {self.id!r} is no arXiv identifier such as '2411.19870' (without version), nor None"
            )
        if self.votes is not None and self.votes < 0:
            raise ValueError(f"votes: {self.votes!r} is negative; a count from 0, or None, is accepted")
        for author in self.authors:
            if re.search(r"[,\r\n]", author) or not author.strip():
                raise ValueError(f"authors: {author!r} is empty or has a comma or line break")
        for name in ("authors", "sections", "other"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        # The link follows the identifier: a replaced id must show in what is written.
        linked = arxiv_id(self.url) if self.url is not None else None
        if self.id is not None and linked != (self.id, self.version):
            object.__setattr__(self, "url", arxiv_url(self.id, self.version))

    def section(self, name: str) -> Section | None:
        """Return the first section of that name (letter case aside), or None."""
        wanted = name.casefold()
        return next((s for s in self.sections if s.name is not None and s.name.casefold() == wanted), None)


@dataclass(frozen=True, slots=True)
class Digest:
    """A dated document that lists papers.

    Attributes:
        date: None where the heading has no date that exists.
        entries: in the order of the file; duplicates are kept.
        preamble, intro, tail: the text before the digest's heading, between it and the first entry, and after
            the last entry (a licence, a citation), as they stand.
        warnings: what was not understood, with lines of the file.
        line: the line of the digest's heading, from 1 (0 when made in Python or where there is none).
        bom: whether the file began with a byte-order mark.
        newline: the line ending used for what is written anew.
    """

    date: Date | None
    entries: tuple[Entry, ...] = ()
    preamble: str = ""
    intro: str = ""
    tail: str = ""
    warnings: tuple[Warning_, ...] = field(default=(), compare=False)
    line: int = field(default=0, compare=False)
    bom: bool = field(default=False, compare=False)
    newline: str = field(default="\n", compare=False, repr=False)
    source: Part | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", tuple(self.entries))
        if self.newline not in ("\n", "\r\n", "\r"):
            raise ValueError(f"newline: {self.newline!r} is none of '\\n', '\\r\\n', '\\r'")

    @property
    def ids(self) -> tuple[str, ...]:
        """The arXiv identifiers of the entries, each once, in the order of the file."""
        return tuple(dict.fromkeys(entry.id for entry in self.entries if entry.id is not None))
