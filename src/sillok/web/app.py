"""The application: routes, errors and what stands before them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response

import sillok
from sillok.record import Record, RecordError
from sillok.web import api, desk, files, pages, queue
from sillok.web.access import Access
from sillok.web.answers import Site, problem
from sillok.web.bodies import Bodies
from sillok.web.charts import Charts
from sillok.web.jobs import Queue
from sillok.web.security import HEADERS, Guard
from sillok.web.shelf import Shelf
from sillok.web.views import NotFound


def application(
    record: Record | str | Path | None = None,
    *,
    url: str | None = None,
    hosts: Sequence[str] | None = None,
    token: str | None = None,
    jobs: int | None = None,
    secret: bytes | None = None,
) -> FastAPI:
    """The site as an ASGI application.

    Args:
        record: a record, its URL or path; None is the default one.
        url: where readers reach the site, for feeds and previews; what the request says by default.
        hosts: the only hosts that are answered; None answers any.
        token: whoever shows it may start runs and keep digests; without one the site only reads.
        jobs: cores that runs may use; None is all. They end with the application.
        secret: what signs forms, where several processes serve one site; by default each makes its own.

    Raises:
        ValueError: the token is too short.
        RecordError: the record cannot be opened.
    """
    opened = record if isinstance(record, Record) else Record.open(record)
    shelf = Shelf(opened)
    app = FastAPI(
        title="Sillok",
        version=sillok.__version__,
        summary="What papers claim, and what was measured.",
        docs_url=None,  # its page loads scripts from another host
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=_life,
    )
    access = Access(token, secret)
    waiting = Queue(opened, cores=jobs) if access.open else None
    app.state.site = Site(shelf, Charts(shelf), url, access, waiting)
    if waiting is not None:  # before the pages: /runs/queue is no run
        app.include_router(queue.api)
        app.include_router(queue.pages)
    for router in (desk.api, desk.pages, api.router, files.router, pages.router):
        app.include_router(router)
    _handle_errors(app)
    app.add_middleware(Bodies)
    app.add_middleware(GZipMiddleware, minimum_size=800, compresslevel=5)
    app.add_middleware(Guard, hosts=hosts)
    return app


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    yield
    queue = app.state.site.queue
    if queue is not None:
        await asyncio.to_thread(queue.close)


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(NotFound)
    def _missing(request: Request, error: NotFound) -> Response:
        return problem(request, 404, "not_found", str(error))

    @app.exception_handler(RecordError)
    def _unreadable(request: Request, error: RecordError) -> Response:
        return problem(request, 503, "unavailable", str(error))

    @app.exception_handler(RequestValidationError)
    def _refused(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return problem(request, 422, "bad_request", f"{where}: {first['msg']}")

    @app.exception_handler(HTTPException)
    def _other(request: Request, error: HTTPException) -> Response:
        title = {404: "not_found", 400: "bad_request", 422: "bad_request"}.get(error.status_code, "refused")
        found = problem(request, error.status_code, title, str(error.detail))
        found.headers.update(error.headers or {})
        return found

    @app.exception_handler(Exception)
    def _broken(request: Request, error: Exception) -> Response:
        found = problem(request, 500, "broken", "the server's log says more")
        found.headers.update(HEADERS)  # this answer is made outside of the guard
        return found
