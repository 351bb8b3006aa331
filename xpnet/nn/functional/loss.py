"""Losses."""

from __future__ import annotations

from typing import Any

from xpnet import ops
from xpnet.nn.functional.checks import check_probability, check_reduction, constant, floating
from xpnet.tensor import Tensor, TensorLike, apply, as_tensor


def _check_same_shape(name: str, prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise ValueError(
            f"{name}: prediction has shape {prediction.shape}, target {target.shape}: they must be equal (broadcasting "
            "here is nearly always a mistake); reshape one of them, e.g. target.reshape(-1, 1)"
        )


def mse_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """Mean squared error, ``(p − t)²``.  Both of one shape."""
    prediction, target = floating("mse_loss", prediction), floating("mse_loss", target)
    _check_same_shape("mse_loss", prediction, target)
    return apply(ops.mse_loss, prediction, target, reduction=check_reduction(reduction))


def l1_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """Mean absolute error, ``|p − t|``.  Both of one shape."""
    prediction, target = floating("l1_loss", prediction), floating("l1_loss", target)
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
    x, target = floating("binary_cross_entropy_with_logits", x), as_tensor(target)
    target = target if target.dtype.kind == "f" else target.astype(x.dtype)
    _check_same_shape("binary_cross_entropy_with_logits", x, target)
    weights = constant(weight, x), constant(pos_weight, x)
    return apply(ops.binary_cross_entropy_with_logits, x, target, *weights, reduction=check_reduction(reduction))


def nll_loss(
    log_p: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """``−w_t ln p_t`` from log-probabilities.  log_p (N, C, ...), target (N, ...) of class numbers 0..C−1."""
    log_p, target = floating("nll_loss", log_p), as_tensor(target)
    _check_class_numbers("nll_loss", log_p, target, weight, ignore_index)
    options: dict[str, Any] = {"ignore_index": ignore_index, "reduction": check_reduction(reduction)}
    return apply(ops.nll_loss, log_p, target, constant(weight, log_p), **options)


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
    logits, target = floating("cross_entropy", logits), as_tensor(target)
    check_probability("cross_entropy: label_smoothing", label_smoothing)
    if target.shape == logits.shape and logits.ndim:
        target = target if target.dtype.kind == "f" else target.astype(logits.dtype)
        _check_weight("cross_entropy", logits, weight)
    else:
        _check_class_numbers("cross_entropy", logits, target, weight, ignore_index)
    options: dict[str, Any] = {"ignore_index": ignore_index, "reduction": check_reduction(reduction)}
    weights = constant(weight, logits)
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
    check_labels(name, target, logits.shape[axis], ignore_index)


def check_labels(name: str, labels: Tensor, classes: int, ignore_index: int | None = None) -> None:
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
