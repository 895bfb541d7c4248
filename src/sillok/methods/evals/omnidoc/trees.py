"""Similarity of tables by the distance of their trees (TEDS), exact, by Zhang and Shasha's recurrence in NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sillok.methods.evals.omnidoc.quick import distances

if TYPE_CHECKING:
    import numpy as np

PRIVATE = 0xF0000  # tags inside cells count as one character each, from a plane that no text uses


@dataclass(slots=True)
class Tree:
    """An ordered tree in postorder: labels of nodes, texts of cells, and the leftmost leaf below each node."""

    labels: list[tuple[Any, int | None, int | None]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    leftmost: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labels)


def _cell(node: Any, tags: dict[Any, str]) -> str:
    """What a cell holds, as a string in which each tag is one character."""

    def tag(name: Any) -> str:
        return tags.setdefault(name, chr(PRIVATE + len(tags)))

    def walk(child: Any) -> str:
        text = tag(f"<{child.tag}>") + (child.text or "") + "".join(walk(inner) for inner in child)
        if child.tag != "unk":
            text += tag(f"</{child.tag}>")
        return text + ((child.tail or "") if child.tag != "td" else "")

    return (node.text or "") + "".join(walk(child) for child in node)


def _grow(tree: Tree, node: Any, tags: dict[Any, str]) -> int:
    """Append a node and all below it; returns the index of its leftmost leaf."""
    first = None
    if node.tag == "td":
        label = ("td", int(node.attrib.get("colspan", "1")), int(node.attrib.get("rowspan", "1")))
        text = _cell(node, tags)
    else:
        label, text = (node.tag, None, None), ""
        for child in node:
            leaf = _grow(tree, child, tags)
            first = leaf if first is None else first
    first = len(tree) if first is None else first
    tree.labels.append(label)
    tree.texts.append(text)
    tree.leftmost.append(first)
    return first


def _renames(one: Tree, other: Tree, structure_only: bool) -> np.ndarray:
    """Cost of turning a node of one tree into one of the other: 1, or for cells their normalised edit distance."""
    import numpy as np
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cdist

    numbers: dict[Any, int] = {}
    rows = np.array([numbers.setdefault(label, len(numbers)) for label in one.labels])
    columns = np.array([numbers.setdefault(label, len(numbers)) for label in other.labels])
    cost = (rows[:, None] != columns[None, :]).astype(float)
    mine = [i for i, text in enumerate(one.texts) if one.labels[i][0] == "td"]
    theirs = [j for j, text in enumerate(other.texts) if other.labels[j][0] == "td"]
    if mine and theirs and not structure_only:
        texts, others = [one.texts[i] for i in mine], [other.texts[j] for j in theirs]
        if any(texts) or any(others):
            edits = cdist(texts, others, scorer=Levenshtein.distance, dtype=np.int32)
            cells = distances(edits, texts, others)
            place = np.ix_(mine, theirs)
            cost[place] = np.maximum(cost[place], cells)
    return cost


class _Distance:
    """Distances between all pairs of subtrees that a larger pair asks for."""

    def __init__(self, one: Tree, other: Tree, structure_only: bool) -> None:
        import numpy as np

        self.one, self.other = one, other
        self.left, self.right = np.array(one.leftmost), np.array(other.leftmost)
        self.rename = _renames(one, other, structure_only)
        self.table = np.full((len(one), len(other)), np.nan)
        self._leaves()
        self._rows()

    def _leaves(self) -> None:
        """A leaf against any tree: it becomes the node that is cheapest to rename, the others are put in."""
        import numpy as np

        size, span = np.arange(len(self.one)) - self.left, np.arange(len(self.other)) - self.right
        for j in np.flatnonzero(span):
            part = slice(self.right[j], j + 1)
            leaves = np.flatnonzero(size == 0)
            self.table[leaves, j] = span[j] + self.rename[leaves, part].min(axis=1)
        for i in np.flatnonzero(size):
            part = slice(self.left[i], i + 1)
            leaves = np.flatnonzero(span == 0)
            self.table[i, leaves] = size[i] + self.rename[part][:, leaves].min(axis=0)
        both = np.ix_(size == 0, span == 0)
        self.table[both] = self.rename[both]

    def _flat(self, tree: Tree) -> list[int]:
        """Rows of cells only: inner nodes called tr whose children are all td leaves."""
        flat = []
        for i, (label, first) in enumerate(zip(tree.labels, tree.leftmost, strict=True)):
            below = range(first, i)
            if label[0] == "tr" and below and all(tree.labels[k][0] == "td" for k in below):
                flat.append(i)
        return flat

    def _rows(self) -> None:
        """All pairs of table rows at once: the sequence distance of their cells, one row kept as the other."""
        import numpy as np

        mine, theirs = self._flat(self.one), self._flat(self.other)
        if not mine or not theirs:
            return
        starts, begins = self.left[mine], self.right[theirs]
        lengths, widths = np.array(mine) - starts, np.array(theirs) - begins
        height, width = int(lengths.max()), int(widths.max())
        shape = (len(mine), len(theirs))
        previous = [np.full(shape, float(b)) for b in range(width + 1)]
        result = np.zeros(shape)
        keep = np.broadcast_to(widths[None, :], shape)

        def store(row: list[np.ndarray], at: int) -> None:
            done = np.broadcast_to((lengths == at)[:, None], shape)
            for b in range(width + 1):
                place = done & (keep == b)
                result[place] = row[b][place]

        for a in range(1, height + 1):
            rows = np.minimum(starts + a - 1, len(self.one) - 1)
            current = [np.full(shape, float(a))]
            for b in range(1, width + 1):
                columns = np.minimum(begins + b - 1, len(self.other) - 1)
                change = previous[b - 1] + self.rename[np.ix_(rows, columns)]
                current.append(np.minimum(np.minimum(previous[b], current[b - 1]) + 1, change))
            store(current, a)
            previous = current
        self.table[np.ix_(mine, theirs)] = result

    def whole(self) -> float:
        """The distance of the two trees.

        Mostly their leaves and rows decide it. It is computed from those first, as if neither whole tree could stand
        for a part of the other. What such a part could at best give is known from sizes alone; the few that might be
        better are then computed.
        """
        import numpy as np

        last, turn = (len(self.one) - 1, len(self.other) - 1), (len(self.other) - 1, len(self.one) - 1)
        parts = np.isnan(self.table)
        parts[last[0], :] = parts[:, last[1]] = False
        if parts.any():
            return self._between(*last)
        found = self._decided(last)
        turned = (self.right, self.left, self.rename.T, self.table.T)
        columns = self._promising(self.table[last[0]], self.right, last, found)
        rows = self._promising(self.table[:, last[1]], self.left, turn, found)
        for column in columns:
            _fill(column, last[0], *turned)
        for row in rows:
            _fill(row, last[1], self.left, self.right, self.rename, self.table)
        return self._decided(last) if columns or rows else found

    def _decided(self, last: tuple[int, int]) -> float:
        """The distance if nothing that is unknown were any good."""
        import numpy as np

        known = np.where(np.isnan(self.table), np.inf, self.table)
        return float(_forest(*last, self.left, self.right, self.rename, known)[-1, -1])

    @staticmethod
    def _promising(known: np.ndarray, leftmost: np.ndarray, last: tuple[int, int], found: float) -> list[int]:
        """Inner nodes of the second tree whose part of it might be the first tree, in a distance below ``found``."""
        import numpy as np

        nodes = np.flatnonzero(np.isnan(known))[:-1]
        sizes = nodes - leftmost[nodes] + 1
        least = last[1] + 1 - sizes + np.abs(last[0] + 1 - sizes)
        return [int(node) for node in nodes[least < found]]

    def _between(self, i: int, j: int) -> float:
        """Distance of the subtrees at ``i`` and ``j``, filling in what it needs."""
        import numpy as np

        turned = (self.right, self.left, self.rename.T, self.table.T)
        start = int(self.right[j])
        for row in range(self.left[i], i + 1):
            for column in start + np.flatnonzero(np.isnan(self.table[row, start : j + 1])):
                if row - self.left[row] <= column - self.right[column]:
                    _fill(row, int(column), self.left, self.right, self.rename, self.table)
                else:
                    _fill(int(column), row, *turned)
        return float(self.table[i, j])


def _forest(
    i: int, j: int, left: np.ndarray, right: np.ndarray, rename: np.ndarray, table: np.ndarray
) -> np.ndarray:
    """Distances of all forests of one subtree from those of another, a NumPy row at a time.

    ``table`` holds the distances of smaller subtrees.
    """
    import numpy as np

    first, start = int(left[i]), int(right[j])
    columns = slice(start, j + 1)
    steps = np.arange(j - start + 2, dtype=float)
    forest = np.empty((i - first + 2, j - start + 2))
    forest[0] = steps
    anchors = right[columns] - start  # the forest left of each node's subtree
    whole = anchors == 0
    line = np.empty_like(steps)
    for row in range(first, i + 1):
        at = row - first + 1
        above = forest[at - 1]
        dropped = above[1:] + 1
        best = np.minimum(dropped, forest[left[row] - first][anchors] + table[row, columns])
        if left[row] == first:  # with a column whose tree is whole too, the two roots may become one another
            best = np.where(whole, np.minimum(dropped, above[:-1] + rename[row, columns]), best)
        line[0], line[1:] = at, best
        np.minimum.accumulate(line - steps, out=forest[at])
        forest[at] += steps
    return forest


def _fill(i: int, j: int, left: np.ndarray, right: np.ndarray, rename: np.ndarray, table: np.ndarray) -> None:
    """Put into ``table`` the distance of two subtrees, and what falls off for others on the way."""
    import numpy as np

    first, start = int(left[i]), int(right[j])
    forest = _forest(i, j, left, right, rename, table)
    rows = first + np.flatnonzero(left[first : i + 1] == first)
    columns = start + np.flatnonzero(right[start : j + 1] == start)
    place = np.ix_(rows, columns)
    table[place] = np.where(
        np.isnan(table[place]), forest[np.ix_(rows - first + 1, columns - start + 1)], table[place]
    )


def tree_distance(one: Tree, other: Tree, structure_only: bool = False) -> float:
    """Edit distance of two ordered trees: one for a node put in or taken out, up to one for a renamed one.

    ``structure_only`` leaves out what is in the cells.
    """
    if (
        one.labels == other.labels
        and one.leftmost == other.leftmost
        and (structure_only or one.texts == other.texts)
    ):
        return 0.0
    return _Distance(one, other, structure_only).whole()


def _root(table: str) -> Any:
    from lxml import html

    parser = html.HTMLParser(remove_comments=True, encoding="utf-8")
    found = html.fromstring(table, parser=parser).xpath("body/table")
    return found[0] if found else None


def similarities(predicted: str, gold: str) -> tuple[float, float]:
    """TEDS and structure-only TEDS of two tables in the form that :func:`normalise_table` gives.

    1 minus the distance of the trees over the number of nodes of the larger, without its root; 0 where either is no
    table, or cannot be read (a span that is no number, say), as published.
    """
    try:
        if not predicted or not gold:
            return 0.0, 0.0
        roots = _root(predicted), _root(gold)
        if roots[0] is None or roots[1] is None:
            return 0.0, 0.0
        nodes = max(len(root.xpath(".//*")) for root in roots)
        tags: dict[Any, str] = {}
        trees = [Tree(), Tree()]
        for tree, root in zip(trees, roots, strict=True):
            _grow(tree, root, tags)
        whole, structure = tree_distance(*trees), tree_distance(*trees, structure_only=True)
        return 1.0 - whole / nodes, 1.0 - structure / nodes
    except Exception:  # as published: any failure of parser or scorer counts 0
        return 0.0, 0.0
