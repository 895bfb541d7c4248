"""How generated images stand beside real ones: accuracy, Fréchet distance, precision, recall, saturation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Doubles = NDArray[np.float64]


class Classifier(nn.Module):
    """A small convolutional network: class of an image, attributes of what it shows, and features of both.

    Args:
        pixels: width of the images, a multiple of two to the number of stages.
        channels: of its stages, each a multiple of 8; each stage halves the width.
        features: length of the feature vector.
        colours: channels of the images.
        classes: how many there are.
        attributes: how many numbers are regressed beside the class; 0 for none.
    """

    def __init__(
        self,
        pixels: int,
        channels: tuple[int, ...] = (24, 48, 96),
        features: int = 64,
        *,
        colours: int = 3,
        classes: int = 16,
        attributes: int = 12,
    ) -> None:
        super().__init__()
        if pixels % 2 ** len(channels) or any(width % 8 for width in channels):
            raise ValueError(
                f"pixels must be a multiple of {2 ** len(channels)} for {len(channels)} stages, and channels "
                f"multiples of 8; got {pixels} and {channels}"
            )
        stages: list[nn.Module] = []
        for before, after in pairwise((colours, *channels)):
            stages += [
                nn.Conv2d(before, after, 3, padding=1),
                nn.GroupNorm(after // 8, after),
                nn.SiLU(),
                nn.AvgPool2d(2),
            ]
        self.stages = nn.Sequential(*stages)
        grid = pixels // 2 ** len(channels)
        self.project = nn.Linear(channels[-1] * grid * grid, features)
        self.classes = nn.Linear(features, classes)
        self.attributes = nn.Linear(features, attributes) if attributes else None

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """(N, features) for images (N, colours, H, W) in [-1, 1]."""
        return nn.functional.silu(self.project(self.stages(images).flatten(1)))

    def heads(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Class logits (N, classes) and attributes (N, attributes) of features."""
        if self.attributes is None:
            return self.classes(features), features.new_zeros((len(features), 0))
        return self.classes(features), self.attributes(features)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Class logits (N, classes) and attributes (N, attributes)."""
        return self.heads(self.features(images))


@torch.no_grad()
def predict(
    model: Classifier, images: torch.Tensor, batch: int = 256
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, attributes and features of images (N, C, H, W), a batch at a time."""
    rows = []
    for part in images.split(batch):
        features = model.features(part.float())
        rows.append((*model.heads(features), features))
    logits, attributes, features = (torch.cat(column) for column in zip(*rows, strict=True))
    return logits, attributes, features


def _matrix(name: str, values: Any, rows: int) -> Doubles:
    matrix = np.asarray(values, np.float64)
    if matrix.ndim != 2 or len(matrix) < rows:
        raise ValueError(f"{name} must have shape (N, D) with N >= {rows}; got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} must be finite; got NaN or infinity")
    return matrix


def frechet_from_moments(mean_a: Any, cov_a: Any, mean_b: Any, cov_b: Any) -> float:
    """Squared Fréchet distance of Gaussians: |mean_a - mean_b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2).

    The trace of the square root is the sum of the singular values of A^1/2 B^1/2, which stays real and
    accurate where a covariance is singular. In float64. (Heusel et al. 2017; Dowson and Landau 1982.)
    """
    gap = np.asarray(mean_a, np.float64) - np.asarray(mean_b, np.float64)
    roots = []
    for covariance in (cov_a, cov_b):
        values, vectors = np.linalg.eigh(np.asarray(covariance, np.float64))
        roots.append(vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T)
    cross = np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum()
    return float(max(0.0, gap @ gap + np.trace(cov_a) + np.trace(cov_b) - 2 * cross))


def frechet_distance(a: Any, b: Any) -> float:
    """Squared Fréchet distance of the Gaussians fitted to two sets of features, (N, D) and (M, D).

    With few samples it is biased upwards: compare only sets of one size.

    Raises:
        ValueError: wrong shapes, fewer than two rows, values that are not finite.
    """
    a, b = _matrix("a", a, 2), _matrix("b", b, 2)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"a and b must have equally many columns; got {a.shape[1]} and {b.shape[1]}")
    moments = [(x.mean(0), np.atleast_2d(np.cov(x, rowvar=False))) for x in (a, b)]
    return frechet_from_moments(*moments[0], *moments[1])


def precision_recall(real: Any, fake: Any, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, section 2).

    Every set's manifold is the union of balls around its points that reach to their k-th nearest neighbour
    in that set. Precision is the share of `fake` (M, D) inside the manifold of `real` (N, D); recall the
    reverse.

    Raises:
        ValueError: wrong shapes, or a set with no more than `k` rows.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1; got {k!r}")
    real, fake = _matrix("real", real, k + 1), _matrix("fake", fake, k + 1)
    cross = _squared_distances(real, fake)
    within = []
    for points, distances in ((real, cross.T), (fake, cross)):
        own = _squared_distances(points, points)
        np.fill_diagonal(own, 0.0)
        radius = np.partition(own, k, axis=1)[:, k]  # index 0 is the point itself
        within.append(float((distances <= radius[None]).any(1).mean()))
    return within[0], within[1]


def _squared_distances(a: Doubles, b: Doubles) -> Doubles:
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
    return np.clip(squares, 0, None)


def saturation(images: torch.Tensor) -> torch.Tensor:
    """Mean HSV saturation of each image (N, 3, H, W) in [-1, 1]; values beyond that are clipped first."""
    rgb = images.float().clamp(-1, 1).add(1).div(2)
    high, low = rgb.amax(1), rgb.amin(1)
    return ((high - low) / high.clamp_min(1e-6)).flatten(1).mean(1)


class Judge:
    """Scores of generated images against one reference set of real images.

    Args:
        model: a trained `Classifier`, such as `load("shapes").model` or `load("digits").model`.
        reference: real images (N, C, H, W) in [-1, 1].
    """

    def __init__(self, model: Classifier, reference: torch.Tensor) -> None:
        self.model = model
        self.features = predict(model, reference)[2].numpy()
        self.saturation = float(saturation(reference).mean()) if reference.shape[1] == 3 else None

    @classmethod
    def of(
        cls,
        size: str = "s",
        n: int | None = None,
        reference: torch.Tensor | None = None,
        *,
        testbed: str = "shapes",
    ) -> Judge:
        """The judge with the shipped classifier of a testbed.

        Args:
            size: of that testbed.
            n: images of its validation split that serve as reference; what `data` gives without n by default.
            reference: other real images (N, C, H, W), instead of those.
            testbed: one whose model is a `Classifier`: "shapes" or "digits".

        Raises:
            ValueError: a testbed whose model is no classifier.
        """
        from sillok.testbeds import load  # the package imports no framework, and this module does

        bed = load(testbed, size)
        if not isinstance(bed.model, Classifier):
            raise ValueError(f"testbed must have a classifier as its model, as shapes has; got {testbed!r}")
        if reference is None:
            reference = (bed.data("val") if n is None else bed.data("val", n=n)).images
        return cls(bed.model, reference)

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
        """Scores of images (M, C, H, W) that should show the classes `labels` (M,).

        Returns:
            `accuracy`, `frechet`, `precision`, `recall`, and `outside`, the share of values beyond [-1, 1];
            the classifier sees those clipped. Of RGB images also `saturation` and `saturation_gap` (to the
            real images). At most M reference images serve for precision and recall, all of them for the
            Fréchet distance.
        """
        logits, _, features = predict(self.model, images.clamp(-1, 1))
        found = features.numpy()
        precision, recall = precision_recall(self.features[: len(found)], found)
        scores = {
            "accuracy": float((logits.argmax(1) == labels).double().mean()),
            "frechet": frechet_distance(self.features, found),
            "precision": precision,
            "recall": recall,
        }
        if self.saturation is not None:
            level = float(saturation(images).mean())
            scores |= {"saturation": level, "saturation_gap": level - self.saturation}
        return {**scores, "outside": float((images.abs() > 1).double().mean())}


def measure_generator(
    draw: Callable[[torch.Tensor, float], torch.Tensor],
    judge: Judge,
    real: torch.Tensor,
    real_labels: torch.Tensor,
    guidances: tuple[float, ...],
) -> dict[str, float]:
    """Scores of a class-conditional generator at several guidance scales.

    Args:
        draw: gives images (n, C, H, W) for labels (n,) and a guidance scale.
        judge: of at least n reference images; no more than n of them are used.
        real, real_labels: n held-out real images and their classes.

    Returns:
        `metric@scale` for each metric of `Judge`, of n images spread evenly over the classes; `accuracy_best`
        over the scales; and `frechet_real`, `recall_real`: the figures that a perfect generator would show.
    """
    n = len(real)
    labels = torch.arange(n) % judge.model.classes.out_features
    judge.features = judge.features[:n]
    truth = judge(real, real_labels)
    found = {"frechet_real": truth["frechet"], "recall_real": truth["recall"]}
    if judge.saturation is not None:
        found["saturation_real"] = judge.saturation
    for guidance in guidances:
        for metric, value in judge(draw(labels, guidance), labels).items():
            found[f"{metric}@{guidance:g}"] = value
    found["accuracy_best"] = max(found[f"accuracy@{guidance:g}"] for guidance in guidances)
    return found
