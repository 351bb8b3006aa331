"""Dropout."""

from __future__ import annotations

from xpnet.nn import functional as F
from xpnet.nn.module import Module
from xpnet.tensor import Tensor, TensorLike


class Dropout(Module):
    """In training each element is zero with probability ``p`` and else divided by ``1 − p``; in evaluation, identity.

    The mask is a function of (seed, path of this layer, step): the same on every backend and after a resume.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = F.check_probability("Dropout", p)

    def forward(self, x: TensorLike) -> Tensor:
        return F.dropout(x, self.p, training=self.training, path=self._path or "dropout")

    def extra_repr(self) -> str:
        return f"p={self.p}"
