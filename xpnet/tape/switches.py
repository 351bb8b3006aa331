"""Whether ops are recorded, and who looks on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .recorded import Recorded

grad_enabled: ContextVar[bool] = ContextVar("xpnet_grad_enabled", default=True)
observer_in_force: ContextVar[Callable[..., None] | None] = ContextVar("xpnet_observer", default=None)


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside the block: for evaluation, and for changing parameters by hand."""
    token = grad_enabled.set(False)
    try:
        yield
    finally:
        grad_enabled.reset(token)


def is_grad_enabled() -> bool:
    """Whether ops are being recorded."""
    return grad_enabled.get()


@contextmanager
def observe(observer: Callable[..., None]) -> Iterator[None]:
    """Call ``observer(op, args, options, result)`` after every op inside the block: to write a network down.

    An observer's method ``plain(name, args, options, result)``, if it has one, is called after what has no derivative:
    comparisons, and casts from or to whole numbers.
    """
    token = observer_in_force.set(observer)
    try:
        yield
    finally:
        observer_in_force.reset(token)


def note_plain(name: str, args: tuple[Any, ...], options: dict[str, Any], result: Recorded) -> None:
    """Show a result without a derivative to an observer that wants to see those too."""
    if (plain := getattr(observer_in_force.get(), "plain", None)) is not None:
        plain(name, args, options, result)
