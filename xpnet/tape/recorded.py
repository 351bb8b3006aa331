"""Nodes, the base class of tensors, hooks, and the tape's clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from xpnet_backends import Array, backend_of, is_array

if TYPE_CHECKING:
    from xpnet.tape.fusion import Composition, Work
    from xpnet.tensor import Tensor

Op: TypeAlias = Callable[..., Any]
TensorLike: TypeAlias = Any
"""A Tensor, an array of a backend, or where the function allows it a Python number."""
GradientHook: TypeAlias = Callable[[Array], "Array | None"]
R = TypeVar("R", bound="type[Recorded]")

_clock = itertools.count()
HOOKED = [0]  # tensors that ever had a hook: 0 spares every walk the search for hooked leaves


def tick() -> int:
    """The next time of the tape's clock."""
    return next(_clock)


class Node:
    """One recorded op, with everything that its backward pass needs.

    Attributes
    ----------
    name : the name of the op.
    backward : the op's backward function; None after it has run and its saved arrays were freed.
    inputs : the arguments of the op, tensors and others.  ``needs`` says which of them require a gradient.
    outputs : the number of results.
    time : when the op ran, by the tape's clock.
    composition : the ops that a fused kernel replaced, if this is one.
    """

    __slots__ = ("backward", "composition", "inputs", "name", "needs", "outputs", "time")

    def __init__(self, name: str, backward: Op, inputs: tuple[Any, ...], needs: list[bool]) -> None:
        self.name = name
        self.backward: Op | None = backward
        self.inputs = inputs
        self.needs = needs
        self.outputs = 1
        self.time = next(_clock)
        self.composition: Composition | None = None


class Recorded:
    """The base class of tensors: an array, the op that made it, its gradient, and the time of its last in-place change.

    ``_home`` is a parameter's view of an optimizer's flat gradient buffer.  The first gradient after ``zero_grad()`` is
    copied there; later ones are added.
    """

    __slots__ = (
        "__weakref__",
        "_array",
        "_changed_at",
        "_grad",
        "_home",
        "_hooks",
        "_node",
        "_output",
        "_owns_grad",
        "_work",
        "requires_grad",
    )

    _array: Array
    _changed_at: list[int]
    _grad: Array | None
    _home: Array | None
    _hooks: Hooks | None
    _node: Node | None
    _output: int
    _owns_grad: bool
    _work: Work | None
    requires_grad: bool

    def _start(self, data: Array) -> None:
        self._array = data
        self._grad = self._home = self._hooks = self._node = self._work = None
        self.requires_grad = self._owns_grad = False
        self._output = 0
        self._changed_at = [-1]  # one cell, shared by all tensors on the same memory

    def __getattr__(self, name: str) -> Any:
        """Compute ``_array`` at its first read, if the work was deferred."""
        if name == "_array" and self._work is not None:
            self._array, self._work = self._work.deferred.run(), None
            return self._array
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def _accumulate(self, g: Array) -> None:
        """Add to the gradient.  In place only into own arrays, because an op may return views, or one array twice."""
        held = self._grad
        if held is None:
            if self._home is not None:
                self._home[...] = g
                self._grad, self._owns_grad = self._home, True
            else:
                self._owns_grad = leaf = self._node is None
                self._grad = self._array_of(g.copy()) if leaf else g
        elif self._owns_grad:
            held += g
        else:
            self._grad = self._array_of(held + g)
            self._owns_grad = True

    def _array_of(self, x: Any) -> Array:
        """``x`` as an array, because NumPy returns scalars for 0-d results, which cannot be changed in place."""
        return x if type(x) is type(self._array) else backend_of(self._array).asarray(x)


class Hooks:
    """The hooks of one tensor: on its gradient, and on the tensor after its gradient was accumulated."""

    __slots__ = ("after", "gradient")

    def __init__(self) -> None:
        self.gradient: dict[object, GradientHook] = {}
        self.after: dict[object, Callable[[Any], None]] = {}

    def changed(self, g: Array, name: str) -> Array:
        """Pass the gradient through all hooks.  A hook may return a new gradient of the same shape and dtype."""
        for hook in tuple(self.gradient.values()):
            replaced = hook(g)
            if replaced is None:
                continue
            if isinstance(replaced, Recorded):
                replaced = replaced._array
            elif isinstance(replaced, np.generic):  # NumPy's result for a 0-d array
                replaced = np.asarray(replaced)
            if not is_array(replaced) or replaced.shape != g.shape or replaced.dtype != g.dtype:
                got = f"{replaced.dtype}{replaced.shape}" if is_array(replaced) else type(replaced).__name__
                raise ValueError(f"a hook of {name} must return a gradient {g.dtype}{g.shape} or None, got {got}")
            g = replaced
        return g


class Handle:
    """A registered hook.  ``remove()`` removes it; as a context manager it removes the hook at the end of the block."""

    __slots__ = ("_hooks", "_key")

    def __init__(self, hooks: dict[object, Any], hook: Any) -> None:
        self._hooks, self._key = hooks, object()
        hooks[self._key] = hook

    def remove(self) -> None:
        """Remove the hook.  A second call does nothing."""
        self._hooks.pop(self._key, None)

    __call__ = remove

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def hooks_of(tensor: Recorded) -> Hooks:
    """The hooks of a tensor, created at the first call."""
    if tensor._hooks is None:
        tensor._hooks = Hooks()
        HOOKED[0] += 1
    return tensor._hooks


_result_type: type[Recorded] = Recorded


def results_of_apply(cls: R) -> R:
    """Class decorator for the class of the results of ``apply``."""
    global _result_type
    _result_type = cls
    return cls


def wrap(data: Array) -> Tensor:
    """A tensor without history that shares the memory of an array."""
    tensor = _result_type.__new__(_result_type)
    tensor._start(data)
    return tensor  # type: ignore[return-value]


def value_of(tensor: Recorded) -> Array:
    """The array of a tensor, for reading only.  Other deferred work is not started."""
    return tensor._array


def node_of(tensor: Recorded) -> Node | None:
    """The node of the op that made a tensor; None for a leaf."""
    return tensor._node


def mark_changed(tensors: Iterable[Recorded]) -> None:
    """Record that the values of ``tensors`` were changed in place, so that ops that saved them can raise an error."""
    now = next(_clock)
    for tensor in tensors:
        tensor._changed_at[0] = now


@contextmanager
def gradients_kept(tensors: Iterable[Recorded]) -> Iterator[None]:
    """Restore the gradients of leaf tensors after the block: the values, in the same arrays."""
    kept = [(t, t._grad, t._owns_grad, None if t._grad is None else t._grad.copy()) for t in tensors]
    try:
        yield
    finally:
        for tensor, array, owned, values in kept:
            if array is not None:
                array[...] = values
            tensor._grad, tensor._owns_grad = array, owned
