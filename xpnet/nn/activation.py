"""Activation functions as layers."""

from __future__ import annotations

from typing import ClassVar

from xpnet.nn import functional as F
from xpnet.nn.module import Module
from xpnet.tensor import Tensor, TensorLike


class Activation(Module):
    """Base of activation functions; its repr shows the options."""

    _options: ClassVar[tuple[str, ...]] = ()

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self._options)


class ReLU(Activation):
    """``max(x, 0)``.

    >>> from xpnet import tensor
    >>> ReLU()(tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, x: TensorLike) -> Tensor:
        return F.relu(x)


class LeakyReLU(Activation):
    """``x`` where x > 0, else ``negative_slope · x``."""

    _options = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x: TensorLike) -> Tensor:
        return F.leaky_relu(x, self.negative_slope)


class ELU(Activation):
    """``x`` where x > 0, else ``α (eˣ − 1)``."""

    _options = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: TensorLike) -> Tensor:
        return F.elu(x, self.alpha)


class GELU(Activation):
    """``x Φ(x)``.  ``approximate`` is "none" or "tanh"."""

    _options = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: TensorLike) -> Tensor:
        return F.gelu(x, self.approximate)


class Sigmoid(Activation):
    """``1 / (1 + e⁻ˣ)``."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.sigmoid(x)


class Tanh(Activation):
    """``tanh x``."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.tanh(x)


class Softmax(Activation):
    """``eˣⁱ / Σⱼ eˣʲ`` along ``dim``."""

    _options = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: TensorLike) -> Tensor:
        return F.softmax(x, self.dim)


class LogSoftmax(Activation):
    """``xᵢ − ln Σⱼ eˣʲ`` along ``dim``."""

    _options = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: TensorLike) -> Tensor:
        return F.log_softmax(x, self.dim)


class LogSigmoid(Activation):
    """``ln σ(x)``."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.logsigmoid(x)


class Softplus(Activation):
    """``ln(1 + e^βx) / β``, and x itself where ``βx > threshold``."""

    _options = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, x: TensorLike) -> Tensor:
        return F.softplus(x, self.beta, self.threshold)


class Softsign(Activation):
    """``x / (1 + |x|)``."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.softsign(x)


class Tanhshrink(Activation):
    """``x − tanh x``."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.tanhshrink(x)


class SiLU(Activation):
    """``x σ(x)``, also called swish."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.silu(x)


class Mish(Activation):
    """``x tanh ln(1 + eˣ)``."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.mish(x)


class CELU(Activation):
    """``x`` where x > 0, else ``α (e^(x/α) − 1)``."""

    _options = ("alpha",)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: TensorLike) -> Tensor:
        return F.celu(x, self.alpha)


class SELU(Activation):
    """``λ elu(x, α)`` with λ = 1.0507… and α = 1.6733…, which preserve mean 0 and variance 1."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.selu(x)


class GLU(Activation):
    """``a σ(b)``, where a and b are the halves of x along ``dim``."""

    _options = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: TensorLike) -> Tensor:
        return F.glu(x, self.dim)


class Softmin(Activation):
    """``e⁻ˣⁱ / Σⱼ e⁻ˣʲ`` along ``dim``."""

    _options = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: TensorLike) -> Tensor:
        return F.softmin(x, self.dim)
