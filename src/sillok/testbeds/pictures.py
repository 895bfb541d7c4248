"""Pictures for the testbeds' pages: grids of images, enlarged by whole factors, without smoothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

GAP, PAPER = 2, 255  # pixels between cells, and their grey


def unit(images: Any) -> NDArray[np.float32]:
    """Images (N, C, H, W) in [-1, 1], as torch gives them, to (N, H, W, C) in [0, 1], clipped."""
    values = np.asarray(images, np.float32)
    return np.clip((np.moveaxis(values, 1, -1) + 1) / 2, 0, 1)


def grid(images: Any, columns: int, scale: int = 2) -> NDArray[np.uint8]:
    """Images side by side, row by row.

    Args:
        images: (N, H, W), (N, H, W, 1) or (N, H, W, 3); floats in [0, 1] or 8-bit integers.
        columns: in a row.
        scale: how many pixels wide each pixel becomes.

    Returns:
        (H', W', 3) in 8 bits, a white gap between the cells.

    Raises:
        ValueError: another shape, or a count below 1.
    """
    cells = np.asarray(images)
    if cells.ndim == 3:
        cells = cells[..., None]
    if cells.ndim != 4 or cells.shape[-1] not in (1, 3) or not len(cells):
        raise ValueError(f"images must have shape (N, H, W) or (N, H, W, 1 or 3); got {cells.shape}")
    if columns < 1 or scale < 1:
        raise ValueError(f"columns and scale must be at least 1; got {columns} and {scale}")
    if cells.dtype != np.uint8:
        cells = np.round(np.clip(cells, 0, 1) * 255).astype(np.uint8)
    cells = np.broadcast_to(cells, (*cells.shape[:3], 3)).repeat(scale, 1).repeat(scale, 2)
    n, height, width = cells.shape[:3]
    columns = min(columns, n)
    rows = -(-n // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), PAPER, np.uint8)
    for index, cell in enumerate(cells):
        top, left = divmod(index, columns)
        top, left = GAP + top * (height + GAP), GAP + left * (width + GAP)
        sheet[top : top + height, left : left + width] = cell
    return sheet
