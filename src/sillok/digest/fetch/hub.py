"""The day's list from Hugging Face Daily Papers, by huggingface_hub's own client."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date as Date
from typing import Any

from sillok.digest.fetch.cache import Kept
from sillok.digest.fetch.http import USER_AGENT, Again, Client, FetchError, NoNetwork, checked, need
from sillok.digest.model import ARXIV_ID, Media
from sillok.digest.text import Listing

PAGE = 100  # papers a request; the Hub's own limit
_PAGES = 20
_HOOKS = threading.Lock()


def day(client: Client, date: Date) -> list[Listing]:
    """Return the papers of one day, as the Hub lists them; none on a day without a list.

    Raises:
        FetchError: the Hub does not answer, and the day is not in the cache.
    """
    found: dict[str, Listing | None] = {}
    for page in range(_PAGES):
        papers = _page(client, date, page)
        fresh = [paper for paper in papers if paper["id"] not in found]
        for paper in fresh:
            found[paper["id"]] = _listing(paper, client)
        if len(papers) < PAGE or not fresh:
            break
    return [listing for listing in found.values() if listing is not None]


@dataclass(slots=True)
class _Exchange:
    """What came back to the client's last request: status and headers."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)


def _page(client: Client, date: Date, page: int) -> list[dict[str, Any]]:
    key = f"{client.sites.hub}/api/daily_papers?date={date}&limit={PAGE}&p={page}"
    kept = client.cache.kept(key)
    try:
        text, etag = client.retried(lambda: _once(client, date, page, kept))
    except FetchError as error:
        if error.status == 400 and page == 0:
            return []  # the Hub's answer for a day that it has not opened yet
        if kept is None:
            raise
        client.stale(error, kept)
        return list(json.loads(kept.text))
    if text is None and kept is not None:
        client.cache.keep(replace(kept, time=time.time()))
        return list(json.loads(kept.text))
    client.cache.keep(Kept(key, text or "[]", time.time(), etag))
    return list(json.loads(text or "[]"))


def _once(client: Client, date: Date, page: int, kept: Kept | None) -> tuple[str | None, str]:
    """Ask once; (None, etag) where the Hub says that nothing changed."""
    if client.offline:
        raise NoNetwork(f"offline: the list of {date} is not in the cache")
    hub = need("huggingface_hub")
    errors = need("huggingface_hub.errors")
    url = f"{client.sites.hub}/api/daily_papers"
    headers = {"If-None-Match": kept.etag} if kept is not None and kept.etag else None
    api = hub.HfApi(endpoint=client.sites.hub, token=False, headers=headers, user_agent=USER_AGENT)
    exchange = _Exchange()
    try:
        with _watched(exchange, client.timeout):
            papers = list(api.list_daily_papers(date=date.isoformat(), limit=PAGE, p=page))
    except errors.OfflineModeIsEnabled:
        raise NoNetwork("offline: HF_HUB_OFFLINE is set") from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status == 304:
            return None, ""
        checked(url, status, error.response.headers)
        raise FetchError(f"{url}: the server answers {status}", status) from None
    except ValueError:
        if exchange.status == 304:
            return None, ""
        raise Again(FetchError(f"{url}: the answer is cut off, or no JSON")) from None
    except Exception as error:
        checked(url, exchange.status, exchange.headers)  # an error's body can make the client itself fail
        raise _transport(error, url, client.timeout) from None
    return json.dumps([_row(paper) for paper in papers], ensure_ascii=False), exchange.headers.get("etag", "")


def _transport(error: Exception, url: str, timeout: float) -> Exception:
    """What a failure of the client's connection means (its library is httpx, httpx2 from version 2 on)."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"ConnectError", "ConnectTimeout"}:
        return Again(NoNetwork(f"no network: {url.split('/')[2]} cannot be reached ({error})"))
    if "TimeoutException" in kinds:
        return Again(FetchError(f"{url}: no answer within {timeout:g} s"))
    if "TransportError" in kinds:
        return Again(FetchError(f"{url}: the answer broke off ({error})"))
    return error


@contextmanager
def _watched(exchange: _Exchange, timeout: float) -> Iterator[None]:
    """Give the client's next requests of this thread a timeout, and note the headers of the answers.

    huggingface_hub shares one session in the process and sets no timeout; hooks leave it as it is for others.
    """
    session = need("huggingface_hub.utils").get_session()
    thread = threading.get_ident()

    def request_hook(request: Any) -> None:
        if threading.get_ident() == thread:
            request.extensions["timeout"] = dict.fromkeys(("connect", "read", "write", "pool"), timeout)

    def response_hook(response: Any) -> None:
        if threading.get_ident() == thread:
            exchange.status = response.status_code
            exchange.headers = {name.lower(): value for name, value in response.headers.items()}

    mine = {"request": request_hook, "response": response_hook}
    with _HOOKS:
        hooks = session.event_hooks
        session.event_hooks = {name: [*hooks.get(name, ()), hook] for name, hook in mine.items()}
    try:
        yield
    finally:
        with _HOOKS:
            hooks = session.event_hooks
            session.event_hooks = {
                name: [one for one in hooks[name] if one is not hook] for name, hook in mine.items()
            }


def _row(paper: Any) -> dict[str, Any]:
    """What is kept of one of the client's `PaperInfo`."""
    return {
        "id": paper.id,
        "title": paper.title,
        "abstract": paper.summary or "",
        "authors": [author.name for author in paper.authors or ()],
        "votes": paper.upvotes or 0,  # the client gives None for a count of 0
        "published": paper.published_at.date().isoformat() if paper.published_at else None,
        "thumbnail": getattr(paper, "thumbnail", None),
        "media": list(getattr(paper, "mediaUrls", None) or ()),
    }


def _listing(row: dict[str, Any], client: Client) -> Listing | None:
    if not ARXIV_ID.fullmatch(str(row["id"])):
        client.report(f"{row['id']!r} ({row['title']}) is no paper of arXiv and is left out")
        return None
    return Listing(
        row["id"],
        " ".join((row["title"] or "").split()) or row["id"],
        authors=tuple(name for author in row["authors"] if (name := " ".join(author.split()))),
        votes=row["votes"],
        published=Date.fromisoformat(row["published"]) if row["published"] else None,
        abstract=" ".join(row["abstract"].split()),
        picture=_picture(row),
    )


def _picture(row: dict[str, Any]) -> Media | None:
    videos = [url for url in row["media"] if str(url).lower().endswith((".mp4", ".webm", ".mov"))]
    with suppress(ValueError):
        if videos:
            return Media("video", tuple(dict.fromkeys(videos)))
        if row["thumbnail"]:
            return Media("image", (row["thumbnail"],))
    return None
