"""Protocol buffers on the wire: dataclasses to bytes and back.

A message is a sequence of fields.  Each field is a varint ``number << 3 | type`` and a value: type 0 is a varint, 1 is
eight bytes, 2 is a length and that many bytes, 5 is four bytes.  Source: protobuf.dev/programming-guides/encoding.

A message class is a dataclass whose fields are created by ``one`` and ``many``.  Unknown fields are skipped.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")

_MAX_DEPTH = 32
_MAX_MESSAGES = 2_000_000  # an empty message takes two bytes in the file and hundreds in memory


class WireError(ValueError):
    """The bytes are not a valid message."""


@dataclasses.dataclass(frozen=True)
class _Field:
    """``kind``: "int", "float", "double", "text", "bytes", or "message" with the class in ``of``."""

    number: int
    kind: str
    many: bool
    of: Any = None


def one(number: int, kind: Any) -> Any:
    """An optional field, None if absent."""
    return dataclasses.field(default=None, metadata={"wire": _field(number, kind, False)})


def many(number: int, kind: Any) -> Any:
    """A repeated field: a list."""
    return dataclasses.field(default_factory=list, metadata={"wire": _field(number, kind, True)})


def _field(number: int, kind: Any, repeats: bool) -> _Field:
    return _Field(number, kind, repeats) if isinstance(kind, str) else _Field(number, "message", repeats, kind)


@cache
def _fields_of(message: type) -> dict[int, tuple[str, _Field]]:
    """Name and field by number."""
    return {f.metadata["wire"].number: (f.name, f.metadata["wire"]) for f in dataclasses.fields(message)}


# -- reading ---------------------------------------------------------------------------------------------------------


def decode(message: type[T], content: bytes) -> T:
    """The message in ``content``.  Raises: ``WireError``.  No list is longer than the content in bytes."""
    return _read_message(message, memoryview(content), 0, [0])


def _read_message(message: type[T], view: memoryview, depth: int, count: list[int]) -> T:
    count[0] += 1
    if depth > _MAX_DEPTH or count[0] > _MAX_MESSAGES:
        raise WireError("messages nested too deep" if depth > _MAX_DEPTH else "too many messages")
    found = message()
    fields = _fields_of(message)  # type: ignore[arg-type]  # mypy looks at the hash of its instances
    for number, wire, value in _records(view):
        if number not in fields:
            continue
        name, field = fields[number]
        if field.kind == "message":
            if wire != 2:
                raise WireError(f"{message.__name__}.{name} is not a message")
            values = [_read_message(field.of, value, depth + 1, count)]
        else:
            values = _READERS[field.kind](wire, value, f"{message.__name__}.{name}")
        if field.many:
            getattr(found, name).extend(values)
        elif values:
            setattr(found, name, values[-1])
    return found


def _records(view: memoryview) -> Iterator[tuple[int, int, Any]]:
    """The number, wire type and raw value of each field."""
    at, end = 0, len(view)
    while at < end:
        tag, at = _varint(view, at)
        number, wire = tag >> 3, tag & 7
        if number == 0 or wire not in (0, 1, 2, 5):
            raise WireError(f"an unknown wire type {wire}" if number else "a field without a number")
        if wire == 0:
            value, at = _varint(view, at)
            yield number, wire, value
            continue
        length, at = _varint(view, at) if wire == 2 else (8 if wire == 1 else 4, at)
        if length > end - at:
            raise WireError(f"a field of {length} bytes where {end - at} are left")
        yield number, wire, view[at : at + length]
        at += length


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """Seven bits per byte, lowest first; the top bit says that more bytes follow."""
    value = shift = 0
    while True:
        if at >= len(view) or shift > 63:
            raise WireError("it ends within a number" if at >= len(view) else "a number of more than ten bytes")
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _read_ints(wire: int, value: Any, name: str) -> list[int]:
    if wire == 0:
        return [_signed(value)]
    if wire != 2:
        raise WireError(f"{name} is not an integer")
    values, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        values.append(_signed(number))
    return values


def _read_floats(code: str, alone: int) -> Callable[[int, Any, str], list[Any]]:
    size = struct.calcsize(code)

    def read(wire: int, value: Any, name: str) -> list[Any]:
        if wire not in (2, alone) or len(value) % size:
            raise WireError(f"{name} is not a list of numbers")
        return list(struct.unpack(f"<{len(value) // size}{code}", value))

    return read


def _read_text(wire: int, value: Any, name: str) -> list[str]:
    try:
        return [bytes(_bytes_of(wire, value, name)).decode()]
    except UnicodeDecodeError as error:
        raise WireError(f"{name} is not text: {error}") from None


def _bytes_of(wire: int, value: Any, name: str) -> memoryview:
    if wire != 2:
        raise WireError(f"{name} is not a byte string")
    view: memoryview = value
    return view


_READERS: dict[str, Callable[[int, Any, str], list[Any]]] = {
    "int": _read_ints,
    "float": _read_floats("f", 5),
    "double": _read_floats("d", 1),
    "text": _read_text,
    "bytes": lambda wire, value, name: [_bytes_of(wire, value, name)],
}


# -- writing ---------------------------------------------------------------------------------------------------------


def encode(message: Any) -> bytes:
    """The bytes of a message: fields in the order of their numbers, absent ones left out."""
    parts = []
    kind: Any = type(message)
    for number, (name, field) in sorted(_fields_of(kind).items()):
        value = getattr(message, name)
        if field.many and field.kind in _PACKED and value:
            parts.append(_chunk(number, b"".join(_PACKED[field.kind](v) for v in value)))
            continue
        for v in value if field.many else () if value is None else (value,):
            parts.append(_write(number, field.kind, v))
    return b"".join(parts)


def _write(number: int, kind: str, value: Any) -> bytes:
    if kind in _PACKED:
        return _write_varint(number << 3 | {"int": 0, "float": 5, "double": 1}[kind]) + _PACKED[kind](value)
    return _chunk(number, encode(value) if kind == "message" else value.encode() if kind == "text" else bytes(value))


def _chunk(number: int, content: bytes) -> bytes:
    return _write_varint(number << 3 | 2) + _write_varint(len(content)) + content


def _write_varint(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


_PACKED: dict[str, Callable[[Any], bytes]] = {
    "int": _write_varint,
    "float": struct.Struct("<f").pack,
    "double": struct.Struct("<d").pack,
}
