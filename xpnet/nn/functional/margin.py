"""Margin losses."""

from __future__ import annotations

from xpnet import ops
from xpnet.nn.functional.checks import check_reduction, check_same_shape, constant, floating, target_of
from xpnet.nn.functional.loss import check_class_numbers
from xpnet.tensor import Tensor, TensorLike, apply, as_tensor


def hinge_embedding_loss(x: TensorLike, target: TensorLike, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """``x`` for target 1, ``max(0, margin − x)`` for −1, where x is a distance.  Shapes must be equal."""
    x = floating("hinge_embedding_loss", x)
    target = as_tensor(target)
    check_same_shape("hinge_embedding_loss", x, target)
    return apply(ops.hinge_embedding_loss, x, target.data, margin=margin, reduction=check_reduction(reduction))


def margin_ranking_loss(
    input1: TensorLike, input2: TensorLike, target: TensorLike, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """``max(0, margin − t (x₁ − x₂))``: x₁ should exceed x₂ for target 1, and x₂ exceed x₁ for −1.

    Parameters
    ----------
    input1, input2, target : x₁, x₂ and t, of equal shape.
    margin : the margin.
    reduction : "mean", "sum" or "none".
    """
    x1, x2 = floating("margin_ranking_loss", input1), floating("margin_ranking_loss", input2)
    target = target_of(target, x1)
    check_same_shape("margin_ranking_loss", x1, x2)
    check_same_shape("margin_ranking_loss", x1, target)
    return apply(ops.margin_ranking_loss, x1, x2, target.data, margin=margin, reduction=check_reduction(reduction))


def multi_margin_loss(
    x: TensorLike,
    target: TensorLike,
    p: int = 1,
    margin: float = 1.0,
    weight: TensorLike | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``w_t Σ_{c ≠ t} max(0, margin − x_t + x_c)ᵖ / C``.

    A label that is not a class raises an error on a CPU.  On a GPU it makes the loss NaN, because a check would force a
    synchronisation.

    Parameters
    ----------
    x : scores (N, C) or (C,).
    target : (N,) or () of class indices.
    p : the exponent, 1 or 2.
    margin : the margin.
    weight : w, one for each class.
    reduction : "mean", "sum" or "none".
    """
    x, target = floating("multi_margin_loss", x), as_tensor(target)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: p must be 1 or 2, got {p!r}")
    if x.ndim > 2:
        raise ValueError(f"multi_margin_loss: expected input (N, C) or (C,), got {x.shape}")
    check_class_numbers("multi_margin_loss", x, target, weight, None)
    weights, reduction = constant(weight, x), check_reduction(reduction)
    return apply(ops.multi_margin_loss, x, target, weights, p=p, margin=margin, reduction=reduction)


def cosine_embedding_loss(
    input1: TensorLike, input2: TensorLike, target: TensorLike, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """``1 − cos(x₁, x₂)`` for target 1, ``max(0, cos − margin)`` for −1.

    Parameters
    ----------
    input1, input2 : x₁ and x₂, (N, D) or (D,).
    target : (N,) or ().
    margin : the margin.
    reduction : "mean", "sum" or "none".
    """
    x1, x2 = floating("cosine_embedding_loss", input1), floating("cosine_embedding_loss", input2)
    target = as_tensor(target)
    check_same_shape("cosine_embedding_loss", x1, x2)
    if x1.ndim not in (1, 2) or target.shape != x1.shape[:-1]:
        raise ValueError(
            "cosine_embedding_loss: expected inputs (N, D) with a target (N,), or (D,) with a target (), got "
            f"{x1.shape} with {target.shape}"
        )
    return apply(ops.cosine_embedding_loss, x1, x2, target.data, margin=margin, reduction=check_reduction(reduction))


def triplet_margin_loss(
    anchor: TensorLike,
    positive: TensorLike,
    negative: TensorLike,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, margin + d(a, p) − d(a, n))``, ``d(x, z) = ‖x − z + ε‖ₚ``.

    Parameters
    ----------
    anchor, positive, negative : a, p and n, all (N, D) or (D,).
    margin : the margin.
    p : the exponent of the norm.
    eps : ε.
    swap : compare the negative with the nearer of anchor and positive.
    reduction : "mean", "sum" or "none".
    """
    a, near, far = (floating("triplet_margin_loss", x) for x in (anchor, positive, negative))
    if not margin > 0:
        raise ValueError(f"triplet_margin_loss: margin must be greater than 0, got {margin!r}")
    if not p > 0:
        raise ValueError(f"triplet_margin_loss: p must be greater than 0, got {p!r}")
    if not a.shape or a.shape != near.shape or a.shape != far.shape:
        raise ValueError(
            f"triplet_margin_loss: anchor, positive and negative must have equal shapes (N, D) or (D,), got {a.shape}, "
            f"{near.shape} and {far.shape}"
        )
    reduction = check_reduction(reduction)
    return apply(ops.triplet_margin_loss, a, near, far, margin=margin, p=p, eps=eps, swap=swap, reduction=reduction)
