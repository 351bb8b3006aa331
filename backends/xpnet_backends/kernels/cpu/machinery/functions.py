"""Scalar functions in float32 that vectorise: they use only products, sums, quotients and selects.

Each is accurate to a few units in the last place of its largest value; a test compares them with float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .compiler import inlined

FAR = np.float32(7.905311)  # above this, tanh is 1 in float32
SMALL = np.float32(4e-4)  # below this, tanh x is x in float32


@inlined
def tanh(x: Any) -> Any:
    """A rational function with the coefficients of Eigen's ``ptanh_float`` (Mozilla Public License 2.0)."""
    z = FAR if x > FAR else (-FAR if x < -FAR else x)  # NaN stays
    s = z * z
    p = np.float32(-2.76076847742355e-16)
    p = p * s + np.float32(2.00018790482477e-13)
    p = p * s + np.float32(-8.60467152213735e-11)
    p = p * s + np.float32(5.12229709037114e-08)
    p = p * s + np.float32(1.48572235717979e-05)
    p = p * s + np.float32(6.37261928875436e-04)
    p = p * s + np.float32(4.89352455891786e-03)
    q = np.float32(1.19825839466702e-06)
    q = q * s + np.float32(1.18534705686654e-04)
    q = q * s + np.float32(2.26843463243900e-03)
    q = q * s + np.float32(4.89352518554385e-03)
    one = np.float32(1.0)
    return x if abs(x) < SMALL else (one if x > FAR else (-one if x < -FAR else z * p / q))


@inlined
def expm1(x: Any) -> Any:
    """``eˣ − 1 = 2t / (1 − t)``, ``t = tanh(x/2)``, for x ≤ 0, without cancellation near 0."""
    t = tanh(np.float32(0.5) * x)
    return np.float32(2.0) * t / (np.float32(1.0) - t)


def _bits(_: Any, n: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.shl(builder.add(arguments[0], ir.IntType(32)(127)), ir.IntType(32)(23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(types.int32), generate


_power_of_two: Any = intrinsic(_bits)  # 2ⁿ for an integer n, by writing the exponent bits


@inlined
def exp(x: Any) -> Any:
    """``2ⁿ eʳ``, ``|r| ≤ ½ ln 2``, eʳ by a polynomial: Cephes' ``expf`` (S. Moshier)."""
    low, high = np.float32(-103.9721), np.float32(88.72284)  # beyond these, exp is 0 and infinity in float32
    z = high if x > high else (low if x < low else x)
    n = np.floor(z * np.float32(1.44269504) + np.float32(0.5))
    r = (z - n * np.float32(0.693359375)) - n * np.float32(-2.12194440e-4)  # ln 2 in two parts, so that r is accurate
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    whole = np.int32(n)
    half = whole >> np.int32(1)  # 2ⁿ as two factors, because n may lie outside the exponent range of normal numbers
    y = (p * r * r + r + np.float32(1.0)) * _power_of_two(half) * _power_of_two(whole - half)
    return np.float32(np.inf) if x > high else (np.float32(0.0) if x < low else y)


@inlined
def sigmoid(x: Any) -> Any:
    """``1 / (1 + e⁻ˣ)``, for negative x as ``eˣ / (1 + eˣ)``, which is accurate down to the smallest numbers."""
    e = exp(-abs(x))
    return (np.float32(1.0) if x >= np.float32(0.0) else e) / (np.float32(1.0) + e)


@inlined
def normal(x: Any, e: Any) -> Any:
    """The normal distribution function Φ(x), given ``e = e^(−x²/2)``.

    ``Φ(−z) = e t p(s)``, ``t = 1 / (1 + 0.34 z)``, ``s = 1 − t``.  This is accurate to a few units in the last place in
    both tails, unlike 1 minus the error function.  p is a fit of ``½ erfcx(z/√2) / t`` on 0 <= z <= 14.5 with
    p(0) = ½, for the smallest relative error (4e-8).
    """
    far = np.float32(14.0)  # above this, e is 0
    z = far if abs(x) > far else abs(x)
    t = np.float32(1.0) / (np.float32(1.0) + np.float32(0.34) * z)
    s = np.float32(0.34) * z * t
    p = np.float32(-2.594010246e-02)
    p = p * s + np.float32(6.889907105e-02)
    p = p * s + np.float32(-2.730422635e-02)
    p = p * s + np.float32(-3.056940824e-02)
    p = p * s + np.float32(-7.660866107e-02)
    p = p * s + np.float32(8.459009625e-02)
    p = p * s + np.float32(3.159151053e-01)
    p = p * s + np.float32(-6.733603909e-01)
    p = p * s + np.float32(0.5)
    tail = p * t * e
    return np.float32(1.0) - tail if x > np.float32(0.0) else tail
