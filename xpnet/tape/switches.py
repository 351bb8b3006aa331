"""Whether ops are recorded, and who looks on."""

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
    """Record nothing inside the block: for evaluation, and for changing parameters by hand.

    ``with no_grad():``, or ``@no_grad`` before a function; of a generator or a coroutine it is the body that records
    nothing, not its caller.
    """
    block = grad_blocks.holding(False)
    return block if function is None else block(function)


def is_grad_enabled() -> bool:
    """Whether ops are being recorded."""
    blocks = grad_blocks.get()
    return not blocks or innermost(blocks, True)


def observe(observer: Callable[..., None]) -> Holding[Callable[..., None] | None]:
    """Call ``observer(op, args, options, result)`` after every op inside the block: to write a network down.

    An observer's method ``plain(name, args, options, result)``, if it has one, is called after what has no derivative:
    comparisons, and casts from or to whole numbers.
    """
    return observers.holding(observer)


def observer_in_force() -> Callable[..., None] | None:
    """Who is told of every op."""
    return innermost(blocks, None) if (blocks := observers.get()) else None


def note_plain(name: str, args: tuple[Any, ...], options: dict[str, Any], result: Recorded | None) -> None:
    """Show a result without a derivative to an observer that wants to see those too."""
    if (plain := getattr(observer_in_force(), "plain", None)) is not None:
        plain(name, args, options, result)
