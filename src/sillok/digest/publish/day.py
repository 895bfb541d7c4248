"""A day's files: the Markdown in the archive's form, the same in JSON and HTML; merged with what is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date as Date
from pathlib import Path

from sillok.digest.files import alone, write_if_changed
from sillok.digest.marks import NOTE
from sillok.digest.model import Digest, DigestError, Entry, by_votes
from sillok.digest.reader import read, read_text
from sillok.digest.summarise.summary import Summary, dump, load
from sillok.digest.text import Listing
from sillok.digest.writer import write


@dataclass(frozen=True, slots=True)
class Written:
    """What writing did: every file of the day, those that changed, and a line for each thing worth saying."""

    files: tuple[Path, ...]
    changed: tuple[Path, ...]
    remarks: tuple[str, ...] = ()


def day_path(root: Path, date: Date, suffix: str = ".md") -> Path:
    """Return where a day's file lies: root/YYYY/MM/DD.md."""
    return root / f"{date:%Y}" / f"{date:%m}" / f"{date:%d}{suffix}"


def write_day(
    date: Date, summaries: Iterable[Summary], root: Path | str, *, replace_all: bool = False
) -> Written:
    """Write the day's digest as Markdown, JSON and HTML under `root`; the same again changes no byte.

    Entries stand by votes, most first. Where the day's file is there already, its other entries and whatever
    else it holds stay. An entry of the same paper is written anew only if it stands as Sillok wrote it, and
    never the paper's own sentences over a model's summary; an edited one stays, with its votes brought up to
    date.

    Args:
        replace_all: write entries of the same papers anew whatever stands there.

    Raises:
        ValueError: the day's file holds several digests, or another day's; the JSON beside it is none of
            Sillok's.
        OSError: a file cannot be written.
    """
    with alone(Path(root)):
        return _write_day(date, list(summaries), Path(root), replace_all)


def _write_day(date: Date, summaries: list[Summary], root: Path, replace_all: bool) -> Written:
    from sillok.digest.publish.page import day_page

    path, data = day_path(root, date), day_path(root, date, ".json")
    old = _existing(path, date)
    known = (
        {one.listing.id: one for one in load(data.read_text("utf-8"), name=str(data))[1]}
        if data.exists()
        else {}
    )
    merged, remarks = _merge(old, known, summaries, replace_all)
    loose = [entry for entry in old.entries if entry.id is None] if old else []
    if loose:
        remarks.append(f"{path}: {len(loose)} entries without an arXiv id stay, at its end")
    entries = [*(entry for entry, _ in merged), *loose]
    digest = old or Digest(date)
    digest = replace(digest, entries=tuple(_spaced(entry, digest.newline) for entry in entries))
    text = write(digest)
    _same(text, digest, path)
    kept = [summary for _, summary in merged]
    outputs = ((path, text), (data, dump(date, kept)), (path.with_suffix(".html"), day_page(date, kept)))
    changed = tuple(target for target, content in outputs if write_if_changed(target, content))
    return Written(tuple(target for target, _ in outputs), changed, tuple(remarks))


def load_day(root: Path | str, date: Date) -> list[Summary]:
    """Return a day's summaries from its files; from the Markdown alone where there is no JSON.

    Raises:
        FileNotFoundError: the day has no file.
        ValueError: a file that cannot be read.
    """
    root = Path(root)
    path, data = day_path(root, date), day_path(root, date, ".json")
    if data.exists():
        return load(data.read_text("utf-8"), name=str(data))[1]
    digest = _existing(path, date)
    if digest is None:
        raise FileNotFoundError(f"{path}: no such file; write the day first (`sillok digest write`)")
    return [_foreign(entry) for entry in digest.entries if entry.id is not None]


def _existing(path: Path, date: Date) -> Digest | None:
    if not path.exists():
        return None
    found = read(path)
    if isinstance(found, list):
        raise DigestError(f"{path}: holds {len(found)} digests; a day's file holds one")
    if found.date is None and not found.entries and not found.preamble.strip():
        return None
    if found.date != date:
        what = f"the digest of {found.date}" if found.date else "no digest with a date"
        raise DigestError(f"{path}: holds {what}, and not that of {date}")
    return found


def _merge(
    old: Digest | None, known: dict[str, Summary], new: Sequence[Summary], replace_all: bool
) -> tuple[list[tuple[Entry, Summary]], list[str]]:
    """Return entries with their summaries, most votes first, and remarks on what was kept."""
    fresh = {summary.listing.id: summary for summary in new}
    merged: list[tuple[Entry, Summary]] = []
    remarks: list[str] = []
    for entry in old.entries if old else ():
        if entry.id is None:
            continue
        summary = known.get(entry.id)
        ours = summary is not None and summary.language != "" and _stands(entry, summary.entry())
        here = summary if ours and summary is not None else _foreign(entry)
        newer = fresh.pop(entry.id, None)
        if newer is None:
            merged.append((entry, here))
            continue
        # What stands as it would be written now is Sillok's too: a run that died before it wrote the JSON.
        same = _stands(entry, newer.entry())
        if replace_all or same or (ours and not (newer.model is None and here.model is not None)):
            votes = newer.listing.votes if newer.listing.votes is not None else entry.votes
            newer = replace(newer, listing=replace(newer.listing, votes=votes))
            wanted = newer.entry()
            merged.append((entry if _stands(entry, wanted) and entry.votes == votes else wanted, newer))
            continue
        if not ours or newer.sections != here.sections:
            why = "was not written by Sillok, or edited since" if not ours else "was written by a model"
            remarks.append(f"{entry.id}: the entry in the file {why}; kept")
        votes = newer.listing.votes if newer.listing.votes is not None else entry.votes
        kept = entry if votes == entry.votes else replace(entry, votes=votes)
        merged.append((kept, replace(here, listing=replace(here.listing, votes=votes))))
    merged += [(summary.entry(), summary) for summary in fresh.values()]
    merged.sort(key=lambda pair: by_votes(pair[0]), reverse=True)
    return merged, remarks


def _spaced(entry: Entry, newline: str) -> Entry:
    """Return the entry with a blank line after it, which a file's last entry need not have had."""
    if not entry.source or entry.source[-1].gap.count("\n") >= 2:
        return entry
    return replace(entry, source=(*entry.source[:-1], entry.source[-1]._replace(gap=newline * 2)))


def _stands(entry: Entry, ours: Entry) -> bool:
    """Tell whether an entry is what Sillok wrote, its votes aside."""
    return replace(entry, votes=None) == replace(ours, votes=None)


def _foreign(entry: Entry) -> Summary:
    """Return a summary for an entry that Sillok did not write, told by its language "": what the file says."""
    assert entry.id is not None
    listing = Listing(
        entry.id,
        entry.title,
        version=entry.version,
        authors=entry.authors,
        votes=entry.votes,
        picture=entry.picture,
    )
    sections = tuple((part.name or "", part.text) for part in entry.sections if part.name != NOTE)
    notes = tuple(part.text for part in entry.sections if part.name == NOTE)
    return Summary(listing, "", sections, notes=notes)


def _same(text: str, digest: Digest, path: Path) -> None:
    """Read the text back before it is written: a digest that reads as another one is no digest.

    Raises:
        ValueError: it does; nothing is written.
    """
    found = read_text(text, name=str(path))
    if isinstance(found, Digest) and [one.id for one in found.entries] == [one.id for one in digest.entries]:
        for read_back, entry in zip(found.entries, digest.entries, strict=True):
            if not entry.source and read_back != entry:
                raise ValueError(f"{path}: {entry.id} would not read back as it is; nothing was written")
        return
    raise ValueError(f"{path}: the day would not read back as it is; nothing was written")
