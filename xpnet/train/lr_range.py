"""The learning-rate range test: raise the rate step by step and watch the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np

from xpnet.nn import Module
from xpnet.nn.utils import keep_modes
from xpnet.optim import Optimizer
from xpnet.tensor import Tensor
from xpnet_backends import Array, random

_SMOOTHING = 0.98


@dataclass(frozen=True)
class LRRange:
    """Rates, the loss at each, the smoothed loss, and the rate to begin with: a tenth of where the loss is least."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float


def lr_range_test(
    model: Module,
    loss: Callable[[Any, Any], Tensor],
    optimizer: Optimizer,
    batches: Iterable[tuple[Array, Any]],
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    stop_at: float = 4.0,
) -> LRRange:
    """Train for up to ``steps`` steps while the rate grows from ``low`` to ``high`` by a constant factor.

    Ends early where the smoothed loss is ``stop_at`` times its least value, or not finite.  Model, optimizer and random
    state are put back as they were.  Source: Smith 2015, arXiv:1506.01186, section 3.3.

    Raises: ``ValueError`` for rates out of order, or where the loss is bad already at the lowest one.
    """
    if not 0.0 < low < high or steps < 10:
        raise ValueError(f"lr_range_test needs 0 < low < high and steps >= 10, got {low!r}, {high!r}, {steps!r}")
    weights, state = model.state_dict(), optimizer.state_dict()
    moment = random.state.step
    rates, losses = [], []
    smoothed: list[float] = []
    average = 0.0
    try:
        with np.errstate(all="ignore"), keep_modes(model):
            model.train()
            for i, (inputs, target) in zip(range(steps), _endless(batches), strict=False):
                rates.append(low * (high / low) ** (i / (steps - 1)))
                losses.append(_step(model, loss, optimizer, inputs, target, rates[-1]))
                average = _SMOOTHING * average + (1 - _SMOOTHING) * losses[-1]
                smoothed.append(average / (1 - _SMOOTHING ** (i + 1)))  # without the pull of the zero at the start
                if not math.isfinite(losses[-1]) or smoothed[-1] > stop_at * min(smoothed):
                    break
    finally:
        model.load_state_dict(weights)
        optimizer.load_state_dict(state)
        random.state.set_step(moment)
    if len(losses) < 2:
        raise ValueError(
            f"the loss is {losses[0] if losses else 'missing'} already at the rate {low:g}: look at the data"
        )
    finite = [value if math.isfinite(value) else math.inf for value in smoothed]
    return LRRange(rates, losses, smoothed, rates[int(np.argmin(finite))] / 10.0)


def _step(model: Module, loss: Callable[[Any, Any], Tensor], optimizer: Optimizer, x: Any, t: Any, lr: float) -> float:
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad()
    value = loss(model(x), t)
    value.backward()
    optimizer.step()
    return float(value.numpy())


def _endless(batches: Iterable[tuple[Array, Any]]) -> Iterator[tuple[Array, Any]]:
    return chain.from_iterable(repeat(batches))
