"""Label sets for parity with PRMBench's `evaluate_function`, and what Sillok makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from sillok.methods.evals.prmbench import CLASSES, CORRECT, REDUNDANCY, VALIDITY, PRMBench

FIGURES = ("overall", "f1", "f1_neg", "validity_rate")


def parity_cases(seed: int, n: int) -> list[dict[str, Any]]:
    """`n` small data sets of the nine classes with labels: too few or many, repeated, unparsed, constant, coin."""
    rng = np.random.default_rng([seed, 43])
    cases = []
    for _ in range(n):
        records, results = [], []
        skill = rng.choice([0.0, 0.5, 0.8, 1.0, 2.0, 3.0])  # 2: all sound, 3: all unsound
        for name in (*CLASSES, CORRECT):
            for at in range(int(rng.integers(1, 4))):
                record, result = _item(rng, f"{name}_{at}", name, float(skill))
                records.append(record)
                results.append(result)
                if rng.random() < 0.1:  # a second answer, which does not count
                    results.append(_item(rng, f"{name}_{at}", name, 0.5)[1])
        results.append(_item(rng, "unknown_1", CLASSES[0], 0.5)[1])
        cases.append({"records": records, "results": results})
    return cases


def _item(
    rng: np.random.Generator, idx: str, name: str, skill: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    steps = int(rng.integers(2, 12))
    faulty = (
        []
        if name in (CORRECT, "multi_solutions")
        else sorted({int(s) for s in rng.integers(1, steps + 2, 2)})
    )
    record = {
        "idx": idx,
        "question": "q",
        "steps": ["s"] * steps,
        "error_steps": faulty,
        "classification": name,
    }
    length = max(0, steps + int(rng.choice([0, 0, 0, 0, 1, -1, -steps])))
    truth = [at + 1 not in faulty for at in range(length)]
    right = rng.random(length) < min(skill, 1.0)
    labels = [bool(t == r) for t, r in zip(truth, right, strict=True)]
    if skill > 1:
        labels = [skill == 2.0] * length
    scores: dict[str, Any] = {VALIDITY: labels}
    if rng.random() < 0.5:
        scores[REDUNDANCY] = [bool(x) for x in rng.random(length) < 0.3]
    result: dict[str, Any] = {"idx": idx, "scores": scores}
    if rng.random() < 0.05:
        result = {"idx": idx, "scores": {}, "validity": False}
    elif rng.random() < 0.3:
        result["validity"] = True
    return record, result


def parity_score(case: dict[str, Any]) -> dict[str, Any]:
    """Overall figures and the score of each class, as shares."""
    result = PRMBench().score(case["records"], case["results"])
    names = [*FIGURES, *(f"class/{name}" for name in CLASSES)]
    return {name: value / 100 for name in names if (value := result.figures.get(name)) is not None}
