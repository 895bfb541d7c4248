"""Conversions between predictions: exact inverses, and the scheduler's own x0 as the witness."""

from __future__ import annotations

import diffusers
import pytest
import torch

from sillok.methods.diffusion.prediction import KINDS, convert, from_denoised, point, to_denoised

TABLE = ["DDIMScheduler", "DDPMScheduler", "PNDMScheduler", "LCMScheduler", "TCDScheduler"]
SOLVER = [
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
    "UniPCMultistepScheduler",
    "SASolverScheduler",
]
EXPLODING = [
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "LMSDiscreteScheduler",
]
FLOW = [
    "FlowMatchEulerDiscreteScheduler",
    "FlowMatchHeunDiscreteScheduler",
    "FlowMatchLCMScheduler",
]
EDM = ["EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"]


def noise(seed: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(3, 4, 6, 6, generator=torch.Generator().manual_seed(seed)).to(dtype)


def make(name: str, steps: int = 8, **config):
    scheduler = getattr(diffusers, name)(**config)
    scheduler.set_timesteps(steps)
    return scheduler


@pytest.mark.parametrize("name", [*TABLE, *SOLVER, *EXPLODING, *FLOW, *EDM])
def test_from_denoised_inverts_to_denoised_at_every_step(name: str) -> None:
    scheduler = make(name)
    x, pred = noise(0), noise(1)
    for t in scheduler.timesteps:
        back = from_denoised(to_denoised(pred, x, scheduler, t), x, scheduler, t)
        torch.testing.assert_close(back, pred, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("name", ["DDIMScheduler", "EulerDiscreteScheduler", "DPMSolverMultistepScheduler"])
def test_three_kinds_invert_in_double_precision(name: str, kind: str) -> None:
    scheduler = make(name, prediction_type=kind)
    x, pred = noise(0, torch.float64), noise(1, torch.float64)
    for t in scheduler.timesteps:
        back = from_denoised(to_denoised(pred, x, scheduler, t), x, scheduler, t)
        torch.testing.assert_close(back, pred, atol=1e-9, rtol=1e-9)


OWN_X0 = [
    *((name, kind) for name in TABLE[:2] for kind in ("epsilon", "v_prediction", "sample")),
    *((name, kind) for name in EXPLODING for kind in ("epsilon", "v_prediction")),
    ("EulerDiscreteScheduler", "sample"),
    ("HeunDiscreteScheduler", "sample"),
    ("EDMEulerScheduler", "epsilon"),
    ("EDMEulerScheduler", "v_prediction"),
]


@pytest.mark.parametrize(("name", "kind"), OWN_X0)
def test_agrees_with_the_x0_that_the_scheduler_gives(name: str, kind: str) -> None:
    config = {"clip_sample": False} if name in TABLE else {}
    scheduler = make(name, prediction_type=kind, **config)
    x = noise(0) * scheduler.init_noise_sigma
    for i, t in enumerate(scheduler.timesteps):
        pred = noise(i + 1)
        mine = to_denoised(pred, x, scheduler, t)
        scheduler.scale_model_input(x, t)
        out = scheduler.step(pred, t, x)
        torch.testing.assert_close(mine, out.pred_original_sample, atol=5e-4, rtol=5e-4)
        x = out.prev_sample


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample", "flow_prediction"])
@pytest.mark.parametrize("name", SOLVER)
def test_agrees_with_the_solvers_own_conversion(name: str, kind: str) -> None:
    flow = {"use_flow_sigmas": True, "flow_shift": 3.0} if kind == "flow_prediction" else {}
    scheduler = make(name, prediction_type=kind, **flow)
    x = noise(0)
    scheduler._init_step_index(scheduler.timesteps[0])
    for i, t in enumerate(scheduler.timesteps):
        pred = noise(i + 1)
        mine = to_denoised(pred, x, scheduler, t)
        theirs = scheduler.convert_model_output(pred, sample=x)  # x0, and noise from DEIS
        if name == "DEISMultistepScheduler":
            mine = convert(pred, x, scheduler, t, to="epsilon")
        torch.testing.assert_close(mine, theirs, atol=5e-4, rtol=5e-4)
        scheduler._step_index += 1


@pytest.mark.parametrize("name", FLOW)
def test_flow_is_noise_minus_image(name: str) -> None:
    scheduler = make(name, shift=3.0)
    image, eps = noise(0), noise(1)
    for t in scheduler.timesteps:
        sigma = point(scheduler, t).sigma.float()
        x = (1 - sigma) * image + sigma * eps
        torch.testing.assert_close(to_denoised(eps - image, x, scheduler, t), image, atol=1e-5, rtol=1e-5)
    assert float(point(scheduler, scheduler.timesteps[0]).sigma) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    "name", ["DDIMScheduler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"]
)
@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
def test_every_kind_from_every_other(name: str, source: str, target: str) -> None:
    scheduler = make(name)
    t = scheduler.timesteps[3]
    here = point(scheduler, t)
    image, eps = noise(0, torch.float64), noise(1, torch.float64)
    a, s = here.alpha, here.sigma
    norm = (a.square() + s.square()).sqrt()
    x = a * image + s * eps
    truth = {
        "epsilon": eps,
        "v_prediction": (a * eps - s * image) / norm,
        "flow_prediction": eps - image,
        "sample": image,
    }
    found = convert(truth[source], x, scheduler, t, to=target, of=source)
    torch.testing.assert_close(found, truth[target], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", ["EulerDiscreteScheduler", "EDMEulerScheduler", "DDIMScheduler"])
def test_unscale_inverts_scale_model_input(name: str) -> None:
    scheduler = make(name)
    x = noise(0) * 5
    t = scheduler.timesteps[2]
    scaled = scheduler.scale_model_input(x, t) if name != "EDMEulerScheduler" else None
    if scaled is None:
        scheduler._init_step_index(t)
        scaled = scheduler.scale_model_input(x, t)
    torch.testing.assert_close(point(scheduler, t).unscale(scaled), x, atol=1e-4, rtol=1e-5)


def test_one_timestep_an_item() -> None:
    scheduler = make("DDIMScheduler")
    times = torch.tensor([10, 500, 990])
    x, pred = noise(0), noise(1)
    together = to_denoised(pred, x, scheduler, times)
    alone = torch.cat([to_denoised(pred[i : i + 1], x[i : i + 1], scheduler, times[i]) for i in range(3)])
    torch.testing.assert_close(together, alone)


def test_half_precision_goes_through_float64() -> None:
    scheduler = make("DDIMScheduler")
    x, pred = noise(0, torch.float16), noise(1, torch.float16)
    x0 = to_denoised(pred, x, scheduler, 999)
    assert x0.dtype == torch.float32
    assert x0.isfinite().all()
    assert torch.equal(from_denoised(x0, x, scheduler, 999).half(), pred)


def test_heun_takes_the_step_it_is_at() -> None:
    scheduler = make("HeunDiscreteScheduler")
    times = scheduler.timesteps
    assert float(times[1]) == float(times[2])
    scheduler._step_index = 2
    assert float(point(scheduler, times[2]).sigma) == float(scheduler.sigmas[2])


class Mine(diffusers.DDIMScheduler):
    """A user's own subclass."""


def test_a_subclass_is_served_as_its_parent() -> None:
    mine, theirs = Mine(), diffusers.DDIMScheduler()
    assert torch.equal(to_denoised(noise(1), noise(0), mine, 5), to_denoised(noise(1), noise(0), theirs, 5))


def test_bad_input_is_named() -> None:
    x = noise(0)
    ddim, euler = make("DDIMScheduler"), make("EulerDiscreteScheduler")
    with pytest.raises(ValueError, match="KDPM2DiscreteScheduler is not one whose x0 is known"):
        to_denoised(x, x, diffusers.KDPM2DiscreteScheduler(), 1)
    with pytest.raises(ValueError, match=r"timestep must be a whole number in \[0, 999\]; got 1000"):
        to_denoised(x, x, ddim, 1000)
    with pytest.raises(ValueError, match="one of scheduler.timesteps; got 3.5"):
        to_denoised(x, x, euler, 3.5)
    with pytest.raises(ValueError, match="must have one shape"):
        to_denoised(torch.cat([x, x], 1), x, ddim, 1)
    with pytest.raises(TypeError, match="pred must be a floating-point tensor"):
        to_denoised(x.long(), x, ddim, 1)
    with pytest.raises(ValueError, match="kind of prediction must be one of"):
        convert(x, x, ddim, 1, to="score")
    with pytest.raises(ValueError, match="shape \\(1, 1\\)"):
        point(ddim, torch.ones(1, 1))
    dark = make("DDIMScheduler", rescale_betas_zero_snr=True, timestep_spacing="trailing")
    with pytest.raises(ValueError, match="noise does not determine x0"):
        to_denoised(x, x, dark, 999)
    clean = make("FlowMatchEulerDiscreteScheduler")
    clean.sigmas[2] = 0.0
    with pytest.raises(ValueError, match="sigma 0"):
        from_denoised(x, x, clean, clean.timesteps[2])
