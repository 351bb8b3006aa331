"""Multi-head attention."""

from __future__ import annotations

from typing import Any

from xpnet.nn import functional as F
from xpnet.nn import init
from xpnet.nn.functional.attention import attention_and_weights, merge_masks, split
from xpnet.nn.functional.checks import check_probability, floating
from xpnet.nn.linear import Linear
from xpnet.nn.module import Module, Parameter, new_parameter
from xpnet.tensor import Tensor, TensorLike, concatenate
from xpnet_backends import Backend


class MultiheadAttention(Module):
    """Attention with several heads: ``y = concat(head₁, ..., headₕ) W_O``, each head with its own Q, K, V.

    query (L, N, E), key (S, N, kdim), value (S, N, vdim) -> y (L, N, E) and the weights.  With ``batch_first`` N is the
    first axis; N may be missing.  Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.

    Parameters
    ----------
    embed_dim : E.
    num_heads : the number of heads, a divisor of E.
    dropout : the dropout probability of the weights.
    bias : whether the projections have biases.
    add_bias_kv : append one learned key and value.
    add_zero_attn : append one key and value of zeros.
    kdim, vdim : the features of keys and values; E by default.
    batch_first : (N, L, E) instead of (L, N, E).
    backend, dtype : of the parameters.

    >>> import xpnet
    >>> attention = MultiheadAttention(embed_dim=4, num_heads=2, batch_first=True)
    >>> x = xpnet.tensor([[[1.0, 2.0, 3.0, 4.0]] * 5])
    >>> y, weights = attention(x, x, x)
    >>> y.shape, weights.shape
    ((1, 5, 4), (1, 5, 5))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        for name, number in (("embed_dim", embed_dim), ("num_heads", num_heads), ("kdim", kdim), ("vdim", vdim)):
            if number is not None and (not isinstance(number, int) or number < 1):
                raise ValueError(f"MultiheadAttention: {name} must be a positive whole number, got {number!r}")
        if embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: {num_heads} heads do not divide embed_dim={embed_dim}")
        self.embed_dim, self.num_heads, self.head_dim = embed_dim, num_heads, embed_dim // num_heads
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.dropout = check_probability("MultiheadAttention: dropout", dropout)
        self.batch_first, self.add_zero_attn = batch_first, add_zero_attn
        packed = self.kdim == self.vdim == embed_dim
        shapes = {
            "q_proj_weight": None if packed else (embed_dim, embed_dim),
            "k_proj_weight": None if packed else (embed_dim, self.kdim),
            "v_proj_weight": None if packed else (embed_dim, self.vdim),
            "in_proj_weight": (3 * embed_dim, embed_dim) if packed else None,
            "in_proj_bias": (3 * embed_dim,) if bias else None,
            "bias_k": (1, 1, embed_dim) if add_bias_kv else None,
            "bias_v": (1, 1, embed_dim) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            self.register_parameter(name, None if shape is None else new_parameter(shape, backend, dtype))
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, backend=backend, dtype=dtype)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Xavier initialisation for projections, zeros for biases."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)
        if self.in_proj_bias is not None and self.out_proj.bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: TensorLike,
        key: TensorLike,
        value: TensorLike,
        key_padding_mask: TensorLike | None = None,
        need_weights: bool = True,
        attn_mask: TensorLike | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """The output, and the attention weights or None.  A query whose keys are all hidden gets weights of zero.

        Parameters
        ----------
        query, key, value : the inputs.
        key_padding_mask : (N, S); boolean (True where a key is *hidden*) or floating (added to the scores).
        need_weights : also return the weights (N, L, S).
        attn_mask : (L, S) or (N·heads, L, S), likewise.
        average_attn_weights : average the weights over the heads; otherwise they are (N, heads, L, S).
        is_causal : hide later keys, with or without ``attn_mask``.
        """
        batched = self._check(query, key, value)
        q, k, v = (self._heads(x) for x in self._project(query, key, value))
        length = k.shape[2]
        k, v = self._with_extra_keys(k, v)
        mask = merge_masks(attn_mask, key_padding_mask, is_causal, like=q, keys=length, extra=k.shape[2] - length)
        dropout = self.dropout if self.training else 0.0
        y, weights = attention_and_weights(q, k, v, mask, dropout, path=self._path or "attention")
        y = self.out_proj(self._joined(y, batched))
        if not need_weights:
            return y, None
        weights = weights.mean(axis=1) if average_attn_weights else weights
        return y, weights if batched else weights.squeeze(0)

    def _check(self, query: TensorLike, key: TensorLike, value: TensorLike) -> bool:
        """Whether there is a batch axis.  Raises: ``ValueError`` if shapes do not match."""
        features = {"query": self.embed_dim, "key": self.kdim, "value": self.vdim}
        q, k, v = (floating(name, x) for name, x in zip(features, (query, key, value), strict=True))
        layout = "(N, T, {})" if self.batch_first else "(T, N, {})"
        for (name, size), t in zip(features.items(), (q, k, v), strict=True):
            if t.ndim != q.ndim or t.ndim not in (2, 3) or t.shape[-1] != size:
                expected = f"{layout.format(size)} or (T, {size}), all with a batch or none"
                raise ValueError(f"expected {name} of shape {expected}, got {t.shape}")
        if k.shape[:-1] != v.shape[:-1]:
            raise ValueError(f"there must be as many values as keys, got key {k.shape}, value {v.shape}")
        batch_axis = 0 if self.batch_first else 1
        if q.ndim == 3 and q.shape[batch_axis] != k.shape[batch_axis]:
            raise ValueError(f"query and key need the same batch size in {layout.format('E')}: {q.shape}, {k.shape}")
        return q.ndim == 3

    def _project(self, query: TensorLike, key: TensorLike, value: TensorLike) -> tuple[Tensor, ...]:
        """Q, K and V; one product if they come from the same input."""
        thirds = (self.embed_dim,) * 3
        if query is key is value and self.in_proj_weight is not None:
            return split(F.linear(query, self.in_proj_weight, self.in_proj_bias), thirds)
        weights: tuple[Tensor | None, ...] = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        if self.in_proj_weight is not None:
            weights = split(self.in_proj_weight, thirds, axis=0)
        biases = (None, None, None) if self.in_proj_bias is None else split(self.in_proj_bias, thirds)
        return tuple(F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))

    def _heads(self, x: Tensor) -> Tensor:
        """(L, N, E) or (N, L, E) or (L, E) -> (N, H, L, D)."""
        batch_first = self.batch_first or x.ndim == 2
        x = x.unsqueeze(0) if x.ndim == 2 else x
        x = x.reshape(*x.shape[:2], self.num_heads, self.head_dim)
        return x.transpose((0, 2, 1, 3) if batch_first else (1, 2, 0, 3))

    def _joined(self, y: Tensor, batched: bool) -> Tensor:
        """(N, H, L, D) in the layout of the input."""
        if not batched:
            y = y.squeeze(0).transpose(1, 0, 2)  # (L, H, D)
        else:
            y = y.transpose((0, 2, 1, 3) if self.batch_first else (2, 0, 1, 3))
        return y.reshape(*y.shape[:-2], self.embed_dim)

    def _with_extra_keys(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append a learned key and value, and a key and value of zeros, if the options ask for them."""
        shape = (k.shape[0], self.num_heads, 1, self.head_dim)
        ks, vs = [k], [v]
        if self.bias_k is not None and self.bias_v is not None:
            for parts, bias in ((ks, self.bias_k), (vs, self.bias_v)):
                parts.append(bias.reshape(1, self.num_heads, 1, self.head_dim).expand(*shape))
        if self.add_zero_attn:
            zeros = Tensor(k.backend.xp.zeros(shape, dtype=k.dtype))
            ks, vs = [*ks, zeros], [*vs, zeros]
        return (k, v) if len(ks) == 1 else (concatenate(ks, axis=2), concatenate(vs, axis=2))
