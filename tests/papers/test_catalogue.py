"""The catalogue: lookup, and cards of other installed packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import sillok
from sillok import papers

SOURCE = Path(sillok.__file__).parents[1]
CARD = """\
id = "9912.00001"
title = "A Foreign Paper"
authors = ["Ada Lovelace"]
published = "2099-12"
family = "gardening"
kind = "tool"
host = "spade"
[[claims]]
id = "depth"
text = "Deeper."
trial = "garden.trials.depth"
scope = "One spade."
"""
LOOK = """
import json, sys
from sillok import papers
c = papers.catalogue()
print(json.dumps({
    "foreign": [[c[id].id, c[id].family, list(c[id].trials)] for id in c if id.startswith("99")],
    "own": sum(not id.startswith("99") for id in c),
    "problems": [str(p) for p in c.problems],
}))
"""


def run(code: str, *folders: Path) -> str:
    path = os.pathsep.join(str(folder) for folder in (SOURCE, *folders))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def look(*folders: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(LOOK, *folders).splitlines()[-1])
    assert found["own"] == 130
    return found


def package(folder: Path, entry: str, files: dict[str, str]) -> Path:
    """Lay out an installed package by hand: its files and the metadata that names its entry point."""
    info = folder / "garden-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: garden\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[sillok.papers]\ngarden = {entry}\n")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def test_load() -> None:
    card = papers.load("2411.19870")
    assert card.title == "DeMo: Decoupled Momentum Optimization"
    assert papers.load("arXiv:2411.19870v2") is card
    assert papers.catalogue()["2411.19870"] is card
    with pytest.raises(TypeError, match="id: 3 is int"):
        papers.load(3)  # type: ignore[arg-type]


def test_unknown_ids_suggest_close_ones() -> None:
    with pytest.raises(papers.UnknownPaper) as caught:
        papers.load("2411.19871")
    assert "2411.19870" in caught.value.close
    assert str(caught.value).startswith("no card for '2411.19871'; close: ")
    with pytest.raises(KeyError, match=r"close: 2411\.19870"):
        papers.load("decoupled momentum")
    with pytest.raises(KeyError, match=r"^no card for 'zzzzzz'$"):
        papers.load("zzzzzz")
    assert "zzzzzz" not in papers.catalogue() and papers.catalogue().get("zzzzzz") is None


def test_nothing_heavy_is_imported_and_cards_are_parsed_when_asked_for() -> None:
    code = """
    import sys
    from sillok import papers
    c = papers.catalogue()
    assert "pydantic" not in sys.modules and "torch" not in sys.modules
    papers.load("2411.19870")
    assert list(c._cards) == ["2411.19870"]
    assert papers.catalogue() is c and papers.Card is type(c["2411.19870"])
    """
    run(textwrap.dedent(code))


def test_an_installed_package_adds_its_cards(tmp_path: Path) -> None:
    """Built and installed by pip, without a network."""
    project, target = tmp_path / "project", tmp_path / "target"
    (project / "garden" / "cards").mkdir(parents=True)
    (project / "garden" / "__init__.py").touch()
    (project / "garden" / "cards" / "__init__.py").touch()
    (project / "garden" / "cards" / "9912.00001.toml").write_text(CARD)
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "garden"\nversion = "1.0"\n'
        '[project.entry-points."sillok.papers"]\ngarden = "garden.cards"\n'
    )
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps"]
    command += ["--no-index", "--disable-pip-version-check", "--target", str(target), str(project)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    found = look(target)
    assert found["foreign"] == [["9912.00001", "gardening", ["garden.trials.depth"]]]
    assert found["problems"] == []


PATHS = """
import os
folder = os.path.dirname(__file__)
def paths():
    yield os.path.join(folder, "9912.00001.toml")
"""
UNTEXT = CARD.replace('"Deeper."', "3")
FOUND = [["9912.00001", "gardening", ["garden.trials.depth"]]]


@pytest.mark.parametrize(
    ("entry", "files"),
    [
        ("garden_cards", {"garden_cards/9912.00001.toml": CARD}),
        ("garden", {"garden.py": "", "9912.00001.toml": CARD}),
        ("garden:folder", {"garden.py": PATHS, "9912.00001.toml": CARD}),
        ("garden:paths", {"garden.py": PATHS, "9912.00001.toml": CARD}),
    ],
)  # fmt: skip
def test_other_forms_of_entry_points(tmp_path: Path, entry: str, files: dict[str, str]) -> None:
    found = look(package(tmp_path, entry, files))
    assert (found["foreign"], found["problems"]) == (FOUND, [])


@pytest.mark.parametrize(
    ("entry", "files", "problem"),
    [
        ("garden", {}, "entry point garden = 'garden': cannot be loaded (ModuleNotFoundError: "),
        ("garden", {"garden.py": "1/0"}, "cannot be loaded (ZeroDivisionError: division by zero)"),
        ("garden", {"garden.py": "raise SystemExit(3)"}, "cannot be loaded (SystemExit: 3)"),
        ("garden:x", {"garden.py": "x = 3"}, "cannot be loaded (TypeError: "),
        ("garden:x", {"garden.py": "x = '/nowhere/at/all'"}, "no file or folder /nowhere/at/all"),
        ("garden", {"garden/__init__.py": ""}, "has no *.toml card"),
        ("garden", {"garden/9912.00001.toml": UNTEXT}, "9912.00001.toml: claims[0].text: 3 is not text"),
        ("garden", {"garden/9912.00001.toml": "id = "}, "9912.00001.toml: not TOML: "),
        ("garden", {"garden/2411.19870.toml": CARD}, "2411.19870.toml: id: garden = 'garden': another card"),
    ],
)  # fmt: skip
def test_a_broken_package_is_a_problem_and_no_more(
    tmp_path: Path, entry: str, files: dict[str, str], problem: str
) -> None:
    found = look(package(tmp_path, entry, files))
    assert found["foreign"] == [] and len(found["problems"]) == 1
    assert problem in found["problems"][0]


def test_a_broken_card_beside_a_good_one(tmp_path: Path) -> None:
    broken = CARD.replace("9912.00001", "9912.00002").replace('kind = "tool"', "")
    files = {"garden/9912.00001.toml": CARD, "garden/9912.00002.toml": broken}
    found = look(package(tmp_path, "garden", files))
    assert (found["foreign"], found["problems"]) == (FOUND, ["9912.00002.toml: kind: is missing"])
    code = """
    from sillok import papers
    c = papers.catalogue()
    assert "9912.00002" not in c and c.get("9912.00002") is None and len(c) == 131
    try:
        papers.load("9912.00002")
    except papers.CardError as error:
        print(error)
    """
    assert run(textwrap.dedent(code), tmp_path).strip() == "9912.00002.toml: kind: is missing"
