"""Animations."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xpnet._extras import require
from xpnet._files import write_atomically

from .style import Figure, without_glyph_warnings

_SAMPLES = 8  # frames from which the common palette is computed


def save_gif(
    figures: Iterable[Figure],
    path: str | os.PathLike[str],
    *,
    seconds: float = 0.2,
    hold: float = 1.5,
    colors: int = 48,
) -> None:
    """Write figures as the frames of a repeating GIF.

    The file is written atomically, and the same figures give the same bytes.  Figures may come from a generator, so
    that only one is in memory at a time.

    Parameters
    ----------
    seconds, hold : how long a frame is shown, and the last one.
    colors : size of the palette that all frames share.  Few colours and no dithering keep the file small, because a
        frame then stores only what changed.

    Raises: ``ValueError`` for no figures, figures of different sizes, or a name that does not end in .gif;
    ``MissingExtraError``.
    """
    if Path(path).suffix.lower() != ".gif":
        raise ValueError(f"animations are saved as GIF: {os.fspath(path)!r} must end in .gif")
    if not (2 <= colors <= 256 and seconds > 0 and hold > 0):
        raise ValueError(f"save_gif: colors in 2..256 and positive times, got {colors=}, {seconds=}, {hold=}")
    image = require("PIL.Image", extra="plot", purpose="saving an animation")
    frames = [image.fromarray(_pixels(figure)) for figure in figures]
    sizes = sorted({frame.size for frame in frames})
    if len(sizes) != 1:
        raise ValueError(f"save_gif: all figures must have one size, got {sizes}" if sizes else "save_gif: no figures")
    palette = _palette(image, frames, colors)
    reduced = [frame.quantize(palette=palette, dither=image.Dither.NONE) for frame in frames]
    shown = [round(1000 * seconds)] * (len(frames) - 1) + [round(1000 * hold)]
    content = io.BytesIO()
    reduced[0].save(
        content, format="GIF", save_all=True, append_images=reduced[1:], duration=shown, loop=0, optimize=False
    )
    write_atomically(path, content.getvalue())


def _pixels(figure: Figure) -> np.ndarray:
    """(H, W, 3) uint8."""
    with without_glyph_warnings():
        figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())[..., :3]


def _palette(image: Any, frames: Sequence[Any], colors: int) -> Any:
    """An image with a palette for the whole animation.  An octree keeps the colours of small marks."""
    chosen = [frames[i] for i in sorted({round(i) for i in np.linspace(0, len(frames) - 1, _SAMPLES)})]
    sheet = image.fromarray(np.concatenate([np.asarray(frame) for frame in chosen]))
    return sheet.quantize(colors=colors, method=image.Quantize.FASTOCTREE, dither=image.Dither.NONE)
