"""Sums in ops, and in the compiled kernels that take their place: to float32's accuracy over long axes."""

import numpy as np
import pytest

from tests.ops.test_half import first
from xpnet import nn, ops, tensor
from xpnet.nn import functional as F
from xpnet.serialization import numbers_of
from xpnet.tensor import apply
from xpnet_backends import matmul, to_numpy

N = 100_000
C = np.float32(1.1)  # whose sums are rounded the same way each time


def columns(value=C, n=N):
    return np.full((n, 2), value, np.float32)


ROW = np.full((2, N), C, np.float32)
IMAGE = np.moveaxis(np.full((1, 400, 300, 2), C, np.float32), -1, 1)  # channels last in memory

# What is summed in the forward; and in the backward of dy = 1.1, by the argument.
CASES = {
    "reduce_sum": (ops.reduce_sum, [columns()], {"axis": 0}),
    "reduce_mean": (ops.reduce_mean, [columns()], {"axis": 0}),
    "reduce_mean of an image": (ops.reduce_mean, [IMAGE], {"axis": (0, 2, 3)}),
    "logsumexp": (ops.logsumexp, [columns()], {"axis": 0}),
    "softmax": (ops.softmax, [columns()], {"axis": 0}),
    "softmax of rows": (ops.softmax, [ROW], {}),
    "log_softmax": (ops.log_softmax, [columns()], {"axis": 0}),
    "log_softmax of rows": (ops.log_softmax, [ROW], {}),
    "add": (ops.add, [np.ones((1, 2), np.float32), columns()], {}),
    "multiply": (ops.multiply, [np.ones(2, np.float32), columns()], {}),
    "broadcast_to": (ops.broadcast_to, [np.ones(2, np.float32)], {"shape": (N, 2)}),
    "linear": (ops.linear, [columns(), np.ones((3, 2), np.float32), np.zeros(3, np.float32)], {}),
    "conv2d": (ops.conv2d, [IMAGE, np.ones((3, 2, 1, 1), np.float32), np.zeros(3, np.float32)], {}),
    "conv_transpose2d": (
        ops.conv_transpose2d, [IMAGE, np.ones((2, 3, 1, 1), np.float32), np.zeros(3, np.float32)], {},
    ),
    "prelu": (ops.prelu, [-columns(), np.full(2, 0.5, np.float32)], {}),
    "avg_pool2d": (ops.avg_pool2d, [IMAGE[:, :, :120, :60]], {"kernel": (60, 60), "stride": (60, 60)}),
    "mse_loss": (ops.mse_loss, [columns(), columns(0.0)], {}),
    "mse_loss of columns": (ops.mse_loss, [np.asfortranarray(columns()), np.asfortranarray(columns(0.0))], {}),
    "cross_entropy": (ops.cross_entropy, [columns(), np.zeros(N, int)], {}),
    "cross_entropy of many classes": (ops.cross_entropy, [ROW, np.zeros(2, int)], {}),
    "nll_loss": (ops.nll_loss, [-columns(), np.zeros(N, int), np.array([1.1, 1.0], np.float32)], {}),
    "triplet_margin_loss": (ops.triplet_margin_loss, [ROW, ROW + 1, ROW - 2], {}),
    "cosine_embedding_loss": (ops.cosine_embedding_loss, [ROW, ROW[:, ::-1] * 2, np.array([1, 1])], {}),
}  # fmt: skip


@pytest.mark.parametrize("how", ["the op", "through the tape"])
@pytest.mark.parametrize("name", CASES)
def test_long_sums(name, how, backend):
    op, arrays, options = CASES[name]
    wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in arrays]
    exact, exact_backward = first(op(np, *wide, **options))
    needs = [x.dtype.kind == "f" and not (op is ops.nll_loss and i == 2) for i, x in enumerate(arrays)]
    if op in (ops.conv2d, ops.conv_transpose2d, ops.linear):
        needs = [False, False, True]  # the weights' gradient is a product, as accurate as the BLAS
    dy = np.full(np.shape(exact), C, np.float32)
    held = [backend.asarray(x) for x in arrays]
    if how == "the op":
        y, backward = first(op(backend.xp, *held, **options))
        found = backward(backend.asarray(dy), tuple(needs))
    else:  # where the backend has a kernel, it answers
        held = [tensor(x, requires_grad=need) for x, need in zip(held, needs, strict=True)]
        y = apply(op, *held, **options)
        y = y[0] if isinstance(y, tuple) else y
        y.backward(backend.asarray(dy))
        y, found = y.data, [x.grad for x in held]
    np.testing.assert_allclose(to_numpy(y), exact, rtol=3e-6, atol=1e-6)
    for g, e in zip(found, exact_backward(dy.astype(np.float64), tuple(needs)), strict=False):
        if e is not None and g is not None:
            np.testing.assert_allclose(to_numpy(g), e, rtol=3e-6, atol=1e-5)


@pytest.mark.parametrize("how", ["the op", "through the tape"])
@pytest.mark.parametrize(("shape", "kernel"), [
    ((1, 1, 1, 60_000), (4, 1, 1, 5)), ((1, 1, 300, 301), (1, 1, 3, 3)), ((2, 2, 1, 60_000), (2, 1, 1, 3)), ((1, 16, 256, 256), (16, 16, 3, 3)),
])  # fmt: skip
def test_weights_of_a_convolution_over_long_sequences(shape, kernel, how, backend):
    """The gradient of each is a sum over all places; one after the other, the 300 x 301 lost a percent."""
    x, w = np.full(shape, C, np.float32), np.zeros(kernel, np.float32)
    groups = shape[1] // kernel[1]
    if how == "the op":
        y, backward = ops.conv2d(backend.xp, backend.asarray(x), backend.asarray(w), groups=groups)
        dw = backward(backend.asarray(np.ones(y.shape, np.float32)), (False, True, False))[1]
    else:
        w = tensor(w, requires_grad=True, backend=backend)
        y = apply(ops.conv2d, backend.asarray(x), w, groups=groups)
        y.sum().backward()
        dw = w.grad
    np.testing.assert_allclose(to_numpy(dw), shape[0] * y.shape[2] * y.shape[3] * float(np.float32(C)), rtol=2e-5)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_a_row_times_a_matrix(batch, dtype, backend):
    """As the gradient of one output's weights: a BLAS adds its terms one by one."""
    n = 50_000
    row, matrix = np.ones((*batch, 1, n), dtype), np.full((n, 3), C, dtype)
    for a, b in ((row, matrix), (np.swapaxes(matrix, 0, 1), np.swapaxes(row, -1, -2))):
        y = to_numpy(matmul(backend.asarray(a), backend.asarray(b)))
        assert y.dtype == dtype
        np.testing.assert_allclose(y, n * float(np.dtype(dtype).type(C)), rtol=1e-5 if dtype == "float32" else 1e-3)


@pytest.mark.parametrize("value", [1e9, 3.3e12, -7.7e15, 1e20, 4e24])
def test_a_huge_constant_is_normalised_to_zero(value, backend):
    """There the mean's rounding is far more than ε."""
    for shape in ((2, 3, 4), (1, 5, 70), (2, 1, 2000)):
        x = np.full(shape, value, np.float32)
        x[0] *= -1
        for op, options in ((ops.layer_norm, {}), (ops.layer_norm, {"dims": 2}), (ops.group_norm, {"groups": 1})):
            t = tensor(x, requires_grad=True, backend=backend)
            y = apply(op, t, None, None, **options)
            y.sum().backward()
            assert not y.numpy().any()
            assert np.isfinite(to_numpy(t.grad)).all()


NORMS = {
    "layer_norm": (ops.layer_norm, (6, 100), {}),
    "layer_norm of images": (ops.layer_norm, (3, 2, 7, 9), {"dims": 3}),
    "batch_norm": (ops.batch_norm, (30, 3), {}),
    "batch_norm of images": (ops.batch_norm, (5, 3, 7, 9), {}),
    "group_norm": (ops.group_norm, (5, 6, 7, 9), {"groups": 2}),
    "instance_norm": (ops.group_norm, (5, 3, 11), {"groups": 3}),
}


@pytest.mark.parametrize("value", [1000.1, -1000.1, 1e-3, 1e6, 0.1])
@pytest.mark.parametrize("how", ["the op", "through the tape"])
@pytest.mark.parametrize("name", NORMS)
def test_a_constant_is_normalised_to_zero(name, how, value, backend):
    op, shape, options = NORMS[name]
    x = backend.asarray(np.full(shape, value, np.float32))
    y = first(op(backend.xp, x, None, None, **options))[0] if how == "the op" else apply(op, x, None, None, **options)
    y = y[0] if isinstance(y, tuple) else y
    assert np.abs(numbers_of(y)).max() < 1e-6 * max(1.0, abs(value) / 1000)


@pytest.mark.parametrize("how", ["the op", "through the tape"])
@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize(("mean", "deviation"), [(1000.0, 0.01), (3e4, 1.0), (-1e6, 10.0)])
def test_a_mean_far_above_the_deviation(name, how, mean, deviation, backend):
    op, shape, options = NORMS[name]
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(shape) * deviation + mean).astype(np.float32)
    w, dy = rng.standard_normal(shape[-1] if op is ops.layer_norm else shape[1]), rng.standard_normal(shape)
    if op is ops.layer_norm:
        w = rng.standard_normal(shape[-options.get("dims", 1) :])
    w, dy = w.astype(np.float32), dy.astype(np.float32)
    arrays = [x, w, w]
    exact, exact_backward = first(op(np, *[a.astype(np.float64) for a in arrays], **options))
    expected = exact_backward(dy.astype(np.float64), (True,) * 3)
    held = [backend.asarray(a) for a in arrays]
    if how == "the op":
        y, backward = first(op(backend.xp, *held, **options))
        found = backward(backend.asarray(dy), (True,) * 3)
    else:
        held = [tensor(a, requires_grad=True) for a in held]
        y = apply(op, *held, **options)
        y = y[0] if isinstance(y, tuple) else y
        y.backward(backend.asarray(dy))
        y, found = y.data, [a.grad for a in held]
    np.testing.assert_allclose(to_numpy(y), exact, rtol=1e-5, atol=1e-5)
    for g, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(to_numpy(g), e, rtol=1e-4, atol=2e-5 * np.abs(e).max())


@pytest.mark.parametrize("name", ["layer_norm", "batch_norm", "group_norm", "rms_norm"])
@pytest.mark.parametrize("how", ["the op", "through the tape"])
def test_statistics_over_many_numbers(name, how, backend):
    """Columns of 0.1 and 1.1 in turns: deviation ½ about 0.6, and sums that are rounded the same way each time."""
    line = np.where(np.arange(N) % 2, np.float32(1.1), np.float32(0.1))
    op = getattr(ops, name)
    x = line[:, None] * np.ones(2, np.float32) if name == "batch_norm" else np.stack([line, line])
    arrays, options = [x, None, None], {}
    if name == "group_norm":
        arrays, options = [x.reshape(2, 4, -1), None, None], {"groups": 1}
    if name == "rms_norm":
        arrays = [x, None]
    exact, exact_backward = first(op(np, arrays[0].astype(np.float64), *arrays[1:], **options))
    t = tensor(backend.asarray(arrays[0]), requires_grad=True)
    dy = np.ascontiguousarray(arrays[0])
    if how == "the op":
        y, backward = first(op(backend.xp, t.data, *arrays[1:], **options))
        dx = backward(backend.asarray(dy), (True, False, False)[: len(arrays)])[0]
    else:
        y = apply(op, t, *arrays[1:], **options)
        y = y[0] if isinstance(y, tuple) else y
        y.backward(backend.asarray(dy))
        y, dx = y.data, t.grad
    np.testing.assert_allclose(to_numpy(y), exact, atol=5e-6)
    expected = exact_backward(dy.astype(np.float64), (True, False, False)[: len(arrays)])[0]
    np.testing.assert_allclose(to_numpy(dx), expected, atol=5e-6)


def test_the_affine_gradients_of_a_layer_norm_over_many_rows(backend):
    x = np.tile(np.array([0.0, 1.0], np.float32), (N, 1))
    layer = nn.LayerNorm(2)
    layer(tensor(backend.asarray(x))).backward(backend.asarray(columns()))
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    np.testing.assert_allclose(to_numpy(layer.bias.grad), np.float64(C) * N, rtol=2e-6)
    hat = 0.5 / np.sqrt(0.25 + 1e-5)
    np.testing.assert_allclose(to_numpy(layer.weight.grad), np.float64(C) * N * hat * np.array([-1, 1]), rtol=3e-6)


def test_variance(backend):
    x = tensor(backend.asarray(columns(1000.1)), requires_grad=True)
    assert to_numpy(x.var(axis=0).data).tolist() == pytest.approx([0.0, 0.0], abs=1e-9)
    y = np.stack([np.where(np.arange(N) % 2, 1000.1, 1000.3)] * 2, axis=1).astype(np.float32)
    expected = y.astype(np.float64).var(axis=0, ddof=1)
    np.testing.assert_allclose(to_numpy(tensor(backend.asarray(y)).var(axis=0).data), expected, rtol=3e-6)


def test_the_mean_of_an_empty_tensor_is_nan(backend):
    assert np.isnan(tensor([]).mean().item())
    assert tensor([]).sum().item() == 0.0
    assert np.isnan(F.mse_loss(tensor([]), tensor([])).item())
