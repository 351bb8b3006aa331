"""Penalties on the size of weights, for adding to the loss."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import add

from xpnet.nn.module import Module, Parameter
from xpnet.tensor import Tensor


def weights(model: Module) -> list[Parameter]:
    """The parameters with at least two axes (matrices and kernels).  Biases and scales are not penalised."""
    return [p for p in model.parameters() if p.ndim >= 2 and p.requires_grad]


def l1_penalty(parameters: Iterable[Parameter]) -> Tensor:
    """``Σ |w|``.  Its gradient is the sign of w, which does not shrink with w, so many weights become zero."""
    return _total([p.abs().sum() for p in parameters])


def l2_penalty(parameters: Iterable[Parameter]) -> Tensor:
    """``½ Σ w²``.  Its gradient is w, so ``λ l2_penalty`` equals SGD's ``weight_decay=λ``."""
    return 0.5 * _total([(p * p).sum() for p in parameters])


def _total(terms: list[Tensor]) -> Tensor:
    if not terms:
        raise ValueError("a penalty needs at least one parameter: was the iterator used up?")
    return reduce(add, terms)


class Penalty:
    """``l1 Σ|w| + l2 ½ Σw²`` over all matrices and kernels of a model (the elastic net, Zou & Hastie 2005).

    Usage with a trainer: ``Trainer(..., penalty=Penalty(l1=1e-5))``.
    """

    def __init__(self, *, l1: float = 0.0, l2: float = 0.0) -> None:
        if l1 < 0 or l2 < 0 or l1 + l2 == 0:
            raise ValueError(f"Penalty needs l1 >= 0 and l2 >= 0, one of them positive; got l1={l1!r}, l2={l2!r}")
        self.l1, self.l2 = l1, l2

    def __call__(self, model: Module) -> Tensor:
        found = weights(model)
        terms = [rate * term(found) for rate, term in ((self.l1, l1_penalty), (self.l2, l2_penalty)) if rate]
        return _total(terms)

    def __repr__(self) -> str:
        return f"Penalty(l1={self.l1!r}, l2={self.l2!r})"
