"""Tensor and the tape: reverse-mode differentiation over ops.

``apply`` runs an op and, where a gradient may be asked for, hangs its ``backward`` on the result.  ``Tensor.backward``
walks from a result back to its origins, newest op first, and adds up gradients on the way.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

import numpy as np

from xpnet import ops
from xpnet_backends import Array, Backend, BackendError, backend_of, get_backend, is_array, select

Op: TypeAlias = Callable[..., Any]
TensorLike: TypeAlias = Any
"""A Tensor, an array of a backend, or where it makes sense a Python number."""

_grad_enabled: ContextVar[bool] = ContextVar("xpnet_grad_enabled", default=True)
_observer: ContextVar[Callable[..., None] | None] = ContextVar("xpnet_observer", default=None)
_clock = itertools.count()
_NUMBERS = frozenset((float, int, bool, type(None)))
_backends = select._by_type  # array type -> backend, as the selector knows them


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


class Node:
    """One op that was run: what its backward needs to be called."""

    __slots__ = ("backward", "inputs", "name", "needs", "outputs", "time")

    def __init__(self, name: str, backward: Op, inputs: tuple[Any, ...], needs: list[bool]) -> None:
        self.name = name
        self.backward: Op | None = backward
        self.inputs = inputs
        self.needs = needs
        self.outputs = 1
        self.time = next(_clock)  # an op is newer than the ops that made its inputs


def apply(op: Op, *args: TensorLike, **options: Any) -> Tensor:
    """Run ``op`` on tensors, arrays and numbers; record it where an argument requires a gradient.

    A kernel of the backend under the op's name goes first; where there is none, or it declines, the op itself runs.
    An op with several outputs gives a tuple of tensors.

    Raises: ``BackendError`` for arrays of two backends, ``TypeError`` for two floating dtypes.
    """
    arrays, needs = [], []
    for a in args:
        if isinstance(a, Tensor):
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


def _describe(arrays: list[Any]) -> str:
    return ", ".join(f"{x.dtype}{tuple(x.shape)}" if hasattr(x, "dtype") else repr(x) for x in arrays)


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
        there = next(n for n in names if n != "numpy")
        raise BackendError(
            f"{op.__name__}: arrays of two backends: {where}. Nothing is moved silently: move one of them first, "
            f'e.g. tensor.to(backend="{names[0]}") or model.to(backend="{names[0]}"); a NumPy array: '
            f'xpnet.tensor(array, backend="{there}")'
        )
    return backend_of(*held)


def _two_dtypes(op: Op, arrays: list[Any]) -> str:
    return (
        f"{op.__name__}: two floating dtypes in one operation: {_describe(arrays)}. "
        'Convert one of them, e.g. tensor.astype("float32") or model.to(dtype="float64")'
    )


def _result(y: Any, backend: Backend, node: Node | None, output: int, args: tuple[Any, ...]) -> Tensor:
    if type(y) is not backend.array_type:
        y = backend.asarray(y)  # NumPy turns 0-d results into scalars
    tensor = _wrap(y)
    if node is not None and y.dtype.kind == "f":
        tensor.requires_grad, tensor._node, tensor._output = True, node, output
    if y.base is not None:  # a view: share the time of change with the tensor whose memory it shows
        for a in args:
            if isinstance(a, Tensor) and (y.base is a.data or y.base is a.data.base):
                tensor._changed_at = a._changed_at
    return tensor


class Tensor:
    """An array that remembers how it was computed.

    ``grad`` is a plain array of the same backend, filled by ``backward()``; None until then.

    >>> x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4.])
    """

    __slots__ = (
        "__weakref__",
        "_array",
        "_changed_at",
        "_grad",
        "_node",
        "_output",
        "_owns_grad",
        "requires_grad",
    )
    __array_ufunc__ = None  # so that ndarray * tensor reaches Tensor.__rmul__

    _array: Array
    _grad: Array | None
    requires_grad: bool
    _node: Node | None

    def __init__(self, data: Array, requires_grad: bool = False) -> None:
        if not is_array(data):
            raise TypeError(f"Tensor() takes an array, got {type(data).__name__}: use xpnet.tensor(...)")
        if requires_grad and data.dtype.kind != "f":
            raise TypeError(f"only floating-point tensors can require gradients, got {data.dtype}")
        self._start(data)
        self.requires_grad = requires_grad

    def _start(self, data: Array) -> None:
        self._array = data
        self.grad = None
        self.requires_grad = False
        self._node = None
        self._output = 0
        self._owns_grad = False
        self._changed_at = [-1]  # one cell for all tensors that show the same memory

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The array itself.  Assigning another one is not recorded."""
        return self._array

    @data.setter
    def data(self, array: Array) -> None:
        self._array = array
        self._changed()

    @property
    def grad(self) -> Array | None:
        """The gradient, a plain array; None until ``backward()``.  An array assigned to it is never changed."""
        return self._grad

    @grad.setter
    def grad(self, array: Array | None) -> None:
        self._grad = array
        self._owns_grad = False

    def _changed(self) -> None:
        """Note that the values were changed in place, for ops that saved them."""
        self._changed_at[0] = next(_clock)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        shape: tuple[int, ...] = self._array.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._array.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self._array.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the elements."""
        dtype: np.dtype[Any] = self._array.dtype
        return dtype

    @property
    def backend(self) -> Backend:
        """Where the array lives."""
        return backend_of(self._array)

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than by a recorded op."""
        return self._node is None

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        values = np.array2string(self.numpy(), separator=", ", prefix="tensor(")
        backend = "" if self.backend.name == "numpy" else f", backend={self.backend.name!r}"
        dtype = "" if self.dtype in (np.float32, np.int64, np.bool_) else f", dtype={self.dtype}"
        grad = f", op={self._node.name}" if self._node else ", requires_grad=True" if self.requires_grad else ""
        return f"tensor({values}{dtype}{backend}{grad})"

    # -- out of the tape -----------------------------------------------------------------------------------------

    def numpy(self) -> np.ndarray[Any, Any]:
        """Its values as a NumPy array: the same memory on NumPy, a copy from a device."""
        return self.backend.to_numpy(self._array)

    def item(self) -> float | int | bool:
        """The value of a tensor with one element, as a Python number."""
        if self.size != 1:
            raise ValueError(f"item() needs exactly one element, got shape {self.shape}")
        value: float | int | bool = self._array.item()
        return value

    def tolist(self) -> Any:
        """Its values as nested lists."""
        return self._array.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(f"the truth of a tensor of shape {self.shape} is ambiguous: use (…).data.all() or .any()")
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else repr(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if not self.backend.on_host:
            raise TypeError(f"a tensor on {self.backend.name} is not moved to the host silently: use tensor.numpy()")
        return np.array(self._array, dtype=dtype, copy=copy)

    def detach(self) -> Tensor:
        """The same memory, without history."""
        tensor = _wrap(self._array)
        tensor._changed_at = self._changed_at
        return tensor

    def clone(self) -> Tensor:
        """A copy with its own memory; the gradient passes through."""
        return self * 1 if self.dtype.kind == "f" else _wrap(self._array.copy())

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise TypeError("only leaf tensors can be deep-copied: call detach() first")
        copy = type(self).__new__(type(self))
        copy._start(self._array.copy())
        copy.requires_grad = self.requires_grad
        copy.grad = None if self.grad is None else self.grad.copy()
        memo[id(self)] = copy
        return copy

    def to(self, backend: str | Backend | None = None, dtype: Any = None) -> Tensor:
        """On another backend or in another dtype.  A move between backends has no history."""
        target = self.backend if backend is None else get_backend(backend)
        if target is self.backend:
            return self if dtype is None else self.astype(dtype)
        if self._node is not None:
            raise ValueError("a computed tensor can not be moved with its history: use .detach().to(...)")
        moved = _wrap(target.asarray(self.numpy(), dtype))
        moved.requires_grad = self.requires_grad and moved.dtype.kind == "f"
        return moved

    def astype(self, dtype: Any) -> Tensor:
        """In another dtype; between floating dtypes the gradient passes."""
        if np.dtype(dtype) == self.dtype:
            return self
        if self.dtype.kind == "f" and np.dtype(dtype).kind == "f":
            return apply(ops.cast, self, dtype=dtype)
        return _noted("cast", (self,), {"dtype": dtype}, self._array.astype(dtype))

    # -- backpropagation -----------------------------------------------------------------------------------------

    def backward(self, gradient: TensorLike = None) -> None:
        """Add ``∂self/∂t`` to ``t.grad`` of every tensor ``t`` that self was computed from.

        ``gradient`` weights the elements of self; it may be left out where self has one element.

        Raises: ``RuntimeError`` where nothing was recorded, where the graph was walked before, or where an array that
        an op had saved was changed in place since.
        """
        if not self.requires_grad:
            raise RuntimeError("backward() on a tensor without history: no input has requires_grad=True")
        if self._node is None:
            self._accumulate(self._start_gradient(gradient))
            return
        self.grad = self._start_gradient(gradient)
        order, members = _collect(self)
        while order:
            node = order.pop()
            _run_backward(node, members.pop(node))

    def _start_gradient(self, gradient: TensorLike) -> Array:
        if gradient is None:
            if self.size != 1:
                raise ValueError(
                    f"backward() of a tensor of shape {self.shape} needs gradient=...: "
                    "reduce it first, e.g. loss.mean().backward()"
                )
            return self.backend.xp.ones(self.shape, dtype=self.dtype)
        array = gradient.data if isinstance(gradient, Tensor) else gradient
        if not is_array(array):
            array = self.backend.asarray(gradient, self.dtype)
        backend_of(self._array, array)
        if array.shape != self.shape or array.dtype != self.dtype:
            raise ValueError(f"gradient must be {self.dtype}{self.shape}, got {array.dtype}{array.shape}")
        return array

    def _accumulate(self, g: Array) -> None:
        """Add to ``grad``.  In place only into arrays made here: ops hand out views and one array several times."""
        held = self._grad
        if held is None:
            self._owns_grad = leaf = self._node is None
            self._grad = g.copy() if leaf else g
        elif self._owns_grad:
            held += g  # in place, but for the scalars that NumPy makes of 0-d arrays
            self._grad = held
        else:
            self._grad = held + g
            self._owns_grad = True

    # -- changing values in place --------------------------------------------------------------------------------

    def _may_change(self) -> None:
        if self.requires_grad and _grad_enabled.get():
            raise RuntimeError(
                "in-place change of a tensor that requires a gradient: do it inside `with xpnet.no_grad():`, or make a "
                "new tensor, e.g. xpnet.where(...)"
            )

    def __iadd__(self, other: TensorLike) -> Any:
        return self._in_place(other, operator.add)

    def __isub__(self, other: TensorLike) -> Any:
        return self._in_place(other, operator.sub)

    def __imul__(self, other: TensorLike) -> Any:
        return self._in_place(other, operator.mul)

    def __itruediv__(self, other: TensorLike) -> Any:
        return self._in_place(other, operator.truediv)

    def _in_place(self, other: TensorLike, operation: Callable[[Any, Any], Any]) -> Any:
        """``x += y``: in place where nothing is recorded; else x becomes the name of a new, recorded tensor."""
        recorded = _grad_enabled.get() and (self.requires_grad or getattr(other, "requires_grad", False))
        if recorded and self._node is None and self.requires_grad:
            self._may_change()  # a leaf: says what to do instead
        if recorded:
            return NotImplemented
        with no_grad():
            self[...] = operation(self, other)
        return self

    def __setitem__(self, index: Any, value: TensorLike) -> None:
        self._may_change()
        if isinstance(value, Tensor):
            value = value._array
        elif isinstance(value, (list, tuple)):
            value = self.backend.asarray(value, self.dtype)
        if is_array(value):
            backend_of(self._array, value)  # two backends are an error
        self._array[_raw_index(index)] = value
        self._changed()

    def copy_(self, source: TensorLike) -> Tensor:
        """Overwrite the values with those of ``source``, of the same shape, from any backend."""
        self._may_change()
        array = source.data if isinstance(source, Tensor) else source
        if is_array(array) and backend_of(array) is not self.backend:
            array = backend_of(array).to_numpy(array)
        if not is_array(array) or backend_of(array) is not self.backend:
            array = self.backend.asarray(array, self.dtype)
        if array.shape != self.shape:
            raise ValueError(f"copy_() needs shape {self.shape}, got {array.shape}")
        self._array[...] = array
        self._changed()
        return self

    # -- arithmetic ----------------------------------------------------------------------------------------------

    def __add__(self, other: TensorLike) -> Tensor:
        return _binary(ops.add, self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return _binary(ops.add, other, self)

    def __sub__(self, other: TensorLike) -> Tensor:
        return _binary(ops.subtract, self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        return _binary(ops.subtract, other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return _binary(ops.multiply, self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return _binary(ops.multiply, other, self)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return _binary(ops.divide, self, other, floating=True)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return _binary(ops.divide, other, self, floating=True)

    def __pow__(self, other: TensorLike) -> Tensor:
        return _binary(ops.power, self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return _binary(ops.power, other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return _matmul(self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return _matmul(other, self)

    def __neg__(self) -> Tensor:
        return apply(ops.negative, self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return apply(ops.absolute, self)

    def __lt__(self, other: TensorLike) -> Tensor:
        return _compare(self, other, "__lt__")

    def __le__(self, other: TensorLike) -> Tensor:
        return _compare(self, other, "__le__")

    def __gt__(self, other: TensorLike) -> Tensor:
        return _compare(self, other, "__gt__")

    def __ge__(self, other: TensorLike) -> Tensor:
        return _compare(self, other, "__ge__")

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return _compare(self, other, "__eq__")

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return _compare(self, other, "__ne__")

    __hash__ = object.__hash__

    def exp(self) -> Tensor:
        """``eˣ``."""
        return _unary(ops.exp, self)

    def log(self) -> Tensor:
        """``ln x``."""
        return _unary(ops.log, self)

    def sqrt(self) -> Tensor:
        """``√x``."""
        return _unary(ops.sqrt, self)

    def sin(self) -> Tensor:
        """``sin x``."""
        return _unary(ops.sin, self)

    def cos(self) -> Tensor:
        """``cos x``."""
        return _unary(ops.cos, self)

    def tanh(self) -> Tensor:
        """``tanh x``."""
        return _unary(ops.tanh, self)

    def sigmoid(self) -> Tensor:
        """``1 / (1 + e⁻ˣ)``."""
        return _unary(ops.sigmoid, self)

    def relu(self) -> Tensor:
        """``max(x, 0)``."""
        return apply(ops.relu, self)

    def abs(self) -> Tensor:
        """``|x|``."""
        return abs(self)

    def clip(self, low: float | None = None, high: float | None = None) -> Tensor:
        """Limited to low..high."""
        return apply(ops.clip, self, low=low, high=high)

    # -- reductions ----------------------------------------------------------------------------------------------

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The sum over ``axis``, or over all."""
        return apply(ops.reduce_sum, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The mean over ``axis``, or over all."""
        return _unary(ops.reduce_mean, self, axis=axis, keepdims=keepdims)

    def var(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, *, correction: int = 1) -> Tensor:
        """The variance, ``Σ (x − mean)² / (n − correction)``."""
        centred = self - self.mean(axis=axis, keepdims=True)
        total = (centred * centred).sum(axis=axis, keepdims=keepdims)
        return total / max(self.size // max(total.size, 1) - correction, 0)

    def max(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The largest element over ``axis``; equal ones share the gradient."""
        return apply(ops.reduce_max, self, axis=axis, keepdims=keepdims)

    def min(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The smallest element over ``axis``; equal ones share the gradient."""
        return apply(ops.reduce_min, self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None) -> Tensor:
        """The position of the largest element; no gradient."""
        y = self.backend.xp.asarray(self._array.argmax(axis=axis))
        return _noted("argmax", (self,), {"axis": axis}, y)

    # -- shape ---------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Tensor:
        return apply(ops.getitem, self, index=_raw_index(index))

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape; one length may be -1."""
        return apply(ops.reshape, self, shape=_as_tuple(shape))

    def flatten(self, start: int = 0) -> Tensor:
        """All axes from ``start`` on as one."""
        lead = self.shape[:start]
        return self.reshape(*lead, int(np.prod(self.shape[start:], dtype=int)))

    def transpose(self, *axes: Any) -> Tensor:
        """Axes in another order; reversed where none is given."""
        return apply(ops.transpose, self, axes=_as_tuple(axes) or tuple(range(self.ndim))[::-1])

    @property
    def T(self) -> Tensor:  # noqa: N802  as in NumPy
        """Axes reversed."""
        return self.transpose()

    def expand(self, *shape: Any) -> Tensor:
        """Repeated along new axes and along axes of length 1, without a copy."""
        return apply(ops.broadcast_to, self, shape=_as_tuple(shape))

    def squeeze(self, axis: int | None = None) -> Tensor:
        """Without axes of length 1."""
        return self.reshape(self._array.squeeze(axis=axis).shape)

    def unsqueeze(self, axis: int) -> Tensor:
        """With a new axis of length 1."""
        return self.reshape(self.backend.xp.expand_dims(self._array, axis).shape)


def _as_tuple(numbers: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(numbers[0]) if len(numbers) == 1 and isinstance(numbers[0], (tuple, list)) else numbers


def _raw_index(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_raw_index(part) for part in index)
    return index.data if isinstance(index, Tensor) else index


def _collect(root: Tensor) -> tuple[list[Node], dict[Node, list[Tensor]]]:
    """All ops behind ``root``, oldest first, and the tensors that each of them made."""
    members: dict[Node, list[Tensor]] = {}
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        tensor = waiting.pop()
        node = tensor._node
        if node is None or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if node.backward is None:
            raise RuntimeError(
                f"backward() through {node.name!r} a second time: what it saved was freed by the first. "
                "Add the losses and call backward() once, or compute the tensor again"
            )
        if tensor is not root:
            tensor._grad = None
        tensor._owns_grad = False
        if node not in members:
            members[node] = []
            waiting += [t for t, need in zip(node.inputs, node.needs, strict=True) if need]
        members[node].append(tensor)
    return sorted(members, key=lambda n: n.time), members


def _run_backward(node: Node, outputs: list[Tensor]) -> None:
    """Turn the gradients of an op's outputs into gradients of its inputs; then free what it saved."""
    assert node.backward is not None
    _check_unchanged(node, outputs)
    by_output = {t._output: t._grad for t in outputs if t._grad is not None}
    if not by_output:  # the op above has no gradient for them
        gradients: tuple[Array | None, ...] = ()
    elif node.outputs == 1:
        gradients = node.backward(by_output[0], node.needs)
    else:
        gradients = node.backward(tuple(by_output.get(i) for i in range(node.outputs)), node.needs)
    for tensor, need, gradient in zip(node.inputs, node.needs, gradients, strict=False):  # optional inputs left out
        if need and gradient is not None:
            tensor._accumulate(gradient)
    node.backward = None
    node.inputs, node.needs = (), []


def _check_unchanged(node: Node, outputs: list[Tensor]) -> None:
    for tensor in (*node.inputs, *outputs):
        if isinstance(tensor, Tensor) and tensor._changed_at[0] > node.time and _saves(node.backward, tensor._array):
            raise RuntimeError(
                f"an array of shape {tensor.shape} that {node.name!r} saved for its backward was changed in place "
                "since: call backward() before the change, or change a copy"
            )


def _saves(function: Any, array: Array) -> bool:
    """Whether a backward holds memory of ``array``: it closes over exactly what its derivative needs."""
    xp = backend_of(array).xp
    waiting, seen = [function], set()
    while waiting:
        x = waiting.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if type(x) is type(array):
            if xp.may_share_memory(x, array):
                return True
        elif isinstance(x, (tuple, list)):
            waiting += x
        elif getattr(x, "__closure__", None):
            waiting += [cell.cell_contents for cell in x.__closure__]
    return False


def _wrap(data: Array) -> Tensor:
    tensor = Tensor.__new__(Tensor)
    tensor._start(data)
    return tensor


def _number(x: Any) -> Any:
    return x.item() if isinstance(x, np.generic) else x  # a NumPy scalar would change the dtype


def _unary(op: Op, x: Tensor, **options: Any) -> Tensor:
    """An op that only makes sense in floating point: whole numbers become float32."""
    return apply(op, x if x.dtype.kind == "f" else x.astype("float32"), **options)


def _binary(op: Op, a: TensorLike, b: TensorLike, *, floating: bool = False) -> Tensor:
    """Two-sided arithmetic.  A whole-number tensor takes the floating dtype of the other side, else float32."""
    if type(a) is type(b) is Tensor and a.dtype is b.dtype and a.dtype.kind == "f":
        return apply(op, a, b)
    a, b = _number(a), _number(b)
    for x in (a, b):
        if not isinstance(x, (Tensor, float, int)) and not is_array(x):
            return NotImplemented  # type: ignore[no-any-return]
    return apply(op, *_closed(a, b, floating=floating))


def _closed(*values: TensorLike, floating: bool = False) -> list[TensorLike]:
    """Whole-number arrays take the floating dtype of the others; float32 beside a Python float, or if ``floating``."""
    dtypes = [x.dtype for x in values if hasattr(x, "dtype")]
    floats = [d for d in dtypes if d.kind == "f"]
    if len(floats) == len(dtypes) or not (floats or floating or any(isinstance(x, float) for x in values)):
        return list(values)
    dtype = floats[0] if floats else "float32"
    return [x.astype(dtype) if hasattr(x, "dtype") and x.dtype.kind != "f" else x for x in values]


def _matmul(a: TensorLike, b: TensorLike) -> Tensor:
    for x in (a, b):
        if not isinstance(x, Tensor) and not is_array(x):
            return NotImplemented  # type: ignore[no-any-return]
    return apply(ops.matmul, *_closed(a, b))


def _compare(x: Tensor, other: object, method: str) -> Tensor:
    other = other.data if isinstance(other, Tensor) else _number(other)
    if not isinstance(other, (float, int)) and not is_array(other):
        return NotImplemented  # type: ignore[no-any-return]
    if is_array(other):
        backend_of(x._array, other)
    return _noted(method.strip("_"), (x, other), {}, x.backend.xp.asarray(getattr(x._array, method)(other)))


def _noted(name: str, args: tuple[Any, ...], options: dict[str, Any], y: Array) -> Tensor:
    """A result without a derivative, shown to an observer that wants to see those too."""
    result = _wrap(y)
    if (plain := getattr(_observer.get(), "plain", None)) is not None:
        plain(name, args, options, result)
    return result


def as_tensor(x: TensorLike) -> Tensor:
    """An argument of a function as a tensor: itself, or on the same memory if it is an array, which stays where it is.

    Only a list goes to the backend in force.  Users get ``placed_tensor`` under this name: there, NumPy arrays move.
    """
    if isinstance(x, Tensor):
        return x
    return _wrap(x) if is_array(x) else tensor(x)


def placed_tensor(x: TensorLike, *, backend: str | Backend | None = None, dtype: Any = None) -> Tensor:
    """``xpnet.as_tensor``: ``x`` as a tensor on the backend in force, without a copy where none is needed.

    Lists and NumPy arrays go to the backend in force; tensors and arrays of a device stay where they are; ``backend``
    overrides both.

    >>> array = np.zeros(3)
    >>> placed_tensor(array).data is array
    True
    """
    found: Tensor = x if isinstance(x, Tensor) else _wrap(_placed(x, backend, dtype))
    return found.to(backend, dtype)


def _placed(values: Any, backend: str | Backend | None, dtype: Any) -> Array:
    """An array, or numbers and lists, on the backend where they belong."""
    if not is_array(values):
        values = _from_python(values, single=dtype is None)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"tensor() takes numbers, got an array of {values.dtype}")
    home = backend_of(values)
    target = get_backend(backend) if backend is not None or home.name == "numpy" else home
    return values if target is home else target.asarray(home.to_numpy(values))


def tensor(
    values: Any, requires_grad: bool = False, *, backend: str | Backend | None = None, dtype: Any = None
) -> Tensor:
    """A new tensor with a copy of ``values``: numbers, nested lists, an array or a tensor.

    Python floats become float32, whole numbers int64; arrays keep their dtype.  Lists and NumPy arrays go to the
    backend in force; tensors and arrays of a device stay where they are; ``backend`` overrides both.

    >>> tensor([1.0, 2.0]).dtype
    dtype('float32')
    """
    if isinstance(values, Tensor):
        backend = values.backend if backend is None else backend
        values = values.data
    values = _placed(values, backend, dtype)
    return Tensor(backend_of(values).xp.array(values, dtype=dtype, copy=True), requires_grad)


def _from_python(values: Any, single: bool) -> np.ndarray[Any, Any]:
    """Numbers and lists as an array; Python floats in float32 where ``single``."""
    try:
        array = np.array(values)
    except ValueError as error:
        raise ValueError(f"tensor(): rows of unequal length: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"tensor() takes numbers, got {array.dtype} from {type(values).__name__}")
    holds_numpy = isinstance(values, np.generic)
    return array.astype(np.float32) if single and array.dtype.kind == "f" and not holds_numpy else array


def where(condition: TensorLike, a: TensorLike, b: TensorLike) -> Tensor:
    """``a`` where the condition holds, else ``b``."""
    a, b = _closed(_number(a), _number(b))
    if not hasattr(a, "dtype") and not hasattr(b, "dtype"):
        a = tensor(a, backend=as_tensor(condition).backend)
    return apply(ops.where, condition, a, b)


def maximum(a: TensorLike, b: TensorLike) -> Tensor:
    """The larger of each pair."""
    return _binary(ops.maximum, a, b)


def minimum(a: TensorLike, b: TensorLike) -> Tensor:
    """The smaller of each pair."""
    return _binary(ops.minimum, a, b)


def concatenate(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors one after the other along an axis that exists."""
    if not tensors:
        raise ValueError("concatenate() needs at least one tensor")
    return apply(ops.concatenate, *_closed(*tensors), axis=axis)


def stack(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis."""
    if not tensors:
        raise ValueError("stack() needs at least one tensor")
    return apply(ops.stack, *_closed(*tensors), axis=axis)
