"""Figures in a text: their value, unit and precision, in English, Korean and simple LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sillok.digest.check.units import COUNTER, Unit, compatible, unit_after


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        start, end: its place in the text, unit included.
        value: in the base unit (seconds, bytes, a plain count ...).
        unit: base unit; "" for none, "?" where a table does not tell.
        step: one unit of the last printed digit, in the base unit.
        digits: significant digits as printed.
        bound: "about", "over", "under" or "" as the words around it say.
        word: whether it is written as a word ("three", "세").
        other: a second reading ("1.2K" is 1,200 or 1.2 kelvin), or None.
        printed: the value before its unit is applied: 38 for "38 ms".
    """

    start: int
    end: int
    value: float
    unit: str
    step: float
    digits: int
    bound: str = ""
    word: bool = False
    other: float | None = None
    printed: float = 0.0

    @property
    def is_year(self) -> bool:
        """Whether it may be a year of the calendar."""
        return not self.unit and self.step == 1 and 1900 <= self.value <= 2100

    @property
    def decimals(self) -> bool:
        """Whether it is printed with decimals."""
        return bool(self.value) and self.step * self.printed < 0.99 * abs(self.value)


_NUMBER = r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+"
_FIGURE = re.compile(
    rf"(?<![\w.@])(?P<sign>[-−–+](?=[0-9.]))?(?P<dollar>\$)?(?P<number>{_NUMBER})"
    r"(?P<power>[eE][-+−]?[0-9]{1,3}|\s?[×x]\s?10\s?\^?\s?\{?(?P<exponent>[-−]?[0-9]{1,3})\}?)?"
    r"(?P<scale>\s?(?:trillion|billion|million|thousand|hundred)s?\b|\s?[KMBTk](?![A-Za-z가-힣0-9/])"
    r"|\s?[KMBTk](?=[가-힣])|\s?(?:천만|백만|십만|만|억|조|천)(?!점))?",
)
_SCALES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "million": 1e6,
    "billion": 1e9,
    "trillion": 1e12,
    "k": 1e3,
    "m": 1e6,
    "b": 1e9,
    "t": 1e12,
    "천": 1e3,
    "만": 1e4,
    "십만": 1e5,
    "백만": 1e6,
    "천만": 1e7,
    "억": 1e8,
    "조": 1e12,
}
_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
    "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90, "hundred": 100, "dozen": 12,
}  # fmt: skip
_TIMES = {
    "twice": 2.0,
    "double": 2.0,
    "doubles": 2.0,
    "doubled": 2.0,
    "doubling": 2.0,
    "triple": 3.0,
    "triples": 3.0,
    "tripled": 3.0,
    "tripling": 3.0,
}
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_WORD = re.compile(
    rf"\b(?:(?:{_TENS})-(?:one|two|three|four|five|six|seven|eight|nine)|{'|'.join((*_WORDS, *_TIMES))})\b",
    re.IGNORECASE,
)
_WORD_MORE = re.compile(r"\s(?P<scale>thousand|million|billion|trillion)\b|\sand a half\b", re.IGNORECASE)
_ONE = re.compile(r"\b(?:one|a)\s(?P<scale>thousand|million|billion)\b", re.IGNORECASE)
_KOREAN = {
    "두": 2, "세": 3, "네": 4, "다섯": 5, "여섯": 6, "일곱": 7, "여덟": 8, "아홉": 9, "열": 10, "열두": 12,
    "스무": 20,
}  # fmt: skip
_KOREAN_WORD = re.compile(
    r"(?<![가-힣])(?P<word>열두|두|세|네|다섯|여섯|일곱|여덟|아홉|열|스무)\s?(?P<counter>가지|개|단계|종류|종|명|배|대의|번|차례|곳|쌍|모델|데이터|모듈|부분|층|턴|장)(?!째)"
)
_FRACTION = re.compile(r"(?P<below>[0-9][0-9,]*)\s?분의\s?(?P<above>[0-9]+)")
_FACTOR = re.compile(r"\b(?:factor of|factors of)\s*$", re.IGNORECASE)
_REFERENCE = re.compile(
    r"(?:\b(?:table|tab\.|figure|fig\.|section|sec\.|appendix|equation|eq\.|algorithm|chapter|theorem|lemma"
    r"|step|stage|phase|page|version)\s*\(?|\b(?:sub-?task|task|track)\s|(?:표|그림|식|과제)\s?)$",
    re.IGNORECASE,
)
#: "(1) it is fast, and (2) it is small".
_ENUMERATOR = re.compile(r"(?:(?<=\s)|(?<![\s\S]))\([1-9]\)(?=\s)")
_PER_SECOND = re.compile(r"초당\s?(?:약\s?|최대\s?)?$")
_ABOUT = re.compile(
    r"(?:\babout|\baround|\broughly|\bapproximately|\bapprox\.|\bca\.|약|대략|[~∼≈])\s*$", re.IGNORECASE
)
_OVER = re.compile(r"(?:more than|over|at least|above|exceeding|beyond|[>≥])\s*$", re.IGNORECASE)
_UNDER = re.compile(
    r"(?:less than|under|below|nearly|almost|up to|at most|fewer than|within|거의|최대|[<≤])\s*$",
    re.IGNORECASE,
)
_OVER_AFTER = re.compile(r"\s?(?:이상|넘|초과|여\s?(?:개|명|장))")
_UNDER_AFTER = re.compile(r"\s?(?:이하|미만|이내|가까이|안에)")


def figures(text: str, taken: list[tuple[int, int]] | None = None) -> list[Figure]:
    """Return the figures of a sentence, those inside `taken` stretches (names such as "Llama-3-8B") left out."""
    spans = taken or []
    found = [*_fractions(text)]
    spans = [*spans, *((f.start, f.end) for f in found)]
    found += [f for f in _numerals(text, spans) if not _inside(f, spans)]
    found += [f for f in _words(text) if not _inside(f, spans)]
    found.sort(key=lambda f: f.start)
    return _shared_units(text, _joined(text, found))


def _inside(figure: Figure, spans: list[tuple[int, int]]) -> bool:
    return any(start <= figure.start < end for start, end in spans)


def _fractions(text: str) -> Iterator[Figure]:
    for match in _FRACTION.finditer(text):
        below = float(match["below"].replace(",", ""))
        if below > 0 and float(match["above"]) == 1:
            yield Figure(
                match.start(), match.end(), below, "x", 1.0, len(match["below"]), word=True, printed=below
            )


def _numerals(text: str, spans: list[tuple[int, int]]) -> Iterator[Figure]:
    for match in _FIGURE.finditer(text):
        start, end = match.start("number"), match.end()
        before = text[max(0, start - 24) : match.start()]
        if start > 0 and _ENUMERATOR.match(text, start - 1):
            continue
        counts = match["scale"] or COUNTER.match(text, end + (text[end : end + 1] == " "))
        if (
            _REFERENCE.search(before)
            and not (counts and before.rstrip().endswith(("표", "그림", "식", "과제")))
        ) or re.match(r"(?:st|nd|rd|th)\b|[/:][0-9]|\s?번째|\s?백분위", text[end : end + 4]):
            continue
        printed = match["number"].replace(",", "")
        scale = _SCALES.get((match["scale"] or "").strip().rstrip("s").lower(), 1.0)
        power = _power(match)
        whole, _, decimals = printed.partition(".")
        value = float(printed)
        step = 10.0 ** -len(decimals)
        digits = len((whole + decimals).lstrip("0")) or 1
        if not decimals and "," not in match["number"]:
            digits = len(whole.rstrip("0").lstrip("0")) or 1
        unit = Unit("$") if match["dollar"] else Unit("")
        if (found := unit_after(text, end)) is not None:
            unit, end = found
        elif (
            not decimals and (counter := COUNTER.match(text, end + (text[end : end + 1] == " "))) is not None
        ):
            end = counter.end()
        if unit.base == "m" and re.search(r"(?:초속|초당)\s?(?:약\s?)?$", before):
            unit = Unit("m/s", unit.factor)
        if (
            unit.base == ""
            and _PER_SECOND.search(before)
            and re.match(r"\s?(?:프레임|장)", text[match.end() :])
        ):
            unit = Unit("fps")
        if unit.base == "s" and unit.factor > 3e7 and 1900 <= value * scale <= 2100:
            unit = Unit("")  # a year of the calendar, not a duration
        if _FACTOR.search(before):
            unit = Unit("x")
        factor = scale * power * unit.factor
        # "1.2K" is 1,200 or 1.2 kelvin; "0.4만" is 4,000 or "0.4 only"
        twofold = (match["scale"] or "") == "만" or (match["scale"] or "").strip() == "K"
        other = value if twofold and unit.base == "" and decimals else None
        yield Figure(
            start,
            end,
            value * factor,
            unit.base,
            step * factor,
            digits,
            _bound(text, match.start(), end),
            other=other,
            printed=value * scale * power,
        )


def _power(match: re.Match[str]) -> float:
    if not match["power"]:
        return 1.0
    text = match["exponent"] or re.sub(r"[eE]", "", match["power"])
    return float(10.0 ** int(text.replace("−", "-").strip("^{} ")))


def _bound(text: str, start: int, end: int) -> str:
    before = text[max(0, start - 16) : start]
    if _ABOUT.search(before):
        return "about"
    if _OVER.search(before) or _OVER_AFTER.match(text, end):
        return "over"
    if _UNDER.search(before) or _UNDER_AFTER.match(text, end):
        return "under"
    return ""


def _words(text: str) -> Iterator[Figure]:
    for match in _WORD.finditer(text):
        word = match[0].lower()
        if word in _TIMES:
            yield Figure(
                match.start(), match.end(), _TIMES[word], "x", 1.0, 1, word=True, printed=_TIMES[word]
            )
            continue
        end, unit = match.end(), Unit("")
        tens, _, ones = word.partition("-")
        printed = float(_WORDS[tens] + ({"one": 1, **_WORDS}[ones] if ones else 0))
        if (more := _WORD_MORE.match(text, end)) is not None:
            end = more.end()
            printed = printed * _SCALES[more["scale"].lower()] if more["scale"] else printed + 0.5
        if (found := unit_after(text, end)) is not None:
            unit, end = found
        step = unit.factor * (_SCALES[more["scale"].lower()] if more and more["scale"] else 1.0)
        yield Figure(
            match.start(), end, printed * unit.factor, unit.base, step, 1, word=True, printed=printed
        )
    for match in _ONE.finditer(text):
        printed = _SCALES[match["scale"].lower()]
        yield Figure(match.start(), match.end(), printed, "", printed, 1, word=True, printed=printed)
    for match in _KOREAN_WORD.finditer(text):
        unit_name = "x" if match["counter"] == "배" else ""
        printed = float(_KOREAN[match["word"]])
        bound = _bound(text, match.start(), match.end())
        yield Figure(
            match.start(), match.end(), printed, unit_name, 1.0, 1, bound, word=True, printed=printed
        )


def _joined(text: str, found: list[Figure]) -> list[Figure]:
    """Join Korean figures of several parts: "1억 3,000만" is one figure, and so is "4만 8,000"."""
    joined: list[Figure] = []
    for figure in found:
        last = joined[-1] if joined else None
        if last is not None and text[last.end : figure.start] in ("", " ") and not (last.word or figure.word):
            part = text[last.start : last.end]
            if re.search(r"(?:만|억|조|천)$", part) and figure.printed < last.step and last.unit == "":
                printed = len(re.sub(r"\D", "", text[figure.start : figure.end]))
                factor = figure.value / figure.printed if figure.printed else 1.0
                joined[-1] = replace(
                    last,
                    end=figure.end,
                    value=last.value * factor + figure.value,
                    printed=last.printed + figure.printed,
                    unit=figure.unit,
                    step=figure.step,
                    digits=last.digits + printed,
                    bound=last.bound or figure.bound,
                )
                continue
        joined.append(figure)
    return joined


_LIST = re.compile(
    r"\s*(?:,|and|or|to|and by|,\s*and|~|∼|–|-|and of|와|과|및|에서|부터|→|from|이|by)\s*(?:약|about|by|to)?\s*\Z"
)


def _shared_units(text: str, found: list[Figure]) -> list[Figure]:
    """Give a figure without unit that of the next one in a list: "4.9 and 1.8 points", "2-10초"."""
    shared = list(found)
    for index in range(len(shared) - 2, -1, -1):
        one, two = shared[index], shared[index + 1]
        if one.unit or not two.unit or one.word or two.unit == "$":
            continue
        if not text[one.end - 1].isdigit():
            continue  # "16개에서 52분": what is counted has its counter
        between = text[one.end : two.start]
        if between.strip() == "," and not (
            index + 2 < len(shared) and shared[index + 2].unit == two.unit != found[index + 1].unit
        ):
            continue
        if (
            len(between) < 8
            and _LIST.match(between)
            and not re.search(r"[만억조천KMB]$", text[one.start : one.end])
        ):
            factor = _factor(text, two)
            shared[index] = replace(one, unit=two.unit, value=one.value * factor, step=one.step * factor)
    return shared


def _factor(text: str, figure: Figure) -> float:
    match = re.match(rf"(?:{_NUMBER})(?:\s?[KMBTk만억조천](?![a-z]))?", text[figure.start :])
    found = unit_after(text, figure.start + match.end()) if match else None
    return found[0].factor if found else 1.0


def matches(claim: Figure, paper: Figure) -> bool:
    """Tell whether a paper's figure bears out a claimed one: equal, or equal after rounding as it is printed."""
    if paper.unit == "?" and claim.unit not in ("", "?"):
        return _close(
            replace(claim, step=claim.step * claim.printed / claim.value if claim.value else 1.0),
            claim.printed,
            paper.printed,
        ) or _close(claim, claim.value, paper.value)
    if claim.other is None and paper.other is None:
        if not 0.5 * claim.value <= paper.value <= 2.0 * claim.value and claim.value > 0:
            return False  # no rounding and no bound reaches so far; most pairs end here
        return _close(claim, claim.value, paper.value)
    truths = [value for value in (paper.value, paper.other) if value is not None]
    if any(_close(claim, claim.value, truth) for truth in truths):
        return True
    if claim.other is None:
        return False
    plain = replace(claim, step=claim.step * claim.other / claim.value)  # "1.2K" read as 1.2 kelvin
    return any(_close(plain, claim.other, truth) for truth in truths)


def _close(claim: Figure, value: float, truth: float) -> bool:
    if value == truth or abs(value - truth) <= 1e-9 * max(abs(value), abs(truth)):
        return True
    if value <= 0 or truth <= 0:
        return False
    gap = abs(value - truth)
    if claim.bound == "about":
        loose = {1: 0.15, 2: 0.03}.get(claim.digits, 0.0) if claim.digits < 3 else 0.0
        if claim.digits == 1 and claim.step >= 1 and claim.printed < 10:
            return gap <= min(loose * truth, 0.5 * claim.step)
        return gap <= max(loose * truth, claim.step if claim.digits > 2 else 0.5 * claim.step)
    # "more than 2 times" holds for 2.3, "over 8.5 million" not for 8.8 million: a bound is the rounded figure.
    if claim.bound == "over" and value < truth:
        return truth - value < claim.step * (1 - 1e-6) or (claim.digits == 1 and truth <= 1.25 * value)
    if claim.bound == "under" and truth < value:
        return value - truth < claim.step * (1 - 1e-6) or (claim.digits == 1 and truth >= 0.85 * value)
    if claim.word:
        return False
    # A figure may be printed with fewer digits than the paper's, but not with one digit alone.
    rounded = claim.step if claim.digits > 1 else 0.0
    if claim.step >= 1 and claim.digits >= 2:
        rounded = max(rounded, _last_place(value))
    return gap <= 0.5 * rounded * (1 + 1e-9)


def _last_place(value: float) -> float:
    """The unit of the last digit that is no trailing nought, three digits at least: 412,000 gives 1,000."""
    printed = f"{value:.0f}"
    kept = max(3, len(printed.rstrip("0")))
    return float(10.0 ** max(0, len(printed) - kept))


def comparable(one: Figure, other: Figure) -> bool:
    """Tell whether the units of two figures may name the same quantity."""
    return compatible(one.unit, other.unit)
