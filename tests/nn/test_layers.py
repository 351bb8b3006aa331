"""Layers: equal to PyTorch's, right by finite differences, the same on every backend."""

from pathlib import Path

import numpy as np
import pytest

import xpnet
from tests.nn import activations, layers
from tests.nn.layers import fill, generator, inputs
from tests.support.standin import no_traffic
from xpnet import nn
from xpnet_backends import get_backend

FIXTURES = Path(__file__).parent.parent / "fixtures"
TABLES = {"layers.npz": layers.CASES, "activations.npz": activations.CASES}
CASES = [case for cases in TABLES.values() for case in cases]
RECORDED = {key: x for name in TABLES for key, x in np.load(FIXTURES / name, allow_pickle=False).items()}
by_name = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def make(case, backend, dtype="float64"):
    """The layer with the recorded parameters and buffers."""
    layer = getattr(nn, case.layer)(*case.arguments, **case.options)
    state = layer.state_dict()
    for key, value in state.items():
        if key != "num_batches_tracked":
            state[key] = fill(case, key, tuple(value.shape))
    layer.to(backend=backend, dtype=dtype)
    layer.load_state_dict(state)
    return layer


def run(layer, case, backend, dtype="float64"):
    """Forward and backward; the output and the input."""
    x = xpnet.Tensor(backend.asarray(inputs(case).astype(dtype)), requires_grad=True)
    y = layer(x)
    y.backward(backend.asarray(generator(case, "dy").uniform(-1, 1, y.shape).astype(dtype)))
    return y, x


@by_name
def test_equal_to_pytorch(case, backend):
    layer = make(case, backend)
    assert list(layer.state_dict()) == RECORDED[f"{case.name}/keys"].tolist()
    for mode in ("train", "eval"):
        layer.train(mode == "train").zero_grad()
        y, x = run(layer, case, backend)
        results = {"y": y.data, "dx": x.grad}
        results |= {f"d{key}": p.grad for key, p in layer.named_parameters()}
        results |= dict(layer.named_buffers())
        recorded = {k.rpartition("/")[2] for k in RECORDED if k.startswith(f"{case.name}/{mode}/")}
        assert recorded == set(results)
        for key, value in results.items():
            expected = RECORDED[f"{case.name}/{mode}/{key}"]
            np.testing.assert_allclose(
                backend.to_numpy(value), expected, rtol=1e-10, atol=1e-12, err_msg=f"{mode} {key}"
            )


@by_name
def test_float32_stays_float32(case):
    numpy = get_backend("numpy")
    layer = make(case, numpy, "float32")
    y, x = run(layer, case, numpy, "float32")
    assert y.dtype == x.grad.dtype == np.float32
    assert all(p.grad.dtype == np.float32 for p in layer.parameters())
    assert all(b.dtype == np.float32 for key, b in layer.named_buffers() if key != "num_batches_tracked")
    expected = RECORDED[f"{case.name}/train/y"]
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-4, atol=1e-5)


@by_name
def test_gradients(case):
    layer = make(case, get_backend("numpy"))
    x = (
        inputs(case)[:1]
        if case.layer.startswith(("Conv", "Max", "Avg", "Ada")) and len(case.shape) > 3
        else inputs(case)
    )
    assert xpnet.gradcheck(layer, x, parameters=list(layer.parameters()), directions=2, tolerance=1e-5) < 1e-5


@by_name
def test_a_step_on_a_device_makes_no_traffic(case):
    standin = get_backend("standin")
    layer = make(case, standin, "float32")
    x = xpnet.Tensor(standin.asarray(inputs(case).astype("float32")), requires_grad=True)
    layer(x).sum().backward()
    with no_traffic():
        layer(x).sum().backward()


def naive_conv2d(x, weight, bias, stride, padding, dilation, groups):
    """The definition, element by element."""
    n, _, height, width = x.shape
    out, per_group, k, l = weight.shape  # noqa: E741
    p = (height + 2 * padding[0] - dilation[0] * (k - 1) - 1) // stride[0] + 1
    q = (width + 2 * padding[1] - dilation[1] * (l - 1) - 1) // stride[1] + 1
    y = np.zeros((n, out, p, q))
    for i, o, r, c in np.ndindex(n, out, p, q):
        y[i, o, r, c] = bias[o]
        for ch, a, b in np.ndindex(per_group, k, l):
            row, column = r * stride[0] + a * dilation[0] - padding[0], c * stride[1] + b * dilation[1] - padding[1]
            if 0 <= row < height and 0 <= column < width:
                y[i, o, r, c] += weight[o, ch, a, b] * x[i, o // (out // groups) * per_group + ch, row, column]
    return y


@pytest.mark.parametrize("seed", range(12))
def test_conv2d_is_its_definition(seed, backend):
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 3))
    kernel, stride, dilation = rng.integers(1, 4, 2), rng.integers(1, 3, 2).tolist(), rng.integers(1, 3, 2).tolist()
    padding = rng.integers(0, 3, 2).tolist()
    x = rng.standard_normal((2, 2 * groups, *rng.integers(6, 9, 2)))
    weight, bias = rng.standard_normal((2 * groups, 2, *kernel)), rng.standard_normal(2 * groups)
    arrays = [backend.asarray(a) for a in (x, weight, bias)]
    y = nn.functional.conv2d(xpnet.Tensor(arrays[0]), *map(xpnet.Tensor, arrays[1:]), stride, padding, dilation, groups)
    np.testing.assert_allclose(y.numpy(), naive_conv2d(x, weight, bias, stride, padding, dilation, groups), atol=1e-12)


def test_max_pool_gives_places_as_pytorch_counts_them():
    x = np.zeros((1, 1, 3, 4), "float32")
    x[0, 0, 1, 2], x[0, 0, 2, 0] = 5, 4
    y, places = nn.functional.max_pool2d(x, 2, stride=1, return_indices=True)
    assert y.numpy().tolist() == [[[[0, 5, 5], [4, 5, 5]]]]
    assert places.numpy()[0, 0, :, 1:].tolist() == [[6, 6], [6, 6]]
    assert places.numpy()[0, 0, 1, 0] == 8


@pytest.mark.parametrize(("make_and_run", "match"), [
    (lambda: nn.Conv2d(3, 4, 3)(np.zeros((2, 4, 5, 5), "f")), r"Conv2d: expected 3 input channels, got 4"),
    (lambda: nn.Conv2d(3, 4, 3)(np.zeros((2, 3), "f")), r"expected input of shape .* or \(C, H, W\), got \(2, 3\)"),
    (lambda: nn.Conv2d(3, 4, 7)(np.zeros((2, 3, 5, 9), "f")), "height 5 with padding .* is smaller than the kernel"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), "groups=2 must divide in_channels=3"),
    (lambda: nn.Conv2d(3, 4, 3, padding="all")(np.zeros((1, 3, 5, 5), "f")), "'same' or 'valid', got 'all'"),
    (lambda: nn.Conv2d(3, 4, 3, 2, "same")(np.zeros((1, 3, 5, 5), "f")), "padding='same' needs stride 1"),
    (lambda: nn.Conv2d(3, 4, (1, 2, 3)), "one or two whole numbers"),
    (lambda: nn.Conv2d(3, 0, 3), "out_channels must be a positive whole number, got 0"),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), "padding_mode must be one of zeros, reflect"),
    (lambda: nn.ConvTranspose2d(3, 4, 3, output_padding=1)(np.zeros((1, 3, 5, 5), "f")), "must be smaller than stride"),
    (lambda: nn.MaxPool2d(2, padding=2)(np.zeros((1, 3, 5, 5), "f")), "at most half of the kernel"),
    (lambda: nn.MaxPool2d(6)(np.zeros((1, 3, 5, 5), "f")), "is larger than the input"),
    (lambda: nn.BatchNorm2d(3)(np.zeros((2, 4, 5, 5), "f")), r"expected input of shape \(N, 3, H, W\), got"),
    (lambda: nn.BatchNorm1d(3)(np.zeros((1, 3), "f")), "more than one value per channel"),
    (lambda: nn.LayerNorm(4)(np.zeros((2, 3), "f")), r"expected input of shape \(..., 4\), got \(2, 3\)"),
    (lambda: nn.GroupNorm(2, 3), "2 groups do not divide 3 channels"),
    (lambda: nn.InstanceNorm2d(3)(np.zeros((2, 3, 1, 1), "f")), "more than one value per channel"),
    (lambda: nn.ReflectionPad1d(5)(np.zeros((1, 2, 5), "f")), "a reflect border of 5 needs a longer axis than 5"),
    (lambda: nn.ZeroPad2d((1, 2)), "padding must be one or 4 numbers"),
    (lambda: nn.Upsample()(np.zeros((1, 2, 3, 3), "f")), "give either size or scale_factor"),
    (lambda: nn.Upsample(size=3, mode="cubic")(np.zeros((1, 2, 3, 3), "f")), "'nearest' or 'bilinear', got 'cubic'"),
    (lambda: nn.Dropout2d(0.5)(np.zeros((2, 3), "f")), "expected input of 3 or 4 axes"),
])  # fmt: skip
def test_errors(make_and_run, match):
    with pytest.raises(ValueError, match=match):
        make_and_run()


def test_dropout2d_drops_whole_channels(backend):
    layer = nn.Dropout2d(0.4)
    y = layer(xpnet.tensor(np.ones((50, 20, 3, 3), "f"), backend=backend)).numpy()
    sums = y.sum(axis=(2, 3))
    assert set(np.unique(np.round(sums, 4))) == {0.0, np.float32(15.0)}
    assert (sums == 0).mean() == pytest.approx(0.4, abs=0.05)
    np.testing.assert_array_equal(layer.eval()(np.ones((1, 2, 3, 3), "f")).numpy(), 1)


def test_module_dict():
    layers = nn.ModuleDict({"a": nn.Linear(2, 3), "b": nn.ReLU()})
    assert list(layers) == ["a", "b"]
    assert "a" in layers
    assert len(list(layers.parameters())) == 2
    del layers["b"]
    assert list(layers.keys()) == ["a"]
    with pytest.raises(ValueError, match="cannot be the name of a module"):
        layers["forward"] = nn.ReLU()
