"""The confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpnet.plot.style import new_figure
from xpnet_backends import to_numpy


def confusion(matrix: Any, classes: Sequence[str]) -> Any:
    """Counts by true class (row) and predicted class (column), and the recall of each class.  Returns a Figure.

    Colour is the share of the row.  The diagonal is left out of the scale, so that mistakes can be seen;
    the scale goes on beyond the largest of them, so that its number can be read.
    """
    counts = to_numpy(matrix)
    n = len(classes)
    if counts.shape != (n, n):
        raise ValueError(f"{n} classes need a matrix of shape {(n, n)}, got {counts.shape}")
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    wrong = shares * ~np.eye(n, dtype=bool)
    size = max(4.5, 0.52 * n + 1.8)
    figure = new_figure(size + 0.6, size)
    axes = figure.subplots()
    axes.imshow(wrong, cmap="Oranges", vmin=0, vmax=max(wrong.max(), 1e-9) * 1.6)
    for row in range(n):
        for column in range(n):
            _cell(axes, row, column, int(counts[row, column]), n)
        recall = f"{shares[row, row]:.1%}" if totals[row] else "-"
        axes.text(n - 0.3, row, recall, va="center", ha="left", fontsize=_font(n))
    axes.text(n - 0.3, -0.85, "recall", va="center", ha="left", fontsize=_font(n), color="#555555")
    turned = 90 if max(map(len, classes)) > 3 and n > 5 else 0
    axes.set_xticks(range(n), classes, rotation=turned)
    axes.set_yticks(range(n), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(f"{int(counts.trace()):,} of {int(counts.sum()):,} right", loc="left", fontweight="bold", pad=18)
    return figure


def _font(n: int) -> float:
    return 9 if n <= 15 else 6.5


def _cell(axes: Any, row: int, column: int, count: int, n: int) -> None:
    if row == column:
        axes.add_patch(_square(row, column))
    if count:
        weight = "bold" if row == column else "normal"
        axes.text(column, row, f"{count}", va="center", ha="center", fontsize=_font(n), fontweight=weight)


def _square(row: int, column: int) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="#E8EEF4", edgecolor="white", linewidth=1)
