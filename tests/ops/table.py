"""Every op, in every way its options can be used: one row each.  All tests of ops read this table.

``torch`` is an expression for the same computation in PyTorch, with inputs ``a, b, c, ...``, options ``o`` and ``T``
for ``torch.nn.functional``; it is evaluated only by ``tests/fixtures/record_ops.py``.  Of an op with several outputs the
first is compared: the others have no gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xpnet import ops

Make = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Row:
    """An op with its inputs and options."""

    name: str
    op: Callable[..., Any]
    inputs: tuple[Make | None, ...]
    torch: str
    options: dict[str, Any] = field(default_factory=dict)
    constant: tuple[int, ...] = ()  # inputs without a gradient
    syncs: bool = False  # it must look at the device
    kink: bool = False  # some input is at a kink, where finite differences are wrong

    def make(self) -> list[Any]:
        """The inputs: always the same."""
        key = int.from_bytes(self.name.encode()[-8:], "little") + len(self.name)
        rng = np.random.Generator(np.random.Philox(key=key))
        values = [None if make is None else make(rng) for make in self.inputs]
        return [np.asarray(v) if isinstance(v, np.generic) else v for v in values]


def row(
    name: str, op: Callable[..., Any], *inputs: Make | None, torch: str, constant: tuple[int, ...] = (), **options: Any
) -> Row:
    syncs, kink = options.pop("syncs", False), options.pop("kink", False)
    return Row(name, op, inputs, torch, options, constant, syncs, kink)


def normal(*shape: int) -> Make:
    """Away from zero, where kinks are."""
    return lambda rng: (v := rng.standard_normal(shape)) + 0.1 * np.sign(v)


def positive(*shape: int) -> Make:
    return lambda rng: rng.uniform(0.5, 2.0, shape)


def share(*shape: int) -> Make:
    return lambda rng: rng.uniform(0.05, 0.95, shape)


def distinct(*shape: int) -> Make:
    """No two values equal, so that an extreme is one element."""
    return lambda rng: (rng.permutation(int(np.prod(shape))) / 7.0 - 1.05).reshape(shape)


def labels(classes: int, *shape: int) -> Make:
    return lambda rng: rng.integers(0, classes, shape)


def mask(*shape: int) -> Make:
    return lambda rng: rng.random(shape) < 0.6


def value(array: Any) -> Make:
    return lambda rng: np.asarray(array)


def with_ignored(classes: int, n: int) -> Make:
    def make(rng: np.random.Generator) -> np.ndarray:
        found = rng.integers(0, classes, n)
        found[1] = -100
        return found

    return make


_UNARY: dict[str, tuple[str, Callable[..., Make]]] = {
    "negative": ("-a", normal), "absolute": ("a.abs()", normal), "exp": ("a.exp()", normal),
    "log": ("a.log()", positive), "sqrt": ("a.sqrt()", positive), "sin": ("a.sin()", normal),
    "cos": ("a.cos()", normal), "relu": ("T.relu(a)", normal), "sigmoid": ("a.sigmoid()", normal),
    "tanh": ("a.tanh()", normal), "leaky_relu": ("T.leaky_relu(a)", normal), "elu": ("T.elu(a)", normal),
    "gelu": ("T.gelu(a)", normal), "softmax": ("a.softmax(-1)", normal), "log_softmax": ("a.log_softmax(-1)", normal),
    "reduce_sum": ("a.sum()", normal), "logsumexp": ("a.logsumexp(tuple(range(a.ndim)))", normal),
}  # fmt: skip
_ODD: dict[str, tuple[int, ...]] = {"0-d": (), "one element": (1, 1), "empty": (0, 3)}
_NOT_DEFINED = {"softmax 0-d", "log_softmax 0-d", "logsumexp empty"}  # no axis; no largest element
_BINARY = {
    "add": "a + b", "subtract": "a - b", "multiply": "a * b", "divide": "a / b", "maximum": "torch.maximum(a, b)",
    "minimum": "torch.minimum(a, b)",
}  # fmt: skip

ROWS: list[Row] = [
    *(row(name, getattr(ops, name), make(3, 4), torch=text) for name, (text, make) in _UNARY.items()),
    *(row(f"{n} {kind}", getattr(ops, n), make(*shape), torch=t) for n, (t, make) in _UNARY.items() for kind, shape in _ODD.items() if f"{n} {kind}" not in _NOT_DEFINED),
    *(row(f"{n} equal shapes", getattr(ops, n), normal(3, 4), positive(3, 4), torch=t) for n, t in _BINARY.items()),
    *(row(f"{n} broadcast", getattr(ops, n), normal(3, 1, 4), positive(2, 1), torch=t) for n, t in _BINARY.items()),
    *(row(f"{n} scalar array", getattr(ops, n), normal(2, 3), positive(), torch=t) for n, t in _BINARY.items()),
    row("add number", ops.add, normal(2, 3), lambda rng: 2.5, torch="a + 2.5", constant=(1,)),
    row("subtract from number", ops.subtract, lambda rng: 1.5, normal(2, 3), torch="1.5 - b", constant=(0,)),
    row("multiply number", ops.multiply, normal(2, 3), lambda rng: 3, torch="a * 3", constant=(1,)),
    row("divide number", ops.divide, lambda rng: 2.0, positive(2, 3), torch="2.0 / b", constant=(0,)),
    row("maximum number", ops.maximum, normal(2, 3), lambda rng: 0.0, torch="a.clamp(min=0.0)", constant=(1,)),
    row("maximum ties", ops.maximum, value([1.0, 2.0]), value([1.0, 3.0]), torch="torch.maximum(a, b)", kink=True),
    row("minimum ties", ops.minimum, value([1.0, 2.0]), value([1.0, 3.0]), torch="torch.minimum(a, b)", kink=True),
    row("power square", ops.power, normal(2, 3), lambda rng: 2, torch="a ** 2", constant=(1,)),
    row("power zero", ops.power, normal(2, 3), lambda rng: 0, torch="a ** 0", constant=(1,)),
    row("power inverse", ops.power, positive(2, 3), lambda rng: -1.5, torch="a ** -1.5", constant=(1,)),
    row("power arrays", ops.power, positive(2, 3), normal(3), torch="a ** b"),
    row("power base", ops.power, lambda rng: 2.0, normal(2, 3), torch="2.0 ** b", constant=(0,)),
    row("clip both", ops.clip, normal(3, 4), torch="a.clamp(-0.5, 0.7)", low=-0.5, high=0.7),
    row("clip low", ops.clip, normal(3, 4), torch="a.clamp(min=0.2)", low=0.2),
    row("clip high", ops.clip, normal(3, 4), torch="a.clamp(max=0.2)", high=0.2),
    row("where", ops.where, mask(3, 4), normal(3, 4), normal(4), torch="torch.where(a, b, c)", constant=(0,)),
    row("where number", ops.where, mask(3, 4), normal(3, 4), lambda rng: -1.0, torch="torch.where(a, b, -1.0)", constant=(0, 2)),
    row("cast", ops.cast, normal(3, 4), torch="a.double()", dtype="float64"),
    row("reduce_sum all", ops.reduce_sum, normal(2, 3, 4), torch="a.sum()"),
    row("reduce_sum axis", ops.reduce_sum, normal(2, 3, 4), torch="a.sum(1)", axis=1),
    row("reduce_sum axes keepdims", ops.reduce_sum, normal(2, 3, 4), torch="a.sum((0, -1), True)", axis=(0, -1), keepdims=True),
    row("reduce_mean all", ops.reduce_mean, normal(2, 3, 4), torch="a.mean()"),
    row("reduce_mean axis", ops.reduce_mean, normal(2, 3, 4), torch="a.mean(-1)", axis=-1),
    row("reduce_mean axes keepdims", ops.reduce_mean, normal(2, 3, 4), torch="a.mean((1, 2), True)", axis=(1, 2), keepdims=True),
    row("reduce_max all", ops.reduce_max, distinct(2, 3, 4), torch="a.max()"),
    row("reduce_max axis", ops.reduce_max, distinct(2, 3, 4), torch="a.amax(1)", axis=1),
    row("reduce_max keepdims", ops.reduce_max, distinct(2, 3, 4), torch="a.amax((1, 2), True)", axis=(1, 2), keepdims=True),
    row("reduce_max ties", ops.reduce_max, value([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), torch="a.amax(1)", axis=1, kink=True),
    row("reduce_min axes keepdims", ops.reduce_min, distinct(2, 3, 4), torch="a.amin((0, 2), True)", axis=(0, 2), keepdims=True),
    row("logsumexp all", ops.logsumexp, normal(3, 4), torch="a.logsumexp((0, 1))"),
    row("logsumexp axis", ops.logsumexp, normal(3, 4), torch="a.logsumexp(0, True)", axis=0, keepdims=True),
    row("reshape", ops.reshape, normal(2, 6), torch="a.reshape(3, -1)", shape=(3, -1)),
    row("transpose", ops.transpose, normal(2, 3, 4), torch="a.permute(2, 0, 1)", axes=(2, 0, -2)),
    row("broadcast_to", ops.broadcast_to, normal(3, 1), torch="a.expand(2, 3, 4)", shape=(2, 3, 4)),
    row("getitem number", ops.getitem, normal(3, 4), torch="a[1]", index=1),
    row("getitem slices", ops.getitem, normal(5, 4), torch="a[1:4:2, None, ..., 2:]", index=(slice(1, 4, 2), None, ..., slice(2, None))),
    row("getitem repeated", ops.getitem, normal(5, 4), torch="a[[0, 3, 3, 1]]", index=np.array([0, 3, 3, 1])),
    row("getitem pairs", ops.getitem, normal(5, 4), torch="a[[0, 3, 0], [1, 1, 1]]", index=(np.array([0, 3, 0]), np.array([1, 1, 1]))),
    row("getitem mask", ops.getitem, normal(3), torch="a[[True, False, True]]", index=np.array([True, False, True]), syncs=True),
    row("concatenate", ops.concatenate, normal(2, 3), normal(2, 1), normal(2, 2), torch="torch.cat([a, b, c], -1)", axis=-1),
    row("stack", ops.stack, normal(2, 3), normal(2, 3), torch="torch.stack([a, b], 1)", axis=1),
    row("matmul", ops.matmul, normal(3, 4), normal(4, 2), torch="a @ b"),
    row("matmul batched", ops.matmul, normal(5, 3, 4), normal(5, 4, 2), torch="a @ b"),
    row("matmul broadcast", ops.matmul, normal(2, 1, 3, 4), normal(5, 4, 2), torch="a @ b"),
    row("matmul vectors", ops.matmul, normal(4), normal(4), torch="a @ b"),
    row("matmul vector matrix", ops.matmul, normal(4), normal(2, 4, 3), torch="a @ b"),
    row("matmul matrix vector", ops.matmul, normal(2, 3, 4), normal(4), torch="a @ b"),
    row("linear", ops.linear, normal(5, 3), normal(2, 3), normal(2), torch="T.linear(a, b, c)"),
    row("linear no bias", ops.linear, normal(5, 3), normal(2, 3), None, torch="T.linear(a, b)"),
    row("linear vector", ops.linear, normal(3), normal(2, 3), normal(2), torch="T.linear(a, b, c)"),
    row("linear 4-d", ops.linear, normal(2, 1, 4, 3), normal(2, 3), normal(2), torch="T.linear(a, b, c)"),
    row("leaky_relu slope", ops.leaky_relu, normal(3, 4), torch="T.leaky_relu(a, 0.2)", negative_slope=0.2),
    row("elu slope", ops.elu, normal(3, 4), torch="T.elu(a, 1.3)", alpha=1.3),
    row("gelu tanh", ops.gelu, normal(3, 4), torch="T.gelu(a, approximate='tanh')", approximate="tanh"),
    row("softmax axis", ops.softmax, normal(3, 4, 2), torch="a.softmax(1)", axis=1),
    row("log_softmax axis", ops.log_softmax, normal(3, 4, 2), torch="a.log_softmax(0)", axis=0),
    row("dropout", ops.dropout, normal(4, 5), mask(4, 5), torch="a * b / 0.6", constant=(1,), p=0.4),
    *(row(f"mse_loss {r}", ops.mse_loss, normal(3, 4), normal(3, 4), torch=f"T.mse_loss(a, b, reduction='{r}')", reduction=r) for r in ("mean", "sum", "none")),
    *(row(f"l1_loss {r}", ops.l1_loss, normal(3, 4), positive(3, 4), torch=f"T.l1_loss(a, b, reduction='{r}')", reduction=r) for r in ("mean", "sum", "none")),
    row("bce", ops.binary_cross_entropy_with_logits, normal(3, 4), share(3, 4), None, None, torch="T.binary_cross_entropy_with_logits(a, b)"),
    row("bce weights", ops.binary_cross_entropy_with_logits, normal(3, 4), share(3, 4), positive(4), positive(4), torch="T.binary_cross_entropy_with_logits(a, b, c, pos_weight=d, reduction='sum')", constant=(2, 3), reduction="sum"),
    row("bce none", ops.binary_cross_entropy_with_logits, normal(3, 4), share(3, 4), None, positive(4), torch="T.binary_cross_entropy_with_logits(a, b, pos_weight=d, reduction='none')", constant=(3,), reduction="none"),
    row("nll", ops.nll_loss, normal(5, 3), labels(3, 5), None, torch="T.nll_loss(a, b)", constant=(1,)),
    row("nll weights", ops.nll_loss, normal(5, 3), with_ignored(3, 5), positive(3), torch="T.nll_loss(a, b, c)", constant=(1, 2)),
    row("nll images none", ops.nll_loss, normal(2, 3, 2, 2), labels(3, 2, 2, 2), None, torch="T.nll_loss(a, b, reduction='none')", constant=(1,), reduction="none"),
    row("nll ignore a class", ops.nll_loss, normal(6, 3), labels(3, 6), None, torch="T.nll_loss(a, b, ignore_index=1)", constant=(1,), ignore_index=1),
    row("ce", ops.cross_entropy, normal(5, 3), labels(3, 5), None, torch="T.cross_entropy(a, b)", constant=(1,)),
    row("ce one sample", ops.cross_entropy, normal(3), labels(3), None, torch="T.cross_entropy(a, b)", constant=(1,)),
    row("ce sum", ops.cross_entropy, normal(5, 3), labels(3, 5), None, torch="T.cross_entropy(a, b, reduction='sum')", constant=(1,), reduction="sum"),
    row("ce none smooth", ops.cross_entropy, normal(5, 3), with_ignored(3, 5), positive(3), torch="T.cross_entropy(a, b, c, reduction='none', label_smoothing=0.2)", constant=(1, 2), reduction="none", label_smoothing=0.2),
    row("ce weights ignored", ops.cross_entropy, normal(5, 3), with_ignored(3, 5), positive(3), torch="T.cross_entropy(a, b, c)", constant=(1, 2)),
    row("ce weights smooth", ops.cross_entropy, normal(5, 3), with_ignored(3, 5), positive(3), torch="T.cross_entropy(a, b, c, label_smoothing=0.1)", constant=(1, 2), label_smoothing=0.1),
    row("ce ignore a class", ops.cross_entropy, normal(6, 3), labels(3, 6), None, torch="T.cross_entropy(a, b, ignore_index=1)", constant=(1,), ignore_index=1),
    row("ce images", ops.cross_entropy, normal(2, 3, 2, 2), labels(3, 2, 2, 2), positive(3), torch="T.cross_entropy(a, b, c, label_smoothing=0.1)", constant=(1, 2), label_smoothing=0.1),
    row("ce probabilities", ops.cross_entropy, normal(5, 3), share(5, 3), None, torch="T.cross_entropy(a, b)"),
    row("ce probabilities all", ops.cross_entropy, normal(2, 3, 4), share(2, 3, 4), positive(3), torch="T.cross_entropy(a, b, c, label_smoothing=0.1)", constant=(2,), label_smoothing=0.1),
    row("absolute kink", ops.absolute, value([-1.0, 0.0, 2.0]), torch="a.abs()", kink=True),
    row("relu kink", ops.relu, value([-1.0, 0.0, 2.0]), torch="T.relu(a)", kink=True),
    row("leaky_relu kink", ops.leaky_relu, value([-1.0, 0.0, 2.0]), torch="T.leaky_relu(a)", kink=True),
    row("elu kink", ops.elu, value([-1.0, 0.0, 2.0]), torch="T.elu(a, 1.3)", alpha=1.3, kink=True),
    row("clip kink", ops.clip, value([-1.0, 0.5, 0.7, 2.0]), torch="a.clamp(0.5, 0.7)", low=0.5, high=0.7, kink=True),
    row("l1_loss kink", ops.l1_loss, value([1.0, 2.0]), value([1.0, 3.0]), torch="T.l1_loss(a, b)", kink=True),
    row("reduce_min ties", ops.reduce_min, value([[1.0, 1.0, 3.0], [2.0, 2.0, 2.0]]), torch="a.amin((0, 1))", kink=True),
    row("minimum from number", ops.minimum, lambda rng: 0.5, normal(2, 3), torch="b.clamp(max=0.5)", constant=(0,)),
    row("power arrays broadcast", ops.power, positive(2, 1), normal(1, 3), torch="a ** b"),
    row("power zero exponents", ops.power, positive(3), value([0.0, 1.0, 2.0]), torch="a ** b"),
    row("power of zero", ops.power, value([0.0, 0.0, 2.0]), value([2.0, 1.0, 3.0]), torch="a ** b", kink=True),
    row("power negative base", ops.power, normal(2, 3), lambda rng: -2, torch="a ** -2", constant=(1,)),
    row("where broadcasts", ops.where, mask(2, 1, 4), normal(3, 1), normal(), torch="torch.where(a, b, c)", constant=(0,)),
    row("reduce_sum no axes", ops.reduce_sum, normal(2, 3), torch="a * 1", axis=()),
    row("reduce_sum empty axis", ops.reduce_sum, normal(2, 0), torch="a.sum(1)", axis=1),
    row("reduce_mean keepdims", ops.reduce_mean, normal(2, 3), torch="a.mean((0, 1), True)", keepdims=True),
    row("reduce_min all", ops.reduce_min, distinct(2, 3), torch="a.min()"),
    row("reduce_min axis", ops.reduce_min, distinct(2, 3), torch="a.amin(-2)", axis=-2),
    row("reduce_max one element", ops.reduce_max, distinct(1), torch="a.max()"),
    row("logsumexp axes", ops.logsumexp, normal(2, 3, 4), torch="a.logsumexp((0, -1))", axis=(0, -1)),
    row("logsumexp keepdims", ops.logsumexp, normal(2, 3, 4), torch="a.logsumexp((0, 1, 2), True)", keepdims=True),
    row("reshape 0-d", ops.reshape, normal(1, 1), torch="a.reshape(())", shape=()),
    row("reshape empty", ops.reshape, normal(0, 4), torch="a.reshape(2, 0)", shape=(2, 0)),
    row("broadcast_to 0-d", ops.broadcast_to, normal(), torch="a.expand(2, 3)", shape=(2, 3)),
    row("broadcast_to itself", ops.broadcast_to, normal(2, 3), torch="a.expand(2, 3)", shape=(2, 3)),
    row("getitem ellipsis", ops.getitem, normal(2, 3, 4), torch="a[..., -1]", index=(..., -1)),
    row("getitem new axis", ops.getitem, normal(3), torch="a[None, :, None]", index=(None, slice(None), None)),
    row("getitem backwards", ops.getitem, normal(5), torch="a.flip(0)[0:4:2]", index=slice(None, 0, -2)),
    row("getitem table", ops.getitem, normal(4, 2), torch="a[torch.tensor([[0, 1], [1, 1]])]", index=np.array([[0, 1], [1, 1]])),
    row("getitem slice and array", ops.getitem, normal(4, 5), torch="a[1:, [2, 2, -1]]", index=(slice(1, None), np.array([2, 2, -1]))),
    row("getitem number and array", ops.getitem, normal(3, 5), torch="a[1, [2, 2, 0]]", index=(1, np.array([2, 2, 0]))),
    row("getitem nothing", ops.getitem, normal(3, 2), torch="a[:0]", index=np.array([], dtype=int)),
    row("getitem mask 2-d", ops.getitem, normal(2, 2, 3), torch="a[torch.tensor([[True, False], [True, True]])]", index=np.array([[True, False], [True, True]]), syncs=True),
    row("concatenate rows", ops.concatenate, normal(2, 3), normal(0, 3), normal(1, 3), torch="torch.cat([a, b, c])"),
    row("concatenate one", ops.concatenate, normal(2, 3), torch="torch.cat([a])"),
    row("stack last", ops.stack, normal(2, 3), normal(2, 3), normal(2, 3), torch="torch.stack([a, b, c], -1)", axis=-1),
    row("stack numbers", ops.stack, normal(), normal(), torch="torch.stack([a, b])"),
    row("matmul 2-d vector", ops.matmul, normal(3, 4), normal(4), torch="a @ b"),
    row("matmul vector 2-d", ops.matmul, normal(4), normal(4, 3), torch="a @ b"),
    row("matmul batch and matrix", ops.matmul, normal(2, 3, 4), normal(4, 2), torch="a @ b"),
    row("matmul no rows", ops.matmul, normal(0, 3), normal(3, 2), torch="a @ b"),
    row("matmul no inner", ops.matmul, normal(2, 0), normal(0, 3), torch="a @ b"),
    row("linear 3-d no bias", ops.linear, normal(2, 4, 3), normal(2, 3), None, torch="T.linear(a, b)"),
    row("linear vector no bias", ops.linear, normal(3), normal(2, 3), None, torch="T.linear(a, b)"),
    row("linear one", ops.linear, normal(1, 1), normal(1, 1), normal(1), torch="T.linear(a, b, c)"),
    row("linear no samples", ops.linear, normal(0, 3), normal(2, 3), normal(2), torch="T.linear(a, b, c)"),
    row("softmax vector", ops.softmax, normal(5), torch="a.softmax(0)", axis=0),
    row("dropout nothing", ops.dropout, normal(4, 5), value(np.ones((4, 5), bool)), torch="a * 1", constant=(1,), p=0.0),
    row("dropout everything", ops.dropout, normal(4, 5), value(np.zeros((4, 5), bool)), torch="a * 0", constant=(1,), p=1.0),
    row("dropout channels", ops.dropout, normal(4, 5, 2), mask(4, 5, 1), torch="a * b / 0.75", constant=(1,), p=0.25),
    row("bce weight", ops.binary_cross_entropy_with_logits, normal(3, 4), share(3, 4), positive(3, 4), None, torch="T.binary_cross_entropy_with_logits(a, b, c)", constant=(2,)),
    row("bce pos_weight", ops.binary_cross_entropy_with_logits, normal(3, 4), share(3, 4), None, positive(4), torch="T.binary_cross_entropy_with_logits(a, b, pos_weight=d)", constant=(3,)),
    row("bce weight none", ops.binary_cross_entropy_with_logits, normal(3, 4), share(3, 4), positive(3, 1), None, torch="T.binary_cross_entropy_with_logits(a, b, c, reduction='none')", constant=(2,), reduction="none"),
    row("bce at zero", ops.binary_cross_entropy_with_logits, value([0.0, 0.0]), value([0.0, 1.0]), None, None, torch="T.binary_cross_entropy_with_logits(a, b)"),
    row("nll one sample", ops.nll_loss, normal(3), labels(3), None, torch="T.nll_loss(a, b)", constant=(1,)),
    row("nll weights sum", ops.nll_loss, normal(5, 3), with_ignored(3, 5), positive(3), torch="T.nll_loss(a, b, c, reduction='sum')", constant=(1, 2), reduction="sum"),
    row("nll weights none", ops.nll_loss, normal(5, 3), with_ignored(3, 5), positive(3), torch="T.nll_loss(a, b, c, reduction='none')", constant=(1, 2), reduction="none"),
    row("nll images weights", ops.nll_loss, normal(2, 3, 2, 2), labels(3, 2, 2, 2), positive(3), torch="T.nll_loss(a, b, c)", constant=(1, 2)),
    row("ce one sample weights", ops.cross_entropy, normal(3), labels(3), positive(3), torch="T.cross_entropy(a, b, c, label_smoothing=0.3)", constant=(1, 2), label_smoothing=0.3),
    row("ce one sample probabilities", ops.cross_entropy, normal(3), share(3), None, torch="T.cross_entropy(a, b)"),
    row("ce none", ops.cross_entropy, normal(5, 3), with_ignored(3, 5), None, torch="T.cross_entropy(a, b, reduction='none')", constant=(1,), reduction="none"),
    row("ce sum weights smooth", ops.cross_entropy, normal(5, 3), with_ignored(3, 5), positive(3), torch="T.cross_entropy(a, b, c, reduction='sum', label_smoothing=0.2)", constant=(1, 2), reduction="sum", label_smoothing=0.2),
    row("ce images none", ops.cross_entropy, normal(2, 3, 2, 2), labels(3, 2, 2, 2), None, torch="T.cross_entropy(a, b, reduction='none')", constant=(1,), reduction="none"),
    row("ce images ignored", ops.cross_entropy, normal(2, 3, 1, 2), value([[[0, -100]], [[2, 1]]]), None, torch="T.cross_entropy(a, b)", constant=(1,)),
    row("ce probabilities none", ops.cross_entropy, normal(5, 3), share(5, 3), positive(3), torch="T.cross_entropy(a, b, c, reduction='none')", constant=(2,), reduction="none"),
    row("ce probabilities sum", ops.cross_entropy, normal(5, 3), share(5, 3), None, torch="T.cross_entropy(a, b, reduction='sum', label_smoothing=0.2)", reduction="sum", label_smoothing=0.2),
    row("ce probabilities images", ops.cross_entropy, normal(2, 3, 2, 2), share(2, 3, 2, 2), positive(3), torch="T.cross_entropy(a, b, c)", constant=(2,)),
    row("conv2d", ops.conv2d, normal(2, 2, 4, 4), normal(3, 2, 2, 3), normal(3), torch="T.conv2d(a, b, c)"),
    row("conv2d options", ops.conv2d, normal(2, 4, 5, 4), normal(2, 2, 2, 2), None, torch="T.conv2d(T.pad(a, (1, 0, 0, 2)), b, None, (2, 1), 0, (1, 2), 2)", stride=(2, 1), padding=((0, 2), (1, 0)), dilation=(1, 2), groups=2),
    row("conv_transpose2d", ops.conv_transpose2d, normal(2, 2, 3, 2), normal(2, 3, 2, 2), normal(3), torch="T.conv_transpose2d(a, b, c)"),
    row("conv_transpose2d options", ops.conv_transpose2d, normal(2, 4, 3, 2), normal(4, 1, 3, 2), None, torch="T.conv_transpose2d(a, b, None, (2, 3), (1, 0), (1, 2), 2, (2, 1))", stride=(2, 3), padding=(1, 0), output_padding=(1, 2), groups=2, dilation=(2, 1)),
    row("max_pool2d", ops.max_pool2d, distinct(2, 2, 4, 5), torch="T.max_pool2d(a, (3, 2), (1, 2), (1, 0), (1, 2))", kernel=(3, 2), stride=(1, 2), padding=((1, 1), (0, 0)), dilation=(1, 2)),
    row("max_pool2d_with_indices", ops.max_pool2d_with_indices, distinct(2, 2, 4, 5), torch="T.max_pool2d(a, (3, 2), (1, 2), (1, 0), (1, 2))", kernel=(3, 2), stride=(1, 2), padding=((1, 1), (0, 0)), dilation=(1, 2)),
    row("avg_pool2d", ops.avg_pool2d, normal(2, 2, 4, 5), torch="T.avg_pool2d(a, (3, 2), (1, 2), (1, 0), count_include_pad=False)", kernel=(3, 2), stride=(1, 2), padding=((1, 1), (0, 0))),
    row("avg_pool2d counted", ops.avg_pool2d, normal(2, 2, 4, 5), torch="T.avg_pool2d(a, 2, 2, 1)", kernel=(2, 2), stride=(2, 2), padding=((1, 1), (1, 1)), counted=((1, 1), (1, 1))),
    row("avg_pool2d divisor", ops.avg_pool2d, normal(2, 2, 4, 5), torch="T.avg_pool2d(a, 2, 1, divisor_override=3)", kernel=(2, 2), stride=(1, 1), divisor=3),
    row("adaptive_avg_pool2d", ops.adaptive_avg_pool2d, normal(2, 2, 4, 5), torch="T.adaptive_avg_pool2d(a, (3, 2))", size=(3, 2)),
    row("adaptive_max_pool2d", ops.adaptive_max_pool2d, distinct(2, 2, 4, 5), torch="T.adaptive_max_pool2d(a, (3, 2))", size=(3, 2)),
    row("separable2d", ops.separable2d, normal(2, 2, 3, 4), torch="o['rows'] @ a @ o['columns'].T", rows=np.array([[1.0, 0.5, 0.0], [0.0, 2.0, 1.0]]), columns=np.array([[1.0, 0.0, -1.0, 0.5]])),
    row("pad constant", ops.pad, normal(2, 3), torch="T.pad(a, (1, 2, 0, 1), value=2.5)", widths=((0, 1), (1, 2)), mode="constant", value=2.5),
    *(row(f"pad {m}", ops.pad, normal(1, 2, 3, 4), torch=f"T.pad(a, (1, 2, 2, 0), mode='{m}')", widths=((0, 0), (0, 0), (2, 0), (1, 2)), mode=m) for m in ("reflect", "replicate", "circular")),
    row("batch_norm", ops.batch_norm, normal(4, 2, 3), positive(2), normal(2), torch="T.batch_norm(a, None, None, b, c, True, eps=1e-3)", eps=1e-3),
    row("batch_norm plain", ops.batch_norm, normal(4, 2), None, None, torch="T.batch_norm(a, None, None, None, None, True)"),
    row("batch_norm_inference", ops.batch_norm_inference, normal(4, 2, 3), normal(2), positive(2), positive(2), normal(2), torch="T.batch_norm(a, b, c, d, e, False, eps=1e-3)", constant=(1, 2), eps=1e-3),
    row("batch_norm_inference plain", ops.batch_norm_inference, normal(4, 2), normal(2), positive(2), None, None, torch="T.batch_norm(a, b, c)", constant=(1, 2)),
    row("layer_norm", ops.layer_norm, normal(3, 4), positive(4), normal(4), torch="T.layer_norm(a, (4,), b, c, 1e-3)", eps=1e-3),
    row("layer_norm two axes", ops.layer_norm, normal(2, 3, 4), positive(3, 4), None, torch="T.layer_norm(a, (3, 4), b)", dims=2),
    row("group_norm", ops.group_norm, normal(2, 4, 3), positive(4), normal(4), torch="T.group_norm(a, 2, b, c, 1e-3)", groups=2, eps=1e-3),
    row("group_norm plain", ops.group_norm, normal(2, 4), None, None, torch="T.group_norm(a, 2)", groups=2),
    row("rms_norm", ops.rms_norm, normal(2, 3, 4), positive(3, 4), torch="T.rms_norm(a, (3, 4), b, 1e-3)", dims=2, eps=1e-3),
    row("rms_norm plain", ops.rms_norm, normal(3, 4), None, torch="T.rms_norm(a, (4,), None, 1e-6)"),
]  # fmt: skip


def weights(row: Row, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient that comes from above."""
    return np.random.Generator(np.random.Philox(key=len(row.name))).uniform(-1, 1, shape)
