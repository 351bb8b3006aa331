"""What training asks of data: batches in a loop, and samples by number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

Batch: TypeAlias = Any
"""``(inputs, target)``; ``(x1, x2, ..., target)``; a dict with a target among its entries; see ``batch.py``."""


@runtime_checkable
class Dataset(Protocol):
    """Samples by number: anything with ``__len__`` and ``__getitem__``.

    ``dataset[i]`` gives one sample, for i in 0 .. len − 1: a pair ``(input, target)``, a tuple, a dict, or an array.
    """

    def __len__(self) -> int:
        """How many samples there are."""

    def __getitem__(self, index: Any, /) -> Any:
        """Sample number ``index``."""


@runtime_checkable
class Loader(Protocol):
    """Batches in a loop: anything that can be iterated, each time anew for an epoch.

    ``len(loader)``, where there is one, says how many batches an epoch has.
    """

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the next epoch."""


@runtime_checkable
class ResumableLoader(Protocol):
    """A loader that can start in the middle of an epoch, so that an interrupted run goes on exactly."""

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the next epoch, from its position on."""

    def state_dict(self) -> dict[str, int]:
        """``{"epoch": ..., "position": ...}``: where the next pass starts."""

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Start the next pass there."""
