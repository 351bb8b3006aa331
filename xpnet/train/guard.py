"""The guard keeps NaN and infinity out of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from xpnet_backends import Array, Backend


class Guard:
    """Checks the losses and gradients of an epoch, and records the first update that was not finite.

    On the CPU every number is checked, and a bad one stops the run at once.  On a GPU reading it would force a
    synchronisation.  Instead a flag on the device becomes false at the first bad update, and later updates have no
    effect; the flag is read at the end of the epoch.  In both cases the weights are those before the bad update.

    Both numbers on the device keep their place in memory.  ``stopped``, on the CPU only, is true after a bad number.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend, self._on_host = backend, backend.on_host
        self._fine = backend.xp.ones((), dtype=bool)
        self._counted: Any = backend.xp.zeros((), dtype="int64")  # number of good updates
        self.start(0)

    def start(self, step: int, done: int = 0) -> None:
        """Begin an epoch: ``step`` is the current random step, ``done`` the updates of this epoch before a resume."""
        self._first_step, self._updates, self.stopped = step - done, done, False
        self._fine[...] = True
        if self._on_host:
            self._counted = done
        else:
            self._counted[...] = done

    def passes(self, loss: Array, counts: Array | None = None) -> bool:
        """Whether to continue after a loss.  If ``counts`` is false nothing was counted, and NaN is allowed."""
        if self._on_host:
            self.stopped = not math.isfinite(float(loss)) and (counts is None or bool(counts))
            return not self.stopped
        self._take(loss.reshape(()), counts)
        return True

    def admits(self, squares: Sequence[Array], counts: Array | None = None) -> Array | None:
        """Check an update with these sums of squared gradients.

        Returns the flag for the optimizer's step, or None if the update is unconditional.
        """
        if self._on_host:
            empty = counts is not None and not bool(counts)
            self.stopped = not empty and not math.isfinite(sum(float(s) for s in squares))
            self._counted += not self.stopped
            return counts if empty else None
        for s in squares:
            self._take(s, counts)
        self._counted[...] += self._fine.astype("int64")
        return self._fine if counts is None else self._fine & counts

    def _take(self, number: Array, counts: Array | None) -> None:
        fine = self._backend.xp.isfinite(number)
        self._fine[...] &= fine if counts is None else fine | ~counts

    def lasting(self) -> Iterator[Array]:
        """Both numbers on the device."""
        yield self._fine
        yield self._counted

    def advance(self) -> None:
        """Advance the host's count of updates, also after a replay."""
        self._updates += 1

    def step_of(self, update: int) -> int:
        """The random step of an update of this epoch."""
        return self._first_step + update

    @property
    def good(self) -> int:
        """The number of good updates before the first bad one; reading it waits for a device."""
        return int(self._counted)

    def found_bad(self) -> bool:
        """Whether any update was bad; reading it waits for a device."""
        return self.stopped if self._on_host else self.good < self._updates
