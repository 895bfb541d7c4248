"""Finding delimited stretches in Markdown in linear time, with the exact results of the benchmark's expressions.

Lazy expressions over a whole document (``\\$\\$(.*?)\\$\\$``) look to its end again for every opening mark that is
never closed, which a hostile prediction of some megabytes turns into hours.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator

DELIMITERS = (("$$", "$$"), ("\\[", "\\]"), ("$", "$"), ("\\(", "\\)"))
INLINE_OPENING = re.compile(r"\$|\\\(")
OPENING = re.compile(r"\$\$|\\\[|\$|\\\(")

TABULAR = ("\\begin{tabular}", "\\end{tabular}", 14, 16)
HTML_TABLE = ("<table", "</table>", 8, 16)
RESCANS = 500  # the published scanner recurses here and dies of it at Python's limit of a thousand


def formulas(text: str) -> Iterator[tuple[int, int]]:
    """Spans of ``$$..$$``, ``\\[..\\]``, ``$..$`` and ``\\(..\\)``, leftmost first, never overlapping."""
    closed_until = {closer: len(text) + 1 for _, closer in DELIMITERS}  # no such closer from here on
    at = 0
    while found := OPENING.search(text, at):
        start = at = found.start()
        for opener, closer in DELIMITERS:
            after = start + len(opener)
            if not text.startswith(opener, start) or after >= closed_until[closer]:
                continue
            end = text.find(closer, after)
            if end < 0:
                closed_until[closer] = after
                continue
            at = end + len(closer)
            yield start, at
            break
        else:
            at = start + 1


def inline(text: str) -> Iterator[tuple[int, int, str]]:
    """Spans of ``$..$`` and ``\\(..\\)`` that end on their line, with what is between."""
    unclosed = {"$": -1, "\\)": -1}  # up to where there is no such closer
    at = 0
    while found := INLINE_OPENING.search(text, at):
        start, after = found.span()
        closer = "$" if after - start == 1 else "\\)"
        at = after
        if start < unclosed[closer]:
            continue
        line_end = text.find("\n", after)
        line_end = len(text) if line_end < 0 else line_end
        end = text.find(closer, after, line_end)
        if end < 0:
            unclosed[closer] = line_end
            continue
        at = end + len(closer)
        yield start, at, text[after:end]


def without_images(text: str) -> str:
    """The text without ``![..](..)``, neither part of which may span lines."""
    pieces: list[str] = []
    kept = at = 0
    line_end, open_from = -1, 0
    while (start := text.find("![", at)) >= 0:
        if start > line_end:
            line_end = text.find("\n", start)
            line_end = len(text) if line_end < 0 else line_end
            open_from = line_end + 1
        middle = text.find("](", start + 2, line_end) if start < open_from else -1
        end = text.find(")", middle + 2, line_end) if middle >= 0 else -1
        if end < 0:
            open_from = min(open_from, start)  # nothing on this line closes any more
            at = start + 1
            continue
        pieces.append(text[kept:start])
        kept = at = end + 1
    return "".join((*pieces, text[kept:]))


def pipe_rows(text: str) -> Iterator[tuple[int, int]]:
    """Spans from a bar to the nearest bar that ends a line: a row of a Markdown table, with its line end."""
    at = 0
    while (start := text.find("|", at)) >= 0:
        end = text.find("|\n", start + 1)
        if end < 0:
            return
        at = end + 2
        yield start, at


def braced(opener: re.Pattern[str], text: str, keep: Callable[[str], str], across_lines: bool = True) -> str:
    """Every ``opener`` ... ``}`` replaced by ``keep`` of what is between, the nearest brace closing."""
    pieces: list[str] = []
    kept = 0
    for found in opener.finditer(text):
        if found.start() < kept:
            continue
        end = text.find("}", found.end())
        if end < 0:
            break
        inside = text[found.end() : end]
        if not across_lines and "\n" in inside:
            continue
        pieces += (text[kept : found.start()], keep(inside))
        kept = end + 1
    return "".join((*pieces, text[kept:]))


def _starts(text: str, mark: str, closing: str | None = None) -> list[int]:
    last = len(text) if closing is None else text.rfind(closing)
    found, at = [], text.find(mark)
    while 0 <= at <= last:
        found.append(at)
        at = text.find(mark, at + 1)
    return found


def nested(text: str, kind: tuple[str, str, int, int]) -> list[tuple[int, int]]:
    """Spans of outermost tables, in the way of the benchmark's scanner.

    ``kind`` is the opening mark, the closing one, how far the scanner goes on after either, and how far behind an
    unclosed opening mark it begins anew. Those steps are the lengths of its expressions rather than of what they
    match, so that a mark directly behind another is overlooked, and a LaTeX table takes one character more.
    """
    opener, closer, step, restep = kind
    opens, closes = _starts(text, opener, ">" if opener == "<table" else None), _starts(text, closer)
    spans: list[tuple[int, int]] = []
    base = 0
    for _ in range(RESCANS):
        at, stack = base, []
        first_close = bisect_left(closes, base)
        if first_close == len(closes):
            break
        i, j = bisect_left(opens, base), first_close
        while True:
            while i < len(opens) and opens[i] < at:
                i += 1
            while j < len(closes) and closes[j] < at:
                j += 1
            if j == len(closes):
                stack += opens[
                    i : i + 1
                ]  # what is left can only open: the first of it is where to begin anew
                break
            if i < len(opens) and opens[i] < closes[j]:
                stack.append(opens[i])
                at = opens[i] + step
                continue
            at = closes[j] + step
            if stack and (start := stack.pop()) is not None and not stack:
                spans.append((start, at))
        if not stack:
            break
        base = stack[0] + restep
    return spans
