"""Loss layers, in every way their arguments can be used; the names and arguments are PyTorch's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

RNG = np.random.Generator(np.random.Philox(key=4))
X, Y, Z = (RNG.standard_normal((5, 3)) for _ in range(3))
P, Q = (RNG.uniform(0.05, 0.95, (5, 3)) for _ in range(2))
SIGNS, SIGN = RNG.choice([-1, 1], (5, 3)), RNG.choice([-1, 1], 5)
CLASSES, COUNTS = RNG.integers(0, 3, 5), RNG.integers(0, 5, (5, 3))
WEIGHT = np.array([0.5, 1.0, 2.0])
LOG_P = np.log(np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Case:
    """A loss layer, its arguments, and what it is called with; floating arrays have gradients, except ``constant``."""

    layer: str
    inputs: tuple[Any, ...]
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    constant: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        options = [f"{k}={'w' if isinstance(v, np.ndarray) else v}" for k, v in self.options.items()]
        return f"{self.layer}({','.join([*map(str, self.arguments), *options])}){[np.shape(x) for x in self.inputs]}"


def case(layer: str, *inputs: Any, args: tuple[Any, ...] = (), constant: tuple[int, ...] = (), **options: Any) -> Case:
    return Case(layer, inputs, args, options, constant)


CASES = [
    *(case(layer, X, Y, **options) for layer, options in (
        ("HuberLoss", {}), ("HuberLoss", {"reduction": "sum", "delta": 0.4}), ("SmoothL1Loss", {}),
        ("SmoothL1Loss", {"reduction": "none", "beta": 0.4}), ("SmoothL1Loss", {"beta": 0.0}),
    )),
    case("BCELoss", P, Q),
    case("BCELoss", P, Q, weight=WEIGHT, reduction="sum"),
    case("KLDivLoss", LOG_P, P),
    case("KLDivLoss", LOG_P, P, reduction="batchmean"),
    case("KLDivLoss", LOG_P, LOG_P[::-1].copy(), args=(), reduction="sum", log_target=True),
    case("GaussianNLLLoss", X, Y, P),
    case("GaussianNLLLoss", X, Y, P[:, :1].copy(), full=True, eps=1e-3, reduction="sum"),
    case("GaussianNLLLoss", X, Y, P[:, 0].copy(), reduction="none"),
    case("PoissonNLLLoss", X, P),
    case("PoissonNLLLoss", P, 3 * Q, args=(False, True), eps=1e-2, reduction="sum"),
    case("HingeEmbeddingLoss", X, SIGNS),
    case("HingeEmbeddingLoss", X, SIGNS, args=(0.4,), reduction="none"),
    case("MarginRankingLoss", X, Y, SIGNS),
    case("MarginRankingLoss", X[0], Y[0], SIGNS[0], args=(0.4,), reduction="sum"),
    case("MultiMarginLoss", X, CLASSES),
    case("MultiMarginLoss", X, CLASSES, args=(2, 0.4), weight=WEIGHT, reduction="none"),
    case("CosineEmbeddingLoss", X, Y, SIGN),
    case("CosineEmbeddingLoss", X, Y, SIGN, args=(-0.3,), reduction="none"),
    case("TripletMarginLoss", X, Y, Z),
    case("TripletMarginLoss", X, Y, Z, args=(2.0, 1.0, 1e-3, True), reduction="none"),
    case("CTCLoss", RNG.standard_normal((6, 5, 3)), 1 + CLASSES[:, None] % 2, (6, 5, 4, 3, 2), (1, 1, 1, 1, 1)),
]  # fmt: skip


def weights(shape: tuple[int, ...]) -> np.ndarray:
    """The gradient that comes from above."""
    return np.random.Generator(np.random.Philox(key=7)).uniform(0.5, 1.5, shape)
