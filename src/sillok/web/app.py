"""The application: routes, errors and what stands before them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response

import sillok
from sillok.record import Record, RecordError
from sillok.web import api, files, pages
from sillok.web.answers import Site, problem
from sillok.web.charts import Charts
from sillok.web.security import HEADERS, Guard
from sillok.web.shelf import Shelf
from sillok.web.views import NotFound


def application(
    record: Record | str | Path | None = None,
    *,
    url: str | None = None,
    hosts: Sequence[str] | None = None,
) -> FastAPI:
    """The site as an ASGI application.

    Args:
        record: a record, its URL or path; None is the default one.
        url: where readers reach the site, for feeds and previews; what the request says by default.
        hosts: the only hosts that are answered; None answers any.

    Raises:
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
    )
    app.state.site = Site(shelf, Charts(shelf), url)
    for router in (api.router, files.router, pages.router):
        app.include_router(router)
    _handle_errors(app)
    app.add_middleware(GZipMiddleware, minimum_size=800, compresslevel=5)
    app.add_middleware(Guard, hosts=hosts)
    return app


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
        title = "not_found" if error.status_code == 404 else "bad_request"
        found = problem(request, error.status_code, title, str(error.detail))
        found.headers.update(error.headers or {})
        return found

    @app.exception_handler(Exception)
    def _broken(request: Request, error: Exception) -> Response:
        found = problem(request, 500, "broken", "the server's log says more")
        found.headers.update(HEADERS)  # this answer is made outside of the guard
        return found
