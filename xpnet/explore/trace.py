"""The record of one forward and backward of a network: every op, and every gradient."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from xpnet.nn import Module
from xpnet.nn.recording import Recording
from xpnet.nn.utils import for_model, left_as_it_was
from xpnet.tape import Op, node_of, observe, tick
from xpnet.tensor import Tensor
from xpnet_backends import is_array, to_numpy

Numbers: TypeAlias = np.ndarray[Any, Any]

_MOST = 1024  # largest number of elements of an array that is written in full; of a larger one only its range


@dataclass(frozen=True)
class TracedValue:
    """An input or a result of an op.

    Attributes
    ----------
    argument : its name in the op, "x" or "weight"; "y" for a result.
    kind : "input", "parameter", "result" or "constant".
    name : path of the parameter; "input", or "input 1" and so on; "" for others.
    source, part : for a result, the number of the step that computed it, and the index among its results.
    array : its values.
    gradient : of an op's result, ∂L/∂y; of its input, the part of ∂L/∂x that this op contributed; None without one.
    """

    argument: str
    kind: str
    name: str
    source: int | None
    part: int
    array: Numbers
    gradient: Numbers | None


@dataclass(frozen=True)
class TracedOp:
    """One op, forward and backward.

    Attributes
    ----------
    number : its position in the order of the forward, from 0.  The backward visits the steps in reverse order.
    layer : path of the innermost layer that ran it, "" outside of all layers.
    formula, derivative : from the op's docstring.
    gradient_norm : the root of the sum of squares of ∂L/∂y; None without a gradient.
    """

    number: int
    layer: str
    op: str
    formula: str
    derivative: str
    options: dict[str, Any]
    inputs: tuple[TracedValue, ...]
    outputs: tuple[TracedValue, ...]

    @property
    def gradient_norm(self) -> float | None:
        """``‖∂L/∂y‖``, over all results of the op."""
        found = [v.gradient for v in self.outputs if v.gradient is not None]
        return _norm(*found) if found else None


Step, Value = TracedOp, TracedValue  # the old names


@dataclass(frozen=True)
class Trace:
    """The record that ``trace`` returns.

    Attributes
    ----------
    steps : every op, in the order of the forward.
    loss : the number that was differentiated.
    gradients : the total gradient of each parameter, and of each floating-point input.
    """

    steps: tuple[TracedOp, ...]
    loss: float
    gradients: dict[str, Numbers]

    def norms(self) -> dict[str, float]:
        """The norm of each gradient in ``gradients``: where it vanishes or explodes."""
        return {name: _norm(gradient) for name, gradient in self.gradients.items()}

    def to_dict(self, most: int = _MOST) -> dict[str, Any]:
        """Plain lists and numbers, ready for JSON.

        Arrays with more than ``most`` elements are reduced to shape, range and norm.  NaN and infinities become the
        strings "nan", "inf" and "-inf".
        """
        steps = [
            {
                "number": s.number, "layer": s.layer, "op": s.op, "formula": s.formula, "derivative": s.derivative,
                "options": {k: _plain(v) for k, v in s.options.items()}, "gradient_norm": _plain(s.gradient_norm),
                "inputs": [_value(v, most) for v in s.inputs], "outputs": [_value(v, most) for v in s.outputs],
            }
            for s in self.steps
        ]  # fmt: skip
        gradients = {name: _array(gradient, most) for name, gradient in self.gradients.items()}
        return {"loss": _plain(self.loss), "steps": steps, "gradients": gradients}

    def to_json(self, most: int = _MOST) -> str:
        """``to_dict`` as text."""
        return json.dumps(self.to_dict(most), allow_nan=False, ensure_ascii=False)

    def __str__(self) -> str:
        """One line for each step."""
        lines = [f"{'':>4}  {'layer':12}  {'op':24}  {'result':16}  {'‖∂L/∂y‖':>10}  formula"]
        for s in self.steps:
            shapes = ", ".join(str(v.array.shape) for v in s.outputs)
            norm = "–" if s.gradient_norm is None else f"{s.gradient_norm:.4g}"
            lines.append(f"{s.number:>4}  {s.layer or '–':12}  {s.op:24}  {shapes:16}  {norm:>10}  {s.formula}")
        return "\n".join([*lines, f"loss {self.loss:.6g}"])


def trace(model: Module, *inputs: Any, loss: Callable[[Any], Tensor] | None = None) -> Trace:
    """Run ``model(*inputs)``, ``loss(output)`` and the backward, and record everything.

    Without ``loss`` the sum of all outputs is used.  The model is left unchanged, including gradients and running
    statistics, and so is the random state.

    >>> from xpnet import nn
    >>> found = trace(nn.Sequential(nn.Linear(2, 3), nn.Tanh()), [[1.0, 2.0]], loss=lambda y: (y * y).mean())
    >>> [(s.layer, s.op, s.formula, s.derivative) for s in found.steps][1]
    ('1', 'tanh', 'y = tanh x', 'dy/dx = 1 − y²')
    >>> found.steps[0].inputs[1].name, found.gradients["0.weight"].shape
    ('0.weight', (3, 2))

    Raises: ``ValueError`` if the loss is not one number, or if nothing in it requires a gradient.
    """
    given = [_fresh(model, x) for x in inputs]
    names = {id(p): path for path, p in model.named_parameters()}
    leaves = {name: x for name, x in zip(_input_names(given), given, strict=True) if isinstance(x, Tensor)}
    book = _Book(names | {id(x): name for name, x in leaves.items()}, set(names))
    with left_as_it_was(model):
        with Recording(model) as recording, observe(book.note):
            output = model(*given)
            value = loss(output) if loss is not None else _sum(output)
        if not isinstance(value, Tensor) or value.size != 1:
            what = f"shape {value.shape}" if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"trace: the loss must be a tensor with one element, got {what}")
        if not value.requires_grad:
            raise ValueError("trace: nothing in the loss has a gradient: no parameter and no input requires one")
        book.follow = True
        value.backward()
        tensors = {**leaves, **dict(model.named_parameters())}
        gradients = {name: _host(t.grad) for name, t in tensors.items() if t.grad is not None}
    return Trace(book.steps(recording), float(value.item()), gradients)


class _Draft:
    """A step while it is recorded."""

    def __init__(self, op: Op, options: dict[str, Any], inputs: list[TracedValue], outputs: list[TracedValue]) -> None:
        self.op, self.options, self.inputs, self.outputs = op, options, inputs, outputs
        self.time = tick()
        self.arrived: tuple[Any, ...] = ()
        self.passed_on: tuple[Any, ...] = ()

    def finished(self, number: int, layer: str) -> TracedOp:
        formula, derivative = describe(self.op)
        inputs = [_with_gradient(v, self.passed_on, i) for i, v in enumerate(self.inputs)]
        outputs = [_with_gradient(v, self.arrived, i) for i, v in enumerate(self.outputs)]
        kept = tuple(v for v in inputs if v.array.dtype != object)  # without omitted arguments
        return TracedOp(number, layer, self.op.__name__, formula, derivative, self.options, kept, tuple(outputs))


class _Book:
    """Collects the ops as they run, and the gradients of their backwards."""

    def __init__(self, names: dict[int, str], parameters: set[int]) -> None:
        self._names, self._parameters = names, parameters
        self._drafts: list[_Draft] = []
        self._made: dict[int, tuple[int, int]] = {}  # id of a tensor -> its step, and the index among its results
        self._alive: list[Any] = []  # keeps tensors alive, so that no id is reused
        self.follow = False

    def note(self, op: Op, args: tuple[Any, ...], options: dict[str, Any], result: Any) -> None:
        results = result if isinstance(result, tuple) else (result,)
        inputs = [self._value(a, name) for a, name in zip(args, _arguments(op, len(args)), strict=True)]
        number = len(self._drafts)
        outputs = [
            TracedValue("y" if len(results) == 1 else f"y{i}", "result", "", number, i, _host(t.data), None)
            for i, t in enumerate(results)
        ]
        draft = _Draft(op, options, inputs, outputs)
        self._drafts.append(draft)
        self._alive += [*args, *results]
        for i, t in enumerate(results):
            self._made[id(t)] = number, i
        node = next(filter(None, map(node_of, results)), None)
        if node is not None and node.backward is not None:
            node.backward = _listening(node.backward, draft)

    def _value(self, x: Any, argument: str) -> TracedValue:
        source, part = self._made.get(id(x), (None, 0))
        name = self._names.get(id(x), "")
        kind = "result" if source is not None else "constant"
        if name:
            kind = "parameter" if id(x) in self._parameters else "input"
        return TracedValue(argument, kind, name, source, part, _host(x.data if isinstance(x, Tensor) else x), None)

    def steps(self, recording: Recording) -> tuple[TracedOp, ...]:
        return tuple(d.finished(i, recording.layer_at(d.time)) for i, d in enumerate(self._drafts))


def _listening(backward: Op, draft: _Draft) -> Op:
    def heard(dy: Any, needs: Any) -> Any:
        draft.arrived = tuple(None if g is None else _host(g) for g in (dy if isinstance(dy, tuple) else (dy,)))
        gradients = backward(dy, needs)
        wanted = zip(gradients, needs, strict=False)
        draft.passed_on = tuple(_host(g) if need and g is not None else None for g, need in wanted)
        return gradients

    return heard


def _with_gradient(value: TracedValue, gradients: tuple[Any, ...], place: int) -> TracedValue:
    gradient = gradients[place] if place < len(gradients) else None
    return TracedValue(value.argument, value.kind, value.name, value.source, value.part, value.array, gradient)


def describe(op: Op) -> tuple[str, str]:
    """Formula and derivative of an op, from its docstring; "" if the docstring has none.

    A derivative is a clause that begins with ```` ``dx = ````, ```` ``dy/dx = ```` or ```` ``∂ ````; the formula is the
    first other clause.  A clause ends at the end of a line, or with ";" or "." before two spaces.

    >>> from xpnet import ops
    >>> describe(ops.linear)
    ('y = x Wᵀ + b', 'dx = dy W, dW = dyᵀ x, db = Σ dy, the sums over all leading axes')
    """
    clauses = re.split(r"(?:[.;](?:\s{2,}|\s*\n\s*|\s*$))|\n\s*\n", inspect.getdoc(op) or "")
    clauses = [" ".join(c.split()) for c in clauses if c.strip()]
    slopes = [c for c in clauses if _SLOPE.search(c)]
    formula = next((c for c in clauses if c not in slopes), clauses[0] if clauses else op.__name__)
    return _without_ticks(formula), "; ".join(_without_ticks(c) for c in slopes)


_SLOPE = re.compile(r"``(?:d\S+ \+?=|∂)")


def _without_ticks(text: str) -> str:
    """The text without markup and without authors."""
    return re.sub(r"\s*\([^()]*\b(?:19|20)\d\d[^()]*\)", "", text).replace("``", "").rstrip(",.;: ")


def _arguments(op: Op, count: int) -> list[str]:
    """The names of the op's arrays."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in inspect.signature(op).parameters.values() if p.kind in kinds][1:]
    return [names[i] if i < len(names) else f"x{i}" for i in range(count)]


def _fresh(model: Module, x: Any) -> Any:
    """A copy of an input as a tensor that requires a gradient, if its dtype is floating point."""
    if not (isinstance(x, (Tensor, list, int, float)) or is_array(x)):
        return x
    tensor = for_model(model, x).detach()
    tensor.requires_grad = tensor.dtype.kind == "f"
    return tensor


def _input_names(inputs: list[Any]) -> list[str]:
    return ["input"] if len(inputs) == 1 else [f"input {i + 1}" for i in range(len(inputs))]


def _sum(output: Any) -> Tensor:
    if isinstance(output, Tensor):
        return output.sum()
    if not isinstance(output, (tuple, list)) or not output:
        raise ValueError(f"trace: the model returned {type(output).__name__}: give loss=..., which returns a number")
    total = _sum(output[0])
    for part in output[1:]:
        total = total + _sum(part)
    return total


def _host(x: Any) -> Numbers:
    """A copy as a NumPy array; None as an array of objects."""
    return np.array(to_numpy(x) if is_array(x) else x)


def _norm(*arrays: Numbers) -> float:
    return math.sqrt(sum(float(np.square(a, dtype=np.float64).sum()) for a in arrays))


def _value(value: TracedValue, most: int) -> dict[str, Any]:
    gradient = None if value.gradient is None else _array(value.gradient, most)
    about = {"argument": value.argument, "kind": value.kind, "name": value.name, "source": value.source}
    return {**about, "part": value.part, **_array(value.array, most), "gradient": gradient}


def _array(array: Numbers, most: int) -> dict[str, Any]:
    if array.size <= most:
        return {"shape": list(array.shape), "values": _plain(array.tolist())}
    finite = array[np.isfinite(array)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    return {"shape": list(array.shape), "values": None, "min": low, "max": high, "norm": _plain(_norm(array))}


def _plain(x: Any) -> Any:
    if isinstance(x, dict):
        return {str(k): _plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(v) for v in x]
    if isinstance(x, np.generic):
        x = x.item()
    if isinstance(x, float) and not math.isfinite(x):
        return str(x)
    return x if x is None or isinstance(x, (bool, int, float, str)) else str(x)
