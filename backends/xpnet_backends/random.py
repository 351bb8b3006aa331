"""One counter-based random stream, with the same bits on every backend.

A random number is a pure function of where it is used: ``Philox(key = (seed, hash of path), counter = (block, step,
draw))``.  It does not depend on the draws of other consumers, on threads, or on evaluation in between.  The state to
save is a seed and a step.
Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from .base import Array, Backend
from .select import backend_of

_SCALE_24 = 1.0 / (1 << 24)  # float32 has 24 bits of mantissa
_SCALE_53 = 1.0 / (1 << 53)  # float64 has 53


@lru_cache(maxsize=4096)
def _hash(path: str) -> int:
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "little")


@dataclass(frozen=True, slots=True)
class Stream:
    """The random numbers of one consumer at one step.

    Equal streams give equal numbers.

    Parameters
    ----------
    seed : the seed, 0..2⁶⁴−1.
    path : the name of the consumer, e.g. "data.shuffle" or "model.3.dropout".
    step : the training step.
    draw : how often the consumer has drawn within the step.

    >>> from xpnet_backends import get_backend
    >>> Stream(seed=0, path="example").integers(get_backend("numpy"), 5, high=10).tolist()
    [7, 5, 1, 5, 5]
    """

    seed: int
    path: str
    step: int = 0
    draw: int = 0

    @property
    def key(self) -> tuple[int, int]:
        return self.seed, _hash(self.path)

    @property
    def counter(self) -> tuple[int, int, int, int]:
        return 0, self.step, self.draw, 0

    def words(self, backend: Backend, count: int) -> Array:
        """``count`` random 64-bit words, uint64."""
        return backend.philox(count, self.key, self.counter, state.step_on(backend, self))

    def bits(self, backend: Backend, count: int) -> Array:
        """``count`` random 32-bit words, uint32.  The low half of each 64-bit word comes first."""
        return self.words(backend, (count + 1) // 2).view("uint32")[:count]

    def uniform(self, backend: Backend, shape: tuple[int, ...], dtype: str = "float32") -> Array:
        """Uniform in [0, 1): float32 with 24 random bits, float64 with 53.  Bit-equal on every backend."""
        count = math.prod(shape)
        if dtype == "float64":
            return ((self.words(backend, count) >> 11).astype("float64") * _SCALE_53).reshape(shape)
        values = (self.bits(backend, count) >> 8).astype("float32") * _SCALE_24
        return values.astype(dtype, copy=False).reshape(shape)

    def integers(self, backend: Backend, shape: int | tuple[int, ...], *, high: int) -> Array:
        """Integers in [0, high), int64, for ``high`` up to 2³¹: ``⌊bits · high / 2³²⌋`` (bias below high/2³²)."""
        if not 0 < high <= 1 << 31:
            raise ValueError(f"high must be in 1..2**31, got {high}")
        shape = (shape,) if isinstance(shape, int) else shape
        bits = self.bits(backend, math.prod(shape)).astype("uint64")
        return ((bits * high) >> 32).astype("int64").reshape(shape)

    def mask(self, backend: Backend, shape: tuple[int, ...], *, p: float) -> Array:
        """True with probability ``p`` (to 2⁻³²), else False."""
        threshold = round(p * (1 << 32))
        if threshold == 1 << 32:  # does not fit into the 32 bits of the comparison
            return backend.xp.ones(shape, dtype=bool)
        return (self.bits(backend, math.prod(shape)) < threshold).reshape(shape)

    def normal(self, backend: Backend, shape: tuple[int, ...], dtype: str = "float32") -> Array:
        """Standard normal by Box and Muller (1958): ``√(−2 ln(1−u)) · cos 2πv``.  Backends agree up to rounding."""
        xp = backend.xp
        u = self.uniform(backend, (2, *shape), "float64")
        return (xp.sqrt(-2.0 * xp.log1p(-u[0])) * xp.cos(2.0 * math.pi * u[1])).astype(dtype, copy=False)

    def rows(self, rows: Array) -> RowStream:
        """One stream for each row of a batch, chosen by the row's number.  rows (N,), int64."""
        return RowStream(self, rows)

    def generator(self) -> np.random.Generator:
        """A NumPy generator over this stream, on the host, for values drawn once, e.g. initial weights and shuffles."""
        key = np.array(self.key, dtype=np.uint64)
        counter = np.array(self.counter, dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=counter))


@dataclass(frozen=True, slots=True, eq=False)
class RowStream:
    """One stream for each row.  The stream of row r starts at the counter (0, step, draw, ``rows[r]``).

    The numbers of a row depend only on its own number.  So a sample draws the same numbers in batches of any size and
    order.  rows (N,), int64, not negative; every method returns (N, *shape).
    """

    stream: Stream
    rows: Array

    def words(self, count: int) -> Array:
        """``count`` random 64-bit words for each row, uint64."""
        backend, moment = backend_of(self.rows), (self.stream.step, self.stream.draw)
        step = state.step_on(backend, self.stream)
        return backend.philox_rows(count, self.stream.key, moment, self.rows, step)

    def uniform(self, shape: tuple[int, ...] = (), dtype: str = "float32") -> Array:
        """Uniform in [0, 1), each row computed as in ``Stream.uniform``.  Bit-equal on every backend."""
        count, shape = math.prod(shape), (len(self.rows), *shape)
        if dtype == "float64":
            return ((self.words(count) >> 11).astype("float64") * _SCALE_53).reshape(shape)
        bits = backend_of(self.rows).xp.ascontiguousarray(self.words((count + 1) // 2)).view("uint32")[:, :count]
        return ((bits >> 8).astype("float32") * _SCALE_24).astype(dtype, copy=False).reshape(shape)

    def normal(self, shape: tuple[int, ...] = (), dtype: str = "float32") -> Array:
        """Standard normal by Box and Muller (1958), using both values of each pair.  Backends agree up to rounding.

        The largest float32 value is √(2 ln 2²⁴) = 5.8.
        """
        xp = backend_of(self.rows).xp
        count = math.prod(shape)
        u = self.uniform((2, (count + 1) // 2), dtype)
        radius, angle = xp.sqrt(-2.0 * xp.log1p(-u[:, 0])), 2.0 * math.pi * u[:, 1]
        z = xp.concatenate([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1)
        return z[:, :count].reshape((len(self.rows), *shape))


@dataclass(slots=True)
class _Moment:
    """A seed, a step, and the number of draws of each consumer within the step."""

    seed: int = 0
    step: int = 0
    draws: dict[str, int] = field(default_factory=dict)

    def copy(self) -> _Moment:
        return _Moment(self.seed, self.step, dict(self.draws))


@dataclass(frozen=True, slots=True)
class _Reading:
    """The step that streams read from the backend, and who is told of it."""

    step: int
    note: Callable[[Any], None]


class RandomState:
    """The random state: a seed, a step, and the number of draws of each consumer within the step.

    Every thread has its own state, so that models trained in parallel threads do not share random numbers.  A thread
    starts with a copy of the main thread's state at its first draw.
    """

    __slots__ = ("_main", "_own")

    def __init__(self, seed: int = 0, step: int = 0) -> None:
        self._main = [_Moment(seed, step)]
        self._own = threading.local()

    def _moments(self) -> list[_Moment]:
        """The moments of this thread: its own, then one for each open ``forked`` block."""
        moments: list[_Moment] | None = getattr(self._own, "moments", None)
        if moments is None:
            in_main = threading.current_thread() is threading.main_thread()
            moments = self._own.moments = self._main if in_main else [self._main[-1].copy()]
        return moments

    def _here(self) -> _Moment:
        """The current moment of this thread."""
        return self._moments()[-1]

    def __reduce__(self) -> str | tuple[Any, ...]:
        """The module's shared state copies to itself; another state copies its values in this thread."""
        if self is state:
            return "state"
        here = self._here()
        return _restored, (here.seed, here.step, dict(here.draws))

    @property
    def seed(self) -> int:
        """The seed of all random numbers; set by ``manual_seed``."""
        return self._here().seed

    @property
    def step(self) -> int:
        """The number of steps taken; set by ``set_step``."""
        return self._here().step

    def manual_seed(self, seed: int) -> None:
        """Set the seed of this thread, an integer in 0..2⁶⁴−1, and go back to step 0.

        A call in the main thread also sets the seed of threads that have not drawn yet; other threads keep theirs.
        Call it at the start of a thread to give the thread its own random numbers.

        >>> import xpnet
        >>> xpnet.manual_seed(0)
        >>> first = xpnet.nn.Linear(2, 3).weight.numpy()
        >>> xpnet.manual_seed(0)
        >>> bool((xpnet.nn.Linear(2, 3).weight.numpy() == first).all())
        True
        """
        if not (isinstance(seed, int) and 0 <= seed < 1 << 64):
            raise ValueError(f"seed must be a whole number in 0..2**64-1, got {seed!r}")
        self._here().seed = seed
        self.set_step(0)

    def set_step(self, step: int) -> None:
        """Go to a step.  Later draws depend on (seed, step) and on no earlier draw."""
        here = self._here()
        here.step = step
        here.draws.clear()

    def cell(self, backend: Backend) -> Array:
        """The step of this thread as a 0-d uint64 array on ``backend``, always in the same memory.

        A captured step reads it there, because the capture would freeze a number on the host.  ``write_cells`` updates
        it.
        """
        cells: dict[str, Array] = self._own.__dict__.setdefault("cells", {})
        if backend.name not in cells:
            cells[backend.name] = backend.asarray(np.array(self.step, dtype=np.uint64))
        return cells[backend.name]

    def write_cells(self) -> None:
        """Write the step to the cell of every backend that has one.  Call it before each step or replay."""
        for cell in self._own.__dict__.get("cells", {}).values():
            cell[...] = self.step

    @contextmanager
    def from_cells(self, backend: Backend, note: Callable[[Any], None]) -> Iterator[None]:
        """Inside the block, streams of this moment's step read it from the cell: around a recording, not inside.

        ``note`` is told of every stream: (seed, path, draw) where the cell is read, else (seed, path, step, draw).
        """
        self.cell(backend)[...] = self.step
        before = self._own.__dict__.get("reading")
        self._own.reading = _Reading(self.step, note)
        try:
            yield
        finally:
            self._own.reading = before

    def step_on(self, backend: Backend, stream: Stream) -> Array | None:
        """Where ``backend`` holds the step of a stream, if that is to be read there (``from_cells``); else None."""
        reading: _Reading | None = self._own.__dict__.get("reading")
        if reading is None:
            return None
        if stream.step != reading.step:
            reading.note((stream.seed, stream.path, stream.step, stream.draw))
            return None
        reading.note((stream.seed, stream.path, stream.draw))
        return self.cell(backend)

    @property
    def draws(self) -> tuple[tuple[str, int], ...]:
        """How often each consumer has drawn in the step at hand."""
        return tuple(self._here().draws.items())

    def put_back(self, draws: tuple[tuple[str, int], ...]) -> None:
        """Go back to an earlier moment of the step at hand, as ``draws`` told it."""
        here = self._here()
        here.draws.clear()
        here.draws.update(draws)

    def next(self, path: str) -> Stream:
        """A stream for one draw of the consumer ``path``.  The next call within the step gives a different stream."""
        here = self._here()
        draw = here.draws.get(path, 0)
        here.draws[path] = draw + 1
        return Stream(here.seed, path, here.step, draw)

    @contextmanager
    def forked(self, seed: int, step: int = 0) -> Iterator[RandomState]:
        """Use another seed and step in this thread inside the block.  Afterwards the earlier state is back."""
        moments = self._moments()
        block = self._here().copy()
        moments.append(block)  # blocks may end in another order: each removes its own moment
        try:
            self.manual_seed(seed)
            self.set_step(step)
            yield self
        finally:
            moments[:] = [moment for moment in moments if moment is not block]


def _restored(seed: int, step: int, draws: dict[str, int]) -> RandomState:
    made = RandomState(seed, step)
    made._main[-1].draws.update(draws)
    return made


state = RandomState()
"""The random state of each thread.  An optimizer step advances it by one; checkpoints store its seed and step."""


fork_rng = state.forked
