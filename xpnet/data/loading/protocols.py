"""The protocols of training data: datasets of samples and loaders of batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

Batch: TypeAlias = Any
"""``(inputs, target)``; ``(x1, x2, ..., target)``; a dict with a target among its entries; see ``batch.py``."""


@runtime_checkable
class Dataset(Protocol):
    """Samples by index: any object with ``__len__`` and ``__getitem__``.

    ``dataset[i]`` returns one sample, for i in 0 .. len − 1: a pair ``(input, target)``, a tuple, a dict, or an array.
    """

    def __len__(self) -> int:
        """The number of samples."""

    def __getitem__(self, index: Any, /) -> Any:
        """The sample at ``index``."""


@runtime_checkable
class Loader(Protocol):
    """Batches: any object that can be iterated, once for each epoch.

    ``len(loader)``, if it is defined, is the number of batches in an epoch.
    """

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the next epoch."""


@runtime_checkable
class ResumableLoader(Protocol):
    """A loader that can start within an epoch, so that an interrupted run continues exactly."""

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the next epoch, from the current position."""

    def state_dict(self) -> dict[str, int]:
        """``{"epoch": ..., "position": ...}``, the start of the next pass."""

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Start the next pass at a saved position."""
