"""From a view to an answer: who asks, entity tags, and errors in the form that was asked for."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from starlette.responses import Response

from sillok.web.access import NONCE, Access, session_of
from sillok.web.charts import Charts
from sillok.web.jobs import Queue
from sillok.web.made import Pages, tag_of
from sillok.web.models import Lang, Problem
from sillok.web.render import THEMES, Context, page
from sillok.web.shelf import Shelf
from sillok.web.words import LANGUAGES, WORDS, preferred

YEAR = 31_536_000
FOR_GOOD = f"public, max-age={YEAR}, immutable"  # under addresses that change with what they hold
HTML = "text/html; charset=utf-8"
HTML_VARIES = "Accept-Encoding, Accept-Language, Cookie"
ASK_AGAIN = "no-cache"  # kept, and asked for again with its entity tag


@dataclass(frozen=True)
class Site:
    """What the handlers share."""

    shelf: Shelf
    charts: Charts
    url: str | None = None
    access: Access = field(default_factory=Access)
    queue: Queue | None = None
    pages: Pages = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pages", Pages(self.shelf))


def site_of(request: Request) -> Site:
    """The site that a request is for."""
    found: Site = request.app.state.site
    return found


async def here(request: Request) -> Site:
    """The site, as FastAPI asks for it: what is not async would wait for a thread."""
    return site_of(request)


async def context_of(
    request: Request,
    lang: Annotated[Lang | None, Query(description="The language, kept in a cookie.")] = None,
    theme: Annotated[
        str | None, Query(pattern="^(system|light|dark)$", description="The colours, kept in a cookie.")
    ] = None,
) -> Context:
    """The reader: language and theme from the address, else the cookie, else the browser."""
    return plain_context(request, lang, theme)


def plain_context(request: Request, lang: str | None = None, theme: str | None = None) -> Context:
    """The same without checking the address, for pages about errors."""
    spoken = lang or request.cookies.get("lang")
    known = next((one for one in LANGUAGES if one == spoken), None)
    colours = theme or request.cookies.get("theme")
    query = {name: value for name, value in request.query_params.items() if name not in ("lang", "theme")}
    site = site_of(request)
    session = session_of(request, site.access)
    kept = request.cookies.get(NONCE, "")
    nonce = kept if re.fullmatch("[0-9a-f]{32}", kept) else secrets.token_hex(16)
    return Context(
        lang=known or preferred(request.headers.get("accept-language", "")),
        theme=colours if colours in THEMES else "system",
        path=request.url.path,
        query=query,
        base=(site.url or str(request.base_url)).rstrip("/"),
        runs=site.queue is not None,
        member=bool(session),
        ticket=site.access.ticket(nonce, session),
        nonce=nonce,
    )


SiteHere = Annotated[Site, Depends(here)]
Reader = Annotated[Context, Depends(context_of)]


def answer(
    request: Request,
    body: str | bytes,
    type: str,
    *,
    cache: str = ASK_AGAIN,
    status: int = 200,
    vary: str = "Accept-Encoding",
) -> Response:
    """An answer with an entity tag; 304 where the reader has it already."""
    data = body.encode() if isinstance(body, str) else body
    return _tagged(request, data, tag_of(data), type, cache, status, vary)


def _tagged(
    request: Request,
    data: bytes,
    tag: str,
    type: str,
    cache: str,
    status: int,
    vary: str,
    packed: bytes = b"",
) -> Response:
    headers = {"etag": tag, "cache-control": cache, "vary": vary}
    if status == 200 and tag in re.findall(r'W/"[^"]*"', request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    if packed and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, status, headers | {"content-encoding": "gzip"}, media_type=type)
    return Response(data, status, headers, media_type=type)


def show(
    request: Request, site: Site, reader: Context, template: str, make: Callable[[], dict[str, Any]]
) -> Response:
    """A page of the record: its template with what `make` gives, or the page as it was made before."""

    def made() -> str:
        return page(template, reader, **make())

    if reader.member:  # whose pages hold forms that are theirs alone
        with site.shelf.record.at_once():
            return html(request, reader, made())
    key = (template, request.url.path, request.url.query, reader.lang, reader.theme, reader.base)
    found = site.pages.page(key, made)
    answer = _tagged(request, found.data, found.tag, HTML, ASK_AGAIN, 200, HTML_VARIES, found.packed)
    _keep_choices(request, reader, answer)
    return answer


def html(request: Request, context: Context, text: str, *, status: int = 200) -> Response:
    """A page; a language or theme that was asked for in the address is kept."""
    cache = "private, no-cache" if context.member else ASK_AGAIN
    found = answer(request, text, HTML, cache=cache, status=status, vary=HTML_VARIES)
    if status == 200:
        _keep_choices(request, context, found)
    if context.member:
        _keep_nonce(request, context, found)
    return found


def _keep_choices(request: Request, context: Context, found: Response) -> None:
    for name, value in (("lang", context.lang), ("theme", context.theme)):
        if name in request.query_params:
            found.set_cookie(name, value, max_age=YEAR, samesite="lax", path="/")


def _keep_nonce(request: Request, context: Context, found: Response) -> None:
    if request.cookies.get(NONCE) != context.nonce:
        secure = context.base.startswith("https:")
        found.set_cookie(
            NONCE, context.nonce, max_age=YEAR, path="/", secure=secure, httponly=True, samesite="lax"
        )


def form_page(request: Request, context: Context, text: str, *, status: int = 200) -> Response:
    """A page with a form that posts: not kept by anybody, and its nonce goes into a cookie."""
    found = html(request, context, text, status=status)
    found.headers["cache-control"] = "no-store"
    _keep_nonce(request, context, found)
    return found


def problem(request: Request, status: int, title: str, detail: str) -> Response:
    """An error: JSON for programs, one line for files, else a page."""
    path = request.url.path
    if path.startswith("/api"):
        return Response(Problem(detail=detail).model_dump_json(), status, media_type="application/json")
    if re.search(r"\.(xml|svg|png|css|js|bib|ris|json|txt)$", path):
        return Response(f"{detail}\n", status, media_type="text/plain")
    context = plain_context(request, request.query_params.get("lang"), request.query_params.get("theme"))
    words = WORDS[context.lang]
    text = page("error.html", context, status=status, heading=words[title], detail=detail)
    return html(request, context, text, status=status)
