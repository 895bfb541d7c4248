"""What every answer carries, and which hosts are answered: plain ASGI, before any page is made."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# No inline script or style, nothing from another host: pictures of papers are links.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
MOST_QUERY = 4096  # bytes of a query; the longest that a page makes has some hundreds


class Guard:
    """Adds `HEADERS`, and refuses hosts that the site is not served under (a page elsewhere may name loopback)."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str] | None) -> None:
        self.app = app
        self.hosts = None if hosts is None else {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        head = scope["method"] == "HEAD"  # answered as GET, without the body
        if head:
            scope = {**scope, "method": "GET"}

        async def guarded(message: Message) -> None:
            if head and message["type"] == "http.response.body":
                if message.get("more_body"):
                    return
                message = {"type": "http.response.body", "body": b""}
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refused = self._refused(scope)
        if refused is not None:
            await refused(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)

    def _refused(self, scope: Scope) -> PlainTextResponse | None:
        if len(scope["query_string"]) > MOST_QUERY:
            return PlainTextResponse("the query is too long\n", 414)
        host = _hostname(Headers(scope=scope).get("host", ""))
        if host is None or (self.hosts is not None and host not in self.hosts):
            return PlainTextResponse("this site is not served under that host\n", 421)
        return None


def _hostname(given: str) -> str | None:
    """The host of a Host header without its port; None for what is none."""
    try:
        found = urlsplit(f"//{given}")
        _ = found.port
    except ValueError:
        return None
    if found.path or found.query or found.username is not None or not found.hostname:
        return None
    return found.hostname


def accepted(host: str, url: str | None) -> list[str] | None:
    """The hosts that a site bound to `host` answers to; None for any, where it is bound to every address."""
    named = [urlsplit(url).hostname or ""] if url else []
    if host in ("0.0.0.0", "::", ""):
        return [*named, *LOOPBACK] if url else None
    return [host, *named, *LOOPBACK] if host in LOOPBACK else [host, *named]
