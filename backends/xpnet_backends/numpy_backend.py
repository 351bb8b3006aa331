"""The NumPy backend."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Array, Backend, R
from .kernels import registry
from .kernels.cpu import philox
from .kernels.cpu.machinery.blas import TINY_PRODUCT, SmallProducts
from .memory import keep_freed_memory

LONG_ROW = 64  # words: above this, setting NumPy's generator for each row is cheaper than array operations


class NumpyBackend(Backend):
    """Arrays in host memory.  Matrix products use the BLAS that NumPy was built with."""

    name = "numpy"
    xp = np
    array_type = np.ndarray
    kernels = registry.CPU
    on_host = True
    captures = False

    def __init__(self) -> None:
        self._thread = threading.local()
        self._product = SmallProducts()
        keep_freed_memory()

    def asarray(self, values: Any, dtype: Any = None) -> Array:
        return np.asarray(values, dtype=dtype)

    def to_numpy(self, array: Array) -> np.ndarray:
        return np.asarray(array)

    def matmul(self, a: Array, b: Array) -> Array:
        if a.dtype.char == b.dtype.char == "e":  # float16: the BLAS has no such product, and NumPy's own is slow
            return self.matmul(a.astype(np.float32), b.astype(np.float32)).astype(np.float16)
        # dot passes any transposed view of a matrix to the BLAS, and copies only what the BLAS cannot read
        product = np.dot if a.ndim == b.ndim == 2 else np.matmul
        return product(a, b) if a.size * b.shape[-1] <= TINY_PRODUCT else self._product(product, a, b)

    def philox(
        self, count: int, key: tuple[int, int], counter: tuple[int, int, int, int], step: Array | None = None
    ) -> Array:
        if step is not None:
            counter = (counter[0], int(step), *counter[2:])
        bits = self._bit_generator()
        state = bits.state
        state["state"]["key"][:] = key
        state["state"]["counter"][:] = counter
        state["buffer_pos"] = 4  # marks the buffer of four words as used up, so that a new block is generated
        bits.state = state
        return bits.random_raw(count)

    def philox_rows(
        self, count: int, key: tuple[int, int], moment: tuple[int, int], rows: Array, step: Array | None = None
    ) -> Array:
        if step is not None:
            moment = (int(step), moment[1])
        if count <= LONG_ROW:
            return philox.philox_rows(count, key, moment, rows.astype(np.uint64))
        words = np.empty((len(rows), count), dtype=np.uint64)
        for row, number in zip(words, rows.tolist(), strict=True):
            row[:] = self.philox(count, key, (0, *moment, number))
        return words

    def _bit_generator(self) -> np.random.Philox:
        """One generator per thread, because setting its state is fifteen times cheaper than creating one."""
        if not hasattr(self._thread, "philox"):
            self._thread.philox = np.random.Philox(key=0)
        bits: np.random.Philox = self._thread.philox
        return bits

    def capture(self, function: Callable[[], R]) -> Callable[[], R]:
        return function

    def synchronize(self) -> None:
        """Does nothing: NumPy computes synchronously."""

    def describe(self) -> dict[str, str]:
        blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return {
            "version": f"NumPy {np.__version__}",
            "device": f"CPU ({platform.machine()})",
            "blas": f"{blas['name']} {blas['version']}",
        }
