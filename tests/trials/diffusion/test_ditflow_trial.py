"""The trials of motion transfer: same work for every arm, scores that know the truth, rules that can fail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sillok import testbeds
from sillok.testbeds import load
from sillok.testbeds.movers import movers, sample_movers
from sillok.testbeds.shapes import COLOURS
from sillok.testbeds.tracks import patch_displacements
from sillok.testbeds.video import FlowVideo
from sillok.trials.diffusion import ditflow
from sillok.trials.diffusion.ditflow import (
    attention,
    endpoint_errors,
    extract,
    generate,
    guide_for,
    motion,
    scores,
    work_for,
)
from sillok.verify import Paired, Run, Truth


@pytest.fixture(scope="module")
def bed() -> Any:
    """The testbed with random weights."""
    made = FlowVideo("s")
    made.use(made.build(0))
    return made


@pytest.fixture
def untrained(bed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trials' own `load` gives the testbed with random weights, and the real judge."""
    monkeypatch.setattr(
        ditflow, "load", lambda name, size: bed if name == "flow-video" else testbeds.load(name, size)
    )


def test_captions_are_of_another_shape_and_colour_and_headings_go_round(bed: Any) -> None:
    work, again = (work_for(bed, 8, 3, 5) for _ in range(2))
    assert torch.equal(work.videos, again.videos)
    assert torch.equal(work.noise, again.noise)
    assert work.headings.tolist() == [0, 1, 2, 3] * 2
    seen = load("clips", "s").model(work.videos.flatten(1, 2))[0].argmax(1)
    assert ((seen % 4) == work.headings).float().mean() > 0.8
    still = seen // 4
    assert ((still // len(COLOURS)) != (work.stills // len(COLOURS))).float().mean() > 0.8
    assert ((still % len(COLOURS)) != (work.stills % len(COLOURS))).float().mean() > 0.8


def test_a_clip_that_moves_as_its_reference_scores_one(bed: Any) -> None:
    work = work_for(bed, 8, 3, 6)
    labels = work.stills * 4 + work.headings
    judge = load("clips", "s").model
    right = scores(judge, movers("val", 8, seed=3, labels=labels.numpy()).videos, work)
    assert right["fidelity"] > 0.97
    assert right["accuracy"] == right["heading"] == right["found"] == 1
    back = scores(
        judge, movers("val", 8, seed=3, labels=(labels // 4 * 4 + (labels + 2) % 4).numpy()).videos, work
    )
    assert back["fidelity"] < -0.97
    assert back["heading"] == 0
    assert scores(judge, work.videos, work)["distance"] == 0
    noise = scores(judge, torch.zeros_like(work.videos), work)
    assert noise["fidelity"] == noise["found"] == 0


def test_arms_are_what_they_are_called(bed: Any) -> None:
    guides = {arm: guide_for(bed, arm, 25) for arm in ("ditflow", "injection", "smm", "rho", "rho_injected")}
    assert {arm: (g.optimise, g.objective, g.inner_steps) for arm, g in guides.items()} == {
        "ditflow": ("latent", "amf", 5),
        "injection": ("latent", "amf", 0),
        "smm": ("latent", "smm", 5),
        "rho": ("embedding", "amf", 5),
        "rho_injected": ("embedding", "amf", 5),
    }
    assert {g.guided_steps for g in guides.values()} == {9}


def test_the_fault_follows_a_reference_that_goes_the_other_way(bed: Any) -> None:
    work = work_for(bed, 4, 3, 7)
    guide = guide_for(bed, "ditflow", 3)
    right, wrong = (extract(bed, work.videos, guide, fault) for fault in (False, True))
    assert torch.equal(wrong.latents, right.latents[[2, 3, 0, 1]])
    assert ((work.headings + 2) % 4).tolist() == work.headings[[2, 3, 0, 1]].tolist()


def test_the_backbone_is_the_testbeds_own_sampler(bed: Any) -> None:
    work = work_for(bed, 2, 3, 8)
    bed_noise, bed.noise = bed.noise, lambda n, seed=0: work.noise
    try:
        captions = ditflow.captions(work.stills.numpy())
        expected = bed.sample(captions, guidance=ditflow.GUIDANCE, steps=3)
    finally:
        bed.noise = bed_noise
    torch.testing.assert_close(generate(bed, "backbone", work, None), expected, atol=1e-4, rtol=1e-4)


def test_endpoint_error_of_the_truth_is_zero_and_of_its_reverse_twice_that_of_rest() -> None:
    clips = sample_movers(5, seed=2, split="val")
    truth, _ = patch_displacements(clips)
    assert endpoint_errors(truth, clips)[0] == 0
    error, still = endpoint_errors(np.zeros_like(truth), clips)
    assert error == still
    assert 0.6 < still < 2  # a mover crosses one and a half to two and a half patches in seven steps
    assert endpoint_errors(-truth, clips)[0] == pytest.approx(2 * still)


@pytest.mark.parametrize("arm", motion.arms)
def test_every_arm_runs_and_counts_what_it_costs(arm: str, untrained: None) -> None:
    found = dict(motion.body(Run(arm=arm, seed=0, scale="smoke")))
    assert set(found) == set(motion.measures)
    plain = 2 * 4  # two branches, and four steps, two of which are guided
    assert found["calls"] == plain + 2 * {"backbone": 0, "injection": 1, "rho_injected": 1}.get(arm, 1 + 5)
    again = dict(motion.body(Run(arm=arm, seed=0, scale="smoke")))
    assert {k: v for k, v in found.items() if k != "seconds"} == {
        k: v for k, v in again.items() if k != "seconds"
    }


def test_attention_is_measured_at_every_block(untrained: None) -> None:
    def once(arm: str, fault: bool = False) -> dict[str, float]:
        return dict(attention.body(Run(arm=arm, seed=0, scale="smoke", fault=fault)))

    zero, amf = once("zero"), once("amf")
    assert set(zero) == set(amf) == set(attention.measures)
    assert len(set(zero.values())) == 1
    assert amf["error"] == amf[f"error_{ditflow.BLOCK}"] != zero["error"]
    assert once("amf", fault=True)["error"] != amf["error"]


def table(trial: Any, changes: dict[str, dict[str, float]], spread: float = 0.0) -> Truth:
    base = {"fidelity": 0.1, "accuracy": 0.9, "error": 1.5}
    rows: dict[str, dict[int, dict[str, float]]] = {
        arm: {
            s: {
                k: v + (spread * (s - 2) if arm == trial.arms[1] else 0)
                for k, v in (base | changes.get(arm, {})).items()
            }
            for s in range(5)
        }
        for arm in trial.judged
    }
    return Truth.of(trial.rule(Paired(trial.judged, rows, "here")))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ditflow": {"fidelity": 0.6}}, Truth.YES),
        ({"ditflow": {"fidelity": 0.6, "accuracy": 0.86}}, Truth.YES),
        ({"ditflow": {"fidelity": 0.6, "accuracy": 0.8}}, Truth.NO),
        ({"ditflow": {"fidelity": 0.6}, "injection": {"fidelity": 0.7}}, Truth.NO),
        ({"ditflow": {"fidelity": -0.2}}, Truth.NO),
        ({}, Truth.NO),  # the baseline itself
    ],
)
def test_the_rule_of_motion(changes: dict[str, dict[str, float]], expected: Truth) -> None:
    assert table(motion, changes) is expected


def test_fidelity_that_the_seeds_do_not_settle_is_inconclusive() -> None:
    assert table(motion, {"ditflow": {"fidelity": 0.15}}, spread=0.1) is Truth.UNKNOWN


@pytest.mark.parametrize(("error", "expected"), [(0.6, Truth.YES), (0.8, Truth.NO), (1.5, Truth.NO)])
def test_the_rule_of_attention(error: float, expected: Truth) -> None:
    assert table(attention, {"amf": {"error": error}}) is expected
