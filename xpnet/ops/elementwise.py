"""Arithmetic with broadcasting, and the elementary functions.

The derivatives are those of one element.  The gradient of a broadcast argument is the sum over its copies.
Binary ops also accept Python numbers, which never change the dtype of an array.
"""

from __future__ import annotations

import math
from typing import Any

from xpnet_backends import Array, Namespace, is_array

from ._shared import Result, chosen, shape_of, unbroadcast, with_sign_of


def add(xp: Namespace, a: Any, b: Any) -> Result:
    """``y = a + b``;  ``da = dy``, ``db = dy``."""
    a_shape, b_shape = shape_of(a), shape_of(b)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        da = unbroadcast(dy, a_shape) if needs[0] else None
        db = unbroadcast(dy, b_shape) if needs[1] else None
        return da, db

    return a + b, backward


def subtract(xp: Namespace, a: Any, b: Any) -> Result:
    """``y = a − b``;  ``da = dy``, ``db = −dy``."""
    a_shape, b_shape = shape_of(a), shape_of(b)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        da = unbroadcast(dy, a_shape) if needs[0] else None
        db = unbroadcast(-dy, b_shape) if needs[1] else None
        return da, db

    return a - b, backward


def multiply(xp: Namespace, a: Any, b: Any) -> Result:
    """``y = a b``, element by element;  ``da = dy b``, ``db = dy a``."""

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        da = unbroadcast(dy * b, shape_of(a)) if needs[0] else None
        db = unbroadcast(dy * a, shape_of(b)) if needs[1] else None
        return da, db

    return a * b, backward


def divide(xp: Namespace, a: Any, b: Any) -> Result:
    """``y = a / b``;  ``∂y/∂a = 1/b``, ``∂y/∂b = −a/b² = −y/b``."""
    y = a / b
    a_shape = shape_of(a)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        da = unbroadcast(dy / b, a_shape) if needs[0] else None
        db = unbroadcast(-dy * y / b, shape_of(b)) if needs[1] else None
        return da, db

    return y, backward


def power(xp: Namespace, a: Any, b: Any) -> Result:
    """``y = aᵇ``;  ``da = b aᵇ⁻¹ dy``, 0 where b = 0;  ``db = y ln a dy``, 0 where a = 0 <= b, NaN where a < 0."""
    y = a**b

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        da = unbroadcast(_through_base(xp, a, b, dy), shape_of(a)) if needs[0] else None
        db = None
        if needs[1]:
            still = (a == 0) & (b >= 0)
            db = unbroadcast(xp.where(still, 0.0, dy) * (y * _log(xp, a, b, still)), shape_of(b))
        return da, db

    return y, backward


def _through_base(xp: Namespace, a: Any, b: Any, dy: Array) -> Array:
    if not is_array(b):
        return xp.zeros_like(dy) if b == 0 else dy * (b * a ** (b - 1))
    still = b == 0
    return xp.where(still, 0.0, dy) * (b * a ** xp.where(still, 0.0, b - 1))


def _log(xp: Namespace, a: Any, b: Any, still: Array) -> Any:
    """``ln a``, but 0 where ``still``."""
    if not is_array(a):
        return math.log(a) if a > 0 else math.nan if a < 0 else xp.where(still, 0.0, -math.inf).astype(b.dtype)
    log = xp.where(a < 0, math.nan, xp.log(xp.where(a > 0, a, 1.0)))
    return xp.where((a == 0) & ~still, -math.inf, log)


def negative(xp: Namespace, x: Array) -> Result:
    """``y = −x``;  ``dx = −dy``."""

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (-dy,)

    return -x, backward


def absolute(xp: Namespace, x: Array) -> Result:
    """``y = |x|``;  ``dy/dx = sign x``, 0 at the kink x = 0."""

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (with_sign_of(xp, x, dy),)

    return xp.abs(x), backward


def exp(xp: Namespace, x: Array) -> Result:
    """``y = eˣ``;  ``dy/dx = y``."""
    y = xp.exp(x)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * y,)

    return y, backward


def log(xp: Namespace, x: Array) -> Result:
    """``y = ln x``;  ``dy/dx = 1/x``."""

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy / x,)

    return xp.log(x), backward


def sqrt(xp: Namespace, x: Array) -> Result:
    """``y = √x``;  ``dy/dx = 1/(2y)``."""
    y = xp.sqrt(x)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy / (2.0 * y),)

    return y, backward


def sin(xp: Namespace, x: Array) -> Result:
    """``y = sin x``;  ``dy/dx = cos x``."""

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * xp.cos(x),)

    return xp.sin(x), backward


def cos(xp: Namespace, x: Array) -> Result:
    """``y = cos x``;  ``dy/dx = −sin x``."""

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (-dy * xp.sin(x),)

    return xp.cos(x), backward


def maximum(xp: Namespace, a: Any, b: Any) -> Result:
    """``y = max(a, b)``;  ``da = dy`` where a > b, 0 where a < b;  ``db = dy`` where b > a, 0 where b < a.

    Both get ``dy / 2`` where they are equal, and dy if one is NaN, as in PyTorch.
    """
    return xp.maximum(a, b), _share_backward(xp, a, b, a_loses=a < b, b_loses=b < a)


def minimum(xp: Namespace, a: Any, b: Any) -> Result:
    """``y = min(a, b)``;  ``da = dy`` where a < b, 0 where a > b;  ``db = dy`` where b < a, 0 where b > a.

    Both get ``dy / 2`` where they are equal, and dy if one is NaN, as in PyTorch.
    """
    return xp.minimum(a, b), _share_backward(xp, a, b, a_loses=a > b, b_loses=b > a)


def _share_backward(xp: Namespace, a: Any, b: Any, *, a_loses: Array, b_loses: Array) -> Any:
    tie = a == b
    a_shape, b_shape = shape_of(a), shape_of(b)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        share = xp.where(tie, 0.5 * dy, dy)
        da = unbroadcast(chosen(xp, ~a_loses, share), a_shape) if needs[0] else None
        return da, unbroadcast(chosen(xp, ~b_loses, share), b_shape) if needs[1] else None

    return backward


def clip(xp: Namespace, x: Array, *, low: float | None = None, high: float | None = None) -> Result:
    """``y = min(max(x, low), high)``;  ``dy/dx = 1`` where ``low <= x <= high``, else 0."""
    inside = (x >= (-math.inf if low is None else low)) & (x <= (math.inf if high is None else high))

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (chosen(xp, inside, dy),)

    return xp.clip(x, low, high), backward


def where(xp: Namespace, condition: Array, a: Any, b: Any) -> Result:
    """``y = a`` where the condition holds, else b;  ``da = dy`` where it holds, ``db = dy`` where not, 0 elsewhere."""
    a_shape, b_shape = shape_of(a), shape_of(b)

    def backward(dy: Array, needs: tuple[bool, ...] = (False, True, True)) -> tuple[Array | None, ...]:
        da = unbroadcast(xp.where(condition, dy, 0.0), a_shape) if needs[1] else None
        db = unbroadcast(xp.where(condition, 0.0, dy), b_shape) if needs[2] else None
        return None, da, db

    return xp.where(condition, a, b), backward


def cast(xp: Namespace, x: Array, *, dtype: Any) -> Result:
    """``y = x`` in another floating dtype;  ``dx = dy`` in the dtype of x."""
    x_dtype = x.dtype

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy.astype(x_dtype),)

    return x.astype(dtype), backward
