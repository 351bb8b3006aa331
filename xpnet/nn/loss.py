"""Losses as layers."""

from __future__ import annotations

from typing import Any, ClassVar

from xpnet.nn import functional as F
from xpnet.nn.functional.checks import check_probability, check_reduction
from xpnet.nn.module import Module
from xpnet.tensor import Tensor, TensorLike, placed_tensor
from xpnet_backends import Array


class _Loss(Module):
    _options: ClassVar[tuple[str, ...]] = ()
    weight: Array | None
    pos_weight: Array | None

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = check_reduction(reduction)

    def _constant(self, name: str, values: Any) -> None:
        """Hold weights as a buffer, so that they move with the module."""
        self.register_buffer(name, None if values is None else placed_tensor(values).data)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in (*self._options, "reduction"))


class MSELoss(_Loss):
    """Mean squared error, ``(p − t)²``.

    >>> from xpnet import tensor
    >>> MSELoss()(tensor([1.0, 2.0]), tensor([1.0, 4.0]))
    tensor(2.)
    """

    def forward(self, prediction: TensorLike, target: TensorLike) -> Tensor:
        return F.mse_loss(prediction, target, self.reduction)


class L1Loss(_Loss):
    """Mean absolute error, ``|p − t|``."""

    def forward(self, prediction: TensorLike, target: TensorLike) -> Tensor:
        return F.l1_loss(prediction, target, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """``−w [q t ln σ(x) + (1 − t) ln(1 − σ(x))]``.  Logits x and targets t in 0..1 have the same shape.

    Parameters
    ----------
    weight : w, broadcasts to the shape of x.
    reduction : "mean", "sum" or "none".
    pos_weight : q, the weight of positives.

    >>> from xpnet import tensor
    >>> BCEWithLogitsLoss()(tensor([0.0]), tensor([1.0]))
    tensor(0.6931472)
    """

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self._constant("weight", weight)
        self._constant("pos_weight", pos_weight)

    def forward(self, x: TensorLike, target: TensorLike) -> Tensor:
        return F.binary_cross_entropy_with_logits(x, target, self.weight, self.reduction, self.pos_weight)


class NLLLoss(_Loss):
    """``−w_t log_p_t`` of class indices t, from log-probabilities.  log_p (N, C, ...), target (N, ...).

    Parameters
    ----------
    weight : w, one for each class.
    ignore_index : a target that does not count.
    reduction : "mean", "sum" or "none".
    """

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.ignore_index = ignore_index
        self._constant("weight", weight)

    def forward(self, log_p: TensorLike, target: TensorLike) -> Tensor:
        return F.nll_loss(log_p, target, self.weight, self.ignore_index, self.reduction)


class CrossEntropyLoss(_Loss):
    """``−Σ_c w_c q_c ln softmax(logits)_c`` of class indices or probabilities q.  See ``functional.cross_entropy``.

    logits (N, C, ...), target (N, ...) of class indices, or of the logits' shape.

    Parameters
    ----------
    weight : w, one for each class.
    ignore_index : a target that does not count.
    reduction : "mean", "sum" or "none".
    label_smoothing : the share of the uniform distribution that is mixed into q.

    >>> from xpnet import tensor
    >>> CrossEntropyLoss()(tensor([[0.0, 0.0]]), tensor([1]))
    tensor(0.6931472)
    """

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


class HuberLoss(_Loss):
    """``½ d²`` where |d| <= δ, else ``δ (|d| − ½ δ)``, d = p − t."""

    _options = ("delta",)

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, prediction: TensorLike, target: TensorLike) -> Tensor:
        return F.huber_loss(prediction, target, self.reduction, self.delta)


class SmoothL1Loss(_Loss):
    """``½ d² / β`` where |d| < β, else ``|d| − ½ β``, d = p − t."""

    _options = ("beta",)

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, prediction: TensorLike, target: TensorLike) -> Tensor:
        return F.smooth_l1_loss(prediction, target, self.reduction, self.beta)


class BCELoss(_Loss):
    """``−w [t ln x + (1 − t) ln(1 − x)]`` from probabilities x.  ``BCEWithLogitsLoss`` is more accurate."""

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self._constant("weight", weight)

    def forward(self, x: TensorLike, target: TensorLike) -> Tensor:
        return F.binary_cross_entropy(x, target, self.weight, self.reduction)


class KLDivLoss(_Loss):
    """``t (ln t − x)`` from log-probabilities x.  See ``functional.kl_div`` for "batchmean"."""

    _options = ("log_target",)

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__("mean")
        self.reduction = check_reduction(reduction, batchmean=True)
        self.log_target = log_target

    def forward(self, x: TensorLike, target: TensorLike) -> Tensor:
        return F.kl_div(x, target, self.reduction, self.log_target)


class GaussianNLLLoss(_Loss):
    """``½ [ln v + (x − t)² / v]``, from a predicted mean x and variance v.

    Parameters
    ----------
    full : add ``½ ln 2π``.
    eps : the smallest variance.
    reduction : "mean", "sum" or "none".
    """

    _options = ("full", "eps")

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full, self.eps = full, eps

    def forward(self, x: TensorLike, target: TensorLike, var: TensorLike) -> Tensor:
        return F.gaussian_nll_loss(x, target, var, self.full, self.eps, self.reduction)


class PoissonNLLLoss(_Loss):
    """``λ − t ln λ``, from ``ln λ``, or from λ unless ``log_input``.

    Parameters
    ----------
    log_input : x is ``ln λ``; otherwise x is λ, and the logarithm is ``ln(λ + eps)``.
    full : add ``ln t!`` by Stirling's formula where t > 1.
    eps : keeps the logarithm finite.
    reduction : "mean", "sum" or "none".
    """

    _options = ("log_input", "full", "eps")

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, x: TensorLike, target: TensorLike) -> Tensor:
        return F.poisson_nll_loss(x, target, self.log_input, self.full, self.eps, self.reduction)


class HingeEmbeddingLoss(_Loss):
    """``x`` for target 1, ``max(0, margin − x)`` for −1, where x is a distance."""

    _options = ("margin",)

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, x: TensorLike, target: TensorLike) -> Tensor:
        return F.hinge_embedding_loss(x, target, self.margin, self.reduction)


class MarginRankingLoss(_Loss):
    """``max(0, margin − t (x₁ − x₂))``: x₁ should exceed x₂ for target 1, and x₂ exceed x₁ for −1."""

    _options = ("margin",)

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: TensorLike, input2: TensorLike, target: TensorLike) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, self.margin, self.reduction)


class MultiMarginLoss(_Loss):
    """The multi-class hinge loss, ``w_t Σ_{c ≠ t} max(0, margin − x_t + x_c)ᵖ / C``.  x (N, C), target (N,).

    Parameters
    ----------
    p : the exponent, 1 or 2.
    margin : the margin.
    weight : w, one for each class.
    reduction : "mean", "sum" or "none".
    """

    _options = ("p", "margin")

    def __init__(self, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.p, self.margin = p, margin
        self._constant("weight", weight)

    def forward(self, x: TensorLike, target: TensorLike) -> Tensor:
        return F.multi_margin_loss(x, target, self.p, self.margin, self.weight, self.reduction)


class CosineEmbeddingLoss(_Loss):
    """``1 − cos(x₁, x₂)`` for target 1, ``max(0, cos − margin)`` for −1.  Inputs (N, D) or (D,), target (N,) or ()."""

    _options = ("margin",)

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, input1: TensorLike, input2: TensorLike, target: TensorLike) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, self.margin, self.reduction)


class TripletMarginLoss(_Loss):
    """``max(0, margin + d(a, p) − d(a, n))``, ``d(x, z) = ‖x − z + ε‖ₚ``.  All (N, D) or (D,).

    Parameters
    ----------
    margin : the margin.
    p : the exponent of the norm.
    eps : ε.
    swap : compare the negative with the nearer of anchor and positive.
    reduction : "mean", "sum" or "none".
    """

    _options = ("margin", "p", "eps", "swap")

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: TensorLike, positive: TensorLike, negative: TensorLike) -> Tensor:
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, self.reduction
        )


class CTCLoss(_Loss):
    """``−ln Σ_π Π_t p_t(π_t)`` over all alignments π of the labels.  See ``functional.ctc_loss`` and docs/ctc.md.

    Parameters
    ----------
    blank : the class of the blank.
    reduction : "mean" (divides each loss by its target's length first), "sum" or "none".
    zero_infinity : replace infinite losses, of targets longer than their input, by 0.
    """

    _options = ("blank", "zero_infinity")

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction)
        self.blank, self.zero_infinity = blank, zero_infinity

    def forward(
        self, log_probs: TensorLike, targets: TensorLike, input_lengths: TensorLike, target_lengths: TensorLike
    ) -> Tensor:
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )


class FocalLoss(_Loss):
    """``−a (1 − p_t)ᵞ ln p_t``: a cross-entropy that gives less weight to well-classified examples.

    Parameters
    ----------
    alpha : the weight of positives (0.25 by default; -1 for no weights), or with ``multiclass`` one weight per class.
    gamma : γ, how strongly easy examples are scaled down.
    reduction : "mean", "sum" or "none".
    multiclass : use softmax(x) and class indices; otherwise σ(x) and targets of the shape of x.
    ignore_index : a class index that does not count.
    """

    _options = ("gamma", "multiclass")

    def __init__(
        self,
        alpha: Any = None,
        gamma: float = 2.0,
        reduction: str = "mean",
        *,
        multiclass: bool = False,
        ignore_index: int = -100,
    ) -> None:
        super().__init__(reduction)
        if multiclass and isinstance(alpha, (int, float)):
            raise ValueError(f"FocalLoss: with multiclass alpha must be one weight for each class, got {alpha!r}")
        self.gamma, self.multiclass, self.ignore_index = gamma, multiclass, ignore_index
        self.alpha = 0.25 if alpha is None else alpha
        self._constant("weight", alpha if multiclass else None)

    def forward(self, x: TensorLike, target: TensorLike) -> Tensor:
        if self.multiclass:
            return F.focal_loss(x, target, self.weight, self.gamma, self.ignore_index, self.reduction)
        return F.sigmoid_focal_loss(x, target, self.alpha, self.gamma, self.reduction)
