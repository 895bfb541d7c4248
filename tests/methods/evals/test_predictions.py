"""Saved predictions: every form that is read, every way in which they do not fit, and the policy for missing ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from sillok.methods.evals import benchmark, boards, predictions
from sillok.methods.evals.benchmark import Benchmark, Item
from sillok.methods.evals.predictions import Mode, Prediction, Predictions, align, read, refuses

RECORDS = [{"id": f"r{i}", "answer": "yes" if i % 2 else "no"} for i in range(4)]
BOARD = {
    "version": "1",
    "headline": "accuracy",
    "items": 4,
    "source": "made up",
    "rows": [
        {"system": "Good", "figures": {"accuracy": 80.0}},
        {"system": "Poor", "figures": {"accuracy": 40.0}},
        {"system": "Guessing", "figures": {"accuracy": 50.0}, "kind": "constant"},
    ],
}


class Toy(Benchmark):
    """Yes or no; the published way takes the last word and skips missing replies."""

    slug: ClassVar[str] = "toy"
    versions: ClassVar[tuple[str, ...]] = ("1",)
    published_missing: ClassVar[Literal["skip", "penalise"]] = "skip"

    def identify(self, record: Mapping[str, Any]) -> str:
        return record["id"]

    def grade(self, record: Mapping[str, Any], prediction: Prediction, mode: Mode) -> Item:
        words = prediction.text.lower().split()
        answer = words[-1] if words and (mode == "published" or len(words) == 1) else None
        return Item(record["id"], {"right": float(answer == record["answer"])}, answer=answer)

    def total(self, items: Sequence[Item], mode: Mode) -> dict[str, float | None]:
        return {"accuracy": 100 * sum(i.values["right"] for i in items) / len(items)}

    def _board(self) -> boards.Leaderboard:
        return boards.Leaderboard.of("toy", BOARD)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    monkeypatch.setitem(benchmark.BENCHMARKS, "toy", f"{__name__}.Toy")
    return Toy()


def _write(path: Path, form: str) -> Path:
    replies = {"r0": "no", "r1": "I think yes", "r2": "no", "r3": "no"}
    if form == "folder":
        path.mkdir()
        for id, text in replies.items():
            (path / f"{id}.md").write_text(text, encoding="utf-8")
        return path
    rows = [{"id": id, "prediction": text, "seconds": 1} for id, text in replies.items()]
    file = path.with_suffix(".jsonl" if form == "lines" else ".json")
    texts = {
        "mapping": json.dumps(replies),
        "list": json.dumps(rows),
        "lines": "\n".join(json.dumps(row) for row in rows) + '\n{"id": "r3", "predic',
    }
    data = texts[form if form in texts else "mapping"]
    file.write_bytes(data.encode({"utf-16": "utf-16", "mark": "utf-8-sig"}.get(form, "utf-8")))
    return file


@pytest.mark.parametrize("form", ["mapping", "list", "lines", "folder", "utf-16", "mark"])
def test_every_form_gives_the_same_score(toy: Toy, tmp_path: Path, form: str) -> None:
    found = read(_write(tmp_path / "predictions", form))
    result = toy.score(RECORDS, found)
    assert result.figures == {"accuracy": 75.0}
    assert result.counts.undecodable == (form == "lines")  # the line that a kill cut off
    assert toy.score(RECORDS, found, mode="strict").figures == {"accuracy": 50.0}


def test_what_does_not_fit_is_counted() -> None:
    given = Predictions.of(
        [
            {"id": "r0", "text": "no"},
            {"id": "r0", "text": "yes"},
            {"id": "x", "text": ""},
            {"id": "r1", "text": " "},
        ]
    )
    found, counts = align([r["id"] for r in RECORDS], given)
    assert [None if p is None else p.text for p in found] == ["yes", " ", None, None]  # the last one counts
    assert (counts.predicted, counts.missing, counts.duplicated, counts.unknown, counts.empty) == (
        2,
        2,
        1,
        1,
        1,
    )
    assert str(counts) == "2 of 4 predicted, 2 missing, 1 duplicated, 1 unknown, 1 empty"


def test_missing_predictions_follow_the_stated_policy(toy: Toy, as_users_run_it: None) -> None:
    given = {"r0": "no", "r1": "yes"}
    assert toy.score(RECORDS, given).figures["accuracy"] == 100
    assert toy.score(RECORDS, given, missing="skip").figures["accuracy"] == 100
    penalised = toy.score(RECORDS, given, missing="penalise")
    assert penalised.figures["accuracy"] == 50
    assert penalised.reasons == ("2 predictions are missing (scored as empty)",)
    assert toy.score(RECORDS, {}).figures == {"accuracy": None}
    with pytest.raises(ValueError, match="missing must be one of published, skip, penalise, not 'drop'"):
        toy.score(RECORDS, given, missing="drop")


def test_a_result_is_placed_and_says_why_it_is_not_comparable(toy: Toy) -> None:
    whole = {"r0": "no", "r1": "yes", "r2": "no", "r3": "no"}
    board = boards.Leaderboard.of("toy", BOARD)
    result = toy.score(RECORDS, whole)
    assert result.reasons == ()
    placed = board.place(result.figures, result.reasons)
    assert (placed.rank, placed.of, placed.above.system, placed.below.system) == (2, 3, "Good", "Poor")
    assert placed.comparable
    assert placed.constant is None
    assert str(placed) == "toy/1: accuracy 75, place 2 of 3 (below Good (80), above Poor (40))"
    assert toy.score(RECORDS, whole, mode="strict").reasons == ("strict scoring is not the published one",)
    short = toy.score(RECORDS[:2], whole)
    assert short.reasons == ("2 records, and 4 are published",)
    assert "not comparable: 2 records" in str(board.place(short.figures, short.reasons))
    lucky = board.place({"accuracy": 50.0})
    assert lucky.constant.system == "Guessing"
    table = board.table(placed, result.figures).splitlines()
    assert [line.split("|")[1].strip() for line in table[2:]] == ["Good", "**this run**", "Guessing", "Poor"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([{"text": "no"}], "must hold an id under one of id, idx"),
        ([3], "must be a mapping with an id"),
        ({"r0": 3}, "must be text or a mapping with a reply, not int"),
        ({"r0": {}}, "holds no reply"),
    ],
)
def test_predictions_that_are_none_are_told_in_one_line(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        Predictions.of(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "not json", "[1, 2", "3"])
def test_files_that_are_none_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"p\.json"):
        read(path)
    with pytest.raises(ValueError, match=r"nowhere\.json cannot be read"):
        read(tmp_path / "nowhere.json")
    with pytest.raises(ValueError, match="holds no predictions"):
        read(tmp_path / "..")


def test_bytes_in_no_encoding_are_read_as_well_as_can_be(toy: Toy, tmp_path: Path) -> None:
    (tmp_path / "r0.txt").write_bytes(b"\xb4\xeb\xc7\xd1 no")
    found = read(tmp_path)
    assert found.undecodable == 1
    assert toy.score(RECORDS[:1], found).figures["accuracy"] == 100


def test_ten_megabytes_empty_replies_and_refusals_are_graded_and_counted(toy: Toy) -> None:
    given = {
        "r0": "word " * 2_000_000 + "no",
        "r1": "",
        "r2": "I'm sorry, I can't help with that.",
        "r3": None,
    }
    result = toy.score(RECORDS, given)
    assert result.figures["accuracy"] == 25
    assert (result.counts.empty, result.counts.refused, result.counts.unparsed) == (2, 1, 2)
    assert refuses("As an AI language model") and not refuses("Sorry states exist: yes")


def test_records_with_one_id_and_none_at_all_are_refused(toy: Toy, as_users_run_it: None) -> None:
    with pytest.raises(ValueError, match="'r0' stands there twice"):
        toy.score([RECORDS[0], RECORDS[0]], {})
    with pytest.raises(ValueError, match="at least one record"):
        toy.score([], {})
    with pytest.raises(ValueError, match="mode must be one of published, strict"):
        toy.score(RECORDS, {}, mode="loose")
    with pytest.raises(ValueError, match="slug must be one of"):
        benchmark.find("nothing")
    with pytest.raises(ValueError, match="version must be one of 1, not '9'"):
        benchmark.find("toy", "9")


def test_saved_predictions_are_scored_by_name(toy: Toy, tmp_path: Path) -> None:
    result = benchmark.rescore("toy", RECORDS, _write(tmp_path / "p", "list"))
    assert result.as_dict()["figures"] == {"accuracy": 75.0}
    assert result.as_dict()["comparable"] is True
    assert str(result) == "toy 1 (published): accuracy 75; 4 of 4 predicted"


def test_every_shipped_board_is_sound() -> None:
    for slug in boards.slugs():
        for version in benchmark.find(slug).versions:
            board = boards.Leaderboard.load(slug, version)
            values = [row.figures[board.headline] for row in board.rows]
            assert values == sorted(values, reverse=board.better == "higher")
            assert all(row.source for row in board.rows)
            assert len(board.rows) >= 5
    with pytest.raises(ValueError, match="version of video_auto_arena must be one of 1, not '7'"):
        boards.Leaderboard.load("video_auto_arena", "7")
    with pytest.raises(ValueError, match="must have a source and the figure 'accuracy'"):
        boards.Leaderboard.of("toy", {**BOARD, "rows": [{"system": "x", "figures": {}}]})
    assert predictions.policy("skip") == "skip"
