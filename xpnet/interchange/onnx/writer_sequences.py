"""How tables, attention and recurrent layers are written as ONNX nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from xpnet.interchange.onnx.messages import DTYPE_CODES
from xpnet_backends import to_numpy

if TYPE_CHECKING:
    from xpnet.interchange.onnx.writer import Call

# -- tables ----------------------------------------------------------------------------------------------------------


def embedding(call: Call) -> str:
    return call.add("Gather", call.argument(1), call.x, axis=0)


def embedding_bag(call: Call) -> str:
    """Bags of equal length: take (N, L) rows of the table, then their sum, mean or maximum."""
    o, length = call.options, _bag_length(call)
    indices = call.add("Reshape", call.x, call.integers([-1, length]))
    rows = call.add("Gather", call.argument(2), indices, axis=0)  # (N, L, D)
    visible = None
    if o["padding_idx"] is not None:
        padding = call.writer.constant(np.array(o["padding_idx"], call.now.arguments[0].dtype))
        hidden = call.add("Equal", indices, padding)
        visible = call.add("Unsqueeze", call.add("Not", hidden), call.integers([-1]))  # (N, L, 1)
    if o["mode"] == "max":
        return _bag_max(call, rows, visible)
    if call.has(3):
        samples = call.add("Reshape", call.argument(3), call.integers([-1, length, 1]))
        rows = call.add("Mul", rows, samples)
    if visible is None:
        if o["mode"] == "mean":
            return call.add("ReduceMean", rows, axes=[1], keepdims=0)
        return call.add("ReduceSum", rows, call.integers([1]), keepdims=0)
    share = call.add("Cast", visible, to=DTYPE_CODES[call.dtype.name])
    total = call.add("ReduceSum", call.add("Mul", rows, share), call.integers([1]), keepdims=0)
    if o["mode"] == "sum":
        return total
    count = call.add("ReduceSum", share, call.integers([1]), keepdims=0)
    return call.add("Div", total, call.add("Max", count, call.number(1.0)))


def _bag_length(call: Call) -> int:
    lengths = set()
    for run in (call.before, call.now):
        places, count = to_numpy(run.arguments[1]), run.options["count"]
        length = max(len(places) // max(count, 1), 1)
        if length * count != len(places) or (places != np.arange(len(places)) // length).any():
            raise call.refuse("offsets: bags of unequal length need input (N, L) and a padding_idx")
        lengths.add(length)
    if len(lengths) > 1:
        raise call.refuse("bags whose length depends on the batch")
    return int(lengths.pop())


def _bag_max(call: Call, rows: str, visible: str | None) -> str:
    if visible is None:
        return call.add("ReduceMax", rows, axes=[1], keepdims=0)
    seen = call.add("ReduceMax", call.add("Where", visible, rows, call.number(-math.inf)), axes=[1], keepdims=0)
    return call.add("Where", call.add("Equal", seen, call.number(-math.inf)), call.number(0.0), seen)


# -- attention -------------------------------------------------------------------------------------------------------


def scaled_dot_product_attention(call: Call) -> list[str]:
    """Y and the weights.  A fully masked row gets zero weights, where Softmax would give NaN."""
    if call.has(4):
        raise call.refuse("dropout: it drops units in evaluation mode, too")
    o, query, key = call.options, *(call.now.arguments[i].shape for i in (0, 1))
    scale = 1.0 / math.sqrt(max(query[-1], 1)) if o["scale"] is None else o["scale"]
    swapped = [*range(len(key) - 2), len(key) - 1, len(key) - 2]
    scores = call.add("MatMul", call.add("Mul", call.x, call.number(scale)), _transposed(call, 1, swapped))
    if call.has(3):
        truth = call.now.arguments[3].dtype == np.bool_
        hidden = call.number(-math.inf)
        scores = (
            call.add("Where", call.argument(3), scores, hidden) if truth else call.add("Add", scores, call.argument(3))
        )
    if o["causal"]:
        if any(
            a.shape[-2] != b.shape[-2] for a, b in zip(call.before.arguments[:2], call.now.arguments[:2], strict=True)
        ):
            raise call.refuse("is_causal and a number of steps that is the batch axis")
        seen = call.writer.constant(np.arange(query[-2])[:, None] >= np.arange(key[-2]))
        scores = call.add("Where", seen, scores, call.number(-math.inf))
    weights = _visible_softmax(call, scores) if call.has(3) else call.add("Softmax", scores, axis=-1)
    return [call.add("MatMul", weights, call.argument(2)), weights]


def _transposed(call: Call, i: int, axes: list[int]) -> str:
    return call.add("Transpose", call.argument(i), perm=axes)


def _visible_softmax(call: Call, scores: str) -> str:
    """``eˣ / Σ eˣ``; the sum is at least 1 in a row with visible entries, because the largest contributes e⁰."""
    peak = call.add("ReduceMax", scores, axes=[-1], keepdims=1)
    floor = call.add("Max", peak, call.number(float(np.finfo(call.dtype).min)))  # not −∞ − (−∞)
    a = call.add("Exp", call.add("Sub", scores, floor))
    total = call.add("ReduceSum", a, call.integers([-1]), keepdims=1)
    return call.add("Div", a, call.add("Max", total, call.number(1.0)))


def rotary(call: Call) -> str:
    features = call.shape[-1]
    if call.options["interleaved"]:
        u, v = (_slice(call, call.x, start, features, 2) for start in (0, 1))
    else:
        u, v = call.split(call.x, [features // 2] * 2, -1)
    cos, sin = call.argument(1), call.argument(2)
    turned = (
        call.add("Sub", call.add("Mul", u, cos), call.add("Mul", v, sin)),
        call.add("Add", call.add("Mul", u, sin), call.add("Mul", v, cos)),
    )
    if not call.options["interleaved"]:
        return call.add("Concat", *turned, axis=-1)
    pairs = call.add("Concat", *(call.add("Unsqueeze", y, call.integers([-1])) for y in turned), axis=-1)
    return call.add("Reshape", pairs, call.integers([*[0] * (len(call.shape) - 1), features]))


def _slice(call: Call, x: str, start: int, end: int, step: int) -> str:
    return call.add("Slice", x, *(call.integers([n]) for n in (start, end, -1, step)))


# -- recurrent layers ------------------------------------------------------------------------------------------------


def recurrent(op: str, states: int, gates: list[int]) -> Callable[[Call], list[str]]:
    """One layer in one direction.  ``gates`` lists xpnet's gates in ONNX's order."""

    def write(call: Call) -> list[str]:
        o, first = call.options, 1 + states  # x, states, weight_ih, weight_hh, bias_ih, bias_hh, lengths
        hidden = call.now.arguments[1].shape[-1]
        weights = [_by_gate(call, first + i, gates, hidden) for i in (0, 1)]
        bias = ""
        if call.has(first + 2):
            both = [_by_gate(call, first + i, gates, hidden) for i in (2, 3)]
            bias = call.add("Concat", *both, axis=1)
        lengths = call.add("Cast", call.argument(first + 4), to=DTYPE_CODES["int32"]) if call.has(first + 4) else ""
        inputs = [call.x, *weights, bias, lengths]
        if not all(call.is_zero(i) for i in range(1, first)):
            inputs += [call.add("Unsqueeze", call.argument(i), call.integers([0])) for i in range(1, first)]
        while not inputs[-1]:
            inputs.pop()
        options = {"hidden_size": hidden, "direction": "reverse" if o["reverse"] else "forward"}
        if op == "GRU":
            options["linear_before_reset"] = 1
        if op == "RNN":
            options["activations"] = [o["nonlinearity"].capitalize()]
        made = [call.writer.new(op) for _ in range(1 + states)]
        call.writer.add(op, inputs, made, **options)
        y = call.add("Squeeze", made[0], call.integers([1]))  # (T, 1, N, H)
        return [y, *(call.add("Squeeze", name, call.integers([0])) for name in made[1:])]

    return write


def _by_gate(call: Call, i: int, gates: list[int], hidden: int) -> str:
    """(G·H, K) -> (1, G·H, K), or without K, with its gates reordered."""
    rest = list(call.now.arguments[i].shape[1:])
    name = call.argument(i)
    if len(gates) > 1:
        parts = call.add("Reshape", name, call.integers([len(gates), hidden, *rest]))
        name = call.add("Gather", parts, call.integers(gates), axis=0)
    return call.add("Reshape", name, call.integers([1, len(gates) * hidden, *rest]))
