"""Parameters in one flat buffer, so that an optimizer updates all of them in one go.

Values, gradients and state of a group lie in contiguous vectors; each parameter is a view of its part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from xpnet.nn import Parameter
from xpnet.tensor import _clock
from xpnet_backends import Array, Backend, Namespace

LR, STEP = 0, 1  # places in a run's vector of numbers


def state_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What state and numbers of parameters are kept in: float32 for float16, which cannot count beyond 2,048."""
    return np.dtype("float32") if dtype == "float16" else dtype


@dataclass(slots=True)
class Run:
    """Neighbouring parameters that have taken the same steps.

    ``numbers`` holds the learning rate and the step count on the backend: a kernel launched from a recorded graph
    reads them there, and no step needs a transfer.
    """

    first: int
    last: int  # one past the end, both counted in parameters
    where: slice  # the same in elements
    numbers: Array
    steps: int = 0
    lr: float | None = None

    def tick(self, lr: float) -> None:
        """Start a step: count it, and write the learning rate if it changed."""
        if lr != self.lr:
            self.numbers[LR] = lr
            self.lr = lr
        self.numbers[STEP] += 1
        self.steps += 1

    def gate(self, xp: Namespace, only_if: Array, grads: Array) -> None:
        """Where ``only_if`` is false: a learning rate of 0 and gradients of 0, so that no weight moves."""
        self.numbers[LR] = xp.where(only_if, self.numbers[LR], 0.0)
        grads[...] = xp.where(only_if, grads, 0.0)
        self.lr = None  # to be written anew at the next step


class Flat:
    """The flat buffers of some parameters of one backend and dtype."""

    def __init__(self, parameters: Sequence[Parameter], state_names: Sequence[str]) -> None:
        self.parameters = list(parameters)
        self.state_names = tuple(state_names)
        self.backend: Backend = parameters[0].backend
        self.dtype: np.dtype[Any] = parameters[0].dtype
        self.sizes = [p.size for p in parameters]
        self.starts = [0, *np.cumsum(self.sizes).tolist()]
        self._allocate({})
        self.runs = [self._new_run(0, len(self.parameters))]

    def _allocate(self, state: dict[str, Array]) -> None:
        xp, total = self.backend.xp, self.starts[-1]
        self.values = xp.empty(total, dtype=self.dtype)
        self.grads = xp.zeros(total, dtype=self.dtype)
        kind = state_dtype(self.dtype)
        self.state = {name: state.get(name, xp.zeros(total, dtype=kind)) for name in self.state_names}
        self.value_views = self._views(self.values)
        self.grad_views = self._views(self.grads)

    def _views(self, vector: Array) -> list[Array]:
        parts = zip(self.starts, self.sizes, self.parameters, strict=False)
        return [vector[start : start + size].reshape(p.shape) for start, size, p in parts]

    def _new_run(self, first: int, last: int) -> Run:
        numbers = self.backend.xp.zeros(2, dtype=state_dtype(self.dtype))
        return Run(first, last, slice(self.starts[first], self.starts[last]), numbers)

    def wide(self, vector: Array) -> Array:
        """Values or gradients in the dtype of the state: themselves, or a copy of float16 in float32."""
        kind = state_dtype(self.dtype)
        return vector if kind == self.dtype else vector.astype(kind)

    def adopt(self) -> None:
        """See to it that every parameter lives here, wherever it was moved or what was assigned to it meanwhile."""
        first = self.parameters[0]
        if first.backend is not self.backend or first.dtype != self.dtype:
            self._move(first.backend, first.dtype)
        for p, value, grad in zip(self.parameters, self.value_views, self.grad_views, strict=True):
            if p._array is not value:
                value[...] = p._array
                p._array = value
            p._home = grad

    def _move(self, backend: Backend, dtype: np.dtype[Any]) -> None:
        """Follow the model to another backend or dtype, with all state."""

        def moved(array: Array) -> Array:
            return backend.asarray(self.backend.to_numpy(array)).astype(state_dtype(dtype))

        state = {name: moved(vector) for name, vector in self.state.items()}
        for run in self.runs:
            run.numbers = moved(run.numbers)
        self.backend, self.dtype = backend, dtype
        self._allocate(state)

    def gather(self) -> list[bool]:
        """Bring gradients home that were assigned from outside; say which parameters have one."""
        present = []
        for p, home in zip(self.parameters, self.grad_views, strict=True):
            present.append(p.grad is not None and p.requires_grad)
            if present[-1] and p.grad is not home:
                home[...] = p.grad
                p.grad = home
        return present

    def ready(self, present: Sequence[bool]) -> list[Run]:
        """The runs whose parameters have gradients; a run of which only some have is split first."""
        split: list[Run] = []
        for run in self.runs:
            if len(set(present[run.first : run.last])) == 1:
                split.append(run)
                continue
            for _, group in groupby(range(run.first, run.last), key=lambda i: present[i]):
                members = list(group)
                part = self._new_run(members[0], members[-1] + 1)
                part.numbers[...] = run.numbers
                part.steps, part.lr = run.steps, run.lr
                split.append(part)
        self.runs = split
        return [run for run in split if present[run.first]]

    def note_change(self) -> None:
        """Tell the tape that the values changed."""
        now = next(_clock)
        for p in self.parameters:
            p._changed_at[0] = now

    def steps_of(self, i: int) -> int:
        """How many steps parameter ``i`` has taken."""
        return next(run.steps for run in self.runs if run.first <= i < run.last)

    def set_steps(self, steps: Sequence[int]) -> None:
        """Take over the step counts of all parameters."""
        self.runs = []
        for count, group in groupby(range(len(steps)), key=lambda i: steps[i]):
            members = list(group)
            run = self._new_run(members[0], members[-1] + 1)
            run.steps = count
            run.numbers[STEP] = count
            self.runs.append(run)
