"""One training step of the network 784-128-10, against PyTorch eager if it is installed.

Forward, cross-entropy, backward, optimizer step, on a batch already in memory.  Each runs in its own process, in turns.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from timing import in_processes, machine, median_ratio, parser, report, summary

import xpnet
from xpnet import nn, optim
from xpnet.nn import functional as F


def ours(batch: int, name: str, backend_name: str) -> Callable[[], None]:
    """A step of xpnet."""
    backend = xpnet.get_backend(backend_name)
    rng = np.random.default_rng(0)
    x = backend.asarray(rng.standard_normal((batch, 784), dtype=np.float32))
    labels = backend.asarray(rng.integers(0, 10, batch))
    with xpnet.use(backend=backend):
        model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = {"sgd": optim.SGD, "adam": optim.Adam}[name](model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
        backend.synchronize()

    return step


def theirs(batch: int, name: str, device: str) -> Callable[[], None]:
    """The same step in PyTorch."""
    import torch

    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((batch, 784), dtype=np.float32)).to(device)
    labels = torch.from_numpy(rng.integers(0, 10, batch)).to(device)
    model = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)).to(device)
    optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[name](model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()

    return step


def main() -> None:
    """Time both for three batch sizes and two optimizers."""
    options = parser(__doc__).parse_args()
    backend = xpnet.get_backend(options.backend)
    found = importlib.util.find_spec("torch")
    peer = f"PyTorch {importlib.metadata.version('torch')}" if found else None
    figures: dict[str, Any] = {}
    for name in ("sgd", "adam"):
        for batch in (32, 64, 128):
            contestants: dict[str, tuple[Any, ...]] = {"xpnet": (ours, batch, name, backend.name)}
            if peer is not None:
                contestants[peer] = (theirs, batch, name, "cuda" if backend.name == "cupy" else "cpu")
            seconds = in_processes(contestants, options.rounds, 100)
            figures[f"{name}, batch {batch}"] = summary(seconds)
            if peer is not None:
                figures[f"{name}, batch {batch}"]["PyTorch / xpnet"] = median_ratio(seconds, peer, "xpnet")
    report({"step": figures, "peer": peer, "backend": backend.name, "machine": machine()}, options.save)


if __name__ == "__main__":
    main()
