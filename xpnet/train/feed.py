"""Batches for the training loop, from a loader or any other iterable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xpnet.data import Inputs, split_batch
from xpnet.nn import Module
from xpnet.serialization import CheckpointError


class Feed:
    """The batches of ``loader``, each as (inputs, target, whether it is the last of the epoch).

    A loader is any iterable.  With ``__len__`` the number of its batches is known in advance; with ``state_dict`` and
    ``load_state_dict`` an interrupted epoch can be resumed in the middle.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.resumable = hasattr(loader, "load_state_dict")
        self._once = iter(loader) is loader  # a generator yields its batches only once
        self._passes = self._begun = 0

    @property
    def size(self) -> int | None:
        """How many batches an epoch has, if the loader knows."""
        try:
            return len(self.loader)
        except TypeError:
            return None

    def start_at(self, epoch: int, position: int) -> None:
        """Prepare the next pass as that of ``epoch``, starting at batch ``position``.

        Raises: ``CheckpointError`` if the loader cannot start in the middle of an epoch.
        """
        self._begun = position
        if self.resumable:
            self.loader.load_state_dict({"epoch": epoch, "position": position})
        elif position:
            raise CheckpointError(
                f"the run was interrupted after batch {position} of an epoch, but a {type(self.loader).__name__} cannot"
                " start there: give it state_dict() and load_state_dict(), or use xpnet.data.DataLoader"
            )

    def check_passes(self, epochs: int) -> None:
        """Raises: ``ValueError`` for several epochs of a generator, which yields its batches only once."""
        if self._once and epochs > 1:
            raise ValueError(
                f"a {type(self.loader).__name__} gives its batches once, but there are several epochs: pass something "
                "that can be iterated again, such as a DataLoader, a list of batches, or an object with __iter__"
            )

    def __iter__(self) -> Iterator[tuple[Inputs, Any, bool]]:
        if self._passes:
            self.check_passes(2)
        self._passes += 1
        batches = iter(self.loader)
        held = next(batches, None)
        if held is None and not self._begun:
            raise ValueError(f"a {type(self.loader).__name__} gave no batch: is it empty, or was it used up before?")
        while held is not None:  # one batch ahead, because only the next one tells whether this is the last
            following = next(batches, None)
            inputs, target = split_batch(held)
            yield inputs, target, following is None
            held = following


def run(model: Module, inputs: Any) -> Any:
    """The model's output for the inputs of a batch."""
    return model(*inputs.arguments, **inputs.named) if isinstance(inputs, Inputs) else model(inputs)
