"""`sillok digest fetch`, as a user calls it: a process of its own, against a site on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import paper_samples as samples
import papers_site
from papers_site import Fault, Paper, row
from sillok.cli import app, main


@pytest.fixture
def site():
    with papers_site.serve() as running:
        running.days["2024-12-04"] = [row("2412.00001", 3), row("2412.00002", 41)]
        running.add(
            Paper("2412.00001", files={("html", 1): samples.html("2412.00001")}),
            Paper(
                "2412.00002",
                title="Words [bold]and[/bold] <b>marks</b>",
                files={("pdf", 1): samples.two_columns()},
            ),
        )
        yield running


@pytest.fixture
def sillok(site, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SILLOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    monkeypatch.setenv("SILLOK_ARXIV", site.url)
    monkeypatch.setenv("SILLOK_ARXIV_API", site.url)
    monkeypatch.setenv("SILLOK_ARXIV_DELAY", "0")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["sillok", "digest", "fetch", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out = capsys.readouterr()
        return ended.value.code or 0, out.out, out.err

    return run


def test_a_day(sillok, site, tmp_path):
    code, out, err = sillok("2024-12-04", "--out", tmp_path / "papers")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert [line[:3] for line in lines] == [
        ["id", "votes", "text"],
        ["2412.00002v1", "41", "pdf"],
        ["2412.00001v1", "3", "html"],
    ]
    assert sorted(path.suffix for path in (tmp_path / "papers").iterdir()) == [".html", ".jsonl", ".pdf"]
    assert err.startswith("2412.00002: the file says that it is arXiv:2411.19870")


def test_json_has_what_the_table_leaves_out(sillok):
    code, out, _ = sillok("2024-12-04", "--json")
    second, first = json.loads(out)
    assert code == 0
    assert (first["id"], first["version"], first["votes"], first["problem"]) == ("2412.00001", 1, 3, None)
    assert first["picture"]["urls"] == [
        "https://cdn-thumbnails.huggingface.co/social-thumbnails/papers/2412.00001.png"
    ]
    assert first["text"]["source"] == "html"
    assert first["text"]["characters"] > 2000
    assert second["authors"] == ["Emmy Noether", "Ada Lovelace"]


def test_ids_listings_and_ranges(sillok, site):
    assert json.loads(sillok("--ids", "2412.00002,2412.00001v1", "--no-text", "--json")[1])[1]["version"] == 1
    assert "Words [bold]and[/bold] <b>marks</b>" in sillok("--ids", "2412.00002", "--no-text")[1]
    assert len(json.loads(sillok("2024-12-03", "--listing", "cs.LG", "--no-text", "--json")[1])) == 2
    code, out, err = sillok("2024-12-04", "--until", "2024-12-05", "--no-text", "--json")
    assert (code, len(json.loads(out)), err) == (0, 2, "2024-12-05 (Thursday): no papers are listed\n")


def test_a_broken_connection_costs_a_second_try_and_no_other_paper(sillok, site):
    """A paper that arXiv refuses to give is named."""
    site.faults += [Fault(f"/{kind}/2412.00001", times=5, status=403) for kind in ("html", "pdf")]
    site.faults += [Fault(f"/{kind}/2412.00002", cut=True, times=1) for kind in ("html", "pdf")]
    site.papers["2412.00001"].summary = ""
    code, _, err = sillok("2024-12-04")
    assert (code, site.paths("/pdf/2412.00002v1")) == (0, ["/pdf/2412.00002v1"] * 2)
    assert "2412.00001: no full text" in err


def test_a_site_that_says_too_many_requests_is_left_alone(sillok, site):
    """It asks for hours: it is asked once for all papers, and the same command fetches them later."""
    site.faults.append(Fault("/html", times=99, status=429, headers={"Retry-After": "9999"}))
    code, _, err = sillok("2024-12-04")
    assert code == 1
    assert len(site.paths("/html")) + len(site.paths("/pdf")) == 1
    lines = err.splitlines()
    assert (
        lines[0].startswith("2412.00002: ") and "asks to wait 9999 s" in lines[0] and "not asked" in lines[1]
    )
    assert lines[2:] == ["2 of 2 papers have no text yet: the same command goes on from there"]
    site.faults.clear()
    assert sillok("2024-12-04")[0] == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["2999-01-01"], "sillok: date: 2999-01-01 lies in the future"),
        (["someday"], "sillok: date: 'someday' is no day; YYYY-MM-DD, today and yesterday are accepted"),
        (["--ids", "x"], "sillok: ids: 'x' is no arXiv identifier"),
        (["--ids", "2412.99999"], "2412.99999: arXiv knows no such paper"),
        (["2024-12-04", "--listing", "??"], "sillok: listing: '??' is no category"),
        (["2024-12-04", "--until", "2024-12-01"], "sillok: until: 2024-12-01 is not within"),
        (["2024-12-05", "--offline"], "sillok: offline: the list of 2024-12-05 is not in the cache"),
    ],
)
def test_bad_input_is_one_line(sillok, words, line):
    code, out, err = sillok(*words)
    assert (code, out) == (1, "")
    assert err.startswith(line)
    assert "Traceback" not in err


def test_wrong_usage(sillok, tmp_path):
    (tmp_path / "file").touch()
    for words in (
        ["2024-12-04", "--ids", "2412.00001"],
        ["--until", "2024-12-04"],
        ["--out", str(tmp_path / "file")],
    ):
        assert CliRunner().invoke(app, ["digest", "fetch", *words]).exit_code == 2


def test_no_network_is_one_line_and_the_cache_still_serves(sillok, site, monkeypatch):
    assert sillok("2024-12-04")[0] == 0
    for name in ("HF_ENDPOINT", "SILLOK_ARXIV", "SILLOK_ARXIV_API"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    code, out, err = sillok("2024-12-04")
    assert (code, out) == (1, "")
    assert err.startswith("sillok: no network: 127.0.0.1:9 cannot be reached")
    assert err.count("\n") == 1
    monkeypatch.setenv("HF_ENDPOINT", site.url)
    monkeypatch.setenv("SILLOK_ARXIV_API", site.url)
    code, out, err = sillok("2024-12-04", "--offline")
    assert code == 0
    assert "2412.00001" in out


def test_without_the_extra_one_line_says_what_to_install(site, tmp_path):
    code = (
        "import sys; sys.modules['httpx'] = None; from sillok.cli import main; "
        "sys.argv = ['sillok', 'digest', 'fetch', '--ids', '2412.00001']; main()"
    )
    env = os.environ | {"SILLOK_CACHE": str(tmp_path), "SILLOK_ARXIV_API": site.url}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 1
    assert (
        done.stderr == "sillok: fetching needs httpx, which is not installed: pip install 'sillok[digest]'\n"
    )


def test_help_and_imports_load_no_client():
    code = (
        "import sys, sillok.digest, sillok.cli, sillok.digest.fetch, sillok.digest.texts; print([m for m in "
        "('httpx', 'httpx2', 'huggingface_hub', 'arxiv', 'requests', 'pymupdf', 'lxml', 'tenacity', 'filelock') "
        "if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
