"""Tensor arithmetic: check the arguments, promote their dtypes, place them on a backend, and apply the op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet import ops
from xpnet.tape import Op, Recorded, TensorLike, apply, note_plain, value_of, wrap
from xpnet_backends import Array, Backend, backend_of, get_backend, is_array

if TYPE_CHECKING:
    from xpnet.tensor import Tensor


def as_tuple(numbers: tuple[Any, ...]) -> tuple[int, ...]:
    """``f(2, 3)`` and ``f((2, 3))`` mean the same."""
    return tuple(numbers[0]) if len(numbers) == 1 and isinstance(numbers[0], (tuple, list)) else numbers


def raw_index(index: Any) -> Any:
    """An index with tensors replaced by their arrays."""
    if isinstance(index, tuple):
        return tuple(raw_index(part) for part in index)
    return index.data if isinstance(index, Recorded) else index


def number(x: Any) -> Any:
    """A NumPy scalar as a Python number, because it would change the dtype; anything else unchanged."""
    return x.item() if isinstance(x, np.generic) else x


def from_python(values: Any, single: bool) -> np.ndarray[Any, Any]:
    """Numbers and lists as an array.  Python floats become float32 if ``single``."""
    try:
        array = np.array(values)
    except ValueError as error:
        raise ValueError(f"tensor(): rows of unequal length: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"tensor() takes numbers, got {array.dtype} from {type(values).__name__}")
    holds_numpy = isinstance(values, np.generic)
    return array.astype(np.float32) if single and array.dtype.kind == "f" and not holds_numpy else array


def placed(values: Any, backend: str | Backend | None, dtype: Any) -> Array:
    """An array, or numbers and lists, on the backend on which a new tensor is created."""
    if not is_array(values):
        values = from_python(values, single=dtype is None)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"tensor() takes numbers, got an array of {values.dtype}")
    home = backend_of(values)
    target = get_backend(backend) if backend is not None or home.name == "numpy" else home
    return values if target is home else target.asarray(home.to_numpy(values))


def closed(*values: TensorLike, floating: bool = False) -> list[TensorLike]:
    """Convert integer arrays to the floating dtype of the others, or to float32 beside a float or if ``floating``."""
    dtypes = [x.dtype for x in values if hasattr(x, "dtype")]
    floats = [d for d in dtypes if d.kind == "f"]
    if len(floats) == len(dtypes):
        return list(values)
    if not (floats or floating or any(isinstance(x, float) for x in values)) and np.result_type(*dtypes).kind != "f":
        return list(values)  # uint64 and int64 have no common integer dtype
    dtype = floats[0] if floats else "float32"
    return [x.astype(dtype) if hasattr(x, "dtype") and x.dtype.kind != "f" else x for x in values]


def refuse_booleans(operation: str, *values: TensorLike) -> None:
    """Raises: ``TypeError`` if all values are boolean, because booleans have no difference, as in NumPy and PyTorch."""
    if all(isinstance(x, bool) or getattr(getattr(x, "dtype", None), "kind", "") == "b" for x in values):
        raise TypeError(f"{operation} of booleans: convert them first, e.g. x.astype('int64'), or compare: x != y")


def check_tensors(name: str, tensors: Sequence[TensorLike]) -> None:
    """Raises: ``ValueError`` for an empty list, ``TypeError`` for what is neither a tensor nor an array."""
    if not tensors:
        raise ValueError(f"{name}() needs at least one tensor")
    for x in tensors:
        if not isinstance(x, Recorded) and not is_array(x):
            raise TypeError(f"{name}() takes tensors or arrays, got {type(x).__name__}: use xpnet.tensor(...)")


def limits(low: Any, high: Any) -> tuple[float | None, float | None]:
    """The limits of ``clip``.  Raises: ``TypeError`` for limits that are not numbers."""
    low, high = number(low), number(high)
    for limit in (low, high):
        if not isinstance(limit, (int, float, type(None))):
            raise TypeError(f"clip() takes numbers, got {type(limit).__name__}: use xpnet.maximum and xpnet.minimum")
    return low, high


def start_gradient(tensor: Tensor, gradient: TensorLike) -> Array:
    """The gradient that ``backward(gradient)`` starts from, an array like the tensor's; 1 for a single element."""
    if gradient is None:
        if tensor.size != 1:
            raise ValueError(
                f"backward() of a tensor of shape {tensor.shape} needs gradient=...: "
                "reduce it first, e.g. loss.mean().backward()"
            )
        return tensor.backend.xp.ones(tensor.shape, dtype=tensor.dtype)
    array = gradient.data if isinstance(gradient, Recorded) else gradient
    if not is_array(array):
        array = tensor.backend.asarray(gradient, tensor.dtype)
    backend_of(value_of(tensor), array)
    if array.shape != tensor.shape or array.dtype != tensor.dtype:
        raise ValueError(f"gradient must be {tensor.dtype}{tensor.shape}, got {array.dtype}{array.shape}")
    return array


def check_in_place(tensor: Tensor, result: Tensor) -> None:
    """Check that the result of ``x += y`` fits into x.  Raises: ``TypeError`` (dtype), ``ValueError`` (shape)."""
    if not np.can_cast(result.dtype, tensor.dtype, "same_kind"):
        raise TypeError(
            f"in-place operation: the result is {result.dtype}, the tensor {tensor.dtype}: make a new tensor, "
            f'e.g. x = x + y, or convert this one first, e.g. x = x.astype("{result.dtype}")'
        )
    if result.shape != tensor.shape:
        raise ValueError(
            f"in-place operation: the result has shape {result.shape}, the tensor {tensor.shape}: make a new "
            "tensor, e.g. x = x + y"
        )


def new_values(tensor: Tensor, value: TensorLike) -> Any:
    """What ``tensor[index] = value`` writes.  Raises: ``BackendError`` for an array of another backend."""
    if isinstance(value, Recorded):
        value = value_of(value)
    elif isinstance(value, (list, tuple)):
        value = tensor.backend.asarray(value, tensor.dtype)
    if is_array(value):
        backend_of(value_of(tensor), value)
    return value


def source_of(tensor: Tensor, source: TensorLike) -> Array:
    """What ``tensor.copy_(source)`` writes: on the tensor's backend and of its shape."""
    array = source.data if isinstance(source, Recorded) else source
    if is_array(array) and backend_of(array) is not tensor.backend:
        array = backend_of(array).to_numpy(array)
    if not is_array(array) or backend_of(array) is not tensor.backend:
        array = tensor.backend.asarray(array, tensor.dtype)
    if array.shape != tensor.shape:
        raise ValueError(f"copy_() needs shape {tensor.shape}, got {array.shape}")
    return array


def unary(op: Op, x: Tensor, **options: Any) -> Tensor:
    """Apply an op that is defined for floating-point numbers.  Integers become float32."""
    return apply(op, x if x.dtype.kind == "f" else x.astype("float32"), **options)


def binary(op: Op, a: TensorLike, b: TensorLike, *, floating: bool = False) -> Tensor:
    """Apply a binary op.  An integer tensor takes the floating dtype of the other operand, else float32."""
    if isinstance(a, Recorded) and isinstance(b, Recorded) and (d := a.dtype) is b.dtype and d.kind == "f":
        return apply(op, a, b)
    a, b = number(a), number(b)
    for x in (a, b):
        if not isinstance(x, (Recorded, float, int)) and not is_array(x):
            return NotImplemented  # type: ignore[no-any-return]
    return apply(op, *closed(a, b, floating=floating))


def power(a: TensorLike, b: TensorLike) -> Tensor:
    """``aᵇ``.  Booleans are converted to int64; NumPy would use int8."""
    a, b = number(a), number(b)
    if all(getattr(x, "dtype", np.dtype(bool)).kind == "b" for x in (a, b)):
        a, b = (x.astype("int64") if hasattr(x, "dtype") else x for x in (a, b))
    return binary(ops.power, a, b)


def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """``a @ b``; numbers are refused."""
    for x in (a, b):
        if not isinstance(x, Recorded) and not is_array(x):
            return NotImplemented  # type: ignore[no-any-return]
    return apply(ops.matmul, *closed(a, b))


def compare(x: Tensor, other: object, method: str) -> Tensor:
    """``x < other`` and other comparisons: booleans, which have no gradient."""
    other = other.data if isinstance(other, Recorded) else number(other)
    if not isinstance(other, (float, int)) and not is_array(other):
        return NotImplemented  # type: ignore[no-any-return]
    if is_array(other):
        backend_of(value_of(x), other)
    return noted(method.strip("_"), (x, other), {}, x.backend.xp.asarray(getattr(value_of(x), method)(other)))


def noted(name: str, args: tuple[Any, ...], options: dict[str, Any], y: Array) -> Tensor:
    """A result without a derivative.  It is reported to an observer that has a method ``plain``."""
    result = wrap(y)
    note_plain(name, args, options, result)
    return result
