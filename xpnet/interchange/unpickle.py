"""Pickles read as plain data, by an interpreter that executes nothing.

A pickle is a program for a stack machine.  ``pickle.load`` runs it and calls any function that it names.  This
interpreter knows only the instructions that build numbers, text and containers.  A name such as
``torch.FloatStorage`` becomes a ``Name``, which is text and never looked up.  A call or an object becomes an
``Opaque``, a placeholder that says what was refused, except for the few names that the caller provides stand-ins for.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

_MAX_STEPS = 5_000_000
_KEYS = (str, bytes, int, float, bool, type(None))
_MAKERS = ("copy_reg._reconstructor", "copyreg._reconstructor", "copyreg.__newobj__", "copyreg.__newobj_ex__")


class UnpickleError(ValueError):
    """A pickle is damaged, or holds more than plain data."""


@dataclass(frozen=True)
class Name:
    """A reference in the pickle, ``module.name``, as text only."""

    text: str


class Record(dict[Any, Any]):
    """An ordered dict in the pickle."""


class Opaque(dict[Any, Any]):
    """A placeholder for the result of a call, or for an object; ``why`` says what was refused.

    It holds the items that the pickle sets, because an object may be a subclass of dict.  Attributes and list items
    are dropped.
    """

    __hash__ = object.__hash__  # type: ignore[assignment]  # by identity: comparing contents could take exponential time

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other


@dataclass(frozen=True)
class Mark:
    """Marks where the arguments of the next tuple, list or dict begin."""


_MARK = Mark()


class Machine:
    """Runs consecutive pickles.

    ``stand_ins`` maps a name to the function that is called in its place; ``storage`` is called with a persistent id.
    """

    def __init__(self, stand_ins: Mapping[str, Callable[..., Any]], storage: Callable[[Any], Any]) -> None:
        self.stand_ins, self.storage = stand_ins, storage
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        """The value of the pickle that starts here.  Raises: ``UnpickleError``."""
        self.stack, self.memo = [], {}
        try:
            for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
                if step > _MAX_STEPS:
                    raise UnpickleError(f"it has more than {_MAX_STEPS} instructions")
                if opcode.name == "STOP":
                    return self._pop()
                self._step(opcode.name, argument)
        except UnpickleError:
            raise
        except (
            ValueError,
            IndexError,
            OverflowError,
            EOFError,
            struct.error,
            Warning,
        ) as error:  # warnings about invalid escapes
            raise UnpickleError(f"its pickle is damaged: {error}") from error
        raise UnpickleError("its pickle has no end")

    # -- the stack -----------------------------------------------------------------------------------------------

    def _pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise UnpickleError("its pickle is damaged: the stack is empty")
        return self.stack.pop()

    def _top(self, kind: type | tuple[type, ...], doing: str) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            found = type(self.stack[-1]).__name__ if self.stack else "nothing"
            raise UnpickleError(f"refuses to {doing} {found}")
        return self.stack[-1]

    def _since_mark(self) -> list[Any]:
        values: list[Any] = []
        while self.stack:
            value = self.stack.pop()
            if value is _MARK:
                return values[::-1]
            values.append(value)
        raise UnpickleError("its pickle is damaged: a mark is missing")

    # -- the instructions ----------------------------------------------------------------------------------------

    def _step(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(_VALUES[name](argument))
        elif name in _INSTRUCTIONS:
            _INSTRUCTIONS[name](self, argument)
        else:
            raise UnpickleError(f"refuses the pickle instruction {name}")

    def _object(self, kind: Any) -> None:
        """A placeholder for an object of a class."""
        if isinstance(kind, Opaque):
            self.stack.append(Opaque(kind.why))
            return
        if not isinstance(kind, Name):
            raise UnpickleError(f"refuses to make an object of {type(kind).__name__}")
        self.stack.append(Opaque(f"refuses to make an object of {kind.text}"))

    def _new_object(self, count: int) -> None:
        """``count`` arguments lie above the class."""
        for _ in range(count):
            self._pop()
        self._object(self._pop())

    def _instance(self, argument: Any) -> None:
        self._since_mark()
        self._object(Name(str(argument).replace(" ", ".")))

    def _object_since_mark(self, argument: Any) -> None:
        found = self._since_mark()
        self._object(found[0] if found else None)

    def _global(self, argument: Any) -> None:
        self.stack.append(Name(argument.replace(" ", ".")))

    def _stack_global(self, argument: Any) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise UnpickleError("its pickle is damaged: a name that is not text")
        self.stack.append(Name(f"{module}.{name}"))

    def _reduce(self, argument: Any) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, (Name, Opaque)) or not isinstance(arguments, tuple):
            raise UnpickleError(f"refuses to call {type(function).__name__}")
        if isinstance(function, Opaque):  # the arguments that getattr would have received
            self.stack.append(Opaque(function.why))
            return
        if function.text in _MAKERS and arguments and isinstance(arguments[0], Name):
            self._object(arguments[0])
            return
        if function.text not in self.stand_ins:
            first = [x.why for x in arguments if isinstance(x, Opaque)]  # np.float64: its dtype is a call, too
            self.stack.append(Opaque(first[0] if first else f"refuses to call {function.text}"))
            return
        try:
            self.stack.append(self.stand_ins[function.text](*arguments))
        except TypeError as error:
            raise UnpickleError(f"its {function.text} is not understood: {error}") from error

    def _build(self, argument: Any) -> None:
        """Drop the state: for an ordered dict it is PyTorch's ``_metadata``, and that of an object is not needed."""
        self._pop()
        self._top((Record, Opaque), "set attributes of")

    def _persistent(self, argument: Any) -> None:
        self.stack.append(self.storage(self._pop()))

    def _tuple(self, argument: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _list(self, argument: Any) -> None:
        self.stack.append(self._since_mark())

    def _dict(self, argument: Any) -> None:
        found: dict[Any, Any] = {}
        _fill(found, self._since_mark())
        self.stack.append(found)

    def _append(self, argument: Any) -> None:
        self._extend([self._pop()])

    def _appends(self, argument: Any) -> None:
        self._extend(self._since_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._top((list, Opaque), "append to")
        if isinstance(target, list):
            target.extend(values)

    def _add_items(self, argument: Any) -> None:
        self._since_mark()
        self._top(Opaque, "add to")

    def _frozen_set(self, argument: Any) -> None:
        self._since_mark()
        self.stack.append(Opaque("holds a set"))

    def _setitem(self, argument: Any) -> None:
        value, key = self._pop(), self._pop()
        _fill(self._top(dict, "set items of"), [key, value])

    def _setitems(self, argument: Any) -> None:
        values = self._since_mark()
        _fill(self._top(dict, "set items of"), values)

    def _tuple_of(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self.stack.append(tuple(values[::-1]))

    def _put(self, argument: Any) -> None:
        value = self._pop()
        self.stack.append(value)
        self.memo[len(self.memo) if argument is None else argument] = value

    def _get(self, argument: Any) -> None:
        if argument not in self.memo:
            raise UnpickleError(f"its pickle is damaged: nothing is kept under {argument}")
        self.stack.append(self.memo[argument])


def _fill(target: dict[Any, Any], values: list[Any]) -> None:
    if len(values) % 2:
        raise UnpickleError("its pickle is damaged: a key without a value")
    for key, value in zip(values[::2], values[1::2], strict=True):
        target[_key(key)] = value


def _key(key: Any) -> Any:
    """A key of a dict.  A nested tuple becomes a placeholder, because its hash could take exponential time."""
    if isinstance(key, (*_KEYS, Name, Opaque)) or (isinstance(key, tuple) and all(isinstance(k, _KEYS) for k in key)):
        return key
    if isinstance(key, (list, dict)):
        raise UnpickleError(f"refuses a dict key of type {type(key).__name__}")
    return Opaque(f"has a key of type {type(key).__name__}")


_SAME = (
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
)  # fmt: skip
_VALUES: dict[str, Callable[[Any], Any]] = {
    **{name: lambda argument: argument for name in _SAME},
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_LIST": lambda _: [],
    "EMPTY_DICT": lambda _: {},
    "EMPTY_TUPLE": lambda _: (),
    "EMPTY_SET": lambda _: Opaque("holds a set"),
    "MARK": lambda _: _MARK,
}
_INSTRUCTIONS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "POP": lambda machine, _: machine.stack.__delitem__(-1),
    "POP_MARK": lambda machine, _: machine._since_mark().clear(),
    "GLOBAL": Machine._global,
    "STACK_GLOBAL": Machine._stack_global,
    "REDUCE": Machine._reduce,
    "INST": Machine._instance,
    "OBJ": Machine._object_since_mark,
    "NEWOBJ": lambda machine, _: machine._new_object(1),
    "NEWOBJ_EX": lambda machine, _: machine._new_object(2),
    "ADDITEMS": Machine._add_items,
    "FROZENSET": Machine._frozen_set,
    "BUILD": Machine._build,
    "BINPERSID": Machine._persistent,
    "TUPLE": Machine._tuple,
    "TUPLE1": lambda machine, _: machine._tuple_of(1),
    "TUPLE2": lambda machine, _: machine._tuple_of(2),
    "TUPLE3": lambda machine, _: machine._tuple_of(3),
    "LIST": Machine._list,
    "DICT": Machine._dict,
    "APPEND": Machine._append,
    "APPENDS": Machine._appends,
    "SETITEM": Machine._setitem,
    "SETITEMS": Machine._setitems,
    "PUT": Machine._put,
    "BINPUT": Machine._put,
    "LONG_BINPUT": Machine._put,
    "MEMOIZE": Machine._put,
    "GET": Machine._get,
    "BINGET": Machine._get,
    "LONG_BINGET": Machine._get,
}
