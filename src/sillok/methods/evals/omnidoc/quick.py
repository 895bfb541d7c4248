"""OmniDocBench's "quick match": assignment by edit distance, with neighbours merged and what is left looked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Pair = tuple[list[int], list[int]]

NEAR, APART, INSIDE, PART = 0.25, 0.7, 0.4, 0.6


def costs(gold: Sequence[str], predicted: Sequence[str]) -> np.ndarray:
    """Normalised edit distances, gold by predicted, float64."""
    import numpy as np
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    if not gold or not predicted:
        return np.zeros((len(gold), len(predicted)))
    return distances(cdist(gold, predicted, scorer=Levenshtein.distance, dtype=np.int64), gold, predicted)


def distances(edits: np.ndarray, gold: Sequence[str], predicted: Sequence[str]) -> np.ndarray:
    import numpy as np

    longest = np.maximum.outer([len(x) for x in gold], [len(x) for x in predicted])
    return edits / np.maximum(longest, 1)


def contains(text: str, part: str, bound: int) -> bool:
    """Whether some stretch of ``text`` as long as ``part`` is within ``bound`` edits of it.

    The distances of neighbouring stretches differ by two at most, so that a far one lets the next ones be skipped.
    """
    from rapidfuzz.distance import Levenshtein

    distance, length = Levenshtein.distance, len(part)
    at, last = 0, len(text) - length
    while at <= last:
        found = distance(text[at : at + length], part)
        if found <= bound:
            return True
        at += (found - bound + 1) // 2
    return False


def _within(length: int, limit: float) -> int:
    """The largest number of edits whose share of ``length`` is below ``limit``, -1 if there is none."""
    edits = int(limit * length) + 1
    while edits >= 0 and not edits / length < limit:
        edits -= 1
    return edits


def _up_to(length: int, limit: float) -> int:
    """The largest number of edits whose share of ``length`` is at most ``limit``."""
    edits = int(limit * length) + 1
    while edits / length > limit:
        edits -= 1
    return edits


class _Merger:
    """For one gold line, how many predicted lines after each are joined to it."""

    def __init__(self, gold: str, predicted: Sequence[str], barrier: set[int]) -> None:
        self.gold, self.predicted, self.barrier = gold, predicted, barrier
        self.near: dict[str, bool] = {}
        self.close: dict[str, bool] = {}

    def _holds(self, index: int, limit: int) -> bool:
        line = self.predicted[index]
        return 0 < len(line) <= len(self.gold) and contains(self.gold, line, limit)

    def _part(self, index: int) -> bool:
        """Whether the line that others are joined to is within 0.6 of some stretch of the gold line."""
        line = self.predicted[index]
        if line not in self.near:
            self.near[line] = self._holds(index, _up_to(len(line), PART)) if line else False
        return self.near[line]

    def _joins(self, index: int) -> bool:
        """The same with less than 0.6, which is asked of the line that comes next."""
        line = self.predicted[index]
        if line not in self.close:
            self.close[line] = self._holds(index, _within(len(line), PART)) if line else False
        return self.close[line]

    def run(self, first: int) -> int:
        """How many lines from ``first`` on are one. The first join is known to lessen the distance."""
        if not self._part(first) or not self._joins(first + 1):
            return 1
        from rapidfuzz.distance import Levenshtein

        gold, length = self.gold, 2  # a line that joins is a part too, so that only the first is asked
        joined = self.predicted[first] + " " + self.predicted[first + 1]
        before = Levenshtein.distance(gold, joined) / max(len(gold), len(joined))
        while len(joined) <= len(gold):
            at = first + length
            if at >= len(self.predicted) or at in self.barrier:
                break
            joined += " " + self.predicted[at]
            after = Levenshtein.distance(gold, joined) / max(len(gold), len(joined))
            if after > before or not self._joins(at):
                break
            length += 1
            before = after
        return length


def _runs(gold: Sequence[str], predicted: Sequence[str], cost: np.ndarray) -> list[tuple[list[int], float]]:
    """For every gold line that has no near match, its nearest run of predicted lines and the distance."""
    import numpy as np

    near = cost < NEAR
    free_gold = [int(i) for i in np.flatnonzero(~near.any(axis=1))]
    barrier = {int(j) for j in np.flatnonzero(near.any(axis=0))}
    free = [j for j in range(len(predicted)) if j not in barrier]
    if not free or not free_gold:
        return []
    # The first join of every start with its neighbour, all at once: most pairs end here.
    starts = [j for j in free if j + 1 < len(predicted) and j + 1 not in barrier]
    golds = [gold[i] for i in free_gold]
    joined = costs(golds, [predicted[j] + " " + predicted[j + 1] for j in starts])
    best: list[tuple[list[int], float]] = []
    for row, i in enumerate(free_gold):
        merger = _Merger(gold[i], predicted, barrier)
        nearer = np.flatnonzero(joined[row] <= cost[i, starts]) if starts else ()
        lengths = {j: length for j in (starts[at] for at in nearer) if (length := merger.run(j)) > 1}
        values = cost[i, free]
        if lengths:
            merged = [" ".join(predicted[j : j + length]) for j, length in lengths.items()]
            values[np.searchsorted(free, list(lengths))] = costs([gold[i]], merged)[0]
        chosen = int(values.argmin())
        first = free[chosen]
        best.append((list(range(first, first + lengths.get(first, 1))), float(values[chosen])))
    return best


def _settled(runs: list[tuple[list[int], float]]) -> Iterator[list[int]]:
    """Of runs that overlap, the set of least mean distance, among the sets that the benchmark tries."""
    runs = sorted(runs, key=lambda run: run[0][0])
    groups: list[list[tuple[list[int], float]]] = [runs[:1]]
    for run in runs[1:]:
        if any(set(run[0]) & set(other[0]) for other in groups[-1]):
            groups[-1].append(run)
        else:
            groups.append([run])
    for group in groups:
        if len(group) == 1:
            yield group[0][0]
        else:
            yield from _least(group)


def _least(group: list[tuple[list[int], float]]) -> list[list[int]]:
    paths = [[group[0]]]
    for run in group[1:]:
        new = True
        for path in paths:
            overlaps = same = False
            for other in path:  # grows and shrinks below, as the published loop does
                if other[0] == run[0]:
                    overlaps = same = True
                    if other[1] > run[1]:
                        path.remove(other)
                        path.append(run)
                elif set(other[0]) & set(run[0]):
                    overlaps = True
            if not overlaps:
                path.append(run)
            if not overlaps or same:
                new = False
        if new:
            paths.append([run])
    means = [sum(run[1] for run in path) / len(path) for path in paths]
    return [run[0] for run in paths[means.index(min(means))]]


def _merged(
    gold: Sequence[str], predicted: Sequence[str], cost: np.ndarray
) -> tuple[np.ndarray, list[list[int]]]:
    """Distances to predicted lines after merging, and which lines each column stands for."""
    chosen = list(_settled(runs)) if (runs := _runs(gold, predicted, cost)) else []
    columns: list[list[int]] = [[j] for j in range(len(predicted))]
    longer = [run for run in chosen if len(run) > 1]
    if not longer:
        return cost, columns
    inside = {j: run for run in longer for j in run}
    columns = [inside.get(j, [j]) for j in range(len(predicted)) if j not in inside or inside[j][0] == j]
    return costs(gold, [" ".join(predicted[j] for j in column) for column in columns]), columns


def _inside(left: Sequence[int], gold: Sequence[str], predicted: Sequence[str]) -> dict[int, list[int]]:
    """For every predicted line the unmatched gold lines that it holds, nearer than 0.4."""
    found: dict[int, list[int]] = {}
    bounds = {i: _within(len(gold[i]), INSIDE) for i in left}
    for j, line in enumerate(predicted):
        here = [i for i in left if len(line) >= len(gold[i]) and contains(line, gold[i], bounds[i])]
        if here:
            found[j] = here
    return found


def quick_pairs(
    gold: Sequence[str], predicted: Sequence[str], by_length: bool = False, twice: bool = False
) -> list[Pair]:
    """Gold and predicted indices that belong together, by normalised lines.

    Every gold line is in one pair at least. ``by_length`` pairs the remainder by edits instead of their share, and
    ``twice`` counts gold lines that found no partner double where no predicted line is left over; both as version
    1.0 does.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    cost, columns = _merged(gold, predicted, costs(gold, predicted))
    rows, assigned = linear_sum_assignment(cost)
    groups: dict[tuple[int, ...], list[int]] = {}
    done: set[int] = set()
    for row, column in zip(rows, assigned, strict=True):
        if cost[row, column] <= APART:
            groups[tuple(columns[column])] = [int(row)]
            done.add(int(row))
    for j, inside in _inside([i for i in range(len(gold)) if i not in done], gold, predicted).items():
        fresh = [i for i in inside if i not in done]
        groups.setdefault((j,), []).extend(fresh)
        done.update(fresh)
    pairs: list[Pair] = [(sorted(golds), list(key)) for key, golds in groups.items() if golds]
    # Sets, and lists of sets: their order is the published one, and ties of the assignment hang on it.
    gold_left = set(range(len(gold))) - set().union(*(set(golds) for golds in groups.values()))
    predicted_left = set(range(len(predicted))) - {j for key in groups for j in key}
    rest, spare = list(gold_left), list(predicted_left)
    if rest and spare:
        matrix = costs([gold[i] for i in rest], [predicted[j] for j in spare])
        if by_length:
            longest = np.maximum.outer([len(gold[i]) for i in rest], [len(predicted[j]) for j in spare])
            matrix = np.rint(matrix * longest)
        for row, column in zip(*linear_sum_assignment(matrix), strict=True):
            pairs.append(([rest[row]], [spare[column]]))
    elif spare:
        pairs.append(([], spare))
    covered = {i for golds, _ in pairs for i in golds}
    missing = [i for i in range(len(gold)) if i not in covered]
    if twice and not spare:
        pairs += [([i], []) for i in rest]
    return pairs + [([i], []) for i in missing]
