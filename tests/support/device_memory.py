"""The memory attributes of a CuPy array: pointer, device, flat view.  The names come from the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .cupy_table import TABLE, words
from .traffic import counters


def _refused(kind: str, name: str) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{kind}.{name} needs a GPU; the stand-in has none")

    return method


class Device:
    """The device of an array; there is only one."""

    id = 0
    compute_capability = "90"

    def synchronize(self) -> None:
        counters.count("syncs", "Device.synchronize()")

    def use(self) -> Device:
        return self

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


class MemoryPointer:
    """CuPy's ``array.data``: a pointer on the device, neither an array nor a buffer."""

    device_id = 0

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr
        self.mem = object()
        self.device = Device()

    def __int__(self) -> int:
        return self.ptr

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.ptr + offset)

    def __sub__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.ptr - offset)


class Flat:
    """``array.flat``: an iterator that also accepts slices and integers; ``base`` is the array."""

    def __init__(self, base: Any) -> None:
        self.base = base

    def copy(self) -> Any:
        return self.base.flatten()

    def __len__(self) -> int:
        return int(self.base.size)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.base.ravel())

    def __getitem__(self, index: Any) -> Any:
        return self.base.ravel()[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        places = np.arange(self.base.size).reshape(self.base.shape)
        self.base[np.unravel_index(int(places.ravel()[index]), self.base.shape)] = value


for _class, _names in ((Device, TABLE["device"]), (MemoryPointer, TABLE["memory_pointer"])):
    for _name in words(_names):
        if _name not in vars(_class) | {"ptr": 0, "mem": 0, "device": 0}:
            setattr(_class, _name, _refused(_class.__name__, _name))
