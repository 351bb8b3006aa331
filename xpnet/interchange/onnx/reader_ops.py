"""What each ONNX op computes, by its name.  Source: github.com/onnx/onnx/blob/main/docs/Operators.md.

Values are tensors; whole numbers that describe shapes stay NumPy arrays on the host, and so does what is computed from
them.  An argument may be either.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xpnet import ops
from xpnet.interchange.onnx.messages import DTYPES, OnnxError
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
from xpnet.interchange.onnx.reader_recurrent import gru, lstm, rnn
from xpnet.interchange.onnx.reader_resize import resize, upsample
from xpnet.nn import functional as F
from xpnet.ops.special import erf as erf_of
from xpnet.tensor import Tensor, apply, concatenate, maximum, minimum
from xpnet.tensor import where as where_of
from xpnet_backends import Array, Namespace

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
    y = apply(ops.max_pool2d, image, **_windows(call, x, _kernel(call, x)))[0]
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


def group_normalization(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Before version 21 with a scale for each group, then for each channel."""
    groups, channels = call.get("num_groups", int, 1), x.shape[1]
    if groups < 1 or channels % groups:
        raise OnnxError(f"num_groups={groups} does not divide {channels} channels")
    if call.version < 21:
        scale, bias = (t.reshape(groups, 1).expand(groups, channels // groups).reshape(channels) for t in (scale, bias))
    return F.group_norm(x, groups, scale, bias, call.get("epsilon", float, 1e-5))


def rms_normalization(call: Call, x: Tensor, scale: Tensor) -> Tensor:
    axis = call.get("axis", int, -1)
    return F.rms_norm(x, x.shape[axis:], scale, call.get("epsilon", float, 1e-5))


def lp_normalization(call: Call, x: Tensor) -> Tensor:
    axis, p = axis_of(call.get("axis", int, -1), x.ndim), call.get("p", int, 2)
    if p not in (1, 2):
        raise OnnxError(f"LpNormalization with p={p}, known are 1 and 2")
    length = abs(x).sum(axis=axis, keepdims=True) if p == 1 else (x * x).sum(axis=axis, keepdims=True).sqrt()
    return x / where_of(length == 0.0, 1.0, length)


def lrn(call: Call, x: Tensor) -> Tensor:
    """``x / (bias + α/n Σ x²)^β``, the sum over n neighbouring channels."""
    n, c = call.get("size", int, 0), x.shape[1]
    if not 1 <= n <= MAX_WINDOW:
        raise OnnxError(f"LRN with size={n}")
    distance = np.arange(c) - np.arange(c)[:, None]  # the window of channel i: i − ⌊(n−1)/2⌋ to i + ⌈(n−1)/2⌉
    near = (distance >= -((n - 1) // 2)) & (distance <= n // 2)
    square = (x * x).reshape(x.shape[0], c, -1)
    total = (on_device(near.astype(x.dtype), x) @ square).reshape(x.shape)
    alpha, beta = call.get("alpha", float, 1e-4), call.get("beta", float, 0.75)
    y: Tensor = x / (total * (alpha / n) + call.get("bias", float, 1.0)) ** beta
    return y


def dropout(call: Call, x: Tensor, ratio: Any = None, training: Any = None) -> Tensor:
    p = call.get("ratio", float, 0.5) if ratio is None else float(to_host(ratio))
    return F.dropout(x, p, call.training)


# -- element by element ----------------------------------------------------------------------------------------------


def _unary(function: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """Of a host array it stays there."""

    def run(call: Call, x: Any) -> Any:
        return function(x) if isinstance(x, Tensor) else function(Tensor(np.asarray(x))).numpy()

    return run


def _plain(name: str) -> Callable[..., Any]:
    """A function without a derivative."""

    def run(call: Call, x: Any) -> Any:
        return like_input(x, getattr(x.backend.xp if isinstance(x, Tensor) else np, name)(raw(x)))

    return run


def hard_sigmoid(call: Call, x: Tensor) -> Tensor:
    y: Tensor = x * call.get("alpha", float, 0.2) + call.get("beta", float, 0.5)
    return y.clip(0.0, 1.0)


def prelu(call: Call, x: Tensor, slope: Tensor) -> Tensor:
    return F.relu(x) - slope * F.relu(-x)


def selu(call: Call, x: Tensor) -> Tensor:
    scale = call.get("gamma", float, 1.0507010221481323)
    y: Tensor = F.elu(x, call.get("alpha", float, 1.6732631921768188)) * scale
    return y


def shrink(call: Call, x: Tensor) -> Tensor:
    limit, bias = call.get("lambd", float, 0.5), call.get("bias", float, 0.0)
    return where_of(x > limit, x - bias, where_of(x < -limit, x + bias, 0.0))


def thresholded_relu(call: Call, x: Tensor) -> Tensor:
    return F.threshold(x, call.get("alpha", float, 1.0), 0.0)


def erf(xp: Namespace, x: Array) -> Any:
    """``erf x``;  ``dy/dx = 2/√π e^−x²``."""

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * (2.0 / math.sqrt(math.pi)) * xp.exp(-x * x),)

    return erf_of(xp, x), backward


def _binary(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """On tensors, or on the host where both are there.  A host array beside a tensor takes its dtype."""
    return lambda call, a, b: function(*together(a, b))


def _divide(a: Any, b: Any) -> Any:
    """Whole numbers are cut towards zero."""
    x, y = raw(a), raw(b)
    if x.dtype.kind not in "iu":
        return a / b
    if not y.all():
        raise OnnxError("division of whole numbers by zero")
    down = x // y
    return like_input(a, down + ((x % y != 0) & ((x < 0) != (y < 0))))


def _power(a: Any, b: Any) -> Any:
    whole = raw(a).dtype.kind in "iu"
    return like_input(a, (raw(a) ** raw(b)).astype(raw(a).dtype)) if whole else a**b


def mod(call: Call, a: Any, b: Any) -> Any:
    """With the sign of b; with that of a where ``fmod``."""
    a, b = together(a, b)
    xp = a.backend.xp if isinstance(a, Tensor) else np
    if raw(a).dtype.kind in "iu" and not raw(b).all():
        raise OnnxError("the rest of a division by zero")
    return like_input(a, (xp.fmod if call.get("fmod", int, 0) else xp.mod)(raw(a), raw(b)))


def _logical(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Comparisons and truths: no derivative."""

    def run(call: Call, a: Any, b: Any) -> Any:
        a, b = together(a, b)
        return like_input(a, function(raw(a), raw(b)))

    return run


def where(call: Call, condition: Any, a: Any, b: Any) -> Any:
    condition, a, b = together(condition, a, b)
    if not isinstance(condition, Tensor):
        return np.where(condition, a, b)
    return where_of(condition, a, b)


def _fold(function: Callable[[Any, Any], Any], on_host: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def run(call: Call, x: Any, *rest: Any) -> Any:
        values = together(x, *rest)
        return functools.reduce(function if isinstance(values[0], Tensor) else on_host, values)

    return run


def mean(call: Call, x: Tensor, *rest: Tensor) -> Any:
    return functools.reduce(operator.add, rest, x) / (1 + len(rest))


def clip(call: Call, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    if call.version < 11:
        return x.clip(call.get("min", float, None), call.get("max", float, None))
    return x.clip(*(None if bound is None else to_host(bound).item() for bound in (low, high)))


def cast_like(call: Call, x: Any, like: Any) -> Any:
    return x.astype(raw(like).dtype)


def _softmax(function: Callable[[Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """Before version 13 over all axes from ``axis`` on, as one."""

    def run(call: Call, x: Tensor) -> Tensor:
        if call.version >= 13:
            return function(x, axis_of(call.get("axis", int, -1), x.ndim))
        axis = axis_of(call.get("axis", int, 1), x.ndim)
        return function(x.reshape(math.prod(x.shape[:axis]), -1), 1).reshape(x.shape)

    return run


def cast(call: Call, x: Any) -> Any:
    code = call.get("to", int, None)
    if code not in DTYPES:
        raise OnnxError(f"Cast to dtype {code} is not known here")
    dtype = DTYPES[code]
    if isinstance(x, Tensor) and dtype == "bool":
        return x != 0
    return x.astype(call.dtype if call.dtype and dtype.startswith("float") else dtype)


# -- shapes ----------------------------------------------------------------------------------------------------------


def reshape(call: Call, x: Any, shape: Any) -> Any:
    """0 keeps a length, -1 is what is left.

    A file made for one batch size says it in such shapes: where the batch differs, and leads in x, it replaces it.
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
        raise OnnxError(f"perm={axes} is no order of {x.ndim} axes")
    return x.transpose(tuple(axes))


def _axes(call: Call, axes: Any, since: int) -> list[int] | None:
    """Axes are an option before version ``since``, an input from then on."""
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


def _reduce(function: Callable[..., Any], since: int = 18) -> Callable[..., Any]:
    """``function(x, axis=..., keepdims=...)``; axes are an input since that version."""

    def run(call: Call, x: Any, axes: Any = None) -> Any:
        found = _axes(call, axes, since)
        if not found and call.get("noop_with_empty_axes", int, 0):
            return x
        axis = tuple(axis_of(a, x.ndim) for a in found) if found else None
        return function(x, axis=axis, keepdims=bool(call.get("keepdims", int, 1)))

    return run


def _by_method(name: str) -> Callable[..., Any]:
    return lambda x, **options: getattr(x, name)(**options)


def _product(x: Any, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
    """On the host at once, of tensors slice by slice."""
    if not isinstance(x, Tensor):
        return np.asarray(x.prod(axis=axis, keepdims=keepdims))
    axes = range(x.ndim) if axis is None else axis
    for a in axes:
        x = functools.reduce(operator.mul, (x[(*[slice(None)] * a, slice(i, i + 1))] for i in range(x.shape[a])))
    return x if keepdims else x.reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes))


def _log_sum_exp(x: Tensor, **options: Any) -> Tensor:
    return apply(ops.logsumexp, x, **options)


def _best(name: str) -> Callable[..., Any]:
    """The place of the largest or smallest element."""

    def run(call: Call, x: Any) -> Any:
        axis = axis_of(call.get("axis", int, 0), x.ndim)
        if call.get("select_last_index", int, 0):
            raise OnnxError("select_last_index is not known here")
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
        raise OnnxError(f"pads={widths} should be {2 * n} whole numbers in 0..{MAX_WINDOW}")
    border = [(0, 0)] * x.ndim
    for i, a in enumerate(along):
        border[a] = widths[i], widths[i + n]
    mode = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}.get(call.get("mode", str, "constant"))
    if mode is None:
        raise OnnxError(f"Pad with mode={call.options['mode']!r} is not known here")
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
    """Pieces of these sizes, or of equal ones but for the last."""
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
    """By a triangular matrix, so that it has its derivative."""
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
    """The one that the network is computed in, for floating numbers."""
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


OPS: dict[str, Callable[..., Any]] = {
    "Abs": lambda call, x: abs(x),
    "Add": _binary(operator.add),
    "And": _logical(operator.and_),
    "ArgMax": _best("argmax"),
    "ArgMin": _best("argmin"),
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
    "CastLike": cast_like,
    "Ceil": _plain("ceil"),
    "Celu": lambda call, x: F.celu(x, call.get("alpha", float, 1.0)),
    "Clip": clip,
    "Concat": concat,
    "ConstantOfShape": constant_of_shape,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Cos": _unary(lambda x: x.cos()),
    "CumSum": cum_sum,
    "DepthToSpace": depth_to_space,
    "Div": _binary(_divide),
    "Dropout": dropout,
    "Elu": lambda call, x: F.elu(x, call.get("alpha", float, 1.0)),
    "Equal": _logical(operator.eq),
    "Erf": _unary(lambda x: apply(erf, x)),
    "Exp": _unary(lambda x: x.exp()),
    "Expand": expand,
    "Flatten": flatten,
    "Floor": _plain("floor"),
    "GRU": gru,
    "Gather": gather,
    "GatherElements": gather_elements,
    "Gelu": lambda call, x: F.gelu(x, call.get("approximate", str, "none")),
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "Greater": _logical(operator.gt),
    "GreaterOrEqual": _logical(operator.ge),
    "GroupNormalization": group_normalization,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": _unary(F.hardswish),
    "Identity": identity,
    "InstanceNormalization": instance_normalization,
    "IsNaN": _plain("isnan"),
    "LRN": lrn,
    "LSTM": lstm,
    "LayerNormalization": layer_normalization,
    "LeakyRelu": lambda call, x: F.leaky_relu(x, call.get("alpha", float, 0.01)),
    "Less": _logical(operator.lt),
    "LessOrEqual": _logical(operator.le),
    "Log": _unary(lambda x: x.log()),
    "LogSoftmax": _softmax(F.log_softmax),
    "LpNormalization": lp_normalization,
    "MatMul": _binary(operator.matmul),
    "Max": _fold(maximum, np.maximum),
    "MaxPool": max_pool,
    "Mean": mean,
    "Min": _fold(minimum, np.minimum),
    "Mish": _unary(F.mish),
    "Mod": mod,
    "Mul": _binary(operator.mul),
    "Neg": lambda call, x: -x,
    "Not": _plain("logical_not"),
    "OneHot": one_hot,
    "Or": _logical(operator.or_),
    "PRelu": prelu,
    "Pad": pad,
    "Pow": _binary(_power),
    "RMSNormalization": rms_normalization,
    "RNN": rnn,
    "Range": range_,
    "Reciprocal": _unary(lambda x: 1.0 / x),
    "ReduceL1": _reduce(lambda x, **options: abs(x).sum(**options)),
    "ReduceL2": _reduce(lambda x, **options: (x * x).sum(**options).sqrt()),
    "ReduceLogSum": _reduce(lambda x, **options: x.sum(**options).log()),
    "ReduceLogSumExp": _reduce(_log_sum_exp),
    "ReduceMax": _reduce(_by_method("max")),
    "ReduceMean": _reduce(_by_method("mean")),
    "ReduceMin": _reduce(_by_method("min")),
    "ReduceProd": _reduce(_product),
    "ReduceSum": _reduce(_by_method("sum"), 13),
    "ReduceSumSquare": _reduce(lambda x, **options: (x * x).sum(**options)),
    "Relu": _unary(F.relu),
    "Reshape": reshape,
    "Resize": resize,
    "Round": _plain("rint"),
    "Selu": selu,
    "Shape": shape,
    "Shrink": shrink,
    "Sigmoid": _unary(F.sigmoid),
    "Sign": _plain("sign"),
    "Sin": _unary(lambda x: x.sin()),
    "Size": size,
    "Slice": slice_,
    "Softmax": _softmax(F.softmax),
    "Softplus": _unary(F.softplus),
    "Softsign": _unary(F.softsign),
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Sqrt": _unary(lambda x: x.sqrt()),
    "Squeeze": squeeze,
    "Sub": _binary(operator.sub),
    "Sum": _fold(operator.add, operator.add),
    "Tanh": _unary(lambda x: x.tanh()),
    "ThresholdedRelu": thresholded_relu,
    "Tile": tile,
    "Transpose": transpose,
    "Trilu": trilu,
    "Unsqueeze": unsqueeze,
    "Upsample": upsample,
    "Where": where,
    "Xor": _logical(operator.xor),
}

# Inputs that are read as numbers: they stay on the host.
ON_HOST = {
    "Clip": (1, 2), "ConstantOfShape": (0,), "CumSum": (1,), "Dropout": (1, 2), "Expand": (1,), "OneHot": (1, 2),
    "Pad": (1, 2, 3), "Range": (0, 1, 2), "Reshape": (1,), "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Split": (1,),
    "Squeeze": (1,), "Tile": (1,), "Trilu": (1,), "Unsqueeze": (1,), "Upsample": (1,),
    **{name: (1,) for name in OPS if name.startswith("Reduce")},
}  # fmt: skip
STATISTICS = {"BatchNormalization": (3, 4)}  # inputs that are not learned
OUTPUTS = {"GRU": 2, "LSTM": 3, "RNN": 2, "Split": 1 << 16}  # ops that give a tuple, of up to so many
