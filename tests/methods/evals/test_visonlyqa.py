"""VisOnlyQA: reading replies as published and strictly, loading, scoring, the task, and figures with exact labels."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inspect_ai import eval
from inspect_ai.model import ContentImage, ModelOutput, ModelUsage, get_model
from PIL import Image

from sillok.methods.evals import benchmark
from sillok.methods.evals.geometry import ANGLES, RATIOS, TASKS, draw, geometry_generate, label_of, rotated
from sillok.methods.evals.visonlyqa import (
    SPLITS,
    VisOnlyQA,
    extract_answer,
    load_records,
    record_to_sample,
    split_of,
    visonlyqa,
    visonlyqa_score,
)

LETTERS, TRUTHS = ["a", "b", "c", "d", "e"], ["True", "False"]


@pytest.mark.parametrize(
    ("reply", "options", "published", "strict"),
    [
        ("b", LETTERS, "b", "b"),
        ("(b)", LETTERS, "b", "b"),
        ("**(b)**", LETTERS, "b", "b"),
        ("The answer is (b).", LETTERS, "b", "b"),  # letters of words do not count beside one in parentheses
        ("First (a), but rather (b)", LETTERS, None, "b"),
        ("The answer is b", LETTERS, None, "b"),  # "answer" holds a and e
        ("I think so", LETTERS, None, None),
        ("My pick", LETTERS, "c", None),
        ("Loud", LETTERS, "d", None),  # published: one letter within a word
        ("True", TRUTHS, "True", "True"),
        ("It is False that it is true", TRUTHS, "False", "False"),
        ("True or False? False.", TRUTHS, None, "False"),
        ("Untrue", TRUTHS, None, None),
        ("", LETTERS, None, None),
        ("x" * 10_000_000, LETTERS, None, None),
    ],
)
def test_single_answers(reply: str, options: list[str], published: str | None, strict: str | None) -> None:
    assert extract_answer(reply, options, "single_answer") == published
    assert extract_answer(reply, options, "single_answer", "strict") == strict


@pytest.mark.parametrize(
    ("reply", "strict"),
    [
        ("a,c", "a,c"),
        ("(c) and (a)", "a,c"),
        ("c, a", "a,c"),
        ("d", "d"),
        ("none", None),
        ("a, x", None),
        ("", None),
    ],
)
def test_multiple_answers_are_always_extracted_as_published(reply: str, strict: str | None) -> None:
    assert extract_answer(reply, LETTERS[:4], "multiple_answers") is None
    assert extract_answer(reply, LETTERS[:4], "multiple_answers", "strict") == strict


def question(at: int, answer: str, options: list[str], split: str = "geometry__length") -> dict[str, Any]:
    kind = "multiple_answers" if "," in answer or len(options) == 4 else "single_answer"
    category, _, task = split.partition("__")
    return {
        "id": f"q{at}",
        "image_path": f"images/{at}.png",
        "question": "?",
        "prompt_reasoning": "why?",
        "prompt_no_reasoning": "what?",
        "answer": answer,
        "question_type": kind,
        "response_options": options,
        "image_category": category,
        "task_category": task,
    }


RECORDS = [
    question(0, "b", LETTERS),
    question(1, "True", TRUTHS, "geometry__triangle"),
    question(2, "a,c", LETTERS[:4], "chemistry__shape_multi"),
]


def test_what_the_extractor_said_counts_as_published() -> None:
    replies = {
        "q0": {"response": "First (a), no, (b)", "extracted": "(b)"},
        "q1": {"response": "True"},
        "q2": {"response": "(c) and (a)", "extracted": "a, c"},
    }
    result = visonlyqa_score(RECORDS, replies)
    assert result.figures["all"] == 100
    assert result.figures["n_extracted"] == 2
    assert result.figures["geometry__triangle"] == 100
    assert (
        visonlyqa_score(RECORDS, {**replies, "q2": {"response": "x", "extracted": "c,a"}}).figures["all"] < 70
    )  # as text
    asked = []

    def extractor(reply: str, record: Any) -> str:
        asked.append(record["id"])
        return record["answer"]

    plain = {id: value["response"] for id, value in replies.items()}
    assert visonlyqa_score(RECORDS, plain, extractor).figures["all"] == 100
    assert asked == ["q0", "q2"]
    alone = visonlyqa_score(RECORDS, plain)
    assert alone.figures["all"] == pytest.approx(100 / 3)
    assert "2 replies went to no extractor and count as wrong" in alone.reasons
    assert visonlyqa_score(RECORDS, plain, mode="strict").figures["all"] == 100
    assert visonlyqa_score(RECORDS, {"q1": "True"}).figures["all"] == pytest.approx(
        100 / 3
    )  # the others count as wrong
    assert visonlyqa_score(RECORDS, {"q1": "True"}, missing="skip").figures["all"] == 100


def test_boards_hold_every_split_and_guessing() -> None:
    for version in VisOnlyQA.versions:
        board = VisOnlyQA(version)._board()
        assert len(board.rows) == 22
        assert {"all", *SPLITS[version]} <= set(board.figures)
        by_name = {row.system: row for row in board.rows}
        assert by_name["people"].kind == "people"
        mean = np.mean([by_name["GPT-4o"].figures[split] for split in SPLITS[version]])
        assert by_name["GPT-4o"].figures["all"] == pytest.approx(mean, abs=0.01)  # splits of equal size
        placed = board.place({"all": by_name["guessing"].figures["all"] - 1})
        assert placed.constant.system == "guessing"


def test_records_are_loaded_by_the_names_of_their_files(tmp_path: Path) -> None:
    for name in (*SPLITS["real"], "geometry__shape"):
        rows = [question(at, "a", LETTERS, "geometry__size") | {"id": f"{name}{at}"} for at in range(2)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    records = load_records("real", tmp_path)
    assert [split_of(record) for record in records] == [name for name in SPLITS["real"] for _ in range(2)]
    assert [split_of(r) for r in load_records("real", tmp_path / "charts__extraction.jsonl")] == [
        "charts__extraction"
    ] * 2
    with pytest.raises(ValueError, match="holds no split of synthetic"):
        load_records("synthetic", tmp_path)
    (tmp_path / "3d__size.jsonl").write_text('{"id": 1}')
    with pytest.raises(ValueError, match=r"\(3d__size\): row 0 has no 'question'"):
        load_records("synthetic", tmp_path)
    with pytest.raises(ValueError, match="split must be one of real, synthetic"):
        load_records("train")


@pytest.mark.parametrize("task", TASKS)
def test_generated_figures_have_exact_answers(task: str) -> None:
    records = geometry_generate(40, 3, task, pixels=16)
    again = geometry_generate(40, 3, task, pixels=16)
    assert [(r["question"], r["answer"]) for r in again] == [(r["question"], r["answer"]) for r in records]
    assert len({r["answer"] for r in records}) == len(records[0]["response_options"])
    for record in records:
        figure = record["figure"]
        assert record["answer"] in record["response_options"]
        assert record["split"] in SPLITS["synthetic"]
        if task in ("triangle", "quadrilateral"):
            denied = f"There is no {task}" in record["question"]
            assert (label_of(figure) == "True") == ((record["answer"] == "True") != denied)
        elif task in ("length", "area", "angle"):
            said = dict(part.split(") ") for part in record["question"].split(" (")[1:])
            stated = float(said[record["answer"]].split()[0])
            assert stated in (ANGLES if task == "angle" else RATIOS)
            assert float(label_of(figure)) == pytest.approx(stated, rel=1e-6)


@pytest.mark.parametrize("task", TASKS[:5])
def test_turning_a_figure_leaves_its_label(task: str) -> None:
    for record in geometry_generate(20, 4, task, pixels=16):
        figure = record["figure"]
        turned = {**figure, "points": rotated(figure["points"], 1.1)}
        same = (
            label_of(turned) == label_of(figure)
            if task in TASKS[:2]
            else pytest.approx(label_of(figure)) == label_of(turned)
        )
        assert same
        assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in turned["points"].values())
    assert not np.array_equal(np.asarray(draw(figure, pixels=32)), np.asarray(draw(turned, pixels=32)))


def test_a_polygon_lacking_a_side_or_crossing_itself_is_none() -> None:
    square = {"A": (0.2, 0.2), "B": (0.8, 0.2), "C": (0.8, 0.8), "D": (0.2, 0.8)}
    sides = [("A", "B"), ("B", "C"), ("C", "D"), ("D", "A")]
    figure = {"task": "quadrilateral", "points": square, "edges": sides, "named": list("ABCD")}
    assert label_of(figure) == "True"
    assert label_of({**figure, "named": list("DCBA")}) == "True"
    assert label_of({**figure, "edges": sides[:3]}) == "False"
    crossed = [("A", "B"), ("B", "D"), ("D", "C"), ("C", "A")]
    assert label_of({**figure, "edges": crossed, "named": list("ABDC")}) == "False"
    assert label_of({"task": "angle", "points": square, "edges": [], "named": list("ABC")}) == pytest.approx(
        90
    )


def test_styles_differ_and_pictures_are_drawn() -> None:
    plain, other = (geometry_generate(1, 0, "angle", style=style)[0] for style in ("plain", "other"))
    assert plain["figure"] == other["figure"]
    pixels = [np.asarray(r["decoded_image"]).astype(int) for r in (plain, other)]
    assert pixels[0].shape == (224, 224, 3)
    assert pixels[0][0, 0].tolist() == [255, 255, 255] != pixels[1][0, 0].tolist()
    assert (pixels[1].sum(2) < 450).sum() > (pixels[0].sum(2) < 450).sum() > 100
    for bad in ((0, "angle", "plain"), (1, "cube", "plain"), (1, "angle", "odd")):
        with pytest.raises(ValueError, match="n must be at least 1"):
            geometry_generate(bad[0], 0, bad[1], style=bad[2])


def test_the_task_shows_figures_and_asks_the_extractor_where_rules_do_not_decide(tmp_path: Path) -> None:
    records = geometry_generate(4, 0, "length", pixels=32)
    (tmp_path / "images").mkdir()
    rows = []
    for at, record in enumerate(records):
        record["decoded_image"].save(tmp_path / "images" / f"{at}.png")
        rows.append(
            {k: v for k, v in record.items() if k not in ("decoded_image", "figure")}
            | {"image_path": f"images/{at}.png"}
        )
    path = tmp_path / "syntheticgeometry__length.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))

    def outputs(texts: list[str]) -> Any:
        made = [ModelOutput.from_content("mockllm/model", text) for text in texts]
        for output in made:
            output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
        return get_model("mockllm/model", custom_outputs=made, memoize=False)

    said = [f"({records[0]['answer']})", "between (a) and (b)", "between (a) and (b)", records[3]["answer"]]
    options: dict[str, Any] = {
        "display": "none",
        "log_level": "error",
        "log_dir": str(tmp_path),
        "log_realtime": False,
        "max_samples": 1,
    }
    task = visonlyqa("synthetic", source=str(path), images=str(tmp_path))
    [log] = eval(
        task,
        model=outputs(said),
        model_roles={"grader": outputs([records[1]["answer"], "nothing"])},
        **options,
    )
    assert log.status == "success", log.error
    result = benchmark.result_of_log(log)
    assert result.figures["all"] == 75
    assert result.figures["n_extracted"] == 2
    assert "the extractor's prompt is in Sillok's words" in result.reasons
    [log] = eval(
        visonlyqa("synthetic", source=str(path), images=str(tmp_path), extractor="rules"),
        model=outputs(said),
        **options,
    )
    rules = benchmark.result_of_log(log)
    assert rules.figures["all"] == 50
    assert rules.figures["n_not_found"] == 2
    sample = record_to_sample(records[0])
    [image] = [part for part in sample.input[0].content if isinstance(part, ContentImage)]
    shown = Image.open(io.BytesIO(base64.b64decode(image.image.partition(",")[2])))
    assert np.array_equal(np.asarray(shown), np.asarray(records[0]["decoded_image"]))
    with pytest.raises(ValueError, match="has no picture"):
        record_to_sample(rows[0], folder=tmp_path / "nowhere")


def test_without_the_hub_inspects_command_says_so_in_a_line(tmp_path: Path) -> None:
    command = [
        Path(sys.executable).with_name("inspect"),
        "eval",
        "sillok/visonlyqa",
        "--model",
        "sillok/simulated",
    ]
    env = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "COLUMNS": "500"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert "Eval_Real is no file here, and the hub does not give it" in said
