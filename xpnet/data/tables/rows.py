"""Splits of rows, and class weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpnet_backends import to_numpy
from xpnet_backends.random import Stream


def split_rows(
    rows: int, share: float, *, labels: Any = None, seed: int = 0, path: str = "data.split"
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers to keep and to hold out, each in order; with ``labels`` the same share of every class.

    A class whose share rounds to 0 is kept completely; if all are, one row of the largest class is held out.

    Raises: ``ValueError`` if one of the parts would be empty.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"the share to put aside must lie between 0 and 1, got {share!r}")
    order = Stream(seed, path).generator().permutation(rows)
    groups = [order] if labels is None else [order[labels[order] == label] for label in np.unique(labels)]
    counts = [round(share * len(group)) for group in groups]
    sizes = [len(group) for group in groups]
    if labels is not None and not any(counts) and max(sizes, default=0) > 1:
        counts[int(np.argmax(sizes))] = 1
    aside = np.concatenate([group[:count] for group, count in zip(groups, counts, strict=True)])
    if not 0 < len(aside) < rows:
        classes = "" if labels is None else f" in {len(groups)} classes"
        raise ValueError(f"{rows} rows{classes} are too few to put {share:.0%} of them aside")
    return np.setdiff1d(order, aside), np.sort(aside)


def class_weights(labels: Any, num_classes: int) -> np.ndarray:
    """``N / (C nᵢ)``: rare classes get larger weights.  labels (N,) of 0..C−1 -> (C,), float32.

    It is scikit-learn's "balanced"; the weight of a class that does not occur is 0.  Source: King and Zeng 2001.
    """
    values = to_numpy(labels) if hasattr(labels, "dtype") else np.asarray(labels)
    if values.dtype.kind not in "iu" or not values.size or values.min() < 0 or values.max() >= num_classes:
        raise ValueError(f"class_weights: labels must be whole numbers in 0..{num_classes - 1}, at least one")
    counts = np.bincount(values, minlength=num_classes)
    return np.where(counts, len(values) / (num_classes * np.maximum(counts, 1)), 0.0).astype(np.float32)
