"""Fetching: the day's papers from Hugging Face Daily Papers, listings and full texts from arXiv.

    from sillok.digest import fetch
    papers = fetch.fetch_day("2024-12-04")
    text = fetch.fetch_text(papers[0].id)

Every answer is kept in a cache on disk; without a network, what lies there is still served. Requests to arXiv
are at least three seconds apart, over all processes that share the cache.
"""

from sillok.digest.fetch.api import (
    Fetched,
    fetch,
    fetch_day,
    fetch_listings,
    fetch_range,
    fetch_text,
    parse_day,
    parse_id,
    search_listing,
)
from sillok.digest.fetch.http import Client, FetchError, NoNetwork, Sites

__all__ = [
    "Client",
    "FetchError",
    "Fetched",
    "NoNetwork",
    "Sites",
    "fetch",
    "fetch_day",
    "fetch_listings",
    "fetch_range",
    "fetch_text",
    "parse_day",
    "parse_id",
    "search_listing",
]
