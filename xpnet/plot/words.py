"""Texts with each word shaded by its contribution to a prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .style import (
    AS_IT_IS,
    BLUE,
    GREY,
    INK,
    VERMILLION,
    Figure,
    fit,
    name_of,
    new_figure,
    plain,
    to_host,
    without_glyph_warnings,
)

_WIDTH, _LINE, _GAP, _MARGIN = 8.4, 0.27, 0.2, 0.2  # inches: of the figure, of a line, between texts, around
_MOST = 40  # texts
_LONG = 40  # characters: a longer word may need more than a line


def words(
    texts: Sequence[Sequence[str]],
    weights: Sequence[Any],
    captions: Sequence[str] | None = None,
    *,
    heading: str = "blue words speak for it, orange ones against",
) -> Figure:
    """Texts with each word shaded by its contribution: blue if positive, orange if negative.

    Parameters
    ----------
    texts : up to 40 lists of words.
    weights : one number for each word of each text; the largest of a text has the full shade.
    captions : a line above each text.

    Raises: ``ValueError`` if the numbers of texts, words and weights differ, or weights are not finite;
    ``MissingExtraError``.
    """
    rows = [to_host(w).astype(float) for w in weights]
    titles = [""] * len(texts) if captions is None else [str(c) for c in captions]
    if not len(texts) == len(rows) == len(titles) or not 1 <= len(texts) <= _MOST:
        counts = f"{len(texts)} texts, {len(rows)} rows of weights, {len(titles)} captions"
        raise ValueError(f"words: expected equally many, 1 to {_MOST}, got {counts}")
    for text, row in zip(texts, rows, strict=True):
        if row.shape != (len(text),) or not len(text) or not np.isfinite(row).all():
            raise ValueError(f"words: {len(text)} words need as many finite weights, got shape {row.shape}")
    ruler = new_figure(_WIDTH, 1.0, "drawing words")
    placed = [_lay_out(ruler, text) for text in texts]
    lines = sum(1 + line[-1][1] + (caption != "") for line, caption in zip(placed, titles, strict=True))
    height = 2 * _MARGIN + _LINE * (lines + 1.3) + _GAP * len(texts)
    figure = new_figure(_WIDTH, height, "drawing words")
    room = _WIDTH - 2 * _MARGIN
    bold = {"va": "top", "fontsize": 11, "color": INK, "fontweight": "bold", **AS_IT_IS}
    fit(figure.text(_MARGIN / _WIDTH, 1 - _MARGIN / height, plain(heading), **bold), room)
    y = height - _MARGIN - 1.3 * _LINE
    for text, row, places, caption in zip(texts, rows, placed, titles, strict=True):
        y -= _GAP
        if caption:
            small = {"va": "top", "fontsize": 9, "color": GREY, **AS_IT_IS}
            fit(figure.text(_MARGIN / _WIDTH, y / height, plain(caption), **small), room)
            y -= _LINE
        shares = row / max(float(np.abs(row).max()), 1e-12)
        for word, share, (x, line) in zip(text, shares.tolist(), places, strict=True):
            shown = figure.text(
                x / _WIDTH, (y - line * _LINE) / height, name_of(word), va="top", fontsize=10, color=INK,
                bbox={"facecolor": _shade(share), "edgecolor": "none", "pad": 1.5}, **AS_IT_IS,
            )  # fmt: skip
            if len(word) > _LONG:
                fit(shown, room)
        y -= (1 + places[-1][1]) * _LINE
    return figure


def _lay_out(ruler: Figure, text: Sequence[str]) -> list[tuple[float, int]]:
    """The start of each word in inches, and its line."""
    places, x, line = [], _MARGIN, 0
    renderer = ruler.canvas.get_renderer()
    for word in text:
        shown = ruler.text(0, 0, name_of(word), fontsize=10, **AS_IT_IS)
        with without_glyph_warnings():
            width = shown.get_window_extent(renderer).width / ruler.dpi
        shown.remove()
        if x > _MARGIN and x + width > _WIDTH - _MARGIN:
            x, line = _MARGIN, line + 1
        places.append((x, line))
        x += width + 0.08
    return places


def _shade(share: float) -> tuple[float, float, float]:
    """White for 0, light blue for 1, light orange for −1, so that black text stays readable."""
    full = BLUE if share > 0 else VERMILLION
    strength = 0.6 * math.sqrt(abs(share)) if abs(share) > 0.05 else 0.0
    red, green, blue = (1 - strength * (1 - int(full[i : i + 2], 16) / 255) for i in (1, 3, 5))
    return red, green, blue
