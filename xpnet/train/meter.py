"""The numbers of an epoch, kept on the device until somebody looks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpnet_backends import Array, Backend, to_numpy


class Meter:
    """One value for each batch and quantity, and the mean over the samples.

    Writing a value is one copy on the backend; only ``mean`` and ``first_bad`` read, which on a device waits for it.
    """

    def __init__(self, backend: Backend, names: Sequence[str], batches: int) -> None:
        self._backend = backend
        self._values = {name: backend.xp.zeros(batches, dtype="float32") for name in names}
        self._sizes: list[int] = []

    def add(self, size: int, values: Mapping[str, Array]) -> None:
        """Note the means of a batch of ``size`` samples."""
        for name, value in values.items():
            self._values[name][len(self._sizes)] = value
        self._sizes.append(size)

    @property
    def batches(self) -> int:
        """How many batches were noted."""
        return len(self._sizes)

    @property
    def samples(self) -> int:
        """How many samples were noted."""
        return sum(self._sizes)

    def mean(self, name: str) -> float:
        """``Σ nᵢ vᵢ / Σ nᵢ`` over the batches so far, NaN before the first."""
        if not self._sizes:
            return math.nan
        values = to_numpy(self._values[name][: self.batches]).astype(np.float64)
        return float(np.dot(values, self._sizes) / self.samples)

    def means(self) -> dict[str, float]:
        """The mean of every quantity."""
        return {name: self.mean(name) for name in self._values}

    def value(self, name: str, batch: int) -> float:
        """The value of one batch."""
        return float(self._values[name][batch])

    def first_bad(self, name: str, last_only: bool = False) -> int | None:
        """The first batch whose value is not finite; with ``last_only`` just the last batch is looked at."""
        if last_only:
            last = self.batches - 1
            return None if math.isfinite(self.value(name, last)) else last
        bad = np.flatnonzero(~np.isfinite(to_numpy(self._values[name][: self.batches])))
        return int(bad[0]) if bad.size else None

    def state(self) -> tuple[dict[str, Array], list[int]]:
        """Values and sizes so far, to save in the middle of an epoch."""
        return {name: values[: self.batches].copy() for name, values in self._values.items()}, list(self._sizes)

    def restore(self, values: Mapping[str, Any], sizes: Sequence[int]) -> None:
        """Go on from a saved state.  Raises: ``ValueError`` where it has more batches than there are."""
        self._sizes = list(sizes)
        for name, vector in self._values.items():
            if len(sizes) > len(vector):
                raise ValueError(
                    f"the run was stopped after batch {len(sizes)} of an epoch, which has only {len(vector)} here: "
                    "the same batch size and data are needed to go on"
                )
            vector[: len(sizes)] = self._backend.asarray(to_numpy(values[name]))
