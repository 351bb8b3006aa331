"""Resize images or any tensor, axis by axis: ONNX's Resize and Upsample."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

import numpy as np

from xpnet.interchange.onnx.messages import OnnxError
from xpnet.interchange.onnx.reader_call import Call, axis_of, check_size, numbers, on_device, to_host
from xpnet.tensor import Tensor, where

_Array = np.ndarray[Any, Any]


def resize(call: Call, x: Tensor, roi: Any = None, scales: Any = None, sizes: Any = None) -> Tensor:
    """Resize by factors or to lengths.  Version 10 has the factors as the second input."""
    old = call.version < 11
    factors, lengths = _given(roi if old else scales), _given(sizes)
    if (factors is None) == (lengths is None):
        raise OnnxError("Resize needs either scales or sizes")
    if call.get("antialias", int, 0) or call.get("exclude_outside", int, 0):
        raise OnnxError("Resize with antialias or exclude_outside is not supported")
    if (policy := call.get("keep_aspect_ratio_policy", str, "stretch")) != "stretch":
        raise OnnxError(f"Resize with keep_aspect_ratio_policy={policy!r} is not supported")
    places = call.get("coordinate_transformation_mode", str, "asymmetric" if old else "half_pixel")
    rounding = call.get("nearest_mode", str, "simple" if old else "round_prefer_floor")
    axes = [axis_of(a, x.ndim) for a in call.get("axes", list, list(range(x.ndim)))]
    return _resized(call, x, axes, factors, lengths, places, rounding)


def upsample(call: Call, x: Tensor, scales: Any = None) -> Tensor:
    """The predecessor of Resize."""
    factors = np.array(call.get("scales", list, []), np.float32) if scales is None else to_host(scales)
    return _resized(call, x, list(range(x.ndim)), factors, None, "asymmetric", "simple")


def _given(values: Any) -> _Array | None:
    """None if the input is absent or empty."""
    return None if values is None or to_host(values).size == 0 else to_host(values)


def _resized(
    call: Call, x: Tensor, axes: list[int], factors: _Array | None, lengths: _Array | None, places: str, rounding: str
) -> Tensor:
    mode = call.get("mode", str, "nearest")
    if mode not in ("nearest", "linear", "cubic"):
        raise OnnxError(f"Resize with mode={mode!r}, supported are nearest, linear and cubic")
    before = [x.shape[a] for a in axes]
    given: Any = lengths if factors is None else factors
    if given.size != len(axes) or given.ndim != 1 or not np.isfinite(given).all() or (given < 0).any():
        raise OnnxError(f"Resize by {given.tolist()} of {len(axes)} axes")
    if factors is None:
        now = numbers(given)
        if (
            call.batch and axes[0] == 0 and (now[0], before[0]) == call.batch
        ):  # the file was written for another batch size
            now[0] = before[0]
        scale = np.array(now, np.float32) / np.maximum(before, 1).astype(np.float32)
    else:
        scale = np.asarray(factors, np.float32)
        now = [int(n) for n in np.floor(scale * np.array(before, np.float32))]
    check_size("Resize", [now[axes.index(a)] if a in axes else n for a, n in enumerate(x.shape)])
    if min([*now, *before], default=1) < 1:
        raise OnnxError(f"Resize from {before} to {now}")
    for axis, n, size, s in zip(axes, before, now, scale, strict=True):
        if n == size and s == 1:
            continue
        at = _places(places, n, size, s)
        x = _picked(x, axis, at, _own_rounding(rounding, s)) if mode == "nearest" else _mixed(call, x, axis, at, mode)
    return x


def _places(how: str, n: int, size: int, scale: np.float32) -> _Array:
    """The input coordinate of each output element, in float32 because rounding decides what is nearest."""
    p, half = np.arange(size, dtype=np.float32), np.float32(0.5)
    if how == "asymmetric":
        return p / scale
    if how == "align_corners":
        return p * np.float32((n - 1) / (size - 1)) if size > 1 else p * 0
    if how == "half_pixel" or (how == "pytorch_half_pixel" and size > 1):
        return (p + half) / scale - half
    if how == "pytorch_half_pixel":
        return p * 0
    if how == "half_pixel_symmetric":
        centre = np.float32(n / 2 * (1 - size / (float(scale) * n)))
        return centre + (p + half) / scale - half
    raise OnnxError(f"Resize with coordinate_transformation_mode={how!r} is not supported")


def _own_rounding(rounding: str, scale: np.float32) -> str:
    """Before version 11, as in onnxruntime: round down if the axis grows, and up if it shrinks."""
    return rounding if rounding != "simple" else "floor" if scale >= 1 else "ceil"


def _picked(x: Tensor, axis: int, at: _Array, rounding: str) -> Tensor:
    """The nearest element."""
    if rounding not in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
        raise OnnxError(f"Resize with nearest_mode={rounding!r} is not supported")
    up = np.ceil if rounding in ("round_prefer_floor", "ceil") else np.floor
    shift = {"round_prefer_floor": -0.5, "round_prefer_ceil": 0.5}.get(rounding, 0.0)
    index = np.clip(up(at + np.float32(shift)), 0, x.shape[axis] - 1).astype(np.int64)
    return x[(*[slice(None)] * axis, x.backend.asarray(index))]


def _mixed(call: Call, x: Tensor, axis: int, at: _Array, mode: str) -> Tensor:
    """The weighted sum of two or four neighbours along an axis.  The edge elements are repeated beyond the ends.

    This is not a product with a matrix of the weights, because its zeros would spread NaN and infinity over the axis.
    """
    n, size = x.shape[axis], len(at)
    low = np.floor(at)
    t = (at - low).astype(np.float64)
    if mode == "linear":
        taps = {0: 1.0 - t, 1: t}
    else:
        a = call.get("cubic_coeff_a", float, -0.75)
        taps = {i: _cubic(np.abs(t - i), a) for i in (-1, 0, 1, 2)}
    shape = (size, *[1] * (x.ndim - 1 - axis))
    parts = []
    for i, weight in taps.items():
        index = np.clip(low + i, 0, n - 1).astype(np.int64)
        near = x[(*[slice(None)] * axis, x.backend.asarray(index))]
        if not weight.all():
            near = where(x.backend.asarray((weight == 0).reshape(shape)), 0.0, near)
        parts.append(near * on_device(weight.reshape(shape), x))
    return reduce(add, parts)


def _cubic(d: _Array, a: float) -> _Array:
    """The cubic weight of an element at distance d (Keys 1981, doi:10.1109/TASSP.1981.1163711, eq. 4)."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, far)
