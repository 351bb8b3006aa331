"""ROC and precision-recall curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Axes,
    Figure,
    clean,
    legend_beside,
    name_of,
    new_figure,
    title,
    to_host,
)

_WIDTH = 7.6  # inches, with the legend at the right
_COLORS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (2, 1.2)), (0, (6, 2, 1.5, 2)), (0, (1, 1)), (0, (8, 3)))


def roc(curves: Mapping[str, Any]) -> Figure:
    """True positive rate against false positive rate, with the area under each curve.

    curves : ``(false positive rate, true positive rate)`` by name, the first two results of ``metrics.roc_curve``.

    Raises: ``ValueError`` for none, more than six, or values outside 0..1; ``MissingExtraError``.
    """
    points = _check("roc", curves)
    figure = new_figure(_WIDTH, 4.6, "drawing ROC curves")
    axes = figure.subplots()
    drawn = [(axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (1, 2)))[0], "guessing 0.500")]
    for i, (name, (x, y)) in enumerate(points.items()):
        area = float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
        (line,) = axes.plot(x, y, color=_COLORS[i], linestyle=_DASHES[i], linewidth=2, zorder=3)
        drawn.append((line, f"{name_of(name, 26)} {area:.3f}"))
    _finish(axes, "ROC, with the area under it", "false positive rate", "true positive rate")
    legend_beside(axes, drawn, fontsize=9.5)
    return figure


def precision_recall(curves: Mapping[str, Any], share: float | None = None) -> Figure:
    """Precision against recall, with the average precision of each curve.

    curves : ``(precision, recall)`` by name, the first two results of ``metrics.precision_recall_curve``.
    share : the share of positive samples, which is the precision of guessing.

    Raises: ``ValueError`` for none, more than six, or values outside 0..1; ``MissingExtraError``.
    """
    points = _check("precision_recall", curves)
    figure = new_figure(_WIDTH, 4.6, "drawing precision-recall curves")
    axes = figure.subplots()
    drawn = []
    if share is not None:
        guess = axes.axhline(share, color=GREY, linewidth=1, linestyle=(0, (1, 2)))
        drawn.append((guess, f"guessing {share:.3f}"))
    for i, (name, (precision, recall)) in enumerate(points.items()):
        average = float(np.sum(-np.diff(recall) * precision[:-1]))
        look = {"color": _COLORS[i], "linestyle": _DASHES[i], "linewidth": 2, "drawstyle": "steps-post", "zorder": 3}
        drawn.append((axes.plot(recall, precision, **look)[0], f"{name_of(name, 26)} {average:.3f}"))
    _finish(axes, "Precision and recall, with the average precision", "recall", "precision")
    legend_beside(axes, drawn, fontsize=9.5)
    return figure


def _check(name: str, curves: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if not 1 <= len(curves) <= len(_COLORS):
        raise ValueError(f"{name}: expected 1 to {len(_COLORS)} curves, got {len(curves)}")
    points = {}
    for label, (first, second) in curves.items():
        x, y = to_host(first).astype(float), to_host(second).astype(float)
        if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
            raise ValueError(f"{name}: {label!r} needs two rows of equal length, got {x.shape} and {y.shape}")
        if not all(((v >= 0) & (v <= 1)).all() for v in (x, y)):
            raise ValueError(f"{name}: the rates of {label!r} must lie in 0..1 (NaN: a class does not occur)")
        points[str(label)] = (x, y)
    return points


def _finish(axes: Axes, heading: str, x: str, y: str) -> None:
    clean(axes)
    title(axes, heading)
    axes.set_xlabel(x, color=GREY)
    axes.set_ylabel(y, color=GREY)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
