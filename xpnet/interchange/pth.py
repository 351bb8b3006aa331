"""Read PyTorch's ``.pth`` files, zip archives and the older plain files, without PyTorch.

Nothing in a file is executed: see ``unpickle``.  Every size that a file claims is compared with the file's own size
before memory is allocated.
"""

from __future__ import annotations

import errno
import io
import math
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.interchange.unpickle import Machine, Name, Opaque, Record, UnpickleError
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
_BYTES = "torch.storage.UntypedStorage"  # a storage whose tensors name their dtype themselves
_NAMED_DTYPES = {"torch.uint16": "<u2", "torch.uint32": "<u4", "torch.uint64": "<u8"}
_OTHER_SIZES = {  # element sizes; the values are not read, but a plain file must be read past them
    "torch.ComplexFloatStorage": 8, "torch.ComplexDoubleStorage": 16, "torch.QInt8Storage": 1, "torch.QUInt8Storage": 1,
    "torch.QInt32Storage": 4, "torch.QUInt4x2Storage": 1, "torch.QUInt2x4Storage": 1,
}  # fmt: skip
_WRAPPERS = ("module.", "_orig_mod.")
_STARTS = (  # the first bytes of files that are often mistaken for PyTorch's
    (b"version https://git-lfs", "it is a pointer of Git LFS: fetch the file itself (git lfs pull)"),
    (b"<", "it is a web page: download the file itself"),
    (b"\x1f\x8b", "it is compressed by gzip: unpack it first"),
    (b"\x89HDF", "it is an HDF5 file"),
)


@dataclass(frozen=True)
class _Storage:
    """A contiguous run of numbers in the file, by its key; ``start`` is where a view of it begins."""

    key: str
    dtype: str
    count: int
    start: int = 0
    unsupported: str = ""

    @property
    def itemsize(self) -> int:
        return 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class _Tensor:
    """The description of a tensor in the file."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    negated: bool = False  # the file holds the numbers negated

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * max(self.storage.itemsize, 4 if self.storage.dtype == "bfloat16" else 1)


@dataclass
class _File:
    """A parsed file: its top object, and the bytes of each storage."""

    top: Any
    size: int
    data_of: Callable[[_Storage], bytes | memoryview]
    read: dict[str, tuple[str, np.ndarray[Any, Any]]] = field(default_factory=dict)


def load_pth(
    path: str | os.PathLike[str],
    backend: str | Backend | None = None,
    *,
    key: str | None = None,
    prefix: str | None = None,
) -> dict[str, Array]:
    """Read the state dict from a file that ``torch.save`` wrote, without PyTorch.

    bfloat16 becomes float32.  Nothing else in the file is read, and nothing in it is executed.

    Parameters
    ----------
    path :
        A zip archive, or one of the plain files from before PyTorch 1.6.
    backend :
        The backend of the arrays; by default the current one.
    key :
        The place of the state dict in a checkpoint that holds more: ``"model"``, or a path such as ``"ema.model"``.
    prefix :
        A prefix of all keys of the state dict, which is removed.  By default the prefixes of wrappers are removed:
        ``module.`` (``DataParallel``), ``_orig_mod.`` (``torch.compile``), and ``model.`` in a checkpoint of Lightning;
        the counter of an averaged model and ``_extra_state`` are left out.  ``""`` keeps all keys unchanged.

    Raises: ``FileNotFoundError``; ``CheckpointError`` if the file is damaged, if the state dict is an object that
    would have to be executed (the error names it), or if the file is a checkpoint and ``key`` is missing (the error
    lists the keys to choose from).

    >>> state = load_pth("tests/fixtures/pth/model.pth", backend="numpy")
    >>> {name: array.shape for name, array in list(state.items())[:2]}
    {'0.weight': (2, 1, 3, 3), '0.bias': (2,)}
    """
    target = get_backend(backend)
    name = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            opened = _open(file, os.fstat(file.fileno()).st_size)
            tensors = _renamed(_state_dict(opened.top, key), prefix, _of_lightning(opened.top))
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
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # seeking to a position outside the file
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
        raise UnpickleError(
            f"it is a zip archive, but torch.save did not write it: it has no data.pkl{_other_archive(entries)}"
        )
    folder = tops[0].removesuffix("data.pkl")
    if f"{folder}constants.pkl" in entries or any(name.startswith(f"{folder}code/") for name in entries):
        raise UnpickleError(_TORCHSCRIPT)

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
    top = Machine(_STAND_INS, _reference).run(io.BytesIO(program))
    return _File(top, size, lambda storage: content(f"data/{storage.key}"))


_TORCHSCRIPT = (
    "it is a TorchScript program, not a state dict: save model.state_dict() instead, in PyTorch: "
    "torch.save(torch.jit.load(FILE).state_dict(), NEW)"
)


def _other_archive(names: Mapping[str, Any]) -> str:
    """The kind of archive that it may be instead."""
    if any(name.endswith("/model.json") for name in names):
        return ": " + _TORCHSCRIPT
    if any(name.endswith(".npy") for name in names):
        return ": read a .npz by load_npz"
    return ""


def _open_legacy(content: bytes) -> _File:
    """Five pickles (magic number, version, system, the object, the keys of its storages), then the storages."""
    file, machine = io.BytesIO(content), Machine(_STAND_INS, _reference)
    try:
        magic = machine.run(file)
    except UnpickleError as error:
        raise UnpickleError(_no_file(content)) from error
    if magic != _MAGIC:
        raise UnpickleError(_no_file(content))
    machine.run(file)
    system = machine.run(file)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise UnpickleError("it was written on a big-endian machine: load and save it again on a common one")
    storages: dict[str, _Storage] = {}

    def note(persistent: Any) -> _Storage | Name:
        found = _reference(persistent)
        if isinstance(found, _Storage) and storages.setdefault(found.key, found).dtype != found.dtype:
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


def _no_file(content: bytes) -> str:
    what = next((f": {said}" for start, said in _STARTS if content.lstrip().startswith(start)), "")
    if content[257:262] == b"ustar":
        what = ": it is a tar archive, as PyTorch wrote before 2017: load and save it again there"
    elif content[8:9] == b"{" and content[:8] != bytes(8):
        what = ": read a .safetensors by xpnet.load"
    return f"it is not a file of torch.save ({len(content)} bytes){what}"


def _places(content: bytes, at: int, keys: Any, storages: Mapping[str, _Storage]) -> dict[str, tuple[int, int]]:
    """The place of each storage: its number of elements in eight bytes, then its elements."""
    places = {}
    for key in keys if isinstance(keys, list) else ():
        if not isinstance(key, str) or key not in storages:
            named = repr(key)[:40] if isinstance(key, str) else "of a key that is not text"
            raise UnpickleError(f"it is damaged: storage {named} is not used")
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


def _reference(persistent: Any) -> _Storage | Name:
    """A storage; for ``("module", class, file, source)``, with which plain files refer to a layer's class, the name."""
    of_class = isinstance(persistent, tuple) and len(persistent) == 4 and persistent[0] == "module"
    if of_class and isinstance(persistent[1], Name):
        return persistent[1]
    return _storage(persistent)


def _storage(persistent: Any) -> _Storage:
    """``("storage", class, key, device, count)``, in older files with ``(view key, start, count)`` at the end."""
    if not isinstance(persistent, tuple) or len(persistent) not in (5, 6) or persistent[0] != "storage":
        kind = persistent[0] if isinstance(persistent, tuple) and persistent else persistent
        shown = (
            kind[:40] if isinstance(kind, str) else type(kind).__name__
        )  # deeply nested tuples are too long to print
        raise UnpickleError(f"refuses what it refers to: {shown!r} is not a storage of numbers")
    _, kind, key, _, count = persistent[:5]
    name = kind.text if isinstance(kind, Name) else str(type(kind).__name__)
    view = persistent[5] if len(persistent) == 6 else None
    start = 0
    if view is not None:
        if not isinstance(view, tuple) or len(view) != 3:
            raise UnpickleError("it is damaged: a view of a storage is not understood")
        _, start, count = view
    if not isinstance(key, str) or not _natural(count) or not _natural(start):
        raise UnpickleError("it is damaged: a storage without a key or a length")
    if name in _STORAGES or name == _BYTES:
        return _Storage(key, _STORAGES.get(name, "|u1"), count, start)
    return _Storage(key, f"|V{_OTHER_SIZES.get(name, 1)}", count, start, name)


def _natural(x: Any) -> bool:
    return isinstance(x, int) and 0 <= x < 1 << 62


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> _Tensor:
    """``torch._utils._rebuild_tensor_v2``.

    Of the arguments after the strides, ``requires_grad, hooks, metadata``, only the sign is used.
    """
    lengths = (shape, strides)
    if (
        not isinstance(storage, _Storage)
        or not _natural(offset)
        or not all(isinstance(x, tuple) and len(x) <= _MAX_NDIM and all(map(_natural, x)) for x in lengths)
        or len(shape) != len(strides)
    ):
        raise UnpickleError("it is damaged: a tensor's shape, strides or offset are not understood")
    metadata = rest[2] if len(rest) > 2 and isinstance(rest[2], dict) else {}
    tensor = _Tensor(storage, offset, shape, strides, metadata.get("neg") is True)
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if math.prod(shape) and last >= storage.count:
        raise UnpickleError(
            f"it is damaged: a tensor of shape {shape}, strides {strides} at {offset} reaches beyond its storage of "
            f"{storage.count} elements"
        )
    return tensor


def _tensor_of_bytes(
    storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, dtype: Any, metadata: Any = None
) -> _Tensor:
    """``torch._utils._rebuild_tensor_v3``: the storage is counted in bytes, and the dtype is named."""
    if not isinstance(storage, _Storage) or not isinstance(dtype, Name):
        raise UnpickleError("it is damaged: a tensor's storage or dtype is not understood")
    if dtype.text in _NAMED_DTYPES:
        known = _NAMED_DTYPES[dtype.text]
        size = np.dtype(known).itemsize
        typed = replace(storage, dtype=known, count=storage.count // size, start=storage.start // size)
    else:
        typed = replace(storage, unsupported=dtype.text)
    return _tensor(typed, offset, shape, strides, grad, hooks, metadata)


def _subclass(function: Any, kind: Any, arguments: Any, *rest: Any) -> Any:
    """``torch._tensor._rebuild_from_type_v2``: a tensor with attributes, or of a class made of tensors."""
    known = {name: make for name, make in _STAND_INS.items() if name.startswith("torch._utils.")}
    name = function.text if isinstance(function, Name) else ""
    if name not in known or not isinstance(arguments, tuple):
        return Opaque(f"refuses to call {name or type(function).__name__}")
    return known[name](*arguments)


def _parameter(data: Any, requires_grad: Any = True, *rest: Any) -> _Tensor | Opaque:
    if isinstance(data, Opaque):
        return data
    if not isinstance(data, _Tensor):
        raise UnpickleError("it is damaged: a parameter that is not a tensor")
    return data


def _ordered_dict(pairs: Any = ()) -> Record:
    """Protocols 0 and 1 give the items as a list of pairs."""
    if not isinstance(pairs, (list, tuple)) or not all(isinstance(p, (list, tuple)) and len(p) == 2 for p in pairs):
        raise TypeError("its items are not pairs")
    if not all(isinstance(key, str) for key, _ in pairs):
        raise TypeError("its keys are not text")
    return Record(pairs)


_STAND_INS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "collections.defaultdict": lambda *factory: Record(),
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_bytes,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch._tensor._rebuild_from_type_v2": _subclass,
}


# -- from descriptions to arrays -------------------------------------------------------------------------------------


def _state_dict(top: Any, key: str | None) -> dict[str, _Tensor]:
    where = "" if key is None else f"under key={key!r} it "
    if key is not None:
        top = _under(top, key)
    if isinstance(top, Opaque) and not any(isinstance(value, (_Tensor, dict)) for value in top.values()):
        advice = ": save model.state_dict() instead" if top.why.startswith("refuses to make") else ""
        raise UnpickleError(f"{where}holds no state dict, and {top.why}{advice}")
    if not isinstance(top, dict) or not all(isinstance(k, str) for k in top):
        raise UnpickleError(f"{where}holds no state dict but a {type(top).__name__.strip('_').lower()}")
    values = {name: value for name, value in top.items() if not name.endswith("_extra_state")}
    tensors = {name: value for name, value in values.items() if isinstance(value, _Tensor)}
    others = [name for name in values if name not in tensors]
    if others:
        inside = _state_dicts(values, "" if key is None else f"{key}.")
        if inside:
            choice = ", ".join(f"key={name!r}" for name in inside[:8])
            raise UnpickleError(f"{where}is a checkpoint with {_listed(values)}: choose one, e.g. {choice}")
        value = values[others[0]]
        what = f" ({value.why})" if isinstance(value, Opaque) else f" but a {type(value).__name__.lower()}"
        raise UnpickleError(f"{where}holds no state dict: {others[0]!r} is not a tensor{what}")
    for name, tensor in tensors.items():
        if tensor.storage.unsupported:
            raise UnpickleError(f"{name!r} holds numbers of a kind that is not supported: {tensor.storage.unsupported}")
    return tensors


def _under(top: Any, key: str) -> Any:
    """The entry under a key, or under a path of keys joined by dots."""
    if isinstance(top, dict) and key in top:
        return top[key]
    found, parts = top, key.split(".")
    while parts and isinstance(found, dict):
        fitting = [n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in found]
        if not fitting:
            break
        found, parts = found[".".join(parts[: fitting[0]])], parts[fitting[0] :]
    if parts:
        has = f"it has {_listed(top)}" if isinstance(top, dict) else f"it is a {type(top).__name__.strip('_').lower()}"
        raise UnpickleError(f"has nothing under key={key!r}: {has}")
    return found


def _state_dicts(top: Mapping[Any, Any], path: str, depth: int = 3) -> list[str]:
    """The paths of all that look like a state dict, that is, dicts whose values are all tensors."""
    found = []
    for name, value in list(top.items())[:1000]:
        if not isinstance(name, str) or not isinstance(value, dict) or not value:
            continue
        tensors = [v for k, v in value.items() if not (isinstance(k, str) and k.endswith("_extra_state"))]
        if tensors and all(isinstance(k, str) for k in value) and all(isinstance(v, _Tensor) for v in tensors):
            found.append(path + name)
        elif depth > 1 and len(found) < 8:
            found += _state_dicts(value, f"{path}{name}.", depth - 1)
    return found


def _of_lightning(top: Any) -> bool:
    return isinstance(top, dict) and "pytorch-lightning_version" in top


def _renamed(tensors: dict[str, _Tensor], prefix: str | None, lightning: bool) -> dict[str, _Tensor]:
    """The keys without the prefixes that wrappers of the network added."""
    if prefix is not None:
        if strange := [name for name in tensors if not name.startswith(prefix)]:
            raise UnpickleError(
                f"{strange[0]!r} does not begin with prefix={prefix!r}; its keys are {_listed(tensors)}"
            )
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    averaged = {name: tensor for name, tensor in tensors.items() if name != "n_averaged"}
    if averaged and all(name.startswith("module.") for name in averaged):
        tensors = averaged
    wrappers = (*_WRAPPERS, "model.") if lightning else _WRAPPERS
    while found := [w for w in wrappers if tensors and all(n.startswith(w) and n != w for n in tensors)]:
        tensors = {name.removeprefix(found[0]): tensor for name, tensor in tensors.items()}
    plain = {name.replace("._orig_mod.", "."): tensor for name, tensor in tensors.items()}  # compiled submodules
    return plain if len(plain) == len(tensors) else tensors


def _listed(names: Mapping[Any, Any]) -> str:
    shown = [repr(k)[:40] if isinstance(k, (str, int)) else f"a {type(k).__name__}" for k in list(names)[:8]]
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
    return np.negative(view, order="C") if tensor.negated else np.array(view, order="C")


def _numbers(data: bytes | memoryview, storage: _Storage) -> np.ndarray[Any, Any]:
    whole = len(data) // storage.itemsize * storage.itemsize
    if storage.dtype == "bfloat16":  # the upper half of a float32
        halves = np.frombuffer(data[:whole], "<u2").astype(np.uint32)
        widened: np.ndarray[Any, Any] = (halves << np.uint32(16)).view(np.float32)
        return widened
    dtype = np.dtype(storage.dtype)
    if dtype.kind == "b":  # any byte other than 0 and 1 is not a valid bool
        return np.frombuffer(data[:whole], np.uint8).astype(np.bool_)
    numbers: np.ndarray[Any, Any] = np.frombuffer(data[:whole], dtype).astype(dtype.newbyteorder("="), copy=False)
    return numbers
