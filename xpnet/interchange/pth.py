"""PyTorch's ``.pth`` files, today's zip archives and the older plain ones, read without PyTorch.

Nothing in a file is executed: see ``unpickle``.  Whatever a file claims is held against its size before memory is
allocated for it.
"""

from __future__ import annotations

import errno
import io
import math
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.interchange.unpickle import Machine, Name, Record, UnpickleError
from xpnet.serialization import CheckpointError
from xpnet_backends import Array, Backend, get_backend

_MAGIC = 0x1950A86A20F9469CFC6C
_MAX_PICKLE = 64 << 20
_MAX_EXPANSION = 16  # tensors may share storage, or repeat it by a stride of 0
_SLACK = 1 << 20
_MAX_NDIM = 32
_DAMAGE = (ValueError, OSError, EOFError, RuntimeError, struct.error, zipfile.BadZipFile)

_DTYPES = {
    "Double": "<f8", "Float": "<f4", "Half": "<f2", "BFloat16": "bfloat16", "Long": "<i8", "Int": "<i4",
    "Short": "<i2", "Char": "|i1", "Byte": "|u1", "Bool": "|b1",
}  # fmt: skip
_STORAGES = {f"torch.{name}Storage": dtype for name, dtype in _DTYPES.items()}


@dataclass(frozen=True)
class _Storage:
    """A run of numbers in the file, by its key; ``start`` is where a view of it begins."""

    key: str
    dtype: str
    count: int
    start: int = 0

    @property
    def itemsize(self) -> int:
        return 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class _Tensor:
    """What the file says of a tensor."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * max(self.storage.itemsize, 4 if self.storage.dtype == "bfloat16" else 1)


@dataclass
class _File:
    """A file taken apart: its top object, and where the numbers of a storage are."""

    top: Any
    size: int
    data_of: Callable[[_Storage], bytes | memoryview]
    read: dict[str, tuple[str, np.ndarray[Any, Any]]] = field(default_factory=dict)


def load_pth(
    path: str | os.PathLike[str], backend: str | Backend | None = None, *, key: str | None = None
) -> dict[str, Array]:
    """The state dict of a file that ``torch.save`` wrote, on ``backend`` or the one in force; without PyTorch.

    ``key`` picks the state dict out of a checkpoint that holds more, e.g. ``key="model"``.  bfloat16 becomes float32.

    Raises: ``FileNotFoundError``; ``CheckpointError`` where the file is damaged, or wants something executed, with the
    name of what it wants.
    """
    target = get_backend(backend)
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            opened = _open(file, os.fstat(file.fileno()).st_size)
            tensors = _state_dict(opened.top, key)
            _check_total(tensors, opened.size)
            arrays = {k: _materialise(k, t, opened) for k, t in tensors.items()}
    except UnpickleError as error:
        raise CheckpointError(f"{name}: {error}") from error
    except (
        ValueError,
        zipfile.BadZipFile,
        struct.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        OSError,
    ) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # that is a seek to nowhere
            raise
        raise CheckpointError(f"{name} is damaged ({error}): take another copy") from error
    return {k: target.asarray(array) for k, array in arrays.items()}


def _open(file: Any, size: int) -> _File:
    if file.read(4) == b"PK\x03\x04":
        return _open_zip(zipfile.ZipFile(file), size)
    file.seek(0)
    return _open_legacy(file.read())


# -- the two kinds of files ------------------------------------------------------------------------------------------


def _open_zip(archive: zipfile.ZipFile, size: int) -> _File:
    entries = {entry.filename: entry for entry in archive.infolist()}
    if sum(entry.file_size for entry in entries.values()) > size:  # torch.save does not compress
        raise UnpickleError(f"it is damaged: it claims more than the {size} bytes that it has")
    tops = [n for n in entries if n.endswith("/data.pkl") and n.count("/") == 1]
    if len(tops) != 1:
        raise UnpickleError("it is a zip archive, but not of torch.save: it has no data.pkl")
    folder = tops[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in entries:
        raise UnpickleError("it is a TorchScript program, not a state dict: save model.state_dict() instead")

    def content(name: str) -> bytes:
        entry = entries.get(folder + name)
        if entry is None:
            raise UnpickleError(f"it is damaged: {name} is missing")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size:
            raise UnpickleError(f"it is damaged: {name} claims {entry.file_size} bytes in a file of {size}")
        found = archive.read(entry)
        if len(found) != entry.file_size:
            raise UnpickleError(f"it is damaged: {name} has {len(found)} of {entry.file_size} bytes")
        return found

    if f"{folder}byteorder" in entries and content("byteorder") != b"little":
        raise UnpickleError("it was written on a big-endian machine: load and save it again on a common one")
    program = content("data.pkl")
    _check_program(len(program))
    top = Machine(_STAND_INS, _storage).run(io.BytesIO(program))
    return _File(top, size, lambda storage: content(f"data/{storage.key}"))


def _open_legacy(content: bytes) -> _File:
    """Five pickles (magic number, version, system, the object, the keys of its storages), then the storages."""
    file, machine = io.BytesIO(content), Machine(_STAND_INS, _storage)
    try:
        magic = machine.run(file)
    except UnpickleError as error:
        raise UnpickleError(f"it is no file of torch.save ({len(content)} bytes)") from error
    if magic != _MAGIC:
        raise UnpickleError(f"it is no file of torch.save ({len(content)} bytes)")
    machine.run(file)
    system = machine.run(file)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise UnpickleError("it was written on a big-endian machine: load and save it again on a common one")
    storages: dict[str, _Storage] = {}

    def note(persistent: Any) -> _Storage:
        found = _storage(persistent)
        if storages.setdefault(found.key, found).dtype != found.dtype:
            raise UnpickleError(f"it is damaged: storage {found.key!r} has two dtypes")
        return found

    start = file.tell()
    top = Machine(_STAND_INS, note).run(file)
    _check_program(file.tell() - start)
    keys = machine.run(file)
    places = _places(content, file.tell(), keys, storages)

    def data_of(storage: _Storage) -> memoryview:
        if storage.key not in places:
            raise UnpickleError(f"it is damaged: storage {storage.key!r} is missing")
        first, last = places[storage.key]
        return memoryview(content)[first:last]

    return _File(top, len(content), data_of)


def _places(content: bytes, at: int, keys: Any, storages: Mapping[str, _Storage]) -> dict[str, tuple[int, int]]:
    """Where each storage lies: its number of elements in eight bytes, then its elements."""
    places = {}
    for key in keys if isinstance(keys, list) else ():
        if key not in storages:
            raise UnpickleError(f"it is damaged: storage {key!r} is not used")
        count = int.from_bytes(content[at : at + 8], "little")
        end = at + 8 + count * storages[key].itemsize
        if end > len(content):
            raise UnpickleError(
                f"it is damaged: storage {key!r} claims {count} elements, the file ends after {len(content)} bytes"
            )
        places[key] = at + 8, end
        at = end
    return places


def _check_program(size: int) -> None:
    if size > _MAX_PICKLE:
        raise UnpickleError(f"its pickle of {size} bytes is too large for a description of tensors")


# -- stand-ins for what the pickle names -----------------------------------------------------------------------------


def _storage(persistent: Any) -> _Storage:
    """``("storage", class, key, device, count)``, in older files with ``(view key, start, count)`` at the end."""
    if not isinstance(persistent, tuple) or len(persistent) not in (5, 6) or persistent[0] != "storage":
        kind = persistent[0] if isinstance(persistent, tuple) and persistent else persistent
        raise UnpickleError(f"refuses what it refers to: {str(kind)[:40]!r} is no storage of numbers")
    _, kind, key, _, count = persistent[:5]
    name = kind.text if isinstance(kind, Name) else str(type(kind).__name__)
    if name not in _STORAGES:
        raise UnpickleError(f"holds numbers of a kind that is not supported: {name}")
    view = persistent[5] if len(persistent) == 6 else None
    start = 0
    if view is not None:
        if not isinstance(view, tuple) or len(view) != 3:
            raise UnpickleError("it is damaged: a view of a storage is not understood")
        _, start, count = view
    if not isinstance(key, str) or not _natural(count) or not _natural(start):
        raise UnpickleError("it is damaged: a storage without a key or a length")
    return _Storage(key, _STORAGES[name], count, start)


def _natural(x: Any) -> bool:
    return isinstance(x, int) and 0 <= x < 1 << 62


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> _Tensor:
    """``torch._utils._rebuild_tensor_v2``; what follows the strides (hooks and the like) is not used."""
    lengths = (shape, strides)
    if (
        not isinstance(storage, _Storage)
        or not _natural(offset)
        or not all(isinstance(x, tuple) and len(x) <= _MAX_NDIM and all(map(_natural, x)) for x in lengths)
        or len(shape) != len(strides)
    ):
        raise UnpickleError("it is damaged: a tensor's shape, strides or offset are not understood")
    tensor = _Tensor(storage, offset, shape, strides)
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if math.prod(shape) and last >= storage.count:
        raise UnpickleError(
            f"it is damaged: a tensor of shape {shape}, strides {strides} at {offset} reaches beyond its storage of "
            f"{storage.count} elements"
        )
    return tensor


def _parameter(data: Any, requires_grad: Any = True, *rest: Any) -> _Tensor:
    if not isinstance(data, _Tensor):
        raise UnpickleError("it is damaged: a parameter that is no tensor")
    return data


def _ordered_dict() -> Record:
    return Record()


_STAND_INS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
}


# -- from descriptions to arrays -------------------------------------------------------------------------------------


def _state_dict(top: Any, key: str | None) -> dict[str, _Tensor]:
    if key is not None:
        if not isinstance(top, dict) or key not in top:
            has = f"it has {_listed(top)}" if isinstance(top, dict) else f"it is a {type(top).__name__.strip('_')}"
            raise UnpickleError(f"has nothing under key={key!r}: {has}")
        top = top[key]
    if not isinstance(top, dict) or not all(isinstance(k, str) for k in top):
        raise UnpickleError(f"holds no state dict but a {type(top).__name__.strip('_').lower()}")
    others = [k for k, v in top.items() if not isinstance(v, _Tensor)]
    if others:
        inside = [
            k for k in others if isinstance(top[k], dict) and any(isinstance(v, _Tensor) for v in top[k].values())
        ]
        if inside:
            raise UnpickleError(f"is a checkpoint with {_listed(top)}: choose one, e.g. key={inside[0]!r}")
        raise UnpickleError(f"holds no state dict: {others[0]!r} is no tensor but a {type(top[others[0]]).__name__}")
    return top


def _listed(names: Mapping[Any, Any]) -> str:
    shown = [repr(k)[:40] for k in list(names)[:8]]
    return ", ".join(shown) + (", ..." if len(names) > 8 else "")


def _check_total(tensors: Mapping[str, _Tensor], size: int) -> None:
    total = sum(t.nbytes for t in tensors.values())
    if total > _MAX_EXPANSION * size + _SLACK:
        raise UnpickleError(f"claims {total} bytes of tensors in a file of {size}")


def _materialise(key: str, tensor: _Tensor, file: _File) -> np.ndarray[Any, Any]:
    storage = tensor.storage
    dtype, whole = file.read.get(storage.key, (storage.dtype, None))
    if dtype != storage.dtype:
        raise UnpickleError(f"it is damaged: storage {storage.key!r} has two dtypes")
    if whole is None:
        whole = _numbers(file.data_of(storage), storage)
        file.read[storage.key] = dtype, whole
    if not math.prod(tensor.shape):
        return np.zeros(tensor.shape, dtype=whole.dtype)
    part = whole[storage.start : storage.start + storage.count]
    if len(part) != storage.count:
        raise UnpickleError(f"it is damaged: {key!r} needs {storage.count} numbers, its storage has {len(part)}")
    strides = tuple(s * whole.itemsize for s in tensor.strides)
    view = np.lib.stride_tricks.as_strided(part[tensor.offset :], tensor.shape, strides, writeable=False)
    return np.array(view, order="C")


def _numbers(data: bytes | memoryview, storage: _Storage) -> np.ndarray[Any, Any]:
    whole = len(data) // storage.itemsize * storage.itemsize
    if storage.dtype == "bfloat16":  # the upper half of a float32
        halves = np.frombuffer(data[:whole], "<u2").astype(np.uint32)
        widened: np.ndarray[Any, Any] = (halves << np.uint32(16)).view(np.float32)
        return widened
    dtype = np.dtype(storage.dtype)
    if dtype.kind == "b":  # any byte but 0 and 1 would be no bool
        return np.frombuffer(data[:whole], np.uint8).astype(np.bool_)
    numbers: np.ndarray[Any, Any] = np.frombuffer(data[:whole], dtype).astype(dtype.newbyteorder("="), copy=False)
    return numbers
