"""WIND: its noises, its pattern, both stages of its search, its threshold, and a real pipeline."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import tiny_sd
import torch
from diffusers import StableDiffusionPipeline
from scipy import stats

from sillok.methods.diffusion.wind import WIND, _null, distort, invert, rotate

FIRST = [-0.050959, -1.068847, -0.811444]  # of key 7, salt b"secret"


def small(**options) -> WIND:
    given = {"n_noises": 500, "n_groups": 16, "salt": b"secret", "ring_channel": 2, "radii": (1, 7)}
    return WIND((3, 32, 32), **(given | options))


def noise(seed: int, batch: int = 1, shape: tuple[int, ...] = (3, 32, 32)) -> torch.Tensor:
    return torch.randn(batch, *shape, generator=torch.Generator().manual_seed(seed))


def test_a_key_has_one_noise_and_another_salt_changes_everything() -> None:
    wind = small()
    assert wind.latents(7).shape == (1, 3, 32, 32)
    assert wind.latents(7).dtype == torch.float32
    assert torch.equal(wind.latents(7), small().latents(7))
    other = small(salt=b"Secret")
    for pattern in (True, False):
        mine, theirs = (one.latents(7, pattern=pattern) for one in (wind, other))
        assert not torch.isclose(mine, theirs).any()
        if not pattern:
            assert abs(torch.corrcoef(torch.stack([mine.flatten(), theirs.flatten()]))[0, 1]) < 0.08
    # the patch is secret too, the rings are what the group says
    assert wind.group(other.latents(7))[0] == 7
    assert wind.group(other.latents(7))[1] > 0.5


def test_noises_are_what_they_were() -> None:
    """An image is identified years later: the draw must not change with a version of this package."""
    found = small().latents(7, pattern=False)[0, 0, 0, :3].tolist()
    assert found == pytest.approx(FIRST, abs=1e-6)


def test_no_two_noises_of_a_large_population_share_their_key() -> None:
    # the low 32 bits of a hash, which seed PyTorch's generator, would collide in 100,000
    wind = small(n_noises=100_000)
    firsts = torch.stack([wind._noises([i])[0, 0, 0, :2] for i in range(0, 100_000, 100)])
    assert len(firsts.unique(dim=0)) == 1000
    state = wind._generator(b"noise", 3, 3).bit_generator.state["state"]["key"]
    assert all(int(word) >> 32 for word in state)


@pytest.mark.parametrize("pattern", [False, True])
def test_without_a_pattern_the_noise_is_white_and_with_it_nearly(pattern: bool) -> None:
    values = torch.cat([small().latents(i, pattern=pattern) for i in range(30)]).flatten().numpy()
    kept = stats.kstest(values, "norm").pvalue > 0.01
    assert kept is not pattern  # rings of equal coefficients make one bright spot: not free of distortion
    assert values.std() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("shape", "radii", "groups"),
    [((3, 32, 32), (1, 7), 64), ((4, 64, 64), (3, 14), 2048), ((2, 17, 23), (2, 6), 9)],
)
def test_the_pattern_survives_the_way_through_the_plane(shape, radii, groups) -> None:
    wind = WIND(shape, salt=b"k", n_groups=groups, radii=radii, ring_channel=1, noise_channel=0)
    for index in (0, 1, groups - 1, groups, 54_321):
        group, distance = wind.group(wind.latents(index))
        assert group == index % groups
        assert distance < 1e-5
        assert wind.group(wind.latents(index) * 0.5)[0] == group


def test_rings_are_the_papers() -> None:
    """Eleven rings between radii 3 and 14 in channel 3 of an SD latent, of the size of a coefficient of noise."""
    wind = WIND((4, 64, 64), salt=b"k")
    z, plain = wind.latents(5), wind.latents(5, pattern=False)
    assert torch.equal(z[:, 1:3], plain[:, 1:3])
    plane = torch.fft.fftshift(torch.fft.fft2(z[0, 3]))
    radius = torch.hypot(*torch.meshgrid(torch.arange(64.0) - 32, torch.arange(64.0) - 32, indexing="ij"))
    inside = (radius >= 3) & (radius < 14)
    assert torch.equal(inside, wind._mask)
    torch.testing.assert_close(plane[inside].abs(), torch.full((int(inside.sum()),), 64.0))
    before = torch.fft.fftshift(torch.fft.fft2(plain[0, 3]))
    torch.testing.assert_close(plane[~inside], before[~inside], atol=1e-3, rtol=1e-4)
    # 5 = 101 in binary: the first and the third ring differ from those of group 0
    other = torch.fft.fftshift(torch.fft.fft2(wind.latents(0)[0, 3]))
    changed = {int(r) for r in radius[inside & ((plane - other).abs() > 1)].floor()}
    assert changed == {3, 5}


def test_patterns_differ_pairwise_by_whole_rings() -> None:
    wind = small(n_groups=64)
    planes = [wind._fourier(wind.latents(g)[0, 2])[wind._mask] for g in range(0, 64, 9)]
    apart = [(a - b).abs().square().sum() for a, b in combinations(planes, 2)]
    assert min(apart) > 4 * 32**2 * 7  # the smallest ring has eight coefficients, two times 32 apart


def test_stages_agree_with_exhaustive_search_where_the_group_is_right() -> None:
    wind, keys = small(), (0, 17, 250, 499)
    for seed, key in enumerate(keys):
        z = wind.latents(key) + 1.5 * noise(seed)
        assert wind.group(z)[0] == key % 16
        found = wind.identify(z, full=False)
        index, distance = wind.search(z)
        assert (found.index, found.group) == (key, key % 16) == (int(index), key % 16)
        assert found.distance == pytest.approx(float(distance), abs=1e-6)
        assert found.comparisons == 16 + len(range(key % 16, 500, 16))


def test_the_distance_is_the_one_of_the_definition() -> None:
    wind = small()
    z = wind.latents(3) + noise(0)
    planes = []
    for x in (z, wind.latents(40)):
        plane = torch.fft.fft2(x.double())
        for channel in (0, 2):
            plane[0, channel][torch.fft.ifftshift(wind._mask)] = 0
        planes.append(torch.fft.ifft2(plane).real.flatten())
    dimension = 3 * 32 * 32 - 2 * int(wind._mask.sum())
    scaled = planes[0] / planes[0].norm() * math.sqrt(dimension)
    expected = float((scaled - planes[1]).norm()) / math.sqrt(dimension)
    assert float(wind.search(z, [40])[1]) == pytest.approx(expected, abs=1e-4)
    assert float(wind.search(wind.latents(3), [3])[1]) < 0.03


def test_full_search_finds_what_stage_one_lost() -> None:
    wind = small()
    z = wind.latents(33, pattern=False) + noise(1)
    assert wind.group(z)[0] != 33 % 16
    fast, full = wind.identify(z, full=False), wind.identify(z)
    assert fast.index is None
    assert (full.index, full.group) == (33, 1)
    assert full.comparisons == fast.comparisons + 500
    assert full.distance < fast.distance


def test_a_batch_is_its_rows() -> None:
    wind = small()
    z = torch.cat([wind.latents(5), noise(0), wind.latents(9, pattern=False), wind.latents(80) + noise(1)])
    alone = [wind.identify(row, angles=(0, 90)) for row in z]
    for one, other in zip(wind.identify_all(z, angles=(0, 90)), alone, strict=True):
        assert (one.index, one.group, one.comparisons, one.angle) == (
            other.index,
            other.group,
            other.comparisons,
            other.angle,
        )
        assert one.distance == pytest.approx(other.distance, abs=1e-3)
    assert [one.index for one in alone] == [5, None, 9, 80]


def test_one_group_means_no_pattern_and_exhaustive_search() -> None:
    wind = small(n_groups=1, radii=(1, 99))
    assert torch.equal(wind.latents(4), wind.latents(4, pattern=False))
    assert wind.group(noise(0)) == (0, 0.0)
    found = wind.identify(wind.latents(4) + noise(0))
    assert (found.index, found.comparisons) == (4, 500)


def test_more_keys_than_a_search_holds_at_once() -> None:
    wind = small(n_noises=6000, n_groups=1)
    assert len(list(wind._chunks(range(6000)))) == 3
    assert [int(i) for i in wind.search(torch.cat([wind.latents(k) for k in (0, 2731, 5999)]))[0]] == [
        0,
        2731,
        5999,
    ]


def test_fewer_noises_than_groups() -> None:
    wind = small(n_noises=3)
    lost = wind.identify(small().latents(9), full=False)  # nobody is in group 9
    assert (lost.index, lost.group, lost.comparisons) == (None, 9, 16)
    assert wind.identify(wind.latents(2)).index == 2


def test_the_null_distribution_is_that_of_the_distances() -> None:
    # (sqrt(D) - s)^2 + chi2(D - 1) is noncentral chi-squared with D degrees and noncentrality D
    for dimension, d in [(100, 1.1), (100, 1.414), (2780, 1.33), (16_000, 1.39), (16_000, 1.42)]:
        expected = stats.ncx2.cdf(dimension * d * d, dimension, dimension)
        assert _null(d, dimension) == pytest.approx(expected, rel=1e-4, abs=1e-14)
    wind = small(n_noises=4000)
    structured = torch.linspace(-1, 1, 32).expand(1, 3, 32, 32) + 0.3  # nothing like noise
    for image in (structured, noise(0)):
        distances = torch.cat([wind.search(image, [i])[1] for i in range(400)]).numpy()
        law = stats.ncx2(wind._dimension, wind._dimension)
        assert stats.kstest(distances**2 * wind._dimension, law.cdf).pvalue > 0.01


def test_unwatermarked_images_match_at_the_stated_rate() -> None:
    wind = small(false_positive=0.2)
    answers = wind.identify_all(noise(0, 400))
    assert 0.12 < sum(one.index is not None for one in answers) / 400 < 0.28
    strict = small()  # one in a thousand
    assert strict.threshold() < wind.threshold()
    assert strict.threshold(24) < strict.threshold()
    assert sum(one.index is not None for one in strict.identify_all(noise(1, 200))) <= 2
    assert wind.identify(noise(2), tau=1.5).index is not None
    assert wind.identify(wind.latents(3), tau=0.0).index is None


def test_it_turns_noise_back_over_a_fixed_grid() -> None:
    wind = small()
    turned = rotate(wind.latents(21), 30.0)
    assert wind.identify(turned).index is None
    angles = (0.0, 30.0, 60.0)
    found = wind.identify(turned, angles=angles)
    assert (found.index, found.angle) == (21, 30.0)
    # in any order, since every angle starts from the same noise
    assert wind.identify(turned, angles=angles[::-1]).index == 21
    assert wind.identify(wind.latents(21), angles=angles).angle == 0.0
    comparisons = wind.identify(wind.latents(21), angles=angles, full=False).comparisons
    assert 3 * (16 + 31) <= comparisons <= 3 * (16 + 32)


def test_rotation_is_about_the_centre_and_counterclockwise() -> None:
    x = noise(0, 2, (3, 8, 8))
    torch.testing.assert_close(rotate(x, 90), x.rot90(1, (2, 3)), atol=1e-5, rtol=0)
    assert torch.equal(rotate(x, 360.0), x)
    wide = torch.zeros(1, 1, 9, 21)
    wide[..., 4, 13] = 1.0  # three right of the middle: after a quarter, three above it
    turned = rotate(wide, 90)
    assert float(turned[..., 1, 10]) == pytest.approx(1, abs=1e-4)
    image = torch.zeros(1, 3, 32, 32)
    image[..., 4:8, 20:26] = 1.0  # the same sense as the distortion's
    assert (rotate(image, 75) - distort(image, "rotate", seed=0).clamp_min(0)).abs().max() < 0.05


def test_rings_alone_survive_a_rotation() -> None:
    wind = small(n_groups=64)
    hits = [wind.group(rotate(wind.latents(g), 75.0))[0] == g for g in range(64)]
    assert sum(hits) >= 32  # chance would be 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"salt": b""}, "salt must be bytes, one at least"),
        ({"n_noises": 0}, "n_noises must be an integer of at least 1; got 0"),
        ({"n_groups": 65}, "n_groups must be at most 64 with the 6 rings"),
        ({"radii": (0, 7)}, "radii must be 0 < inner < outer <= 16"),
        ({"radii": (3, 17)}, "radii must be"),
        ({"ring_channel": 3}, "must be two of the channels 0 to 2; got 3 and 0"),
        ({"ring_channel": 0}, "must be two of the channels"),
        ({"false_positive": 0.0}, "false_positive must lie between 0 and 1"),
    ],
)
def test_arguments_outside_their_range(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)


@pytest.mark.usefixtures("as_users_run_it")
def test_bad_images_and_keys_are_named() -> None:
    wind = small()
    with pytest.raises(ValueError, match="salt must be bytes"):
        small(salt="text")
    with pytest.raises(ValueError, match="shape must be"):
        WIND((3, 32), salt=b"k")
    for index in (-1, 500):
        with pytest.raises(ValueError, match=rf"index must be an integer in \[0, 499\]; got {index}"):
            wind.latents(index)
    for z, message in [
        (noise(0, 2), "z must hold one image; got 2: use identify_all"),
        (noise(0)[:0], "z must hold one image at least; got none"),
        (noise(0, 1, (3, 16, 16)), r"\(C, H, W\) = \(3, 32, 32\); got \(1, 3, 16, 16\)"),
        (noise(0).half() * 1e6, "z must be finite.*half precision"),
    ]:
        for call in (wind.identify, wind.group):
            with pytest.raises(ValueError, match=message):
                call(z)
    with pytest.raises(ValueError, match="angles must hold one"):
        wind.identify(noise(0), angles=())
    with pytest.raises(ValueError, match="tau must be at least 0"):
        wind.identify(noise(0), tau=-1.0)
    with pytest.raises(TypeError, match="z must be a floating-point tensor; got list"):
        wind.identify([1.0])


def test_half_precision_latents_are_identified() -> None:
    wind = small()
    assert wind.identify(wind.latents(12).half()).index == 12


def test_in_a_pipeline_an_image_carries_its_key(tmp_path) -> None:
    pipe = StableDiffusionPipeline.from_pretrained(tiny_sd.save_tiny_sd(tmp_path / "model"))
    pipe.set_progress_bar_config(disable=True)
    wind = WIND((4, 8, 8), n_noises=40, n_groups=4, salt=b"k", radii=(1, 3))
    image = pipe("a cat", latents=wind.latents(9), num_inference_steps=2, height=16, width=16).images[0]
    other = pipe("a cat", latents=wind.latents(10), num_inference_steps=2, height=16, width=16).images[0]
    assert image.tobytes() != other.tobytes()
    found = invert(pipe, distort(image, "none", seed=0), steps=2)
    assert found.shape == (1, 4, 8, 8)
    assert wind.identify(found).comparisons in (4 + 10, 4 + 10 + 40)
    # its autoencoder is random and loses everything; the latents themselves come back through sampler and inverse
    latents = pipe(
        "a cat", latents=wind.latents(9), num_inference_steps=25, guidance_scale=1.0, output_type="latent"
    ).images
    from sillok.methods.diffusion.inversion import invert as invert_latents

    empty = pipe.encode_prompt("", "cpu", 1, False)[0]
    back = invert_latents(lambda x, t: pipe.unet(x, t, empty).sample, pipe.scheduler, latents, 25)
    assert wind.identify(back).index == 9
