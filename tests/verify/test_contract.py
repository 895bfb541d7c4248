"""What a trial may declare, and what its body is given."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sillok.verify import Measure, Run, Timed, Trial, trial
from sillok.verify.worker import checked, execute, judge

GOOD = {
    "paper": "2401.00001",
    "claim": "c",
    "arms": ("base", "method"),
    "measures": {"loss": "nats"},
    "minutes": {"smoke": 0.1, "here": 1},
    "fault": "broken",
}


def declare(**changes: object) -> Trial:
    return trial(**(GOOD | changes))(lambda run: {"loss": 1.0})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": ("base",)}, "at least two judged arms"),
        ({"arms": ("base", "peer"), "peers": ("peer",)}, "at least two judged arms"),
        ({"peers": ("nobody",)}, "must be among the arms"),
        ({"peers": ("base",)}, "baseline no peer"),
        ({"arms": ("base", "base")}, "each arm once"),
        ({"seeds": 2}, "three seeds at least"),
        ({"minutes": {"tiny": 1}}, "unknown scale 'tiny'"),
        ({"seeds": {"tiny": 3}}, "unknown scale 'tiny'"),
        ({"fault": ""}, "names the fault"),
    ],
)
def test_declarations_that_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        declare(**changes)


def test_a_declaration_becomes_plain_data() -> None:
    made = declare(
        measures={"loss": Measure("nats", "lower"), "time": Measure("s", timing=True)},
        needs={"here": ("gpu",)},
        seeds={"smoke": 3},
        arms=("base", "method", "peer"),
        peers=("peer",),
    )
    data = made.describe()
    assert data["seeds"] == {"smoke": 3, "here": 5}
    assert data["needs"] == {"smoke": [], "here": ["gpu"]}
    assert data["measures"]["time"] == {"unit": "s", "better": None, "timing": True, "text": ""}
    assert made.judged == ("base", "method")


def test_pick_takes_the_nearest_smaller_scale() -> None:
    assert Run(arm="a", seed=0, scale="full").pick(smoke=1, here=2) == 2
    assert Run(arm="a", seed=0, scale="smoke").pick(smoke=1, here=2) == 1
    with pytest.raises(ValueError, match="no value for scale 'smoke'"):
        Run(arm="a", seed=0, scale="smoke").pick(here=2)
    with pytest.raises(ValueError, match="unknown scale 'large'"):
        Run(arm="a", seed=0, scale="smoke").pick(large=2)


def test_randomness_is_the_same_in_every_arm_and_differs_by_seed_and_purpose() -> None:
    def draw(arm: str, seed: int, name: str) -> tuple[float, float]:
        run = Run(arm=arm, seed=seed, scale="smoke")
        return float(run.rng(name).normal()), torch.randn(1, generator=run.generator(name)).item()

    assert draw("base", 3, "data") == draw("method", 3, "data")
    assert len({draw("base", seed, name) for seed in range(3) for name in ("data", "noise")}) == 6


def test_curves_are_kept_without_holes() -> None:
    run = Run(arm="a", seed=0, scale="smoke")
    run.curve("c", [1, 2, 3], [1.0, math.nan, 2.0], x_label="x", y_label="y", log="xy")
    assert run.curves[0]["points"] == [[1.0, 1.0], [3.0, 2.0]]
    with pytest.raises(ValueError, match="2 x and 1 y"):
        run.curve("c", [1, 2], [1], x_label="x", y_label="y")


@pytest.mark.parametrize(
    ("measures", "message"),
    [({}, "no measure"), ({"speed": 1.0}, "does not declare"), ({"loss": math.inf}, "loss is inf")],
)
def test_measures_are_checked(measures: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked(measures, declare())


def test_a_rule_needs_three_pairs() -> None:
    made = declare()
    made.upheld_if(lambda paired: True)
    table = {arm: {seed: {"loss": 1.0} for seed in range(2)} for arm in ("base", "method")}
    assert judge(made, {"table": table, "scale": "here"})["verdict"] == "inconclusive"


def test_a_rule_that_raises_is_a_failure() -> None:
    made = declare()
    made.upheld_if(lambda paired: paired.ratio("speed").at_most(1))
    table = {arm: {seed: {"loss": 1.0} for seed in range(3)} for arm in ("base", "method")}
    answer = judge(made, {"table": table, "scale": "here"})
    assert answer["verdict"] == "failed"
    assert "measured no 'speed'" in answer["reason"]


def test_timed_calls_need_a_declaration() -> None:
    made = trial(**GOOD)(lambda run: Timed({"loss": lambda: None}))
    job = {
        "scale": "smoke",
        "device": "cpu",
        "runs": [{"label": "base", "arm": "base", "seed": 0, "fault": False}],
    }
    with pytest.raises(Exception, match="does not declare interleave"):
        execute(made, job, lambda share: None)


def test_pictures_are_declared_by_name_and_drawn_only_when_asked_for() -> None:
    made = declare()

    @made.pictured("before-after", "What there is to see.")
    def draw() -> np.ndarray:
        return np.zeros((2, 3, 3), np.uint8)

    (picture,) = made.pictures
    assert (picture.name, picture.caption) == ("before-after", "What there is to see.")
    assert picture.draw().shape == (2, 3, 3)
    assert "pictures" not in made.describe()  # nothing that decides whether earlier runs count
    with pytest.raises(ValueError, match="taken: 'before-after'"):
        made.pictured("before-after", "Again.")
    with pytest.raises(ValueError, match="letters, digits and hyphens"):
        made.pictured("a/b", "No slug.")
