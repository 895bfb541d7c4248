"""The digest desk as a page and as JSON."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import HTMLResponse, Response

from sillok.digest import DigestError
from sillok.digest.model import DigestTooLarge
from sillok.web import models
from sillok.web.access import bearer, from_here
from sillok.web.answers import Reader, SiteHere, form_page, site_of
from sillok.web.bodies import MOST_DIGEST, Posted, posted, shown_name
from sillok.web.render import page
from sillok.web.views.desk import BusyError, desk
from sillok.web.work import DeskAsk, DeskView

Form = Annotated[Posted, Depends(posted)]

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": models.Problem, "description": text}
    for status, text in (
        (401, "Keeping it needs the token."),
        (403, "The request comes from a page of another site."),
        (408, "It took too long to arrive."),
        (413, "It is too large."),
        (415, "It is no JSON."),
        (422, "It is no digest."),
        (503, "Too much is being read, or the record cannot be written."),
    )
}


def by_program(request: Request) -> None:
    """Refuse what a page of another site sends. Raises HTTPException (403)."""
    if not from_here(request, site_of(request).url):
        raise HTTPException(403, "this was sent by another site")


def with_token(request: Request) -> None:
    """Refuse whoever does not show the token: cookies count for nothing under /api. Raises HTTPException (401)."""
    if not bearer(request, site_of(request).access):
        raise HTTPException(401, "this needs the token", {"www-authenticate": "Bearer"})


api = APIRouter(prefix="/api", tags=["work"], dependencies=[Depends(by_program)], responses=_REFUSALS)
pages = APIRouter(tags=["pages"], default_response_class=HTMLResponse)


@api.post("/desk", response_model=DeskView)
def read_json(request: Request, site: SiteHere, reader: Reader, asked: DeskAsk) -> DeskView:
    """Read a digest: its entries, what is known of their papers, and warnings by line. `store` needs the token."""
    if asked.store:
        if not site.access.open:
            raise HTTPException(401, "this site keeps nothing: it was started without --allow-runs")
        with_token(request)
    try:
        name = shown_name(asked.name)
        return desk(site.shelf, asked.text, name, most_bytes=MOST_DIGEST, store=asked.store)
    except DigestError as error:
        raise HTTPException(_status(error), str(error)) from None
    except BusyError as error:
        raise HTTPException(503, str(error), {"retry-after": "60"}) from None


@pages.get("/desk")
def open_desk(request: Request, reader: Reader) -> Response:
    """The form."""
    return form_page(request, reader, page("desk.html", reader, view=None, problem="", text=""))


@pages.post("/desk")
def read_form(request: Request, site: SiteHere, reader: Reader, form: Form) -> Response:
    """A digest that was uploaded or pasted; with `keep` it is stored for who is logged in."""
    store = "keep" in form.fields
    if store and not reader.member:
        raise HTTPException(403, "log in to keep a digest in the record")
    text = form.fields.get("text", "")
    given: bytes | str = text
    name = shown_name(form.fields.get("name", ""))
    if form.file is not None:
        name, given = form.file
    status, problem, view = 200, "", None
    if not given:
        status, problem = 422, "nothing"
    else:
        try:
            view = desk(site.shelf, given, name, most_bytes=MOST_DIGEST, store=store)
        except DigestError as error:
            status, problem = _status(error), str(error)
        except BusyError as error:
            status, problem = 503, str(error)
    whole = _text(given) if view is not None and reader.member and not store else ""
    shown = page("desk.html", reader, view=view, problem=problem, text=whole)
    return form_page(request, reader, shown, status=status)


def _status(error: DigestError) -> int:
    return 413 if isinstance(error, DigestTooLarge) else 422


def _text(given: bytes | str) -> str:
    return given if isinstance(given, str) else given.decode("utf-8", "replace")
