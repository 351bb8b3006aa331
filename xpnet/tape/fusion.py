"""Fusion of adjacent ops: a kernel defers its work, and the next op may fuse with it.

Rules
-----
- Work is deferred only inside a region (``fusing()``; the call of the outermost module opens one), and only if nobody
  observes the tape.  When the region ends, all deferred work whose tensors are still referenced is computed.
- If the next op has a fused kernel with the deferred op, that kernel does the work of both.  Every other reader (an op
  without one, ``.data``, a hook, a change in place) first starts the deferred work.
- If a tensor between two fused ops is still referenced, it is computed again when the region ends, with the same bits.
  If it still exists in the backward pass, the fused node is split into its ops, so that the tensor gets its gradient
  and its hooks are called.
- A fused result has the same bits as the two ops.  So reading a value never changes a result.

Inside a region, arrays of tensors must be written only through the tensors.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from xpnet_backends import Backend
from xpnet_backends.deferred import Deferred

from .recorded import Node, Op, Recorded, tick, wrap
from .switches import grad_blocks, is_grad_enabled, observer_in_force

OPEN = [0]  # the number of open regions of all threads; at 0, apply need not look for deferred work
_ALLOWED = os.environ.get("XPNET_FUSION", "1") != "0"


class Region(threading.local):
    """The fusion state of a thread."""

    depth = 0
    forbidden = 0

    def __init__(self) -> None:
        self.waiting: list[weakref.ref[Recorded]] = []  # tensors whose work is deferred or was fused


region = Region()


@dataclass(slots=True)
class Composition:
    """The op behind a deferred result, or the ops behind a fused one.

    Attributes
    ----------
    name : the name of the kernel, e.g. "batch_norm" or "batch_norm+add".  ``inputs`` are its arguments.
    op, args, options : the last op.  If it was fused with the work of the tensor ``taken``, ``args[place]`` is None,
        and ``origin`` can compute that tensor again.
    time : when the op ran.
    kept : the tensor itself, where it has hooks: it is to be there when the gradient comes, also if its work is taken
        over and nobody else holds it.
    """

    name: str
    backend: Backend
    inputs: tuple[Any, ...]
    op: Op
    args: tuple[Any, ...]
    options: dict[str, Any]
    time: int
    place: int = -1
    taken: weakref.ref[Recorded] | None = None
    origin: Composition | None = None
    kept: Recorded | None = None

    def between(self) -> Iterator[Recorded]:
        """The tensors between the fused ops that are still referenced."""
        if self.taken is not None and (tensor := self.taken()) is not None:
            yield tensor
        if self.origin is not None:
            yield from self.origin.between()

    def replay(self, apply: Callable[..., Any]) -> Recorded:
        """Run the ops one by one, starting from the tensors that still exist."""
        args = list(self.args)
        if self.taken is not None and self.origin is not None:
            tensor = self.taken()
            args[self.place] = self.origin.replay(apply) if tensor is None else tensor
        y = apply(self.op, *args, **self.options)
        found: Recorded = y[0] if isinstance(y, tuple) else y
        if found._node is not None:
            found._node.time = self.time
        return found


@dataclass(slots=True)
class Work:
    """The deferred work of a tensor that has not been read yet."""

    deferred: Deferred
    composition: Composition


# -- regions ---------------------------------------------------------------------------------------------------------


def enter() -> None:
    """Enter a region in which work may be deferred.  Nested regions belong to the outermost one."""
    region.depth += 1
    OPEN[0] += 1


def leave() -> None:
    """Leave the region.  The outermost one computes all tensors that are still referenced.

    ``Module.__call__`` has the same lines written out.
    """
    OPEN[0] -= 1
    region.depth -= 1
    if region.depth == 0 and region.waiting:
        settle()


@contextmanager
def fusing() -> Iterator[None]:
    """A region for models that are not a ``Module``."""
    enter()
    try:
        yield
    finally:
        leave()


@contextmanager
def no_fusion() -> Iterator[None]:
    """Defer nothing inside the block.  The environment variable ``XPNET_FUSION=0`` turns fusion off everywhere."""
    region.forbidden += 1
    try:
        yield
    finally:
        region.forbidden -= 1


def may_defer() -> bool:
    """Whether work may be deferred at this point."""
    return _ALLOWED and region.depth > 0 and not region.forbidden and observer_in_force() is None


def keep_for_hooks(tensor: Recorded) -> None:
    """Keep a tensor with hooks alive, so that they are called even if its work was or will be fused."""
    if tensor._node is not None and tensor._node.composition is not None:
        tensor._node.composition.kept = tensor


def settle() -> None:
    """Compute all deferred tensors that are still referenced, before their inputs can change."""
    waiting, region.waiting = region.waiting, []
    for reference in waiting:
        if (tensor := reference()) is not None:
            _ = tensor._array  # reading it starts the work


# -- deferring and joining -------------------------------------------------------------------------------------------


def defer(deferred: Deferred, composition: Composition) -> Recorded:
    """A tensor that is computed when it is first read."""
    tensor = wrap(None)
    del tensor._array
    tensor._work = Work(deferred, composition)
    region.waiting.append(weakref.ref(tensor))
    return tensor


def begun(op: Op, args: tuple[Any, ...], options: dict[str, Any], backend: Backend, node: Node | None) -> Composition:
    """The composition of a single op whose kernel has deferred its work."""
    time = tick() if node is None else node.time
    return Composition(op.__name__, backend, args, op, args, options, time)


def joined(op: Op, args: tuple[Any, ...], options: dict[str, Any]) -> Recorded | None:
    """The result of ``op`` fused with the deferred work of one of its arguments; None if fusion is not possible."""
    place = next((i for i, a in enumerate(args) if isinstance(a, Recorded) and a._work is not None), None)
    if place is None or not may_defer():
        return None
    first: Recorded = args[place]
    assert first._work is not None
    deferred, origin = first._work.deferred, first._work.composition
    kernel = origin.backend.kernels.get(f"{origin.name}+{op.__name__}")
    if kernel is None or first._hooks is not None:
        return None
    others: tuple[Any, ...] = (*args[:place], *args[place + 1 :])
    arrays: list[Any] = [a._array if isinstance(a, Recorded) else a for a in others]  # starts their deferred work
    kind: Any = origin.backend.array_type
    if any(type(a) is not kind or a.dtype != deferred.dtype for a in arrays):
        return None
    result = kernel(origin.backend.xp, deferred, *arrays, **options)
    if result is None:
        return None
    y, backward = result
    name, inputs = f"{origin.name}+{op.__name__}", (*origin.inputs, *others)
    composition = Composition(
        name, origin.backend, inputs, op, (*args[:place], None, *args[place + 1 :]), options, tick(), place,
        weakref.ref(first), origin,
    )  # fmt: skip
    tensor = defer(y, composition) if type(y) is Deferred else wrap(y)
    needs = [isinstance(a, Recorded) and a.requires_grad for a in inputs]
    if True in needs and is_grad_enabled():
        node = Node(name, backward, inputs, needs)
        node.time, node.composition = composition.time, composition
        tensor.requires_grad, tensor._node = True, node
    return tensor


def separate(tensor: Recorded, apply: Callable[..., Any]) -> None:
    """Split a fused node into its ops if a tensor between them is still referenced."""
    node = tensor._node
    if node is None or (whole := node.composition) is None or next(whole.between(), None) is None:
        return
    for part in (whole, *_origins(whole)):
        for a in part.args:
            if isinstance(a, Recorded) and a._changed_at[0] > part.time:
                raise RuntimeError(
                    f"an input of shape {tuple(a._array.shape)} of {whole.name!r} was changed in place: call "
                    "backward() before the change, or change a copy"
                )
    with grad_blocks.holding(True), no_fusion():
        again = whole.replay(apply)
    assert again._node is not None
    tensor._node, tensor._output = again._node, again._output


def _origins(composition: Composition) -> Iterator[Composition]:
    while composition.origin is not None:
        composition = composition.origin
        yield composition
