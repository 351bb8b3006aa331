"""Time and memory of a training step, by layer and by op, forward and backward."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from xpnet.nn import Module
from xpnet.nn.recording import Recording
from xpnet.nn.utils import left_as_it_was
from xpnet.tape import Node, held, node_of, observe, run_backward, walk
from xpnet.tensor import Tensor
from xpnet_backends import Array, Backend, get_backend

Key = tuple[str, str]  # layer, op
MODEL, LOSS = "(model)", "(loss)"


@dataclass(frozen=True)
class Cost:
    """The cost of an op in a layer, of a whole layer, or of an op in all layers.

    Attributes
    ----------
    layer : its path; "(model)" for ops of the model outside its layers, "(loss)" for ops after the model.
    kind : the layer's class; "" in a sum over layers.
    op : the op's name; "" in a sum over ops.
    calls : number of calls in a step.
    forward, backward : seconds; the median of several steps.
    kept : bytes that stay in memory from the forward until the backward, without parameters and batch; each array is
        counted where it is first held.
    """

    layer: str
    kind: str
    op: str
    calls: int
    forward: float
    backward: float
    kept: int

    @property
    def seconds(self) -> float:
        """Forward and backward together."""
        return self.forward + self.backward


@dataclass(frozen=True)
class Profile:
    """The costs of one training step, without the optimizer.

    Attributes
    ----------
    costs : one for each layer and op, in the order in which they first ran.
    backend : the backend it ran on.
    repeats : the number of steps that were timed.
    """

    costs: list[Cost]
    backend: str
    repeats: int

    def layers(self) -> list[Cost]:
        """Costs summed by layer, in the order of the forward pass."""
        return _summed(self.costs, lambda c: (c.layer, c.kind, ""))

    def ops(self) -> list[Cost]:
        """Costs summed by op, the most expensive first."""
        return sorted(_summed(self.costs, lambda c: ("", "", c.op)), key=lambda c: -c.seconds)

    @property
    def total(self) -> Cost:
        """All of it."""
        return _summed(self.costs, lambda c: ("", "", ""))[0]

    def rows(self, by: str = "layer") -> list[list[str]]:
        """A header and a row for each ``"layer"``, ``"op"`` or ``"both"``, and the total."""
        columns = {"layer": ["layer", "type"], "op": ["op"], "both": ["layer", "type", "op"]}
        if by not in columns:
            raise ValueError(f"by must be one of {', '.join(columns)}, got {by!r}")
        names, chosen = columns[by], {"layer": self.layers(), "op": self.ops(), "both": self.costs}[by]
        rows = [[*names, "calls", "forward ms", "backward ms", "share", "kept MiB"]]
        total = self.total
        for cost in [*chosen, total]:
            words = {"layer": cost.layer, "type": cost.kind, "op": cost.op}
            first = ["total", *[""] * (len(names) - 1)] if cost is total else [words[name] for name in names]
            share = cost.seconds / total.seconds
            times = [f"{1e3 * cost.forward:.3f}", f"{1e3 * cost.backward:.3f}", f"{share:.1%}"]
            rows.append([*first, str(cost.calls), *times, f"{cost.kept / 2**20:.3f}"])
        return rows

    def table(self, by: str = "layer") -> str:
        """The rows as text."""
        rows = self.rows(by)
        words = rows[0].index("calls")
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = []
        for row in rows:
            cells = [c.ljust(w) if i < words else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
            lines.append("  ".join(cells).rstrip())
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def __str__(self) -> str:
        return self.table()


def _summed(costs: Iterable[Cost], key: Callable[[Cost], tuple[str, str, str]]) -> list[Cost]:
    found: dict[tuple[str, str, str], Cost] = {}
    for cost in costs:
        held = found.get(key(cost), Cost(*key(cost), 0, 0.0, 0.0, 0))
        found[key(cost)] = replace(
            held,
            calls=held.calls + cost.calls,
            forward=held.forward + cost.forward,
            backward=held.backward + cost.backward,
            kept=held.kept + cost.kept,
        )
    return list(found.values())


def profile(
    model: Module,
    inputs: Any,
    loss: Callable[[Any], Tensor] | None = None,
    *,
    repeats: int = 5,
    warmup: int = 1,
) -> Profile:
    """Time every op of a training step, forward and backward, with a synchronisation after each.

    The model runs in its current mode.  Its weights, gradients and running statistics, and the random state, are left
    unchanged.  Time between two ops of the forward, including checks, is added to the second op.  Synchronising after
    each op adds overhead to small ops, so shares are more reliable than totals.

    Parameters
    ----------
    inputs : the model's input, on the host or on the model's backend; a tuple (tokens, lengths) is passed on as it is.
    loss : ``loss(output)`` gives the tensor to differentiate; by default the mean of the outputs.
    repeats, warmup : the number of timed steps, and of steps before them that are not timed.

    >>> from xpnet import nn
    >>> import numpy as np
    >>> model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> [(c.layer, c.op) for c in profile(model, np.ones((4, 8), "float32")).costs]
    [('0', 'linear'), ('1', 'relu'), ('2', 'linear'), ('(loss)', 'reduce_mean')]
    """
    if not isinstance(repeats, int) or repeats < 1 or warmup < 0:
        raise ValueError(f"profile needs repeats >= 1 and warmup >= 0, got {repeats!r} and {warmup!r}")
    first = next(model.parameters(), None)
    backend = get_backend() if first is None else first.backend
    given = inputs
    if not isinstance(inputs, (tuple, Tensor, backend.array_type)):
        given = backend.asarray(inputs)
    steps = []
    for i in range(warmup + repeats):
        with left_as_it_was(model):
            step = _TimedStep(model, backend)
            step.run(given, loss)
            if i >= warmup:
                steps.append(step)
    return Profile(_merged(steps), backend.name, repeats)


def _merged(steps: list[_TimedStep]) -> list[Cost]:
    """The median of each figure over the steps; an op that is missing in a step counts as 0 there."""
    keys = dict.fromkeys(key for step in steps for key in step.forward)
    costs = []
    for key in keys:
        forward, backward = (median(times.get(key, 0.0) for times in all_) for all_ in (
            [step.forward for step in steps], [step.backward for step in steps],
        ))  # fmt: skip
        last = steps[-1]
        kind = last.kinds.get(key[0], "")
        costs.append(Cost(key[0], kind, key[1], last.calls.get(key, 0), forward, backward, last.kept.get(key, 0)))
    return costs


class _TimedStep:
    """One timed forward and backward."""

    def __init__(self, model: Module, backend: Backend) -> None:
        self.model, self.backend = model, backend
        self.forward: dict[Key, float] = defaultdict(float)
        self.backward: dict[Key, float] = defaultdict(float)
        self.calls: dict[Key, int] = defaultdict(int)
        self.kept: dict[Key, int] = defaultdict(int)
        self.kinds = {path or MODEL: type(module).__name__ for path, module in model.named_modules()}
        self._layers = Recording(model)
        self._keys: dict[int, Key] = {}  # by the time of a node
        self._then = 0.0

    def run(self, inputs: Any, loss: Callable[[Any], Tensor] | None) -> None:
        with self._layers:
            self._then = self._now()
            with observe(self._op_ended):
                output = self.model(inputs)
                result = _mean(output) if loss is None else loss(output)
        if not isinstance(result, Tensor) or not result.requires_grad:
            raise ValueError(
                "nothing to differentiate: neither the model's parameters nor its inputs require a gradient"
            )
        order = walk(result)
        self._measure_kept((node for node, _ in order), inputs)
        result.grad = self.backend.xp.ones(result.shape, dtype=result.dtype)
        self._then = self._now()
        while order:
            node, outputs = order.pop()
            run_backward(node, outputs)
            self.backward[self._key(node)] += self._lap()

    def _now(self) -> float:
        self.backend.synchronize()
        return time.perf_counter()

    def _lap(self) -> float:
        now = self._now()
        seconds, self._then = now - self._then, now
        return seconds

    def _op_ended(self, op: Any, args: Any, options: Any, result: Any) -> None:
        layer = self._layers.layer_at_work
        key = LOSS if layer is None else layer or MODEL, op.__name__
        self.forward[key] += self._lap()
        self.calls[key] += 1
        for tensor in result if isinstance(result, tuple) else (result,):
            if (node := node_of(tensor)) is not None:
                self._keys[node.time] = key

    def _key(self, node: Node) -> Key:
        return self._keys.get(node.time, (LOSS, node.name))

    def _measure_kept(self, nodes: Iterable[Node], inputs: Any) -> None:
        """Bytes that each backward holds and no earlier one does, without parameters and batch."""
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        known = [p.data for p in self.model.parameters()]
        known += [x.data if isinstance(x, Tensor) else x for x in given]
        seen = {id(_owner(array)) for array in known}
        for node in nodes:
            for array in held(node.backward):
                owner = _owner(array)
                if id(owner) not in seen:
                    seen.add(id(owner))
                    self.kept[self._key(node)] += int(owner.nbytes)


def _mean(output: Any) -> Tensor:
    while isinstance(output, (tuple, list)):  # recurrent layers also return their states
        output = output[0]
    found: Tensor = output.mean()
    return found


def _owner(array: Array) -> Array:
    """The array that owns the memory of a view."""
    while type(base := getattr(array, "base", None)) is type(array):
        array = base
    return array
