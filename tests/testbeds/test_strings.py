"""The testbed of spelled numbers: its pictures, captions, readings, and the transformer that learns to draw them."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from diffusers import SD3Transformer2DModel

from sillok import testbeds
from sillok.testbeds import strings
from sillok.testbeds.strings import (
    CEILING,
    LENGTH,
    caption,
    grounds,
    lettering,
    numbers,
    over,
    spelled,
    texture,
    tokenizer,
)
from sillok.testbeds.training import at_step


@functools.cache
def bed():
    made = testbeds._new("flow-strings", "s")
    made.use(made.build(0))
    return made


def test_pictures_follow_from_split_and_seed() -> None:
    data = bed().data("test", n=6, seed=3)
    assert data.images.shape == (6, 1, 16, 48)
    assert float(data.images.min()) >= -1
    assert float(data.images.max()) <= 1
    assert torch.equal(data.images, bed().data("test", n=6, seed=3).images)
    assert data.numbers == bed().data("val", n=6, seed=3).numbers
    assert not torch.equal(data.images, bed().data("val", n=6, seed=3).images)
    assert not torch.equal(data.images, bed().data("test", n=6, seed=4).images)
    assert data.captions()[0] == f'number "{data.numbers[0]}"'


def test_numbers_use_all_digits_evenly() -> None:
    found = numbers(4000, 0)
    assert all(len(number) == 3 for number in found)
    counts = np.bincount([int(c) for number in found for c in number], minlength=10)
    assert counts.min() > 0.9 * 1200
    assert counts.max() < 1.1 * 1200


def test_the_ground_stays_below_its_ceiling_and_goes_away() -> None:
    ground = grounds(8, torch.Generator().manual_seed(0))
    assert float(ground.max()) <= CEILING + 1e-6
    assert float(ground.min()) >= -1
    assert torch.equal(lettering(ground), torch.full_like(ground, -1))
    ink = torch.full_like(ground, -1)
    ink[..., 4:12, 20:24] = 1
    together = over(ink, ground)
    assert torch.equal(together[..., :20], ground[..., :20])
    assert torch.equal(lettering(together), ink)


def test_held_out_pictures_are_read() -> None:
    data = bed().data("test", n=128, seed=1)
    exact, single = spelled(bed().read(data.images), data.numbers)
    low, high = bed().bounds()["exact_real"]
    assert low <= exact <= high
    assert single > 0.95


def test_smoothing_shows_in_the_texture_and_ink_does_not() -> None:
    ground = grounds(16, torch.Generator().manual_seed(0))
    plain = texture(ground)
    middle = ground.mean((2, 3), keepdim=True)
    assert texture(middle + 0.5 * (ground - middle)) == pytest.approx(plain / 4, rel=1e-3)
    ink = torch.full_like(ground, -1)
    ink[..., 6:10, :] = 1
    inked = texture(over(ink, ground))
    assert inked == pytest.approx(plain, rel=0.3)
    assert texture(torch.ones(1, 1, 16, 48)) == 0


def test_captions_spell_digit_by_digit() -> None:
    ids = bed().condition(["314", "007"])
    assert ids.shape == (2, LENGTH)
    words = tokenizer().convert_ids_to_tokens(ids[0])
    assert words == ["<bos>", "number", '"', "3", "1", "4", '"', "<eos>"]
    assert bed().unconditional(2).shape == (2, LENGTH)
    from sillok.methods.diffusion.text_attention import quoted_token_ids

    assert quoted_token_ids(tokenizer(), caption("314")) == [3, 4, 5]


@pytest.mark.parametrize("labels", [["12"], ["1234"], ["12a"], [], "123", torch.tensor([1])])
def test_what_is_no_number_is_named(labels) -> None:
    with pytest.raises(ValueError, match="labels must be a list of numbers of 3 digits"):
        bed().condition(labels)
    with pytest.raises(ValueError, match="split must be one of"):
        bed().data("all")


def test_the_model_is_one_of_joint_attention_and_small_enough_to_ship() -> None:
    assert type(bed().model) is SD3Transformer2DModel
    count = sum(p.numel() for p in bed().whole.parameters())
    buffers = sum(b.numel() for b in bed().whole.buffers())
    assert 0.5e6 < count < 0.8e6
    assert 2 * (count + buffers) < 1.6e6
    assert set(bed().whole.state_dict()) == {
        *("denoiser." + key for key in bed().model.state_dict()),
        *("text." + key for key in bed().text_encoder.state_dict()),
    }


def test_samples_repeat_and_heed_their_caption() -> None:
    made = testbeds._new("flow-strings", "s")
    model = made.build(0)
    for p in model.parameters():  # fresh output layers are zero
        p.data += 0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    made.use(model)
    first = made.sample(["123", "123"], steps=2, seed=1)
    assert first.shape == (2, 1, 16, 48)
    assert torch.equal(first, made.sample(["123", "123"], steps=2, seed=1))
    other = made.sample(["123", "124"], steps=2, seed=1)
    torch.testing.assert_close(other[0], first[0], atol=1e-4, rtol=1e-4)
    assert not torch.allclose(other[1], first[1], atol=1e-4)


def test_training_learns_and_drops_captions_now_and_then() -> None:
    _, condition, _, _ = bed().batch_for_step(0, 1, 64)
    dropped = (condition == bed().unconditional(64)).all(1)
    assert 0 < int(dropped.sum()) < 24
    model = bed().build(1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for step in range(12):
        images, condition, noise, _ = bed().batch_for_step(0, step, 16)
        time = torch.rand(16, generator=at_step(0, step))
        level = time.view(-1, 1, 1, 1)
        predicted = model((1 - level) * images + level * noise, 1000 * time, condition)
        loss = (predicted - (noise - images)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])


def test_a_measure_has_what_its_bounds_ask_for(monkeypatch) -> None:
    monkeypatch.setattr(strings, "STEPS", 2)
    found = bed().measure(bed().model, n=4)
    assert set(bed().bounds()) <= set(found)
    assert found["exact_best"] == max(found[f"exact@{g}"] for g in (1, 2, 4))


def test_shares_of_numbers_and_digits() -> None:
    assert spelled(["123", "456"], ["123", "459"]) == (0.5, pytest.approx(5 / 6))
