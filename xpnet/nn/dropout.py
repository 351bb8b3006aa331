"""Dropout."""

from __future__ import annotations

from xpnet.nn import functional as F
from xpnet.nn.functional.checks import check_probability
from xpnet.nn.module import Module
from xpnet.tensor import Tensor, TensorLike


class _Dropout(Module):
    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = check_probability(type(self).__name__, p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout(_Dropout):
    """In training, each element is zero with probability ``p`` and divided by ``1 − p`` otherwise; in evaluation, x.

    The mask is a function of (seed, path of this layer, step).  So it is the same on every backend and after a resume.
    Dropped elements and their gradients are zero even if x is infinite or NaN.

    >>> import xpnet
    >>> x = xpnet.tensor([1.0, 2.0])
    >>> Dropout(0.5).eval()(x)
    tensor([1., 2.])
    """

    def forward(self, x: TensorLike) -> Tensor:
        return F.dropout(x, self.p, training=self.training, path=self._path or "dropout")


class Dropout1d(_Dropout):
    """Like ``Dropout``, but drops whole channels.  x (N, C, T)."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.dropout1d(x, self.p, training=self.training, path=self._path or "dropout")


class Dropout2d(_Dropout):
    """Like ``Dropout``, but drops whole channels, because neighbouring pixels are correlated.  x (N, C, H, W)."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.dropout2d(x, self.p, training=self.training, path=self._path or "dropout")
