"""The mathematics: plain functions of raw arrays.

An op is called as ``op(xp, *arrays, **options)`` and returns ``(y, backward)``.  ``backward(dy, needs)`` returns one
gradient for each array argument: None where ``needs`` says that nobody asks, or where none exists (class numbers).
"""

from .activation import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, softmax, tanh
from .conv import conv2d, conv_transpose2d
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
from .embedding import embedding, embedding_bag
from .linear import linear, matmul
from .loss import binary_cross_entropy_with_logits, cross_entropy, l1_loss, mse_loss, nll_loss
from .norm import batch_norm, batch_norm_inference, group_norm, layer_norm, rms_norm
from .pool import adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d
from .recurrent import gru, lstm, rnn
from .reduce import logsumexp, reduce_max, reduce_mean, reduce_min, reduce_sum
from .resample import pad, separable2d
from .shape import broadcast_to, concatenate, getitem, reshape, stack, transpose

__all__ = [
    "absolute", "adaptive_avg_pool2d", "adaptive_max_pool2d", "add", "avg_pool2d", "batch_norm",
    "batch_norm_inference", "binary_cross_entropy_with_logits", "broadcast_to", "cast", "clip", "concatenate",
    "conv2d", "conv_transpose2d", "cos", "cross_entropy", "divide", "dropout", "elu", "embedding", "embedding_bag",
    "exp", "gelu", "getitem", "group_norm", "gru", "l1_loss", "layer_norm", "leaky_relu", "linear", "log",
    "log_softmax", "logsumexp", "lstm", "matmul", "max_pool2d", "maximum", "minimum", "mse_loss", "multiply",
    "negative", "nll_loss", "pad", "power", "reduce_max", "reduce_mean", "reduce_min", "reduce_sum", "relu",
    "reshape", "rms_norm", "rnn", "separable2d", "sigmoid", "sin", "softmax", "sqrt", "stack", "subtract", "tanh",
    "transpose", "where",
]  # fmt: skip
