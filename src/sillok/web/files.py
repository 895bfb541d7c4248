"""What is no page: citations, feeds, the sitemap, charts, pictures, style and scripts."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from starlette.responses import PlainTextResponse, Response

from sillok.web import address, api, cite, feeds, pages, views
from sillok.web.answers import FOR_GOOD, Reader, SiteHere, answer
from sillok.web.render import assets

router = APIRouter(tags=["files"], default_response_class=PlainTextResponse)

Form = Annotated[Literal["bib", "ris", "json"], Path()]
Number = Annotated[int, Path(ge=0, le=500)]
_XML = "application/xml; charset=utf-8"


@router.get("/papers/{id:path}/cite.{form}")
def cite_paper(request: Request, site: SiteHere, reader: Reader, id: api.PaperId, form: Form) -> Response:
    """A paper as BibTeX, RIS or CSL-JSON."""
    work = pages.paper_work(views.paper(site.shelf, id, reader.lang), reader.base)
    return answer(request, cite.cite(work, form), cite.FORMATS[form])


@router.get("/digests/{name}/cite.{form}")
def cite_digest(
    request: Request, site: SiteHere, reader: Reader, name: api.DigestName, form: Form
) -> Response:
    """A digest as BibTeX, RIS or CSL-JSON."""
    work = pages.digest_work(views.digest(site.shelf, name, reader.lang), reader.base)
    return answer(request, cite.cite(work, form), cite.FORMATS[form])


@router.get("/feeds/digests.xml")
def digests_feed(request: Request, site: SiteHere, reader: Reader) -> Response:
    """The latest digests, as Atom."""
    return answer(request, feeds.of_digests(site.shelf, reader), feeds.TYPE)


@router.get("/feeds/digests/{name}.xml")
def digest_feed(request: Request, site: SiteHere, reader: Reader, name: api.DigestName) -> Response:
    """A digest's papers, as Atom."""
    return answer(request, feeds.of_digest(site.shelf, name, reader), feeds.TYPE)


@router.get("/feeds/families/{name}.xml")
def family_feed(request: Request, site: SiteHere, reader: Reader, name: api.FamilyName) -> Response:
    """A family's newest papers, as Atom."""
    return answer(request, feeds.of_family(site.shelf, name, reader), feeds.TYPE)


@router.get("/sitemap.xml")
def sitemap(request: Request, site: SiteHere, reader: Reader) -> Response:
    """The sitemaps."""
    return answer(request, feeds.sitemap_index(site.shelf, reader), _XML)


@router.get("/sitemaps/pages.xml")
def sitemap_pages(request: Request, site: SiteHere, reader: Reader) -> Response:
    """The pages that are not papers."""
    return answer(request, feeds.sitemap_pages(site.shelf, reader), _XML)


@router.get("/sitemaps/{month}.xml")
def sitemap_month(
    request: Request,
    site: SiteHere,
    reader: Reader,
    month: Annotated[str, Path(pattern="^[12][0-9]{3}-(0[1-9]|1[0-2])$")],
) -> Response:
    """The papers of a month."""
    return answer(request, feeds.sitemap_month(site.shelf, month, reader), _XML)


@router.get("/robots.txt")
def robots(request: Request, reader: Reader) -> Response:
    """What crawlers may read."""
    return answer(request, feeds.robots(reader), "text/plain; charset=utf-8")


@router.get("/charts/runs/{id}/{number}.svg")
def run_chart(request: Request, site: SiteHere, id: api.RunId, number: Number) -> Response:
    """A curve of a run."""
    return answer(request, site.charts.of_run(id, number), "image/svg+xml", cache=FOR_GOOD)


@router.get("/charts/{paper}/{claim}/{source}/{machine}/{scale}/{number}.svg")
def chart(
    request: Request,
    site: SiteHere,
    paper: Annotated[str, Path(pattern=f"^{address.PAPER.replace('/', '_')}$")],
    claim: api.FamilyName,
    source: Literal["shipped", "record"],
    machine: api.MachineId,
    scale: Literal["smoke", "here", "full"],
    number: Number,
) -> Response:
    """A chart of a claim's result."""
    data = site.charts.of_result(paper.replace("_", "/"), claim, source, machine, scale, number)
    # Only the address with the version of its runs is for good.
    return answer(
        request, data, "image/svg+xml", cache=FOR_GOOD if "v" in request.query_params else "no-cache"
    )


@router.get("/pictures/{name}")
def picture(
    request: Request, site: SiteHere, name: Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,120}$")]
) -> Response:
    """A picture that a trial made."""
    if name not in site.shelf.pictures:
        raise views.NotFound("there is no such picture")
    return answer(request, site.shelf.pictures[name].data, "image/png", cache="public, max-age=3600")


@router.get("/assets/{name}")
def asset(request: Request, name: Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,80}$")]) -> Response:
    """A style sheet, a script or the icon."""
    for one in assets().values():
        if one.address == f"/assets/{name}":
            return answer(request, one.data, one.type, cache=FOR_GOOD)
    raise views.NotFound("there is no such file")


@router.get("/favicon.ico", include_in_schema=False)
def icon(request: Request) -> Response:
    """The icon, for browsers that ask without being told."""
    one = assets()["icon.svg"]
    return answer(request, one.data, one.type, cache="public, max-age=86400")
