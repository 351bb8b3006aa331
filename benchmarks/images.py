"""Convolution, pooling, batch norm, and training steps of image networks against PyTorch eager, in both its layouts.

Forward and backward (of layers), or a whole step with SGD and momentum (of networks), on a batch already in memory.
PyTorch runs with its default layout and with channels_last.  Each contestant runs in its own process, in turns.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from timing import in_processes, machine, median_ratio, parser, report, summary

import xpnet
from xpnet import models, nn, optim
from xpnet.nn import functional as F

LAYERS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = {
    "Conv2d 3x3 16->16, 32x32, batch 32": ("Conv2d", (16, 16, 3), {"padding": 1}, (32, 16, 32, 32)),
    "Conv2d 3x3 64->64, 32x32, batch 64": ("Conv2d", (64, 64, 3), {"padding": 1}, (64, 64, 32, 32)),
    "Conv2d 5x5 6->16, 14x14, batch 64": ("Conv2d", (6, 16, 5), {}, (64, 6, 14, 14)),
    "MaxPool2d 2, 64 channels, 32x32, batch 64": ("MaxPool2d", (2,), {}, (64, 64, 32, 32)),
    "AvgPool2d 2, 64 channels, 32x32, batch 64": ("AvgPool2d", (2,), {}, (64, 64, 32, 32)),
    "BatchNorm2d, 64 channels, 32x32, batch 64": ("BatchNorm2d", (64,), {}, (64, 64, 32, 32)),
}
NETWORKS: dict[str, tuple[tuple[int, ...], int]] = {
    "lenet": ((1, 28, 28), 64),
    "vgg11": ((3, 32, 32), 32),
    "resnet20": ((3, 32, 32), 32),
}


def our_layer(name: str, backend_name: str) -> Callable[[], None]:
    """Forward and backward of a layer."""
    kind, arguments, options, shape = LAYERS[name]
    backend = xpnet.get_backend(backend_name)
    rng = np.random.default_rng(0)
    with xpnet.use(backend=backend):
        layer = getattr(nn, kind)(*arguments, **options)
    x = xpnet.tensor(rng.standard_normal(shape, dtype=np.float32), requires_grad=True, backend=backend)
    dy = backend.xp.ones_like(layer(x).data)

    def run() -> None:
        x.grad = None
        layer.zero_grad()
        layer(x).backward(dy)
        backend.synchronize()

    return run


def their_layer(name: str, device: str, layout: str) -> Callable[[], None]:
    """The same in PyTorch."""
    import torch

    kind, arguments, options, shape = LAYERS[name]
    memory = getattr(torch, layout)
    layer = getattr(torch.nn, kind)(*arguments, **options).to(device, memory_format=memory)
    x = torch.randn(shape, device=device).to(memory_format=memory).requires_grad_()
    dy = torch.ones_like(layer(x))

    def run() -> None:
        x.grad = None
        layer.zero_grad()
        layer(x).backward(dy)
        if device != "cpu":
            torch.cuda.synchronize()

    return run


def our_step(name: str, backend_name: str) -> Callable[[], None]:
    """A training step of a network."""
    shape, batch = NETWORKS[name]
    backend = xpnet.get_backend(backend_name)
    rng = np.random.default_rng(0)
    x = backend.asarray(rng.standard_normal((batch, *shape), dtype=np.float32))
    labels = backend.asarray(rng.integers(0, 10, batch))
    model = models.build(name, shape, 10, hidden=[], dropout=0.0, backend=backend)
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
        backend.synchronize()

    return step


def their_step(name: str, device: str, layout: str) -> Callable[[], None]:
    """The same step in PyTorch."""
    import torch

    shape, batch = NETWORKS[name]
    memory = getattr(torch, layout)
    model = torch_network(name).to(device, memory_format=memory)
    x = torch.randn((batch, *shape), device=device).to(memory_format=memory)
    labels = torch.randint(0, 10, (batch,), device=device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()

    return step


def torch_network(name: str) -> Any:
    """The networks in PyTorch's layers."""
    import torch
    from torch import nn as t

    def convolution(channels: int, out: int, size: int, **options: Any) -> list[Any]:
        return [t.Conv2d(channels, out, size, **options), t.ReLU()]

    def head(*layers: Any) -> Any:
        return t.Sequential(*layers)

    if name == "lenet":
        return head(
            *convolution(1, 6, 5, padding=2), t.MaxPool2d(2), *convolution(6, 16, 5), t.MaxPool2d(2),
            *convolution(16, 120, 5), t.Flatten(), t.Linear(120, 84), t.ReLU(), t.Linear(84, 10),
        )  # fmt: skip
    if name == "vgg11":
        layers, channels = [], 3
        for width in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
            layers += convolution(channels, width, 3, padding=1) if width else [t.MaxPool2d(2)]
            channels = width or channels
        return head(*layers, t.AdaptiveAvgPool2d(1), t.Flatten(), t.Linear(512, 10))

    class Block(t.Module):
        def __init__(self, channels: int, width: int, stride: int) -> None:
            super().__init__()
            self.body = head(
                t.Conv2d(channels, width, 3, stride, 1, bias=False), t.BatchNorm2d(width), t.ReLU(),
                t.Conv2d(width, width, 3, 1, 1, bias=False), t.BatchNorm2d(width),
            )  # fmt: skip
            same = stride == 1 and channels == width
            short = [t.Conv2d(channels, width, 1, stride, bias=False), t.BatchNorm2d(width)]
            self.shortcut = t.Identity() if same else head(*short)

        def forward(self, x: Any) -> Any:
            return torch.relu(self.body(x) + self.shortcut(x))

    blocks = [Block(16 if i == 0 else 8 << i, 16 << i, min(2, i + 1)) for i in range(3)]
    stages = [m for i in range(3) for m in (blocks[i], Block(16 << i, 16 << i, 1), Block(16 << i, 16 << i, 1))]
    stem = [t.Conv2d(3, 16, 3, padding=1, bias=False), t.BatchNorm2d(16), t.ReLU()]
    return head(*stem, *stages, t.AdaptiveAvgPool2d(1), t.Flatten(), t.Linear(64, 10))


def main() -> None:
    """Time layers, then whole steps."""
    options = parser(__doc__).parse_args()
    backend = xpnet.get_backend(options.backend)
    found = importlib.util.find_spec("torch")
    peer = f"PyTorch {importlib.metadata.version('torch')}" if found else None
    device = "cuda" if backend.name == "cupy" else "cpu"
    figures: dict[str, Any] = {}
    for names, ours, theirs in ((LAYERS, our_layer, their_layer), (NETWORKS, our_step, their_step)):
        for name in names:
            contestants: dict[str, tuple[Any, ...]] = {"xpnet": (ours, name, backend.name)}
            if peer is not None:
                contestants[peer] = (theirs, name, device, "contiguous_format")
                contestants["channels_last"] = (theirs, name, device, "channels_last")
            seconds = in_processes(contestants, options.rounds, 5)
            figures[name] = summary(seconds)
            for other in list(contestants)[1:]:
                figures[name][f"{other} / xpnet"] = median_ratio(seconds, other, "xpnet")
    report({"forward and backward": figures, "peer": peer, "backend": backend.name, "machine": machine()}, options.save)


if __name__ == "__main__":
    main()
