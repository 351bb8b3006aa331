"""Ops of neural style transfer: the Gram matrix (style) and the total variation (smoothness) of images."""

from __future__ import annotations

from xpnet_backends import Array, Namespace, pairwise_sum
from xpnet_backends import matmul as product

from ._shared import Reduction, Result, reduce_loss, widened, with_sign_of


@widened
def gram_matrix(xp: Namespace, x: Array) -> Result:
    """``G = F Fᵀ / (C H W)`` with the features F (C, H W): which channels are active together, at any position.

    x (..., C, H, W) -> y (..., C, C);  ``dF = (dG + dGᵀ) F / (C H W)`` (Gatys et al. 2015, arXiv:1508.06576).
    """
    shape = x.shape
    features = x.reshape(*shape[:-2], shape[-2] * shape[-1])
    scale = 1.0 / (shape[-3] * shape[-2] * shape[-1])

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return ((product(dy + xp.swapaxes(dy, -1, -2), features) * scale).reshape(shape),)

    return product(features, xp.swapaxes(features, -1, -2)) * scale, backward


@widened
def total_variation(xp: Namespace, x: Array, *, p: int = 1, reduction: Reduction = "mean") -> Result:
    """``L = Σ |x_{i+1,j} − x_{i,j}|ᵖ + Σ |x_{i,j+1} − x_{i,j}|ᵖ`` for each image, p = 1 or 2.

    x (N, C, H, W) -> (N,) before the reduction.  ``dx_{i,j} = [s(x_{i,j} − x_{i−1,j}) − s(x_{i+1,j} − x_{i,j})] dL``,
    and the same along j, ``s(d) = sign d`` for p = 1, 2d for 2.
    Source: Rudin, Osher, Fatemi 1992, doi:10.1016/0167-2789(92)90242-F.
    """
    down, right = x[:, :, 1:] - x[:, :, :-1], x[:, :, :, 1:] - x[:, :, :, :-1]
    loss, spread = reduce_loss(xp, sum(pairwise_sum(xp.abs(d**p), (1, 2, 3)) for d in (down, right)), reduction)
    shape = x.shape

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        dloss = spread(dy)
        dloss = dloss.reshape(-1, 1, 1, 1) if dloss.ndim else dloss
        vertical, horizontal = (with_sign_of(xp, d, dloss) if p == 1 else 2.0 * d * dloss for d in (down, right))
        dx = xp.zeros(shape, dtype=down.dtype)
        dx[:, :, 1:] += vertical
        dx[:, :, :-1] -= vertical
        dx[:, :, :, 1:] += horizontal
        dx[:, :, :, :-1] -= horizontal
        return (dx,)

    return loss, backward
