"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .style import AS_IT_IS, GREY, INK, LIGHT, VERMILLION, Axes, Figure, names_of, new_figure, to_host

_MOST_NUMBERS = 30  # classes: up to here each cell has its number, each row its total and recall
_SIDE = 12.0  # inches of a matrix without numbers
_LONGEST = 30  # characters of a name
_FULL = 0.05  # share of a class: the smallest end of the colour scale, so that a few errors do not look dramatic
_POWER = 0.6  # of the scale of colours: one error in a thousand shows


def confusion(matrix: Any, classes: Sequence[str]) -> Figure:
    """Counts by true class (row) and predicted class (column), with the total and the recall of each class.

    Only errors are coloured, by their share of the true class.  matrix (C, C), one name for each class.  With more than
    30 classes only the colours and their scale are drawn, and with very many classes only some names.

    Raises: ``ValueError`` for a matrix that is not square, not of counts, or does not fit the classes;
    ``MissingExtraError``.
    """
    counts, names = _check(matrix, classes)
    numbers = len(counts) <= _MOST_NUMBERS
    cell = 0.62 if len(counts) <= 12 else 0.46 if numbers else _SIDE / len(counts)  # inches
    side = cell * len(counts)
    width = 2.7 + 0.06 * max(map(len, names))
    figure = new_figure(
        max(side, 1.6) + width, max(side, 1.2) + 1.2 + 0.06 * max(map(len, names)), "drawing a confusion matrix"
    )
    axes = figure.subplots()
    tone, full = _draw_colors(axes, counts)
    _draw_names(axes, names, cell)
    summary = _summary(int(counts.trace()), int(counts.sum()))
    figure.suptitle(summary, x=0.03, ha="left", fontsize=11, color=INK, fontweight="bold")
    if numbers:
        _draw_numbers(axes, counts, tone, cell)
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

    return LinearSegmentedColormap.from_list("errors", ["white", VERMILLION])


def _draw_colors(axes: Axes, counts: np.ndarray) -> tuple[np.ndarray, float]:
    """How strong the colour of each cell is, 0..1, and the share of samples that has the full one."""
    off = ~np.eye(len(counts), dtype=bool)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # of the samples of a class
    full = max(_FULL, float(share[off].max(initial=0.0)))
    tone = np.where(off, share / full, 0.0) ** _POWER
    rgba = _colors()(tone)
    rgba[~off] = (0.93, 0.93, 0.93, 1.0)
    axes.imshow(rgba, interpolation="nearest")
    return tone, full


def _draw_scale(figure: Figure, axes: Axes, full: float) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm

    shades = ScalarMappable(PowerNorm(_POWER, 0.0, full), _colors())
    bar = figure.colorbar(shades, ax=axes, shrink=0.5, aspect=30, pad=0.02, format=lambda share, _: f"{share:.0%}")
    bar.set_label("errors, of the true class's samples", color=GREY)
    bar.outline.set_visible(False)


def _draw_numbers(axes: Axes, counts: np.ndarray, tone: np.ndarray, cell: float) -> None:
    digits = len(str(counts.max()))
    size = min(10.0, 72 * cell / (0.68 * max(digits, 2) + 0.5))
    for (row, column), count in np.ndenumerate(counts):
        wrong = row != column
        if wrong and not count:
            continue
        dark = tone[row, column] > 0.92
        text = axes.text(
            column, row, str(count), ha="center", va="center", fontsize=size, fontweight="bold" if wrong else "normal",
            color="white" if dark else INK if wrong else GREY, **AS_IT_IS,
        )  # fmt: skip
        text.set_in_layout(False)  # it stays in its cell; measuring hundreds of them takes most of the time


def _draw_names(axes: Axes, names: list[str], cell: float) -> None:
    size = 10 if len(names) <= 12 else 8.5 if len(names) <= _MOST_NUMBERS else float(np.clip(60 * cell, 5.0, 8.5))
    every = max(1, int(np.ceil(1.1 * size / (72 * cell))))  # so that names do not cover each other
    places, shown = np.arange(len(names))[::every], names[::every]
    long = max(map(len, names)) > 3 or len(names) > _MOST_NUMBERS
    axes.set_xticks(places, shown, rotation=45 if long else 0, ha="right" if long else "center",
                    rotation_mode="anchor" if long else "default", fontsize=size, color=INK, **AS_IT_IS)  # fmt: skip
    axes.set_yticks(places, shown, fontsize=size, color=INK, **AS_IT_IS)
    axes.set_xlabel("predicted class", color=GREY)
    axes.set_ylabel("true class", color=GREY)
    if len(names) <= _MOST_NUMBERS:
        axes.set_xticks(places[1:] - 0.5, minor=True)
        axes.set_yticks(places[1:] - 0.5, minor=True)
        axes.grid(which="minor", color=LIGHT, linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_color(LIGHT)


def _draw_sums(axes: Axes, counts: np.ndarray, size: float) -> None:
    """Write the total and the recall of each class on the right."""
    totals, right = counts.sum(axis=1), np.diag(counts)
    for shift, heading, texts in (
        (46, "total", [str(total) for total in totals]),
        (92, "recall", [f"{r / t:.1%}" if t else "–" for r, t in zip(right, totals, strict=True)]),
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
