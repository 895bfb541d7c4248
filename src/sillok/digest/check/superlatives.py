"""Superlatives of English and Korean: which end they name, of the values or of what is good."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FORMS: tuple[tuple[int, int, str], ...] = (
    (
        +1, 0,
        r"\b(?:highest|largest|greatest|biggest|longest|heaviest|most (?=pronounced|frequent|common))\b"
        r"|가장\s(?:높|큰|컸|크|큽|많|길|긴|깁)|최고(?=[를로였입이 ])(?! 성능)",
    ),
    (
        -1, 0,
        r"\b(?:lowest|smallest|(?<!at )least|fewest|shortest|lightest)\b|가장\s(?:낮|작|적|짧)|최저",
    ),
    (
        0, +1,
        r"\b(?:best|strongest|easiest|fastest|quickest|simplest|cheapest|top-performing|tops|topped|first place"
        r"|ranks first|comes first|leads all)\b"
        r"|가장\s(?:좋|우수|뛰어|쉬|쉽|빠르|빠른|빨|강|저렴|효율|효과)|1위|최상",
    ),
    (
        0, -1,
        r"\b(?:worst|weakest|hardest|toughest|slowest|dearest|most (?:expensive|difficult|challenging)|comes last"
        r"|ranks last|in last)\b"
        r"|가장\s(?:나쁘|나쁜|나빴|저조|어려|어렵|느리|느린|느렸|약하|약한|약했|뒤처|비싸|비싼|비쌌|취약)|꼴찌|최하위|최악",
    ),
)  # fmt: skip

#: (size, good, form): +1 where a superlative names the largest value, or what is best; -1 the smallest, or the worst.
SUPERLATIVES = [(size, good, re.compile(form, re.IGNORECASE)) for size, good, form in _FORMS]

_SECOND = re.compile(r"\b(?:second|runner-up)[- ]\Z|두 번째로\s\Z", re.IGNORECASE)
_PARTIAL = re.compile(
    r"\b(?:third|next|two|three|on)[- ]\Z|[세네] 번째로\s|다음으로\s|(?:기존|베이스라인)[^,]{0,8}\Z",
    re.IGNORECASE,
)
_SUBSET = re.compile(
    r"(?:[- ]\w+){0,2}[- ](?:baselines?|competitors?|rivals?|prior|previous|earlier|existing|published"
    r"|alternative|case)\b"
    r"|[가-힣]{0,3}\s?(?:베이스라인|기준 모델|경쟁|기존|비교 모델)",
    re.IGNORECASE,
)
#: A superlative of an effect ("the largest drop") speaks of differences, not of values.
_EFFECT = re.compile(
    r"[- ](?:of (?:the|all) )?(?:\w+ ){0,3}(?:loss|drops?|gains?|improvements?|effects?|impact|advantages?|leads?"
    r"|margins?|gaps?|declines?|benefits?|damage|differences?|decreases?|increases?|jumps?|reductions?|ablation)\b"
    r"|[가-힣]{0,3}\s(?:폭의\s)?(?:손실|향상|개선|이득|영향|효과|하락|격차|차이|감소|증가|기여|악화|폭)",
    re.IGNORECASE,
)
_EFFECT_BEFORE = re.compile(
    r"(?:손실|향상|개선|이득|영향|효과|하락|격차|차이|감소|증가|기여|악화|폭|우위|이점)[이은는가도]?\s\Z"
)


class Superlative(NamedTuple):
    """A superlative of a sentence: its place there, the end that it names, and 2 where it is "the second best"."""

    start: int
    end: int
    size: int
    good: int
    place: int


def superlatives(text: str) -> Iterator[Superlative]:
    """The superlatives that speak of values, not of effects or of a part of what is compared."""
    for size, good, form in SUPERLATIVES:
        for word in form.finditer(text):
            before = text[max(0, word.start() - 24) : word.start()]
            if _PARTIAL.search(before) or _EFFECT_BEFORE.search(before):
                continue
            if _SUBSET.match(text, word.end()) or _EFFECT.match(text, word.end()):
                continue
            yield Superlative(word.start(), word.end(), size, good, 2 if _SECOND.search(before) else 1)
