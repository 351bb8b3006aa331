"""The host state that a step reads.  A recording freezes it, so a replay is correct only while it is unchanged.

It consists of the attributes of the model's modules and of loss, penalty, metrics and optimizer; the variables that
their functions read; the arrays that persist between steps, by identity; and the optimizer's options.  The learning
rate and the random step are excluded, because a step reads them on the backend.
"""

from __future__ import annotations

import functools
import random as python_random
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from operator import is_
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from xpnet.nn import Module, Parameter
from xpnet.tape import is_grad_enabled, observer_in_force

if TYPE_CHECKING:
    from xpnet.train.step import Step

PLAIN = frozenset((int, float, complex, str, bytes, bool, type(None)))
_CONTAINERS = frozenset((list, dict, set, tuple, deque))
OPTION = "the option"  # how the text of a difference caused by a schedule begins
_READ = PLAIN | _CONTAINERS | {FunctionType}
_OWN = frozenset(  # attributes of every module, whose content is compared elsewhere
    ["_parameters", "_buffers", "_modules", "_not_saved", "_forward_hooks", "_forward_pre_hooks", "_backward_hooks"]
)
_KNOWN = frozenset(("xpnet", "xpnet_backends", "builtins", "numpy", "cupy"))
_OF_OPTIMIZERS = frozenset(("param_groups", "defaults", "_flats"))
_DEPTH, _LENGTH = 3, 64  # the depth to which containers are compared


class Surroundings:
    """The host state of a step at one moment, to be compared with another moment."""

    def __init__(self, step: Step) -> None:
        self.labels: list[tuple[str, str]] = []
        self.objects: list[Any] = []
        self._modules = list(step.model.modules())  # where another one takes the place of one, an attribute differs
        self._parameters = list(step.model.named_parameters())
        self._of_model = list(_of_module("model", step.model))
        self._plain = all(_is_ours(type(module).__module__) for module in self._modules)  # then these stay the same
        for label, mapping in (*self._of_model, *_sources(step)):
            self.labels += [(label, name) for name in mapping]
            self.objects += mapping.values()
        for label, thing in _lasting(step, self._parameters):
            self.labels.append((label, ""))
            self.objects.append(thing)
        self._inside = [
            i
            for i, (x, (_, name)) in enumerate(zip(self.objects, self.labels, strict=True))
            if type(x) in _CONTAINERS and name not in _OWN
        ]
        self.settings = _settings(step)
        self.contents = [_described(self.objects[i]) for i in self._inside]

    def difference(self, step: Step) -> str | None:
        """What is different now, in words; None if nothing changed."""
        now: list[Any] = []
        for _, mapping in (*(self._of_model if self._plain else _of_module("model", step.model)), *_sources(step)):
            now += mapping.values()
        now += [thing for _, thing in _lasting(step, self._parameters)]
        if len(now) != len(self.objects):
            return "the model has other attributes"
        if not all(map(is_, now, self.objects)):
            for label, a, b in zip(self.labels, self.objects, now, strict=True):
                if not _same(a, b):
                    return _in_words(*label, plain=type(b) in PLAIN)
        for i, before in zip(self._inside, self.contents, strict=True):
            if _described(self.objects[i]) != before:
                return _in_words(*self.labels[i], plain=True)
        settings = _settings(step)
        if settings != self.settings:
            changed = [name for name, value in settings.items() if value != self.settings.get(name)]
            return f"{OPTION} {changed[0] if changed else ''} changes from step to step"
        return None

    def hooked(self) -> bool:
        """Whether a module or a parameter has a hook, which is host code that has to run."""
        for module in self._modules:
            if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
                return True
        hooks = [p._hooks for _, p in self._parameters if p._hooks is not None]
        return any(h.gradient or h.after for h in hooks)


def host_randomness(surroundings: Surroundings) -> list[Any]:
    """The state of Python's and NumPy's random generators, the global ones and those of modules."""
    of_numpy: Any = np.random.get_state(legacy=False)["state"]
    found: list[Any] = [python_random.getstate(), of_numpy["pos"], of_numpy["key"].tobytes()]
    for x in surroundings.objects:
        if isinstance(x, np.random.Generator):
            found.append(repr(x.bit_generator.state))
        elif isinstance(x, python_random.Random):
            found.append(x.getstate())
    return found


def must_run(step: Step) -> bool:
    """Whether host code must run in every step: for an observer of the tape, or an optimizer with its own ``step``."""
    return observer_in_force() is not None or not is_grad_enabled() or not step.recordable


def _same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and type(a) in PLAIN and (a == b or a != a))


def _in_words(label: str, name: str, *, plain: bool) -> str:
    what = ".".join(part for part in (label, name) if part)
    if plain:
        return f"{what} changes from step to step, and a recording would keep its present value"
    return f"{what} is another array or object after a step: write into it in place, array[...] = values"


def _described(x: Any, depth: int = _DEPTH) -> Any:
    """A container in a form that can be compared: plain values by value, others by identity."""
    if type(x) in PLAIN:
        return repr(x)
    if type(x) not in _CONTAINERS or not depth:
        return id(x)
    items = list(x.items()) if isinstance(x, dict) else list(x)
    return len(items), [_described(item, depth - 1) for item in items[:_LENGTH]]


# -- where to look -----------------------------------------------------------------------------------------------------


def _sources(step: Step) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Names and values outside the model, by owner."""
    for name in ("loss", "penalty", "count"):
        yield from _of_callable(name, getattr(step, name))
    for name, metric in step.metrics.items():
        yield from _of_callable(f"metric {name!r}", metric)
    own = {name: value for name, value in vars(step.optimizer).items() if name not in _OF_OPTIMIZERS}
    yield "optimizer", own


def _of_module(label: str, top: Module) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path, module in top.named_modules():
        yield (f"{label}.{path}" if path else label), vars(module)
        yield from _around(label, type(module).forward)
        for name, value in () if _is_ours(type(module).__module__) else vars(module).items():
            if type(value) is FunctionType:
                yield from _around(label, value)
            elif _is_of_users(cast("Any", type(value))):
                yield f"{label}.{path}.{name}", vars(value)


def _of_callable(label: str, call: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield label, {"": call}
    if isinstance(call, functools.partial):
        yield label, {"args": call.args, **call.keywords}
        yield from _of_callable(label, call.func)
    elif isinstance(call, Module):
        yield from _of_module(label, call)
    elif isinstance(call, MethodType):
        yield from _of_callable(label, call.__self__)
        yield from _around(label, call.__func__)
    elif isinstance(call, FunctionType):
        yield from _around(label, call)
    elif hasattr(call, "__dict__"):
        yield label, vars(call)
        yield from _around(label, getattr(type(call), "__call__", None))  # noqa: B004  the function itself is needed


def _around(label: str, function: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The outer variables that a user's function reads, and those of the functions that it calls.

    They are variables of enclosing functions, or globals.
    """
    waiting, seen = [function], set()
    while waiting:
        function = waiting.pop()
        if type(function) is not FunctionType or function in seen or _is_ours(function.__module__):
            continue
        seen.add(function)
        outer = function.__globals__
        found = {
            name: outer[name] for name in _names(function.__code__) if name in outer and type(outer[name]) in _READ
        }
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with suppress(ValueError):  # not assigned yet
                found[name] = cell.cell_contents
        waiting += found.values()
        if found:
            yield f"{label}: the variable", found


@functools.lru_cache(maxsize=1024)
def _is_of_users(kind: type) -> bool:
    """Whether instances may hold state that changes: true for classes outside the library."""
    return hasattr(kind, "__dict__") and kind.__dictoffset__ != 0 and kind.__module__.partition(".")[0] not in _KNOWN


@functools.lru_cache(maxsize=1024)
def _is_ours(module: str | None) -> bool:
    return (module or "").partition(".")[0] in ("xpnet", "xpnet_backends")


@functools.lru_cache(maxsize=1024)
def _names(code: CodeType) -> tuple[str, ...]:
    """Names of globals and attributes in a function, and in the functions nested in it."""
    inside = [name for part in code.co_consts if isinstance(part, CodeType) for name in _names(part)]
    return tuple(dict.fromkeys([*code.co_names, *inside]))


def _lasting(step: Step, parameters: Sequence[tuple[str, Parameter]]) -> Iterator[tuple[str, Any]]:
    """What must not move: the arrays that persist between steps; and whether parameters require gradients."""
    for name, p in parameters:
        yield name, p.data
        yield name, p.requires_grad
        yield name, p.grad if p._home is None else None  # the others are the optimizer's
    parts: tuple[tuple[str, Callable[[], Iterator[Any]]], ...] = (
        ("the optimizer's state", step.optimizer.lasting),
        ("the meter", step.meter.lasting),
        ("the guard", step.guard.lasting),
    )
    for label, arrays in parts:
        for array in arrays():
            yield label, array
    if step.ema is not None:
        for array in step.ema.lasting():
            yield "the averages", array


def _settings(step: Step) -> dict[str, Any]:
    """The options, by name."""
    return {
        **step.optimizer.settings(),
        **({} if step.ema is None else {"ema.decay": (step.ema.decay, step.ema.warmup)}),
        "max_grad_norm": step.max_grad_norm,
    }
