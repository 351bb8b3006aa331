"""One recurrent layer in one direction over whole sequences.  The layers of ``nn`` use these functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpnet import ops
from xpnet.nn.functional.checks import floating
from xpnet.tensor import Tensor, TensorLike, apply, as_tensor
from xpnet_backends import is_array


def rnn(
    x: TensorLike,
    h0: TensorLike,
    weight_ih: TensorLike,
    weight_hh: TensorLike,
    bias_ih: TensorLike | None = None,
    bias_hh: TensorLike | None = None,
    *,
    lengths: Any = None,
    nonlinearity: str = "tanh",
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """``h_t = φ(W x_t + b + U h_{t−1} + b')``.  x (T, N, I), h0 (N, H) -> y (T, N, H), last state (N, H).

    Parameters
    ----------
    x, h0 : the sequences and the initial state.
    weight_ih, weight_hh : W (H, I) and U (H, H).
    bias_ih, bias_hh : b and b', (H,); both or none.
    lengths : (N,); after the end of a sequence y is zero, and the last state is that of its own last step.
    nonlinearity : φ, "tanh" or "relu".
    reverse : start at the last step.
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"rnn: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
    t, states, ends = _checked("rnn", x, (h0,), (weight_ih, weight_hh, bias_ih, bias_hh), 1, lengths)
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    return apply(ops.rnn, t, *states, *weights, ends, nonlinearity=nonlinearity, reverse=reverse)  # type: ignore[return-value]


def lstm(
    x: TensorLike,
    h0: TensorLike,
    c0: TensorLike,
    weight_ih: TensorLike,
    weight_hh: TensorLike,
    bias_ih: TensorLike | None = None,
    bias_hh: TensorLike | None = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """``c = f c' + i g``, ``h = o tanh c``, gates ``(i, f, g, o) = (σ, σ, tanh, σ)(W x + b + U h' + b')``.

    Long short-term memory.  Returns y (T, N, H), the last h and the last c.

    Parameters
    ----------
    x, h0, c0 : the sequences (T, N, I) and the initial states (N, H).
    weight_ih, weight_hh, bias_ih, bias_hh : W (4H, I), U (4H, H), b and b' (4H,), in the order i, f, g, o.
    lengths, reverse : as in ``rnn``.
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    t, states, ends = _checked("lstm", x, (h0, c0), weights, 4, lengths)
    return apply(ops.lstm, t, *states, *weights, ends, reverse=reverse)  # type: ignore[return-value]


def gru(
    x: TensorLike,
    h0: TensorLike,
    weight_ih: TensorLike,
    weight_hh: TensorLike,
    bias_ih: TensorLike | None = None,
    bias_hh: TensorLike | None = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """``h = (1 − z) n + z h'``, ``(r, z) = σ(W x + b + U h' + b')``, ``n = tanh(W_n x + b_n + r (U_n h' + b'_n))``.

    Gated recurrent unit.  Returns y (T, N, H) and the last state.

    Parameters
    ----------
    x, h0 : the sequences (T, N, I) and the initial state (N, H).
    weight_ih, weight_hh, bias_ih, bias_hh : W (3H, I), U (3H, H), b and b' (3H,), in the order r, z, n.
    lengths, reverse : as in ``rnn``.
    """
    weights = weight_ih, weight_hh, bias_ih, bias_hh
    t, states, ends = _checked("gru", x, (h0,), weights, 3, lengths)
    return apply(ops.gru, t, *states, *weights, ends, reverse=reverse)  # type: ignore[return-value]


def _checked(
    name: str, x: TensorLike, states: Sequence[TensorLike], weights: Sequence[Any], gates: int, lengths: Any
) -> tuple[Tensor, list[Tensor], Any]:
    t = floating(name, x)
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    rows, features = weight_ih.shape
    if t.ndim != 3 or t.shape[2] != features:
        raise ValueError(f"{name}: expected input of shape (T, N, {features}), got {t.shape}")
    if not t.shape[0]:
        raise ValueError(f"{name}: a sequence needs at least one step, got input of shape {t.shape}")
    if t.dtype != weight_ih.dtype:
        raise TypeError(f"{name}: input is {t.dtype}, weights {weight_ih.dtype}: convert one, e.g. x.astype(...)")
    hidden = rows // gates
    if weight_hh.shape != (rows, hidden) or rows % gates:
        raise ValueError(
            f"{name}: weight_hh must be ({gates}·H, H) beside weight_ih {weight_ih.shape}, got {weight_hh.shape}"
        )
    if (bias_ih is None) != (bias_hh is None):
        raise ValueError(f"{name}: give both biases or none")
    given = [floating(name, s) for s in states]
    for s in given:
        if s.shape != (t.shape[1], hidden):
            raise ValueError(f"{name}: expected an initial state of shape {(t.shape[1], hidden)}, got {s.shape}")
    return t, given, None if lengths is None else _ends(name, lengths, t)


def _ends(name: str, lengths: Any, x: Tensor) -> Any:
    """``lengths`` as an array on the backend of x.  Their values are checked on a CPU only."""
    steps, n = x.shape[:2]
    held = lengths.data if isinstance(lengths, Tensor) else lengths
    ends = as_tensor(held if is_array(held) else x.backend.asarray(held))
    if ends.dtype.kind not in "iu" or ends.shape != (n,):
        raise ValueError(f"{name}: lengths must be {n} whole numbers, one per sequence, got {ends.dtype}{ends.shape}")
    if ends.backend.on_host and n:
        low, high = int(ends.data.min()), int(ends.data.max())
        if low < 1 or high > steps:
            raise ValueError(f"{name}: lengths must lie in 1..{steps}, the steps of the input, got {low}..{high}")
    return ends.data
