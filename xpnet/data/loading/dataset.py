"""Datasets of arrays: inputs and targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpnet_backends import Array, backend_of, is_array, to_numpy
from xpnet_backends.random import Stream


class ArrayDataset:
    """``inputs`` (N, ...) and ``targets`` (N, ...), or None without targets.

    Both are stored on the backend of the inputs.

    Parameters
    ----------
    inputs, targets : arrays of the same length.
    classes : the names of the classes 0, 1, ...
    name : the name of the data.
    notes : remarks for the user of the data, e.g. what was guessed about a file.

    Raises: ``ValueError`` for unequal lengths or no data.

    >>> dataset = ArrayDataset(np.zeros((3, 2)), np.array([0, 1, 1]))
    >>> len(dataset), dataset.subset([2, 0]).targets.tolist()
    (3, [1, 0])
    """

    takes_many = True  # dataset[array of indices] returns a whole batch

    def __init__(
        self,
        inputs: Any,
        targets: Any = None,
        *,
        classes: Sequence[str] | None = None,
        name: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        self.inputs: Array = as_array(inputs)
        self.targets: Array | None = None if targets is None else _beside(self.inputs, as_array(targets))
        self.classes = None if classes is None else tuple(classes)
        self.name, self.notes = name, tuple(notes)
        if self.targets is not None and len(self.inputs) != len(self.targets):
            raise ValueError(f"inputs and targets differ in length: {len(self.inputs)} and {len(self.targets)}")
        if not len(self.inputs):
            raise ValueError(f"the dataset{' ' + name if name else ''} is empty: it has no samples")

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: Any) -> tuple[Array, Array | None]:
        return self.inputs[index], None if self.targets is None else self.targets[index]

    def subset(self, indices: Any) -> ArrayDataset:
        """The samples at ``indices``, in that order."""
        inputs, targets = self[indices]
        return ArrayDataset(inputs, targets, classes=self.classes, name=self.name, notes=self.notes)

    def check_finite(self) -> None:
        """Raises: ``ValueError`` if an input or target is NaN or infinite, with the position of the first one."""
        for what, array in (("inputs", self.inputs), ("targets", self.targets)):
            if array is None or array.dtype.kind != "f":
                continue
            bad = ~np.isfinite(to_numpy(array))
            if bad.any():
                first = tuple(int(i) for i in np.argwhere(bad)[0])
                value = to_numpy(array)[first]
                raise ValueError(
                    f"the {what} hold {int(bad.sum())} NaN or infinite values, the first ({value}) at {first}: "
                    "remove or fill them before training"
                )

    def __repr__(self) -> str:
        targets = "no targets" if self.targets is None else f"targets {self.targets.dtype}{tuple(self.targets.shape)}"
        return f"<ArrayDataset {self.name}: inputs {self.inputs.dtype}{tuple(self.inputs.shape)}, {targets}>"


def as_array(values: Any) -> Array:
    """An array of any backend unchanged, the array of a tensor, or a list as an array; its floats become float32."""
    if is_array(values):
        return values
    if is_array(held := getattr(values, "data", None)):  # a tensor
        return held
    array = np.asarray(values)
    return array.astype("float32") if isinstance(values, list | tuple) and array.dtype == "float64" else array


def _beside(inputs: Array, targets: Array) -> Array:
    """``targets`` on the backend of ``inputs``, so that one index array works for both."""
    there, here = backend_of(targets), backend_of(inputs)
    return targets if there is here else here.asarray(there.to_numpy(targets))


def train_val_split(dataset: ArrayDataset, size: float | int, seed: int = 0) -> tuple[ArrayDataset, ArrayDataset]:
    """Split off ``size`` random samples (a share below 1, or a number), drawn from the stream "data.split".

    Returns the rest and the samples split off, each in the original order.

    >>> train, val = train_val_split(ArrayDataset(np.zeros((10, 2)), np.arange(10)), 0.2)
    >>> len(train), len(val)
    (8, 2)
    """
    n = len(dataset)
    count = round(size * n) if isinstance(size, float) else size
    if isinstance(size, float) and not 0.0 < size < 1.0:
        raise ValueError(f"the share to put aside must lie between 0 and 1, got {size!r}")
    if not 0 < count < n:
        raise ValueError(f"cannot put {count} of {n} samples aside: both parts need at least one")
    order = Stream(seed, "data.split").generator().permutation(n)
    aside, rest = np.sort(order[:count]), np.sort(order[count:])
    if not backend_of(dataset.inputs).on_host:
        aside, rest = (backend_of(dataset.inputs).asarray(part) for part in (aside, rest))
    return dataset.subset(rest), dataset.subset(aside)
