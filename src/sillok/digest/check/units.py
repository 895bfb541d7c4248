"""Units as they stand after a figure, in English, Korean and LaTeX, brought to one base unit each."""

from __future__ import annotations

import re
from typing import NamedTuple


class Unit(NamedTuple):
    """A base unit and the factor that brings a figure to it."""

    base: str
    factor: float = 1.0


#: Percent and percentage points are kept apart; "points" may stand for the latter or for a plain score.
_UNITS: dict[str, tuple[str, ...]] = {
    "pp": (
        r"%\s?p(?:oints?|ts?|p)?(?![a-z])",
        r"(?:percentage|percent|per\s?cent|absolute)[ -]points?",
        r"pp(?![a-z])",
        r"퍼센트\s?포인트|%\s?포인트|퍼센트포인트",
    ),
    "%": (r"%|％", r"per\s?cent(?![A-Za-z])|percent(?![A-Za-z])", r"퍼센트|프로(?=[를은이가의로\s,.])"),
    "point": (
        r"[a-z]*[ -]?points?(?![A-Za-z])(?! cloud)",
        r"pts?(?![A-Za-z])",
        r"포인트",
        r"점(?!\s?[군진차])",
    ),
    "x": (
        r"[x×](?![A-Za-z0-9])",
        r"times(?=\W|$)",
        r"-?fold(?![A-Za-z])",
        r"배(?![치열경포선])",
    ),
}
_SCALED: tuple[tuple[str, str, float], ...] = (
    (r"ns(?![A-Za-z])|nanoseconds?(?![A-Za-z])|나노초", "s", 1e-9),
    (r"[µμu]s(?![A-Za-z])|microseconds?(?![A-Za-z])|마이크로초", "s", 1e-6),
    (r"ms(?![A-Za-z])|msec(?![A-Za-z])|milliseconds?(?![A-Za-z])|밀리초", "s", 1e-3),
    (r"s(?![A-Za-z/])|secs?(?![A-Za-z])|seconds?(?![A-Za-z])|초(?![기당점과])", "s", 1.0),
    (r"mins?(?![A-Za-z])|minutes?(?![A-Za-z])|분(?!의\s?[0-9]|[포류할야석산지리])", "s", 60.0),
    (r"hrs?(?![A-Za-z])|hours?(?![A-Za-z])|hourly(?= )|h(?![A-Za-z])|시간", "s", 3600.0),
    (r"days?(?![A-Za-z])|일(?=[간이을에동\s,.)]|$)(?! ?때| ?경우)", "s", 86400.0),
    (r"weeks?(?![A-Za-z])|주(?=[간일동\s,.)])", "s", 604800.0),
    (r"months?(?![A-Za-z])|개월|달(?=\s|간|동)", "s", 2629800.0),
    (r"years?(?![A-Za-z])|년|세(?=[를가의에이까~ ,.]|$)", "s", 31557600.0),
    (r"TB(?![A-Za-z])|terabytes?(?![A-Za-z])|테라바이트", "byte", 1e12),
    (r"Gi?B(?![A-Za-z])|gigabytes?(?![A-Za-z])|기가바이트", "byte", 1e9),
    (r"Mi?B(?![A-Za-z])|megabytes?(?![A-Za-z])|메가바이트", "byte", 1e6),
    (r"[kK]i?B(?![A-Za-z])|kilobytes?(?![A-Za-z])|킬로바이트", "byte", 1e3),
    (r"[Gg](?:bit/s|bps)|기가비트/초", "bit/s", 1e9),
    (r"[Mm](?:bit/s|bps)|메가비트/초", "bit/s", 1e6),
    (r"[Kk](?:bit/s|bps)", "bit/s", 1e3),
    (r"bytes?(?![A-Za-z])|바이트", "byte", 1.0),
    (r"-?bits?(?![A-Za-z])(?! per )|비트", "bit", 1.0),
    (r"MWh(?![A-Za-z])", "J", 3.6e9),
    (r"kWh(?![A-Za-z])|킬로와트시", "J", 3.6e6),
    (r"Wh(?![A-Za-z])", "J", 3600.0),
    (r"MJ(?![A-Za-z])", "J", 1e6),
    (r"kJ(?![A-Za-z])", "J", 1e3),
    (r"mJ(?![A-Za-z])|밀리줄", "J", 1e-3),
    (r"J(?![A-Za-z])|joules?(?![A-Za-z])", "J", 1.0),
    (r"MW(?![A-Za-z])|메가와트", "W", 1e6),
    (r"kW(?![A-Za-z])|킬로와트", "W", 1e3),
    (r"mW(?![A-Za-z])|밀리와트", "W", 1e-3),
    (r"W(?![A-Za-z])|watts?(?![A-Za-z])|와트", "W", 1.0),
    (r"dB(?![A-Za-z])|데시벨", "dB", 1.0),
    (r"GHz(?![A-Za-z])", "Hz", 1e9),
    (r"MHz(?![A-Za-z])", "Hz", 1e6),
    (r"kHz(?![A-Za-z])", "Hz", 1e3),
    (r"Hz(?![A-Za-z])|헤르츠", "Hz", 1.0),
    (
        r"(?:frames?|images?) (?:per|a) second|fps(?![A-Za-z])|FPS(?![A-Za-z])|frames/s(?![A-Za-z])|프레임/초",
        "fps",
        1.0,
    ),
    (r"hPa(?![A-Za-z])", "hPa", 1.0),
    (r"m/s(?![A-Za-z])", "m/s", 1.0),
    (r"km(?![A-Za-z])|kilomet(?:er|re)s?(?![A-Za-z])|킬로미터", "m", 1e3),
    (r"cm(?![A-Za-z])|centimet(?:er|re)s?(?![A-Za-z])|센티미터", "m", 1e-2),
    (r"mm(?![A-Za-z])|millimet(?:er|re)s?(?![A-Za-z])|밀리미터", "m", 1e-3),
    (r"[µμ]m(?![A-Za-z])|micromet(?:er|re)s?(?![A-Za-z])", "m", 1e-6),
    (r"nm(?![A-Za-z])", "m", 1e-9),
    (r"m(?![A-Za-z/])|met(?:er|re)s?(?![A-Za-z])|미터", "m", 1.0),
    (r"degrees?(?![A-Za-z])|°|도(?=[로의를가이에보와는은\s,.]|$)", "degree", 1.0),
    (r"(?:US )?dollars?(?![A-Za-z])|USD(?![A-Za-z])|달러", "$", 1.0),
    (r"cents?(?![A-Za-z])|센트", "$", 0.01),
    (r"euros?(?![A-Za-z])|유로|EUR(?![A-Za-z])", "€", 1.0),
    (r"PFLOPs?(?![A-Za-z])|PFLOPS(?![A-Za-z])", "flop", 1e15),
    (r"TFLOPs?(?![A-Za-z])|TFLOPS(?![A-Za-z])", "flop", 1e12),
    (r"GFLOPs?(?![A-Za-z])|GFLOPS(?![A-Za-z])", "flop", 1e9),
    (r"TOPS(?![A-Za-z])", "op/s", 1e12),
    (r"nats?(?![A-Za-z])", "nat", 1.0),
    (r"pixels?(?![A-Za-z])|px(?![A-Za-z])|픽셀", "pixel", 1.0),
)
_COMPILED = [
    *((re.compile(form), Unit(base)) for base in ("pp", "%") for form in _UNITS[base]),
    *((re.compile(form), Unit(base, factor)) for form, base, factor in _SCALED),
    *((re.compile(form), Unit(base)) for base in ("x", "point") for form in _UNITS[base]),
]
#: What may stand between a figure and its unit: "1,900 CPU hours".
_PREFIX = re.compile(
    r"(?:CPU|GPU|TPU|core|node|machine|wall-clock|calendar|[AHV]100|H200|B200|T4|RTX [0-9]{4})"
    r"(?:[- ](?=(?:second|minute|hour|day|week|year|h)s?\b)|\s?(?=시간|분|일|초))"
)
_MORE = re.compile(
    r"(?:more|further|additional|extra) (?=(?:second|minute|hour|day|week|month|year|point)s?\b)"
)
_FIRST = frozenset("%％xX×-°µμ")

#: Korean counters, which say that a thing is counted and not what.
COUNTER = re.compile(
    r"(?:여\s?)?(?:가지|개(?!월)|명|건|장(?=[의을이에\s,.])|대(?=[의를가로에\s,.])|번|회|종|편|쌍|곳|턴|단계|층"
    r"|프레임|토큰|권|줄|차례|행|열(?=\s)|인(?=[이의\s])|자리)"
)


def unit_after(text: str, start: int) -> tuple[Unit, int] | None:
    """Return the unit that stands at an offset (spaces and one hyphen may precede it) and its end, or None."""
    gap = start
    while gap < len(text) and gap < start + 2 and text[gap] in " \u00a0\u202f-‑~":
        gap += 1
    if (more := _MORE.match(text, gap)) is not None:
        gap = more.end()
    if (prefix := _PREFIX.match(text, gap)) is not None:
        gap = prefix.end()
    if gap >= len(text) or not (text[gap].isalpha() or text[gap] in _FIRST):
        return None
    for pattern, unit in _COMPILED:
        match = pattern.match(text, gap)
        if match is not None:
            # "5 x" needs the sign at the figure, and "28.1 s" must not swallow the word "s..." elsewhere.
            return unit, match.end()
    return None


def header_unit(text: str) -> tuple[Unit | None, float]:
    """Read the unit and the scale that a table's header names: "Time (ms)" or "Parameters (M)"."""
    for inside in re.findall(r"[(\[]([^()\[\]]{1,40})[)\]]", text):
        word = inside.split(",")[0].strip()
        if word in ("K", "k", "thousand", "thousands"):
            return None, 1e3
        if word in ("M", "million", "millions"):
            return None, 1e6
        if word in ("B", "billion", "billions"):
            return None, 1e9
        found = unit_after(word, 0)
        if found is not None:
            return found[0], 1.0
        if word in ("$", "US$", "USD"):
            return Unit("$"), 1.0
        if (thousands := re.match(r"([kKMB]|thousand|million)s? [a-z]", word)) is not None:
            return None, {"k": 1e3, "t": 1e3, "m": 1e6, "b": 1e9}[thousands[1][0].lower()]
    if re.search(r"frames per second|\bfps\b", text, re.IGNORECASE):
        return Unit("fps"), 1.0
    match = re.search(r"\b(?:milliseconds|seconds|minutes|hours|days)\b(?<!per second)", text, re.IGNORECASE)
    found = unit_after(match[0].lower(), 0) if match else None
    return (found[0] if found else None), 1.0


#: Units that may stand for one another, because a paper leaves them out or names them loosely.
_LOOSE = {
    frozenset(pair)
    for pair in (("", "%"), ("", "pp"), ("", "point"), ("point", "pp"), ("", "x"), ("fps", ""), ("", "bit"))
}


def compatible(one: str, other: str) -> bool:
    """Tell whether two base units may name the same quantity; "?" (a table that says none) fits all."""
    return one == other or "?" in (one, other) or frozenset((one, other)) in _LOOSE
