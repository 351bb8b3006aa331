"""Piecewise-linear activation functions as layers."""

from __future__ import annotations

from typing import Any

from xpnet.nn import functional as F
from xpnet.nn.activation import Activation
from xpnet.nn.init import constant_
from xpnet.nn.module import new_parameter
from xpnet.tensor import Tensor, TensorLike
from xpnet_backends import Backend


class ReLU6(Activation):
    """``min(max(x, 0), 6)``."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.relu6(x)


class Hardtanh(Activation):
    """``min(max(x, min_val), max_val)``."""

    _options = ("min_val", "max_val")

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        super().__init__()
        self.min_val, self.max_val = min_val, max_val

    def forward(self, x: TensorLike) -> Tensor:
        return F.hardtanh(x, self.min_val, self.max_val)


class Hardsigmoid(Activation):
    """``min(max(x + 3, 0), 6) / 6``."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.hardsigmoid(x)


class Hardswish(Activation):
    """``x hardsigmoid(x)``."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.hardswish(x)


class Hardshrink(Activation):
    """``x`` where |x| > ``lambd``, else 0."""

    _options = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, x: TensorLike) -> Tensor:
        return F.hardshrink(x, self.lambd)


class Softshrink(Activation):
    """``x − λ`` where x > λ, ``x + λ`` where x < −λ, else 0."""

    _options = ("lambd",)

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, x: TensorLike) -> Tensor:
        return F.softshrink(x, self.lambd)


class Threshold(Activation):
    """``x`` where x > ``threshold``, else ``value``."""

    _options = ("threshold", "value")

    def __init__(self, threshold: float, value: float) -> None:
        super().__init__()
        self.threshold, self.value = threshold, value

    def forward(self, x: TensorLike) -> Tensor:
        return F.threshold(x, self.threshold, self.value)


class PReLU(Activation):
    """``x`` where x > 0, else ``weight · x`` with one learned slope, or one for each channel.

    Parameters
    ----------
    num_parameters : 1, or the number of channels C of x (N, C, ...).
    init : the initial slope.
    backend, dtype : of the parameters.
    """

    _options = ("num_parameters",)

    def __init__(
        self,
        num_parameters: int = 1,
        init: float = 0.25,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if not isinstance(num_parameters, int) or num_parameters < 1:
            raise ValueError(f"PReLU: num_parameters must be a positive whole number, got {num_parameters!r}")
        self.num_parameters, self.init = num_parameters, init
        self.weight = new_parameter((num_parameters,), backend, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set every slope to ``init``."""
        constant_(self.weight, self.init)

    def forward(self, x: TensorLike) -> Tensor:
        return F.prelu(x, self.weight)
