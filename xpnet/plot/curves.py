"""Training curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from xpnet.plot.style import BLUE, GREY, ORANGE, clean, new_figure


def curves(history: Mapping[str, Sequence[Any]], *, best_epoch: int | None = None) -> Any:
    """Loss and accuracy of training and validation over the epochs, the best epoch marked.  Returns a Figure.

    ``history`` holds equally long columns: epoch, train_loss, val_loss, train_accuracy, val_accuracy; any but the
    first may be missing, and any value may be None or NaN.
    """
    panels = [name for name in ("loss", "accuracy") if any(f"{part}_{name}" in history for part in ("train", "val"))]
    if not panels:
        raise ValueError(f"the history has no losses or accuracies to draw, only {', '.join(history) or 'nothing'}")
    figure = new_figure(5.2 * len(panels), 3.8)
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _panel(axes, history, name, best_epoch)
    return figure


def _panel(axes: Any, history: Mapping[str, Sequence[Any]], name: str, best_epoch: int | None) -> None:
    epochs = list(history["epoch"])
    for part, label, colour in (("train", "training", BLUE), ("val", "validation", ORANGE)):
        values = [math.nan if v is None else float(v) for v in history.get(f"{part}_{name}", [])]
        if values:
            marker = "o" if len(values) < 30 else None
            axes.plot(epochs, values, color=colour, marker=marker, markersize=4, linewidth=1.8, label=label)
    if best_epoch:
        axes.axvline(best_epoch, color=GREY, linewidth=1, linestyle="--", zorder=0, label=f"best: epoch {best_epoch}")
    clean(axes, name, "epoch")
    axes.xaxis.get_major_locator().set_params(integer=True)
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
        axes.set_xticks(epochs)
    axes.legend(frameon=False)
