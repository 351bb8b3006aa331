"""Functions of a number in float32, made of what vectors can do: products, sums, quotients, choices.

Each is within a few units in the last place; ``tests/backends/test_compiled_kernels.py`` holds them to float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .machine import inlined

FAR = np.float32(7.905311)  # from here on, tanh is 1 in float32
SMALL = np.float32(4e-4)  # below, tanh x is x


@inlined
def tanh(x: Any) -> Any:
    """A quotient of polynomials, as in Eigen (``generic_fast_tanh_float``, Mozilla Public License 2.0: the numbers)."""
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
    return x if abs(x) < SMALL else z * p / q


@inlined
def sigmoid(x: Any) -> Any:
    """``½ + ½ tanh(x/2)``, which cannot overflow."""
    return np.float32(0.5) + np.float32(0.5) * tanh(np.float32(0.5) * x)
