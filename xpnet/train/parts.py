"""Checks of the parts of a training step: model, loss and optimizer."""

from __future__ import annotations

from typing import Any

from xpnet.nn import Module
from xpnet.nn import functional as F


def check_parts(model: Any, loss: Any, optimizer: Any) -> None:
    """Check that the three belong together: a module, a callable loss, an optimizer of the module's parameters.

    Loss and optimizer may be None if nothing is trained.

    Raises: ``TypeError`` for an argument of the wrong kind; ``ValueError`` if the optimizer has none of the model's
    parameters.
    """
    if not isinstance(model, Module):
        made = f"make one, {model.__name__}(...)" if isinstance(model, type) else "expected a Module"
        raise TypeError(f"the model is {_what(model)}: {made}")
    if _is_optimizer(loss):
        raise TypeError(f"the loss is an optimizer ({type(loss).__name__}): the order is model, loss, optimizer")
    if loss is not None and (isinstance(loss, type) or not callable(loss)):
        raise TypeError(f"the loss is {_what(loss)}: {_loss_to_use(loss)}")
    if optimizer is None:
        return
    if not _is_optimizer(optimizer):
        name = optimizer.__name__ if isinstance(optimizer, type) else "Adam"
        raise TypeError(f"the optimizer is {_what(optimizer)}: make one, e.g. {name}(model.parameters(), lr=0.001)")
    own = {id(parameter) for parameter in model.parameters()}
    moved = {id(parameter) for group in getattr(optimizer, "param_groups", ()) for parameter in group["params"]}
    if own and moved and not own & moved:
        raise ValueError(
            f"the optimizer has {len(moved)} parameters, and none of them is the model's: nothing would be learned; "
            f"create it for this model, {type(optimizer).__name__}(model.parameters(), ...)"
        )


def check_complete(loss: Any, optimizer: Any) -> None:
    """Raises: ``TypeError`` if the loss or the optimizer is missing."""
    for name, part in (("loss", loss), ("optimizer", optimizer)):
        if part is None:
            raise TypeError(f"this trainer was made without {name}: fit() needs one")


def _is_optimizer(value: Any) -> bool:
    return not isinstance(value, type) and hasattr(value, "step") and hasattr(value, "zero_grad")


def _what(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"{value!r:.60} ({type(value).__name__})"


def _loss_to_use(loss: Any) -> str:
    if isinstance(loss, type):
        return f"make one, {loss.__name__}()"
    if isinstance(loss, str) and callable(getattr(F, loss, None)):
        return f"use the function, xpnet.nn.functional.{loss}"
    return "expected a function of output and target, such as those in xpnet.nn.functional"
