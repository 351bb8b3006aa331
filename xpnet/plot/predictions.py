"""Images beside what the network made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from xpnet.plot.style import BLUE, RED, new_figure
from xpnet_backends import to_numpy


def predictions(
    images: Any,
    labels: Any,
    predicted: Any,
    probabilities: Any = None,
    *,
    classes: Sequence[str] | None = None,
    columns: int = 8,
) -> Any:
    """Images (N, H, W) or (N, H, W, 3) with true and predicted class; wrong ones are red.  Returns a Figure."""
    pictures, truth, guess = to_numpy(images), to_numpy(labels), to_numpy(predicted)
    if not len(pictures):
        raise ValueError("predictions() needs at least one image")
    if not len(pictures) == len(truth) == len(guess):
        raise ValueError(f"lengths differ: {len(pictures)} images, {len(truth)} labels, {len(guess)} predictions")
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    figure = new_figure(1.25 * columns, 1.5 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for i, axes in enumerate(grid.flat[: len(pictures)]):
        axes.imshow(pictures[i], cmap="gray" if pictures[i].ndim == 2 else None)
        names = [str(int(c)) if classes is None else classes[int(c)] for c in (truth[i], guess[i])]
        right = truth[i] == guess[i]
        sure = "" if probabilities is None else f" {float(np.max(to_numpy(probabilities)[i])):.0%}"
        text = f"{names[1]}{sure}" if right else f"✗ {names[1]}{sure}\nis {names[0]}"
        axes.set_title(text, fontsize=8, color=BLUE if right else RED)
    return figure
