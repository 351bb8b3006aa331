"""The mathematics: plain functions of raw arrays.

An op is called as ``op(xp, *arrays, **options)`` and returns ``(y, backward)``.  ``backward(dy, needs)`` returns one
gradient for each array argument: None where ``needs`` says that nobody asks, or where none exists (class numbers).
"""

from .activation import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, softmax, tanh
from .dropout import dropout
from .elementwise import (
    absolute,
    add,
    cast,
    clip,
    cos,
    divide,
    exp,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    sin,
    sqrt,
    subtract,
    where,
)
from .linear import linear, matmul
from .loss import binary_cross_entropy_with_logits, cross_entropy, l1_loss, mse_loss, nll_loss
from .reduce import logsumexp, reduce_max, reduce_mean, reduce_min, reduce_sum
from .shape import broadcast_to, concatenate, getitem, reshape, stack, transpose

__all__ = [
    "absolute", "add", "binary_cross_entropy_with_logits", "broadcast_to", "cast", "clip", "concatenate", "cos",
    "cross_entropy", "divide", "dropout", "elu", "exp", "gelu", "getitem", "l1_loss", "leaky_relu", "linear", "log",
    "log_softmax", "logsumexp", "matmul", "maximum", "minimum", "mse_loss", "multiply", "negative", "nll_loss",
    "power", "reduce_max", "reduce_mean", "reduce_min", "reduce_sum", "relu", "reshape", "sigmoid", "sin", "softmax",
    "sqrt", "stack", "subtract", "tanh", "transpose", "where",
]  # fmt: skip
