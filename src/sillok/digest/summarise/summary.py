"""What summarising returns: a paper's summary with what was checked of it, and what it cost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, is_dataclass
from datetime import date as Date
from typing import Any, NamedTuple

from sillok.digest.escape import one_line
from sillok.digest.marks import FAILED, NOTE
from sillok.digest.model import Entry, Section
from sillok.digest.text import Listing

#: The sections of every summary, in this order; others may follow.
SECTIONS = ("What's New", "Technical Details", "Performance Highlights")


class Prices(NamedTuple):
    """Prices of a model per million tokens, in the user's currency."""

    input: float
    output: float


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that model calls took in and gave out; `estimated` where the provider did not count them."""

    input: int = 0
    output: int = 0
    calls: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.calls + other.calls,
            self.estimated or other.estimated,
        )

    @property
    def total(self) -> int:
        """Tokens in and out."""
        return self.input + self.output

    def cost(self, prices: Prices | None) -> float | None:
        """Return what the tokens cost, or None without prices."""
        if prices is None:
            return None
        return (self.input * prices.input + self.output * prices.output) / 1e6


@dataclass(frozen=True, slots=True)
class Checked:
    """One sentence of a summary and what its check found.

    Attributes:
        verdict: "supported", "not found" or "contradicted".
        evidence: passages of the paper, each with "text" and where it stands.
        reasons: one line for each figure, unit, name or comparison that was looked up and not found so.
    """

    section: str
    sentence: str
    verdict: str
    evidence: tuple[dict[str, Any], ...] = ()
    reasons: tuple[str, ...] = ()

    @classmethod
    def of(cls, finding: Any) -> Checked:
        """Take over a finding of `sillok.digest.check` (anything with its attributes)."""
        return cls(
            section=str(finding.section or ""),
            sentence=str(finding.sentence),
            verdict=str(finding.verdict),
            evidence=tuple(_plain(item) for item in finding.evidence or ()),
            reasons=tuple(str(reason) for reason in getattr(finding, "reasons", None) or ()),
        )

    @property
    def failed(self) -> bool:
        """Whether the sentence is to be marked."""
        return self.verdict in FAILED


@dataclass(frozen=True, slots=True)
class Summary:
    """The summary of one paper.

    Attributes:
        language: the target language as given, e.g. "ko".
        sections: name and Markdown text of each section, failed sentences marked.
        model: the model that wrote it; None where the sentences are the paper's own.
        reason: where a model was named and did not write it, why, in one line.
        notes: what a reader has to know, a sentence each, in the target language.
        findings: the check of every sentence; empty where nothing was checked.
        usage: tokens of the answers that the summary is made of, whenever they were given.
        spent: tokens of this run's calls alone, failed ones included; nothing for a summary from the cache.
    """

    listing: Listing
    language: str
    sections: tuple[tuple[str, str], ...]
    model: str | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()
    findings: tuple[Checked, ...] = ()
    usage: Usage = field(default_factory=Usage)
    spent: Usage = field(default_factory=Usage, compare=False)

    @property
    def flagged(self) -> tuple[Checked, ...]:
        """The sentences that failed their check."""
        return tuple(finding for finding in self.findings if finding.failed)

    def entry(self) -> Entry:
        """Return the summary as an entry of a digest; its notes are the last section, named "Note"."""
        listing = self.listing
        sections = [Section(name, text) for name, text in self.sections]
        if self.notes:
            sections.append(Section(NOTE, " ".join(self.notes)))
        return Entry(
            id=listing.id,
            title=one_line(listing.title) or listing.id,
            picture=listing.picture,
            votes=listing.votes,
            authors=tuple(name for author in listing.authors if (name := _author(author))),
            sections=tuple(sections),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what goes into a JSON file: the same for the same summary, however often it is made."""
        return {
            **json.loads(self.listing.to_json()),
            "language": self.language,
            "model": self.model,
            "reason": self.reason,
            "sections": [{"name": name, "text": text} for name, text in self.sections],
            "notes": list(self.notes),
            "findings": [asdict(finding) for finding in self.findings],
            "usage": asdict(self.usage),
        }

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Summary:
        """Read what `to_dict` returned.

        Raises:
            ValueError: something else.
        """
        try:
            findings = (
                Checked(
                    **{**one, "evidence": tuple(one.get("evidence", ())), "reasons": tuple(one["reasons"])}
                )
                for one in found.get("findings", ())
            )
            return cls(
                listing=Listing.from_json(json.dumps(found)),
                language=str(found["language"]),
                sections=tuple((str(one["name"]), str(one["text"])) for one in found["sections"]),
                model=found.get("model"),
                reason=found.get("reason", ""),
                notes=tuple(found.get("notes", ())),
                findings=tuple(findings),
                usage=Usage(**found.get("usage", {})),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no summary in JSON: {type(error).__name__} {error}") from error


def dump(date: Date | None, summaries: Iterable[Summary]) -> str:
    """Return a day's summaries as JSON text, line ends and order of keys always the same."""
    value = {
        "date": date.isoformat() if date else None,
        "papers": [summary.to_dict() for summary in summaries],
    }
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def load(text: str, *, name: str = "<text>") -> tuple[Date | None, list[Summary]]:
    """Read what `dump` returned: the date and the summaries.

    Raises:
        ValueError: something else; the message names it by `name`.
    """
    try:
        found = json.loads(text)
        day = found["date"]
        return Date.fromisoformat(day) if day else None, [Summary.from_dict(one) for one in found["papers"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{name}: no summaries in JSON ({error})") from error


def _author(name: str) -> str:
    """Return an author's name as the one line of authors can hold it: commas part names there."""
    name = one_line(name.replace(",", " ").replace("<", "‹").replace(">", "›")).strip("*_ ")
    return "" if name == "-" else re.sub(r"^:+\s*", "", name)


def _plain(item: Any) -> dict[str, Any]:
    if is_dataclass(item) and not isinstance(item, type):
        item = asdict(item)
    if isinstance(item, dict):
        value: dict[str, Any] = json.loads(json.dumps(item, default=str))
        return value
    return {"text": str(item)}
