"""Tensor: an array with a gradient.  Methods are one line each over ops; the tape records them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from xpnet import ops
from xpnet.tape import (
    GradientHook,
    Handle,
    Node,
    Op,
    Recorded,
    TensorLike,
    apply,
    backpropagate,
    hooks_of,
    is_grad_enabled,
    mark_changed,
    no_grad,
    note_plain,
    observe,
    results_of_apply,
    settle,
    wrap,
)
from xpnet.tape.fusion import OPEN
from xpnet_backends import Array, Backend, backend_of, get_backend, is_array

__all__ = [
    "Node", "Op", "Tensor", "TensorLike", "apply", "as_tensor", "concatenate", "is_grad_enabled", "maximum", "minimum",
    "no_grad", "observe", "stack", "tensor", "where",
]  # fmt: skip


@results_of_apply
class Tensor(Recorded):
    """An array that remembers how it was computed.

    ``grad`` is a plain array of the same backend, filled by ``backward()``; None until then.

    >>> x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    array([2., 4.])
    """

    __slots__ = ()
    __array_ufunc__ = None  # so that ndarray * tensor reaches Tensor.__rmul__

    def __init__(self, data: Array, requires_grad: bool = False) -> None:
        if not is_array(data):
            raise TypeError(f"Tensor() takes an array, got {type(data).__name__}: use xpnet.tensor(...)")
        if requires_grad and data.dtype.kind != "f":
            raise TypeError(f"only floating-point tensors can require gradients, got {data.dtype}")
        self._start(data)
        self.requires_grad = requires_grad

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The array itself.  Assigning another one is not recorded."""
        if OPEN[0]:
            settle()  # whoever has an array may write into it
        return self._array

    @data.setter
    def data(self, array: Array) -> None:
        settle()
        self._array, self._work = array, None
        self._changed()

    @property
    def grad(self) -> Array | None:
        """The gradient, a plain array; None until ``backward()``.  An array assigned to it is never changed."""
        return self._grad

    @grad.setter
    def grad(self, array: Array | None) -> None:
        self._grad = np.asarray(array) if isinstance(array, np.generic) else array
        self._owns_grad = False

    def _changed(self) -> None:
        """Note that the values were changed in place, for ops that saved them."""
        mark_changed((self,))

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        shape: tuple[int, ...] = self._array.shape if self._work is None else self._work.deferred.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the elements."""
        dtype: np.dtype[Any] = self._array.dtype if self._work is None else self._work.deferred.dtype
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
        tensor = wrap(self._array)
        tensor._changed_at = self._changed_at
        return tensor

    def clone(self) -> Tensor:
        """A copy with its own memory; the gradient passes through."""
        return self * 1 if self.dtype.kind == "f" else wrap(self._array.copy())

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise TypeError("only leaf tensors can be deep-copied: call detach() first")
        copy = type(self).__new__(type(self))
        copy._start(self._array.copy())
        copy.requires_grad = self.requires_grad
        copy.grad = None if self.grad is None else self.grad.copy()
        memo[id(self)] = copy
        for name, value in getattr(self, "__dict__", {}).items():  # a subclass may have more
            copy.__dict__[name] = deepcopy(value, memo)
        return copy

    def __copy__(self) -> Tensor:
        copy = type(self).__new__(type(self))
        for kind in type(self).__mro__:
            for name in getattr(kind, "__slots__", ()):
                if name != "__weakref__":
                    object.__setattr__(copy, name, getattr(self, name))
        getattr(copy, "__dict__", {}).update(getattr(self, "__dict__", {}))
        return copy

    def __getstate__(self) -> dict[str, Any]:
        if self._node is not None:
            raise TypeError("only leaf tensors can be pickled: call detach() first")
        more = getattr(self, "__dict__", {})
        return {"array": self._array, "requires_grad": self.requires_grad, "grad": self.grad, "more": more}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._start(state["array"])
        self.requires_grad, self.grad = state["requires_grad"], state["grad"]
        getattr(self, "__dict__", {}).update(state["more"])

    def to(self, backend: str | Backend | None = None, dtype: Any = None) -> Tensor:
        """On another backend or in another dtype.  A move between backends has no history."""
        target = self.backend if backend is None else get_backend(backend)
        if target is self.backend:
            return self if dtype is None else self.astype(dtype)
        if self._node is not None:
            raise ValueError("a computed tensor can not be moved with its history: use .detach().to(...)")
        moved = wrap(target.asarray(self.numpy(), dtype))
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

    def backward(self, gradient: TensorLike = None, retain_graph: bool = False) -> None:
        """Add ``∂self/∂t`` to ``t.grad`` of every tensor ``t`` that self was computed from.

        ``gradient`` weights the elements of self; it may be left out where self has one element.  ``retain_graph``
        keeps what the ops saved, so that ``backward()`` can be called again.

        Raises: ``RuntimeError`` where nothing was recorded, where the graph was walked before, or where an array that
        an op had saved was changed in place since.
        """
        if not self.requires_grad:
            raise RuntimeError("backward() on a tensor without history: no input has requires_grad=True")
        backpropagate(self, self._start_gradient(gradient), retain_graph)

    def register_hook(self, hook: GradientHook) -> Handle:
        """Call ``hook(gradient)`` when the gradient of this tensor is complete; ``handle.remove()`` ends it.

        The gradient is an array that the hook must not change; it may return another one, which goes on in its place.
        A leaf's hooks see the gradient of this walk, before it is added to ``grad``.

        >>> x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
        >>> handle = x.register_hook(lambda g: 10 * g)
        >>> x.sum().backward()
        >>> x.grad
        array([10., 10.])
        """
        if not self.requires_grad:
            raise RuntimeError("register_hook() on a tensor that has no gradient: it needs requires_grad=True")
        settle()  # a hook is a reader
        return Handle(hooks_of(self).gradient, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Any], None]) -> Handle:
        """Call ``hook(tensor)`` of a leaf as soon as a walk has added all of its gradient to ``grad``."""
        if not self.requires_grad or self._node is not None:
            raise RuntimeError("register_post_accumulate_grad_hook() is for leaf tensors with requires_grad=True")
        return Handle(hooks_of(self).after, hook)

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

    # -- changing values in place --------------------------------------------------------------------------------

    def _may_change(self) -> None:
        settle()
        if self.requires_grad and is_grad_enabled():
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

    def __ipow__(self, other: TensorLike) -> Any:
        return self._in_place(other, operator.pow)

    def _in_place(self, other: TensorLike, operation: Callable[[Any, Any], Any]) -> Any:
        """``x += y``: in place where nothing is recorded; else x becomes the name of a new, recorded tensor.

        Raises: ``TypeError`` for a result that the dtype of x cannot hold, as in NumPy; ``ValueError`` for one of
        another shape.
        """
        recorded = is_grad_enabled() and (self.requires_grad or getattr(other, "requires_grad", False))
        if recorded and self._node is None and self.requires_grad:
            self._may_change()  # a leaf: says what to do instead
        if recorded:
            return NotImplemented
        with no_grad():
            result = operation(self, other)
            if not np.can_cast(result.dtype, self.dtype, "same_kind"):
                raise TypeError(
                    f"in-place operation: the result is {result.dtype}, the tensor {self.dtype}: make a new tensor, "
                    f'e.g. x = x + y, or convert this one first, e.g. x = x.astype("{result.dtype}")'
                )
            if result.shape != self.shape:
                raise ValueError(
                    f"in-place operation: the result has shape {result.shape}, the tensor {self.shape}: make a new "
                    "tensor, e.g. x = x + y"
                )
            self[...] = result
        return self

    def __setitem__(self, index: Any, value: TensorLike) -> None:
        """Overwrite elements; the values are cast to the tensor's dtype, as in NumPy and PyTorch."""
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
        """Overwrite the values with those of ``source``, of the same shape, from any backend, cast to this dtype."""
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
        _refuse_booleans("x - y", self, other)
        return _binary(ops.subtract, self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        _refuse_booleans("x - y", other, self)
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
        return _power(self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return _power(other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return _matmul(self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return _matmul(other, self)

    def __neg__(self) -> Tensor:
        _refuse_booleans("-x", self)
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
        """Limited to low..high; of whole numbers with a floating limit in float32.

        Raises: ``TypeError`` for limits that are no numbers.
        """
        low, high = _number(low), _number(high)
        for limit in (low, high):
            if not isinstance(limit, (int, float, type(None))):
                raise TypeError(
                    f"clip() takes numbers, got {type(limit).__name__}: use xpnet.maximum and xpnet.minimum"
                )
        (x, *_) = _closed(self, low, high)
        return apply(ops.clip, x, low=low, high=high)

    # -- reductions ----------------------------------------------------------------------------------------------

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The sum over ``axis``, or over all."""
        return apply(ops.reduce_sum, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The mean over ``axis``, or over all."""
        return _unary(ops.reduce_mean, self, axis=axis, keepdims=keepdims)

    def var(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, *, correction: int = 1) -> Tensor:
        """The variance, ``Σ (x − mean)² / (n − correction)``."""
        if self.dtype == "float16":  # squares soon leave its range
            return self.astype("float32").var(axis=axis, keepdims=keepdims, correction=correction).astype("float16")
        centred = self - self.mean(axis=axis, keepdims=True)
        centred = centred - centred.mean(axis=axis, keepdims=True)  # the rounding of the mean
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


def _power(a: TensorLike, b: TensorLike) -> Tensor:
    """``aᵇ``; of truth values and whole numbers in int64, where NumPy has int8."""
    a, b = _number(a), _number(b)
    if all(getattr(x, "dtype", np.dtype(bool)).kind == "b" for x in (a, b)):
        a, b = (x.astype("int64") if hasattr(x, "dtype") else x for x in (a, b))
    return _binary(ops.power, a, b)


def _closed(*values: TensorLike, floating: bool = False) -> list[TensorLike]:
    """Whole-number arrays take the floating dtype of the others; float32 beside a Python float, or if ``floating``."""
    dtypes = [x.dtype for x in values if hasattr(x, "dtype")]
    floats = [d for d in dtypes if d.kind == "f"]
    if len(floats) == len(dtypes):
        return list(values)
    if not (floats or floating or any(isinstance(x, float) for x in values)) and np.result_type(*dtypes).kind != "f":
        return list(values)  # uint64 and int64 have no common whole-number dtype
    dtype = floats[0] if floats else "float32"
    return [x.astype(dtype) if hasattr(x, "dtype") and x.dtype.kind != "f" else x for x in values]


def _refuse_booleans(operation: str, *values: TensorLike) -> None:
    """Raises: ``TypeError`` where all values are truth values, which have no difference, as in NumPy and PyTorch."""
    if all(isinstance(x, bool) or getattr(getattr(x, "dtype", None), "kind", "") == "b" for x in values):
        raise TypeError(f"{operation} of booleans: convert them first, e.g. x.astype('int64'), or compare: x != y")


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
    result = wrap(y)
    note_plain(name, args, options, result)
    return result


def as_tensor(x: TensorLike) -> Tensor:
    """An argument of a function as a tensor: itself, or on the same memory if it is an array, which stays where it is.

    Only a list goes to the backend in force.  Users get ``placed_tensor`` under this name: there, NumPy arrays move.
    """
    if isinstance(x, Tensor):
        return x
    return wrap(x) if is_array(x) else tensor(x)


def placed_tensor(x: TensorLike, *, backend: str | Backend | None = None, dtype: Any = None) -> Tensor:
    """``xpnet.as_tensor``: ``x`` as a tensor on the backend in force, without a copy where none is needed.

    Lists and NumPy arrays go to the backend in force; tensors and arrays of a device stay where they are; ``backend``
    overrides both.

    >>> array = np.zeros(3)
    >>> placed_tensor(array).data is array
    True
    """
    found: Tensor = x if isinstance(x, Tensor) else wrap(_placed(x, backend, dtype))
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
    if isinstance(condition, (bool, list)):
        condition = tensor(condition)
    a, b = _closed(_number(a), _number(b))
    if not hasattr(a, "dtype") and not hasattr(b, "dtype"):
        kind = "float32" if isinstance(a, float) or isinstance(b, float) else None
        a = wrap(as_tensor(condition).backend.xp.full((), a, dtype=kind))  # made there, not transferred
    return apply(ops.where, condition, a, b)


def maximum(a: TensorLike, b: TensorLike) -> Tensor:
    """The larger of each pair."""
    return _binary(ops.maximum, a, b)


def minimum(a: TensorLike, b: TensorLike) -> Tensor:
    """The smaller of each pair."""
    return _binary(ops.minimum, a, b)


def _check_tensors(name: str, tensors: Sequence[TensorLike]) -> None:
    if not tensors:
        raise ValueError(f"{name}() needs at least one tensor")
    for x in tensors:
        if not isinstance(x, Tensor) and not is_array(x):
            raise TypeError(f"{name}() takes tensors or arrays, got {type(x).__name__}: use xpnet.tensor(...)")


def concatenate(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors one after the other along an axis that exists."""
    _check_tensors("concatenate", tensors)
    return apply(ops.concatenate, *_closed(*tensors), axis=axis)


def stack(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new axis."""
    _check_tensors("stack", tensors)
    return apply(ops.stack, *_closed(*tensors), axis=axis)
