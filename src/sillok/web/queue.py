"""Logging in, starting verifications, and watching them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Request
from pydantic import ValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from sillok.verify import targets
from sillok.web import desk as desk_routes
from sillok.web import models
from sillok.web.access import SESSION, SESSION_SECONDS
from sillok.web.answers import Reader, SiteHere, form_page, site_of
from sillok.web.jobs import Queue, QueueError
from sillok.web.render import page
from sillok.web.work import JobAsk, JobView, QueueView

JobId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]
_MOST_WATCHERS = 100
_LOOK = 0.25  # seconds between two looks at a job
_BEAT = 15.0  # seconds of silence after which a proxy might hang up
_PAGES = re.compile(r"/(?:papers|runs|desk)(?:/[A-Za-z0-9_.-]+)*(?:#[A-Za-z0-9_.-]+)?")


def queue_of(request: Request) -> Queue:
    """The site's queue."""
    found = site_of(request).queue
    assert found is not None  # these routes are there only with one
    return found


def member(request: Request, reader: Reader) -> None:
    """Refuse whoever is not logged in. Raises HTTPException (403)."""
    if not reader.member:
        raise HTTPException(403, "log in first")


QueueHere = Annotated[Queue, Depends(queue_of)]
Form = desk_routes.Form
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": models.Problem, "description": text}
    for status, text in (
        (401, "This needs the token."),
        (403, "The request comes from a page of another site."),
        (404, "There is no such verification, or no more."),
        (422, "There is no such claim."),
        (429, "The queue is full."),
    )
}
api = APIRouter(
    prefix="/api/runs/queue",
    tags=["work"],
    dependencies=[Depends(desk_routes.by_program)],
    responses=_ERRORS,
)
pages = APIRouter(tags=["pages"], default_response_class=HTMLResponse)
WithToken = [Depends(desk_routes.with_token)]
Member = [Depends(member)]


def _there(job: JobView | None) -> JobView:
    if job is None:
        raise HTTPException(404, "no such verification is known since the server started")
    return job


def _ask(queue: Queue, asked: JobAsk) -> JobView:
    try:
        return queue.ask(asked)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    except QueueError as error:
        raise HTTPException(429, str(error), {"retry-after": "60"}) from None


@api.get("", response_model=QueueView)
def all_json(queue: QueueHere) -> QueueView:
    """What runs, waits and has ended since the server started."""
    return queue.view()


@api.post("", response_model=JobView, dependencies=WithToken)
def ask_json(queue: QueueHere, asked: JobAsk) -> JobView:
    """Put a claim into the queue; one that waits or runs already is given instead. Needs the token."""
    return _ask(queue, asked)


@api.get("/{id}", response_model=JobView)
def job_json(queue: QueueHere, id: JobId) -> JobView:
    """A verification as it stands, with its log so far."""
    return _there(queue.job(id))


@api.post("/{id}/cancel", response_model=JobView, dependencies=WithToken)
def cancel_json(queue: QueueHere, id: JobId) -> JobView:
    """Stop a verification; runs that ended stay in the record. Needs the token."""
    return _there(queue.cancel(id))


@pages.get("/runs/queue")
def all_page(request: Request, reader: Reader, queue: QueueHere) -> Response:
    """The queue, and a form to start with."""
    view = queue.view()
    return form_page(request, reader, page("queue.html", reader, view=view, choices=choices()))


@pages.post("/runs/queue", dependencies=Member)
def ask_page(reader: Reader, queue: QueueHere, form: Form) -> Response:
    """Start a claim, then show its page."""
    given = dict(form.fields)
    paper, _, claim = given.pop("claim", "").rpartition("/")
    known = {name: given[name] for name in ("scale", "mode") if name in given}
    try:
        asked = JobAsk.model_validate({"paper": paper, "claim": claim, **known, "again": "again" in given})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HTTPException(422, f"{where}: {first['msg']}") from None
    return RedirectResponse(f"/runs/queue/{_ask(queue, asked).id}", 303)


@pages.get("/runs/queue/{id}")
def job_page(request: Request, reader: Reader, queue: QueueHere, id: JobId) -> Response:
    """One verification: progress, log, verdict."""
    return form_page(request, reader, page("job.html", reader, job=_there(queue.job(id))))


@pages.post("/runs/queue/{id}/cancel", dependencies=Member)
def cancel_page(queue: QueueHere, id: JobId, form: Form) -> Response:
    """Stop a verification, then show its page."""
    return RedirectResponse(f"/runs/queue/{_there(queue.cancel(id)).id}", 303)


@pages.get("/runs/queue/{id}/events", response_class=StreamingResponse)
async def events(request: Request, queue: QueueHere, id: JobId) -> Response:
    """A verification as Server-Sent Events: `job` with each change (the JSON of /api), `end` when it has ended."""
    state = request.app.state
    if getattr(state, "watchers", 0) >= _MOST_WATCHERS:
        raise HTTPException(503, "too many watch already: reload the page instead", {"retry-after": "10"})
    _there(queue.job(id))

    async def told() -> AsyncIterator[str]:
        state.watchers = getattr(state, "watchers", 0) + 1
        try:
            async for event in changes(request, queue, id):
                yield event
        finally:
            state.watchers -= 1

    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(told(), headers=headers, media_type="text/event-stream")


async def changes(request: Request, queue: Queue, id: str) -> AsyncIterator[str]:
    """The events of a verification until it ends, the reader leaves, or the server stops."""
    last, silent = "", time.monotonic()
    yield "retry: 2000\n\n"
    while not queue.closed and not await request.is_disconnected():
        job = queue.job(id)
        if job is None:
            return
        now = job.model_dump_json()
        if now != last:
            last, silent = now, time.monotonic()
            yield f"event: job\ndata: {now}\n\n"
        if job.state not in ("waiting", "running"):
            yield "event: end\ndata: {}\n\n"
            return
        if time.monotonic() - silent > _BEAT:
            silent = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK)


@pages.get("/login")
def login_page(request: Request, reader: Reader, next: str = "") -> Response:
    """Where the token is entered."""
    return form_page(request, reader, page("login.html", reader, next=_safe(next), wrong=False))


@pages.post("/login")
async def login(request: Request, site: SiteHere, reader: Reader, form: Form) -> Response:
    """Check the token, and keep a session in a cookie that no script reads."""
    next = _safe(form.fields.get("next", ""))
    if not site.access.knows(form.fields.get("token", "").strip()):
        await asyncio.sleep(0.5)  # nobody tries many of them
        return form_page(request, reader, page("login.html", reader, next=next, wrong=True), status=403)
    answer = RedirectResponse(next, 303)
    secure = reader.base.startswith("https:")
    answer.set_cookie(
        SESSION,
        site.access.session(),
        max_age=SESSION_SECONDS,
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )
    return answer


@pages.post("/logout")
def logout(form: Form) -> Response:
    """Forget the session."""
    answer = RedirectResponse("/runs/queue", 303)
    answer.delete_cookie(SESSION, path="/", httponly=True, samesite="strict")
    return answer


def _safe(next: str) -> str:
    """A page of this site to go on with; the queue for whatever else was asked for."""
    return next if _PAGES.fullmatch(next) else "/runs/queue"


def choices() -> list[tuple[str, str]]:
    """The claims that a trial measures: (ID/CLAIM, title)."""
    return [(f"{card.id}/{claim.id}", card.title) for card, claim in targets.resolve([]).claims]
