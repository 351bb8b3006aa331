"""Switches of the tape: whether ops are recorded, and which observer is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from xpnet_backends.blocks import Blocks, Holding, innermost

from .recorded import Recorded

grad_blocks: Blocks[bool] = Blocks("xpnet_grad_enabled")
observers: Blocks[Callable[..., None] | None] = Blocks("xpnet_observer")
F = TypeVar("F", bound=Callable[..., Any])


@overload
def no_grad() -> Holding[bool]: ...
@overload
def no_grad(function: F) -> F: ...
def no_grad(function: F | None = None) -> F | Holding[bool]:
    """Record no ops inside the block, e.g. in evaluation, or while changing parameters by hand.

    Use ``with no_grad():``, or ``@no_grad`` on a function.  On a generator or coroutine it applies to the body, not to
    the caller.

    >>> import xpnet
    >>> x = xpnet.tensor([1.0, 2.0], requires_grad=True)
    >>> with xpnet.no_grad():
    ...     y = 2 * x
    >>> y.requires_grad
    False
    """
    block = grad_blocks.holding(False)
    return block if function is None else block(function)


def is_grad_enabled() -> bool:
    """Whether ops are being recorded: False inside ``no_grad``."""
    blocks = grad_blocks.get()
    return not blocks or innermost(blocks, True)


def observe(observer: Callable[..., None]) -> Holding[Callable[..., None] | None]:
    """Call ``observer(op, args, options, result)`` after every op inside the block, e.g. to export a network.

    If the observer has a method ``plain(name, args, options, result)``, it is called after operations without a
    derivative: comparisons, and casts from or to integers.
    """
    return observers.holding(observer)


def observer_in_force() -> Callable[..., None] | None:
    """The current observer, or None."""
    return innermost(blocks, None) if (blocks := observers.get()) else None


def note_plain(name: str, args: tuple[Any, ...], options: dict[str, Any], result: Recorded | None) -> None:
    """Report an operation without a derivative to the observer, if it has a method ``plain``."""
    if (plain := getattr(observer_in_force(), "plain", None)) is not None:
        plain(name, args, options, result)
