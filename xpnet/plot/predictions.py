"""Images with the predictions of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .pixels import as_pixels
from .style import AS_IT_IS, GREY, INK, LIGHT, WRONG, Axes, Figure, fit, name_of, new_figure, to_host

_MOST = 400  # images in one picture
_LONGEST = 24  # characters of a class
_CELL, _ROOM = 1.15, 1.08  # inches: an image with its margin, and the texts above and below it


def predictions(
    images: Any,
    labels: Sequence[Any],
    predicted: Sequence[Any],
    probabilities: Any = None,
    columns: int = 8,
    classes: Sequence[str] | None = None,
) -> Figure:
    """A grid of images with the predicted class; errors have a frame, a cross and the true class.

    Parameters
    ----------
    images : (N, H, W), (N, H, W, 3) or (N, 1 or 3, H, W); uint8, or floating point, then the smallest value becomes
        black and the largest white.
    labels, predicted : true and predicted classes (N,).
    probabilities : (N,) of the predicted class, or (N, C).
    columns : images in a row.
    classes : names of the classes, if labels are numbers.

    Raises: ``ValueError`` for other shapes, lengths that differ, or too many images; ``MissingExtraError``.
    """
    pixels, truth, guess = (
        as_pixels(to_host(images), "predictions"),
        to_host(labels).tolist(),
        to_host(predicted).tolist(),
    )
    if not len(pixels) == len(truth) == len(guess):
        raise ValueError(f"predictions: {len(pixels)} images, {len(truth)} labels, {len(guess)} predicted classes")
    if not 1 <= len(pixels) <= _MOST:
        raise ValueError(f"predictions: expected 1 to {_MOST} images, got {len(pixels)}: give a part, images[:64]")
    if columns < 1:
        raise ValueError(f"predictions: columns must be at least 1, got {columns}")
    if classes is not None:
        truth, guess = ([classes[int(c)] for c in numbers] for numbers in (truth, guess))
    certainty = _certainty(probabilities, len(pixels))
    columns = min(columns, len(pixels))
    rows = math.ceil(len(pixels) / columns)
    figure = new_figure(max(_CELL * columns, 2.4), 1.42 * rows + 0.1, "drawing predictions")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, image, true, found, p in zip(grid, pixels, truth, guess, certainty, strict=False):
        _draw(axes, image, true, found, p)
    for axes in grid[len(pixels) :]:
        axes.set_axis_off()
    return figure


def _certainty(probabilities: Any, count: int) -> list[float | None]:
    if probabilities is None:
        return [None] * count
    p = to_host(probabilities)
    if p.ndim not in (1, 2) or len(p) != count:
        raise ValueError(f"predictions: expected probabilities ({count},) or ({count}, C), got {p.shape}")
    certainty: list[float | None] = (p.max(axis=1) if p.ndim == 2 else p).tolist()
    return certainty


def _draw(axes: Axes, image: np.ndarray, true: Any, found: Any, probability: float | None) -> None:
    right = true == found
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(color=LIGHT if right else WRONG, linewidth=0.8 if right else 2.5)
    shown = name_of(found, _LONGEST)
    text = shown if probability is None else f"{shown}  {probability:.0%}"
    heading = axes.set_title(text if right else f"✗ {text}", fontsize=9.5, pad=3, color=INK if right else WRONG,
                             fontweight="normal" if right else "bold", **AS_IT_IS)  # fmt: skip
    fit(heading, _ROOM, least=6.5)
    if not right:
        truth = axes.set_xlabel(f"is {name_of(true, _LONGEST)}", fontsize=9, labelpad=2, color=GREY, **AS_IT_IS)
        fit(truth, _ROOM, least=6.5)
