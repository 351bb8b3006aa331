"""Heat maps over images, as of Grad-CAM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .pixels import as_pixels
from .style import AS_IT_IS, INK, Figure, fit, new_figure, plain, to_host

_MOST = 100


def heatmap_overlay(
    images: Any, heat: Any, titles: Sequence[str] = (), columns: int = 6, opacity: float = 0.75
) -> Figure:
    """Each image in grey, and below it the same image with its map in colour, from dark (low) to yellow (high).

    Parameters
    ----------
    images : as in ``predictions``.
    heat : maps (N, H, W) of at least 0, of the images' size, as ``explore.gradcam`` returns.
    titles : one for each image, or none.
    columns, opacity : images in a row, and the opacity of the maps.

    Raises: ``ValueError`` for other shapes, or lengths that differ; ``MissingExtraError``.
    """
    pixels, maps = as_pixels(to_host(images), "heatmap_overlay"), to_host(heat).astype(np.float64)
    if maps.shape != pixels.shape[:3]:
        raise ValueError(f"heatmap_overlay: images {pixels.shape[:3]} need maps of that shape, got {maps.shape}")
    if titles and len(titles) != len(pixels):
        raise ValueError(f"heatmap_overlay: {len(pixels)} images, {len(titles)} titles")
    if not 1 <= len(pixels) <= _MOST:
        raise ValueError(f"heatmap_overlay: expected 1 to {_MOST} images, got {len(pixels)}: give a part, images[:6]")
    columns = min(columns, len(pixels))
    rows = -(-len(pixels) // columns)
    figure = new_figure(max(1.25 * columns, 2.4), 2.5 * rows + 0.1, "drawing heat maps")
    figure.get_layout_engine().set(h_pad=0.03, hspace=0.0)  # image and map belong together
    grid = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for i, (image, values) in enumerate(zip(pixels, maps, strict=True)):
        above, below = grid[2 * (i // columns), i % columns], grid[2 * (i // columns) + 1, i % columns]
        grey = image if image.ndim == 2 else image.mean(axis=-1)
        above.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        below.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        below.imshow(values, cmap="inferno", alpha=opacity, vmin=0, vmax=max(float(values.max()), 1e-12))
        if titles:
            fit(above.set_title(plain(titles[i]), fontsize=9, pad=3, color=INK, **AS_IT_IS), 1.15, least=6.5)
    return figure
