"""Flat parameter buffers, so that an optimizer updates all parameters of a group with one vector operation.

Values, gradients and state of a group are contiguous vectors; each parameter is a view of its part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from xpnet.nn import Parameter
from xpnet.tape import mark_changed
from xpnet_backends import Array, Backend, Namespace

LR, STEP, GATED = 0, 1, 2  # indices into ``Run.numbers``


def state_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of state and step counts: float32 for float16 parameters, because float16 cannot count beyond 2,048."""
    return np.dtype("float32") if dtype == "float16" else dtype


@dataclass(slots=True)
class Span:
    """Neighbouring parameters that have taken the same steps.

    ``numbers`` holds the learning rate, the step count, and the rate of a conditional step, on the backend.  So a
    captured step can read them, and no step needs a transfer.
    """

    first: int
    last: int  # one past the end, both counted in parameters
    where: slice  # the same range in elements
    numbers: Array
    steps: int = 0
    lr: float | None = None
    moves: bool = False  # whether its parameters have gradients in the current step
    begun: frozenset[str] = frozenset()  # the state vectors that at least one step has updated

    def write(self, lr: float) -> None:
        """Write the learning rate to the backend if it changed."""
        if lr != self.lr:
            self.numbers[LR] = lr
            self.lr = lr

    def gate(self, xp: Namespace, only_if: Array, grads: Array) -> None:
        """If ``only_if`` is false, set ``numbers[GATED]`` and the gradients to 0, so that no weight changes."""
        self.numbers[GATED] = xp.where(only_if, self.numbers[LR], 0.0)
        grads[...] = xp.where(only_if, grads, 0.0)


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
        self.spans = [self._new_span(0, len(self.parameters))]

    def _allocate(self, state: dict[str, Array]) -> None:
        xp, total = self.backend.xp, self.starts[-1]
        self.values = xp.empty(total, dtype=self.dtype)
        self.grads = xp.zeros(total, dtype=self.dtype)
        kind = state_dtype(self.dtype)
        self.state = {name: state.get(name, xp.zeros(total, dtype=kind)) for name in self.state_names}
        self.value_views = self._views(self.values)
        self.grad_views = self._views(self.grads)

    def keep(self, state_names: Sequence[str]) -> None:
        """Add vectors of zeros for missing state names, because an option may have been switched on."""
        if missing := [name for name in state_names if name not in self.state]:
            self.state |= {name: self.backend.xp.zeros(self.starts[-1], dtype=self.dtype) for name in missing}
            self.state_names = tuple(self.state)

    def _views(self, vector: Array) -> list[Array]:
        parts = zip(self.starts, self.sizes, self.parameters, strict=False)
        return [vector[start : start + size].reshape(p.shape) for start, size, p in parts]

    def _new_span(self, first: int, last: int) -> Span:
        numbers = self.backend.xp.zeros(3, dtype=state_dtype(self.dtype))
        return Span(first, last, slice(self.starts[first], self.starts[last]), numbers)

    def wide(self, vector: Array) -> Array:
        """Values or gradients in the dtype of the state: the vector itself, or a float32 copy of float16."""
        kind = state_dtype(self.dtype)
        return vector if kind == self.dtype else vector.astype(kind)

    def adopt(self) -> None:
        """Make every parameter a view of these buffers again, after it was moved or assigned a new array."""
        first = self.parameters[0]
        if first.backend is not self.backend or first.dtype != self.dtype:
            self._move(first.backend, first.dtype)
        for p, value, grad in zip(self.parameters, self.value_views, self.grad_views, strict=True):
            if p._array is not value:
                value[...] = p._array
                p._array = value
            p._home = grad

    def _move(self, backend: Backend, dtype: np.dtype[Any]) -> None:
        """Move buffers and state to another backend or dtype, following the model."""

        def moved(array: Array) -> Array:
            return backend.asarray(self.backend.to_numpy(array)).astype(state_dtype(dtype))

        state = {name: moved(vector) for name, vector in self.state.items()}
        for span in self.spans:
            span.numbers, span.lr = moved(span.numbers), None
        self.backend, self.dtype = backend, dtype
        self._allocate(state)

    def gather(self) -> list[bool]:
        """Copy gradients that were assigned from outside into the buffer.  Returns which parameters have one."""
        present = []
        for p, home in zip(self.parameters, self.grad_views, strict=True):
            present.append(p.grad is not None and p.requires_grad)
            if present[-1] and p.grad is not home:
                home[...] = p.grad
                p.grad = home
        return present

    def ready(self, present: Sequence[bool]) -> list[Span]:
        """The spans whose parameters have gradients; a span of which only some have is split first."""
        split: list[Span] = []
        for span in self.spans:
            if len(set(present[span.first : span.last])) == 1:
                split.append(span)
                continue
            for _, group in groupby(range(span.first, span.last), key=lambda i: present[i]):
                members = list(group)
                part = self._new_span(members[0], members[-1] + 1)
                part.numbers[...] = span.numbers
                part.steps, part.lr, part.begun = span.steps, span.lr, span.begun
                split.append(part)
        self.spans = split
        for span in split:
            span.moves = present[span.first]
        return [span for span in split if span.moves]

    def note_change(self) -> None:
        """Tell the tape that the values changed."""
        mark_changed(self.parameters)

    def span_of(self, i: int) -> Span:
        """The span that parameter ``i`` belongs to."""
        return next(span for span in self.spans if span.first <= i < span.last)

    def set_steps(self, steps: Sequence[int], begun: Sequence[frozenset[str]]) -> None:
        """Set the step counts of all parameters, and the names of the state vectors that were already updated.

        In the same memory where the spans stay the same.
        """
        before = {(span.first, span.last): span for span in self.spans}
        self.spans = []
        for (count, names), group in groupby(range(len(steps)), key=lambda i: (steps[i], begun[i])):
            members = list(group)
            bounds = members[0], members[-1] + 1
            span = before.get(bounds) or self._new_span(*bounds)
            span.steps, span.begun = count, names
            span.numbers[STEP] = count
            self.spans.append(span)

    def packed(self) -> dict[str, Any]:
        """The data from which ``unpacked`` creates it again: parameters, vectors and counts, without the views."""
        self.adopt()
        counts = [self.span_of(i) for i in range(len(self.parameters))]
        return {
            "parameters": self.parameters,
            "state": self.state,
            "steps": [span.steps for span in counts],
            "begun": [span.begun for span in counts],
        }

    @classmethod
    def unpacked(cls, packed: Mapping[str, Any]) -> Flat:
        """Create the buffers from packed data, whose parameters may be copies."""
        flat = cls(packed["parameters"], ())
        flat.state = {
            name: flat.backend.asarray(vector, state_dtype(flat.dtype)) for name, vector in packed["state"].items()
        }
        flat.state_names = tuple(flat.state)
        flat.set_steps(packed["steps"], packed["begun"])
        flat.adopt()
        return flat
