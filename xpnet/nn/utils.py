"""Gradient clipping, between ``loss.backward()`` and ``optimizer.step()``; modes put back; inputs brought to models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from xpnet.nn.module import Module, Parameter
from xpnet.tensor import Tensor, TensorLike, as_tensor, placed_tensor
from xpnet_backends import is_array


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
        norm = xp.stack([(xp.abs(g) ** norm_type).sum() for g in gradients]).sum() ** (1.0 / norm_type)
    if error_if_nonfinite and not bool(xp.isfinite(norm)):
        raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {float(norm)}")
    scale = xp.minimum(max_norm / (norm + 1e-6), 1.0)
    for g in gradients:
        g *= scale
    return Tensor(xp.asarray(norm))


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


def for_model(model: Module, x: TensorLike) -> Tensor:
    """``x`` as a tensor: lists and NumPy arrays on the model's backend; tensors and arrays of a device stay."""
    first = next(model.parameters(), None)
    stays = isinstance(x, Tensor) or (is_array(x) and not isinstance(x, np.ndarray))
    return as_tensor(x) if stays or first is None else placed_tensor(x, backend=first.backend)
