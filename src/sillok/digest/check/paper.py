"""A paper made ready for checking: its statements, names, rivals among names, and retrieval of passages."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace

from sillok.digest.check.comparisons import Direction
from sillok.digest.check.figures import Figure, comparable, figures, matches
from sillok.digest.check.grids import Grid
from sillok.digest.check.latex import written_out
from sillok.digest.check.reading import (
    IS_DATA,
    Part,
    better,
    called,
    caption_keys,
    caption_unit,
    cell_of,
    differing,
    editions,
    initials,
    is_base,
    misspelt,
    own_names,
    part_of,
    parts,
    scaled,
    spans,
    variants,
)
from sillok.digest.check.sentences import plain, sentences
from sillok.digest.check.statements import Statement, counts_of, runs, statement
from sillok.digest.check.terms import key_of, lexicon, sized, stem, terms
from sillok.digest.check.units import Unit, header_unit, unit_after
from sillok.digest.text import PaperText, Passage

#: Columns from one part of a table to the next, in the numbers of columns.
_COLUMNS = 1000
_SIZE = re.compile(r"[A-Za-z][\w.]*[ -](?:[0-9.]+[ -])?([0-9]+(?:\.[0-9]+)?)[bB]\b")
_SINGLE = re.compile(r"\b(?:one|an?|per|each|every)[ -]([a-z]{3,12})\b", re.IGNORECASE)


class Paper:
    """What is known of a paper's text.

    Attributes:
        statements: sentences and cells of tables.
        counts: whole numbers, by what they count.
        data: keys of its names that are data sets or the like: results are "on" them.
        own: keys of the names that the paper gives to its own work.
        base: by a table's column, the printed value of the row that an ablation starts from.
        lines: by axis ("row", "column") and passage of a table, the keys of each row's or column's label.
        cells: by passage of a table and column, the cells with a figure.
        beside: the figures of each passage, and of each row and column of a table.
        rivals: for each key, the keys that stand beside it in a list, a column or a header.
        aliases: for each name, shorter or longer forms of it.
        names: keys of all tokens, of up to four neighbouring ones, of parts of names, and of lists of sizes.
        fore: keys of its title and abstract.
        bases: the labels of rows that an ablation starts from.
        placed: keys that label a row or a column of a table.
        polarity: for a metric's key, +1 where the paper says that higher is better, -1 for lower.
        called: keys of its names that are plain capitalised words, told by where they do not open a sentence.
        stems: stems of all its Latin words.
        single: units of which it speaks in the singular: "one second", "per step".
        sizes: numbers of parameters that names of models end in: "Llama-3-8B".
        thin: whether nothing but an abstract is at hand, so that what is absent may well stand in the paper.
    """

    def __init__(self, text: PaperText) -> None:
        self.text = text
        text = self._clean = written_out(text)
        self.statements: list[Statement] = []
        self.names: set[str] = set()
        self.rivals: dict[str, set[str]] = defaultdict(set)
        self.polarity: dict[str, int] = {}
        self.base: dict[tuple[int, str, int], float] = {}
        self.title = {t.key for t in terms("the " + (text.title or "").split(":")[0]) if t.kind == "name"}
        self.beside: dict[tuple[int, str, int], list[Figure]] = defaultdict(list)
        self.rows: list[tuple[int, set[str], list[tuple[set[str], Figure]]]] = []
        self.heads: set[str] = set()
        self.cells: dict[tuple[int, int], list[Statement]] = defaultdict(list)
        self.lines: dict[tuple[str, int], dict[int, set[str]]] = defaultdict(dict)
        self.placed: set[str] = set()
        self.polar: dict[int, list[Direction]] = {}
        self.settings: dict[tuple[str, int], dict[int, list[Figure]]] = defaultdict(dict)
        self.marks: dict[tuple[int, int], int] = {}
        self.captions: dict[int, set[str]] = {}
        self.gridded: dict[tuple[int, str], Grid] | None = None
        self.last: list[set[str]] = []
        self.first: list[tuple[str, set[str]]] = []
        self.bases: list[set[str]] = []
        self.keys: list[Counter[str]] = []
        self.aliases: dict[str, set[str]] = defaultdict(set)
        self.stems: set[str] = set()
        self.single: set[str] = set()
        self.sizes: set[float] = set()
        self.thin = text.source == "abstract" or all(p.kind in ("title", "abstract") for p in text.passages)
        self.fore: set[str] = set()
        self._standing: dict[tuple[Figure, tuple[int, str, int]], bool] = {}
        self._shown: dict[str, str] = {}
        self._data: Counter[str] = Counter()
        self._initials: str | None = None
        self.called = called(text) | self.title
        for number, passage in enumerate(text.passages):
            self.keys.append(Counter())
            self._collect(passage.text)
            if passage.kind == "table":
                self._table(number, passage)
            else:
                self._prose(number, passage)
        self.own = own_names(text, self.last)
        self.head = frozenset(self.own)
        self.own |= variants(self.own, self.first)
        self._close()
        self.counts = counts_of(self.statements, self.heads)

    def _collect(self, text: str) -> None:
        """Note the tokens of a passage, and neighbours joined: "ImageNet 1K" is "ImageNet-1K"."""
        found = re.findall(r"[A-Za-zÀ-ÿ0-9][\w@+.'’-]*", text)
        self.stems.update(stem(part) for token in found for part in token.split("-"))
        self.sizes.update(float(match[1]) * 1e9 for match in _SIZE.finditer(text))
        for match in _SINGLE.finditer(text):
            if (unit := unit_after(match[1], 0)) is not None:
                self.single.add(unit[0].base)
        tokens = [key_of(t) for t in found]
        for token in found:
            self._shown.setdefault(key_of(token), token.strip(".'’-"))
        tokens = [t for t in tokens if t]
        self.names.update(tokens)
        for length in (2, 3, 4):
            self.names.update("".join(tokens[i : i + length]) for i in range(len(tokens) - length + 1))
        for token in re.findall(r"[A-Za-zÀ-ÿ0-9][\w@+.'’/-]*[-/][\w@+.'’/-]+", text):
            pieces = [key_of(piece) for piece in re.split(r"[-/]", token)]
            self.names.update(pieces)
            self.names.update(itertools.accumulate(pieces))  # "Qwen2.5-7B" of "Qwen2.5-7B-Instruct"
        self.names.update(key_of(name) for name in sized(text))

    def _prose(self, number: int, passage: Passage) -> None:
        heading = {t.key for t in terms(passage.section)}
        section = next(n for n, p in enumerate(self._clean.passages) if p.section == passage.section)
        before: set[str] = set()
        whole = [sentence.text for sentence in sentences(plain(passage.text))]
        for text in (part[start : start + 2000] for part in whole for start in range(0, len(part), 2000)):
            one = statement(text, called=self.called)
            one.passage, one.context = number, heading | before
            one.places = ((number, "", 0), (section, "section", 0))
            self.beside[number, "", 0] += one.figures
            self.beside[section, "section", 0] += [f for f in one.figures if f.digits > 2]
            self.statements.append(one)
            self.keys[number].update(t.key for t in one.terms)
            if passage.kind in ("title", "abstract"):
                self.fore.update(t.key for t in one.terms)
            before = before | one.keys
            self._lists(one)
            for key, sign in better(one.text):
                self.polarity.setdefault(key, sign)
            for short, keys in initials(one.text):
                for key in keys:
                    self._same(short, key)

    def _lists(self, one: Statement) -> None:
        """Names in a list are rivals of one another, and so are the things of a longer list."""
        for kind in (("name",), ("name", "concept", "word")):
            listed = [t for t in one.terms if t.kind in kind]
            for run in runs([(t.start, t.end) for t in listed], one.text):
                if len(run) > (1 if kind == ("name",) else 2):
                    self._rival({listed[n].key for n in run})
        for term in one.terms:
            if term.kind == "name":
                tail = one.text[term.end : term.end + 60]
                if re.search(r"\b(?:on|On|onto)\s+(?:the\s+)?$", one.text[: term.start]) or IS_DATA.match(
                    tail
                ):
                    self._data[term.key] += 1

    def _rival(self, keys: Iterable[str]) -> None:
        group = set(keys)
        for key in group:
            self.rivals[key] |= group - {key}

    def _table(self, number: int, passage: Passage) -> None:
        rows = [[cell_of(cell) for cell in row.split("|")] for row in passage.text.split("\n") if row.strip()]
        self.captions[number] = caption_keys(self._clean.passages, number)
        labels: list[set[str]] = []
        for order, part in enumerate(parts(rows)):
            labels += self._part(number, order * _COLUMNS, part)
        if not labels:
            return
        concepts = lexicon().concepts
        self.last.append({key for key in labels[-1] if not key.startswith("~") and key not in concepts})
        names = [{k for k in label if not k.startswith("~")} for label in labels]
        for key, others in differing(names):
            self.rivals[key] |= others

    def _part(self, number: int, first: int, part: Part) -> list[set[str]]:
        """Read a part of a table, its columns numbered from `first` on; return its rows' labels."""
        heads = [{t.key for t in terms(cell, self.called)} for cell in part.header]
        inherited = caption_unit(self._clean.passages, number)
        units = [header_unit(cell) for cell in part.header]
        units = [
            (inherited, scale) if unit is None and scale == 1.0 else (unit, scale) for unit, scale in units
        ]
        known = lexicon().concepts
        for column, cell in enumerate(part.header):
            mark = -1 if "↓" in cell else 1 if "↑" in cell else 0
            place = first + column if column else 0
            self.marks[number, place] = mark
            metrics = {key for key in heads[column] if key in known and known[key].metric}
            for key in metrics or heads[column] if mark else ():
                self.polarity.setdefault(key, mark)
            self._header(number, place, cell, heads[column])
            self.lines["column", number][place] = heads[column]
        labels: list[set[str]] = []
        for line, row, above in part.rows:
            label, cells = self._row((number, line, first), row, above, heads, units)
            labels.append(label)
            self.lines["row", number][line] = label
            if is_base(row[0], label, self.title):
                self.bases.append(label)
            self.rows.append((number, label, cells))
        self.heads.update(key for head in heads[1:] for key in head)
        self.placed.update(key for head in (*heads, *labels) for key in head)
        self._rival({k for head in heads[1:] for k in head if not k.startswith("~")})
        for key, others in differing([head for head in heads[1:] if head]):
            self.rivals[key] |= others
        return labels

    def _row(
        self,
        place: tuple[int, int, int],
        row: list[str],
        above: str,
        heads: list[set[str]],
        units: list[tuple[Unit | None, float]],
    ) -> tuple[set[str], list[tuple[set[str], Figure]]]:
        number, line, first = place
        label = {t.key for t in (*terms(row[0], self.called), *terms(above, self.called))}
        self.first.append((row[0], set(label)))
        for cell in row[1:]:
            # what tells a row may stand in more than its first cell: "Ours | GPT-4o | 71.2"
            names = spans(cell, self.called)
            if names and len(cell) < 40 and not figures(plain(cell), names):
                label |= {t.key for t in terms(cell, self.called) if t.kind == "name"}
        cells: list[tuple[set[str], Figure]] = []
        unit, scale = units[0]
        self.settings["row", number][line] = figures(plain(row[0]))
        for figure in figures(plain(row[0]), [(t.start, t.end) for t in terms(row[0], self.called)]):
            places = ((number, "row", line), (number, "column", 0))
            self._cell(row[0], scaled(figure, unit, scale), label | heads[0], number, places)
        for column, cell in enumerate(row[1:], start=1):
            head = heads[column] if column < len(heads) else set()
            unit, scale = units[column] if column < len(units) else (None, 1.0)
            text = plain(cell)
            for figure in figures(text)[:3]:
                found = scaled(figure, unit, scale)
                places = ((number, "row", line), (number, "column", first + column))
                self._cell(f"{row[0]} | {cell}", found, label | head, number, places)
                if is_base(row[0], label, self.title):
                    self.base.setdefault(places[1], found.printed)
                cells.append((head, found))
        self.keys[number].update(label)
        self.keys[number].update(key for head in heads for key in head)
        return label, cells

    def _header(self, number: int, column: int, cell: str, head: set[str]) -> None:
        """Note the figures of a header ("5 steps", "128K"), which stand beside those of its column."""
        names = [(t.start, t.end) for t in terms(cell, self.called) if t.kind == "name"]
        if column:
            self.settings["column", number][column] = figures(plain(cell))
        for figure in figures(plain(cell), names):
            one = figure if figure.unit else replace(figure, unit="?")
            self._cell(cell, one, head, number, ((number, "column", column),))

    def _cell(
        self,
        text: str,
        figure: Figure,
        keys: set[str],
        number: int,
        places: tuple[tuple[int, str, int], ...],
    ) -> None:
        one = Statement(text, [figure], [])
        one.bound, one.near, one.others, one.turn = [keys], [set()], [set()], [None]
        one.passage, one.context, one.cell, one.places = number, self.captions[number], True, places
        self.statements.append(one)
        if (column := one.line("column")) > 0:
            self.cells[number, column].append(one)
        for place in places:
            self.beside[place].append(figure)

    def _methods(self) -> set[str]:
        """The keys of the rows of tables that have a row of the paper's own method."""
        tables = {number for number, label, _ in self.rows if label & self.own}
        return {key for number, label, _ in self.rows if number in tables for key in label}

    def _close(self) -> None:
        """Weigh terms by rarity, and index statements by their keys."""
        passages = max(1, len(self.keys))
        spread = Counter(key for counted in self.keys for key in counted)
        self.idf = {key: math.log(1 + passages / count) for key, count in spread.items()}
        self.rarest = math.log(1 + passages)
        methods = self._methods()
        labels = {key for _, label, _ in self.rows if label & methods for key in label}
        self.data = {key for key, count in self._data.items() if count and key not in labels}
        self._rival(self.data)
        for short in self.head:
            for long in self.own - self.head:
                self._same(short, long)
        self._alias()
        self.by_key: dict[str, set[int]] = defaultdict(set)
        for index, one in enumerate(self.statements):
            for key in (one.bound[0] | one.context) if one.cell else one.keys | one.context:
                self.by_key[key].add(index)
        self.lengths = [sum(counted.values()) for counted in self.keys]
        self.mean_length = sum(self.lengths) / passages or 1.0

    def _same(self, one: str, other: str) -> None:
        self.aliases[one].add(other)
        self.aliases[other].add(one)

    def _alias(self) -> None:
        """Names that stand for one another: misspelt ones, and "AdamW" for "SyncAdamW", which has its rivals too."""
        told = {t.key for one in self.statements for t in one.terms if t.kind == "name"}
        names = {key for key in {*self.rivals, *self.placed} if not key.startswith("~")}
        for one, other in (*misspelt(list(names)), *editions(names | told)):
            self._same(one, other)
            self.rivals[one].discard(other)
            self.rivals[other].discard(one)
        told = {key for key in told if len(key) >= 5}
        for long in [key for key in self.rivals if len(key) >= 5 and key.isalnum()]:
            for short in told:
                if part_of(short, long) and short not in self.rivals[long]:
                    self._same(short, long)
                    self.rivals[short] |= self.rivals[long] - {short}
                    for other in self.rivals[long]:
                        self.rivals[other].add(short)

    def show(self, key: str) -> str:
        """The key's form in the paper, or the concept's name."""
        return self._shown.get(key, key.replace("-", " "))

    def title_of(self, keys: set[str]) -> str:
        """The keys of a row or column as words."""
        return " ".join(sorted(self.show(key.lstrip("~")) for key in keys)) or "another one"

    def known_as(self, keys: Collection[str]) -> set[str]:
        """The keys and all other names of theirs."""
        return set(keys).union(*(self.aliases.get(key, ()) for key in keys))

    def weight(self, key: str) -> float:
        """The rarity of a key in the paper: high for what stands in few passages."""
        return self.idf.get(key, self.rarest)

    def has_name(self, key: str) -> bool:
        """Tell whether a name occurs, in any case and notation, as a plural, or as the initials of words."""
        if key in self.names or key.removesuffix("s") in self.names or key + "s" in self.names:
            return True
        if not (2 <= len(key) <= 8 and key.isalpha()):
            return False
        if self._initials is None:
            self._initials = " ".join(
                "".join(word[0] for word in re.findall(r"[A-Za-z]+", p.text)).lower()
                for p in self._clean.passages
            )
        return len(key) > 2 and key.removesuffix("s") in self._initials

    def stands(self, figure: Figure, place: tuple[int, str, int]) -> bool:
        """Tell whether a passage, a row or a column has a figure."""
        key = (figure, place)
        if key not in self._standing:
            group = self.beside[place]
            self._standing[key] = any(comparable(figure, f) and matches(figure, f) for f in group)
        return self._standing[key]

    def polarity_of(self, keys: Collection[str]) -> int:
        """Whether more of what the keys name is better (+1) or less (-1); 0 where that is unknown or mixed."""
        known = lexicon().concepts
        signs = set()
        for key in keys:
            sign = self.polarity.get(key) or (known[key].polarity if key in known else 0)
            if sign and key != "quality":
                signs.add(sign)
        if not signs and "quality" in keys:
            return 1  # a score or a result, and nothing else is named
        return signs.pop() if len(signs) == 1 else 0

    def leaning(self, one: Statement) -> int:
        """Tell by the paper's own row whether more of a cell's column is better (+1) or less (-1): it mostly wins."""
        column = self.cells[one.passage, one.line("column")]
        own = [c.figures[0].value for c in column if c.bound[0] & self.own]
        rest = [c.figures[0].value for c in column if not c.bound[0] & self.own]
        if len(own) != 1 or len(rest) < 2:
            return 0
        above = sum(value < own[0] for value in rest)
        return 1 if above >= len(rest) - 1 else -1 if above <= 1 and len(rest) > 2 else 0
