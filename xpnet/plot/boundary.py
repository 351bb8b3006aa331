"""Decision regions of a classifier in the plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpnet_backends import backend_of

from .lines import COLORS
from .style import INK, Axes, Figure, clean, legend, legend_beside, name_axes, new_figure, title, to_host

_MARKERS = "os^Dv*PX"
_WRONG = "wrong side"
_LONGEST = 24  # characters of a class's name


def decision_boundary(
    predict: Callable[[np.ndarray], Any],
    x: Any,
    y: Any,
    *,
    names: Sequence[str] | None = None,
    level: float = 0.5,
    heading: str = "",
    xlabel: str = "",
    ylabel: str = "",
    resolution: int = 200,
    margin: float = 0.12,
    axes: Axes | None = None,
) -> Figure:
    """The samples over the regions where ``predict`` gives each class; misclassified samples are ringed.

    Parameters
    ----------
    predict : takes points (M, 2) in x's dtype, on the host (for a model, on its backend).  Returns class numbers (M,);
        or a floating score (M,) of class 1 against class 0; or scores (M, C), of which the largest gives the class.
        Arrays of any backend, or tensors.
    x, y : samples (N, 2) and their classes (N,), integers 0..C-1.
    names : names of the classes, for a legend.
    level : the score that separates class 1 from class 0.
    margin : space around the samples, relative to their extent.
    axes : axes to draw into; by default those of a new figure.

    Raises: ``ValueError`` for other shapes or classes; ``MissingExtraError``.
    """
    points, labels = to_host(x), to_host(y).astype(np.int64)
    if points.ndim != 2 or points.shape[1] != 2 or labels.shape != points.shape[:1] or not len(points):
        raise ValueError(f"decision_boundary: expected x (N, 2) and y (N,), got {points.shape} and {labels.shape}")
    if not np.isfinite(points).all():
        raise ValueError("decision_boundary: the samples x must be finite")
    if labels.min() < 0 or labels.max() >= len(COLORS):
        raise ValueError(f"decision_boundary: classes must be 0..{len(COLORS) - 1}, got {labels.min()}..{labels.max()}")
    classes = int(labels.max()) + 1 if names is None else len(names)
    if labels.max() >= classes:
        raise ValueError(f"decision_boundary: class {labels.max()} has no name among {list(names or ())}")
    if axes is None:
        (axes,) = new_figure(5.0, 4.4, "drawing a decision boundary").subplots(1, 1, squeeze=False)[0]
    span = np.ptp(points, axis=0)
    span = np.where(span > 0, span, np.maximum(np.abs(points[0]), 1.0))
    (left, low), (right, high) = points.min(axis=0) - margin * span, points.max(axis=0) + margin * span
    columns, rows = np.meshgrid(np.linspace(left, right, resolution), np.linspace(low, high, resolution))
    grid = np.stack([columns.ravel(), rows.ravel()], axis=1).astype(points.dtype if points.dtype.kind == "f" else float)
    leads = _leads(_asked(predict, grid), len(grid), level)  # (C, M): lead of each class
    for color, lead in zip(COLORS, leads.reshape(-1, *columns.shape), strict=False):
        if lead.max() > 0:
            axes.contourf(columns, rows, lead, levels=[0, np.inf], colors=[color + "38"])
            if lead.min() < 0:
                axes.contour(columns, rows, lead, levels=[0], colors=INK, linewidths=1.0)
    wrong = _leads(_asked(predict, points), len(points), level).argmax(axis=0) != labels
    drawn = [
        axes.scatter(*points[labels == k].T, s=24, color=COLORS[k], marker=_MARKERS[k], edgecolors="white",
                     linewidths=0.6, zorder=3)
        for k in range(classes)
    ]  # fmt: skip
    rings = axes.scatter(*points[wrong].T, s=90, facecolors="none", edgecolors=INK, linewidths=1.3, zorder=4)
    clean(axes, grid=False)
    axes.set(xlim=(left, right), ylim=(low, high))
    name_axes(axes, xlabel, ylabel)
    if heading:
        title(axes, heading)
    if names is not None:
        entries = [*zip(drawn, names, strict=True), *([(rings, _WRONG)] if wrong.any() else [])]
        place = _emptiest(
            (points - [left, low]) / [right - left, high - low],
            len(names) + 1,
            max(len(str(name)) for name in (*names, _WRONG)),
        )
        if place is None:
            legend_beside(axes, entries, most=_LONGEST, fontsize=8.5)
        else:
            look = {"frameon": True, "framealpha": 0.85, "edgecolor": "none", "fontsize": 8.5}
            legend(axes, entries, most=_LONGEST, loc=place, **look)
    return axes.figure


def _asked(predict: Callable[[Any], Any], points: np.ndarray) -> Any:
    """The result of ``predict`` for host points; a model gets them on its own backend."""
    first = next(predict.parameters(), None) if hasattr(predict, "parameters") else None
    return predict(points if first is None else backend_of(first.data).asarray(points))


def _emptiest(places: np.ndarray, lines: int, longest: int) -> str | None:
    """A corner without samples for a legend of so many lines, None where there is none; places (N, 2) in 0..1."""
    corners = {"upper right": (1, 1), "upper left": (0, 1), "lower right": (1, 0), "lower left": (0, 0)}
    size = 0.2 + 0.025 * min(longest, 24), 0.06 + 0.06 * lines
    return next((name for name, at in corners.items() if not (np.abs(places - at) < size).all(axis=1).any()), None)


def _leads(answer: Any, count: int, level: float) -> np.ndarray:
    """The lead of each class over the best other class at each point, from the result of ``predict``: (C, M)."""
    values = to_host(answer)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape[:1] != (count,) or values.ndim > 2:
        raise ValueError(f"decision_boundary: predict gave {values.shape} for ({count}, 2): ({count},) or ({count}, C)")
    if values.ndim == 1 and values.dtype.kind == "f":
        return np.stack([level - values, values - level])
    if values.ndim == 1:
        return np.where(values.astype(np.int64) == np.arange(len(COLORS))[:, None], 1.0, -1.0)
    return np.stack([values[:, k] - np.delete(values, k, axis=1).max(axis=1) for k in range(values.shape[1])])
