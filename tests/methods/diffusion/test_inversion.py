"""Inversion: parity with Diffusers, exact round trips, limits, and real pipelines."""

from __future__ import annotations

import diffusers
import pytest
import tiny_sd
import tiny_sdxl
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler

from sillok.methods.diffusion.inversion import invert, invert_pipeline, steps_of

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
LEADING = {**BETAS, "timestep_spacing": "leading", "steps_offset": 1, "set_alpha_to_one": False}
TRAILING = {**BETAS, "timestep_spacing": "trailing"}
KINDS = ["epsilon", "v_prediction", "sample"]


def noise(seed: int, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ddim(kind: str = "epsilon", **config) -> DDIMScheduler:
    return DDIMScheduler(prediction_type=kind, clip_sample=False, **(config or LEADING))


def network(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Smooth, not linear, and different at every time."""
    return 0.3 * torch.sin(2 * x + t / 300) + 0.2 * x.roll(1, -1)


def scaled(scheduler, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x


def sample(predict, scheduler, z: torch.Tensor, steps: int) -> torch.Tensor:
    scheduler = type(scheduler).from_config(scheduler.config)
    scheduler.set_timesteps(steps)
    x = z * getattr(scheduler, "init_noise_sigma", 1.0)
    for t in scheduler.timesteps:
        x = scheduler.step(predict(scaled(scheduler, x, t), t), t, x).prev_sample
    return x


@pytest.mark.parametrize("config", [LEADING, TRAILING], ids=["leading", "trailing"])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_it_is_the_inverse_scheduler_of_diffusers(kind: str, config: dict) -> None:
    theirs = DDIMInverseScheduler(prediction_type=kind, clip_sample=False, **config)
    theirs.set_timesteps(20)
    x = image = noise(0)
    for t in theirs.timesteps:
        x = theirs.step(network(x, t), t, x).prev_sample
    mine = invert(network, ddim(kind, **config), image, 20)
    assert (mine - image).abs().max() > 0.1
    torch.testing.assert_close(mine, x, atol=1e-5, rtol=1e-5)  # their table is float32


def test_a_prediction_of_the_image_agrees_too() -> None:
    theirs = DDIMInverseScheduler(prediction_type="sample", clip_sample=False, **LEADING)
    theirs.set_timesteps(20)
    x = image = noise(0) * 0.1
    for t in theirs.timesteps:
        x = theirs.step(network(x, t), t, x).prev_sample
    mine = invert(network, ddim("sample"), image, 20)
    torch.testing.assert_close(mine, x, atol=1e-2, rtol=1e-3)  # float32 of theirs, divided by small sigmas


INVERTIBLE = [
    ("DDIMScheduler", {**LEADING, "clip_sample": False}),
    ("DDIMScheduler", {**TRAILING, "clip_sample": False}),
    ("DDIMScheduler", {**LEADING, "clip_sample": False, "prediction_type": "v_prediction"}),
    ("DDIMScheduler", {**TRAILING, "clip_sample": False, "prediction_type": "v_prediction"}),
    ("EulerDiscreteScheduler", BETAS),
    ("EulerDiscreteScheduler", {**BETAS, "prediction_type": "v_prediction"}),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
    ("DPMSolverMultistepScheduler", {**BETAS, "solver_order": 1}),
]


@pytest.mark.parametrize(("name", "config"), INVERTIBLE)
def test_refined_it_undoes_the_sampler_to_rounding(name: str, config: dict) -> None:
    scheduler = getattr(diffusers, name)(**config)
    z = noise(1)
    image = sample(network, scheduler, z, 25)
    plain, refined = (invert(network, scheduler, image, 25, refine=n) for n in (0, 60))
    error = (refined - z).abs().max()
    assert error < 2e-4  # the schedulers' own tables are float32
    assert (plain - z).abs().max() > 20 * error


def test_thirty_steps_of_a_thousand_round_as_the_sampler_does() -> None:
    # 1000 / 30 is no whole number: the sampler steps by 33 from timesteps 33 or 34 apart
    scheduler, z = ddim(**TRAILING), noise(1)
    image = sample(network, scheduler, z, 30)
    assert (invert(network, scheduler, image, 30, refine=60) - z).abs().max() < 2e-4


def test_more_steps_come_nearer_to_the_noise() -> None:
    z, scheduler = noise(1), ddim()
    errors = []
    for steps in (10, 100, 500):
        image = sample(network, scheduler, z, steps)
        errors.append(float((invert(network, scheduler, image, steps) - z).abs().mean()))
    assert errors[0] > 5 * errors[1] > 15 * errors[2]


def test_noise_that_does_not_depend_on_x_is_inverted_exactly() -> None:
    field = noise(3)
    z, scheduler = noise(1), ddim()
    image = sample(lambda x, t: field * (1 + t / 1000), scheduler, z, 10)
    back = invert(lambda x, t: field * (1 + t / 1000), scheduler, image, 10)
    torch.testing.assert_close(back, z, atol=1e-5, rtol=1e-5)


def test_rows_do_not_touch_and_evaluations_are_counted() -> None:
    calls = []

    def counted(x, t):
        calls.append(int(t))
        return network(x, t)

    images = noise(4, 3)
    whole = invert(counted, ddim(), images, 8)
    assert calls == sorted(calls)
    assert len(calls) == 8
    calls.clear()
    alone = invert(counted, ddim(), images[1:2], 8, refine=2)
    assert len(calls) == 24
    assert not torch.equal(alone, whole[1:2])
    torch.testing.assert_close(invert(network, ddim(), images[1:2], 8), whole[1:2])


def test_half_precision_goes_in_and_out() -> None:
    seen = []

    def half(x, t):
        seen.append(x.dtype)
        return network(x, t)

    image = noise(0).half()
    back = invert(half, ddim(), image, 5)
    assert back.dtype == torch.float16
    assert set(seen) == {torch.float16}
    assert (back.double() - invert(network, ddim(), image.double(), 5)).abs().max() < 0.02


STOCHASTIC = ["DDPMScheduler", "EulerAncestralDiscreteScheduler", "LCMScheduler", "PNDMScheduler"]


@pytest.mark.parametrize("name", [*STOCHASTIC, "HeunDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"])
def test_a_scheduler_that_cannot_be_inverted(name: str) -> None:
    with pytest.raises(ValueError, match=f"scheduler {name} is none whose steps can be inverted"):
        invert(never, getattr(diffusers, name)(), noise(0), 5)


def never(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    raise AssertionError("the network was run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scheduler": ddim("sample", **TRAILING)}, "ends at sigma 0"),
        (
            {"scheduler": diffusers.DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++")},
            "algorithm_type='sde-dpmsolver",
        ),
        ({"x0": noise(0)[:0]}, "B >= 1"),
        ({"x0": noise(0).half() * 1e6}, "half precision overflows"),
        ({"steps": 0}, "steps must be an integer of at least 1; got 0"),
        ({"refine": -1}, "refine must be"),
    ],
)
def test_bad_input_is_named_before_the_network_is_run(options: dict, message: str) -> None:
    given = {"predict": never, "scheduler": ddim(), "x0": noise(0), "steps": 5, **options}
    with pytest.raises(ValueError, match=message):
        invert(**given)


@pytest.mark.usefixtures("as_users_run_it")
def test_other_bad_input() -> None:
    with pytest.raises(TypeError, match="x0 must be a floating-point tensor; got list"):
        invert(never, ddim(), [0.0], 5)
    with pytest.raises(ValueError, match="also predicts a variance"):
        invert(lambda x, t: torch.cat([x, x], 1), ddim(), noise(0), 5)
    with pytest.raises(ValueError, match="no vae|no unet"):
        invert_pipeline(object(), None)


def test_steps_of_leaves_the_scheduler_alone() -> None:
    scheduler = ddim()
    plan = steps_of(scheduler, 7)
    assert scheduler.num_inference_steps is None
    assert [int(step.time) for step in plan] == sorted((int(step.time) for step in plan), reverse=True)


@pytest.fixture(scope="module")
def sd(tmp_path_factory):
    folder = tiny_sd.save_tiny_sd(tmp_path_factory.mktemp("sd") / "model")
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory):
    folder = tiny_sdxl.save_tiny_sdxl(tmp_path_factory.mktemp("sdxl") / "model")
    pipe = diffusers.StableDiffusionXLPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_through_a_pipeline_it_finds_the_latents(sd) -> None:
    z = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    options = {"num_inference_steps": 20, "guidance_scale": 1.0, "output_type": "latent"}
    latents = sd(["", ""], latents=z, **options).images

    class Known:  # an autoencoder without loss: what is tested is what lies around it
        dtype, config = torch.float32, sd.vae.config

        def encode(self, pixels):
            assert pixels.shape == (2, 3, 16, 16)
            mean = latents / self.config.scaling_factor
            return type("Output", (), {"latent_dist": type("D", (), {"mean": mean})})

    vae, sd.vae = sd.vae, Known()
    try:
        found = invert_pipeline(sd, torch.zeros(2, 3, 16, 16), steps=20, refine=10)
        other = invert_pipeline(sd, torch.zeros(2, 3, 16, 16), steps=20, refine=10, prompt="a cat")
    finally:
        sd.vae = vae
    assert (found - z).abs().max() < 1e-2
    assert (other - found).abs().max() > 1e-4


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_images_go_through_both_pipelines(name: str, request) -> None:
    pipe = request.getfixturevalue(name)
    images = pipe(
        ["a cat", "b"], num_inference_steps=2, height=16, width=16, generator=torch.Generator().manual_seed(0)
    ).images
    both = invert_pipeline(pipe, images, steps=2)
    assert both.shape == (2, 4, 8, 8)
    assert both.isfinite().all()
    torch.testing.assert_close(invert_pipeline(pipe, images[1], steps=2), both[1:], atol=1e-4, rtol=1e-4)


def test_a_pipeline_without_betas_needs_a_scheduler(sd) -> None:
    before = sd.scheduler
    sd.scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    try:
        with pytest.raises(ValueError, match="has no betas for DDIM: pass a scheduler"):
            invert_pipeline(sd, torch.zeros(1, 3, 16, 16), steps=2)
    finally:
        sd.scheduler = before
