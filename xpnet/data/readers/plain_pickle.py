"""Read plain data from a file in Python's pickle format, without executing anything.

A pickle is a program for a small stack machine, and Python's machine calls any function that the program names.  This
one supports only the instructions that build dicts, lists, tuples, strings, bytes and numbers.  It recognises the three
names that NumPy uses to write an array, without calling them.  Any other instruction or name is an error.
"""

from __future__ import annotations

import math
import pickletools
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.data.errors import DataError

_MOST_STEPS = 1_000_000  # a batch of CIFAR-10 takes 50,000
_RECONSTRUCT, _NDARRAY, _DTYPE = "_reconstruct", "ndarray", "dtype"
_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DTYPE,
}


@dataclass
class _Name:
    """A known name that occurs in the file."""

    meaning: str


class _ByteType:
    """NumPy's dtype of a byte."""


@dataclass(eq=False)
class _Array:
    """A placeholder for an array: NumPy's files create it first and fill it later."""

    values: np.ndarray | None = None


def read_plain_pickle(content: bytes, name: str) -> Any:
    """The content of a pickle: dict, list, tuple, str, bytes, int, float, bool, None, and NumPy arrays of bytes.

    Strings of Python 2 become str in Latin-1.  ``name`` is the name of the file for errors.

    Raises: ``DataError`` for a damaged file, and for any other content, with its position.
    """
    machine = _Machine(name, len(content))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about invalid escapes in strings
        try:
            for step, (opcode, argument, place) in enumerate(pickletools.genops(content)):
                if step == _MOST_STEPS:
                    raise machine.refuse(f"more than {_MOST_STEPS} instructions")
                machine.place = place or 0
                machine.run(opcode.name, argument)
        except DataError:
            raise
        except (ValueError, OverflowError, IndexError, KeyError, TypeError) as error:
            raise DataError(
                f"{name} is no pickle of plain data, or damaged ({error!r:.200}): download it again"
            ) from error
    return _finished(machine.stack[-1] if machine.stack else None)


class _Machine:
    """The stack, its marks, and the memo of reused values."""

    def __init__(self, name: str, room: int) -> None:
        self.name, self.room = name, room  # bytes left for arrays: in total at most the size of the file
        self.place = 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memory: dict[int, Any] = {}

    def refuse(self, what: str) -> DataError:
        return DataError(
            f"{self.name}: refused: byte {self.place} asks for {what}. Only plain data and NumPy arrays of bytes are "
            "read, and nothing is executed: do not trust this file"
        )

    def run(self, opcode: str, argument: Any) -> None:
        stack = self.stack
        match opcode:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                self.marks.append(len(stack))
            case "POP":
                stack.pop()
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode == "NEWTRUE")
            case "EMPTY_DICT" | "EMPTY_LIST" | "EMPTY_TUPLE":
                stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[opcode]())
            case "DICT":
                stack.append(self._filled({}, self._since_mark()))
            case "LIST":
                stack.append(self._since_mark())
            case "TUPLE":
                stack.append(tuple(self._since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self._last(int(opcode[-1]))))
            case "APPEND":
                self._extend(self._last(1))
            case "APPENDS":
                self._extend(self._since_mark())
            case "SETITEM":
                items = self._last(2)
                self._filled(stack[-1], items)
            case "SETITEMS":
                items = self._since_mark()
                self._filled(stack[-1], items)
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memory[argument] = stack[-1]
            case "MEMOIZE":
                self.memory[len(self.memory)] = stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memory[argument])
            case "GLOBAL":
                stack.append(self._named(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                stack.append(self._named(*self._last(2)))
            case "REDUCE":
                stack.append(self._called(*self._last(2)))
            case "BUILD":
                [state] = self._last(1)
                self._build(stack[-1], state)
            case _ if opcode in _VALUES:
                if type(argument) is int and argument.bit_length() > 64:
                    raise self.refuse("a number of more than 64 bits")
                stack.append(argument)
            case _:
                raise self.refuse(f"the instruction {opcode}" + ("" if argument is None else f" ({argument!r:.100})"))

    def _last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("the stack is empty")
        taken = self.stack[-count:]
        del self.stack[-count:]
        return taken

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        taken = self.stack[start:]
        del self.stack[start:]
        return taken

    def _extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise self.refuse(f"appending to a {type(self.stack[-1]).__name__}")
        self.stack[-1].extend(items)

    def _filled(self, target: Any, items: list[Any]) -> Any:
        if type(target) is not dict:
            raise self.refuse(f"items of a {type(target).__name__}")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) not in (str, bytes, int):
                raise self.refuse(f"a key that is a {type(key).__name__}")
            target[key] = value
        return target

    def _named(self, module: Any, name: Any) -> _Name:
        if type(module) is not str or type(name) is not str:
            raise self.refuse("a name that is no text")
        if (module, name) not in _NAMES:
            raise self.refuse(f"the name {f'{module}.{name}'!r:.100}")
        return _Name(_NAMES[module, name])

    def _called(self, function: Any, arguments: Any) -> _Array | _ByteType:
        """``_reconstruct(ndarray, (0,), "b")`` or ``dtype("u1", ...)``; nothing is called."""
        meaning = function.meaning if type(function) is _Name else None
        match arguments:
            case (_Name(meaning="ndarray"), (0,), "b" | b"b") if meaning == _RECONSTRUCT:
                return _Array()
            case ("u1" | b"u1", *_) if meaning == _DTYPE:
                return _ByteType()
            case (str() | bytes(), *_) if meaning == _DTYPE:
                raise self.refuse(f"an array of the dtype {arguments[0]!r:.20}")
        raise self.refuse(f"a call of {function.meaning if meaning else type(function).__name__} in an unknown way")

    def _build(self, target: Any, state: Any) -> None:
        """Fill an array from ``(version, shape, dtype, Fortran order, values)``."""
        if type(target) is _ByteType and type(state) is tuple:
            return  # byte order and the like: a byte has none
        match state:
            case (int(), tuple(shape), _ByteType(), int(fortran), str() | bytes()) if (
                type(target) is _Array and target.values is None
            ):
                values = state[4].encode("latin-1") if isinstance(state[4], str) else state[4]
            case _:
                raise self.refuse(f"the state of a {type(target).__name__.strip('_').lower()} in an unknown way")
        if not all(type(n) is int and n >= 0 for n in shape) or math.prod(shape) != len(values) or len(shape) > 8:
            raise ValueError(f"an array of another size than its {len(values)} bytes")
        self.room -= len(values)
        if self.room < 0:
            raise self.refuse("arrays larger than the file")
        target.values = np.frombuffer(values, np.uint8).reshape(shape, order="F" if fortran else "C")


_VALUES = frozenset((
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8",
))  # fmt: skip


def _finished(value: Any) -> Any:
    """Replace placeholders by their arrays, also in the values of dicts."""
    if type(value) is dict:
        return {key: entry.values if type(entry) is _Array else entry for key, entry in value.items()}
    return value.values if type(value) is _Array else value
