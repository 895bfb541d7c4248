"""The trial of StyleCodes: styles and their probe, training that leaves the base alone, and its rule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sillok import testbeds
from sillok.testbeds.shapes.scenes import sample_scenes
from sillok.trials.diffusion.stylecodes import (
    GUIDANCE,
    HELD,
    NAMES,
    TRAINED,
    Pairs,
    bits,
    judge,
    new_styler,
    patches,
    second_base,
    train,
)
from sillok.trials.diffusion.styles import OUTLINES, TEXTURES, Probe, Styles, describe, draw_styles, paint
from sillok.verify import Paired, Truth


def one(**change) -> Styles:
    """A single plain grey style."""
    values = {
        "ground": np.full((1, 3), 0.5),
        "texture": np.zeros(1, np.int64),
        "contrast": np.full(1, 0.2),
        "period": np.full(1, 8.0),
        "outline": np.zeros(1, np.int64),
        "grain": np.zeros(1),
    }
    return Styles(**(values | change))


def painted(styles: Styles, n: int = 4, seed: int = 0, index=None) -> torch.Tensor:
    index = np.zeros(n, np.int64) if index is None else index
    return paint(sample_scenes(n, 5, turn=0.6), styles, index, 32, seed)


def test_each_part_of_a_style_changes_what_it_names() -> None:
    plain = painted(one())
    assert plain[:, :, 0, 0].abs().max() < 1e-6  # grey ground
    inside = (plain.amax(1) - plain.amin(1)) > 0.1
    assert inside.flatten(1).any(1).all()
    for kind in range(1, len(TEXTURES)):
        waved = painted(one(texture=np.full(1, kind)))
        assert (waved - plain).abs()[:, 0][~inside].mean() > 0.02, TEXTURES[kind]
        assert torch.equal(waved[:, 0][inside], plain[:, 0][inside])  # the shape is the caption's
    rows, columns = (painted(one(texture=np.full(1, k))) for k in (1, 2))
    assert rows[:, :, 0].std(2).max() < 1e-6 < rows[:, :, :, 0].std(2).min()
    assert columns[:, :, :, 0].std(2).max() < 1e-6 < columns[:, :, 0].std(2).min()
    for kind, sign in ((1, -1), (2, 1)):
        lined = painted(one(outline=np.full(1, kind)))
        changed = (lined - plain).abs().amax(1) > 0.3
        assert changed.flatten(1).sum(1).min() > 10, OUTLINES[kind]
        assert (lined.mean(1)[changed] * sign > 0.7).all()
        assert not (changed & inside).any()
    grainy = painted(one(grain=np.full(1, 0.05)))
    assert float((grainy - plain).std()) == pytest.approx(0.1, rel=0.05)


def test_painting_follows_from_seeds_and_styles_from_theirs() -> None:
    styles = draw_styles(6, 3)
    index = np.arange(4)
    assert torch.equal(painted(styles, index=index), painted(styles, index=index))
    assert not torch.equal(painted(styles, index=index), painted(styles, index=index, seed=1))
    assert np.array_equal(draw_styles(6, 3).ground, styles.ground)
    assert not np.array_equal(draw_styles(6, 4).ground, styles.ground)
    with pytest.raises(ValueError, match="one style for each of 4 scenes"):
        painted(styles, index=np.arange(3))


def test_the_probe_tells_styles_and_not_contents() -> None:
    styles, index = draw_styles(HELD, 1), np.repeat(np.arange(HELD), 24)
    known = paint(sample_scenes(len(index), 0, turn=0.6), styles, index, 32, 0)
    probe = Probe(known.unflatten(0, (HELD, 24)))
    fresh = paint(sample_scenes(len(index), 1, turn=0.6), styles, index, 32, 1)
    truth = torch.from_numpy(index)
    assert probe.retrieval(fresh, truth) > 0.97
    assert probe.distance(fresh, truth) < 1.2
    assert probe.distance(fresh, truth.roll(24)) > 4
    assert probe.retrieval(fresh, truth.roll(24)) < 0.1
    assert describe(fresh).isfinite().all()
    assert describe(torch.zeros(1, 3, 32, 32)).isfinite().all()


@pytest.mark.parametrize("part", ["ground", "texture", "outline", "grain"])
def test_the_probe_sees_each_part_of_a_style(part: str) -> None:
    base, changes = one(), {"ground": 0.62, "texture": 4, "outline": 1, "grain": 0.06}
    value = getattr(base, part)
    other = replace(base, **{part: np.full(value.shape, changes[part], value.dtype)})
    both = [torch.stack([painted(s, 24, seed=k) for s in (base, other)]) for k in (0, 1)]
    truth = torch.tensor([0] * 24 + [1] * 24)
    assert Probe(both[0]).retrieval(both[1].flatten(0, 1), truth) > 0.9


def test_pairs_share_their_style_alone() -> None:
    pairs = Pairs(11, 32, 0.6)
    assert (len(pairs.trained), len(pairs.held)) == (TRAINED, HELD)
    target, labels, reference = pairs.batch(3, 8)
    assert all(torch.equal(a, b) for a, b in zip(pairs.batch(3, 8), (target, labels, reference), strict=True))
    spread = describe(target).std(0).clamp_min(1e-3)
    near = ((describe(target) - describe(reference)) / spread).square().mean(1)
    far = ((describe(target) - describe(reference.roll(1, 0))) / spread).square().mean(1)
    assert near.median() < 0.3 * far.median()
    assert (target - reference).abs().mean() > 0.05
    assert not torch.equal(pairs.batch(4, 8)[0], target)


def test_patches_keep_every_pixel() -> None:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    tokens = patches(images)
    assert tokens.shape == (2, 64, 48)
    assert torch.equal(tokens[0, 0].view(3, 4, 4), images[0, :, :4, :4])
    assert torch.equal(tokens[1, 9].view(3, 4, 4), images[1, :, 4:8, 4:8])


@pytest.fixture(scope="module")
def bed():
    """The base with fresh weights: these tests need no trained one."""
    made = testbeds._new("ddpm-captions", "s")
    made.use(made.build(0))
    return made


def test_styles_reach_the_map_from_the_first_step(bed) -> None:
    """Not so, the control learns how styled images look on the average, and to read no code."""
    pairs = Pairs(1, 32, 0.6)
    styler = new_styler(bed, pairs, 0)
    seen = (patches(pairs.batch(3, 64)[2]) - styler.mean) / styler.deviation
    assert seen.flatten(0, 1).mean(0).abs().max() < 0.5
    assert (seen.flatten(0, 1).std(0) - 1).abs().max() < 0.3
    index = np.arange(HELD).repeat(4)
    with torch.no_grad():
        latent = styler.latent(pairs.images(pairs.held, index, 4, "val")[0])
        drawn = styler.encoder.decode(latent, 4, 4)
    of_styles = latent.unflatten(0, (HELD, 4))
    assert of_styles.mean(1).std(0).mean() > 2 * of_styles.std(1).mean()
    assert drawn.std(0).mean() > 0.2 * drawn.std()


def test_training_teaches_encoder_and_control_and_leaves_the_base(bed) -> None:
    pairs, losses = Pairs(1, 32, 0.6), []
    styler = new_styler(bed, pairs, 0)
    before = {k: v.clone() for k, v in styler.unet.state_dict().items()}
    mix = styler.control.mix[0].weight.clone()
    query = styler.encoder.latent_init.clone()
    train(styler, pairs, 3, 4, lambda step, loss: losses.append(loss))
    assert len(losses) == 3
    assert all(torch.equal(v, before[k]) for k, v in styler.unet.state_dict().items())
    assert not torch.equal(styler.control.mix[0].weight, mix)
    assert not torch.equal(styler.encoder.latent_init, query)
    again = new_styler(bed, pairs, 0)
    train(again, pairs, 3, 4, lambda step, loss: None)
    assert torch.equal(again.control.mix[0].weight, styler.control.mix[0].weight)
    tuned = second_base(styler, pairs, 1, 4)
    assert any(not torch.equal(v, before[k]) for k, v in tuned.state_dict().items())
    assert all(torch.equal(v, before[k]) for k, v in styler.unet.state_dict().items())


def test_untrained_a_style_changes_nothing_and_then_it_does(bed) -> None:
    styler = new_styler(bed, Pairs(1, 32, 0.6), 0)
    labels, noise = torch.tensor([3, 12]), bed.noise(2, 5)
    latent = torch.randn(2, 20, generator=torch.Generator().manual_seed(0))
    plain = styler.draw(labels, noise, 2, None)
    torch.testing.assert_close(styler.draw(labels, noise, 2, latent), plain, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(
        plain, bed.sample(labels, guidance=GUIDANCE, steps=2, seed=5), atol=1e-2, rtol=1e-2
    )
    with torch.no_grad():
        styler.control.mix[0].weight += 0.1 * torch.randn(
            128, 128, generator=torch.Generator().manual_seed(1)
        )
    one_, other = (styler.draw(labels, noise, 2, z) for z in (latent, latent.flip(0)))
    assert (one_ - plain).abs().max() > 1e-2
    assert (one_ - other).abs().max() > 1e-3


def test_the_judge_learns_grounds() -> None:
    pairs = Pairs(1, 32, 0.6)
    images, labels = pairs.images(pairs.held, np.arange(HELD).repeat(12), 4, "test")
    before = testbeds.load("shapes", "s").model
    after = judge(pairs, 60)
    right = [float((m(images)[0].argmax(1) == labels).double().mean()) for m in (before, after)]
    assert right[1] > max(0.8, right[0])


GOOD = {
    "distance_continuous": 2.0,
    "distance_6bit": 2.1,
    "retrieval_6bit": 0.8,
    "retrieval_tuned": 0.7,
    "accuracy_6bit": 0.9,
}
BASE = GOOD | dict.fromkeys(("distance_continuous", "distance_6bit"), 12.0) | {"retrieval_6bit": 0.06}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (GOOD, Truth.YES),
        (GOOD | {"distance_6bit": 2.6}, Truth.NO),
        (GOOD | {"distance_6bit": 1.9}, Truth.YES),
        (GOOD | {"retrieval_6bit": 0.18, "retrieval_tuned": 0.18}, Truth.NO),
        (GOOD | {"accuracy_6bit": 0.84}, Truth.NO),
        (GOOD | {"retrieval_tuned": 0.5}, Truth.NO),
        (BASE, Truth.NO),
        (BASE | {"retrieval_6bit": 0.9, "retrieval_tuned": 0.9}, Truth.NO),
    ],
)
def test_the_rule(found: dict[str, float], expected: Truth) -> None:
    rows = {"base": BASE, "stylecodes": found}
    table = {arm: dict.fromkeys(range(3), row) for arm, row in rows.items()}
    assert bits.rule is not None
    assert bits.rule(Paired(tuple(rows), table, "here")) is expected


def test_every_scheme_is_measured_three_ways() -> None:
    assert NAMES == ("continuous", "6bit", "4bit", "3bit", "2bit", "other", "tuned")
    assert {f"{kind}_{n}" for n in NAMES for kind in ("distance", "retrieval", "accuracy")} < set(
        bits.measures
    )
