"""The trial of WIND: its arms, its sampler and inversion, its fault, and what its rule can tell apart."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from sillok.methods.diffusion.wind import Detection
from sillok.testbeds import load
from sillok.trials.diffusion.wind import (
    ANGLES,
    ATTACKS,
    MILD,
    TABLE,
    Maker,
    identification,
    named,
    population,
    sampler,
    share,
)
from sillok.verify import Paired, Run, Truth


def test_attacks_are_the_papers_and_two_mild_ones() -> None:
    assert list(TABLE) == ["clean", "rotate75", "jpeg25", "crop75", "blur", "noise10", "brightness"]
    assert {name: ATTACKS[name] for name in MILD} == {"jpeg75": ("jpeg", 75.0), "noise02": ("noise", 0.02)}
    assert 75.0 in ANGLES
    steps = {b - a for a, b in pairwise(ANGLES)}
    assert (ANGLES[0], steps, ANGLES[-1]) == (0.0, {15.0}, 345.0)


def test_samplers_end_where_they_say() -> None:
    bed = load("ddpm", "s")
    ours, trailing = sampler(bed, "wind"), sampler(bed, "trailing")
    for scheduler in (ours, trailing):
        scheduler.set_timesteps(25)
    assert ours.timesteps[[0, -1]].tolist() == [961, 1]
    assert trailing.timesteps[[0, -1]].tolist() == [999, 39]
    assert float(ours.final_alpha_cumprod) == pytest.approx(1 - 8.5e-4)
    assert float(trailing.final_alpha_cumprod) == 1
    assert ours.config.prediction_type == "epsilon"
    assert not ours.config.clip_sample


def test_arms_share_keys_and_differ_as_they_are_called() -> None:
    shape = (3, 32, 32)
    runs = {arm: Run(arm=arm, seed=1, scale="smoke") for arm in ("exhaustive", "wind", "ringid", "fast")}
    winds = {arm: population(run, arm, shape, 640) for arm, run in runs.items()}
    assert [wind.n_groups for wind in winds.values()] == [1, 64, 64, 64]
    assert torch.equal(winds["wind"].latents(5), winds["ringid"].latents(5))
    other = population(Run(arm="wind", seed=2, scale="smoke"), "wind", shape, 640)
    assert not torch.equal(other.latents(5), winds["wind"].latents(5))
    lost = winds["wind"].latents(70, pattern=False)
    answers = {arm: named(arm, winds[arm], lost)[0] for arm in ("wind", "ringid", "fast")}
    assert answers["wind"].index == 70
    assert answers["fast"].index is None
    assert answers["ringid"].index == winds["wind"].group(lost)[0]
    assert [a.comparisons for a in answers.values()] == [64 + 10 + 640, 64, 64 + 10]
    whole = named("exhaustive", winds["exhaustive"], winds["exhaustive"].latents(70))[0]
    assert (whole.index, whole.comparisons) == (70, 640)


def test_share_counts_right_keys_alone() -> None:
    found = [Detection(index, 0, 1.0, 1) for index in (1, 2, None)]
    assert share(found, [1, 3, 2]) == pytest.approx(1 / 3)


def test_an_inverted_image_resembles_its_noise() -> None:
    bed, ticks = load("ddpm", "s"), []
    maker = Maker(bed, "wind", 8, "cpu", lambda: ticks.append(1))
    z = bed.noise(2, seed=3)
    back = maker.invert(maker.make(z, torch.tensor([0, 9])))
    assert len(ticks) == 16
    assert (torch.nn.functional.cosine_similarity(z.flatten(1), back.flatten(1)) > 0.5).all()
    assert (torch.nn.functional.cosine_similarity(z.flatten(1), back.flip(0).flatten(1)).abs() < 0.1).all()


GOOD = {
    "comparisons": 400.0,
    "accuracy": 0.9,
    "accuracy_clean": 1.0,
    "accuracy_jpeg75": 0.97,
    "accuracy_noise02": 1.0,
    "false": 0.0,
}
EXHAUSTIVE = GOOD | {"comparisons": 10_000.0}


def table(wind: dict[str, float], ringid: float = 0.8) -> Paired:
    rows = {"exhaustive": EXHAUSTIVE, "wind": GOOD | wind, "ringid": {"accuracy": ringid}}
    return Paired(tuple(rows), {arm: dict.fromkeys(range(5), row) for arm, row in rows.items()}, "here")


@pytest.mark.parametrize(
    ("wind", "ringid", "expected"),
    [
        ({}, 0.8, Truth.YES),
        ({}, 0.9, Truth.YES),
        ({}, 0.91, Truth.NO),
        ({"comparisons": 1001.0}, 0.8, Truth.NO),
        ({"accuracy_clean": 0.94}, 0.8, Truth.NO),
        ({"accuracy_jpeg75": 0.94}, 0.8, Truth.NO),
        ({"accuracy_noise02": 0.94}, 0.8, Truth.NO),
        ({"false": 0.02}, 0.8, Truth.NO),
        (EXHAUSTIVE, 0.8, Truth.NO),  # the baseline itself
    ],
)
def test_the_rule(wind: dict[str, float], ringid: float, expected: Truth) -> None:
    assert identification.rule is not None
    assert identification.rule(table(wind, ringid)) is expected


def test_a_run_measures_what_it_declares_and_the_fault_costs_comparisons() -> None:
    whole, broken = (
        dict(identification.body(Run(arm="wind", seed=0, scale="smoke", fault=fault)))
        for fault in (False, True)
    )
    assert set(whole) == set(identification.measures)
    assert broken["stage1"] < 1 == whole["stage1"]
    assert broken["comparisons"] > whole["comparisons"] + 100
    again = dict(identification.body(Run(arm="wind", seed=0, scale="smoke")))
    assert again | {"seconds": 0} == whole | {"seconds": 0}


def test_its_picture_shows_every_attack() -> None:
    (picture,) = identification.pictures
    image = picture.draw()
    assert image.shape == (3 * (32 * 3 + 2) + 2, len(ATTACKS) * (32 * 3 + 2) + 2, 3)
    assert image.std() > 20
