"""Limit the BLAS to one thread for small products."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from ....base import Array

TINY_PRODUCT = 250_000  # multiplications: up to here a BLAS uses one thread anyway
SMALL_PRODUCT = 4_000_000  # up to here one thread is faster


class SmallProducts:
    """Limits the BLAS to one thread for products for which several threads are slower.

    BLAS threads wait for each other by spinning.  That costs more than a small product, and far more if other programs
    or our own threads compete for the cores.
    """

    @functools.cached_property
    def _libraries(self) -> list[Any]:
        try:  # optional: installed by the extra "fast"
            from threadpoolctl import ThreadpoolController
        except ImportError:
            return []
        return list(ThreadpoolController().select(user_api="blas").lib_controllers)

    def __call__(self, product: Callable[[Array, Array], Array], a: Array, b: Array) -> Array:
        """``product(a, b)``, on one BLAS thread if the product is small."""
        if not TINY_PRODUCT < a.shape[-2] * a.shape[-1] * b.shape[-1] < SMALL_PRODUCT:
            return product(a, b)
        before = [each.get_num_threads() for each in self._libraries]
        self._limit(1 for _ in before)
        try:
            return product(a, b)
        finally:
            self._limit(before)

    def _limit(self, threads: Iterable[int]) -> None:
        for library, number in zip(self._libraries, threads, strict=True):
            library.set_num_threads(number)
