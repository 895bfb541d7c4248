"""The JSON API, the files beside the pages, and what schemathesis makes of their description."""

from __future__ import annotations

import json
import re
import struct
from typing import Any

import feedparser
import httpx
import pytest
import schemathesis
from hypothesis import given

from sillok.web import models

from . import samples

TAILS = {
    "/": models.Today,
    "/digests": models.DigestList,
    "/digests/2025-02-03": models.DigestView,
    "/papers/2411.19870": models.PaperView,
    "/families": models.Families,
    "/families/diffusion": models.FamilyView,
    "/search?q=model": models.SearchView,
    "/machines": models.MachineList,
    "/machines/m1": models.MachinePage,
    "/runs": models.RunList,
    "/runs/demo-1-trial": models.RunView,
}


@pytest.mark.parametrize("tail", TAILS)
def test_every_page_has_its_data_under_api(client: httpx.Client, tail: str) -> None:
    answer = client.get(f"/api{tail}")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    view = TAILS[tail].model_validate(answer.json())
    assert json.loads(view.model_dump_json()) == answer.json()


def test_the_description_names_every_page_and_its_shape(client: httpx.Client) -> None:
    told = client.get("/api/openapi.json").json()
    for path in ("/api/papers/{id}", "/api/search", "/api/runs/{id}", "/papers/{id}", "/feeds/digests.xml"):
        assert path in told["paths"], sorted(told["paths"])
    answer = told["paths"]["/api/papers/{id}"]["get"]["responses"]["200"]
    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/PaperView"}
    assert "cdn" not in json.dumps(told)
    assert client.get("/docs").status_code == 404


def test_schemathesis_finds_no_error_of_the_server(client: httpx.Client, server: str) -> None:
    schema = schemathesis.openapi.from_dict(client.get("/api/openapi.json").json())
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 30
    statuses: set[int] = set()

    for operation in operations:

        @given(case=operation.as_strategy())
        @samples.CALLS
        def called(case: Any) -> None:
            answer = case.call(base_url=server)
            statuses.add(answer.status_code)
            assert answer.status_code < 500, (case.formatted_path, case.query, answer.text[:300])

        called()
    assert {200, 404, 422} <= statuses


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "/papers/2411.19870/cite.bib",
            ["@misc{Peng-2411.19870", "eprint = {2411.19870}", "Jeffrey Quesnelle and", "year = {2024}"],
        ),
        ("/papers/2411.19870/cite.ris", ["TY  - UNPB", "AU  - Peng, Bowen", "DA  - 2024/11/29", "ER  - "]),
        ("/papers/2411.19870/cite.json", ['"type": "article"', '"date-parts": [', '"family": "Peng"']),
        (f"/papers/{samples.KOREAN}/cite.json", ['"literal": "김나무"', "Trees of tokens"]),
        (f"/papers/{samples.ENGLISH}/cite.bib", [r'"quotes" \& more']),
        ("/digests/2025-02-03/cite.bib", ["@misc{daily-papers-2025-02-03", "/digests/2025-02-03}"]),
        ("/digests/2025-02-03/cite.ris", ["TY  - ELEC", "PY  - 2025"]),
        ("/digests/2025-02-03/cite.json", ['"webpage"']),
    ],
)
def test_papers_and_digests_are_cited(client: httpx.Client, path: str, expected: list[str]) -> None:
    text = client.get(path).text
    for part in expected:
        assert part in text, text
    if path.endswith("json"):
        json.loads(text)


def test_zotero_finds_papers_on_the_pages(client: httpx.Client) -> None:
    paper = client.get("/papers/2411.19870").text
    assert '<meta name="citation_title" content="DeMo: Decoupled Momentum Optimization">' in paper
    assert paper.count('name="citation_author"') == 3 and 'content="2024/11/29"' in paper
    digest = client.get("/digests/2025-02-03").text
    assert digest.count('class="Z3988"') == 2 and "rft.title=Trees+of+tokens" in digest


def test_a_link_to_a_page_has_a_preview(client: httpx.Client, server: str) -> None:
    for path in ("/", "/papers/2411.19870", "/digests/2025-02-03?lang=ko"):
        text = client.get(path).text
        said = dict(re.findall(r'<meta property="og:([a-z:]+)" content="([^"]*)">', text))
        assert said["title"] and len(said["description"]) > 20 and said["url"].startswith(server)
        assert (said["image:width"], said["image:height"]) == ("1200", "630") and said["image:alt"]
        picture = client.get(said["image"].removeprefix(server))
        width, height = struct.unpack(">II", picture.content[16:24])
        assert picture.headers["content-type"] == "image/png" and (width, height) == (1200, 630)


def test_feeds_are_atom_and_say_what_came_out(client: httpx.Client, server: str) -> None:
    digests = feedparser.parse(client.get("/feeds/digests.xml").text)
    assert not digests.bozo and digests.version == "atom10"
    first = digests.entries[1]
    assert first.link == f"{server}/digests/2025-02-03" and "upheld" in first.content[0].value
    day = feedparser.parse(client.get("/feeds/digests/2025-02-04.xml").text)
    assert not day.bozo and day.entries[0].link == f"{server}/papers/{samples.ENGLISH}"
    assert "alert(1)" in day.entries[0].title and day.entries[0].updated == "2025-02-04T00:00:00Z"
    family = feedparser.parse(client.get("/feeds/families/optim.xml").text)
    assert not family.bozo and len(family.entries) >= 4
    assert any("DeMo" in entry.title for entry in family.entries)


def test_the_sitemap_names_every_paper_once(client: httpx.Client, server: str) -> None:
    maps = re.findall(r"<loc>([^<]+)</loc>", client.get("/sitemap.xml").text)
    assert f"{server}/sitemaps/pages.xml" in maps and f"{server}/sitemaps/2024-11.xml" in maps
    papers = [page for one in maps for page in re.findall(r"<loc>([^<]+)</loc>", client.get(one).text)]
    assert len(papers) == len(set(papers))
    assert len([page for page in papers if "/papers/" in page]) == 132
    assert f"Sitemap: {server}/sitemap.xml" in client.get("/robots.txt").text
