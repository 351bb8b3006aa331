"""Gradient clipping, between ``loss.backward()`` and ``optimizer.step()``; and modes put back as they were."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from xpnet.nn.module import Module, Parameter
from xpnet.tensor import Tensor
from xpnet_backends import Array, pairwise_sum, sum_of_squares


def _with_gradient(parameters: Iterable[Parameter] | Parameter) -> list[Parameter]:
    items = [parameters] if isinstance(parameters, Parameter) else list(parameters)
    return [p for p in items if p.grad is not None]


def clip_grad_norm_(
    parameters: Iterable[Parameter] | Parameter,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients by ``min(1, max_norm / ‖g‖)``, the norm being that of all of them together; returns ‖g‖.

    The norm of float16 gradients is taken in float32, and returned so.
    Source: Pascanu, Mikolov, Bengio 2012, arXiv:1211.5063, algorithm 1.  No synchronisation, unless
    ``error_if_nonfinite`` asks to look at the norm.
    """
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be > 0, got {max_norm!r}")
    held = _with_gradient(parameters)
    if not held:
        raise ValueError("clip_grad_norm_: no parameter has a gradient: call loss.backward() first")
    xp = held[0].backend.xp
    gradients = [p.grad for p in held]
    if math.isinf(norm_type):
        norm = xp.stack([xp.abs(g).max() for g in gradients]).max()
    else:
        norm = xp.stack([_sum_of_powers(g, norm_type) for g in gradients]).sum() ** (1.0 / norm_type)
    if error_if_nonfinite and not bool(xp.isfinite(norm)):
        raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {float(norm)}")
    scale = xp.minimum(max_norm / (norm + 1e-6), 1.0)
    for g in gradients:
        g *= scale
    return Tensor(xp.asarray(norm))


def _sum_of_powers(g: Array, p: float) -> Array:
    """``Σ |g|ᵖ``, of float16 in float32."""
    if p == 2:
        return sum_of_squares(g)
    return pairwise_sum(abs(g.astype("float32") if g.dtype == "float16" else g) ** p)


def clip_grad_value_(parameters: Iterable[Parameter] | Parameter, clip_value: float) -> None:
    """Limit every element of every gradient to ±``clip_value``."""
    if not clip_value > 0:
        raise ValueError(f"clip_grad_value_: clip_value must be > 0, got {clip_value!r}")
    for p in _with_gradient(parameters):
        p.backend.xp.clip(p.grad, -clip_value, clip_value, out=p.grad)


@contextmanager
def keep_modes(model: Module) -> Iterator[None]:
    """After the block every module is in the mode, training or evaluation, that it was in: a part may be frozen."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.__dict__["training"] = training
