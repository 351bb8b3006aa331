"""Loss landscapes: curves, contours with the paths of training, surfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet._extras import require

from .style import (
    AS_IT_IS,
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
    legend,
    legend_beside,
    log_ticks,
    name_axes,
    name_of,
    new_figure,
    title,
    to_host,
)

if TYPE_CHECKING:
    from xpnet.explore.landscape import Curve, Surface

_LINES = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
_PATHS = (VERMILLION, SKY, "white", PURPLE, ORANGE)  # on the dark and light greens of the contours
_SHAPES = "osD^v"
_COLORS = "viridis"
_PLAIN = ("first direction", "second direction")


def loss_curves(
    curves: Mapping[str, Curve], *, heading: str = "The loss along a line", x_label: str = "step", log: bool = False
) -> Figure:
    """The loss along one or several lines, by name, against the step.

    Raises: ``ValueError`` if there is nothing to draw; ``MissingExtraError``.
    """
    if not curves:
        raise ValueError("loss_curves: nothing to draw: expected at least one curve")
    losses = np.concatenate([np.asarray(curve.losses, dtype=np.float64) for curve in curves.values()])
    if not np.isfinite(losses).any():
        raise ValueError("loss_curves: there is no finite loss to draw")
    if log and not (losses > 0).any():
        raise ValueError("loss_curves: a logarithmic scale needs losses above 0: draw with log=False")
    figure = new_figure(8.0 if len(curves) > 1 else 6.4, 3.8, "drawing a loss landscape")
    axes = figure.subplots()
    drawn: list[tuple[Any, str]] = []
    for i, (name, curve) in enumerate(curves.items()):
        style = "-" if i < len(_LINES) else "--"
        color = _LINES[i % len(_LINES)]
        drawn.append((axes.plot(curve.steps, _finite(curve.losses), style, color=color, linewidth=2)[0], name))
    if log:
        axes.set_yscale("log")
        log_ticks(axes.yaxis)
    name_axes(axes, x_label, "loss (logarithmic)" if log else "loss")
    if len(curves) > 1:
        legend_beside(axes, drawn, fontsize=9)
    title(axes, heading)
    clean(axes)
    return figure


def loss_contours(
    surfaces: Surface | Mapping[str, Surface],
    paths: Mapping[str, Any] | None = None,
    *,
    heading: str = "The loss in a plane",
    labels: tuple[str, str] = _PLAIN,
    log: bool = True,
    top: float | None = None,
) -> Figure:
    """Lines of equal loss; several surfaces side by side, by name, with a common colour scale.

    Parameters
    ----------
    surfaces : one surface, or several by name.
    paths : positions (K, 2) of the weights in the plane, in the order of training, by name.  Each path has a dot at its
        start and its own marker at its end.
    labels : labels of the two axes.
    log : logarithmic levels show the bottom of a valley; linear levels allow comparing valleys of different depth.
    top : larger losses are clipped to this value.

    Raises: ``ValueError`` if there is nothing to draw, or a path is not (K, 2); ``MissingExtraError``.
    """
    panels = _panels("loss_contours", surfaces, heading)
    figure = new_figure(0.9 + 4.7 * len(panels), 4.6, "drawing a loss landscape")
    levels, ticks = _levels(panels, log, top)
    for axes, (name, surface) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        drawn = _contours(axes, surface, levels, ticks, log)
        ends = [
            (_path(axes, run, to_host(path), _PATHS[i % len(_PATHS)], _SHAPES[i % len(_SHAPES)]), run)
            for i, (run, path) in enumerate((paths or {}).items())
        ]
        if ends:
            look = {"framealpha": 0.75, "facecolor": "#404040", "labelcolor": "white"}
            legend(axes, ends, most=30, fontsize=8.5, loc="best", **look)
        name_axes(axes, *labels)
        axes.tick_params(colors=GREY, labelsize=9)
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_major_locator().set_params(nbins=6)
        title(axes, name)
    bar = figure.colorbar(drawn, ax=figure.axes, label="loss", pad=0.02, ticks=ticks)
    bar.ax.yaxis.set_major_formatter(_short)
    bar.ax.minorticks_off()
    return figure


def loss_surface(
    surfaces: Surface | Mapping[str, Surface],
    *,
    heading: str = "The loss over a plane",
    labels: tuple[str, str] = _PLAIN,
    log: bool = True,
    top: float | None = None,
) -> Figure:
    """The loss as a surface in three dimensions; several side by side with one scale.

    labels, log, top : as those of ``loss_contours``.

    Parameters
    ----------
    surfaces, log, top : as in ``loss_contours``.

    Raises: ``ValueError`` if there is nothing to draw; ``MissingExtraError``.
    """
    panels = _panels("loss_surface", surfaces, heading)
    figure = new_figure(0.6 + 4.7 * len(panels), 4.4, "drawing a loss landscape")
    levels, ticks = _levels(panels, log, top)
    scale = np.log10 if log else np.asarray  # matplotlib's own logarithmic axes do not work in three dimensions
    low, high = scale(levels[0]), scale(levels[-1])
    for i, (name, surface) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), i + 1, projection="3d")
        x, y = np.meshgrid(surface.xs, surface.ys)
        height = scale(_clipped(surface, levels))
        axes.plot_surface(
            x, y, height, cmap=_COLORS, vmin=low, vmax=high, linewidth=0.2, edgecolor=(1, 1, 1, 0.35),
            rcount=80, ccount=80,
        )  # fmt: skip
        axes.set_zlim(low, high)
        axes.set_zticks(scale(ticks), [_short(tick) for tick in ticks])
        axes.set_zlabel("loss", color=GREY)
        axes.set_xlabel(name_of(labels[0], 24), color=GREY, fontsize=9, **AS_IT_IS)
        axes.set_ylabel(name_of(labels[1], 24), color=GREY, fontsize=9, **AS_IT_IS)
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_major_locator().set_params(nbins=4)
        axes.tick_params(colors=GREY, labelsize=8, pad=0)
        axes.view_init(elev=32, azim=-55)
        axes.set_box_aspect((1, 1, 0.8), zoom=0.95)
        for side in (axes.xaxis, axes.yaxis, axes.zaxis):
            side.set_pane_color((1, 1, 1, 0))
            side.line.set_color(LIGHT)
        title(axes, name)
    return figure


def _panels(who: str, surfaces: Surface | Mapping[str, Surface], heading: str) -> dict[str, Surface]:
    panels = dict(surfaces) if isinstance(surfaces, Mapping) else {heading: surfaces}
    if not panels:
        raise ValueError(f"{who}: nothing to draw: expected at least one surface")
    for name, surface in panels.items():
        if surface.losses.shape != (len(surface.ys), len(surface.xs)) or min(surface.losses.shape) < 2:
            raise ValueError(
                f"{who}: {name!r} must have losses (len(ys), len(xs)), at least (2, 2), got {surface.losses.shape}"
            )
        if not np.isfinite(surface.losses).any():
            raise ValueError(f"{who}: {name!r} has no finite loss")
    return panels


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _levels(panels: Mapping[str, Surface], log: bool, top: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Levels from the smallest loss to the largest, in equal steps or ratios, and the round numbers between them.

    On a logarithmic scale levels are not below a millionth of the largest loss.
    """
    losses = np.concatenate([s.losses[np.isfinite(s.losses)] for s in panels.values()])
    low, high = float(losses.min()), float(losses.max())
    high = high if top is None else min(high, max(top, low))
    if not log:
        high = max(high, low + 1e-9 * max(1.0, abs(low)))
        return np.linspace(low, high, 25), _within(_round_numbers(high - low) * np.arange(-50, 51), low, high)
    if high <= 0:
        raise ValueError(f"a logarithmic scale needs positive losses, the largest is {high:g}: draw with log=False")
    low = min(max(low, 1e-6 * high), high / 1.001)
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    decades = decades[:: -(-len(decades) // 9)]
    return np.geomspace(low, high, 25), _within(np.outer(decades, [1, 2, 5] if high < 1000 * low else [1]), low, high)


def _round_numbers(span: float) -> float:
    """1, 2 or 5 times a power of ten, about a sixth of the span."""
    power = 10.0 ** np.floor(np.log10(span / 6))
    return float(power * [1, 2, 5, 10][int(np.searchsorted([1, 2, 5], span / 6 / power))])


def _within(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """The values in the range, or its two ends if there are fewer than two."""
    inside = np.unique(values[(values >= low) & (values <= high)])
    return inside if len(inside) > 1 else np.array([low, high])


def _clipped(surface: Surface, levels: np.ndarray) -> np.ndarray:
    """Losses clipped to the levels; a loss that overflowed becomes the largest."""
    losses = np.where(np.isfinite(surface.losses), surface.losses, levels[-1])
    clipped: np.ndarray = np.clip(losses, levels[0], levels[-1])
    return clipped


def _contours(axes: Axes, surface: Surface, levels: np.ndarray, ticks: np.ndarray, log: bool) -> Any:
    colors = require("matplotlib.colors", extra="plot", purpose="drawing a loss landscape")
    norm = (colors.LogNorm if log else colors.Normalize)(levels[0], levels[-1])
    losses = _clipped(surface, levels)
    drawn = axes.contourf(surface.xs, surface.ys, losses, levels, norm=norm, cmap=_COLORS)
    axes.contour(surface.xs, surface.ys, losses, levels[1:-1], colors="white", linewidths=0.4, alpha=0.35)
    between = ticks[(ticks > losses.min()) & (ticks < losses.max())]
    if len(between):
        lines = axes.contour(surface.xs, surface.ys, losses, between, colors="white", linewidths=0.9, alpha=0.85)
        light = norm(between) > 0.7  # the colours at the upper end are too bright for white
        axes.clabel(lines, fmt=_short, fontsize=7.5, colors=[INK if bright else "white" for bright in light])
    return drawn


def _path(axes: Axes, name: str, path: np.ndarray, color: str, shape: str) -> Any:
    """Drawn; what its end looks like."""
    if path.ndim != 2 or path.shape[1] != 2:
        raise ValueError(f"loss_contours: the path of {name!r} must have shape (K, 2), got {path.shape}")
    axes.plot(*path.T, color=INK, linewidth=3.2, zorder=3, solid_capstyle="round")
    axes.plot(*path.T, color=color, linewidth=1.7, zorder=4, marker=".", markersize=3.5)
    axes.plot(*path[0], "o", color=INK, markersize=7, markeredgecolor="white", zorder=5)
    return axes.plot(*path[-1], shape, color=color, markersize=8.5, markeredgecolor=INK, zorder=6)[0]


def _short(value: float, _: object = None) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}" if value < 1e5 else f"{value:.0e}"
