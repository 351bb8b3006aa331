"""Layers as functions of tensors, with PyTorch's names and arguments.  They check inputs and call ``xpnet.ops``."""

from xpnet.tensor import concatenate, stack, where

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
    softmin,
    softplus,
    softsign,
    tanh,
    tanhshrink,
)
from .attention import rotary_embedding, scaled_dot_product_attention
from .conv import conv1d, conv2d, conv_transpose2d
from .ctc import ctc_loss
from .dropout import dropout, dropout1d, dropout2d
from .embedding import embedding, embedding_bag
from .likelihood import (
    binary_cross_entropy,
    focal_loss,
    gaussian_nll_loss,
    kl_div,
    poisson_nll_loss,
    sigmoid_focal_loss,
)
from .linear import flatten, linear, one_hot
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
from .norm import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from .piecewise import hardshrink, hardsigmoid, hardswish, hardtanh, prelu, relu6, softshrink, threshold
from .pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    avg_pool2d,
    max_pool1d,
    max_pool2d,
)
from .recurrent import gru, lstm, rnn
from .resample import interpolate, pad
from .style import gram_matrix, total_variation

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d", "avg_pool1d",
    "avg_pool2d", "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits", "celu",
    "concatenate", "conv1d", "conv2d", "conv_transpose2d", "cosine_embedding_loss", "cross_entropy", "ctc_loss",
    "dropout", "dropout1d", "dropout2d", "elu", "embedding", "embedding_bag", "flatten", "focal_loss",
    "gaussian_nll_loss", "gelu", "glu", "gram_matrix", "group_norm", "gru", "hardshrink", "hardsigmoid",
    "hardswish", "hardtanh", "hinge_embedding_loss", "huber_loss", "instance_norm", "interpolate", "kl_div",
    "l1_loss", "layer_norm", "leaky_relu", "linear", "log_softmax", "logsigmoid", "lstm", "margin_ranking_loss",
    "max_pool1d", "max_pool2d", "mish", "mse_loss", "multi_margin_loss", "nll_loss", "one_hot", "pad",
    "poisson_nll_loss", "prelu", "relu", "relu6", "rms_norm", "rnn", "rotary_embedding",
    "scaled_dot_product_attention", "selu", "sigmoid", "sigmoid_focal_loss", "silu", "smooth_l1_loss",
    "softmax", "softmin", "softplus", "softshrink", "softsign", "stack", "tanh", "tanhshrink", "threshold",
    "total_variation", "triplet_margin_loss", "where",
]  # fmt: skip
