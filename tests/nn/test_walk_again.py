"""Layers under ``retain_graph``: each walk back gives the same gradients, also of layers with random numbers."""

import numpy as np
import pytest

import xpnet
from xpnet import nn
from xpnet.nn import functional as F
from xpnet_backends import to_numpy

LAYERS = {
    "dropout": (lambda: nn.Dropout(0.5), (6, 4)),
    "dropout of channels": (lambda: nn.Dropout2d(0.5), (2, 4, 3, 3)),
    "lstm": (lambda: nn.LSTM(4, 4, num_layers=2, dropout=0.5), (3, 2, 4)),
    "transformer": (lambda: nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5), (3, 2, 4)),
    "batch norm and relu": (lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), (2, 4, 5, 5)),
    "layer norm": (lambda: nn.LayerNorm(4), (6, 4)),
    "max pooling": (lambda: nn.MaxPool2d(2), (2, 4, 4, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_each_walk_gives_the_same_gradients(name, backend):
    make, shape = LAYERS[name]
    xpnet.manual_seed(0)
    layer = make()
    x = xpnet.tensor(np.random.default_rng(0).standard_normal(shape).astype("float32"), requires_grad=True)
    y = layer(x)
    y = y[0] if isinstance(y, tuple) else y
    loss, held = (y * y).sum(), [x, *layer.parameters()]
    walks = []
    for retain in (True, True, False):
        loss.backward(retain_graph=retain)
        walks.append([to_numpy(t.grad).copy() for t in held])
        F.dropout(xpnet.tensor([1.0, 2.0]))  # moves the random state on
        for t in held:
            t.grad = None
    for walk in walks[1:]:
        for g, first in zip(walk, walks[0], strict=True):
            np.testing.assert_array_equal(g, first)
    with pytest.raises(RuntimeError, match="a second time"):
        loss.backward()
