"""The protocol of the trainer's callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from xpnet.train.history import Row
from xpnet.train.meter import Meter

if TYPE_CHECKING:
    from xpnet.train.trainer import Trainer


class Callback(Protocol):
    """The trainer calls these methods in this order in every epoch.

    A callback that prints progress sets ``shows_progress = True``; ``fit`` then prints nothing.
    """

    def on_epoch_start(self, trainer: Trainer, epoch: int, batches: int) -> None:
        """Before the first batch of an epoch of ``batches`` batches; 0 where the loader does not know how many."""

    def on_batch_end(self, trainer: Trainer, meter: Meter) -> None:
        """After every step; reading the meter waits for the device."""

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """After the epoch's checkpoint was written."""
