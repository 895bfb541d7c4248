"""Making text safe for a section of a digest: one paragraph that can neither end its entry nor hold HTML."""

from __future__ import annotations

import re

from sillok.digest.escape import one_line

#: Characters that a reader does not see and a model may obey: zero-width, bidirectional, tags, private use.
HIDDEN = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ue000-\uf8ff\U000e0000-\U000e0fff]"
)
_CODE = re.compile(r"(?<![`\\])(?:\\\\)*(`+)(?!`)(.+?)(?<!`)\1(?!`)")  # a backtick after "\" opens none
_LEAD = re.compile(r"^(?:[-*+>#|=~]+[ \t]+|[>#|]+|`{3,}\w*|~{3,}\w*|-{3,})[ \t]*")
_TERM = re.compile(r"([\uac00-\ud7a3]+)\(([A-Za-z][^()\n]{1,60})\)")
_LABEL = re.compile(r"^([*_]{1,3})[^*_\n]{1,80}?\s*[:：]?\s*\1\s*[:：]\s*")


def clean_section(text: str) -> str:
    """Return a model's or a paper's text as one Markdown paragraph for a section.

    Lines are joined (steps "1. ... 2. ..." get a line each), leading marks of blocks and a repeated section
    name are dropped, and "<" is escaped outside code, so that nothing in it begins a heading, a list, HTML, a
    picture or a fence.
    """
    text = one_line(HIDDEN.sub("", text.encode("utf-8", "ignore").decode("utf-8")))
    text = _LABEL.sub("", text)
    while (match := _LEAD.match(text)) and match.end():
        text = text[match.end() :]
    pieces, last = [], 0
    for match in _CODE.finditer(text):
        pieces += [_escape(text[last : match.start()]), match[0]]
        last = match.end()
    text = "".join([*pieces, _escape(text[last:])]).strip()
    if text.startswith("1. "):
        return _steps(text)
    # A section's text must not look like one of the writer's block starts, which go on a line of their own.
    return "\\" + text if re.match(r"(?:[-*+]|[0-9]{1,9}[.)])\s*$|[>#|<]|`{3}|~{3}", text) else text


def _steps(text: str) -> str:
    """Return "1. a 2. b 3. c" with a line for each step: on one line it would read as a list of one."""
    number = 2
    while (place := text.find(f" {number}. ")) >= 0:
        text = f"{text[:place]}\n{text[place + 1 :]}"
        number += 1
    return text


def once(texts: list[str]) -> list[str]:
    """Return texts in Korean with each English term in parentheses kept after its first use alone."""
    seen: set[tuple[str, str]] = set()

    def first(match: re.Match[str]) -> str:
        key = (match[1], match[2].casefold())
        if key in seen:
            return match[1]
        seen.add(key)
        return match[0]

    return [_TERM.sub(first, text) for text in texts]


def _escape(text: str) -> str:
    text = re.sub(r"(?<!\\)((?:\\\\)*)<(?=[A-Za-z/!?])", r"\1\\<", text)
    return re.sub(r"!\[", r"!\\[", text)
