"""Padding and resizing of images."""

from __future__ import annotations

import math
from collections.abc import Sequence

from xpnet import ops
from xpnet.nn.functional.checks import floating
from xpnet.nn.functional.sizes import Size, images, pair
from xpnet.ops.resample import linear_matrix, nearest_matrix
from xpnet.tensor import Tensor, TensorLike, apply


def pad(x: TensorLike, padding: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """Add a border around the last axes.

    Parameters
    ----------
    x : the input.
    padding : widths, starting from the last axis: (left, right, top, bottom, ...).
    mode : "constant", "reflect", "replicate" or "circular".
    value : the value of a constant border.

    >>> from xpnet import tensor
    >>> pad(tensor([1.0, 2.0]), (1, 2))
    tensor([0., 1., 2., 0., 0.])
    """
    t = floating("pad", x)
    numbers = list(padding)
    if len(numbers) % 2 or len(numbers) > 2 * t.ndim or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise ValueError(f"pad: padding must be pairs of whole numbers >= 0, at most one per axis, got {padding!r}")
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise ValueError(f"pad: mode must be 'constant', 'reflect', 'replicate' or 'circular', got {mode!r}")
    pairs = [(numbers[i], numbers[i + 1]) for i in range(0, len(numbers), 2)][::-1]
    widths = ((0, 0),) * (t.ndim - len(pairs)) + tuple(pairs)
    limits = {"reflect": -1, "circular": 0}
    for (low, high), length in zip(widths, t.shape, strict=True):
        if mode in limits and max(low, high) > length + limits[mode]:
            raise ValueError(f"pad: a {mode} border of {max(low, high)} needs a longer axis than {length}")
        if mode == "replicate" and not length and low + high:
            raise ValueError("pad: a replicate border needs an axis that is not empty")
    return apply(ops.pad, t, widths=widths, mode=mode, value=value)


def interpolate(
    x: TensorLike,
    size: Size | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool = False,
) -> Tensor:
    """Resize images.  x (N, C, H, W) -> y (N, C, P, Q).

    "nearest" selects row ``⌊p H/P⌋``; "bilinear" interpolates between the two rows around ``(p + ½) H/P − ½``, and
    likewise for columns.

    Parameters
    ----------
    x : the images.
    size : (P, Q), or one number.
    scale_factor : an alternative to ``size``; then H/P is 1/``scale_factor``.
    mode : "nearest" or "bilinear".
    align_corners : interpolate around ``p (H − 1)/(P − 1)``.
    """
    t, alone = images("interpolate", x)
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: give either size or scale_factor")
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"interpolate: mode must be 'nearest' or 'bilinear', got {mode!r}")
    if 0 in t.shape[2:]:
        raise ValueError(f"interpolate: images of shape {t.shape[2:]} have no pixels to interpolate")
    if scale_factor is not None:
        both = (scale_factor,) * 2 if isinstance(scale_factor, (int, float)) else tuple(scale_factor)
        if len(both) != 2 or not all(0 < f < math.inf for f in both):
            raise ValueError(f"interpolate: scale_factor must be one or two numbers above 0, got {scale_factor!r}")
        wanted = pair("interpolate: size", [int(n * f) for n, f in zip(t.shape[2:], both, strict=True)], 1)
        ratios = [1.0 / f for f in both]
    else:
        assert size is not None
        wanted = pair("interpolate: size", size, 1)
        ratios = [t.shape[i + 2] / wanted[i] for i in (0, 1)]
    xp = t.backend.xp
    if mode == "nearest":
        rows, columns = (nearest_matrix(xp, t.shape[i + 2], wanted[i], t.dtype, ratio=ratios[i]) for i in (0, 1))
    else:
        rows, columns = (
            linear_matrix(xp, t.shape[i + 2], wanted[i], t.dtype, ratio=ratios[i], align_corners=align_corners)
            for i in (0, 1)
        )
    y = apply(ops.separable2d, t, rows=rows, columns=columns)
    return y.squeeze(0) if alone else y
