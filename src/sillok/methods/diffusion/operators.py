"""Linear measurements of images, each with its exact adjoint: a box, a bicubic reduction, a Gaussian blur."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor


class LinearOperator(ABC):
    """A linear map of images (B, C, H, W), whatever their size, with ⟨A x, y⟩ = ⟨x, Aᵀ y⟩."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """A x."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """Aᵀ y."""


def _images(name: str, x: Tensor) -> None:
    if x.ndim != 4 or not x.is_floating_point():
        raise ValueError(f"{name} must be floating point of shape (B, C, H, W); got {tuple(x.shape)}")


class BoxMask(LinearOperator):
    """A box of every image set to 0 (the grey of images in [-1, 1]), the rest kept.

    Args:
        box: height and width of the box in pixels.
        centre: row and column of its middle; default: the image's.

    Raises:
        ValueError: a box without area, or one that does not lie inside the image.
    """

    def __init__(self, box: int | tuple[int, int], centre: tuple[int, int] | None = None) -> None:
        self.box = (box, box) if isinstance(box, int) else tuple(box)
        self.centre = centre
        if min(self.box) < 1:
            raise ValueError(f"box must be at least 1 x 1; got {box!r}")

    def mask(self, height: int, width: int) -> Tensor:
        """(height, width), 0 inside the box and 1 outside.

        Raises:
            ValueError: the box does not lie inside.
        """
        middle = (height // 2, width // 2) if self.centre is None else self.centre
        ends = [(m - b // 2, m - b // 2 + b) for m, b in zip(middle, self.box, strict=True)]
        if any(low < 0 or high > size for (low, high), size in zip(ends, (height, width), strict=True)):
            raise ValueError(
                f"box {self.box} around {middle} must lie inside the image; got {height} x {width}"
            )
        mask = torch.ones(height, width)
        mask[ends[0][0] : ends[0][1], ends[1][0] : ends[1][1]] = 0
        return mask

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) with the box at 0."""
        _images("x", x)
        return x * self.mask(*x.shape[2:]).to(x)

    adjoint = forward


class _Separable(LinearOperator):
    """The same map of one dimension along rows and along columns: R x Rᵀ."""

    @abstractmethod
    def matrix(self, size: int) -> Tensor:
        """(m, size) float64: the map of one dimension."""

    @abstractmethod
    def _restored(self, size: int) -> int:
        """The length that gives m = size."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H', W') for x (B, C, H, W)."""
        _images("x", x)
        rows, columns = (self.matrix(size).to(x) for size in x.shape[2:])
        return rows @ x @ columns.T

    def adjoint(self, y: Tensor) -> Tensor:
        """(B, C, H, W) for y (B, C, H', W')."""
        _images("y", y)
        rows, columns = (self.matrix(self._restored(size)).to(y) for size in y.shape[2:])
        return rows.T @ y @ columns


class BicubicDown(_Separable):
    """Bicubic reduction with antialiasing, as PyTorch's and Pillow's (Keys' kernel with a = -0.5).

    Args:
        factor: by which height and width shrink, at least 2.

    Raises:
        ValueError: a factor below 2, or a size that it does not divide.
    """

    def __init__(self, factor: int) -> None:
        if isinstance(factor, bool) or not isinstance(factor, int) or factor < 2:
            raise ValueError(f"factor must be an integer of at least 2; got {factor!r}")
        self.factor = factor

    def matrix(self, size: int) -> Tensor:
        """(size / factor, size) float64: the weights of every new pixel."""
        if size % self.factor:
            raise ValueError(f"height and width must be multiples of factor {self.factor}; got {size}")
        lines = torch.eye(size, dtype=torch.float64)[None, None]
        small = (size // self.factor, size)
        return torch.nn.functional.interpolate(lines, size=small, mode="bicubic", antialias=True)[0, 0]

    def _restored(self, size: int) -> int:
        return size * self.factor


class GaussianBlur(_Separable):
    """Convolution with a Gaussian of finite width, the ground beyond the image being 0.

    Args:
        kernel: taps of the Gaussian, odd (11 in the authors' runs).
        sigma: its standard deviation in pixels (1, 5 and 10 there, on 64 x 64 pixels).

    Raises:
        ValueError: an even or non-positive kernel, a sigma that is not positive.
    """

    def __init__(self, kernel: int = 11, sigma: float = 5.0) -> None:
        if isinstance(kernel, bool) or not isinstance(kernel, int) or kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel must be an odd integer of at least 1; got {kernel!r}")
        if not sigma > 0:
            raise ValueError(f"sigma must be positive; got {sigma!r}")
        self.kernel, self.sigma = kernel, float(sigma)

    def taps(self) -> Tensor:
        """(kernel,) float64, summing to 1."""
        places = torch.arange(self.kernel, dtype=torch.float64) - self.kernel // 2
        weights = torch.exp(-places.square() / (2 * self.sigma**2))
        return weights / weights.sum()

    def matrix(self, size: int) -> Tensor:
        """(size, size) float64, symmetric."""
        taps, half = self.taps(), self.kernel // 2
        distance = torch.arange(size)[:, None] - torch.arange(size)[None]
        return torch.where(distance.abs() <= half, taps[(distance + half).clamp(0, self.kernel - 1)], 0.0)

    def _restored(self, size: int) -> int:
        return size
