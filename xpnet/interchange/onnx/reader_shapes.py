"""ONNX's ops on shapes, indices and whole axes: they move, select, repeat or sum elements."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from xpnet import ops
from xpnet.interchange.onnx.messages import OnnxError
from xpnet.interchange.onnx.reader_call import (
    MAX_WINDOW,
    Call,
    axis_of,
    check_size,
    like_input,
    numbers,
    on_device,
    raw,
    to_host,
    together,
)
from xpnet.tensor import Tensor, apply, concatenate
from xpnet.tensor import where as where_of


def where(call: Call, condition: Any, a: Any, b: Any) -> Any:
    condition, a, b = together(condition, a, b)
    if not isinstance(condition, Tensor):
        return np.where(condition, a, b)
    return where_of(condition, a, b)


def reshape(call: Call, x: Any, shape: Any) -> Any:
    """0 keeps a length, and -1 is inferred.

    A file written for one batch size contains it in such shapes.  If the actual batch size differs and is the first
    length of x, it replaces the one in the file.
    """
    wanted = numbers(shape)
    if not call.get("allowzero", int, 0):
        if any(n == 0 and i >= x.ndim for i, n in enumerate(wanted)):
            raise OnnxError(f"shape {wanted} keeps a length that {tuple(x.shape)} does not have")
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    if call.batch and wanted and x.ndim and (wanted[0], x.shape[0]) == call.batch:
        wanted[0] = x.shape[0]
    return x.reshape(tuple(wanted))


def flatten(call: Call, x: Any) -> Any:
    axis = axis_of(call.get("axis", int, 1), x.ndim, after=True)
    return x.reshape((math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def concat(call: Call, x: Any, *rest: Any) -> Any:
    parts, axis = (x, *rest), axis_of(call.get("axis", int, 1), x.ndim)
    if not any(isinstance(part, Tensor) for part in parts):
        return np.concatenate(parts, axis=axis)
    like = next(part for part in parts if isinstance(part, Tensor))
    return concatenate([p if isinstance(p, Tensor) else on_device(p, like) for p in parts], axis=axis)


def transpose(call: Call, x: Any) -> Any:
    axes = call.get("perm", list, list(range(x.ndim))[::-1])
    if sorted(axes) != list(range(x.ndim)):
        raise OnnxError(f"perm={axes} is not an order of {x.ndim} axes")
    return x.transpose(tuple(axes))


def _axes(call: Call, axes: Any, since: int) -> list[int] | None:
    """The axes: an attribute before version ``since``, an input from then on."""
    if axes is not None:
        return numbers(axes)
    return None if call.version >= since and "axes" not in call.options else call.get("axes", list, None)


def squeeze(call: Call, x: Any, axes: Any = None) -> Any:
    found = _axes(call, axes, 13)
    drop = {axis_of(a, x.ndim) for a in found} if found is not None else {i for i, n in enumerate(x.shape) if n == 1}
    if any(x.shape[i] != 1 for i in drop):
        raise OnnxError(f"Squeeze of axes {sorted(drop)} of a tensor of shape {tuple(x.shape)}")
    return x.reshape(tuple(n for i, n in enumerate(x.shape) if i not in drop))


def unsqueeze(call: Call, x: Any, axes: Any = None) -> Any:
    found = _axes(call, axes, 13)
    if not found:
        raise OnnxError("Unsqueeze without axes")
    shape, total = list(x.shape), x.ndim + len(found)
    for place in sorted(axis_of(a, total) for a in found):
        shape.insert(place, 1)
    return x.reshape(tuple(shape))


def reduced(function: Callable[..., Any], since: int = 18) -> Callable[..., Any]:
    """``function(x, axis=..., keepdims=...)``; the axes are an input from version ``since`` on."""

    def run(call: Call, x: Any, axes: Any = None) -> Any:
        found = _axes(call, axes, since)
        if not found and call.get("noop_with_empty_axes", int, 0):
            return x
        axis = tuple(axis_of(a, x.ndim) for a in found) if found else None
        return function(x, axis=axis, keepdims=bool(call.get("keepdims", int, 1)))

    return run


def by_method(name: str) -> Callable[..., Any]:
    return lambda x, **options: getattr(x, name)(**options)


def product(x: Any, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
    """The product along axes: in one call on the host, slice by slice for tensors."""
    if not isinstance(x, Tensor):
        return np.asarray(x.prod(axis=axis, keepdims=keepdims))
    axes = range(x.ndim) if axis is None else axis
    for a in axes:
        x = functools.reduce(operator.mul, (x[(*[slice(None)] * a, slice(i, i + 1))] for i in range(x.shape[a])))
    return x if keepdims else x.reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes))


def log_sum_exp(x: Tensor, **options: Any) -> Tensor:
    return apply(ops.logsumexp, x, **options)


def best(name: str) -> Callable[..., Any]:
    """The index of the largest or smallest element."""

    def run(call: Call, x: Any) -> Any:
        axis = axis_of(call.get("axis", int, 0), x.ndim)
        if call.get("select_last_index", int, 0):
            raise OnnxError("select_last_index is not supported")
        found = getattr(raw(x), name)(axis=axis)
        kept = (*x.shape[:axis], 1, *x.shape[axis + 1 :]) if call.get("keepdims", int, 1) else found.shape
        return like_input(x, found.reshape(kept))

    return run


def shape(call: Call, x: Any) -> Any:
    return np.array(x.shape, np.int64)[call.get("start", int, 0) : call.get("end", int, None)]


def size(call: Call, x: Any) -> Any:
    return np.array(math.prod(x.shape), np.int64)


def gather(call: Call, x: Any, indices: Any) -> Any:
    axis = axis_of(call.get("axis", int, 0), x.ndim)
    index = (slice(None),) * axis
    if isinstance(x, Tensor):
        if not isinstance(indices, Tensor):
            length = x.shape[axis]
            if indices.size and not (-length <= indices.min() and indices.max() < length):
                raise OnnxError(f"Gather of indices up to {indices.max()} from an axis of {length}")
            indices = on_device(indices, x)
        return x[(*index, indices)]
    return np.asarray(x[(*index, to_host(indices))])


def slice_(
    call: Call, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None
) -> Any:  # fmt: skip
    if call.version < 10:
        first, last = call.get("starts", list, []), call.get("ends", list, [])
        along, by = call.get("axes", list, list(range(len(first)))), [1] * len(first)
    elif starts is None or ends is None:
        raise OnnxError("Slice without starts and ends")
    else:
        first, last = numbers(starts), numbers(ends)
        along = list(range(len(first))) if axes is None else numbers(axes)
        by = [1] * len(first) if steps is None else numbers(steps)
    if not len(first) == len(last) == len(along) == len(by) or 0 in by:
        raise OnnxError(f"Slice with starts {first}, ends {last}, axes {along}, steps {by}")
    index = [slice(None)] * x.ndim
    for start, end, a, step in zip(first, last, along, by, strict=True):
        place = axis_of(a, x.ndim)
        index[place] = slice(start, None if step < 0 and end < -x.shape[place] else end, step)
    return x[tuple(index)]


def pad(call: Call, x: Tensor, pads: Any = None, value: Any = None, axes: Any = None) -> Tensor:
    if call.version < 11:
        widths, number = call.get("pads", list, []), call.get("value", float, 0.0)
    elif pads is None:
        raise OnnxError("Pad without pads")
    else:
        widths, number = numbers(pads), 0.0 if value is None else to_host(value).item()
    along = list(range(x.ndim)) if axes is None else [axis_of(a, x.ndim) for a in numbers(axes)]
    n = len(along)
    if len(widths) != 2 * n or not all(0 <= w <= MAX_WINDOW for w in widths):
        raise OnnxError(f"pads={widths} should be {2 * n} integers in 0..{MAX_WINDOW}")
    border = [(0, 0)] * x.ndim
    for i, a in enumerate(along):
        border[a] = widths[i], widths[i + n]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}.get(call.get("mode", str, "constant"))
    if mode is None:
        raise OnnxError(f"Pad with mode={call.options['mode']!r} is not supported")
    if mode == "reflect" and any(max(b) >= n for b, n in zip(border, x.shape, strict=True)):
        raise OnnxError(f"a reflected border {border} needs longer axes than {x.shape}")
    return apply(ops.pad, x, widths=tuple(border), mode=mode, value=number)


def expand(call: Call, x: Any, shape: Any) -> Any:
    wanted = np.broadcast_shapes(x.shape, tuple(numbers(shape)))
    return x.expand(wanted) if isinstance(x, Tensor) else np.broadcast_to(x, wanted)


def constant_of_shape(call: Call, shape: Any) -> Any:
    value = call.options.get("value", np.zeros(1, np.float32))
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise OnnxError("value should be one number")
    return np.full(check_size("ConstantOfShape", numbers(shape)), value.reshape(()), _own_dtype(call, value.dtype))


def range_(call: Call, start: Any, end: Any, step: Any) -> Any:
    first, last, by = (to_host(n).reshape(-1)[0] for n in (start, end, step))
    if not by or not all(math.isfinite(n) for n in (first, last, by)):
        raise OnnxError(f"Range from {first} to {last} by {by}")
    count = max(math.ceil((last - first) / by), 0)
    return first + np.arange(*check_size("Range", [count])).astype(first.dtype) * by


def split(call: Call, x: Any, sizes: Any = None) -> tuple[Any, ...]:
    """Pieces of these sizes, or of equal sizes except the last."""
    axis = axis_of(call.get("axis", int, 0), x.ndim)
    length, count = x.shape[axis], call.get("num_outputs", int, call.outputs)
    wanted = numbers(sizes) if sizes is not None else call.get("split", list, None)
    if wanted is None:
        each = -(-length // max(count, 1))
        wanted = [max(min(each, length - i * each), 0) for i in range(count)]
    if min(wanted, default=-1) < 0 or sum(wanted) != length or len(wanted) != call.outputs:
        raise OnnxError(f"Split of an axis of {length} into {wanted} for {call.outputs} outputs")
    ends = np.cumsum(wanted).tolist()
    before = (slice(None),) * axis
    return tuple(x[(*before, slice(end - n, end))] for n, end in zip(wanted, ends, strict=True))


def tile(call: Call, x: Any, repeats: Any) -> Any:
    counts = numbers(repeats)
    if len(counts) != x.ndim:
        raise OnnxError(f"Tile by {counts} of a tensor of {x.ndim} axes")
    check_size("Tile", [n * c for n, c in zip(x.shape, counts, strict=True)])
    if not isinstance(x, Tensor):
        return np.tile(x, counts)
    for axis, (n, count) in enumerate(zip(x.shape, counts, strict=True)):
        rest = x.shape[axis + 1 :]
        wide = x.reshape(*x.shape[:axis], 1, n, *rest).expand(*x.shape[:axis], count, n, *rest)
        x = wide.reshape(*x.shape[:axis], count * n, *rest) if count != 1 else x
    return x


def trilu(call: Call, x: Any, diagonal: Any = None) -> Any:
    k = 0 if diagonal is None else numbers(diagonal)[0]
    upper = bool(call.get("upper", int, 1))
    kept = (np.triu if upper else np.tril)(np.ones(x.shape[-2:], bool), k)
    return where(call, kept, x, np.zeros((), raw(x).dtype))


def depth_to_space(call: Call, x: Tensor) -> Tensor:
    size, mode = call.get("blocksize", int, 0), call.get("mode", str, "DCR")
    if x.ndim != 4 or size < 1 or x.shape[1] % (size * size) or mode not in ("DCR", "CRD"):
        raise OnnxError(f"DepthToSpace with blocksize={size}, mode={mode!r} of a tensor of shape {tuple(x.shape)}")
    n, c, h, w = x.shape
    if mode == "DCR":
        y = x.reshape(n, size, size, c // size**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        y = x.reshape(n, c // size**2, size, size, h, w).transpose(0, 1, 4, 2, 5, 3)
    return y.reshape(n, c // size**2, h * size, w * size)


def space_to_depth(call: Call, x: Tensor) -> Tensor:
    size = call.get("blocksize", int, 0)
    if x.ndim != 4 or size < 1 or x.shape[2] % size or x.shape[3] % size:
        raise OnnxError(f"SpaceToDepth with blocksize={size} of a tensor of shape {tuple(x.shape)}")
    n, c, h, w = x.shape
    y = x.reshape(n, c, h // size, size, w // size, size).transpose(0, 3, 5, 1, 2, 4)
    return y.reshape(n, c * size**2, h // size, w // size)


def cum_sum(call: Call, x: Any, axis: Any) -> Any:
    """Multiply by a triangular matrix, so that the derivative is available."""
    place = axis_of(numbers(axis)[0], x.ndim)
    length, backwards = x.shape[place], bool(call.get("reverse", int, 0))
    check_size("CumSum", [length, length])
    earlier = np.tril(np.ones((length, length)), -1 if call.get("exclusive", int, 0) else 0)  # [to, from]
    matrix = (earlier.T if backwards else earlier).astype(raw(x).dtype)
    if not isinstance(x, Tensor):
        return np.moveaxis(np.moveaxis(x, place, -1) @ matrix.T, -1, place)
    axes = [i for i in range(x.ndim) if i != place] + [place]
    back = tuple(np.argsort(axes).tolist())
    if x.dtype.kind != "f":
        return Tensor((x.data.transpose(axes) @ x.backend.asarray(matrix.T)).transpose(back))
    return (x.transpose(tuple(axes)) @ on_device(matrix.T, x)).transpose(back)


def one_hot(call: Call, indices: Any, depth: Any, values: Any) -> Any:
    count, pair = numbers(depth)[0], to_host(values)
    axis = axis_of(call.get("axis", int, -1), indices.ndim + 1)
    check_size("OneHot", [*indices.shape, count])
    xp = indices.backend.xp if isinstance(indices, Tensor) else np
    places = raw(indices)[..., None]
    hot = xp.moveaxis((places == xp.arange(count)) | (places + count == xp.arange(count)), -1, axis)
    return where(call, like_input(indices, hot), *(pair[i].astype(_own_dtype(call, pair.dtype)) for i in (1, 0)))


def _own_dtype(call: Call, dtype: np.dtype[Any]) -> Any:
    """The dtype of a node's result; for floating dtypes it is the one that the network uses."""
    return call.dtype if call.dtype and dtype.kind == "f" else dtype


def gather_elements(call: Call, x: Any, indices: Any) -> Any:
    """``y[i, j] = x[indices[i, j], j]`` along axis 0, and so on."""
    axis = axis_of(call.get("axis", int, 0), x.ndim)
    x, indices = together(x, indices)
    if indices.ndim != x.ndim:
        raise OnnxError(f"GatherElements by indices of {indices.ndim} axes from a tensor of {x.ndim}")
    xp = x.backend.xp if isinstance(x, Tensor) else np
    grid = [xp.arange(n).reshape([-1 if i == a else 1 for i in range(x.ndim)]) for a, n in enumerate(indices.shape)]
    grid[axis] = raw(indices)
    return x[tuple(grid)]


def identity(call: Call, x: Any) -> Any:
    return x
