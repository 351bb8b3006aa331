"""The loss around and between solutions: curves, contours with the paths of training, surfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet._extras import require

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
    """The loss along one line or several, by name, against the step.

    Raises: ``ValueError`` where there is nothing to draw; ``MissingExtraError``.
    """
    if not curves:
        raise ValueError("loss_curves: nothing to draw: expected at least one curve")
    figure = new_figure(6.4, 3.8, "drawing a loss landscape")
    axes = figure.subplots()
    for i, (name, curve) in enumerate(curves.items()):
        style = "-" if i < len(_LINES) else "--"
        axes.plot(curve.steps, _finite(curve.losses), style, color=_LINES[i % len(_LINES)], linewidth=2, label=name)
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel(x_label, color=GREY)
    axes.set_ylabel("loss (logarithmic)" if log else "loss", color=GREY)
    if len(curves) > 1:
        axes.legend(frameon=False, fontsize=9)
    title(axes, heading)
    clean(axes)
    return figure


def loss_contours(
    surfaces: Surface | Mapping[str, Surface],
    paths: Mapping[str, Any] | None = None,
    *,
    heading: str = "The loss in a plane",
    labels: tuple[str, str] = _PLAIN,
) -> Figure:
    """Lines of equal loss, logarithmic; several surfaces side by side, by name, with one scale of colours.

    paths : by name, the places (K, 2) of the weights in the plane, in the order of training: each is drawn with a dot
    where it starts and a sign of its own where it ends.

    Raises: ``ValueError`` where there is nothing to draw, or a path is not (K, 2); ``MissingExtraError``.
    """
    panels = _panels("loss_contours", surfaces, heading)
    figure = new_figure(0.9 + 4.7 * len(panels), 4.6, "drawing a loss landscape")
    levels = _levels(panels)
    for axes, (name, surface) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        drawn = _contours(axes, surface, levels)
        for i, (run, path) in enumerate((paths or {}).items()):
            _path(axes, run, to_host(path), _PATHS[i % len(_PATHS)], _SHAPES[i % len(_SHAPES)])
        if paths:
            axes.legend(fontsize=8.5, loc="best", framealpha=0.75, facecolor="#404040", labelcolor="white")
        axes.set_xlabel(labels[0], color=GREY)
        axes.set_ylabel(labels[1], color=GREY)
        axes.tick_params(colors=GREY, labelsize=9)
        title(axes, name)
    bar = figure.colorbar(drawn, ax=figure.axes, label="loss", pad=0.02, ticks=levels[::4])
    bar.ax.yaxis.set_major_formatter(_short)
    bar.ax.minorticks_off()
    return figure


def loss_surface(surfaces: Surface | Mapping[str, Surface], *, heading: str = "The loss over a plane") -> Figure:
    """The loss as a surface in three dimensions, logarithmic in height; several side by side with one scale.

    Raises: ``ValueError`` where there is nothing to draw; ``MissingExtraError``.
    """
    panels = _panels("loss_surface", surfaces, heading)
    figure = new_figure(0.6 + 4.7 * len(panels), 4.4, "drawing a loss landscape")
    levels = _levels(panels)
    low, high = np.log10(levels[0]), np.log10(levels[-1])
    for i, (name, surface) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), i + 1, projection="3d")
        x, y = np.meshgrid(surface.xs, surface.ys)
        height = np.log10(_clipped(surface, levels))
        axes.plot_surface(
            x, y, height, cmap=_COLORS, vmin=low, vmax=high, linewidth=0.2, edgecolor=(1, 1, 1, 0.35), rcount=80, ccount=80
        )  # fmt: skip
        axes.set_zlim(low, high)
        axes.zaxis.set_major_locator(require("matplotlib.ticker", extra="plot", purpose="drawing").MaxNLocator(5))
        axes.zaxis.set_major_formatter(lambda value, _: _short(10.0**value))
        axes.set_zlabel("loss", color=GREY)
        axes.tick_params(colors=GREY, labelsize=8, pad=0)
        axes.view_init(elev=32, azim=-55)
        axes.set_box_aspect((1, 1, 0.8), zoom=0.92)
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


def _levels(panels: Mapping[str, Surface]) -> np.ndarray:
    """Levels in equal ratios from the least loss to the largest, of at most a millionth of it."""
    losses = np.concatenate([s.losses[np.isfinite(s.losses)] for s in panels.values()])
    high = max(float(losses.max()), 1e-300)
    low = max(float(losses.min()), 1e-6 * high)
    return np.geomspace(low, max(high, 1.001 * low), 25)


def _clipped(surface: Surface, levels: np.ndarray) -> np.ndarray:
    """What overflowed counts as the largest loss."""
    losses = np.where(np.isfinite(surface.losses), surface.losses, levels[-1])
    clipped: np.ndarray = np.clip(losses, levels[0], levels[-1])
    return clipped


def _contours(axes: Axes, surface: Surface, levels: np.ndarray) -> Any:
    norm = require("matplotlib.colors", extra="plot", purpose="drawing").LogNorm(levels[0], levels[-1])
    losses = _clipped(surface, levels)
    drawn = axes.contourf(surface.xs, surface.ys, losses, levels, norm=norm, cmap=_COLORS)
    lines = axes.contour(surface.xs, surface.ys, losses, levels[::2], colors="white", linewidths=0.5, alpha=0.6)
    axes.clabel(lines, lines.levels[1:-1:2], fmt=_short, fontsize=7)
    return drawn


def _path(axes: Axes, name: str, path: np.ndarray, color: str, shape: str) -> None:
    if path.ndim != 2 or path.shape[1] != 2:
        raise ValueError(f"loss_contours: the path of {name!r} must have shape (K, 2), got {path.shape}")
    axes.plot(*path.T, color=INK, linewidth=3.2, zorder=3, solid_capstyle="round")
    axes.plot(*path.T, color=color, linewidth=1.7, zorder=4, marker=".", markersize=3.5)
    axes.plot(*path[0], "o", color=INK, markersize=7, markeredgecolor="white", zorder=5)
    axes.plot(*path[-1], shape, color=color, markersize=8.5, markeredgecolor=INK, zorder=6, label=name)


def _short(value: float, _: object = None) -> str:
    return f"{value:.2g}" if value < 100 else f"{value:,.0f}" if value < 1e5 else f"{value:.0e}"
