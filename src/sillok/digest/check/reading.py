"""Parts of reading a paper that need nothing but its text: its own names, capitalised words, cells of tables."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from sillok.digest.check.figures import Figure
from sillok.digest.check.sentences import plain
from sillok.digest.check.terms import COMMON, STOP, key_of, lexicon, terms
from sillok.digest.check.units import Unit, unit_after
from sillok.digest.text import PaperText, Passage

#: What follows the name of a data set.
IS_DATA = re.compile(
    r"\s+(?:has|have|contains?|consists?|comprises?|is an?)\s+(?:\w+ ){0,3}[0-9]"
    r"|\s+with\s+[0-9][0-9,.]*\s+(?:\w+ )?(?:hours?|images?|questions?|documents?|sentences?|utterances?|classes|tasks?"
    r"|videos?|samples?|examples?|scenes?|pairs|episodes|clips|topics)\b"
    r"|\s+(?:data ?set|benchmark|corpus|test set)",
    re.IGNORECASE,
)


def own_names(text: PaperText, last: list[set[str]]) -> set[str]:
    """The keys of the names that a paper gives to its own work, by its title, abstract or tables.

    `last` has the names of the last row of each table, where papers mostly put their own method.
    """
    title = text.title or ""
    head = title.split(":")[0] if ":" in title else ""
    body = " ".join(passage.text for passage in text.passages if passage.kind != "title")
    named = [t for t in terms("the " + head) if t.kind == "name"]
    own = {
        t.key
        for t in named
        if len(re.findall(rf"(?<![\w-]){re.escape(('the ' + head)[t.start : t.end])}", body)) > 1
    }
    if own and len(head.split()) <= 4:
        return own
    counted = Counter(
        t.key for p in text.passages[:6] for t in terms(p.text) if t.kind == "name" and t.key not in STOP
    )
    introduced = re.findall(
        r"(?:introduces?|proposes?|presents?|calls?|called|named?|dub(?:bed)?|termed|build|release)\s"
        r"(?:it\s|this\s|our \w+\s|the \w+\s)?([A-Z][\w-]+)",
        text.abstract,
    )
    keys = {key_of(name) for name in introduced} - STOP
    if known := {key for key in keys if key in counted}:
        return known
    closing = Counter(key for names in last for key in names if key in counted)
    return {key for key, _ in (closing or counted).most_common(1)}


def variants(own: set[str], labels: list[tuple[str, set[str]]]) -> set[str]:
    """The keys of rows that are the paper's own work too: its name with a size or a suffix, or marked as "ours".

    Args:
        own: keys of the names that the paper gives to its own work.
        labels: the first cell of each row of its tables, and that cell's keys.
    """
    found = set()
    for cell, label in labels:
        names = {key for key in label if not key.startswith("~") and key not in lexicon().concepts}
        if re.search(r"\bours\b", cell, re.IGNORECASE):
            found |= names
        for key in names:
            if any(len(one) > 3 and key.startswith(one) and len(key) - len(one) < 8 for one in own):
                found.add(key)
    return found


def misspelt(names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of long names that are one but for a letter that is missing: "WinoGrade" and "WinoGrande"."""
    known = {name for name in names if len(name) >= 8}
    for long in sorted(known):
        shorter = {long[:n] + long[n + 1 :] for n, char in enumerate(long) if char.isalpha()}
        yield from ((short, long) for short in sorted(shorter & known))


def _caption(passages: Sequence[Passage], number: int) -> Passage | None:
    """The caption of a table: the passage before or after it."""
    near = [passages[n] for n in (number - 1, number + 1) if 0 <= n < len(passages)]
    return next((passage for passage in near if passage.kind == "caption"), None)


def caption_keys(passages: Sequence[Passage], number: int) -> set[str]:
    """The keys of a table's caption and heading."""
    keys = {t.key for t in terms(passages[number].section)}
    caption = _caption(passages, number)
    return keys | {t.key for t in terms(plain(caption.text))} if caption is not None else keys


def caption_unit(passages: Sequence[Passage], number: int) -> Unit | None:
    """The unit of time that a table's caption gives to all columns: "Prefill time in seconds"."""
    caption = _caption(passages, number)
    match = caption and re.search(r"\bin (milliseconds|seconds|minutes|hours|days)\b", caption.text)
    found = unit_after(match[1], 0) if match else None
    return found[0] if found else None


_EDITION = re.compile(
    r"[0-9]{1,3}b(?:base|instruct|chat|it)?|(?:base|large|small)?(?:un)?cased|base|large|instruct|chat|it"
)


def editions(names: Collection[str]) -> Iterator[tuple[str, str]]:
    """Pairs of a name and one of a size or edition of it; "llama" too where one "llama318b" is all there is."""
    families: dict[str, set[str]] = defaultdict(set)
    for name in names:
        if match := re.match(r"([a-z]{3,}?)(?:v?[0-9]|base|large)", name):
            families[match[1]].add(name)
    for family, members in families.items():
        if len(members) == 1 and family in names:
            yield family, next(iter(members))
        for short in (*members, family) if family in names else members:
            for long in members - {short}:
                if long.startswith(short) and _EDITION.fullmatch(long[len(short) :]):
                    yield short, long


_BETTER = re.compile(r"\b(lower|higher|less|more) (?:is|are|means) better", re.IGNORECASE)


def better(text: str) -> Iterator[tuple[str, int]]:
    """The terms of which a text says what is better: "FVD (lower is better)"."""
    for match in _BETTER.finditer(text):
        sign = 1 if match[1].lower() in ("higher", "more") else -1
        before = re.split(r"[.;:]|\bis\b", text[max(0, match.start() - 60) : match.start()])[-1]
        yield from ((term.key, sign) for term in terms(before) if term.kind != "word")


def cell_of(text: str) -> str:
    """A cell without space around it; "14 047 759" is one figure."""
    text = text.strip()
    return text.replace(" ", ",") if re.fullmatch(r"[0-9]{1,3}(?: [0-9]{3})+", text) else text


#: What a text calls by its initials: "attack success rate (ASR)".
_INITIALS = re.compile(r"((?:[A-Za-z][\w-]* ){1,5}[A-Za-z][\w-]*) \(([A-Z][A-Za-z]?[A-Z]{1,4})s?[),;]")


def initials(text: str) -> Iterator[tuple[str, set[str]]]:
    """Abbreviations that a text explains, as keys, and the keys of what they stand for."""
    for match in _INITIALS.finditer(text) if "(" in text else ():
        words = re.findall(r"[A-Za-z]+", match[1])
        for count in range(len(words), 1, -1):
            if "".join(word[0] for word in words[-count:]).lower() == match[2].lower():
                told = {t.key for t in terms(" ".join(["the", *words[-count:]]))} - COMMON
                yield key_of(match[2]), told
                break


class Part(NamedTuple):
    """A part of a table with a header of its own: its rows with their line numbers and what stands above them.

    What stands above is the heading of a group ("Code generation", over all columns) and, of a row that begins with
    "+", the row to which something is added.
    """

    header: list[str]
    rows: list[tuple[int, list[str], str]]


def parts(rows: Sequence[list[str]]) -> list[Part]:
    """Divide the rows of a table where another header begins."""
    found: list[Part] = []
    group = base = ""
    opens = False
    for line, row in enumerate(rows):
        filled = {cell for cell in row if cell}
        textual = not any(re.search("[0-9]", cell) for cell in row[1:])
        if len(row) > 2 and len(filled) == 1 and re.search("[A-Za-z가-힣]{2}", group_ := filled.pop()):
            group, base, opens = group_, "", True
        elif len(row) == 1 and len(rows) > line + 1 and len(rows[line + 1]) > 2 and textual:
            group, base, opens = row[0], "", True
        elif not found or (
            found[-1].rows and len(row) > 2 and textual and (opens or row[0] == found[-1].header[0])
        ):
            found.append(Part(row, []))
            opens = False
        elif not found[-1].rows and len(row) > 2 and textual and not re.search("[a-zA-Z]{3}", row[0]):
            header = found[-1].header  # a header of two lines
            header[:] = [
                f"{header[n] if n < len(header) else ''} {cell}".strip() for n, cell in enumerate(row)
            ]
        else:
            added = row[0].startswith("+")
            base = base if added else row[0]
            found[-1].rows.append((line, row, f"{group} | {base}" if added else group))
            opens = False
    return [part for part in found if part.rows]


def differing(labels: Sequence[set[str]]) -> Iterator[tuple[str, set[str]]]:
    """Of labels that share words, what differs: each key of one with those of another in its place."""
    for one in labels:
        for other in labels:
            for key in one - other:
                yield key, other - one


def part_of(short: str, long: str) -> bool:
    """Tell whether a name ends another one, or begins it and a size follows: "llama31" and "llama318b"."""
    sized = long.startswith(short) and re.fullmatch("[0-9]{1,3}b", long[len(short) :]) is not None
    return short != long and (long.endswith(short) or sized)


def spans(cell: str, called: Collection[str]) -> list[tuple[int, int]]:
    """The places of the names in a cell."""
    return [(t.start, t.end) for t in terms(cell, called) if t.kind == "name"]


def is_base(cell: str, label: set[str], title: set[str]) -> bool:
    """Tell whether a row is what an ablation starts from: "Full", "Ours", or the method alone."""
    word = re.sub(r"[^a-z ]", "", cell.lower()).strip()
    return word in ("ours", "default") or word.startswith("full") or bool(label and label <= title)


def called(text: PaperText) -> frozenset[str]:
    """The capitalised words that stand inside sentences, titles and headings aside."""
    found = Counter(
        key_of(match[0])
        for passage in text.passages
        if passage.kind != "title"
        for match in re.finditer(r"(?<=[a-z0-9,;] )[A-Z][a-z]{2,}(?![\w-])", passage.text)
    )
    return frozenset(found)


def scaled(figure: Figure, unit: Unit | None, scale: float) -> Figure:
    """A cell's figure in the unit and scale of its header."""
    if figure.unit:
        return figure
    factor = scale * (unit.factor if unit else 1.0)
    base = unit.base if unit else "?"
    if factor == 1.0 and base == figure.unit:
        return figure
    return replace(figure, value=figure.value * factor, step=figure.step * factor, unit=base)
