"""Backward hooks of modules: they see, and may change, the gradients of a module's inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xpnet.tensor import Tensor, apply
from xpnet_backends import Array, Namespace

Gradients = tuple[Array | None, ...]
BackwardHook = Callable[[Any, Gradients, Gradients], Gradients | Array | None]


def call_watched(module: Any, hooks: Sequence[BackwardHook], forward: Callable[..., Any], args: Any) -> Any:
    """``forward(*args)`` between two identity ops, whose backward passes the gradients to the hooks.

    Hooks run when the gradients of the inputs are known.  If no input requires a gradient, they run when the gradients
    of the outputs are known.
    """
    seen: dict[str, Gradients] = {}
    where = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]

    def entering(gradients: Gradients) -> Gradients:
        full: list[Array | None] = [None] * len(args)
        for i, g in zip(where, gradients, strict=True):
            full[i] = g
        changed = _run(module, hooks, tuple(full), seen["output"])
        return tuple(changed[i] for i in where)

    def leaving(gradients: Gradients) -> Gradients:
        seen["output"] = gradients
        if not where:
            _run(module, hooks, (None,) * len(args), gradients)
        return gradients

    if where:
        passed = _pass(entering, [args[i] for i in where])
        args = list(args)
        for i, tensor in zip(where, passed, strict=True):
            args[i] = tensor
    y = forward(*args)
    outputs = list(y) if isinstance(y, (tuple, list)) else [y]
    tensors = [i for i, t in enumerate(outputs) if isinstance(t, Tensor) and t.requires_grad]
    if not tensors:
        return y
    for i, tensor in zip(tensors, _pass(leaving, [outputs[i] for i in tensors]), strict=True):
        outputs[i] = tensor
    return type(y)(outputs) if isinstance(y, (tuple, list)) else outputs[0]


def _run(module: Any, hooks: Sequence[BackwardHook], inputs: Gradients, outputs: Gradients) -> Gradients:
    for hook in hooks:
        changed = hook(module, inputs, outputs)
        if changed is None:
            continue
        changed = changed if isinstance(changed, tuple) else (changed,)
        if len(changed) != len(inputs):
            raise ValueError(
                f"a backward hook of {type(module).__name__} must return {len(inputs)} gradients, as many "
                f"as there are inputs, or None; got {len(changed)}"
            )
        inputs = changed
    return inputs


def _pass(watch: Callable[[Gradients], Gradients], tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The same tensors.  Their gradients pass through ``watch``."""

    def backward_hook(xp: Namespace, *arrays: Array) -> Any:
        def backward(dys: Any, needs: Any = None) -> Gradients:
            return watch(dys if isinstance(dys, tuple) else (dys,))

        views = tuple(a.view() for a in arrays)  # views share the time of their last change
        return (views if len(views) > 1 else views[0]), backward

    passed: Any = apply(backward_hook, *tensors)
    return passed if isinstance(passed, tuple) else (passed,)
