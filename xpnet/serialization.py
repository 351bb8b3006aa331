"""Save and load weights and checkpoints as safetensors, a portable format that executes no code."""

from __future__ import annotations

import json
import math
import os
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xpnet._files import write_atomically
from xpnet_backends import Array, Backend, get_backend, is_array, to_numpy

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U64": "<u8",
    "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_CHECKSUM = "crc32"  # key in the metadata; files of other programs have none
_LONGEST_HEADER = 100_000_000 - 8  # bytes; readers of safetensors accept no more
_TREE = "xpnet.tree"  # key in the metadata: the structure of a checkpoint and its values that are not arrays
_WRAPPERS: dict[str, tuple[type, Callable[..., Any]]] = {}


class CheckpointError(ValueError):
    """A checkpoint is damaged or belongs to another model."""


def save(state: Mapping[str, Any], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Write a state dict or a checkpoint to a safetensors file.  The write is atomic: a failure leaves the old file.

    A checkpoint is a nested dict such as ``{"model": model.state_dict(), "optimizer": optimizer.state_dict(),
    "epoch": 3}``.  Its arrays are stored under their paths ("model.0.weight"), so that other programs can read them;
    everything else is JSON in the metadata.

    Parameters
    ----------
    state : arrays by name, or dicts, lists and tuples of arrays, tensors, numbers, strings and None.
    path : the file to write.
    metadata : strings to store beside the arrays.

    Raises: ``TypeError`` that names the path of a value that cannot be saved; ``OSError`` if writing fails.

    >>> import tempfile, xpnet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     xpnet.save({"weight": np.ones(2), "epoch": 3}, folder + "/model.safetensors")
    ...     xpnet.load(folder + "/model.safetensors")
    {'weight': array([1., 1.]), 'epoch': 3}
    """
    from safetensors.numpy import save as to_bytes

    _check_saveable(state)
    about = dict(metadata or {})
    values = {name: _unwrapped(value)[1] for name, value in state.items()}
    if "__metadata__" not in state and all(type(name) is str and is_array(value) for name, value in values.items()):
        arrays = {name: _host(_place((name,)), value) for name, value in values.items()}
    else:
        arrays = {}
        about[_TREE] = json.dumps(_encode(state, (), arrays, ()), separators=(",", ":"))
        if not arrays and all(isinstance(value, str) for value in state.values()):
            name, value = next(iter(state.items()))
            raise TypeError(f"save(): {name!r} is not an array of numbers but {type(value).__name__}")
    write_atomically(path, _with_metadata(to_bytes(arrays), about))


def keep_type(name: str, kind: type, make: Callable[..., Any]) -> None:
    """Register a class that holds an array in ``data``, so that ``save`` accepts it and ``load`` creates it again."""
    _WRAPPERS[name] = (kind, make)


def _check_saveable(state: Any) -> None:
    if isinstance(state, Mapping):
        return
    name = type(state).__name__
    if hasattr(state, "state_dict"):
        raise TypeError(f"save(): a {name} is saved as its state: xpnet.save(x.state_dict(), path)")
    raise TypeError(f"save() takes a dict of arrays by name, got {name}: xpnet.save({{'x': x}}, path)")


def _unwrapped(value: Any) -> tuple[str, Any]:
    """The name of the type of ``value`` in the file, and its array; otherwise "array" and the value itself."""
    found: tuple[str, Any] = ("array", value)
    for name, (kind, _) in _WRAPPERS.items():
        if isinstance(value, kind):  # the last match is the most specific class
            found = (name, value.data)  # type: ignore[attr-defined]
    return found


def _host(place: str, value: Array) -> np.ndarray[Any, Any]:
    array = np.asarray(to_numpy(value))
    if array.dtype.kind not in "fiub":
        raise TypeError(f"save(): {place} is not an array of numbers but an array of {array.dtype}")
    return np.array(array, order="C", copy=True)


# A checkpoint as JSON: None, booleans, strings, integers, finite floats and lists stand for themselves.  All else is an
# object with one key that names its type: {"dict": [[key, value], ...]}, {"tuple": [...]}, {"float": "nan"},
# {"array": name}, {"number": [dtype, name]}, {"tensor": [name, requires_grad]}.


def _encode(value: Any, path: tuple[Any, ...], arrays: dict[str, Any], within: tuple[int, ...]) -> Any:
    """``value`` as JSON.  Its arrays are added to ``arrays``."""
    if id(value) in within:
        raise ValueError(f"save(): {_place(path)} holds itself: a file cannot represent that")
    within = (*within, id(value))
    if isinstance(value, np.generic) and value.dtype.kind in "fiub":
        return {"number": [value.dtype.name, _put(np.asarray(value), path, arrays)]}
    if value is None or isinstance(value, (bool, str, int)):
        return str(value) if isinstance(value, str) else value if isinstance(value, bool | None) else int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    kind, array = _unwrapped(value)
    if is_array(array):
        name = _put(array, path, arrays)
        return {kind: name} if kind == "array" else {kind: [name, bool(value.requires_grad)]}
    if type(value) in (list, tuple):
        parts = [_encode(part, (*path, i), arrays, within) for i, part in enumerate(value)]
        return parts if type(value) is list else {"tuple": parts}
    if isinstance(value, Mapping):
        pairs = [[_encode_key(key, path), _encode(part, (*path, key), arrays, within)] for key, part in value.items()]
        return {"ordered" if isinstance(value, OrderedDict) else "dict": pairs}
    raise TypeError(f"save(): {_place(path)} is a {type(value).__name__}, which cannot be saved{_fix(value)}")


def _encode_key(key: Any, path: tuple[Any, ...]) -> Any:
    key = key.item() if isinstance(key, np.integer) else str(key) if isinstance(key, np.str_) else key
    plain = key is None or type(key) in (bool, int, str) or (type(key) is float and math.isfinite(key))
    if not plain and not (type(key) is tuple and all(type(part) in (bool, int, float, str) for part in key)):
        raise TypeError(
            f"save(): {_place(path)} has the key {key!r}, a {type(key).__name__}: keys are text, numbers, or tuples of "
            "them"
        )
    return {"tuple": list(key)} if type(key) is tuple else key


def _put(array: Array, path: tuple[Any, ...], arrays: dict[str, Any]) -> str:
    wanted = ".".join(str(part) for part in path)
    name, count = wanted, 1
    while name in arrays or name == "__metadata__":
        count += 1
        name = f"{wanted}#{count}"
    arrays[name] = _host(_place(path), array)
    return name


def _place(path: tuple[Any, ...]) -> str:
    return "state" + "".join(f"[{part!r}]" for part in path)


def _fix(value: Any) -> str:
    if hasattr(value, "state_dict"):
        return ": save its state_dict()"
    if isinstance(value, (set, frozenset)):
        return ": make a list of it"
    if isinstance(value, tuple):
        return ": make a tuple or a dict of it"
    if isinstance(value, os.PathLike):
        return ": save str(path)"
    if isinstance(value, complex):
        return ": save its parts, (z.real, z.imag)"
    if callable(value):
        return ": save its name"
    return ": save the numbers and the text in it"


def _decode(node: Any, arrays: Mapping[str, np.ndarray[Any, Any]], target: Backend) -> Any:
    if node is None or isinstance(node, (bool, int, float, str)):
        return node
    if isinstance(node, list):
        return [_decode(part, arrays, target) for part in node]
    ((kind, value),) = node.items()
    if kind in ("dict", "ordered"):
        pairs = ((_decode(key, arrays, target), _decode(part, arrays, target)) for key, part in value)
        return dict(pairs) if kind == "dict" else OrderedDict(pairs)
    if kind == "tuple":
        return tuple(_decode(part, arrays, target) for part in value)
    if kind == "float":
        return float(value)
    if kind == "number":
        return np.dtype(value[0]).type(arrays[value[1]])
    if kind == "array":
        return target.asarray(arrays[value])
    return _WRAPPERS[kind][1](target.asarray(arrays[value[0]]), bool(value[1]))


def numbers_of(value: Any) -> np.ndarray[Any, Any]:
    """The values of a tensor, an array of any backend or a list, as a NumPy array.

    ``data`` is read only from values that are not arrays, because ``data`` of a CuPy array is its raw memory.
    """
    return np.asarray(to_numpy(value if is_array(value) else getattr(value, "data", value)))


def _with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """Add metadata and a checksum to a safetensors header, in a fixed order, so that equal states give equal files."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = {"__metadata__": dict(sorted(metadata.items())), **json.loads(content[8:end])}
    header["__metadata__"][_CHECKSUM] = _checksum(header, content[end:])
    text = json.dumps(header, separators=(",", ":")).encode()
    if len(text) > _LONGEST_HEADER:
        raise ValueError(
            f"save(): {len(text) / 1e6:.0f} MB of names, text and lists do not fit into a safetensors header: "
            "convert long lists of numbers to arrays"
        )
    text += b" " * (-len(text) % 8)  # keeps the values aligned
    return len(text).to_bytes(8, "little") + text + content[end:]


def _checksum(header: Mapping[str, Any], values: bytes) -> str:
    """CRC-32 of the content of a file: its header, independent of JSON formatting, and its values."""
    return f"{zlib.crc32(values, zlib.crc32(json.dumps(header, sort_keys=True).encode())):08x}"


def load(path: str | os.PathLike[str], backend: str | Backend | None = None) -> dict[str, Any]:
    """Read what ``save`` wrote, or the arrays of any safetensors file, on ``backend`` or the current backend.

    bfloat16 becomes float32.

    Raises: ``FileNotFoundError``; ``CheckpointError`` if the file is truncated, edited or in another format.

    >>> import tempfile, xpnet
    >>> layer = xpnet.nn.Linear(2, 1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     xpnet.save(layer.state_dict(), folder + "/model.safetensors")
    ...     layer.load_state_dict(xpnet.load(folder + "/model.safetensors"))
    <All keys matched successfully>
    """
    return load_with_metadata(path, backend)[0]


def load_with_metadata(
    path: str | os.PathLike[str], backend: str | Backend | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Like ``load``, and also return the metadata."""
    from safetensors import SafetensorError, deserialize

    content = Path(path).read_bytes()
    target = get_backend(backend)
    try:
        entries = deserialize(content)  # type: ignore[no-untyped-call]
        arrays = {name: _numbers(name, about) for name, about in entries}
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:end])
        metadata = header.get("__metadata__", {})
        noted = metadata.pop(_CHECKSUM, None)
        if noted is not None and noted != _checksum(header, content[end:]):
            raise ValueError("its checksum does not match")
        tree = metadata.pop(_TREE, None)
        state = _place_all(arrays, target) if tree is None else _decode(json.loads(tree), arrays, target)
        if not isinstance(state, dict):
            raise ValueError("it does not contain a dict")
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{os.fspath(path)} is not a whole safetensors file ({len(content)} bytes; {error}): it was truncated, "
            "edited or is something else; take another copy"
        ) from error
    return state, metadata


def _place_all(arrays: Mapping[str, np.ndarray[Any, Any]], target: Backend) -> dict[str, Any]:
    return {name: target.asarray(array) for name, array in arrays.items()}


def _numbers(name: str, about: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    kind, shape = about["dtype"], about["shape"]
    if kind == "BF16":  # the upper half of a float32
        return (np.frombuffer(about["data"], "<u2").astype("uint32") << 16).view("float32").reshape(shape)
    if kind not in _DTYPES:
        raise ValueError(f"{name!r} holds {kind}, which is not supported")
    dtype = np.dtype(_DTYPES[kind])
    return np.frombuffer(about["data"], dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)


_NUMPY_KINDS = "biufU"  # kinds of plain NumPy values: booleans, numbers, strings
_MOST_CHARACTERS = 10_000


def to_plain(value: Any) -> Any:
    """Convert a plain value to JSON types, such that ``from_plain`` restores an equal value of the same type.

    Plain values are None, booleans, numbers and strings; tuples, lists and dicts of them; NumPy scalars and arrays of
    booleans, numbers and strings.  A value that JSON cannot represent becomes a dict with one key that starts with "$".
    A subclass, such as an enum member that is also a str, is written as the plain value that it equals.

    >>> to_plain((16, np.int64(8), float("inf")))
    {'$tuple': [16, {'$numpy': ['<i8', 8]}, {'$float': 'inf'}]}
    >>> from_plain(to_plain((16, np.int64(8), float("inf"))))
    (16, np.int64(8), inf)

    Raises: ``TypeError`` that names the value that is not plain.
    """
    if isinstance(value, np.generic | np.ndarray):
        return _numpy_to_plain(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, tuple):
        return {"$tuple": [to_plain(entry) for entry in value]}
    if isinstance(value, list):
        return [to_plain(entry) for entry in value]
    if isinstance(value, dict):
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: to_plain(entry) for key, entry in value.items()}
        return {"$dict": [[to_plain(key), to_plain(entry)] for key, entry in value.items()]}
    raise TypeError(f"{value!r} of type {type(value).__name__} is no plain value: {_PLAIN}")


_PLAIN = "None, True, False, numbers, text, NumPy's numbers, and tuples, lists and dicts of these"


def _numpy_to_plain(value: Any) -> dict[str, Any]:
    kind = value.dtype
    if kind.kind == "O" and isinstance(value, np.ndarray):
        return {"$array": ["O", list(value.shape), [to_plain(entry) for entry in value.ravel().tolist()]]}
    if kind.kind not in _NUMPY_KINDS or (kind.kind == "f" and kind.itemsize > 8):
        raise TypeError(f"{value!r} of dtype {kind} is no plain value: {_PLAIN}")
    if isinstance(value, np.ndarray):
        return {"$array": [kind.str, list(value.shape), [to_plain(entry) for entry in value.ravel().tolist()]]}
    return {"$numpy": [kind.str, to_plain(value.item())]}


def from_plain(value: Any) -> Any:
    """Restore the value that ``to_plain`` converted.  Raises: ``ValueError`` for values that it cannot have written."""
    if isinstance(value, list):
        return [from_plain(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if not any(key.startswith("$") for key in value):
        return {key: from_plain(entry) for key, entry in value.items()}
    try:
        ((key, content),) = value.items()
        if key == "$tuple":
            return tuple(from_plain(content))
        if key == "$float":
            return float(content)
        if key == "$dict":
            return {from_plain(k): from_plain(v) for k, v in content}
        if key == "$numpy":
            return _dtype(content[0]).type(from_plain(content[1]))
        if key == "$array":
            kind, shape, entries = content
            if kind != "O" and len(entries) * _dtype(kind).itemsize > 1 << 28:
                raise ValueError("too large")
            array = np.empty(len(entries), dtype=np.dtype(object) if kind == "O" else _dtype(kind))
            array[:] = [from_plain(entry) for entry in entries]
            return array.reshape(tuple(shape))
    except (TypeError, ValueError, IndexError, OverflowError, KeyError) as error:
        raise ValueError(f"this is no plain value: {str(value)[:80]} ({error})") from error
    raise ValueError(f"this is no plain value: {str(value)[:80]}")


def _dtype(text: Any) -> np.dtype[Any]:
    kind = np.dtype(str(text))
    if kind.kind not in _NUMPY_KINDS or kind.itemsize > 4 * _MOST_CHARACTERS:
        raise ValueError(f"a plain value cannot have the dtype {kind}")
    return kind
