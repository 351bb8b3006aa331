"""Training and validation loss of several runs, side by side on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .style import GREY, INK, LIGHT, TRAIN, VALIDATION, Axes, Figure, clean, new_figure, title, to_host


def gaps(histories: Mapping[str, Mapping[str, Sequence[Any]]], columns: int = 4) -> Figure:
    """A panel for each training, all of one scale, with the gap between its two losses shaded and written.

    histories : columns ``epoch``, ``train_loss`` and ``val_loss``, by the name of the run.

    Raises: ``ValueError`` for no history, a missing column, or columns that differ in length; ``MissingExtraError``.
    """
    read = {name: _read(name, history) for name, history in histories.items()}
    if not read:
        raise ValueError("gaps: there is no history to draw")
    columns = min(columns, len(read))
    rows = -(-len(read) // columns)
    figure = new_figure(max(2.3 * columns + 0.4, 3.6), 2.1 * rows + 0.7, "drawing gaps")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for i, (axes, (name, (epoch, train, val))) in enumerate(zip(grid, read.items(), strict=False)):
        _draw(axes, epoch, train, val)
        title(axes, name)
        if i % columns == 0:
            axes.set_ylabel("loss", color=GREY, fontsize=9)
        if i >= len(read) - columns:
            axes.set_xlabel("epoch", color=GREY, fontsize=9)
            axes.tick_params(labelbottom=True)
    for axes in grid[len(read) :]:
        axes.set_axis_off()
    losses = np.concatenate([values for _, *both in read.values() for values in both])
    losses = losses[np.isfinite(losses)]
    if len(losses) and losses.max() > 0:
        grid[0].set_ylim(0.0, 1.15 * min(float(losses.max()), 4.0 * float(np.median(losses)) + 0.1))
    figure.legend(
        grid[0].lines[:2], ("training", "validation"), loc="outside upper left", ncols=2, frameon=False, fontsize=9.5,
        labelcolor="linecolor",
    )  # fmt: skip
    return figure


def _draw(axes: Axes, epoch: np.ndarray, train: np.ndarray, val: np.ndarray) -> None:
    clean(axes)
    axes.fill_between(epoch, train, val, color=LIGHT, linewidth=0)
    marker = "o" if len(epoch) == 1 else None  # a line needs two points
    axes.plot(epoch, train, color=TRAIN, linewidth=1.8, marker=marker)
    axes.plot(epoch, val, color=VALIDATION, linewidth=1.8, marker=marker)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1, nbins=4)
    axes.text(
        0.97, 0.94, f"gap {_short(val - train)}", transform=axes.transAxes, ha="right", va="top", fontsize=9,
        color=INK, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8},
    )  # fmt: skip


def _short(gap: np.ndarray) -> str:
    """The last known one, with two digits."""
    known = gap[np.isfinite(gap)]
    if not len(known):
        return "unknown"
    last = float(known[-1])
    text = f"{last:.2f}" if 0.005 <= abs(last) < 1000 else f"{last:.2g}"
    return text.replace("-", "−")


def _read(name: str, history: Mapping[str, Sequence[Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    for column in ("epoch", "train_loss", "val_loss"):
        if column not in history:
            raise ValueError(f"gaps: the history {name!r} has no column {column!r}")
    epoch, train, val = (to_host(history[c]).astype(np.float64) for c in ("epoch", "train_loss", "val_loss"))
    if not len(epoch) == len(train) == len(val) > 0:
        raise ValueError(f"gaps: the columns of {name!r} have {len(epoch)}, {len(train)} and {len(val)} values")
    return epoch, train, val
