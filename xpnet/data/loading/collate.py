"""Collate samples into batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpnet.tensor import Tensor
from xpnet_backends import Backend, backend_of, is_array


def default_collate(samples: Sequence[Any]) -> Any:
    """A batch from a list of samples: arrays are stacked, numbers become an array, texts remain a list.

    Tuples, named tuples, lists and dicts are collated entry by entry.  Python floats become float32, as everywhere.

    Raises: ``ValueError`` for arrays of different shapes, with the first that differs; ``TypeError`` for objects that
    do not fit into an array.

    >>> default_collate([(np.zeros(2), 1), (np.ones(2), 0)])
    (array([[0., 0.],
           [1., 1.]]), array([1, 0]))
    """
    if not samples:
        raise ValueError("there are no samples to make a batch of")
    first = samples[0]
    if isinstance(first, Tensor):
        return default_collate([s.data if isinstance(s, Tensor) else s for s in samples])
    if is_array(first):
        return _stacked(samples)
    if isinstance(first, (bool, int, float, np.generic)):
        numbers = np.array(samples)
        if numbers.dtype.kind not in "fiub":
            kinds = sorted({type(s).__name__ for s in samples})
            raise TypeError(f"numbers and other things in one place of the samples: {', '.join(kinds)}")
        return numbers.astype(np.float32) if any(type(s) is float for s in samples) else numbers
    if isinstance(first, (str, bytes)):
        return list(samples)
    if isinstance(first, Mapping):
        _check_alike(samples, [list(first)] * len(samples), [list(s) for s in samples], "keys")
        return {key: default_collate([s[key] for s in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        _check_alike(samples, [len(first)] * len(samples), [len(s) for s in samples], "lengths")
        parts = [default_collate([s[i] for s in samples]) for i in range(len(first))]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    raise TypeError(
        f"a sample holds a {type(first).__name__}, which cannot be put into an array: return arrays, numbers, texts, "
        "tuples or dicts from the dataset, or give the loader a collate_fn"
    )


def _stacked(samples: Sequence[Any]) -> Any:
    for i, sample in enumerate(samples):
        if sample.shape != samples[0].shape:
            raise ValueError(
                f"samples of different shapes in one batch: {tuple(samples[0].shape)}, and {tuple(sample.shape)} at "
                f"place {i}: bring them to one size in the dataset, pad them, or give the loader a collate_fn"
            )
    return backend_of(*samples).xp.stack(list(samples))


def _check_alike(samples: Sequence[Any], wanted: Sequence[Any], found: Sequence[Any], what: str) -> None:
    for i, (w, f) in enumerate(zip(wanted, found, strict=True)):
        if w != f:
            raise ValueError(f"samples with different {what} in one batch: {w}, and {f} at place {i}")


def brought(batch: Any, backend: Backend) -> Any:
    """The batch with every array on ``backend``."""
    if isinstance(batch, Tensor):
        return brought(batch.data, backend)
    if is_array(batch):
        home = backend_of(batch)
        return batch if home is backend else backend.asarray(home.to_numpy(batch))
    if isinstance(batch, Mapping):
        return {key: brought(value, backend) for key, value in batch.items()}
    if isinstance(batch, tuple):
        parts = [brought(part, backend) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)
    return [brought(part, backend) for part in batch] if isinstance(batch, list) else batch
