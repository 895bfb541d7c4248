"""PRMBench: loading, scoring as published and strictly, critics, token classifiers, the task, generated faults."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from inspect_ai import eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

from sillok.methods.evals import benchmark, parity
from sillok.methods.evals.prm_generate import prm_generate
from sillok.methods.evals.prm_scorers import from_pretrained, from_token_classifier
from sillok.methods.evals.prmbench import (
    CLASSES,
    GROUPS,
    REDUNDANCY,
    VALIDITY,
    PRMBench,
    clean_step,
    labels_by,
    load_records,
    prm_score,
    prmbench,
    shown,
)
from sillok.trials.evals.prm_models import STEP, classifier, tokenizer, verify_steps


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the authors' form: a file a class."""
    folder = tmp_path_factory.mktemp("prmbench")
    for name in CLASSES:
        rows = prm_generate(12, 5, [name])
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def records(data: Path) -> list[dict[str, Any]]:
    return load_records(data)


def labelled(records: list[dict[str, Any]], rule: Any) -> dict[str, Any]:
    return {
        r["idx"]: {"scores": {VALIDITY: [rule(r, at + 1) for at in range(len(r["steps"]))]}} for r in records
    }


def test_the_authors_format_is_loaded_with_sound_originals(
    data: Path, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert Counter(r["classification"] for r in records) == {**dict.fromkeys(CLASSES, 12), "correct": 12}
    assert all(r["idx"].startswith(r["classification"]) for r in records)
    assert load_records(data / "circular.jsonl") == [r for r in records if r["classification"] == "circular"]
    twice = tmp_path / "twice.jsonl"
    twice.write_text((data / "circular.jsonl").read_text() + "\n" + (data / "circular.jsonl").read_text())
    assert len(load_records(twice)) == 12
    (tmp_path / "old.jsonl").write_text('{"idx": 1, "question": "?"}')
    with pytest.raises(
        ValueError, match=r"row 0 has no 'original_question' .* is it a file of another version"
    ):
        load_records(tmp_path / "old.jsonl")
    for text in ("", "[1]", "nonsense"):
        (tmp_path / "none.json").write_text(text)
        with pytest.raises(ValueError, match=r"none\.json"):
            load_records(tmp_path / "none.json")


def test_perfect_constant_and_inverted_labels(records: list[dict[str, Any]]) -> None:
    perfect = prm_score(records, labelled(records, lambda r, step: step not in r["error_steps"])).figures
    assert perfect["overall"] == perfect["soundness"] == perfect["validity_rate"] == 100
    sound = prm_score(records, labelled(records, lambda r, step: True)).figures
    assert sound["class/multi_solutions"] == 100
    assert 40 < sound["overall"] < 48
    assert sound["f1_neg"] == 0
    wrong = prm_score(records, labelled(records, lambda r, step: step in r["error_steps"])).figures
    assert wrong["overall"] == 0
    unsound = prm_score(records, labelled(records, lambda r, step: False)).figures
    assert 5 < unsound["overall"] < 20


def test_overall_pools_counts_and_is_no_mean_of_groups(records: list[dict[str, Any]]) -> None:
    rng = np.random.default_rng(0)
    figures = prm_score(records, labelled(records, lambda r, step: bool(rng.random() < 0.8))).figures
    for group, names in GROUPS.items():
        assert figures[group] == pytest.approx(np.mean([figures[f"class/{name}"] for name in names]))
    assert figures["overall"] != pytest.approx(np.mean([figures[group] for group in GROUPS]), abs=0.1)


def test_labels_of_redundancy_count_where_steps_are_superfluous(records: list[dict[str, Any]]) -> None:
    found = labelled(records, lambda r, step: True)
    for record in records:
        superfluous = [at + 1 in record["error_steps"] for at in range(len(record["steps"]))]
        found[record["idx"]]["scores"][REDUNDANCY] = superfluous
    figures = prm_score(records, found).figures
    assert figures["simplicity"] == 100
    assert figures["soundness"] < 50  # the other classes go by validity


def test_strict_counts_every_step_once_and_no_ratio_below_nothing() -> None:
    record = {
        "idx": "circular_1",
        "question": "q",
        "steps": ["a", "b", "c", "d"],
        "error_steps": [2],
        "classification": "circular",
    }
    bench = PRMBench()
    short = bench.grade(record, bench_prediction([True]), "published")
    assert [short.values[k] for k in ("tp", "fp", "tn", "fn")] == [1, 0, 0, 0]
    assert short.notes == ("1 labels for 4 steps",)
    strict = bench.grade(record, bench_prediction([True]), "strict")
    assert [strict.values[k] for k in ("tp", "fp", "tn", "fn")] == [1, 1, 0, 2]
    long = bench.grade(record, bench_prediction([True] * 6), "published")
    assert long.values["tp"] == 5  # steps that are not there count as sound ones
    assert bench.grade(record, bench_prediction([True] * 6), "strict").values["tp"] == 3
    item = bench.grade(
        record, bench_prediction([True, True, True, False]), "published"
    )  # finds nothing, suspects one
    assert bench.total([item], "published")["class/circular"] == 0
    assert bench.total([item], "strict")["class/circular"] == pytest.approx(100 / 3)


def bench_prediction(labels: list[bool]) -> Any:
    from sillok.methods.evals.predictions import Prediction

    return Prediction("", {"scores": {VALIDITY: labels}})


def test_critics_replies_are_read_and_what_is_none_is_counted(records: list[dict[str, Any]]) -> None:
    few = records[:5]
    n = [len(record["steps"]) for record in few]
    good = json.dumps({"validity": [0.9] * n[0], "redundancy": [-1] * n[0]})
    replies = {
        few[0]["idx"]: f"Here you are: {{not json}} ```json\n{good}\n```",
        few[1]["idx"]: '{"validity": [1, 0, -1]}',
        few[2]["idx"]: '{"validity": ["high"], "redundancy": []}',
        few[3]["idx"]: "I'm sorry, I cannot judge this.",
        few[4]["idx"]: "",
    }
    result = prm_score(few, replies)
    assert result.counts.unparsed == 4
    assert result.counts.refused == 1
    asked = [r for r in few if r["classification"] != "correct"]
    parsed = few[0]["classification"] != "correct"
    assert result.figures["validity_rate"] == pytest.approx(100 * parsed / len(asked))
    assert any(reason.startswith("no item of") for reason in result.reasons)


def test_the_first_of_two_answers_counts_and_missing_ones_follow_the_policy(
    records: list[dict[str, Any]],
) -> None:
    good = labelled(records, lambda r, step: step not in r["error_steps"])
    rows = [{"idx": idx, **value} for idx, value in good.items()]
    rows += [
        {"idx": rows[0]["idx"], "scores": {VALIDITY: []}},
        {"idx": "nobody", "scores": {VALIDITY: [True]}},
    ]
    result = prm_score(records, rows)
    assert result.figures["overall"] == 100
    assert (result.counts.duplicated, result.counts.unknown) == (1, 1)
    half = {idx: value for at, (idx, value) in enumerate(good.items()) if at % 2}
    assert prm_score(records, half).figures["overall"] == 100
    assert prm_score(records, half, missing="penalise").figures["overall"] < 60


def test_ten_thousand_steps_of_nonsense_do_no_harm(records: list[dict[str, Any]]) -> None:
    reply = json.dumps({"validity": [1] * 1_000_000, "redundancy": [0] * 1_000_000})
    result = prm_score(records[:1], {records[0]["idx"]: reply}, mode="strict")
    assert result.counts.predicted == 1
    assert prm_score(records[:1], {records[0]["idx"]: "{" * 100_000}).counts.unparsed == 1


def test_parity_with_the_authors_function_on_generated_labels() -> None:
    report = parity.kept(Path(__file__).parent / "parity" / "prmbench.json.gz")
    assert report.commit == "a1ae4eab803e14c4c6316bf89d1679b0486faa8c"
    assert (report.cases, report.figures) == (150, 1950)
    assert report.equal, str(report)


@pytest.mark.parametrize("name", CLASSES)
def test_planted_faults_are_where_they_are_said_to_be(name: str) -> None:
    """An exact verifier that knows nothing of the plan finds them, and nothing else."""
    rows = prm_generate(80, 7, [name])
    assert prm_generate(80, 7, [name]) == rows != prm_generate(80, 8, [name])
    exact = [
        verify_steps(row["modified_question"], row["modified_process"])
        == [float(at + 1 not in row["error_steps"]) for at in range(len(row["modified_process"]))]
        for row in rows
    ]
    # a detour can undo the step before it, and a lure can be what the next step would be: some stay ambiguous
    assert np.mean(exact) > 0.8, name
    for row in rows:
        assert verify_steps(row["original_question"], row["original_process"]) == [1.0] * len(
            row["original_process"]
        )
        assert bool(row["error_steps"]) == (name != "multi_solutions")


def test_generated_classes_are_checked() -> None:
    with pytest.raises(ValueError, match="classes among redundency"):
        prm_generate(1, 0, ["redundancy"])
    with pytest.raises(ValueError, match="n must be at least 1"):
        prm_generate(0, 0)


def test_steps_lose_their_numbers_before_they_are_scored() -> None:
    assert [clean_step(s) for s in ("Step 3. So x = 2.", " step 12.  y", "4. z", "1.5 is half of 3")] == [
        "So x = 2.",
        "y",
        "z",
        "5 is half of 3",
    ]


def test_a_token_classifier_scores_each_step_at_its_mark(tmp_path: Path) -> None:
    model, words = classifier(0).eval(), tokenizer()
    score = from_token_classifier(model, words, STEP)
    question, steps = "start with 5 dimes , add 3 .", ["5 + 3 = 8", "8 dimes * 10 = 80 cents"]
    scores = score(question, steps)
    text = question + "\n" + "".join(step + STEP for step in steps)
    tokens = torch.tensor([words.encode(text, add_special_tokens=False)])
    with torch.no_grad():
        chances = model(tokens).logits.softmax(-1)[0, :, 1]
    assert scores == pytest.approx(
        [float(c) for c, t in zip(chances, tokens[0], strict=True) if t == words.encode(STEP)[0]]
    )
    assert len(scores) == 2
    with pytest.raises(ValueError, match="must be one token"):
        from_token_classifier(model, words, "5 + 3")
    with pytest.raises(ValueError, match="none may hold"):
        score(question, [f"5{STEP}"])
    model.save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    again = from_pretrained(str(tmp_path), STEP, device="cpu")(
        question, steps
    )  # the real loading code, on tiny weights
    assert again == pytest.approx(scores, abs=1e-5)
    with pytest.raises(ValueError, match="cannot be loaded as a token classifier"):
        from_pretrained(str(tmp_path / "nowhere"))


def test_a_chat_template_is_used_where_there_is_one() -> None:
    model, words = classifier(0).eval(), tokenizer()
    words.chat_template = (
        "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }} . {% endif %}{% endfor %}"
    )
    plain = from_token_classifier(model, tokenizer(), STEP)
    chat = from_token_classifier(model, words, STEP)
    assert len(chat("add 3", ["5 + 3 = 8"])) == 1
    assert chat("add 3", ["5 + 3 = 8"]) != plain("add 3", ["5 + 3 = 8"])


def test_the_task_runs_with_a_critic_and_with_a_step_scorer(data: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "display": "none",
        "log_level": "error",
        "log_dir": str(tmp_path),
        "log_realtime": False,
    }
    [log] = eval(prmbench(str(data), scorer=verify_steps), model="none", **options)
    assert log.status == "success", log.error
    result = benchmark.result_of_log(log)
    records = load_records(data)
    saved = prm_score(records, labels_by(verify_steps, records))
    shown_figures = {name: m.value for name, m in log.results.scores[0].metrics.items()}
    assert shown_figures == pytest.approx({k: v for k, v in saved.figures.items() if v is not None})
    assert result.figures == pytest.approx(saved.figures)
    assert result.figures["overall"] > 90
    reply = ModelOutput.from_content("mockllm/model", '{"validity": [1, 1], "redundancy": [-1, -1]}')
    reply.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
    critic = get_model("mockllm/model", custom_outputs=[reply] * 4, memoize=False)
    [log] = eval(prmbench(str(data), limit=4), model=critic, **options)
    assert log.status == "success", log.error
    result = benchmark.result_of_log(log)
    assert result.counts.unparsed == 0
    assert "4 records, and 6969 are published" in result.reasons
    assert "<steps>\nStep 1: " in shown(records[0])
