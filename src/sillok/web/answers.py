"""From a view to an answer: who asks, entity tags, and errors in the form that was asked for."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Query, Request
from starlette.responses import Response

from sillok.web.access import NONCE, Access, session_of
from sillok.web.charts import Charts
from sillok.web.jobs import Queue
from sillok.web.models import Lang, Problem
from sillok.web.render import THEMES, Context, page
from sillok.web.shelf import Shelf
from sillok.web.words import LANGUAGES, WORDS, preferred

YEAR = 31_536_000
FOR_GOOD = f"public, max-age={YEAR}, immutable"  # under addresses that change with what they hold
ASK_AGAIN = "no-cache"  # kept, and asked for again with its entity tag


@dataclass(frozen=True)
class Site:
    """What the handlers share."""

    shelf: Shelf
    charts: Charts
    url: str | None = None
    access: Access = field(default_factory=Access)
    queue: Queue | None = None


def site_of(request: Request) -> Site:
    """The site that a request is for."""
    found: Site = request.app.state.site
    return found


def context_of(
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


SiteHere = Annotated[Site, Depends(site_of)]
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
    tag = f'W/"{hashlib.blake2b(data, digest_size=9).hexdigest()}"'
    headers = {"etag": tag, "cache-control": cache, "vary": vary}
    if status == 200 and tag in re.findall(r'W/"[^"]*"', request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    return Response(data, status, headers, media_type=type)


def html(request: Request, context: Context, text: str, *, status: int = 200) -> Response:
    """A page; a language or theme that was asked for in the address is kept."""
    vary = "Accept-Encoding, Accept-Language, Cookie"
    cache = "private, no-cache" if context.member else ASK_AGAIN
    found = answer(request, text, "text/html; charset=utf-8", cache=cache, status=status, vary=vary)
    if status == 200:
        for name, value in (("lang", context.lang), ("theme", context.theme)):
            if name in request.query_params:
                found.set_cookie(name, value, max_age=YEAR, samesite="lax", path="/")
    if context.member:
        _keep_nonce(request, context, found)
    return found


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
