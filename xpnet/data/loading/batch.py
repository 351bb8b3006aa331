"""The parts of a batch: inputs of the model, target of the loss, number of samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from xpnet.tensor import Tensor
from xpnet_backends import is_array

TARGETS = ("target", "targets", "label", "labels", "y")
"""Keys of the target in a dict batch, in order of preference."""


class Inputs(NamedTuple):
    """The arguments of the model: ``model(*arguments, **named)``."""

    arguments: tuple[Any, ...]
    named: dict[str, Any]


def split_batch(batch: Any) -> tuple[Inputs, Any]:
    """The inputs and the target of a batch.

    ======================================  ==================  ==========
    batch                                   the model's call    the target
    ======================================  ==================  ==========
    ``(x, y)``                              ``model(x)``        ``y``
    ``((tokens, lengths), y)``              ``model((t, l))``   ``y``
    ``({"a": a, "b": b}, y)``               ``model(a=a, b=b)`` ``y``
    ``(x1, x2, ..., y)``                    ``model(x1, x2)``   ``y``
    ``{"a": a, "b": b, "target": y}``       ``model(a=a, b=b)`` ``y``
    ``{"image": x, "label": y}``            ``model(x)``        ``y``
    ``x`` or ``(x,)``                       ``model(x)``        None
    ======================================  ==================  ==========

    The target of a dict has one of the keys in ``TARGETS``.  If there is a single other entry, it is passed by
    position.

    Raises: ``TypeError`` for an object that is not a batch; ``ValueError`` for an empty one.

    >>> split_batch(([1], [2], [3]))
    (Inputs(arguments=([1], [2]), named={}), [3])
    """
    if isinstance(batch, Mapping):
        name = next((key for key in TARGETS if key in batch), None)
        inputs = {str(key): value for key, value in batch.items() if key != name}
        if not inputs:
            raise ValueError(f"a batch needs inputs besides its target, got a dict with the keys {list(batch)}")
        target = None if name is None else batch[name]
        return (Inputs(tuple(inputs.values()), {}) if len(inputs) == 1 else Inputs((), inputs)), target
    if isinstance(batch, (tuple, list)):
        if not batch:
            raise ValueError("a batch needs inputs, got an empty one")
        *inputs_, target = batch if len(batch) > 1 else (batch[0], None)
        if len(inputs_) == 1 and isinstance(inputs_[0], Mapping):
            return Inputs((), dict(inputs_[0])), target
        return Inputs(tuple(inputs_), {}), target
    if is_array(batch) or isinstance(batch, Tensor):
        return Inputs((batch,), {}), None
    raise TypeError(f"a batch is (inputs, target), a dict or an array, got {type(batch).__name__}")


def samples_in(inputs: Inputs) -> int:
    """The number of samples in a batch: the length of its first array, also inside tuples and dicts."""
    first: Any = inputs.arguments[0] if inputs.arguments else next(iter(inputs.named.values()))
    while not is_array(first) and not isinstance(first, Tensor) and isinstance(first, (tuple, list, Mapping)) and first:
        inside = next(iter(first.values())) if isinstance(first, Mapping) else first[0]
        if not is_array(inside) and not isinstance(inside, (Tensor, tuple, list, Mapping)):
            break  # a list of numbers or texts
        first = inside
    return len(first)
