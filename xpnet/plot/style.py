"""One look for all pictures: colours that everybody can tell apart, little ink."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xpnet._extras import require
from xpnet._files import write_atomically

# Okabe & Ito 2008, "Color universal design": distinct for all common kinds of colour vision.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, BLACK = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000",
)  # fmt: skip
GREY = "#888888"


def new_figure(width: float, height: float) -> Any:
    """A figure of its own, drawn in memory: no window, no global state.

    Raises: ``MissingExtraError`` without matplotlib.
    """
    require("matplotlib", extra="plot", purpose="drawing")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def clean(axes: Any, title: str = "", x: str = "", y: str = "") -> None:
    """Only the axes that are read, and a faint grid."""
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def save(figure: Any, path: str | Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    import io

    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    write_atomically(path, content.getvalue())
