"""Connectionist temporal classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from xpnet import ops
from xpnet.nn.functional.checks import check_labels, check_reduction, floating
from xpnet.tensor import Tensor, TensorLike, apply, as_tensor
from xpnet_backends import Array, backend_of, is_array, to_numpy


def ctc_loss(
    log_probs: TensorLike,
    targets: TensorLike,
    input_lengths: TensorLike,
    target_lengths: TensorLike,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """``−ln`` of the total probability of all alignments of the targets.  See docs/ctc.md.

    The gradient is the derivative with respect to log_probs.  PyTorch's differs before ``log_softmax``, but is equal
    after it.  Values are checked if that needs no synchronisation.

    Parameters
    ----------
    log_probs : (T, N, C), or (T, C) for one sample; the output of ``log_softmax``.
    targets : (N, S), or all labels concatenated (ΣS,); (S,) for one sample.
    input_lengths, target_lengths : (N,), preferably lists or NumPy arrays; two numbers for one sample.
    blank : the class of the blank.
    reduction : "mean" (divides each loss by its target's length first), "sum" or "none".
    zero_infinity : replace infinite losses, of targets longer than their input, by 0.
    """
    log_p, labels = floating("ctc_loss", log_probs), as_tensor(targets)
    single = log_p.ndim == 2
    if single:
        log_p = log_p.unsqueeze(1)
    if log_p.ndim != 3:
        raise ValueError(f"ctc_loss: expected log_probs (T, N, C) or (T, C), got {log_p.shape}")
    time, n, classes = log_p.shape
    if not 0 <= blank < classes:
        raise ValueError(f"ctc_loss: blank must be one of {classes} classes (0..{classes - 1}), got {blank!r}")
    inputs = _lengths("input_lengths", input_lengths, log_p)
    lengths = _lengths("target_lengths", target_lengths, log_p)
    _check_most("input_lengths", inputs, time, "the length T of log_probs")
    labels = _padded(labels, lengths, n, single)
    _check_most("target_lengths", lengths, labels.shape[1], "the width S of targets")
    _check_labels(labels, lengths, classes, blank)
    arrays = (labels.data, *(_beside(x, log_p) for x in (inputs, lengths)))
    options: dict[str, Any] = {"blank": blank, "zero_infinity": zero_infinity, "reduction": check_reduction(reduction)}
    loss = apply(ops.ctc_loss, log_p, *arrays, **options)
    return loss.reshape(()) if single and reduction == "none" else loss


def _lengths(name: str, lengths: TensorLike, log_p: Tensor) -> Array:
    """The lengths as an array of their backend, or as a NumPy array."""
    x = lengths.data if isinstance(lengths, Tensor) else lengths if is_array(lengths) else np.asarray(lengths)
    if x.dtype.kind not in "iu":
        raise TypeError(f"ctc_loss: {name} must be whole numbers, got {x.dtype}")
    if x.size != log_p.shape[1] or x.ndim > 1:
        raise ValueError(f"ctc_loss: {name} must have one entry for each of {log_p.shape[1]} samples, got {x.shape}")
    if backend_of(x).on_host and (x < 0).any():
        raise ValueError(f"ctc_loss: {name} must not be negative, got {int(x.min())}")
    return x.reshape(-1).astype("int64")


def _beside(x: Array, log_p: Tensor) -> Array:
    return log_p.backend.asarray(x) if isinstance(x, np.ndarray) else x


def _check_most(name: str, lengths: Array, most: int, what: str) -> None:
    if backend_of(lengths).on_host and lengths.size and int(lengths.max()) > most:
        raise ValueError(f"ctc_loss: {name} must be at most {most}, {what}, got {int(lengths.max())}")


def _padded(targets: Tensor, lengths: Array, n: int, single: bool) -> Tensor:
    """Targets as (N, S).  Concatenated targets need the lengths, which are then read from the device."""
    if targets.dtype.kind not in "iu":
        raise TypeError(f"ctc_loss: targets must be class indices, got {targets.dtype}: e.g. targets.astype('int64')")
    if targets.ndim == 2 and targets.shape[0] == n and not single:
        return targets
    if targets.ndim != 1:
        raise ValueError(f"ctc_loss: expected targets ({n}, S) or concatenated labels, got {targets.shape}")
    if single:
        return targets.unsqueeze(0)
    counts = to_numpy(lengths)
    if int(counts.sum()) != targets.size:
        raise ValueError(
            f"ctc_loss: target_lengths add up to {int(counts.sum())}, but targets has {targets.size} labels"
        )
    if not targets.size:
        return targets.reshape(n, 0) if n else targets.reshape(0, 0)
    place = (np.cumsum(counts) - counts)[:, None] + np.arange(counts.max())
    return targets[targets.backend.asarray(np.minimum(place, targets.size - 1))]


def _check_labels(targets: Tensor, lengths: Array, classes: int, blank: int) -> None:
    if not targets.backend.on_host or not backend_of(lengths).on_host:
        return
    used = targets.data[np.arange(targets.shape[1]) < lengths[:, None]]
    check_labels("ctc_loss", as_tensor(used), classes)
    if (used == blank).any():
        raise ValueError(f"ctc_loss: targets must not contain the blank, {blank}: the loss inserts blanks itself")
