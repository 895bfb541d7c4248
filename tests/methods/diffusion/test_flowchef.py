"""FlowChef: what it adds to an Euler step, what it costs the network, and the pipelines that it runs in."""

from __future__ import annotations

import pytest
import tiny_flux
import tiny_sd3
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, StableDiffusion3Pipeline

from sillok.methods.diffusion.flowchef import (
    SteeredFlowMatchScheduler,
    classifier_cost,
    edit_cost,
    elementwise,
    inverse_cost,
    pack,
    packed,
    unpack,
)
from sillok.methods.diffusion.operators import BicubicDown, BoxMask, GaussianBlur


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape or (2, 3, 8, 8), generator=torch.Generator().manual_seed(seed))


def steered(steps: int = 4, **config) -> SteeredFlowMatchScheduler:
    scheduler = SteeredFlowMatchScheduler(**config)
    scheduler.set_timesteps(steps)
    return scheduler


def sample(scheduler, network, x: torch.Tensor) -> torch.Tensor:
    for t in scheduler.timesteps:
        x = scheduler.step(network(x, t), t, x).prev_sample
    return x


def field(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x.roll(1, -1)) - 0.3 * x * (t / 1000).to(x)


def half_square(x0: torch.Tensor) -> torch.Tensor:
    return 0.5 * x0.square().flatten(1).sum(1)


def test_without_a_move_it_is_its_parent() -> None:
    parent = FlowMatchEulerDiscreteScheduler(shift=3.0)
    parent.set_timesteps(5)
    expected = sample(parent, field, noise(0))
    for options in ({"scale": 0.0}, {"scale": 1.0, "stop": 0.0}):
        scheduler = steered(5, shift=3.0)
        scheduler.set_cost(half_square, **options)
        assert torch.equal(sample(scheduler, field, noise(0)), expected)
    assert torch.equal(sample(steered(5, shift=3.0), field, noise(0)), expected)
    cleared = steered(5, shift=3.0)
    cleared.set_cost(half_square, scale=1.0)
    cleared.clear_cost()
    assert torch.equal(sample(cleared, field, noise(0)), expected)


@pytest.mark.parametrize("inner_steps", [1, 2])
@pytest.mark.parametrize("stop", [1.0, 0.5])
def test_it_corrects_and_then_steps(inner_steps: int, stop: float) -> None:
    target, scale, steps = noise(1), 0.2, 6

    def cost(x0: torch.Tensor) -> torch.Tensor:
        return (x0 - target).cosh().log().flatten(1).sum(1)

    scheduler = steered(steps, shift=2.0)
    scheduler.set_cost(cost, scale=scale, inner_steps=inner_steps, stop=stop)
    sigmas = scheduler.sigmas.double()
    x = noise(0).double()
    for i, t in enumerate(scheduler.timesteps):
        v = field(x, t)
        if i < steps - 1 and i < stop * steps:
            for _ in range(inner_steps):
                x = x - scale * (x - sigmas[i] * v - target).tanh()  # the gradient by hand
        x = x + (sigmas[i + 1] - sigmas[i]) * v
    torch.testing.assert_close(sample(scheduler, field, noise(0)).double(), x, atol=1e-6, rtol=1e-6)


def test_the_last_step_is_plain_euler() -> None:
    scheduler = steered(1)
    scheduler.set_cost(half_square, scale=0.5)
    plain = FlowMatchEulerDiscreteScheduler()
    plain.set_timesteps(1)
    assert torch.equal(sample(scheduler, field, noise(0)), sample(plain, field, noise(0)))


def test_a_run_that_begins_late_counts_from_there() -> None:
    asked: list[int] = []

    class Asks:
        def at(self, step: int):
            asked.append(step)
            return half_square

    scheduler = steered(6)
    scheduler.set_cost(Asks(), scale=0.1)
    scheduler.set_begin_index(2)  # as image-to-image pipelines do
    x = noise(0)
    for t in scheduler.timesteps[2:]:
        x = scheduler.step(field(x, t), t, x).prev_sample
    assert asked == [0, 1, 2]  # of four steps, the last of which is not corrected
    scheduler.set_timesteps(3)
    sample(scheduler, field, noise(0))
    assert asked[3:] == [0, 1]


def test_the_network_is_left_out_of_the_graph() -> None:
    network = torch.nn.Conv2d(3, 3, 3, padding=1)
    scheduler = steered(3)
    scheduler.set_cost(inverse_cost(BoxMask(2), torch.zeros(2, 3, 8, 8)), scale=0.1)
    x = noise(0)
    for t in scheduler.timesteps:  # a caller that forgot no_grad
        before = x.detach()
        x = scheduler.step(network(before), t, before).prev_sample
    assert all(p.grad is None for p in network.parameters())
    with torch.inference_mode():
        again = steered(3)
        again.set_cost(inverse_cost(BoxMask(2), torch.zeros(2, 3, 8, 8)), scale=0.1)
        torch.testing.assert_close(sample(again, lambda x, t: network(x), noise(0)), x.detach())


def test_for_a_linear_field_the_gradient_through_it_is_shorter_by_one_minus_sigma() -> None:
    centre, target = noise(1), noise(2)

    def cost(x0: torch.Tensor) -> torch.Tensor:
        return 0.5 * (x0 - target).square().flatten(1).sum(1)

    scheduler = steered(4, shift=2.0)
    scheduler.set_cost(cost, scale=1.0)
    x = noise(0)
    for i, t in enumerate(scheduler.timesteps[:-1]):
        sigma, after = scheduler.sigmas[i], scheduler.sigmas[i + 1]
        leaf = x.clone().requires_grad_()
        (true,) = torch.autograd.grad(cost(leaf - sigma * (leaf - centre)).sum(), leaf)
        v = x - centre
        moved = scheduler.step(v, t, x).prev_sample
        skipped = x + (after - sigma) * v - moved
        torch.testing.assert_close((1 - sigma) * skipped, true, atol=1e-6, rtol=1e-5)
        x = moved


def test_one_scale_serves_every_resolution_and_is_the_means() -> None:
    x0 = noise(0, 2, 3, 64, 64).requires_grad_()
    for operator in (BoxMask(20), BicubicDown(2), GaussianBlur(11, 5.0)):
        y = operator.forward(noise(1, 2, 3, 64, 64))
        (ours,) = torch.autograd.grad(inverse_cost(operator, y)(x0).sum(), x0)
        for row in range(2):  # the authors' loss is a mean over one image
            one = x0[row : row + 1]
            (mean,) = torch.autograd.grad((operator.forward(one) - y[row : row + 1]).square().mean(), x0)
            torch.testing.assert_close(elementwise(500, 3 * 64 * 64) * ours[row], 500 * mean[row])
    assert elementwise(500, 3 * 64 * 64) == pytest.approx(0.0814, abs=1e-4)


def test_steering_reaches_a_measurement() -> None:
    truth = noise(1).clamp(-1, 1)
    scheduler = steered(40)
    y = BoxMask(4).forward(truth)
    scheduler.set_cost(inverse_cost(BoxMask(4), y), scale=0.3)
    plain, led = sample(steered(40), field, noise(0)), sample(scheduler, field, noise(0))
    gaps = [(BoxMask(4).forward(x) - y).square().mean() for x in (plain, led)]
    assert gaps[1] < 0.05 * gaps[0]


def test_editing_holds_all_of_the_source_and_then_what_the_mask_leaves() -> None:
    source, mask = noise(1), torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    cost = edit_cost(source, mask, source_steps=2)
    x0 = noise(2)
    for step in range(4):
        gradient = torch.autograd.grad(cost.at(step)(x0.requires_grad_()).sum(), x0)[0]
        x0.requires_grad_(False)
        expected = (x0 - source) * (1 if step < 2 else 1 - mask)
        torch.testing.assert_close(gradient, expected)
    scheduler = steered(4)
    scheduler.set_cost(edit_cost(source, mask, source_steps=0), scale=1.0)
    plain = sample(steered(4), field, noise(0))
    led = sample(scheduler, lambda x, t: x * 0, noise(0))
    torch.testing.assert_close(led[..., 4:], source[..., 4:])
    torch.testing.assert_close(led[..., :4], noise(0)[..., :4])
    assert not torch.allclose(plain[..., 4:], source[..., 4:])


def test_a_classifier_leads_every_item_to_its_own_label() -> None:
    prototypes = noise(5, 4, 3 * 8 * 8)

    def logits(x0: torch.Tensor) -> torch.Tensor:
        return x0.flatten(1) @ prototypes.T / 10

    label = torch.tensor([3, 1])
    for classifier in (logits, lambda x: (logits(x), None), lambda x: type("Out", (), {"logits": logits(x)})):
        scheduler = steered(8)
        scheduler.set_cost(classifier_cost(classifier, label), scale=1.0)
        assert torch.equal(logits(sample(scheduler, field, noise(0))).argmax(1), label)


def test_packing_is_that_of_flux() -> None:
    latents = noise(0, 2, 4, 6, 8)
    expected = FluxPipeline._pack_latents(latents, 2, 4, 6, 8)
    assert torch.equal(pack(latents), expected)
    assert torch.equal(unpack(expected, 6, 8), latents)
    y = noise(1, 2, 4, 3, 4)
    cost = inverse_cost(BicubicDown(2), y)
    torch.testing.assert_close(packed(cost, 6, 8)(expected), cost(latents))


# -- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": -1.0}, "scale must be at least 0 and finite; got -1.0"),
        ({"scale": float("inf")}, "scale must be at least 0 and finite; got inf"),
        ({"scale": 1.0, "inner_steps": 0}, "inner_steps must be an integer of at least 1; got 0"),
        ({"scale": 1.0, "stop": 1.5}, r"stop must lie in \[0, 1\]; got 1.5"),
    ],
)
def test_settings_out_of_range_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        steered().set_cost(half_square, **options)


@pytest.mark.usefixtures("as_users_run_it")
def test_a_scheduler_that_cannot_be_served_is_named() -> None:
    with pytest.raises(ValueError, match="invert_sigmas=True"):
        steered(invert_sigmas=True).set_cost(half_square, scale=1.0)
    with pytest.raises(TypeError, match="cost must be callable"):
        steered().set_cost(3.0, scale=1.0)


@pytest.mark.parametrize(
    ("cost", "x", "message"),
    [
        (half_square, torch.zeros(0, 3, 8, 8), r"B >= 1; got \(0, 3, 8, 8\)"),
        (lambda x0: x0.square().mean(), noise(0), r"shape \(2,\); got \(\)"),
        (lambda x0: torch.zeros(2), noise(0), "does not depend on x0"),
        (lambda x0: (1e30 * x0).square().flatten(1).sum(1), noise(0), "gradient that is not finite"),
        (inverse_cost(BoxMask(2), torch.zeros(2, 3, 4, 4)), noise(0), r"y must have shape \(2, 3, 8, 8\)"),
        (
            edit_cost(torch.zeros(2, 3, 4, 4), torch.zeros(1, 1, 4, 4), source_steps=1),
            noise(0),
            r"source_latent must have shape \(2, 3, 8, 8\)",
        ),
        (
            classifier_cost(lambda x: x.flatten(1), torch.zeros(3).long()),
            noise(0),
            "label must have 2 entries",
        ),
        (classifier_cost(lambda x: x.flatten(1)[:, :4], torch.tensor([0, 4])), noise(0), r"lie in \[0, 3\]"),
    ],
)
def test_what_does_not_fit_the_latents_is_named(cost, x: torch.Tensor, message: str) -> None:
    scheduler = steered()
    scheduler.set_cost(cost, scale=1.0)
    with pytest.raises(ValueError, match=message):
        scheduler.step(0.1 * x, scheduler.timesteps[0], x)


def test_times_by_token_and_whole_times_are_refused() -> None:
    scheduler = steered()
    scheduler.set_cost(half_square, scale=1.0)
    with pytest.raises(ValueError, match="per_token_timesteps cannot be served"):
        scheduler.step(noise(0), scheduler.timesteps[0], noise(0), per_token_timesteps=torch.zeros(2, 8))
    with pytest.raises(ValueError, match="integer indices"):
        steered().step(noise(0), 3, noise(0))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: edit_cost(noise(0), torch.zeros(1, 1, 4, 8), source_steps=1), "mask must broadcast over"),
        (lambda: edit_cost(noise(0), torch.zeros(8, 8), source_steps=1), "mask must broadcast over"),
        (
            lambda: edit_cost(noise(0), torch.full((1, 1, 8, 8), 2.0), source_steps=1),
            r"mask must lie in \[0, 1\]",
        ),
        (lambda: edit_cost(noise(0), torch.zeros(1, 1, 8, 8), source_steps=-1), "source_steps must be"),
        (lambda: edit_cost(noise(0)[:0], torch.zeros(1, 1, 8, 8), source_steps=1), "source_latent must have"),
        (lambda: inverse_cost(BoxMask(2), torch.zeros(0, 3, 8, 8)), "y must have shape"),
        (lambda: classifier_cost(half_square, torch.zeros(2)), "label must be integers"),
        (lambda: elementwise(500, 0), "numel must be at least 1; got 0"),
        (lambda: pack(torch.zeros(1, 4, 5, 4)), "H and W even"),
        (lambda: unpack(torch.zeros(1, 12, 16), 6, 6), r"shape \(B, 9, 4 C\)"),
    ],
)
def test_costs_of_the_wrong_shape_are_named_before_anything_runs(build, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


# -- in pipelines --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sd3(tmp_path_factory):
    folder = tiny_sd3.save_tiny_sd3(tmp_path_factory.mktemp("sd3") / "model")
    pipe = StableDiffusion3Pipeline.from_pretrained(folder)
    pipe.scheduler = SteeredFlowMatchScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def flux(tmp_path_factory):
    folder = tiny_flux.save_tiny_flux(tmp_path_factory.mktemp("flux") / "model")
    pipe = FluxPipeline.from_pretrained(folder)
    pipe.scheduler = SteeredFlowMatchScheduler.from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def draw(pipe, **options) -> torch.Tensor:
    return pipe(
        prompt=["a cat"] * 2,
        num_inference_steps=2,
        height=16,
        width=16,
        max_sequence_length=16,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
        **options,
    ).images


def test_it_runs_in_stable_diffusion_3(sd3) -> None:
    assert sd3.scheduler.config.shift == 3.0
    sd3.scheduler.clear_cost()
    plain = draw(sd3, guidance_scale=4.0)
    source = noise(4, 2, 4, 8, 8)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 2:6] = 1
    sd3.scheduler.set_cost(edit_cost(source, mask, source_steps=0), scale=0.5)
    led = draw(sd3, guidance_scale=4.0)
    inside = mask.expand_as(led) == 1
    assert plain.shape == led.shape == (2, 4, 8, 8)
    assert ((led - source)[~inside].abs().mean()) < 0.8 * ((plain - source)[~inside].abs().mean())
    sd3.scheduler.clear_cost()
    assert torch.equal(draw(sd3, guidance_scale=4.0), plain)


def test_it_runs_in_flux_on_packed_latents(flux) -> None:
    flux.scheduler.clear_cost()
    plain = unpack(draw(flux), 8, 8)
    y = noise(4, 2, 4, 4, 4)
    cost = inverse_cost(BicubicDown(2), y)
    flux.scheduler.set_cost(packed(cost, 8, 8), scale=0.5)
    led = unpack(draw(flux), 8, 8)
    assert cost(led).mean() < 0.9 * cost(plain).mean()
    flux.scheduler.set_cost(packed(cost, 16, 16), scale=0.5)
    with pytest.raises(ValueError, match="tokens must have shape"):
        draw(flux)
