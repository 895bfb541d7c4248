"""The pages as HTML."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, Response

from sillok.verify import needs as requirements
from sillok.web import api, cite, views
from sillok.web.answers import Reader, Site, SiteHere, show
from sillok.web.models import DigestView, PaperView
from sillok.web.views.marks import VERDICTS

router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)


@router.get("/")
def today(request: Request, site: SiteHere, reader: Reader) -> Response:
    """The latest digest."""
    return show(request, site, reader, "today.html", lambda: {"view": views.today(site.shelf, reader.lang)})


@router.get("/digests")
def digests(request: Request, site: SiteHere, reader: Reader, before: api.DayBefore = "") -> Response:
    """All digests."""
    return show(
        request, site, reader, "digests.html", lambda: {"view": views.digests(site.shelf, before or None)}
    )


@router.get("/digests/{name}")
def digest(
    request: Request,
    site: SiteHere,
    reader: Reader,
    name: api.DigestName,
    number: Annotated[int, Query(alias="page", ge=1, le=1000)] = 1,
) -> Response:
    """A digest."""

    def make() -> dict[str, Any]:
        return digest_values(views.digest(site.shelf, name, reader.lang, number), reader.base)

    return show(request, site, reader, "digest.html", make)


@router.get("/papers/{id:path}")
def paper(request: Request, site: SiteHere, reader: Reader, id: api.PaperId) -> Response:
    """A paper."""
    return show(
        request, site, reader, "paper.html", lambda: {"view": views.paper(site.shelf, id, reader.lang)}
    )


@router.get("/families")
def families(request: Request, site: SiteHere, reader: Reader) -> Response:
    """All families."""
    return show(request, site, reader, "families.html", lambda: {"view": views.families(site.shelf)})


@router.get("/families/{name}")
def family(
    request: Request, site: SiteHere, reader: Reader, name: api.FamilyName, before: api.FamilyBefore = None
) -> Response:
    """A family, its papers compared."""

    def make() -> dict[str, Any]:
        return {"view": views.family(site.shelf, name, reader.lang, before), "first": before is None}

    return show(request, site, reader, "family.html", make)


@router.get("/search")
def search(
    request: Request,
    site: SiteHere,
    reader: Reader,
    q: api.Words = "",
    family: api.Word = "",
    verdict: api.Verdict = "",
    needs: api.Need = "",
    since: api.Day = "",
    until: api.Day = "",
    number: Annotated[int, Query(alias="page", ge=1, le=25)] = 1,
    part: Annotated[str, Query(pattern="^(hits)?$", description="Only what was found.")] = "",
) -> Response:
    """Search; with `part=hits` only the list of what was found, for the page's script."""
    asked = {"family": family, "verdict": verdict, "needs": needs, "since": since, "until": until}

    def make() -> dict[str, Any]:
        return {"view": api.found(site, query=q, page=number, **asked), **search_values(site)}

    return show(request, site, reader, "hits.html" if part else "search.html", make)


@router.get("/machines")
def machines(request: Request, site: SiteHere, reader: Reader) -> Response:
    """All machines."""
    return show(request, site, reader, "machines.html", lambda: {"view": views.machines(site.shelf)})


@router.get("/machines/{id}")
def machine(
    request: Request, site: SiteHere, reader: Reader, id: api.MachineId, before: api.Before = ""
) -> Response:
    """A machine."""
    end = api.moment_cursor(before)
    return show(
        request,
        site,
        reader,
        "machine.html",
        lambda: {"view": views.machine(site.shelf, id, reader.lang, end)},
    )


@router.get("/runs")
def runs(
    request: Request,
    site: SiteHere,
    reader: Reader,
    paper: api.PaperQuery = "",
    machine: api.MachineQuery = "",
    state: api.State = "",
    before: api.Before = "",
) -> Response:
    """All runs."""
    end = api.run_cursor(before)
    asked = {"paper": paper or None, "machine": machine or None, "state": state or None}

    def make() -> dict[str, Any]:
        return {"view": views.runs(site.shelf, before=end, **asked), "asked": asked}

    return show(request, site, reader, "runs.html", make)


@router.get("/runs/{id}")
def run(request: Request, site: SiteHere, reader: Reader, id: api.RunId) -> Response:
    """A run."""
    return show(request, site, reader, "run.html", lambda: {"view": views.run(site.shelf, id)})


def search_values(site: Site) -> dict[str, Any]:
    """What the search form offers."""
    return {
        "families": views.family_names(site.shelf),
        "verdicts": VERDICTS,
        "needed": site.shelf.for_a_while("needed", lambda: _needed(site)),
    }


def _needed(site: Site) -> list[str]:
    """What trials need, by name: extras, a GPU, modules, weights."""
    trials = {trial for card in site.shelf.cards.values() for trial in card.trials}
    return sorted({need for trial in trials for need in requirements.declared(trial) or ()})


def digest_values(view: DigestView, base: str) -> dict[str, Any]:
    """A digest's view, and its papers as COinS."""
    spans = {
        entry.position: cite.coins(work(entry.id, entry.title, entry.authors, None, base))
        for entry in view.entries
        if entry.id
    }
    return {"view": view, "coins": spans}


def work(id: str, title: str, authors: list[str], published: str | None, base: str) -> cite.Work:
    """A paper to be cited."""
    first = authors[0].split()[-1] if authors and authors[0].split() else "paper"
    return cite.Work(
        key=f"{first}-{id}",
        title=title,
        authors=authors,
        date=published,
        url=f"https://arxiv.org/abs/{id}",
        arxiv=id,
    )


def paper_work(view: PaperView, base: str) -> cite.Work:
    """A paper's page to be cited."""
    return work(view.id, view.title, view.authors, view.published, base)


def digest_work(view: DigestView, base: str) -> cite.Work:
    """A digest to be cited."""
    title = f"Daily Papers ({view.date or view.source})"
    return cite.Work(
        key=f"daily-papers-{view.name}",
        title=title,
        authors=[],
        date=view.date,
        url=f"{base}/digests/{view.name}",
    )
