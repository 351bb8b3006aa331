"""Normalisation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from xpnet import ops
from xpnet.nn.functional.checks import floating
from xpnet.tape import value_of
from xpnet.tensor import Tensor, TensorLike, apply, as_tensor
from xpnet_backends import Array


def batch_norm(
    x: TensorLike,
    running_mean: Array | None,
    running_var: Array | None,
    weight: TensorLike | None = None,
    bias: TensorLike | None = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> tuple[Tensor, Array | None, Array | None]:
    """``w (x − μ) / √(v + ε) + b`` for each channel, with batch statistics in training, else with running statistics.

    Unlike PyTorch's function it changes nothing in place.  It returns y and the new running statistics,
    ``r ← (1 − momentum) r + momentum · batch`` (with the unbiased variance).  For float16 inputs keep them in float32,
    as the layers do, because the variance of values around ±300 overflows float16.

    Parameters
    ----------
    x : (N, C, ...).
    running_mean, running_var : the running statistics (C,), or None in training.
    weight, bias : w and b, (C,).
    training : use the statistics of the batch.
    momentum : the weight of the batch in the new running statistics.
    eps : ε.
    """
    t = floating("batch_norm", x)
    if t.dtype == "float16":
        return _batch_norm_of_half(t, running_mean, running_var, weight, bias, training, momentum, eps)
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm: evaluation needs running statistics")
        options: dict[str, Any] = {"eps": eps}
        y = apply(ops.batch_norm_inference, t, running_mean, running_var, weight, bias, **options)
        return y, running_mean, running_var
    count = t.size // max(t.shape[1], 1)
    if count < 2:
        raise ValueError(f"batch_norm: training needs more than one value per channel, got input of shape {t.shape}")
    y, mean, variance = apply(ops.batch_norm, t, weight, bias, eps=eps)
    if running_mean is None or running_var is None:
        return y, None, None
    unbiased = value_of(variance) * (count / (count - 1))
    new_mean = (1.0 - momentum) * running_mean + momentum * value_of(mean)
    return y, new_mean, (1.0 - momentum) * running_var + momentum * unbiased


def _batch_norm_of_half(
    x: Tensor, running_mean: Array | None, running_var: Array | None, weight: Any, bias: Any, *options: Any
) -> tuple[Tensor, Array | None, Array | None]:
    """Compute in float32, and return the statistics in their own dtype."""
    w, b = (a if a is None else as_tensor(a).astype("float32") for a in (weight, bias))
    mean, variance = (a if a is None else a.astype("float32") for a in (running_mean, running_var))
    y, mean, variance = batch_norm(x.astype("float32"), mean, variance, w, b, *options)
    if running_mean is None or running_var is None or mean is None or variance is None:
        return y.astype("float16"), None, None
    return y.astype("float16"), mean.astype(running_mean.dtype), variance.astype(running_var.dtype)


def instance_norm(
    x: TensorLike, weight: TensorLike | None = None, bias: TensorLike | None = None, eps: float = 1e-5
) -> Tensor:
    """``w (x − μ) / √(v + ε) + b`` with the mean and variance of each channel of each sample.

    Parameters
    ----------
    x : (N, C, ...).
    weight, bias : w and b, (C,).
    eps : ε.
    """
    t = floating("instance_norm", x)
    if math.prod(t.shape[2:]) < 2:
        raise ValueError(f"instance_norm: needs more than one value per channel, got input of shape {t.shape}")
    return apply(ops.group_norm, t, weight, bias, groups=t.shape[1], eps=eps)


def group_norm(
    x: TensorLike,
    num_groups: int,
    weight: TensorLike | None = None,
    bias: TensorLike | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """``w (x − μ) / √(v + ε) + b`` with the mean and variance of each group of channels of each sample.

    Parameters
    ----------
    x : (N, C, ...).
    num_groups : the number of groups, a divisor of C.
    weight, bias : w and b, (C,).
    eps : ε.
    """
    t = floating("group_norm", x)
    if t.ndim < 2 or t.shape[1] % num_groups:
        raise ValueError(f"group_norm: {num_groups} groups must divide the channels of input of shape {t.shape}")
    return apply(ops.group_norm, t, weight, bias, groups=num_groups, eps=eps)


def _check_tail(name: str, t: Tensor, normalized_shape: Sequence[int]) -> int:
    tail = tuple(normalized_shape)
    if not tail or t.shape[-len(tail) :] != tail:
        raise ValueError(f"expected input of shape (..., {', '.join(map(str, tail))}), got {t.shape}")
    return len(tail)


def layer_norm(
    x: TensorLike,
    normalized_shape: Sequence[int],
    weight: TensorLike | None = None,
    bias: TensorLike | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """``w (x − μ) / √(v + ε) + b`` with the mean and variance of each sample over the last axes.

    Parameters
    ----------
    x : (..., *normalized_shape).
    normalized_shape : the shape of the last axes.
    weight, bias : w and b, of that shape.
    eps : ε.

    >>> from xpnet import tensor
    >>> layer_norm(tensor([[1.0, 3.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.]])
    """
    t = floating("layer_norm", x)
    return apply(ops.layer_norm, t, weight, bias, dims=_check_tail("layer_norm", t, normalized_shape), eps=eps)


def rms_norm(
    x: TensorLike, normalized_shape: Sequence[int], weight: TensorLike | None = None, eps: float | None = None
) -> Tensor:
    """``w x / √(mean(x²) + ε)`` over the last axes.  By default ε is the dtype's machine epsilon, as in PyTorch."""
    t = floating("rms_norm", x)
    dims = _check_tail("rms_norm", t, normalized_shape)
    return apply(ops.rms_norm, t, weight, dims=dims, eps=float(t.backend.xp.finfo(t.dtype).eps) if eps is None else eps)
