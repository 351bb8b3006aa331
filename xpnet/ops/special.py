"""Special functions that NumPy lacks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from xpnet_backends import Array, Namespace

# W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969) 631-637; the
# coefficients are those of his CALERF.  Relative error below 1e-15 in float64.  Highest power first.
_P1 = (
    1.85777706184603153e-1,
    3.16112374387056560,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
_Q1 = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
_P2 = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
       2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
       1.23033935479799725e3)  # fmt: skip
_Q2 = (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
       3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3)  # fmt: skip
_P3 = (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
       1.60837851487422766e-2, 6.58749161529837803e-4)  # fmt: skip
_Q3 = (1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1, 6.05183413124413191e-2,
       2.33520497626869185e-3)  # fmt: skip


def polynomial(x: Array, coefficients: Sequence[float]) -> Array:
    """A polynomial by Horner's rule, highest power first."""
    y = x * coefficients[0] + coefficients[1]
    for c in coefficients[2:]:
        y = y * x + c
    return y


def erf(xp: Namespace, x: Array) -> Array:
    """``erf x = 2/√π ∫₀ˣ e^−t² dt``, accurate up to rounding."""
    if x.dtype == "float16":  # the coefficients overflow float16
        return erf(xp, x.astype("float32")).astype("float16")
    z = xp.abs(x)
    y = xp.where(z <= 0.46875, _near(xp, z), 1.0 - _far(xp, z))
    return xp.where(xp.isnan(x), x, xp.copysign(y, x))


def erfc(xp: Namespace, x: Array) -> Array:
    """``erfc x = 1 − erf x``, without the cancellation of this subtraction for large x."""
    if x.dtype == "float16":
        return erfc(xp, x.astype("float32")).astype("float16")
    z = xp.abs(x)
    y = xp.where(z <= 0.46875, 1.0 - _near(xp, z), _far(xp, z))
    return xp.where(x < 0, 2.0 - y, y)


def _near(xp: Namespace, z: Array) -> Array:
    """``erf z`` for 0 <= z <= 0.46875."""
    near = xp.minimum(z, 0.5)
    return z * polynomial(near * near, _P1) / polynomial(near * near, _Q1)


def _far(xp: Namespace, z: Array) -> Array:
    """``erfc z`` for z >= 0.46875."""
    middle, far = xp.clip(z, 0.46875, 4.0), xp.clip(z, 4.0, 30.0)
    medium = xp.exp(-middle * middle) * polynomial(middle, _P2) / polynomial(middle, _Q2)
    w = 1.0 / (far * far)
    tail = (1.0 / math.sqrt(math.pi) - w * polynomial(w, _P3) / polynomial(w, _Q3)) / far
    return xp.where(z <= 4.0, medium, xp.exp(-far * far) * tail)
