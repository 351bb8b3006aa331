"""Read networks from ONNX files."""

from __future__ import annotations

import inspect
import os
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.interchange.onnx import messages
from xpnet.interchange.onnx.messages import DTYPES, Attribute, Node, OnnxError, to_array
from xpnet.interchange.onnx.protobuf import WireError, decode
from xpnet.interchange.onnx.reader_call import Call
from xpnet.interchange.onnx.reader_files import attach_files
from xpnet.interchange.onnx.reader_graph import in_order, inlined, op_name, title_of
from xpnet.interchange.onnx.reader_ops import ON_HOST, OPS, OUTPUTS, STATISTICS
from xpnet.nn import Module, Parameter
from xpnet.tensor import Tensor, TensorLike, as_tensor
from xpnet_backends import Backend, BackendError, get_backend, is_array

_VERSIONS = range(7, 24)
_FAILURES = (
    ValueError, TypeError, IndexError, KeyError, AttributeError, ZeroDivisionError, OverflowError, BackendError,
    NotImplementedError,
)  # fmt: skip


def from_onnx(path: str | os.PathLike[str], backend: str | Backend | None = None, *, dtype: Any = None) -> OnnxModel:
    """Read the network in an ONNX file, in evaluation mode.

    Weights in external files are read if those files are in the folder of ``path`` or below it.

    Parameters
    ----------
    path :
        The ONNX file.
    backend :
        The backend of the weights; by default the current one.
    dtype :
        Replaces the floating dtype of the file, e.g. ``"float32"`` for a float16 file.

    Raises: ``FileNotFoundError``; ``OnnxError`` if the file is damaged or holds ops that are not supported.

    >>> import tempfile, numpy as np, xpnet
    >>> x = np.ones((4, 3), "float32")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     xpnet.interchange.to_onnx(xpnet.nn.Linear(3, 2), x, f"{folder}/layer.onnx")
    ...     net = from_onnx(f"{folder}/layer.onnx")
    >>> net(x).shape
    (4, 2)
    """
    content = Path(path).read_bytes()
    try:
        model = decode(messages.Model, content)
        attach_files(model, Path(path))
        return OnnxModel(model, backend, dtype).eval()
    except (OnnxError, WireError, struct.error, OverflowError) as error:
        raise OnnxError(f"{os.fspath(path)} ({len(content)} bytes): {error}") from error


@dataclass(frozen=True)
class _Step:
    """One node, ready to compute."""

    title: str
    function: Callable[..., Any]
    options: Mapping[str, Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    several: bool


@dataclass(frozen=True)
class Input:
    """An input of the network: its name, dtype, and shape, with None for a variable length."""

    name: str
    dtype: str | None
    shape: tuple[int | None, ...] | None


@dataclass
class _Plan:
    """The parsed and checked content of a graph."""

    inputs: list[Input]
    outputs: list[str]
    weights: dict[str, np.ndarray[Any, Any]]
    constants: dict[str, np.ndarray[Any, Any]]
    steps: list[_Step]
    version: int
    on_host: set[str] = field(default_factory=set)  # values that an op reads on the host
    on_device: set[str] = field(default_factory=set)
    statistics: set[str] = field(default_factory=set)


class OnnxModel(Module):
    """A network read by ``from_onnx``.  Its state dict has the names of the weights in the file.

    The weights are parameters, so the network can be trained further, or frozen by ``requires_grad_(False)``.
    """

    def __init__(self, model: messages.Model, backend: str | Backend | None = None, dtype: Any = None) -> None:
        super().__init__()
        plan = _plan(model)
        self._steps, self._version, self._dtype = (
            plan.steps,
            plan.version,
            None if dtype is None else str(np.dtype(dtype)),
        )
        self.inputs, self.output_names = plan.inputs, plan.outputs
        self.metadata = {e.key or "": e.value or "" for e in model.metadata}
        self._host = {n: a for n, a in {**plan.weights, **plan.constants}.items() if _stays(n, a, plan)}
        self._slots: dict[str, str] = {}
        target = get_backend(backend)
        for name, array in {**plan.weights, **plan.constants}.items():
            if name not in self._host or (name in plan.on_device and array.dtype.kind == "f"):
                self._keep(name, target.asarray(array, self._dtype or array.dtype), plan)
        self._first = self._weight_dtype()

    def _keep(self, name: str, array: Any, plan: _Plan) -> None:
        slot = name
        while not slot or hasattr(self, slot):  # the file may call a weight "forward"
            slot += "_"
        self._slots[name] = slot
        if name in plan.constants:
            self.register_buffer(slot, array, persistent=False)
        elif name in plan.statistics:
            self.register_buffer(slot, array)
        else:
            self.register_parameter(slot, Parameter(Tensor(array)))

    @property
    def value_names(self) -> list[str]:
        """The names of all intermediate values in order, for use with ``features``."""
        return [name for step in self._steps for name in step.outputs if name]

    def forward(self, *inputs: TensorLike) -> Any:
        """The output; a tuple if the file has several."""
        values = self._run(inputs, self.output_names)
        found = tuple(values[name] for name in self.output_names)
        return found[0] if len(found) == 1 else found

    def features(self, x: TensorLike | Sequence[TensorLike], names: Iterable[str]) -> dict[str, Any]:
        """Intermediate values by name; only what they need is computed."""
        wanted = list(names)
        known = {*self.value_names, *(i.name for i in self.inputs)}
        if unknown := [name for name in wanted if name not in known]:
            some = ", ".join(map(repr, self.value_names[:5]))
            raise OnnxError(f"features(): nothing is called {unknown[0]!r}; names are {some}, ... (see value_names)")
        return self._run(tuple(x) if isinstance(x, (tuple, list)) else (x,), wanted)

    def _run(self, inputs: Sequence[TensorLike], wanted: Sequence[str]) -> dict[str, Any]:
        if len(inputs) != len(self.inputs):
            raise OnnxError(
                f"takes {len(self.inputs)} inputs ({', '.join(i.name for i in self.inputs)}), got {len(inputs)}"
            )
        values: dict[str, Any] = {i.name: self._checked(i, x) for i, x in zip(self.inputs, inputs, strict=True)}
        batch = self._other_batch(values)
        steps = _needed(self._steps, wanted)
        users = _users(steps, wanted)
        for step in steps:
            arguments = [self._value(name, values) for name in step.inputs]
            call = Call(step.options, self._version, self.training, batch, self._dtype, len(step.outputs))
            values |= zip(step.outputs, _compute(step, call, arguments), strict=False)
            for name in step.inputs:  # values that are no longer needed are freed
                users[name] -= 1
                if not users[name]:
                    values.pop(name, None)
        return {name: self._value(name, values) for name in wanted}

    def _value(self, name: str, values: Mapping[str, Any]) -> Any:
        if not name:
            return None
        if name in values:
            return values[name]
        if name in self._slots:
            kept = getattr(self, self._slots[name])
            return kept if isinstance(kept, Tensor) else as_tensor(kept)
        return self._host[name]

    def _checked(self, expected: Input, x: TensorLike) -> Tensor:
        if not isinstance(x, Tensor) and not is_array(x):
            raise OnnxError(f"input {expected.name!r} must be a tensor or an array, got {type(x).__name__}")
        t = as_tensor(x)
        shape = expected.shape
        if shape is not None and t.ndim != len(shape):
            known = ", ".join("?" if n is None else str(n) for n in shape)
            raise OnnxError(f"input {expected.name!r} must have {len(shape)} axes as ({known}), got {t.shape}")
        dtype = self._dtype if self._dtype and (expected.dtype or "").startswith("float") else expected.dtype
        now = self._weight_dtype()
        moved = expected.dtype is None or now != self._first  # after model.to(dtype=...) inputs must have that dtype
        if t.dtype.kind == "f" and (expected.dtype or "float").startswith("float") and moved:
            dtype = now or dtype
        if dtype is not None and t.dtype != dtype:
            raise OnnxError(f"input {expected.name!r} must be {dtype}, got {t.dtype}: x.astype({dtype!r})")
        return t

    def _weight_dtype(self) -> str | None:
        return next((str(p.dtype) for p in self.parameters()), None)

    def _other_batch(self, values: Mapping[str, Tensor]) -> tuple[int, int] | None:
        """The declared batch size of the first input and its actual one, if they differ."""
        shape = self.inputs[0].shape if self.inputs else None
        declared = shape[0] if shape else None
        given = values[self.inputs[0].name].shape[0] if shape else None
        return (declared, given) if declared is not None and given is not None and declared != given else None

    def extra_repr(self) -> str:
        return f"{', '.join(i.name for i in self.inputs)} -> {', '.join(self.output_names)}, {len(self._steps)} ops"


def _compute(step: _Step, call: Call, arguments: list[Any]) -> tuple[Any, ...]:
    try:
        result = step.function(call, *arguments)
    except _FAILURES as error:
        raise OnnxError(f"{step.title}: {error}") from error
    found = tuple(np.asarray(y) if isinstance(y, np.generic) else y for y in (result if step.several else (result,)))
    if not all(isinstance(y, (Tensor, np.ndarray)) or is_array(y) for y in found):
        raise OnnxError(f"{step.title}: cannot be computed from {', '.join(type(a).__name__ for a in arguments)}")
    return found


def _needed(steps: Sequence[_Step], wanted: Iterable[str]) -> list[_Step]:
    names, found = set(wanted), []
    for step in reversed(steps):
        if not names.isdisjoint(name for name in step.outputs if name):
            found.append(step)
            names.update(step.inputs)
    return found[::-1]


def _users(steps: Sequence[_Step], wanted: Iterable[str]) -> dict[str, int]:
    users = dict.fromkeys(wanted, 1)
    for step in steps:
        for name in step.inputs:
            users[name] = users.get(name, 0) + 1
    return users


def _stays(name: str, array: np.ndarray[Any, Any], plan: _Plan) -> bool:
    """Whether a weight stays on the host: integers, and values that ops only read on the host."""
    return array.dtype.kind != "f" or name in plan.on_host


# -- from messages to a plan -----------------------------------------------------------------------------------------


def _plan(model: messages.Model) -> _Plan:
    if model.graph is None or not model.graph.outputs:
        raise OnnxError("holds no network: it is damaged, or not an ONNX file")
    graph, version = model.graph, _version(model)
    if graph.sparse:
        raise OnnxError("has sparse weights, which are not supported: save them as dense ones")
    nodes = inlined(model, version)
    weights = {w.name or "": to_array(w) for w in graph.weights}
    _refuse_twice("weights", [w.name or "" for w in graph.weights])
    _refuse_twice("inputs", [v.name or "" for v in graph.inputs])
    inputs = [_input(v) for v in graph.inputs if (v.name or "") not in weights]
    outputs = [v.name or "" for v in graph.outputs]
    plan = _Plan(inputs, outputs, weights, {}, [], version)
    known = {*weights, *(i.name for i in inputs)}
    ordered = in_order(nodes, known)
    ordered = _without_idle(ordered, outputs)
    _refuse_unknown(node for _, node in ordered)
    for i, node in ordered:
        _add(plan, node, i, known)
    if missing := [name for name in outputs if name not in known]:
        raise OnnxError(f"its output {missing[0]!r} is computed by no node")
    return plan


def _version(model: messages.Model) -> int:
    opsets = [*model.opsets, *(o for f in model.functions if not model.opsets for o in f.opsets)]
    versions = list({o.version for o in opsets if not o.domain or o.domain == "ai.onnx"})
    if len(versions) != 1 or versions[0] not in _VERSIONS:
        raise OnnxError(
            f"needs version {versions[0] if versions else 'unknown'} of ONNX's ops, supported are "
            f"{_VERSIONS.start} to {_VERSIONS.stop - 1}"
        )
    return versions[0] or 0


def _input(value: messages.Value) -> Input:
    kind = value.type.tensor if value.type is not None else None
    if not value.name or kind is None:
        raise OnnxError(f"its input {value.name!r} is not a tensor")
    dims = None if kind.shape is None else tuple(d.value if d.value and d.value > 0 else None for d in kind.shape.dims)
    return Input(value.name, DTYPES.get(kind.dtype or 0), dims)


def _refuse_twice(what: str, names: Sequence[str]) -> None:
    seen = set[str]()
    for name in names:
        if name in seen:
            raise OnnxError(f"two of its {what} are called {name[:60]!r}")
        seen.add(name)


def _known(node: Node) -> bool:
    return op_name(node) in OPS or op_name(node) == "Constant"


def _without_idle(nodes: Sequence[tuple[int, Node]], outputs: Iterable[str]) -> list[tuple[int, Node]]:
    """Remove nodes that no output needs and that cannot be computed: unknown ops, and nodes that depend on them."""
    if all(_known(node) for _, node in nodes):
        return list(nodes)
    names, needed = set(outputs), set()
    for i, node in reversed(nodes):
        if not names.isdisjoint(name for name in node.outputs if name):
            needed.add(i)
            names.update(node.inputs)
    kept, absent = [], set[str]()
    for i, node in nodes:
        if i in needed or (_known(node) and absent.isdisjoint(node.inputs)):
            kept.append((i, node))
        else:
            absent.update(name for name in node.outputs if name)
    return kept


def _refuse_unknown(nodes: Iterable[Node]) -> None:
    """Raise one error that names all unknown ops."""
    unknown = {op_name(n) for n in nodes if not _known(n)}
    if unknown:
        raise OnnxError(f"needs ops that are not supported: {', '.join(sorted(unknown)[:20])}")


def _add(plan: _Plan, node: Node, place: int, known: set[str]) -> None:
    op, title = op_name(node), title_of(node, place)
    outputs, count = [name for name in node.outputs if name], OUTPUTS.get(op, 1)
    wrong = count == 1 and outputs[:1] != node.outputs[:1]
    if not outputs or wrong or len(set(outputs)) < len(outputs) or any(name in known for name in outputs):
        raise OnnxError(f"{title}: its outputs {outputs[:5]} are missing or computed twice")
    if op == "Constant":
        plan.constants[outputs[0]] = _constant(node, title)
        known.add(outputs[0])
        return
    least, most = _arity(op)
    inputs = list(node.inputs)
    while inputs and not inputs[-1]:
        inputs.pop()
    if not least <= len(inputs) <= most or "" in inputs[:least]:
        raise OnnxError(f"{title}: {len(inputs)} inputs, it takes {least if least == most else f'{least} to {most}'}")
    if missing := [name for name in inputs if name and name not in known]:
        raise OnnxError(f"{title}: its input {missing[0]!r} is computed by no node before it")
    options = {a.name or "": _option(a, title) for a in node.attributes}
    kept = tuple(
        node.outputs[:count]
    )  # masks and indices are not computed; a node that needs one reports it as missing
    plan.steps.append(_Step(title, OPS[op], options, tuple(inputs), kept, op in OUTPUTS))
    known.update(name for name in kept if name)
    for i, name in enumerate(inputs):
        (plan.on_host if i in ON_HOST.get(op, ()) else plan.on_device).add(name)
        if i in STATISTICS.get(op, ()):
            plan.statistics.add(name)


@cache
def _arity(op: str) -> tuple[int, float]:
    """The least and largest number of inputs of an op: the arguments of its function after the first."""
    parameters = list(inspect.signature(OPS[op]).parameters.values())[1:]
    least = sum(p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)
    return least, float("inf") if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(parameters)


def _constant(node: Node, title: str) -> np.ndarray[Any, Any]:
    for a in node.attributes:
        if a.name == "value" and a.t is not None:
            return to_array(a.t)
        if a.name in ("value_float", "value_floats"):
            return np.array(a.f if a.name == "value_float" else a.floats, np.float32)
        if a.name in ("value_int", "value_ints"):
            return np.array(a.i if a.name == "value_int" else a.ints, np.int64)
    raise OnnxError(f"{title}: holds no numbers")


def _option(a: Attribute, title: str) -> Any:
    """The value of an attribute.  Older files do not store its type."""
    if a.t is not None and a.kind in (None, 0, 4):
        return to_array(a.t)
    by_kind = {1: a.f, 2: a.i, 3: a.s, 6: a.floats, 7: a.ints, 8: a.strings}
    kind = a.kind or next((k for k, v in by_kind.items() if v is not None and v != []), 7)
    if kind not in by_kind:
        raise OnnxError(f"{title}: its option {a.name!r} has a type that is not supported")
    value = by_kind[kind]
    if kind in (3, 8):
        try:
            return bytes(value or b"").decode() if kind == 3 else [bytes(v).decode() for v in a.strings]
        except UnicodeDecodeError:
            raise OnnxError(f"{title}: its option {a.name!r} is not text") from None
    return {1: 0.0, 2: 0}.get(kind, []) if value is None else value


__all__ = ["Input", "OnnxModel", "from_onnx"]
