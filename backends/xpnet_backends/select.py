"""Select a backend: by name, by the user's setting, or by the type of given arrays."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from . import segments
from .base import Array, Backend, BackendError
from .blocks import Blocks, innermost
from .loaded import by_type, load_backend, loaded, loaders

_in_context: Blocks[str] = Blocks("xpnet_backend")
_process_wide: use | None = None  # the latest choice; each choice links to the one before
_lock = threading.Lock()
DEEP, PIECE = 4096, 512  # terms of a scalar product that a BLAS may add one by one, and of a piece of a longer one
FEW = 8  # rows or columns of a product

F = TypeVar("F", bound=Callable[..., Any])


def backend_names() -> list[str]:
    """All names that ``get_backend`` accepts, whether or not the backend works on this machine."""
    return list(loaders)


def get_backend(name: str | Backend | None = None) -> Backend:
    """The backend called ``name``; without a name, the current backend.

    The current backend is set by, in this order: ``with xpnet.use(backend=...)``, ``xpnet.use(...)``, the environment
    variable ``XPNET_BACKEND``, then ``"numpy"``.  ``"auto"`` selects CuPy if there is a usable GPU, else NumPy.

    Raises: ``ValueError`` for an unknown name; ``BackendError`` if the backend does not work on this machine.

    >>> get_backend("numpy")
    <xpnet backend 'numpy'>
    """
    if isinstance(name, Backend):
        return name
    if name is None:
        name = innermost(_in_context.get(), "") or _chosen() or os.environ.get("XPNET_BACKEND") or "numpy"
    if name == "auto":
        return load_backend("cupy") if why_unavailable("cupy") is None else load_backend("numpy")
    return load_backend(name)


def _chosen() -> str | None:
    """The latest process-wide choice, without ``use`` objects that became blocks."""
    choice = _process_wide
    while choice is not None and choice._is_block:
        choice = choice._before
    return None if choice is None else choice._name


def why_unavailable(name: str) -> str | None:
    """Why the backend does not work on this machine, and the fix; None if it works."""
    try:
        load_backend(name)
    except BackendError as error:
        return str(error)
    return None


def available_backends() -> list[str]:
    """The names of the backends that work on this machine.

    >>> "numpy" in available_backends()
    True
    """
    return [name for name in loaders if why_unavailable(name) is None]


def is_array(x: object) -> bool:
    """Whether ``x`` is an array of any backend."""
    return type(x) in by_type or _adopt(type(x)) is not None


def _adopt(kind: type) -> Backend | None:
    """The backend of a new array type: a subclass, or a CuPy array that the user created directly."""
    for known, backend in list(by_type.items()):
        if issubclass(kind, known):
            return backend
    if kind.__module__.partition(".")[0] == "cupy" and kind.__name__ == "ndarray":
        return load_backend("cupy")
    return None


def backend_of(*arrays: Array) -> Backend:
    """The common backend of all ``arrays``.

    Raises: ``TypeError`` for a value that is not an array; ``BackendError`` for arrays of two backends.
    """
    found: Backend | None = None
    for array in arrays:
        backend = by_type.get(type(array)) or _adopt(type(array))
        if backend is None:
            raise TypeError(f"expected an array of a backend ({', '.join(loaded)}), got {type(array).__name__}")
        if found is not None and backend is not found:
            raise BackendError(
                f"arrays of two backends in one operation ({found.name} and {backend.name}): nothing is moved "
                f'silently; move one of them first, e.g. tensor.to(backend="{found.name}")'
            )
        found = backend
    if found is None:
        raise TypeError("backend_of() needs at least one array")
    return found


def matmul(a: Array, b: Array) -> Array:
    """``a @ b`` on the backend of the arrays.  Every matrix product of xpnet goes through this function.

    ``a`` (..., M, K), ``b`` (..., K, N) -> (..., M, N).  Raises: ``ValueError`` that names both shapes.
    """
    backend = by_type.get(type(a))
    if backend is None or type(b) is not backend.array_type:
        backend = backend_of(a, b)
    left, right = a.shape, b.shape
    if len(left) < 2 or len(right) < 2 or left[-1] != right[-2] or left[:-2] != right[:-2]:
        check_product(left, right)
    if left[-1] > DEEP and min(left[-2], right[-1]) <= FEW and a.dtype.char in "fe":
        return _in_pieces(a, b)
    kernel = backend.kernels.get("gemm")
    product = None if kernel is None else kernel(backend.xp, a, b)
    return backend.matmul(a, b) if product is None else product


def _in_pieces(a: Array, b: Array) -> Array:
    """A product of few rows or few columns in float32, piece by piece: there, a BLAS adds the terms one by one."""
    pieces, whole = a.shape[-1] // PIECE, a.shape[-1] // PIECE * PIECE
    left = a[..., :whole].reshape(*a.shape[:-1], pieces, PIECE).swapaxes(-2, -3)  # (..., pieces, M, PIECE)
    right = b[..., :whole, :].reshape(*b.shape[:-2], pieces, PIECE, b.shape[-1])
    wide = "float32" if a.dtype.char == "e" else a.dtype
    total = matmul(left.astype(wide, copy=False), right.astype(wide, copy=False)).sum(axis=-3)
    if whole < a.shape[-1]:
        total = total + matmul(a[..., whole:].astype(wide, copy=False), b[..., whole:, :].astype(wide, copy=False))
    return total.astype(a.dtype, copy=False)


def check_product(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    """Check that matrices of these shapes can be multiplied.  Raises: ``ValueError``, the same on every backend."""
    if len(a) < 2 or len(b) < 2:
        raise ValueError(f"matmul: expected matrices (..., M, K) @ (..., K, N), got shapes {tuple(a)} @ {tuple(b)}")
    if a[-1] != b[-2]:
        raise ValueError(f"matmul: inner lengths differ: {tuple(a)} @ {tuple(b)}")
    for i, j in zip(reversed(a[:-2]), reversed(b[:-2]), strict=False):
        if i != j and i != 1 and j != 1:
            raise ValueError(f"matmul: leading axes do not broadcast: {tuple(a)} @ {tuple(b)}")


def sum_rows(rows: Array, to: Array, count: int) -> Array:
    """``y[v] = Σ rows[m]`` over the m with ``to[m] = v``.  Deterministic; float16 is summed in float32.

    rows (M, D), to (M,) of 0..count−1 -> y (count, D).
    """
    backend = backend_of(rows, to)
    if backend.on_host:
        return segments.sum_rows_on_host(rows, to, count)
    return segments.sum_rows(backend.xp, rows, to, count)


def max_rows(rows: Array, to: Array, count: int) -> Array:
    """``y[v] = max rows[m]`` over the m with ``to[m] = v``, for each feature; −∞ if there is no such m.

    rows (M, D), to (M,) of 0..count−1 -> y (count, D).  Integer dtypes use their smallest value in place of −∞.
    """
    backend = backend_of(rows, to)
    if backend.on_host:
        return segments.max_rows_on_host(rows, to, count)
    return segments.max_rows(backend.xp, rows, to, count)


class use:  # noqa: N801  lower case, because it reads as a verb: xpnet.use(backend="cupy")
    """Choose the default backend: for the process when called, or for a block as a context manager or decorator.

    Blocks may be nested, reused and left in any order.  A block affects only its own thread, and threads that copy its
    context.

    >>> with use(backend="numpy"):
    ...     get_backend().name
    'numpy'
    """

    def __init__(self, backend: str | Backend) -> None:
        global _process_wide
        self._name = get_backend(backend).name
        self._holding = _in_context.holding(self._name)
        self._is_block = False
        with _lock:
            self._before = _process_wide
            _process_wide = self

    def _become_block(self) -> None:
        """Withdraw the process-wide choice that ``__init__`` made, because this object is used as a block."""
        global _process_wide
        with _lock:
            self._is_block = True
            while _process_wide is not None and _process_wide._is_block:
                _process_wide = _process_wide._before

    def __enter__(self) -> Backend:
        """Limit the choice to this block."""
        self._become_block()
        self._holding.__enter__()
        return get_backend(self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holding.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """Wrap a function so that it runs with this backend."""
        self._become_block()
        return self._holding(function)


def to_numpy(x: Any) -> np.ndarray:
    """``x`` as a NumPy array: an array of any backend (an explicit transfer), or a list of numbers."""
    return backend_of(x).to_numpy(x) if is_array(x) else np.asarray(x)
