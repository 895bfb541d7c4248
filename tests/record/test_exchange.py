"""The whole record as files and back: both formats, both databases, nothing lost."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sillok.record import Record, RecordError, migrate
from sillok.record.tables import KEPT

from .conftest import NewUrl
from .samples import START, a_run, a_verdict, fill

FORMATS = ("json", "parquet")


def everything(record: Record) -> dict[str, list[Any]]:
    """Every row of every table that is kept, as the database has it."""
    with record._reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in KEPT
        }


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("back", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_nothing_is_lost(
    record: Record, format: Any, back: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    fill(record)
    record.add_run(
        a_run(seed=7, log="", measures={}, curves=[], fingerprint={}, reason="한 줄\u2028둘\r\n셋")
    )
    files = record.export(tmp_path / "export", format)
    assert [file.name for file in files if not file.exists()] == [] and files[-1].name == "manifest.json"
    before = everything(record)
    assert all(before.values())
    new_url: NewUrl = request.getfixturevalue("new_sqlite" if back == "sqlite" else "new_postgres")
    with Record.open(new_url()) as other:
        counts = other.import_(tmp_path / "export")
        assert counts == {name: len(rows) for name, rows in before.items()}
        assert everything(other) == before
        assert other.runs() == record.runs() and other.digests() == record.digests()
        assert other.search("모델의") == record.search("모델의") != []
        assert other.import_(tmp_path / "export") == dict.fromkeys(before, 0)  # a second time: nothing new
        assert everything(other) == before
        again = other.export(tmp_path / "again", format)
    if format == "json":
        assert [file.read_bytes() for file in again[:-1]] == [file.read_bytes() for file in files[:-1]]


def test_the_files_speak_for_themselves(record: Record, tmp_path: Path) -> None:
    fill(record)
    record.export(tmp_path, "json")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["schema"] == migrate.HEAD
    assert manifest["tables"]["runs"] == {"file": "runs.jsonl", "rows": 2}
    assert set(manifest["tables"]) == {table.name for table in KEPT}
    runs = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text(encoding="utf-8").splitlines()]
    run = next(run for run in runs if run["arm"] == "adamw")
    assert run["measures"] == a_run().measures and run["started"] == "2026-11-20T09:30:00.123456+00:00"
    assert "김철수" in (tmp_path / "papers.jsonl").read_text(encoding="utf-8")


def test_import_adds_and_keeps(new_sqlite: NewUrl, tmp_path: Path) -> None:
    with Record.open(new_sqlite()) as record:
        fill(record)
        record.export(tmp_path)
    with Record.open(new_sqlite()) as record:
        record.add_run(a_run(log="here first"))
        record.add_paper("2411.19870", title="My own title", authors=[])
        record.add_verdict(a_verdict(verdict="failed", decided=START - timedelta(days=1)))
        counts = record.import_(tmp_path)
        assert counts["runs"] == 1 and counts["papers"] == 1 and counts["verdicts"] == 1
        run, paper = record.run(a_run().id), record.paper("2411.19870")
        assert run is not None and run.log == "here first"
        assert paper is not None and paper.title == "My own title" and "ko" in paper.summaries
        assert len(record.search("own 모델")) == 1  # found by its own title and the summary that came
        assert record.verdicts() == [a_verdict()]
        newer = a_verdict(verdict="not upheld", decided=START + timedelta(days=1))
        record.add_verdict(newer)
        assert record.import_(tmp_path)["verdicts"] == 0 and record.verdicts() == [newer]


def damage_line(folder: Path) -> None:
    lines = (folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "runs.jsonl").write_text("\n".join([lines[0], lines[1][:50]]), encoding="utf-8")


def drop_line(folder: Path) -> None:
    lines = (folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    (folder / "runs.jsonl").write_text(lines[0] + "\n", encoding="utf-8")


def drop_key(folder: Path) -> None:
    row = json.loads((folder / "verdicts.jsonl").read_text(encoding="utf-8"))
    del row["decided"]
    (folder / "verdicts.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")


def newer(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"schema": "0999"}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_line, r"runs.jsonl, line 2: no row"),
        (drop_line, "holds 1 rows where the manifest says 2"),
        (drop_key, "verdicts.jsonl, line 1: no row of 'verdicts'.*decided"),
        (newer, "newer Sillok .schema 0999"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "no manifest"),
        (lambda folder: (folder / "runs.jsonl").unlink(), r"cannot read .*runs\.jsonl: No such file"),
        (lambda folder: (folder / "runs.jsonl").write_bytes(b"\xff\xfe\n"), "runs.jsonl, line 1"),
    ],
)
def test_a_damaged_export_changes_nothing(record: Record, tmp_path: Path, damage: Any, words: str) -> None:
    fill(record)
    record.export(tmp_path)
    damage(tmp_path)
    with Record.open(f"sqlite:///{tmp_path}/other.sqlite") as other:
        with pytest.raises(RecordError, match=words) as caught:
            other.import_(tmp_path)
        assert "\n" not in str(caught.value)
        assert not any(everything(other).values())


def test_a_damaged_parquet_file_is_told(record: Record, tmp_path: Path) -> None:
    fill(record)
    record.export(tmp_path, "parquet")
    (tmp_path / "runs.parquet").write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(RecordError, match=r"runs\.parquet is no Parquet file"):
        record.import_(tmp_path)


def test_what_export_refuses(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"format: 'csv'.*'parquet'"):
        record.export(tmp_path, "csv")  # type: ignore[arg-type]
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot write the export"):
        record.export(tmp_path / "file" / "folder")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RecordError, match=r'pip install "sillok\[parquet\]"'):
        record.export(tmp_path, "parquet")


def test_an_export_that_broke_off_is_known(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(record)
    record.export(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RecordError):
        record.export(tmp_path, "parquet")
    with pytest.raises(RecordError, match=r"manifest\.json is missing"):
        record.import_(tmp_path)
