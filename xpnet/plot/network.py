"""A network of fully connected layers: units as circles, weights as lines."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .style import (
    AS_IT_IS,
    BLUE,
    GREY,
    INK,
    LIGHT,
    VERMILLION,
    Axes,
    Figure,
    clean,
    name_of,
    new_figure,
    title,
    to_host,
)

_MOST = 16  # largest number of units drawn for one layer

Numbers = np.ndarray


def network(
    weights: Sequence[Any],
    activations: Sequence[Any] | None = None,
    *,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    heading: str = "",
    scale: float | None = None,
    histograms: Sequence[tuple[str, Any, Any]] = (),
) -> Figure:
    """Units and weighted edges.  Blue is positive; orange, broken, negative; a thick line is a large weight.

    If a layer has more than 16 units, 16 evenly spaced ones are drawn.

    Of a layer with more than 16 units, 16 are drawn, evenly chosen.  NaN and infinite weights are left out.

    Raises: ``ValueError`` for shapes that do not fit; ``MissingExtraError``.
    """
    matrices, values = _check(weights, activations, inputs, outputs)
    widths = [matrices[0].shape[1], *(len(w) for w in matrices)]
    drawn = [np.unique(np.linspace(0, n - 1, min(n, _MOST)).round().astype(int)) for n in widths]
    figure = new_figure(6.8 if histograms else 5.2, 4.4, "drawing a network")
    ratios = [2.6, 1] if histograms else [1]
    grid = figure.add_gridspec(max(len(histograms), 1), len(ratios), width_ratios=ratios)
    axes = figure.add_subplot(grid[:, 0])
    top = scale or max(float(np.abs(w[np.isfinite(w)]).max(initial=0)) for w in matrices) or 1.0
    for column, w in enumerate(matrices):
        _draw_edges(axes, column, w, drawn[column], drawn[column + 1], top)
    for column, units in enumerate(drawn):
        _draw_units(axes, column, units, widths[column], None if values is None else values[column])
    _draw_names(axes, 0, drawn[0], inputs, "right")
    _draw_names(axes, len(widths) - 1, drawn[-1], outputs, "left")
    axes.set_xlim(-0.75 if len(inputs) else -0.25, len(widths) - 1 + (0.75 if len(outputs) else 0.25))
    axes.set_ylim(-0.16, 1.06)
    axes.set_axis_off()
    _draw_key(axes, top, values is not None)
    title(axes, heading)
    for row, (name, counts, edges) in enumerate(histograms):
        _draw_histogram(figure.add_subplot(grid[row, 1]), name, to_host(counts), to_host(edges))
    return figure


def _check(
    weights: Sequence[Any], activations: Sequence[Any] | None, inputs: Sequence[str], outputs: Sequence[str]
) -> tuple[list[Numbers], list[Numbers] | None]:
    matrices = [to_host(w) for w in weights]
    shapes = [w.shape for w in matrices]
    if not matrices or any(len(s) != 2 or 0 in s for s in shapes):
        raise ValueError(f"network: expected weights (O, I), one for each layer, got shapes {shapes}")
    if any(before[0] != after[1] for before, after in pairwise(shapes)):
        raise ValueError(f"network: the outputs of a layer must be the inputs of the next, got shapes {shapes}")
    widths = [shapes[0][1], *(s[0] for s in shapes)]
    values = None if activations is None else [to_host(a) for a in activations]
    if values is not None and [v.shape for v in values] != [(n,) for n in widths]:
        raise ValueError(f"network: columns of {widths} units, activations of shapes {[v.shape for v in values]}")
    for names, n in ((inputs, widths[0]), (outputs, widths[-1])):
        if len(names) not in (0, n):
            raise ValueError(f"network: {len(names)} names for {n} units")
    return matrices, values


def _heights(count: int) -> Numbers:
    """Heights from the top down, centred; few units do not fill the whole height."""
    room = min(1.0, 0.2 * (count - 1))
    return np.linspace(0.5 + room / 2, 0.5 - room / 2, count)


def _draw_edges(axes: Axes, column: int, w: Numbers, before: Numbers, after: Numbers, top: float) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgba

    ys, zs = _heights(len(before)), _heights(len(after))
    values = np.where(np.isfinite(w), w, np.nan)[np.ix_(after, before)]  # NaN is neither of the signs below
    sizes = np.minimum(np.abs(values) / top, 1.0)
    for sign, color, dashes in ((values >= 0, BLUE, "-"), (values < 0, VERMILLION, (0, (3, 1)))):
        lines = [[(column, ys[i]), (column + 1, zs[j])] for j, i in zip(*np.nonzero(sign), strict=True)]
        colors = [to_rgba(color, 0.2 + 0.7 * size) for size in sizes[sign]]
        axes.add_collection(
            LineCollection(lines, linewidths=0.2 + 4 * sizes[sign], colors=colors, linestyles=dashes, zorder=1)
        )


def _draw_key(axes: Axes, top: float, filled: bool) -> None:
    """What colours and widths mean: the thickest lines, and the fill of the circles, below the network."""
    from matplotlib.lines import Line2D

    weight = f"{top:.2g}"
    marks = [
        Line2D([], [], color=BLUE, linewidth=4.2, alpha=0.9, label=f"weight +{weight} (thin: near 0)"),
        Line2D(
            [], [], color=VERMILLION, linewidth=4.2, alpha=0.9, linestyle=(0, (1.5, 0.5)), label=f"weight −{weight}"
        ),
    ]
    circle: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 9, "markeredgecolor": INK}
    if filled:
        for color, name in ((BLUE, "unit's value above 0 (white: 0)"), (VERMILLION, "unit's value below 0")):
            marks.append(Line2D([], [], markerfacecolor=color, label=name, **circle))
    axes.legend(
        handles=marks, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False, fontsize=8,
        handlelength=2.6, labelcolor=GREY, columnspacing=1.2,
    )  # fmt: skip


def _draw_units(axes: Axes, column: int, units: Numbers, count: int, values: Numbers | None) -> None:
    ys = _heights(len(units))
    size = 380 if len(units) <= 6 else 240 if len(units) <= 10 else 110
    colors: Any = "white"
    if values is not None:
        from matplotlib.colors import LinearSegmentedColormap

        shades = LinearSegmentedColormap.from_list("signed", [VERMILLION, "white", BLUE])
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        top = max(float(np.abs(values).max(initial=0)), 1.0)
        colors = shades(0.5 + 0.5 * values[units] / top)
    axes.scatter(np.full(len(units), column), ys, s=size, c=colors, edgecolors=INK, linewidths=1.1, zorder=3)
    if len(units) < count:
        axes.text(column, -0.12, f"{len(units)} of {count}", ha="center", va="center", fontsize=8.5, color=GREY)


def _draw_names(axes: Axes, column: int, units: Numbers, names: Sequence[str], align: str) -> None:
    for y, unit in zip(_heights(len(units)), units if len(names) else (), strict=False):
        axes.annotate(
            name_of(names[unit], 24), (column, y), xytext=(-13 if align == "right" else 13, 0),
            textcoords="offset points", ha=align, va="center", fontsize=9, color=INK, **AS_IT_IS,
        )  # fmt: skip


def _draw_histogram(axes: Axes, name: str, counts: Numbers, edges: Numbers) -> None:
    if len(edges) != len(counts) + 1:
        raise ValueError(f"network: histogram {name!r} has {len(counts)} counts and {len(edges)} edges")
    negative = edges[:-1] + edges[1:] < 0
    for sign, color in ((negative, VERMILLION), (~negative, BLUE)):
        axes.stairs(np.where(sign, counts, 0), edges, fill=True, color=color, linewidth=0)
    clean(axes, grid=False)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    axes.axvline(0, color=LIGHT, linewidth=0.8, zorder=0)
    axes.tick_params(labelsize=7.5)
    axes.set_xlim(float(edges[0]), float(edges[-1]))
    axes.set_title(name_of(name), loc="left", fontsize=8.5, color=GREY, pad=2, **AS_IT_IS)
