"""What is wrong with a figure as it is drawn: text on text, text outside, legends on data, axes without names."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.text import Text


def faults(figure, *, names=True):
    """Sentences, one for each fault; an empty list for a figure that can be read.

    names : whether axes without a name count as well.
    """
    figure.canvas.draw()
    found = []
    edges = figure.bbox
    texts = list(_texts(figure))
    for text, box in texts:
        said = text.get_text()
        if box.x0 < edges.x0 - 1 or box.y0 < edges.y0 - 1 or box.x1 > edges.x1 + 1 or box.y1 > edges.y1 + 1:
            found.append(f"{said!r} reaches beyond the figure")
    level = [(text.get_text(), box) for text, box in texts if text.get_rotation() in (0, 90)]
    for (one, a), (other, b) in combinations(level, 2):
        if _share(a, b) > 0.03:
            found.append(f"{one!r} and {other!r} lie on each other")
    for axes in figure.axes:
        if not axes.axison or not axes.get_visible():
            continue
        if names and not (axes.images or _named(axes)):
            found.append(f"axes {axes.get_title('left')!r} have no names")
        found += _covered(axes)
    return found


def _texts(figure):
    """Every text that is seen, with its box in pixels.  Matplotlib keeps more: ticks beyond the limits, hidden axes."""
    renderer = figure.canvas.get_renderer()
    unseen = set()
    for axes in figure.findobj(Axes):
        hidden = [] if axes.get_visible() else axes.findobj(Text)
        for axis in axes._axis_map.values():
            seen = {id(tick) for tick in axis._update_ticks()} if axes.axison else set()
            ticks = [tick for tick in (*axis.majorTicks, *axis.minorTicks) if id(tick) not in seen]
            hidden += [label for tick in ticks for label in (tick.label1, tick.label2)]
            hidden += [] if axes.axison else [axis.label, axis.offsetText]
        unseen |= {id(text) for text in hidden}
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and id(text) not in unseen:
            yield text, text.get_window_extent(renderer)


def _share(a, b):
    """Of the smaller box, how much lies in the other."""
    width = min(a.x1, b.x1) - max(a.x0, b.x0)
    height = min(a.y1, b.y1) - max(a.y0, b.y0)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / max(min(a.width * a.height, b.width * b.height), 1e-9)


def _named(axes):
    """Whether x and y are named, here or at the edge of a grid that shares them; an axis without ticks needs none."""
    group = axes.get_shared_x_axes().get_siblings(axes), axes.get_shared_y_axes().get_siblings(axes)
    x = not len(axes.get_xticks()) or any(one.get_xlabel() for one in group[0])
    y = not len(axes.get_yticks()) or any(one.get_ylabel() for one in group[1])
    return (x or any(label.get_rotation() for label in axes.get_xticklabels())) and y


def _covered(axes):
    """Legends that lie on lines or points."""
    legends = [child for child in axes.get_children() if isinstance(child, Legend)]
    points = [axes.transData.transform(_dense(line.get_xydata())) for line in axes.lines if len(line.get_xdata()) > 2]
    points += [
        c.get_offset_transform().transform(c.get_offsets()) for c in axes.collections if len(c.get_offsets()) > 1
    ]
    for legend in legends:
        box = legend.get_window_extent()
        seen = [(x, y) for part in points for x, y in part if axes.bbox.contains(x, y)]
        inside = sum(int(box.contains(x, y)) for x, y in seen)
        if inside:
            yield f"the legend of {axes.get_title('left')!r} lies on {inside} points"


def _dense(points):
    """Points between the vertices of a line as well."""
    points = np.asarray(points, dtype=float)
    shares = np.linspace(0, 1, 20)[:, None]
    return np.concatenate([a + shares * (b - a) for a, b in pairwise(points)])
