"""Negative log-likelihood losses."""

from __future__ import annotations

import math

from xpnet import ops
from xpnet.nn.functional.checks import (
    check_range,
    check_reduction,
    check_same_shape,
    constant,
    floating,
    measured,
    target_of,
)
from xpnet.nn.functional.loss import check_class_numbers
from xpnet.tensor import Tensor, TensorLike, apply, as_tensor


def binary_cross_entropy(
    x: TensorLike, target: TensorLike, weight: TensorLike | None = None, reduction: str = "mean"
) -> Tensor:
    """``−w [t ln x + (1 − t) ln(1 − x)]``, with logarithms limited to at least −100.

    Values outside 0..1 raise an error on a CPU.  On a GPU they give NaN, because a check would force a synchronisation.

    Parameters
    ----------
    x, target : probabilities of equal shape.
    weight : w, broadcasts to that shape.
    reduction : "mean", "sum" or "none".
    """
    name = "binary_cross_entropy"
    x = floating(name, x)
    target = target_of(target, x)
    check_same_shape(name, x, target)
    check_range(name, x, 0, 1, "apply a sigmoid first, or use binary_cross_entropy_with_logits")
    check_range(f"{name}: target", target, 0, 1, "targets are probabilities")
    return apply(ops.binary_cross_entropy, x, target, constant(weight, x), reduction=check_reduction(reduction))


def kl_div(x: TensorLike, target: TensorLike, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """Kullback-Leibler divergence, ``t (ln t − x)``.

    Parameters
    ----------
    x : log-probabilities.
    target : t, or ``ln t`` if ``log_target``; of the shape of x.
    reduction : "batchmean" (the sum divided by the length of the first axis, which is the usual definition), "mean"
        (divided by the number of elements), "sum" or "none".
    log_target : whether the target is logarithmic.
    """
    x = floating("kl_div", x)
    target = target_of(target, x)
    check_same_shape("kl_div", x, target)
    return apply(ops.kl_div, x, target, reduction=check_reduction(reduction, batchmean=True), log_target=log_target)


def gaussian_nll_loss(
    x: TensorLike,
    target: TensorLike,
    var: TensorLike,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """``½ [ln v + (x − t)² / v]``, where v is ``var``, limited to at least ``eps``.

    Parameters
    ----------
    x, target : predicted mean and target, of equal shape.
    var : the variance: of the same shape, or with a last axis of length 1, or without the last axis, or a number.
    full : add ``½ ln 2π``.
    eps : the smallest variance.
    reduction : "mean", "sum" or "none".
    """
    x, target = measured("gaussian_nll_loss", x, target)
    if not eps > 0:
        raise ValueError(f"gaussian_nll_loss: eps must be greater than 0, got {eps!r}")
    if isinstance(var, (int, float)):
        var = x.backend.xp.full((), var, dtype=x.dtype)
    var = floating("gaussian_nll_loss", var)
    if var.ndim and var.shape == x.shape[:-1]:
        var = var.unsqueeze(-1)
    if var.shape not in ((), x.shape, (*x.shape[:-1], 1)):
        raise ValueError(
            f"gaussian_nll_loss: var must have the shape of the input {x.shape}, or {x.shape[:-1]}, or "
            f"{(*x.shape[:-1], 1)}, got {var.shape}"
        )
    check_range("gaussian_nll_loss: var", var, 0, math.inf, "a variance is not negative; predict its logarithm")
    return apply(ops.gaussian_nll_loss, x, target, var, full=full, eps=eps, reduction=check_reduction(reduction))


def poisson_nll_loss(
    x: TensorLike,
    target: TensorLike,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """``λ − t ln λ``.

    Parameters
    ----------
    x, target : prediction and counts t, of equal shape.
    log_input : x is ``ln λ``; otherwise x is λ, and the logarithm is ``ln(λ + eps)``.
    full : add ``ln t!`` by Stirling's formula where t > 1.
    eps : keeps the logarithm finite.
    reduction : "mean", "sum" or "none".
    """
    x = floating("poisson_nll_loss", x)
    target = target_of(target, x)
    check_same_shape("poisson_nll_loss", x, target)
    reduction = check_reduction(reduction)
    return apply(ops.poisson_nll_loss, x, target, log_input=log_input, full=full, eps=eps, reduction=reduction)


def sigmoid_focal_loss(
    x: TensorLike, target: TensorLike, alpha: float = 0.25, gamma: float = 2.0, reduction: str = "none"
) -> Tensor:
    """``−a (1 − p_t)ᵞ ln p_t`` of σ(x), as in torchvision.

    Parameters
    ----------
    x, target : logits, and targets in 0..1, of equal shape.
    alpha : the weight of positives; negatives have ``1 − alpha``; -1 for no weights.
    gamma : γ, how strongly easy examples are scaled down.
    reduction : "mean", "sum" or "none".
    """
    x = floating("sigmoid_focal_loss", x)
    target = target_of(target, x)
    check_same_shape("sigmoid_focal_loss", x, target)
    if alpha != -1 and not 0 <= alpha <= 1:
        raise ValueError(f"sigmoid_focal_loss: alpha must lie in 0..1, or be -1 for no weights, got {alpha!r}")
    _check_gamma("sigmoid_focal_loss", gamma)
    reduction = check_reduction(reduction)
    return apply(ops.sigmoid_focal_loss, x, target, alpha=alpha, gamma=gamma, reduction=reduction)


def focal_loss(
    logits: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """``−w_t (1 − p_t)ᵞ ln p_t`` of softmax(logits): ``cross_entropy`` for γ = 0, with the same mean.

    Parameters
    ----------
    logits : (N, C, ...).
    target : (N, ...) of class indices 0..C−1.
    weight : w, one for each class.
    gamma : γ, how strongly easy examples are scaled down.
    ignore_index : a target that does not count.
    reduction : "mean", "sum" or "none".
    """
    logits, target = floating("focal_loss", logits), as_tensor(target)
    check_class_numbers("focal_loss", logits, target, weight, ignore_index)
    _check_gamma("focal_loss", gamma)
    weights, reduction = constant(weight, logits), check_reduction(reduction)
    return apply(ops.focal_loss, logits, target, weights, gamma=gamma, ignore_index=ignore_index, reduction=reduction)


def _check_gamma(name: str, gamma: float) -> None:
    if not gamma >= 0:
        raise ValueError(f"{name}: gamma must be at least 0, got {gamma!r}")
