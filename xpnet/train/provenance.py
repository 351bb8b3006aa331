"""The origin of a NaN or infinity: a step is repeated op by op, up to the first op that produced one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet import ops
from xpnet.nn import Module, Parameter
from xpnet.nn.recording import Recording
from xpnet.tape import Node, run_backward, walk
from xpnet.tensor import Tensor
from xpnet_backends import Array, to_numpy

CAUSES = {
    "log": "the logarithm of zero or of a negative number: give the loss logits instead of probabilities, or add eps",
    "divide": "a division by zero or by a very small number: add a small eps to the denominator",
    "exp": "the exponential overflowed: subtract the largest value first, or use softmax, log_softmax or logsumexp",
    "sqrt": "the root of a negative number, or its slope at 0, which is infinite: add a small eps inside the root",
    "power": "a root of a negative number, a negative power of 0, or an overflow",
    "absolute": "an overflow before it",
}
EXPLODED = "values grew until they overflowed: a smaller learning rate, gradient clipping, or smaller initial weights"


@dataclass(frozen=True)
class Provenance:
    """The origin of the first value that is not finite.

    Attributes
    ----------
    phase : "data", "parameters", "forward", "backward", or "gradient" (finite, but its square overflows).
    layer : path of the layer, "" for the model or the loss.
    op, formula : name of the op, and the first line of its docstring.
    operands : a line for each input: shape, range, and the number of values that are not finite.
    cause : the likely cause, with a fix.
    """

    phase: str
    layer: str
    op: str
    formula: str
    operands: tuple[str, ...]
    cause: str

    def __str__(self) -> str:
        if self.phase == "data":
            return f"it is in the data: {self.operands[0]}; {self.cause}"
        if self.phase == "parameters":
            return f"it is in the parameter {self.layer}: {self.operands[0]}; {self.cause}"
        if self.phase == "gradient":
            return f"{self.operands[0]}; likely cause: {self.cause}"
        where = f"layer {self.layer}" if self.layer else "the model or the loss, outside its layers"
        lines = [f"it arose in the {self.phase} of {self.op!r} in {where}: {self.formula}"]
        lines += [f"  {operand}" for operand in self.operands]
        return "\n".join([*lines, f"  likely cause: {self.cause}"])


def trace_step(model: Module, loss: Callable[[], tuple[Tensor, Tensor]]) -> Provenance | None:
    """The first bad value of a step; None if all values are finite.

    ``loss()`` runs the model and returns its input as a tensor, and the loss.
    """
    with Recording(model) as recording, np.errstate(all="ignore"):
        x, value = loss()
        return _in_data(x) or _in_parameters(model) or _in_graph(value, recording)


def _in_data(x: Tensor) -> Provenance | None:
    if _finite(x.data):
        return None
    rows = np.flatnonzero(~np.isfinite(to_numpy(x.data).reshape(len(x.data), -1)).all(axis=1))
    what = f"samples {', '.join(map(str, rows[:5]))} of the batch hold values that are not finite ({_describe(x.data)})"
    return Provenance("data", "", "", "", (what,), "clean the data, or leave these samples out")


def _in_parameters(model: Module) -> Provenance | None:
    for name, p in model.named_parameters():
        if not _finite(p.data):
            return Provenance(
                "parameters", name, "", "", (_describe(p.data),), "it was loaded or set so, or " + EXPLODED
            )
    return None


def _in_graph(value: Tensor, recording: Recording) -> Provenance | None:
    """Search the forward in the order of execution, then the backward node by node."""
    order = walk(value)
    for node, outputs in order:
        if not all(_finite(t.data) for t in outputs):
            return _blame("forward", node, node.inputs, recording)
    value.grad = value.backend.xp.ones(value.shape, dtype=value.dtype)
    for node, outputs in reversed(order):
        inputs = [t for t in node.inputs if isinstance(t, Tensor)]
        shown = (*node.inputs, *(t.grad for t in outputs if t.grad is not None))
        before = [_finite(t.grad) for t in inputs]
        run_backward(node, outputs)
        if any(good and not _finite(t.grad) for good, t in zip(before, inputs, strict=True)):
            return _blame("backward", node, shown, recording)
    return None


def _blame(phase: str, node: Node, operands: Iterable[Any], recording: Recording) -> Provenance:
    lines = []
    for i, x in enumerate(operands):
        array = x.data if isinstance(x, Tensor) else x
        if array is None:
            continue
        role = "parameter" if isinstance(x, Parameter) else "gradient" if i >= len(node.needs or [x]) else "operand"
        lines.append(f"{role} {_describe(array)}")
    op = getattr(ops, node.name, None)
    formula = (op.__doc__ or "").strip().splitlines()[0] if op is not None else "a custom op"
    return Provenance(
        phase, recording.layer_of(node), node.name, formula, tuple(lines), CAUSES.get(node.name, EXPLODED)
    )


def _finite(array: Array | None) -> bool:
    return array is None or array.dtype.kind != "f" or bool(np.isfinite(to_numpy(array)).all())


def _describe(x: Any) -> str:
    """Shape, range of the finite values, and the number of others."""
    if not hasattr(x, "dtype"):
        return repr(x)
    host = to_numpy(x)
    text = f"{host.dtype}{tuple(host.shape)}"
    if host.size == 0 or host.dtype.kind != "f":
        return text
    finite = host[np.isfinite(host)]
    text += f" from {finite.min():.4g} to {finite.max():.4g}" if finite.size else " without a finite value"
    counts = {"NaN": int(np.isnan(host).sum()), "infinite": int(np.isinf(host).sum())}
    return text + "".join(f", {n} {name}" for name, n in counts.items() if n)


def overflowing_gradient(model: Module) -> Provenance:
    """For finite gradients whose sum of squares overflows."""
    sizes = {
        n: float(np.abs(to_numpy(p.grad)).max()) for n, p in model.named_parameters() if p.grad is not None and p.size
    }
    name = max(sizes, key=lambda n: sizes[n] if math.isfinite(sizes[n]) else math.inf)
    what = f"all values are finite, but the gradient of {name} reaches {sizes[name]:.3g}, and its square overflows"
    return Provenance("gradient", name, "", "", (what,), EXPLODED)
