"""The documentation: every command runs, every link leads somewhere, generated pages are up to date."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import paper_samples
import papers_site

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_RUN = ("pip install", "make ", "export SILLOK", "docker ")


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.S)


WRITTEN = [path for path in PAGES if path.parent.name != "papers"]  # the rest is made from the cards


def commands(pages: list[Path]) -> list[str]:
    """Every shell command of these pages once, in order, without its comment."""
    found = [
        line.split("  #")[0].strip()
        for path in pages
        for block in blocks(path, "bash")
        for line in block.splitlines()
        if line.strip() and not line.startswith(NOT_RUN)
    ]
    return list(dict.fromkeys(found))


@pytest.fixture
def papers() -> Iterator[papers_site.Site]:
    """The papers that the documentation fetches, as a site on loopback has them."""
    with papers_site.serve() as site:
        site.days["2024-12-04"] = [papers_site.row("2411.19870", 10), papers_site.row("2410.02367", 5)]
        for id in ("2411.19870", "2410.02367"):
            site.add(papers_site.Paper(id, files={("html", 1): paper_samples.html(id)}))
        yield site


@pytest.mark.slow
@pytest.mark.xdist_group("docs")
def test_every_command_runs(tmp_path: Path, papers: papers_site.Site) -> None:
    """In one folder and one record, in order, at smoke; each ends with 0. The Hub and arXiv are on loopback."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    bin = Path(sys.executable).parent
    env = os.environ | {
        "SILLOK_RECORD": f"sqlite:///{tmp_path}/record.sqlite",
        "SILLOK_SCALE": "smoke",
        "SILLOK_CACHE": str(tmp_path / "cache"),
        "SILLOK_ARXIV": papers.url,
        "SILLOK_ARXIV_API": papers.url,
        "SILLOK_ARXIV_DELAY": "0",
        "HF_ENDPOINT": papers.url,
        "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
    }
    listed = commands(WRITTEN)
    assert len(listed) > 15
    for command in listed:
        assert command.startswith("sillok "), command
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        assert "Traceback" not in done.stderr
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_papers_pages_name_claims_that_exist() -> None:
    """Their commands verify each claim in each mode, which the conformance suite does for all of them."""
    from sillok.verify.targets import resolve

    listed = [command for command in commands(PAGES) if command not in commands(WRITTEN)]
    assert len(listed) >= 15
    for command in listed:
        match = re.fullmatch(r"sillok verify (\S+)(?: --placebo| --fault)?", command)
        assert match, command
        assert len(resolve([match[1]]).claims) == 1


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_parses_and_links_lead_somewhere(path: Path) -> None:
    for block in blocks(path, "python"):
        compile(block, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_generated_pages_are_up_to_date(tmp_path: Path) -> None:
    from sillok.verify import pages

    for path in pages.write(tmp_path / "papers", tmp_path / "examples", pictures=False):
        committed = (ROOT / "docs" if path.parent.name == "papers" else ROOT) / path.relative_to(tmp_path)
        assert committed.read_text(encoding="utf-8") == path.read_text(encoding="utf-8"), (
            f"run `make pages`: {path.name}"
        )
        charts = {chart.name for chart in path.parent.glob("*.svg")}
        assert charts <= {chart.name for chart in committed.parent.glob("*.svg")}


def test_a_page_shows_the_pictures_of_its_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sillok import papers
    from sillok.verify import pages, worker

    card = papers.catalogue()["2410.02416"]
    trial = worker.load_trial(card.claims[0].trial)
    (picture,) = trial.pictures
    plain = np.full((4, 6, 3), 200, np.uint8)
    monkeypatch.setattr(trial, "pictures", [dataclasses.replace(picture, draw=lambda: plain)])
    text = pages.page(card, tmp_path, pictures=True)
    name = f"{card.id}-{card.claims[0].id}-{picture.name}.png"
    assert f"]({name})\n\n*{picture.caption}*" in text
    assert np.array_equal(np.asarray(Image.open(tmp_path / name)), plain)
    assert (ROOT / "docs" / "papers" / name).exists(), "run `make pages`"


def test_testbeds_pages_tell_what_is_shipped(tmp_path: Path) -> None:
    from sillok import testbeds
    from sillok.testbeds import pages

    folder = ROOT / "docs" / "testbeds"
    assert (folder / "index.md").read_text(encoding="utf-8") == pages.index(), "run `make pages`"
    for name, sizes in testbeds.available().items():
        facts = pages.facts(tmp_path, name, [testbeds.load(name, size) for size in sizes])
        page = (folder / f"{name}.md").read_text(encoding="utf-8")
        assert page.startswith("\n".join(facts)), f"run `make pages`: {name}"
        assert (folder / f"{name}-loss.svg").exists()
        assert page.count("\n## ") > 3, f"{name} shows nothing of itself"
    assert "rates" in (folder / "sim_model.md").read_text(encoding="utf-8")


def test_every_command_of_the_program_is_documented() -> None:
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    for name in (
        "read",
        "list",
        "show",
        "verify",
        "report",
        "runs",
        "search",
        "doctor",
        "export",
        "import",
        "testbed",
        "digest",
        "serve",
    ):
        assert f"sillok {name}" in guide
    options = subprocess.run(
        [sys.executable, "-m", "sillok.cli", "verify", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for option in set(re.findall(r"--[a-z]+", options)) - {
        "--help",
        "--record",
        "--no",
        "--install",
        "--show",
    }:
        assert option in guide, f"{option} is not in the guide"


@pytest.mark.slow
def test_the_site_builds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "papers" / "2411.19870" / "index.html").exists()
