"""Listings from arXiv's API, by the `arxiv` client over Sillok's own (paced, cached) connections."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from datetime import date as Date
from typing import Any

from sillok.digest.fetch.http import Client, FetchError, need
from sillok.digest.model import arxiv_id
from sillok.digest.text import Listing

#: arXiv's listings change once a day: an answer is served for an hour without asking again.
FRESH = 3600.0
PAGE = 100

_WITHDRAWN = re.compile(
    r"\b(?:paper|article|submission|manuscript|preprint|work|version|report)\s+"
    r"(?:has|have|had|is|was)\s+(?:been\s+|being\s+)?withdrawn\b|"
    r"^\W*withdrawn\b(?! from)|\bwithdrawn by (?:the )?(?:author|arxiv)",
    re.IGNORECASE,
)
_CATEGORY = re.compile(r"[a-z]+(?:-[a-z]+)*(?:\.[A-Za-z]{2}|\.[a-z]+(?:-[a-z]+)*)?")


def listings(client: Client, ids: Iterable[tuple[str, int | None]]) -> dict[str, Listing]:
    """Return what arXiv tells of papers, by identifier; those that it does not know are missing.

    Raises:
        FetchError: arXiv does not answer, and the answer is not in the cache.
    """
    wanted = [id + (f"v{version}" if version is not None else "") for id, version in ids]
    found: dict[str, Listing] = {}
    for start in range(0, len(wanted), PAGE):
        part = wanted[start : start + PAGE]
        for listing in _results(client, id_list=part, max_results=len(part)):
            found[listing.id] = listing
    return found


def category(client: Client, name: str, first: Date, last: Date) -> list[Listing]:
    """Return the papers of a category ("cs.LG") submitted from one day to another, both included, oldest first.

    Raises:
        ValueError: no such name of a category.
        FetchError: arXiv does not answer, and the answer is not in the cache.
    """
    if not _CATEGORY.fullmatch(name):
        raise ValueError(f"listing: {name!r} is no category of arXiv such as 'cs.LG'")
    query = f"cat:{name} AND submittedDate:[{first:%Y%m%d}0000 TO {last:%Y%m%d}2359]"
    arxiv = need("arxiv")
    return _results(
        client,
        query=query,
        max_results=None,
        sort_by=arxiv.SortCriterion.SubmittedDate,
        sort_order=arxiv.SortOrder.Ascending,
    )


def _results(client: Client, **search: Any) -> list[Listing]:
    arxiv = need("arxiv")
    reader = _reader(client, arxiv, _ended if "id_list" in search else _whole)
    try:
        return [_listing(result) for result in reader.results(arxiv.Search(**search))]
    except arxiv.ArxivError as error:
        raise FetchError(f"{client.sites.api}: {error}") from None


def _reader(client: Client, arxiv: Any, whole: Callable[[bytes], bool]) -> Any:
    """arXiv's client, its session sent through ours, which waits, repeats and keeps."""
    adapters = need("requests.adapters")
    requests = need("requests")

    # requests is loaded when it is needed, so that its classes are unknown to the type checker.
    class Through(adapters.BaseAdapter):  # type: ignore[misc, name-defined]
        def send(self, request: Any, *_: Any, **__: Any) -> Any:
            text = client.listing(request.url, fresh=FRESH, whole=whole)
            response = requests.Response()
            response.status_code, response.url, response.request = 200, request.url, request
            response.raw = io.BytesIO(text.encode())
            return response

        def close(self) -> None:
            pass

    reader = arxiv.Client(page_size=PAGE, delay_seconds=0, num_retries=0)
    reader.query_url_format = f"{client.sites.api}/api/query?{{}}"
    for scheme in ("http://", "https://"):
        reader._session.mount(scheme, Through())
    return reader


def _ended(body: bytes) -> bool:
    return body.rstrip().endswith(b"</feed>")


def _whole(body: bytes) -> bool:
    """Whether a feed is complete, with entries where it counts some (arXiv now and then sends an empty page)."""
    if not _ended(body):
        return False
    numbers = {
        name: int(match[1])
        for name in ("totalResults", "startIndex")
        if (match := re.search(rb"<opensearch:" + name.encode() + rb"[^>]*>\s*([0-9]+)", body))
    }
    return b"<entry>" in body or numbers.get("startIndex", 0) >= numbers.get("totalResults", 0)


def _listing(result: Any) -> Listing:
    named = arxiv_id(result.entry_id)
    if named is None:
        raise FetchError(f"arXiv answers with an error: {result.summary or result.title or result.entry_id}")
    id, version = named
    notices = (result.comment or "", result.title, result.summary[:300])
    return Listing(
        id,
        " ".join(result.title.split()),
        version=version,
        authors=tuple(" ".join(author.name.split()) for author in result.authors),
        published=result.published.date(),
        abstract=" ".join(result.summary.split()),
        withdrawn=any(_WITHDRAWN.search(" ".join(notice.split())) for notice in notices),
    )
