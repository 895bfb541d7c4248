"""What a paper is in Python: its listing, and its full text as passages that know where they stand."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from datetime import date as Date
from typing import Any, Literal, get_args

from sillok.digest.model import ARXIV_ID, Media

Kind = Literal["title", "abstract", "paragraph", "caption", "table", "footnote"]
Source = Literal["html", "pdf", "text", "abstract"]


@dataclass(frozen=True, slots=True)
class Passage:
    """One stretch of a paper's text.

    Attributes:
        kind: a table is one passage, a line a row, its cells parted by " | ".
        section: the numbered headings that it stands under, parted by " / " ("4 Experiments / 4.2 Ablations").
        text: plain text with mathematics as LaTeX or Unicode; no line breaks except in a table.
        page: page of a PDF, from 1; None where the source has no pages.
    """

    kind: Kind
    section: str
    text: str
    page: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind: {self.kind!r} is none of {', '.join(get_args(Kind))}")


@dataclass(frozen=True, slots=True)
class PaperText:
    """The text of one version of a paper, references left out.

    Attributes:
        id: arXiv identifier without version.
        version: None where the source does not tell.
        passages: in reading order; title and abstract first where the source has them.
        source: what it was read from; "abstract" where there is no full text.
        warnings: one line each for what a reader of the text must know (a scanned page without text, a cut).
    """

    id: str
    version: int | None
    passages: tuple[Passage, ...]
    source: Source
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not ARXIV_ID.fullmatch(self.id):
            raise ValueError(f"id: {self.id!r} is no arXiv identifier such as '2411.19870'")
        if self.source not in get_args(Source):
            raise ValueError(f"source: {self.source!r} is none of {', '.join(get_args(Source))}")
        object.__setattr__(self, "passages", tuple(self.passages))
        object.__setattr__(self, "warnings", tuple(self.warnings))

    @property
    def title(self) -> str | None:
        """The text of the first title, or None."""
        return next((p.text for p in self.passages if p.kind == "title"), None)

    @property
    def abstract(self) -> str:
        """The abstract's paragraphs, a line each; "" where there is none."""
        return "\n".join(p.text for p in self.passages if p.kind == "abstract")

    def to_json(self) -> str:
        """One JSON object; pairs with `from_json`."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> PaperText:
        """Read what `to_json` wrote.

        Raises:
            ValueError: something else.
        """
        read: PaperText = _from(
            cls, text, lambda found: {"passages": tuple(Passage(**p) for p in found["passages"])}
        )
        return read


@dataclass(frozen=True, slots=True)
class Listing:
    """One paper of a day's list: what is known of it before its text is read.

    Attributes:
        id: arXiv identifier without version.
        authors: in the paper's order.
        votes: None where the source has no votes.
        published: the day of the paper's first version.
        abstract: as listed; "" where it is not.
        withdrawn: whether its authors took it back.
    """

    id: str
    title: str
    version: int | None = None
    authors: tuple[str, ...] = ()
    votes: int | None = None
    published: Date | None = None
    abstract: str = ""
    picture: Media | None = None
    withdrawn: bool = False

    def __post_init__(self) -> None:
        if not ARXIV_ID.fullmatch(self.id):
            raise ValueError(f"id: {self.id!r} is no arXiv identifier such as '2411.19870'")
        object.__setattr__(self, "authors", tuple(self.authors))

    def to_json(self) -> str:
        """One JSON object; pairs with `from_json`."""
        return json.dumps(asdict(self), ensure_ascii=False, default=str)

    @classmethod
    def from_json(cls, text: str) -> Listing:
        """Read what `to_json` wrote.

        Raises:
            ValueError: something else.
        """

        def values(found: dict[str, Any]) -> dict[str, Any]:
            day, picture = found.get("published"), found.get("picture")
            return {
                "published": Date.fromisoformat(day) if day else None,
                "picture": Media(picture["kind"], tuple(picture["urls"])) if picture else None,
            }

        read: Listing = _from(cls, text, values)
        return read


def _from(cls: Any, text: str, changed: Any) -> Any:
    try:
        found = json.loads(text)
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in (found | changed(found)).items() if key in known})
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"this is no {cls.__name__} in JSON: {error}") from error
