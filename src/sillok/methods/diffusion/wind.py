"""WIND (arXiv 2412.04653): the starting noise of a diffusion model as a watermark, found again in two stages."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sillok.methods.diffusion.distortions import distort
from sillok.methods.diffusion.inversion import invert_pipeline

__all__ = ["WIND", "Detection", "distort", "invert"]

_NUMBERS = 1 << 23  # of noises that are held at once in a search: 32 MB


@dataclass(frozen=True)
class Detection:
    """What became of an image's noise.

    Attributes:
        index: the noise it was made from, or None where none is near enough.
        group: that noise's group; where there is none, the one of the nearest pattern.
        distance: to the nearest noise that was looked at; 0 is equality, sqrt(2) no relation.
        comparisons: with patterns and with noises, as the paper counts them.
        angle: by how many degrees the image was turned, of those that were tried.
    """

    index: int | None
    group: int
    distance: float
    comparisons: int
    angle: float = 0.0


class WIND:
    """A population of secret noises in groups, with a pattern for each group; embeds them and finds them again.

    Noise i is drawn from a key made of the salt, i and its group g = i mod M, and is never stored. Pattern g
    takes the place of an annulus of its Fourier plane: concentric rings whose signs are the digits of g in one
    channel, a secret patch of noise in another. Identification of an inverted image z~ compares it with M
    patterns, then with the N / M noises of the nearest group, and with all N only if none of them is near.

    Args:
        shape: (C, H, W) of the latents.
        n_noises: N, the number of keys.
        n_groups: M, at most 2 to the number of rings; 1 writes no pattern, and then every search is exhaustive.
        salt: the secret; whoever has it can make and find every noise.
        ring_channel, noise_channel: which channels carry rings and patch.
        radii: (inner, outer) of the annulus in the centred Fourier plane; it has outer - inner rings.
        false_positive: the probability that an image without watermark is given any key.

    Raises:
        ValueError: an empty salt, a count below 1, more groups than rings can number, an annulus that does not
            fit the plane, one channel for both, a false-positive rate outside (0, 1).

    Reference:
        K. Arabi, B. Feuer, R. T. Witter, C. Hegde, N. Cohen, "Hidden in the Noise: Two-Stage Robust
        Watermarking for Images", arXiv 2412.04653; rings as in RingID, arXiv 2404.14055.

    Differs from the paper:
        Distances to noises leave the pattern's coefficients out, and z~ is first brought to the length of a
        noise. The ranking within a group stays the same but for that length, and for any z~ that knows nothing
        of the salt the distance has one known distribution, from which the threshold follows.
        A noise is drawn by Philox from 128 bits of an HMAC-SHA256: PyTorch's generator on a processor takes 32
        bits of its seed, and among 100,000 of those two are equal more often than not.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        n_noises: int = 100_000,
        n_groups: int = 2048,
        salt: bytes,
        ring_channel: int = 3,
        noise_channel: int = 0,
        radii: tuple[int, int] = (3, 14),
        false_positive: float = 1e-3,
    ) -> None:
        if len(shape) != 3 or min(shape) < 1:
            raise ValueError(f"shape must be (C, H, W), each at least 1; got {tuple(shape)}")
        if not isinstance(salt, bytes) or not salt:
            raise ValueError(f"salt must be bytes, one at least; got {salt!r}")
        for name, count in (("n_noises", n_noises), ("n_groups", n_groups)):
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ValueError(f"{name} must be an integer of at least 1; got {count!r}")
        if not 0 < false_positive < 1:
            raise ValueError(f"false_positive must lie between 0 and 1; got {false_positive!r}")
        self.shape: tuple[int, int, int] = (int(shape[0]), int(shape[1]), int(shape[2]))
        self.n_noises, self.n_groups, self.false_positive = n_noises, n_groups, false_positive
        self._salt = salt
        self._channels = (ring_channel, noise_channel)
        if n_groups > 1:
            self._check_pattern(radii)
        self._make_pattern(radii)
        self._dimension = math.prod(self.shape) - 2 * int(self._mask.sum())
        self._thresholds: dict[int, float] = {}

    def _check_pattern(self, radii: tuple[int, int]) -> None:
        channels, height, width = self.shape
        inner, outer = radii
        if not 0 < inner < outer <= min(height, width) // 2:
            raise ValueError(
                f"radii must be 0 < inner < outer <= {min(height, width) // 2} in a plane of {height} x {width}; "
                f"got {radii}"
            )
        if self.n_groups > 2 ** (outer - inner):
            raise ValueError(
                f"n_groups must be at most {2 ** (outer - inner)} with the {outer - inner} rings of radii {radii}; "
                f"got {self.n_groups}"
            )
        ring, noise = self._channels
        if not (0 <= ring < channels and 0 <= noise < channels and ring != noise):
            raise ValueError(
                f"ring_channel and noise_channel must be two of the channels 0 to {channels - 1}; got {ring} "
                f"and {noise}"
            )

    def _make_pattern(self, radii: tuple[int, int]) -> None:
        """The annulus, and what stands in it: (rings, coefficients) of one sign, (coefficients,) of the patch."""
        _, height, width = self.shape
        if self.n_groups == 1:
            self._mask = torch.zeros((height, width), dtype=torch.bool)
            self._slots = torch.zeros(0, dtype=torch.long)
            self._rings = self._patch = torch.zeros(0, dtype=torch.complex64)
            return
        inner, outer = radii
        down, across = torch.arange(height) - height // 2, torch.arange(width) - width // 2
        slot = (down[:, None].square() + across[None].square()).sqrt().floor().long() - inner
        self._mask = (slot >= 0) & (slot < outer - inner)
        self._slots = slot[self._mask]
        scale = math.sqrt(height * width)  # of one Fourier coefficient of white noise
        plane = torch.where(self._mask, scale, 0.0) * (1 + 1j)
        real = torch.fft.ifft2(torch.fft.ifftshift(plane)).real  # only what a real image can carry
        shifted = real.roll((height // 2, width // 2), (0, 1))  # so that a rotation turns it about its centre
        self._rings = self._fourier(shifted)[self._mask]
        patch = torch.from_numpy(self._generator(b"patch").standard_normal((height, width), np.float32))
        self._patch = self._fourier(patch)[self._mask]

    @staticmethod
    def _fourier(x: Tensor) -> Tensor:
        return torch.fft.fftshift(torch.fft.fft2(x), (-2, -1))

    def _generator(self, *parts: bytes | int) -> np.random.Generator:
        message = b"".join(p.to_bytes(8, "big") if isinstance(p, int) else p for p in parts)
        key = hmac.new(self._salt, message, hashlib.sha256).digest()[:16]
        return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "big")))

    def _noises(self, indices: Iterable[int]) -> Tensor:
        """(n, C, H, W), drawn anew."""
        draws = [
            self._generator(b"noise", i, i % self.n_groups).standard_normal(self.shape, np.float32)
            for i in indices
        ]
        return torch.from_numpy(np.stack(draws))

    def _write(self, z: Tensor, ring: Tensor, patch: Tensor) -> Tensor:
        """``z`` (B, C, H, W) with the annulus of both channels replaced."""
        if self.n_groups == 1:
            return z
        z = z.clone()
        for channel, values in zip(self._channels, (ring, patch), strict=True):
            plane = self._fourier(z[:, channel])
            plane[:, self._mask] = values
            z[:, channel] = torch.fft.ifft2(torch.fft.ifftshift(plane, (-2, -1))).real
        return z

    def _signs(self, groups: Tensor) -> Tensor:
        """(len(groups), rings) of -1 and 1: the binary digits of each group."""
        rings = int(self._slots.max()) + 1
        return 1.0 - 2.0 * (groups[:, None] >> torch.arange(rings) & 1)

    def latents(self, index: int, *, pattern: bool = True) -> Tensor:
        """(1, C, H, W) float32: the starting noise of key ``index``, for a pipeline's ``latents``.

        Args:
            index: the key, in [0, n_noises).
            pattern: False leaves out the group's pattern: pure noise, which only `search` finds quickly no more.

        Raises:
            ValueError: no such key.
        """
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < self.n_noises:
            raise ValueError(f"index must be an integer in [0, {self.n_noises - 1}]; got {index!r}")
        z = self._noises([index])
        if not pattern or self.n_groups == 1:
            return z
        sign = self._signs(torch.tensor([index % self.n_groups]))[0, self._slots]
        return self._write(z, sign * self._rings, self._patch)

    def _checked(self, z: Tensor) -> Tensor:
        """``z`` as (B, C, H, W) float32 on the processor."""
        if not isinstance(z, Tensor) or not z.is_floating_point():
            raise TypeError(f"z must be a floating-point tensor; got {type(z).__name__}")
        if tuple(z.shape[-3:]) != self.shape or z.ndim not in (3, 4):
            raise ValueError(
                f"z must have shape (B, C, H, W) with (C, H, W) = {self.shape}; got {tuple(z.shape)}"
            )
        z = z.detach().to("cpu", torch.float32).reshape(-1, *self.shape)
        if not len(z):
            raise ValueError("z must hold one image at least; got none")
        if not bool(z.isfinite().all()):
            raise ValueError("z must be finite; got NaN or infinity (half precision overflows at 65,504)")
        return z

    def _one(self, z: Tensor) -> Tensor:
        z = self._checked(z)
        if len(z) != 1:
            raise ValueError(f"z must hold one image; got {len(z)}: use identify_all for a batch")
        return z

    def _groups(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest pattern of each row and its root mean squared distance, in units of a coefficient's."""
        if self.n_groups == 1:
            return torch.zeros(len(z), dtype=torch.long), torch.zeros(len(z))
        ring, patch = (self._fourier(z[:, channel])[:, self._mask] for channel in self._channels)
        costs = torch.stack([(ring - sign * self._rings).abs().square() for sign in (1, -1)])
        rings = int(self._slots.max()) + 1
        by_ring = costs.new_zeros((2, len(z), rings)).index_add_(2, self._slots, costs)
        signs = self._signs(torch.arange(self.n_groups))
        totals = torch.where(signs[None] > 0, by_ring[0, :, None], by_ring[1, :, None]).sum(2)
        nearest, group = totals.min(1)
        nearest = nearest + (patch - self._patch).abs().square().sum(1)
        return group, (nearest / (2 * ring.shape[1] * self.shape[1] * self.shape[2])).sqrt()

    def group(self, z: Tensor) -> tuple[int, float]:
        """Stage 1: the group whose pattern is nearest to an inverted image.

        Args:
            z: (1, C, H, W) or (C, H, W).

        Returns:
            The group, and the root mean squared distance of the pattern's Fourier coefficients, in units of the
            root mean square of a coefficient of white noise.
        """
        group, distance = self._groups(self._one(z))
        return int(group[0]), float(distance[0])

    def _outside(self, z: Tensor) -> Tensor:
        """(B, C * H * W): what of ``z`` is not in the pattern's annulus."""
        zero = torch.zeros((), dtype=torch.complex64)
        return self._write(z, zero, zero).flatten(1)

    def _chunks(self, indices: Sequence[int]) -> Iterator[Sequence[int]]:
        size = max(1, _NUMBERS // math.prod(self.shape))
        for start in range(0, len(indices), size):
            yield indices[start : start + size]

    def search(self, z: Tensor, indices: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """The noise that is nearest to each inverted image, among some or all of the population.

        Args:
            z: (B, C, H, W) or (C, H, W).
            indices: keys to compare with; default: all.

        Returns:
            Indices (B,), and distances (B,) as in `Detection`: |a - b| / sqrt(D) over the D dimensions outside
            the pattern, ``z`` being scaled to the length sqrt(D) there.
        """
        z = self._outside(self._checked(z))
        z = z * (math.sqrt(self._dimension) / z.norm(dim=1, keepdim=True).clamp_min(1e-12))
        best = torch.full((len(z),), math.inf)
        found = torch.full((len(z),), -1)
        for part in self._chunks(range(self.n_noises) if indices is None else indices):
            noises = self._outside(self._noises(part))
            squares = self._dimension + noises.square().sum(1)[None] - 2 * z @ noises.T
            nearest, place = squares.min(1)
            better = nearest < best
            best = torch.where(better, nearest, best)
            found = torch.where(better, torch.tensor(part)[place], found)
        return found, (best.clamp_min(0) / self._dimension).sqrt()

    def threshold(self, angles: int = 1) -> float:
        """tau: the distance below which an unwatermarked image comes to any of N noises with `false_positive`.

        A noise is independent of such an image, whatever that is: with s its projection on the image's
        direction, D d^2 = (sqrt(D) - s)^2 + c, where s is standard normal and c chi-squared with D - 1 degrees.
        The rate is shared evenly among N times ``angles`` comparisons.
        """
        if angles not in self._thresholds:
            rate = self.false_positive / (self.n_noises * angles)
            low, high = 0.0, math.sqrt(2)
            for _ in range(60):
                middle = (low + high) / 2
                low, high = (middle, high) if _null(middle, self._dimension) < rate else (low, middle)
            self._thresholds[angles] = low
        return self._thresholds[angles]

    def identify(
        self, z: Tensor, *, full: bool = True, angles: Sequence[float] = (0.0,), tau: float | None = None
    ) -> Detection:
        """The key of an inverted image.

        Args:
            z: (1, C, H, W) or (C, H, W), from `invert`.
            full: False stops after the nearest group (WIND-fast); True looks at all N where it had none near
                enough (WIND-full).
            angles: degrees by which the image may have been turned counterclockwise; z is turned back by each.
            tau: largest distance of a match; default: `threshold`.

        Raises:
            ValueError: another shape, more than one image, values that are not finite, no angle, tau below 0.
        """
        return self.identify_all(self._one(z), full=full, angles=angles, tau=tau)[0]

    def identify_all(
        self, z: Tensor, *, full: bool = True, angles: Sequence[float] = (0.0,), tau: float | None = None
    ) -> list[Detection]:
        """`identify` for each row of (B, C, H, W); every noise is drawn once for all of them."""
        z = self._checked(z)
        if not len(angles):
            raise ValueError("angles must hold one angle at least, such as 0; got none")
        if tau is not None and not tau >= 0:
            raise ValueError(f"tau must be at least 0; got {tau!r}")
        tau = self.threshold(len(angles)) if tau is None else tau
        turned = torch.stack([rotate(z, -angle) for angle in angles], 1)  # (B, A, C, H, W)
        group = self._groups(turned.flatten(0, 1))[0]
        index, distance = self._within(turned.flatten(0, 1), group)
        group, index, distance = (x.view(len(z), len(angles)) for x in (group, index, distance))
        groups = self.n_groups if self.n_groups > 1 else 0
        members = torch.tensor([len(range(g, self.n_noises, self.n_groups)) for g in range(self.n_groups)])
        counts = (groups + members[group]).sum(1)
        lost = (distance.amin(1) >= tau).nonzero().flatten()
        if full and self.n_groups > 1 and len(lost):
            found, near = self.search(turned[lost].flatten(0, 1))
            index[lost], distance[lost] = found.view(-1, len(angles)), near.view(-1, len(angles))
            counts[lost] += self.n_noises * len(angles)
        detections = []
        for row, place in enumerate(distance.argmin(1).tolist()):
            match = bool(distance[row, place] < tau)
            key = int(index[row, place])
            detections.append(
                Detection(
                    key if match else None,
                    key % self.n_groups if match else int(group[row, place]),
                    float(distance[row, place]),
                    int(counts[row]),
                    float(angles[place]),
                )
            )
        return detections

    def _within(self, z: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
        """Stage 2: each row's nearest noise among those of its group."""
        index, distance = torch.full((len(z),), -1), torch.full((len(z),), math.inf)
        for one in group.unique().tolist():
            rows = (group == one).nonzero().flatten()
            members = range(one, self.n_noises, self.n_groups)
            if len(members):
                index[rows], distance[rows] = self.search(z[rows], members)
        return index, distance


def _null(distance: float, dimension: int) -> float:
    """P(d < distance) for a noise and an image that know nothing of one another; see `WIND.threshold`."""
    s = torch.linspace(-12, 12, 4801, dtype=torch.float64)
    left = (dimension * distance**2 - (math.sqrt(dimension) - s).square()).clamp_min(0)
    shape = torch.full_like(s, (dimension - 1) / 2)
    density = (-s.square() / 2).exp() / math.sqrt(2 * math.pi)
    return float(torch.trapezoid(density * torch.special.gammainc(shape, left / 2), s))


def rotate(z: Tensor, degrees: float) -> Tensor:
    """(B, C, H, W) turned counterclockwise about its centre, bilinearly, with zeros from outside."""
    if degrees % 360 == 0:
        return z
    turn = math.radians(degrees)
    cosine, sine = math.cos(turn), math.sin(turn)
    ratio = z.shape[-2] / z.shape[-1]  # the grid runs from -1 to 1 on both axes
    matrix = z.new_tensor([[cosine, -sine * ratio, 0.0], [sine / ratio, cosine, 0.0]]).expand(len(z), 2, 3)
    grid = torch.nn.functional.affine_grid(matrix, list(z.shape), align_corners=False)
    return torch.nn.functional.grid_sample(z, grid, align_corners=False)


def invert(pipe: Any, image: Any, *, steps: int = 50) -> Tensor:
    """The noise that a Stable Diffusion or SDXL pipeline would turn into an image, for `WIND.identify`.

    DDIM inversion with the empty prompt and no guidance, which is all that a detector knows.

    Args:
        pipe, image: as in `sillok.methods.diffusion.inversion.invert_pipeline`.
        steps: of the inversion.

    Returns:
        (B, C, h, w) noise.
    """
    return invert_pipeline(pipe, image, steps=steps)
