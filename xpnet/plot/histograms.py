"""Histograms over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .style import AS_IT_IS, BLUE, GREY, Axes, Figure, clean, name_axes, names_of, new_figure, title, to_host

_MOST = 12  # largest number of moments in one picture


def histograms(values: Mapping[str, Sequence[Any]], moments: Sequence[Any], label: str = "epoch") -> Figure:
    """One panel for each name, with overlapping histograms for each moment, the first at the top.

    values : ``{name: [array, ...]}``, an array of any shape for each moment.  Infinite values and NaN are left out.
    If there are more than 12 moments, 12 evenly spaced ones are drawn.  The histograms of a panel share one scale.

    Raises: ``ValueError`` for nothing to draw, or a name without an array for each moment; ``MissingExtraError``.
    """
    if not values or not len(moments):
        raise ValueError("histograms: nothing to draw: expected {name: [array, ...]} and their moments")
    for name, arrays in values.items():
        if len(arrays) != len(moments):
            raise ValueError(f"histograms: {name!r} has {len(arrays)} arrays for {len(moments)} moments")
    chosen = np.unique(np.linspace(0, len(moments) - 1, min(len(moments), _MOST)).round().astype(int))
    rows = -(-len(values) // 4)
    columns = -(-len(values) // rows)
    figure = new_figure(0.7 + 2.4 * columns, 0.5 + 3.2 * rows, "drawing histograms")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    names = names_of((moments[i] for i in chosen), 9)
    for axes, (name, arrays) in zip(panels, values.items(), strict=False):
        _draw(axes, name, [_finite(arrays[i]) for i in chosen], names)
    for axes in panels[::columns][:rows]:
        name_axes(axes, "", label)
    for axes in panels[max(len(values) - columns, 0) : len(values)]:
        axes.set_xlabel("value", color=GREY, loc="left")  # at the right an offset may stand
    for axes in panels[len(values) :]:
        axes.set_axis_off()
    return figure


def _finite(array: Any) -> np.ndarray:
    flat = to_host(array).astype(np.float64).ravel()
    return flat[np.isfinite(flat)]


def _lighter(share: float) -> tuple[float, ...]:
    """Blue mixed with white; opaque, so that a histogram covers those behind it."""
    parts = [int(BLUE[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return tuple(1 + share * (part - 1) for part in parts)


def _draw(axes: Axes, name: str, arrays: list[np.ndarray], names: list[str]) -> None:
    everything = np.concatenate(arrays)
    low, high = (float(everything.min()), float(everything.max())) if everything.size else (0.0, 1.0)
    pad = 0.02 * (high - low) or 0.5
    most = max(a.size for a in arrays)
    edges = np.linspace(low - pad, high + pad, 1 + int(np.clip(2.5 * math.sqrt(most), 8, 40)))
    shares = [np.histogram(a, edges)[0] / max(a.size, 1) for a in arrays]
    height = 1.7 / max(np.quantile([s.max() for s in shares], 0.7), 1e-9)  # narrow initial histograms may be higher
    for place, share in enumerate(shares):
        base = len(shares) - 1.0 - place
        shade = 0.25 + 0.65 * (place + 1) / len(shares)
        top = base + np.minimum(share * height, 3.0)
        style = {"baseline": base, "zorder": place + 1}
        axes.stairs(top, edges, fill=True, color=_lighter(shade), linewidth=0, **style)
        axes.stairs(top, edges, color="white", linewidth=0.9, **style)
    clean(axes, grid=False)
    axes.spines["left"].set_visible(False)
    axes.set_yticks(range(len(names)), names[::-1], **AS_IT_IS)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.get_major_locator().set_params(nbins=3)
    axes.set_ylim(-0.2, len(names) + 2.3)
    title(axes, name, taken=max(0.0, 0.08 * max(map(len, names)) - 0.2))  # the moments stand left of the axes
