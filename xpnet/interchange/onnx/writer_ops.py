"""How each op is written as ONNX nodes, by name.  Each function returns the name of the result."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet.interchange.onnx.messages import DTYPE_CODES
from xpnet.interchange.onnx.writer_sequences import (
    embedding,
    embedding_bag,
    recurrent,
    rotary,
    scaled_dot_product_attention,
)
from xpnet.ops.pool import bounds
from xpnet_backends import to_numpy

if TYPE_CHECKING:
    from xpnet.interchange.onnx.writer import Call


def _same(op: str) -> Callable[[Call], str]:
    """An op that ONNX has, too."""
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
    options = {"kernel_shape": o["kernel"], "strides": o["stride"]}
    if o.get("divisor") is None and counted in (none, padding):
        included = int(counted == padding)
        return call.add("AveragePool", call.x, pads=_pads(padding), count_include_pad=included, **options)
    if o.get("divisor") is not None:  # the sum is the mean over whole windows times their size
        y = call.add("AveragePool", call.x, pads=_pads(padding), count_include_pad=1, **options)
        return call.add("Mul", y, call.number(math.prod(o["kernel"]) / o["divisor"]))
    x = call.add("Pad", call.x, call.integers(_pads([(0, 0), (0, 0), *counted])))  # as elements, which are counted
    rest = [(p[0] - c[0], p[1] - c[1]) for p, c in zip(padding, counted, strict=True)]
    return call.add("AveragePool", x, pads=_pads(rest), count_include_pad=0, **options)


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
        y = _largest(call, call.x, 2, lengths[0], size[0])
        return _largest(call, y, 3, lengths[1], size[1])
    kernel = [n // s for n, s in zip(lengths, size, strict=True)]
    return call.add("MaxPool", call.x, kernel_shape=kernel, strides=kernel)


def _largest(call: Call, x: str, axis: int, length: int, count: int) -> str:
    """The maximum of each of ``count`` windows of unequal size along an axis."""
    parts = []
    for low, high in bounds(length, count):
        window = call.add("Slice", x, *(call.integers([n]) for n in (low, high, axis)))
        parts.append(call.add("ReduceMax", window, axes=[axis], keepdims=1))
    return call.add("Concat", *parts, axis=axis)


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
    raise call.refuse("the statistics of a batch: it has no running statistics")


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


def celu(call: Call) -> str:
    """``α elu(x/α)``, because ONNX has Celu for float32 only."""
    alpha = float(call.options["alpha"])
    if call.dtype == np.float32:
        return call.add("Celu", call.x, alpha=alpha)
    return call.add("Mul", call.add("Elu", call.add("Div", call.x, call.number(alpha)), alpha=1.0), call.number(alpha))


def glu(call: Call) -> str:
    axis = call.options["axis"]
    a, b = call.split(call.x, [call.shape[axis] // 2] * 2, axis)
    return call.add("Mul", a, call.add("Sigmoid", b))


def hardtanh(call: Call) -> str:
    return call.add("Clip", call.x, call.number(call.options["low"]), call.number(call.options["high"]))


def logsigmoid(call: Call) -> str:
    return call.add("Neg", call.add("Softplus", call.add("Neg", call.x)))


def softplus(call: Call) -> str:
    """Above the threshold, softplus equals x in float32, unless the threshold is low."""
    beta, threshold = call.options["beta"], call.options["threshold"]
    if beta == 1 and threshold >= 20 and call.dtype != np.float64:
        return call.add("Softplus", call.x)
    u = call.add("Mul", call.x, call.number(beta))
    y = call.add("Div", call.add("Softplus", u), call.number(beta))
    return call.add("Where", call.add("Greater", u, call.number(threshold)), call.x, y)


def threshold(call: Call) -> str:
    above = call.add("Greater", call.x, call.number(call.options["threshold"]))
    return call.add("Where", above, call.x, call.number(call.options["value"]))


def prelu(call: Call) -> str:
    count, weight = call.now.arguments[1].shape[0], call.argument(1)
    if count > 1:
        weight = call.add("Reshape", weight, call.integers([count, *[1] * (len(call.shape) - 2)]))
    return call.add("PRelu", call.x, weight)


def where(call: Call) -> str:
    names = (
        call.argument(i) if hasattr(call.now.arguments[i], "dtype") else call.number(call.now.arguments[i])
        for i in (1, 2)
    )
    return call.add("Where", call.argument(0), *names)


def maximum(call: Call) -> str:
    """Of truths: either."""
    return call.add("Or" if call.dtype == np.bool_ else "Max", *call.arguments())


def minimum(call: Call) -> str:
    """Of truths: both."""
    return call.add("And" if call.dtype == np.bool_ else "Min", *call.arguments())


def _compare(op: str, *, turned: bool = False) -> Callable[[Call], str]:
    def write(call: Call) -> str:
        y = call.add(op, *call.arguments())
        return call.add("Not", y) if turned else y

    return write


def argmax(call: Call) -> str:
    axis = call.options["axis"]
    x = call.add("Reshape", call.x, call.integers([-1])) if axis is None else call.x
    return call.add("ArgMax", x, axis=0 if axis is None else axis, keepdims=0)


# -- reductions and shapes -------------------------------------------------------------------------------------------


def _axes(call: Call) -> list[int] | None:
    axis = call.options.get("axis")
    return None if axis is None else [axis] if isinstance(axis, int) else list(axis)


def _reduce(op: str) -> Callable[[Call], str]:
    def write(call: Call) -> str:
        return call.add(op, call.x, axes=_axes(call), keepdims=int(call.options.get("keepdims", False)))

    return write


def reduce_sum(call: Call) -> str:
    """ReduceSum takes the axes as an input; the other reductions take them as an attribute."""
    axes = _axes(call)
    inputs = [] if axes is None else [call.integers(axes)]
    return call.add("ReduceSum", call.x, *inputs, keepdims=int(call.options.get("keepdims", False)))


def reshape(call: Call) -> str:
    return call.reshape(call.x, call.shapes(), call.result_shapes())


def transpose(call: Call) -> str:
    n = len(call.shape)
    return call.add("Transpose", call.x, perm=[a % n for a in call.options["axes"]])


def broadcast_to(call: Call) -> str:
    """Expand with length 1 leaves an existing axis unchanged."""
    before, now = call.result_shapes()
    shapes = call.shapes()
    lead = len(now) - len(call.shape)
    kept = [i >= lead and (shapes[0][i - lead], shapes[1][i - lead]) == (before[i], now[i]) for i in range(len(now))]
    ends = ([1 if k else n for n, k in zip(shape, kept, strict=True)] for shape in (before, now))
    return call.add("Expand", call.x, call.writer.lengths(*ends))


def split(call: Call) -> list[str]:
    return call.split(call.x, call.options["sizes"], call.options["axis"])


def getitem(call: Call) -> str:
    """Slice, then remove axes of one element, then add new axes; or gather indices along one axis."""
    parts, earlier = (_parts(call, run) for run in (call.now, call.before))
    if picks := [i for i, p in enumerate(parts) if not (p is None or isinstance(p, (slice, int)))]:
        return _picked(call, parts, earlier, picks)
    along, along_before = ([p for p in each if p is not None] for each in (parts, earlier))
    y = _sliced(call, along_before, along)
    if drop := [i for i, p in enumerate(along) if isinstance(p, int)]:
        y = call.add("Squeeze", y, call.integers(drop))
    kept = [p for p in parts if not isinstance(p, int)]
    if new := [i for i, p in enumerate(kept) if p is None]:
        y = call.add("Unsqueeze", y, call.integers(new))
    return y


def _parts(call: Call, run: Any) -> list[Any]:
    """An index with one entry for each axis."""
    index = run.options["index"]
    parts = list(index) if isinstance(index, tuple) else [index]
    parts = [int(p) if isinstance(p, np.integer) else np.asarray(p) if isinstance(p, list) else p for p in parts]
    if any(isinstance(p, bool) or getattr(p, "dtype", None) == np.bool_ for p in parts):
        raise call.refuse("a mask as index: the number of selected elements is not known in advance")
    given = sum(p is not None and p is not ... for p in parts)
    fill = [slice(None)] * (len(run.arguments[0].shape) - given)
    at = next((i for i, p in enumerate(parts) if p is ...), len(parts))
    return [*parts[:at], *fill, *parts[at + 1 :]]


def _picked(call: Call, parts: list[Any], earlier: list[Any], picks: list[int]) -> str:
    others = [p for i, p in enumerate(parts) if i not in picks]
    if len(picks) > 1 or any(p is None or p != slice(None) for p in others):
        raise call.refuse("an index of several arrays, or of an array beside numbers and slices: index in two steps")
    at = picks[0]
    return call.add("Gather", call.x, call.name_of(earlier[at], parts[at], "its index"), axis=at)


def _sliced(call: Call, before: list[Any], now: list[Any]) -> str:
    rows = [(_reach(a), _reach(b), axis) for axis, (a, b) in enumerate(zip(before, now, strict=True))]
    rows = [row for row in rows if row[0] != _ALL or row[1] != _ALL]
    if not rows:
        return call.x
    if any(a[2] != b[2] for a, b, _ in rows):
        raise call.refuse("a step that depends on the batch")
    ends = (call.writer.lengths([a[i] for a, _, _ in rows], [b[i] for _, b, _ in rows]) for i in (0, 1))
    return call.add("Slice", call.x, *ends, call.integers(r[2] for r in rows), call.integers(r[1][2] for r in rows))


_FAR = 1 << 62
_ALL = (0, _FAR, 1)


def _reach(p: int | slice) -> tuple[int, int, int]:
    """Start, end and step; one number is a slice of one element."""
    if isinstance(p, int):
        return p, p + 1 if p != -1 else _FAR, 1
    step = 1 if p.step is None else p.step
    start = p.start if p.start is not None else (0 if step > 0 else _FAR)
    return start, p.stop if p.stop is not None else (_FAR if step > 0 else -_FAR), step


def concatenate(call: Call) -> str:
    return call.add("Concat", *call.arguments(), axis=call.options.get("axis", 0))


def stack(call: Call) -> str:
    axis = call.options.get("axis", 0)
    axis = axis % (len(call.shape) + 1)
    parts = [call.add("Unsqueeze", name, call.integers([axis])) for name in call.arguments()]
    return call.add("Concat", *parts, axis=axis)


def pad(call: Call) -> str:
    o = call.options
    if o["mode"] == "circular":
        return _circular(call, o["widths"])
    mode = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}[o["mode"]]
    value = [call.number(o.get("value", 0.0))] if mode == "constant" else []
    return call.add("Pad", call.x, call.integers(_pads(o["widths"])), *value, mode=mode)


def _circular(call: Call, widths: Any) -> str:
    """Circular padding: the end is repeated in front, and the beginning behind."""
    x = call.x
    for axis, (low, high) in enumerate(widths):
        ends = [(-low, _FAR)] if low else [], [(0, high)] if high else []
        front, behind = (
            [call.add("Slice", x, *(call.integers([n]) for n in (*end, axis))) for end in each] for each in ends
        )
        x = call.add("Concat", *front, x, *behind, axis=axis) if front or behind else x
    return x


WRITERS: dict[str, Callable[[Call], str | list[str]]] = {
    "absolute": _same("Abs"),
    "adaptive_avg_pool2d": adaptive_avg_pool2d,
    "adaptive_max_pool2d": adaptive_max_pool2d,
    "add": _same("Add"),
    "argmax": argmax,
    "avg_pool2d": avg_pool2d,
    "batch_norm": training_only,
    "batch_norm_inference": batch_norm_inference,
    "broadcast_to": broadcast_to,
    "cast": cast,
    "celu": celu,
    "clip": clip,
    "concatenate": concatenate,
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "cos": _same("Cos"),
    "divide": _same("Div"),
    "elu": lambda call: call.add("Elu", call.x, alpha=float(call.options["alpha"])),
    "embedding": embedding,
    "embedding_bag": embedding_bag,
    "eq": _compare("Equal"),
    "exp": _same("Exp"),
    "ge": _compare("GreaterOrEqual"),
    "gelu": gelu,
    "getitem": getitem,
    "glu": glu,
    "group_norm": group_norm,
    "gru": recurrent("GRU", 1, [1, 0, 2]),
    "gt": _compare("Greater"),
    "hardshrink": lambda call: call.add("Shrink", call.x, lambd=float(call.options["lambd"]), bias=0.0),
    "hardsigmoid": lambda call: call.add("HardSigmoid", call.x, alpha=1.0 / 6.0, beta=0.5),
    "hardswish": _same("HardSwish"),
    "hardtanh": hardtanh,
    "layer_norm": layer_norm,
    "le": _compare("LessOrEqual"),
    "leaky_relu": lambda call: call.add("LeakyRelu", call.x, alpha=float(call.options["negative_slope"])),
    "linear": linear,
    "log": _same("Log"),
    "log_softmax": _axis("LogSoftmax"),
    "logsigmoid": logsigmoid,
    "logsumexp": _reduce("ReduceLogSumExp"),
    "lstm": recurrent("LSTM", 2, [0, 3, 1, 2]),
    "lt": _compare("Less"),
    "matmul": _same("MatMul"),
    "max_pool2d": max_pool2d,
    "max_pool2d_with_indices": max_pool2d,
    "maximum": maximum,
    "minimum": minimum,
    "mish": lambda call: call.add("Mul", call.x, call.add("Tanh", call.add("Softplus", call.x))),
    "multiply": _same("Mul"),
    "ne": _compare("Equal", turned=True),
    "negative": _same("Neg"),
    "pad": pad,
    "power": _same("Pow"),
    "prelu": prelu,
    "reduce_max": _reduce("ReduceMax"),
    "reduce_mean": _reduce("ReduceMean"),
    "reduce_min": _reduce("ReduceMin"),
    "reduce_sum": reduce_sum,
    "relu": _same("Relu"),
    "reshape": reshape,
    "rms_norm": rms_norm,
    "rnn": recurrent("RNN", 1, [0]),
    "rotary": rotary,
    "scaled_dot_product_attention": scaled_dot_product_attention,
    "selu": _same("Selu"),
    "separable2d": separable2d,
    "sigmoid": _same("Sigmoid"),
    "silu": lambda call: call.add("Mul", call.x, call.add("Sigmoid", call.x)),
    "sin": _same("Sin"),
    "softmax": _axis("Softmax"),
    "softplus": softplus,
    "softshrink": lambda call: call.add(
        "Shrink", call.x, lambd=float(call.options["lambd"]), bias=float(call.options["lambd"])
    ),
    "softsign": _same("Softsign"),
    "split": split,
    "sqrt": _same("Sqrt"),
    "stack": stack,
    "subtract": _same("Sub"),
    "tanh": _same("Tanh"),
    "tanhshrink": lambda call: call.add("Sub", call.x, call.add("Tanh", call.x)),
    "threshold": threshold,
    "transpose": transpose,
    "where": where,
}
