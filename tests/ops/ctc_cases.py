"""Batches for connectionist temporal classification, recorded from PyTorch in losses.npz."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """Logits of shape (T, N, C) drawn for the name; targets (N, S) and both lengths (N,) as they are."""

    name: str
    shape: tuple[int, int, int]
    targets: list[list[int]]
    input_lengths: list[int]
    target_lengths: list[int]
    options: dict[str, Any] = field(default_factory=dict)

    def _rng(self) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=int.from_bytes(self.name.encode()[-8:], "little")))

    def make(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Logits, targets, lengths: always the same."""
        lengths = np.array(self.input_lengths), np.array(self.target_lengths)
        return self._rng().standard_normal(self.shape), np.array(self.targets), *lengths

    def weights(self, shape: tuple[int, ...]) -> np.ndarray:
        """The gradient that comes from above."""
        return self._rng().uniform(0.5, 1.5, shape)


RAGGED = [[1, 2, 1, 3], [2, 2, 0, 0], [3, 1, 1, 0]]
FIT = ((9, 3, 4), RAGGED, [9, 7, 8], [4, 2, 3])
TIGHT = ((4, 3, 4), RAGGED, [4, 2, 3], [4, 2, 2])  # the second needs three steps for its repeated label
CASES = [
    *(Case(reduction, *FIT, {"reduction": reduction}) for reduction in ("mean", "sum", "none")),
    Case("blank last", (8, 3, 5), [[0, 1, 1], [2, 0, 3], [3, 3, 0]], [8, 6, 7], [3, 3, 2], {"blank": 4}),
    Case("blank between", (6, 2, 3), [[0, 2], [2, 2]], [6, 5], [2, 2], {"blank": 1, "reduction": "sum"}),
    Case("empty target", (5, 2, 3), [[1, 2], [1, 1]], [5, 4], [0, 2], {"reduction": "none"}),
    Case("empty target mean", (5, 2, 3), [[1, 2], [1, 1]], [5, 4], [0, 2]),
    Case("one step", (1, 2, 3), [[1], [2]], [1, 1], [1, 0], {"reduction": "none"}),
    Case("zero infinity", *TIGHT, {"zero_infinity": True}),
    Case("zero infinity none", *TIGHT, {"zero_infinity": True, "reduction": "none"}),
    Case("long", (60, 2, 6), [[1, 2, 3, 3, 4, 5, 5, 5, 1, 2], [4, 4, 4, 4, 1, 1, 1, 1, 0, 0]], [60, 41], [10, 8]),
]
