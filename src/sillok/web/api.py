"""The JSON API: every page's data under /api with the page's own tail."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request
from starlette.responses import Response

from sillok.web import address, models, views
from sillok.web.answers import Reader, Site, SiteHere, answer
from sillok.web.models import Shape

PaperId = Annotated[str, Path(pattern=f"^{address.PAPER}$", examples=["2411.19870"])]
DigestName = Annotated[
    str, Path(pattern=f"^{address.DIGEST}$", description="A date, or a digest's id.", examples=["2024-12-04"])
]
FamilyName = Annotated[str, Path(pattern=f"^{address.WORD}$", examples=["diffusion"])]
MachineId = Annotated[str, Path(pattern=f"^{address.MACHINE}$", examples=["186124ce1088"])]
RunId = Annotated[str, Path(pattern=f"^{address.RUN}$")]
Word = Annotated[str, Query(pattern=f"^({address.WORD})?$")]
Verdict = Annotated[str, Query(pattern="^(upheld|not upheld|inconclusive|out of reach|failed)?$")]
Need = Annotated[str, Query(pattern=r"^[A-Za-z0-9_.:-]{0,80}$")]
Day = Annotated[str, Query(pattern="^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", description="YYYY-MM-DD")]
Words = Annotated[str, Query(max_length=300, description="Words in Korean or English.")]
SearchPage = Annotated[int, Query(ge=1, le=25)]
DigestPage = Annotated[int, Query(ge=1, le=1000)]
FamilyBefore = Annotated[int | None, Query(ge=0, lt=2**63, description="`more` of the last page.")]
Before = Annotated[str, Query(max_length=100, description="`more` of the last page.")]
DayBefore = Annotated[
    str, Query(pattern="^([0-9]{4}-[0-9]{2}-[0-9]{2})?$", description="`more` of the last page.")
]
PaperQuery = Annotated[str, Query(pattern=f"^({address.PAPER})?$")]
MachineQuery = Annotated[str, Query(pattern=f"^({address.MACHINE})?$")]
State = Annotated[str, Query(pattern="^(done|failed)?$")]

_ERRORS: dict[int | str, dict[str, Any]] = {
    404: {"model": models.Problem, "description": "There is no such thing."},
    503: {"model": models.Problem, "description": "The record cannot be read."},
}

router = APIRouter(prefix="/api", tags=["data"], responses=_ERRORS)


def run_cursor(text: str) -> tuple[float, str] | None:
    """Where a page of runs begins. Raises HTTPException (422) for what no page gave."""
    if not text:
        return None
    moment, _, id = text.partition("-")
    try:
        stamp = float(moment)
        datetime.fromtimestamp(stamp)
    except (ValueError, OverflowError, OSError):
        raise HTTPException(422, "before: not the end of a page of runs") from None
    return stamp, id


def moment_cursor(text: str) -> datetime | None:
    """Where a page of verdicts begins. Raises HTTPException (422) for what no page gave."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        aware = moment.utcoffset() is not None and 1900 < moment.year < 9000
    except ValueError:
        aware = False
    if not aware:
        raise HTTPException(422, "before: not the end of a page of verdicts")
    return moment


def found(site: Site, query: str, page: int, **narrowed: str) -> models.SearchView:
    """A search as it was asked for. Raises HTTPException (422) for a day that does not exist."""
    given = {name: value or None for name, value in narrowed.items()}
    try:
        return views.search(site.shelf, query, page=page, **given)
    except ValueError as error:
        raise HTTPException(422, f"since, until: {error}") from None


def _json(request: Request, view: Shape) -> Response:
    return answer(request, view.model_dump_json(), "application/json")


@router.get("/", response_model=models.Today)
def today(request: Request, site: SiteHere, reader: Reader) -> Response:
    """The front page: the latest digest, the earlier ones, and what was measured last."""
    return _json(request, views.today(site.shelf, reader.lang))


@router.get("/digests", response_model=models.DigestList)
def digests(request: Request, site: SiteHere, before: DayBefore = "") -> Response:
    """Digests by date, the newest first."""
    return _json(request, views.digests(site.shelf, before or None))


@router.get("/digests/{name}", response_model=models.DigestView)
def digest(
    request: Request, site: SiteHere, reader: Reader, name: DigestName, page: DigestPage = 1
) -> Response:
    """A digest with its entries."""
    return _json(request, views.digest(site.shelf, name, reader.lang, page))


@router.get("/papers/{id:path}", response_model=models.PaperView)
def paper(request: Request, site: SiteHere, reader: Reader, id: PaperId) -> Response:
    """A paper: summaries, and each claim beside what was measured."""
    return _json(request, views.paper(site.shelf, id, reader.lang))


@router.get("/families", response_model=models.Families)
def families(request: Request, site: SiteHere) -> Response:
    """All families."""
    return _json(request, views.families(site.shelf))


@router.get("/families/{name}", response_model=models.FamilyView)
def family(
    request: Request, site: SiteHere, reader: Reader, name: FamilyName, before: FamilyBefore = None
) -> Response:
    """A family: papers compared on the same testbed, and all of its papers."""
    return _json(request, views.family(site.shelf, name, reader.lang, before))


@router.get("/search", response_model=models.SearchView)
def search(
    request: Request,
    site: SiteHere,
    q: Words = "",
    family: Word = "",
    verdict: Verdict = "",
    needs: Need = "",
    since: Day = "",
    until: Day = "",
    page: SearchPage = 1,
) -> Response:
    """Papers that have every word, the best first."""
    asked = {"family": family, "verdict": verdict, "needs": needs, "since": since, "until": until}
    return _json(request, found(site, query=q, page=page, **asked))


@router.get("/machines", response_model=models.MachineList)
def machines(request: Request, site: SiteHere) -> Response:
    """All machines, and what upheld where."""
    return _json(request, views.machines(site.shelf))


@router.get("/machines/{id}", response_model=models.MachinePage)
def machine(request: Request, site: SiteHere, reader: Reader, id: MachineId, before: Before = "") -> Response:
    """A machine and its verdicts."""
    return _json(request, views.machine(site.shelf, id, reader.lang, moment_cursor(before)))


@router.get("/runs", response_model=models.RunList)
def runs(
    request: Request,
    site: SiteHere,
    paper: PaperQuery = "",
    machine: MachineQuery = "",
    state: State = "",
    before: Before = "",
) -> Response:
    """Runs, the newest first."""
    end = run_cursor(before)
    view = views.runs(
        site.shelf, paper=paper or None, machine=machine or None, state=state or None, before=end
    )
    return _json(request, view)


@router.get("/runs/{id}", response_model=models.RunView)
def run(request: Request, site: SiteHere, id: RunId) -> Response:
    """A run with its log."""
    return _json(request, views.run(site.shelf, id))
