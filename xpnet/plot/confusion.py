"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .style import GREY, INK, LIGHT, Axes, Figure, cut, fit, new_figure, to_host

_FULL = 0.05  # of the largest class: the scale of colours ends here at least; a few errors are no disaster
_DARKEST = "#E0742B"  # vermillion, lighter: black numbers on it have a contrast above 4.5 to 1 (WCAG 2.1, AA)
_SUM = 46.0  # points: a column at the side
_LONGEST = 24  # characters of a name


def confusion(matrix: Any, classes: Sequence[str]) -> Figure:
    """Counts by true class (row) and predicted class (column), with total and recall of each class at the side.

    Colour shows errors only, and equal counts have the same shade.  matrix (C, C), one name for each class; long
    names are cut.

    Raises: ``ValueError`` for a matrix that is not square, not of counts, or does not fit the classes;
    ``MissingExtraError``.
    """
    counts, names = _check(matrix, classes)
    cell = 0.62 if len(counts) <= 12 else 0.46  # inches
    side = cell * len(counts)
    width = 2.7 + 0.06 * max(map(len, names)) + (_sum_width(counts) - _SUM) / 72
    figure = new_figure(
        max(side, 1.6) + width, max(side, 1.2) + 1.2 + 0.06 * max(map(len, names)), "drawing a confusion matrix"
    )
    axes = figure.subplots()
    _draw_cells(axes, counts, cell)
    _draw_names(axes, names)
    summary = _summary(int(counts.trace()), int(counts.sum()))
    shown = figure.suptitle(summary, x=0.03, ha="left", fontsize=11, color=INK, fontweight="bold")
    fit(shown, 0.92 * float(figure.get_figwidth()))
    _draw_sums(axes, counts, min(9.5, 20 * cell))
    return figure


def _check(matrix: Any, classes: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    counts, names = to_host(matrix), [cut(str(name), _LONGEST) for name in classes]
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) < 1:
        raise ValueError(f"confusion: expected a square matrix of counts, got shape {counts.shape}")
    if counts.dtype.kind not in "iu" or counts.min() < 0:
        raise ValueError(f"confusion: counts must be whole numbers from 0 on, got {counts.dtype} from {counts.min()}")
    if len(names) != len(counts):
        raise ValueError(f"confusion: {len(names)} class names for a matrix of {len(counts)} classes")
    return counts.astype(np.int64), names


def _draw_cells(axes: Axes, counts: np.ndarray, cell: float) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    off = ~np.eye(len(counts), dtype=bool)
    full = max(_FULL * float(counts.sum(axis=1).max()), float(counts[off].max(initial=0)), 1.0)
    colors = LinearSegmentedColormap.from_list("errors", ["white", _DARKEST])
    tone = np.where(off, counts / full, 0.0) ** 0.6  # so that one error beside a thousand shows
    rgba = colors(tone)
    rgba[~off] = (0.93, 0.93, 0.93, 1.0)
    axes.imshow(rgba, interpolation="nearest")
    digits = len(str(counts.max()))
    size = min(10.0, 72 * cell / (0.72 * max(digits, 2) + 0.5))
    for (row, column), count in np.ndenumerate(counts):
        wrong = row != column
        if wrong and not count:
            continue
        axes.text(
            column, row, str(count), ha="center", va="center", fontsize=size, fontweight="bold" if wrong else "normal",
            color=INK if wrong else GREY,
        )  # fmt: skip


def _draw_names(axes: Axes, names: list[str]) -> None:
    places = np.arange(len(names))
    long = max(map(len, names)) > 3
    size = 10 if len(names) <= 12 else 8.5
    axes.set_xticks(places, names, rotation=45 if long else 0, ha="right" if long else "center",
                    rotation_mode="anchor" if long else "default", fontsize=size, color=INK)  # fmt: skip
    axes.set_yticks(places, names, fontsize=size, color=INK)
    axes.set_xlabel("predicted class", color=GREY)
    axes.set_ylabel("true class", color=GREY)
    axes.set_xticks(places[1:] - 0.5, minor=True)
    axes.set_yticks(places[1:] - 0.5, minor=True)
    axes.grid(which="minor", color=LIGHT, linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_color(LIGHT)


def _sum_width(counts: np.ndarray) -> float:
    """Points that the totals need."""
    return max(_SUM, 10.0 + 6.5 * len(str(counts.sum(axis=1).max())))


def _draw_sums(axes: Axes, counts: np.ndarray, size: float) -> None:
    """At the right the total and the recall of each class."""
    totals, right, shift_of_total = counts.sum(axis=1), np.diag(counts), _sum_width(counts)
    for shift, heading, texts in (
        (shift_of_total, "total", [str(total) for total in totals]),
        (shift_of_total + _SUM, "recall", [f"{r / t:.1%}" if t else "–" for r, t in zip(right, totals, strict=True)]),
    ):
        axes.annotate(heading, (1, 1), xycoords="axes fraction", xytext=(shift, 6), textcoords="offset points",
                      ha="right", fontsize=size, color=GREY)  # fmt: skip
        for row, text in enumerate(texts):
            axes.annotate(
                text, (1, row), xycoords=axes.get_yaxis_transform(), xytext=(shift, 0), textcoords="offset points",
                ha="right", va="center", fontsize=size,
                color=GREY if heading == "total" else INK, annotation_clip=False,
            )  # fmt: skip


def _summary(right: int, total: int) -> str:
    if not total:
        return "no samples"
    return f"{right / total:.2%} right: {total - right:,} of {total:,} wrong"
