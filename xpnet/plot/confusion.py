"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .style import AS_IT_IS, GREY, INK, LIGHT, Axes, Figure, fit, names_of, new_figure, to_host

_MOST_NUMBERS = 30  # classes: up to here each cell has its number, each row its total and recall
_SIDE = 12.0  # inches of a matrix without numbers
_LONGEST = 30  # characters of a name
_FULL = 0.05  # of the largest class: the scale of colours ends here at least; a few errors are no disaster
_POWER = 0.6  # of the scale of colours: one error beside a thousand shows
_DARKEST = "#E0742B"  # vermillion, lighter: black numbers on it have a contrast above 4.5 to 1 (WCAG 2.1, AA)
_SUM = 46.0  # points: a column at the side


def confusion(matrix: Any, classes: Sequence[str]) -> Figure:
    """Counts by true class (row) and predicted class (column), with the total and the recall of each class.

    Colour shows errors only, and equal counts have the same shade.  matrix (C, C), one name for each class; long
    names are cut.  Of more than 30 classes the colours alone are drawn, with their scale, and of very many only some
    names.

    Raises: ``ValueError`` for a matrix that is not square, not of counts, or does not fit the classes;
    ``MissingExtraError``.
    """
    counts, names = _check(matrix, classes)
    numbers = len(counts) <= _MOST_NUMBERS
    cell = 0.62 if len(counts) <= 12 else 0.46 if numbers else _SIDE / len(counts)  # inches
    side = cell * len(counts)
    width = 2.7 + 0.06 * max(map(len, names)) + (_sum_width(counts) - _SUM) / 72
    figure = new_figure(
        max(side, 1.6) + width, max(side, 1.2) + 1.2 + 0.06 * max(map(len, names)), "drawing a confusion matrix"
    )
    axes = figure.subplots()
    full = _draw_colors(axes, counts)
    _draw_names(axes, names, cell)
    summary = _summary(int(counts.trace()), int(counts.sum()))
    shown = figure.suptitle(summary, x=0.03, ha="left", fontsize=11, color=INK, fontweight="bold")
    fit(shown, 0.92 * float(figure.get_figwidth()))
    if numbers:
        _draw_numbers(axes, counts, cell)
        _draw_sums(axes, counts, min(9.5, 20 * cell))
    else:
        _draw_scale(figure, axes, full)
    return figure


def _check(matrix: Any, classes: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    counts, names = to_host(matrix), names_of(classes, _LONGEST)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(counts) < 1:
        raise ValueError(f"confusion: expected a square matrix of counts, got shape {counts.shape}")
    if counts.dtype.kind not in "iu" or counts.min() < 0:
        raise ValueError(f"confusion: counts must be integers of at least 0, got {counts.dtype} from {counts.min()}")
    if len(names) != len(counts):
        raise ValueError(f"confusion: {len(names)} class names for a matrix of {len(counts)} classes")
    return counts.astype(np.int64), names


def _colors() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("errors", ["white", _DARKEST])


def _draw_colors(axes: Axes, counts: np.ndarray) -> float:
    """The errors by their colours; the count that has the darkest one."""
    off = ~np.eye(len(counts), dtype=bool)
    full = max(_FULL * float(counts.sum(axis=1).max()), float(counts[off].max(initial=0)), 1.0)
    rgba = _colors()(np.where(off, counts / full, 0.0) ** _POWER)
    rgba[~off] = (0.93, 0.93, 0.93, 1.0)
    axes.imshow(rgba, interpolation="nearest")
    return full


def _draw_scale(figure: Figure, axes: Axes, full: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm
    from matplotlib.ticker import MaxNLocator

    shades = ScalarMappable(PowerNorm(_POWER, 0.0, full), _colors())
    bar = figure.colorbar(shades, ax=axes, shrink=0.5, aspect=30, pad=0.02, ticks=MaxNLocator(6, integer=True))
    bar.set_label("errors (samples)", color=GREY)
    bar.outline.set_visible(False)


def _draw_numbers(axes: Axes, counts: np.ndarray, cell: float) -> None:
    digits = len(str(counts.max()))
    size = min(10.0, 72 * cell / (0.72 * max(digits, 2) + 0.5))
    for (row, column), count in np.ndenumerate(counts):
        wrong = row != column
        if wrong and not count:
            continue
        text = axes.text(
            column, row, str(count), ha="center", va="center", fontsize=size, fontweight="bold" if wrong else "normal",
            color=INK if wrong else GREY, **AS_IT_IS,
        )  # fmt: skip
        text.set_in_layout(False)  # it stays in its cell; measuring hundreds of them takes most of the time


def _draw_names(axes: Axes, names: list[str], cell: float) -> None:
    size = 10 if len(names) <= 12 else 8.5 if len(names) <= _MOST_NUMBERS else float(np.clip(60 * cell, 5.0, 8.5))
    every = max(1, int(np.ceil(1.1 * size / (72 * cell))))  # so that names do not cover each other
    places, shown = np.arange(len(names))[::every], names[::every]
    aslant: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    if len(names) > _MOST_NUMBERS:
        aslant |= {"rotation": 90, "va": "center"}  # too close together to be slanted
    elif max(map(len, names)) <= 3:
        aslant = {}
    axes.set_xticks(places, shown, fontsize=size, color=INK, **aslant, **AS_IT_IS)
    axes.set_yticks(places, shown, fontsize=size, color=INK, **AS_IT_IS)
    axes.set_xlabel("predicted class", color=GREY)
    axes.set_ylabel("true class", color=GREY)
    if len(names) <= _MOST_NUMBERS:
        axes.set_xticks(places[1:] - 0.5, minor=True)
        axes.set_yticks(places[1:] - 0.5, minor=True)
        axes.grid(which="minor", color=LIGHT, linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_color(LIGHT)


def _sum_width(counts: np.ndarray) -> float:
    """Points that the totals need."""
    return max(_SUM, 10.0 + 6.5 * len(str(counts.sum(axis=1).max())))


def _draw_sums(axes: Axes, counts: np.ndarray, size: float) -> None:
    """Write the total and the recall of each class on the right."""
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
