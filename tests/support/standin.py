"""A stand-in for CuPy on NumPy that keeps CuPy's rules, so that GPU code is tested without a GPU.

Names, methods and keywords come from ``cupy_table.json``, recorded from a real CuPy.  What CuPy refuses is refused
here.  What CuPy does silently and wrongly (indices out of bounds, duplicate indices in an assignment) is an error.
What CuPy does silently and slowly (synchronisations, transfers) is counted: see ``counters`` and ``no_traffic``.
"""

from __future__ import annotations

import inspect
import json
import operator
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from xpnet_backends import Backend
from xpnet_backends.numpy_backend import NumpyBackend

from .traffic import counters, no_traffic

__all__ = ["StandinBackend", "counters", "ndarray", "no_traffic", "xp"]

TABLE = json.loads(Path(__file__).with_name("cupy_table.json").read_text(encoding="utf-8"))

ATTRIBUTES = "shape strides dtype ndim size itemsize nbytes".split()
SYNC_METHODS = {"nonzero", "compress", "choose", "put"}
SYNC_FUNCTIONS = {  # their result's size, or their decision, depends on values
    *"argwhere bincount compress extract flatnonzero histogram intersect1d isin nonzero put setdiff1d".split(),
    *"setxor1d shares_memory trim_zeros union1d unique unique_all unique_counts unique_inverse unique_values".split(),
}
HOST_ANSWERS = {  # plain Python answers also on CuPy; all other numbers come back as 0-d arrays
    *"broadcast_shapes can_cast iscomplexobj isdtype isfortran isrealobj isscalar issubdtype iterable".split(),
    *"may_share_memory ndim shape shares_memory size".split(),
}
FROM_HOST = {"array", "asanyarray", "asarray", "ascontiguousarray", "asfortranarray"}
ARRAY_FIRST = {"a", "x", "v", "m", "z", "arr", "ary", "ar", "array", "a1", "ar1", "arr1", "prototype", "condition", "dst"}
NOT_FIRST = {"isscalar", "iterable", "from_dlpack", "min_scalar_type", *FROM_HOST}
ATOMIC = {"add": "iuf", "subtract": "iuf", "maximum": "iuf", "minimum": "iuf"}
ATOMIC_TYPES = {"int32", "uint32", "uint64", "float16", "float32", "float64"}


@lru_cache(maxsize=None)
def _signature(words: str) -> inspect.Signature:
    """From the table's words: ``a axis= * blocking= **kwargs``."""
    parameters, kind = [], inspect.Parameter.POSITIONAL_OR_KEYWORD
    for word in words.split():
        name, default = word.strip("*="), None if word.endswith("=") else inspect.Parameter.empty
        if word == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
        elif word.startswith("**"):
            parameters.append(inspect.Parameter(name, inspect.Parameter.VAR_KEYWORD))
        elif word.startswith("*"):
            parameters.append(inspect.Parameter(name, inspect.Parameter.VAR_POSITIONAL))
            kind = inspect.Parameter.KEYWORD_ONLY
        else:
            parameters.append(inspect.Parameter(name, kind, default=default))
    return inspect.Signature(parameters)


def _check_call(name: str, words: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        _signature(words).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"CuPy's {name}({words}): {error}") from None


def _host(x: Any) -> Any:
    """The NumPy value behind an argument; NumPy arrays themselves are refused, as CuPy refuses them."""
    if isinstance(x, ndarray):
        return x._a
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}: bring it to the device first, backend.asarray(x)")
    if isinstance(x, list | tuple):
        return type(x)(_host(item) for item in x)
    return x


def _sources(args: Any) -> Iterator[ndarray]:
    for x in args:
        if isinstance(x, ndarray):
            yield x
        elif isinstance(x, list | tuple):
            yield from _sources(x)


def _device(result: Any, sources: list[ndarray]) -> Any:
    """Wrap a result of NumPy: numbers become 0-d arrays, views know what they are views of."""
    if isinstance(result, np.generic | bool | int | float | complex):
        result = np.asarray(result)
    if isinstance(result, list | tuple):
        items = [_device(item, sources) for item in result]
        return type(result)._make(items) if hasattr(result, "_make") else type(result)(items)
    if not isinstance(result, np.ndarray):
        return result
    for source in sources:
        if result is source._a:
            return source
    if result.dtype.kind not in "biufc" or result.dtype.itemsize > 16:
        raise TypeError(f"Unsupported dtype {result.dtype}")
    base = next((s for s in sources if _is_view(result, s._a)), None)
    if base is None:
        counters.count("launches", "a kernel")
    return ndarray(result, base)


def _is_view(a: np.ndarray, of: np.ndarray) -> bool:
    if a.base is None:
        return False
    return a.base is of or a.base is of.base or np.may_share_memory(a, of)


def _call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
    """Run a NumPy function on the values behind the arguments, without NumPy's warnings: a GPU gives none."""
    kwargs = kwargs or {}
    host_args = [_host(x) for x in args]
    host_kwargs = {name: _host(x) for name, x in kwargs.items()}
    with np.errstate(all="ignore"):
        result = function(*host_args, **host_kwargs)
    if kwargs.get("out") is not None:
        counters.count("launches", "a kernel")
    return _device(result, list(_sources((*args, *kwargs.values()))))


def _may_mix(other: Any) -> bool:
    """Whether an operator takes ``other``; False leaves it to the other side, as for a class of our own."""
    if isinstance(other, ndarray | int | float | complex | np.generic):
        return True
    if getattr(type(other), "__array_ufunc__", True) is None:
        return False
    raise TypeError(f"Unsupported type {type(other)}: bring it to the device first, backend.asarray(x)")


class Flags:
    """What CuPy tells of an array's layout: there is no ``writeable``."""

    def __init__(self, array: ndarray) -> None:
        self.c_contiguous = array._a.flags.c_contiguous
        self.f_contiguous = array._a.flags.f_contiguous
        self.owndata = array.base is None

    def __getitem__(self, name: str) -> bool:
        return bool(getattr(self, name.lower()))


class ndarray:  # noqa: N801  the name it has in NumPy and CuPy
    """An array "on the device"."""

    __slots__ = ("__weakref__", "_a", "_base")
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100
    __array_ufunc__ = None  # np.exp(x) would silently run on the device: use the namespace

    def __init__(self, a: np.ndarray, base: ndarray | None = None) -> None:
        self._a = a
        self._base = base if base is None or base._base is None else base._base

    # -- what needs the host ----------------------------------------------------------------------------------

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_function__(self, function: Any, *args: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} called on a device array: use the array's own namespace")

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        counters.count("d2h", ".get()")
        counters.count("syncs", ".get()")
        if out is not None:
            out[...] = self._a
            return out
        return self._a.copy(order=order)

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        counters.count("h2d", ".set()")
        if arr.shape != self.shape or arr.dtype != self.dtype:
            raise ValueError(f"set() needs {self.dtype} {self.shape}, got {arr.dtype} {arr.shape}")
        self._a[...] = arr

    def _read(self, call: str) -> np.ndarray:
        counters.count("syncs", call)
        return self._a

    def item(self) -> Any:
        return self._read(".item()").item()

    def tolist(self) -> Any:
        return self._read(".tolist()").tolist()

    def __bool__(self) -> bool:
        return bool(self._read("bool()"))

    def __int__(self) -> int:
        return int(self._read("int()"))

    def __float__(self) -> float:
        return float(self._read("float()"))

    def __complex__(self) -> complex:
        return complex(self._read("complex()"))

    def __format__(self, spec: str) -> str:
        return format(self._read("format()"), spec)

    def __str__(self) -> str:
        return str(self._read("str()"))

    def __repr__(self) -> str:
        return repr(self._read("repr()")).replace("array(", "standin(")

    # -- views and indexing -----------------------------------------------------------------------------------

    @property
    def base(self) -> ndarray | None:
        return self._base

    @property
    def flags(self) -> Flags:
        return Flags(self)

    @property
    def T(self) -> ndarray:  # noqa: N802
        return ndarray(self._a.T, self)

    @property
    def mT(self) -> ndarray:  # noqa: N802
        return ndarray(self._a.mT, self)

    @property
    def real(self) -> ndarray:
        return _device(self._a.real, [self])

    @property
    def imag(self) -> ndarray:
        return _device(self._a.imag, [self])

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> ndarray:
        place, _ = _place(index)
        return _device(self._a[place], [self])

    def __setitem__(self, index: Any, value: Any) -> None:
        place, by_array = _place(index)
        if isinstance(value, list | tuple):
            raise TypeError(f"Unsupported type {type(value)} in an indexed assignment")
        if by_array and not isinstance(value, ndarray):
            counters.count("h2d", "x[index array] = number")  # CuPy copies the number to the device first
        if by_array and isinstance(value, ndarray) and value.size > 1:
            _refuse_duplicates(np.arange(self.size).reshape(self.shape)[place])
        with np.errstate(all="ignore"):
            self._a[place] = _host(value)
        counters.count("launches", "a kernel")

    def __copy__(self) -> ndarray:
        return ndarray(self._a.copy())

    def __deepcopy__(self, memo: Any) -> ndarray:
        return ndarray(self._a.copy())

    def __reduce__(self) -> Any:
        raise TypeError("arrays of the stand-in are not pickled")


def _place(index: Any) -> tuple[tuple[Any, ...], bool]:
    """An index as NumPy takes it, and whether it has index arrays.  The Ellipsis keeps results 0-d arrays."""
    keys = index if isinstance(index, tuple) else (index,)
    place = [_key(k) for k in keys]
    by_array = any(isinstance(k, np.ndarray) for k in place)
    if not any(k is Ellipsis for k in place):
        place.append(Ellipsis)
    return tuple(place), by_array


def _key(key: Any) -> Any:
    if isinstance(key, np.ndarray):
        raise TypeError("index by a NumPy array: CuPy copies it to the device each time; bring it there once")
    if isinstance(key, list | bool | np.bool_):
        counters.count("h2d", "x[list]")
        key = ndarray(np.asarray(key) if np.size(key) else np.asarray(key, dtype=np.int64))
    if not isinstance(key, ndarray):
        return key
    if key.dtype.kind not in "biu":
        raise IndexError(f"arrays used as indices must be of integer or boolean type, not {key.dtype}")
    return key._read("x[mask]") if key.dtype == bool else key._a


def _refuse_duplicates(targets: np.ndarray) -> None:
    values, counts = np.unique(targets, return_counts=True)
    if len(values) != targets.size:
        raise IndexError(
            f"duplicate indices in an indexed assignment (element {values[counts > 1][0]} of the flattened array): "
            f"which value is stored is undefined on CuPy"
        )


# -- attributes, methods and operators that simply pass through ------------------------------------------------


def _attribute(name: str) -> property:
    return property(lambda self: getattr(self._a, name))


def _method(name: str, words: str) -> Callable[..., Any]:
    function = getattr(np.ndarray, name)

    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        _check_call(f"ndarray.{name}", words, args, kwargs)
        if name in SYNC_METHODS:
            counters.count("syncs", f".{name}()")
        return _call(function, (self, *args), kwargs)

    return method


def _operators(name: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    word = name.strip("_")
    function = getattr(operator, name)

    def forward(self: ndarray, other: Any) -> Any:
        return _call(function, (self, other)) if _may_mix(other) else NotImplemented

    def reflected(self: ndarray, other: Any) -> Any:
        return _call(function, (other, self)) if _may_mix(other) else NotImplemented

    def in_place(self: ndarray, other: Any) -> Any:
        if not _may_mix(other):
            return NotImplemented
        counters.count("launches", "a kernel")
        return _call(getattr(operator, f"__i{word}__"), (self, other))

    yield f"__{word}__", forward
    yield f"__r{word}__", reflected
    if word not in ("matmul", "divmod"):
        yield f"__i{word}__", in_place


def _comparison(name: str) -> Callable[..., Any]:
    function = getattr(operator, name)
    return lambda self, other: _call(function, (self, other)) if _may_mix(other) else NotImplemented


def _unary(name: str) -> Callable[..., Any]:
    function = getattr(operator, name)
    return lambda self: _call(function, (self,))


def _fill_class() -> None:
    own = set(vars(ndarray))
    refused = {"dump", "dumps", "tofile", "tobytes"}  # a transfer that nothing here needs
    for name in ATTRIBUTES:
        setattr(ndarray, name, _attribute(name))
    for name, words in TABLE["methods"].items():
        if name not in own | refused and hasattr(np.ndarray, name):
            setattr(ndarray, name, _method(name, words))
    for name in "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift".split():
        for member, function in _operators(name):
            setattr(ndarray, member, function)
    for name in "__lt__ __le__ __gt__ __ge__ __eq__ __ne__".split():
        setattr(ndarray, name, _comparison(name))
    for name in "__neg__ __pos__ __abs__ __invert__".split():
        setattr(ndarray, name, _unary(name))


_fill_class()


# -- the namespace ----------------------------------------------------------------------------------------------


class Ufunc:
    """A ufunc with the keywords and methods that CuPy's have."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self._function = getattr(np, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        unknown = set(kwargs) - {"out", "dtype", "casting"}
        if unknown:
            raise TypeError(f"Wrong arguments {sorted(unknown)}: CuPy's ufuncs take out=, dtype= and casting= only")
        for x in args:
            _may_mix(x)
        return _call(self._function, args, kwargs)

    def at(self, a: ndarray, indices: Any, b: Any = None) -> None:
        if self.__name__ not in ATOMIC:
            raise NotImplementedError(f"`cupy_{self.__name__}.at` is not supported yet")
        if a.dtype.name not in ATOMIC_TYPES:
            raise TypeError(f"scatter_{self.__name__} only supports {', '.join(sorted(ATOMIC_TYPES))}, not {a.dtype}")
        if not isinstance(b, ndarray):
            counters.count("h2d", f"{self.__name__}.at(x, indices, number)")
        place, _ = _place(indices)
        self._function.at(a._a, place, _host(b))
        counters.count("launches", "a kernel")

    def reduce(
        self, array: ndarray, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False
    ) -> ndarray:
        if self.__name__ not in ("add", "multiply"):
            raise NotImplementedError(f"`cupy_{self.__name__}.reduce` is not supported yet")
        return _call(self._function.reduce, (array, axis, dtype, out, keepdims))

    def accumulate(self, array: ndarray, axis: int = 0, dtype: Any = None, out: Any = None) -> ndarray:
        if self.__name__ not in ("add", "multiply"):
            raise NotImplementedError(f"`cupy_{self.__name__}.accumulate` is not supported yet")
        return _call(self._function.accumulate, (array, axis, dtype, out))

    def outer(self, a: ndarray, b: ndarray, **kwargs: Any) -> ndarray:
        return self(a.reshape(a.shape + (1,) * b.ndim), b, **kwargs)


class Module:
    """The functions of one module of CuPy, those that its table lists."""

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

    def _make(self, name: str, words: str) -> Callable[..., Any]:
        peer = getattr(self._peer, name)
        array_first = words.partition(" ")[0] in ARRAY_FIRST and name not in NOT_FIRST

        def function(*args: Any, **kwargs: Any) -> Any:
            _check_call(name, words, args, kwargs)
            if array_first and args and not isinstance(args[0], ndarray):
                raise TypeError(f"{name}() needs a cupy.ndarray, got {type(args[0])}")
            if name in SYNC_FUNCTIONS:
                counters.count("syncs", f"{name}()")
            if name in HOST_ANSWERS:
                return peer(*[_host(x) for x in args], **kwargs)
            return _call(peer, args, kwargs)

        function.__name__ = name
        return function


class Namespace(Module):
    """What ``import cupy`` gives."""

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
            return _call(np.array, (obj,), {"dtype": dtype, "copy": copy, "order": order, "ndmin": ndmin})
        if isinstance(obj, list | tuple) and any(True for _ in _sources(obj)):
            return _call(np.stack, (obj,), {"dtype": dtype})
        counters.count("h2d", "array()")
        return ndarray(_checked(np.array(obj, dtype=dtype, order=order, ndmin=ndmin)))  # type: ignore[call-overload]

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
            _may_mix(value)
        return _call(np.where, (condition, x, y))

    def einsum(self, *operands: Any, dtype: Any = None, optimize: Any = False) -> ndarray:
        return _call(np.einsum, operands, {"dtype": dtype, "optimize": optimize})

    def repeat(self, a: ndarray, repeats: Any, axis: int | None = None) -> ndarray:
        return a.repeat(repeats, axis)

    def put_along_axis(self, arr: ndarray, indices: ndarray, values: Any, axis: int) -> None:
        targets = np.take_along_axis(np.arange(arr.size).reshape(arr.shape), _host(indices), axis)
        _refuse_duplicates(targets)
        _call(np.put_along_axis, (arr, indices, values, axis))


def _checked(a: np.ndarray) -> np.ndarray:
    if a.dtype.kind not in "biufc" or a.dtype.itemsize > 16:
        raise TypeError(f"Unsupported dtype {a.dtype}")
    return a


xp = Namespace()


class StandinBackend(Backend):
    """A device that is none, with CuPy's rules."""

    name = "standin"
    xp = xp
    array_type = ndarray
    kernels: dict[str, Any] = {}
    on_host = False

    def __init__(self) -> None:
        self._host = NumpyBackend()

    def asarray(self, values: Any, dtype: Any = None) -> ndarray:
        return xp.asarray(values, dtype)

    def to_numpy(self, array: ndarray) -> np.ndarray:
        return array.get()

    def matmul(self, a: ndarray, b: ndarray) -> ndarray:
        return _call(self._host.matmul, (a, b))

    def philox(self, count: int, key: tuple[int, int], counter: tuple[int, int, int, int]) -> ndarray:
        counters.count("launches", "philox")
        return ndarray(self._host.philox(count, key, counter))

    def synchronize(self) -> None:
        counters.count("syncs", "synchronize()")

    def describe(self) -> dict[str, str]:
        return {"version": f"stand-in for CuPy {TABLE['cupy']}", "device": "CPU"}
