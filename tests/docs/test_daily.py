"""The page on daily runs: cron, systemd and GitHub Actions name commands and options that there are."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import yaml

PAGE = (Path(__file__).parents[2] / "docs" / "digests.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.S | re.M)


def test_the_forms_can_be_read() -> None:
    units = []
    for text in blocks("ini"):
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read_string(text)
        units.append(unit)
    assert units[0]["Service"]["Type"] == "oneshot" and "OnCalendar" in units[1]["Timer"]
    (workflow,) = (yaml.safe_load(text) for text in blocks("yaml"))
    steps = workflow["jobs"]["digest"]["steps"]
    assert any("sillok digest daily" in step.get("run", "") for step in steps)
    assert re.search(r"^\d+ \d+ \* \* 1-5  .*sillok digest daily", PAGE, flags=re.M)


def test_every_option_that_is_named_is_there() -> None:
    named: dict[str, set[str]] = {}
    for command, rest in re.findall(r"sillok digest (\w+)([^\n`;]*)", PAGE):
        named.setdefault(command, set()).update(re.findall(r"\s(--[a-z-]+)", rest))
    assert {"summarise", "write", "deliver", "daily"} <= set(named)
    for command, options in named.items():
        shown = subprocess.run(
            [sys.executable, "-m", "sillok.cli", "digest", command, "--help"],
            capture_output=True, text=True, check=True, env={"COLUMNS": "200", "PYTHONPATH": ":".join(sys.path)},
        ).stdout  # fmt: skip
        assert all(option in shown for option in options), command
