"""Training curves."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xpnet._files import table_rows

from .style import AS_IT_IS, GREY, INK, TRAIN, VALIDATION, Axes, Figure, clean, new_figure, title, to_host

Curve = tuple[str, str, np.ndarray]  # name, colour, one value for each epoch, NaN where there is none

_TITLES = {"r2": "R²", **{name: name.upper() for name in ("auc", "f1", "mae", "mape", "mse", "rmse", "roc")}}
_RATE = "lr"
_PARTS = {"train": ("training", TRAIN), "val": ("validation", VALIDATION)}
_LABEL_GAP = 0.065  # of the height of the axes, between two labels
_FEW = 15  # up to this number of epochs each one gets a dot


def curves(
    history: Mapping[str, Sequence[Any]] | str | os.PathLike[str] | Any, best_epoch: int | None = None
) -> Figure:
    """Loss, metrics and learning rate by epoch, for training and validation, with the best epoch marked.

    There is a panel for the loss, one for each metric (``train_NAME``, ``val_NAME``), and one for the learning rate
    (``lr``) if it changes.  None, NaN and all other columns are left out.

    history : a trainer's history, or columns of equal length by name, or the path of a ``history.csv``.
    best_epoch : the epoch to mark; None or 0 marks the one with the lowest val_loss.

    Raises: ``ValueError`` if there is nothing to draw, or if columns differ in length; ``MissingExtraError``.

    >>> figure = curves({"epoch": [1, 2], "train_loss": [0.9, 0.4], "val_loss": [1.0, 0.7]})
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['Loss']
    """
    columns = _columns(history)
    epochs, panels = _read(columns)
    best = _best(epochs, columns, best_epoch)
    count = len(panels)
    across = count if count <= 3 else 2 if count == 4 else 3 if count <= 9 else 4
    rows = -(-count // across)
    figure = new_figure(0.8 + 4.6 * across, 3.6 * rows, "drawing training curves")
    places = figure.subplots(rows, across, squeeze=False).ravel()
    for spare in places[count:]:
        spare.set_axis_off()
    for axes, (kind, lines) in zip(places, panels.items(), strict=False):
        _draw(axes, kind, epochs, lines, best)
    return figure


def _columns(history: Any) -> Mapping[str, Sequence[Any]]:
    if not isinstance(history, (str, os.PathLike)):
        return history if isinstance(history, Mapping) else history.as_dict()
    rows = table_rows(Path(history).read_bytes())
    return {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}


def _title(kind: str) -> str:
    """``roc_auc`` -> ROC AUC."""
    if kind == _RATE:
        return "Learning rate"
    words = [_TITLES.get(word, word) for word in kind.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _is_share(kind: str) -> bool:
    """Whether a quantity is shown in percent."""
    return re.fullmatch(r"(.*_)?accuracy", kind) is not None


def _read(history: Mapping[str, Sequence[Any]]) -> tuple[np.ndarray, dict[str, list[Curve]]]:
    """The epochs, and the curves with values for each panel: the loss first, the learning rate last."""
    found = [name.partition("_")[2] for name in history if name.startswith(tuple(f"{part}_" for part in _PARTS))]
    kinds = sorted(dict.fromkeys(found), key=lambda kind: kind != "loss")
    names = [name for kind in kinds for part in _PARTS if (name := f"{part}_{kind}") in history]
    columns = {name: _numbers(name, history[name]) for name in ["epoch", *names, _RATE] if name in history}
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"history: columns of different lengths: {lengths}")
    panels: dict[str, list[Curve]] = {}
    for kind in kinds:
        drawn = [(*_PARTS[part], columns.get(f"{part}_{kind}", np.empty(0))) for part in _PARTS]
        if lines := [line for line in drawn if np.isfinite(line[2]).any()]:
            panels[kind] = lines
    if not panels:
        wanted = "train_loss, val_loss, or train_ and val_ of a metric"
        raise ValueError(f"history: nothing to draw: expected one of {wanted}, with values, got {[*history]}")
    rates = columns.get(_RATE, np.empty(0))
    if len(np.unique(rates[np.isfinite(rates)])) > 1:
        panels[_RATE] = [("", INK, rates)]
    return columns.get("epoch", np.arange(1.0, 1 + max(lengths.values()))), panels


def _numbers(name: str, values: Sequence[Any]) -> np.ndarray:
    """Numbers; None and infinities become NaN."""
    try:
        numbers = np.array([math.nan if v is None else float(v) for v in to_host(values).tolist()], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"history: {name!r} must be a list of numbers ({error})") from error
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _best(epochs: np.ndarray, history: Mapping[str, Sequence[Any]], asked: int | None) -> float | None:
    if asked:
        if asked not in epochs:
            raise ValueError(f"best_epoch={asked} is not among the epochs {epochs[0]:g}..{epochs[-1]:g}")
        return float(asked)
    losses = _numbers("val_loss", history.get("val_loss", []))
    return float(epochs[np.nanargmin(losses)]) if np.isfinite(losses).any() else None


def _draw(axes: Axes, kind: str, epochs: np.ndarray, lines: list[Curve], best: float | None) -> None:
    for name, color, values in lines:
        known = np.isfinite(values)
        marker = "o" if known.sum() <= _FEW else None
        axes.plot(epochs[known], values[known], color=color, linewidth=2, marker=marker, markersize=4.5, label=name)
    clean(axes)
    title(axes, _title(kind))
    axes.set_xlabel("epoch", color=GREY)
    _set_x(axes, epochs)
    _set_y(axes, kind, np.concatenate([values for _, _, values in lines]), falls=_falls(kind, lines[-1]))
    if best is not None:
        _mark(axes, kind, best, epochs, lines[-1])
    _label_ends(axes, kind, epochs, lines)


def _falls(kind: str, line: Curve) -> bool:
    """Whether a curve falls, like a loss."""
    known = line[2][np.isfinite(line[2])]
    return kind == "loss" or bool(known[-1] < known[0])


def _set_x(axes: Axes, epochs: np.ndarray) -> None:
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    room = max(0.5, 0.02 * float(np.ptp(epochs)))
    axes.set_xlim(epochs.min() - room, epochs.max() + room)


def _set_y(axes: Axes, kind: str, values: np.ndarray, falls: bool) -> None:
    """Set limits that resolve most epochs, even if the first values are far off."""
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    if _is_share(kind) or (kind != _RATE and not falls and high <= 1):
        upper = np.quantile(values, 0.25)
        low = max(low, float(upper - 4 * (high - upper))) if len(values) >= 12 else low
        pad = max(0.08 * (high - low), 0.005)
        axes.set_ylim(max(low - pad, -0.02), min(high + pad, 1 + 0.1 * pad) if high <= 1 else high + pad)
        if _is_share(kind):
            axes.yaxis.set_major_formatter(_percent)
    elif kind != _RATE and low > 0 and high > 30 * low:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.4, high * 1.4)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        pad = max(0.08 * (high - low), 0.02 * abs(high), 1e-6)
        axes.set_ylim(0 if 0 <= low < 0.5 * high else low - pad, high + pad)


def _percent(value: float, _: object = None) -> str:
    return f"{100 * value:.6g}%"


def _mark(axes: Axes, kind: str, best: float, epochs: np.ndarray, line: Curve) -> None:
    """Draw a line at the best epoch, and a ring around its value."""
    _, color, values = line
    axes.axvline(best, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    if kind != _RATE:
        axes.plot(
            [best], values[epochs == best][:1], "o", color="white", markeredgecolor=color, markeredgewidth=2, ms=8
        )
    right, top = best > epochs.mean(), _falls(kind, line)  # where the curves are not
    axes.annotate(
        f"best: epoch {best:g}", (best, float(top)), xycoords=axes.get_xaxis_transform(),
        xytext=(-4 if right else 4, -2 if top else 3), textcoords="offset points",
        ha="right" if right else "left", va="top" if top else "bottom", color=GREY, fontsize=9,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8},
    )  # fmt: skip


def _label_ends(axes: Axes, kind: str, epochs: np.ndarray, lines: list[Curve]) -> None:
    """Write name and last value of each curve at its end, moved apart if they would overlap."""
    ends = []
    for name, color, values in lines:
        last = np.flatnonzero(np.isfinite(values))[-1]
        x, y = epochs[last], values[last]
        height = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[1]
        ends.append((float(np.clip(height, 0.02, 0.98)), f"{name} {_last(kind, float(y))}".strip(), color))
    for place, (_, text, color) in zip(_apart([height for height, _, _ in ends]), ends, strict=True):
        axes.annotate(
            text, (1, place), xycoords="axes fraction", xytext=(5, 0), textcoords="offset points", va="center",
            color=color, fontsize=9.5, fontweight="bold", annotation_clip=False, **AS_IT_IS,
        )  # fmt: skip


def _last(kind: str, value: float) -> str:
    """Three digits, or a tenth of a per cent; what is not quite 100 % is not written as if it were."""
    if _is_share(kind):
        return ">99.9%" if 0.9995 <= value < 1 else f"{value:.1%}"
    text = f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:#.3g}".rstrip(".")
    return text.replace("-", "−") if value < 0 else text


def _apart(heights: list[float]) -> list[float]:
    """Move two heights apart to leave room for a line of text; a single one is unchanged."""
    if len(heights) < 2 or abs(heights[0] - heights[1]) >= _LABEL_GAP:
        return heights
    middle = min(max(sum(heights) / 2, _LABEL_GAP / 2), 1 - _LABEL_GAP / 2)
    up = _LABEL_GAP / 2 if heights[0] >= heights[1] else -_LABEL_GAP / 2
    return [middle + up, middle - up]
