"""Each kernel of the NumPy backend against the op that it stands in for, forward and backward, in turns."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from timing import in_turns, machine, median_ratio, parser, report, summary

import xpnet
from xpnet import ops


def both_ways(function: Callable[..., object], *arrays: np.ndarray) -> Callable[[], None]:
    """Forward, then backward with a gradient of ones."""

    def run() -> None:
        y, backward = function(np, *arrays)  # type: ignore[misc]
        backward(np.ones_like(y))

    return run


def main() -> None:
    """Time the kernels."""
    options = parser(__doc__).parse_args()
    rng = np.random.default_rng(0)
    kernels = xpnet.get_backend("numpy").kernels
    figures = {}
    for n, classes in ((64, 10), (1024, 10), (256, 1000)):
        logits = rng.standard_normal((n, classes), dtype=np.float32)
        labels = rng.integers(0, classes, n)
        contestants = {
            "op": both_ways(ops.cross_entropy, logits, labels),
            "kernel": both_ways(kernels["cross_entropy"], logits, labels),
        }
        seconds = in_turns(contestants, options.rounds, 50)
        name = f"cross_entropy {n}x{classes}"
        figures[name] = {**summary(seconds), "op / kernel": median_ratio(seconds, "op", "kernel")}
    for n, channels, size in ((64, 64, 32), (32, 64, 8), (32, 128, 8)):
        x = rng.standard_normal((n, channels, size, size), dtype=np.float32)
        weight = rng.standard_normal((channels, channels, 3, 3), dtype=np.float32)
        contestants = {
            "op": both_ways(partial(ops.conv2d, padding=((1, 1), (1, 1))), x, weight),
            "kernel": both_ways(partial(kernels["conv2d"], padding=((1, 1), (1, 1))), x, weight),
        }
        seconds = in_turns(contestants, options.rounds, 3)
        name = f"conv2d 3x3, batch {n}, {channels} channels, {size}x{size}"
        figures[name] = {**summary(seconds), "op / kernel": median_ratio(seconds, "op", "kernel")}
    report({"kernels": figures, "machine": machine()}, options.save)


if __name__ == "__main__":
    main()
