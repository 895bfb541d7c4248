"""Directions of comparisons in a sentence: more or less, better or worse, and which side is which."""

from __future__ import annotations

import re
from typing import NamedTuple


class Direction(NamedTuple):
    """A word that compares.

    `size` is +1 for more and -1 for less, `good` +1 for better and -1 for worse, and `pace` +1 for what is
    quicker ("faster", "shorter") and -1 for what is slower ("slower", "longer").
    """

    start: int
    end: int
    size: int
    good: int
    pace: int = 0


# "above 3DGS" and "above the 56.0 % of" compare, "above the mean" does not.
_BEFORE_SIDE = r"(?= (?:that|those|(?-i:[A-Z]|[0-9]+[A-Z]{2})|the [0-9][0-9.,]*(?:%| ?\w* of)|all|every))"
_FORMS: tuple[tuple[int, int, str], ...] = (
    (
        +1,
        0,
        r"\b(?:increas\w*|rises?|rose|rising|rais\w+|grow\w*|grew|climb\w*|higher|more(?! than [0-9]| \w+ly\b)|larger"
        rf"|greater|bigger|above{_BEFORE_SIDE}|exceed\w*|longer|taller|deeper|heavier|add(?:s|ed)?|boost\w*|lift\w*"
        r"|elevat\w*|up (?:by|to|from)|expand\w*)\b",
    ),
    (
        -1,
        0,
        r"\b(?:decreas\w*|declin\w*|falls?|fell|falling|drop\w*|reduc\w*|lower\w*|shrink\w*|shrank|shrunk|cuts?"
        r"|cutting|less(?! than [0-9])|fewer(?! than [0-9])|smaller|shorter|sav(?:es?|ed|ing|ings)|diminish\w*|lighter"
        rf"|below{_BEFORE_SIDE}|narrow\w*|down (?:by|to|from)|halv\w*)\b",
    ),
    (
        0,
        +1,
        r"\b(?:improv\w*|better|outperform\w*|surpass\w*|beats?|beating|ahead|faster|quicker|cheaper|stronger|superior"
        r"|more (?:accurate|precise|efficient|robust|stable|reliable|consistent|effective)"
        r"|wins?(?![- ]rates?)|speedup|speed-up|accelerat(?:es?|ed|ing|ion)|enhanc\w*|benefit\w*|preferred"
        r"|prefer\w*"
        r"|gains?|gained|leads?(?! to\b))\b",
    ),
    (
        0,
        -1,
        r"\b(?:worse\w*|underperform\w*|behind|trail\w*|los(?:es?|ing)\s+(?:to|against)|slower|more expensive"
        r"|costlier|weaker|inferior|degrad\w*|deteriorat\w*|harm(?:s|ed|ing)?|hurts?|lags?)\b",
    ),
    (
        +1,
        0,
        r"증가|상승|높[은게이으아여였습고지]|높다|높였|높인|높이|늘어|늘었|늘려|늘린|늘립|키우|키운|키웠|커지|커졌|커집|(?<![가-힣])(?:큽니다|크다|크고|크며|큰)"
        r"|많습|많은|많아|많다|많고|많으며|올랐|오르|오릅|올라|올립|올린|길어|깁니다|길다|초과|웃돌|웃돕|상회|확대",
    ),
    (
        -1,
        0,
        r"감소|하락|낮[은게아습으고지]|낮다|낮추|낮췄|낮춥|낮출|낮춘|줄어|줄었|줄이|줄입|줄인|줄여|줄였|(?<![가-힣])(?:작습|작은|작아|작다|작고|작으며)"
        r"|(?<![가-힣])(?:적습니다|적은|적다|적고|적으며|적어(?!도))|떨어|내려|내리|내립|단축|짧|절감|밑돌|밑돕|하회|축소|절약",
    ),
    (
        0,
        +1,
        r"향상|개선|우수|능가|앞서|앞섰|앞섭|앞선|빠르|빠릅|빠른|빨라|빨랐|뛰어|저렴|좋[은습아]|좋다|선호|더 나은"
        r"|우세|강세|(?<![가-힣])(?:이점|이득)",
    ),
    (
        0,
        -1,
        r"저하|악화|뒤처|뒤떨어|뒤진|뒤집니|열등|열세|느리|느립|느린|느려|나쁘|나쁩|나빠|비싸|비쌉"
        r"|못 미치|못 미칩|부진",
    ),
)
_COMPILED = [(size, good, re.compile(form, re.IGNORECASE)) for size, good, form in _FORMS]
_QUICK = re.compile(r"faster|quicker|shorter|accelerat|speed|빠|짧|단축", re.IGNORECASE)
_SLOW = re.compile(r"slower|longer|느|길|깁", re.IGNORECASE)
_NOT = re.compile(
    r"\b(?:not|no|without|never|hardly|barely|nor)\b(?:\s+\w+){0,2}\s*$|\bn't(?:\s+\w+){0,1}\s*$",
    re.IGNORECASE,
)
_NOT_AFTER = re.compile(r"[가-힣]{0,3}(?:지(?:는|도)?\s?(?:않|못)|\s?없)")


def directions(text: str) -> list[Direction]:
    """Return the words of comparison in a sentence, in order; those under a negation are left out."""
    found: list[Direction] = []
    for size, good, pattern in _COMPILED:
        for match in pattern.finditer(text):
            before, after = (
                text[max(0, match.start() - 30) : match.start()],
                text[match.end() : match.end() + 12],
            )
            denied = _NOT.search(before) is not None or _NOT_AFTER.match(after) is not None
            if denied and "밖에" not in text[max(0, match.start() - 12) : match.start()]:
                continue
            pace = bool(_QUICK.match(match[0])) - bool(_SLOW.match(match[0]))
            found.append(Direction(match.start(), match.end(), size, good, pace))
    found.sort()
    kept: list[Direction] = []
    for one in found:  # of overlapping words the longer one counts: "more expensive" is not "more"
        if kept and one.start < kept[-1].end:
            if one.end - one.start > kept[-1].end - kept[-1].start:
                kept[-1] = one
            continue
        kept.append(one)
    return kept


def opposed(one: Direction, other: Direction, polarity: int) -> bool | None:
    """Tell whether two directions contradict each other; None where they cannot be compared.

    `polarity` is +1 where more of the compared quantity is better, -1 where less is, 0 where unknown.
    """
    if one.pace and other.pace:
        return one.pace != other.pace
    if one.size and other.size:
        return one.size != other.size
    if one.good and other.good:
        return one.good != other.good
    if polarity:
        return (one.good or one.size * polarity) != (other.good or other.size * polarity)
    return None


_KOREAN_OBJECT = re.compile(
    r"(?:\([^()]*\))?(?:의 [^,]{0,24}?)?(?:보다|대비|에 비해|에 비하여|과 비교|와 비교)"
    r"|(?:\([^()]*\))?(?:의 [^,]{0,24}?)?[을를]\s?[^,]{0,14}?(?:앞서|앞섰|앞섭|앞선|능가|웃돌|웃돕|상회|밑돌|밑돕|하회)"
)


_ENGLISH_OBJECT = re.compile(
    r"(?:\bthan|\bover|\bversus|\bvs\.?|\bagainst|\bcompared (?:with|to)|\bcomparison (?:with|to)|\brelative to"
    r"|\bahead of|\bbehind|\babove|\bbelow|\bexceed\w*|\boutperform\w*|\bsurpass\w*|\bbeats?|\btrails?|\bloses? to)\s+"
    r"(?:the\s+|that (?:of|for)\s+|those of\s+|for\s+|of\s+|with\s+|(?!(?:and|by|on|in|at)\b)[a-z]+\s+(?:of\s+)?"
    r"|[0-9][0-9.,]*\s?[^\s,;]{0,8}\s+(?:of|for|by|with)\s+){0,4}\Z",
    re.IGNORECASE,
)
_KOREAN_SUBJECT = re.compile(r"(?:\([^()]*\))?(?:이|가|은|는|도)(?=[\s,])")
_ENGLISH_SUBJECT = re.compile(
    r"(?:\A|[,;:.(]\s*|\b(?:and|but|while|whereas|because|since|that|then)\s+)(?:\w+\s+){0,2}\Z",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(
    r"\b(?:with|for|of|on|by|in|to|from|than|over|at|as|like|using|against|versus|relative|behind|above|below)\s+(?:the\s+)?\Z",
    re.IGNORECASE,
)


def subjects(text: str, names: list[tuple[str, int, int]]) -> set[str]:
    """Return the keys of the names that a clause speaks of: they open it, or bear Korean 이, 가, 은, 는."""
    keys = set()
    for key, start, end in names:
        before = text[max(0, start - 40) : start]
        opens = _ENGLISH_SUBJECT.search(before) and not _PREPOSITION.search(before)
        if _KOREAN_SUBJECT.match(text, end) or (opens and re.match(r"\s+[a-z]", text[end : end + 4])):
            keys.add(key)
    return keys


def objects(text: str, names: list[tuple[str, int, int]]) -> set[str]:
    """Return the keys of the names that others are compared with: "than X", "X보다", "outperforms X"."""
    keys = set()
    for key, start, end in names:
        if _KOREAN_OBJECT.match(text, end):
            keys.add(key)
            continue
        if _ENGLISH_OBJECT.search(text[max(0, start - 60) : start]):
            keys.add(key)
    return keys
