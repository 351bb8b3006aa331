"""Weight initialisation, in place.  Values are drawn on the host from the stream "init", equal for every backend.

``fan_in`` is the number of inputs of one output, ``fan_out`` the number of outputs of one input.

>>> import xpnet
>>> layer = xpnet.nn.Linear(3, 2)
>>> bool(abs(xavier_uniform_(layer.weight).numpy()).max() <= (6 / (3 + 2)) ** 0.5)
True
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from xpnet.tensor import Tensor, no_grad
from xpnet_backends.random import state

T = TypeVar("T", bound=Tensor)

_GAINS = {"linear": 1.0, "identity": 1.0, "conv": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0),
          "selu": 0.75}  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that preserves the variance through a nonlinearity.  ``param`` is the slope of "leaky_relu"."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        known = ", ".join([*_GAINS, "leaky_relu"])
        raise ValueError(f"unknown nonlinearity {nonlinearity!r}: choose one of {known}")
    return _GAINS[nonlinearity]


def _fans(tensor: Tensor) -> tuple[int, int]:
    if tensor.ndim < 2:
        raise ValueError(f"fan-in and fan-out need at least two axes (O, I, ...), got shape {tensor.shape}")
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def _fill(tensor: T, values: np.ndarray) -> T:
    with no_grad():
        tensor.copy_(values.astype(tensor.dtype))
    return tensor


def _draw() -> np.random.Generator:
    return state.next("init").generator()


def constant_(tensor: T, value: float) -> T:
    """Fill with ``value``.

    >>> import xpnet
    >>> constant_(xpnet.nn.Linear(2, 1).bias, 0.5).tolist()
    [0.5]
    """
    return _fill(tensor, np.full(tensor.shape, value))


def zeros_(tensor: T) -> T:
    """Fill with zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: T) -> T:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def eye_(tensor: T) -> T:
    """The identity matrix."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_ needs a matrix, got shape {tensor.shape}")
    return _fill(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def uniform_(tensor: T, a: float = 0.0, b: float = 1.0) -> T:
    """Uniform in [a, b)."""
    return _fill(tensor, _draw().uniform(a, b, tensor.shape))


def normal_(tensor: T, mean: float = 0.0, std: float = 1.0) -> T:
    """Normal with mean ``mean`` and standard deviation ``std``."""
    return _fill(tensor, _draw().normal(mean, std, tensor.shape))


def trunc_normal_(tensor: T, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> T:
    """Normal, truncated to [a, b]: values outside are drawn again.

    Parameters
    ----------
    tensor : the tensor to fill.
    mean, std : of the normal distribution.
    a, b : the bounds.
    """
    if not a < b or b < mean - 4 * std or a > mean + 4 * std:
        raise ValueError(f"trunc_normal_: [{a}, {b}] must be an interval near mean {mean} (std {std})")
    rng = _draw()
    values = rng.normal(mean, std, tensor.shape)
    while (outside := (values < a) | (values > b)).any():
        values[outside] = rng.normal(mean, std, int(outside.sum()))
    return _fill(tensor, values)


def xavier_uniform_(tensor: T, gain: float = 1.0) -> T:
    """``U(±gain √(6 / (fan_in + fan_out)))`` (Glorot & Bengio 2010, eq. 16)."""
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: T, gain: float = 1.0) -> T:
    """``N(0, gain² · 2 / (fan_in + fan_out))`` (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    fan = _fans(tensor)[0 if mode == "fan_in" else 1]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(tensor: T, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> T:
    """``U(±gain √(3 / fan))`` (He, Zhang, Ren, Sun 2015, arXiv:1502.01852).

    Parameters
    ----------
    tensor : the tensor to fill.
    a : the slope of "leaky_relu".
    mode : "fan_in" keeps the variance in the forward pass, "fan_out" in the backward pass.
    nonlinearity : see ``calculate_gain``.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor: T, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu") -> T:
    """``N(0, gain² / fan)`` (He, Zhang, Ren, Sun 2015, arXiv:1502.01852).

    Parameters
    ----------
    tensor, a, mode, nonlinearity : as in ``kaiming_uniform_``.
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity))


def lecun_uniform_(tensor: T) -> T:
    """``U(±√(3 / fan_in))`` (LeCun, Bottou, Orr, Müller 1998, "Efficient BackProp")."""
    bound = math.sqrt(3.0 / _fans(tensor)[0])
    return uniform_(tensor, -bound, bound)


def lecun_normal_(tensor: T) -> T:
    """``N(0, 1 / fan_in)`` (LeCun, Bottou, Orr, Müller 1998, "Efficient BackProp")."""
    return normal_(tensor, 0.0, 1.0 / math.sqrt(_fans(tensor)[0]))


def orthogonal_(tensor: T, gain: float = 1.0) -> T:
    """Orthonormal rows (or columns, if there are more rows), times ``gain`` (Saxe et al. 2013, arXiv:1312.6120).

    Q of the QR decomposition of a normal matrix, multiplied by the signs of R's diagonal, is uniformly distributed.
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_ needs at least two axes, got shape {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    q, r = np.linalg.qr(_draw().normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return _fill(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))
