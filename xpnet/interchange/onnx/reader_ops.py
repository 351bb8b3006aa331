"""What each ONNX op computes, by its name.  Source: github.com/onnx/onnx/blob/main/docs/Operators.md.

Values are tensors; whole numbers that describe shapes stay NumPy arrays on the host, and so does what is computed from
them.  An argument may be either.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet import ops
from xpnet.interchange.onnx.messages import DTYPES, OnnxError
from xpnet.nn import functional as F
from xpnet.ops.special import erf as erf_of
from xpnet.tensor import Tensor, apply, concatenate, maximum, minimum, tensor
from xpnet_backends import Array, Namespace

_MAX_WINDOW = 1 << 16


@dataclass(frozen=True)
class Call:
    """How an op is called: its options, the version of the set of ops, and the state of the network.

    ``batch`` is the batch size that the file was made for and the one that was given, where they differ.
    """

    options: Mapping[str, Any]
    version: int
    training: bool = False
    batch: tuple[int, int] | None = None
    dtype: str | None = None

    def get(self, name: str, kind: type, default: Any) -> Any:
        """An option, of the kind that it must have."""
        value = self.options.get(name, default)
        if value is not default and not isinstance(value, kind):
            raise OnnxError(f"{name}={value!r} should be of type {kind.__name__}")
        return value

    def window(self, name: str, count: int, default: int, least: int) -> list[int]:
        """A whole number for each of ``count`` axes."""
        values = self.get(name, list, [default] * count)
        if len(values) != count or not all(isinstance(n, int) and least <= n <= _MAX_WINDOW for n in values):
            raise OnnxError(f"{name}={values!r} should be {count} whole numbers in {least}..{_MAX_WINDOW}")
        return list(values)


# -- windows ---------------------------------------------------------------------------------------------------------


def _as_image(x: Tensor) -> Tensor:
    if not isinstance(x, Tensor) or x.ndim not in (3, 4):
        raise OnnxError(f"needs input (N, C, T) or (N, C, H, W), got {tuple(x.shape)}")
    return x if x.ndim == 4 else x.unsqueeze(2)


def _windows(call: Call, x: Tensor, kernel: Sequence[int]) -> dict[str, Any]:
    """Kernel, stride, dilation and border of both sides of both axes; a sequence is an image of height 1."""
    n = x.ndim - 2
    stride, dilation = call.window("strides", n, 1, 1), call.window("dilations", n, 1, 1)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    border = _border(call, x.shape[2:], stride, reach)
    if call.get("ceil_mode", int, 0):
        border = [_more(*each) for each in zip(x.shape[2:], stride, reach, border, strict=True)]
    for length, r, (low, high) in zip(x.shape[2:], reach, border, strict=True):
        if length + low + high < r:
            raise OnnxError(f"a window of {r} does not fit into an axis of {length} with a border of {low} and {high}")
    front: list[Any] = [] if n == 2 else [1]
    rest = {"stride": (*front, *stride), "dilation": (*front, *dilation), "kernel": (*front, *kernel)}
    return {**rest, "padding": (*([(0, 0)] if front else []), *border)}


def _border(call: Call, lengths: Sequence[int], stride: list[int], reach: list[int]) -> list[tuple[int, int]]:
    mode = call.get("auto_pad", str, "NOTSET")
    n = len(lengths)
    if mode == "NOTSET":
        pads = call.window("pads", 2 * n, 0, 0)
        return list(zip(pads[:n], pads[n:], strict=True))
    if mode == "VALID":
        return [(0, 0)] * n
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise OnnxError(f"auto_pad={mode!r} is not known")
    totals = [max((-(-h // s) - 1) * s + r - h, 0) for h, s, r in zip(lengths, stride, reach, strict=True)]
    lower = [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in totals]
    return [(low, t - low) for low, t in zip(lower, totals, strict=True)]


def _more(length: int, stride: int, reach: int, border: tuple[int, int]) -> tuple[int, int]:
    """So much more border at the end that a last, partial window fits; it must start inside or in the left border."""
    padded = length + sum(border)
    count = -(-(padded - reach) // stride) + 1
    if (count - 1) * stride >= length + border[0]:
        count -= 1
    return border[0], border[1] + max((count - 1) * stride + reach - padded, 0)


def conv(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    image, groups = _as_image(x), call.get("group", int, 1)
    if weight.ndim != x.ndim or groups < 1 or weight.shape[1] * groups != x.shape[1] or weight.shape[0] % groups:
        raise OnnxError(f"weight {tuple(weight.shape)} with group={groups} does not fit input {x.shape}")
    options = _windows(call, x, weight.shape[2:])
    del options["kernel"]
    y = apply(ops.conv2d, image, _as_image(weight), bias, groups=groups, **options)
    return y if x.ndim == 4 else y.squeeze(2)


def conv_transpose(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if x.ndim != 4 or call.get("auto_pad", str, "NOTSET") != "NOTSET" or "output_shape" in call.options:
        raise OnnxError("ConvTranspose is known for images with explicit pads only")
    pads = call.window("pads", 4, 0, 0)
    if pads[:2] != pads[2:]:
        raise OnnxError(f"ConvTranspose with pads={pads} of unequal sides is not known here")
    stride, extra = call.window("strides", 2, 1, 1), call.window("output_padding", 2, 0, 0)
    groups, dilation = call.get("group", int, 1), call.window("dilations", 2, 1, 1)
    return F.conv_transpose2d(x, weight, bias, stride, pads[:2], extra, groups, dilation)


def _kernel(call: Call, x: Tensor) -> list[int]:
    if "kernel_shape" not in call.options:
        raise OnnxError("kernel_shape is missing")
    return call.window("kernel_shape", x.ndim - 2, 1, 1)


def max_pool(call: Call, x: Tensor) -> Tensor:
    image = _as_image(x)
    y = apply(ops.max_pool2d, image, **_windows(call, x, _kernel(call, x)))
    return y if x.ndim == 4 else y.squeeze(2)


def average_pool(call: Call, x: Tensor) -> Tensor:
    image, kernel = _as_image(x), _kernel(call, x)
    options = _windows(call, x, kernel)
    if any(d != 1 for d in options.pop("dilation")):
        raise OnnxError("AveragePool with dilations is not known here")
    counted = None
    if call.get("count_include_pad", int, 0):
        plain = _border(call, x.shape[2:], call.window("strides", x.ndim - 2, 1, 1), kernel)
        counted = ((0, 0), *plain) if x.ndim == 3 else tuple(plain)
    y = apply(ops.avg_pool2d, image, counted=counted, **options)
    return y if x.ndim == 4 else y.squeeze(2)


def global_average_pool(call: Call, x: Tensor) -> Tensor:
    return x.mean(axis=tuple(range(2, x.ndim)), keepdims=True)


def global_max_pool(call: Call, x: Tensor) -> Tensor:
    return x.max(axis=tuple(range(2, x.ndim)), keepdims=True)


# -- products and normalisation --------------------------------------------------------------------------------------


def gemm(call: Call, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    alpha, beta = call.get("alpha", float, 1.0), call.get("beta", float, 1.0)
    left = a.T if call.get("transA", int, 0) else a
    right = b.T if call.get("transB", int, 0) else b
    y = left @ right
    y = y if alpha == 1.0 else y * alpha
    return y if c is None else y + (c if beta == 1.0 else c * beta)


def batch_normalization(call: Call, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    if call.get("training_mode", int, 0):
        raise OnnxError("BatchNormalization in training mode is not known here: export the network in evaluation mode")
    return F.batch_norm(x, mean.data, variance.data, scale, bias, eps=call.get("epsilon", float, 1e-5))[0]


def instance_normalization(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F.instance_norm(x, scale, bias, call.get("epsilon", float, 1e-5))


def layer_normalization(call: Call, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    axis = call.get("axis", int, -1)
    return F.layer_norm(x, x.shape[axis:], scale, bias, call.get("epsilon", float, 1e-5))


def dropout(call: Call, x: Tensor, ratio: Any = None, training: Any = None) -> Tensor:
    p = call.get("ratio", float, 0.5) if ratio is None else float(to_host(ratio))
    return F.dropout(x, p, call.training)


# -- element by element ----------------------------------------------------------------------------------------------


def _unary(function: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def run(call: Call, x: Tensor) -> Tensor:
        return function(x)

    return run


def erf(xp: Namespace, x: Array) -> Any:
    """``erf x``;  ``dy/dx = 2/√π e^−x²``."""

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * (2.0 / math.sqrt(math.pi)) * xp.exp(-x * x),)

    return erf_of(xp, x), backward


def _binary(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """On tensors, or on the host where both are there.  A host array beside a tensor takes its dtype."""

    def run(call: Call, a: Any, b: Any) -> Any:
        if isinstance(a, Tensor) != isinstance(b, Tensor):
            like = a if isinstance(a, Tensor) else b
            a, b = (x if isinstance(x, Tensor) else _on_device(x, like) for x in (a, b))
        return function(a, b)

    return run


def _on_device(x: np.ndarray[Any, Any], like: Tensor) -> Tensor:
    return tensor(x, backend=like.backend, dtype=like.dtype if x.dtype.kind == "f" else None)


def _divide(a: Any, b: Any) -> Any:
    whole = not isinstance(a, Tensor) and a.dtype.kind in "iu"
    if whole and not np.all(b):
        raise OnnxError("division of whole numbers by zero")
    return a // b if whole else a / b


def _fold(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def run(call: Call, x: Tensor, *rest: Tensor) -> Any:
        return functools.reduce(function, rest, x)

    return run


def mean(call: Call, x: Tensor, *rest: Tensor) -> Any:
    return functools.reduce(lambda a, b: a + b, rest, x) / (1 + len(rest))


def clip(call: Call, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    if call.version < 11:
        return x.clip(call.get("min", float, None), call.get("max", float, None))
    return x.clip(*(None if bound is None else to_host(bound).item() for bound in (low, high)))


def _softmax(function: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """Before version 13 over all axes from ``axis`` on, as one."""

    def run(call: Call, x: Tensor) -> Tensor:
        if call.version >= 13:
            return function(x, _axis(call.get("axis", int, -1), x.ndim))
        axis = _axis(call.get("axis", int, 1), x.ndim)
        return function(x.reshape(math.prod(x.shape[:axis]), -1), 1).reshape(x.shape)

    return run


def cast(call: Call, x: Any) -> Any:
    code = call.get("to", int, None)
    if code not in DTYPES:
        raise OnnxError(f"Cast to dtype {code} is not known here")
    dtype = DTYPES[code]
    return x.astype(call.dtype if call.dtype and dtype.startswith("float") else dtype)


# -- shapes ----------------------------------------------------------------------------------------------------------


def to_host(x: Any) -> np.ndarray[Any, Any]:
    """A value that is needed as numbers."""
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)


def _numbers(x: Any) -> list[int]:
    array = to_host(x)
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise OnnxError(f"needs a row of whole numbers, got {array.dtype}{array.shape}")
    return [int(n) for n in array.reshape(-1)]


def _axis(axis: int, ndim: int, *, after: bool = False) -> int:
    """An axis counted from the front.  ``after``: the place behind the last one is allowed."""
    if not -ndim <= axis < ndim + after:
        raise OnnxError(f"axis {axis} does not exist in a tensor of {ndim} axes")
    return axis % ndim if axis < ndim and ndim else axis


def reshape(call: Call, x: Any, shape: Any) -> Any:
    """0 keeps a length, -1 is what is left.

    A file made for one batch size says it in such shapes: where the batch differs, and leads in x, it replaces it.
    """
    wanted = _numbers(shape)
    if not call.get("allowzero", int, 0):
        if any(n == 0 and i >= x.ndim for i, n in enumerate(wanted)):
            raise OnnxError(f"shape {wanted} keeps a length that {tuple(x.shape)} does not have")
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    if call.batch and wanted and x.ndim and (wanted[0], x.shape[0]) == call.batch:
        wanted[0] = x.shape[0]
    return x.reshape(tuple(wanted))


def flatten(call: Call, x: Any) -> Any:
    axis = _axis(call.get("axis", int, 1), x.ndim, after=True)
    return x.reshape((math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def concat(call: Call, x: Any, *rest: Any) -> Any:
    parts, axis = (x, *rest), _axis(call.get("axis", int, 1), x.ndim)
    if not any(isinstance(part, Tensor) for part in parts):
        return np.concatenate(parts, axis=axis)
    like = next(part for part in parts if isinstance(part, Tensor))
    return concatenate([p if isinstance(p, Tensor) else _on_device(p, like) for p in parts], axis=axis)


def transpose(call: Call, x: Any) -> Any:
    axes = call.get("perm", list, list(range(x.ndim))[::-1])
    if sorted(axes) != list(range(x.ndim)):
        raise OnnxError(f"perm={axes} is no order of {x.ndim} axes")
    return x.transpose(tuple(axes))


def _axes(call: Call, axes: Any, since: int) -> list[int] | None:
    """Axes are an option before version ``since``, an input from then on."""
    if axes is not None:
        return _numbers(axes)
    return None if call.version >= since and "axes" not in call.options else call.get("axes", list, None)


def squeeze(call: Call, x: Any, axes: Any = None) -> Any:
    found = _axes(call, axes, 13)
    drop = {_axis(a, x.ndim) for a in found} if found is not None else {i for i, n in enumerate(x.shape) if n == 1}
    if any(x.shape[i] != 1 for i in drop):
        raise OnnxError(f"Squeeze of axes {sorted(drop)} of a tensor of shape {tuple(x.shape)}")
    return x.reshape(tuple(n for i, n in enumerate(x.shape) if i not in drop))


def unsqueeze(call: Call, x: Any, axes: Any = None) -> Any:
    found = _axes(call, axes, 13)
    if not found:
        raise OnnxError("Unsqueeze without axes")
    shape, total = list(x.shape), x.ndim + len(found)
    for place in sorted(_axis(a, total) for a in found):
        shape.insert(place, 1)
    return x.reshape(tuple(shape))


def _reduce(method: str) -> Callable[..., Any]:
    def run(call: Call, x: Any, axes: Any = None) -> Any:
        found = _axes(call, axes, 13 if method == "sum" else 18)
        if not found and call.get("noop_with_empty_axes", int, 0):
            return x
        axis = tuple(_axis(a, x.ndim) for a in found) if found else None
        return getattr(x, method)(axis=axis, keepdims=bool(call.get("keepdims", int, 1)))

    return run


def shape(call: Call, x: Any) -> Any:
    return np.array(x.shape, np.int64)[call.get("start", int, 0) : call.get("end", int, None)]


def gather(call: Call, x: Any, indices: Any) -> Any:
    axis = _axis(call.get("axis", int, 0), x.ndim)
    index = (slice(None),) * axis
    if isinstance(x, Tensor):
        if not isinstance(indices, Tensor):
            length = x.shape[axis]
            if indices.size and not (-length <= indices.min() and indices.max() < length):
                raise OnnxError(f"Gather of indices up to {indices.max()} from an axis of {length}")
            indices = _on_device(indices, x)
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
        first, last = _numbers(starts), _numbers(ends)
        along = list(range(len(first))) if axes is None else _numbers(axes)
        by = [1] * len(first) if steps is None else _numbers(steps)
    if not len(first) == len(last) == len(along) == len(by) or 0 in by:
        raise OnnxError(f"Slice with starts {first}, ends {last}, axes {along}, steps {by}")
    index = [slice(None)] * x.ndim
    for start, end, a, step in zip(first, last, along, by, strict=True):
        place = _axis(a, x.ndim)
        index[place] = slice(start, None if step < 0 and end < -x.shape[place] else end, step)
    return x[tuple(index)]


def pad(call: Call, x: Tensor, pads: Any = None, value: Any = None, axes: Any = None) -> Tensor:
    if call.version < 11:
        widths, number = call.get("pads", list, []), call.get("value", float, 0.0)
    elif pads is None:
        raise OnnxError("Pad without pads")
    else:
        widths, number = _numbers(pads), 0.0 if value is None else to_host(value).item()
    along = list(range(x.ndim)) if axes is None else [_axis(a, x.ndim) for a in _numbers(axes)]
    n = len(along)
    if len(widths) != 2 * n or not all(0 <= w <= _MAX_WINDOW for w in widths):
        raise OnnxError(f"pads={widths} should be {2 * n} whole numbers in 0..{_MAX_WINDOW}")
    border = [(0, 0)] * x.ndim
    for i, a in enumerate(along):
        border[a] = widths[i], widths[i + n]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}.get(call.get("mode", str, "constant"))
    if mode is None:
        raise OnnxError(f"Pad with mode={call.options['mode']!r} is not known here")
    if mode == "reflect" and any(max(b) >= n for b, n in zip(border, x.shape, strict=True)):
        raise OnnxError(f"a reflected border {border} needs longer axes than {x.shape}")
    return apply(ops.pad, x, widths=tuple(border), mode=mode, value=number)


def expand(call: Call, x: Tensor, shape: Any) -> Tensor:
    return x.expand(np.broadcast_shapes(x.shape, tuple(_numbers(shape))))


def identity(call: Call, x: Any) -> Any:
    return x


OPS: dict[str, Callable[..., Any]] = {
    "Abs": _unary(abs),
    "Add": _binary(lambda a, b: a + b),
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
    "Clip": clip,
    "Concat": concat,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Cos": _unary(lambda x: x.cos()),
    "Div": _binary(_divide),
    "Dropout": dropout,
    "Elu": lambda call, x: F.elu(x, call.get("alpha", float, 1.0)),
    "Erf": _unary(lambda x: apply(erf, x)),
    "Exp": _unary(lambda x: x.exp()),
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "Gelu": lambda call, x: F.gelu(x, call.get("approximate", str, "none")),
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "Identity": identity,
    "InstanceNormalization": instance_normalization,
    "LayerNormalization": layer_normalization,
    "LeakyRelu": lambda call, x: F.leaky_relu(x, call.get("alpha", float, 0.01)),
    "Log": _unary(lambda x: x.log()),
    "LogSoftmax": _softmax(F.log_softmax),
    "MatMul": lambda call, a, b: a @ b,
    "Max": _fold(maximum),
    "MaxPool": max_pool,
    "Mean": mean,
    "Min": _fold(minimum),
    "Mul": _binary(lambda a, b: a * b),
    "Neg": _unary(lambda x: -x),
    "Pad": pad,
    "Pow": _binary(lambda a, b: a**b),
    "ReduceMax": _reduce("max"),
    "ReduceMean": _reduce("mean"),
    "ReduceMin": _reduce("min"),
    "ReduceSum": _reduce("sum"),
    "Relu": _unary(F.relu),
    "Reshape": reshape,
    "Shape": shape,
    "Sigmoid": _unary(F.sigmoid),
    "Sin": _unary(lambda x: x.sin()),
    "Slice": slice_,
    "Softmax": _softmax(F.softmax),
    "Sqrt": _unary(lambda x: x.sqrt()),
    "Squeeze": squeeze,
    "Sub": _binary(lambda a, b: a - b),
    "Sum": _fold(lambda a, b: a + b),
    "Tanh": _unary(lambda x: x.tanh()),
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}

# Inputs that are read as numbers: they stay on the host.
ON_HOST = {
    "Clip": (1, 2), "Dropout": (1, 2), "Expand": (1,), "Pad": (1, 2, 3), "ReduceMax": (1,), "ReduceMean": (1,),
    "ReduceMin": (1,), "ReduceSum": (1,), "Reshape": (1,), "Slice": (1, 2, 3, 4), "Squeeze": (1,), "Unsqueeze": (1,),
}  # fmt: skip
STATISTICS = {"BatchNormalization": (3, 4)}  # inputs that are not learned
