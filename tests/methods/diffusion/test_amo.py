"""AMO: the limits of an overshooting step, its coefficients, its map, and the pipelines that it runs in."""

from __future__ import annotations

import inspect

import pytest
import tiny_flux
import tiny_sd3
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, StableDiffusion3Pipeline
from hypothesis import given
from hypothesis import strategies as st

from sillok.methods.diffusion.amo import (
    OvershootFlowMatchScheduler,
    TextAttentionRecorder,
    coefficients,
    quoted_token_ids,
    spread,
)


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape or (2, 3, 8, 8), generator=torch.Generator().manual_seed(seed))


def field(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x.roll(1, -1)) - 0.3 * x * (t / 1000).to(x)


def sample(scheduler, steps: int = 5, seed: int = 7, x: torch.Tensor | None = None) -> torch.Tensor:
    scheduler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(seed)
    x = noise(0) if x is None else x
    for t in scheduler.timesteps:
        x = scheduler.step(field(x, t), t, x, generator=generator).prev_sample
    return x


def double(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def test_without_overshoot_it_is_euler() -> None:
    expected = sample(FlowMatchEulerDiscreteScheduler(shift=3.0))
    assert torch.equal(sample(OvershootFlowMatchScheduler(shift=3.0, overshoot=0.0)), expected)
    still = OvershootFlowMatchScheduler(shift=3.0)
    still.set_attention_map(torch.zeros(1, 4, 4))
    assert torch.equal(sample(still), expected)


def test_overshooting_to_the_end_is_stochastic_sampling() -> None:
    expected = sample(FlowMatchEulerDiscreteScheduler(shift=3.0, stochastic_sampling=True))
    assert torch.equal(sample(OvershootFlowMatchScheduler(shift=3.0, overshoot=1e6)), expected)


def test_a_step_is_the_papers() -> None:
    scheduler = OvershootFlowMatchScheduler(overshoot=0.5)
    scheduler.set_timesteps(4)
    x, v = noise(0).double(), noise(1).double()
    t, s = 1 - scheduler.sigmas[1].double(), 1 - scheduler.sigmas[2].double()
    o = s + 0.5 * (s - t)
    assert float(o) < 1
    xi = torch.randn(x.shape, generator=torch.Generator().manual_seed(3)).double()
    scheduler.set_begin_index(1)
    expected = s / o * (x - (o - t) * v) + ((1 - s) ** 2 - (s * (1 - o) / o) ** 2).sqrt() * xi
    generator = torch.Generator().manual_seed(3)
    got = scheduler.step(v.float(), scheduler.timesteps[1], x.float(), generator=generator).prev_sample
    torch.testing.assert_close(got.double(), expected, atol=1e-6, rtol=1e-6)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 50), st.floats(0, 1))
def test_coefficients_are_real_and_keep_mean_and_variance(a: float, b: float, c: float, m: float) -> None:
    sigma, after = double(max(a, b)), double(min(a, b))
    beyond, scale, xi = coefficients(sigma, after, c, double(m))
    assert bool(beyond.isfinite() & scale.isfinite() & xi.isfinite())
    assert 0 <= float(beyond) <= float(after)
    # x_o = o a + (1 - o) noise comes back as s a + (1 - s) noise
    assert float(scale * (1 - beyond)) == pytest.approx(1 - float(after), abs=1e-9)
    variance = float((scale * beyond).square() + xi.square())
    assert variance == pytest.approx(float(after) ** 2, abs=1e-9)


def test_the_return_keeps_the_distribution() -> None:
    a, s, o, count = 0.8, 0.5, 0.75, 200_000
    _, scale, xi = coefficients(double(0.75), double(1 - s), 1.0)
    x_o = o * a + (1 - o) * noise(0, count).double()
    x_s = scale * x_o + xi * noise(1, count).double()
    assert float(x_s.mean()) == pytest.approx(s * a, abs=5 * (1 - s) / count**0.5)
    assert float(x_s.var()) == pytest.approx((1 - s) ** 2, rel=5 * (2 / count) ** 0.5)


def test_with_the_exact_field_the_marginals_are_eulers() -> None:
    # Data N(0.7, 0): the exact velocity is (x - 0.7) / sigma, and every x at s is N(0.7 s, (1 - s)^2).
    scheduler = OvershootFlowMatchScheduler(overshoot=2.0)
    scheduler.set_timesteps(6)
    generator = torch.Generator().manual_seed(5)
    x = noise(0, 100_000, 1)
    for i, t in enumerate(scheduler.timesteps[:-1]):
        x = scheduler.step((x - 0.7) / scheduler.sigmas[i], t, x, generator=generator).prev_sample
        after = float(scheduler.sigmas[i + 1])
        assert float(x.mean()) == pytest.approx(0.7 * (1 - after), abs=0.01)
        assert float(x.std()) == pytest.approx(after, abs=0.01)
    last = scheduler.step((x - 0.7) / scheduler.sigmas[-2], scheduler.timesteps[-1], x, generator=generator)
    torch.testing.assert_close(last.prev_sample, torch.full_like(x, 0.7))


def test_the_last_step_adds_no_noise() -> None:
    def last(seed: int) -> torch.Tensor:
        scheduler = OvershootFlowMatchScheduler()
        scheduler.set_timesteps(3)
        scheduler.set_begin_index(2)
        generator = torch.Generator().manual_seed(seed)
        return scheduler.step(noise(1), scheduler.timesteps[2], noise(0), generator=generator).prev_sample

    assert torch.equal(last(0), last(1))
    scheduler = OvershootFlowMatchScheduler()
    scheduler.set_timesteps(3)
    torch.testing.assert_close(last(0), noise(0) - scheduler.sigmas[2] * noise(1))


@pytest.mark.parametrize("form", ["grid", "tokens", "function"])
def test_patches_without_attention_follow_euler_while_others_do_not(form: str) -> None:
    m = torch.zeros(2, 4, 4)
    m[0, :2] = 1
    euler, amo = FlowMatchEulerDiscreteScheduler(), OvershootFlowMatchScheduler()
    amo.set_attention_map({"grid": m, "tokens": m.flatten(1), "function": lambda: m}[form])
    outs = []
    for scheduler in (euler, amo):
        scheduler.set_timesteps(4)
        generator = torch.Generator().manual_seed(0)
        outs.append(
            scheduler.step(noise(1), scheduler.timesteps[0], noise(0), generator=generator).prev_sample
        )
    same = outs[0] == outs[1]
    assert bool(same[1].all())
    assert bool(same[0, :, 6:].all())  # beyond the reach of the interpolation
    assert not bool(same[0, :, :4].any())


def test_tokens_of_flux_take_their_map_one_by_one() -> None:
    m = torch.tensor([[0.0, 1.0, 0.0, 0.5]])
    assert torch.equal(spread(m, torch.zeros(3, 4, 16)), m[..., None])
    assert torch.equal(spread(m.view(1, 2, 2), torch.zeros(3, 4, 16)), m[..., None])
    euler, amo = FlowMatchEulerDiscreteScheduler(), OvershootFlowMatchScheduler()
    amo.set_attention_map(m)
    x, v = noise(0, 2, 4, 16), noise(1, 2, 4, 16)
    outs = []
    for scheduler in (euler, amo):
        scheduler.set_timesteps(4)
        outs.append(
            scheduler.step(v, scheduler.timesteps[0], x, generator=torch.Generator().manual_seed(0))[0]
        )
    assert bool((outs[0] == outs[1])[:, [0, 2]].all())
    assert not bool((outs[0] == outs[1])[:, [1, 3]].any())


def test_maps_are_enlarged_bilinearly() -> None:
    m = torch.tensor([[[0.0, 1.0]]])
    wide = spread(m, torch.zeros(1, 1, 2, 4))
    torch.testing.assert_close(wide[0, 0, 0], torch.tensor([0.0, 0.25, 0.75, 1.0]))
    torch.testing.assert_close(spread(m.flatten(1), torch.zeros(1, 1, 2, 4)), wide)


def test_a_scheduler_is_made_from_another_and_saved(tmp_path) -> None:
    parents = set(inspect.signature(FlowMatchEulerDiscreteScheduler.__init__).parameters)
    assert parents <= set(inspect.signature(OvershootFlowMatchScheduler.__init__).parameters)
    source = FlowMatchEulerDiscreteScheduler(shift=2.5, use_dynamic_shifting=True, max_shift=1.3)
    made = OvershootFlowMatchScheduler.from_config(source.config, overshoot=1.25)
    assert (made.config.shift, made.config.max_shift, made.config.overshoot) == (2.5, 1.3, 1.25)
    made.save_pretrained(tmp_path)
    again = OvershootFlowMatchScheduler.from_pretrained(tmp_path)
    assert {key: again.config[key] for key in parents - {"self"}} == {
        key: made.config[key] for key in parents - {"self"}
    }
    assert again.config.overshoot == 1.25
    assert FlowMatchEulerDiscreteScheduler.from_config(made.config).config.shift == 2.5


def test_half_precision_comes_out_as_it_went_in() -> None:
    scheduler = OvershootFlowMatchScheduler()
    scheduler.set_attention_map(torch.rand(1, 16, generator=torch.Generator().manual_seed(0)))
    assert sample(scheduler, x=noise(0).bfloat16()).dtype == torch.bfloat16


# -- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overshoot": -1.0}, "overshoot must be at least 0 and finite; got -1.0"),
        ({"overshoot": float("inf")}, "overshoot must be at least 0 and finite; got inf"),
        ({"invert_sigmas": True}, "invert_sigmas=True cannot be served"),
        ({"stochastic_sampling": True}, "stochastic_sampling=True is the limit"),
    ],
)
def test_settings_that_cannot_be_served_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OvershootFlowMatchScheduler(**options)


@pytest.mark.parametrize(
    ("m", "message"),
    [
        (torch.zeros(4), r"shape \(B, H, W\) or \(B, N\); got \(4,\)"),
        (torch.full((1, 4), 1.5), r"must lie in \[0, 1\]; got 1.5 to 1.5"),
        (torch.tensor([[0.0, float("nan")]]), r"must lie in \[0, 1\]"),
    ],
)
def test_a_map_out_of_range_is_named_when_it_is_set(m: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OvershootFlowMatchScheduler().set_attention_map(m)


@pytest.mark.parametrize(
    ("m", "shape", "message"),
    [
        (torch.zeros(3, 4, 4), (2, 3, 8, 8), "must have 1 or 2 rows, as the sample has; got 3"),
        (torch.zeros(1, 5), (2, 3, 8, 8), "map of 5 patches does not tile 8 x 8"),
        (torch.zeros(1, 65), (2, 3, 8, 8), "map of 65 patches does not tile 8 x 8"),
        (torch.zeros(1, 5), (2, 4, 16), "must have 4 tokens"),
        (torch.zeros(1, 5), (2, 4), r"needs a sample \(B, C, H, W\)"),
        (None, (0, 3, 8, 8), r"B >= 1; got \(0, 3, 8, 8\)"),
    ],
)
def test_a_map_of_another_size_is_named(m, shape: tuple[int, ...], message: str) -> None:
    scheduler = OvershootFlowMatchScheduler()
    scheduler.set_timesteps(3)
    scheduler.set_attention_map(m)
    with pytest.raises(ValueError, match=message):
        scheduler.step(torch.zeros(shape), scheduler.timesteps[0], torch.zeros(shape))


def test_times_by_token_and_whole_times_are_refused() -> None:
    scheduler = OvershootFlowMatchScheduler()
    scheduler.set_timesteps(3)
    with pytest.raises(ValueError, match="per_token_timesteps cannot be served"):
        scheduler.step(noise(0), scheduler.timesteps[0], noise(0), per_token_timesteps=torch.zeros(2, 8))
    with pytest.raises(ValueError, match="integer indices"):
        scheduler.step(noise(0), 3, noise(0))


# -- in pipelines --------------------------------------------------------------------------------------------

PROMPT = 'a sign "ab"'


def amo_of(pipe) -> None:
    pipe.scheduler = OvershootFlowMatchScheduler.from_config(pipe.scheduler.config, overshoot=2.0)
    pipe.set_progress_bar_config(disable=True)


@pytest.fixture(scope="module")
def sd3(tmp_path_factory):
    pipe = StableDiffusion3Pipeline.from_pretrained(
        tiny_sd3.save_tiny_sd3(tmp_path_factory.mktemp("sd3") / "model")
    )
    amo_of(pipe)
    return pipe


@pytest.fixture(scope="module")
def flux(tmp_path_factory):
    pipe = FluxPipeline.from_pretrained(tiny_flux.save_tiny_flux(tmp_path_factory.mktemp("flux") / "model"))
    amo_of(pipe)
    return pipe


def draw(pipe, prompt=PROMPT, **options) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    pipe.scheduler.set_generator(generator)
    return pipe(
        prompt=prompt,
        num_inference_steps=2,
        height=16,
        width=16,
        max_sequence_length=24,
        generator=generator,
        output_type="latent",
        **options,
    ).images


def test_it_runs_in_stable_diffusion_3_by_its_attention(sd3) -> None:
    clip = quoted_token_ids(sd3.tokenizer, PROMPT)
    ids = clip + [sd3.tokenizer.model_max_length + i for i in quoted_token_ids(sd3.tokenizer_3, PROMPT)]
    sd3.scheduler.set_attention_map(None)
    everywhere = draw(sd3, guidance_scale=4.0)
    with TextAttentionRecorder(sd3.transformer, ids, guidance="batched") as recorder:
        sd3.scheduler.set_attention_map(recorder.map)
        led = draw(sd3, guidance_scale=4.0)
        m = recorder.map()
    assert m.shape == (1, 16)
    assert (float(m.min()), float(m.max())) == (0.0, 1.0)
    sd3.scheduler.set_attention_map(torch.zeros(1, 16))
    euler = draw(sd3, guidance_scale=4.0)
    assert led.shape == (1, 4, 8, 8)
    assert not torch.equal(led, everywhere)
    assert not torch.equal(led, euler)
    assert (led - euler).norm() < (everywhere - euler).norm()


def test_it_runs_in_flux_by_its_attention(flux) -> None:
    ids = quoted_token_ids(flux.tokenizer_2, PROMPT)
    with TextAttentionRecorder(flux.transformer, ids) as recorder:
        flux.scheduler.set_attention_map(recorder.map)
        led = draw(flux)
        assert torch.equal(draw(flux), led)
        assert recorder.map().shape == (1, 16)
        with pytest.raises(ValueError, match="prompts, and the network is called with 3 rows"):
            recorder.token_ids = [ids, ids]
            draw(flux, prompt=[PROMPT] * 3)
    flux.scheduler.set_attention_map(None)
    assert not torch.equal(draw(flux), led)
