"""Weights in external files beside an ONNX file.

A file of weights must be in the folder of the network or below it, also after symbolic links are followed.  Otherwise
a network from a stranger could read any file of the user.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from xpnet.interchange.onnx.messages import DTYPES, Model, Node, OnnxError, Tensor

_EXTERNAL = 1
_MOST_READS = (
    4  # limit on the size of all weights as a multiple of their files' size, because tensors may share numbers
)


def attach_files(model: Model, path: Path) -> None:
    """Load the bytes of all tensors in external files.  Raises: ``OnnxError`` with the tensor and the file."""
    tensors = [t for t in _tensors(model) if t.location]
    if not tensors:
        return
    folder, opened, total = path.parent, {}, 0
    for tensor in tensors:
        title = f"tensor {tensor.name!r}" if tensor.name else "a tensor"
        place = {entry.key or "": entry.value or "" for entry in tensor.external}
        name = place.get("location", "")
        if tensor.location != _EXTERNAL or not name:
            raise OnnxError(f"{title} is in another file, which is not named: save the model as one file")
        if name not in opened:
            opened[name] = _open(title, name, folder)
        tensor.raw, tensor.location = _part(title, name, opened[name], tensor, place), None
        total += len(tensor.raw)
        if total > _MOST_READS * sum(map(len, opened.values())):
            raise OnnxError(f"{title}: the tensors claim {total} bytes, several times what {name!r} has")


def _tensors(model: Model) -> Iterator[Tensor]:
    """All tensors of a file: weights, and tensors in the options of nodes."""
    if model.graph is not None:
        yield from model.graph.weights
        yield from _of_nodes(model.graph.nodes)
    for function in model.functions:
        yield from _of_nodes(function.nodes)


def _of_nodes(nodes: Sequence[Node]) -> Iterator[Tensor]:
    for node in nodes:
        yield from (a.t for a in node.attributes if a.t is not None)


def _open(title: str, name: str, folder: Path) -> memoryview:
    """The bytes of external files, read on demand."""
    parts = {*PurePosixPath(name).parts, *PureWindowsPath(name).parts}
    if ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor or "\0" in name:
        raise OnnxError(
            f"{title} lies in {name[:200]!r}, which is not within the folder of the network: it is not read"
        )
    home, found = Path(os.path.realpath(folder)), Path(os.path.realpath(folder / name))
    if not found.is_relative_to(home):
        raise OnnxError(
            f"{title} lies in {name[:200]!r}, a link to {str(found)!r} outside the folder of the network: it is not "
            "followed; put a copy of the file in its place"
        )
    if not found.is_file():
        what = "is not a file" if found.exists() else "is missing"
        raise OnnxError(f"{title} lies in {name[:200]!r}, which {what}: it belongs beside the .onnx file in {folder}")
    with found.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)) if size else memoryview(b"")


def _part(title: str, name: str, content: memoryview, tensor: Tensor, place: dict[str, str]) -> Any:
    offset = _number(title, "offset", place.get("offset", "0"))
    needed = _bytes_needed(tensor)
    length = _number(title, "length", place["length"]) if place.get("length") else needed
    if offset + length > len(content):
        raise OnnxError(f"{title} lies at {offset} to {offset + length} of {name!r}, which has {len(content)} bytes")
    if length != needed:
        raise OnnxError(
            f"{title} has shape {tuple(tensor.dims[:33])}, {needed} bytes, but lies in {length} of {name!r}"
        )
    return content[offset : offset + length]


def _number(title: str, what: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise OnnxError(f"{title}: its {what} {text[:40]!r} in another file is not an integer")
    return int(text)


def _bytes_needed(tensor: Tensor) -> int:
    """The number of bytes that a tensor needs; zero for dtypes that ``to_array`` refuses."""
    if tensor.dtype not in DTYPES or min(tensor.dims, default=0) < 0 or len(tensor.dims) > 32:
        return 0
    return math.prod(tensor.dims) * np.dtype(DTYPES[tensor.dtype]).itemsize
