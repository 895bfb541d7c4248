"""The HTTP client that all fetching goes through: retries, politeness, conditional requests, the cache."""

from __future__ import annotations

import math
import os
import random
import re
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

import sillok
from sillok.digest.fetch.cache import Cache, Kept
from sillok.digest.fetch.pace import Pace

T = TypeVar("T")

if TYPE_CHECKING:
    import httpx

#: Answers after which a request is repeated.
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})

#: A server that asks for a longer pause than this (in seconds) is left alone.
PATIENCE = 120.0

#: Seconds for which a site that says "too many requests" to the last try is left alone, if it names no time.
LEFT_ALONE = 600.0

MAX_BYTES = 128 * 2**20

USER_AGENT = f"sillok/{sillok.__version__} (digests of papers; +https://pypi.org/project/sillok/)"


class FetchError(RuntimeError):
    """Something that could not be fetched, in one line.

    Attributes:
        status: the server's last answer, if it gave one.
        pause: seconds that the server asks to wait, if it does.
    """

    def __init__(self, message: str, status: int | None = None, pause: float | None = None) -> None:
        super().__init__(" ".join(message.split()))
        self.status = status
        self.pause = pause


class NoNetwork(FetchError):
    """The server cannot be reached."""


class Again(Exception):
    """A try that failed and may be repeated, after the error's pause where the server names one."""

    def __init__(self, error: FetchError) -> None:
        super().__init__(str(error))
        self.error = error


def _env(name: str, default: str) -> Any:
    return field(default_factory=lambda: (os.environ.get(name) or default).rstrip("/"))


@dataclass(frozen=True, slots=True)
class Sites:
    """Where papers come from.

    Attributes:
        hub: Hugging Face (environment: HF_ENDPOINT).
        arxiv: HTML and PDF (SILLOK_ARXIV).
        api: arXiv's API (SILLOK_ARXIV_API).
        delay: seconds between two requests to arXiv (SILLOK_ARXIV_DELAY); arXiv asks for three.

    Raises:
        ValueError: an address without http:// or https://, or a delay that is none.
    """

    hub: str = _env("HF_ENDPOINT", "https://huggingface.co")
    arxiv: str = _env("SILLOK_ARXIV", "https://arxiv.org")
    api: str = _env("SILLOK_ARXIV_API", "https://export.arxiv.org")
    delay: float = field(default_factory=lambda: _seconds(os.environ.get("SILLOK_ARXIV_DELAY") or "3"))

    def __post_init__(self) -> None:
        named = (("HF_ENDPOINT", self.hub), ("SILLOK_ARXIV", self.arxiv), ("SILLOK_ARXIV_API", self.api))
        for name, address in named:
            if not re.fullmatch(r"https?://[^\s/]+(?:/\S*)?", address):
                raise ValueError(f"{name}: {address!r} is no address such as 'https://arxiv.org'")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ValueError(f"SILLOK_ARXIV_DELAY: {text!r} is no number of seconds from 0 on")
    return seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer: status, body, and headers by their names in lower case."""

    status: int
    body: bytes
    headers: dict[str, str]


class Client:
    """Fetches over HTTP, patiently and politely; safe to share between threads.

    Args:
        cache: a folder (default: see `Cache`).
        sites: the servers.
        timeout: seconds without a byte from the server.
        tries: how often a request is made in all (without a connection, at most three times).
        backoff: seconds before the first repetition; doubled each time, with jitter.
        offline: make no request; serve what the cache has.
        report: takes one line for what the user should know, e.g. that an old answer is served.
        seed: of the jitter; by default the process's number, so that processes do not repeat in step.

    Raises:
        ImportError: the extra `digest` is not installed.
    """

    def __init__(
        self,
        cache: str | os.PathLike[str] | Cache | None = None,
        sites: Sites | None = None,
        *,
        timeout: float = 30.0,
        tries: int = 5,
        backoff: float = 1.0,
        offline: bool = False,
        report: Callable[[str], None] | None = None,
        seed: int | None = None,
    ) -> None:
        if tries < 1:
            raise ValueError(f"tries: {tries!r} given; at least 1 is accepted")
        if timeout <= 0:
            raise ValueError(f"timeout: {timeout!r} given; seconds above 0 are accepted")
        self.cache = cache if isinstance(cache, Cache) else Cache(cache)
        self.sites = sites or Sites()
        self.timeout, self.tries, self.backoff, self.offline = timeout, tries, backoff, offline
        self.report = report or (lambda line: None)
        self.pace = Pace(self.sites.delay, self.cache.root)
        self._random = random.Random(os.getpid() if seed is None else seed)
        self._left_alone: dict[str, tuple[float, FetchError]] = {}
        self._http: httpx.Client | None = None

    def _session(self) -> httpx.Client:
        if self._http is None:
            httpx = need("httpx")

            def turn(request: Any) -> None:
                if self._polite(request.url):
                    self.pace.turn()

            def done(response: Any) -> None:
                if self._polite(response.url):
                    self.pace.done()

            self._http = httpx.Client(
                follow_redirects=True,
                timeout=self.timeout,
                headers={"User-Agent": USER_AGENT},
                event_hooks={"request": [turn], "response": [done]},
            )
        return self._http

    def _polite(self, url: httpx.URL) -> bool:
        """Whether an address is arXiv's."""
        mine = {site.split("/")[2] for site in (self.sites.arxiv, self.sites.api) if site.count("/") > 1}
        return url.netloc.decode() in mine or url.host.endswith("arxiv.org")

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        whole: Callable[[bytes], bool] = lambda body: True,
    ) -> Answer:
        """Fetch an address; `whole` tells whether a body is complete (one that is not is fetched again).

        A site that says "too many requests" to the last try, or asks for a long pause, is not asked again before
        that has passed: one paper's patience is enough for all.

        Raises:
            NoNetwork: the server cannot be reached.
            FetchError: it answers with an error to the last try too, or with something too large.
        """
        site = "/".join(url.split("/")[:3])
        until, problem = self._left_alone.get(site, (0.0, None))
        if problem is not None and time.monotonic() < until:
            raise FetchError(f"{url}: not asked, since {problem}", problem.status)
        try:
            return self.retried(lambda: self._once(url, headers or {}, whole))
        except FetchError as error:
            if error.status == 429:
                self._left_alone[site] = (time.monotonic() + (error.pause or LEFT_ALONE), error)
            raise

    def retried(self, call: Callable[[], T]) -> T:
        """Call until it raises no `Again`, as often and as slowly as the client is set to."""
        tenacity = need("tenacity")

        def pause(state: Any) -> float:
            again = state.outcome.exception()
            jitter = self.backoff * 2 ** (state.attempt_number - 1) * self._random.uniform(0.5, 1.5)
            return float(max(again.error.pause or 0.0, min(jitter, 60.0)))

        def enough(state: Any) -> bool:
            again = state.outcome.exception()
            limit = min(self.tries, 3) if isinstance(again.error, NoNetwork) else self.tries
            return bool(state.attempt_number >= limit or (again.error.pause or 0.0) > PATIENCE)

        try:
            found: T = tenacity.Retrying(
                stop=enough, wait=pause, retry=tenacity.retry_if_exception_type(Again), reraise=True
            )(call)
        except Again as again:
            raise again.error from None
        return found

    def _once(self, url: str, headers: dict[str, str], whole: Callable[[bytes], bool]) -> Answer:
        if self.offline:
            raise NoNetwork(f"offline: {url} is not in the cache")
        httpx = need("httpx")
        try:
            turn = self.pace.alone() if self._polite(httpx.URL(url)) else nullcontext()
            with turn, self._session().stream("GET", url, headers=headers) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise FetchError(f"{url}: more than {MAX_BYTES:,} bytes")
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Again(NoNetwork(f"no network: {httpx.URL(url).host} cannot be reached ({error})")) from None
        except httpx.TimeoutException:
            raise Again(FetchError(f"{url}: no answer within {self.timeout:g} s")) from None
        except httpx.TransportError as error:
            raise Again(FetchError(f"{url}: the answer broke off ({error})")) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise FetchError(f"{url}: {error or type(error).__name__}") from None
        answer = Answer(
            response.status_code, bytes(body), {k.lower(): v for k, v in response.headers.items()}
        )
        checked(url, answer.status, answer.headers)
        if answer.status == 200 and not whole(answer.body):
            raise Again(FetchError(f"{url}: the answer is cut off"))
        return answer

    def listing(
        self, url: str, *, fresh: float = 0.0, whole: Callable[[bytes], bool] = lambda body: True
    ) -> str:
        """Fetch a text through the cache: asked for with the validators of the answer that is kept.

        Args:
            url: the address.
            fresh: seconds for which a kept answer is served without asking.
            whole: tells whether a body is complete.

        Raises:
            FetchError: the server does not answer with 200, and nothing is kept.
        """
        kept = self.cache.kept(url)
        if kept is not None and 0 <= time.time() - kept.time < fresh:
            return kept.text
        headers = {}
        if kept is not None and kept.etag:
            headers["If-None-Match"] = kept.etag
        if kept is not None and kept.last_modified:
            headers["If-Modified-Since"] = kept.last_modified
        try:
            answer = self.get(url, headers, whole)
        except FetchError as error:
            if kept is None:
                raise
            self.stale(error, kept)
            return kept.text
        if answer.status == 304 and kept is not None:
            self.cache.keep(replace(kept, time=time.time()))
            return kept.text
        if answer.status != 200:
            raise FetchError(f"{url}: the server answers {answer.status}", answer.status)
        text = answer.body.decode("utf-8", "replace")
        found = answer.headers
        self.cache.keep(Kept(url, text, time.time(), found.get("etag", ""), found.get("last-modified", "")))
        return text

    def stale(self, error: FetchError, kept: Kept) -> None:
        """Tell the user that an old answer is served."""
        when = datetime.fromtimestamp(kept.time, UTC).strftime("%Y-%m-%d %H:%M UTC")
        self.report(f"{'offline' if self.offline else error}; what was fetched {when} is used")


def checked(url: str, status: int, headers: Any) -> None:
    """Raise `Again` for an answer that says to come back later."""
    if status in AGAIN:
        pause = retry_after(headers.get("retry-after"))
        wait = f" and asks to wait {pause:g} s" if pause else ""
        raise Again(FetchError(f"{url}: the server answers {status}{wait}", status, pause))


def retry_after(value: str | None) -> float | None:
    """The seconds that a Retry-After header asks for: a number, or a date."""
    if not value:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return max(0.0, round((when - datetime.now(UTC)).total_seconds(), 1))


def need(name: str) -> Any:
    """Import a library of the extra `digest`.

    Raises:
        ImportError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"fetching needs {error.name or name}, which is not installed: pip install 'sillok[digest]'"
        ) from None
