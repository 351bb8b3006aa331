"""Networks to ONNX files.

The network is run on an example and every op that it calls is written down as ONNX nodes.  It is run twice, with two
batch sizes and other numbers: what differs between the runs depends on the batch, and what differs without having been
computed by an op cannot be written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpnet._files import write_atomically
from xpnet._version import __version__
from xpnet.interchange.onnx import messages
from xpnet.interchange.onnx.messages import DTYPE_CODES, Node, OnnxError, attribute, to_tensor
from xpnet.interchange.onnx.protobuf import encode
from xpnet.nn import Module
from xpnet.tensor import Tensor, TensorLike, as_tensor, no_grad, observe
from xpnet_backends import is_array, to_numpy

OPSET, IR_VERSION = 17, 8
_BATCHES = (2, 3)


def to_onnx(
    model: Module,
    example_input: TensorLike,
    path: str | os.PathLike[str],
    *,
    input_name: str = "input",
    output_name: str = "output",
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a network as it computes in evaluation mode, for any batch size: ONNX, version 17 of its ops.

    ``example_input`` (N, ...) says the shape and dtype of its input; the first axis is the batch.  ``metadata`` is text
    to keep in the file.

    Raises: ``OnnxError`` with the layer's path where it computes something that ONNX, or this writer, does not know.
    """
    from xpnet.interchange.onnx.writer_ops import WRITERS

    x = as_tensor(example_input)
    if x.ndim < 1 or x.shape[0] < 1:
        raise OnnxError(f"to_onnx() needs an example with a batch axis in front, got shape {x.shape}")
    batches = [_example(x, n) for n in _BATCHES]
    log = Log()
    with _evaluation(model), no_grad():
        with observe(log):
            before = model(batches[0])
        writer = Writer(model, log, WRITERS)
        writer.name(batches[1].data, input_name)
        with observe(writer):
            after = model(batches[1])
    outputs = _outputs(writer, before, after, output_name)
    graph = messages.Graph(
        nodes=writer.nodes,
        name=type(model).__name__,
        weights=[to_tensor(array, name) for name, array in writer.weights.items()],
        inputs=[_value(input_name, batches[0], batches[1])],
        outputs=outputs,
    )
    content = encode(
        messages.Model(
            ir_version=IR_VERSION,
            producer="xpnet",
            producer_version=__version__,
            graph=graph,
            opsets=[messages.Opset(domain="", version=OPSET)],
            metadata=[messages.Entry(key=key, value=value) for key, value in (metadata or {}).items()],
        )
    )
    if len(content) >= 1 << 31:
        raise OnnxError(f"the network takes {len(content)} bytes; an ONNX file holds less than 2 GiB")
    write_atomically(path, content)


def _example(x: Tensor, count: int) -> Tensor:
    """``count`` samples like the first: other ones for each count."""
    first = x.numpy()[:1]
    rows = [first * (1.0 / (count + i)) if first.dtype.kind == "f" else first for i in range(count)]
    return Tensor(x.backend.asarray(np.concatenate(rows).astype(first.dtype)))


@contextmanager
def _evaluation(model: Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _value(name: str, before: Tensor, after: Tensor) -> messages.Value:
    """Name, dtype and shape; a length that followed the batch is called N."""
    lengths = zip(before.shape, after.shape, strict=True)
    dims = [messages.Dimension(value=a) if a == b else messages.Dimension(name="N") for a, b in lengths]
    kind = messages.TensorType(dtype=DTYPE_CODES[after.dtype.name], shape=messages.Shape(dims=dims))
    return messages.Value(name=name, type=messages.Type(tensor=kind))


def _outputs(writer: Writer, before: Any, after: Any, name: str) -> list[messages.Value]:
    pairs = zip(before, after, strict=True) if isinstance(after, (tuple, list)) else [(before, after)]
    found = []
    for i, (a, b) in enumerate(pairs):
        if not isinstance(b, Tensor) or id(b.data) not in writer.names:
            raise OnnxError(f"to_onnx(): an output of type {type(b).__name__} was not computed from the input by ops")
        own = name if i == 0 else f"{name}_{i}"
        writer.add("Identity", [writer.names[id(b.data)]], [own])
        found.append(_value(own, a, b))
    return found


@dataclass
class Record:
    """One op that was run: raw arguments, options, raw outputs."""

    op: str
    arguments: list[Any]
    options: dict[str, Any]
    outputs: list[Any]


def _record(op: Any, arguments: tuple[Any, ...], options: dict[str, Any], result: Any) -> Record:
    raw = [a.data if isinstance(a, Tensor) else a for a in arguments]
    outputs = [t.data for t in result] if isinstance(result, tuple) else [result.data]
    return Record(op.__name__, raw, options, outputs)


@dataclass
class Log:
    """An observer that keeps what it sees: the first run."""

    records: list[Record] = field(default_factory=list)

    def __call__(self, op: Any, arguments: tuple[Any, ...], options: dict[str, Any], result: Any) -> None:
        self.records.append(_record(op, arguments, options, result))


class Writer:
    """An observer that writes ONNX nodes: the second run.  The first one tells what follows the batch size."""

    def __init__(self, model: Module, log: Log, writers: Mapping[str, Callable[..., Any]]) -> None:
        self.log, self.writers = iter(log.records), writers
        self.nodes: list[Node] = []
        self.weights: dict[str, np.ndarray[Any, Any]] = {}
        self.names: dict[int, str] = {}  # of arrays, by id
        self.kept: list[Any] = []  # so that no id is used twice
        self.state = {id(p.data): key for key, p in model.named_parameters()}
        self.state |= {id(array): key for key, array in model.named_buffers()}
        self.count = 0

    def __call__(self, op: Any, arguments: tuple[Any, ...], options: dict[str, Any], result: Any) -> None:
        now, before = _record(op, arguments, options, result), next(self.log, None)
        if before is None or before.op != now.op or len(before.arguments) != len(now.arguments):
            raise OnnxError("computes other ops for another batch: it cannot be written as one network")
        if now.op not in self.writers:
            raise OnnxError(f"to_onnx() does not know how to write {now.op!r}")
        call = Call(self, now, before)
        name = self.writers[now.op](call)
        self.name(now.outputs[0], name)
        self.kept.append(now)

    def name(self, array: Any, name: str) -> None:
        """Call an array by a name from now on."""
        self.names[id(array)] = name
        self.kept.append(array)

    def new(self, what: str) -> str:
        """A name that is not taken."""
        self.count += 1
        return f"{what.lower()}_{self.count}"

    def add(self, op: str, inputs: list[str], outputs: list[str] | None = None, **options: Any) -> str:
        """One node; the name of its output."""
        made = outputs or [self.new(op)]
        attributes = [attribute(name, value) for name, value in options.items() if value is not None]
        self.nodes.append(Node(inputs=inputs, outputs=made, name=made[0], op=op, attributes=attributes))
        return made[0]

    def constant(self, array: np.ndarray[Any, Any]) -> str:
        """Numbers that are not learned; the name they have in the file."""
        return self.add("Constant", [], value=array)

    def weight(self, array: np.ndarray[Any, Any], name: str) -> str:
        """Numbers of the model's state."""
        self.weights[name] = array
        return name


@dataclass
class Call:
    """One op to be written: as it was run, and as it was run before with another batch."""

    writer: Writer
    now: Record
    before: Record

    @property
    def x(self) -> str:
        """The name of the first argument."""
        return self.argument(0)

    @property
    def options(self) -> dict[str, Any]:
        return self.now.options

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first argument."""
        return tuple(self.now.arguments[0].shape)

    @property
    def dtype(self) -> Any:
        """The dtype of the output."""
        return self.now.outputs[0].dtype

    def has(self, i: int) -> bool:
        """Whether there is such an argument."""
        return i < len(self.now.arguments) and self.now.arguments[i] is not None

    def argument(self, i: int) -> str:
        """The name of an argument: computed before, a weight, or a constant."""
        value, writer = self.now.arguments[i], self.writer
        if not is_array(value):
            like = next(a for a in self.now.arguments if is_array(a))
            return writer.constant(np.array(value, like.dtype))
        if id(value) in writer.names:
            return writer.names[id(value)]
        earlier = self.before.arguments[i]
        array = to_numpy(value)
        if id(value) in writer.state:
            name = writer.weight(array, writer.state[id(value)])
        elif is_array(earlier) and earlier.shape == value.shape and bool((to_numpy(earlier) == array).all()):
            name = writer.constant(array)
        else:
            raise OnnxError(
                f"{self.now.op}: argument {i} of shape {value.shape} follows the input, but was not computed by an op: "
                "it cannot be written"
            )
        writer.name(value, name)
        return name

    def arguments(self) -> list[str]:
        """The names of all arguments; one that is absent in the middle has none."""
        count = max(i + 1 for i in range(len(self.now.arguments)) if self.has(i))
        return [self.argument(i) if self.has(i) else "" for i in range(count)]

    def add(self, op: str, *inputs: str, **options: Any) -> str:
        """One node of any op; the name of its output."""
        return self.writer.add(op, list(inputs), **options)

    def number(self, value: float) -> str:
        """A number of the output's dtype."""
        return self.writer.constant(np.array(value, self.dtype))

    def integers(self, values: Any) -> str:
        """A row of whole numbers."""
        return self.writer.constant(np.array(list(values), np.int64))

    def reshape(self, x: str, before: tuple[tuple[int, ...], tuple[int, ...]], now: Any) -> str:
        """``x``, whose shapes were ``before`` in the two runs, in the shapes ``now``; the batch may have any length."""
        wanted = []
        for i, (a, b) in enumerate(zip(*now, strict=True)):
            keeps = a != b and i < len(before[0]) and (before[0][i], before[1][i]) == (a, b)
            wanted.append(0 if keeps else b if a == b else -1)
        if wanted.count(-1) > 1:
            raise OnnxError(f"{self.now.op}: a shape {now[1]} that follows the batch in two axes cannot be written")
        return self.add("Reshape", x, self.integers(wanted))

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of the first argument in both runs."""
        return tuple(self.before.arguments[0].shape), tuple(self.now.arguments[0].shape)

    def result_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of the output in both runs."""
        return tuple(self.before.outputs[0].shape), tuple(self.now.outputs[0].shape)

    def refuse(self, what: str) -> OnnxError:
        """The error that says what cannot be written."""
        return OnnxError(f"to_onnx() cannot write {self.now.op} with {what}")
