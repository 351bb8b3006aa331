"""Weights in files: safetensors, which anybody can read and which executes nothing."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xpnet._files import write_atomically
from xpnet_backends import Array, Backend, get_backend, is_array, to_numpy

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
        array = numbers_of(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"save(): {name!r} is not an array of numbers but {type(value).__name__}")
        arrays[name] = np.array(array, order="C", copy=True)
    write_atomically(path, _with_metadata(to_bytes(arrays), metadata or {}))


def numbers_of(value: Any) -> np.ndarray[Any, Any]:
    """The values of a tensor, of an array of any backend, or of a list, on the host.

    Only what is no array is asked for ``data``: of a tensor it is the array, of a CuPy array the bare memory.
    """
    return np.asarray(to_numpy(value if is_array(value) else getattr(value, "data", value)))


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
