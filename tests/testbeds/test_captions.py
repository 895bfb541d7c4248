"""Captions as conditions: tokens, the pipeline's parts, and clips of one mover with their classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from sillok import testbeds
from sillok.testbeds import captions, movers, shapes


def bed_of(name):
    """A caption testbed: shipped weights where there are any, else fresh ones."""
    if name in testbeds.available():
        return testbeds.load(name)
    bed = testbeds._new(name, "s")
    bed.use(bed.build(0))
    return bed


def test_tokens_are_words_between_two_ends():
    ids = captions.tokens(["a red circle", ""])
    assert ids.shape == (2, 12)
    words = captions.tokenizer().convert_ids_to_tokens(ids[0])
    assert words == ["<bos>", "a", "red", "circle", "<eos>", *["<pad>"] * 7]
    assert ids[1].tolist() == [1, 2] + [0] * 10
    assert captions.tokenizer().decode(ids[0], skip_special_tokens=True) == "a red circle"


def test_word_numbers_never_change():
    # shipped weights stand on these numbers: new words go to the end
    assert captions.WORDS[:12] == (
        "<pad>", "<bos>", "<eos>", "a", "red", "yellow", "green", "blue", "circle", "square", "triangle", "cross",
    )  # fmt: skip
    assert captions.WORDS[12:] == ("moves", "right", "left", "up", "down")


def test_every_caption_of_the_testbeds_is_known():
    assert len({tuple(row) for row in captions.tokens(shapes.captions(np.arange(16))).tolist()}) == 16
    assert len({tuple(row) for row in captions.tokens(movers.captions_of(range(64))).tolist()}) == 64


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["a purple circle"], "captions know no 'purple' in 'a purple circle'; the words are: a, red"),
        (["a <pad>"], "captions know no '<pad>'"),
        ([], "captions must be a list of at least one text"),
        ("a red circle", "captions must be a list of at least one text; got 'a red circle'"),
        (["a red circle", 3], "captions must be a list of at least one text; got .*3"),
        (["a " * 11], "captions must have at most 10 words"),
    ],
)
def test_bad_captions(given, words):
    with pytest.raises(ValueError, match=words):
        captions.tokens(given)


def test_labels_and_captions_are_one_condition():
    for name, count in (("ddpm-captions", 16), ("flow-video", 64)):
        bed = bed_of(name)
        labels = torch.arange(count)
        assert torch.equal(bed.condition(labels), bed.condition(bed.captions(labels)))
        assert torch.equal(bed.condition(labels.tolist()), bed.condition(labels))
        with pytest.raises(ValueError, match=rf"labels must have shape \(N,\) and lie in \[0, {count - 1}\]"):
            bed.condition(torch.tensor([count]))


def test_a_caption_changes_what_the_denoiser_sees():
    for name in ("ddpm-captions", "flow-video"):
        bed = bed_of(name)
        x, t = bed.noise(1), torch.tensor(600)
        one, other = ["a red circle moves left"], ["a blue square moves down"]
        if name == "ddpm-captions":
            one, other = ["a red circle"], ["a blue square"]
        with torch.no_grad():
            seen = [bed.predict(bed.model, x, t, bed.condition(c)) for c in (one, other)]
        assert (seen[0] - seen[1]).abs().max() > 1e-4


def test_the_parts_fit_a_stable_diffusion_pipeline():
    # the text half of the pipeline, which is where a caption testbed must be interchangeable
    bed = bed_of("ddpm-captions")
    pipeline = StableDiffusionPipeline(
        vae=None,
        text_encoder=bed.text_encoder,
        tokenizer=bed.tokenizer,
        unet=bed.model,
        scheduler=bed.scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    prompt, negative = pipeline.encode_prompt("a green cross", "cpu", 1, True, negative_prompt="")
    torch.testing.assert_close(prompt, bed.encode(bed.condition(["a green cross"])))
    torch.testing.assert_close(negative, bed.encode(bed.unconditional(1)))


def test_movers_are_what_their_captions_say():
    data = movers.movers("test", 256, 3)
    assert data.videos.shape == (256, 8, 3, 24, 24)
    assert data.captions() == shapes.clip_captions(data.clips)
    # one object, a straight line at a constant speed, wholly in view in every frame
    steps = np.diff(data.clips.position, axis=1)
    assert np.allclose(steps, data.clips.velocity[:, :1])
    assert (np.abs(data.clips.position[:, :, 0]) + data.clips.reach[:, None] <= 1.0).all()
    assert not len(data.clips.events)


def test_movers_repeat_and_append():
    few, more = movers.movers("val", 3, 5), movers.movers("val", 9, 5)
    assert torch.equal(few.videos, more.videos[:3])
    assert not torch.equal(few.videos, movers.movers("test", 3, 5).videos)
    asked = movers.movers("train", 64, labels=np.arange(64))
    assert asked.labels.tolist() == list(range(64))


def test_the_mask_moves_as_the_clip_says():
    clips = movers.sample_movers(32, 1)
    _, masks = shapes.render_clips(clips, 64)
    rows, columns = np.mgrid[:64, :64] + 0.5
    weight = masks.astype(float)
    centre = np.stack([(weight * axis).sum((2, 3)) / weight.sum((2, 3)) for axis in (columns, rows)], -1)
    moved = (centre[:, -1] - centre[:, 0]) / 32  # in half widths
    assert np.abs(moved - 7 * clips.velocity[:, 0, 0]).max() < 0.03


@pytest.mark.parametrize("labels", [np.array([64]), np.array([-1]), np.zeros((1, 1), np.int64)])
def test_bad_labels_of_movers(labels):
    with pytest.raises(ValueError, match=r"lie in \[0, 63\]"):
        movers.sample_movers(1, labels=labels)


def test_the_judge_of_clips_tells_headings_and_looks_apart():
    judge = bed_of("flow-video").judge(256)
    real = movers.movers("test", 256, 2)
    found = judge(real.videos, real.labels)
    assert min(found["accuracy"], found["still_accuracy"], found["heading_accuracy"]) > 0.95
    backwards = judge(real.videos.flip(1), real.labels)
    assert backwards["heading_accuracy"] < 0.05 and backwards["still_accuracy"] > 0.95
    frozen = judge(real.videos[:, :1].expand(-1, 8, -1, -1, -1), real.labels)
    assert frozen["heading_accuracy"] < 0.6
    assert found["colour_accuracy"] > 0.95 and backwards["colour_accuracy"] > 0.95
    recoloured = judge(real.videos, real.labels // 16 * 16 + (real.labels + 4) % 16)
    assert recoloured["colour_accuracy"] < 0.05 and recoloured["heading_accuracy"] > 0.95


def test_a_still_is_embedded_as_the_frame_that_it_is():
    bed = bed_of("flow-video")
    embed = bed.whole.denoiser.patch_embed
    clips = movers.movers("test", 3).videos
    text = torch.randn(3, bed.length, 64, generator=torch.Generator().manual_seed(0))
    times = torch.tensor([0, 3, 7])
    with torch.no_grad():
        frames = embed(text, clips)[:, bed.length :].unflatten(1, (8, -1))
        handle = bed._place_stills(embed)
        bed._times = times
        stills = embed(text, clips[torch.arange(3), times][:, None])[:, bed.length :]
        bed._times = None
        handle.remove()
    torch.testing.assert_close(stills, frames[torch.arange(3), times])


def test_training_sees_stills_first_and_then_clips():
    bed = bed_of("flow-video")
    recipe = bed.recipe
    stills, tokens, noise, _ = bed.batch_for_step(0, recipe.stills - 1, recipe.batch)
    assert stills.shape == noise.shape == (recipe.still_batch, 1, 3, 24, 24)
    assert len(tokens) == len(bed._times) == recipe.still_batch
    assert len(set(bed._times.tolist())) == 8
    clips, _, _, _ = bed.batch_for_step(0, recipe.stills, recipe.batch)
    assert clips.shape == (recipe.batch, 8, 3, 24, 24) and bed._times is None
    assert bed.shift_of(stills) == pytest.approx(bed.shift_of(clips) / 8**0.5)
    captions_seen = bed.batch(0, 0, 400)[1]
    silent = np.mean(["moves" not in caption for caption in captions_seen])
    assert silent == pytest.approx(recipe.silent, abs=0.06)
