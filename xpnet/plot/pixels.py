"""Images of any layout in the layout of matplotlib, and mosaics of small images."""

from __future__ import annotations

import math

import numpy as np


def as_pixels(images: np.ndarray, purpose: str) -> np.ndarray:
    """Images of any layout as (N, H, W) or (N, H, W, 3) in 0..1.

    Images are uint8, or floating point; then the smallest value becomes black and the largest white.
    """
    if images.ndim == 4 and images.shape[-1] not in (1, 3) and images.shape[1] in (1, 3):
        images = np.moveaxis(images, 1, -1)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim != 3 and not (images.ndim == 4 and images.shape[-1] == 3):
        raise ValueError(f"{purpose}: expected images (N, H, W), (N, H, W, 3) or (N, 3, H, W), got {images.shape}")
    if images.dtype == np.uint8:
        return images / 255.0
    values = np.nan_to_num(images.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = values.min(initial=math.inf), values.max(initial=-math.inf)
    return (values - low) / max(high - low, 1e-12) if values.size else values


def mosaic(tiles: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Tiles (N, H, W, ...) in rows of ``columns``, with NaN in the gaps and in missing tiles.

    One image of a hundred tiles draws much faster than a hundred axes.
    """
    n, height, width = tiles.shape[:3]
    columns = min(columns, n)
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *tiles.shape[3:]), np.nan)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet
