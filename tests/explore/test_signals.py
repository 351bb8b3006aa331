"""Variances by depth."""

import numpy as np
import pytest

from xpnet import explore, nn


def test_variances_are_those_of_each_layer_and_of_its_gradient(backend):
    model = nn.Sequential(nn.Linear(4, 3, backend=backend), nn.Linear(3, 2, backend=backend))
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    w1, w2 = (layer.weight.numpy() for layer in model)
    z1 = x @ w1.T + model[0].bias.numpy()
    z2 = z1 @ w2.T + model[1].bias.numpy()
    signals, gradients = explore.variance_by_depth(model, backend.asarray(x), lambda y: (y * y).sum())
    np.testing.assert_allclose(signals, [z1.var(), z2.var()], rtol=1e-5)
    np.testing.assert_allclose(gradients, [(2 * z2 @ w2).var(), (2 * z2).var()], rtol=1e-5)
    assert all(p.grad is None for p in model.parameters())


def test_hooks_are_gone_afterwards_and_squares_below_float32_are_kept():
    model = nn.Sequential(nn.Linear(2, 2, bias=False, backend="numpy"))
    x = np.array([[1e-30, 0.0], [0.0, 1e-30]], dtype=np.float32)
    first = explore.variance_by_depth(model, x, lambda y: y.sum())
    assert explore.variance_by_depth(model, x, lambda y: y.sum()) == first
    assert 0 < first[0][0] < 1e-55
    with pytest.raises(ValueError, match="Tanh has no linear or convolutional layer"):
        explore.variance_by_depth(nn.Tanh(), x, lambda y: y.sum())
