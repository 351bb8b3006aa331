"""Forecasts with the observed values, and their errors by steps ahead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    LIGHT,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Axes,
    Figure,
    clean,
    legend_beside,
    name_axes,
    name_of,
    new_figure,
    title,
    to_host,
)

_COLORS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY)
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (2, 1.2)), (0, (6, 2, 1.5, 2)), (0, (1, 1)), (0, (8, 3)))


def forecast(
    values: Any,
    origins: Any,
    predicted: Any,
    *,
    low: Any = None,
    high: Any = None,
    band: str = "interval",
    begin: float = 0.0,
    every: float = 1.0,
    show: int | None = None,
    heading: str = "Forecasts as they were made at the time",
    unit: str = "",
    time: str = "time",
) -> Figure:
    """A series, and the forecasts made at each origin, drawn over the observed values (or beyond the end).

    Parameters
    ----------
    values : the series (T,).
    origins : for each of the K forecasts the index of its first value.
    predicted : forecasts (K, horizon), or several of them by name.
    low, high : the ends (K, horizon) of an interval around the forecasts; ``band`` is its label.
    begin, every : value i is drawn at ``begin + i * every``.
    show : draw only the last ``show`` values; by default all.

    Raises: ``ValueError`` for shapes that do not match, origins outside the series, or more than six names;
    ``MissingExtraError``.
    """
    series, starts = to_host(values).astype(float), to_host(origins)
    lines = {str(name): to_host(p) for name, p in _named(predicted).items()}
    ends = {"low": low, "high": high}
    bands = {name: to_host(array) for name, array in ends.items() if array is not None}
    _check(series, starts, lines, bands)
    figure = new_figure(9.6, 3.9, "drawing a forecast")
    axes = figure.subplots()
    first = 0 if show is None else max(0, len(series) - show)
    x = begin + every * np.arange(first, len(series))
    drawn = [(axes.plot(x, series[first:], color=INK, linewidth=1.4, zorder=3, label="observed")[0], "observed")]
    for i, (name, made) in enumerate(lines.items()):
        for k, (start, row) in enumerate(zip(starts.tolist(), made, strict=True)):
            at = begin + every * (start + np.arange(len(row)))
            (line,) = axes.plot(
                at, row, color=_COLORS[i], linestyle=_DASHES[i], linewidth=2, zorder=4, label=None if k else name
            )
            drawn += [] if k else [(line, name)]
    for k, start in enumerate(starts.tolist() if len(bands) == 2 else []):
        at = begin + every * (start + np.arange(len(bands["low"][k])))
        area = axes.fill_between(
            at, bands["low"][k], bands["high"][k], color=SKY, alpha=0.35, linewidth=0, label=None if k else band
        )
        drawn += [] if k else [(area, band)]
    for start in starts.tolist():
        axes.axvline(begin + every * (start - 0.5), color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    _finish(axes, heading, time, unit)
    legend_beside(axes, drawn, fontsize=9)
    return figure


def errors_by_step(
    errors: Mapping[str, Any], *, heading: str = "Mean absolute error by steps ahead", unit: str = ""
) -> Figure:
    """One line for each method, named at the side: its error one step ahead, two, ...  Each (horizon,), in ``unit``.

    Raises: ``ValueError`` for none, more than six, or lengths that differ; ``MissingExtraError``.
    """
    lines = {str(name): to_host(e).astype(float) for name, e in errors.items()}
    lengths = {name: e.shape for name, e in lines.items()}
    if not 1 <= len(lines) <= len(_COLORS) or len(set(lengths.values())) != 1 or len(next(iter(lengths.values()))) != 1:
        raise ValueError(f"errors_by_step: expected 1 to {len(_COLORS)} rows of one length, got {lengths}")
    figure = new_figure(8.0, 3.9, "drawing errors by step")
    axes = figure.subplots()
    drawn = []
    for i, (name, e) in enumerate(lines.items()):
        mean = np.nanmean(e) if np.isfinite(e).any() else np.nan
        label = f"{name_of(name, 30)} {mean:#.3g}".rstrip(".")
        steps = np.arange(1, 1 + len(e))
        look = {"color": _COLORS[i], "linestyle": _DASHES[i], "linewidth": 2, "marker": "o", "markersize": 3.5}
        drawn.append((axes.plot(steps, e, **look)[0], label))
    largest = max((float(e[np.isfinite(e)].max(initial=0.0)) for e in lines.values()), default=0.0)
    axes.set_ylim(0, 1.05 * largest or 1.0)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    _finish(axes, heading, "steps ahead", f"error ({unit})" if unit else "error")
    order = np.argsort([-np.nansum(e) / max(np.isfinite(e).sum(), 1) for e in lines.values()], kind="stable")
    legend_beside(
        axes, [drawn[i] for i in order], most=45, title="mean over the steps", title_fontsize=9, fontsize=9.5,
        labelcolor="linecolor",
    )  # fmt: skip
    return figure


def _finish(axes: Axes, heading: str, time: str, unit: str) -> None:
    clean(axes)
    title(axes, heading)
    name_axes(axes, time, unit or "value")
    axes.spines["left"].set_color(LIGHT)


def _named(predicted: Any) -> Mapping[str, Any]:
    return predicted if isinstance(predicted, Mapping) else {"forecast": predicted}


def _check(
    series: np.ndarray, starts: np.ndarray, lines: Mapping[str, np.ndarray], bands: Mapping[str, np.ndarray]
) -> None:
    if series.ndim != 1 or not len(series):
        raise ValueError(f"forecast: expected a series (T,), got shape {series.shape}")
    if not 1 <= len(lines) <= len(_COLORS):
        raise ValueError(f"forecast: expected 1 to {len(_COLORS)} forecasts, got {len(lines)}")
    if starts.ndim != 1 or starts.dtype.kind not in "iu" or not all(0 <= s <= len(series) for s in starts.tolist()):
        raise ValueError(f"forecast: origins must be indices in 0..{len(series)}, (K,), got {starts.tolist()}")
    shapes = {name: array.shape for name, array in {**lines, **bands}.items()}
    if len(set(shapes.values())) != 1 or next(iter(lines.values())).ndim != 2:
        raise ValueError(f"forecast: expected (K, horizon) for each, got {shapes}")
    if len(next(iter(lines.values()))) != len(starts):
        raise ValueError(f"forecast: {len(starts)} origins and forecasts of shape {next(iter(shapes.values()))}")
    if len(bands) == 1:
        raise ValueError("forecast: a band needs both low and high")
