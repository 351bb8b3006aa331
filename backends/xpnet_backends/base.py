"""The interface of a backend.  Networks use this interface and nothing else of a backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np

from .loaded import load_backend

Array: TypeAlias = Any
"""An array of some backend: ``numpy.ndarray``, ``cupy.ndarray``, ..."""

Namespace: TypeAlias = Any
"""The array functions of some backend: the modules ``numpy``, ``cupy``, ..."""

Backward: TypeAlias = Callable[..., Any]
"""``backward(dy, needs) -> (dx, ...)``, one gradient for each array argument of the op."""

Kernel: TypeAlias = Callable[..., Any]
"""A faster op with the signature of the op.  It returns None to decline; the reference op then runs."""


class BackendError(RuntimeError):
    """A backend is not usable on this machine, or one operation got arrays of two backends."""


class CaptureError(RuntimeError):
    """Work that a recording cannot hold: it reads or waits on the host, or calls what the device refuses to record."""


R = TypeVar("R")


class Backend(ABC):
    """A kind of device: its array type, and the operations that networks need from it.

    Attributes
    ----------
    name : the name that users pass, ``"numpy"`` or ``"cupy"``.
    xp : the array namespace that ops are called with.
    array_type : the class of its arrays.
    kernels : faster versions of single ops, by op name.  The tape looks here before it calls the reference op.
        ``"gemm"`` is the product of two matrices; ``xpnet_backends.matmul`` uses it.
    on_host : True if reading a number needs no synchronisation, so that values can be checked at every step.
    captures : True where a replay saves time and a whole training step can be recorded (``capture``).
    """

    name: ClassVar[str]
    xp: Namespace
    array_type: type
    kernels: Mapping[str, Kernel]
    on_host: ClassVar[bool]
    captures: ClassVar[bool]

    @abstractmethod
    def asarray(self, values: Any, dtype: Any = None) -> Array:
        """Convert host values to an array of this backend.  Shares memory if possible; on a GPU this is a transfer."""

    @abstractmethod
    def to_numpy(self, array: Array) -> np.ndarray:
        """Convert an array of this backend to NumPy.  On a GPU this is a transfer and a synchronisation."""

    @abstractmethod
    def matmul(self, a: Array, b: Array) -> Array:
        """``a @ b`` for 2-D and batched arrays, without a kernel.  Reads transposed views without copying them."""

    @abstractmethod
    def philox(
        self, count: int, key: tuple[int, int], counter: tuple[int, int, int, int], step: Array | None = None
    ) -> Array:
        """The first ``count`` 64-bit words of NumPy's Philox4x64-10 stream for this key and counter, as uint64.

        ``step``, a number on the backend (uint64, 0-d), is read there in place of ``counter[1]``.
        """

    @abstractmethod
    def philox_rows(
        self, count: int, key: tuple[int, int], moment: tuple[int, int], rows: Array, step: Array | None = None
    ) -> Array:
        """Row r: the first ``count`` words for the counter (0, *moment, rows[r]).  rows (N,), int64 -> (N, count).

        ``step``, a number on the backend, is read there in place of ``moment[0]``.
        """

    @abstractmethod
    def capture(self, function: Callable[[], R]) -> Callable[[], R]:
        """Record what ``function()`` does on the backend; the callable that is returned does it again.

        ``function`` runs once, on the host only: nothing is computed until the first replay.  A replay runs no host
        code.  It reads and writes the memory that was read and written while recording, with the numbers of the host
        that were used then, and returns what ``function`` returned then: the same arrays, with new values.  Where
        calls cost nothing (NumPy), it is ``function`` itself.

        Raises: ``CaptureError`` where the work waits for the device, moves data between host and device, or cannot be
        recorded for another reason.  What ``function`` changed on the host by then stays changed.
        """

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until the device has finished all submitted work."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """Human-readable versions and device name: ``{"device": ..., "version": ...}``."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles give back the backend of the same name, because each backend exists only once."""
        return load_backend, (self.name,)

    def __repr__(self) -> str:
        return f"<xpnet backend {self.name!r}>"
