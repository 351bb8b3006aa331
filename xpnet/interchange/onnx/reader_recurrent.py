"""ONNX's recurrent layers: one node is one layer, in one direction or both.

x (T, N, I), weights (D, G·H, I) and (D, G·H, H), bias (D, 2·G·H), states (D, N, H) -> y (T, D, N, H) and the last
states, where D is the number of directions.  With ``layout`` 1 the batch comes first.  ONNX orders the gates
differently from xpnet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpnet.interchange.onnx.messages import OnnxError
from xpnet.interchange.onnx.reader_call import Call, on_device
from xpnet.nn import functional as F
from xpnet.tensor import Tensor

_GATES = {
    "RNN": [0],
    "GRU": [1, 0, 2],
    "LSTM": [0, 2, 3, 1],
}  # xpnet's gates in ONNX's order: zrh, iofc
_FUNCTIONS: dict[str, Callable[..., Any]] = {"RNN": F.rnn, "GRU": F.gru, "LSTM": F.lstm}
_ACTIVATIONS = {"RNN": ["tanh"], "GRU": ["sigmoid", "tanh"], "LSTM": ["sigmoid", "tanh", "tanh"]}


def rnn(
    call: Call, x: Tensor, weight: Any, recurrent: Any, bias: Any = None, lengths: Any = None, h0: Any = None
) -> tuple[Tensor, ...]:
    """``h = φ(W x + U h' + b)``."""
    names = [name.lower() for name in call.get("activations", list, [])]
    nonlinearity = names[0] if names else "tanh"
    if nonlinearity not in ("tanh", "relu") or len(set(names)) > 1:
        raise OnnxError(f"RNN with activations={names}, supported are Tanh and Relu")
    return _run("RNN", call, x, [weight, recurrent, bias], lengths, [h0], nonlinearity=nonlinearity)


def gru(
    call: Call, x: Tensor, weight: Any, recurrent: Any, bias: Any = None, lengths: Any = None, h0: Any = None
) -> tuple[Tensor, ...]:
    """Only PyTorch's variant: the reset gate is applied after the matrix product."""
    if not call.get("linear_before_reset", int, 0):
        raise OnnxError("GRU with linear_before_reset=0 is not supported, only with 1")
    _check_activations("GRU", call)
    return _run("GRU", call, x, [weight, recurrent, bias], lengths, [h0])


def lstm(
    call: Call,
    x: Tensor,
    weight: Any,
    recurrent: Any,
    bias: Any = None,
    lengths: Any = None,
    h0: Any = None,
    c0: Any = None,
    peepholes: Any = None,
) -> tuple[Tensor, ...]:
    """Without peepholes."""
    if peepholes is not None or call.get("input_forget", int, 0):
        raise OnnxError("LSTM with peepholes or input_forget is not supported")
    _check_activations("LSTM", call)
    return _run("LSTM", call, x, [weight, recurrent, bias], lengths, [h0, c0])


def _check_activations(op: str, call: Call) -> None:
    names, usual = [name.lower() for name in call.get("activations", list, [])], _ACTIVATIONS[op]
    if names not in ([], usual, usual * 2):
        raise OnnxError(f"{op} with activations={names} is not supported, only with {usual}")


def _run(
    op: str, call: Call, x: Tensor, weights: list[Any], lengths: Any, states: list[Any], **options: Any
) -> tuple[Tensor, ...]:
    directions = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}
    reversals = directions.get(call.get("direction", str, "forward"))
    if reversals is None or "clip" in call.options:
        raise OnnxError(f"{op} with direction={call.options.get('direction')!r} or with clip is not supported")
    batch_first, hidden = bool(call.get("layout", int, 0)), weights[1].shape[-1]
    _check_weights(op, x, weights, len(reversals))
    x = x.transpose(1, 0, 2) if batch_first else x
    lengths = on_device(lengths, x) if isinstance(lengths, np.ndarray) else lengths
    first = _initial(x, states, (len(reversals), x.shape[1], hidden), batch_first)
    function = _FUNCTIONS[op]
    ys, ends = [], []
    for d, reverse in enumerate(reversals):
        own = _own_weights(op, [None if w is None else w[d] for w in weights], hidden)
        y, *last = function(x, *(s[d] for s in first), *own, lengths=lengths, reverse=reverse, **options)
        ys.append(y)
        ends.append(last)
    axis = 0 if not batch_first else 1
    last_states = [F.stack(list(each), axis=axis) for each in zip(*ends, strict=True)]
    y = F.stack(ys, axis=1)  # (T, D, N, H)
    return (y.transpose(2, 0, 1, 3) if batch_first else y, *last_states)


def _check_weights(op: str, x: Tensor, weights: list[Any], directions: int) -> None:
    hidden = weights[1].shape[-1]
    rows = len(_GATES[op]) * hidden
    shapes = {"W": (rows, x.shape[-1]), "R": (rows, hidden), "B": (2 * rows,)}
    for (name, rest), given in zip(shapes.items(), weights, strict=True):
        shape = (directions, *rest)
        if given is not None and (x.ndim != 3 or tuple(given.shape) != shape):
            raise OnnxError(f"{op}: {name} should be {shape} for input {tuple(x.shape)}, got {tuple(given.shape)}")


def _initial(x: Tensor, states: list[Any], shape: tuple[int, ...], batch_first: bool) -> list[Tensor]:
    """The initial states; zeros if none is given."""
    found = []
    for state in states:
        if state is None:
            found.append(Tensor(x.backend.xp.zeros(shape, dtype=x.dtype)))
            continue
        s = state if isinstance(state, Tensor) else on_device(np.asarray(state), x)
        found.append(s.transpose(1, 0, 2) if batch_first else s)
        if found[-1].shape != shape:
            raise OnnxError(f"an initial state of shape {found[-1].shape}, expected {shape}")
    return found


def _own_weights(op: str, weights: list[Any], hidden: int) -> list[Any]:
    """weight_ih, weight_hh, bias_ih, bias_hh in xpnet's gate order."""
    weight, recurrent, bias = weights
    rows = len(_GATES[op]) * hidden
    parts = [weight, recurrent, *([None, None] if bias is None else [bias[:rows], bias[rows:]])]
    return [
        p if p is None or op == "RNN" else F.concatenate([p[g * hidden : (g + 1) * hidden] for g in _GATES[op]])
        for p in parts
    ]
