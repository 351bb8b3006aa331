"""From the memory order of the kernels' products to that of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import Array
from .machine import LONG, compiled, read, write
from .tile import LANES
from .workers import in_threads


def usual_order(dw: Array, kernel: Any) -> Array:
    """(K·L·C, O), however its rows are divided, -> (O, C, K, L)."""
    taps, out = kernel[0] * kernel[1], dw.shape[-1]
    rows = dw.reshape(taps, -1, out)
    found = np.empty((out, rows.shape[1], taps), np.float32)
    in_threads(lambda i, j: _turn(rows, found, i, j), -(-out // LANES), 8 * dw.size)
    return found.reshape(out, rows.shape[1], *kernel)


@compiled(read(3, "C"), write(3), LONG, LONG)
def _turn(rows: Array, found: Array, first: int, last: int) -> None:
    """Blocks of outputs, so that both sides stay in the cache."""
    taps, channels, out = rows.shape
    for block in range(first, last):
        for c in range(channels):
            for i in range(taps):
                for o in range(block * LANES, min((block + 1) * LANES, out)):
                    found[o, c, i] = rows[i, c, o]
