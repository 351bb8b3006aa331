"""Gradient clipping, blocks that restore a model afterwards, and inputs on the model's backend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from xpnet.nn.modes import keep_modes as keep_modes
from xpnet.nn.module import Module
from xpnet.tape import gradients_kept
from xpnet.tensor import Tensor, TensorLike, as_tensor, placed_tensor
from xpnet_backends import Array, Namespace, backend_of, is_array, pairwise_sum, random, sum_of_squares

Parameters: TypeAlias = Iterable[Tensor] | Tensor


def _with_gradient(parameters: Parameters) -> list[Tensor]:
    return [p for p in ([parameters] if isinstance(parameters, Tensor) else parameters) if p.grad is not None]


def clip_grad_norm_(
    parameters: Parameters,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients by ``min(1, max_norm / ‖g‖)``, where ‖g‖ is their joint norm.  Returns ‖g‖.

    Call it between ``loss.backward()`` and ``optimizer.step()``.  The norm of float16 gradients is computed and
    returned in float32.  There is no synchronisation unless ``error_if_nonfinite`` is set.
    Source: Pascanu, Mikolov, Bengio 2012, arXiv:1211.5063, algorithm 1.

    Parameters
    ----------
    parameters : one tensor or several; those without a gradient are skipped.
    max_norm : the largest norm, > 0.
    norm_type : p of ``(Σ|g|ᵖ)^(1/p)``; inf is the largest ``|g|``, −inf the smallest, 0 the number of nonzero g.
    error_if_nonfinite : raise ``RuntimeError`` and scale nothing if the norm is infinite or NaN.  Otherwise the
        gradients become 0 and NaN, or all NaN.

    >>> import xpnet
    >>> w = xpnet.nn.Parameter([3.0, 4.0])
    >>> (w * w).sum().backward()
    >>> clip_grad_norm_([w], max_norm=1.0).item()
    10.0
    >>> w.grad.round(3)
    array([0.6, 0.8], dtype=float32)
    """
    max_norm, norm_type = float(max_norm), float(norm_type)
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm_: max_norm must be > 0, got {max_norm!r}")
    if math.isnan(norm_type):
        raise ValueError("clip_grad_norm_: norm_type must be a number or inf, got nan")
    held = _with_gradient(parameters)
    if not held:
        raise ValueError("clip_grad_norm_: no parameter has a gradient: call loss.backward() first")
    gradients: list[Array] = [p.grad for p in held]
    xp = backend_of(*gradients).xp
    with np.errstate(all="ignore"):
        filled = [g for g in gradients if g.size]
        norm = _norm(xp, filled, norm_type) if filled else xp.zeros((), dtype=_wide(gradients[0]))
        if error_if_nonfinite and not bool(xp.isfinite(norm)):
            raise RuntimeError(
                f"clip_grad_norm_: the norm of the gradients is {float(norm)}; nothing was scaled. Look for the layer "
                "whose gradient is not finite, or pass error_if_nonfinite=False"
            )
        scale = xp.minimum(max_norm / (norm + 1e-6), 1.0)
        for g in gradients:
            g *= scale if scale.dtype == g.dtype else scale.astype(g.dtype)
    return Tensor(xp.asarray(norm))


def _norm(xp: Namespace, gradients: list[Array], norm_type: float) -> Array:
    if math.isinf(norm_type):
        most = "max" if norm_type > 0 else "min"
        return getattr(xp.stack([getattr(xp.abs(g), most)() for g in gradients]), most)()
    if norm_type == 0:
        return xp.stack([(g != 0).sum() for g in gradients]).sum().astype(_wide(gradients[0]))
    return xp.stack([_sum_of_powers(g, norm_type) for g in gradients]).sum() ** (1.0 / norm_type)


def _sum_of_powers(g: Array, p: float) -> Array:
    """``Σ |g|ᵖ``; float16 is summed in float32."""
    return sum_of_squares(g) if p == 2 else pairwise_sum(abs(g.astype(_wide(g))) ** p)


def _wide(g: Array) -> Any:
    return "float32" if g.dtype == "float16" else g.dtype


def clip_grad_value_(parameters: Parameters, clip_value: float) -> None:
    """Limit every element of every gradient to ±``clip_value``.

    >>> import xpnet
    >>> w = xpnet.nn.Parameter([3.0, -4.0])
    >>> w.sum().backward()
    >>> clip_grad_value_([w], 0.5)
    >>> w.grad
    array([0.5, 0.5], dtype=float32)
    """
    if not clip_value > 0:
        raise ValueError(f"clip_grad_value_: clip_value must be > 0, got {clip_value!r}")
    for p in _with_gradient(parameters):
        p.backend.xp.clip(p.grad, -clip_value, clip_value, out=p.grad)


@contextmanager
def left_as_it_was(model: Module) -> Iterator[None]:
    """Restore a model after the block, even after an error or Ctrl-C.  Tools that inspect a model use it.

    It restores the values of parameters and buffers (in the same arrays), gradients, ``requires_grad``, the mode of
    each module, and the random state of this thread.  Inside the block the random state has the same seed and step, and
    no parameter has a gradient.
    """
    modules, parameters = list(model.modules()), list(model.parameters())
    values = [(p, p.data, p.data.copy(), p._home, p.requires_grad, p._changed_at[0]) for p in parameters]
    buffers = [(m, n, a, None if a is None else a.copy()) for m in modules for n, a in m._buffers.items()]
    try:
        random_state = random.fork_rng(random.state.seed, random.state.step)
        with keep_modes(model), gradients_kept(parameters), random_state:
            for p in parameters:
                p.grad = None
            yield
    finally:
        for p, array, copy, home, required, changed_at in values:
            array[...] = copy
            p._array, p._home, p.requires_grad = array, home, required
            p._changed_at[0] = changed_at  # graphs recorded before stay valid, because the values are the same
        for module, name, buffer, copy in buffers:
            if buffer is not None:
                buffer[...] = copy
            setattr(module, name, buffer)


def for_model(model: Module, x: TensorLike) -> Tensor:
    """``x`` as a tensor.  Lists and NumPy arrays go to the model's backend; tensors and GPU arrays stay."""
    first = next(model.parameters(), None)
    stays = isinstance(x, Tensor) or (is_array(x) and not isinstance(x, np.ndarray))
    return as_tensor(x) if stays or first is None else placed_tensor(x, backend=first.backend)
