"""What keeps bad numbers out of the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from xpnet.tensor import Tensor
from xpnet_backends import Array, Backend


class Guard:
    """Watches losses and gradients of an epoch, and remembers the first update that was not finite.

    On the host every number is looked at, and a bad one stops the run at once.  On a device looking would stop the
    pipeline: a truth value there goes along, false from the first bad update on, so that none of the updates after it
    has an effect; it is read at the end of the epoch.  Either way the weights are those before the bad update.

    ``step`` is the random step now, ``done`` the updates of this epoch before a resume.  ``stopped`` says that a bad
    number was seen; only on the host.
    """

    def __init__(self, backend: Backend, step: int, done: int = 0) -> None:
        self._on_host, self._backend = backend.on_host, backend
        self._first_step, self.stopped = step - done, False
        self._updates = done
        self._fine: Any = None
        self._counted: Any = done  # updates that were fine; on a device a number there

    def passes(self, loss: Tensor) -> bool:
        """Whether to go on after a loss."""
        if self._on_host:
            self.stopped = not math.isfinite(float(loss.data))
            return not self.stopped
        fine = self._backend.xp.isfinite(loss.data)
        self._fine = fine if self._fine is None else self._fine & fine
        return True

    def admits(self, squares: Sequence[Array]) -> Array | None:
        """Count an update with these sums of squared gradients.  On a device: the truth value to hand to the step."""
        if self._on_host:
            self.stopped = not math.isfinite(sum(float(s) for s in squares))
            self._counted += not self.stopped
            return None
        for s in squares:
            self._fine = self._fine & self._backend.xp.isfinite(s)
        self._counted = self._counted + self._fine.astype("int64")
        self._updates += 1
        return self._fine

    def step_of(self, update: int) -> int:
        """The random step of an update of this epoch."""
        return self._first_step + update

    @property
    def good(self) -> int:
        """How many updates were fine before the first bad one; reading it waits for a device."""
        return int(self._counted)

    def found_bad(self) -> bool:
        """Whether any update was bad; reading it waits for a device."""
        return self.stopped if self._on_host else self.good < self._updates
