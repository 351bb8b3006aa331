"""Paths of optimizers over a function of two variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .lines import COLORS
from .style import GREY, INK, Axes, Figure, clean, legend_beside, name_axes, new_figure, title, to_host


def descent(
    function: Callable[[np.ndarray, np.ndarray], Any],
    paths: Mapping[str, Any],
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    *,
    minimum: tuple[float, float] | None = None,
    heading: str = "",
    xlabel: str = "x",
    ylabel: str = "y",
    axes: Axes | None = None,
) -> Figure:
    """Contours of ``function``, and named paths (T, 2) over them; a dot for each step, a star at the minimum.

    Parameters
    ----------
    function : takes host arrays (H, W) of x and y, returns heights (H, W).
    paths : points (T, 2) by name.
    xlim, ylim : the ends of the axes.
    minimum : where to draw the star.
    axes : axes to draw into; by default those of a new figure.

    Raises: ``ValueError`` for a path of another shape; ``MissingExtraError``.
    """
    tracks = {name: to_host(path).astype(np.float64) for name, path in paths.items()}
    for name, track in tracks.items():
        if track.ndim != 2 or track.shape[1] != 2 or not len(track):
            raise ValueError(f"descent: path {name!r} must be (T, 2), got {track.shape}")
    if axes is None:
        width = 8.0 if len(tracks) > 1 else 6.4
        (axes,) = new_figure(width, 4.2, "drawing paths of descent").subplots(1, 1, squeeze=False)[0]
    columns, rows = np.meshgrid(np.linspace(*xlim, 160), np.linspace(*ylim, 160))
    heights = to_host(function(columns, rows))
    known = heights[np.isfinite(heights)]
    floor, top = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if top > floor:  # a flat surface has no contours
        levels = floor + (top - floor) * np.linspace(0.02, 1, 14) ** 2  # closer together near the bottom
        axes.contour(columns, rows, heights, levels=levels, colors=GREY, linewidths=0.6, alpha=0.55)
    drawn = [
        (axes.plot(*track.T, "-o", color=color, linewidth=1.4, markersize=2.5, zorder=3)[0], name)
        for color, (name, track) in zip(COLORS * len(tracks), tracks.items(), strict=False)
    ]
    if tracks:
        axes.plot(*next(iter(tracks.values()))[0], "o", color=INK, markersize=6, zorder=4)
        if len(tracks) > 1:
            legend_beside(axes, drawn, fontsize=8.5)
    if minimum is not None:
        axes.plot(*minimum, "*", color=INK, markersize=13, zorder=4)
    clean(axes, grid=False)
    axes.set(xlim=xlim, ylim=ylim)
    name_axes(axes, xlabel, ylabel)
    if heading:
        title(axes, heading)
    return axes.figure
