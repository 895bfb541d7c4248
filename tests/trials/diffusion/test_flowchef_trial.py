"""The trials of FlowChef: their baseline, their meters, their faults, and what their rules can tell apart."""

from __future__ import annotations

import functools

import pytest
import torch

from sillok.methods.diffusion.flowchef import SteeredFlowMatchScheduler, inverse_cost
from sillok.testbeds import _new
from sillok.trials.diffusion import flowchef
from sillok.trials.diffusion.flowchef import (
    GRID,
    PROBLEMS,
    SCALE,
    FullJacobian,
    Meter,
    WrongSign,
    classifier,
    inverse,
    measured,
    network_of,
    psnr,
    scheduler_for,
    steer,
)
from sillok.verify import Paired, Run, Truth


@functools.cache
def random_flow():
    bed = _new("flow", "s")
    model = bed.build(0)
    for p in model.parameters():  # a fresh DiT puts out nothing at all
        p.data += 0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    bed.use(model)
    return bed


def test_the_baseline_differentiates_through_the_network() -> None:
    bed = random_flow()
    x = bed.noise(2, seed=1)
    y = measured(PROBLEMS["box"], bed.noise(2, seed=2).clamp(-1, 1), 0)
    cost = inverse_cost(PROBLEMS["box"], y)
    scheduler = scheduler_for("full")
    scheduler.set_timesteps(3)
    scheduler.set_cost(cost, scale=0.7)
    x = scheduler.step(torch.zeros_like(x), scheduler.timesteps[0], x.requires_grad_()).prev_sample.detach()
    t, sigma, after = scheduler.timesteps[1], scheduler.sigmas[1], scheduler.sigmas[2]
    leaf = x.clone().requires_grad_()
    v = bed.predict(bed.model, leaf, t, bed.unconditional(2))
    (gradient,) = torch.autograd.grad(cost(leaf - sigma * v).sum(), leaf)
    expected = x - 0.7 * gradient + (after - sigma) * v.detach()
    got = scheduler.step(network_of(bed, "full")(x, t), t, x).prev_sample.detach()
    torch.testing.assert_close(got, expected)
    # and what it adds to FlowChef's gradient is more than rounding
    (skipped,) = torch.autograd.grad(cost(leaf - sigma * v.detach()).sum(), leaf)
    assert (gradient - skipped).norm() > 0.01 * skipped.norm()


def test_arms_are_what_they_are_called() -> None:
    assert type(scheduler_for("full")) is FullJacobian
    assert type(scheduler_for("flowchef")) is type(scheduler_for("unguided")) is SteeredFlowMatchScheduler
    assert type(scheduler_for("flowchef", fault=True)) is WrongSign
    assert type(scheduler_for("full", fault=True)) is FullJacobian
    for scales in SCALE.values():
        assert set(scales) == {*PROBLEMS, "classifier"}
        assert set(scales.values()) <= set(GRID)


def test_only_the_baseline_keeps_activations_and_no_arm_calls_twice() -> None:
    bed = random_flow()
    y = measured(PROBLEMS["sr2"], bed.noise(2, seed=2).clamp(-1, 1), 0)
    cost = inverse_cost(PROBLEMS["sr2"], y)
    meters = {}
    for arm in ("full", "flowchef", "unguided"):
        meters[arm] = Meter(bed.model)
        steer(bed, arm, cost, 0.1, bed.noise(2, seed=1), 3, meter=meters[arm])
        assert meters[arm].calls == 3
    assert meters["flowchef"].saved == meters["unguided"].saved == 0
    tokens, width = 64, 128
    assert meters["full"].saved > 4 * 2 * tokens * width * 4  # one activation a block is the least
    # twice the images, twice the activations: the weights are not among them
    wide = Meter(bed.model)
    cost = inverse_cost(PROBLEMS["sr2"], torch.cat([y, y]))
    steer(bed, "full", cost, 0.1, bed.noise(4, seed=1), 3, meter=wide)
    assert wide.saved == pytest.approx(2 * meters["full"].saved, rel=0.02)


def test_the_fault_reverses_the_velocity() -> None:
    v, sigma = torch.ones(1, 3, 2, 2), torch.tensor(0.5)
    assert torch.equal(WrongSign._offset(v, sigma), -SteeredFlowMatchScheduler._offset(v, sigma))


def test_unguided_ignores_the_cost() -> None:
    bed = random_flow()
    outs = [
        steer(
            bed,
            "unguided",
            inverse_cost(PROBLEMS["box"], torch.full((1, 3, 32, 32), v)),
            1.0,
            bed.noise(1),
            3,
        )
        for v in (0.0, 1.0)
    ]
    assert torch.equal(*outs)


def test_psnr_and_measurements() -> None:
    truth = torch.zeros(2, 3, 32, 32)
    assert psnr(truth + 0.2, truth).tolist() == pytest.approx([20.0, 20.0])
    for operator in PROBLEMS.values():
        y = measured(operator, truth, 5)
        assert torch.equal(y, measured(operator, truth, 5))
        assert not torch.equal(y, measured(operator, truth, 6))
        assert float(y.std()) == pytest.approx(flowchef.NOISE, rel=0.05)


def table(trial, **arms: dict[str, float]) -> Paired:
    names = trial.judged
    return Paired(names, {arm: dict.fromkeys(range(5), arms[arm]) for arm in names}, "here")


FULL = {"psnr_box": 25.0, "psnr_sr2": 24.0, "psnr_blur": 22.0, "seconds": 1.0, "saved": 20.0}
GOOD = {"psnr_box": 24.6, "psnr_sr2": 25.0, "psnr_blur": 21.6, "seconds": 0.4, "saved": 0.0}


@pytest.mark.parametrize(
    ("chef", "expected"),
    [
        (GOOD, Truth.YES),
        (GOOD | {"psnr_blur": 21.4}, Truth.NO),
        (GOOD | {"psnr_box": 20.0}, Truth.NO),
        (GOOD | {"seconds": 0.7}, Truth.NO),
        (GOOD | {"saved": 0.1}, Truth.NO),
        (FULL, Truth.NO),  # the baseline itself
    ],
)
def test_the_rule_of_inverse_problems(chef: dict[str, float], expected: Truth) -> None:
    assert inverse.rule is not None
    assert inverse.rule(table(inverse, full=FULL, flowchef=chef)) is expected


def test_the_rule_of_classifier_guidance() -> None:
    assert classifier.rule is not None
    for share, expected in ((0.4, Truth.YES), (0.06, Truth.NO), (0.02, Truth.NO)):
        arms = {"unguided": {"recognised": 0.06}, "flowchef": {"recognised": share}}
        assert classifier.rule(table(classifier, **arms)) is expected


def test_runs_give_what_they_declare_from_the_same_noise() -> None:
    timed = {arm: inverse.body(Run(arm=arm, seed=0, scale="smoke")) for arm in ("full", "flowchef")}
    for found in timed.values():
        assert {*found.measures, *found.calls} == set(inverse.measures)
        assert found.measures["evaluations"] == 4
        found.calls["seconds"]()
    assert timed["flowchef"].measures["saved"] == 0 < timed["full"].measures["saved"]
    again = inverse.body(Run(arm="flowchef", seed=0, scale="smoke"))
    assert again.measures == timed["flowchef"].measures
    faulty = inverse.body(Run(arm="flowchef", seed=0, scale="smoke", fault=True))
    assert faulty.measures["psnr_blur"] < timed["flowchef"].measures["psnr_blur"] - 1
    led, plain = (classifier.body(Run(arm=arm, seed=0, scale="smoke")) for arm in ("flowchef", "unguided"))
    assert set(led) == set(plain) == set(classifier.measures)
    assert led["pleased"] > plain["pleased"]
    away = classifier.body(Run(arm="flowchef", seed=0, scale="smoke", fault=True))
    assert away["pleased"] <= plain["pleased"]
