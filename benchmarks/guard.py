"""The cost of checking every loss and gradient for NaN, relative to a step of the Trainer on the host.

The check is timed separately: reading the loss, and the sum of squares over the flat gradient buffer.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from timing import in_turns, machine, median_ratio, parser, report, summary

import xpnet
from xpnet import models, optim
from xpnet.nn import functional as F


def contestants(batch: int, hidden: list[int]) -> dict[str, Any]:
    """A training step, and its check."""
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((batch, 784), dtype=np.float32), rng.integers(0, 10, batch)
    model = models.MLP(784, hidden, 10)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()

    step()
    loss = F.cross_entropy(model(x), labels)

    def watch() -> None:
        math.isfinite(float(loss.data))
        math.isfinite(sum(float(s) for s in optimizer.squared_gradients()))

    return {"step": step, "watching": watch}


def main() -> None:
    """Time both for a small and a larger network."""
    options = parser(__doc__, on_the_cpu=True).parse_args()
    xpnet.use(backend="numpy")
    figures = {}
    for batch, hidden in ((64, [128]), (128, [128]), (256, [1024, 1024])):
        seconds = in_turns(contestants(batch, hidden), options.rounds, 50)
        name = f"784-{'-'.join(map(str, hidden))}-10, batch {batch}"
        figures[name] = {**summary(seconds), "watching / step": median_ratio(seconds, "watching", "step")}
    report({"guard": figures, "machine": machine()}, options.save)


if __name__ == "__main__":
    main()
