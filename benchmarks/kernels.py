"""Each kernel of the NumPy backend against the op that it replaces, forward and backward, in turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from timing import in_turns, machine, median_ratio, parser, report, summary

import xpnet
from xpnet import ops

rng = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    """Normal random numbers, float32."""
    return rng.standard_normal(shape, dtype=np.float32)


def images(*shape: int) -> np.ndarray:
    """The same in memory order (N, H, W, C), the order of the kernels' results."""
    n, c, height, width = shape
    return normal(n, height, width, c).transpose(0, 3, 1, 2)


def recurrent(gates: int, steps: int, n: int, features: int, hidden: int) -> list[np.ndarray]:
    """Input, first states, weights and biases of an LSTM or GRU."""
    states = [normal(n, hidden) for _ in range(gates - 2)]
    weights = [0.1 * normal(gates * hidden, size) for size in (features, hidden)]
    return [normal(steps, n, features), *states, *weights, normal(gates * hidden), normal(gates * hidden)]


SAME = {"padding": ((1, 1), (1, 1))}
HALVED: dict[str, Any] = {"kernel": (2, 2), "stride": (2, 2)}
CASES: list[tuple[str, str, list[np.ndarray], dict[str, Any]]] = [
    *(("cross_entropy", f"{n}x{k}", [normal(n, k), rng.integers(0, k, n)], {}) for n, k in ((64, 10), (256, 1000))),
    ("conv2d", "5x5, 6 to 16 channels, 14x14, batch 64", [images(64, 6, 14, 14), normal(16, 6, 5, 5)], {}),
    ("conv2d", "3x3, stride 2, 16 to 32 channels, 32x32, batch 32",
     [images(32, 16, 32, 32), normal(32, 16, 3, 3)], {"stride": (2, 2), **SAME}),
    ("conv2d", "3x3, 16 channels, 32x32, batch 32", [images(32, 16, 32, 32), normal(16, 16, 3, 3)], SAME),
    ("conv2d", "3x3, 64 channels, 32x32, batch 64", [images(64, 64, 32, 32), normal(64, 64, 3, 3)], SAME),
    ("max_pool2d", "2x2, 64 channels, 32x32, batch 64", [images(64, 64, 32, 32)], HALVED),
    ("avg_pool2d", "2x2, 64 channels, 32x32, batch 64", [images(64, 64, 32, 32)], HALVED),
    ("batch_norm", "64 channels, 32x32, batch 64", [images(64, 64, 32, 32), normal(64), normal(64)], {}),
    *((name, "512x1024", [normal(512, 1024)], {})
      for name in ("relu", "leaky_relu", "elu", "gelu", "sigmoid", "silu", "softmax", "log_softmax")),
    ("layer_norm", "512x1024", [normal(512, 1024), normal(1024), normal(1024)], {}),
    ("lstm", "T=28 N=32 I=28 H=128", recurrent(4, 28, 32, 28, 128), {}),
    ("gru", "T=28 N=32 I=28 H=128", recurrent(3, 28, 32, 28, 128), {}),
]  # fmt: skip


def both_ways(function: Callable[..., Any], arrays: list[np.ndarray], options: dict[str, Any]) -> Callable[[], None]:
    """Forward, then backward with a gradient of ones."""

    def run() -> None:
        y, backward = function(np, *arrays, **options)
        if isinstance(y, tuple):
            backward((np.ones_like(y[0]), *[None] * (len(y) - 1)), (True,) * len(arrays))
        else:
            backward(np.ones_like(y), (True,) * len(arrays))

    return run


def main() -> None:
    """Time the kernels."""
    options = parser(__doc__, on_the_cpu=True).parse_args()
    kernels = xpnet.get_backend("numpy").kernels
    figures = {}
    for name, size, arrays, settings in CASES:
        contestants = {
            "op": both_ways(getattr(ops, name), arrays, settings),
            "kernel": both_ways(kernels[name], arrays, settings),
        }
        seconds = in_turns(contestants, options.rounds, 3)
        figures[f"{name} {size}"] = {**summary(seconds), "op / kernel": median_ratio(seconds, "op", "kernel")}
    report({"kernels": figures, "machine": machine()}, options.save)


if __name__ == "__main__":
    main()
