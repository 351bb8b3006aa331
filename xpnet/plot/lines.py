"""Labelled curves for comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .style import (
    AS_IT_IS,
    BLUE,
    DPI,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Axes,
    Figure,
    clean,
    log_ticks,
    name_axes,
    name_of,
    new_figure,
    title,
    to_host,
)  # fmt: skip

COLORS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, INK, GREY)
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
_FEW = 15  # points: up to here each one gets a dot
_HIGHEST = 6.0  # inches, however many curves there are


def panels(
    titles: Sequence[str], width: float = 3.6, height: float = 3.4, columns: int = 4
) -> tuple[Figure, list[Axes]]:
    """An empty figure with one pair of axes for each title; draw into them with ``lines(..., axes=axes[0])``.

    width, height : size of each pair of axes in inches.

    Raises: ``ValueError`` without a title; ``MissingExtraError``.
    """
    if not titles:
        raise ValueError("panels: give at least one title")
    columns = min(columns, len(titles))
    rows = -(-len(titles) // columns)
    figure = new_figure(width * columns, height * rows, "drawing several panels")
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for spare in axes[len(titles) :]:
        spare.set_axis_off()
    for one, text in zip(axes, titles, strict=False):
        title(one, text)
    return figure, axes[: len(titles)]


def lines(
    values: Mapping[str, Any],
    x: Any = None,
    *,
    xlabel: str = "",
    ylabel: str = "",
    heading: str = "",
    xscale: str = "linear",
    yscale: str = "linear",
    ylim: tuple[float, float] | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Curves by name in one pair of axes, each labelled at its end in its colour.

    values : name -> numbers (T,), or a pair (x, y) of its own; None, NaN and infinities leave a gap, and so does what
    is not above 0 on a logarithmic axis.  A curve that lies on another one is broken, so that both are seen.  Of more
    curves than there is room for names, evenly chosen ones have their names.
    x : where the curves without an x of their own stand, 1..T if not given.
    axes : drawn into, if given; else a new figure.

    Raises: ``ValueError`` if there is nothing to draw, or lengths differ; ``MissingExtraError``.
    """
    if not values:
        raise ValueError("lines: there is no curve to draw")
    curves = {name: _points(name, curve, x, yscale == "log") for name, curve in values.items()}
    if axes is None:
        height = float(np.clip(1.0 + 0.2 * len(curves), 3.8, _HIGHEST))
        (axes,) = new_figure(6.4, height, "drawing curves").subplots(1, 1, squeeze=False)[0]
    axes.set_xscale(xscale)
    axes.set_yscale(yscale)
    for i, (horizontal, y) in enumerate(curves.values()):
        style = {"color": COLORS[i % len(COLORS)], "linestyle": _DASHES[i // len(COLORS) % len(_DASHES)]}
        axes.plot(horizontal, y, linewidth=1.8, marker="o" if len(y) <= _FEW else None, markersize=4, **style)
    clean(axes)
    if ylim is not None:
        axes.set_ylim(ylim)
    _break_what_covers(axes, axes.lines[-len(curves) :])
    if xscale == "linear" and all((at == at.round()).all() for at, _ in curves.values()):
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    for axis, scale in ((axes.xaxis, xscale), (axes.yaxis, yscale)):
        if scale == "log":
            log_ticks(axis)
    name_axes(axes, xlabel, ylabel)
    if heading:
        title(axes, heading)
    if len(curves) > 1:
        _name_ends(axes, curves)
    return axes.figure


def _break_what_covers(axes: Axes, drawn: Sequence[Any]) -> None:
    """Dashes for each curve that lies on earlier ones for a third of its way; the more of them, the wider the gaps."""
    axes.autoscale_view()  # matplotlib sets the limits late
    frame = axes.transAxes.inverted()
    places = [frame.transform(axes.transData.transform(line.get_xydata())) for line in drawn]
    for k, (line, place) in enumerate(zip(drawn, places, strict=True)):
        covered = sum(other.shape == place.shape and _coincide(other, place) for other in places[:k])
        if covered:
            line.set_linestyle((0, (3, 3 * covered)))


def _coincide(one: np.ndarray, other: np.ndarray) -> bool:
    near: float = (np.abs(one - other) < 0.008).all(axis=1).mean()
    return near > 1 / 3


def _points(name: str, curve: Any, x: Any, log: bool) -> tuple[np.ndarray, np.ndarray]:
    own = isinstance(curve, tuple) and len(curve) == 2 and np.ndim(curve[0]) == 1
    horizontal, vertical = curve if own else (x, curve)
    y = np.array([np.nan if v is None else v for v in to_host(vertical).tolist()], dtype=np.float64)
    at = np.arange(1.0, 1 + len(y)) if horizontal is None else to_host(horizontal).astype(np.float64)
    if at.shape != y.shape:
        raise ValueError(f"lines: {name!r} has {len(y)} values at {len(at)} places")
    y = np.where(np.isfinite(y) & ((y > 0) | (not log)), y, np.nan)
    if not np.isfinite(y).any():
        kind = "value above 0 to draw on a logarithmic axis" if log else "finite value to draw"
        raise ValueError(f"lines: {name!r} has no {kind}")
    return at, y


def _name_ends(axes: Axes, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Write the names right of the axes, at the heights of the last values, moved apart if they would overlap."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    ends = []
    for i, (name, (at, y)) in enumerate(curves.items()):
        last = np.flatnonzero(np.isfinite(y))[-1]
        height = axes.transAxes.inverted().transform(axes.transData.transform((at[last], y[last])))[1]
        ends.append((float(np.clip(height, 0.0, 1.0)), i, name))
    ends.sort()
    inches = axes.get_position().height * axes.figure.get_size_inches()[1]
    gap = 16 / DPI / max(inches, 0.5)
    ends = ends[:: -(-len(ends) // max(int(1 / gap), 1))]  # of more curves than there is room for names, some
    places = spread([height for height, _, _ in ends], gap)
    for place, (_, i, name) in zip(places, ends, strict=True):
        axes.annotate(
            name_of(name, 36), (1, place), xycoords="axes fraction", xytext=(5, 0), textcoords="offset points",
            va="center", color=COLORS[i % len(COLORS)], fontsize=9, fontweight="bold", annotation_clip=False,
            **AS_IT_IS,
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Increasing heights, moved so that neighbours are at least ``gap`` apart, within 0..1 if possible.

    >>> [round(h, 2) for h in spread([0.5, 0.5, 0.9], 0.1)]
    [0.45, 0.55, 0.9]
    """
    groups: list[list[float]] = []  # middle, size: neighbours that touch move as one
    for height in heights:
        groups.append([height, 1.0])
        while True:
            for group in groups:
                half = (group[1] - 1) * gap / 2
                group[0] = min(max(group[0], half), max(1 - half, half))
            if len(groups) < 2 or groups[-1][0] - groups[-2][0] >= gap * (groups[-1][1] + groups[-2][1]) / 2 - 1e-12:
                break
            (upper, many), (lower, few) = groups.pop(), groups.pop()
            groups.append([(upper * many + lower * few) / (many + few), many + few])
    return [middle + (k - (size - 1) / 2) * gap for middle, size in groups for k in range(int(size))]
