"""Adaptive projected guidance: its limits, its parts, parity with Diffusers, and a real pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_sdxl
import torch
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    ModularPipeline,
)
from diffusers.guiders import AdaptiveProjectedGuidance, ClassifierFreeGuidance
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance

from sillok.methods.diffusion import DenoisedAPG, from_denoised, to_denoised

KINDS = ["epsilon", "v_prediction", "sample"]


def noise(seed: int, batch: int = 3) -> torch.Tensor:
    return torch.randn(batch, 4, 6, 6, generator=torch.Generator().manual_seed(seed))


def ddim(kind: str = "epsilon") -> DDIMScheduler:
    scheduler = DDIMScheduler(prediction_type=kind, clip_sample=False)
    scheduler.set_timesteps(10)
    return scheduler


def guided(guider, scheduler, cond, uncond, x, t):
    guider.bind(x, scheduler, t)
    return guider(branches(cond, uncond)).pred


def branches(cond, uncond):
    from diffusers.modular_pipelines.modular_pipeline import BlockState

    return [
        BlockState(__guidance_identifier__=name, noise_pred=pred)
        for name, pred in (("pred_cond", cond), ("pred_uncond", uncond))
    ]


def denoised_update(guider, scheduler, cond, uncond, x, t):
    """(D - D_c, D_c) in float64."""
    out = guided(guider, scheduler, cond.double(), uncond.double(), x.double(), t)
    found, centre = (to_denoised(p.double(), x.double(), scheduler, t) for p in (out, cond))
    return found - centre, centre


@pytest.mark.parametrize("scale", [0.5, 2.0, 7.5, 15.0])
@pytest.mark.parametrize("kind", KINDS)
def test_eta_one_without_cap_and_momentum_is_classifier_free_guidance(kind: str, scale: float) -> None:
    scheduler = ddim(kind)
    x, cond, uncond = noise(0), noise(1), noise(2)
    cfg = ClassifierFreeGuidance(guidance_scale=scale)(branches(cond, uncond)).pred
    for t in scheduler.timesteps:
        apg = DenoisedAPG(guidance_scale=scale, momentum=None, rescale=0.0, eta=1.0)
        out = guided(apg, scheduler, cond, uncond, x, t)
        torch.testing.assert_close(out, cfg, atol=1e-5, rtol=1e-5)
        denoised = [to_denoised(p, x, scheduler, t) for p in (out, cond, uncond)]
        expected = denoised[2] + scale * (denoised[1] - denoised[2])
        torch.testing.assert_close(denoised[0], expected, atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("scheduler", ["flow", "euler"])
def test_the_same_limit_with_flows_and_sigmas(scheduler: str) -> None:
    made = FlowMatchEulerDiscreteScheduler() if scheduler == "flow" else EulerDiscreteScheduler()
    made.set_timesteps(5)
    x, cond, uncond = noise(0), noise(1), noise(2)
    apg = DenoisedAPG(guidance_scale=6.0, momentum=None, rescale=0.0, eta=1.0)
    out = guided(apg, made, cond, uncond, x, made.timesteps[1])
    torch.testing.assert_close(out, uncond + 6 * (cond - uncond), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_eta_zero_is_orthogonal_to_the_conditional_image(kind: str) -> None:
    scheduler = ddim(kind)
    apg = DenoisedAPG(guidance_scale=15.0, momentum=-0.5, rescale=2.0)
    for i, t in enumerate(scheduler.timesteps):
        apg.set_state(step=i, num_inference_steps=10, timestep=t)
        update, centre = denoised_update(apg, scheduler, noise(3 * i), noise(3 * i + 1), noise(99), t)
        inner = (update * centre).flatten(1).sum(1)
        lengths = update.flatten(1).norm(dim=1) * centre.flatten(1).norm(dim=1)
        assert (inner.abs() < 1e-9 * lengths).all()
        assert (update.flatten(1).norm(dim=1) > 1e-3).all()


def test_the_cap_holds_item_by_item_before_the_projection() -> None:
    scheduler, t = ddim(), 500
    apg = DenoisedAPG(guidance_scale=5.0, momentum=None, rescale=2.0, eta=1.0)
    cond, uncond = noise(1), noise(2)
    uncond[0] = cond[0] + 0.001 * uncond[0]  # an update shorter than the cap stays as it is
    update, centre = denoised_update(apg, scheduler, cond, uncond, noise(0), t)
    lengths = update.flatten(1).norm(dim=1) / 4
    other = to_denoised(uncond.double(), noise(0).double(), scheduler, t)
    plain = (centre - other).flatten(1).norm(dim=1)
    assert plain[0] < 2
    assert (plain[1:] > 2).all()
    torch.testing.assert_close(lengths, plain.clamp(max=2.0))


def test_identical_updates_sum_to_a_geometric_series() -> None:
    scheduler, t, beta = ddim(), 500, -0.5
    apg = DenoisedAPG(guidance_scale=2.0, momentum=beta, rescale=0.0, eta=1.0)
    plain = DenoisedAPG(guidance_scale=2.0, momentum=None, rescale=0.0, eta=1.0)
    x, cond, uncond = noise(0), noise(1), noise(2)
    once, _ = denoised_update(plain, scheduler, cond, uncond, x, t)
    for k in range(1, 7):
        found, _ = denoised_update(apg, scheduler, cond, uncond, x, t)
        torch.testing.assert_close(found, once * (1 - beta**k) / (1 - beta))


def test_the_buffer_keeps_what_the_cap_did_not_cut() -> None:
    scheduler, t = ddim(), 500
    capped = DenoisedAPG(momentum=-0.5, rescale=0.1)
    free = DenoisedAPG(momentum=-0.5, rescale=0.0)
    for i in range(3):
        for apg in (capped, free):
            guided(apg, scheduler, noise(2 * i), noise(2 * i + 1), noise(9), t)
    torch.testing.assert_close(capped.momentum_buffer.running_average, free.momentum_buffer.running_average)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_arithmetic_of_diffusers_on_denoised_images(kind: str) -> None:
    scheduler = ddim(kind)
    apg = DenoisedAPG(guidance_scale=9.0, momentum=-0.75, rescale=2.5, eta=0.3)
    buffer = MomentumBuffer(-0.75)
    for i, t in enumerate(scheduler.timesteps):
        x, cond, uncond = noise(3 * i), noise(3 * i + 1), noise(3 * i + 2)
        images = [to_denoised(p.double(), x.double(), scheduler, t) for p in (cond, uncond)]
        expected = normalized_guidance(*images, 8.0, buffer, 0.3, 2.5, use_original_formulation=True)
        expected = from_denoised(expected, x.double(), scheduler, t).float()
        apg.set_state(step=i, num_inference_steps=10, timestep=t)
        assert torch.equal(guided(apg, scheduler, cond, uncond, x, t), expected)


def test_with_a_network_that_predicts_images_it_is_diffusers_own_class() -> None:
    scheduler, x, cond, uncond = ddim("sample"), noise(0), noise(1), noise(2)
    mine = DenoisedAPG(guidance_scale=8.0, momentum=None, rescale=3.0, eta=0.0)
    theirs = AdaptiveProjectedGuidance(
        guidance_scale=7.0, adaptive_projected_guidance_rescale=3.0, eta=0.0, use_original_formulation=True
    )
    out = guided(mine, scheduler, cond, uncond, x, 500)
    torch.testing.assert_close(out, theirs(branches(cond, uncond)).pred, atol=1e-5, rtol=1e-5)


def test_the_native_default_is_not_the_papers_formulation() -> None:
    # Diffusers starts from the unconditional branch unless told otherwise: at eta = 0 another result
    scheduler, x, cond, uncond = ddim("sample"), noise(0), noise(1), noise(2)
    mine = DenoisedAPG(guidance_scale=8.0, momentum=None, rescale=0.0, eta=0.0)
    native = AdaptiveProjectedGuidance(guidance_scale=8.0, adaptive_projected_guidance_rescale=0.0, eta=0.0)
    out = guided(mine, scheduler, cond, uncond, x, 500)
    assert (out - native(branches(cond, uncond)).pred).abs().max() > 0.1
    native.eta = mine.eta = 1.0
    out = guided(mine, scheduler, cond, uncond, x, 500)
    torch.testing.assert_close(out, native(branches(cond, uncond)).pred, atol=1e-5, rtol=1e-5)


def test_noise_space_and_image_space_differ() -> None:
    scheduler, x, cond, uncond = ddim("epsilon"), noise(0), noise(1), noise(2)
    mine = DenoisedAPG(guidance_scale=8.0, momentum=None, rescale=0.0)
    raw = AdaptiveProjectedGuidance(
        guidance_scale=7.0, adaptive_projected_guidance_rescale=0.0, eta=0.0, use_original_formulation=True
    )
    out = guided(mine, scheduler, cond, uncond, x, 500)
    assert (out - raw(branches(cond, uncond)).pred).abs().max() > 0.1


def test_items_of_a_batch_do_not_touch_one_another() -> None:
    scheduler = ddim()
    together = DenoisedAPG(rescale=1.0)
    alone = [DenoisedAPG(rescale=1.0) for _ in range(3)]
    for i, t in enumerate(scheduler.timesteps[:4]):
        x, cond, uncond = noise(3 * i), noise(3 * i + 1), noise(3 * i + 2)
        both = guided(together, scheduler, cond, uncond, x, t)
        for k, one in enumerate(alone):
            part = slice(k, k + 1)
            out = guided(one, scheduler, cond[part], uncond[part], x[part], t)
            torch.testing.assert_close(out, both[part], atol=1e-6, rtol=1e-6)


def run(apg, scheduler, seed, steps=4, batch=3, state=True):
    outs = []
    for i, t in enumerate(scheduler.timesteps[:steps]):
        if state:
            apg.set_state(step=i, num_inference_steps=steps, timestep=t)
        seeds = [seed + 3 * i + k for k in range(3)]
        x, cond, uncond = (noise(s, batch) for s in seeds)
        outs.append(guided(apg, scheduler, cond, uncond, x, t))
    return outs


@pytest.mark.parametrize("state", [True, False])
def test_a_run_leaves_nothing_to_the_next(state: bool) -> None:
    scheduler, used = ddim(), DenoisedAPG()
    run(used, scheduler, 100, state=state)
    again, fresh = run(used, scheduler, 0, state=state), run(DenoisedAPG(), scheduler, 0, state=state)
    assert all(torch.equal(a, b) for a, b in zip(again, fresh, strict=True))
    # and there is something to leave: without momentum the steps after the first come out otherwise
    plain = run(DenoisedAPG(momentum=None), scheduler, 0, state=state)
    assert torch.equal(plain[0], fresh[0])
    assert not torch.equal(plain[1], fresh[1])


def test_a_run_with_another_batch_size_may_follow_but_not_interrupt() -> None:
    scheduler, apg = ddim(), DenoisedAPG()
    run(apg, scheduler, 0, batch=3)
    run(apg, scheduler, 0, batch=1)
    apg.set_state(step=5, num_inference_steps=10, timestep=scheduler.timesteps[5])
    with pytest.raises(ValueError, match=r"run began with \(1, 4, 6, 6\)"):
        guided(apg, scheduler, noise(0), noise(1), noise(2), scheduler.timesteps[5])


def test_a_run_that_enters_late_starts_anew() -> None:
    scheduler, apg = ddim(), DenoisedAPG()
    for step in (5, 6, 5):
        t = scheduler.timesteps[step]
        apg.set_state(step=step, num_inference_steps=10, timestep=t)
        out = guided(apg, scheduler, noise(1), noise(2), noise(0), t)
    fresh = guided(DenoisedAPG(), scheduler, noise(1), noise(2), noise(0), scheduler.timesteps[5])
    assert torch.equal(out, fresh)


def test_half_precision_projects_in_float64() -> None:
    scheduler, t = ddim(), 999
    x, cond, uncond = (noise(k).half() for k in range(3))
    uncond = (cond.float() + 0.01 * uncond.float()).half()
    out = guided(DenoisedAPG(momentum=None), scheduler, cond, uncond, x, t)
    assert out.dtype == torch.float16
    exact = guided(DenoisedAPG(momentum=None), scheduler, cond.double(), uncond.double(), x.double(), t)
    assert torch.equal(out, exact.half())


def test_scale_one_and_steps_outside_the_range_are_not_guided() -> None:
    assert DenoisedAPG(guidance_scale=1.0).num_conditions == 1
    apg = DenoisedAPG(start=0.2, stop=0.6)
    guidedness = []
    for i in range(10):
        apg.set_state(step=i, num_inference_steps=10, timestep=torch.tensor(1))
        guidedness.append(apg.num_conditions == 2)
    assert guidedness == [False] * 2 + [True] * 4 + [False] * 4
    assert torch.equal(apg.forward(noise(0)).pred, noise(0))


def test_norm_dim_caps_parts_of_an_item() -> None:
    scheduler, t = ddim("sample"), 500
    apg = DenoisedAPG(guidance_scale=2.0, momentum=None, rescale=0.5, eta=1.0, norm_dim=(-1, -2))
    update, _ = denoised_update(apg, scheduler, noise(1), noise(2), noise(0), t)
    torch.testing.assert_close(update.flatten(2).norm(dim=2), torch.full((3, 4), 0.5, dtype=torch.float64))


def test_its_configuration_makes_the_same_guider(tmp_path: Path) -> None:
    apg = DenoisedAPG(guidance_scale=4.0, momentum=-0.75, rescale=2.5, norm_dim=(-1, -2))
    apg.save_pretrained(tmp_path)
    for copy in (apg.new(), DenoisedAPG.from_pretrained(tmp_path)):
        assert copy.guidance_scale == 4.0
        assert copy.adaptive_projected_guidance_momentum == -0.75
        assert copy.adaptive_projected_guidance_rescale == 2.5
        assert copy.adaptive_projected_guidance_norm_dim in ((-1, -2), [-1, -2])
        assert copy.eta == 0.0
    assert apg.new(eta=0.5).eta == 0.5
    assert not any(name.startswith("adaptive") for name in apg.config)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guidance_scale": -1.0}, "guidance_scale must be at least 0, not -1.0"),
        ({"momentum": -1.0}, "momentum must lie in"),
        ({"rescale": -0.1}, "rescale must be at least 0"),
        ({"start": 0.5, "stop": 0.2}, "stop"),
    ],
)
def test_arguments_outside_their_range(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DenoisedAPG(**options)


@pytest.mark.usefixtures("as_users_run_it")
def test_what_is_missing_is_named() -> None:
    apg, scheduler = DenoisedAPG(), ddim()
    with pytest.raises(ValueError, match="sample of this step is unknown"):
        apg.forward(noise(0), noise(1))
    apg.bind(noise(0), scheduler, 500)
    with pytest.raises(ValueError, match="pred_uncond must be given"):
        apg.forward(noise(0))
    guided(apg, scheduler, noise(0), noise(1), noise(2), 500)
    with pytest.raises(ValueError, match="sample of this step is unknown"):
        apg.forward(noise(0), noise(1))  # x_t of the step before is not taken for this one's
    with pytest.raises(ValueError, match="must have one shape"):
        guided(apg, scheduler, noise(0), noise(1), noise(2, batch=1), 500)
    with pytest.raises(TypeError, match="sample must be a floating-point tensor"):
        apg.bind([1.0], scheduler, 500)


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def pipeline(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdxl") / "model"
    tiny_sdxl.save_tiny_sdxl(folder, prediction_type=request.param)
    pipe = ModularPipeline.from_pretrained(str(folder), workflow="text2image")
    pipe.load_components(dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(pipe, guider, seed: int = 0, images: int = 1) -> torch.Tensor:
    pipe.update_components(guider=guider)
    return pipe(
        prompt="a cat",
        negative_prompt="dog",
        num_inference_steps=3,
        num_images_per_prompt=images,
        height=16,
        width=16,
        generator=torch.Generator().manual_seed(seed),
        output_type="latent",
        output="images",
    )


@pytest.fixture
def attached(pipeline):
    def attach(**options):
        apg = DenoisedAPG(**options)
        apg.attach(pipeline.unet, pipeline.scheduler)
        return apg

    yield attach
    DenoisedAPG.detach(pipeline.unet)


def test_in_a_pipeline_its_limit_is_classifier_free_guidance(pipeline, attached) -> None:
    cfg = draw(pipeline, ClassifierFreeGuidance(guidance_scale=7.0))
    apg = draw(pipeline, attached(guidance_scale=7.0, momentum=None, rescale=0.0, eta=1.0))
    torch.testing.assert_close(apg, cfg, atol=1e-3, rtol=1e-3)
    assert (draw(pipeline, attached(guidance_scale=7.0)) - cfg).abs().max() > 1e-2


def test_in_a_pipeline_it_sees_the_unscaled_latents(pipeline, attached) -> None:
    apg, seen = attached(guidance_scale=7.0), []
    bind = apg.bind
    apg.bind = lambda sample, scheduler, t: (seen.append(sample), bind(sample, scheduler, t))[1]
    draw(pipeline, apg, seed=3)
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    assert len(seen) == 6  # two branches at each of three steps
    torch.testing.assert_close(seen[0], start * pipeline.scheduler.init_noise_sigma, atol=1e-4, rtol=1e-4)
    assert torch.equal(seen[0], seen[1])


def test_in_a_pipeline_images_follow_one_another_without_a_trace(pipeline, attached) -> None:
    apg = attached(guidance_scale=7.0)
    first = draw(pipeline, apg)
    draw(pipeline, apg, seed=1, images=2)
    assert torch.equal(draw(pipeline, apg), first)


def test_an_attached_model_still_serves_other_guiders(pipeline, attached) -> None:
    before = draw(pipeline, ClassifierFreeGuidance(guidance_scale=7.0))
    apg = attached(guidance_scale=7.0)  # has seen no step yet: a hook that acted now would know no timestep
    assert torch.equal(draw(pipeline, ClassifierFreeGuidance(guidance_scale=7.0)), before)
    draw(pipeline, apg)
    assert torch.equal(draw(pipeline, ClassifierFreeGuidance(guidance_scale=7.0)), before)


def test_without_attach_a_pipeline_says_what_is_missing(pipeline) -> None:
    with pytest.raises(ValueError, match=r"attach\(denoiser, scheduler\) once"):
        draw(pipeline, DenoisedAPG())
