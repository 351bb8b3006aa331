"""Functions of neural style transfer."""

from __future__ import annotations

from xpnet import ops
from xpnet.nn.functional.checks import check_reduction, floating
from xpnet.tensor import Tensor, TensorLike, apply


def gram_matrix(x: TensorLike) -> Tensor:
    """``F Fᵀ / (C H W)`` with the features F (C, H W) of an image.  (N, C, H, W) -> (N, C, C), or without N."""
    x = floating("gram_matrix", x)
    if x.ndim not in (3, 4) or not x.size:
        raise ValueError(f"gram_matrix: expected features (N, C, H, W) or (C, H, W), got {x.shape}")
    return apply(ops.gram_matrix, x)


def total_variation(x: TensorLike, p: int = 1, reduction: str = "mean") -> Tensor:
    """``Σ |difference of neighbours|ᵖ`` over the vertical and horizontal neighbours of each image; p is 1 or 2.

    (N, C, H, W) -> (N,) for "none".  "mean" is the mean over images, not over pixels.
    """
    x = floating("total_variation", x)
    if x.ndim != 4:
        raise ValueError(f"total_variation: expected images (N, C, H, W), got {x.shape}: a single one is x[None]")
    if p not in (1, 2):
        raise ValueError(f"total_variation: p must be 1 or 2, got {p!r}")
    return apply(ops.total_variation, x, p=p, reduction=check_reduction(reduction))
