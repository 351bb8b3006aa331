"""Tensor: an array with a gradient.  Its methods call ops, which the tape records."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from xpnet import ops
from xpnet._operands import (
    as_tuple,
    binary,
    check_in_place,
    check_tensors,
    closed,
    compare,
    limits,
    matmul,
    new_values,
    noted,
    number,
    placed,
    power,
    raw_index,
    refuse_booleans,
    source_of,
    start_gradient,
    unary,
)
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
    keep_for_hooks,
    mark_changed,
    no_grad,
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
    """An array that records how it was computed.

    ``backward()`` writes the gradient to ``grad``, a plain array of the same backend; it is None before.

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

    # -- properties ----------------------------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The array.  Assigning another array is not recorded."""
        if OPEN[0]:
            settle()  # the caller may write into the array
        return self._array

    @data.setter
    def data(self, array: Array) -> None:
        settle()
        self._array, self._work = array, None
        self._changed()

    @property
    def grad(self) -> Array | None:
        """The gradient, a plain array; None before ``backward()``.  An array assigned to it is not changed in place."""
        return self._grad

    @grad.setter
    def grad(self, array: Array | None) -> None:
        self._grad = np.asarray(array) if isinstance(array, np.generic) else array
        self._owns_grad = False

    def _changed(self) -> None:
        """Record that the values were changed in place, so that ops that saved them can raise an error."""
        mark_changed((self,))

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        return self._array.shape if self._work is None else self._work.deferred.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self._array.shape if self._work is None else self._work.deferred.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self._array.size) if self._work is None else math.prod(self._work.deferred.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the elements."""
        return self._array.dtype if self._work is None else self._work.deferred.dtype

    @property
    def backend(self) -> Backend:
        """The backend of the array."""
        return backend_of(self._array)

    @property
    def is_leaf(self) -> bool:
        """Whether it was created by the user and not by a recorded op."""
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

    # -- conversion and copies -----------------------------------------------------------------------------------------

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as a NumPy array: the same memory on the NumPy backend, a copy from a GPU.

        >>> tensor([1.0, 2.0]).numpy()
        array([1., 2.], dtype=float32)
        """
        return self.backend.to_numpy(self._array)

    def item(self) -> float | int | bool:
        """The value of a tensor with one element, as a Python number.

        >>> tensor([[2.5]]).item()
        2.5
        """
        if self.size != 1:
            raise ValueError(f"item() needs exactly one element, got shape {self.shape}")
        value: float | int | bool = self._array.item()
        return value

    def tolist(self) -> Any:
        """The values as nested lists."""
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
        """A tensor on the same memory, without history.

        >>> x = tensor([1.0], requires_grad=True)
        >>> (2 * x).detach().requires_grad
        False
        """
        tensor = wrap(self._array)
        tensor._changed_at = self._changed_at
        return tensor

    def clone(self) -> Tensor:
        """A copy with its own memory.  Gradients flow through it."""
        return self * 1 if self.dtype.kind == "f" else wrap(self._array.copy())

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise TypeError("only leaf tensors can be deep-copied: call detach() first")
        copy = type(self).__new__(type(self))
        copy._start(self._array.copy())
        copy.requires_grad = self.requires_grad
        copy.grad = None if self.grad is None else self.grad.copy()
        memo[id(self)] = copy
        for name, value in getattr(self, "__dict__", {}).items():  # a subclass may have more attributes
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
        """Move to another backend or dtype.  A move between backends is not recorded.

        >>> tensor([1.0]).to(dtype="float64").dtype
        dtype('float64')
        """
        target = self.backend if backend is None else get_backend(backend)
        if target is self.backend:
            return self if dtype is None else self.astype(dtype)
        if self._node is not None:
            raise ValueError("a computed tensor cannot be moved with its history: use .detach().to(...)")
        moved = wrap(target.asarray(self.numpy(), dtype))
        moved.requires_grad = self.requires_grad and moved.dtype.kind == "f"
        return moved

    def astype(self, dtype: Any) -> Tensor:
        """Convert to another dtype.  Between floating dtypes the gradient flows through.

        >>> tensor([1, 2]).astype("float32")
        tensor([1., 2.])
        """
        if np.dtype(dtype) == self.dtype:
            return self
        if self.dtype.kind == "f" and np.dtype(dtype).kind == "f":
            return apply(ops.cast, self, dtype=dtype)
        return noted("cast", (self,), {"dtype": dtype}, self._array.astype(dtype))

    # -- backpropagation -----------------------------------------------------------------------------------------

    def backward(self, gradient: TensorLike = None, retain_graph: bool = False) -> None:
        """Add ``∂self/∂t`` to ``t.grad`` of every tensor ``t`` that self was computed from.

        ``gradient`` weights the elements of self; it is optional if self has one element.  ``retain_graph`` keeps the
        arrays that ops saved, so that ``backward()`` can be called again.

        Raises: ``RuntimeError`` if nothing was recorded, if ``backward()`` has already run through the graph, or if an
        array that an op saved was changed in place.

        >>> x = tensor([1.0, 3.0], requires_grad=True)
        >>> (x * x).backward(gradient=tensor([1.0, 10.0]))
        >>> x.grad
        array([ 2., 60.], dtype=float32)
        """
        if not self.requires_grad:
            raise RuntimeError("backward() on a tensor without history: no input has requires_grad=True")
        backpropagate(self, start_gradient(self, gradient), retain_graph)

    def register_hook(self, hook: GradientHook) -> Handle:
        """Call ``hook(gradient)`` when the gradient of this tensor is complete.  ``handle.remove()`` removes the hook.

        The hook must not change the array, but it may return another array, which replaces the gradient.  The hooks of
        a leaf see the gradient of this backward pass, before it is added to ``grad``.

        >>> x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
        >>> handle = x.register_hook(lambda g: 10 * g)
        >>> x.sum().backward()
        >>> x.grad
        array([10., 10.])
        """
        if not self.requires_grad:
            raise RuntimeError("register_hook() on a tensor that has no gradient: it needs requires_grad=True")
        settle()  # a hook is a reader
        keep_for_hooks(self)
        return Handle(hooks_of(self).gradient, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Any], None]) -> Handle:
        """Call ``hook(tensor)`` on a leaf as soon as a backward pass has added its complete gradient to ``grad``."""
        if not self.requires_grad or self._node is not None:
            raise RuntimeError("register_post_accumulate_grad_hook() is for leaf tensors with requires_grad=True")
        return Handle(hooks_of(self).after, hook)

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
        """``x += y``: in place if nothing is recorded; else the name x is bound to a new, recorded tensor.

        Raises: ``TypeError`` if the dtype of x cannot hold the result, as in NumPy; ``ValueError`` if the shapes
        differ.
        """
        recorded = is_grad_enabled() and (self.requires_grad or getattr(other, "requires_grad", False))
        if recorded and self._node is None and self.requires_grad:
            self._may_change()  # raises for a leaf, and names the fix
        if recorded:
            return NotImplemented
        with no_grad():
            result = operation(self, other)
            check_in_place(self, result)
            self[...] = result
        return self

    def __setitem__(self, index: Any, value: TensorLike) -> None:
        """Overwrite elements.  The values are cast to the tensor's dtype, as in NumPy and PyTorch."""
        self._may_change()
        self._array[raw_index(index)] = new_values(self, value)
        self._changed()

    def copy_(self, source: TensorLike) -> Tensor:
        """Overwrite the values with those of ``source``, which has the same shape, and any backend and dtype."""
        self._may_change()
        self._array[...] = source_of(self, source)
        self._changed()
        return self

    # -- arithmetic ----------------------------------------------------------------------------------------------

    def __add__(self, other: TensorLike) -> Tensor:
        return binary(ops.add, self, other)

    def __radd__(self, other: TensorLike) -> Tensor:
        return binary(ops.add, other, self)

    def __sub__(self, other: TensorLike) -> Tensor:
        refuse_booleans("x - y", self, other)
        return binary(ops.subtract, self, other)

    def __rsub__(self, other: TensorLike) -> Tensor:
        refuse_booleans("x - y", other, self)
        return binary(ops.subtract, other, self)

    def __mul__(self, other: TensorLike) -> Tensor:
        return binary(ops.multiply, self, other)

    def __rmul__(self, other: TensorLike) -> Tensor:
        return binary(ops.multiply, other, self)

    def __truediv__(self, other: TensorLike) -> Tensor:
        return binary(ops.divide, self, other, floating=True)

    def __rtruediv__(self, other: TensorLike) -> Tensor:
        return binary(ops.divide, other, self, floating=True)

    def __pow__(self, other: TensorLike) -> Tensor:
        return power(self, other)

    def __rpow__(self, other: TensorLike) -> Tensor:
        return power(other, self)

    def __matmul__(self, other: TensorLike) -> Tensor:
        return matmul(self, other)

    def __rmatmul__(self, other: TensorLike) -> Tensor:
        return matmul(other, self)

    def __neg__(self) -> Tensor:
        refuse_booleans("-x", self)
        return apply(ops.negative, self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return apply(ops.absolute, self)

    def __lt__(self, other: TensorLike) -> Tensor:
        return compare(self, other, "__lt__")

    def __le__(self, other: TensorLike) -> Tensor:
        return compare(self, other, "__le__")

    def __gt__(self, other: TensorLike) -> Tensor:
        return compare(self, other, "__gt__")

    def __ge__(self, other: TensorLike) -> Tensor:
        return compare(self, other, "__ge__")

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]
        return compare(self, other, "__eq__")

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]
        return compare(self, other, "__ne__")

    __hash__ = object.__hash__

    def exp(self) -> Tensor:
        """``eˣ``."""
        return unary(ops.exp, self)

    def log(self) -> Tensor:
        """``ln x``."""
        return unary(ops.log, self)

    def sqrt(self) -> Tensor:
        """``√x``."""
        return unary(ops.sqrt, self)

    def sin(self) -> Tensor:
        """``sin x``."""
        return unary(ops.sin, self)

    def cos(self) -> Tensor:
        """``cos x``."""
        return unary(ops.cos, self)

    def tanh(self) -> Tensor:
        """``tanh x``."""
        return unary(ops.tanh, self)

    def sigmoid(self) -> Tensor:
        """``1 / (1 + e⁻ˣ)``."""
        return unary(ops.sigmoid, self)

    def relu(self) -> Tensor:
        """``max(x, 0)``."""
        return apply(ops.relu, self)

    def abs(self) -> Tensor:
        """``|x|``."""
        return abs(self)

    def clip(self, low: float | None = None, high: float | None = None) -> Tensor:
        """Limit the values to low..high.  Integers with a floating-point limit become float32.

        Raises: ``TypeError`` for limits that are not numbers.

        >>> tensor([-2.0, 0.5, 3.0]).clip(-1, 1)
        tensor([-1. ,  0.5,  1. ])
        """
        low, high = limits(low, high)
        (x, *_) = closed(self, low, high)
        return apply(ops.clip, x, low=low, high=high)

    # -- reductions ----------------------------------------------------------------------------------------------

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The sum over ``axis``, or over all axes.

        >>> tensor([[1.0, 2.0], [3.0, 4.0]]).sum(axis=0)
        tensor([4., 6.])
        """
        return apply(ops.reduce_sum, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The mean over ``axis``, or over all axes.

        >>> tensor([[1.0, 2.0], [3.0, 4.0]]).mean(axis=1, keepdims=True).shape
        (2, 1)
        """
        return unary(ops.reduce_mean, self, axis=axis, keepdims=keepdims)

    def var(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False, *, correction: int = 1) -> Tensor:
        """The variance, ``Σ (x − mean)² / (n − correction)``."""
        if self.dtype == "float16":  # squares overflow easily
            return self.astype("float32").var(axis=axis, keepdims=keepdims, correction=correction).astype("float16")
        centred = self - self.mean(axis=axis, keepdims=True)
        centred = centred - centred.mean(axis=axis, keepdims=True)  # the rounding of the mean
        total = (centred * centred).sum(axis=axis, keepdims=keepdims)
        return total / max(self.size // max(total.size, 1) - correction, 0)

    def max(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The largest element over ``axis``.  Equal maxima share the gradient."""
        return apply(ops.reduce_max, self, axis=axis, keepdims=keepdims)

    def min(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
        """The smallest element over ``axis``.  Equal minima share the gradient."""
        return apply(ops.reduce_min, self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None) -> Tensor:
        """The index of the largest element.  It has no gradient.

        >>> tensor([[1.0, 5.0], [7.0, 2.0]]).argmax(axis=1)
        tensor([1, 0])
        """
        y = self.backend.xp.asarray(self._array.argmax(axis=axis))
        return noted("argmax", (self,), {"axis": axis}, y)

    # -- shape ---------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Tensor:
        return apply(ops.getitem, self, index=raw_index(index))

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements in another shape.  One length may be -1.

        >>> tensor([1.0, 2.0, 3.0, 4.0]).reshape(2, -1).shape
        (2, 2)
        """
        return apply(ops.reshape, self, shape=as_tuple(shape))

    def flatten(self, start: int = 0) -> Tensor:
        """Merge all axes from ``start`` on into one."""
        lead = self.shape[:start]
        return self.reshape(*lead, int(np.prod(self.shape[start:], dtype=int)))

    def transpose(self, *axes: Any) -> Tensor:
        """Permute the axes; without arguments, reverse them.

        >>> tensor([[[1.0, 2.0]]]).transpose(2, 0, 1).shape
        (2, 1, 1)
        """
        return apply(ops.transpose, self, axes=as_tuple(axes) or tuple(range(self.ndim))[::-1])

    @property
    def T(self) -> Tensor:  # noqa: N802  as in NumPy
        """The axes in reverse order."""
        return self.transpose()

    def expand(self, *shape: Any) -> Tensor:
        """Broadcast to a shape: repeat along new axes and axes of length 1, without a copy."""
        return apply(ops.broadcast_to, self, shape=as_tuple(shape))

    def squeeze(self, axis: int | None = None) -> Tensor:
        """Remove axes of length 1."""
        return self.reshape(self._array.squeeze(axis=axis).shape)

    def unsqueeze(self, axis: int) -> Tensor:
        """Insert an axis of length 1."""
        return self.reshape(self.backend.xp.expand_dims(self._array, axis).shape)


def as_tensor(x: TensorLike) -> Tensor:
    """A function argument as a tensor.  A tensor is returned as it is; an array is wrapped without copying or moving.

    A list goes to the current backend.  The public ``xpnet.as_tensor`` is ``placed_tensor``, which moves NumPy arrays.
    """
    if isinstance(x, Tensor):
        return x
    return wrap(x) if is_array(x) else tensor(x)


def placed_tensor(x: TensorLike, *, backend: str | Backend | None = None, dtype: Any = None) -> Tensor:
    """``xpnet.as_tensor``: convert ``x`` to a tensor, without a copy if possible.

    Lists and NumPy arrays go to the current backend.  Tensors and GPU arrays stay where they are.
    ``backend`` overrides both.

    >>> array = np.zeros(3)
    >>> placed_tensor(array).data is array
    True
    """
    found: Tensor = x if isinstance(x, Tensor) else wrap(placed(x, backend, dtype))
    return found.to(backend, dtype)


def tensor(
    values: Any, requires_grad: bool = False, *, backend: str | Backend | None = None, dtype: Any = None
) -> Tensor:
    """A new tensor with a copy of ``values``.

    Parameters
    ----------
    values : numbers, nested lists, an array or a tensor.
    requires_grad : whether ``backward()`` computes a gradient for it.
    backend : where it is created.  By default lists and NumPy arrays go to the current backend, and tensors and GPU
        arrays stay where they are.
    dtype : by default float32 for Python floats and int64 for integers; arrays keep their dtype.

    >>> tensor([1.0, 2.0]).dtype
    dtype('float32')
    """
    if isinstance(values, Tensor):
        backend = values.backend if backend is None else backend
        values = values.data
    values = placed(values, backend, dtype)
    return Tensor(backend_of(values).xp.array(values, dtype=dtype, copy=True), requires_grad)


def where(condition: TensorLike, a: TensorLike, b: TensorLike) -> Tensor:
    """``a`` where the condition is true, else ``b``.

    >>> x = tensor([-1.0, 2.0])
    >>> where(x > 0, x, 0.0)
    tensor([0., 2.])
    """
    if isinstance(condition, (bool, list)):
        condition = tensor(condition)
    a, b = closed(number(a), number(b))
    if not hasattr(a, "dtype") and not hasattr(b, "dtype"):
        kind = "float32" if isinstance(a, float) or isinstance(b, float) else None
        a = wrap(as_tensor(condition).backend.xp.full((), a, dtype=kind))  # made there, not transferred
    return apply(ops.where, condition, a, b)


def maximum(a: TensorLike, b: TensorLike) -> Tensor:
    """The elementwise maximum.

    >>> maximum(tensor([1.0, 5.0]), 3.0)
    tensor([3., 5.])
    """
    return binary(ops.maximum, a, b)


def minimum(a: TensorLike, b: TensorLike) -> Tensor:
    """The elementwise minimum.

    >>> minimum(tensor([1.0, 5.0]), 3.0)
    tensor([1., 3.])
    """
    return binary(ops.minimum, a, b)


def concatenate(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Join tensors along an existing axis.

    >>> concatenate([tensor([1.0]), tensor([2.0, 3.0])])
    tensor([1., 2., 3.])
    """
    check_tensors("concatenate", tensors)
    return apply(ops.concatenate, *closed(*tensors), axis=axis)


def stack(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Join tensors of equal shape along a new axis.

    >>> stack([tensor([1.0, 2.0]), tensor([3.0, 4.0])], axis=1).shape
    (2, 2)
    """
    check_tensors("stack", tensors)
    return apply(ops.stack, *closed(*tensors), axis=axis)
