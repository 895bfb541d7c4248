"""Answers are kept: a run again asks nothing, and a killed run goes on."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sillok.digest.summarise import dump, summarise


def test_a_second_run_asks_nothing(mock: Any, paper: Any, ko: dict[str, Any], tmp_path: Path) -> None:
    asked = mock(lambda p, n: {"notes": ["a"]} if '"notes"' in p else ko)
    papers = [paper("2412.00001"), paper("2412.00002", extra=6)]
    options: dict[str, Any] = {"checker": None, "cache": tmp_path, "budget": 1000}
    first = summarise(papers, model=asked.model, **options)
    calls = len(asked.prompts)
    again = summarise(papers, model=asked.model, **options)
    assert len(asked.prompts) == calls
    assert again == first and dump(None, again) == dump(None, first)
    assert sum(one.spent.calls for one in first) == calls
    assert sum(one.spent.calls for one in again) == 0
    assert sum(one.usage.calls for one in again) == calls
    assert {path.parent.name for path in tmp_path.rglob("*.json")} == {"2412.00001v1", "2412.00002v1"}


@pytest.mark.parametrize("change", ["version", "text", "language", "model", "settings"])
def test_whatever_the_answer_depends_on_makes_it_anew(
    mock: Any, paper: Any, ko: dict[str, Any], en: dict[str, Any], tmp_path: Path, change: str
) -> None:
    asked = mock(lambda p, n: en if change == "language" and n > 1 else ko)
    base: dict[str, Any] = {"checker": None, "cache": tmp_path}
    summarise([paper()], model=asked.model, **base)
    one, model = paper(), asked.model
    if change == "version":
        one = replace(one, version=2)
    elif change == "text":
        one = replace(one, passages=one.passages[:-1])
    elif change == "language":
        base["language"] = "en"
    elif change == "settings":
        base["settings"] = {"temperature": 0.5}
    else:
        from inspect_ai.model import get_model

        model = get_model("mockllm/other", custom_outputs=asked._call, memoize=False)
    summarise([one], model=model, **base)
    assert len(asked.prompts) == 2


def test_a_bad_answer_is_not_kept_and_a_damaged_file_is_no_answer(
    mock: Any, paper: Any, ko: dict[str, Any], tmp_path: Path
) -> None:
    (found,) = summarise([paper()], model=mock(lambda p, n: "prose").model, checker=None, cache=tmp_path)
    assert found.model is None and not list(tmp_path.rglob("*.json"))
    asked = mock(lambda p, n: ko)
    summarise([paper()], model=asked.model, checker=None, cache=tmp_path)
    (path,) = tmp_path.rglob("*.json")
    path.write_text(path.read_text("utf-8")[:40], "utf-8")
    (found,) = summarise([paper()], model=asked.model, checker=None, cache=tmp_path)
    assert found.model is not None and len(asked.prompts) == 2
    json.loads(path.read_text("utf-8"))


SCRIPT = """
import sys
from sillok.digest.summarise import summarise
from sillok.digest.text import PaperText, Passage

papers = [
    PaperText(f"2412.0000{n}", 1, (Passage("abstract", "Abstract", f"We propose method {n}, which is new."),), "text")
    for n in range(6)
]
found = summarise(
    papers, model="openai/gpt-4o-mini", model_args={"base_url": sys.argv[1], "responses_api": False},
    language="en", checker=None, connections=1, cache=sys.argv[2],
)
print(sum(one.model is not None for one in found), sum(one.spent.calls for one in found))
"""


def test_a_killed_run_goes_on(service: Any, tmp_path: Path) -> None:
    """The process is killed while the fourth paper is with the service; the next run asks for what is missing."""
    env = os.environ | {"OPENAI_API_KEY": "sk-verysecretkey12345"}
    command = [sys.executable, "-c", SCRIPT, service.url, str(tmp_path)]
    service.delay = 0.3
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(service.bodies) < 4 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    kept = list(tmp_path.rglob("*.json"))
    assert 3 <= len(kept) < 6
    service.delay = 0
    asked = len(service.bodies)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["6", str(6 - len(kept))]
    assert len(service.bodies) - asked == 6 - len(kept)
    assert not any("verysecret" in path.read_text("utf-8") for path in tmp_path.rglob("*.json"))


def test_a_cache_that_cannot_be_written_loses_no_answer(
    mock: Any, paper: Any, ko: dict[str, Any], tmp_path: Path
) -> None:
    """What was paid for is used; one line says that the next run pays again."""
    (tmp_path / "file").write_text("no folder")
    lines: list[str] = []
    asked = mock(lambda prompt, n: ko)
    (found,) = summarise(
        [paper()], model=asked.model, checker=None, cache=tmp_path / "file", report=lines.append
    )
    assert found.model is not None and len(asked.prompts) == 1
    (line,) = lines
    assert line.startswith("mockllm/model: an answer cannot be kept for the next run (")


def test_two_runs_at_once_pay_once(mock: Any, paper: Any, ko: dict[str, Any], tmp_path: Path) -> None:
    """The second waits for the first's answers, and says so."""
    papers = [paper("2412.00001"), paper("2412.00002"), paper("2412.00001")]
    lines: list[str] = []
    asked = mock(lambda prompt, n: ko)
    at_once = asked._call

    async def call(*arguments: Any) -> Any:
        await asyncio.sleep(0.5)
        return await at_once(*arguments)

    asked._call = call

    def run() -> list[Any]:
        return summarise(papers, model=asked.model, checker=None, cache=tmp_path, report=lines.append)

    with ThreadPoolExecutor(2) as pool:
        first, second = (one.result() for one in [pool.submit(run), pool.submit(run)])
    assert first == second and all(one.model is not None for one in first)
    assert len(asked.prompts) == 2  # one for each paper
    assert any("another run is at this paper" in line for line in lines)


def test_a_killed_run_leaves_no_lock(mock: Any, paper: Any, ko: dict[str, Any], tmp_path: Path) -> None:
    """The file of a lock may be there: what counts is whether a process holds it."""
    (tmp_path / "2412.00001v1").mkdir()
    (tmp_path / "2412.00001v1" / ".lock").touch()
    lines: list[str] = []
    (found,) = summarise(
        [paper()], model=mock(lambda p, n: ko).model, checker=None, cache=tmp_path, report=lines.append
    )
    assert found.model is not None and lines == []
