"""Layers as functions of tensors, with PyTorch's names and arguments.  Here inputs are checked; the math is in ops/."""

from __future__ import annotations

import math
from typing import Any

from xpnet import ops
from xpnet.tensor import Tensor, TensorLike, apply, as_tensor, concatenate, stack, where
from xpnet_backends import is_array
from xpnet_backends.random import state

__all__ = [
    "binary_cross_entropy_with_logits", "concatenate", "cross_entropy", "dropout", "elu", "flatten", "gelu", "l1_loss",
    "leaky_relu", "linear", "log_softmax", "mse_loss", "nll_loss", "one_hot", "relu", "sigmoid", "softmax", "stack",
    "tanh", "where",
]  # fmt: skip


def check_probability(name: str, p: float) -> float:
    """``p`` if it lies in 0..1.  Raises: ``ValueError``."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name} must be a probability between 0 and 1, got {p!r}")
    return p


def check_reduction(reduction: str) -> str:
    """``reduction`` if it is known.  Raises: ``ValueError``."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    return reduction


def _floating(name: str, x: TensorLike) -> Tensor:
    t = as_tensor(x)
    if t.dtype.kind != "f":
        raise TypeError(f"{name}: expected floating-point input, got {t.dtype}: convert it, e.g. x.astype('float32')")
    return t


def _array(x: TensorLike | None, like: Tensor) -> Any:
    """Constants of a loss: an array of the input's backend; lists and numbers are brought there."""
    if x is None or isinstance(x, Tensor):
        return x
    return x if is_array(x) else like.backend.asarray(x)


def linear(x: TensorLike, weight: TensorLike, bias: TensorLike | None = None) -> Tensor:
    """``y = x Wᵀ + b``.  x (..., I), weight (O, I), bias (O,) -> y (..., O)."""
    x = _floating("linear", x)
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"expected input of shape (..., {weight.shape[1]}), got {x.shape}{_flatten_hint(x, weight)}")
    return apply(ops.linear, x, weight, bias)


def _flatten_hint(x: Tensor, weight: TensorLike) -> str:
    fits = x.ndim > 2 and math.prod(x.shape[1:]) == weight.shape[1]
    return ": put nn.Flatten() in front" if fits else ""


def relu(x: TensorLike) -> Tensor:
    """``max(x, 0)``."""
    return apply(ops.relu, _floating("relu", x))


def leaky_relu(x: TensorLike, negative_slope: float = 0.01) -> Tensor:
    """``x`` where x > 0, else ``negative_slope · x``."""
    return apply(ops.leaky_relu, _floating("leaky_relu", x), negative_slope=negative_slope)


def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """``x`` where x > 0, else ``α (eˣ − 1)``."""
    return apply(ops.elu, _floating("elu", x), alpha=alpha)


def gelu(x: TensorLike, approximate: str = "none") -> Tensor:
    """``x Φ(x)``; ``approximate`` is "none" or "tanh"."""
    return apply(ops.gelu, _floating("gelu", x), approximate=approximate)


def sigmoid(x: TensorLike) -> Tensor:
    """``1 / (1 + e⁻ˣ)``."""
    return apply(ops.sigmoid, _floating("sigmoid", x))


def tanh(x: TensorLike) -> Tensor:
    """``tanh x``."""
    return apply(ops.tanh, _floating("tanh", x))


def softmax(x: TensorLike, dim: int = -1) -> Tensor:
    """``eˣⁱ / Σⱼ eˣʲ`` along ``dim``."""
    return apply(ops.softmax, _floating("softmax", x), axis=dim)


def log_softmax(x: TensorLike, dim: int = -1) -> Tensor:
    """``xᵢ − ln Σⱼ eˣʲ`` along ``dim``."""
    return apply(ops.log_softmax, _floating("log_softmax", x), axis=dim)


def flatten(x: TensorLike, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes ``start_dim`` to ``end_dim`` as one."""
    t = as_tensor(x)
    start, end = start_dim % max(t.ndim, 1), end_dim % max(t.ndim, 1)
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} lies behind end_dim {end_dim} for shape {t.shape}")
    return t.reshape(*t.shape[:start], math.prod(t.shape[start : end + 1]), *t.shape[end + 1 :])


def dropout(x: TensorLike, p: float = 0.5, training: bool = True, *, path: str = "dropout") -> Tensor:
    """Zero with probability ``p``, else ``x / (1 − p)``; the identity unless ``training``.

    ``path`` names the random stream: two consumers of one path in one step still get different masks.
    """
    t = _floating("dropout", x)
    check_probability("dropout: p", p)
    if not training or p == 0.0:
        return t
    keep = state.next(path).mask(t.backend, t.shape, p=1.0 - p)
    return apply(ops.dropout, t, keep, p=p)


def one_hot(labels: TensorLike, num_classes: int) -> Tensor:
    """Rows of float32 zeros with a one at the label.  labels (N, ...) -> (N, ..., num_classes)."""
    labels = as_tensor(labels)
    _check_labels("one_hot", labels, num_classes)
    classes = labels.backend.xp.arange(num_classes)
    return Tensor((labels.data[..., None] == classes).astype("float32"))


def _check_same_shape(name: str, prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise ValueError(
            f"{name}: prediction has shape {prediction.shape}, target {target.shape}: they must be equal (broadcasting "
            "here is nearly always a mistake); reshape one of them, e.g. target.reshape(-1, 1)"
        )


def mse_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """Mean squared error, ``(p − t)²``.  Both of one shape."""
    prediction, target = _floating("mse_loss", prediction), _floating("mse_loss", target)
    _check_same_shape("mse_loss", prediction, target)
    return apply(ops.mse_loss, prediction, target, reduction=check_reduction(reduction))


def l1_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """Mean absolute error, ``|p − t|``.  Both of one shape."""
    prediction, target = _floating("l1_loss", prediction), _floating("l1_loss", target)
    _check_same_shape("l1_loss", prediction, target)
    return apply(ops.l1_loss, prediction, target, reduction=check_reduction(reduction))


def binary_cross_entropy_with_logits(
    x: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    reduction: str = "mean",
    pos_weight: TensorLike | None = None,
) -> Tensor:
    """``−w [q t ln σ(x) + (1 − t) ln(1 − σ(x))]``.  x and target of one shape, target in 0..1; q is ``pos_weight``."""
    x, target = _floating("binary_cross_entropy_with_logits", x), as_tensor(target)
    target = target if target.dtype.kind == "f" else target.astype(x.dtype)
    _check_same_shape("binary_cross_entropy_with_logits", x, target)
    weights = _array(weight, x), _array(pos_weight, x)
    return apply(ops.binary_cross_entropy_with_logits, x, target, *weights, reduction=check_reduction(reduction))


def nll_loss(
    log_p: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """``−w_t ln p_t`` from log-probabilities.  log_p (N, C, ...), target (N, ...) of class numbers 0..C−1."""
    log_p, target = _floating("nll_loss", log_p), as_tensor(target)
    _check_class_numbers("nll_loss", log_p, target, weight, ignore_index)
    options: dict[str, Any] = {"ignore_index": ignore_index, "reduction": check_reduction(reduction)}
    return apply(ops.nll_loss, log_p, target, _array(weight, log_p), **options)


def cross_entropy(
    logits: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """``−Σ_c w_c q_c ln softmax(logits)_c``.

    logits (N, C, ...); target (N, ...) of class numbers 0..C−1, or of the logits' shape: one-hot, or probabilities.
    "mean" divides by the sum of the targets' weights, by N for probabilities.  On a host a label that is no class is
    an error; on a device, where looking costs a synchronisation, it makes the loss NaN.
    """
    logits, target = _floating("cross_entropy", logits), as_tensor(target)
    check_probability("cross_entropy: label_smoothing", label_smoothing)
    if target.shape == logits.shape and logits.ndim:
        target = target if target.dtype.kind == "f" else target.astype(logits.dtype)
        _check_weight("cross_entropy", logits, weight)
    else:
        _check_class_numbers("cross_entropy", logits, target, weight, ignore_index)
    options: dict[str, Any] = {"ignore_index": ignore_index, "reduction": check_reduction(reduction)}
    weights = _array(weight, logits)
    return apply(ops.cross_entropy, logits, target, weights, label_smoothing=label_smoothing, **options)


def _check_weight(name: str, logits: Tensor, weight: TensorLike | None) -> None:
    classes = logits.shape[min(logits.ndim - 1, 1)]
    if weight is not None and tuple(getattr(weight, "shape", (len(weight),))) != (classes,):
        raise ValueError(f"{name}: weight must have one entry for each of {classes} classes, got {weight!r}")


def _check_class_numbers(
    name: str, logits: Tensor, target: Tensor, weight: TensorLike | None, ignore_index: int
) -> None:
    if logits.ndim == 0:
        raise ValueError(f"{name}: expected input (N, C, ...), got a single number")
    axis = min(logits.ndim - 1, 1)
    expected = logits.shape[:axis] + logits.shape[axis + 1 :]
    if target.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: labels must be integers of shape {expected}, or probabilities of shape {logits.shape}; "
            f"got {target.dtype}{target.shape}: convert them, e.g. labels.astype('int64')"
        )
    if target.shape != expected:
        raise ValueError(f"{name}: input {logits.shape} needs labels of shape {expected}, got {target.shape}")
    _check_weight(name, logits, weight)
    _check_labels(name, target, logits.shape[axis], ignore_index)


def _check_labels(name: str, labels: Tensor, classes: int, ignore_index: int | None = None) -> None:
    """Labels in range; only on a host, for on a device looking at them would stop the pipeline."""
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: labels must be integers, got {labels.dtype}")
    if not labels.backend.on_host or not labels.size:
        return
    values = labels.data
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high < classes:
        return
    wrong = values[((values < 0) | (values >= classes)) & (values != ignore_index)]
    if wrong.size:
        raise ValueError(
            f"{name}: label {int(wrong[0])} is out of range for {classes} classes (0..{classes - 1}); "
            f"{wrong.size} of {values.size} labels are"
        )
