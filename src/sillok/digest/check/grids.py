"""Tables of a paper as grids of values, with what is compared along one axis and the measures along the other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from sillok.digest.check.figures import Figure, comparable
from sillok.digest.check.terms import COMMON, lexicon

if TYPE_CHECKING:
    from sillok.digest.check.paper import Paper


class Line(NamedTuple):
    """Values along one measure: of each entity (a row or a column) its value, and which way is better.

    `pace` is -1 where it is a time and +1 where it is a rate, 0 where it is neither.
    """

    values: dict[int, float]
    polarity: int
    pace: int = 0


@dataclass(frozen=True, slots=True)
class Grid:
    """A table with its entities along one axis and its measures along the other.

    Attributes:
        number: its passage.
        axis: along which its entities lie, "row" or "column".
        entities: of each line of entities the keys that tell it from the others.
        own: the lines that are the paper's own.
        measures: of each line of measures the keys that tell it.
        lines: of each line of measures its values.
    """

    number: int
    axis: str
    entities: dict[int, frozenset[str]]
    own: frozenset[int]
    measures: dict[int, frozenset[str]]
    lines: dict[int, Line]


def _telling(labels: Mapping[int, set[str]]) -> dict[int, frozenset[str]]:
    """Return of each label the keys that tell it from most others."""
    count = Counter(key for label in labels.values() for key in label)
    most = max(1, len(labels) // 2)
    return {
        line: frozenset(key for key in label if key not in COMMON and count[key] <= most)
        for line, label in labels.items()
    }


def grids(paper: Paper) -> dict[tuple[int, str], Grid]:
    """Return its tables as grids by passage and axis of their entities, each both ways."""
    if paper.gridded is None:
        places = [(number, axis) for number in sorted(paper.captions) for axis in ("row", "column")]
        paper.gridded = {place: _grid(paper, *place) for place in places}
    return paper.gridded


def _grid(paper: Paper, number: int, axis: str) -> Grid:
    other = "column" if axis == "row" else "row"
    labels = {a: {n: k for n, k in paper.lines[a, number].items() if n > 0} for a in (axis, other)}
    entities, measures = _telling(labels[axis]), _telling(labels[other])
    values: dict[int, dict[int, float]] = defaultdict(dict)
    for (passage, column), cells in paper.cells.items():
        if passage != number:
            continue
        for cell in cells:
            place = {"row": cell.line("row"), "column": column}
            if place["row"] > 0:
                values[place[other]].setdefault(place[axis], cell.figures[0].value)
    lines = {
        line: Line(
            held,
            _polarity(paper, number, axis, line, labels[other].get(line, set())),
            _pace(paper, number, axis, line, labels[other].get(line, set())),
        )
        for line, held in values.items()
        if len(held) > 1
    }
    own = frozenset(line for line, label in labels[axis].items() if label & paper.own or label in paper.bases)
    return Grid(number, axis, entities, own, measures, lines)


def _polarity(paper: Paper, number: int, axis: str, line: int, label: set[str]) -> int:
    """Whether more is better along a measure: by its arrow, its name, the caption, or the paper's own row."""
    if axis == "row":
        sign = paper.marks.get((number, line), 0) or paper.polarity_of(label)
        if sign:
            return sign
        sign = paper.polarity_of(paper.captions[number] & paper.polarity.keys())
        return sign or int(_is_score(paper, number, line, label))
    marks = {mark for (passage, column), mark in paper.marks.items() if passage == number and column > 0}
    if len(marks) == 1 and marks != {0}:
        return marks.pop()
    return paper.polarity_of(label) or paper.polarity_of(paper.captions[number])


def _is_score(paper: Paper, number: int, column: int, label: set[str]) -> bool:
    """Tell whether a column without an arrow is of scores: named by a benchmark or "Avg.", from 0 to 100, no amount."""
    known = lexicon().concepts
    if any(key in known and known[key].metric and key != "quality" for key in label):
        return False
    figures = [cell.figures[0] for cell in paper.cells[number, column]]
    named = "average" in label or any(key not in known for key in label)
    return named and all(f.unit in ("?", "%") and f.decimals and 0 < f.value <= 100 for f in figures)


def _pace(paper: Paper, number: int, axis: str, line: int, label: set[str]) -> int:
    """Whether a measure is a time (-1) or a rate (+1)."""
    if label & {"fps", "throughput", "speed"}:
        return 1
    units = {c.figures[0].unit for c in paper.cells[number, line]} if axis == "row" else set()
    return -1 if units == {"s"} or label & {"latency", "time", "training-time"} else 0


def set_by(paper: Paper, axis: str, number: int, given: Collection[Figure]) -> set[int]:
    """Return the lines of a table whose label has one of these figures: "at 32K", "with 8 steps"."""
    return {
        line
        for line, labels in paper.settings[axis, number].items()
        if any(one.printed == other.printed and comparable(one, other) for one in labels for other in given)
    }


def cells_of(paper: Paper, axis: str, number: int, given: Collection[Figure]) -> list[Figure]:
    """Return the figures in the lines of a table whose label has one of these figures."""
    return [
        figure for line in set_by(paper, axis, number, given) for figure in paper.beside[number, axis, line]
    ]
