"""Write networks to ONNX files.

The network is run on an example, and every op that it calls is written as ONNX nodes.  It is run twice, with different
batch sizes and different numbers.  A value that differs between the runs depends on the batch; if no op computed it, it
cannot be written.  A value computed only from constants is a constant and needs no node.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpnet._files import write_atomically
from xpnet._version import __version__
from xpnet.interchange.onnx import messages
from xpnet.interchange.onnx.messages import DTYPE_CODES, Node, OnnxError, attribute, to_tensor
from xpnet.interchange.onnx.protobuf import encode
from xpnet.interchange.onnx.writer_dtype import check_kernels, is_double, to_single
from xpnet.interchange.onnx.writer_ops import WRITERS
from xpnet.nn import Module
from xpnet.nn.utils import for_model, keep_modes
from xpnet.tensor import Tensor, no_grad, observe
from xpnet_backends import is_array, to_numpy

OPSET, IR_VERSION = 17, 8
_NOTE = "float32, of a network in float64 (keep_float64=True keeps it where onnxruntime can compute it)"
_log = logging.getLogger(__name__)  # goes to stderr unless the program configures logging; never raises
_BATCHES = (2, 5)
_FOLLOWS = frozenset(
    ("broadcast_to", "embedding_bag", "getitem", "reshape")
)  # ops whose options may depend on the batch


def to_onnx(
    model: Module,
    example_input: Any,
    path: str | os.PathLike[str],
    *,
    input_name: str | Sequence[str] = "input",
    output_name: str = "output",
    batch_axis: int | Sequence[int | None] = 0,
    metadata: Mapping[str, str] | None = None,
    keep_float64: bool = False,
) -> None:
    """Write a network in evaluation mode as ONNX, operator set 17, for any batch size.

    Parameters
    ----------
    model :
        The network; it is not changed.
    example_input :
        (N, ...), an example of the input's shape and dtype; a tuple, which may be nested, for several inputs.
    path :
        The file, written atomically.
    input_name, output_name :
        By default ``input``, ``input_1``, ... and ``output``, ``output_1``, ...
    batch_axis :
        The axis of variable length, for all inputs or one for each; None for an input of fixed shape.  It is 1 for
        an input (T, N, I).
    metadata :
        Text to store in the file.
    keep_float64 :
        By default a float64 network is written in float32, which is logged and noted in the file's metadata under
        ``dtype``.  With True it stays float64; ops that onnxruntime cannot compute in float64 on a CPU are refused.

    Raises: ``OnnxError`` with the layer's path if it computes something that ONNX or this writer does not support.

    >>> import tempfile, numpy as np, xpnet
    >>> x = np.ones((4, 3), "float32")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_onnx(xpnet.nn.Linear(3, 2), x, f"{folder}/layer.onnx", output_name="scores")
    ...     xpnet.interchange.from_onnx(f"{folder}/layer.onnx").output_names
    ['scores']
    """
    given = [for_model(model, x) for x in _leaves(example_input)]
    axes = _batch_axes(given, batch_axis)
    names = _names(input_name, len(given))
    batches = [[_example(x, n, axis) for x, axis in zip(given, axes, strict=True)] for n in _BATCHES]
    log = Log()
    with keep_modes(model), no_grad(), np.errstate(all="ignore"):
        model.eval()
        with observe(log):
            before = model(*_arguments(example_input, batches[0]))
        writer = Writer(model, log, WRITERS)
        for name, x, axis in zip(names, batches[1], axes, strict=True):
            writer.input(x, name, axis)
        with observe(writer):
            after = model(*_arguments(example_input, batches[1]))
    outputs = _outputs(writer, before, after, output_name)
    nodes, used = _needed(writer.nodes, [v.name or "" for v in outputs])
    graph = messages.Graph(
        nodes=nodes,
        name=type(model).__name__,
        weights=[to_tensor(array, name) for name, array in writer.weights.items() if name in used],
        inputs=[_value(name, *pair) for name, *pair in zip(names, *batches, strict=True)],
        outputs=outputs,
    )
    remarks = dict(metadata or {})
    if is_double(graph) and not keep_float64:
        to_single(graph)
        remarks.setdefault("dtype", _NOTE)
        _log.warning("%s: %s", os.fspath(path), _NOTE)
    else:
        done = {node.op or "" for node in nodes if node.outputs[0] in writer.doubles}
        check_kernels(done, "leave keep_float64 out" if keep_float64 else "compute them in float32")
    content = encode(
        messages.Model(
            ir_version=IR_VERSION,
            producer="xpnet",
            producer_version=__version__,
            graph=graph,
            opsets=[messages.Opset(domain="", version=OPSET)],
            metadata=[messages.Entry(key=key, value=value) for key, value in remarks.items()],
        )
    )
    if len(content) >= 1 << 31:
        raise OnnxError(f"the network takes {len(content)} bytes; an ONNX file holds less than 2 GiB")
    write_atomically(path, content)


def _leaves(value: Any) -> list[Any]:
    """The items of nested tuples, without None."""
    if isinstance(value, tuple):
        return [leaf for part in value for leaf in _leaves(part)]
    return [] if value is None else [value]


def _arguments(example: Any, batch: Sequence[Tensor]) -> tuple[Any, ...]:
    """The tensors of a batch, nested as the example is."""
    rest = iter(batch)

    def like(value: Any) -> Any:
        return tuple(map(like, value)) if isinstance(value, tuple) else None if value is None else next(rest)

    return tuple(map(like, example)) if isinstance(example, tuple) else (next(rest),)


def _batch_axes(given: Sequence[Tensor], wanted: int | Sequence[int | None]) -> list[int | None]:
    axes = [wanted] * len(given) if isinstance(wanted, int) else list(wanted)
    if len(axes) != len(given) or not any(axis is not None for axis in axes):
        raise OnnxError(f"to_onnx() needs a batch axis for each of {len(given)} inputs, at least one not None: {axes}")
    for x, axis in zip(given, axes, strict=True):
        if axis is not None and (not -x.ndim <= axis < x.ndim or x.shape[axis] < 1):
            place = "in front" if axis == 0 else f"at {axis}"
            raise OnnxError(f"to_onnx() needs an example with a batch axis {place}, got shape {x.shape}")
    return [axis if axis is None else axis % x.ndim for x, axis in zip(given, axes, strict=True)]


def _names(wanted: str | Sequence[str], count: int) -> list[str]:
    if isinstance(wanted, str):
        return [wanted if i == 0 else f"{wanted}_{i}" for i in range(count)]
    if len(set(wanted)) != count or len(wanted) != count:
        raise OnnxError(f"to_onnx() needs {count} different input names, got {list(wanted)}")
    return list(wanted)


def _example(x: Tensor, count: int, axis: int | None) -> Tensor:
    """``count`` other samples, made of the example's numbers; in the larger batch floats have either sign.

    The samples differ, so that a value which the network computes without ops differs between the runs and is noticed.
    """
    array, draw = x.numpy(), np.random.default_rng(count)
    shape = tuple(count if i == axis else n for i, n in enumerate(array.shape))
    drawn = draw.choice(array.reshape(-1), shape) if array.size else np.zeros(shape, array.dtype)
    if array.dtype.kind == "f":
        drawn *= draw.choice([-1.0, 1.0] if count == _BATCHES[1] else [1.0], shape) * draw.uniform(0.5, 1.0, shape)
    return Tensor(x.backend.asarray(drawn.astype(array.dtype)))


def _value(name: str, before: Tensor, after: Tensor) -> messages.Value:
    """Name, dtype and shape; a length that depends on the batch is called N."""
    lengths = zip(before.shape, after.shape, strict=True)
    dims = [messages.Dimension(value=a) if a == b else messages.Dimension(name="N") for a, b in lengths]
    kind = messages.TensorType(dtype=DTYPE_CODES[after.dtype.name], shape=messages.Shape(dims=dims))
    return messages.Value(name=name, type=messages.Type(tensor=kind))


def _outputs(writer: Writer, before: Any, after: Any, name: str) -> list[messages.Value]:
    found = []
    for i, (a, b) in enumerate(zip(_flat_results(before), _flat_results(after), strict=True)):
        if not isinstance(b, Tensor) or id(b.data) not in writer.names:
            raise OnnxError(f"to_onnx(): an output of type {type(b).__name__} was not computed from the input by ops")
        own = name if i == 0 else f"{name}_{i}"
        writer.add("Identity", [writer.names[id(b.data)]], [own])
        found.append(_value(own, a, b))
    return found


def _flat_results(value: Any) -> list[Any]:
    """The items of nested tuples and lists, without None: an LSTM's y, (h, c) are three outputs."""
    if isinstance(value, (tuple, list)):
        return [leaf for part in value for leaf in _flat_results(part)]
    return [] if value is None else [value]


def _needed(nodes: Sequence[Node], wanted: Sequence[str]) -> tuple[list[Node], set[str]]:
    """The nodes that the outputs need, and the names that they use."""
    names, found = set(wanted), []
    for node in reversed(nodes):
        if not names.isdisjoint(node.outputs):
            found.append(node)
            names.update(node.inputs)
    return found[::-1], names


@dataclass
class Record:
    """One op that was run: raw arguments, options, raw outputs."""

    op: str
    arguments: list[Any]
    options: dict[str, Any]
    outputs: list[Any]


def _record(op: str, arguments: tuple[Any, ...], options: dict[str, Any], result: Any) -> Record:
    raw = [a.data if isinstance(a, Tensor) else a for a in arguments]
    outputs = [t.data for t in result] if isinstance(result, tuple) else [result.data]
    return Record(op, raw, options, outputs)


@dataclass
class Log:
    """An observer that records the first run."""

    records: list[Record] = field(default_factory=list)

    def plain(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any], result: Tensor) -> None:
        """Record an op without a derivative, such as a comparison or a cast."""
        self.records.append(_record(name, arguments, options, result))

    def __call__(self, op: Any, arguments: tuple[Any, ...], options: dict[str, Any], result: Any) -> None:
        self.records.append(_record(op.__name__, arguments, options, result))


class Writer:
    """An observer that writes ONNX nodes in the second run.  The first run shows what depends on the batch size."""

    def __init__(self, model: Module, log: Log, writers: Mapping[str, Callable[..., Any]]) -> None:
        self.log, self.writers = iter(log.records), writers
        self.nodes: list[Node] = []
        self.weights: dict[str, np.ndarray[Any, Any]] = {}
        self.names: dict[int, str] = {}  # names of arrays, by id
        self.kept: list[Any] = []  # keeps the arrays alive, so that no id is used twice
        self.state = {id(p.data): key for key, p in model.named_parameters()}
        self.state |= {id(array): key for key, array in model.named_buffers()}
        self.count = 0
        self.doubles: set[str] = set()  # outputs of nodes that compute in float64
        self.batch: tuple[str, int] | None = None  # the input and axis that give the batch size
        self.one_number = (
            ""  # an input whose example holds only one distinct integer, so that comparisons with it go unnoticed
        )

    def __call__(self, op: Any, arguments: tuple[Any, ...], options: dict[str, Any], result: Any) -> None:
        self.plain(op.__name__, arguments, options, result)

    def plain(self, op: str, arguments: tuple[Any, ...], options: dict[str, Any], result: Any) -> None:
        """Write one op down."""
        now, before = _record(op, arguments, options, result), next(self.log, None)
        if before is None or before.op != now.op or len(before.arguments) != len(now.arguments):
            raise OnnxError("computes different ops for another batch size: it cannot be written as one network")
        call = Call(self, now, before)
        self.kept.append(now)
        if call.is_constant():
            return
        if now.op not in self.writers:
            raise OnnxError(f"to_onnx() does not know how to write {now.op!r}{_WHY_NOT.get(now.op, '')}")
        if now.op not in _FOLLOWS and not _same(before.options, now.options):
            raise OnnxError(f"{now.op}: its options depend on the batch: {before.options}, {now.options}")
        start = len(self.nodes)
        names = self.writers[now.op](call)
        if any(is_array(a) and a.dtype == np.float64 for a in (*now.arguments, *now.outputs)):
            self.doubles.update(node.outputs[0] for node in self.nodes[start:])
        for array, name in zip(now.outputs, [names] if isinstance(names, str) else names, strict=False):
            self.name(array, name)

    def input(self, x: Tensor, name: str, axis: int | None) -> None:
        """Declare an input of the network, with its batch axis."""
        self.name(x.data, name)
        if axis is not None and self.batch is None:
            self.batch = name, axis
        if x.dtype.kind != "f" and len(np.unique(x.numpy())) < 2:
            self.one_number = name

    def length(self, before: int, now: int) -> str:
        """A list of one integer with these values in the two runs: ``N·k`` or ``N + k``."""
        if before == now:
            return self.constant(np.array([now], np.int64))
        assert self.batch is not None
        name, axis = self.batch
        n = self.add("Shape", [name], start=axis, end=axis + 1)
        slope, rest = divmod(now - before, _BATCHES[1] - _BATCHES[0])
        offset = before - slope * _BATCHES[0]
        if rest or (offset and slope != 1):
            raise OnnxError(f"a length that is {before} for {_BATCHES[0]} samples and {now} for {_BATCHES[1]}")
        if offset:
            return self.add("Add", [n, self.constant(np.array([offset], np.int64))])
        return n if slope == 1 else self.add("Mul", [n, self.constant(np.array([slope], np.int64))])

    def lengths(self, before: Sequence[int], now: Sequence[int]) -> str:
        """A list of integers with these values in the two runs."""
        if list(before) == list(now):
            return self.constant(np.array(list(now), np.int64))
        return self.add("Concat", [self.length(a, b) for a, b in zip(before, now, strict=True)], axis=0)

    def fixed(self, before: Any, now: Any) -> np.ndarray[Any, Any] | None:
        """The values of a constant array, with length 1 along the batch if it only repeats them there."""
        if not is_array(before) or before.ndim != now.ndim:
            return None
        a, b = to_numpy(before), to_numpy(now)
        index = tuple(slice(None) if m == n else slice(1) for m, n in zip(a.shape, b.shape, strict=True))
        core = b[index]
        if core.shape != b.shape and (core.size == 0 or self.one_number):
            return None
        return core if all(bool((x == core).all()) for x in (a, b)) else None

    def name(self, array: Any, name: str) -> None:
        """Assign a name to an array."""
        self.names[id(array)] = name
        self.kept.append(array)

    def new(self, what: str) -> str:
        """An unused name."""
        self.count += 1
        return f"{what.lower()}_{self.count}"

    def add(self, op: str, inputs: list[str], outputs: list[str] | None = None, **options: Any) -> str:
        """Add a node and return the name of its output."""
        made = outputs or [self.new(op)]
        attributes = [attribute(name, value) for name, value in options.items() if value is not None]
        self.nodes.append(Node(inputs=inputs, outputs=made, name=made[0], op=op, attributes=attributes))
        return made[0]

    def constant(self, array: np.ndarray[Any, Any]) -> str:
        """Add constant numbers and return their name in the file."""
        return self.add("Constant", [], value=array)

    def weight(self, array: np.ndarray[Any, Any], name: str) -> str:
        """Add numbers of the model's state and return their name."""
        self.weights[name] = array
        return name


@dataclass
class Call:
    """One op to write: the calls of the second run and of the first one, with another batch size."""

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
        """Whether the op has this argument and it is not None."""
        return i < len(self.now.arguments) and self.now.arguments[i] is not None

    def is_constant(self) -> bool:
        """Whether the op is computed only from constants."""
        arrays = [(a, b) for a, b in zip(self.before.arguments, self.now.arguments, strict=True) if is_array(b)]
        names, state = self.writer.names, self.writer.state
        return not any(id(b) in names or id(b) in state or self.writer.fixed(a, b) is None for a, b in arrays)

    def is_zero(self, i: int) -> bool:
        """Whether an argument is a constant of zeros."""
        before, now = self.before.arguments[i], self.now.arguments[i]
        if id(now) in self.writer.names or id(now) in self.writer.state:
            return False
        core = self.writer.fixed(before, now)
        return core is not None and not core.any()

    def argument(self, i: int) -> str:
        """The name of an argument: an earlier result, a weight, or a constant."""
        return self.name_of(self.before.arguments[i], self.now.arguments[i], f"argument {i}")

    def name_of(self, earlier: Any, value: Any, what: str) -> str:
        """The name of a number or array with these values in the two runs."""
        writer = self.writer
        if not is_array(value):
            return self._number(earlier, value)
        if id(value) in writer.names:
            return writer.names[id(value)]
        if id(value) in writer.state:
            name = writer.weight(to_numpy(value), writer.state[id(value)])
        elif (core := writer.fixed(earlier, value)) is not None:
            name = writer.constant(core)
            if core.shape != value.shape:
                name = self.add("Expand", name, writer.lengths(earlier.shape, value.shape))
        else:
            hint = ""
            if writer.one_number:
                hint = f" (the example of {writer.one_number!r} holds only one integer: give one with several)"
            raise OnnxError(
                f"{self.now.op}: {what} of shape {value.shape} depends on the input, but was not computed by an op: "
                f"it cannot be written{hint}"
            )
        writer.name(value, name)
        return name

    def _number(self, earlier: Any, value: Any) -> str:
        arrays = [a for a in self.now.arguments if is_array(a)]
        dtype = next((a for a in arrays if a.dtype.kind == "f"), arrays[0]).dtype
        if earlier == value or value != value:
            return self.writer.constant(np.array(value, dtype))
        length = self.add("Cast", self.writer.length(earlier, value), to=DTYPE_CODES[dtype.name])
        return self.add("Squeeze", length, self.integers([0]))

    def arguments(self) -> list[str]:
        """The names of all arguments; an absent one in the middle has an empty name."""
        count = max(i + 1 for i in range(len(self.now.arguments)) if self.has(i))
        return [self.argument(i) if self.has(i) else "" for i in range(count)]

    def add(self, op: str, *inputs: str, **options: Any) -> str:
        """Add a node of any op and return the name of its output."""
        return self.writer.add(op, list(inputs), **options)

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Split into pieces of these sizes along an axis."""
        names = [self.writer.new("split") for _ in sizes]
        self.writer.add("Split", [x, self.integers(sizes)], names, axis=axis)
        return names

    def number(self, value: float) -> str:
        """A number of the output's dtype."""
        return self.writer.constant(np.array(value, self.dtype))

    def integers(self, values: Any) -> str:
        """A list of integers."""
        return self.writer.constant(np.array(list(values), np.int64))

    def reshape(self, x: str, before: tuple[tuple[int, ...], tuple[int, ...]], now: Any) -> str:
        """Reshape ``x`` from the shapes ``before`` in the two runs to the shapes ``now``, for any batch size."""
        wanted = []
        for i, (a, b) in enumerate(zip(*now, strict=True)):
            keeps = a != b and i < len(before[0]) and (before[0][i], before[1][i]) == (a, b)
            wanted.append(0 if keeps else b if a == b else -1)
        if wanted.count(-1) > 1:
            return self.add("Reshape", x, self.writer.lengths(*now))
        return self.add("Reshape", x, self.integers(wanted))

    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of the first argument in both runs."""
        return tuple(self.before.arguments[0].shape), tuple(self.now.arguments[0].shape)

    def result_shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of the output in both runs."""
        return tuple(self.before.outputs[0].shape), tuple(self.now.outputs[0].shape)

    def refuse(self, what: str) -> OnnxError:
        """The error for something that cannot be written."""
        return OnnxError(f"to_onnx() cannot write {self.now.op} with {what}")


def _same(a: Any, b: Any) -> bool:
    """Whether two options are equal: numbers, text, arrays, and containers of them."""
    if is_array(a) or is_array(b):
        return is_array(a) and is_array(b) and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b or (a != a and b != b))


_LOSSES = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "cross_entropy", "ctc_loss",
    "focal_loss", "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "margin_ranking_loss",
    "mse_loss", "multi_margin_loss", "nll_loss", "poisson_nll_loss", "sigmoid_focal_loss", "smooth_l1_loss",
    "triplet_margin_loss",
]  # fmt: skip
_WHY_NOT = dict.fromkeys(_LOSSES, ": it computes a loss, which is not part of a network in use")
_WHY_NOT["dropout"] = ": it drops units in evaluation mode, too, and ONNX files have no random numbers"
