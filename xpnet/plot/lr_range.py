"""The result of a learning-rate range test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .style import BLUE, GREY, VERMILLION, Figure, clean, legend_beside, log_ticks, name_axes, new_figure, title

if TYPE_CHECKING:
    from xpnet.train import LRRange


def lr_range(result: LRRange) -> Figure:
    """The loss against the learning rate, on a logarithmic axis, with the suggested rate.

    Raises: ``ValueError`` where there are fewer than two points, or no finite loss; ``MissingExtraError``.
    """
    rates, losses, smoothed = (np.asarray(v, dtype=float) for v in (result.rates, result.losses, result.smoothed))
    if len(rates) < 2:
        raise ValueError(f"a range test needs at least two points to be drawn, got {len(rates)}")
    if not np.isfinite(smoothed).any():
        raise ValueError("a range test without a finite loss cannot be drawn: begin with a smaller rate")
    figure = new_figure(7.6, 3.8, "drawing a learning-rate range test")
    axes = figure.subplots()
    (each,) = axes.plot(rates, losses, color=GREY, alpha=0.5, linewidth=0.9)
    (line,) = axes.plot(rates, smoothed, color=BLUE, linewidth=2.0)
    finite = smoothed[np.isfinite(smoothed)]
    top, bottom = finite.max(), min(finite.min(), losses[np.isfinite(losses)].min())
    span = max(top - bottom, 1e-3 * abs(top), 1e-12)
    axes.set_ylim(bottom - 0.05 * span, top + 0.1 * span)
    begin = axes.axvline(result.suggestion, color=VERMILLION, linewidth=1.5, linestyle="--")
    axes.set_xscale("log")
    axes.set_xlim(rates.min() / 1.2, rates.max() * 1.2)
    log_ticks(axes.xaxis)
    name_axes(axes, "learning rate", "training loss")
    legend_beside(axes, [(each, "each step"), (line, "smoothed"), (begin, f"begin with {result.suggestion:.1g}")])
    title(axes, "Loss while the learning rate grows")
    clean(axes)
    return figure
