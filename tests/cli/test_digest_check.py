"""`sillok digest check`, as a user calls it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sillok.cli import app

PAPERS = Path(__file__).parents[1] / "digest" / "check" / "planted"
DIGEST = """\
## Daily Papers (2029-01-02)

### [RiverCache](https://arxiv.org/abs/2901.00001)

Vote: 3

- ***What's New***: RiverCache는 FullKV보다 2.4배 빠릅니다.
- ***Performance Highlights***: 가장 강한 [베이스라인] PoolSnap보다 9.1점 높습니다.

### [Nowhere](https://arxiv.org/abs/2901.99999)

- ***What's New***: Something new.
"""


@pytest.fixture
def run(tmp_path: Path):
    (tmp_path / "day.md").write_text(DIGEST, encoding="utf-8")
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "2901.00001v2.md").write_bytes((PAPERS / "2901.00001.md").read_bytes())
    runner = CliRunner()
    return lambda *words: runner.invoke(
        app, ["digest", "check", str(tmp_path / "day.md"), "--papers", str(tmp_path / "papers"), *words]
    )


def test_json_has_every_sentence(run) -> None:
    done = run("--json")
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    assert [row["verdict"] for row in rows] == ["supported", "contradicted", "not found"]
    for row in rows:
        assert set(row) >= {"id", "section", "sentence", "verdict", "evidence"}
    assert rows[0]["evidence"][0]["text"].startswith("Serving") and rows[0]["section"] == "What's New"
    assert [row["line"] for row in rows] == [7, 8, 12]
    assert rows[2]["reasons"] == ["no text of this paper"]


def test_the_table_lists_failures_with_their_lines(run) -> None:
    done = run()
    assert done.exit_code == 0
    assert re.search(r"^ ?8 .*2901\.00001.*contradicted.*\[베이스라인\]", done.stdout, flags=re.M)
    assert "2.4배" not in done.stdout
    assert "3 sentences: 1 supported, 0 not found, 1 contradicted; 1 entries without a text" in done.stdout
    assert "2.4배" in run("--all").stdout
    assert "2901.99999: no text, not checked" in done.stderr


def test_strict_exits_with_1(run) -> None:
    assert run("--strict").exit_code == 1


def test_errors_are_one_line(run, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["digest", "check", str(tmp_path / "day.md"), "--papers", str(tmp_path / "none")]
    )
    assert done.exit_code == 1 and "is no folder" in str(done.exception) and "\n" not in str(done.exception)
    done = run("--entailment", str(tmp_path / "none"))
    assert done.exit_code == 1 and "cannot be loaded" in str(done.exception)
