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
    """In training each element is zero with probability ``p`` and else divided by ``1 − p``; in evaluation, identity.

    The mask is a function of (seed, path of this layer, step): the same on every backend and after a resume.  What is
    dropped is zero on purpose even if it was infinite or NaN, and so is its gradient.
    """

    def forward(self, x: TensorLike) -> Tensor:
        return F.dropout(x, self.p, training=self.training, path=self._path or "dropout")


class Dropout1d(_Dropout):
    """As ``Dropout``, whole channels at a time.  x (N, C, T)."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.dropout1d(x, self.p, training=self.training, path=self._path or "dropout")


class Dropout2d(_Dropout):
    """As ``Dropout``, whole channels at a time: neighbouring pixels tell the same.  x (N, C, H, W)."""

    def forward(self, x: TensorLike) -> Tensor:
        return F.dropout2d(x, self.p, training=self.training, path=self._path or "dropout")
