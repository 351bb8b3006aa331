"""IDX, the format of the MNIST files (LeCun, Cortes, Burges): dtype code, lengths of the axes, big-endian values."""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np

from xpnet._files import write_atomically
from xpnet.data.errors import DataError

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file, decompressed if it is gzip (detected by content, not by name).

    Raises: ``DataError`` for a damaged archive, an empty file, or a web page instead of data.
    """
    try:
        content = Path(path).read_bytes()
    except IsADirectoryError:
        raise DataError(f"{os.fspath(path)} is a folder, not a file") from None
    if content[:2] == b"\x1f\x8b":
        try:
            content = _unpacked(content, os.fspath(path))
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(
                f"{os.fspath(path)} is a damaged gzip file ({error}): delete it and download it again"
            ) from error
    if not content:
        raise DataError(f"{os.fspath(path)} is empty: delete it and download it again")
    if content[:64].lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise DataError(f"{os.fspath(path)} is a web page, not data: delete it and download it again")
    return content


def _unpacked(content: bytes, name: str) -> bytes:
    """The content of a gzip file; more than a hundredfold growth beyond 64 MiB is refused as a decompression bomb."""
    largest = max(1 << 26, 100 * len(content))
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
        unpacked = file.read(largest + 1)
    if len(unpacked) > largest:
        raise DataError(
            f"{name} unpacks to more than {largest} bytes from {len(content)}: if you trust it, unpack it with gunzip"
        )
    return unpacked


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an IDX file, raw or gzip, in native byte order.

    Raises: ``DataError`` if the file is not IDX or is incomplete; nothing larger than the file is allocated.
    """
    content = read_bytes(path)
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(f"{os.fspath(path)} is no IDX file: it starts with {content[:4]!r}, not with two zero bytes")
    code, axes = content[2], content[3]
    if code not in _DTYPES:
        raise DataError(f"{os.fspath(path)}: unknown IDX dtype code 0x{code:02x}")
    start = 4 + 4 * axes
    if len(content) < start:
        raise DataError(f"{os.fspath(path)} ends within its header: it was truncated; download it again")
    shape = struct.unpack(f">{axes}I", content[4:start])
    dtype = np.dtype(_DTYPES[code])
    expected = math.prod(shape) * dtype.itemsize
    if len(content) - start != expected:
        kind = "truncated" if len(content) - start < expected else "too long"
        raise DataError(
            f"{os.fspath(path)} is {kind}: shape {shape} needs {expected} bytes of values, there are "
            f"{len(content) - start}; download it again"
        )
    try:
        array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    except ValueError as error:
        raise DataError(f"{os.fspath(path)}: no array can have the shape {shape} ({error})") from error
    return array.astype(dtype.newbyteorder("="))


def write_idx(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write an array as IDX, with gzip if the name ends in ``.gz``."""
    codes = {np.dtype(name).newbyteorder("="): (code, name) for code, name in _DTYPES.items()}
    if array.dtype.newbyteorder("=") not in codes:
        raise TypeError(f"IDX cannot hold {array.dtype}: uint8, int8, int16, int32, float32 or float64")
    code, name = codes[array.dtype.newbyteorder("=")]
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + np.ascontiguousarray(array).astype(name).tobytes()
    packed = gzip.compress(content, mtime=0) if os.fspath(path).endswith(".gz") else content
    write_atomically(path, packed)
