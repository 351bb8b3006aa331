"""The kernels of a convolution as small pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from .pixels import mosaic
from .style import GREY, Figure, new_figure, title, to_host

_MOST = 64  # largest number of input or output channels in one picture


def filters(weight: Any, columns: int = 8, name: str = "filters") -> Figure:
    """Kernels (O, C, K, L) as pictures: blue is negative, white is 0, red is positive, on a common scale.

    With one input channel it is a grid of the O kernels, in rows of ``columns``.  Kernels of three input channels are
    drawn in colour, each scaled from its smallest to its largest value.  Otherwise there is a row for each output
    channel and a column for each input channel.

    Raises: ``ValueError`` for other shapes; ``MissingExtraError``.
    """
    kernels = to_host(weight).astype(np.float64)
    if kernels.ndim != 4 or 0 in kernels.shape:
        raise ValueError(f"filters: expected kernels (O, C, K, L), got shape {kernels.shape}")
    if columns < 1:
        raise ValueError(f"filters: columns must be at least 1, got {columns}")
    o, c = kernels.shape[:2]
    if c not in (1, 3) and max(o, c) > _MOST:
        raise ValueError(f"filters: at most {_MOST} channels each way fit one picture, got {o} x {c}: give a part")
    colour = c == 3
    tiles = _coloured(kernels) if colour else kernels.reshape(o * c, *kernels.shape[2:])
    columns = columns if c in (1, 3) else c
    sheet = mosaic(tiles, columns)
    per_inch = max(sheet.shape[1] / 6.0, kernels.shape[3] / 0.9)  # at most 6 inches wide, 0.9 a kernel
    figure = new_figure(max(sheet.shape[1] / per_inch + 1.1, 3.4), sheet.shape[0] / per_inch + 0.6, "drawing filters")
    axes = figure.subplots()
    axes.set_axis_off()
    about = f"{name}: {o} of {kernels.shape[2]}x{kernels.shape[3]}" + (f" on {c} channels" if c > 1 else "")
    title(axes, about, taken=0.0 if colour else 1.0)
    if colour:
        axes.imshow(np.nan_to_num(sheet, nan=1.0), interpolation="nearest")
        return figure
    limit = float(np.abs(kernels[np.isfinite(kernels)]).max(initial=0.0)) or 1.0
    shown = axes.imshow(sheet, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    bar = figure.colorbar(shown, ax=axes, shrink=0.9, aspect=14, pad=0.03)
    bar.outline.set_visible(False)
    bar.set_label("weight", color=GREY, fontsize=8)
    bar.ax.tick_params(labelsize=8, colors=GREY)
    return figure


def _coloured(kernels: np.ndarray) -> np.ndarray:
    """(O, 3, K, L) -> (O, K, L, 3), each kernel scaled to 0..1."""
    low, high = (limit(axis=(1, 2, 3), keepdims=True) for limit in (kernels.min, kernels.max))
    return np.moveaxis((kernels - low) / np.maximum(high - low, 1e-12), 1, -1)
