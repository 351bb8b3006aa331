"""Losses as layers."""

from __future__ import annotations

from typing import Any

from xpnet.nn import functional as F
from xpnet.nn.functional.checks import check_probability, check_reduction
from xpnet.nn.module import Module
from xpnet.tensor import Tensor, TensorLike, as_tensor
from xpnet_backends import Array


class _Loss(Module):
    weight: Array | None
    pos_weight: Array | None

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = check_reduction(reduction)

    def _constant(self, name: str, values: Any) -> None:
        """Hold weights as a buffer, so that they move with the module."""
        self.register_buffer(name, None if values is None else as_tensor(values).data)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"


class MSELoss(_Loss):
    """Mean squared error, ``(p − t)²``."""

    def forward(self, prediction: TensorLike, target: TensorLike) -> Tensor:
        return F.mse_loss(prediction, target, self.reduction)


class L1Loss(_Loss):
    """Mean absolute error, ``|p − t|``."""

    def forward(self, prediction: TensorLike, target: TensorLike) -> Tensor:
        return F.l1_loss(prediction, target, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy from logits.  See ``functional.binary_cross_entropy_with_logits``."""

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self._constant("weight", weight)
        self._constant("pos_weight", pos_weight)

    def forward(self, x: TensorLike, target: TensorLike) -> Tensor:
        return F.binary_cross_entropy_with_logits(x, target, self.weight, self.reduction, self.pos_weight)


class NLLLoss(_Loss):
    """Negative log-likelihood of class numbers, from log-probabilities."""

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.ignore_index = ignore_index
        self._constant("weight", weight)

    def forward(self, log_p: TensorLike, target: TensorLike) -> Tensor:
        return F.nll_loss(log_p, target, self.weight, self.ignore_index, self.reduction)


class CrossEntropyLoss(_Loss):
    """Cross-entropy of softmax(logits) against class numbers or probabilities.  See ``functional.cross_entropy``."""

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = check_probability("CrossEntropyLoss: label_smoothing", label_smoothing)
        self._constant("weight", weight)

    def forward(self, logits: TensorLike, target: TensorLike) -> Tensor:
        return F.cross_entropy(
            logits, target, self.weight, self.ignore_index, self.reduction, label_smoothing=self.label_smoothing
        )
