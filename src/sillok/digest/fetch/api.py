"""What to fetch: days, ranges, listings, identifiers, texts; and all of it into a folder, resumably."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from datetime import date as Date
from pathlib import Path

from sillok.digest.fetch import arxiv, full, hub
from sillok.digest.fetch.cache import file_name
from sillok.digest.fetch.http import Client, FetchError, NoNetwork
from sillok.digest.files import write_whole
from sillok.digest.model import ARXIV_ID, arxiv_id
from sillok.digest.text import Listing, PaperText

DAYS = 400  # the longest range of days


@dataclass(frozen=True, slots=True)
class Fetched:
    """One paper of a fetch.

    Attributes:
        listing: what is known of it.
        text: None where texts were not asked for, or `problem` says why there is none.
        path: its file in the folder, where one was named.
        problem: one line, or "".
    """

    listing: Listing
    text: PaperText | None = None
    path: Path | None = None
    problem: str = ""


@contextmanager
def _using(client: Client | None) -> Iterator[Client]:
    if client is not None:
        yield client
        return
    with Client() as own:
        yield own


def parse_id(text: str) -> tuple[str, int | None]:
    """Return identifier and version of "2411.19870", "arXiv:2411.19870v2" or a link.

    Raises:
        ValueError: it is none of these.
    """
    found = arxiv_id(text)
    match = re.fullmatch(
        rf"(?:arxiv:\s*)?({ARXIV_ID.pattern})(?:v([0-9]{{1,4}}))?", text.strip(), re.IGNORECASE
    )
    if found is not None:
        return found
    if match is None:
        raise ValueError(f"ids: {text!r} is no arXiv identifier such as '2411.19870' or '2411.19870v2'")
    return match[1], int(match[2]) if match[2] else None


def parse_day(value: Date | str) -> Date:
    """Return a day that has begun somewhere on Earth.

    Raises:
        ValueError: no date, or one in the future.
    """
    try:
        day = Date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"date: {value!r} is no date such as '2024-12-04'") from None
    latest = (datetime.now(UTC) + timedelta(hours=14)).date()
    if day > latest:
        raise ValueError(f"date: {day} lies in the future; a day up to {latest} is accepted")
    return day


def days(first: Date | str, last: Date | str) -> list[Date]:
    """Return the days from one to another, both included.

    Raises:
        ValueError: as `parse_day`, or the last comes before the first, or there are too many.
    """
    start, end = parse_day(first), parse_day(last)
    count = (end - start).days + 1
    if not 1 <= count <= DAYS:
        raise ValueError(f"until: {end} is not within {DAYS} days after {start}")
    return [start + timedelta(days=index) for index in range(count)]


def fetch_day(date: Date | str, *, client: Client | None = None, versions: bool = True) -> list[Listing]:
    """Return the papers of a day from Hugging Face Daily Papers, votes descending.

    Args:
        date: a day; one without papers (a weekend, a holiday) gives an empty list.
        client: cache, servers and patience; a `Client()` by default.
        versions: ask arXiv too, for versions and withdrawals; where it does not answer, they are left out and
            a line to `client.report` says so.

    Raises:
        ValueError: no date, or one in the future.
        FetchError: the Hub does not answer, and the day is not in the cache.
    """
    day = parse_day(date)
    with _using(client) as using:
        found = hub.day(using, day)
        if found and versions:
            found = _with_versions(using, found)
    return sorted(found, key=lambda listing: -(listing.votes or 0))


def _with_versions(client: Client, listings: list[Listing]) -> list[Listing]:
    try:
        known = arxiv.listings(client, [(listing.id, None) for listing in listings])
    except FetchError as error:
        client.report(f"{error}; versions are not known")
        return listings
    return [
        replace(
            listing,
            version=more.version,
            withdrawn=more.withdrawn,
            published=more.published,
            authors=listing.authors or more.authors,
            abstract=listing.abstract or more.abstract,
        )
        if (more := known.get(listing.id)) is not None
        else listing
        for listing in listings
    ]


def fetch_range(
    first: Date | str, last: Date | str, *, client: Client | None = None, versions: bool = True
) -> dict[Date, list[Listing]]:
    """Return the papers of each day from one to another, both included; see `fetch_day`."""
    wanted = days(first, last)
    with _using(client) as using:
        return {day: fetch_day(day, client=using, versions=versions) for day in wanted}


def fetch_listings(ids: Iterable[str], *, client: Client | None = None) -> list[Listing]:
    """Return what arXiv tells of papers, in the order asked for; each once.

    Identifiers may have a version ("2411.19870v1"). One that arXiv does not know is left out, with a line to
    `client.report`.

    Raises:
        ValueError: no identifier.
        FetchError: arXiv does not answer, and the answer is not in the cache.
    """
    wanted = list(dict.fromkeys(parse_id(id) for id in ids))
    with _using(client) as using:
        # Papers asked for in two versions are asked for one after the other: the answer names each once.
        found: dict[tuple[str, int | None], Listing] = {}
        while rest := [key for key in wanted if key not in found]:
            part = list({key[0]: key for key in reversed(rest)}.values())
            known = arxiv.listings(using, reversed(part))
            for key in part:
                if key[0] not in known:
                    using.report(f"{key[0]}: arXiv knows no such paper")
                    wanted.remove(key)
                else:
                    found[key] = known[key[0]]
    return [found[key] for key in wanted]


def search_listing(
    category: str, first: Date | str, last: Date | str | None = None, *, client: Client | None = None
) -> list[Listing]:
    """Return the papers of an arXiv category ("cs.LG") by days of submission, both included, oldest first.

    Raises:
        ValueError: no category, no date, or a date in the future.
        FetchError: arXiv does not answer, and the answer is not in the cache.
    """
    wanted = days(first, last if last is not None else first)
    with _using(client) as using:
        found = arxiv.category(using, category, wanted[0], wanted[-1])
        if not found:
            using.report(f"{category}: no papers from {wanted[0]} to {wanted[-1]}")
    return found


def fetch_text(
    id: str,
    version: int | None = None,
    *,
    client: Client | None = None,
    listing: Listing | None = None,
) -> PaperText:
    """Return a paper's text: arXiv's HTML, else the PDF, else the abstract with a warning.

    Args:
        id: arXiv identifier, with or without version.
        version: the newest by default; without a network, the newest in the cache.
        client: cache, servers and patience; a `Client()` by default.
        listing: what is known of the paper already, which spares a request.

    Raises:
        ValueError: no identifier.
        FetchError: arXiv does not answer or knows no such paper, and the text is not in the cache.
    """
    id, named = parse_id(id)
    version = version if version is not None else named
    with _using(client) as using:
        if version is None and listing is not None:
            version = listing.version
        kept = full.cached(using, id, version) if version is not None else None
        if kept is not None and (kept.passages or listing is not None):
            return full.with_abstract(kept, listing)
        if listing is None or version is None:
            try:
                known = fetch_listings([file_name_of(id, version)], client=using)
            except FetchError as error:
                if kept is not None:
                    return kept
                if not isinstance(error, NoNetwork):
                    raise
                newest = using.cache.newest(id)
                if version is None and newest is not None and (kept := full.cached(using, id, newest)):
                    return replace(
                        kept, warnings=(*kept.warnings, f"no network: version {newest} of the cache")
                    )
                raise
            if not known:
                raise FetchError(f"{id}: arXiv knows no such paper")
            listing = known[0]
        wanted = version if version is not None else listing.version
        if wanted is None:
            raise FetchError(f"{id}: arXiv names no version")
        return full.full_text(using, id, wanted, listing)


def file_name_of(id: str, version: int | None) -> str:
    """The identifier with its version: "2411.19870v2"."""
    return id + (f"v{version}" if version is not None else "")


def fetch(
    listings: Iterable[Listing],
    *,
    out: Path | None = None,
    texts: bool = True,
    client: Client | None = None,
    progress: Callable[[Fetched], None] | None = None,
) -> list[Fetched]:
    """Fetch the texts of papers, one after the other; killed at any moment, the same call goes on.

    Args:
        listings: from `fetch_day`, `fetch_listings` or `search_listing`.
        out: a folder to put the papers' files into, named `<id>v<version>.html|.pdf|.txt` as
            `sillok.digest.texts.folder` reads them; `listings.jsonl` there gathers what is known of them.
        texts: leave the texts alone when false.
        client: cache, servers and patience; a `Client()` by default.
        progress: called with each paper when it is done.

    Returns:
        One result a paper. A paper that fails has its `problem`, and the others are fetched all the same;
        without a network those that the cache has are served and the rest fails at once.
    """
    chosen = list(listings)
    results: list[Fetched] = []
    with _using(client) as using:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            _gather(out / "listings.jsonl", chosen)
        offline = using.offline
        try:
            for listing in chosen:
                result = _one(using, listing, out) if texts else Fetched(listing)
                results.append(result)
                if progress is not None:
                    progress(result)
        finally:
            using.offline = offline
    return results


def _one(client: Client, listing: Listing, out: Path | None) -> Fetched:
    try:
        text = fetch_text(listing.id, listing.version, client=client, listing=listing)
    except NoNetwork as error:
        client.offline = True  # one paper's patience is enough for all
        return Fetched(listing, problem=str(error))
    except FetchError as error:
        return Fetched(listing, problem=str(error))
    if listing.version is None:
        listing = replace(listing, version=text.version)
    if out is None:
        return Fetched(listing, text)
    name = file_name(listing.id, text.version)
    if text.source == "abstract" or text.version is None:
        path = out / f"{name}.txt"
        data = f"{text.title}\n\nAbstract\n\n{text.abstract}\n".encode()
    else:
        kept = client.cache.paper(listing.id, text.version, f".{text.source}")
        if not kept.is_file():
            return Fetched(listing, text)
        path, data = out / kept.name, kept.read_bytes()
    if not path.is_file() or path.stat().st_size != len(data):
        write_whole(path, data)
    return Fetched(listing, text, path)


def _gather(path: Path, listings: list[Listing]) -> None:
    """Add listings to a file of JSON lines, the newest of each paper; lines that cannot be read are dropped."""
    known: dict[str, str] = {}
    if path.is_file():
        for line in path.read_text("utf-8").splitlines():
            try:
                known[Listing.from_json(line).id] = line
            except (ValueError, json.JSONDecodeError):
                continue
    known |= {listing.id: listing.to_json() for listing in listings}
    write_whole(path, "".join(f"{line}\n" for line in known.values()).encode())
