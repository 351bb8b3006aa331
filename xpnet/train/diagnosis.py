"""What is said when training stops because a number was not finite."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

from xpnet.tensor import Tensor
from xpnet.train.provenance import Provenance, overflowing_gradient, trace_step
from xpnet.train.step import Step
from xpnet_backends import random


class NonFiniteLossError(RuntimeError):
    """The loss or a gradient became NaN or infinite.  The run was stopped; weights and checkpoint stand.

    ``provenance`` says where it came from: layer, op, operands, likely cause.
    """

    provenance: Provenance | None = None


def diagnose(step: Step, loader: Any, epoch: int, folder: Path | None) -> NonFiniteLossError:
    """Run the first bad update again, batch by batch, to say where the bad value came from.

    ``epoch`` is the number of epochs that are done, ``folder`` the run's.
    """
    update = step.guard.good
    first = update * step.accumulate
    random.state.set_step(step.guard.step_of(update))
    loader.load_state_dict({"epoch": epoch, "position": first})
    step.optimizer.zero_grad()
    found, batch = None, first
    for batch, (inputs, target) in zip(range(first, len(loader)), loader, strict=False):
        found = trace_step(step.model, partial(_replay, step, inputs, target))
        if found or batch + 1 >= min(first + step.accumulate, step.meter.batches):
            break
    if found is None:
        found = overflowing_gradient(step.model)
    value = step.meter.value("loss", batch)
    what = "a gradient was not finite" if math.isfinite(value) else f"the loss became {value}"
    error = NonFiniteLossError(
        f"{what} in epoch {epoch + 1}, step {batch + 1}: training was stopped{_kept(folder, epoch)}. Run again, {found}"
    )
    error.provenance = found
    return error


def _kept(folder: Path | None, epoch: int) -> str:
    if folder is None:
        return ""
    path = folder / "last.safetensors"
    return f"; the checkpoint of epoch {epoch} stands in {path}" if path.exists() else "; no epoch was finished"


def _replay(step: Step, inputs: Any, target: Any) -> tuple[Tensor, Tensor]:
    floating = inputs.dtype.kind == "f"
    x = Tensor(inputs, requires_grad=True) if floating else Tensor(inputs)  # records the ops on data too
    loss = step.loss(step.model(x), target)
    return x, loss if step.penalty is None else loss + step.penalty(step.model)
