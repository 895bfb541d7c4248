"""The wheel: `pip install` brings the whole package with its results and pages, and it works without this folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel's files lie in, as pip would put them."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (wheel,) = out.glob("*.whl")
    assert wheel.stat().st_size < 30 * 2**20
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "site")
    return out / "site"


def test_it_has_every_file(installed: Path) -> None:
    for source, target in (
        ("src/sillok", "sillok"),
        ("results", "sillok/_results"),
        ("docs/papers", "sillok/_pages"),
    ):
        kept = {
            path.relative_to(ROOT / source)
            for path in (ROOT / source).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        brought = {p.relative_to(installed / target) for p in (installed / target).rglob("*") if p.is_file()}
        assert kept
        assert kept <= brought, sorted(map(str, kept - brought))[:5]


def test_its_command_reads_papers_and_shipped_results(installed: Path, tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(installed), "SILLOK_RECORD": f"sqlite:///{tmp_path}/record.sqlite"}

    def sillok(*arguments: str) -> str:
        command = [sys.executable, "-m", "sillok.cli", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = "import sillok; print(sillok.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert Path(found.stdout.strip()).is_relative_to(installed)
    shown = json.loads(sillok("show", "2411.19870", "--json"))
    assert shown["title"]
    assert len(json.loads(sillok("list", "--json"))) >= 130
    measured = {
        paper["id"]: paper["verdicts"] for paper in json.loads(sillok("list", "--measured", "--json"))
    }
    assert measured["2411.19870"]  # of the shipped results: this record is empty
