"""Loss functions."""

from __future__ import annotations

from typing import Any

from xpnet import ops
from xpnet.nn.functional.checks import (
    check_labels,
    check_probability,
    check_reduction,
    check_same_shape,
    constant,
    floating,
    measured,
    target_of,
)
from xpnet.tensor import Tensor, TensorLike, apply, as_tensor


def mse_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """Mean squared error, ``(p − t)²``.  Shapes must be equal.

    >>> from xpnet import tensor
    >>> mse_loss(tensor([1.0, 2.0]), tensor([1.0, 4.0]))
    tensor(2.)
    """
    prediction, target = measured("mse_loss", prediction, target)
    return apply(ops.mse_loss, prediction, target, reduction=check_reduction(reduction))


def l1_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """Mean absolute error, ``|p − t|``.  Shapes must be equal."""
    prediction, target = measured("l1_loss", prediction, target)
    return apply(ops.l1_loss, prediction, target, reduction=check_reduction(reduction))


def huber_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """``½ d²`` where |d| <= δ, else ``δ (|d| − ½ δ)``, d = p − t.  Shapes must be equal.

    Parameters
    ----------
    prediction, target : p and t.
    reduction : "mean", "sum" or "none".
    delta : δ.
    """
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be greater than 0, got {delta!r}")
    prediction, target = measured("huber_loss", prediction, target)
    return apply(ops.huber_loss, prediction, target, delta=delta, reduction=check_reduction(reduction))


def smooth_l1_loss(prediction: TensorLike, target: TensorLike, reduction: str = "mean", beta: float = 1.0) -> Tensor:
    """``½ d² / β`` where |d| < β, else ``|d| − ½ β``, d = p − t.  Shapes must be equal.

    Parameters
    ----------
    prediction, target : p and t.
    reduction : "mean", "sum" or "none".
    beta : β.
    """
    if not beta >= 0:
        raise ValueError(f"smooth_l1_loss: beta must be at least 0, got {beta!r}")
    prediction, target = measured("smooth_l1_loss", prediction, target)
    return apply(ops.smooth_l1_loss, prediction, target, beta=beta, reduction=check_reduction(reduction))


def binary_cross_entropy_with_logits(
    x: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    reduction: str = "mean",
    pos_weight: TensorLike | None = None,
) -> Tensor:
    """``−w [q t ln σ(x) + (1 − t) ln(1 − σ(x))]``.

    Parameters
    ----------
    x, target : logits, and targets t in 0..1, of equal shape.
    weight : w, broadcasts to that shape.
    reduction : "mean", "sum" or "none".
    pos_weight : q, the weight of positives.

    >>> from xpnet import tensor
    >>> binary_cross_entropy_with_logits(tensor([0.0]), tensor([1.0]))
    tensor(0.6931472)
    """
    x = floating("binary_cross_entropy_with_logits", x)
    target = target_of(target, x)
    check_same_shape("binary_cross_entropy_with_logits", x, target)
    weights = constant(weight, x), constant(pos_weight, x)
    return apply(ops.binary_cross_entropy_with_logits, x, target, *weights, reduction=check_reduction(reduction))


def nll_loss(
    log_p: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """``−w_t ln p_t`` from log-probabilities.

    Parameters
    ----------
    log_p : log-probabilities (N, C, ...).
    target : (N, ...) of class indices 0..C−1.
    weight : w, one for each class.
    ignore_index : a target that does not count.
    reduction : "mean", "sum" or "none".
    """
    log_p, target = floating("nll_loss", log_p), as_tensor(target)
    check_class_numbers("nll_loss", log_p, target, weight, ignore_index)
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

    A label that is not a class raises an error on a CPU.  On a GPU it makes the loss NaN, because a check would force a
    synchronisation.

    Parameters
    ----------
    logits : (N, C, ...).
    target : (N, ...) of class indices 0..C−1, or one-hot vectors or probabilities q of the logits' shape.
    weight : w, one for each class.
    ignore_index : a target that does not count.
    reduction : "mean" (divides by the sum of the targets' weights, or by N for probabilities), "sum" or "none".
    label_smoothing : the share of the uniform distribution that is mixed into q.

    >>> from xpnet import tensor
    >>> cross_entropy(tensor([[0.0, 0.0]]), tensor([1]))
    tensor(0.6931472)
    """
    logits, target = floating("cross_entropy", logits), as_tensor(target)
    check_probability("cross_entropy: label_smoothing", label_smoothing)
    if target.shape == logits.shape and logits.ndim:
        target = target if target.dtype.kind == "f" else target.astype(logits.dtype)
        check_weight("cross_entropy", logits, weight)
    else:
        check_class_numbers("cross_entropy", logits, target, weight, ignore_index)
    options: dict[str, Any] = {"ignore_index": ignore_index, "reduction": check_reduction(reduction)}
    weights = constant(weight, logits)
    return apply(ops.cross_entropy, logits, target, weights, label_smoothing=label_smoothing, **options)


def check_weight(name: str, logits: Tensor, weight: TensorLike | None) -> None:
    """Check that there is one weight for each class.  Raises: ``ValueError``."""
    classes = logits.shape[min(logits.ndim - 1, 1)]
    if weight is not None and tuple(getattr(weight, "shape", (len(weight),))) != (classes,):
        raise ValueError(f"{name}: weight must have one entry for each of {classes} classes, got {weight!r}")


def check_class_numbers(
    name: str, logits: Tensor, target: Tensor, weight: TensorLike | None, ignore_index: int | None
) -> None:
    """Check class indices for logits (N, C, ...), and class weights.  Raises: ``ValueError``, ``TypeError``."""
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
    check_weight(name, logits, weight)
    check_labels(name, target, logits.shape[axis], ignore_index)
