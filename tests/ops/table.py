"""Every op, in every way its options can be used: one row each.  All tests of ops read this table.

``torch`` is an expression for the same computation in PyTorch, with inputs ``a, b, c, ...`` and ``T`` for
``torch.nn.functional``; it is evaluated only by ``tests/fixtures/record_ops.py``.
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

    def make(self) -> list[Any]:
        """The inputs: always the same."""
        key = int.from_bytes(self.name.encode()[-8:], "little") + len(self.name)
        rng = np.random.Generator(np.random.Philox(key=key))
        return [None if make is None else make(rng) for make in self.inputs]


def row(
    name: str, op: Callable[..., Any], *inputs: Make | None, torch: str, constant: tuple[int, ...] = (), **options: Any
) -> Row:
    syncs = options.pop("syncs", False)
    return Row(name, op, inputs, torch, options, constant, syncs)


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


_UNARY = {
    "negative": ("-a", normal(3, 4)), "absolute": ("a.abs()", normal(3, 4)), "exp": ("a.exp()", normal(3, 4)),
    "log": ("a.log()", positive(3, 4)), "sqrt": ("a.sqrt()", positive(3, 4)), "sin": ("a.sin()", normal(3, 4)),
    "cos": ("a.cos()", normal(3, 4)), "relu": ("T.relu(a)", normal(3, 4)), "sigmoid": ("a.sigmoid()", normal(3, 4)),
    "tanh": ("a.tanh()", normal(3, 4)),
}  # fmt: skip
_BINARY = {
    "add": "a + b", "subtract": "a - b", "multiply": "a * b", "divide": "a / b", "maximum": "torch.maximum(a, b)",
    "minimum": "torch.minimum(a, b)",
}  # fmt: skip

ROWS: list[Row] = [
    *(row(name, getattr(ops, name), make, torch=text) for name, (text, make) in _UNARY.items()),
    *(row(f"{n} equal shapes", getattr(ops, n), normal(3, 4), positive(3, 4), torch=t) for n, t in _BINARY.items()),
    *(row(f"{n} broadcast", getattr(ops, n), normal(3, 1, 4), positive(2, 1), torch=t) for n, t in _BINARY.items()),
    *(row(f"{n} scalar array", getattr(ops, n), normal(2, 3), positive(), torch=t) for n, t in _BINARY.items()),
    row("add number", ops.add, normal(2, 3), lambda rng: 2.5, torch="a + 2.5", constant=(1,)),
    row("subtract from number", ops.subtract, lambda rng: 1.5, normal(2, 3), torch="1.5 - b", constant=(0,)),
    row("multiply number", ops.multiply, normal(2, 3), lambda rng: 3, torch="a * 3", constant=(1,)),
    row("divide number", ops.divide, lambda rng: 2.0, positive(2, 3), torch="2.0 / b", constant=(0,)),
    row("maximum number", ops.maximum, normal(2, 3), lambda rng: 0.0, torch="a.clamp(min=0.0)", constant=(1,)),
    row("maximum ties", ops.maximum, value([1.0, 2.0]), value([1.0, 3.0]), torch="torch.maximum(a, b)"),
    row("minimum ties", ops.minimum, value([1.0, 2.0]), value([1.0, 3.0]), torch="torch.minimum(a, b)"),
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
    row("reduce_max ties", ops.reduce_max, value([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), torch="a.amax(1)", axis=1),
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
    row("leaky_relu", ops.leaky_relu, normal(3, 4), torch="T.leaky_relu(a, 0.2)", negative_slope=0.2),
    row("elu", ops.elu, normal(3, 4), torch="T.elu(a, 1.3)", alpha=1.3),
    row("gelu", ops.gelu, normal(3, 4), torch="T.gelu(a)"),
    row("gelu tanh", ops.gelu, normal(3, 4), torch="T.gelu(a, approximate='tanh')", approximate="tanh"),
    row("softmax", ops.softmax, normal(3, 4), torch="a.softmax(-1)"),
    row("softmax axis", ops.softmax, normal(3, 4, 2), torch="a.softmax(1)", axis=1),
    row("log_softmax", ops.log_softmax, normal(3, 4, 2), torch="a.log_softmax(0)", axis=0),
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
]  # fmt: skip

# Ops that are tested through their layers, in tests/nn/layers.py.
THROUGH_LAYERS = {
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "batch_norm", "batch_norm_inference", "conv2d",
    "conv_transpose2d", "group_norm", "layer_norm", "max_pool2d", "pad", "rms_norm", "separable2d",
}  # fmt: skip


def weights(row: Row, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient that comes from above."""
    return np.random.Generator(np.random.Philox(key=len(row.name))).uniform(-1, 1, shape)
