"""A stand-in for CuPy on NumPy that follows CuPy's rules, so that GPU code is tested without a GPU.

Names, methods and keywords come from ``cupy_table.json``, recorded from a real CuPy.  What CuPy refuses is refused
here.  Silent errors of CuPy (indices out of bounds, duplicate indices in an assignment) raise here, and so do results
that depend on the order of execution (floats added by atomics).  Silent costs of CuPy (synchronisations, transfers) are
counted: see ``counters`` and ``no_traffic``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpnet_backends import Backend
from xpnet_backends.base import Kernel, R
from xpnet_backends.numpy_backend import NumpyBackend

from .capture import capture, refuse_cublas
from .cupy_table import (
    ARRAY_FIRST,
    ATOMIC,
    CUBLAS,
    HOST_ANSWERS,
    NUMBER_FIRST,
    SYNC_FUNCTIONS,
    TABLE,
    check_call,
)
from .device_array import at, call, checked, host, may_mix, ndarray, refuse_duplicates, sources
from .traffic import counters, no_traffic

__all__ = ["StandinBackend", "counters", "ndarray", "no_traffic", "xp"]


class Ufunc:
    """A ufunc with the keywords and methods of CuPy's ufuncs."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self._function = getattr(np, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        unknown = set(kwargs) - {"out", "dtype", "casting"}
        if unknown:
            raise TypeError(f"Wrong arguments {sorted(unknown)}: CuPy's ufuncs take out=, dtype= and casting= only")
        for x in args:
            may_mix(x)
        if self.__name__ in CUBLAS:
            refuse_cublas(f"{self.__name__}()")
        return call(self._function, args, kwargs)

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        if self.__name__ not in ATOMIC:
            raise NotImplementedError(f"`cupy_{self.__name__}.at` is not supported yet")
        at(self.__name__, self._function, a, indices, b)

    def reduceat(self, array: ndarray, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> ndarray:
        if self.__name__ != "add":
            raise NotImplementedError(f"`cupy_{self.__name__}.reduceat` is not supported yet")
        if array.dtype.kind == "f":
            raise TypeError("add.reduceat adds up by atomics in CuPy: use xpnet_backends.sum_rows")
        return call(self._function.reduceat, (array, indices, axis, dtype, out))

    def reduce(
        self, array: ndarray, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> ndarray:
        if self.__name__ not in ("add", "multiply"):
            raise NotImplementedError(f"`cupy_{self.__name__}.reduce` is not supported yet")
        return call(self._function.reduce, (array, axis, dtype, out, keepdims))

    def accumulate(self, array: ndarray, axis: int = 0, dtype: Any = None, out: Any = None) -> ndarray:
        if self.__name__ not in ("add", "multiply"):
            raise NotImplementedError(f"`cupy_{self.__name__}.accumulate` is not supported yet")
        return call(self._function.accumulate, (array, axis, dtype, out))

    def outer(self, a: ndarray, b: ndarray, **kwargs: Any) -> ndarray:
        return self(a.reshape(a.shape + (1,) * b.ndim), b, **kwargs)


class Module:
    """The functions of one module of CuPy that its table lists."""

    def __init__(self, name: str, functions: dict[str, str], peer: Any) -> None:
        self.__name__ = name
        self._functions, self._peer = functions, peer

    def __getattr__(self, name: str) -> Any:
        if name == "random":
            raise AttributeError("cupy.random cannot be saved and differs from NumPy's: use xpnet_backends.random")
        if name not in self._functions or not hasattr(self._peer, name):
            raise AttributeError(f"module 'cupy' {TABLE['cupy']} has no attribute {name!r} (stand-in)")
        made = self._make(name, self._functions[name])
        setattr(self, name, made)
        return made

    def _make(self, name: str, text: str) -> Callable[..., Any]:
        peer = getattr(self._peer, name)
        array_first = text.partition(" ")[0] in ARRAY_FIRST and name not in NUMBER_FIRST

        def function(*args: Any, **kwargs: Any) -> Any:
            check_call(name, text, args, kwargs)
            if array_first and args and not isinstance(args[0], ndarray):
                raise TypeError(f"{name}() needs a cupy.ndarray, got {type(args[0])}")
            if name == "bincount" and getattr(args[1] if len(args) > 1 else kwargs.get("weights"), "ndim", 0):
                raise TypeError("bincount adds up its weights by atomics in CuPy: use xpnet_backends.sum_rows")
            if {name, self.__name__.rpartition(".")[2]} & CUBLAS:
                refuse_cublas(f"{name}()")
            if name in SYNC_FUNCTIONS:
                counters.count("syncs", f"{name}()")
            if name in HOST_ANSWERS:
                return peer(*[host(x) for x in args], **kwargs)
            return call(peer, args, kwargs)

        function.__name__ = name
        return function


class Namespace(Module):
    """The module that ``import cupy`` returns."""

    ndarray = ndarray

    def __init__(self) -> None:
        super().__init__("standin", TABLE["functions"], np)
        self.linalg = Module("standin.linalg", TABLE["linalg"], np.linalg)
        self.lib = Module("standin.lib", {}, None)
        self.lib.stride_tricks = Module("standin.lib.stride_tricks", TABLE["stride_tricks"], np.lib.stride_tricks)
        for name in TABLE["constants"].split():
            setattr(self, name, getattr(np, name))
        for name in TABLE["ufuncs"].split():
            setattr(self, name, Ufunc(name))

    def array(self, obj: Any, dtype: Any = None, copy: bool | None = True, order: str = "K", ndmin: int = 0) -> ndarray:
        if isinstance(obj, ndarray):
            return call(np.array, (obj,), {"dtype": dtype, "copy": copy, "order": order, "ndmin": ndmin})
        if isinstance(obj, list | tuple) and any(True for _ in sources(obj)):
            return call(np.stack, (obj,), {"dtype": dtype})
        counters.count("h2d", "array()")
        return ndarray(checked(np.array(obj, dtype=dtype, order=order, ndmin=ndmin)))  # type: ignore[call-overload]

    def asarray(self, a: Any, dtype: Any = None, order: str = "K", *, copy: bool | None = None) -> ndarray:
        return self.array(a, dtype, copy, order)

    asanyarray = asarray

    def ascontiguousarray(self, a: Any, dtype: Any = None) -> ndarray:
        return self.array(a, dtype, None, "C", ndmin=1)

    def asfortranarray(self, a: Any, dtype: Any = None) -> ndarray:
        return self.array(a, dtype, None, "F", ndmin=1)

    def asnumpy(self, a: Any) -> np.ndarray:
        return a.get() if isinstance(a, ndarray) else np.asarray(a)

    def get_array_module(self, *args: Any) -> Any:
        return self if any(isinstance(x, ndarray) for x in args) else np

    def where(self, condition: ndarray, x: Any = None, y: Any = None) -> Any:
        if x is None and y is None:
            return condition.nonzero()
        if not isinstance(condition, ndarray):
            raise TypeError(f"where() needs a cupy.ndarray as its condition, got {type(condition)}")
        for value in (x, y):
            may_mix(value)
        return call(np.where, (condition, x, y))

    def einsum(self, *operands: Any, dtype: Any = None, optimize: Any = False) -> ndarray:
        refuse_cublas("einsum()")
        return call(np.einsum, operands, {"dtype": dtype, "optimize": optimize})

    def repeat(self, a: ndarray, repeats: Any, axis: int | None = None) -> ndarray:
        return a.repeat(repeats, axis)

    def put_along_axis(self, arr: ndarray, indices: ndarray, values: Any, axis: int) -> None:
        targets = np.take_along_axis(np.arange(arr.size).reshape(arr.shape), host(indices), axis)
        refuse_duplicates(targets)
        call(np.put_along_axis, (arr, indices, values, axis))


xp = Namespace()
KERNELS: dict[str, Kernel] = {}


class StandinBackend(Backend):
    """A simulated device with CuPy's rules."""

    name = "standin"
    xp = xp
    array_type = ndarray
    kernels = KERNELS
    on_host = False
    captures = True

    def __init__(self) -> None:
        self._numpy = NumpyBackend()

    def asarray(self, values: Any, dtype: Any = None) -> ndarray:
        return xp.asarray(values, dtype)

    def to_numpy(self, array: ndarray) -> np.ndarray:
        return array.get()

    def matmul(self, a: ndarray, b: ndarray) -> ndarray:
        return call(self._numpy.matmul, (a, b))

    def philox(
        self, count: int, key: tuple[int, int], counter: tuple[int, int, int, int], step: ndarray | None = None
    ) -> ndarray:
        if step is not None:
            counter = (counter[0], 0, *counter[2:])  # not read
        return call(self._numpy.philox, (count, key, counter, step))

    def philox_rows(
        self, count: int, key: tuple[int, int], moment: tuple[int, int], rows: ndarray, step: ndarray | None = None
    ) -> ndarray:
        if step is not None:
            moment = (0, moment[1])
        return call(self._numpy.philox_rows, (count, key, moment, rows, step))

    def capture(self, function: Callable[[], R]) -> Callable[[], R]:
        return capture(function)

    def synchronize(self) -> None:
        counters.count("syncs", "synchronize()")

    def describe(self) -> dict[str, str]:
        return {"version": f"stand-in for CuPy {TABLE['cupy']}", "device": "CPU"}
