"""The trial of adaptive projected guidance: its arms, its fault, and what its rule can tell apart."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import DDIMScheduler
from diffusers.guiders import AdaptiveProjectedGuidance, ClassifierFreeGuidance

from sillok.methods.diffusion import DenoisedAPG, to_denoised
from sillok.trials.diffusion.apg import guider_for, oversaturation, radius
from sillok.verify import Paired, Run, Truth


def test_the_cap_grows_with_the_root_of_the_dimension() -> None:
    assert radius(65_536) == 15
    assert radius(3 * 32 * 32) == pytest.approx(15 * math.sqrt(3072 / 65_536))
    assert radius(4 * 100) == pytest.approx(2 * radius(100))


def test_arms_are_what_they_are_called() -> None:
    cfg, rescale, native, apg = (guider_for(a, 7.0, 768) for a in ("cfg", "cfg_rescale", "apg_native", "apg"))
    assert type(cfg) is type(rescale) is ClassifierFreeGuidance
    assert (cfg.guidance_rescale, rescale.guidance_rescale) == (0.0, 0.7)
    assert type(native) is AdaptiveProjectedGuidance
    assert type(apg) is DenoisedAPG
    assert not native.use_original_formulation
    for one in (native, apg):
        assert (one.guidance_scale, one.eta) == (7.0, 0.0)
        assert one.adaptive_projected_guidance_momentum == -0.5
        assert one.adaptive_projected_guidance_rescale == radius(768)


def test_the_fault_keeps_the_parallel_part_alone() -> None:
    scheduler = DDIMScheduler(clip_sample=False)
    x, cond, uncond = (
        torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        for k in range(3)
    )

    def update(fault: bool) -> torch.Tensor:
        guider = guider_for("apg", 7.0, 192, fault)
        guider.bind(x, scheduler, 400)
        return to_denoised(guider.forward(cond, uncond).pred, x, scheduler, 400) - centre

    centre = to_denoised(cond, x, scheduler, 400)
    whole = guider_for("apg", 7.0, 192)
    whole.eta = 1.0
    whole.bind(x, scheduler, 400)
    both = to_denoised(whole.forward(cond, uncond).pred, x, scheduler, 400) - centre
    torch.testing.assert_close(update(True) + update(False), both, atol=1e-4, rtol=1e-4)
    parallel = update(True).flatten(1)
    cosine = torch.nn.functional.cosine_similarity(parallel, centre.flatten(1)).abs()
    torch.testing.assert_close(cosine, torch.ones(2, dtype=torch.float64), atol=1e-6, rtol=0)


def table(apg: dict[str, float], spread: float = 0.0) -> Paired:
    cfg = {"fd": 40.0, "accuracy": 0.9, "saturation_gap": 0.2}
    rows: dict[str, dict[int, dict[str, float]]] = {"cfg": {}, "apg": {}}
    for seed in range(5):
        for arm, values in (("cfg", cfg), ("apg", cfg | apg)):
            jitter = spread * (seed - 2) if arm == "apg" else 0.0
            rows[arm][seed] = {f"{k}_w{w}": v + jitter for k, v in values.items() for w in (7, 15)}
    return Paired(("cfg", "apg"), rows, "here")


GOOD = {"fd": 30.0, "accuracy": 0.9, "saturation_gap": 0.05}


@pytest.mark.parametrize(
    ("apg", "expected"),
    [
        (GOOD, Truth.YES),
        (GOOD | {"saturation_gap": -0.05}, Truth.YES),
        (GOOD | {"saturation_gap": -0.3}, Truth.NO),  # as far off on the other side
        (GOOD | {"fd": 41.0}, Truth.NO),
        (GOOD | {"accuracy": 0.88}, Truth.NO),
        (GOOD | {"accuracy": 0.895}, Truth.YES),
        ({}, Truth.NO),  # the baseline itself
    ],
)
def test_the_rule(apg: dict[str, float], expected: Truth) -> None:
    assert oversaturation.rule is not None
    assert oversaturation.rule(table(apg)) is expected


def test_accuracy_that_the_seeds_do_not_settle_is_inconclusive() -> None:
    assert oversaturation.rule is not None
    assert oversaturation.rule(table(GOOD | {"accuracy": 0.895}, spread=0.01)) is Truth.UNKNOWN


def test_arms_share_noise_and_differ_by_their_guider() -> None:
    def once(arm: str, seed: int = 0) -> dict[str, float]:
        return dict(oversaturation.body(Run(arm=arm, seed=seed, scale="smoke")))

    cfg, apg = once("cfg"), once("apg")
    assert once("cfg") == cfg
    assert apg["fd_real"] == cfg["fd_real"]
    assert apg["fd_w15"] != cfg["fd_w15"]
    assert set(cfg) == set(oversaturation.measures)
    assert once("cfg", seed=1)["fd_w7"] != cfg["fd_w7"]
