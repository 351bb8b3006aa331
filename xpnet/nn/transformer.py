"""Transformer encoder and positional encodings."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from xpnet.nn import functional as F
from xpnet.nn import init
from xpnet.nn.attention import MultiheadAttention
from xpnet.nn.dropout import Dropout
from xpnet.nn.functional.checks import floating
from xpnet.nn.linear import Linear
from xpnet.nn.module import Module, ModuleList, new_parameter
from xpnet.nn.norm import LayerNorm
from xpnet.tensor import Tensor, TensorLike
from xpnet_backends import Array, Backend, get_backend

_ACTIVATIONS: dict[str, Callable[..., Tensor]] = {"relu": F.relu, "gelu": F.gelu}


class TransformerEncoderLayer(Module):
    """Self-attention and a feed-forward network at each position, each with a residual connection and layer norm.

    ``x = norm₁(x + attention(x)); y = norm₂(x + W₂ act(W₁ x))``; with ``norm_first`` instead
    ``x = x + attention(norm₁(x)); y = x + W₂ act(W₁ norm₂(x))``.  src (T, N, E) or (T, E); masks as in
    ``MultiheadAttention``.
    Source: Vaswani et al. 2017, arXiv:1706.03762; Xiong et al. 2020, arXiv:2002.04745 (norm first).

    Parameters
    ----------
    d_model : E.
    nhead : the number of attention heads.
    dim_feedforward : the width of the hidden layer.
    dropout : the dropout probability.
    activation : "relu", "gelu" or a function.
    layer_norm_eps : ε of the layer norms.
    batch_first : (N, T, E) instead of (T, N, E).
    norm_first : normalise before attention and feed-forward network, not after them.
    bias : whether linear layers and norms have biases.
    backend, dtype : of the parameters.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        place: dict[str, Any] = {"backend": backend, "dtype": dtype}
        if isinstance(activation, str) and activation not in _ACTIVATIONS:
            raise ValueError(f"activation must be 'relu', 'gelu' or a function, got {activation!r}")
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **place)
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, **place)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, **place)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place)
        self.norm2 = LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **place)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = _ACTIVATIONS[activation] if isinstance(activation, str) else activation

    def forward(
        self,
        src: TensorLike,
        src_mask: TensorLike | None = None,
        src_key_padding_mask: TensorLike | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        x = floating("src", src)
        masks = (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            x = x + self._attention(self.norm1(x), *masks)
            return x + self._feed_forward(self.norm2(x))
        x = self.norm1(x + self._attention(x, *masks))
        y: Tensor = self.norm2(x + self._feed_forward(x))
        return y

    def _attention(self, x: Tensor, mask: TensorLike | None, padding: TensorLike | None, is_causal: bool) -> Tensor:
        y = self.self_attn(x, x, x, padding, need_weights=False, attn_mask=mask, is_causal=is_causal)[0]
        dropped: Tensor = self.dropout1(y)
        return dropped

    def _feed_forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))
        return y


class TransformerEncoder(Module):
    """A stack of copies of a layer.

    The copies start with equal values and are trained separately, as in PyTorch.

    Parameters
    ----------
    encoder_layer : the layer to copy.
    num_layers : the number of copies.
    norm : a final layer, or None.
    enable_nested_tensor, mask_check : ignored.  In PyTorch they select a fast path with outputs of 0 at padding.

    >>> import xpnet
    >>> layer = TransformerEncoderLayer(d_model=4, nhead=2, dim_feedforward=8, batch_first=True)
    >>> TransformerEncoder(layer, num_layers=2)(xpnet.tensor([[[1.0, 2.0, 3.0, 4.0]] * 5])).shape
    (1, 5, 4)
    """

    norm: Module | None

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(num_layers, int) or num_layers < 1:
            raise ValueError(f"TransformerEncoder: num_layers must be a positive whole number, got {num_layers!r}")
        self.layers = ModuleList(deepcopy(encoder_layer) for _ in range(num_layers))
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self,
        src: TensorLike,
        mask: TensorLike | None = None,
        src_key_padding_mask: TensorLike | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """Encode a batch of sequences.

        Parameters
        ----------
        src : (T, N, E), or (N, T, E) with ``batch_first``, or (T, E).
        mask : (T, T) or (N·heads, T, T); boolean (True where *hidden*) or floating (added to the scores).
        src_key_padding_mask : (N, T), likewise.
        is_causal : hide later positions.
        """
        x = floating("src", src)
        for layer in self.layers.children():
            x = layer(x, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal))
        return x if self.norm is None else self.norm(x)


class _PositionalEncoding(Module):
    def __init__(self, d_model: int, max_len: int, dropout: float, batch_first: bool) -> None:
        super().__init__()
        for name, number in (("d_model", d_model), ("max_len", max_len)):
            if not isinstance(number, int) or number < 1:
                raise ValueError(f"{type(self).__name__}: {name} must be a positive whole number, got {number!r}")
        self.d_model, self.max_len, self.batch_first = d_model, max_len, batch_first
        self.dropout = Dropout(dropout)

    def _add(self, x: TensorLike, table: Any) -> Tensor:
        """Add the first T rows of the table (max_len, E) to x: (T, N, E), (N, T, E) with ``batch_first``, or (T, E)."""
        t = floating("input", x)
        time = t.ndim - 2 if self.batch_first else 0
        if t.ndim not in (2, 3) or t.shape[-1] != self.d_model:
            expected = f"({'N, T' if self.batch_first else 'T, N'}, {self.d_model}) or (T, {self.d_model})"
            raise ValueError(f"expected input of shape {expected}, got {t.shape}")
        if t.shape[time] > self.max_len:
            raise ValueError(f"a sequence of {t.shape[time]} steps is longer than max_len={self.max_len}")
        rows = table[: t.shape[time]]
        y: Tensor = self.dropout(t + (rows if self.batch_first or t.ndim == 2 else rows[:, None]))
        return y


class SinusoidalPositionalEncoding(_PositionalEncoding):
    """Adds ``sin(t ω_i)`` to feature 2i and ``cos(t ω_i)`` to feature 2i + 1 at time t, ``ω_i = 10000^(−2i/E)``.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.

    Parameters
    ----------
    d_model : E.
    max_len : the largest length T.
    dropout : the dropout probability after the addition.
    batch_first : x is (N, T, E) instead of (T, N, E); (T, E) is accepted as well.
    backend, dtype : of the table.
    """

    table: Array

    def __init__(
        self,
        d_model: int,
        max_len: int = 5000,
        dropout: float = 0.0,
        batch_first: bool = False,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(d_model, max_len, dropout, batch_first)
        features = np.arange(d_model)
        angles = np.arange(max_len)[:, None] * np.exp((features - features % 2) * (-math.log(10000.0) / d_model))
        table = np.where(features % 2 == 0, np.sin(angles), np.cos(angles)).astype(dtype or "float32")
        self.register_buffer("table", get_backend(backend).asarray(table), persistent=False)

    def forward(self, x: TensorLike) -> Tensor:
        return self._add(x, self.table)


class LearnedPositionalEncoding(_PositionalEncoding):
    """Adds a learned row of weight (max_len, E) to each time step; initially N(0, 0.02²).

    Parameters
    ----------
    d_model, max_len, dropout, batch_first : as in ``SinusoidalPositionalEncoding``.
    backend, dtype : of the parameters.
    """

    def __init__(
        self,
        d_model: int,
        max_len: int,
        dropout: float = 0.0,
        batch_first: bool = False,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(d_model, max_len, dropout, batch_first)
        self.weight = new_parameter((max_len, d_model), backend, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new initial values."""
        init.normal_(self.weight, 0.0, 0.02)

    def forward(self, x: TensorLike) -> Tensor:
        return self._add(x, self.weight)
