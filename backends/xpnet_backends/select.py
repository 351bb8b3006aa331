"""Find a backend: by name, by what the user set, or by the arrays at hand."""

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

_loaders: dict[str, Callable[[], Backend]] = {}
_loaded: dict[str, Backend] = {}
by_type: dict[type, Backend] = {}  # array type -> its backend, for the tape too
_in_context: Blocks[str] = Blocks("xpnet_backend")
_process_wide: use | None = None  # the latest choice; each knows the one before
_lock = threading.Lock()
DEEP, PIECE = 4096, 512  # terms of a scalar product that a BLAS may add one by one, and of a piece of a longer one
FEW = 8  # rows or columns of a product

F = TypeVar("F", bound=Callable[..., Any])


def register_backend(name: str, load: Callable[[], Backend]) -> None:
    """Make a backend known under ``name``; ``load`` is called when it is first asked for."""
    _loaders[name] = load


def backend_names() -> list[str]:
    """All names that ``get_backend`` knows, usable here or not."""
    return list(_loaders)


def get_backend(name: str | Backend | None = None) -> Backend:
    """The backend called ``name``; without a name, the one in force.

    In force is, in this order: ``with xpnet.use(backend=...)``, then ``xpnet.use(...)``, then the environment
    variable ``XPNET_BACKEND``, then ``"numpy"``.  ``"auto"`` takes CuPy where a usable GPU answers, else NumPy.

    Raises: ``ValueError`` for an unknown name; ``BackendError`` where the backend cannot work here.
    """
    if isinstance(name, Backend):
        return name
    if name is None:
        name = innermost(_in_context.get(), "") or _chosen() or os.environ.get("XPNET_BACKEND") or "numpy"
    if name == "auto":
        return _load("cupy") if why_unavailable("cupy") is None else _load("numpy")
    return _load(name)


def _chosen() -> str | None:
    """The latest choice for the process, without those that turned out to be for a block."""
    choice = _process_wide
    while choice is not None and choice._is_block:
        choice = choice._before
    return None if choice is None else choice._name


def _load(name: str) -> Backend:
    if name not in _loaded:
        if name not in _loaders:
            known = ", ".join(repr(n) for n in [*_loaders, "auto"])
            raise ValueError(f"unknown backend {name!r}: choose one of {known}")
        backend = _loaders[name]()
        _loaded[name] = backend
        by_type[backend.array_type] = backend
    return _loaded[name]


def why_unavailable(name: str) -> str | None:
    """What is missing for the backend to work here and how to get it; None where it works."""
    try:
        _load(name)
    except BackendError as error:
        return str(error)
    return None


def available_backends() -> list[str]:
    """The names of the backends that work here."""
    return [name for name in _loaders if why_unavailable(name) is None]


def is_array(x: object) -> bool:
    """Whether ``x`` is an array of some backend."""
    return type(x) in by_type or _adopt(type(x)) is not None


def _adopt(kind: type) -> Backend | None:
    """The backend of an array type not met before: a subclass, or a CuPy array the user made himself."""
    for known, backend in list(by_type.items()):
        if issubclass(kind, known):
            return backend
    if kind.__module__.partition(".")[0] == "cupy" and kind.__name__ == "ndarray":
        return _load("cupy")
    return None


def backend_of(*arrays: Array) -> Backend:
    """The one backend on which all ``arrays`` live.

    Raises: ``TypeError`` for something that is no array, ``BackendError`` for arrays of two backends.
    """
    found: Backend | None = None
    for array in arrays:
        backend = by_type.get(type(array)) or _adopt(type(array))
        if backend is None:
            raise TypeError(f"expected an array of a backend ({', '.join(_loaded)}), got {type(array).__name__}")
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
    """``a @ b`` on the arrays' own backend.  Every matrix product of xpnet goes through here.

    ``a`` (..., M, K), ``b`` (..., K, N) -> (..., M, N).  Raises: ``ValueError`` with both shapes where they do not fit.
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
    """Whether matrices of these shapes can be multiplied.  Raises: ``ValueError``, the same on every backend."""
    if len(a) < 2 or len(b) < 2:
        raise ValueError(f"matmul: expected matrices (..., M, K) @ (..., K, N), got shapes {tuple(a)} @ {tuple(b)}")
    if a[-1] != b[-2]:
        raise ValueError(f"matmul: inner lengths differ: {tuple(a)} @ {tuple(b)}")
    for i, j in zip(reversed(a[:-2]), reversed(b[:-2]), strict=False):
        if i != j and i != 1 and j != 1:
            raise ValueError(f"matmul: leading axes do not broadcast: {tuple(a)} @ {tuple(b)}")


def sum_rows(rows: Array, to: Array, count: int) -> Array:
    """``y[v] = Σ rows[m]`` over the m with ``to[m] = v``: the same bits each time, float16 added up in float32.

    rows (M, D), to (M,) of 0..count−1 -> y (count, D).
    """
    backend = backend_of(rows, to)
    if backend.on_host:
        return segments.sum_rows_on_host(rows, to, count)
    return segments.sum_rows(backend.xp, rows, to, count)


def max_rows(rows: Array, to: Array, count: int) -> Array:
    """The largest ``rows[m]`` of the m with ``to[m] = v``, feature by feature; −∞ where no row goes.

    rows (M, D), to (M,) of 0..count−1 -> y (count, D).  Of whole numbers the smallest takes the place of −∞.
    """
    backend = backend_of(rows, to)
    if backend.on_host:
        return segments.max_rows_on_host(rows, to, count)
    return segments.max_rows(backend.xp, rows, to, count)


class use:  # noqa: N801  a verb, because it reads as one: xpnet.use(backend="cupy")
    """Choose the default backend: for the process when called, for a block as a context manager or a decorator.

    Blocks may be nested, used again and left in any order; a block is for its own thread (and the threads that copy its
    context).

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
        """Withdraw the choice for the process: it was made when this object was, which is for a block after all."""
        global _process_wide
        with _lock:
            self._is_block = True
            while _process_wide is not None and _process_wide._is_block:
                _process_wide = _process_wide._before

    def __enter__(self) -> Backend:
        """Narrow the choice to this block."""
        self._become_block()
        self._holding.__enter__()
        return get_backend(self._name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holding.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """The function, with this backend while it runs."""
        self._become_block()
        return self._holding(function)


def to_numpy(x: Any) -> np.ndarray:
    """A NumPy array of ``x``'s values: an array of any backend (an explicit transfer), or a list of numbers."""
    return backend_of(x).to_numpy(x) if is_array(x) else np.asarray(x)
