"""The trials of AMO: the exact field and its error, the arms, the fault, and what the rules can tell apart."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from scipy.stats import wasserstein_distance

from sillok import testbeds
from sillok.methods.diffusion.amo import OvershootFlowMatchScheduler
from sillok.trials.diffusion import amo
from sillok.trials.diffusion.amo import (
    MODES,
    Noiseless,
    centres,
    correction,
    drawn,
    lettering,
    mistaken,
    mixture,
    scheduler_for,
    sliced_wasserstein,
    velocity,
)
from sillok.trials.diffusion.loop import denoise
from sillok.verify import Paired, Run, Truth


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_velocity_is_the_conditional_mean() -> None:
    # by its score: with p the density of x, E[noise | x] = -sigma grad log p(x) (Tweedie)
    x = torch.randn(64, 2, generator=generator(0), dtype=torch.float64)
    for sigma in (0.05, 0.4, 0.95):
        t = 1 - sigma
        leaf = x.clone().requires_grad_()
        variance = (t * amo.WIDTH) ** 2 + sigma**2
        log = (-(leaf[:, None] - t * centres()).square().sum(-1) / (2 * variance)).logsumexp(1)
        (score,) = torch.autograd.grad(log.sum(), leaf)
        noise = -sigma * score
        x0 = (x - sigma * noise) / t
        torch.testing.assert_close(velocity(x, sigma), noise - x0, atol=1e-9, rtol=1e-9)


def test_with_the_exact_velocity_euler_finds_the_mixture_and_the_error_leads_away() -> None:
    data = mixture(4096, generator(1))
    start = torch.randn(4096, 2, generator=generator(2))
    floor = sliced_wasserstein(mixture(4096, generator(3)), data)
    exact = denoise(
        lambda x, t: velocity(x, float(t) / 1000), FlowMatchEulerDiscreteScheduler(), None, start, {}, 100
    )
    wrong = denoise(mistaken, FlowMatchEulerDiscreteScheduler(), None, start, {}, 100)
    assert sliced_wasserstein(exact.double(), data) < floor + 0.03
    assert sliced_wasserstein(wrong.double(), data) > floor + 0.05


def test_the_distance_is_known_for_a_shift_and_in_one_dimension() -> None:
    a = mixture(500, generator(0))
    assert sliced_wasserstein(a, a) == 0
    # a shift by d is |d cos| in each direction, whose mean square is d^2 / 2
    assert sliced_wasserstein(a, a + torch.tensor([0.6, 0.0])) == pytest.approx(0.6 / math.sqrt(2), rel=1e-6)
    b = torch.zeros(500, 2, dtype=torch.float64)
    b[:, 0] = torch.randn(500, generator=generator(1), dtype=torch.float64)
    c = b + torch.tensor([0.3, 0.0])
    assert sliced_wasserstein(b, c, angles=1) == pytest.approx(wasserstein_distance(b[:, 0], c[:, 0]))


def test_the_mixture_has_eight_modes() -> None:
    points = mixture(8000, generator(0))
    nearest = torch.cdist(points, centres()).argmin(1)
    assert int(nearest.bincount(minlength=MODES).min()) > 850
    assert float((points - centres()[nearest]).std()) == pytest.approx(amo.WIDTH, rel=0.05)


def test_arms_are_what_they_are_called() -> None:
    assert type(scheduler_for(0.0)) is type(scheduler_for(0.0, True)) is FlowMatchEulerDiscreteScheduler
    assert type(scheduler_for(2.0)) is OvershootFlowMatchScheduler
    assert scheduler_for(2.0).config.overshoot == 2.0
    faulty = scheduler_for(2.0, True)
    assert type(faulty) is Noiseless
    faulty.set_timesteps(4)
    x, v = torch.ones(1, 2), torch.zeros(1, 2)
    out = faulty.step(v, faulty.timesteps[1], x, generator=generator(0)).prev_sample
    again = faulty.step(v, faulty.timesteps[2], x, generator=generator(0)).prev_sample
    assert float(out[0, 0]) < 1  # scaled back, without noise
    assert torch.equal(again[0, :1], again[0, 1:])


def table(trial, **arms: dict[str, float]) -> Paired:
    return Paired(trial.judged, {a: dict.fromkeys(range(5), arms[a]) for a in trial.judged}, "here")


EULER = {"swd_8": 0.3, "swd_16": 0.2, "swd_32": 0.2}


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"swd_8": 0.29, "swd_16": 0.1, "swd_32": 0.1}, Truth.YES),
        ({"swd_8": 0.31, "swd_16": 0.1, "swd_32": 0.1}, Truth.NO),
        ({"swd_8": 0.29, "swd_16": 0.1, "swd_32": 0.2}, Truth.NO),
        (EULER, Truth.NO),  # the baseline itself
    ],
)
def test_the_rule_of_the_mixture(other: dict[str, float], expected: Truth) -> None:
    assert correction.rule is not None
    assert correction.rule(table(correction, euler=EULER, overshoot=other)) is expected


PLAIN = {"texture_28": 0.02, "won": 0.0, "lost": 0.0}


@pytest.mark.parametrize(
    ("one", "everywhere", "expected"),
    [
        ({"won": 10, "lost": 2, "texture_28": 0.019}, {"texture_28": 0.01}, Truth.YES),
        ({"won": 10, "lost": 2, "texture_28": 0.021}, {"texture_28": 0.01}, Truth.YES),  # either way
        ({"won": 10, "lost": 9, "texture_28": 0.019}, {"texture_28": 0.01}, Truth.UNKNOWN),
        ({"won": 2, "lost": 10, "texture_28": 0.019}, {"texture_28": 0.01}, Truth.NO),
        ({"won": 10, "lost": 2, "texture_28": 0.005}, {"texture_28": 0.01}, Truth.NO),
        (PLAIN, PLAIN, Truth.NO),  # the baseline itself
    ],
)
def test_the_rule_of_the_numbers(one: dict, everywhere: dict, expected: Truth) -> None:
    assert lettering.rule is not None
    arms = {"euler": PLAIN, "amo": PLAIN | one, "uniform": PLAIN | everywhere}
    assert lettering.rule(table(lettering, **arms)) is expected


def test_runs_of_the_mixture_share_their_noise() -> None:
    euler, again, over = (
        dict(correction.body(Run(arm=arm, seed=0, scale="smoke"))) for arm in ("euler", "euler", "overshoot")
    )
    assert euler == again
    assert euler["swd_exact"] == over["swd_exact"]
    assert set(over) == set(correction.measures)
    assert euler["swd_32"] != over["swd_32"]
    assert correction.body(Run(arm="c3", seed=0, scale="smoke")) != over


@functools.cache
def random_strings():
    bed = testbeds._new("flow-strings", "s")
    model = bed.build(0)
    for p in model.parameters():  # fresh output layers are zero
        p.data += 0.05 * torch.randn(p.shape, generator=generator(p.numel()))
    bed.use(model)
    return bed


@pytest.fixture
def untrained(monkeypatch):
    monkeypatch.setattr(amo, "load", lambda name, size: random_strings())
    drawn.cache_clear()
    yield
    drawn.cache_clear()


@pytest.mark.usefixtures("untrained")
def test_runs_of_the_numbers_give_what_they_declare() -> None:
    found = {arm: lettering.body(Run(arm=arm, seed=0, scale="smoke")) for arm in lettering.arms}
    for timed in found.values():
        assert {*timed.measures, *timed.calls} == set(lettering.measures)
    assert found["euler"].measures["won"] == found["euler"].measures["lost"] == 0
    found["amo"].calls["seconds"]()


@pytest.mark.usefixtures("untrained")
def test_attention_holds_overshooting_back() -> None:
    pictures = {arm: drawn(arm, 0, 1, 4, 6)[1] for arm in ("euler", "amo", "uniform")}
    steps = [(pictures[arm] - pictures["euler"]).norm() for arm in ("amo", "uniform")]
    assert 0 < float(steps[0]) < float(steps[1])
    assert torch.equal(drawn("amo", 0, 1, 4, 6)[1], pictures["amo"])
    drawn.cache_clear()
    assert torch.equal(drawn("amo", 0, 1, 4, 6)[1], pictures["amo"])
    assert not torch.equal(drawn("amo", 0, 1, 4, 6, True)[1], pictures["amo"])


@pytest.mark.usefixtures("untrained")
def test_guidance_is_swept_for_euler_and_one_needs_one_branch(monkeypatch) -> None:
    monkeypatch.setattr(amo, "JUDGED", 2)
    found = amo.sweep((1.0, 2.0), count=2)
    assert set(found) == {1.0, 2.0}
    assert all(0 <= share <= 1 for share in found.values())
    bed = random_strings()
    both = (bed.condition(["123", "456"]), bed.unconditional(2))
    calls = []
    handle = bed.model.register_forward_hook(lambda *_: calls.append(1))
    try:
        for guidance, expected in ((1.0, 3), (2.0, 6)):
            calls.clear()
            amo.sampled(bed, "amo", bed.noise(2), both, 3, generator(0), guidance=guidance)
            assert len(calls) == expected
    finally:
        handle.remove()
