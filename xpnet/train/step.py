"""One training step as an object.

``Step(model, loss, optimizer)(inputs, target)`` runs the model and its loss, checks that the loss is finite, computes
gradients, clips them, updates the weights and their averages, and records loss and metrics.

A recording of a step (``Backend.capture``) relies on this contract:

- A step has three parts.  ``prepare`` copies changes on the host (a learning rate) to the backend.  ``compute`` is all
  work on the backend.  ``advance`` updates the state on the host: counts, the random step, the tape's record of
  changes. A call runs them in this order.  A replay of a recorded ``compute`` runs between the same two others, so that
  ``state_dict()`` and checkpoints are the same after replays as after eager steps.
- All state that lasts from step to step keeps its place in memory and is written in place: parameters, gradients and
  state of the optimizer, learning rates and step counts (float64 for float64 parameters, else float32), running
  statistics of batch norm, averages of weights and their count, the guard, the meter with its counter, the counts of
  accumulated batches, and the random step if a backend uses it (``random.state.cell``).
- ``compute`` reads only what is the same in every step: options, shapes, and the position of a batch in its update.  On
  a device it never waits.  On the host it checks the loss and the gradients, and ends early if they are not finite.
- On a device ``recordings`` runs ``compute``, or replays a recording of it (``xpnet.train.recording``).  What only
  ``compute`` writes on the host is the same in every step, and is put back after a replay.
- Two parts run on the host and are not recorded: the state of streaming metrics grows with the data, and an optimizer
  with its own ``step`` (``LBFGS``, or a user's) is called as a whole, so ``recordable`` is false.

With ``accumulate`` the gradients of several batches make one update, like one larger batch: each is weighted by the
count of its loss (``xpnet.train.counting``), and the sum is divided by the sum of the weights:

    ``g = Σ_b n_b ∇L_b / Σ_b n_b``,  for a loss that is a sum ``g = Σ_b ∇L_b``.

An update in which nothing was counted (every label ignored) changes no weight.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from xpnet.data import Inputs, samples_in
from xpnet.metrics import named
from xpnet.nn import Module
from xpnet.nn.utils import clip_grad_norm_
from xpnet.optim import EMA, Optimizer
from xpnet.tensor import Tensor
from xpnet.train.counting import Count, counted_targets, weighed
from xpnet.train.feed import run
from xpnet.train.guard import Guard
from xpnet.train.meter import SUMMED, Meter, measure
from xpnet.train.parts import check_parts
from xpnet.train.recording import Recordings
from xpnet_backends import Array, Backend, get_backend, random


class Step:
    """One training step: ``step(inputs, target)`` updates the model and returns the loss of the batch.

    The model should be in training mode.  On the host, ``stopped`` is true after a loss or gradient that was not
    finite, and the weights are those before the step.  On a device nothing is read; ``guard.found_bad()`` tells at the
    end.

    >>> import xpnet
    >>> model = xpnet.nn.Linear(2, 1)
    >>> step = Step(model, xpnet.nn.functional.mse_loss, xpnet.optim.SGD(model.parameters(), lr=0.1))
    >>> x, y = np.ones((4, 2), "float32"), np.ones((4, 1), "float32")
    >>> first, second = float(step(x, y)), float(step(x, y))
    >>> second < first
    True

    Parameters
    ----------
    model : maps a batch of inputs to outputs.
    loss : ``loss(output, target)`` returns a tensor with one element.
    optimizer : updates the model's parameters.
    metrics : computed in every step, see ``Trainer``.
    max_grad_norm : clip the norm of the gradients.
    accumulate : the number of batches per update.
    penalty : ``penalty(model)`` is added to the objective, but not to the recorded loss.
    ema : averages of the weights, updated after every update.
    count : ``count(output, target)`` is the count that a custom loss divides by in its mean, e.g. the sum of a mask.
    capture : on a device, record steps that are alike and replay them (``xpnet.train.recording``).  ``XPNET_GRAPH=0``
        in the environment does so nowhere.
    """

    def __init__(
        self,
        model: Module,
        loss: Callable[[Any, Any], Tensor],
        optimizer: Optimizer,
        *,
        metrics: Any = None,
        max_grad_norm: float | None = None,
        accumulate: int = 1,
        penalty: Callable[[Module], Tensor] | None = None,
        ema: EMA | None = None,
        count: Callable[[Any, Any], Any] | None = None,
        capture: bool = True,
    ) -> None:
        if not isinstance(accumulate, int) or accumulate < 1:
            raise ValueError(f"accumulate must be a positive whole number of batches, got {accumulate!r}")
        check_parts(model, loss, optimizer)
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.metrics: dict[str, Any] = named(metrics)
        self.max_grad_norm, self.accumulate, self.penalty, self.ema = max_grad_norm, accumulate, penalty, ema
        self.count, self.capture = count, capture
        self.place = 0  # batches since the last update
        self.unit = 0  # samples in the first batch of the update
        self._in_parts = self.recordable
        self._settle()

    @property
    def backend(self) -> Backend:
        """The model's backend."""
        first = next(self.model.parameters(), None)
        return get_backend() if first is None else first.backend

    @property
    def stopped(self) -> bool:
        """Whether the last batch had a loss or gradient that was not finite; on the host only."""
        return self.guard.stopped

    @property
    def recordable(self) -> bool:
        """Whether the optimizer's step has the three parts that a recording needs."""
        own = "step" in getattr(self.optimizer, "__dict__", {})
        return not own and getattr(type(self.optimizer), "step", None) is Optimizer.step

    @property
    def _may_record(self) -> bool:
        return self.capture and self._home.captures and os.environ.get("XPNET_GRAPH", "1") != "0"

    def _settle(self) -> None:
        """Create guard and meter on the model's backend."""
        self._home = backend = self.backend
        self._quantities = dict(self.metrics)
        self.guard = Guard(backend)
        self.meter = Meter(backend, {"loss": None, **self.metrics})
        self._total = backend.xp.zeros((), dtype="float64")  # Σ n_b of the current update
        self.recordings = Recordings(self, backend) if self._may_record else None

    def start(self, batches: int, pending: tuple[Mapping[str, Any], list[int]] | None = None) -> None:
        """Begin an epoch of ``batches`` batches, or continue one: ``pending`` is the meter's saved state."""
        if self._home is not self.backend or self._quantities != self.metrics:
            self._settle()
        self.meter.start(batches)
        if pending is not None:
            self.meter.restore(*pending)
        self.guard.start(random.state.step, self.meter.batches // self.accumulate)
        self.place = self.meter.batches % self.accumulate
        if self.recordings is None or not self._may_record:
            self.recordings = Recordings(self, self._home) if self._may_record else None
        else:
            self.recordings.start()

    # -- one batch -----------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, target: Any, *, last: bool = False) -> Tensor:
        """Train on a batch.  ``last`` forces the update, even after fewer than ``accumulate`` batches."""
        if self.meter.batches == self.meter.capacity:
            self.meter.grow()
        updates = last or self.place + 1 == self.accumulate
        self.prepare(updates)
        first = self.place == 0
        if first:
            self.unit = samples_of(inputs)
        compute = self.compute if self.recordings is None else self.recordings.compute
        with unwarned():
            loss = compute(inputs, target, first=first, last=updates)
        self.advance(samples_of(inputs), updates)
        return loss

    def prepare(self, updates: bool = True) -> None:
        """Copy changes on the host to the backend: the random step, and before an update the learning rates."""
        random.state.write_cells()
        self._in_parts = self.recordable
        if updates and self._in_parts:
            self.optimizer.prepare()

    def compute(self, inputs: Any, target: Any, *, first: bool = True, last: bool = True) -> Tensor:
        """The work on the backend: from the forward pass to the update, the same in every step.

        ``first`` and ``last`` give the position of the batch in its update.
        """
        if first:
            self.optimizer.zero_grad()
        output = run(self.model, inputs)
        loss, count, ignored = weighed(self.loss, output, target, self.count)
        count = samples_of(inputs) if count is None else count
        self.measured = self._measure(loss, output, counted_targets(target, ignored))
        self.meter.write(self.measured, count)
        self._backward(loss, count, samples_of(inputs), first=first, last=last)
        return loss.detach()

    def _measure(self, loss: Tensor, output: Any, target: Any) -> dict[str, Any]:
        raw = output.data if isinstance(output, Tensor) else output
        return {"loss": loss.data, **{name: measure(metric, raw, target) for name, metric in self.metrics.items()}}

    def _backward(self, loss: Tensor, count: Count, samples: int, *, first: bool, last: bool) -> None:
        """Compute the gradients of a batch; after the last batch of an update, do the update."""
        counts = _some(self._home, count)
        if self.accumulate == 1:
            total = loss if self.penalty is None else loss + self.penalty(self.model)
            if self.guard.passes(total.data, counts):
                total.backward()
                self._update(counts)
            return
        if not self.guard.passes(loss.data, counts):
            return
        weight = self._weight(count, samples, first)
        loss.backward(None if weight is None else self._number(weight, loss))
        if last:
            self._finish_accumulation(count)

    def _weight(self, count: Count, samples: int, first: bool) -> Any:
        """The weight of a batch in its update, in units of the first batch's samples; None for 1."""
        if first:
            self.unit = samples
            self._total[...] = 0.0
        if _is_sum(count):
            return None
        self._total[...] += count
        return None if isinstance(count, int) and count == self.unit else count / self.unit

    def _finish_accumulation(self, count: Count) -> None:
        """Divide the gradients by the sum of the weights, add the penalty's gradient once, and update."""
        xp, whole = self._home.xp, None if _is_sum(count) else self._total / self.unit
        if self.penalty is not None:
            penalty = self.penalty(self.model)
            if not self.guard.passes(penalty.data):
                return
            penalty.backward(None if whole is None else self._number(whole, penalty))
        if whole is None:
            self._update(None)
            return
        some = whole > 0.0
        self.optimizer.scale_gradients(xp.asarray(1.0 / xp.where(some, whole, 1.0)))
        self._update(some)

    def _number(self, value: Any, like: Tensor) -> Array:
        """A number as a gradient of ``like``."""
        if isinstance(value, int | float):
            return self._home.xp.full(like.shape, value, dtype=like.dtype)
        return value.astype(like.dtype).reshape(like.shape)

    def _update(self, counts: Array | None) -> None:
        """Update with finite gradients; on a device the optimizer's step gets a flag that says whether they are."""
        fine = self.guard.admits(self.optimizer.squared_gradients(), counts)
        if self.guard.stopped:
            return
        if self.max_grad_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.max_grad_norm)
        if self._in_parts:
            self.optimizer.apply_update(fine)
        else:
            self.optimizer.step(only_if=fine)
        if self.ema is not None:
            self.ema.blend()

    def advance(self, samples: int, updated: bool) -> None:
        """Update the host's state after a batch of ``samples``, with or without an update; also after a replay."""
        self.meter.advance(samples, self.measured)
        if self.guard.stopped:
            return
        self.place = 0 if updated else self.place + 1
        if not updated:
            return
        self.guard.advance()
        if self._in_parts:
            self.optimizer.advance()
        if self.ema is not None:
            self.ema.advance()


def unwarned() -> np.errstate:
    """Suppress NumPy's warnings, because the guard or the history shows values that are not finite."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def samples_of(inputs: Any) -> int:
    """The number of samples in a batch; sequences are (tokens, lengths)."""
    return samples_in(inputs if isinstance(inputs, Inputs) else Inputs((inputs,), {}))


def _is_sum(count: Count) -> bool:
    return isinstance(count, float) and count == SUMMED


def _some(backend: Backend, count: Count) -> Array | None:
    """Whether anything was counted, if that is not known on the host."""
    if isinstance(count, int | float):
        return None if count else backend.xp.zeros((), dtype=bool)
    return count > 0
