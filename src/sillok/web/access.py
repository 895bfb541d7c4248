"""Who may do what: the token that starts runs, sessions, and tickets against requests forged elsewhere.

Nothing here is kept: sessions and tickets are signed with a secret that lives as long as the server.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from urllib.parse import urlsplit

from starlette.requests import Request

SESSION, NONCE = "sillok_session", "sillok_form"  # cookies
SESSION_SECONDS = 12 * 3600
LEAST_TOKEN = 16  # characters


class Access:
    """The rights on a site: whoever shows `token` may start runs; without one nobody may.

    Processes that serve one site share `secret`; by default it is this one's own.
    """

    def __init__(self, token: str | None = None, secret: bytes | None = None) -> None:
        if token is not None and (len(token) < LEAST_TOKEN or not token.isascii() or not token.isprintable()):
            raise ValueError(
                f"token: at least {LEAST_TOKEN} printable ASCII characters are accepted; leave SILLOK_TOKEN empty "
                "and one is made"
            )
        self._secret = secret or secrets.token_bytes(32)
        self._token = None if token is None else hashlib.sha256(token.encode()).digest()

    @property
    def open(self) -> bool:
        """Whether there is a token at all."""
        return self._token is not None

    def knows(self, given: str) -> bool:
        """Whether a text is the token, compared in constant time."""
        shown = hashlib.sha256(given.encode("utf-8", "replace")).digest()
        return self._token is not None and hmac.compare_digest(shown, self._token)

    def session(self) -> str:
        """A new session, to be kept in a cookie."""
        ends = str(int(time.time()) + SESSION_SECONDS)
        return f"{ends}.{self._sign('session', ends)}"

    def holds(self, session: str) -> bool:
        """Whether a session is one of this server and has not ended."""
        ends, _, signature = session.partition(".")
        good = _same(signature, self._sign("session", ends))
        return good and self.open and ends.isdigit() and int(ends) > time.time()

    def ticket(self, nonce: str, session: str) -> str:
        """What a form must bring along: signed over the browser's nonce and its session."""
        return self._sign("ticket", f"{nonce}|{session}")

    def accepts(self, ticket: str, nonce: str, session: str) -> bool:
        """Whether a form brought its ticket."""
        return bool(nonce) and _same(ticket, self.ticket(nonce, session))

    def _sign(self, use: str, text: str) -> str:
        return hmac.new(self._secret, f"{use}|{text}".encode("utf-8", "replace"), "sha256").hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())


def session_of(request: Request, access: Access) -> str:
    """The request's session where it is a good one, else ""."""
    given = request.cookies.get(SESSION, "")
    return given if given and access.holds(given) else ""


def bearer(request: Request, access: Access) -> bool:
    """Whether a program shows the token (`Authorization: Bearer TOKEN`)."""
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and access.knows(given.strip())


def from_here(request: Request, url: str | None) -> bool:
    """Whether a request comes from a page of this site, or from no page at all (a program).

    Browsers say where a POST comes from in Origin and in Sec-Fetch-Site; `url` is where readers reach the site.
    """
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    try:
        found = urlsplit(origin)
        ours = urlsplit(url).netloc if url else ""
    except ValueError:
        return False
    known = {request.headers.get("host", "").lower(), ours.lower()} - {""}
    return found.scheme in ("http", "https") and found.netloc.lower() in known
