"""Weights in files: safetensors, which anybody can read and which executes nothing; plain values as JSON."""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xpnet._files import write_atomically
from xpnet_backends import Array, Backend, get_backend, to_numpy

_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U64": "<u8",
    "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
_CHECKSUM = "crc32"  # in the metadata; files of other programs have none


class CheckpointError(ValueError):
    """A checkpoint that is damaged, or of another model."""


def save(state: Mapping[str, Any], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays by name, e.g. ``xpnet.save(model.state_dict(), "model.safetensors")``; whole or not at all.

    ``metadata`` is text to keep beside them.  Raises: ``OSError`` where the file cannot be written.
    """
    from safetensors.numpy import save as to_bytes

    arrays = {}
    for name, value in state.items():
        value = getattr(value, "data", value) if not isinstance(value, np.ndarray) else value
        array = np.asarray(to_numpy(value))
        if array.dtype.kind not in "fiub":
            raise TypeError(f"save(): {name!r} is not an array of numbers but {type(value).__name__}")
        arrays[name] = np.array(array, order="C", copy=True)
    write_atomically(path, _with_metadata(to_bytes(arrays), metadata or {}))


def _with_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """Put text and a checksum into a safetensors header, always in the same order: equal states give equal files."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = {"__metadata__": dict(sorted(metadata.items())), **json.loads(content[8:end])}
    header["__metadata__"][_CHECKSUM] = _checksum(header, content[end:])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the values stay aligned
    return len(text).to_bytes(8, "little") + text + content[end:]


def _checksum(header: Mapping[str, Any], values: bytes) -> str:
    """CRC-32 of all that a file says: names, shapes and metadata, in any spelling, and the values."""
    return f"{zlib.crc32(values, zlib.crc32(json.dumps(header, sort_keys=True).encode())):08x}"


def load(path: str | os.PathLike[str], backend: str | Backend | None = None) -> dict[str, Array]:
    """Arrays by name from a safetensors file, on ``backend`` or the one in force.  bfloat16 becomes float32.

    Raises: ``FileNotFoundError``; ``CheckpointError`` where the file is truncated, edited or something else.
    """
    return load_with_metadata(path, backend)[0]


def load_with_metadata(
    path: str | os.PathLike[str], backend: str | Backend | None = None
) -> tuple[dict[str, Array], dict[str, str]]:
    """As ``load``, and the text kept beside the arrays."""
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
            raise ValueError("its checksum is another one")
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise CheckpointError(
            f"{os.fspath(path)} is not a whole safetensors file ({len(content)} bytes; {error}): it was truncated, "
            "edited or is something else; take another copy"
        ) from error
    return {name: target.asarray(array) for name, array in arrays.items()}, metadata


def _numbers(name: str, about: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    kind, shape = about["dtype"], about["shape"]
    if kind == "BF16":  # the upper half of a float32
        return (np.frombuffer(about["data"], "<u2").astype("uint32") << 16).view("float32").reshape(shape)
    if kind not in _DTYPES:
        raise ValueError(f"{name!r} holds {kind}, which is not supported")
    dtype = np.dtype(_DTYPES[kind])
    return np.frombuffer(about["data"], dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)


_NUMPY_KINDS = "biufU"  # of the NumPy values that are plain: truth values, numbers, text
_MOST_CHARACTERS = 10_000


def to_plain(value: Any) -> Any:
    """A plain value as JSON holds it, such that ``from_plain`` gives it back: equal, and of the same type.

    Plain are None, truth values, numbers, text; tuples, lists and dicts of them; NumPy's scalars and arrays of truth
    values, numbers and text.  What JSON has no form for becomes a dict with one key that begins with "$".  A subclass,
    such as an enumeration's member that is also a str, is written as the plain value that it equals.

    >>> to_plain((16, np.int64(8), float("inf")))
    {'$tuple': [16, {'$numpy': ['<i8', 8]}, {'$float': 'inf'}]}
    >>> from_plain(to_plain((16, np.int64(8), float("inf"))))
    (16, np.int64(8), inf)

    Raises: ``TypeError`` that names what is not plain.
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
    """What ``to_plain`` was given.  Raises: ``ValueError`` where it cannot have written this."""
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
        raise ValueError(f"no value can be of the dtype {kind}")
    return kind
