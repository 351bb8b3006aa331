"""Recurrent layers and their cells."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

from xpnet.nn import functional as F
from xpnet.nn import init
from xpnet.nn.functional.checks import check_probability, floating
from xpnet.nn.module import Module, new_parameter
from xpnet.tensor import Tensor, TensorLike, as_tensor
from xpnet_backends import Backend


class _Weights(Module):
    """Base of layers and cells: parameters with PyTorch's names, initial values, the computation of one layer."""

    gates: ClassVar[int] = 1
    state_names: ClassVar[tuple[str, ...]] = ("h0",)

    def __init__(self, input_size: int, hidden_size: int, bias: bool) -> None:
        super().__init__()
        self._positive("input_size", input_size)
        self._positive("hidden_size", hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias

    def _positive(self, what: str, value: int) -> None:
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{type(self).__name__}: {what} must be a positive whole number, got {value!r}")

    def _add_weights(self, features: int, suffix: str, backend: str | Backend | None, dtype: Any) -> None:
        rows = self.gates * self.hidden_size
        setattr(self, f"weight_ih{suffix}", new_parameter((rows, features), backend, dtype))
        setattr(self, f"weight_hh{suffix}", new_parameter((rows, self.hidden_size), backend, dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name + suffix, new_parameter((rows,), backend, dtype) if self.bias else None)

    def _weights(self, suffix: str) -> list[Any]:
        return [getattr(self, name + suffix) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly in ±1/√H, as in PyTorch."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _run(self, x: Tensor, states: list[Tensor], weights: list[Any], lengths: Any, reverse: bool) -> tuple[Any, ...]:
        """One layer in one direction.  x (T, N, I), states of (N, H) -> y (T, N, H), last states."""
        raise NotImplementedError

    def _initial(self, hx: Any, shape: tuple[int, ...], like: Tensor) -> list[Tensor]:
        """The initial states, each of shape ``shape``; zeros by default."""
        count = len(self.state_names)
        if hx is None:
            return [as_tensor(like.backend.xp.zeros(shape, dtype=like.dtype))] * count
        if count > 1 and (not isinstance(hx, tuple | list) or len(hx) != count):
            raise ValueError(f"hx must be the pair ({', '.join(self.state_names)}), got {type(hx).__name__}")
        states = [floating(name, s) for name, s in zip(self.state_names, hx if count > 1 else (hx,), strict=True)]
        for name, state in zip(self.state_names, states, strict=True):
            if state.shape != shape:
                raise ValueError(f"expected {name} of shape {shape}, got {state.shape}")
        return states


class _Layers(_Weights):
    """Stacked layers, each in one direction or both."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        backend: str | Backend | None,
        dtype: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        self._positive("num_layers", num_layers)
        self.num_layers, self.batch_first, self.bidirectional = num_layers, batch_first, bidirectional
        self.dropout = check_probability(f"{type(self).__name__}: dropout", dropout)
        if dropout and num_layers == 1:
            warnings.warn(
                f"{type(self).__name__}: dropout={dropout} acts between layers, but there is one: give num_layers > 1",
                stacklevel=3,
            )
        for layer in range(num_layers):
            features = input_size if layer == 0 else hidden_size * (1 + bidirectional)
            for suffix in self._suffixes(layer):
                self._add_weights(features, suffix, backend, dtype)
        self.reset_parameters()

    def _suffixes(self, layer: int) -> list[str]:
        return [f"_l{layer}", f"_l{layer}_reverse"][: 1 + self.bidirectional]

    def forward(self, x: TensorLike, hx: Any = None, *, lengths: Any = None) -> tuple[Tensor, Any]:
        """The outputs of the last layer, and the last states of all layers.

        Parameters
        ----------
        x : (T, N, I), or (N, T, I) with ``batch_first``, or (T, I) -> y with D·H features in D directions.
        hx : the initial states (layers · D, N, H), without N for a single sequence; zeros by default.
        lengths : (N,), the lengths of padded sequences.  After the end of a sequence y is zero; its last state is that
            of its own last step, and the reverse direction starts there.
        """
        x = floating(type(self).__name__, x)
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            axes = "N, T" if self.batch_first else "T, N"
            raise ValueError(
                f"expected input of shape ({axes}, {self.input_size}) or (T, {self.input_size}), got {x.shape}"
            )
        alone = x.ndim == 2
        if alone and lengths is not None:
            raise ValueError(f"lengths are for batches: a single sequence of shape {x.shape} has no padding")
        y = x.unsqueeze(1) if alone else x.transpose(1, 0, 2) if self.batch_first else x
        count, batch = self.num_layers * (1 + self.bidirectional), () if alone else (y.shape[1],)
        states = self._initial(hx, (count, *batch, self.hidden_size), y)
        y, last = self._stack(y, [s.unsqueeze(1) for s in states] if alone else states, lengths)
        if alone:
            return y.squeeze(1), self._as_given([s.squeeze(1) for s in last])
        return (y.transpose(1, 0, 2) if self.batch_first else y), self._as_given(last)

    def _stack(self, y: Tensor, states: Sequence[Tensor], lengths: Any) -> tuple[Tensor, list[Tensor]]:
        last: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                y = F.dropout(y, self.dropout, self.training, path=self._path or "dropout")
            directions = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                own = [s[len(last)] for s in states]
                out, *ends = self._run(y, own, self._weights(suffix), lengths, direction == 1)
                directions.append(out)
                last.append(tuple(ends))
            y = F.concatenate(directions, axis=2) if self.bidirectional else directions[0]
        return y, [F.stack(list(ends)) for ends in zip(*last, strict=True)]

    def _as_given(self, states: list[Tensor]) -> Any:
        return states[0] if len(states) == 1 else tuple(states)

    def extra_repr(self) -> str:
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        options = "".join(f", {k}={getattr(self, k)}" for k, v in defaults.items() if getattr(self, k) != v)
        return f"{self.input_size}, {self.hidden_size}{options}"


class RNN(_Layers):
    """``h_t = φ(W x_t + b + U h_{t−1} + b')``.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional : as in ``LSTM``.
    nonlinearity : φ, "tanh" or "relu".
    backend, dtype : of the parameters.

    >>> import xpnet
    >>> y, h = RNN(3, 5, num_layers=2, bidirectional=True)(xpnet.tensor([[[0.1, 0.2, 0.3]]] * 7))
    >>> y.shape, h.shape
    ((7, 1, 10), (4, 1, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, backend, dtype)
        self.nonlinearity = _known(nonlinearity, "RNN")

    def _run(self, x: Tensor, states: list[Tensor], weights: list[Any], lengths: Any, reverse: bool) -> tuple[Any, ...]:
        return F.rnn(x, *states, *weights, lengths=lengths, nonlinearity=self.nonlinearity, reverse=reverse)


class LSTM(_Layers):
    """Long short-term memory: ``c = f c' + i g``, ``h = o tanh c``.

    Gates ``(i, f, g, o) = (σ, σ, tanh, σ)(W x + b + U h' + b')``.
    x (T, N, I) -> y (T, N, D·H) for D directions, and the last states (h, c), each (layers · D, N, H).

    Parameters
    ----------
    input_size, hidden_size : I and H.
    num_layers : the number of stacked layers.
    bias : whether there are b and b'.
    batch_first : (N, T, I) instead of (T, N, I).
    dropout : the dropout probability between layers.
    bidirectional : run each layer in both directions.
    backend, dtype : of the parameters.

    >>> import xpnet
    >>> y, (h, c) = LSTM(3, 5)(xpnet.tensor([[[0.1, 0.2, 0.3]]] * 7))
    >>> y.shape, h.shape, c.shape
    ((7, 1, 5), (1, 1, 5), (1, 1, 5))
    """

    gates = 4
    state_names = ("h0", "c0")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, backend, dtype)

    def _run(self, x: Tensor, states: list[Tensor], weights: list[Any], lengths: Any, reverse: bool) -> tuple[Any, ...]:
        return F.lstm(x, *states, *weights, lengths=lengths, reverse=reverse)


class GRU(_Layers):
    """Gated recurrent unit: ``h = (1 − z) n + z h'``, ``(r, z) = σ(W x + b + U h' + b')``.

    ``n = tanh(W_n x + b_n + r (U_n h' + b'_n))``.  x (T, N, I) -> y (T, N, D·H) for D directions, and the last state
    (layers · D, N, H).

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional : as in ``LSTM``.
    backend, dtype : of the parameters.

    >>> import xpnet
    >>> y, h = GRU(3, 5)(xpnet.tensor([[[0.1, 0.2, 0.3]]] * 7))
    >>> y.shape, h.shape
    ((7, 1, 5), (1, 1, 5))
    """

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, backend, dtype)

    def _run(self, x: Tensor, states: list[Tensor], weights: list[Any], lengths: Any, reverse: bool) -> tuple[Any, ...]:
        return F.gru(x, *states, *weights, lengths=lengths, reverse=reverse)


def _known(nonlinearity: str, name: str) -> str:
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{name}: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
    return nonlinearity


class _Cell(_Weights):
    """A single step, computed as a sequence of length 1."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, backend: str | Backend | None, dtype: Any
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        self._add_weights(input_size, "", backend, dtype)
        self.reset_parameters()

    def forward(self, x: TensorLike, hx: Any = None) -> Any:
        """The next state.  x (N, I) or (I,), states (N, H) or (H,)."""
        x = floating(type(self).__name__, x)
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ValueError(f"expected input of shape (N, {self.input_size}) or ({self.input_size},), got {x.shape}")
        states = self._initial(hx, (*x.shape[:-1], self.hidden_size), x)
        if x.ndim == 1:
            states = [s.unsqueeze(0) for s in states]
        _, *last = self._run(x.reshape(1, -1, self.input_size), states, self._weights(""), None, False)
        last = [s.squeeze(0) for s in last] if x.ndim == 1 else last
        return last[0] if len(last) == 1 else tuple(last)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}{'' if self.bias else ', bias=False'}"


class RNNCell(_Cell):
    """``h = φ(W x + b + U h' + b')``.  x (N, I), h' (N, H) -> h (N, H).

    Parameters
    ----------
    input_size, hidden_size : I and H.
    bias : whether there are b and b'.
    nonlinearity : φ, "tanh" or "relu".
    backend, dtype : of the parameters.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, backend, dtype)
        self.nonlinearity = _known(nonlinearity, "RNNCell")

    _run = RNN._run


class LSTMCell(_Cell):
    """One step of ``LSTM``.  x (N, I), h and c (N, H) -> (h, c)."""

    gates = 4
    state_names = ("h0", "c0")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, backend, dtype)

    _run = LSTM._run


class GRUCell(_Cell):
    """One step of ``GRU``.  x (N, I), h (N, H) -> h."""

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, backend, dtype)

    _run = GRU._run
