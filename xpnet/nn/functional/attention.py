"""Attention and rotary position embeddings."""

from __future__ import annotations

import math
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from xpnet import ops
from xpnet.nn.functional.checks import check_probability, floating
from xpnet.tensor import Tensor, TensorLike, apply, as_tensor, concatenate, where
from xpnet_backends.random import state


def scaled_dot_product_attention(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    attn_mask: TensorLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    path: str = "attention",
) -> Tensor:
    """``softmax(scale · Q Kᵀ + mask) V``.  query (..., L, E), key (..., S, E), value (..., S, V) -> y (..., L, V).

    A query whose keys are all hidden gets zeros.

    Parameters
    ----------
    query, key, value : the inputs; their leading axes broadcast.
    attn_mask : broadcasts to (..., L, S); boolean (True where a query may attend) or floating (added to the scores).
    dropout_p : the dropout probability.  It is also applied in evaluation, as in PyTorch, so pass 0 there.
    is_causal : hide later keys, in addition to the mask.
    scale : 1/√E by default.
    path : the name of the random stream of the dropout.

    >>> from xpnet import tensor
    >>> x = tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(x, x, x, is_causal=True)[0]
    tensor([1., 0.])
    """
    return attention_and_weights(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, path=path)[0]


def attention_and_weights(
    query: TensorLike,
    key: TensorLike,
    value: TensorLike,
    attn_mask: TensorLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    path: str = "attention",
) -> tuple[Tensor, Tensor]:
    """Like ``scaled_dot_product_attention``, and also return the weights (..., L, S) after dropout."""
    q, k, v = (floating(f"attention: {n}", x) for n, x in (("query", query), ("key", key), ("value", value)))
    scores = _scores_shape(q, k, v)
    mask = None if attn_mask is None else _checked_mask(attn_mask, scores)
    check_probability("attention: dropout_p", dropout_p)
    keep = state.next(path).mask(q.backend, scores, p=1.0 - dropout_p) if dropout_p > 0.0 else None
    options: dict[str, Any] = {"causal": is_causal, "scale": scale, "p": dropout_p}
    y, weights = apply(ops.scaled_dot_product_attention, q, k, v, mask, keep, **options)
    return y, weights


def _scores_shape(q: Tensor, k: Tensor, v: Tensor) -> tuple[int, ...]:
    """The shape (..., L, S) of the scores.  Raises: ``ValueError`` if queries, keys and values do not match."""
    shapes = f"query {q.shape}, key {k.shape}, value {v.shape}"
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise ValueError(f"attention: expected (..., L, E), (..., S, E) and (..., S, V), got {shapes}")
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"attention: queries and keys need the same number of features, got {shapes}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"attention: there must be as many values as keys, got {shapes}")
    try:
        lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
        np.broadcast_shapes(lead, v.shape[:-2])
    except ValueError:
        raise ValueError(f"attention: the leading axes do not broadcast: {shapes}") from None
    return (*lead, q.shape[-2], k.shape[-2])


def _mask(name: str, mask: TensorLike) -> Tensor:
    t = as_tensor(mask)
    if t.dtype.kind not in "bf":
        raise TypeError(f"{name} must be boolean or floating-point, got {t.dtype}: convert it, e.g. mask.astype(bool)")
    return t


def _checked_mask(mask: TensorLike, scores: tuple[int, ...]) -> Tensor:
    t = _mask("attention: attn_mask", mask)
    try:
        fits = np.broadcast_shapes(t.shape, scores) == scores
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"attention: attn_mask of shape {t.shape} does not broadcast to (..., L, S) = {scores}")
    return t


def merge_masks(
    attn_mask: TensorLike | None,
    key_padding_mask: TensorLike | None,
    is_causal: bool,
    *,
    like: Tensor,
    keys: int,
    extra: int,
) -> Tensor | None:
    """Combine the masks of ``MultiheadAttention`` into one for ``scaled_dot_product_attention``, or None.

    Parameters
    ----------
    attn_mask : (L, S) or (N·H, L, S); boolean (True where *hidden*) or floating (added).
    key_padding_mask : (N, S), likewise.
    is_causal : hide later keys.
    like : the queries (N, H, L, D).
    keys : S.
    extra : the number of additional keys after the first S, which are always visible.
    """
    batch, heads, length, _ = like.shape
    masks = []
    if attn_mask is not None:
        masks.append(_mask("attn_mask", attn_mask))
        if masks[-1].shape == (batch * heads, length, keys) and masks[-1].ndim == 3:
            masks[-1] = masks[-1].reshape(batch, heads, length, keys)
        elif masks[-1].shape != (length, keys):
            expected = f"(L, S) = {(length, keys)} or (N·heads, L, S) = {(batch * heads, length, keys)}"
            raise ValueError(f"attn_mask must have shape {expected}, got {masks[-1].shape}")
    if key_padding_mask is not None:
        padding = _mask("key_padding_mask", key_padding_mask)
        if padding.shape not in ((batch, keys), (keys,)) or (padding.ndim == 1 and batch > 1):
            raise ValueError(f"key_padding_mask must have shape (N, S) = {(batch, keys)}, got {padding.shape}")
        masks.append(padding.reshape(batch, 1, 1, keys))
    if is_causal:
        xp = like.backend.xp
        masks.append(Tensor(xp.arange(length)[:, None] < xp.arange(keys)))
    return _visible_or_added(masks, like, extra)


def _visible_or_added(masks: list[Tensor], like: Tensor, extra: int) -> Tensor | None:
    """Combine boolean masks and invert them (True is visible); if any mask is floating, combine all into one to add."""
    if not masks:
        return None
    added = [m for m in masks if m.dtype.kind == "f"]
    hidden = [m for m in masks if m.dtype.kind == "b"]
    merged = reduce(add, added) if added else reduce(_either, hidden) == False  # noqa: E712  "not", seen by observers
    if added and hidden:
        merged = where(reduce(_either, hidden), -math.inf, merged)
    if not extra:
        return merged
    visible = like.backend.xp.zeros if added else like.backend.xp.ones
    return concatenate([merged, visible((*merged.shape[:-1], extra), dtype=merged.dtype)], axis=-1)


def _either(a: Tensor, b: Tensor) -> Tensor:
    """Logical or."""
    return apply(ops.maximum, a, b)


def split(x: Tensor, sizes: tuple[int, ...], axis: int = -1) -> tuple[Tensor, ...]:
    """Split ``x`` into two or more pieces along an axis."""
    return tuple(apply(ops.split, x, sizes=sizes, axis=axis))


def rotary_embedding(
    x: TensorLike, positions: TensorLike | None = None, *, base: float = 10000.0, interleaved: bool = True
) -> Tensor:
    """Rotate pair i of the features at position t by the angle ``t · base^(−2i/E)``.  x (..., T, E), E even.

    The product of a rotated query and a rotated key depends only on the distance of their positions.
    Source: Su et al. 2021, arXiv:2104.09864.

    Parameters
    ----------
    x : the features.
    positions : broadcast to (..., T); 0, 1, ... by default.
    base : the base of the angles.
    interleaved : pair neighbouring features, as in the paper; otherwise feature i and feature i + E/2.
    """
    t = floating("rotary_embedding", x)
    if t.ndim < 2 or t.shape[-1] % 2:
        raise ValueError(f"rotary_embedding: expected (..., T, E) with an even number of features, got {t.shape}")
    xp, (length, features) = t.backend.xp, t.shape[-2:]
    places = xp.arange(length) if positions is None else as_tensor(positions).data
    if places.ndim == 0 or places.shape[-1] != length:
        raise ValueError(f"rotary_embedding: expected {length} positions, got shape {tuple(places.shape)}")
    frequencies = xp.exp(xp.arange(features // 2) * (-2.0 * math.log(base) / max(features, 1)))
    angles = places.astype("float64")[..., None] * frequencies  # (..., T, E/2)
    return apply(ops.rotary, t, xp.cos(angles).astype(t.dtype), xp.sin(angles).astype(t.dtype), interleaved=interleaved)
