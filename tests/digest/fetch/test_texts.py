"""Full texts: HTML, else PDF, else the abstract; kept by version; folders that are filled resumably."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import paper_samples as samples
from papers_site import Fault, Paper
from sillok.digest.fetch import FetchError, NoNetwork, fetch, fetch_listings, fetch_text
from sillok.digest.text import Listing
from sillok.digest.texts import folder

ID = "2411.19870"
HTML = samples.html()
PDF = samples.two_columns()


def test_html_first(site, connect):
    site.add(Paper(ID, files={("html", 1): HTML, ("pdf", 1): PDF}))
    text = fetch_text(ID, client=connect())
    assert (text.source, text.version, text.title) == ("html", 1, samples.TITLE)
    assert site.paths("/pdf") == []


def test_a_version_is_fetched_once_for_ever(site, connect):
    site.add(Paper(ID, version=2, files={("html", 1): HTML, ("html", 2): samples.html(version=2)}))
    assert fetch_text(ID, client=connect()).version == 2
    first = fetch_text(f"{ID}v1", client=connect())
    before = len(site.log)
    assert fetch_text(ID, 1, client=connect()) == first
    assert fetch_text(ID, 1, client=connect(offline=True)) == first
    assert len(site.log) == before


def test_without_html_the_pdf_is_taken(site, connect):
    site.add(Paper(ID, version=2, files={("pdf", 2): PDF}))
    assert fetch_text(ID, client=connect()).source == "pdf"
    assert site.paths("/html") == [f"/html/{ID}v2"]
    fetch_text(ID, client=connect())
    assert len(site.paths("/html")) == 1  # the cache has the PDF, and nobody is asked again


@pytest.mark.parametrize(
    "html",
    [samples.html(filler="Little."), b"<html><body>Are you a robot?</body></html>", HTML[: len(HTML) // 2]],
    ids=["failed conversion", "no paper", "cut off"],
)
def test_html_that_is_no_paper_gives_way_to_the_pdf(site, connect, html):
    site.add(Paper(ID, files={("html", 1): html, ("pdf", 1): PDF}))
    assert fetch_text(ID, client=connect()).source == "pdf"


def test_a_short_page_is_better_than_nothing(site, connect):
    site.add(Paper(ID, files={("html", 1): samples.html(filler="Little.")}))
    assert fetch_text(ID, client=connect()).source == "html"


def test_without_any_text_the_abstract_is_left(site, connect):
    site.add(Paper(ID, "Title", summary="We do\nthings."))
    text = fetch_text(ID, client=connect())
    assert (text.source, text.title, text.abstract) == ("abstract", "Title", "We do things.")
    assert text.warnings[0].startswith("no full text: ")


def test_a_withdrawn_paper_is_its_abstract(site, connect):
    site.add(Paper(ID, comment="This paper has been withdrawn", version=2, files={("html", 1): HTML}))
    text = fetch_text(ID, client=connect())
    assert (text.source, text.version) == ("abstract", 2)
    assert text.warnings[-1] == "the paper was withdrawn"
    before = fetch_text(ID, 1, client=connect())  # the version before is still there
    assert (before.source, before.warnings[-1]) == ("html", "the paper was withdrawn")


def test_a_scanned_paper_is_its_abstract(site, connect, tmp_path):
    """With the reason beside it; from the cache too, and in a folder that `check` reads."""
    site.add(Paper(ID, "Title", summary="We do\nthings.", files={("pdf", 1): samples.scanned(3)}))
    reason = "pages 1-3 have no text: scanned, it seems"
    for client in (connect(), connect(), connect(offline=True)):
        text = fetch_text(ID, 1, client=client)
        assert (text.source, text.abstract, text.warnings) == ("abstract", "We do things.", (reason,))
    assert len(site.paths("/pdf")) == 1
    fetch(fetch_listings([ID], client=connect()), out=tmp_path / "out", client=connect())
    assert folder(tmp_path / "out")[ID].abstract == "We do things."
    for file in (connect().cache.root / "answers").rglob("*.json"):
        file.unlink()
    assert fetch_text(ID, 1, client=connect(offline=True)).passages == ()  # its abstract is not at hand


def test_a_truncated_pdf_is_asked_for_again(site, connect):
    site.add(Paper(ID, files={("pdf", 1): PDF}))
    site.faults.append(Fault("/pdf", body=PDF[: len(PDF) // 2]))
    assert fetch_text(ID, client=connect()).source == "pdf"
    assert len(site.paths("/pdf")) == 2


def test_trouble_is_no_reason_to_settle_for_the_abstract(site, connect):
    site.add(Paper(ID, files={("html", 1): HTML}))
    site.faults += [Fault("/html", times=3, status=500), Fault("/pdf", times=3, status=429)]
    with pytest.raises(FetchError, match="429"):
        fetch_text(ID, client=connect())
    assert fetch_text(ID, client=connect()).source == "html"


def test_without_a_network_the_newest_version_of_the_cache_is_served(site, connect):
    site.add(Paper("cs/0112017", version=2, files={("html", 2): samples.html("cs/0112017", 2)}))
    fetch_text("cs/0112017v2", client=connect())
    site.faults.append(Fault("/", times=99, status=500))
    text = fetch_text("cs/0112017", 2, client=connect())
    assert text.version == 2
    for file in (connect().cache.root / "answers").rglob("*.json"):
        file.unlink()
    offline = fetch_text("cs/0112017", client=connect(offline=True))
    assert offline.version == 2
    assert offline.warnings[-1] == "no network: version 2 of the cache"
    with pytest.raises(NoNetwork):
        fetch_text(ID, client=connect(offline=True))


def test_unknown_papers_and_wrong_names(site, connect):
    with pytest.raises(FetchError, match="arXiv knows no such paper"):
        fetch_text("2412.99999", client=connect())
    with pytest.raises(ValueError, match="ids: 'x'"):
        fetch_text("x", client=connect())


def test_a_damaged_file_of_the_cache_is_fetched_anew(site, connect):
    site.add(Paper(ID, files={("pdf", 1): PDF}))
    fetch_text(ID, client=connect())
    path = connect().cache.paper(ID, 1, ".pdf")
    path.write_bytes(b"")
    assert fetch_text(ID, client=connect()).source == "pdf"
    assert path.read_bytes() == PDF


def papers(site):
    site.add(
        Paper("2412.00001", files={("html", 1): samples.html("2412.00001")}),
        Paper("2412.00002", files={("pdf", 1): PDF}),
        Paper("cs/0112017", "Old & Short", summary="No file at all."),
    )
    return list(site.papers)


def test_a_folder_is_filled_as_check_reads_it(site, connect, tmp_path):
    listings = fetch_listings(papers(site), client=connect())
    done = fetch(listings, out=tmp_path / "out", client=connect())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "2412.00001v1.html",
        "2412.00002v1.pdf",
        "cs_0112017v1.txt",
        "listings.jsonl",
    ]
    found = folder(tmp_path / "out")
    assert [found[result.listing.id].title for result in done] == [
        samples.TITLE,
        samples.TITLE,
        "Old & Short",
    ]
    assert found["cs/0112017"].abstract == "No file at all."
    lines = (tmp_path / "out" / "listings.jsonl").read_text().splitlines()
    assert [Listing.from_json(line) for line in lines] == listings
    before = len(site.log)
    fetch(listings[:2], out=tmp_path / "out", client=connect())
    assert len(site.log) == before
    assert len((tmp_path / "out" / "listings.jsonl").read_text().splitlines()) == 3


def test_one_paper_that_fails_does_not_stop_the_others(site, connect):
    listings = fetch_listings(papers(site), client=connect())
    site.faults += [
        Fault("/html/2412.00001", times=99, status=500),
        Fault("/pdf/2412.00001", times=99, status=500),
    ]
    done = fetch(listings, client=connect())
    assert [bool(result.problem) for result in done] == [True, False, False]
    assert done[0].text is None


def test_without_a_network_one_paper_s_patience_is_enough(site, connect):
    listings = fetch_listings(papers(site), client=connect())
    fetch(listings[1:2], client=connect())
    client = connect()
    object.__setattr__(client.sites, "arxiv", "http://127.0.0.1:9")
    done = fetch(listings, client=client)
    assert [bool(result.problem) for result in done] == [True, False, True]
    assert done[1].text is not None
    assert "offline" in done[2].problem
    assert client.offline is False


def test_killed_at_any_moment_it_goes_on(site, connect, tmp_path):
    """Killed with SIGKILL while papers come in, then called again: nothing half, nothing twice."""
    site.add(*(Paper(f"2412.{n:05d}", files={("html", 1): samples.html(f"2412.{n:05d}")}) for n in range(6)))
    code = (
        "import sys; from pathlib import Path; from sillok.digest import fetch\n"
        "with fetch.Client(sys.argv[1]) as client:\n"
        "    found = fetch.fetch_listings(sys.argv[3:], client=client)\n"
        "    fetch.fetch(found, out=Path(sys.argv[2]), client=client)"
    )
    out = tmp_path / "out"
    env = os.environ | {"SILLOK_ARXIV": site.url, "SILLOK_ARXIV_API": site.url, "SILLOK_ARXIV_DELAY": "0.3"}
    command = [sys.executable, "-c", code, str(tmp_path / "cache"), str(out), *site.papers]
    process = subprocess.Popen(command, env=env)
    deadline = time.monotonic() + 120
    while len(site.paths("/html")) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert subprocess.run(command, env=env, timeout=300).returncode == 0
    for number in range(6):
        assert Path(out, f"2412.{number:05d}v1.html").read_bytes() == samples.html(f"2412.{number:05d}")
    assert 6 <= len(site.paths("/html")) <= 7  # at most the one in flight twice
