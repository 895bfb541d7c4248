"""Days from the Hub, papers and categories from arXiv."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from papers_site import Fault, Paper, row
from sillok.digest.fetch import (
    FetchError,
    fetch_day,
    fetch_listings,
    fetch_range,
    parse_id,
    search_listing,
)
from sillok.digest.model import Media

DAY = "2024-12-04"


def test_a_day_has_votes_authors_pictures_and_versions(site, connect):
    video = "https://cdn-uploads.huggingface.co/production/uploads/a.mp4"
    site.days[DAY] = [row("2412.00001", 0), row("2412.00002", 41), row("2412.00003", 7, mediaUrls=[video])]
    site.add(
        Paper("2412.00001", version=2),
        Paper("2412.00002", comment="This paper has been withdrawn by the authors"),
    )
    second, third, first = fetch_day(DAY, client=connect())
    assert [(p.id, p.votes, p.version, p.withdrawn) for p in (second, third, first)] == [
        ("2412.00002", 41, 1, True),
        ("2412.00003", 7, None, False),
        ("2412.00001", 0, 2, False),
    ]
    assert first.title == "Paper 2412.00001"
    assert first.authors == ("Emmy Noether", "Ada Lovelace")
    assert first.abstract == "We do things."
    assert first.published == date(2024, 12, 3)
    assert first.picture == Media(
        "image", ("https://cdn-thumbnails.huggingface.co/social-thumbnails/papers/2412.00001.png",)
    )
    assert third.picture == Media("video", (video,))


def test_a_long_day_is_read_page_by_page(site, connect):
    site.days[DAY] = [row(f"2412.{index:05d}", index) for index in range(230)]
    found = fetch_day(date(2024, 12, 4), client=connect(), versions=False)
    assert [listing.votes for listing in found] == list(range(229, -1, -1))
    assert len(site.paths("/api/daily_papers")) == 3


def test_an_unchanged_day_costs_a_304(site, connect, said):
    site.days[DAY] = [row("2412.00001", 5)]
    first = fetch_day(DAY, client=connect(), versions=False)
    assert fetch_day(DAY, client=connect(), versions=False) == first
    assert "if-none-match" not in site.log[0][2]
    assert "if-none-match" in site.log[1][2]
    assert (len(site.log), said) == (2, [])
    site.days[DAY] = [row("2412.00001", 6)]
    assert fetch_day(DAY, client=connect(), versions=False)[0].votes == 6


def test_no_token_is_sent(site, connect, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    site.days[DAY] = [row("2412.00001")]
    fetch_day(DAY, client=connect())
    assert all("authorization" not in headers for _, _, headers in site.log)
    assert all("sillok/" in headers["user-agent"] for _, _, headers in site.log)


def test_the_clients_session_is_left_as_it_was(site, connect):
    from huggingface_hub.utils import get_session

    before = {name: list(hooks) for name, hooks in get_session().event_hooks.items()}
    site.days[DAY] = [row("2412.00001")]
    fetch_day(DAY, client=connect())
    after = {name: list(hooks) for name, hooks in get_session().event_hooks.items()}
    assert {name: hooks for name, hooks in after.items() if hooks} == {n: h for n, h in before.items() if h}


@pytest.mark.parametrize(
    "fault",
    [
        Fault("/api/daily_papers", times=2, status=500),
        Fault("/api/daily_papers", times=1, status=429, headers={"Retry-After": "0"}),
        Fault("/api/daily_papers", times=1, status=500, body=b"[1, 2]"),
        Fault("/api/daily_papers", times=1, cut=True),
        Fault("/api/daily_papers", times=1, body=b'[{"paper": {"id"'),
        Fault("/api/daily_papers", times=1, hang=30),
    ],
    ids=["500", "429", "500 with a list", "cut", "half a JSON", "timeout"],
)
def test_the_hub_in_trouble_is_asked_again(site, connect, fault):
    site.days[DAY] = [row("2412.00001")]
    site.faults.append(fault)
    assert len(fetch_day(DAY, client=connect(timeout=0.5), versions=False)) == 1
    assert len(site.log) > 1


def test_a_broken_hub_is_one_line_and_the_cache_serves(site, connect, said):
    site.faults.append(Fault("/api/daily_papers", times=3, status=500))
    with pytest.raises(FetchError, match="answers 500") as caught:
        fetch_day(DAY, client=connect())
    assert "\n" not in str(caught.value)
    site.days[DAY] = [row("2412.00001")]
    first = fetch_day(DAY, client=connect(), versions=False)
    site.faults.append(Fault("/api/daily_papers", times=99, status=500))
    assert fetch_day(DAY, client=connect(), versions=False) == first
    assert fetch_day(DAY, client=connect(offline=True), versions=False) == first
    assert "what was fetched" in said[-1]


def test_arxiv_in_trouble_costs_the_versions_only(site, connect, said):
    site.days[DAY] = [row("2412.00001", 5)]
    site.faults.append(Fault("/api/query", times=9, status=503))
    (paper,) = fetch_day(DAY, client=connect())
    assert (paper.votes, paper.version) == (5, None)
    assert said[-1].endswith("versions are not known")


def test_days_without_papers_and_days_to_come(site, connect, said):
    assert fetch_day("2024-12-07", client=connect()) == []
    assert said == []
    assert fetch_day(datetime.now(UTC).date(), client=connect()) == []  # the Hub answers 400: not yet open
    ahead = datetime.now(UTC).date() + timedelta(days=2)
    with pytest.raises(ValueError, match=f"date: {ahead} lies in the future"):
        fetch_day(ahead, client=connect())
    with pytest.raises(ValueError, match="date: '2024-13-01' is no date"):
        fetch_day("2024-13-01", client=connect())


def test_a_range(site, connect):
    site.days |= {"2024-12-04": [row("2412.00001")], "2024-12-06": [row("2412.00002")]}
    found = fetch_range("2024-12-04", "2024-12-06", client=connect(), versions=False)
    assert {str(day): len(papers) for day, papers in found.items()} == {
        "2024-12-04": 1,
        "2024-12-05": 0,
        "2024-12-06": 1,
    }
    with pytest.raises(ValueError, match="until: 2024-12-03"):
        fetch_range("2024-12-04", "2024-12-03", client=connect())


def test_what_is_no_paper_of_arxiv_is_left_out_with_a_line(site, connect, said):
    site.days[DAY] = [row("blog-post"), row("2412.00001")]
    assert [paper.id for paper in fetch_day(DAY, client=connect(), versions=False)] == ["2412.00001"]
    assert "'blog-post'" in said[0]


def test_listings_by_id(site, connect, said):
    site.add(
        Paper(
            "2411.19870",
            "Toy &\n  Nets",
            version=3,
            comment="8 pages",
            authors=("Ada Lovelace", "Kurt Gödel"),
        ),
        Paper("cs/0112017", "Old"),
    )
    first, old, newest = fetch_listings(
        ["arXiv:2411.19870v1", "https://arxiv.org/abs/cs/0112017", "2411.19870", "2412.99999"],
        client=connect(),
    )
    assert (first.id, first.version, first.title) == ("2411.19870", 1, "Toy & Nets")
    assert first.authors == ("Ada Lovelace", "Kurt Gödel")
    assert (first.votes, first.withdrawn, first.published) == (None, False, date(2024, 12, 3))
    assert (old.id, newest.version) == ("cs/0112017", 3)
    assert said == ["2412.99999: arXiv knows no such paper"]
    with pytest.raises(ValueError, match="ids: 'nothing'"):
        fetch_listings(["nothing"], client=connect())


@pytest.mark.parametrize(
    ("comment", "summary", "withdrawn"),
    [
        ("This paper has been withdrawn by the author due to an error", "We do.", True),
        ("Withdrawn for revision", "We do.", True),
        ("arXiv admin note: This submission has been withdrawn by arXiv administrators", "We do.", True),
        ("", "This paper has been\nwithdrawn.", True),
        ("", "Funds are\nwithdrawn from the bank by agents.", False),
        ("Withdrawn from ICLR, to appear at NeurIPS", "We do.", False),
        ("8 pages", "We do.", False),
    ],
)
def test_withdrawn_papers_are_recognised(site, connect, comment, summary, withdrawn):
    site.add(Paper("2411.19870", comment=comment, summary=summary))
    (paper,) = fetch_listings(["2411.19870"], client=connect())
    assert paper.withdrawn is withdrawn


def test_a_category_by_days(site, connect, said):
    site.add(
        *(Paper(f"2412.{index:05d}", date="2024-12-03") for index in range(130)),
        Paper("2412.00999", date="2024-12-05"),
    )
    assert len(search_listing("cs.LG", "2024-12-03", client=connect())) == 130
    assert len(site.log) == 2  # two pages
    assert len(search_listing("cs.LG", "2024-12-03", "2024-12-05", client=connect())) == 131
    assert search_listing("cs.LG", "2024-12-01", client=connect()) == []
    assert said == ["cs.LG: no papers from 2024-12-01 to 2024-12-01"]
    with pytest.raises(ValueError, match="listing: 'machine learning'"):
        search_listing("machine learning", "2024-12-03", client=connect())


def test_an_empty_or_cut_feed_is_asked_for_again(site, connect):
    site.add(Paper("2412.00001"))
    empty = site._feed({"start": "0", "max_results": "9", "id_list": "none"}).replace(
        "Results>0", "Results>1"
    )
    site.faults += [Fault("/api/query", body=empty.encode()), Fault("/api/query", body=empty.encode()[:-20])]
    assert len(search_listing("cs.LG", "2024-12-03", client=connect())) == 1
    assert len(site.log) == 3


def test_identifiers():
    assert parse_id(" arXiv:2411.19870v2 ") == ("2411.19870", 2)
    assert parse_id("hep-th/9901001") == ("hep-th/9901001", None)
    assert parse_id("https://huggingface.co/papers/2411.19870") == ("2411.19870", None)
