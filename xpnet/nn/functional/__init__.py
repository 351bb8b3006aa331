"""Layers as functions of tensors, with PyTorch's names and arguments.  Here inputs are checked; the math is in ops/."""

from xpnet.tensor import concatenate, stack, where

from .activation import elu, gelu, leaky_relu, log_softmax, relu, sigmoid, softmax, tanh
from .conv import conv1d, conv2d, conv_transpose2d
from .dropout import dropout, dropout1d, dropout2d
from .embedding import embedding, embedding_bag
from .linear import flatten, linear, one_hot
from .loss import binary_cross_entropy_with_logits, cross_entropy, l1_loss, mse_loss, nll_loss
from .norm import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
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

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool1d", "adaptive_max_pool2d", "avg_pool1d",
    "avg_pool2d", "batch_norm", "binary_cross_entropy_with_logits", "concatenate", "conv1d", "conv2d",
    "conv_transpose2d", "cross_entropy", "dropout", "dropout1d", "dropout2d", "elu", "embedding", "embedding_bag",
    "flatten", "gelu", "group_norm", "gru", "instance_norm", "interpolate", "l1_loss", "layer_norm", "leaky_relu",
    "linear", "log_softmax", "lstm", "max_pool1d", "max_pool2d", "mse_loss", "nll_loss", "one_hot", "pad", "relu",
    "rms_norm", "rnn", "sigmoid", "softmax", "stack", "tanh", "where",
]  # fmt: skip
