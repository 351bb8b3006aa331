"""Results of a search for good settings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .style import (
    AS_IT_IS,
    BLUE,
    GREY,
    INK,
    LIGHT,
    VERMILLION,
    Axes,
    Figure,
    clean,
    log_ticks,
    names_of,
    new_figure,
    plain,
    title,
)

if TYPE_CHECKING:
    from xpnet.explore.tune import Results, Trial

_COLUMNS = 3
_SMALL_BUDGET, _LARGE_BUDGET = "#A9D3EC", BLUE  # larger budgets are darker


def tuning(results: Results, *, score: str = "score") -> Figure:
    """The score against each setting, one panel for each; the best trial in orange, failures as crosses at the edge.

    Trials with a larger budget are darker.  In the panel of a setting that matters, the score has a trend.

    Raises: ``ValueError`` if no trial succeeded; ``MissingExtraError``.
    """
    best = results.best
    names = list(results.space)
    columns = min(_COLUMNS, len(names))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(0.6 + 2.9 * columns, 0.5 + 2.5 * rows, "drawing a search")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for i, axes in enumerate(panels.ravel()):
        if i >= len(names):
            axes.set_visible(False)
            continue
        _panel(axes, results, names[i], best)
        if i % columns == 0:
            axes.set_ylabel(plain(score), color=GREY, **AS_IT_IS)
    budgets = sorted({t.budget for t in results.trials if t.budget is not None})
    figure.suptitle(_caption(results, budgets), x=0.01, ha="left", fontsize=9.5, color=GREY)
    return figure


def _caption(results: Results, budgets: list[int]) -> str:
    text = f"{len(results)} trials, the best in orange"
    if budgets:
        text += f"; darker: larger budget ({', '.join(map(str, budgets))})"
    return text + (f"; {len(results.failed)} failed (x)" if results.failed else "")


def _panel(axes: Axes, results: Results, name: str, best: Trial) -> None:
    dimension = results.space[name]
    fine = [t for t in results.trials if t.score is not None]
    scores = np.array([t.score for t in fine], dtype=float)
    low, high = _limits(scores, results.maximize)
    x = _places(dimension, name, fine)
    colors = _colors(fine)
    # outliers are drawn at the edge, so that they do not compress the rest
    axes.scatter(x, np.clip(scores, low, high), s=28, c=colors, edgecolors="white", linewidths=0.5, zorder=2)
    chosen = _places(dimension, name, [t for t in fine if t is best])
    axes.scatter(chosen, [best.score], s=70, color=VERMILLION, edgecolors="white", linewidths=0.8, zorder=4)
    bad = _places(dimension, name, results.failed)
    edge = low if results.maximize else high
    axes.scatter(bad, [edge] * len(bad), marker="x", s=28, color=GREY, linewidths=1.2, zorder=3)
    _set_y(axes, low, high)
    clean(axes)
    title(axes, name)
    _set_x(axes, dimension)


def _limits(scores: np.ndarray, maximize: bool) -> tuple[float, float]:
    """From the best score to the worst, but at most six times the distance from the best to the median."""
    low, high = float(scores.min()), float(scores.max())
    if low > 0 and not maximize:  # a logarithmic axis has room for all
        return (low, high) if high > low else (low * 0.9, low * 1.1)
    middle = float(np.median(scores))
    if maximize:
        low = max(low, high - 6 * (high - middle)) if high > middle else low
    else:
        high = min(high, low + 6 * (middle - low)) if middle > low else high
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _set_y(axes: Axes, low: float, high: float) -> None:
    """Use a logarithmic axis if scores differ by factors, because small differences among the best matter."""
    if low > 0 and high > 8 * low:
        room = (high / low) ** 0.08
        axes.set_yscale("log")
        axes.set_ylim(low / room, high * room)
        log_ticks(axes.yaxis)
    else:
        pad = 0.08 * (high - low)
        axes.set_ylim(low - pad, high + pad)


def _places(dimension: Any, name: str, trials: list[Trial]) -> list[float]:
    """Positions of a setting on its axis; options are side by side, and their trials are spread a little."""
    values = [t.settings[name] for t in trials]
    aside = [0.32 * ((0.618 * t.number) % 1 - 0.5) for t in trials]
    if dimension.scale == "choice":
        return [dimension.options.index(v) + a for v, a in zip(values, aside, strict=True)]
    if _few_integers(dimension):
        return [v + a for v, a in zip(values, aside, strict=True)]
    return [float(v) for v in values]


def _few_integers(dimension: Any) -> bool:
    whole = hasattr(dimension, "log") and dimension.scale == "linear"
    return whole and bool(dimension.high - dimension.low < 8)


def _colors(trials: list[Trial]) -> list[Any]:
    budgets = sorted({t.budget or 0 for t in trials})
    if len(budgets) == 1:
        return [BLUE] * len(trials)
    first, last = (np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) / 255 for c in (_SMALL_BUDGET, _LARGE_BUDGET))
    shares = {b: i / (len(budgets) - 1) for i, b in enumerate(budgets)}
    return [tuple(first + shares[t.budget or 0] * (last - first)) for t in trials]


def _set_x(axes: Axes, dimension: Any) -> None:
    if dimension.scale == "choice":
        names = names_of(dimension.options, 16)
        aslant = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if sum(map(len, names)) > 24 else {}
        axes.set_xticks(range(len(names)), names, **aslant, **AS_IT_IS)
        axes.set_xlim(-0.5, len(dimension.options) - 0.5)
    elif dimension.scale == "log":
        axes.set_xscale("log")
        room = (dimension.high / dimension.low) ** 0.05
        axes.set_xlim(dimension.low / room, dimension.high * room)
        _few_ticks(axes, dimension)
    else:
        room = 0.3 if _few_integers(dimension) else 0.05 * (dimension.high - dimension.low)
        axes.set_xlim(dimension.low - room, dimension.high + room)
        if hasattr(dimension, "log"):  # whole numbers
            axes.xaxis.get_major_locator().set_params(integer=True)


def _few_ticks(axes: Axes, dimension: Any) -> None:
    """Ticks at powers of ten if there are at least three, else at the two ends and the middle."""
    low, high = dimension.low, dimension.high
    powers = [10.0**k for k in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)]
    powers = powers[:: -(-len(powers) // 5) or 1]
    ticks = powers if len(powers) >= 3 else [low, math.sqrt(low * high), high]
    axes.set_xticks(ticks, [f"{tick:.2g}" if tick < 10 or tick >= 1e5 else f"{tick:.0f}" for tick in ticks])
    axes.minorticks_off()


def tuning_table(results: Results, count: int = 10) -> Figure:
    """The ``count`` best trials as a table.  Raises: ``ValueError`` if there is none; ``MissingExtraError``."""
    rows = results.rows(count)
    if len(rows) < 2:
        raise ValueError("there are no trials to show")
    widths = np.array([max(len(row[i]) for row in rows) + 2 for i in range(len(rows[0]))], dtype=float)
    width, height = max(4.0, 0.085 * float(widths.sum()) + 0.3), 0.4 + 0.27 * len(rows)
    figure = new_figure(width, height, "drawing a table of trials")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_xlim(0, widths.sum())
    axes.set_ylim(len(rows) - 0.5, -0.5)
    ends = np.cumsum(widths)
    for y, row in enumerate(rows):
        for x, text in zip(ends, row, strict=True):
            color = GREY if y == 0 else VERMILLION if y == 1 else INK
            weight = "bold" if y <= 1 else "normal"
            look = {"fontsize": 9, "color": color, "fontweight": weight, **AS_IT_IS}
            axes.text(x - 0.5, y, plain(text), ha="right", va="center", **look)
        axes.axhline(y + 0.5, color=GREY if y == 0 else LIGHT, linewidth=0.8)
    return figure
