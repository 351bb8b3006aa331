"""Convert stored values to inputs and targets of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpnet_backends import Array, backend_of, to_numpy


def to_float(images: Array) -> Array:
    """Convert uint8 0..255 to float32 0..1; floating-point values are converted to float32 without scaling.

    >>> to_float(np.array([0, 255], dtype="uint8")).tolist()
    [0.0, 1.0]
    """
    if images.dtype == np.uint8:
        return images.astype("float32") * (1.0 / 255.0)
    return images.astype("float32", copy=False)


def one_hot(labels: Array, num_classes: int, dtype: Any = "float32") -> Array:
    """Rows of zeros with a one at the label.  labels (N, ...) -> (N, ..., num_classes).

    >>> one_hot(np.array([0, 2]), 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if labels.dtype.kind not in "iu":
        raise TypeError(f"one_hot: labels must be integers, got {labels.dtype}")
    if backend_of(labels).on_host and labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(f"one_hot: labels must lie in 0..{num_classes - 1}, got {labels.min()}..{labels.max()}")
    return (labels[..., None] == backend_of(labels).xp.arange(num_classes)).astype(dtype)


@dataclass(frozen=True)
class Normalize:
    """``y = (x − mean) / std``, with one mean and std, or one for each feature.

    For the channels of images (N, C, H, W) they are [[[a]], [[b]], ...], as ``fit(axis=(0, 2, 3))`` gives.

    >>> Normalize.fit(np.array([1.0, 3.0]))(np.array([1.0, 3.0, 5.0])).tolist()
    [-1.0, 1.0, 3.0]
    """

    mean: float | list[Any]
    std: float | list[Any]
    _brought: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)  # per backend

    @classmethod
    def fit(cls, x: Array, axis: int | tuple[int, ...] | None = None) -> Normalize:
        """Fit mean and deviation of the training data, over ``axis`` or all axes; a deviation of 0 counts as 1."""
        values = to_numpy(x)
        keep = axis is not None  # so that the result broadcasts with the features
        mean = np.asarray(values.mean(axis=axis, dtype=np.float64, keepdims=keep))
        std = np.asarray(values.std(axis=axis, dtype=np.float64, keepdims=keep))
        if keep and len(mean) == 1:  # the axis of the samples is not kept
            mean, std = mean[0], std[0]
        return cls(mean.tolist(), np.where(std == 0, 1.0, std).tolist())

    def __call__(self, x: Array) -> Array:
        if isinstance(self.mean, float) and isinstance(self.std, float):
            return (x - self.mean) * (1.0 / self.std)
        backend = backend_of(x)
        key = backend.name, str(x.dtype)
        if key not in self._brought:
            self._brought[key] = backend.asarray(self.mean, x.dtype), backend.asarray(self.std, x.dtype)
        mean, std = self._brought[key]
        return (x - mean) / std

    def state(self) -> dict[str, Any]:
        """As plain numbers, for JSON."""
        return {"mean": self.mean, "std": self.std}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Normalize:
        """Back from ``state()``."""
        return cls(state["mean"], state["std"])
