"""A forward and backward as text, step by step, and edits of a network's numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from xpnet.tensor import Tensor, no_grad

from .trace import Numbers, Trace, TracedOp, TracedValue


@dataclass(frozen=True)
class Edit:
    """A change of one number: ``name[index] = value``."""

    name: str
    index: tuple[int, ...]
    value: float

    @classmethod
    def parse(cls, text: str) -> Edit:
        """Read ``NAME[i,j]=VALUE``.

        >>> Edit.parse("hidden.weight[1,0]=0.5")
        Edit(name='hidden.weight', index=(1, 0), value=0.5)

        Raises: ``ValueError`` for anything else.
        """
        found = re.fullmatch(r"\s*(\S+?)\s*\[([\d,\s]+)\]\s*=\s*(\S+)\s*", text)
        try:
            if found is None:
                raise ValueError
            index = tuple(int(part) for part in found[2].split(","))
            value = float(found[3])
        except ValueError:
            raise ValueError(f"an edit reads NAME[i,j]=VALUE, as in hidden.weight[1,0]=0.5; got {text!r}") from None
        if not np.isfinite(value):
            raise ValueError(f"an edit needs a finite number, got {text!r}")
        return cls(found[1], index, value)

    def apply(self, tensors: Mapping[str, Tensor]) -> float:
        """Change the number in place; returns its previous value.

        Raises: ``ValueError`` for a name or an index that does not exist.
        """
        if self.name not in tensors:
            raise ValueError(f"there is no {self.name!r} to change: choose from {', '.join(tensors)}")
        tensor = tensors[self.name]
        if len(self.index) != tensor.ndim or any(i >= n for i, n in zip(self.index, tensor.shape, strict=True)):
            raise ValueError(f"{self.name} has shape {tensor.shape}: there is no [{', '.join(map(str, self.index))}]")
        with no_grad():
            was = float(tensor[self.index].item())
            tensor[self.index] = self.value
        return was


def finite_differences(
    gradients: Mapping[str, Numbers], tensors: Mapping[str, Tensor], loss: Callable[[], Tensor], nudge: float = 1e-6
) -> float:
    """The largest ``|g − (L(w + ε) − L(w − ε)) / 2ε|`` over every number w of the tensors, where g is its gradient.

    For small networks in float64: each number needs two forward passes.  The numbers are restored.
    """
    worst = 0.0
    for name, gradient in gradients.items():
        for index, slope in np.ndenumerate(gradient):
            up = Edit(name, index, 0.0)
            was = float(tensors[name].numpy()[index])
            losses = []
            for value in (was + nudge, was - nudge):
                replace(up, value=value).apply(tensors)
                with no_grad():
                    losses.append(float(loss().item()))
            replace(up, value=was).apply(tensors)
            worst = max(worst, abs((losses[0] - losses[1]) / (2 * nudge) - float(slope)))
    return worst


def narrate(record: Trace) -> Iterator[str]:
    """The whole record as text, one block for each step: forward in order, then backward from the loss."""
    count = len(record.steps)
    for place, step in enumerate(record.steps, start=1):
        yield "\n".join([_heading(f"→ {place}/{count}", step, step.formula), *_forward(step)])
    for step in reversed(record.steps):
        if step.gradient_norm is not None:
            heading = _heading(f"← {step.number + 1}/{count}", step, step.derivative or "(see the op's backward)")
            yield "\n".join([heading, *_backward(step)])


def _heading(place: str, step: TracedOp, formula: str) -> str:
    return f"{place}  {step.op} ({f'layer {step.layer}' if step.layer else 'outside the layers'}):  {formula}"


def _forward(step: TracedOp) -> Iterator[str]:
    for value in step.inputs:
        yield _row(f"{value.argument} = {value.name}" if value.name else _origin(value), value.array)
    for value in step.outputs:
        yield _row(value.argument, value.array)


def _backward(step: TracedOp) -> Iterator[str]:
    for value in step.outputs:
        if value.gradient is not None:
            yield _row(f"d{value.argument}, arrives", value.gradient)
    for value in step.inputs:
        if value.gradient is not None:
            yield _row(f"d{value.argument}" + (f" = ∂L/∂({value.name})" if value.name else ""), value.gradient)


def _origin(value: TracedValue) -> str:
    return value.argument if value.source is None else f"{value.argument} (from {value.source + 1})"


def _row(name: str, array: Numbers) -> str:
    name = f"    {name:30}"
    text = np.array2string(array, precision=4, suppress_small=True, separator=" ", threshold=48, prefix=name + " ")
    return f"{name} {text}"


def flow(record: Trace, width: int = 32) -> str:
    """The norm of the gradient at each op, as bars on a logarithmic scale; without a bar for NaN and infinity."""
    norms = [(s, s.gradient_norm) for s in record.steps if s.gradient_norm]
    logs = np.log10([norm for _, norm in norms if np.isfinite(norm)])
    if not len(logs):
        return "no gradients" if not norms else "no finite gradients"
    low, high = min(float(logs.min()), -1.0) - 0.25, max(float(logs.max()), 0.0)
    lines = []
    for step, norm in norms:
        size = round(width * (np.log10(norm) - low) / (high - low)) if np.isfinite(norm) else 0
        lines.append(f"  {f'{step.layer} {step.op}'.strip():28} {'█' * size:{width}} {norm:.3g}")
    return "\n".join(lines)
