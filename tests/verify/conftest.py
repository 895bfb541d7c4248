"""A catalogue of toys: one card, installed as a third party would, with a claim for every toy trial."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAPER = "2401.00001"
TOYS = (
    *("good", "peer", "nan", "crash", "leaves", "hang", "greedy", "killed", "chatty", "undeclared", "slow"),
    *("gpu", "program", "torch", "timed", "raises", "norule", "always", "missing", "broken"),
)
NAMES = {"torch": "toys.torch_pid", "missing": "toys.nothing", "broken": "broken_toys.trial"}

CARD = f"""
id = "{PAPER}"
title = "Toys that strain the engine"
authors = ["A. Tester"]
published = "2024-01"
family = "toys"
kind = "toy"
host = "none"

[[digests]]
date = 2024-01-02
votes = 3
""" + "".join(
    f"""
[[claims]]
id = "{name}"
text = "The toy {name} has a lower loss."
trial = "{NAMES.get(name, f"toys.{name}")}"
scope = "A toy."
[claims.paper]
value = 0.5
unit = "nats"
"""
    for name in TOYS
)


@pytest.fixture(scope="session")
def toy_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like an installed distribution which adds cards and trials."""
    folder = tmp_path_factory.mktemp("toy-package")
    (folder / "toycards").mkdir()
    (folder / "toycards" / "__init__.py").write_text("")
    (folder / "toycards" / f"{PAPER}.toml").write_text(CARD)
    (folder / "broken_toys.py").write_text("raise ImportError('a part is missing')\n")
    info = folder / "toycards-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toycards\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sillok.papers]\ntoys = toycards\n")
    return folder


@pytest.fixture
def toys(toy_package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The toys in the catalogue, here and in child processes, and a record of the test's own."""
    from sillok import papers

    path = os.pathsep.join([str(toy_package), str(HERE), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("SILLOK_RECORD", str(tmp_path / "record.sqlite"))
    monkeypatch.setattr(sys, "path", [str(toy_package), *sys.path])
    papers.catalogue.cache_clear()
    yield PAPER
    papers.catalogue.cache_clear()
