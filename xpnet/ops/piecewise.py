"""Activation functions made of straight pieces.  At a kink the slope is PyTorch's."""

from __future__ import annotations

from xpnet_backends import Array, Namespace

from ._shared import Result


def hardtanh(xp: Namespace, x: Array, *, low: float = -1.0, high: float = 1.0) -> Result:
    """``y = min(max(x, low), high)``;  slope 1 between the limits, 0 on and beyond them (``clip`` has 1 on them)."""
    inside = (x > low) & (x < high)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * inside,)

    return xp.clip(x, low, high), backward


def hardsigmoid(xp: Namespace, x: Array) -> Result:
    """``y = min(max(x + 3, 0), 6) / 6``;  slope 1/6 where |x| < 3."""
    inside = (x > -3) & (x < 3)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * inside / 6.0,)

    return xp.clip(x + 3.0, 0.0, 6.0) / 6.0, backward


def hardswish(xp: Namespace, x: Array) -> Result:
    """``y = x hardsigmoid(x)``;  slope ``x/3 + ½`` where |x| < 3, 0 below, 1 above.

    (Howard et al. 2019, arXiv:1905.02244.)
    """

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        slope = xp.where(x >= 3, 1.0, x / 3.0 + 0.5)
        return (xp.where(x <= -3, 0.0, dy * slope),)

    return x * (xp.clip(x + 3.0, 0.0, 6.0) / 6.0), backward


def hardshrink(xp: Namespace, x: Array, *, lambd: float = 0.5) -> Result:
    """``y = x`` where |x| > λ, else 0."""
    inside = (x >= -lambd) & (x <= lambd)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (xp.where(inside, 0.0, dy),)

    return xp.where(inside, 0.0, x), backward


def softshrink(xp: Namespace, x: Array, *, lambd: float = 0.5) -> Result:
    """``y = x − λ`` where x > λ, ``x + λ`` where x < −λ, else 0: what ``clip`` to ±λ leaves over."""
    inside = (x >= -lambd) & (x <= lambd)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (xp.where(inside, 0.0, dy),)

    return x - xp.clip(x, -lambd, lambd), backward


def threshold(xp: Namespace, x: Array, *, threshold: float, value: float) -> Result:
    """``y = x`` where x > threshold, else ``value``."""
    below = x <= threshold

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (xp.where(below, 0.0, dy),)

    return xp.where(below, value, x), backward


def prelu(xp: Namespace, x: Array, weight: Array) -> Result:
    """``y = x`` where x > 0, else ``w x``, w learned (He et al. 2015, arXiv:1502.01852).

    x (N, C, ...), weight (C,), or (1,) for all channels.  ``dw = Σ dy x`` over the elements of a channel below 0.
    """
    positive = x > 0
    channels = weight.shape[0]
    w = weight.reshape(() if channels == 1 else (-1, *[1] * (x.ndim - 2)))  # (C, 1, ...)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        dx = xp.where(positive, dy, w * dy) if needs[0] else None
        dw = xp.where(positive, 0.0, x * dy) if needs[1] else None
        if dw is not None:
            dw = dw.sum(axis=None if channels == 1 else tuple(i for i in range(x.ndim) if i != 1)).reshape(channels)
        return dx, dw

    return xp.where(positive, x, w * x), backward
