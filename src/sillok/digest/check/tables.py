"""What a paper's tables say of a difference between two of its rows."""

from __future__ import annotations

from sillok.digest.check.figures import Figure, comparable, matches
from sillok.digest.check.matching import Match
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement


def table_sign(claim: Statement, index: int, paper: Paper) -> int:
    """Return +1 where the subject's value is above the object's in the column whose difference is the figure.

    -1 where it is below, 0 where no table has both rows and such a difference. The object is what the sentence
    compares with, the subject its other names, or the paper's own where it has none.
    """
    figure = claim.figures[index]
    names = {term.key for term in claim.terms if term.kind == "name"}
    others = claim.objects
    signs = set()
    for mine, theirs in _rows(names, others, paper):
        for head, one in mine:
            for head_, two in theirs:
                told = head & claim.keys or not claim.keys & paper.heads
                if head == head_ and told and differs(figure, one, two):
                    signs.add(1 if one.value > two.value else -1)
    return signs.pop() if len(signs) == 1 else 0


_Cells = list[tuple[set[str], Figure]]


def _rows(names: set[str], others: set[str], paper: Paper) -> list[tuple[_Cells, _Cells]]:
    """Pairs of rows of one table: a row of the subject and one of the object."""
    pairs = []
    for number, label, cells in paper.rows:
        if not label & others:
            continue
        for number_, label_, cells_ in paper.rows:
            if number_ != number or label_ & others:
                continue
            subjects = (names - others) & label_
            if subjects or (label_ & paper.own and not _other_rows(names - others, number, paper)):
                pairs.append((cells_, cells))
    return pairs


def _other_rows(names: set[str], number: int, paper: Paper) -> bool:
    return any(label & names for number_, label, _ in paper.rows if number_ == number)


def differs(figure: Figure, one: Figure, two: Figure) -> bool:
    """Tell whether a figure is the difference, the ratio or the relative change of two others, as printed."""
    low, high = sorted((one.value, two.value))
    if low <= 0 or low == high:
        return False
    half = (1.0 if figure.bound else 0.5) * figure.step * 1.02
    if figure.unit == "x" and figure.bound == "over" and figure.digits == 1:
        return figure.value <= high / low <= 1.25 * figure.value
    if figure.unit == "x":
        return abs(high / low - figure.value) <= half
    if figure.unit == "%":
        relative = (100 * (high - low) / low, 100 * (high - low) / high)
        return any(abs(change - figure.value) <= half for change in relative)
    scale = 100.0 if figure.unit in ("point", "pp") and high <= 1 else 1.0  # an AUC of 0.79 and one of 0.76
    return abs(scale * (high - low) - figure.value) <= half


def other_column(claim: Statement, index: int, fitting: list[Match], paper: Paper) -> str | None:
    """Say so where a figure stands in another column of its row than the one that the sentence names.

    The columns may be metrics or data sets. None where the row has the figure in the named column too, or
    another passage has it with the named metric.
    """
    figure = claim.figures[index]
    near = (claim.bound[index] | claim.shared) & paper.heads
    if not near:
        return None
    told: str | None = None
    mine = claim.bound[index] | claim.near[index] | claim.shared
    named_here = mine & {t.key for t in claim.terms if t.kind == "name"}
    others = any(row & mine - paper.heads for _, row, _ in paper.rows if not row & paper.own)
    for _, label, cells in paper.rows:
        if not (label & named_here or (label & paper.own and not others)):
            continue  # neither the row of a name that the figure stands with nor that of the paper's own method
        for head, one in cells:
            if not (comparable(figure, one) and matches(figure, one)):
                continue
            for head_, two in cells:
                named = (head_ - head) & near
                if (
                    not named
                    or (head - head_) & claim.keys
                    or not comparable(figure, two)
                    or matches(figure, two)
                ):
                    continue
                if any(named & _held(match) for match in fitting):
                    return None
                if any(
                    named & claim.bound[n] and comparable(f, two) and matches(f, two)
                    for n, f in enumerate(claim.figures)
                ):
                    continue  # the sentence gives that column its own figure
                told = f"in the paper's table it is {_title(head - head_, paper)}, not {_title(named, paper)}"
    return told


def _held(match: Match) -> set[str]:
    one = match.statement
    return one.bound[match.index] | one.shared | one.near[match.index]


def _title(keys: set[str], paper: Paper) -> str:
    return " ".join(sorted(paper.show(key.lstrip("~")) for key in keys)) or "another column"
