"""Superlatives of English and Korean: which end they name, of the values or of what is good."""

from __future__ import annotations

import re

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
