"""Piecewise-linear activation functions.  At a kink the slope is PyTorch's.  y has the shape of x.

NaN stays NaN, and its slope is PyTorch's.  Gradients are selected, not multiplied by 0, which would turn an infinite dy
into NaN.
"""

from __future__ import annotations

from xpnet_backends import Array, Namespace, pairwise_sum

from ._shared import Result, chosen, widened


def hardtanh(xp: Namespace, x: Array, *, low: float = -1.0, high: float = 1.0) -> Result:
    """``y = min(max(x, low), high)``;  ``dy/dx = 1`` where low < x < high, else 0 (``clip`` has 1 at the limits)."""
    outside = (x <= low) | (x >= high)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (chosen(xp, ~outside, dy),)

    return xp.clip(x, low, high), backward


def hardsigmoid(xp: Namespace, x: Array) -> Result:
    """``y = min(max(x + 3, 0), 6) / 6``;  ``dy/dx = 1/6`` where |x| < 3, else 0."""
    inside = (x > -3) & (x < 3)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (chosen(xp, inside, dy) / 6.0,)

    return xp.clip(x + 3.0, 0.0, 6.0) / 6.0, backward


@widened
def hardswish(xp: Namespace, x: Array) -> Result:
    """``y = x hardsigmoid(x)``;  ``dy/dx = x/3 + ½`` where |x| < 3, 0 below, 1 above.

    Howard et al. 2019, arXiv:1905.02244.
    """

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        slope = xp.where(x >= 3, 1.0, x / 3.0 + 0.5)
        return (xp.where(x <= -3, 0.0, dy * slope),)

    return x * (xp.clip(x + 3.0, 0.0, 6.0) / 6.0), backward


def hardshrink(xp: Namespace, x: Array, *, lambd: float = 0.5) -> Result:
    """``y = x`` where |x| > λ, else 0;  ``dy/dx = 1`` where |x| > λ, else 0."""
    inside = (x >= -lambd) & (x <= lambd)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (chosen(xp, ~inside, dy),)

    return xp.where(inside, 0.0, x), backward


def softshrink(xp: Namespace, x: Array, *, lambd: float = 0.5) -> Result:
    """``y = x − λ`` where x > λ, ``x + λ`` where x < −λ, else 0;  ``dy/dx = 1`` where |x| > λ, else 0."""
    inside = (x >= -lambd) & (x <= lambd)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (chosen(xp, ~inside, dy),)

    return x - xp.clip(x, -lambd, lambd), backward


def threshold(xp: Namespace, x: Array, *, threshold: float, value: float) -> Result:
    """``y = x`` where x > threshold, else ``value``;  ``dy/dx = 1`` where x > threshold, else 0."""
    below = x <= threshold

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (chosen(xp, ~below, dy),)

    return xp.where(below, value, x), backward


def prelu(xp: Namespace, x: Array, weight: Array) -> Result:
    """``y = x`` where x > 0, else ``w x`` with a learned w (He et al. 2015, arXiv:1502.01852).

    x (N, C, ...), weight (C,), or (1,) for all channels.  ``dx = dy`` where x > 0, else ``w dy``;  ``dw = Σ dy x`` over
    the elements of the channel with x <= 0.
    """
    positive = x > 0
    channels = weight.shape[0]
    w = weight.reshape(() if channels == 1 else (-1, *[1] * (x.ndim - 2)))  # (C, 1, ...)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        dx = xp.where(positive, dy, w * dy) if needs[0] else None
        dw = xp.where(positive, 0.0, x * dy) if needs[1] else None
        if dw is not None:
            axes = None if channels == 1 else tuple(i for i in range(x.ndim) if i != 1)
            dw = pairwise_sum(dw, axes).reshape(channels)
        return dx, dw

    return xp.where(positive, x, w * x), backward
