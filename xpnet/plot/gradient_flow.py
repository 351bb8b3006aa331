"""The size of the gradient by depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .lines import COLORS
from .style import AS_IT_IS, GREY, Figure, clean, legend_beside, log_ticks, names_of, new_figure, title, to_host

_MARKERS = "osD^v"

_WIDEST = 16.0  # inches


def gradient_flow(norms: Mapping[str, Any] | Mapping[str, Mapping[str, Any]], heading: str = "Gradient flow") -> Figure:
    """The norm of the gradient by layer, from the input (left) to the loss (right), on a logarithmic axis.

    norms : ``{layer: norm}``, or ``{network: {layer: norm}}`` to compare networks with the same layers.  A norm of 0 is
    marked at the lower end of the axis.

    Raises: ``ValueError`` for no layers, layers that differ, or norms that are not numbers; ``MissingExtraError``.
    """
    lines = _read(norms)
    layers = list(next(iter(lines.values())))
    values = {name: np.array([float(to_host(v)) for v in line.values()]) for name, line in lines.items()}
    positive = np.concatenate([v[np.isfinite(v) & (v > 0)] for v in values.values()])
    floor = positive.min() / 5 if positive.size else 1e-12
    every = -(-len(layers) // int(_WIDEST / 0.25))  # so that names do not cover each other
    names = names_of(layers[::every], 28)
    width = min(max(4.6, 1.6 + 0.55 * len(layers)), _WIDEST) + (2.6 if len(lines) > 1 else 0.0)
    figure = new_figure(width, 3.0 + 0.05 * max(map(len, names)), "drawing gradient flow")
    axes = figure.subplots()
    drawn: list[tuple[Any, str]] = []
    for i, (name, line) in enumerate(values.items()):
        color, marker = COLORS[i % len(COLORS)], _MARKERS[i % len(_MARKERS)]
        look = {"color": color, "marker": marker, "markersize": 6, "linewidth": 2}
        drawn.append((axes.plot(np.where(line > 0, line, floor), **look)[0], name))
        for x in np.flatnonzero(line == 0):
            axes.annotate("0", (float(x), floor), xytext=(0, 7), textcoords="offset points", ha="center", color=color)
    axes.set_yscale("log")
    shown = np.concatenate([positive, [floor]]) if any((v == 0).any() for v in values.values()) else positive
    if shown.size:
        axes.set_ylim(10 ** np.floor(np.log10(shown.min()) - 0.05), 10 ** np.ceil(np.log10(shown.max()) + 0.05))
    log_ticks(axes.yaxis)
    clean(axes)
    places = range(0, len(layers), every)
    axes.set_xticks(places, names, rotation=35, ha="right", rotation_mode="anchor", **AS_IT_IS)
    axes.set_ylabel("norm of the gradient", color=GREY)
    title(axes, heading)
    if len(lines) > 1:
        legend_beside(axes, drawn, fontsize=9)
    return figure


def _read(norms: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    if not norms:
        raise ValueError("gradient_flow: no layers to draw")
    nested = [isinstance(v, Mapping) for v in norms.values()]
    if any(nested) and not all(nested):
        raise ValueError("gradient_flow: expected {layer: norm} or {network: {layer: norm}}, got a mixture")
    lines: dict[str, Mapping[str, Any]] = dict(norms) if all(nested) else {"": norms}
    layers = [list(line) for line in lines.values()]
    if not layers[0] or any(found != layers[0] for found in layers):
        raise ValueError(f"gradient_flow: networks of different layers, or of none: {layers}")
    return lines
