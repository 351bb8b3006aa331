"""How each op is written as ONNX nodes, by its name; each returns the name of its result."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from xpnet.interchange.onnx.messages import DTYPE_CODES
from xpnet.interchange.onnx.writer import Call
from xpnet.ops.pool import bounds
from xpnet_backends import to_numpy


def _same(op: str) -> Callable[[Call], str]:
    """An op that ONNX has too."""
    return lambda call: call.add(op, *call.arguments())


def _pads(padding: Any) -> list[int]:
    """((top, bottom), (left, right)) as (top, left, bottom, right)."""
    return [p[0] for p in padding] + [p[1] for p in padding]


# -- windows ---------------------------------------------------------------------------------------------------------


def conv2d(call: Call) -> str:
    o = call.options
    kernel = call.now.arguments[1].shape[2:]
    options = {"strides": o["stride"], "dilations": o["dilation"], "group": o["groups"], "kernel_shape": kernel}
    return call.add("Conv", *call.arguments(), pads=_pads(o["padding"]), **options)


def conv_transpose2d(call: Call) -> str:
    o = call.options
    options = {"strides": o["stride"], "dilations": o["dilation"], "group": o["groups"]}
    options["kernel_shape"] = call.now.arguments[1].shape[2:]
    extra = o["output_padding"]
    return call.add("ConvTranspose", *call.arguments(), pads=[*o["padding"]] * 2, output_padding=extra, **options)


def max_pool2d(call: Call) -> str:
    o = call.options
    options = {"kernel_shape": o["kernel"], "strides": o["stride"], "dilations": o["dilation"]}
    return call.add("MaxPool", call.x, pads=_pads(o["padding"]), **options)


def avg_pool2d(call: Call) -> str:
    o = call.options
    none, padding = ((0, 0), (0, 0)), tuple(o.get("padding", ((0, 0), (0, 0))))
    counted = none if o.get("counted") is None else tuple(o["counted"])
    if o.get("divisor") is not None or counted not in (none, padding):
        raise call.refuse("divisor_override, or a counted border together with ceil_mode")
    options = {"kernel_shape": o["kernel"], "strides": o["stride"], "count_include_pad": int(counted == padding)}
    return call.add("AveragePool", call.x, pads=_pads(padding), **options)


def adaptive_avg_pool2d(call: Call) -> str:
    size, lengths = tuple(call.options["size"]), call.shape[2:]
    if size == lengths:
        return call.add("Identity", call.x)
    if size == (1, 1):
        return call.add("GlobalAveragePool", call.x)
    if not any(n % s for n, s in zip(lengths, size, strict=True)):
        kernel = [n // s for n, s in zip(lengths, size, strict=True)]
        return call.add("AveragePool", call.x, kernel_shape=kernel, strides=kernel)
    rows, columns = (_shares(n, s, call.dtype) for n, s in zip(lengths, size, strict=True))
    return _separable(call, rows, columns)


def _shares(length: int, count: int, dtype: Any) -> np.ndarray[Any, Any]:
    """Row i holds 1/n at the n elements of window i."""
    matrix = np.zeros((count, length), dtype)
    for i, (low, high) in enumerate(bounds(length, count)):
        matrix[i, low:high] = 1.0 / (high - low)
    return matrix


def _separable(call: Call, rows: np.ndarray[Any, Any], columns: np.ndarray[Any, Any]) -> str:
    """``A x Bᵀ``."""
    right = call.add("MatMul", call.x, call.writer.constant(np.ascontiguousarray(columns.T)))
    return call.add("MatMul", call.writer.constant(rows), right)


def separable2d(call: Call) -> str:
    return _separable(call, to_numpy(call.options["rows"]), to_numpy(call.options["columns"]))


def adaptive_max_pool2d(call: Call) -> str:
    size, lengths = tuple(call.options["size"]), call.shape[2:]
    if size == (1, 1):
        return call.add("GlobalMaxPool", call.x)
    if any(n % s for n, s in zip(lengths, size, strict=True)):
        raise call.refuse(f"output_size {size} for images of {lengths}: windows of unequal size")
    kernel = [n // s for n, s in zip(lengths, size, strict=True)]
    return call.add("MaxPool", call.x, kernel_shape=kernel, strides=kernel)


# -- products and normalisation --------------------------------------------------------------------------------------


def linear(call: Call) -> str:
    if len(call.shape) == 2:
        return call.add("Gemm", *call.arguments(), transB=1)
    y = call.add("MatMul", call.x, call.add("Transpose", call.argument(1), perm=[1, 0]))
    return call.add("Add", y, call.argument(2)) if call.has(2) else y


def batch_norm_inference(call: Call) -> str:
    channels = call.shape[1]
    scale = call.argument(3) if call.has(3) else call.writer.constant(np.ones(channels, call.dtype))
    shift = call.argument(4) if call.has(4) else call.writer.constant(np.zeros(channels, call.dtype))
    inputs = call.x, scale, shift, call.argument(1), call.argument(2)
    return call.add("BatchNormalization", *inputs, epsilon=call.options["eps"])


def group_norm(call: Call) -> str:
    groups, channels = call.options["groups"], call.shape[1]
    ones, zeros = (call.writer.constant(np.full(groups, v, call.dtype)) for v in (1, 0))
    grouped = call.add("Reshape", call.x, call.integers([0, groups, -1]))
    y = call.add("InstanceNormalization", grouped, ones, zeros, epsilon=call.options["eps"])
    flat = tuple((s[0], groups, -1) for s in call.shapes())
    y = call.reshape(y, flat, call.shapes())  # type: ignore[arg-type]
    for i, op in ((1, "Mul"), (2, "Add")):
        if call.has(i):
            column = call.integers([channels, *[1] * (len(call.shape) - 2)])
            y = call.add(op, y, call.add("Reshape", call.argument(i), column))
    return y


def layer_norm(call: Call) -> str:
    dims = call.options["dims"]
    scale = call.argument(1) if call.has(1) else call.writer.constant(np.ones(call.shape[-dims:], call.dtype))
    shift = [call.argument(2)] if call.has(2) else []
    return call.add("LayerNormalization", call.x, scale, *shift, axis=-dims, epsilon=call.options["eps"])


def rms_norm(call: Call) -> str:
    axes = list(range(-call.options["dims"], 0))
    square = call.add("ReduceMean", call.add("Mul", call.x, call.x), axes=axes, keepdims=1)
    root = call.add("Sqrt", call.add("Add", square, call.number(call.options["eps"])))
    y = call.add("Div", call.x, root)
    return call.add("Mul", y, call.argument(1)) if call.has(1) else y


def training_only(call: Call) -> str:
    raise call.refuse("the statistics of a batch: it has no running ones")


# -- element by element ----------------------------------------------------------------------------------------------


def gelu(call: Call) -> str:
    x = call.x
    if call.options.get("approximate", "none") == "tanh":
        cube = call.add("Mul", call.add("Mul", x, call.add("Mul", x, x)), call.number(0.044715))
        inner = call.add("Mul", call.add("Add", x, cube), call.number(math.sqrt(2.0 / math.pi)))
        bent = call.add("Tanh", inner)
    else:
        bent = call.add("Erf", call.add("Mul", x, call.number(math.sqrt(0.5))))
    half = call.add("Mul", x, call.number(0.5))
    return call.add("Mul", half, call.add("Add", bent, call.number(1.0)))


def clip(call: Call) -> str:
    bounds_ = (call.options.get(name) for name in ("low", "high"))
    inputs = [call.x, *("" if b is None else call.number(b) for b in bounds_)]
    while inputs[-1] == "":
        inputs.pop()
    return call.add("Clip", *inputs)


def _axis(op: str) -> Callable[[Call], str]:
    return lambda call: call.add(op, call.x, axis=call.options["axis"])


def cast(call: Call) -> str:
    return call.add("Cast", call.x, to=DTYPE_CODES[np.dtype(call.options["dtype"]).name])


# -- reductions and shapes -------------------------------------------------------------------------------------------


def _axes(call: Call) -> list[int] | None:
    axis = call.options.get("axis")
    return None if axis is None else [axis] if isinstance(axis, int) else list(axis)


def _reduce(op: str) -> Callable[[Call], str]:
    def write(call: Call) -> str:
        return call.add(op, call.x, axes=_axes(call), keepdims=int(call.options.get("keepdims", False)))

    return write


def reduce_sum(call: Call) -> str:
    """Its axes are an input, those of the others an option."""
    axes = _axes(call)
    inputs = [] if axes is None else [call.integers(axes)]
    return call.add("ReduceSum", call.x, *inputs, keepdims=int(call.options.get("keepdims", False)))


def reshape(call: Call) -> str:
    return call.reshape(call.x, call.shapes(), call.result_shapes())


def transpose(call: Call) -> str:
    n = len(call.shape)
    return call.add("Transpose", call.x, perm=[a % n for a in call.options["axes"]])


def broadcast_to(call: Call) -> str:
    """An axis that follows the batch must be there already: 1 leaves it as it is."""
    before, now = call.result_shapes()
    lead = len(now) - len(call.shape)
    for i, (a, b) in enumerate(zip(before, now, strict=True)):
        if a != b and (i < lead or call.shape[i - lead] != b):
            raise call.refuse("a new axis as long as the batch")
    return call.add("Expand", call.x, call.integers(b if a == b else 1 for a, b in zip(before, now, strict=True)))


def getitem(call: Call) -> str:
    """Slices, then axes of one element away, then new axes."""
    index = call.options["index"]
    parts = list(index) if isinstance(index, tuple) else [index]
    if not all(p is None or p is ... or isinstance(p, (slice, int)) for p in parts):
        raise call.refuse("an index other than numbers and slices")
    given = sum(p is not None and p is not ... for p in parts)
    fill = [slice(None)] * (len(call.shape) - given)
    at = next((i for i, p in enumerate(parts) if p is ...), len(parts))
    parts = [*parts[:at], *fill, *parts[at + 1 :]]
    along = [p for p in parts if p is not None]
    y = _sliced(call, along)
    if drop := [i for i, p in enumerate(along) if isinstance(p, int)]:
        y = call.add("Squeeze", y, call.integers(drop))
    kept = [p for p in parts if not isinstance(p, int)]
    if new := [i for i, p in enumerate(kept) if p is None]:
        y = call.add("Unsqueeze", y, call.integers(new))
    return y


def _sliced(call: Call, parts: list[Any]) -> str:
    rows = []
    for axis, p in enumerate(parts):
        if isinstance(p, int):
            rows.append((p, p + 1 if p != -1 else 1 << 62, axis, 1))
        elif p != slice(None):
            step = 1 if p.step is None else p.step
            first = p.start if p.start is not None else (0 if step > 0 else 1 << 62)
            last = p.stop if p.stop is not None else (1 << 62 if step > 0 else -(1 << 62))
            rows.append((first, last, axis, step))
    if not rows:
        return call.x
    return call.add("Slice", call.x, *(call.integers(column) for column in zip(*rows, strict=True)))


def concatenate(call: Call) -> str:
    return call.add("Concat", *call.arguments(), axis=call.options.get("axis", 0))


def stack(call: Call) -> str:
    axis = call.options.get("axis", 0)
    axis = axis % (len(call.shape) + 1)
    parts = [call.add("Unsqueeze", name, call.integers([axis])) for name in call.arguments()]
    return call.add("Concat", *parts, axis=axis)


def pad(call: Call) -> str:
    o = call.options
    mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}.get(o["mode"])
    if mode is None:
        raise call.refuse(f"mode={o['mode']!r}")
    value = [call.number(o.get("value", 0.0))] if mode == "constant" else []
    return call.add("Pad", call.x, call.integers(_pads(o["widths"])), *value, mode=mode)


WRITERS: dict[str, Callable[[Call], str]] = {
    "absolute": _same("Abs"),
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
    "adaptive_max_pool2d": adaptive_max_pool2d,
    "add": _same("Add"),
    "avg_pool2d": avg_pool2d,
    "batch_norm": training_only,
    "batch_norm_inference": batch_norm_inference,
    "broadcast_to": broadcast_to,
    "cast": cast,
    "clip": clip,
    "concatenate": concatenate,
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "cos": _same("Cos"),
    "divide": _same("Div"),
    "elu": lambda call: call.add("Elu", call.x, alpha=float(call.options["alpha"])),
    "exp": _same("Exp"),
    "gelu": gelu,
    "getitem": getitem,
    "group_norm": group_norm,
    "layer_norm": layer_norm,
    "leaky_relu": lambda call: call.add("LeakyRelu", call.x, alpha=float(call.options["negative_slope"])),
    "linear": linear,
    "log": _same("Log"),
    "log_softmax": _axis("LogSoftmax"),
    "matmul": _same("MatMul"),
    "max_pool2d": max_pool2d,
    "max_pool2d_with_indices": max_pool2d,
    "maximum": _same("Max"),
    "minimum": _same("Min"),
    "multiply": _same("Mul"),
    "negative": _same("Neg"),
    "pad": pad,
    "power": _same("Pow"),
    "reduce_max": _reduce("ReduceMax"),
    "reduce_mean": _reduce("ReduceMean"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_sum": reduce_sum,
    "relu": _same("Relu"),
    "reshape": reshape,
    "rms_norm": rms_norm,
    "separable2d": separable2d,
    "sigmoid": _same("Sigmoid"),
    "sin": _same("Sin"),
    "softmax": _axis("Softmax"),
    "sqrt": _same("Sqrt"),
    "stack": stack,
    "subtract": _same("Sub"),
    "tanh": _same("Tanh"),
    "transpose": transpose,
}
