"""The ONNX messages that xpnet uses, with the field numbers of ``onnx.proto``, and ONNX tensors as arrays."""

# ruff: noqa: RUF009  one() and many() make fields

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.interchange.onnx.protobuf import many, one


class OnnxError(ValueError):
    """An ONNX file is damaged, a network cannot be written as ONNX, or an op is not supported."""


DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip
DTYPE_CODES = {name: code for code, name in DTYPES.items()}


@dataclass
class Entry:
    """A remark."""

    key: str | None = one(1, "text")
    value: str | None = one(2, "text")


@dataclass
class Tensor:
    """Numbers and their shape.  The numbers are in ``raw``, in the list for their dtype, or in the external file."""

    dims: list[int] = many(1, "int")
    dtype: int | None = one(2, "int")
    floats: list[float] = many(4, "float")
    int32s: list[int] = many(5, "int")
    texts: list[Any] = many(6, "bytes")
    int64s: list[int] = many(7, "int")
    name: str | None = one(8, "text")
    raw: Any = one(9, "bytes")
    doubles: list[float] = many(10, "double")
    uint64s: list[int] = many(11, "int")
    external: list[Entry] = many(13, Entry)
    location: int | None = one(14, "int")


@dataclass
class Attribute:
    """An option of a node."""

    name: str | None = one(1, "text")
    f: float | None = one(2, "float")
    i: int | None = one(3, "int")
    s: Any = one(4, "bytes")
    t: Tensor | None = one(5, Tensor)
    floats: list[float] = many(7, "float")
    ints: list[int] = many(8, "int")
    strings: list[Any] = many(9, "bytes")
    kind: int | None = one(20, "int")
    reference: str | None = one(21, "text")  # in a function: the option of the call that provides the value


@dataclass
class Node:
    """One op: names of values in, names of values out."""

    inputs: list[str] = many(1, "text")
    outputs: list[str] = many(2, "text")
    name: str | None = one(3, "text")
    op: str | None = one(4, "text")
    attributes: list[Attribute] = many(5, Attribute)
    domain: str | None = one(7, "text")
    overload: str | None = one(8, "text")


@dataclass
class Dimension:
    """A length, or the name of a variable length."""

    value: int | None = one(1, "int")
    name: str | None = one(2, "text")


@dataclass
class Shape:
    """The length of each axis."""

    dims: list[Dimension] = many(1, Dimension)


@dataclass
class TensorType:
    """Dtype and shape."""

    dtype: int | None = one(1, "int")
    shape: Shape | None = one(2, Shape)


@dataclass
class Type:
    """A type; only tensor types are read."""

    tensor: TensorType | None = one(1, TensorType)


@dataclass
class Value:
    """The name and type of an input or output."""

    name: str | None = one(1, "text")
    type: Type | None = one(2, Type)


@dataclass
class Sparse:
    """The nonzero numbers of a tensor and their indices."""

    numbers: Tensor | None = one(1, Tensor)


@dataclass
class Graph:
    """Nodes, usually in an order in which they can be computed."""

    nodes: list[Node] = many(1, Node)
    name: str | None = one(2, "text")
    weights: list[Tensor] = many(5, Tensor)
    inputs: list[Value] = many(11, Value)
    outputs: list[Value] = many(12, Value)
    sparse: list[Sparse] = many(15, Sparse)


@dataclass
class Opset:
    """An operator set (domain) and its version."""

    domain: str | None = one(1, "text")
    version: int | None = one(2, "int")


@dataclass
class Function:
    """A function: nodes that define an op of the file's own."""

    name: str | None = one(1, "text")
    inputs: list[str] = many(4, "text")
    outputs: list[str] = many(5, "text")
    nodes: list[Node] = many(7, Node)
    opsets: list[Opset] = many(9, Opset)
    domain: str | None = one(10, "text")
    defaults: list[Attribute] = many(11, Attribute)
    overload: str | None = one(13, "text")


@dataclass
class Model:
    """A whole file."""

    ir_version: int | None = one(1, "int")
    producer: str | None = one(2, "text")
    producer_version: str | None = one(3, "text")
    graph: Graph | None = one(7, Graph)
    opsets: list[Opset] = many(8, Opset)
    metadata: list[Entry] = many(14, Entry)
    functions: list[Function] = many(25, Function)


_TEXT = 8
_MAX_TEXT = 1 << 24


def to_array(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The numbers or texts of a tensor.  Raises: ``OnnxError`` if their count does not match the shape."""
    name = f"tensor {tensor.name!r}" if tensor.name else "a tensor"
    if tensor.location:
        raise OnnxError(f"{name} is in another file, which is not named: save the model as one file")
    if tensor.dtype not in DTYPES and not (tensor.dtype == _TEXT and tensor.texts):
        raise OnnxError(f"{name} has dtype {tensor.dtype}, which is not supported here")
    if min(tensor.dims, default=0) < 0 or len(tensor.dims) > 32:
        raise OnnxError(f"{name} has shape {tensor.dims[:33]}")
    if tensor.dtype == _TEXT:
        dtype, numbers = np.dtype(np.str_), _texts(tensor, name)
    else:
        dtype = np.dtype(DTYPES[tensor.dtype or 0])
        numbers = _from_raw(tensor, dtype) if tensor.raw is not None else _from_list(tensor, dtype)
    if numbers.size != math.prod(tensor.dims):
        raise OnnxError(f"{name} has shape {tuple(tensor.dims)} but {numbers.size} numbers of {dtype}")
    return numbers.reshape(tensor.dims)


def _texts(tensor: Tensor, name: str) -> np.ndarray[Any, Any]:
    try:
        found = [bytes(text).decode() for text in tensor.texts]
    except UnicodeDecodeError as error:
        raise OnnxError(f"{name} is not text: {error}") from None
    if len(found) * max(map(len, found)) > _MAX_TEXT:  # NumPy gives every text the size of the longest
        raise OnnxError(f"{name} has {len(found)} texts of up to {max(map(len, found))} characters")
    return np.array(found, np.str_)


def _from_raw(tensor: Tensor, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if len(tensor.raw) % dtype.itemsize:
        raise OnnxError(f"tensor {tensor.name!r} has {len(tensor.raw)} bytes, not a multiple of the size of {dtype}")
    if dtype.kind == "b":  # any byte other than 0 and 1 is not a valid bool
        return np.frombuffer(tensor.raw, np.uint8).astype(np.bool_)
    numbers: np.ndarray[Any, Any] = np.frombuffer(tensor.raw, dtype.newbyteorder("<")).astype(dtype)
    return numbers


def _from_list(tensor: Tensor, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """float16 is stored as the integer of its bits; small integers and bool are stored as int32."""
    by_dtype: dict[str, list[Any]] = {
        "float32": tensor.floats, "float64": tensor.doubles, "int64": tensor.int64s, "uint32": tensor.uint64s,
        "uint64": tensor.uint64s,
    }  # fmt: skip
    values = by_dtype.get(dtype.name, tensor.int32s)
    if dtype.name == "float16":
        bits: np.ndarray[Any, Any] = np.array(values, np.int64).astype(np.uint16).view(np.float16)
        return bits
    if dtype.kind == "f":
        return np.array(values, dtype)
    whole: np.ndarray[Any, Any] = np.array(values, np.int64).astype(dtype)
    return whole


def to_tensor(array: np.ndarray[Any, Any], name: str | None = None) -> Tensor:
    """An array as a message."""
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    return Tensor(dims=list(array.shape), dtype=DTYPE_CODES[array.dtype.name], name=name, raw=little.tobytes())


def attribute(name: str, value: Any) -> Attribute:
    """A Python value as an attribute of a node: number, text, list of integers, or array."""
    if isinstance(value, (bool, int)):
        return Attribute(name=name, i=int(value), kind=2)
    if isinstance(value, float):
        return Attribute(name=name, f=value, kind=1)
    if isinstance(value, str):
        return Attribute(name=name, s=value.encode(), kind=3)
    if isinstance(value, np.ndarray):
        return Attribute(name=name, t=to_tensor(value), kind=4)
    if value and all(isinstance(v, str) for v in value):
        return Attribute(name=name, strings=[v.encode() for v in value], kind=8)
    return Attribute(name=name, ints=[int(v) for v in value], kind=7)
