"""float16: what reduces or squares computes in float32, and answers in float16."""

import numpy as np
import pytest

from tests.ops.test_ops import NUMPY, ROWS, differentiable, on, options_on, weights
from xpnet import ops
from xpnet_backends import to_numpy

ULP = 2.0**-10  # of float16, relative


def first(result):
    """The first output of an op, and its backward for that one alone."""
    y, backward = result
    if type(y) is not tuple:
        return y, backward
    return y[0], lambda dy, needs: backward((dy, *[None] * (len(y) - 1)), needs)


def near(found, expected, ulps, what):
    """Within some rounding units of the largest element, because cancellation leaves the rounding errors of the terms."""
    expected = np.asarray(expected, np.float64)
    assert found.dtype == np.float16, what
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0.0)
    np.testing.assert_allclose(
        np.asarray(found, np.float64), expected, rtol=ulps * ULP, atol=ulps * ULP * largest + 1e-6
    )


@pytest.mark.parametrize("row", [row for row in ROWS if not row.kink], ids=lambda row: row.name)
def test_every_op_is_within_rounding_of_float64(row):
    needs = differentiable(row, row.make())
    halves = [on(NUMPY, x, "float16") for x in row.make()]
    options = options_on(NUMPY, row, "float16")
    wide = {key: on(NUMPY, value) for key, value in options.items()} | (
        {"dtype": "float64"} if "dtype" in options else {}
    )
    y, backward = first(row.op(np, *halves, **options))
    exact, exact_backward = first(row.op(np, *[on(NUMPY, x) for x in halves], **wide))
    near(y, exact, 2, "y")
    dy = on(NUMPY, weights(row, np.shape(y)), "float16")
    found, expected = backward(dy, needs), exact_backward(on(NUMPY, dy), needs)
    for i, need in enumerate(needs):
        if need:
            near(found[i], expected[i], 4, i)


def large(*shape, seed=0):
    """Values of several hundred: their squares have no room in float16."""
    return (np.random.default_rng(seed).standard_normal(shape) * 300 + 100).astype(np.float16)


LARGE = {
    "layer_norm": (ops.layer_norm, [large(4, 64), None, None], {}),
    "layer_norm of many axes": (ops.layer_norm, [large(2, 8, 16), None, None], {"dims": 2}),
    "batch_norm": (ops.batch_norm, [large(8, 3, 5, 5), None, None], {}),
    "batch_norm_inference": (
        ops.batch_norm_inference, [large(8, 3, 5), np.zeros(3, "e"), np.full(3, 6e4, "e"), None, None], {},
    ),
    "group_norm": (ops.group_norm, [large(4, 6, 5, 5), None, None], {"groups": 2}),
    "instance norm": (ops.group_norm, [large(4, 6, 5, 5), None, None], {"groups": 6}),
    "rms_norm": (ops.rms_norm, [large(4, 64), None], {}),
    "mean": (ops.reduce_mean, [np.full(70_000, 3, np.float16)], {}),
    "mean of an axis": (ops.reduce_mean, [np.full((70_000, 2), 3, np.float16)], {"axis": 0}),
    "sum": (ops.reduce_sum, [np.ones((3000, 2), np.float16)], {"axis": 0}),
    "softmax": (ops.softmax, [np.zeros((2, 5000), np.float16)], {}),
    "log_softmax": (ops.log_softmax, [np.zeros((2, 70_000), np.float16)], {}),
    "logsumexp": (ops.logsumexp, [np.zeros((2, 70_000), np.float16)], {"axis": 1}),
    "l1_loss": (ops.l1_loss, [large(40, 50), large(40, 50, seed=1)], {}),
    "mse_loss": (ops.mse_loss, [large(4, 5) / 4, large(4, 5, seed=1) / 4], {}),
    "huber_loss": (ops.huber_loss, [large(40, 50), large(40, 50, seed=1)], {}),
    "cross_entropy": (ops.cross_entropy, [large(40, 50), np.arange(40)], {}),
    "gaussian_nll_loss": (ops.gaussian_nll_loss, [large(9), large(9, seed=1), np.full(9, 3e4, "e")], {}),
    "cosine_embedding_loss": (
        ops.cosine_embedding_loss, [large(3, 80), large(3, 80, seed=1), np.array([1, -1, 1])], {},
    ),
    "triplet_margin_loss": (ops.triplet_margin_loss, [large(3, 8), large(3, 8, seed=1), large(3, 8, seed=2)], {}),
    "attention": (ops.scaled_dot_product_attention, [large(2, 6, 4) / 10, large(2, 6, 4, seed=1), large(2, 6, 4)], {}),
    "gram_matrix": (ops.gram_matrix, [large(1, 3, 40, 40) / 4], {}),
    "total_variation": (ops.total_variation, [large(2, 3, 9, 9) / 100], {"p": 2}),
    "avg_pool2d": (ops.avg_pool2d, [np.abs(large(1, 2, 28, 28))], {"kernel": (28, 28), "stride": (28, 28)}),
    "adaptive_avg_pool2d": (ops.adaptive_avg_pool2d, [np.abs(large(1, 2, 28, 28))], {"size": (1, 1)}),
    "gelu tanh": (ops.gelu, [large(40)], {"approximate": "tanh"}),
    "gelu": (ops.gelu, [np.linspace(-4, 4, 50).astype(np.float16)], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_large_values_and_long_axes(name, backend):
    op, arrays, options = LARGE[name]
    if name == "batch_norm":  # its second output, the variance, is infinite in float16: batch_norm of nn keeps float32
        arrays = [arrays[0] / 4, *arrays[1:]]
    held = [x if x is None else backend.asarray(x) for x in arrays]
    y, backward = first(op(backend.xp, *held, **options))
    wide = [x if x is None or x.dtype.kind != "f" else x.astype(np.float64) for x in arrays]
    exact, exact_backward = first(op(np, *wide, **options))
    assert np.isfinite(to_numpy(y)).all()
    near(to_numpy(y), exact, 2, "y")
    needs = tuple(x is not None and x.dtype.kind == "f" for x in arrays)
    needs = tuple(need and not (op is ops.batch_norm_inference and i in (1, 2)) for i, need in enumerate(needs))
    dy = np.ones(np.shape(exact), np.float16)
    found, expected = backward(backend.asarray(dy), needs), exact_backward(dy.astype(np.float64), needs)
    for i, need in enumerate(needs):
        if need:
            assert np.isfinite(to_numpy(found[i])).all()
            near(to_numpy(found[i]), expected[i], 4, i)


def test_a_variance_that_overflows_leaves_the_result_alone(backend):
    x = backend.asarray(large(64, 3))
    (y, _, variance), _ = ops.batch_norm(backend.xp, x, None, None)
    assert np.isinf(to_numpy(variance)).all()
    assert to_numpy(y).astype(np.float64).std(axis=0) == pytest.approx(np.ones(3), abs=1e-3)


def test_an_index_picked_more_often_than_float16_counts(backend):
    weight, many = backend.asarray(np.zeros((3, 2), np.float16)), backend.asarray(np.ones(5000, np.int64))
    ones = backend.asarray(np.ones((5000, 2), np.float16))
    _, of_embedding = ops.embedding(backend.xp, many, weight)
    _, of_item = ops.getitem(backend.xp, weight, index=many)
    for gradient in (of_embedding(ones)[1], of_item(ones)[0]):
        assert gradient.dtype == "float16"
        assert to_numpy(gradient).tolist() == [[0, 0], [5000, 5000], [0, 0]]


def test_what_was_broadcast_is_summed_back_in_float32(backend):
    a, b = backend.asarray(np.ones(1, np.float16)), backend.asarray(np.ones(5000, np.float16))
    for op in (ops.add, ops.multiply, ops.maximum):
        _, backward = op(backend.xp, a, b)
        da = backward(backend.asarray(np.ones(5000, np.float16)))[0]
        assert to_numpy(da).tolist() == [2500.0 if op is ops.maximum else 5000.0]
        assert da.dtype == "float16"


@pytest.mark.parametrize("op", [ops.linear, ops.conv2d])
def test_a_bias_gradient(op, backend):
    shape = (5000, 2) if op is ops.linear else (50, 2, 10, 10)
    x, w = np.ones(shape, np.float16), np.zeros((3, 2) if op is ops.linear else (3, 2, 1, 1), np.float16)
    y, backward = op(backend.xp, *(backend.asarray(v) for v in (x, w, np.zeros(3, np.float16))))
    db = backward(backend.asarray(np.ones(y.shape, np.float16)))[2]
    assert to_numpy(db).tolist() == [5000.0] * 3


def test_the_weights_of_a_bilinear_resize_keep_their_fraction(backend):
    from xpnet.ops.resample import linear_matrix

    found = linear_matrix(backend.xp, 600, 900, "float16", ratio=2 / 3, align_corners=False)
    exact = linear_matrix(np, 600, 900, "float64", ratio=2 / 3, align_corners=False)
    assert found.dtype == "float16"
    np.testing.assert_allclose(to_numpy(found)[-3:, -4:], exact[-3:, -4:], atol=1e-3)
