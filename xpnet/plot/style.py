"""Shared parts of all pictures: colours, clean axes, and figures without a window."""

from __future__ import annotations

import contextlib
import io
import math
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias
from unicodedata import category

import numpy as np

from xpnet._extras import require
from xpnet._files import write_atomically
from xpnet_backends import is_array, to_numpy

Figure: TypeAlias = Any
"""A ``matplotlib.figure.Figure``."""

Axes: TypeAlias = Any
"""A ``matplotlib.axes.Axes``."""

# Colour-blind readers can distinguish these: Okabe & Ito 2008, "Color Universal Design".
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7"
INK, GREY, LIGHT = "#222222", "#6B6B6B", "#E6E6E6"
TRAIN, VALIDATION, WRONG = BLUE, VERMILLION, VERMILLION
DPI = 120
AS_IT_IS: dict[str, Any] = {"parse_math": False}  # of text from outside: "$5 to $9" is no formula
_BOX = "\N{REPLACEMENT CHARACTER}"


def new_figure(width: float, height: float, purpose: str) -> Figure:
    """An empty figure of this size in inches, drawn in memory, without a window and without pyplot's global state.

    Raises: ``MissingExtraError`` that names ``purpose``.
    """
    figures = require("matplotlib.figure", extra="plot", purpose=purpose)
    agg = require("matplotlib.backends.backend_agg", extra="plot", purpose=purpose)
    figure = figures.Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)
    agg.FigureCanvasAgg(figure)
    return figure


def clean(axes: Axes, grid: bool = True) -> None:
    """Keep only the two axes, and light grid lines at the ticks of y."""
    axes.set_facecolor("white")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=GREY, labelsize=9)
    if grid:
        axes.grid(axis="y", color=LIGHT, linewidth=0.8)
        axes.set_axisbelow(True)


def plain(text: Any) -> str:
    """Text that can be drawn whatever it holds: no halves of surrogate pairs, no control characters except new lines.

    Dollar signs stay: what draws it also takes ``**AS_IT_IS``, so that they begin no formula.
    """
    return "".join(_BOX if c != "\n" and category(c) in ("Cc", "Cs") else c for c in str(text))


def name_of(text: Any, most: int = 60) -> str:
    r"""A name on one line, cut short where it is long.

    >>> name_of("a name\nof two lines", 12)
    'a name of t…'
    """
    line = plain(text).replace("\n", " ")
    return line if len(line) <= most else line[: max(most - 1, 1)] + "…"


def names_of(texts: Iterable[Any], most: int = 60) -> list[str]:
    """Names on one line each."""
    return [name_of(text, most) for text in texts]


def title(axes: Axes, text: Any, taken: float = 0.0) -> None:
    """A title above the left end, where reading begins; smaller, and at last cut, where it has too little room.

    taken : inches beside the axes that something else needs.
    """
    shown = axes.set_title(plain(text), loc="left", fontsize=11, color=INK, fontweight="bold", **AS_IT_IS)
    spec = axes.get_subplotspec()
    room = axes.figure.bbox.width / axes.figure.dpi
    if spec is not None:
        grid = spec.get_gridspec()
        shares = grid.get_width_ratios()
        room *= sum(shares[spec.colspan.start : spec.colspan.stop]) / sum(shares)
    fit(shown, room - taken - (0.65 if spec is not None and grid.ncols > 1 else 0.9))


def name_axes(axes: Axes, x: Any, y: Any) -> None:
    """What the two axes show, with units, within the figure."""
    bounds = axes.figure.bbox.width, axes.figure.bbox.height
    x_label = axes.set_xlabel(plain(x), color=GREY, **AS_IT_IS)
    y_label = axes.set_ylabel(plain(y), color=GREY, **AS_IT_IS)
    for label, size in zip((x_label, y_label), bounds, strict=True):
        fit(label, 0.65 * size / axes.figure.dpi)


def fit(text: Any, inches: float, least: float = 7.0) -> None:
    """Make a text smaller, down to ``least`` points, and then cut it, until it is at most so long."""
    with without_glyph_warnings():
        box = text.get_window_extent(text.figure.canvas.get_renderer())
    length = max(box.width, box.height) / text.figure.dpi
    if length <= inches:
        return
    size = max(least, text.get_fontsize() * inches / length)
    length *= size / text.get_fontsize()
    text.set_fontsize(size)
    if length > inches * 1.02:
        text.set_text(name_of(text.get_text(), int(0.95 * len(text.get_text()) * inches / length)))


def legend(axes: Axes, entries: Iterable[tuple[Any, Any]], *, most: int = 60, **options: Any) -> None:
    """A legend of what was drawn and its names, also of names that begin with ``_``, which matplotlib leaves out.

    most : characters of a name; the others are cut.
    """
    drawn, names = zip(*entries, strict=True)
    made = axes.legend(list(drawn), [str(i) for i in range(len(drawn))], **options)
    for text, name in zip(made.get_texts(), names, strict=True):
        text.set(text=name_of(name, most), **AS_IT_IS)


def legend_beside(axes: Axes, entries: Iterable[tuple[Any, Any]], *, most: int = 36, **options: Any) -> None:
    """A legend at the right of the axes, where it covers no data."""
    legend(axes, entries, most=most, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), **options)


def log_ticks(axis: Any) -> None:
    """Few round numbers on a logarithmic axis, written plainly where they are of everyday size.

    Powers of ten; 1, 2 and 5 times them, or finer ones, where fewer than three powers lie within the limits.
    """
    low, high = sorted(axis.get_view_interval())
    powers = 10.0 ** np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)):
        ticks = np.outer(powers, steps).ravel()
        ticks = ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]
        if len(ticks) >= 3:
            break
    else:
        ticks = np.array([float(f"{tick:.4g}") for tick in np.linspace(low, high, 5)[1::2]])
    ticks = ticks[:: -(-len(ticks) // 8)]
    everyday = ticks[0] >= 1e-4 and ticks[-1] <= 1e5
    axis.set_ticks(ticks, [f"{tick:.6g}" if everyday else _power(tick) for tick in ticks.tolist()])
    axis.set_tick_params(which="minor", length=0)
    axis.set_minor_formatter("")


def _power(value: float) -> str:
    """As a power of ten, times a factor where it is none."""
    exponent = math.floor(math.log10(value) + 1e-9)
    factor = value / 10.0**exponent
    return rf"$10^{{{exponent}}}$" if abs(factor - 1) < 1e-6 else rf"${factor:.2g}\times10^{{{exponent}}}$"


def to_host(values: Any) -> np.ndarray:
    """A list, a tensor, or an array of any backend as a NumPy array."""
    if hasattr(values, "requires_grad"):
        values = values.data
    return to_numpy(values) if is_array(values) else np.asarray(values)


@contextlib.contextmanager
def without_glyph_warnings() -> Iterator[None]:
    """Suppress the warning for characters that no font has, because names may be in any script."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support", UserWarning)  # ... of some scripts
        yield


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, atomically; the same figure always gives the same bytes.

    Raises: ``ValueError`` for a name that does not end in .png; ``OSError`` if the file cannot be written.
    """
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"pictures are saved as PNG: {os.fspath(path)!r} must end in .png")
    content = io.BytesIO()
    with without_glyph_warnings():
        figure.savefig(content, format="png", dpi=figure.dpi, metadata={"Software": None})
    write_atomically(path, content.getvalue())
