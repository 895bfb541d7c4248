"""What is posted: a limit on its size, and forms read in memory, never to a file."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from fastapi import HTTPException, Request
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sillok.web.access import NONCE, from_here, session_of
from sillok.web.answers import site_of

MOST_DIGEST = 2 * 2**20  # bytes of a digest
MOST_BODY = MOST_DIGEST + 2**18  # with the form around it
_DRAINED = 8 * MOST_BODY  # read and thrown away, so that a browser gets to see the answer
_SECONDS = 60.0  # that a body may take
_TOO_LARGE = f"more than the {MOST_DIGEST // 2**20} MB that are accepted"


class Bodies:
    """Plain ASGI: a body is read before the site sees it, within a size and a time; 413 and 408 beyond them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(_read(Headers(scope=scope), receive), _SECONDS)
        except TimeoutError:
            await _refusal(scope, 408, "the request took too long to arrive")(scope, receive, send)
            return
        if body is None:
            await _refusal(scope, 413, _TOO_LARGE)(scope, receive, send)
            return
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)


async def _read(headers: Headers, receive: Receive) -> bytes | None:
    """The body; None where it is too large."""
    said = headers.get("content-length", "")
    if said.isdigit() and int(said) > _DRAINED:
        return None
    parts: list[bytes] = []
    size = 0
    while size <= _DRAINED:
        message = await receive()
        if message["type"] != "http.request":
            return None  # the reader has gone
        size += len(message.get("body", b""))
        if size <= MOST_BODY:
            parts.append(message.get("body", b""))
        else:
            parts.clear()
        if not message.get("more_body"):
            break
    return b"".join(parts) if size <= MOST_BODY else None


def _refusal(scope: Scope, status: int, detail: str) -> Response:
    headers = {"connection": "close"}
    if scope["path"].startswith("/api"):
        return JSONResponse({"detail": detail}, status, headers)
    return PlainTextResponse(f"{detail}\n", status, headers)


@dataclass(frozen=True)
class Posted:
    """A form: its fields, and its file as a name and bytes."""

    fields: dict[str, str] = field(default_factory=dict)
    file: tuple[str, bytes] | None = None


class _InMemory(MultiPartParser):
    spool_max_size = MOST_BODY + 1  # an uploaded file never reaches the disk


async def posted(request: Request) -> Posted:
    """A form that one of this site's pages sent. Raises HTTPException: 400, 403, 415."""
    site = site_of(request)
    if not from_here(request, site.url):
        raise HTTPException(403, "this form was sent by another site")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    stream: AsyncGenerator[bytes, None] = request.stream()
    try:
        if kind == "multipart/form-data":
            form = await _InMemory(
                request.headers, stream, max_files=2, max_fields=12, max_part_size=MOST_BODY
            ).parse()
        elif kind == "application/x-www-form-urlencoded":
            form = await FormParser(request.headers, stream, max_fields=12, max_part_size=MOST_BODY).parse()
        else:
            raise HTTPException(415, "a form is accepted (multipart/form-data)")
    except MultiPartException as error:
        raise HTTPException(400, f"this is no form that can be read: {error.message}") from None
    fields: dict[str, str] = {}
    file = None
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            data = await value.read()
            await value.close()
            if value.filename or data:
                file = (shown_name(value.filename or ""), data)
        else:
            fields[name] = value
    session = session_of(request, site.access)
    if not site.access.accepts(fields.pop("ticket", ""), request.cookies.get(NONCE, ""), session):
        raise HTTPException(403, "the form is too old or not from this site: open its page again")
    return Posted(fields, file)


def shown_name(name: str) -> str:
    """What an uploaded file may be called in messages: its last part, in one short line."""
    last = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[^\w.() +-]", "_", last)[:80].strip() or "digest.md"
