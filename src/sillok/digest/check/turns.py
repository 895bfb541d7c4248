"""Comparisons of a summary: their direction and sides against the paper's and against the sentence's own figures."""

from __future__ import annotations

import re

from sillok.digest.check.comparisons import Direction, opposed
from sillok.digest.check.figures import Figure, matches
from sillok.digest.check.judgement import Judgement
from sillok.digest.check.matching import Match
from sillok.digest.check.paper import Paper
from sillok.digest.check.statements import Statement, is_count
from sillok.digest.check.tables import table_sign


def check_direction(
    claim: Statement, index: int, fitting: list[Match], paper: Paper, result: Judgement
) -> None:
    """Compare the direction of a figure ("38 % faster") with that of its matches."""
    turn = claim.turn[index]
    if turn is None or _CONDITION.match(claim.text, turn.end):
        return  # "with a higher rank" is a setting and no result
    floor = 0.6 * fitting[0].score
    verdicts = []
    partner = _partner(claim, index)
    reach = 45 if claim.figures[index].unit in ("x", "%", "pp", "point") or partner is not None else 25
    if partner is not None and turn.size:
        return  # the two figures themselves tell, see check_pairs
    told = is_difference(claim, index) or (partner is None and _is_target(claim, index))
    for match in fitting:
        other = None if is_count(claim.figures[index]) or not told else match.statement.turn[match.index]
        if match.score < floor or other is None:
            continue
        if _gap(claim, index, turn) > reach or _gap(match.statement, match.index, other) > reach:
            continue  # the word goes with something else
        if re.search("[:;]", _between(match.statement, match.index, other)):
            continue
        if partner is not None and not any(matches(partner, f) for f in match.statement.figures):
            continue
        against = opposed(turn, other, _polarity(claim, index, match, paper))
        if against is not None:
            swapped = _swapped(claim, match.statement, claim.figures[index].start)
            relative = _RELATIVE.search(match.statement.text[: match.figure.start]) is not None
            verdicts.append((against, swapped or relative, match))
    if (base := _level(claim, index, turn, fitting, paper)) is not None:
        word = claim.text[turn.start : turn.end]
        result.doubt("level", "contradicted", f"{word}: the paper's table starts from {base:g}")
        return
    if not verdicts:
        sign = table_sign(claim, index, paper)
        size = turn.size or size_of(turn, claim.figures[index].unit, claim.keys, paper) or turn.good
        if sign and size and sign != size:
            result.doubt(
                "table",
                "contradicted",
                f"{claim.text[turn.start : turn.end]}: the paper's table says the opposite",
            )
        return
    _oppose(claim, turn, verdicts, result)


def _oppose(
    claim: Statement, turn: Direction, verdicts: list[tuple[bool, bool, Match]], result: Judgement
) -> None:
    """Doubt a word of comparison where all that the paper says of the figure runs the other way."""
    # Where the sides seem exchanged the words tell nothing: which side is which is too easily misread.
    if all(against and not swapped for against, swapped, _ in verdicts):
        match = verdicts[0][2]
        result.cite(match.statement.passage)
        word = claim.text[turn.start : turn.end]
        other = match.statement.turn[match.index]
        there = match.statement.text[other.start : other.end] if other else ""
        result.doubt("turn", "contradicted", f"{word}: the paper says {there!r}")


_BY = re.compile(
    r"(?:\bby|\bof|\bcosts?|\bloses?|\bgains?|\bonly|\bjust|\banother|\ba mere|\badds?|차이[는가]"
    r"|격차[는가]|보다)\s(?:\w+\s){0,2}\Z"
)
_AFTER = re.compile(
    r"\s?(?:\w+ ){0,2}(?:more|less|fewer|higher|lower|better|worse|faster|slower|larger|smaller|longer"
    r"|shorter|above|below"
    r"|ahead|behind|short of|earlier|later|sooner|reduction|improvement|increase|decrease|drop|gain|gap"
    r"|difference|lead|advantage)\b"
    r"|(?:만|만큼|가량|나|이나|이|가|를|을|씩)?\s?(?:더 |크게 |낮|높|앞|뒤|감소|증가|향상|개선|하락|상승"
    r"|떨어|올|줄|늘|빠르|느리|차이|격차|짧|길|먼저|늦|일찍)"
)


def is_difference(claim: Statement, index: int) -> bool:
    """Tell whether a figure is said to be a difference or a ratio, and no level."""
    figure = claim.figures[index]
    if figure.unit in ("x", "pp"):
        return True
    before = claim.text[max(0, figure.start - 30) : figure.start]
    return _BY.search(before) is not None or _AFTER.match(claim.text, figure.end) is not None


def _is_target(claim: Statement, index: int) -> bool:
    """Tell whether a figure is what something changes to: "drops to 70.2", "70.2로 하락"."""
    figure = claim.figures[index]
    if claim.korean:
        return (
            re.match(r"(?:점|\s?토큰|\s?[A-Za-z]+)?\s?(?:으로|로|까지)\b", claim.text[figure.end :])
            is not None
        )
    return _TO.search(claim.text[: figure.start]) is not None


_RELATIVE = re.compile(r"\b(?:that|which|who)\s(?:is|are|was|were)\s(?:\w+\s){0,3}\Z")
_EFFECT = re.compile(
    r"(?:손실|하락|향상|폭|격차|차이|이득|감소율?|증가율?)[이은는가도]?\s(?:더\s|훨씬\s|더욱\s)?\Z"
)
_NOUN = re.compile(r"\b(?:the|an?|its|their|this|average|mean)\s\Z", re.IGNORECASE)
_COUNTED = re.compile(r"(?:및|[가-힣][와과]|\band)\s\Z")
_TO = re.compile(r"\bto\s*\Z")


def _level(claim: Statement, index: int, turn: Direction, fitting: list[Match], paper: Paper) -> float | None:
    """The value of the paper's own row, where "drops to 70.2" names one on the other side of it in that column."""
    figure = claim.figures[index]
    if claim.korean:
        told = turn.start >= figure.end and _is_target(claim, index)
    else:
        told = turn.end <= figure.start and _TO.search(claim.text[: figure.start]) is not None
    if not told or _partner(claim, index) is not None or _gap(claim, index, turn) > 45:
        return None
    if _NOUN.search(claim.text[: turn.start]):
        return None  # "lowers the gain to 14.3"
    keys = claim.bound[index] | claim.shared
    cells = [m for m in fitting if m.statement.cell and len(m.statement.places) == 2]
    marks = {paper.marks.get((m.statement.passage, m.statement.line("column")), 0) for m in cells}
    mark = marks.pop() if len(marks) == 1 else 0
    size = turn.size or turn.good * mark or size_of(turn, figure.unit, keys, paper)
    bases = {base for m in cells if (base := paper.base.get(m.statement.places[1])) is not None}
    if not size or len(bases) != 1 or claim.objects:
        return None
    base = bases.pop()
    factor = figure.value / figure.printed if figure.printed else 1.0
    return base if (figure.value / factor - base) * size < 0 else None


_CONDITION = re.compile(r"[가-힣]{0,2}(?:면|어도|려도|여도|더라도|도)(?=[\s,])")


def _between(one: Statement, index: int, turn: Direction) -> str:
    """The text between a figure and a word of comparison."""
    figure = one.figures[index]
    return (
        one.text[figure.end : turn.start] if turn.start >= figure.end else one.text[turn.end : figure.start]
    )


def _gap(one: Statement, index: int, turn: Direction) -> int:
    """Characters between a figure and a word of comparison."""
    return max(turn.start - one.figures[index].end, one.figures[index].start - turn.end)


def _polarity(claim: Statement, index: int, match: Match, paper: Paper) -> int:
    """Whether more of what a figure measures is better; by its unit where no metric is named."""
    one = match.statement
    sign = known_sign(one.bound[match.index], one.figures[match.index].unit, paper) or known_sign(
        claim.bound[index], claim.figures[index].unit, paper
    )
    if sign:
        return sign
    if {f.unit for f in one.figures} & {"s", "byte", "$", "J"}:
        return -1
    return 1 if claim.figures[index].unit in ("point", "pp") else 0


def _partner(claim: Statement, index: int) -> Figure | None:
    """The other figure of a pair that the sentence itself compares, or None."""
    for number in (index - 1, index):
        if 0 <= number < len(claim.figures) - 1:
            one, two = claim.figures[number], claim.figures[number + 1]
            if one.unit == two.unit and pair_sign(claim, number, claim.text[one.end : two.start]):
                return two if number == index else one
    return None


def _swapped(claim: Statement, one: Statement, start: int = 0) -> bool:
    """Tell whether a name is what a comparison speaks of in one sentence and what it compares with in the other.

    In "than B, which is 2.8 points better" it is B that the figure at `start` speaks of.
    """
    relative = re.search(r",\s*(?:which|who)\b[^,;]{0,30}\Z", claim.text[:start])
    if relative is not None:
        last = [t for t in claim.terms if t.kind == "name" and t.end <= relative.start()]
        return bool(last) and last[-1].key in one.objects
    return bool(claim.objects & one.subjects or claim.subjects & one.objects)


def check_pairs(claim: Statement, found: list[list[Match]], paper: Paper, result: Judgement) -> None:
    """Check a direction against the sentence's own figures: "falls from 38 to 41" cannot be."""
    for number in range(len(claim.figures) - 1):
        last = _last_listed(claim, number + 1)
        one, two = claim.figures[number], claim.figures[last]
        if one.unit != two.unit or one.word or two.word:
            continue
        if not one.unit and one.step != two.step:
            continue  # figures of different kinds: a score and a count
        between = claim.text[one.end : two.start]
        turn = claim.turn[last] or claim.turn[number]
        if claim.korean and (beaten := _BEATEN.search(_tail(claim, last))):  # the word stands after "보다"
            turn = next((d for d in claim.directions if d.end > two.end + beaten.end() - 1), None)
        if turn is not None and _EFFECT.search(claim.text[: turn.start]):
            continue  # "a larger loss" compares differences
        counts = not one.unit and is_count(one) and is_count(two)
        if turn is None or (counts and (turn.good or _COUNTED.search(between))):
            continue
        low, high = min(turn.start, one.start), max(turn.start, two.end)
        beside = range(number, last + 1)
        between_ = (
            f for n, f in enumerate(claim.figures) if n not in beside and not (f.word and f.unit == "x")
        )
        if any(low < f.start < high for f in between_):
            continue  # the word belongs to other figures
        keys = claim.bound[number] | claim.bound[last] | claim.shared
        size = turn.size or turn.good * _leaning(found, number, last, one.unit, paper)
        size = size or size_of(turn, one.unit, keys, paper)
        sign = pair_sign(claim, number, between, last)
        if two.value < one.value / 4 and is_difference(claim, last):
            continue  # "0.0084 above the 0.7533 of"
        if one.value == two.value:
            wrong = sign == 1 and size != 0  # "rises from 9.6 to 9.6"
        else:
            wrong = bool(sign and size) and all(
                (claim.figures[n].value > one.value) != (size * sign > 0) for n in beside[1:]
            )
        if wrong:
            word = claim.text[turn.start : turn.end]
            printed = f"{claim.text[one.start : one.end]} and {claim.text[two.start : two.end]}"
            result.doubt("pairs", "contradicted", f"{word}: {printed} say the opposite")


def _leaning(found: list[list[Match]], number: int, last: int, unit: str, paper: Paper) -> int:
    """Which way is better in the columns of a pair of figures, where all tell the same."""
    columns = [
        {(m.statement.passage, m.statement.line("column")) for m in found[n] if m.statement.cell}
        for n in (number, last)
    ]
    both = columns[0] & columns[1]
    cells = [
        m
        for n in (number, last)
        for m in found[n]
        if (m.statement.passage, m.statement.line("column")) in both
    ]
    signs = {
        paper.marks.get((m.statement.passage, m.statement.line("column")), 0)
        or known_sign(m.statement.bound[m.index], unit, paper)
        or paper.leaning(m.statement)
        for m in cells
    }
    return signs.pop() if len(signs) == 1 else 0


def _tail(claim: Statement, index: int) -> str:
    """What follows a figure, up to the next one or a comma."""
    figure = claim.figures[index]
    after = min((f.start for f in claim.figures if f.start > figure.start), default=len(claim.text))
    return claim.text[figure.end : min(after, figure.end + 45)].split(",")[0]


RESOURCES = {
    "flops",
    "time",
    "latency",
    "training-time",
    "size",
    "memory",
    "cost",
    "energy",
    "power",
    "speed",
}


def size_of(turn: Direction, unit: str, keys: set[str], paper: Paper) -> int:
    """Whether better (or quicker) means more (+1) or less (-1) of what is measured in a unit."""
    if turn.pace and unit in ("s", "fps"):
        return -turn.pace if unit == "s" else turn.pace
    return turn.good * known_sign(keys, unit, paper)


#: Units of amounts, for which alone "cost" and "time" are what is measured.
_AMOUNTS = frozenset(("s", "byte", "$", "€", "J", "W", "flop", "fps", "bit/s"))


def known_sign(keys: set[str], unit: str, paper: Paper) -> int:
    """Whether more of what is measured is better (+1) or less (-1), as its metric says."""
    if unit not in _AMOUNTS:
        keys = keys - RESOURCES  # "computation questions": such a share is no amount of computation
    return paper.polarity_of(keys)


_BEATEN = re.compile(
    r"(?:에게?\s?(?:\S{1,6}\s)?(?:뒤[처졌지진집떨]|못 미|밀[렸리])|보다|에 비해|대비"
    r"|[를을]\s?(?:\S{1,6}\s){0,2}(?:앞|능가|웃|밑|상회|하회|넘|뛰어))"
)
_LISTED = re.compile(r"\)?(?:이?나|와|과|및|,| and| or)\s")


def _last_listed(claim: Statement, number: int) -> int:
    """The last figure of a list that begins at one: "B의 56.4%와 C의 47.6%를 상회"."""
    last = number
    while last + 1 < len(claim.figures) and claim.korean:
        one, two = claim.figures[last], claim.figures[last + 1]
        if one.unit != two.unit or not _LISTED.match(claim.text[one.end : two.start]):
            break
        last += 1
    return last


def pair_sign(claim: Statement, number: int, between: str, last: int | None = None) -> int:
    """+1 where the second figure is what the first becomes, -1 where the first is compared with it, else 0.

    `last` is the number of the second figure where several stand in a list.
    """
    one, two = claim.figures[number], claim.figures[number + 1 if last is None else last]
    before = claim.text[max(0, one.start - 12) : one.start]
    after = claim.text[two.end : two.end + 8]
    if re.fullmatch(
        r"(?:\s+(?:for|of|with|in|on)\b[^,;:.]{1,40})?\s*(?:to|→|->)\s*(?:about |around )?", between
    ) and (re.search(r"\bfrom\s*$", before)):
        return 1
    if re.fullmatch(r",?\s*(?:\w+ )?from\s*(?:about |around )?", between) and _TO.search(before):
        return -1
    if re.match(r"\s*(?:에서|→)\s*(?:\S{1,24}의\s)?(?:약\s*)?$", between) and re.match(
        r"\s?(?:으로|로|까지)", after
    ):
        return 1
    if _LISTED.match(between) and claim.korean:
        return 0  # both are what is compared with
    if (
        claim.korean
        and _BEATEN.match(between.lstrip(")"))
        and not _BEATEN.search(claim.text[two.end : two.end + 16])
    ):
        return 1
    if _BEATEN.search(_tail(claim, number + 1 if last is None else last)) and len(between) < (
        70 if last is None or last == number + 1 else 110
    ):
        return -1
    if (
        re.search(r"\b(?:than|above|below|ahead of|behind|versus|against|over)\b", between)
        and len(between) < 60
    ):
        return -1
    return 0


def check_sides(claim: Statement, paper: Paper, result: Judgement) -> None:
    """Check a comparison without figures against the paper's sentences on the same names."""
    names = {t.key for t in claim.terms if t.kind == "name"}
    if not claim.directions or len(names) < 2 or not claim.objects & names:
        return
    turn = claim.directions[0]
    verdicts = []
    for number in set().union(*(paper.by_key.get(k, set()) for k in claim.objects & names)):
        one = paper.statements[number]
        if one.cell or not one.directions or len(names & one.keys) < 2:
            continue
        against = opposed(turn, one.directions[0], paper.polarity_of(claim.keys | one.keys))
        if against is not None:
            verdicts.append((against != _swapped(claim, one), one))
    if verdicts and all(against for against, _ in verdicts):
        result.cite(verdicts[0][1].passage)
        result.doubt(
            "sides", "contradicted", f"{claim.text[turn.start : turn.end]}: the paper says the opposite"
        )
