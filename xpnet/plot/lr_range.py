"""The result of a learning-rate range test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .style import BLUE, GREY, VERMILLION, Figure, clean, new_figure, title

if TYPE_CHECKING:
    from xpnet.train import LRRange


def lr_range(result: LRRange) -> Figure:
    """The loss against the learning rate, on a logarithmic axis, with the suggested rate.

    Raises: ``ValueError`` for fewer than two points; ``MissingExtraError``.
    """
    rates, losses, smoothed = (np.asarray(v, dtype=float) for v in (result.rates, result.losses, result.smoothed))
    if len(rates) < 2:
        raise ValueError(f"drawing a range test needs at least two points, got {len(rates)}")
    figure = new_figure(6.4, 3.8, "drawing a learning-rate range test")
    axes = figure.subplots()
    axes.plot(rates, losses, color=GREY, alpha=0.5, linewidth=0.9, label="each step")
    axes.plot(rates, smoothed, color=BLUE, linewidth=2.0, label="smoothed")
    axes.axvline(result.suggestion, color=VERMILLION, linewidth=1.5, linestyle="--")
    finite = smoothed[np.isfinite(smoothed)]
    top, bottom = finite.max(), min(finite.min(), losses[np.isfinite(losses)].min())
    axes.set_ylim(bottom - 0.05 * (top - bottom), top + 0.1 * (top - bottom))
    axes.annotate(
        f"begin with {result.suggestion:.1g}", (result.suggestion, 0.96), xycoords=("data", "axes fraction"),
        xytext=(-6, 0), textcoords="offset points", ha="right", va="top", color=VERMILLION,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlabel("Learning rate")
    axes.set_ylabel("Training loss")
    axes.legend(frameon=False, loc="lower left")
    title(axes, "Loss while the learning rate grows")
    clean(axes)
    return figure
