"""Steps of recurrent networks against PyTorch eager if it is installed.

Forward, the mean square of the outputs, backward; no optimizer.  Each runs in its own process, in turns.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from timing import in_processes, machine, median_ratio, parser, report, summary

import xpnet
from xpnet import nn

SIZES = [(12, 32, 1, 32), (28, 32, 28, 128), (50, 64, 64, 128), (100, 32, 128, 128)]  # T, N, I, H


def ours(layer: str, sizes: tuple[int, int, int, int], backend_name: str) -> Callable[[], None]:
    """A step of xpnet."""
    backend = xpnet.get_backend(backend_name)
    steps, n, features, hidden = sizes
    x = xpnet.Tensor(backend.asarray(np.random.default_rng(0).standard_normal((steps, n, features), dtype=np.float32)))
    with xpnet.use(backend=backend):
        model = getattr(nn, layer)(features, hidden)

    def step() -> None:
        model.zero_grad()
        y, _ = model(x)
        (y * y).mean().backward()
        backend.synchronize()

    return step


def theirs(layer: str, sizes: tuple[int, int, int, int], device: str) -> Callable[[], None]:
    """The same step in PyTorch."""
    import torch

    steps, n, features, hidden = sizes
    x = np.random.default_rng(0).standard_normal((steps, n, features), dtype=np.float32)
    data = torch.from_numpy(x).to(device)
    model = getattr(torch.nn, layer)(features, hidden).to(device)

    def step() -> None:
        model.zero_grad()
        y, _ = model(data)
        (y * y).mean().backward()
        if device != "cpu":
            torch.cuda.synchronize()

    return step


def main() -> None:
    """Time both for each layer and size."""
    options = parser(__doc__).parse_args()
    backend = xpnet.get_backend(options.backend)
    found = importlib.util.find_spec("torch")
    peer = f"PyTorch {importlib.metadata.version('torch')}" if found else None
    figures: dict[str, Any] = {}
    for layer in ("RNN", "LSTM", "GRU"):
        for sizes in SIZES:
            contestants: dict[str, tuple[Any, ...]] = {"xpnet": (ours, layer, sizes, backend.name)}
            if peer is not None:
                contestants[peer] = (theirs, layer, sizes, "cuda" if backend.name == "cupy" else "cpu")
            seconds = in_processes(contestants, options.rounds, 10)
            name = f"{layer}, T={sizes[0]} N={sizes[1]} I={sizes[2]} H={sizes[3]}"
            figures[name] = summary(seconds)
            if peer is not None:
                figures[name]["PyTorch / xpnet"] = median_ratio(seconds, peer, "xpnet")
    report({"step": figures, "peer": peer, "backend": backend.name, "machine": machine()}, options.save)


if __name__ == "__main__":
    main()
