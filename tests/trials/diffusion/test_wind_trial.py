"""The trial of WIND: its arms, its sampler and inversion, its fault, and what its rule can tell apart."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from sillok.testbeds import load
from sillok.trials.diffusion.wind import (
    ANGLES,
    ATTACKS,
    MILD,
    TABLE,
    Maker,
    answered,
    identification,
    population,
    sampler,
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


def test_arms_have_the_same_keys_and_the_baseline_no_pattern() -> None:
    shape = (3, 32, 32)
    winds = {
        arm: population(Run(arm=arm, seed=1, scale="smoke"), arm, shape, 640)
        for arm in ("exhaustive", "wind")
    }
    assert [wind.n_groups for wind in winds.values()] == [1, 64]
    other = population(Run(arm="wind", seed=2, scale="smoke"), "wind", shape, 640)
    assert not torch.equal(other.latents(5), winds["wind"].latents(5))


def test_answers_are_counted_by_scheme() -> None:
    wind = population(Run(arm="wind", seed=1, scale="smoke"), "wind", (3, 32, 32), 640)
    keys = [3, 70]
    whole = torch.cat([wind.latents(key) for key in keys])
    lost = torch.cat(
        [wind.latents(key, pattern=False) for key in keys]
    )  # stage 1 misses, the full search finds
    swapped = whole.flip(0)
    inverted = dict.fromkeys(ATTACKS, whole) | {"blur": lost, "crop75": swapped, "jpeg75": lost * 0 + 0.3}
    scores = answered(wind, inverted, keys)
    assert scores["accuracy_clean"] == scores["accuracy_blur"] == 1
    assert scores["accuracy_crop75"] == scores["accuracy_jpeg75"] == scores["rings_crop75"] == 0
    assert scores["accuracy"] == pytest.approx(6 / 7)
    assert scores["accuracy_fast"] == pytest.approx(5 / 7)
    assert scores["accuracy_rings"] == pytest.approx(5 / 7, abs=0.08)
    assert scores["comparisons_fast"] == 64 + 10
    assert scores["comparisons"] == pytest.approx(64 + 10 + 640 / 7)
    assert scores["wrong"] == pytest.approx(1 / 9)
    plain = population(Run(arm="exhaustive", seed=1, scale="smoke"), "exhaustive", (3, 32, 32), 640)
    baseline = answered(plain, dict.fromkeys(ATTACKS, plain.latents(3)), [3])
    assert (baseline["accuracy"], baseline["comparisons"], baseline["accuracy_rings"]) == (1, 640, 0)


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
    "accuracy_jpeg75": 1.0,
    "accuracy_noise02": 1.0,
    "accuracy_rings": 0.8,
    "false": 0.0,
}
EXHAUSTIVE = GOOD | {"comparisons": 10_000.0, "accuracy_rings": 0.0}


def table(wind: dict[str, float], scale: str = "full") -> Paired:
    rows = {"exhaustive": EXHAUSTIVE, "wind": GOOD | wind}
    return Paired(tuple(rows), {arm: dict.fromkeys(range(5), row) for arm, row in rows.items()}, scale)


@pytest.mark.parametrize(
    ("wind", "expected"),
    [
        ({}, Truth.YES),
        ({"accuracy_rings": 0.9}, Truth.YES),
        ({"accuracy_rings": 0.91}, Truth.NO),
        ({"comparisons": 1001.0}, Truth.NO),
        ({"accuracy_clean": 480 / 512}, Truth.NO),
        ({"accuracy_jpeg75": 480 / 512}, Truth.NO),
        ({"accuracy_noise02": 480 / 512}, Truth.NO),
        ({"accuracy_clean": 487 / 512}, Truth.UNKNOWN),  # 2,435 of 2,560
        ({"false": 0.05}, Truth.NO),
        (EXHAUSTIVE, Truth.NO),  # the baseline itself
    ],
)
def test_the_rule(wind: dict[str, float], expected: Truth) -> None:
    assert identification.rule is not None
    assert identification.rule(table(wind)) is expected


def test_a_few_images_show_no_small_rate() -> None:
    assert identification.rule is not None
    assert identification.rule(table({}, "here")) is Truth.YES  # no false key among 400
    assert identification.rule(table({}, "smoke")) is Truth.UNKNOWN  # nor among 20, which may be 16 %
    assert identification.rule(table({"false": 1 / 400}, "here")) is Truth.UNKNOWN  # may be 1.4 %
    assert identification.rule(table({"accuracy_clean": 23 / 24}, "here")) is Truth.UNKNOWN  # 115 of 120
    assert identification.rule(table({"accuracy_clean": 20 / 24}, "here")) is Truth.NO


def test_a_run_measures_what_it_declares_and_the_fault_costs_comparisons() -> None:
    whole, broken = (
        dict(identification.body(Run(arm="wind", seed=0, scale="smoke", fault=fault)))
        for fault in (False, True)
    )
    assert set(whole) == set(identification.measures)
    assert broken["rings_clean"] < 1 == whole["rings_clean"]
    assert broken["comparisons"] > whole["comparisons"] + 100
    again = dict(identification.body(Run(arm="wind", seed=0, scale="smoke")))
    assert again | {"seconds": 0} == whole | {"seconds": 0}


def test_its_picture_shows_every_attack() -> None:
    (picture,) = identification.pictures
    image = picture.draw()
    assert image.shape == (3 * (32 * 3 + 2) + 2, len(ATTACKS) * (32 * 3 + 2) + 2, 3)
    assert image.std() > 20
