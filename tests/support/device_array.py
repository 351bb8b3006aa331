"""The stand-in's array: values in host memory that follow CuPy's rules."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .capture import perform, refuse_cublas
from .cupy_table import ATOMIC_TYPES, CUBLAS, SYNC_METHODS, TABLE, check_call, words
from .device_memory import Device, Flat, MemoryPointer
from .traffic import counters


def host(x: Any) -> Any:
    """The NumPy value of an argument; NumPy arrays are refused, as in CuPy."""
    if isinstance(x, ndarray):
        return x._a
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}: bring it to the device first, backend.asarray(x)")
    if isinstance(x, list | tuple):
        return type(x)(host(item) for item in x)
    return x


def sources(args: Any) -> Iterator[ndarray]:
    for x in args:
        if isinstance(x, ndarray):
            yield x
        elif isinstance(x, list | tuple):
            yield from sources(x)


def device(result: Any, given: list[ndarray]) -> Any:
    """Wrap a result of NumPy: numbers become 0-d arrays, and views keep their base."""
    if isinstance(result, np.generic | bool | int | float | complex):
        result = np.asarray(result)
    if isinstance(result, list | tuple):
        items = [device(item, given) for item in result]
        return type(result)._make(items) if hasattr(result, "_make") else type(result)(items)
    if not isinstance(result, np.ndarray):
        return result
    for source in given:
        if result is source._a:
            return source
    checked(result)
    base = next((s for s in given if _is_view(result, s._a)), None)
    if base is None:
        counters.count("launches", "a kernel")
    return ndarray(result, base)


def checked(a: np.ndarray) -> np.ndarray:
    """Accept booleans and numbers only, at most as wide as a double (two doubles for complex numbers)."""
    if a.dtype.char not in "?bhilqBHILQefdFD":
        raise TypeError(f"Unsupported dtype {a.dtype}")
    return a


def _is_view(a: np.ndarray, of: np.ndarray) -> bool:
    if a.base is None:
        return False
    return a.base is of or a.base is of.base or np.may_share_memory(a, of)


def call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
    """Run a NumPy function on the values of the arguments, without NumPy's warnings, because a GPU gives none."""
    kwargs = kwargs or {}
    host_args = tuple(host(x) for x in args)
    host_kwargs = {name: host(x) for name, x in kwargs.items()}
    result = perform(function, host_args, host_kwargs)
    if kwargs.get("out") is not None:
        counters.count("launches", "a kernel")
    return device(result, list(sources((*args, *kwargs.values()))))


def may_mix(other: Any) -> bool:
    """Whether an operator accepts ``other``; False leaves it to the other operand, as for classes of xpnet."""
    if isinstance(other, ndarray | int | float | complex | np.generic):
        return True
    if getattr(type(other), "__array_ufunc__", True) is None:
        return False
    raise TypeError(f"Unsupported type {type(other)}: bring it to the device first, backend.asarray(x)")


class Flags:
    """CuPy's flags of an array's layout, which have no ``writeable``."""

    def __init__(self, array: ndarray) -> None:
        self.c_contiguous = array._a.flags.c_contiguous
        self.f_contiguous = array._a.flags.f_contiguous
        self.owndata = array.base is None

    def __getitem__(self, name: str) -> bool:
        return bool(getattr(self, name.lower()))


class ndarray:  # noqa: N801  the name in NumPy and CuPy
    """An array "on the device"."""

    __slots__ = ("__weakref__", "_a", "_base")
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100
    __array_ufunc__ = None  # np.exp(x) would run on the device silently: use the namespace

    def __init__(self, a: np.ndarray, base: ndarray | None = None) -> None:
        self._a = a
        self._base = base if base is None or base._base is None else base._base

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

    def tobytes(self, order: str = "C") -> bytes:
        return self.get().tobytes(order)

    def tofile(self, fid: Any, sep: str = "", format: str = "%s") -> None:  # noqa: A002  CuPy's name
        self.get().tofile(fid, sep, format)

    def dumps(self, file: Any = None) -> bytes:
        raise NotImplementedError("cupy.ndarray.dumps() writes a pickle; no file of ours is one")

    dump = dumps

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

    @property
    def base(self) -> ndarray | None:
        return self._base

    @property
    def flags(self) -> Flags:
        return Flags(self)

    @property
    def data(self) -> MemoryPointer:
        return MemoryPointer(self._a.ctypes.data)

    @property
    def device(self) -> Device:
        return Device()

    @property
    def cstruct(self) -> Any:
        return _needs_a_gpu("cstruct")

    @property
    def flat(self) -> Flat:
        return Flat(self)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        about = dict(self._a.__array_interface__)
        return {name: about[name] for name in ("shape", "typestr", "descr", "data", "strides")} | {"version": 3}

    def toDlpack(self) -> Any:  # noqa: N802
        return _needs_a_gpu("toDlpack()")

    def __dlpack__(self, **options: Any) -> Any:
        return _needs_a_gpu("__dlpack__()")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0  # kDLCUDA

    def mdspan(self, *, index_type: Any = None, allow_unsafe: bool = False) -> Any:
        return _needs_a_gpu("mdspan()")

    def reduced_view(self, dtype: Any = None) -> ndarray:
        return self if dtype is None else self.view(dtype)

    def ptp(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return call(np.ptp, (self, axis, out, keepdims))

    def scatter_add(self, slices: Any, value: Any) -> None:
        at("add", np.add, self, slices, value)

    def scatter_max(self, slices: Any, value: Any) -> None:
        at("maximum", np.maximum, self, slices, value)

    def scatter_min(self, slices: Any, value: Any) -> None:
        at("minimum", np.minimum, self, slices, value)

    @property
    def T(self) -> ndarray:  # noqa: N802
        return ndarray(self._a.T, self)

    @property
    def mT(self) -> ndarray:  # noqa: N802
        return ndarray(self._a.mT, self)

    @property
    def real(self) -> ndarray:
        return device(self._a.real, [self])

    @property
    def imag(self) -> ndarray:
        return device(self._a.imag, [self])

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> ndarray:
        place, _ = place_of(index)
        return device(perform(operator.getitem, (self._a, place)), [self])

    def __setitem__(self, index: Any, value: Any) -> None:
        place, by_array = place_of(index)
        if isinstance(value, list | tuple):
            raise TypeError(f"Unsupported type {type(value)} in an indexed assignment")
        if by_array and not isinstance(value, ndarray):
            counters.count("h2d", "x[index array] = number")  # CuPy copies the number to the device first
        if by_array and isinstance(value, ndarray) and value.size > 1:
            refuse_duplicates(np.arange(self.size).reshape(self.shape)[place])
        perform(operator.setitem, (self._a, place, host(value)))
        counters.count("launches", "a kernel")

    def __copy__(self) -> ndarray:
        return call(np.copy, (self,))

    def __deepcopy__(self, memo: Any) -> ndarray:
        return call(np.copy, (self,))

    def __reduce__(self) -> Any:
        return _from_host, (self.get(),)


def _from_host(values: np.ndarray) -> ndarray:
    """Rebuild a pickled array: writing it is a transfer to the host, and reading it a transfer to the device."""
    counters.count("h2d", "pickle")
    return ndarray(values)


def _needs_a_gpu(name: str) -> Any:
    raise NotImplementedError(f"cupy.ndarray.{name} needs a GPU; the stand-in has none")


def at(name: str, function: Any, a: ndarray, indices: Any, b: Any) -> None:
    """A scatter by atomics.  Floats are refused, although CuPy accepts them, because it adds them in any order, so the
    last digits differ from run to run, and it computes maxima of doubles in float32.
    """
    if a.dtype.name not in ATOMIC_TYPES:
        raise TypeError(f"scatter_{name} only supports {', '.join(sorted(ATOMIC_TYPES))}, not {a.dtype}")
    if a.dtype.kind == "f":
        raise TypeError(f"{name}.at on {a.dtype} is not repeatable on a GPU: use xpnet_backends.sum_rows or max_rows")
    if not isinstance(b, ndarray):
        counters.count("h2d", f"{name}.at(x, indices, number)")
    place, _ = place_of(indices)
    perform(function.at, (a._a, place, host(b)))
    counters.count("launches", "a kernel")


def place_of(index: Any) -> tuple[tuple[Any, ...], bool]:
    """An index for NumPy, and whether it has index arrays.  The Ellipsis makes results 0-d arrays."""
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


def refuse_duplicates(targets: np.ndarray) -> None:
    values, counts = np.unique(targets, return_counts=True)
    if len(values) != targets.size:
        raise IndexError(
            f"duplicate indices in an indexed assignment (element {values[counts > 1][0]} of the flattened array): "
            f"which value is stored is undefined on CuPy"
        )


def _attribute(name: str) -> property:
    return property(lambda self: getattr(self._a, name))


def _method(name: str, text: str) -> Callable[..., Any]:
    function = getattr(np.ndarray, name)

    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        check_call(f"ndarray.{name}", text, args, kwargs)
        if name in SYNC_METHODS:
            counters.count("syncs", f".{name}()")
        if name in CUBLAS:
            refuse_cublas(f".{name}()")
        return call(function, (self, *args), kwargs)

    return method


def _operators(name: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    word = name.strip("_")
    function = getattr(operator, name)

    def forward(self: ndarray, other: Any) -> Any:
        if word == "matmul":
            refuse_cublas("a @ b")
        return call(function, (self, other)) if may_mix(other) else NotImplemented

    def reflected(self: ndarray, other: Any) -> Any:
        return call(function, (other, self)) if may_mix(other) else NotImplemented

    def in_place(self: ndarray, other: Any) -> Any:
        if not may_mix(other):
            return NotImplemented
        counters.count("launches", "a kernel")
        return call(getattr(operator, f"__i{word}__"), (self, other))

    yield f"__{word}__", forward
    yield f"__r{word}__", reflected
    if word != "matmul":
        yield f"__i{word}__", in_place


def _comparison(name: str) -> Callable[..., Any]:
    function = getattr(operator, name)
    return lambda self, other: call(function, (self, other)) if may_mix(other) else NotImplemented


def _unary(name: str) -> Callable[..., Any]:
    function = getattr(operator, name)
    return lambda self: call(function, (self,))


def _fill_class() -> None:
    own = set(vars(ndarray))
    for name in words("shape strides dtype ndim size itemsize nbytes"):
        setattr(ndarray, name, _attribute(name))
    for name, text in TABLE["methods"].items():
        if name not in own and hasattr(np.ndarray, name):
            setattr(ndarray, name, _method(name, text))
    for name in words("add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift"):
        for member, function in _operators(name):
            setattr(ndarray, member, function)
    for name in words("__lt__ __le__ __gt__ __ge__ __eq__ __ne__"):
        setattr(ndarray, name, _comparison(name))
    for name in words("__neg__ __pos__ __abs__ __invert__"):
        setattr(ndarray, name, _unary(name))


_fill_class()
