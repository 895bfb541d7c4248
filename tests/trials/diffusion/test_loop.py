"""The sampling loop of trials, against Diffusers' own sampling and exact solutions."""

from __future__ import annotations

import diffusers
import pytest
import torch
from diffusers.guiders import AdaptiveProjectedGuidance, ClassifierFreeGuidance

from sillok.methods.diffusion import DenoisedAPG
from sillok.methods.diffusion.prediction import point
from sillok.trials.diffusion.loop import denoise

SCHEDULERS = [
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler",
]


def noise(seed: int, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def scheduler_of(name: str):
    config = {"clip_sample": False} if name in ("DDIMScheduler", "DDPMScheduler") else {}
    return getattr(diffusers, name)(**config)


class Knowing:
    """A network that knows the images: the conditional branch one, the unconditional another."""

    def __init__(self, scheduler, steps: int):
        self.scheduler = scheduler
        self.scheduler.set_timesteps(steps)
        self.calls = 0

    def __call__(self, x, t, image):
        self.calls += 1
        here = point(self.scheduler, t)
        return here.from_denoised(image, here.unscale(x))


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("guider", [ClassifierFreeGuidance, AdaptiveProjectedGuidance, DenoisedAPG])
def test_a_network_that_knows_the_image_leads_there(name: str, guider: type) -> None:
    scheduler = scheduler_of(name)
    network = Knowing(scheduler_of(name), 12)
    image = noise(1).clamp(-1, 1)
    out = denoise(
        network,
        scheduler,
        guider(guidance_scale=3.0),
        noise(0),
        {"image": (image, image)},
        12,
        generator=torch.Generator().manual_seed(0),
    )
    # The branches agree, so guidance has nothing to add; what is left is the last step's noise.
    torch.testing.assert_close(out, image, atol=0.12, rtol=0)


def test_guidance_extrapolates_between_the_branches() -> None:
    image, other = noise(1), noise(2)
    network = Knowing(scheduler_of("FlowMatchEulerDiscreteScheduler"), 4)
    out = denoise(
        network,
        scheduler_of("FlowMatchEulerDiscreteScheduler"),
        ClassifierFreeGuidance(guidance_scale=3.0),
        noise(0),
        {"image": (image, other)},
        4,
    )
    torch.testing.assert_close(out, other + 3 * (image - other), atol=1e-4, rtol=1e-4)
    assert network.calls == 8


def test_it_is_the_testbeds_own_sampler_for_classifier_free_guidance() -> None:
    from sillok.testbeds.ddpm import DDPM

    bed = DDPM("xs")
    bed.use(bed.build(3))
    labels = torch.arange(4)
    expected = bed.sample(labels, guidance=5.0, steps=3, seed=7)
    out = denoise(
        lambda x, t, labels: bed.predict(bed.model, x, t, labels),
        bed.scheduler(),
        ClassifierFreeGuidance(guidance_scale=5.0),
        bed.noise(4, seed=7),
        {"labels": (labels, torch.full_like(labels, bed.null))},
        3,
    )
    torch.testing.assert_close(out, expected, atol=2e-4, rtol=2e-4)


def test_the_callers_scheduler_is_left_alone_and_runs_repeat() -> None:
    scheduler = scheduler_of("DPMSolverMultistepScheduler")
    network = Knowing(scheduler_of("DPMSolverMultistepScheduler"), 5)
    guider = DenoisedAPG(guidance_scale=4.0)
    conditions = {"image": (noise(1), noise(2))}
    first = denoise(network, scheduler, guider, noise(0), conditions, 5)
    again = denoise(network, scheduler, guider, noise(0), conditions, 5)
    assert torch.equal(first, again)
    assert scheduler.step_index is None
    assert scheduler.num_inference_steps is None


def test_noise_comes_from_the_generator() -> None:
    def run(seed: int) -> torch.Tensor:
        network = Knowing(scheduler_of("EulerAncestralDiscreteScheduler"), 5)
        seen: list[torch.Tensor] = []
        denoise(
            network,
            scheduler_of("EulerAncestralDiscreteScheduler"),
            ClassifierFreeGuidance(guidance_scale=2.0),
            noise(0),
            {"image": (noise(1), noise(2))},
            5,
            generator=torch.Generator().manual_seed(seed),
            on_step=lambda i, x: seen.append(x),
        )
        assert len(seen) == 5
        return seen[2]

    assert torch.equal(run(0), run(0))
    assert not torch.equal(run(0), run(1))


def test_a_guider_that_stops_costs_one_branch() -> None:
    network = Knowing(scheduler_of("DDIMScheduler"), 10)
    guider = DenoisedAPG(guidance_scale=4.0, start=0.2, stop=0.5)
    denoise(network, scheduler_of("DDIMScheduler"), guider, noise(0), {"image": (noise(1), noise(2))}, 10)
    assert network.calls == 10 + 3


def test_what_is_done_before_a_step_is_what_the_step_starts_from() -> None:
    seen: list[tuple[int, float]] = []

    def network(x, t):
        seen.append((len(seen), float(x.mean())))
        return torch.zeros_like(x)

    def before(i, x, t, scheduler):
        assert float(scheduler.timesteps[i]) == float(t)
        return torch.full_like(x, float(i))

    scheduler = scheduler_of("FlowMatchEulerDiscreteScheduler")
    guider = ClassifierFreeGuidance(guidance_scale=1.0)
    out = denoise(network, scheduler, guider, noise(0), {}, 3, before_step=before)
    assert seen == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert torch.equal(out, torch.full_like(out, 2.0))


def test_bad_input_is_named_before_the_network_runs() -> None:
    network = Knowing(scheduler_of("DDIMScheduler"), 2)
    scheduler, guider = scheduler_of("DDIMScheduler"), ClassifierFreeGuidance()
    with pytest.raises(ValueError, match="steps must be at least 1; got 0"):
        denoise(network, scheduler, guider, noise(0), {"image": noise(1)}, 0)
    with pytest.raises(ValueError, match="noise must have shape"):
        denoise(network, scheduler, guider, noise(0)[:0], {}, 2)
    with pytest.raises(ValueError, match="'image' must have 2 rows as noise has; got 3"):
        denoise(network, scheduler, guider, noise(0), {"image": (noise(1), noise(1, 3))}, 2)
    with pytest.raises(ValueError, match="KDPM2DiscreteScheduler"):
        denoise(network, diffusers.KDPM2DiscreteScheduler(), DenoisedAPG(), noise(0), {"image": noise(1)}, 2)
    assert network.calls == 0


def test_without_a_guider_there_is_one_branch() -> None:
    network = Knowing(scheduler_of("FlowMatchEulerDiscreteScheduler"), 4)
    image = noise(1)
    out = denoise(
        network, scheduler_of("FlowMatchEulerDiscreteScheduler"), None, noise(0), {"image": image}, 4
    )
    torch.testing.assert_close(out, image, atol=1e-4, rtol=1e-4)
    assert network.calls == 4
    with pytest.raises(ValueError, match="'image' has two parts, and without a guider there is one branch"):
        denoise(network, scheduler_of("DDIMScheduler"), None, noise(0), {"image": (image, image)}, 4)
    assert network.calls == 4


def test_the_fresh_scheduler_can_be_prepared() -> None:
    given, seen = scheduler_of("FlowMatchEulerDiscreteScheduler"), []
    network = Knowing(scheduler_of("FlowMatchEulerDiscreteScheduler"), 4)
    denoise(network, given, None, noise(0), {"image": noise(1)}, 4, prepare=seen.append)
    assert len(seen) == 1
    assert seen[0] is not given
    assert len(seen[0].timesteps) == 4
