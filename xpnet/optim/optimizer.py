"""The base of all optimizers: parameter groups, flat buffers, the step, the state dict."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from xpnet.nn import Parameter
from xpnet.optim.flat import GATED, LR, STEP, Flat, Span
from xpnet.tape import note_plain
from xpnet.tensor import Tensor
from xpnet_backends import Array, Namespace, is_array, random, sum_of_squares, to_numpy

Parameters: TypeAlias = Iterable[Parameter] | Iterable[tuple[str, Parameter]] | Iterable[dict[str, Any]]


_ON_BACKEND = frozenset(("lr", "initial_lr", "params", "names"))  # of a group: what a step reads there, or not at all


class Optimizer(ABC):
    """Base class of all optimizers.

    ``params`` are parameters, ``(name, parameter)`` pairs, or dicts ``{"params": ..., "lr": ...}`` for groups with
    their own options.  With pairs, e.g. ``model.named_parameters()``, the state dict has the parameter names.
    ``param_groups`` holds the options; a change of ``group["lr"]`` takes effect at the next step.

    For float16 parameters the state, the step count and the step itself are float32, because in float16 Adam's ε is 0
    and counts end at 2,048.  The weights are rounded to float16 after each step.  So a step smaller than half a unit in
    the last place of a weight is lost; train in float32 if that matters.
    """

    def __init__(self, params: Parameters, defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.param_groups: list[dict[str, Any]] = []
        self._flats: list[list[Flat]] = []
        for group in _as_groups(params):
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with their own options.  Missing options take the defaults."""
        names, parameters = _named(group["params"], start=sum(len(g["params"]) for g in self.param_groups))
        taken = {id(p) for g in self.param_groups for p in g["params"]}
        if len({id(p) for p in parameters} | taken) != len(parameters) + len(taken):
            raise ValueError("a parameter appears twice in this optimizer")
        options = {**self.defaults, **group, "params": parameters, "names": names}
        if unknown := set(options) - set(self.defaults) - {"params", "names", "initial_lr"}:
            raise ValueError(f"{type(self).__name__} has no option {sorted(unknown)[0]!r}: {', '.join(self.defaults)}")
        self.check(options)
        self.param_groups.append(options)
        self._flats.append(self._flatten(options))

    def _flatten(self, options: dict[str, Any]) -> list[Flat]:
        kinds: dict[Any, list[Parameter]] = {}
        for p in options["params"]:
            kinds.setdefault((p.backend.name, p.dtype), []).append(p)
        flats = [Flat(parameters, self.state_names(options)) for parameters in kinds.values()]
        for flat in flats:
            flat.adopt()
        return flats

    def check(self, options: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` for an option out of range."""
        for name in ("lr", "weight_decay", "momentum", "eps"):
            if name in options and not options[name] >= 0.0:
                raise ValueError(f"{type(self).__name__}: {name} must be >= 0, got {options[name]!r}")
        betas = options.get("betas", (0.0, 0.0))
        if len(betas) != 2 or not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"{type(self).__name__}: betas must be two numbers in [0, 1), got {betas!r}")

    @abstractmethod
    def state_names(self, options: Mapping[str, Any]) -> Sequence[str]:
        """The names of the state vectors that this optimizer keeps for each parameter."""

    @abstractmethod
    def update(
        self, xp: Namespace, theta: Array, g: Array, state: dict[str, Array], clock: Clock, options: dict[str, Any]
    ) -> None:
        """Make one step in place.  ``theta``, ``g`` and the state are vectors of adjacent parameters.

        Vectors of float16 parameters are passed in float32, and the new weights are rounded afterwards.
        """

    def step(self, closure: Callable[[], Tensor] | None = None, *, only_if: Array | None = None) -> Tensor | None:
        """Update every parameter that has a gradient, and advance the random state by one step.

        If ``closure`` is given, it computes the loss and the gradients first, and the loss is returned.  ``only_if`` is
        a boolean on the device: if it is false, no parameter changes.  The host does not wait for it.
        """
        loss = closure() if closure is not None else None
        self.prepare()
        self.apply_update(only_if)
        self.advance()
        return loss

    def prepare(self) -> None:
        """The first part of ``step``: write changed learning rates to the backend.  Call it before a replay too."""
        for options, flats in zip(self.param_groups, self._flats, strict=True):
            for flat in flats:
                flat.adopt()
                for span in flat.spans:
                    span.write(options["lr"])

    def apply_update(self, only_if: Array | None = None) -> None:
        """The second part of ``step``: the device work, which is the same in every step.

        It reads no changing numbers on the host, so that it can be captured once and replayed.
        """
        for options, flats in zip(self.param_groups, self._flats, strict=True):
            for flat in flats:
                self._update_flat(flat, options, only_if)

    def _update_flat(self, flat: Flat, options: dict[str, Any], only_if: Array | None) -> None:
        if names := self.state_names(options):
            flat.keep(names)
        for span in flat.ready(flat.gather()):
            span.numbers[STEP] += 1
            fresh = frozenset() if span.begun.issuperset(names) else frozenset(names) - span.begun
            if only_if is not None:
                span.gate(flat.backend.xp, only_if, flat.grads[span.where])
            state = {name: vector[span.where] for name, vector in flat.state.items()}
            clock = Clock(flat.backend.xp, span, fresh, gated=only_if is not None)
            theta, g = flat.wide(flat.values[span.where]), flat.wide(flat.grads[span.where])
            self.update(flat.backend.xp, theta, -g if options.get("maximize") else g, state, clock, options)
            if theta.dtype != flat.dtype:
                flat.values[span.where] = theta
            if fresh:
                span.begun |= fresh

    def advance(self) -> None:
        """The last part of ``step``: the host's bookkeeping.  Call it after a replay of ``apply_update`` too.

        It updates the step counts, the tape's record of changes, and the random step.
        """
        for flats in self._flats:
            for flat in flats:
                for span in flat.spans:
                    span.steps += span.moves
                flat.note_change()
        random.state.set_step(random.state.step + 1)

    def lasting(self) -> Iterator[Array]:
        """All arrays that live from one step to the next: values, gradients, state, rates and counts."""
        for flat in (flat for flats in self._flats for flat in flats):
            yield flat.values
            yield flat.grads
            yield from flat.state.values()
            yield from (span.numbers for span in flat.spans)

    def settings(self) -> dict[str, Any]:
        """What the host decides about a step, by name: all options but the learning rate, and which vectors are new.

        A recording of a step holds it fast.
        """
        found: dict[str, Any] = {}
        for i, (group, flats) in enumerate(zip(self.param_groups, self._flats, strict=True)):
            found |= {f"{name} of group {i}": value for name, value in group.items() if name not in _ON_BACKEND}
            found[f"state of group {i}"] = [(span.begun, span.steps == 0) for flat in flats for span in flat.spans]
        return found

    def scale_gradients(self, factor: Array) -> None:
        """Multiply every gradient by ``factor``, a 0-d array on the backend."""
        for flat in (flat for flats in self._flats for flat in flats):
            flat.adopt()
            flat.gather()
            flat.grads *= factor.astype(flat.dtype)

    def squared_gradients(self) -> list[Array]:
        """``Σ g²`` of each flat buffer, on its backend.  It is not finite if any gradient is not finite."""
        sums = []
        for flat in (flat for flats in self._flats for flat in flats):
            with_gradient = flat.gather()
            whole = [flat.grads] if all(with_gradient) else []
            parts = whole or [g for g, there in zip(flat.grad_views, with_gradient, strict=True) if there]
            sums += [sum_of_squares(g) for g in parts]
        return sums

    def zero_grad(self) -> None:
        """Clear all gradients.  The next gradient is copied, not added."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    # -- state ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The options of the groups, and the step count and copies of the state vectors of each parameter."""
        state: dict[str, dict[str, Any]] = {}
        for group, flats in zip(self.param_groups, self._flats, strict=True):
            names = {id(p): name for p, name in zip(group["params"], group["names"], strict=True)}
            for flat in flats:
                flat.keep(self.state_names(group))
                views = {name: flat._views(vector) for name, vector in flat.state.items()}
                for i, p in enumerate(flat.parameters):
                    vectors = {name: parts[i].copy() for name, parts in views.items()}
                    state[names[id(p)]] = {"step": flat.span_of(i).steps, **vectors}
        groups = [
            {**{k: _plain(v) for k, v in g.items() if k not in ("params", "names")}, "params": list(g["names"])}
            for g in self.param_groups
        ]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Load a state dict.  Raises: ``ValueError`` if its groups, names or shapes do not match."""
        ours = [list(g["names"]) for g in self.param_groups]
        theirs = [list(g["params"]) for g in saved["param_groups"]]
        if len(ours) != len(theirs):
            raise ValueError(
                f"the optimizer state has {len(theirs)} parameter groups, this {type(self).__name__} has {len(ours)}: "
                "build it with the same groups (add_param_group) first"
            )
        if (here := [len(names) for names in ours]) != (there := [len(names) for names in theirs]):
            raise ValueError(
                f"the optimizer state belongs to another model: its groups have {there} parameters, those of this "
                f"{type(self).__name__} have {here}"
            )
        if ours != theirs:
            raise ValueError(f"the optimizer state belongs to other parameters: expected {ours}, got {theirs}")
        loaded = []
        for group, flats, options in zip(self.param_groups, self._flats, saved["param_groups"], strict=True):
            if unknown := set(options) - set(group) - {"initial_lr"}:
                raise ValueError(
                    f"{type(self).__name__} has no option {sorted(unknown)[0]!r}: the state belongs to another one"
                )
            fitting = {k: _fitting(k, v, group.get(k, group["lr"])) for k, v in options.items() if k != "params"}
            self.check({**group, **fitting})
            names = {id(p): name for p, name in zip(group["params"], group["names"], strict=True)}
            entries = [[saved["state"].get(names[id(p)], {}) for p in flat.parameters] for flat in flats]
            for flat, of_flat in zip(flats, entries, strict=True):
                _check_state(flat, of_flat, self._possible_names(group), self.state_names({**group, **fitting}))
            loaded.append((fitting, entries))
        for group, flats, (fitting, entries) in zip(self.param_groups, self._flats, loaded, strict=True):
            group.update(fitting)
            for flat, of_flat in zip(flats, entries, strict=True):
                held = [name for name in self._possible_names(group) if any(name in entry for entry in of_flat)]
                flat.keep([*self.state_names(group), *held])
                _load_flat(flat, of_flat)

    def _possible_names(self, options: Mapping[str, Any]) -> Sequence[str]:
        """The names of all state vectors that the optimizer keeps if every option is switched on."""
        return self.state_names({name: value or True for name, value in options.items()})

    # Copies and pickles contain the parameters and their state.  The flat buffers are built again from them, so that a
    # model and an optimizer that are copied together still share their parameters.

    def __getstate__(self) -> dict[str, Any]:
        flats = [[flat.packed() for flat in flats] for flats in self._flats]
        return {**self.__dict__, "_flats": flats}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._flats = [[Flat.unpacked(packed) for packed in flats] for flats in state["_flats"]]

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={v!r}" for k, v in self.param_groups[0].items() if k in self.defaults)
        return f"{type(self).__name__}({options})"


class Clock:
    """The learning rate and the step count of the current parameters, as numbers on their backend."""

    __slots__ = ("_steps", "_xp", "first", "fresh", "lr", "step")

    def __init__(self, xp: Namespace, span: Span, fresh: frozenset[str] = frozenset(), *, gated: bool = False) -> None:
        self._xp = xp
        self.lr = span.numbers[GATED if gated else LR]
        self.step = span.numbers[STEP]
        self._steps = span.steps + 1
        self.first = span.steps == 0
        self.fresh = fresh  # the vectors of state that are used for the first time, and hold zeros

    @property
    def steps(self) -> int:
        """The step count on the host, 1 in the first step.  Not for recorded steps: ``step`` is on the backend."""
        note_plain("clock.steps", (self._steps,), {}, None)
        return self._steps

    def bias_correction(self, beta: float) -> Array:
        """``1 − βᵗ`` as ``−expm1(t ln β)``, which is accurate in float32 for β near 1."""
        return -self._xp.expm1(self.step * (math.log(beta) if beta else -math.inf))


def _as_groups(params: Parameters) -> list[dict[str, Any]]:
    if isinstance(params, (Tensor, dict)):
        raise TypeError(f"params must be an iterable of parameters or groups, got one {type(params).__name__}")
    items = list(params)
    if not items:
        raise ValueError("the optimizer got no parameters: is the model empty, or was its iterator used up?")
    if all(isinstance(item, dict) for item in items):
        return items  # type: ignore[return-value]
    return [{"params": items}]


def _named(params: Any, start: int) -> tuple[list[str], list[Parameter]]:
    items = [params] if isinstance(params, Parameter) else list(params)
    pairs = [item if isinstance(item, tuple) else (str(start + i), item) for i, item in enumerate(items)]
    for _, p in pairs:
        if not isinstance(p, Parameter):
            raise TypeError(f"an optimizer takes Parameters, got {type(p).__name__}: wrap it in nn.Parameter(...)")
    return [name for name, _ in pairs], [p for _, p in pairs]


_HUGE = 1e300


def _fitting(name: str, value: Any, ours: Any) -> Any:
    """The saved value of an option.  Raises: ``ValueError`` if its type differs from that of our value."""
    value, ours = _plain(value), _plain(ours)
    if isinstance(ours, tuple) and isinstance(value, tuple) and len(ours) == len(value):
        return tuple(_fitting(name, v, o) for v, o in zip(value, ours, strict=True))
    numbers = all(type(x) in (int, float) and -_HUGE < x < _HUGE for x in (value, ours))
    if numbers or type(value) is type(ours) not in (int, float, tuple):
        return value
    raise ValueError(f"the optimizer's option {name!r} cannot be {value!r}: expected something like {ours!r}")


def _plain(x: Any) -> Any:
    """An option as plain Python: NumPy scalars become numbers and lists become tuples."""
    if isinstance(x, np.generic):
        return x.item()
    return tuple(_plain(part) for part in x) if isinstance(x, (list, tuple)) else x


def _check_state(flat: Flat, saved: Sequence[Mapping[str, Any]], names: Sequence[str], needed: Sequence[str]) -> None:
    steps = [entry.get("step", 0) for entry in saved]
    if not all(isinstance(n, int) and 0 <= n < 1 << 53 for n in steps):
        raise ValueError(f"the optimizer's step counts must be whole numbers, got {steps}")
    if lacking := [name for name in needed for entry in saved if entry.get("step", 0) and entry.get(name) is None]:
        raise ValueError(f"the optimizer state has no {lacking[0]!r}, which its options need: it was edited or cut")
    for name in names:
        for entry, p in zip(saved, flat.parameters, strict=True):
            if entry.get(name) is not None and tuple(entry[name].shape) != p.shape:
                raise ValueError(f"optimizer state {name!r}: expected shape {p.shape}, got {tuple(entry[name].shape)}")


def _load_flat(flat: Flat, saved: Sequence[Mapping[str, Any]]) -> None:
    steps = [entry.get("step", 0) for entry in saved]
    begun = [
        frozenset(k for k in flat.state if n and entry.get(k) is not None)
        for n, entry in zip(steps, saved, strict=True)
    ]
    flat.set_steps(steps, begun)
    for name, vector in flat.state.items():
        for view, entry in zip(flat._views(vector), saved, strict=True):
            values = entry.get(name)
            if values is None:
                view[...] = 0
                continue
            view[...] = flat.backend.asarray(to_numpy(values) if is_array(values) else values, vector.dtype)
