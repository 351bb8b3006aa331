"""Reusable, nestable ``with`` blocks.  They may end in any order, and in a thread that did not enter them.

``ContextVar.reset`` restores the value from before a block.  That value is wrong if another block began in between.
Here each block removes only its own entry.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Generic, TypeVar

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Block(Generic[T]):
    """One open block and its value."""

    __slots__ = ("ended", "token", "value")

    def __init__(self, value: T) -> None:
        self.value = value
        self.ended = False  # True once a context other than the one that entered it has left it
        self.token: Token[tuple[Block[T], ...]] | None = None


def innermost(blocks: tuple[Block[T], ...], default: T) -> T:
    """The value of the block that was entered last."""
    for block in reversed(blocks):
        if not block.ended:
            return block.value
    return default


class Blocks(Generic[T]):
    """The open blocks of one kind.  Each thread and task has its own; a copied context inherits the open blocks.

    ``get()`` returns them, oldest first: an empty tuple if none is open.
    """

    def __init__(self, name: str) -> None:
        self._variable: ContextVar[tuple[Block[T], ...]] = ContextVar(name, default=())
        self.get = self._variable.get

    def enter(self, value: T) -> Block[T]:
        """Open a block."""
        block = Block(value)
        block.token = self._variable.set((*self.get(), block))
        return block

    def leave(self, block: Block[T]) -> None:
        """Close a block, even if newer blocks are open or another context entered it."""
        here = self.get()
        left = here[:-1] if here and here[-1] is block else tuple(b for b in here if b is not block and not b.ended)
        assert block.token is not None
        try:
            self._variable.reset(block.token)
        except ValueError:  # another context entered it, and this one cannot change that context
            block.ended = True
        self._variable.set(left)

    def holding(self, value: T) -> Holding[T]:
        """A context manager and decorator for blocks with this value."""
        return Holding(self, value)


class Holding(Generic[T]):
    """A reusable context manager and decorator for one value.

    A decorated generator or coroutine is inside the block while its body runs.  Its caller is not.
    """

    def __init__(self, blocks: Blocks[T], value: T) -> None:
        self._blocks, self._value = blocks, value
        self._open: list[Block[T]] = []

    def __enter__(self) -> None:
        self._open.append(self._blocks.enter(self._value))

    def __exit__(self, *_: object) -> None:
        if not self._open:
            raise RuntimeError("this block was left more often than it was entered")
        here, block = self._blocks.get(), self._open[-1]
        if not here or here[-1] is not block:  # take the newest block of this thread, else the newest of all threads
            block = next((one for one in reversed(here) if one in self._open), block)
        self._open.remove(block)
        self._blocks.leave(block)

    def __call__(self, function: F) -> F:
        """Wrap a function so that its body runs inside such a block."""
        if isinstance(function, (staticmethod, classmethod)):
            return type(function)(self(function.__func__))
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"only functions can be decorated with this, got {function!r}: decorate its methods")
        if inspect.isasyncgenfunction(function):
            wrapped: Any = self._around_async_generator(function)
        elif inspect.iscoroutinefunction(function):
            wrapped = self._around_coroutine(function)
        elif inspect.isgeneratorfunction(function):
            wrapped = self._around_generator(function)
        else:
            wrapped = self._around(function)
        known = functools.WRAPPER_UPDATES if inspect.isroutine(function) else ()  # skip the state of callable objects
        return functools.update_wrapper(wrapped, function, updated=known)  # type: ignore[return-value]

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            with self._blocks.holding(self._value):
                return function(*args, **kwargs)

        return run

    def _around_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            resume, given = inner.send, None
            while True:
                try:
                    with self._blocks.holding(self._value):
                        value = resume(given)
                except StopIteration as end:
                    return end.value
                try:
                    given = yield value
                    resume = inner.send
                except GeneratorExit:
                    with self._blocks.holding(self._value):
                        inner.close()
                    raise
                except BaseException as error:
                    resume, given = inner.throw, error

        return run

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            return await _Stepwise(self, function(*args, **kwargs))

        return run

    def _around_async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            resume, given = inner.asend, None
            while True:
                try:
                    value = await _Stepwise(self, resume(given))
                except StopAsyncIteration:
                    return
                try:
                    given = yield value
                    resume = inner.asend
                except GeneratorExit:
                    await _Stepwise(self, inner.aclose())
                    raise
                except BaseException as error:
                    resume, given = inner.athrow, error

        return run


class _Stepwise:
    """An awaitable whose steps run inside a block.  Other tasks of the event loop run outside it."""

    def __init__(self, holding: Holding[Any], awaitable: Any) -> None:
        self._run = holding._around_generator(lambda: awaitable.__await__())

    def __await__(self) -> Any:
        return self._run()


class Lent:
    """Values that blocks overwrite and restore, correctly even if the blocks end in another order.

    When a block ends, its saved value passes to a later open block that overwrote the same key.  If there is none,
    the value is restored.
    """

    def __init__(self) -> None:
        self._open: list[MutableMapping[Any, Any]] = []
        self._lock = threading.Lock()

    @contextmanager
    def block(self, found: MutableMapping[Any, Any], put_back: Callable[[Any, Any], None]) -> Iterator[None]:
        """``found`` maps keys to the earlier values; ``put_back(key, value)`` restores one of them."""
        self._open.append(found)
        try:
            yield
        finally:
            with self._lock:
                self._close(found, put_back)

    def _close(self, found: MutableMapping[Any, Any], put_back: Callable[[Any, Any], None]) -> None:
        place = next(i for i, one in enumerate(self._open) if one is found)
        later = self._open[place + 1 :]
        del self._open[place]
        for key, value in found.items():
            heir = next((one for one in later if key in one), None)
            if heir is None:
                put_back(key, value)
            else:
                heir[key] = value
