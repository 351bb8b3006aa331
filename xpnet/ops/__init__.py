"""The mathematics: plain functions of raw arrays.

An op is called as ``op(xp, *arrays, **options)`` and returns ``(y, backward)``.  ``backward(dy, needs)`` returns one
gradient for each array argument.  It is None if ``needs`` is false for the argument, or if the argument has no gradient
(class indices).

>>> import numpy as np
>>> y, backward = matmul(np, np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
>>> y, backward(np.ones((1, 1)))[0]
(array([[11.]]), array([[3., 4.]]))
"""

from .activation import (
    celu,
    elu,
    gelu,
    glu,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    relu,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    tanh,
    tanhshrink,
)
from .attention import rotary, scaled_dot_product_attention
from .conv import conv2d, conv_transpose2d
from .ctc import ctc_loss
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
from .likelihood import (
    binary_cross_entropy,
    focal_loss,
    gaussian_nll_loss,
    kl_div,
    poisson_nll_loss,
    sigmoid_focal_loss,
)
from .linear import linear, matmul
from .loss import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from .margin import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    triplet_margin_loss,
)
from .norm import batch_norm, batch_norm_inference, group_norm, layer_norm, rms_norm
from .piecewise import hardshrink, hardsigmoid, hardswish, hardtanh, prelu, softshrink, threshold
from .pool import adaptive_avg_pool2d, adaptive_max_pool2d, avg_pool2d, max_pool2d, max_pool2d_with_indices
from .recurrent import gru, lstm, rnn
from .reduce import logsumexp, reduce_max, reduce_mean, reduce_min, reduce_sum
from .resample import pad, separable2d
from .shape import broadcast_to, concatenate, getitem, reshape, split, stack, transpose
from .style import gram_matrix, total_variation

__all__ = [
    "absolute", "adaptive_avg_pool2d", "adaptive_max_pool2d", "add", "avg_pool2d", "batch_norm",
    "batch_norm_inference", "binary_cross_entropy", "binary_cross_entropy_with_logits", "broadcast_to", "cast",
    "celu", "clip", "concatenate", "conv2d", "conv_transpose2d", "cos", "cosine_embedding_loss",
    "cross_entropy", "ctc_loss", "divide", "dropout", "elu", "embedding", "embedding_bag", "exp", "focal_loss",
    "gaussian_nll_loss", "gelu", "getitem", "glu", "gram_matrix", "group_norm", "gru", "hardshrink",
    "hardsigmoid", "hardswish", "hardtanh", "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss",
    "layer_norm", "leaky_relu", "linear", "log", "log_softmax", "logsigmoid", "logsumexp", "lstm",
    "margin_ranking_loss", "matmul", "max_pool2d", "max_pool2d_with_indices", "maximum", "minimum", "mish",
    "mse_loss", "multi_margin_loss", "multiply", "negative", "nll_loss", "pad", "poisson_nll_loss", "power", "prelu",
    "reduce_max", "reduce_mean", "reduce_min", "reduce_sum", "relu", "reshape", "rms_norm", "rnn", "rotary",
    "scaled_dot_product_attention", "selu", "separable2d", "sigmoid", "sigmoid_focal_loss", "silu", "sin",
    "smooth_l1_loss", "softmax", "softplus", "softshrink", "softsign", "split", "sqrt", "stack", "subtract",
    "tanh", "tanhshrink", "threshold", "total_variation", "transpose", "triplet_margin_loss", "where",
]  # fmt: skip
