"""The BLAS's own threads: not for products that are too small for them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from ....base import Array

TINY_PRODUCT = 250_000  # multiplications of a matrix product that a BLAS does on one thread anyway
SMALL_PRODUCT = 4_000_000  # and that it should do on one thread


class SmallProducts:
    """Keeps the BLAS to one thread for products that several would take longer for.

    The threads of a BLAS wait for each other by turning in place, which costs more than a small product, and very much
    more where another program, or our own threads, want the processors too.
    """

    @functools.cached_property
    def _libraries(self) -> list[Any]:
        try:  # optional: it comes with the extra "fast"
            from threadpoolctl import ThreadpoolController
        except ImportError:
            return []
        return list(ThreadpoolController().select(user_api="blas").lib_controllers)

    def __call__(self, product: Callable[[Array, Array], Array], a: Array, b: Array) -> Array:
        """``product(a, b)`` of matrices."""
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
