"""Reading digests: from a file or from text in memory to typed objects that remember their source."""

from __future__ import annotations

import io
import itertools
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from sillok.digest.entries import parse_entry
from sillok.digest.headings import Heading, count_lines, headings, is_licence, parse_date
from sillok.digest.model import Digest, DigestError, DigestTooLarge, Entry, Part, Warning_

#: Files above this size are refused unless `max_bytes` says otherwise: about 40,000 entries.
MAX_BYTES = 64 * 2**20

#: Headings beyond this number are left in the text of the entry before them.
MAX_HEADINGS = 400_000

#: The lines of one entry beyond this number are kept as they stand.
MAX_LINES = 5000

_TRUNCATED = "unexpected end of data"


class _Span(NamedTuple):
    """One entry of a file: its heading and the offsets where it and the loose headings after it end."""

    heading: Heading
    end: int
    loose_line: int
    loose_end: int


def read(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Digest | list[Digest]:
    """Read a digest file.

    Args:
        path: a Markdown file in UTF-8, with or without a byte-order mark, any line ending.
        max_bytes: the largest size that is read.

    Returns:
        The digest, or a list where the file holds several. What was not understood is kept as it stands and
        reported, with its line, in the digest's `warnings`.

    Raises:
        DigestError: a file that cannot be read at all: missing, a directory, too large, binary, not UTF-8.
        TypeError: `path` is no path.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path: {path!r} is {type(path).__name__}; a str or pathlib.Path is accepted")
    name = os.fspath(path)
    return _read(_load(name, max_bytes), name)


def read_bytes(data: bytes, *, name: str = "<bytes>", max_bytes: int = MAX_BYTES) -> Digest | list[Digest]:
    """Read a digest from bytes in memory, as `read` reads a file's; `name` stands for the file's in errors.

    Raises:
        DigestError: the bytes are too many, binary, or not UTF-8.
        TypeError: `data` is no bytes.
    """
    if not isinstance(data, bytes):
        raise TypeError(f"data: {type(data).__name__} given; bytes are accepted")
    if len(data) > max_bytes:
        raise DigestTooLarge(f"{name}: {len(data):,} bytes are more than the limit of {max_bytes:,}")
    return _read(data, name)


def _read(data: bytes, name: str) -> Digest | list[Digest]:
    text, problems = _decode(data, name)
    del data
    return _simplify(_parse(text, problems))


def read_text(text: str, *, name: str = "<text>", max_bytes: int = MAX_BYTES) -> Digest | list[Digest]:
    """Read a digest from text in memory; `name` stands for the file's in errors.

    Raises:
        DigestError: the text is too large or holds NUL characters.
        TypeError: `text` is no str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: {type(text).__name__} given; str is accepted")
    if len(text) > max_bytes:
        raise DigestTooLarge(f"{name}: {len(text):,} characters are more than the limit of {max_bytes:,}")
    if "\0" in text:
        raise DigestError(f"{name}: not text (a NUL character at offset {text.index(chr(0)):,})")
    return _simplify(_parse(text, []))


def _simplify(digests: list[Digest]) -> Digest | list[Digest]:
    return digests[0] if len(digests) == 1 else digests


def _load(name: str, max_bytes: int) -> bytes:
    try:
        status = Path(name).stat()
        if stat.S_ISDIR(status.st_mode):
            raise DigestError(f"{name}: a directory, not a digest file")
        if not stat.S_ISREG(status.st_mode):
            raise DigestError(f"{name}: not a regular file")
        if status.st_size > max_bytes:
            raise DigestTooLarge(f"{name}: {status.st_size:,} bytes are more than the limit of {max_bytes:,}")
        with Path(name).open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        raise DigestError(f"{name}: no such file") from None
    except OSError as error:
        raise DigestError(f"{name}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:
        if isinstance(error, DigestError):
            raise
        raise DigestError(f"{name!r}: no file name ({error})") from None
    if len(data) > max_bytes:  # it grew between the two calls
        raise DigestError(f"{name}: more bytes than the limit of {max_bytes:,}")
    return data


def _decode(data: bytes, name: str) -> tuple[str, list[tuple[int, str]]]:
    """Decode UTF-8; a file cut in a character, or with few bad bytes, is read with (line, message) pairs."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DigestError(f"{name}: UTF-16 text; save it as UTF-8")
    nul = data.find(b"\0")
    if nul >= 0:
        raise DigestError(f"{name}: binary data, not a Markdown file (a NUL byte at offset {nul:,})")
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError as error:
        first = error
    if first.reason == _TRUNCATED and first.end == len(data):
        text = data[: first.start].decode("utf-8")
        lost = len(data) - first.start
        line = text.count("\n") + 1
        return text, [
            (line, f"the file ends in the middle of a character; its last {lost} bytes are left out")
        ]
    text = data.decode("utf-8", errors="replace")
    bad = text.count("\ufffd") - data.count("\ufffd".encode())
    line = data.count(b"\n", 0, first.start) + 1
    if bad > max(3, len(text) // 1000):
        raise DigestError(
            f"{name}: not UTF-8 ({bad:,} bad bytes, the first 0x{data[first.start]:02x} in line {line})"
        )
    return text, [(line, f"not UTF-8: {bad} bad bytes from this line on are replaced by U+FFFD")]


def _parse(text: str, problems: list[tuple[int, str]]) -> list[Digest]:
    bom = text.startswith("\ufeff")
    if bom:
        text = text[1:]
    found: list[Heading] = []
    for heading in headings(text, problems):
        if len(found) == MAX_HEADINGS:
            problems.append(
                (heading.line, f"more than {MAX_HEADINGS:,} headings; the rest is kept as it stands")
            )
            break
        found.append(heading)
    groups = _groups(found)
    newline = "\r\n" if "\r\n" in text else "\n" if "\n" in text or "\r" not in text else "\r"
    if not groups:
        message = "no digest heading and no entry found" if text.strip() else "the file is empty"
        notes = tuple(Warning_(*problem) for problem in [*problems, (1, message)])
        return [Digest(None, preamble=text, warnings=notes, bom=bom, newline=newline)]
    digests = []
    start = 0
    for index, group in enumerate(groups):
        end = groups[index + 1][0].offset if index + 1 < len(groups) else len(text)
        digests.append(_digest(text, start, end, group, newline))
        start = end
    first = digests[0]
    digests[0] = replace(first, bom=bom)
    for line, message in problems:
        holder = max((i for i, d in enumerate(digests) if d.line <= line), default=0)
        notes = tuple(sorted([*digests[holder].warnings, Warning_(line, message)]))
        digests[holder] = replace(digests[holder], warnings=notes)
    return digests


def _groups(found: list[Heading]) -> list[list[Heading]]:
    """Divide the headings among digests; papers before the first digest heading make a digest without one."""
    groups: list[list[Heading]] = []
    for heading in found:
        if heading.role == "digest" or (not groups and heading.role == "paper"):
            groups.append([heading])
        elif groups:
            groups[-1].append(heading)
    return groups


def _spans(group: list[Heading], end: int) -> tuple[int, list[_Span], int]:
    """Find the entries of one digest: the level of their headings, their spans, where the first one begins.

    Headings above that level are loose: text of the entry before them, or the tail after the last entry.
    """
    level = next((heading.level for heading in group if heading.role == "paper"), 3)
    limit = max(3, level)
    marks: list[tuple[Heading, bool]] = []
    loose = False
    for heading in group:
        if heading.role == "digest":
            continue
        if heading.role == "paper" and heading.level <= limit:
            loose = False
            marks.append((heading, True))
        elif heading.level <= level and not loose:
            loose = heading.level < level or is_licence(heading.text)
            marks.append((heading, not loose))
    spans: list[_Span] = []
    for index, (heading, is_entry) in enumerate(marks):
        stop = marks[index + 1][0].offset if index + 1 < len(marks) else end
        if is_entry:
            spans.append(_Span(heading, stop, 0, stop))
        elif spans:
            spans[-1] = spans[-1]._replace(loose_line=heading.line, loose_end=stop)
    return level, spans, spans[0].heading.offset if spans else end


def _digest(text: str, start: int, end: int, group: list[Heading], newline: str) -> Digest:
    head = group[0]
    level, spans, body = _spans(group, end)
    warnings: list[Warning_] = []
    source, intro, date = Part("heading", "", "", None), "", None
    if head.role == "digest":
        raw = text[head.offset : body]
        first = io.StringIO(raw, newline="").readline()
        heading = first.rstrip()
        rest = raw[len(heading) :]
        intro = rest.lstrip()
        date, looks_dated = parse_date(heading)
        source = Part("heading", heading, rest[: len(rest) - len(intro)], date)
        if date is None:
            what = "a date that does not exist" if looks_dated else "no date"
            warnings.append(Warning_(head.line, f"the digest's heading has {what}"))
        if not spans:
            warnings.append(Warning_(head.line, "the digest has no entries"))
    else:
        warnings.append(Warning_(head.line, "entries without a digest heading above them"))
    entries: list[Entry] = []
    tail = ""
    for index, span in enumerate(spans):
        last = index == len(spans) - 1
        entry, notes, tail = _entry(text, span, level, last)
        entries.append(entry)
        warnings.extend(notes)
    warnings.extend(_duplicates(entries))
    return Digest(
        date=date,
        entries=tuple(entries),
        preamble=text[start : head.offset],
        intro=intro,
        tail=tail,
        warnings=tuple(sorted(warnings)),
        line=head.line if head.role == "digest" else 0,
        newline=newline,
        source=source,
    )


def _entry(text: str, span: _Span, level: int, last: bool) -> tuple[Entry, list[Warning_], str]:
    """Read one entry; for the last of its digest the text after it, the tail, comes third."""
    stream = io.StringIO(text[span.heading.offset : span.end], newline="")
    lines = list(itertools.islice(stream, MAX_LINES))
    rest = stream.read()
    entry, notes, cut = parse_entry(lines, span.heading.line, level, last and not rest.strip())
    if rest and cut is None:
        line = span.heading.line + MAX_LINES
        entry = _extended(entry, rest, line + count_lines(rest.rstrip(), 0, len(rest)))
        if rest.strip():
            notes.append(
                Warning_(line, f"an entry of more than {MAX_LINES} lines; the rest is kept as it stands")
            )
    loose = text[span.end : span.loose_end]
    if last:
        return entry, notes, ("".join(lines[cut:]) + rest if cut is not None else "") + loose
    if loose:
        entry = _extended(entry, loose, entry.end_line)
        notes.append(Warning_(span.loose_line, "a heading that begins no entry; kept as it stands"))
    return entry, notes, ""


def _extended(entry: Entry, text: str, end_line: int) -> Entry:
    """Add text that was not understood at the end of an entry."""
    body = text.rstrip()
    if not body:
        final = entry.source[-1]
        return replace(entry, source=(*entry.source[:-1], final._replace(gap=final.gap + text)))
    part = Part("other", body, text[len(body) :], body)
    return replace(entry, other=(*entry.other, body), source=(*entry.source, part), end_line=end_line)


def _duplicates(entries: list[Entry]) -> list[Warning_]:
    seen: dict[str, int] = {}
    notes = []
    for entry in entries:
        if entry.id is not None and seen.setdefault(entry.id, entry.line) != entry.line:
            notes.append(Warning_(entry.line, f"{entry.id} is listed already in line {seen[entry.id]}"))
    return notes
