"""Run ops and record them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xpnet_backends import Backend, BackendError, backend_of, is_array, loaded
from xpnet_backends.blocks import innermost
from xpnet_backends.deferred import Deferred

from .fusion import OPEN, Composition, begun, defer, joined, may_defer, region
from .recorded import Node, Op, Recorded, TensorLike, wrap
from .switches import grad_blocks, is_grad_enabled, observers

if TYPE_CHECKING:
    from xpnet.tensor import Tensor

_NUMBERS = frozenset((float, int, bool, type(None)))
_backends = loaded.by_type


def apply(op: Op, *args: TensorLike, **options: Any) -> Tensor:
    """Run ``op`` on tensors, arrays and numbers, and record it if an argument requires a gradient.

    If the backend has a kernel of the op's name, the kernel runs first.  If there is none, or it declines, the op
    itself runs.  An op with several outputs returns a tuple of tensors.

    Raises: ``BackendError`` for arrays of two backends; ``TypeError`` for two floating dtypes.

    >>> from xpnet import apply, ops, tensor
    >>> apply(ops.softmax, tensor([[0.0, 0.0]]), axis=1)
    tensor([[0.5, 0.5]])
    """
    if OPEN[0] and region.waiting and (joint := joined(op, args, options)) is not None:
        return joint  # type: ignore[return-value]
    arrays, needs = [], []
    for a in args:
        if isinstance(a, Recorded):
            arrays.append(a._array)
            needs.append(a.requires_grad)
        else:
            arrays.append(a)
            needs.append(False)
    backend, dtype = _common_backend(op, arrays)
    for key, value in options.items():
        if isinstance(value, np.generic):  # a NumPy scalar would change the dtype
            options[key] = value.item()
    kernel = backend.kernels.get(op.__name__)
    if OPEN[0] and (deferring := backend.kernels.get(f"{op.__name__}+")) is not None and may_defer():
        kernel = deferring
    result = kernel(backend.xp, *arrays, **options) if kernel is not None else None
    y, backward = op(backend.xp, *arrays, **options) if result is None else result
    first = y[0] if type(y) is tuple else y  # only the first result may be deferred
    if dtype is not None and first.dtype is not dtype:
        _check_result(op, first, dtype, arrays)
    recorded = True in needs and (not grad_blocks.get() or is_grad_enabled())
    node = Node(op.__name__, backward, args, needs) if recorded else None
    found: Any
    if first is y and type(y) is not Deferred:
        found = _result(y, backend, node, 0, args)
    else:
        composition = begun(op, args, options, backend, node) if type(first) is Deferred else None
        parts = y if type(y) is tuple else (y,)
        if node is not None:
            node.outputs = len(parts)
        found = tuple(
            _result(part, backend, node, i, args) if composition is None or i else _waiting(part, composition, node)
            for i, part in enumerate(parts)
        )
        found = found if type(y) is tuple else found[0]
    if (blocks := observers.get()) and (observer := innermost(blocks, None)) is not None:
        observer(op, args, options, found)
    return found  # type: ignore[no-any-return]


def _waiting(deferred: Deferred, composition: Composition, node: Node | None) -> Recorded:
    """The first result of an op whose kernel deferred its work."""
    tensor = defer(deferred, composition)
    if node is not None:
        tensor.requires_grad, tensor._node = True, node
        node.composition = composition
    return tensor


def _result(y: Any, backend: Backend, node: Node | None, output: int, args: tuple[Any, ...]) -> Recorded:
    if type(y) is not backend.array_type:
        y = backend.asarray(y)  # NumPy turns 0-d results into scalars
    tensor = wrap(y)
    if node is not None and y.dtype.kind == "f":
        tensor.requires_grad, tensor._node, tensor._output = True, node, output
    if y.base is not None:  # a view shares its time of change with the tensor that owns the memory
        for a in args:
            if isinstance(a, Recorded) and (y.base is a._array or y.base is a._array.base):
                tensor._changed_at = a._changed_at
    return tensor


def _common_backend(op: Op, arrays: list[Any]) -> tuple[Backend, Any]:
    """The common backend of the arrays, and their common floating dtype, if any is floating-point."""
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
    return backend, dtype


def _check_result(op: Op, y: Any, dtype: Any, arrays: list[Any]) -> None:
    """Raises: ``TypeError`` if integer arguments changed the floating dtype of the result."""
    if y.dtype.kind == "f" and y.dtype != dtype and op.__name__ != "cast":
        raise TypeError(
            f"{op.__name__}: whole numbers beside {dtype}: {_describe(arrays)}: convert them, "
            f'e.g. tensor.astype("{dtype}")'
        )


def _describe(arrays: list[Any]) -> str:
    return ", ".join(f"{x.dtype}{tuple(x.shape)}" if hasattr(x, "dtype") else repr(x) for x in arrays)


def _explain_backends(op: Op, arrays: list[Any]) -> Backend:
    """The common backend if an array type is new; otherwise an error that names the mixed backends."""
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
