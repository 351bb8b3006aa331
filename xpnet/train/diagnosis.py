"""The error that stops training when a number is not finite."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

from xpnet.data import Inputs
from xpnet.tensor import Tensor, as_tensor
from xpnet.train.feed import Feed, run
from xpnet.train.provenance import Provenance, overflowing_gradient, trace_step
from xpnet.train.step import Step
from xpnet_backends import is_array, random


class NonFiniteLossError(RuntimeError):
    """The loss or a gradient became NaN or infinite, and the run was stopped.  Weights and checkpoint are still valid.

    ``provenance`` describes its origin: layer, op, operands, likely cause.
    """

    provenance: Provenance | None = None


def diagnose(step: Step, feed: Feed, epoch: int, folder: Path | None) -> NonFiniteLossError:
    """Repeat the first bad update, batch by batch, to find the origin of the bad value.

    ``epoch`` is the number of finished epochs, ``folder`` that of the run.
    """
    update = step.guard.good
    first = update * step.accumulate
    random.state.set_step(step.guard.step_of(update))
    step.optimizer.zero_grad()
    found, batch = None, step.meter.batches - 1
    if feed.resumable:  # else the bad batch is gone
        feed.start_at(epoch, first)
        for batch, (inputs, target, last) in enumerate(feed, first):
            found = trace_step(step.model, partial(_replay, step, inputs, target))
            if found or last or batch + 1 >= min(first + step.accumulate, step.meter.batches):
                break
        found = found or overflowing_gradient(step.model)
    value = step.meter.value("loss", batch)
    what = "a gradient was not finite" if math.isfinite(value) else f"the loss became {value}"
    cause = f"Run again, {found}" if found else f"A {type(feed.loader).__name__} cannot go back to it to find the cause"
    error = NonFiniteLossError(
        f"{what} in epoch {epoch + 1}, step {batch + 1}: training was stopped{_kept(folder, epoch)}. {cause}"
    )
    error.provenance = found
    return error


def _kept(folder: Path | None, epoch: int) -> str:
    if folder is None:
        return ""
    path = folder / "last.safetensors"
    return f"; the checkpoint of epoch {epoch} stands in {path}" if path.exists() else "; no epoch was finished"


def _replay(step: Step, inputs: Inputs, target: Any) -> tuple[Tensor, Tensor]:
    """The loss of a batch, with the ops on its first floating-point input recorded too."""
    arrays = [*inputs.arguments, *inputs.named.values()]
    first = next((i for i, x in enumerate(arrays) if is_array(x) and x.dtype.kind == "f"), None)
    if first is not None:
        arrays[first] = Tensor(arrays[first], requires_grad=True)
    count = len(inputs.arguments)
    recorded = Inputs(tuple(arrays[:count]), dict(zip(inputs.named, arrays[count:], strict=True)))
    loss = step.loss(run(step.model, recorded), target)
    x = arrays[first or 0]
    while isinstance(x, (tuple, list)):
        x = x[0]
    return as_tensor(x), loss if step.penalty is None else loss + step.penalty(step.model)
