"""``Linear``, and layers that only reshape."""

from __future__ import annotations

import math
from typing import Any

from xpnet.nn import functional as F
from xpnet.nn import init
from xpnet.nn.module import Module, Parameter, new_parameter
from xpnet.tensor import Tensor, TensorLike, as_tensor
from xpnet_backends import Backend


class Linear(Module):
    """``y = x Wᵀ + b``.  x (..., I) -> y (..., O), weight (O, I), bias (O,).

    Initial weights and biases are uniform in ±1/√I, as in PyTorch.

    Parameters
    ----------
    in_features, out_features : I and O.
    bias : whether there is a bias.
    backend, dtype : of the parameters.

    >>> import xpnet
    >>> Linear(2, 3)(xpnet.tensor([[1.0, 2.0]])).shape
    (1, 3)
    """

    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"Linear: {name} must be a positive whole number, got {value!r}")
        self.in_features, self.out_features = in_features, out_features
        self.weight = new_parameter((out_features, in_features), backend, dtype)
        self.register_parameter("bias", new_parameter((out_features,), backend, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        bound = 1.0 / math.sqrt(self.in_features)
        init.uniform_(self.weight, -bound, bound)  # equal to kaiming_uniform_ with a = √5
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: TensorLike) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Identity(Module):
    """``y = x``."""

    def forward(self, x: TensorLike) -> Tensor:
        return as_tensor(x)


class Flatten(Module):
    """Merge axes ``start_dim`` to ``end_dim`` into one: (N, 1, 28, 28) -> (N, 784)."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: TensorLike) -> Tensor:
        return F.flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
