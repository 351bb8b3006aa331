"""Scalers of columns, fitted on the training part only.  Names and results are those of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from xpnet_backends import Array, backend_of, is_array, to_numpy

ScalerType = TypeVar("ScalerType", bound="_Scaler")


class _Scaler:
    """``y = (x − shift) / scale``: one shift and scale for a series (T,), one per column for (T, F)."""

    def __init__(self) -> None:
        self.shift: np.ndarray | None = None
        self.scale: np.ndarray | None = None

    def _learn(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError

    def fit(self: ScalerType, x: Any) -> ScalerType:
        """Fit on the training part; it must not contain values that will be predicted.

        Raises: ``ValueError`` for no values, or values that are not finite.
        """
        values = to_numpy(x).astype(np.float64) if is_array(x) else np.asarray(x, dtype=np.float64)
        if not values.ndim or not len(values):
            raise ValueError(f"{type(self).__name__}.fit needs at least one value, got shape {values.shape}")
        bad = ~np.isfinite(values)
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(f"{type(self).__name__}.fit: {values[place]} at {place}: fill it or leave it out")
        shift, scale = self._learn(values)
        self.shift, self.scale = shift, np.where(scale == 0.0, 1.0, scale)  # a constant column becomes constant
        return self

    def transform(self, x: Any) -> Array:
        """Scale values of the training part, or later values."""
        x, shift, scale = self._parts(x)
        return (x - shift) / scale

    def inverse_transform(self, y: Any) -> Array:
        """Transform back to the original units."""
        y, shift, scale = self._parts(y)
        return y * scale + shift

    def fit_transform(self, x: Any) -> Array:
        """Fit on values, and scale them."""
        return self.fit(x).transform(x)

    def _parts(self, x: Any) -> tuple[Array, Array, Array]:
        if self.shift is None or self.scale is None:
            raise ValueError(f"{type(self).__name__} knows nothing yet: call fit() with the training part first")
        x = x if is_array(x) else np.asarray(x)
        if self.shift.ndim and x.shape[-1:] != self.shift.shape:
            raise ValueError(f"{type(self).__name__} was fitted on {self.shift.size} columns, got shape {x.shape}")
        x = x if x.dtype.kind == "f" else x.astype("float64")
        backend = backend_of(x)
        return x, backend.asarray(self.shift, x.dtype), backend.asarray(self.scale, x.dtype)

    def state(self) -> dict[str, Any]:
        """As plain numbers, for JSON."""
        if self.shift is None or self.scale is None:
            raise ValueError(f"{type(self).__name__} knows nothing yet: call fit() with the training part first")
        return {"shift": self.shift.tolist(), "scale": self.scale.tolist()}

    @classmethod
    def from_state(cls: type[ScalerType], state: Mapping[str, Any]) -> ScalerType:
        """Back from ``state()``."""
        made = cls()
        made.shift, made.scale = np.asarray(state["shift"], np.float64), np.asarray(state["scale"], np.float64)
        return made


class StandardScaler(_Scaler):
    """``y = (x − mean) / deviation`` for every column; the population deviation, as in scikit-learn.

    >>> scaler = StandardScaler().fit([1.0, 2.0, 3.0])
    >>> scaler.inverse_transform(scaler.transform([4.0])).tolist()
    [4.0]
    """

    def _learn(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        # a deviation within rounding error counts as 0 (scikit-learn's bound)
        floor = len(values) * np.finfo(np.float64).eps * np.abs(mean)
        return np.asarray(mean), np.where(deviation <= floor, 0.0, deviation)


class MinMaxScaler(_Scaler):
    """``y = (x − low) / (high − low)`` for every column, scaled to ``feature_range``.

    >>> MinMaxScaler().fit([1.0, 2.0, 3.0]).transform([2.0, 4.0]).tolist()
    [0.5, 1.5]
    """

    def __init__(self, feature_range: Sequence[float] = (0.0, 1.0)) -> None:
        super().__init__()
        low, high = feature_range
        if not low < high:
            raise ValueError(f"feature_range must be (low, high) with low < high, got {tuple(feature_range)!r}")
        self.feature_range = (float(low), float(high))

    def _learn(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        low, spread = values.min(axis=0), np.ptp(values, axis=0)
        first, last = self.feature_range
        scale = np.where(spread == 0.0, 1.0, spread) / (last - first)
        return low - first * scale, scale
