"""Distortions: each does what it says at its strength, follows from its seed, and keeps its range."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from sillok.methods.diffusion.distortions import KINDS, distort, to_uint8


def picture(batch: int = 3, side: int = 32, channels: int = 3) -> torch.Tensor:
    """Smooth gradients with a bright square off the middle."""
    line = torch.linspace(-0.5, 0.5, side)
    images = (line[:, None] + line[None]).expand(batch, channels, side, side).clone() * 0.5
    images[:, :, 4:14, 6:12] = 0.8
    images[:, 0] -= 0.1 * torch.arange(batch).view(-1, 1, 1)
    return images


@pytest.mark.parametrize("kind", KINDS)
def test_it_follows_from_the_seed_row_by_row(kind: str) -> None:
    images = picture()
    images[2] = images[1]
    out = distort(images, kind, seed=3)
    assert out.shape == images.shape
    assert (out.amin(), out.amax()) >= (-1, -1)
    assert out.amax() <= 1
    assert torch.equal(distort(images, kind, seed=3), out)
    assert torch.equal(distort(images[:2], kind, seed=3), out[:2])
    drawn = kind in ("noise", "crop", "brightness")
    assert torch.equal(distort(images, kind, seed=4), out) is not drawn
    assert torch.equal(out[1], out[2]) is not drawn
    levels = (out + 1) * 127.5
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_and_pictures_agree(kind: str) -> None:
    images = picture(1)
    as_file = Image.fromarray(to_uint8(images)[0])
    expected = np.asarray(distort(as_file, kind, seed=5))
    assert np.array_equal(to_uint8(distort(images, kind, seed=5))[0], expected)
    grey = picture(1, channels=1)
    assert distort(grey, kind, seed=5).shape == grey.shape
    assert distort(grey.double(), kind, seed=5).dtype == torch.float64


def test_none_is_eight_bits_and_clips() -> None:
    images = picture()
    assert (distort(images, "none", seed=0) - images).abs().max() <= 0.5 / 127.5 + 1e-6
    assert torch.equal(
        distort(images * 9, "none", seed=0), distort((images * 9).clamp(-1, 1), "none", seed=0)
    )


@pytest.mark.parametrize(
    ("kind", "gentle", "harsh"),
    [("jpeg", 95, 5), ("blur", 0.5, 4), ("noise", 0.01, 0.2), ("crop", 0.95, 0.4), ("resize", 0.9, 0.2)],
)
def test_stronger_is_further_from_the_image(kind: str, gentle: float, harsh: float) -> None:
    images = picture(8)
    near, far = (
        (distort(images, kind, seed=0, strength=s) - images).square().mean() for s in (gentle, harsh)
    )
    assert 0 < 2 * near < far


@pytest.mark.parametrize(
    ("kind", "strength"), [("blur", 0.0), ("noise", 0.0), ("rotate", 0.0), ("crop", 1.0), ("resize", 1.0)]
)
def test_at_its_limit_it_changes_nothing(kind: str, strength: float) -> None:
    images = picture()
    assert torch.equal(distort(images, kind, seed=0, strength=strength), distort(images, "none", seed=0))


def test_noise_has_the_stated_size() -> None:
    flat = torch.zeros(4, 3, 64, 64)
    added = distort(flat, "noise", seed=0, strength=0.1) / 2
    assert added.std() == pytest.approx(0.1, rel=0.02)
    assert abs(float(added.mean())) < 3e-3


def test_rotation_is_counterclockwise_and_a_quarter_is_exact() -> None:
    images = picture()
    turned = distort(images, "rotate", seed=0, strength=90)
    assert torch.equal(turned, distort(images, "none", seed=0).rot90(1, (2, 3)))
    assert (distort(images, "rotate", seed=0)[:, :, 0, 0] == -1).all()


def test_blur_keeps_the_mean_and_spreads_by_the_stated_deviation() -> None:
    dot = torch.full((1, 1, 65, 65), -1.0)
    dot[..., 28:37, 28:37] = 1.0
    before, after = (((x + 1) / 2)[0, 0].double() for x in (dot, distort(dot, "blur", seed=0, strength=3.0)))
    assert float(after.sum() / before.sum()) == pytest.approx(1, rel=0.02)
    place = torch.arange(65).double() - 32

    def variance(mass: torch.Tensor) -> float:
        return float((mass.sum(0) * place.square()).sum() / mass.sum())

    assert variance(after) - variance(before) == pytest.approx(9, rel=0.1)


def test_a_crop_magnifies_by_the_root_of_its_area() -> None:
    ramp = torch.linspace(-0.9, 0.9, 64).expand(16, 3, 64, 64).clone()
    out = distort(ramp, "crop", seed=0, strength=0.25)
    slope = (out[..., 48] - out[..., 16]) / (ramp[..., 48] - ramp[..., 16])
    assert slope.mean().item() == pytest.approx(0.5, abs=0.02)
    assert len({round(float(v), 2) for v in out[:, 0, 32, 32]}) > 8  # at many places


def test_brightness_multiplies_by_a_factor_in_its_range() -> None:
    dark = torch.full((200, 3, 4, 4), -0.9)  # 0.05 of the range: seven times that does not clip
    factors = (distort(dark, "brightness", seed=1) + 1)[:, 0, 0, 0] / (distort(dark, "none", seed=0) + 1)[
        0, 0, 0, 0
    ]
    assert factors.max() <= 7.1
    assert factors.mean().item() == pytest.approx(3.5, abs=0.5)
    gentle = (distort(dark, "brightness", seed=1, strength=0.2) + 1) / (dark + 1)
    assert 0.7 < gentle.min() < 1 < gentle.max() < 1.3


def test_jpeg_is_pillows() -> None:
    image = Image.fromarray(to_uint8(picture(1))[0])
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    assert np.array_equal(
        np.asarray(Image.open(file)), np.asarray(distort(image, "jpeg", seed=0, strength=75))
    )


@pytest.mark.usefixtures("as_users_run_it")
def test_bad_input_is_named() -> None:
    for kwargs, message in [
        ({"kind": "swirl"}, "kind must be one of none, jpeg"),
        (
            {"kind": "jpeg", "strength": 0},
            r"strength of 'jpeg' \(JPEG quality.*\) must lie in \[1, 100\]; got 0",
        ),
        ({"kind": "crop", "strength": 1.5}, "strength of 'crop'"),
        ({"kind": "noise", "strength": float("nan")}, "strength of 'noise'"),
    ]:
        with pytest.raises(ValueError, match=message):
            distort(picture(), seed=0, **kwargs)
    for image, message in [
        (picture(0), "B >= 1"),
        (picture(channels=2), "1 or 3"),
        (picture() * float("inf"), "must be finite"),
        (Image.new("RGBA", (4, 4)), "mode RGB or L; got 'RGBA'"),
    ]:
        with pytest.raises(ValueError, match=message):
            distort(image, "none", seed=0)
    with pytest.raises(TypeError, match="got ndarray"):
        distort(np.zeros((1, 3, 4, 4)), "none", seed=0)
