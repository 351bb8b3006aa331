"""The feature maps of an image in each layer of a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .pixels import as_pixels, mosaic
from .style import AS_IT_IS, GREY, Figure, fit, name_of, new_figure, title, to_host

_MOST = 64  # maps drawn for one layer


def feature_maps(layers: Mapping[str, Any], image: Any = None, columns: int = 8) -> Figure:
    """The maps of each layer, from 0 (dark) to the layer's largest value (bright), with the image on the left.

    layers : maps (C, H, W) of one image by name, in the order of the network; only the first 64 channels are drawn.
    image : (H, W), (C, H, W) or (H, W, 3).

    Raises: ``ValueError`` for other shapes or no layers; ``MissingExtraError``.
    """
    maps = {name: to_host(values).astype(np.float64) for name, values in layers.items()}
    if not maps:
        raise ValueError("feature_maps: there are no layers to draw")
    for name, values in maps.items():
        if values.ndim != 3 or 0 in values.shape:
            raise ValueError(f"feature_maps: expected maps (C, H, W) of one image, {name!r} has shape {values.shape}")
    sheets = [_sheet(values[:_MOST], columns) for values in maps.values()]
    heights = [float(np.clip(5.6 * sheet.shape[0] / sheet.shape[1], 0.35, 5.6)) for sheet in sheets]  # inches
    figure = new_figure(5.9 + (1.9 if image is not None else 0.0), sum(heights) + 0.42 * len(sheets), "drawing maps")
    left, right = (None, figure) if image is None else figure.subfigures(1, 2, width_ratios=(1.9, 5.9))
    if left is not None:
        axes = left.subplots()
        axes.imshow(as_pixels(to_host(image)[None], "feature_maps")[0], cmap="gray", interpolation="nearest")
        axes.set_axis_off()
        title(axes, "image")
    rows = right.subplots(len(sheets), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, sheet, (name, values) in zip(rows, sheets, maps.items(), strict=True):
        axes.imshow(sheet, cmap="magma", vmin=0.0, vmax=max(float(values.max()), 1e-12), interpolation="nearest")
        axes.set_axis_off()
        c, h, w = values.shape
        more = f" (the first {_MOST})" if c > _MOST else ""
        text = f"{name_of(name)}: {c} of {h}x{w}{more}"
        shown = axes.set_title(text, loc="left", fontsize=9.5, color=GREY, pad=3, **AS_IT_IS)
        fit(shown, 5.4 if len(values) > 1 or w > h else 3.0)
    return figure


def _sheet(maps: np.ndarray, columns: int) -> np.ndarray:
    """Arrange maps in rows of ``columns``; maps of a single pixel in one row."""
    single = maps.shape[1:] == (1, 1)
    return mosaic(maps, len(maps) if single else columns, gap=0 if single else max(1, round(maps.shape[2] / 16)))
