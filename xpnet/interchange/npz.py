"""Weights as NumPy's ``.npz``: arrays by name, and nothing else."""

from __future__ import annotations

import io
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xpnet._files import write_atomically
from xpnet.serialization import CheckpointError, numbers_of
from xpnet_backends import Array, Backend, get_backend

_MAX_EXPANSION = 1100  # deflate compresses by at most about 1030 : 1
_DAMAGE = (
    ValueError, OSError, EOFError, KeyError, struct.error, zipfile.BadZipFile, zlib.error, NotImplementedError,
    RuntimeError, OverflowError, SyntaxError, tokenize.TokenError, TypeError,
)  # fmt: skip


def save_npz(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a state dict as a NumPy ``.npz`` file, atomically.

    ``numpy.load`` reads the file.  The path is used as it is; no suffix is added.

    Raises: ``TypeError`` for a value that is not an array of numbers; ``OSError`` if the file cannot be written.

    >>> import tempfile, xpnet
    >>> layer = xpnet.nn.Linear(3, 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_npz(layer.state_dict(), f"{folder}/layer.npz")
    ...     state = load_npz(f"{folder}/layer.npz", backend="numpy")
    >>> {name: array.shape for name, array in state.items()}
    {'weight': (2, 3), 'bias': (2,)}
    """
    arrays = {}
    for name, value in state.items():
        array = numbers_of(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"save_npz(): {name!r} is not an array of numbers but {type(value).__name__}")
        arrays[name] = array
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:  # np.savez does not accept an array called "file"
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980: equal states give equal files
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    write_atomically(path, content.getvalue())


def load_npz(path: str | os.PathLike[str], backend: str | Backend | None = None) -> dict[str, Array]:
    """Read arrays by name from an ``.npz`` file, onto ``backend`` or the current one.

    Nothing in the file is executed.

    Raises: ``FileNotFoundError``; ``CheckpointError`` if the file is damaged or holds anything other than numbers.

    >>> import tempfile, numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/model.npz", weight=np.eye(2))
    ...     load_npz(f"{folder}/model.npz", backend="numpy")
    {'weight': array([[1., 0.],
           [0., 1.]])}
    """
    target = get_backend(backend)
    content = Path(path).read_bytes()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_sizes(archive, len(content))
            arrays = {entry.filename.removesuffix(".npy"): _read(archive, entry) for entry in archive.infolist()}
    except _DAMAGE as error:
        raise CheckpointError(
            f"{os.fspath(path)} is not a whole .npz of numbers ({len(content)} bytes; {error}): it was truncated, "
            "edited or is something else; take another copy"
        ) from error
    return {name: target.asarray(array) for name, array in arrays.items()}


def _check_sizes(archive: zipfile.ZipFile, size: int) -> None:
    total = sum(entry.file_size for entry in archive.infolist())
    if total > _MAX_EXPANSION * size:
        raise ValueError(f"it claims {total} bytes of arrays")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray[Any, Any]:
    """One array.  Its header is compared with the number of bytes present before memory is allocated."""
    content = archive.read(entry)  # checks the CRC
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read_header:
        raise ValueError(f"{entry.filename!r} has an unknown version {version}")
    shape, by_column, dtype = read_header[version](file)
    if dtype.kind not in "fiub" or dtype.names is not None:
        raise ValueError(f"{entry.filename!r} holds {dtype}, not numbers")
    count = 1
    for length in shape:
        count *= length
    if min(shape, default=0) < 0 or count * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"{entry.filename!r} claims shape {shape} of {dtype}, its data are {len(content)} bytes")
    flat = np.frombuffer(content, dtype, offset=file.tell()).astype(dtype.newbyteorder("="))
    return flat.reshape(shape, order="F" if by_column else "C")
