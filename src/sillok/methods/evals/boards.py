"""Leaderboards: what was published of other systems, with its source, and where a run stands among them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal

FOLDER = "boards"  # of this package: one TOML file a benchmark


@dataclass(frozen=True)
class Row:
    """One published result.

    Attributes:
        system: as its source calls it.
        figures: by name, in the board's units; a figure that was not published is left out.
        source: where it is printed.
        verified: whether somebody of Sillok has seen it there.
        kind: "system", "people", or "constant" (what needs no skill: guessing, always yes).
    """

    system: str
    figures: Mapping[str, float]
    source: str
    verified: bool = False
    kind: Literal["system", "people", "constant"] = "system"


@dataclass(frozen=True)
class Placement:
    """Where a result stands on a board.

    Attributes:
        board, headline: the board's name, and the figure that it is ordered by.
        value: of that figure.
        rank: 1 for the best, counted among the published systems (people and constants are not ranked against).
        of: number of places, this one included.
        above, below: the published rows next to it, None at an end.
        constant: the best constant row at or above the value, where there is one: then the result shows no skill.
        reasons: why the result cannot be set beside the published ones; none if it can.
    """

    board: str
    headline: str
    value: float
    rank: int
    of: int
    above: Row | None
    below: Row | None
    constant: Row | None
    reasons: tuple[str, ...] = ()

    @property
    def comparable(self) -> bool:
        """Whether the result was got in the way in which the published ones were."""
        return not self.reasons

    def __str__(self) -> str:
        around = [f"below {self.above.system} ({self.above.figures[self.headline]:g})"] if self.above else []
        around += [f"above {self.below.system} ({self.below.figures[self.headline]:g})"] if self.below else []
        text = f"{self.board}: {self.headline} {self.value:.4g}, place {self.rank} of {self.of}"
        text += f" ({', '.join(around)})" if around else ""
        if self.constant:
            text += f"; no better than {self.constant.system} ({self.constant.figures[self.headline]:g})"
        return text + ("" if self.comparable else f"; not comparable: {'; '.join(self.reasons)}")


@dataclass(frozen=True)
class Leaderboard:
    """Published results of one version of a benchmark.

    Attributes:
        name: slug and version, such as "visonlyqa/real".
        headline: the figure that orders it; `better` says whether more or less of it is better.
        unit: of its figures.
        items: records that a run over all of the benchmark has; None where the board does not say.
        rows: as published, best first.
    """

    name: str
    headline: str
    better: Literal["higher", "lower"]
    unit: str
    items: int | None
    rows: tuple[Row, ...] = ()
    note: str = ""
    figures: tuple[str, ...] = field(default=())

    @classmethod
    def load(cls, slug: str, version: str) -> Leaderboard:
        """The board of a benchmark's version, from the file that ships with Sillok.

        Raises:
            ValueError: no such benchmark or version; the message names those that there are.
        """
        file = resources.files(__package__) / FOLDER / f"{slug}.toml"
        if not file.is_file():
            raise ValueError(f"slug must be a benchmark with a board ({', '.join(slugs())}), not {slug!r}")
        boards = {b["version"]: b for b in tomllib.loads(file.read_text(encoding="utf-8"))["boards"]}
        if version not in boards:
            raise ValueError(f"version of {slug} must be one of {', '.join(boards)}, not {version!r}")
        return cls.of(slug, boards[version])

    @classmethod
    def of(cls, slug: str, data: Mapping[str, Any]) -> Leaderboard:
        """A board from the table of a TOML file.

        Raises:
            ValueError: a row without the headline's figure, without a source, or twice the same system.
        """
        headline, better = data["headline"], data.get("better", "higher")
        name = f"{slug}/{data['version']}"
        rows = [
            Row(
                r["system"],
                r["figures"],
                r.get("source", data.get("source", "")),
                r.get("verified", data.get("verified", False)),
                r.get("kind", "system"),
            )
            for r in data.get("rows", [])
        ]
        for row in rows:
            if headline not in row.figures or not row.source:
                raise ValueError(f"{name}: row {row.system!r} must have a source and the figure {headline!r}")
        if len({row.system for row in rows}) != len(rows):
            raise ValueError(f"{name}: a system stands there twice")
        rows.sort(key=lambda row: row.figures[headline], reverse=better == "higher")
        figures = tuple(dict.fromkeys([headline, *(key for row in rows for key in row.figures)]))
        return cls(
            name,
            headline,
            better,
            data.get("unit", ""),
            data.get("items"),
            tuple(rows),
            data.get("note", ""),
            figures,
        )

    def place(self, figures: Mapping[str, float | None], reasons: Iterable[str] = ()) -> Placement:
        """Where a result would stand.

        Args:
            figures: of the result, the headline's among them, in the board's units.
            reasons: why it is not comparable, as `benchmark.Result.reasons` tells.

        Raises:
            ValueError: the headline's figure is missing or could not be computed.
        """
        value = figures.get(self.headline)
        if value is None:
            raise ValueError(f"{self.name} is ordered by {self.headline!r}, which this result does not have")
        systems = [row for row in self.rows if row.kind == "system"]
        ahead = [row for row in systems if self._beats(row.figures[self.headline], value)]
        behind = systems[len(ahead) :]
        constants = [row for row in self.rows if row.kind == "constant"]
        skill = [row for row in constants if not self._beats(value, row.figures[self.headline])]
        return Placement(
            board=self.name,
            headline=self.headline,
            value=float(value),
            rank=len(ahead) + 1,
            of=len(systems) + 1,
            above=ahead[-1] if ahead else None,
            below=behind[0] if behind else None,
            constant=skill[0] if skill else None,
            reasons=tuple(reasons),
        )

    def _beats(self, one: float, other: float) -> bool:
        return one > other if self.better == "higher" else one < other

    def table(self, mine: Placement | None = None, figures: Mapping[str, float | None] | None = None) -> str:
        """The board as a Markdown table; `mine`, with its `figures`, in its place among the rows."""
        shown: list[tuple[str, Mapping[str, float | None], str]] = []
        for row in self.rows:
            known = "" if row.verified else ", unverified"
            shown.append((row.system, row.figures, f"{row.source}{known}"))
        if mine is not None:
            at = sum(self._beats(row.figures[self.headline], mine.value) for row in self.rows)
            said = (
                "measured here"
                if mine.comparable
                else f"measured here, not comparable: {'; '.join(mine.reasons)}"
            )
            shown.insert(at, ("**this run**", {self.headline: mine.value, **(figures or {})}, said))
        lines = [
            "| system | " + " | ".join(self.figures) + " | source |",
            "| --- |" + " ---: |" * len(self.figures) + " --- |",
        ]
        for system, values, source in shown:
            cells = [f"{value:.4g}" if (value := values.get(key)) is not None else "" for key in self.figures]
            lines.append(f"| {system} | " + " | ".join(cells) + f" | {source} |")
        return "\n".join(lines)


def slugs() -> list[str]:
    """The benchmarks that have a board."""
    folder = resources.files(__package__) / FOLDER
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))
