"""The tape: reverse-mode differentiation over ops.

``apply`` runs an op and, where a gradient may be asked for, hangs a ``Node`` with the op's ``backward`` on the result.
``backpropagate`` walks from a result back to its origins, newest op first, and adds up gradients on the way.

Contract
--------
- The tape knows arrays and ops, and of a tensor only its base class, ``Recorded``.
- Time is the tape's clock: ``tick()`` gives the next moment.  An op is newer than the ops that made its inputs, and an
  array that was changed in place after an op saved it is found by comparing moments.
- ``walk(result)`` lists the ops behind a result.  ``run_backward`` runs one of them.  Tracing, profiling and debugging
  use the same two functions as ``backpropagate``.
- What a backward saved is freed as soon as it ran, unless ``retain_graph`` is asked for.
- Hooks see a gradient when it is complete: all contributions of this walk have been added.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from xpnet_backends import Array, Backend, BackendError, backend_of, is_array, select

if TYPE_CHECKING:
    from xpnet.tensor import Tensor

Op: TypeAlias = Callable[..., Any]
TensorLike: TypeAlias = Any
"""A Tensor, an array of a backend, or where it makes sense a Python number."""
GradientHook: TypeAlias = Callable[[Array], "Array | None"]
R = TypeVar("R", bound="type[Recorded]")

_grad_enabled: ContextVar[bool] = ContextVar("xpnet_grad_enabled", default=True)
_observer: ContextVar[Callable[..., None] | None] = ContextVar("xpnet_observer", default=None)
_clock = itertools.count()
_NUMBERS = frozenset((float, int, bool, type(None)))
_backends = select.by_type


def tick() -> int:
    """The next moment of the tape's clock."""
    return next(_clock)


# -- what is recorded ------------------------------------------------------------------------------------------------


class Node:
    """One op that was run: what its backward needs to be called.

    Attributes
    ----------
    name : the op's name.
    backward : its derivative; None once it ran and what it saved was freed.
    inputs : the arguments of the op, tensors among them.  ``needs`` says which of them require a gradient.
    outputs : how many results the op has.
    time : the moment of the tape's clock at which it ran.
    """

    __slots__ = ("backward", "inputs", "name", "needs", "outputs", "time")

    def __init__(self, name: str, backward: Op, inputs: tuple[Any, ...], needs: list[bool]) -> None:
        self.name = name
        self.backward: Op | None = backward
        self.inputs = inputs
        self.needs = needs
        self.outputs = 1
        self.time = next(_clock)


class Recorded:
    """The base of tensors: an array, the op that made it, its gradient, and when it was last changed in place.

    ``_home`` is a parameter's place in an optimizer's flat gradient buffer: the first gradient after ``zero_grad()`` is
    copied there, further ones are added.
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
    requires_grad: bool

    def _start(self, data: Array) -> None:
        self._array = data
        self._grad = self._home = self._hooks = self._node = None
        self.requires_grad = self._owns_grad = False
        self._output = 0
        self._changed_at = [-1]  # one cell for all tensors that show the same memory

    def _accumulate(self, g: Array) -> None:
        """Add to the gradient.  In place only into arrays made here: ops hand out views and one array several times."""
        held = self._grad
        if held is None:
            if self._home is not None:
                self._home[...] = g
                self._grad, self._owns_grad = self._home, True
            else:
                self._owns_grad = leaf = self._node is None
                self._grad = g.copy() if leaf else g
        elif self._owns_grad:
            held += g  # in place, except for the scalars that NumPy makes of 0-d arrays
            self._grad = held
        else:
            self._grad = held + g
            self._owns_grad = True


class Hooks:
    """What is called with one tensor's gradient, and with the tensor after its gradient was accumulated."""

    __slots__ = ("after", "gradient")

    def __init__(self) -> None:
        self.gradient: dict[object, GradientHook] = {}
        self.after: dict[object, Callable[[Any], None]] = {}

    def changed(self, g: Array, name: str) -> Array:
        """The gradient after every hook has seen it; a hook may return another one of the same shape and dtype."""
        for hook in tuple(self.gradient.values()):
            replaced = hook(g)
            if replaced is None:
                continue
            if isinstance(replaced, Recorded):
                replaced = replaced._array
            elif isinstance(replaced, np.generic):  # what NumPy makes of 0-d arrays
                replaced = np.asarray(replaced)
            if not is_array(replaced) or replaced.shape != g.shape or replaced.dtype != g.dtype:
                got = f"{replaced.dtype}{replaced.shape}" if is_array(replaced) else type(replaced).__name__
                raise ValueError(f"a hook of {name} must return a gradient {g.dtype}{g.shape} or None, got {got}")
            g = replaced
        return g


class Handle:
    """A registered hook; ``remove()`` takes it away, and so does leaving it as a context manager."""

    __slots__ = ("_hooks", "_key")

    def __init__(self, hooks: dict[object, Any], hook: Any) -> None:
        self._hooks, self._key = hooks, object()
        hooks[self._key] = hook

    def remove(self) -> None:
        """Take the hook away.  A second call does nothing."""
        self._hooks.pop(self._key, None)

    __call__ = remove

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def hooks_of(tensor: Recorded) -> Hooks:
    """The hooks of a tensor, to register one."""
    if tensor._hooks is None:
        tensor._hooks = Hooks()
    return tensor._hooks


_result_type: type[Recorded] = Recorded


def results_of_apply(cls: R) -> R:
    """Class decorator for the one class of which ``apply`` makes its results."""
    global _result_type
    _result_type = cls
    return cls


def node_of(tensor: Recorded) -> Node | None:
    """The op that made a tensor; None for a leaf."""
    return tensor._node


def mark_changed(tensors: Iterable[Recorded]) -> None:
    """Note that the values of ``tensors`` were changed in place, for ops that saved them."""
    now = next(_clock)
    for tensor in tensors:
        tensor._changed_at[0] = now


@contextmanager
def gradients_kept(tensors: Iterable[Recorded]) -> Iterator[None]:
    """Put the gradients of leaf tensors back afterwards: the values, in the very arrays that held them."""
    kept = [(t, t._grad, t._owns_grad, None if t._grad is None else t._grad.copy()) for t in tensors]
    try:
        yield
    finally:
        for tensor, array, owned, values in kept:
            if array is not None:
                array[...] = values
            tensor._grad, tensor._owns_grad = array, owned


# -- switches --------------------------------------------------------------------------------------------------------


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside the block: for evaluation, and for changing parameters by hand."""
    token = _grad_enabled.set(False)
    try:
        yield
    finally:
        _grad_enabled.reset(token)


def is_grad_enabled() -> bool:
    """Whether ops are being recorded."""
    return _grad_enabled.get()


@contextmanager
def observe(observer: Callable[..., None]) -> Iterator[None]:
    """Call ``observer(op, args, options, result)`` after every op inside the block: to write a network down.

    An observer's method ``plain(name, args, options, result)``, if it has one, is called after what has no derivative:
    comparisons, and casts from or to whole numbers.
    """
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def note_plain(name: str, args: tuple[Any, ...], options: dict[str, Any], result: Recorded) -> None:
    """Show a result without a derivative to an observer that wants to see those too."""
    if (plain := getattr(_observer.get(), "plain", None)) is not None:
        plain(name, args, options, result)


# -- forward ---------------------------------------------------------------------------------------------------------


def apply(op: Op, *args: TensorLike, **options: Any) -> Tensor:
    """Run ``op`` on tensors, arrays and numbers; record it where an argument requires a gradient.

    A kernel of the backend under the op's name goes first; where there is none, or it declines, the op itself runs.
    An op with several outputs gives a tuple of tensors.

    Raises: ``BackendError`` for arrays of two backends, ``TypeError`` for two floating dtypes.
    """
    arrays, needs = [], []
    for a in args:
        if isinstance(a, Recorded):
            arrays.append(a._array)
            needs.append(a.requires_grad)
        else:
            arrays.append(a)
            needs.append(False)
    backend = _common_backend(op, arrays)
    for key, value in options.items():
        if isinstance(value, np.generic):  # it would change the dtype
            options[key] = value.item()
    kernel = backend.kernels.get(op.__name__)
    result = kernel(backend.xp, *arrays, **options) if kernel is not None else None
    y, backward = op(backend.xp, *arrays, **options) if result is None else result
    node = Node(op.__name__, backward, args, needs) if True in needs and _grad_enabled.get() else None
    found: Any
    if type(y) is not tuple:
        found = _result(y, backend, node, 0, args)
    else:
        if node is not None:
            node.outputs = len(y)
        found = tuple(_result(part, backend, node, i, args) for i, part in enumerate(y))
    if (observer := _observer.get()) is not None:
        observer(op, args, options, found)
    return found  # type: ignore[no-any-return]


def wrap(data: Array) -> Tensor:
    """A tensor on an array's memory, without history."""
    tensor = _result_type.__new__(_result_type)
    tensor._start(data)
    return tensor  # type: ignore[return-value]


def _result(y: Any, backend: Backend, node: Node | None, output: int, args: tuple[Any, ...]) -> Recorded:
    if type(y) is not backend.array_type:
        y = backend.asarray(y)  # NumPy turns 0-d results into scalars
    tensor = wrap(y)
    if node is not None and y.dtype.kind == "f":
        tensor.requires_grad, tensor._node, tensor._output = True, node, output
    if y.base is not None:  # a view: share the time of change with the tensor whose memory it shows
        for a in args:
            if isinstance(a, Recorded) and (y.base is a._array or y.base is a._array.base):
                tensor._changed_at = a._changed_at
    return tensor


def _common_backend(op: Op, arrays: list[Any]) -> Backend:
    backend = dtype = None
    for x in arrays:
        kind = type(x)
        if kind in _NUMBERS:
            continue
        found = _backends.get(kind)
        if found is None or (backend is not None and found is not backend):
            found = _explain_backends(op, arrays)
        backend = found
        if x.dtype is not dtype and x.dtype.kind == "f":
            if dtype is not None and x.dtype != dtype:
                raise TypeError(_two_dtypes(op, arrays))
            dtype = x.dtype
    if backend is None:
        raise TypeError(f"{op.__name__}: needs at least one tensor or array, got {arrays}")
    return backend


def _explain_backends(op: Op, arrays: list[Any]) -> Backend:
    """The common backend after all (an array type met for the first time), or the error that says what is mixed."""
    held = [x for x in arrays if type(x) not in _NUMBERS]
    strange = [type(x).__name__ for x in held if not is_array(x)]
    if strange:
        raise TypeError(f"{op.__name__}: expected tensors or arrays, got {', '.join(strange)}")
    names = [backend_of(x).name for x in held]
    if len(set(names)) > 1:
        where = ", ".join(
            f"argument {i} {x.dtype}{tuple(x.shape)} on {n}" for i, (x, n) in enumerate(zip(held, names, strict=True))
        )
        raise BackendError(
            f"{op.__name__}: arrays of two backends: {where}. Nothing is moved silently: move one of them first, "
            f'e.g. tensor.to(backend="{names[0]}") or model.to(backend="{names[0]}")'
        )
    return backend_of(*held)


def _two_dtypes(op: Op, arrays: list[Any]) -> str:
    shown = ", ".join(f"{x.dtype}{tuple(x.shape)}" if hasattr(x, "dtype") else repr(x) for x in arrays)
    return (
        f"{op.__name__}: two floating dtypes in one operation: {shown}. "
        'Convert one of them, e.g. tensor.astype("float32") or model.to(dtype="float64")'
    )


# -- backward --------------------------------------------------------------------------------------------------------


def walk(result: Recorded) -> list[tuple[Node, list[Any]]]:
    """The ops behind a tensor, oldest first, each with the tensors that it made.  Nothing is computed or freed.

    Gradients that an earlier walk left on these tensors are forgotten; those of leaves stay.

    Raises: ``RuntimeError`` where an op was walked back before and freed what it saved.
    """
    members: dict[Node, list[Recorded]] = {}
    seen: set[int] = set()
    waiting = [result]
    while waiting:
        tensor = waiting.pop()
        node = tensor._node
        if node is None or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if node.backward is None:
            raise RuntimeError(
                f"backward() through {node.name!r} a second time: what it saved was freed by the first. "
                "Call backward(retain_graph=True) the first time, add the losses and call backward() once, or compute "
                "the tensor again"
            )
        if tensor is not result:
            tensor._grad = None
        tensor._owns_grad = False
        if node not in members:
            members[node] = []
            waiting += [t for t, need in zip(node.inputs, node.needs, strict=True) if need]
        members[node].append(tensor)
    return sorted(members.items(), key=_time)


def _time(member: tuple[Node, list[Recorded]]) -> int:
    return member[0].time


def backpropagate(result: Recorded, gradient: Array, retain_graph: bool = False) -> None:
    """Add ``∂⟨gradient, result⟩/∂t`` to the gradient of every tensor t that ``result`` was computed from.

    ``retain_graph`` keeps what the ops saved, so that the graph can be walked again.
    """
    if result._node is None:
        with _Completion({id(result): [result, 1]}) as leaves:
            result._accumulate(gradient)
            leaves.count((result,), (True,))
        return
    result._grad, result._owns_grad = gradient, False
    order = walk(result)
    hooked = _hooked_leaves(order)
    if not hooked:
        while order:
            node, outputs = order.pop()
            run_backward(node, outputs, retain_graph)
        return
    with _Completion(hooked) as leaves:
        while order:
            node, outputs = order.pop()
            inputs, needs = node.inputs, node.needs
            run_backward(node, outputs, retain_graph)
            leaves.count(inputs, needs)


def run_backward(node: Node, outputs: Sequence[Any], retain_graph: bool = False) -> None:
    """Turn the gradients of an op's outputs into gradients of its inputs; then free what it saved."""
    backward = node.backward
    assert backward is not None
    _check_unchanged(node, outputs)
    for t in outputs:
        if t._hooks is not None and t._grad is not None:
            t._grad, t._owns_grad = t._hooks.changed(t._grad, f"a result of {node.name!r}"), False
            for after in tuple(t._hooks.after.values()):
                after(t)
    gradients: tuple[Array | None, ...] = ()
    if node.outputs == 1:
        if (dy := outputs[0]._grad) is not None:
            gradients = backward(dy, node.needs)
    elif any(t._grad is not None for t in outputs):  # else the op above has no gradient for them
        by_output = {t._output: t._grad for t in outputs}
        gradients = backward(tuple(by_output.get(i) for i in range(node.outputs)), node.needs)
    for tensor, need, gradient in zip(node.inputs, node.needs, gradients, strict=False):  # optional inputs left out
        if need and gradient is not None:
            tensor._accumulate(gradient)
    if not retain_graph:
        node.backward = None
        node.inputs, node.needs = (), []


class _Completion:
    """The hooks of leaves: called when the last op that uses a leaf has run.

    A leaf's gradient hooks see the gradient of this walk alone, so what the leaf held before is kept aside and added
    afterwards, also where the walk ends in an error.
    """

    def __init__(self, uses: dict[int, list[Any]]) -> None:
        self._uses = uses

    def __enter__(self) -> _Completion:
        self._before: dict[int, Array | None] = {}
        for key, (leaf, _) in self._uses.items():
            if leaf._hooks is not None and leaf._hooks.gradient:
                self._before[key] = None if leaf._grad is None else leaf._grad.copy()
                leaf._grad = None
        return self

    def count(self, inputs: Iterable[Any], needs: Iterable[bool]) -> None:
        """Note that an op with these inputs has run."""
        for leaf, need in zip(inputs, needs, strict=True):
            use = self._uses.get(id(leaf)) if need else None
            if use is None:
                continue
            use[1] -= 1
            if use[1] == 0:
                self._complete(leaf)

    def _complete(self, leaf: Recorded) -> None:
        del self._uses[id(leaf)]
        if leaf._hooks is None:
            return
        if id(leaf) in self._before:
            g, earlier = leaf._grad, self._before.pop(id(leaf))
            if g is not None:
                g = leaf._hooks.changed(g, "a leaf tensor")
                leaf._grad = None
                if earlier is None:
                    leaf._accumulate(g)
                else:
                    leaf._accumulate(earlier + g)
            else:
                leaf._grad = earlier
        for hook in tuple(leaf._hooks.after.values()):
            hook(leaf)

    def __exit__(self, *error: object) -> None:
        for key, earlier in self._before.items():  # the walk ended early: what was there before comes back
            leaf = self._uses[key][0]
            leaf._grad = None
            if earlier is not None:
                leaf._accumulate(earlier)


def _hooked_leaves(order: Iterable[tuple[Node, list[Any]]]) -> dict[int, list[Any]]:
    """Leaves with hooks, and how many inputs of ops they are."""
    uses: dict[int, list[Any]] = {}
    for node, _ in order:
        for t in node.inputs:
            if isinstance(t, Recorded) and t._hooks is not None and t._node is None and t.requires_grad:
                uses.setdefault(id(t), [t, 0])[1] += 1
    return uses


def _check_unchanged(node: Node, outputs: Sequence[Recorded]) -> None:
    time = node.time
    for tensor in node.inputs:
        if isinstance(tensor, Recorded) and tensor._changed_at[0] > time:
            _refuse_if_saved(node, tensor)
    for tensor in outputs:
        if tensor._changed_at[0] > time:
            _refuse_if_saved(node, tensor)


def _refuse_if_saved(node: Node, tensor: Recorded) -> None:
    may_share = backend_of(tensor._array).xp.may_share_memory
    if any(type(x) is type(tensor._array) and may_share(x, tensor._array) for x in held(node.backward)):
        raise RuntimeError(
            f"an array of shape {tuple(tensor._array.shape)} that {node.name!r} saved for its backward was changed in "
            "place since: call backward() before the change, or change a copy"
        )


def held(backward: Any) -> Iterator[Array]:
    """The arrays that a backward keeps: it closes over exactly what its derivative needs.

    Looks through functions, partial functions, bound methods, containers and tensors.
    """
    waiting, seen = [backward], set()
    while waiting:
        x = waiting.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, Recorded):
            waiting.append(x._array)
        elif is_array(x):
            yield x
        elif isinstance(x, (tuple, list, set, frozenset)):
            waiting += x
        elif isinstance(x, dict):
            waiting += x.values()
        else:
            waiting += _parts(x)


def _parts(x: Any) -> list[Any]:
    """What a function refers to: its closure, defaults, a partial's arguments, the attributes of a method's object."""
    if not callable(x) or isinstance(x, type):
        return []
    parts = [cell.cell_contents for cell in getattr(x, "__closure__", None) or ()]
    parts += getattr(x, "__defaults__", None) or ()
    parts += (getattr(x, "__kwdefaults__", None) or {}).values()
    parts += [getattr(x, name, None) for name in ("__func__", "__wrapped__", "func", "args", "keywords")]
    if (owner := getattr(x, "__self__", None)) is not None and not isinstance(owner, ModuleType):
        parts += [*getattr(owner, "__dict__", {}).values()]
        parts += [getattr(owner, name, None) for name in getattr(type(owner), "__slots__", ())]
    return parts
