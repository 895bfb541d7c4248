"""Search."""

from __future__ import annotations

from sillok.web.models import SearchView
from sillok.web.shelf import Shelf
from sillok.web.views import marks

PAGE = 20
PAGES = 25  # a reader who has not found it in 500 papers asks for something else


def search(
    shelf: Shelf,
    query: str,
    *,
    family: str | None = None,
    verdict: str | None = None,
    needs: str | None = None,
    since: str | None = None,
    until: str | None = None,
    page: int = 1,
) -> SearchView:
    """Papers that have every word of the query, the best first; without words the newest that the filters let through.

    Raises ValueError for a date that does not exist.
    """
    hits = shelf.record.search(
        query,
        limit=PAGE + 1,
        offset=(page - 1) * PAGE,
        family=family,
        verdict=verdict,
        needs=needs,
        since=since,
        until=until,
    )
    shown = hits[:PAGE]
    return SearchView(
        query=query,
        family=family,
        verdict=verdict,
        needs=needs,
        since=since,
        until=until,
        page=page,
        hits=marks.refs(shelf, shown),
        more=page + 1 if len(hits) > PAGE and page < PAGES else None,
    )
