"""The generators of shapes: interfaces, guidance, determinism, quality on a small sample, training."""

from __future__ import annotations

import diffusers
import numpy as np
import pytest
import torch

from sillok import testbeds
from sillok.testbeds import scores

NAMES = ("ddpm", "ddpm-digits", "ddpm-captions", "flow", "flow-digits", "flow-video")
ALL = [(name, size) for name in NAMES for size in testbeds.available().get(name, ())]
HOSTS = {
    "ddpm": diffusers.UNet2DModel,
    "ddpm-digits": diffusers.UNet2DModel,
    "ddpm-captions": diffusers.UNet2DConditionModel,
    "flow": diffusers.DiTTransformer2DModel,
    "flow-digits": diffusers.DiTTransformer2DModel,
    "flow-video": diffusers.CogVideoXTransformer3DModel,
}


@pytest.fixture(scope="module")
def bed():
    """Loads each testbed once for this file."""
    loaded = {}

    def get(name, size):
        return loaded.setdefault((name, size), testbeds.load(name, size))

    return get


def labels(n):
    return torch.arange(n) % 16


@pytest.mark.parametrize(("name", "size"), ALL)
def test_the_model_is_the_host_librarys(bed, name, size):
    schedulers = {"ddpm": diffusers.DDIMScheduler, "flow": diffusers.FlowMatchEulerDiscreteScheduler}
    assert type(bed(name, size).model) is HOSTS[name]
    assert type(bed(name, size).scheduler()) is schedulers[name.split("-")[0]]


def test_the_ddpm_scheduler_never_clips(bed):
    from sillok.testbeds.ddpm import DDPM

    config = bed("ddpm", "s").scheduler().config
    assert not config.clip_sample
    assert not config.thresholding
    assert config.prediction_type == "epsilon"
    assert DDPM("s").scheduler().config == config


def samples_of(data):
    return data.videos if hasattr(data, "videos") else data.images


@pytest.mark.parametrize(("name", "size"), ALL)
def test_one_step_back_from_real_samples(bed, name, size):
    # at a tenth of the way the model must find the image in the noise far better than doing nothing
    it = bed(name, size)
    data = it.data("test", n=16)
    real, condition = samples_of(data), it.condition(data.labels)
    assert real.shape[1:] == it.shape
    noise = it.noise(16, seed=9)
    if name.startswith("ddpm"):
        t = torch.tensor(100)
        x, truth = it.scheduler().add_noise(real, noise, t.expand(16)), noise
    else:
        t = torch.tensor(100.0)
        x, truth = 0.9 * real + 0.1 * noise, noise - real
    with torch.no_grad():
        error = (it.predict(it.model, x, t, condition) - truth).square().mean()
    assert error < 0.15 * truth.square().mean()


@pytest.mark.parametrize(("name", "size"), ALL)
def test_samples_repeat_by_seed_and_differ_between_seeds(bed, name, size):
    it = bed(name, size)
    first = it.sample(labels(3), steps=3, seed=3)
    assert torch.equal(first, it.sample(labels(3), steps=3, seed=3))
    assert (first - it.sample(labels(3), steps=3, seed=4)).abs().mean() > 0.05
    # the same images come in a larger request, split in another way (up to rounding)
    torch.testing.assert_close(
        it.sample(labels(5), steps=3, seed=3, batch=4)[:3], first, atol=1e-3, rtol=1e-3
    )


@pytest.mark.parametrize(("name", "size"), ALL)
def test_guidance_is_linear_in_the_two_branches(bed, name, size):
    it = bed(name, size)
    x, y, null = it.noise(4), it.condition(labels(4)), it.unconditional(4)
    scheduler = it.scheduler()
    scheduler.set_timesteps(1)
    t = scheduler.timesteps[0]
    with torch.no_grad():
        conditional, unconditional = it.predict(it.model, x, t, y), it.predict(it.model, x, t, null)
    assert (conditional - unconditional).abs().max() > 1e-4, "the label matters"
    for guidance in (0.0, 1.0, 3.0):
        output = unconditional + guidance * (conditional - unconditional)
        scheduler = it.scheduler()
        scheduler.set_timesteps(1)
        expected = scheduler.step(output, t, x).prev_sample
        found = it.sample(labels(4), guidance=guidance, steps=1)
        torch.testing.assert_close(found, expected, atol=2e-3, rtol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), ALL)
def test_shipped_quality_holds_on_a_small_sample(bed, name, size):
    it = bed(name, size)
    n = 32 if name == "flow-video" else 64
    wanted = torch.arange(n) % it.judge(64).model.classes.out_features
    found = it.judge(256)(it.sample(wanted, guidance=4.0, steps=15, seed=21), wanted)
    # the floor holds for 256 samples at the best scale; fewer of them and 15 steps leave room for some misses
    for metric in ("colour_accuracy", "heading_accuracy") if name == "flow-video" else ("accuracy",):
        assert found[metric] >= it.floor - 0.15
    assert abs(found.get("saturation_gap", 0)) < 0.12
    assert found["precision"] > 0.1


@pytest.mark.parametrize(("name", "size"), ALL)
def test_shipped_figures_are_consistent(bed, name, size):
    quality = bed(name, size).quality
    scales = [key.split("@")[1] for key in quality if key.startswith("accuracy@")]
    assert {"1", "2", "4"} <= set(scales)
    assert quality["accuracy_best"] == max(quality[f"accuracy@{w}"] for w in scales)
    assert all(low <= quality[metric] <= high for metric, (low, high) in bed(name, size).bounds().items())
    # a held-out real split is the best that there is, up to the chance of which images it has
    assert 0.8 * quality["frechet_real"] < min(quality[f"frechet@{w}"] for w in scales)
    if "saturation@1" in quality:
        assert quality["saturation@4"] > quality["saturation@1"]


def test_noise_does_not_depend_on_how_much_is_asked_for(bed):
    it = bed("ddpm", "s")
    assert torch.equal(it.noise(3, seed=1), it.noise(7, seed=1)[:3])
    assert not torch.equal(it.noise(3, seed=1), it.noise(3, seed=2))


def test_the_judge_compares_with_the_models_own_data():
    from sillok.testbeds.ddpm import DDPM

    upright = DDPM("s")
    assert upright.turn < 1
    real = upright.data("test", n=256)
    assert np.abs(real.scenes.angle).max() <= upright.turn / 2
    own, other = (
        upright.judge(256)(real.images, real.labels),
        scores.Judge.of("s", 256)(real.images, real.labels),
    )
    assert own["accuracy"] > 0.97
    assert own["frechet"] < other["frechet"]


@pytest.mark.parametrize("name", ["ddpm", "ddpm-digits", "ddpm-captions"])
def test_training_drops_conditions_at_the_recipes_rate(name):
    it = testbeds._new(name, "s")
    null = it.unconditional(1)[0]
    _, given, noise, _ = it.batch_for_step(0, 0, 2000)
    dropped = (given == null).flatten(1).all(1) if given.ndim > 1 else given == null
    assert abs(float(dropped.double().mean()) - it.recipe.label_dropout) < 0.03
    _, other, noise2, _ = it.batch_for_step(0, 1, 2000)
    assert not torch.equal(given, other) and not torch.equal(noise, noise2)
    _, same, noise3, _ = it.batch_for_step(0, 0, 2000)
    assert torch.equal(given, same) and torch.equal(noise, noise3)


def test_fresh_weights_follow_the_seed_and_leave_the_global_generator_alone(bed):
    it = bed("ddpm", "s")
    before = torch.get_rng_state()
    one, same, other = (list(it.build(seed).parameters()) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ddpm", "ddpm-captions", "flow", "flow-video"])
def test_training_at_a_reduced_size_lowers_the_loss(name, monkeypatch):
    from sillok.testbeds import training

    # compiling takes longer than these few steps, and changes the last digits of a loss only
    monkeypatch.setattr(training.shutil, "which", lambda _: None)
    it = testbeds._new(name, "s")
    progress = training.Progress(steps=12)
    it.fit(it.build(0), progress, device="cpu", seed=0)
    assert progress.log[-1]["step"] == 12
    assert progress.log[-1]["loss"] < 0.8 * progress.log[0]["loss"]


def test_training_goes_on_from_a_checkpoint(tmp_path):
    first = testbeds.train("shapes", "xs", steps=30, samples=16, out=tmp_path / "a")
    more = testbeds.train("shapes", "xs", steps=30, samples=16, start=tmp_path / "a", out=tmp_path / "b")
    assert more.facts["steps"] == 60
    assert more.log[: len(first.log)] == first.log
    assert more.log[-1]["step"] == 60
    assert more.log[-1]["loss"] < 0.9 * first.log[-1]["loss"]


def test_training_stops_when_the_minutes_are_over(tmp_path):
    bed = testbeds.train("shapes", "xs", minutes=0.02, samples=16, out=tmp_path)
    assert 1 <= bed.facts["steps"] < bed.recipe.steps


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"labels": torch.tensor([16])}, r"labels must have shape \(N,\) and lie in \[0, 15\]"),
        ({"labels": torch.zeros(2, 2, dtype=torch.long)}, "labels must have shape"),
        ({"labels": labels(2), "steps": 0}, "steps must be an integer of at least 1; got 0"),
        ({"labels": labels(2), "batch": 0}, "batch must be an integer of at least 1; got 0"),
    ],
)
def test_bad_input(bed, options, words):
    with pytest.raises(ValueError, match=words):
        bed("ddpm", "s").sample(**options)
