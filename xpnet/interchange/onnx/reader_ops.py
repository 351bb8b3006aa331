"""The function of each ONNX op, by name.  Source: github.com/onnx/onnx/blob/main/docs/Operators.md.

Values are tensors.  Integers that describe shapes, and everything computed from them, stay NumPy arrays on the host.
An argument may be either.
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
    like_input,
    on_device,
    raw,
    to_host,
    together,
)
from xpnet.interchange.onnx.reader_labels import LABEL_OPS
from xpnet.interchange.onnx.reader_recurrent import gru, lstm, rnn
from xpnet.interchange.onnx.reader_resize import resize, upsample
from xpnet.interchange.onnx.reader_shapes import (
    best,
    by_method,
    concat,
    constant_of_shape,
    cum_sum,
    depth_to_space,
    expand,
    flatten,
    gather,
    gather_elements,
    identity,
    log_sum_exp,
    one_hot,
    pad,
    product,
    range_,
    reduced,
    reshape,
    shape,
    size,
    slice_,
    space_to_depth,
    split,
    squeeze,
    tile,
    transpose,
    trilu,
    unsqueeze,
    where,
)
from xpnet.nn import functional as F
from xpnet.ops.special import erf as erf_of
from xpnet.tensor import Tensor, apply, maximum, minimum
from xpnet.tensor import where as where_of
from xpnet_backends import Array, Namespace

# -- windows ---------------------------------------------------------------------------------------------------------


def _as_image(x: Tensor) -> Tensor:
    if not isinstance(x, Tensor) or x.ndim not in (3, 4):
        raise OnnxError(f"needs input (N, C, T) or (N, C, H, W), got {tuple(x.shape)}")
    return x if x.ndim == 4 else x.unsqueeze(2)


def _windows(call: Call, x: Tensor, kernel: Sequence[int]) -> dict[str, Any]:
    """Kernel, stride, dilation and padding on both sides of both axes; a sequence is an image of height 1."""
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
        raise OnnxError(f"auto_pad={mode!r} is not supported")
    totals = [max((-(-h // s) - 1) * s + r - h, 0) for h, s, r in zip(lengths, stride, reach, strict=True)]
    lower = [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in totals]
    return [(low, t - low) for low, t in zip(lower, totals, strict=True)]


def _more(length: int, stride: int, reach: int, border: tuple[int, int]) -> tuple[int, int]:
    """Extra padding at the end for a last, partial window, which must start inside the input or the left padding."""
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
        raise OnnxError("ConvTranspose is supported for images with explicit pads only")
    pads = call.window("pads", 4, 0, 0)
    if pads[:2] != pads[2:]:
        raise OnnxError(f"ConvTranspose with pads={pads} of unequal sides is not supported")
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
        raise OnnxError("AveragePool with dilations is not supported")
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
        raise OnnxError("BatchNormalization in training mode is not supported: export the network in evaluation mode")
    return F.batch_norm(x, mean.data, variance.data, scale, bias, eps=call.get("epsilon", float, 1e-5))[0]


def instance_normalization(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F.instance_norm(x, scale, bias, call.get("epsilon", float, 1e-5))


def layer_normalization(call: Call, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    axis = call.get("axis", int, -1)
    return F.layer_norm(x, x.shape[axis:], scale, bias, call.get("epsilon", float, 1e-5))


def group_normalization(call: Call, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """The scale is per group before version 21, and per channel from then on."""
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
        raise OnnxError(f"LpNormalization with p={p}, supported are 1 and 2")
    length = abs(x).sum(axis=axis, keepdims=True) if p == 1 else (x * x).sum(axis=axis, keepdims=True).sqrt()
    return x / where_of(length == 0.0, 1.0, length)


def lrn(call: Call, x: Tensor) -> Tensor:
    """``x / (bias + α/n Σ x²)^β``, summed over n neighbouring channels."""
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
    """Apply a function element by element; the result of a host array stays on the host."""

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
    """On tensors, or on the host if both operands are there.  A host array takes the dtype of the tensor."""
    return lambda call, a, b: function(*together(a, b))


def _divide(a: Any, b: Any) -> Any:
    """Integer division truncates towards zero."""
    x, y = raw(a), raw(b)
    if x.dtype.kind not in "iu":
        return a / b
    if not y.all():
        raise OnnxError("division of integers by zero")
    down = x // y
    return like_input(a, down + ((x % y != 0) & ((x < 0) != (y < 0))))


def _power(a: Any, b: Any) -> Any:
    whole = raw(a).dtype.kind in "iu"
    return like_input(a, (raw(a) ** raw(b)).astype(raw(a).dtype)) if whole else a**b


def mod(call: Call, a: Any, b: Any) -> Any:
    """The remainder has the sign of b, or of a with ``fmod``."""
    a, b = together(a, b)
    xp = a.backend.xp if isinstance(a, Tensor) else np
    if raw(a).dtype.kind in "iu" and not raw(b).all():
        raise OnnxError("the remainder of a division by zero")
    return like_input(a, (xp.fmod if call.get("fmod", int, 0) else xp.mod)(raw(a), raw(b)))


def _logical(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Comparisons and logical ops, which have no derivative."""

    def run(call: Call, a: Any, b: Any) -> Any:
        a, b = together(a, b)
        return like_input(a, function(raw(a), raw(b)))

    return run


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
    """Before version 13, over all axes from ``axis`` on together."""

    def run(call: Call, x: Tensor) -> Tensor:
        if call.version >= 13:
            return function(x, axis_of(call.get("axis", int, -1), x.ndim))
        axis = axis_of(call.get("axis", int, 1), x.ndim)
        return function(x.reshape(math.prod(x.shape[:axis]), -1), 1).reshape(x.shape)

    return run


_TEXT = 8


def cast(call: Call, x: Any) -> Any:
    code = call.get("to", int, None)
    if code == _TEXT and raw(x).dtype.kind in "iuU":
        return to_host(x).astype(np.str_)
    if code not in DTYPES:
        raise OnnxError(f"Cast to dtype {code} is not supported")
    dtype = DTYPES[code]
    if isinstance(x, Tensor) and dtype == "bool":
        return x != 0
    return x.astype(call.dtype if call.dtype and dtype.startswith("float") else dtype)


OPS: dict[str, Callable[..., Any]] = {
    "Abs": lambda call, x: abs(x),
    "Add": _binary(operator.add),
    "And": _logical(operator.and_),
    "ArgMax": best("argmax"),
    "ArgMin": best("argmin"),
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
    "ReduceL1": reduced(lambda x, **options: abs(x).sum(**options)),
    "ReduceL2": reduced(lambda x, **options: (x * x).sum(**options).sqrt()),
    "ReduceLogSum": reduced(lambda x, **options: x.sum(**options).log()),
    "ReduceLogSumExp": reduced(log_sum_exp),
    "ReduceMax": reduced(by_method("max")),
    "ReduceMean": reduced(by_method("mean")),
    "ReduceMin": reduced(by_method("min")),
    "ReduceProd": reduced(product),
    "ReduceSum": reduced(by_method("sum"), 13),
    "ReduceSumSquare": reduced(lambda x, **options: (x * x).sum(**options)),
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
    **LABEL_OPS,
}

# inputs whose numbers are read on the host
ON_HOST = {
    "Clip": (1, 2), "ConstantOfShape": (0,), "CumSum": (1,), "Dropout": (1, 2), "Expand": (1,), "OneHot": (1, 2),
    "Pad": (1, 2, 3), "Range": (0, 1, 2), "Reshape": (1,), "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Split": (1,),
    "Squeeze": (1,), "Tile": (1,), "Trilu": (1,), "Unsqueeze": (1,), "Upsample": (1,),
    **{name: (1,) for name in OPS if name.startswith("Reduce")},
}  # fmt: skip
STATISTICS = {"BatchNormalization": (3, 4)}  # inputs that are not trained
OUTPUTS = {"GRU": 2, "LSTM": 3, "RNN": 2, "Split": 1 << 16}  # ops that return a tuple, with its largest length
