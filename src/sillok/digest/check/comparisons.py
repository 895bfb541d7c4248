"""Directions of comparisons in a sentence: more or less, better or worse, and which side is which."""

from __future__ import annotations

import itertools
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
#: "more than half", "less than a third" and "more than doubles" bound a number and compare nothing.
_BOUND = (
    r"(?! than (?:[0-9]|half|twice|an? (?:third|quarter|fifth|tenth)|one|two|three|four|five"
    r"|doubl|tripl|quadrupl|halv))"
)
_FORMS: tuple[tuple[int, int, str], ...] = (
    (
        +1,
        0,
        rf"\b(?:increas\w*|rises?|rose|rising|rais\w+|grow\w*|grew|climb\w*|higher|more{_BOUND}(?! \w+ly\b)|larger"
        rf"|greater|bigger|above{_BEFORE_SIDE}|exceed\w*|longer|taller|deeper|heavier|add(?:s|ed)?|boost\w*|lift\w*"
        r"|elevat\w*|up (?:by|to|from)|expand\w*|soar\w*|surg(?:es?|ed|ing)|jump\w*|leaps?|leapt"
        r"|skyrocket\w*|balloon\w*"
        r"|swell\w*|widen\w*|go(?:es)? up|went up|push(?:es|ed) up|inflat\w+|multipl(?:y|ies|ied)|escalat\w+)\b",
    ),
    (
        -1,
        0,
        r"\b(?:decreas\w*|declin\w*|falls?(?! (?:short|behind))|fell(?! (?:short|behind))"
        r"|falling(?! (?:short|behind))"
        rf"|drop\w*|reduc\w*|lower\w*|shrink\w*|shrank|shrunk|cuts?|cutting|less{_BOUND}|fewer{_BOUND}"
        r"|smaller|shorter|sav(?:es?|ed|ing|ings)|diminish\w*|lighter|plung\w+|plummet\w*|sinks?|sank|sunk|sinking"
        r"|slump\w*|tumbl\w+|collaps\w+|dwindl\w+|dips?|dipped|slash\w+|trim(?:s|med|ming)?|curb\w*|shorten\w*"
        r"|go(?:es)? down|went down|lessen\w*"
        rf"|below{_BEFORE_SIDE}|narrow(?:s|ed|ing|er)?|down (?:by|to|from)|halv\w*)\b",
    ),
    (
        0,
        +1,
        r"\b(?:improv\w*|better|outperform\w*|surpass\w*|beats?|beating|ahead|faster|quicker|cheaper"
        r"|stronger|superior"
        r"|more (?:accurate|precise|efficient|robust|stable|reliable|consistent|effective)"
        r"|wins?(?![- ]rates?)|speedup|speed-up|accelerat(?:es?|ed|ing|ion)|enhanc\w*|benefit\w*|preferred"
        r"|prefer\w*|overtak\w+|overtook|outpac\w+|outdo(?:es|ing)?|outdid|outscor\w+|outrank\w*|outclass\w*"
        r"|eclips\w+|excels?|sooner|earlier|(?:beneficial|helpful)(?= (?:on|for|to|when|in)\b|[,.]|$)"
        r"|gains?|gained|leads?(?! to\b))\b",
    ),
    (
        0,
        -1,
        r"\b(?:worse\w*|underperform\w*|behind|trail\w*|los(?:es?|ing)\s+(?:to|against)|slower|more expensive"
        r"|costlier|weaker|inferior|degrad\w*|deteriorat\w*|harm(?:s|ed|ing)?|hurts?|lags?|lagg\w+|slowdown"
        r"|f(?:all|ell)s? short|falling short|f(?:all|ell)s? behind|falling behind|later than|(?:harmful"
        r"|detrimental)(?= (?:on|for|to|when|in)\b|[,.]|$)"
        r"|suffers?|impair\w*"
        r"|costs?(?= (?:about |only |just |another )?[0-9.]+ ?(?:points?|%|dB|percent|pp))"
        r"|(?:los(?:es?|t|ing)|gives? up|forfeits?|sacrific\w+)(?= (?:about |only |just |another "
        r"|a further )?[0-9]))\b",
    ),
    (
        +1,
        0,
        r"증가|상승|높[은게이으아여였습고지]|높다|높였|높인|높이|늘[어었려렸린립릴리고며]|키우|키운|키웠"
        r"|커지|커졌|커집|커져"
        r"|(?<![가-힣])(?:큽니다|크다|크고|크며|큰|컸)"
        r"|많습|많은|많아|많다|많고|많으며|많았|오[르릅]|올[랐라리립린려렸릴]|길어|깁니다|길다|길었|초과|웃돌|웃돕"
        r"|상회|확대|급증|급등|치솟|벌어[지집져졌]|벌립|벌려|넓[어혀힙]|뛰었|뛰어오",
    ),
    (
        -1,
        0,
        r"감소|하락|낮[은게아습으고지]|낮다|낮추|낮췄|낮춥|낮출|낮춘|낮춰|낮았|줄[어었이입인여였일고며]"
        r"|(?<![가-힣])(?:작습|작은|작아|작다|작고|작으며|작았)"
        r"|(?<![가-힣])(?:적습니다|적은|적다|적고|적으며|적었|적어(?!도))|떨어|내[려리립렸린릴]|단축|짧"
        r"|절감|밑돌|밑돕|하회|축소|절약"
        r"|급감|급락|좁[혀힙아]|좁혀[지집졌]|경감|감축",
    ),
    (
        0,
        +1,
        r"향상|개선|우수|능가|앞서|앞섰|앞섭|앞선|앞지르|앞질|앞지릅|빠르|빠릅|빠른|빨라|빨랐"
        r"|뛰어[나난넘났]|저렴|좋[은습아]|좋다|좋았"
        r"|선호|더 나은|우세|강세|(?<![가-힣])(?:이점|이득)|우월|탁월|넘어서|넘어섰|넘어섭|압도|유리|먼저|일찍|이른",
    ),
    (
        0,
        -1,
        r"저하|악화|뒤처|뒤떨어|뒤진|뒤집니|뒤졌|뒤지[고며는]|열등|열세|느리|느립|느린|느려|느렸|나쁘|나쁩"
        r"|나빠|나빴|비싸|비쌉|비싼"
        r"|못 미치|못 미칩|못 미쳤|못미치|부진|저조|떨어지는 성능|불리|늦게|늦[은습었고]",
    ),
)
_COMPILED = [(size, good, re.compile(form, re.IGNORECASE)) for size, good, form in _FORMS]
_QUICK = re.compile(
    r"faster|quicker|shorter|sooner|earlier|accelerat|speed|빠|먼저|일찍|이른|짧|단축", re.IGNORECASE
)
_SLOW = re.compile(r"slower|longer|later|slowdown|느|늦|길|깁", re.IGNORECASE)
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
    r"|(?:\([^()]*\))?(?:의 [^,]{0,24}?)?[을를]\s?[^,]{0,14}?(?:앞서|앞섰|앞섭|앞선|능가|웃돌|웃돕|상회"
    r"|밑돌|밑돕|하회)"
    r"|(?:\([^()]*\))?(?:의 [^,]{0,24}?)?에게?\s?(?:\S{1,6}\s)?(?:뒤[처졌지진집떨]|못 미|밀[렸리])"
)


_ENGLISH_OBJECT = re.compile(
    r"(?:\bthan|\bover|\bversus|\bvs\.?|\bagainst|\bcompared (?:with|to)|\bcomparison (?:with|to)|\brelative to"
    r"|\bahead of|\bbehind|\babove|\bbelow|\bexceed\w*|\boutperform\w*|\bsurpass\w*|\bbeats?|\btrails?"
    r"|\bloses? to)\s+"
    r"(?:the\s+|that (?:of|for)\s+|those of\s+|for\s+|of\s+|with\s+|(?!(?:and|by|on|in|at)\b)[a-z]+\s+(?:of\s+)?"
    r"|[0-9][0-9.,]*\s?[^\s,;]{0,8}\s+(?:of|for|by|with)\s+){0,4}\Z",
    re.IGNORECASE,
)
_KOREAN_SUBJECT = re.compile(r"(?:\([^()]*\))?(?:이|가|은|는|도)(?=[\s,])")
_ENGLISH_SUBJECT = re.compile(
    r"(?:\A|[,;:.(]\s*|\b(?:and|but|while|whereas|because|since|that|then)\s+)(?:\w+\s+){0,2}\Z",
    re.IGNORECASE,
)
_VERB = re.compile(r"\s+(?!(?:at|with|on|by|for|in|of|to|from|and|or)\b)[a-z]")
_PREPOSITION = re.compile(
    r"\b(?:with|for|of|on|by|in|to|from|than|over|at|as|like|using|against|versus|relative|behind|above"
    r"|below)\s+(?:the\s+)?\Z",
    re.IGNORECASE,
)


def subjects(text: str, names: list[tuple[str, int, int]]) -> set[str]:
    """Return the keys of the names that a clause speaks of: they open it, or bear Korean 이, 가, 은, 는."""
    keys = set()
    for key, start, end in names:
        before = text[max(0, start - 40) : start]
        opens = _ENGLISH_SUBJECT.search(before) and not _PREPOSITION.search(before)
        if _KOREAN_SUBJECT.match(text, end) or (opens and _VERB.match(text, end)):
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
    return keys | _listed(text, names, keys)


_LISTED = re.compile(r"(?:\([^()]*\)|의 [0-9.,]+\S{0,4})?(?:와|과|이?나|및|,|이고,?)\s?\Z")
_LISTED_ENGLISH = re.compile(
    r"\s?(?:\([^()]*\)|(?:at|with|by|\'s)\s[0-9.,]+\s?\S{0,8})?,?\s(?:and|or)\s(?:the\s|that of\s|by\s|with\s)?\Z"
)


def _listed(text: str, names: list[tuple[str, int, int]], objects_: set[str]) -> set[str]:
    """The keys of the names in a list with an object: "A와 B보다", "ahead of A at 26.9 % and B at 25.6 %"."""
    found: set[str] = set()
    pairs = list(itertools.pairwise(names))
    for (one, _, end), (other, start, _) in reversed(pairs):
        if other in objects_ | found and _LISTED.fullmatch(text[end:start]):
            found.add(one)
    for (one, _, end), (other, start, _) in pairs:
        if one in objects_ | found and _LISTED_ENGLISH.fullmatch(text[end:start]):
            found.add(other)
    return found
