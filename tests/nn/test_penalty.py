"""Penalties on weights."""

import numpy as np
import pytest

import xpnet
from xpnet import nn, optim
from xpnet.gradcheck import gradcheck


def model():
    xpnet.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).to(dtype="float64")


def test_values_and_gradients(backend):
    net = model().to(backend=backend)
    penalty = nn.Penalty(l1=0.5, l2=0.25)(net)
    matrices = [backend.to_numpy(net[i].weight.data) for i in (0, 2)]
    expected = sum(0.5 * np.abs(w).sum() + 0.125 * (w * w).sum() for w in matrices)
    assert float(penalty.numpy()) == pytest.approx(expected, rel=1e-12)
    penalty.backward()
    np.testing.assert_allclose(backend.to_numpy(net[2].weight.grad), 0.5 * np.sign(matrices[1]) + 0.25 * matrices[1])
    assert net[0].bias.grad is None
    assert net[1].weight.grad is None


def test_gradcheck():
    net = model()
    assert gradcheck(lambda: nn.Penalty(l1=0.3, l2=0.2)(net), parameters=[net[0].weight, net[2].weight]) < 1e-7


def test_l2_is_weight_decay():
    a, b = model(), model()
    for net, decay in ((a, 0.1), (b, 0.0)):
        optimizer = optim.SGD([net[0].weight, net[2].weight], lr=0.1, weight_decay=decay)
        loss = net(np.ones((4, 3))).sum()
        (loss if decay else loss + 0.1 * nn.l2_penalty([net[0].weight, net[2].weight])).backward()
        optimizer.step()
    np.testing.assert_allclose(a[0].weight.data, b[0].weight.data, rtol=1e-12)


def test_of_half_precision_the_sum_is_multiplied_before_it_is_rounded(backend):
    """Σ w² is 10⁶, which float16 does not hold; λ Σ w² is 500."""
    layer = nn.Linear(10, 10, bias=False).to(backend=backend, dtype="float16")
    with xpnet.no_grad():
        layer.weight[...] = 100.0
    penalty = nn.Penalty(l1=1e-4, l2=1e-3)(layer)
    penalty.backward()
    assert penalty.dtype == "float16"
    assert float(penalty.numpy()) == pytest.approx(501.0, rel=1e-3)
    np.testing.assert_allclose(backend.to_numpy(layer.weight.grad), 0.1001, rtol=1e-3)


def test_errors():
    with pytest.raises(ValueError, match=r"one of them positive; got l1=0.0, l2=0.0"):
        nn.Penalty()
    with pytest.raises(ValueError, match=r"got l1=-1, l2=2"):
        nn.Penalty(l1=-1, l2=2)
    with pytest.raises(ValueError, match="a penalty needs at least one parameter"):
        nn.l1_penalty([])
    assert repr(nn.Penalty(l1=0.5)) == "Penalty(l1=0.5, l2=0.0)"
