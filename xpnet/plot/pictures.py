"""Pictures side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .style import Figure, new_figure, title, to_host


def pictures(named: Mapping[str, Any], *, height: float = 2.6) -> Figure:
    """Pictures in a row, each with its name above: uint8 or 0..1; (H, W), (H, W, 3) or (3, H, W), of any sizes.

    height : height of each picture in inches.

    Raises: ``ValueError`` if there is no picture, or one has another shape; ``MissingExtraError``.
    """
    images = {name: _as_rgb(name, to_host(image)) for name, image in named.items()}
    if not images:
        raise ValueError("pictures: nothing to draw: expected at least one picture")
    widths = [max(image.shape[1] / image.shape[0], 1.2 / height) for image in images.values()]  # a name needs some room
    figure = new_figure(height * sum(widths) + 0.2 * (len(images) + 1), height + 0.5, "drawing pictures")
    row = figure.subplots(1, len(images), squeeze=False, width_ratios=widths)[0]
    for axes, (name, image) in zip(row, images.items(), strict=True):
        axes.imshow(image, interpolation="nearest" if max(image.shape) < 128 else "antialiased")
        axes.set_axis_off()
        title(axes, name)
    return figure


def _as_rgb(name: str, image: np.ndarray) -> np.ndarray:
    """(H, W, 3), uint8 or clipped to 0..1."""
    if image.ndim == 2:
        image = np.stack([image] * 3, axis=2)
    if image.ndim == 3 and image.shape[0] == 3 and image.shape[2] != 3:
        image = image.transpose(1, 2, 0)
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"pictures: {name!r} must be (H, W), (H, W, 3) or (3, H, W), got {image.shape}")
    return image if image.dtype == np.uint8 else np.clip(np.nan_to_num(image.astype(np.float64)), 0.0, 1.0)
