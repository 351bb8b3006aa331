"""The learning-rate range test: raise the rate step by step and record the loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.data import ArrayDataset, Loader
from xpnet.data.loading.loader import keep_place
from xpnet.nn import Module
from xpnet.nn.utils import left_as_it_was
from xpnet.optim import Optimizer
from xpnet.tensor import Tensor, is_grad_enabled
from xpnet.train.intake import as_loader, is_values
from xpnet_backends import Array, get_backend, is_array

_SMOOTHING = 0.98
_END: Any = object()


@dataclass(frozen=True)
class LRRange:
    """Rates, the loss at each, the smoothed loss, and the suggested rate: a tenth of the rate with the least loss."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float


def lr_range_test(
    model: Module,
    loss: Callable[[Any, Any], Tensor],
    optimizer: Optimizer,
    batches: Loader,
    *,
    low: float = 1e-7,
    high: float = 10.0,
    steps: int = 100,
    stop_at: float = 4.0,
) -> LRRange:
    """Train for up to ``steps`` steps while the rate grows from ``low`` to ``high`` by a constant factor.

    The test ends early if the smoothed loss reaches ``stop_at`` times its smallest value, or is not finite.  If there
    are fewer batches than ``steps``, they are repeated; batches of an iterator, which cannot restart, are stored for
    A pair of arrays or a dataset is taken in shuffled batches of 64, as by ``Trainer.fit``.
    that. Afterwards, even after an error or Ctrl-C, everything is restored: weights, buffers, gradients, modes,
    optimizer, the loader's epoch and position, random state.  Source: Smith 2015, arXiv:1506.01186, section 3.3.

    Raises: ``ValueError`` for rates out of order, no batches, or a loss that is not finite at the lowest rate.
    """
    if not 0.0 < low < high or steps < 10:
        raise ValueError(f"lr_range_test needs 0 < low < high and steps >= 10, got {low!r}, {high!r}, {steps!r}")
    if not is_grad_enabled():
        raise ValueError("lr_range_test trains for a while: call it outside no_grad()")
    batches = _in_batches(batches, model)
    rates, losses = [], []
    smoothed: list[float] = []
    average = 0.0
    with np.errstate(all="ignore"), _left_as_they_were(optimizer), left_as_it_was(model), keep_place(batches):
        model.train()
        for i, (inputs, target) in enumerate(_repeated(batches, steps)):
            rates.append(low * (high / low) ** (i / (steps - 1)))
            losses.append(_step(model, loss, optimizer, inputs, target, rates[-1]))
            average = _SMOOTHING * average + (1 - _SMOOTHING) * losses[-1]
            smoothed.append(average / (1 - _SMOOTHING ** (i + 1)))  # corrects the bias of starting at 0
            if not math.isfinite(losses[-1]) or smoothed[-1] > stop_at * min(smoothed):
                break
    if len(losses) < 2:
        raise ValueError(f"the loss is {losses[0]} already at the rate {low:g}: look at the data")
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


def _in_batches(given: Any, model: Module) -> Any:
    """Batches, also of arrays.  Raises: ``TypeError`` for inputs without targets."""
    pair = isinstance(given, tuple) and len(given) == 2 and all(map(is_values, given))
    if not (pair or is_array(given) or isinstance(given, ArrayDataset | Tensor)):
        return given
    first = next(model.parameters(), None)
    backend = get_backend() if first is None else first.backend
    return as_loader(given, model, backend, 64, shuffle=True, what="batches")


def _repeated(batches: Loader, count: int) -> Iterator[tuple[Array, Any]]:
    """``count`` batches, in as many passes as necessary."""
    seen: list[tuple[Array, Any]] = []
    total = count
    while count:
        source = iter(batches)
        once = source is batches  # an iterator: a second pass would be empty
        before = count
        try:
            while count and (batch := next(source, _END)) is not _END:
                if once:
                    seen.append(batch)
                count -= 1
                yield batch
        finally:
            if not once and hasattr(source, "close"):  # a loader's thread ends with its pass
                source.close()
        if count == before == total:
            raise ValueError("lr_range_test: batches gave none: expected pairs of inputs and targets")
        if count == before:
            raise ValueError(
                f"lr_range_test: batches ended after {total - count} of {total} steps and cannot start over: "
                "give a DataLoader or a list"
            )
        batches = seen if once else batches


@contextmanager
def _left_as_they_were(optimizer: Optimizer) -> Iterator[None]:
    """Restore an optimizer's options and state."""
    groups, state = [dict(group) for group in optimizer.param_groups], optimizer.state_dict()
    try:
        yield
    finally:
        for group, before in zip(optimizer.param_groups, groups, strict=True):
            group.clear()
            group.update(before)
        names = [{"params": group["params"]} for group in state["param_groups"]]  # the options are already restored
        optimizer.load_state_dict({**state, "param_groups": names})
