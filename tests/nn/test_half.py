"""Layers, losses and clipping in float16: finite, and as float64 says to a few units of rounding."""

import numpy as np
import pytest

from xpnet import nn, tensor
from xpnet.nn import functional as F
from xpnet.nn.utils import clip_grad_norm_
from xpnet_backends import to_numpy


def values(*shape, scale=300.0, seed=0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float16)


NORMS = {
    "LayerNorm": (lambda: nn.LayerNorm(20), (6, 20)),
    "RMSNorm": (lambda: nn.RMSNorm(20), (6, 20)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (6, 4, 5)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(4, affine=True), (6, 4, 5)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(4), (6, 4, 3, 5)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), (16, 4)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(4), (6, 4, 3, 5)),
}
OTHERS = {
    "Linear": (lambda: nn.Linear(20, 8), (6, 20)),
    "Conv2d": (lambda: nn.Conv2d(2, 3, 3, padding=1), (2, 2, 6, 6)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 3, 3), (2, 2, 6, 6)),
    "AvgPool2d": (lambda: nn.AvgPool2d(3), (2, 2, 6, 6)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(1), (2, 2, 6, 6)),
    "MultiheadAttention": (lambda: SelfAttention(), (2, 5, 8)),
    "LSTM": (lambda: FirstOutput(nn.LSTM(4, 6)), (5, 2, 4)),
    "GRU": (lambda: FirstOutput(nn.GRU(4, 6)), (5, 2, 4)),
    "RNN": (lambda: FirstOutput(nn.RNN(4, 6)), (5, 2, 4)),
    "GELU": (lambda: nn.GELU(), (30,)),
    "Softmax": (lambda: nn.Softmax(-1), (3, 10)),
    "LogSoftmax": (lambda: nn.LogSoftmax(-1), (3, 10)),
}


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.inner(x, x, x)[0]


class FirstOutput(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)[0]


def outcome(make, x, dtype, backend):
    """Output, gradients of x and of the parameters, in training; parameters are what float16 holds."""
    layer = make().to(dtype="float16").to(dtype=dtype)
    t = tensor(backend.asarray(x.astype(dtype)), requires_grad=True)
    y = layer(t)
    assert y.dtype == dtype
    y.backward(backend.asarray(values(*y.shape, scale=1.0, seed=5).astype(dtype)))
    found = [y.data, t.grad, *(p.grad for p in layer.parameters())]
    return [to_numpy(g) for g in found]


@pytest.mark.parametrize("name", [*NORMS, *OTHERS])
def test_layers_are_within_rounding_of_float64(name, backend):
    import xpnet

    make, shape = {**NORMS, **OTHERS}[name]
    x = values(*shape, scale=300.0 if name in NORMS else 1.0)
    xpnet.manual_seed(0)
    found = outcome(make, x, "float16", backend)
    xpnet.manual_seed(0)
    for f, e in zip(found, outcome(make, x, "float64", backend), strict=True):
        assert f.dtype == np.float16
        assert np.isfinite(f).all()
        np.testing.assert_allclose(f.astype(np.float64), e, rtol=8e-3, atol=8e-3 * max(np.abs(e).max(), 1e-3))


@pytest.mark.parametrize("name", NORMS)
def test_a_norm_of_values_of_several_hundred_is_no_zero(name, backend):
    make, shape = NORMS[name]
    y = make().to(dtype="float16")(tensor(backend.asarray(values(*shape))))
    assert to_numpy(y.data).astype(np.float64).std() == pytest.approx(1.0, abs=0.05)


def test_running_statistics_of_float16_are_kept_in_float32(backend):
    x = tensor(backend.asarray(values(64, 3, scale=400.0)))
    for layer in (
        nn.BatchNorm1d(3, momentum=1.0, dtype="float16"),
        nn.BatchNorm1d(3, momentum=1.0).to(dtype="float16"),
    ):
        y = layer(x)
        assert (layer.weight.dtype, layer.running_var.dtype, y.dtype) == ("float16", "float32", "float16")
        assert to_numpy(layer.running_var) == pytest.approx(
            to_numpy(x.data).astype(float).var(axis=0, ddof=1), rel=1e-4
        )
        layer.eval()
        spread = to_numpy(layer(x).data).astype(np.float64).std(axis=0)
        assert spread == pytest.approx(np.ones(3), abs=0.02)
        assert layer.to(dtype="float64").running_var.dtype == "float64"


def test_the_functional_keeps_the_dtype_of_its_statistics(backend):
    x = tensor(backend.asarray(values(8, 3, scale=2.0)))
    half = [backend.asarray(v) for v in (np.zeros(3, np.float16), np.ones(3, np.float16))]
    _, mean, variance = F.batch_norm(x, *half, training=True)
    assert (mean.dtype, variance.dtype) == ("float16", "float16")
    assert F.batch_norm(x, None, None, training=True)[0].dtype == "float16"


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_loss_of_70000_values(reduction, backend):
    ones = tensor(backend.asarray(np.full(70_000, 2, np.float16)), requires_grad=True)
    zeros = tensor(backend.asarray(np.full(70_000, 1.5, np.float16)))
    loss = F.mse_loss(ones, zeros, reduction=reduction)
    loss.backward()
    assert loss.dtype == "float16"
    assert loss.item() == pytest.approx(0.25 if reduction == "mean" else 17_500, rel=1e-3)
    expected = 1 / 70_000 if reduction == "mean" else 1.0
    np.testing.assert_allclose(to_numpy(ones.grad), expected, rtol=5e-3)


def test_mean_and_variance_of_70000_values(backend):
    x = tensor(backend.asarray(np.full(70_000, 10, np.float16)), requires_grad=True)
    y = x.mean()
    y.backward()
    assert (y.item(), y.dtype) == (10.0, "float16")
    np.testing.assert_allclose(to_numpy(x.grad), 1 / 70_000, rtol=5e-3)
    z = tensor(backend.asarray(np.tile(np.array([-200, 200], np.float16), 500)))
    assert z.var().dtype == "float16"
    assert z.var().item() == pytest.approx(200**2 * 1000 / 999, rel=1e-3)


@pytest.mark.parametrize(
    ("norm_type", "norm"), [(2.0, 500.0), (1.0, 700.0), (np.inf, 400.0), (3.0, (300**3 + 400**3) ** (1 / 3))]
)
def test_a_gradient_norm_of_500_is_clipped(norm_type, norm, backend):
    parameter = nn.Parameter(tensor(backend.asarray(np.zeros(2, np.float16))))
    parameter.grad = backend.asarray(np.array([300, 400], np.float16))
    found = clip_grad_norm_([parameter], 1.0, norm_type)
    assert found.item() == pytest.approx(norm, rel=1e-3)
    assert parameter.grad.dtype == "float16"
    np.testing.assert_allclose(to_numpy(parameter.grad), np.array([300, 400]) / norm, rtol=2e-3)


def test_the_norm_of_many_gradients(backend):
    parameter = nn.Parameter(tensor(backend.asarray(np.zeros((100_000, 3), np.float32))))
    for norm_type in (1.0, 2.0, 3.0):
        parameter.grad = backend.asarray(np.full((100_000, 3), 1.1, np.float32))
        found = clip_grad_norm_([parameter], 1e9, norm_type).item()
        assert found == pytest.approx(float(np.float32(1.1)) * 300_000 ** (1 / norm_type), rel=3e-6)
