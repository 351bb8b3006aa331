"""The compiled kernels against the ops that they stand in for."""

import functools
import importlib
import importlib.util
import math
import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xpnet
from tests.support.process import environment, python
from xpnet import models, ops, optim
from xpnet.nn import functional as F
from xpnet_backends import get_backend
from xpnet_backends.kernels import registry
from xpnet_backends.kernels.cpu.machinery import blas

pytest.importorskip("numba", reason="numba is not installed (the extra 'fast')")

from xpnet_backends.kernels.cpu import activation, conv, gemm, norm, pool, softmax, winograd
from xpnet_backends.kernels.cpu.machinery import compiler, functions, thread_pool

KERNELS = registry.CPU
few = settings(max_examples=60, deadline=None)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
sides = st.tuples(st.integers(0, 2), st.integers(0, 2))


def normal(*shape, seed=0, last=False):
    """Numbers of float32; with ``last`` in memory order (N, H, W, C)."""
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if last else x


def outcome(function, arrays, options, needs=None):
    """Output and gradients, with a dy that is the same for all."""
    y, backward = function(np, *arrays, **options)
    first = y[0] if isinstance(y, tuple) else y
    dy = normal(*first.shape, seed=1, last=options.get("stride") == (1, 1) and first.ndim == 4)
    gradients = backward((dy, None, None) if isinstance(y, tuple) else dy, needs or (True,) * len(arrays))
    return [*(y if isinstance(y, tuple) else [y]), *gradients]


def hold(kernel, op, arrays, options, tolerance=2e-6):
    expected, found = outcome(op, arrays, options), outcome(kernel, arrays, options)
    for e, f in zip(expected, found, strict=True):
        assert (f is None) == (e is None)
        if e is not None:
            assert f.shape == e.shape
            assert f.dtype == np.float32
            np.testing.assert_allclose(f, e, rtol=0, atol=tolerance * max(1.0, abs(e).max(initial=0)))


class TestConvolution:
    @few
    @given(
        st.integers(1, 10), st.integers(1, 19), st.tuples(st.integers(1, 12), st.integers(1, 12)),
        st.sampled_from([1, 3, 6, 16, 17, 40, 70]), st.tuples(st.integers(1, 5), st.integers(1, 5)), pairs,
        st.tuples(sides, sides), st.booleans(), st.booleans(),
    )  # fmt: skip
    def test_equal_to_the_op(self, n, channels, size, out, kernel, stride, padding, bias, last):
        size = [max(size[i], kernel[i] - sum(padding[i])) for i in (0, 1)]
        arrays = [normal(n, channels, *size, last=last), normal(out, channels, *kernel, seed=2)]
        if bias:
            arrays.append(normal(out, seed=3))
        hold(KERNELS["conv2d"], ops.conv2d, arrays, {"stride": stride, "padding": padding}, 1e-5)

    @few
    @given(
        st.integers(1, 3), st.integers(16, 35), st.integers(16, 35), st.integers(3, 11), st.integers(3, 11),
        st.tuples(sides, sides), st.booleans(),
    )  # fmt: skip
    def test_winograd_is_equal_to_the_op(self, n, channels, out, height, width, padding, last):
        arrays = [normal(n, channels, height, width, last=last), normal(out, channels, 3, 3, seed=2), normal(out)]
        hold(conv.conv2d, ops.conv2d, arrays, {"padding": padding, "stride": (1, 1)}, 2e-5)

    @pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
    def test_many_pieces_and_threads_give_the_same(self, stride, monkeypatch):
        arrays = [normal(11, 20, 19, 18), normal(24, 20, 3, 3), normal(24)]
        options = {"stride": stride, "padding": ((1, 1), (1, 1))}
        whole = outcome(conv.conv2d, arrays, options)
        monkeypatch.setattr(thread_pool, "WORTH", 1)
        monkeypatch.setattr(conv, "PIECE", 1)
        monkeypatch.setattr(winograd, "PIECE", 1)
        for threads in ("1", "3"):
            monkeypatch.setenv("XPNET_THREADS", threads)
            for one, many in zip(whole, outcome(conv.conv2d, arrays, options), strict=True):
                np.testing.assert_allclose(many, one, rtol=0, atol=2e-5 * abs(one).max())

    def test_winograd_is_taken_where_it_pays(self, monkeypatch):
        taken = []
        monkeypatch.setattr(winograd, "correlate", lambda *arrays: taken.append(arrays))
        for channels, size, stride in ((16, 8, (1, 1)), (15, 8, (1, 1)), (16, 2, (1, 1)), (16, 8, (2, 1))):
            weight = normal(16, channels, 3, 3)
            conv.conv2d(np, normal(1, channels, size, size), weight, stride=stride, padding=((1, 1), (1, 1)))
        assert len(taken) == 1

    @pytest.mark.parametrize("channels", [5, 20])
    def test_a_nan_stays_in_its_image(self, channels):
        """Tiles read beyond rows and images; what they read there must not count."""
        x = normal(9, channels, 6, 6)
        x[4] = np.nan
        options = {"padding": ((1, 1), (1, 1))}
        y, backward = conv.conv2d(np, x, normal(20, channels, 3, 3), **options)
        dx = backward(np.where(np.isnan(y), np.nan, y), (True, False, False))[0]
        for found in (y, dx):
            assert np.isnan(found[4]).all()
            assert np.isfinite(np.delete(found, 4, axis=0)).all()

    def test_memory_is_channels_last(self):
        arrays = [normal(2, 3, 8, 8), normal(16, 3, 3, 3)]
        y, backward = conv.conv2d(np, *arrays)
        dx, dw, _ = backward(y)
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous
        assert dx.transpose(0, 2, 3, 1).flags.c_contiguous
        assert dw.flags.c_contiguous  # what parameters get is in the usual order

    def test_only_what_is_needed(self):
        arrays = [normal(2, 3, 6, 6), normal(4, 3, 3, 3), normal(4)]
        for i in range(3):
            needs = tuple(j == i for j in range(3))
            assert [g is not None for g in outcome(conv.conv2d, arrays, {}, needs)[1:]] == list(needs)

    def test_arrays_that_may_not_be_written(self):
        arrays = [normal(2, 3, 6, 6), normal(4, 3, 3, 3), normal(4)]
        for array in arrays:
            array.flags.writeable = False
        hold(conv.conv2d, ops.conv2d, arrays, {})
        hold(pool.max_pool2d, ops.max_pool2d, arrays[:1], {"kernel": (2, 2), "stride": (2, 2)})
        hold(norm.batch_norm, ops.batch_norm, [arrays[0], None, None], {})

    @pytest.mark.parametrize("change", [{"dilation": (2, 1)}, {"groups": 2}, {"dtype": "float64"}, {"n": 0}], ids=str)
    def test_declines(self, change):
        options = {key: value for key, value in change.items() if key in ("dilation", "groups")}
        dtype = change.get("dtype", "float32")
        x = np.zeros((change.get("n", 1), 4, 9, 9), dtype)
        weight = np.zeros((6, 4 // options.get("groups", 1), 3, 3), dtype)
        assert KERNELS["conv2d"](np, x, weight, None, **options) is None

    def test_declines_an_array_at_an_odd_address(self):
        odd = np.frombuffer(bytearray(4 * 16 + 1), np.float32, 16, 1).reshape(1, 1, 4, 4)
        assert KERNELS["conv2d"](np, odd, normal(1, 1, 3, 3)) is None


class TestPooling:
    @few
    @given(
        st.integers(1, 4), st.integers(1, 18), st.tuples(st.integers(3, 9), st.integers(3, 9)), pairs, pairs,
        st.tuples(st.integers(1, 2), st.integers(1, 2)), st.booleans(), st.data(),
    )  # fmt: skip
    def test_largest_values(self, n, channels, size, kernel, stride, dilation, last, data):
        x = normal(n, channels, *size, last=last)
        if data.draw(st.booleans(), "equal values"):
            x = np.round(x)
        border = [(data.draw(st.integers(0, k // 2)), data.draw(st.integers(0, k // 2))) for k in kernel]
        reach = [dilation[i] * (kernel[i] - 1) + 1 - sum(border[i]) for i in (0, 1)]
        x = np.pad(x, ((0, 0), (0, 0), *((0, max(0, reach[i] - size[i])) for i in (0, 1))))
        options = {"kernel": kernel, "stride": stride, "padding": tuple(border), "dilation": dilation}
        hold(KERNELS["max_pool2d"], ops.max_pool2d, [x], options)

    def test_nan_is_the_largest(self):
        x = normal(1, 2, 4, 4)
        x[0, 0, 1, 0] = np.nan
        options = {"kernel": (2, 2), "stride": (2, 2)}
        expected, found = ops.max_pool2d(np, x, **options)[0], pool.max_pool2d(np, x, **options)[0]
        np.testing.assert_array_equal(found, expected)
        assert np.isnan(found).sum() == 1

    @few
    @given(
        st.integers(1, 4), st.integers(1, 18), st.tuples(st.integers(3, 9), st.integers(3, 9)), pairs, pairs,
        st.sampled_from([None, 3]), st.booleans(),
    )  # fmt: skip
    def test_means(self, n, channels, size, kernel, stride, divisor, last):
        options = {"kernel": kernel, "stride": stride, "divisor": divisor}
        hold(KERNELS["avg_pool2d"], ops.avg_pool2d, [normal(n, channels, *size, last=last)], options)

    def test_declines(self):
        window = {"kernel": (2, 2), "stride": (1, 1)}
        for x in (np.zeros((1, 1, 4, 4)), np.zeros((0, 1, 4, 4), np.float32)):
            assert KERNELS["max_pool2d"](np, x, **window) is None
            assert KERNELS["avg_pool2d"](np, x, **window) is None
        border = {"padding": ((1, 1), (0, 0)), **window}
        assert KERNELS["avg_pool2d"](np, np.zeros((1, 1, 4, 4), np.float32), **border) is None


class TestBatchNorm:
    @few
    @given(
        st.integers(1, 5), st.integers(1, 70), st.lists(st.integers(1, 6), max_size=2), st.booleans(), st.booleans(),
        st.sampled_from([0.0, 1000.0]),
    )  # fmt: skip
    def test_equal_to_the_op(self, n, channels, size, affine, last, mean):
        x = normal(n + 1, channels, *size, last=last) + np.float32(mean)
        arrays = [x, normal(channels, seed=2), normal(channels, seed=3)] if affine else [x, None, None]
        wide = [a if a is None else a.astype(np.float64) for a in arrays]
        expected = outcome(ops.batch_norm, wide, {})
        found = outcome(KERNELS["batch_norm"], arrays, {})
        for e, f in zip(expected, found, strict=True):
            assert (f is None) == (e is None)
            if e is not None:
                assert f.shape == e.shape
                assert f.dtype == np.float32
                np.testing.assert_allclose(f, e, rtol=2e-5, atol=2e-5 * max(1.0, abs(e).max()))

    def test_a_large_mean_costs_no_digits(self):
        x = normal(64, 8, 9, 9) + np.float32(1000)
        exact = outcome(ops.batch_norm, [x.astype(np.float64), None, None], {})
        found = outcome(norm.batch_norm, [x, None, None], {})
        for i in (0, 3):  # y and dx; the op, which rounds the mean, is wrong by 1e-5
            np.testing.assert_allclose(found[i], exact[i], rtol=0, atol=1e-6)

    def test_threads_give_the_same(self, monkeypatch):
        arrays = [normal(50, 6, 5, 5), normal(6), normal(6)]
        one = outcome(norm.batch_norm, arrays, {})
        monkeypatch.setattr(thread_pool, "WORTH", 1)
        monkeypatch.setenv("XPNET_THREADS", "3")
        for a, b in zip(one, outcome(norm.batch_norm, arrays, {}), strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-6 * abs(a).max())

    def test_declines(self):
        for x in (np.zeros((2, 3)), np.zeros((0, 3), np.float32)):
            assert KERNELS["batch_norm"](np, x, None, None) is None


def sequences(kind, steps, n, features, hidden, bias):
    """What the op takes: x, the first states, weights, biases."""
    gates = 4 if kind == "lstm" else 3
    weights = [normal(gates * hidden, size, seed=size) * np.float32(0.5) for size in (features, hidden)]
    biases = [normal(gates * hidden, seed=7), normal(gates * hidden, seed=8)] if bias else [None, None]
    states = [normal(n, hidden, seed=5), normal(n, hidden, seed=6)][: gates - 2]
    return [normal(steps, n, features), *states, *weights, *biases]


def through(function, arrays, lengths, reverse, needs=None):
    """Outputs, and gradients where outputs and last states all have one."""
    ys, backward = function(np, *arrays, lengths, reverse=reverse)
    dys = tuple(normal(*y.shape, seed=i) for i, y in enumerate(ys))
    return [*ys, *backward(dys, needs or (True,) * len(arrays))]


@pytest.mark.parametrize("kind", ["lstm", "gru"])
class TestRecurrent:
    @few
    @given(
        st.integers(1, 6), st.integers(1, 18), st.integers(1, 9), st.sampled_from([1, 5, 16, 32, 37]), st.booleans(),
        st.booleans(), st.data(),
    )  # fmt: skip
    def test_equal_to_the_op(self, kind, steps, n, features, hidden, bias, reverse, data):
        arrays = sequences(kind, steps, n, features, hidden, bias)
        ends = data.draw(st.none() | st.lists(st.integers(1, steps), min_size=n, max_size=n), "lengths")
        lengths = None if ends is None else np.array(ends)
        expected = through(getattr(ops, kind), arrays, lengths, reverse)
        found = through(KERNELS[kind], arrays, lengths, reverse)
        for e, f in zip(expected, found, strict=True):
            assert (f is None) == (e is None)
            if e is not None:
                assert f.shape == e.shape
                assert f.dtype == np.float32
                np.testing.assert_allclose(f, e, rtol=0, atol=5e-6 * max(1.0, abs(e).max()))

    def test_threads_give_the_same(self, kind, monkeypatch):
        arrays = sequences(kind, 4, 21, 5, 20, bias=True)
        one = through(KERNELS[kind], arrays, None, False)
        monkeypatch.setattr(thread_pool, "WORTH", 1)
        monkeypatch.setenv("XPNET_THREADS", "3")
        for a, b in zip(one, through(KERNELS[kind], arrays, None, False), strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=2e-6 * max(1.0, abs(a).max()))

    def test_what_lies_beyond_an_end_never_counts(self, kind):
        arrays, lengths = sequences(kind, 5, 9, 3, 17, bias=True), np.array([5, 1, 2, 3, 4, 5, 1, 1, 2])
        clean = through(KERNELS[kind], arrays, lengths, False)
        arrays[0][np.arange(5)[:, None] >= lengths] = np.nan
        for e, f in zip(clean, through(KERNELS[kind], arrays, lengths, False), strict=True):
            np.testing.assert_array_equal(f, e)

    def test_only_some_outputs_have_a_gradient(self, kind):
        arrays = sequences(kind, 3, 2, 3, 5, bias=False)
        for function in (getattr(ops, kind), KERNELS[kind]):
            ys, backward = function(np, *arrays, None)
            gradients = backward((None, *(np.ones_like(y) for y in ys[1:])), (False,) * len(arrays))
            assert gradients[0] is None
            if function is getattr(ops, kind):
                expected = gradients[1]
        np.testing.assert_allclose(gradients[1], expected, rtol=0, atol=1e-6)

    def test_declines(self, kind):
        arrays = sequences(kind, 2, 3, 4, 5, bias=True)
        assert KERNELS[kind](np, *(a.astype(np.float64) for a in arrays), None) is None
        assert KERNELS[kind](np, arrays[0][:, :0], *(a[:0] for a in arrays[1:-4]), *arrays[-4:], None) is None


class TestActivations:
    @pytest.mark.parametrize(("name", "options"), [
        ("relu", {}), ("leaky_relu", {"negative_slope": 0.2}), ("elu", {"alpha": 1.3}), ("gelu", {}), ("sigmoid", {}),
        ("silu", {}),
    ])  # fmt: skip
    @few
    @given(shape=st.lists(st.integers(0, 7), max_size=4), order=st.sampled_from(["C", "F", "last", "every other"]))
    def test_equal_to_the_op(self, name, options, shape, order):
        x = normal(*shape) * np.float32(4)
        if order == "F":
            x = np.asfortranarray(x)
        if order == "last" and x.ndim > 2:
            x = normal(*shape, last=True)
        if order == "every other" and x.ndim:
            x = x[..., ::2]
        wide_y, wide_backward = getattr(ops, name)(np, x.astype(np.float64), **options)
        y, backward = KERNELS[name](np, x, **options)
        dy = normal(*x.shape, seed=1)
        for e, f in ((wide_y, y), (wide_backward(dy.astype(np.float64))[0], backward(dy)[0])):
            assert f.shape == e.shape
            assert f.dtype == np.float32
            np.testing.assert_allclose(f, e, rtol=2e-6, atol=2e-6)

    @pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "gelu", "sigmoid", "silu"])
    def test_extremes(self, name):
        x = np.float32([np.nan, np.inf, 1e30, -1e30, 0.0])
        with np.errstate(all="ignore"):
            found, expected = (outcome(function, [x], {}) for function in (KERNELS[name], getattr(ops, name)))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)

    def test_memory_order_is_kept(self):
        x = normal(2, 3, 4, 5, last=True)
        y, backward = activation.relu(np, x)
        assert y.strides == x.strides == backward(np.ones(x.shape, np.float32))[0].strides

    def test_threads_give_the_same(self, monkeypatch):
        x = normal(1000)
        y, backward = activation.gelu(np, x)
        one = y, backward(x)[0]
        monkeypatch.setattr(thread_pool, "WORTH", 1)
        monkeypatch.setenv("XPNET_THREADS", "3")
        y, backward = activation.gelu(np, x)
        np.testing.assert_allclose((y, backward(x)[0]), one, rtol=0, atol=1e-6)

    def test_gelu_by_tanh_is_left_to_the_op(self):
        assert KERNELS["gelu"](np, normal(3), approximate="tanh") is None


class TestRows:
    @pytest.mark.parametrize("name", ["softmax", "log_softmax"])
    @few
    @given(shape=st.lists(st.integers(1, 40), min_size=1, max_size=3), mean=st.sampled_from([0, 1000]))
    def test_softmax(self, name, shape, mean):
        x = normal(*shape) * np.float32(3) + np.float32(mean)
        wide = outcome(getattr(ops, name), [x.astype(np.float64)], {})
        for e, f in zip(wide, outcome(KERNELS[name], [x], {"axis": -1}), strict=True):
            assert f.shape == e.shape
            assert f.dtype == np.float32
            np.testing.assert_allclose(f, e, rtol=1e-6, atol=2e-6)

    @few
    @given(st.integers(1, 30), st.integers(1, 40), st.sampled_from([0, 1000]))
    def test_cross_entropy(self, n, classes, mean):
        z = normal(n, classes) * np.float32(3) + np.float32(mean)
        target = np.random.default_rng(1).integers(0, classes, n)
        (e, e_backward), (f, f_backward) = (
            function(np, logits, target)
            for function, logits in ((ops.cross_entropy, z.astype(np.float64)), (KERNELS["cross_entropy"], z))
        )
        assert f.dtype == np.float32
        np.testing.assert_allclose(f, e, rtol=1e-6, atol=1e-6)
        found = f_backward(np.float32(0.5))
        assert found[1:] == (None, None)
        np.testing.assert_allclose(found[0], e_backward(np.float64(0.5))[0], rtol=0, atol=1e-6)

    @pytest.mark.parametrize("target", [[0, 3], [-1, 0], [-100, 0]])
    def test_cross_entropy_leaves_unusual_labels_to_the_op(self, target):
        assert KERNELS["cross_entropy"](np, normal(2, 3), np.array(target)) is None

    @pytest.mark.parametrize("options", [
        {"label_smoothing": 0.1}, {"reduction": "sum"}, {"ignore_index": 1}, {"weight": np.ones(3, np.float32)},
    ], ids=str)  # fmt: skip
    def test_cross_entropy_leaves_unusual_options_to_the_op(self, options):
        assert (
            KERNELS["cross_entropy"](np, normal(2, 3), np.array([0, 2]), options.pop("weight", None), **options) is None
        )

    def test_cross_entropy_of_diverged_logits(self):
        z = np.float32([[np.inf, 0.0], [np.nan, 1.0]])
        assert np.isnan(KERNELS["cross_entropy"](np, z, np.array([0, 1]))[0])

    def test_softmax_does_not_keep_its_input(self):
        for kernel in (KERNELS["softmax"], KERNELS["log_softmax"]):
            x = normal(3, 4)
            _, backward = kernel(np, x)
            held = [cell.cell_contents for cell in backward.__closure__ or ()]
            assert not any(isinstance(value, np.ndarray) and np.shares_memory(value, x) for value in held)

    def test_rows_with_infinity(self):
        x = np.float32([[0, -np.inf, 1], [np.nan, 1, 2]])
        found, expected = softmax.softmax(np, x)[0], ops.softmax(np, x)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert found[0, 1] == 0

    @few
    @given(
        st.lists(st.integers(1, 20), min_size=1, max_size=4), st.integers(1, 4), st.booleans(),
        st.sampled_from([0, 1000]),
    )  # fmt: skip
    def test_layer_norm(self, shape, dims, affine, mean):
        dims = min(dims, len(shape))
        x = normal(*shape) + np.float32(mean)
        arrays = [x, normal(*shape[-dims:], seed=2), normal(*shape[-dims:], seed=3)] if affine else [x, None, None]
        wide = [a if a is None else a.astype(np.float64) for a in arrays]
        options = {"dims": dims, "eps": 1e-3}
        expected = outcome(ops.layer_norm, wide, options)
        for e, f in zip(expected, outcome(KERNELS["layer_norm"], arrays, options), strict=True):
            assert (f is None) == (e is None)
            if e is not None:
                assert f.shape == e.shape
                assert f.dtype == np.float32
                np.testing.assert_allclose(f, e, rtol=0, atol=5e-6 * max(1.0, abs(e).max()))

    def test_threads_give_the_same(self, monkeypatch):
        arrays = [normal(50, 6), normal(6), normal(6)]
        one = outcome(softmax.layer_norm, arrays, {})
        monkeypatch.setattr(thread_pool, "WORTH", 1)
        monkeypatch.setenv("XPNET_THREADS", "3")
        for a, b in zip(one, outcome(softmax.layer_norm, arrays, {}), strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=2e-6 * max(1.0, abs(a).max()))

    def test_declines(self):
        assert KERNELS["softmax"](np, normal(2, 3), axis=0) is None
        assert KERNELS["log_softmax"](np, np.zeros((0, 3), np.float32)) is None
        assert KERNELS["layer_norm"](np, np.zeros((0, 3), np.float32), None, None) is None


class TestProduct:
    @few
    @given(st.integers(0, 40), st.integers(0, 600), st.integers(0, 70), st.booleans(), st.booleans())
    def test_equal_to_numpy(self, rows, depth, columns, a_turned, b_turned):
        a = normal(depth, rows).T if a_turned else normal(rows, depth)
        b = normal(columns, depth, seed=1).T if b_turned else normal(depth, columns, seed=1)
        expected = a.astype(np.float64) @ b.astype(np.float64)
        np.testing.assert_allclose(gemm.product(a, b), expected, rtol=0, atol=1e-6 * (1 + depth))

    def test_threads_and_strides(self, monkeypatch):
        monkeypatch.setattr(thread_pool, "WORTH", 1)
        monkeypatch.setenv("XPNET_THREADS", "3")
        for height, width in ((90, 33), (10, 200)):
            a, b = normal(height, 80)[:, ::2], normal(40, width + 5)[:, 5:]
            np.testing.assert_allclose(gemm.product(a, b), a @ b, rtol=0, atol=1e-4)


class TestFunctions:
    def test_within_a_few_units_in_the_last_place(self):
        @compiler.compiled(compiler.read(1), compiler.write(2))
        def both(x, y):
            for i in range(len(x)):
                y[0, i] = functions.tanh(x[i])
                y[1, i] = functions.sigmoid(x[i])
                y[2, i] = functions.exp(x[i])
                y[3, i] = functions.normal(x[i], functions.exp(np.float32(-0.5) * x[i] * x[i]))
                y[4, i] = functions.expm1(-abs(x[i]))

        x = np.linspace(-100, 100, 400_001).astype(np.float32)
        x = np.concatenate([x, x / 10, np.float32([1e-30, -1e-30, np.inf, -np.inf])])
        y = np.empty((5, len(x)), np.float32)
        both(x, y)
        wide = x.astype(np.float64)
        np.testing.assert_allclose(y[0], np.tanh(wide), rtol=5e-7)  # 4e-7 on processors without fused multiply-add
        smallest = 2e-45  # below 1.2e-38 float32 has fewer digits: half of its smallest number is what can be missing
        with np.errstate(over="ignore"):
            np.testing.assert_allclose(y[1], 1.0 / (1.0 + np.exp(-wide)), rtol=4e-7, atol=smallest)
            expected = np.exp(wide).astype(np.float32)
        np.testing.assert_allclose(y[2], expected, rtol=3e-7, atol=smallest)
        assert y[2][-2:].tolist() == [np.inf, 0.0]
        below = np.array([0.5 * math.erfc(-v * math.sqrt(0.5)) for v in wide[::9]])
        np.testing.assert_allclose(y[3][::9], below, rtol=6e-6, atol=smallest)  # of e^(−x²/2) in float32
        near = abs(x[::9]) < 3
        np.testing.assert_allclose(y[3][::9][near], below[near], rtol=8e-7)
        np.testing.assert_allclose(y[4], np.expm1(-abs(wide)), rtol=5e-7)
        both(np.full(len(x), np.nan, np.float32), y)
        assert np.isnan(y).all()


@pytest.mark.parametrize("name", ["lenet", "resnet20"])
def test_a_network_learns_the_same_with_and_without(name, monkeypatch):
    """Losses and parameters after three steps."""

    def train():
        xpnet.manual_seed(0)
        shape = (1, 28, 28) if name == "lenet" else (3, 16, 16)
        model = models.build(name, shape, 10, hidden=[], dropout=0.0)
        optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        x, labels = normal(8, *shape), np.arange(8)
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), labels)
            loss.backward()
            optimizer.step()
        return loss.item(), model.state_dict()

    loss, state = train()
    monkeypatch.setattr(get_backend("numpy"), "kernels", {})
    expected_loss, expected = train()
    assert loss == pytest.approx(expected_loss, rel=1e-3)  # where x is 0 to rounding, a ReLU may take either side
    for key, value in expected.items():
        np.testing.assert_allclose(state[key], value, rtol=0, atol=2e-3 * max(1.0, abs(value).max()), err_msg=key)


class TestCompiled:
    def test_declines_without_numba(self, monkeypatch):
        registry.load.cache_clear()
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        assert KERNELS["conv2d"](np, normal(1, 1, 4, 4), normal(1, 1, 3, 3)) is None
        registry.load.cache_clear()

    def test_a_numba_that_cannot_be_used_is_said_once(self, monkeypatch):
        def fail(*arguments):
            raise ImportError("Numba needs NumPy 1.0 or less")

        registry.load.cache_clear()
        monkeypatch.setattr(importlib, "import_module", fail)
        with pytest.warns(RuntimeWarning, match="without its compiled kernels.*Numba needs NumPy 1.0 or less"):
            assert KERNELS["relu"](np, normal(3)) is None
        assert KERNELS["relu"](np, normal(3)) is None  # a second warning would be an error
        registry.load.cache_clear()

    def test_a_folder_that_cannot_be_written_only_costs_time(self, monkeypatch):
        import numba

        real = numba.njit

        def no_folder(*arguments, cache=False, **options):
            if cache:
                raise RuntimeError("cannot cache function: no locator available")
            return real(*arguments, **options)

        monkeypatch.setattr(numba, "njit", no_folder)
        found = np.zeros(3, np.float32)

        def twos(x):
            x[:] = 2

        compiler.compiled(compiler.write(1))(twos)(found)
        assert found.tolist() == [2, 2, 2]

    def test_nothing_is_compiled_before_it_is_needed(self):
        code = "import sys, xpnet; xpnet.get_backend('numpy'); sys.exit('numba' in sys.modules)"
        assert python("-c", code, env=environment()).returncode == 0


class TestWorkers:
    def test_results_come_in_order(self, monkeypatch):
        monkeypatch.setenv("XPNET_THREADS", "3")
        both = lambda start, stop: (start, stop)  # noqa: E731
        assert thread_pool.in_threads(both, 7, 10**9) == [(0, 2), (2, 4), (4, 7)]
        assert thread_pool.in_threads(both, 2, 10**9) == [(0, 1), (1, 2)]
        assert thread_pool.in_threads(both, 7, 1) == [(0, 7)]
        assert thread_pool.in_threads(both, 0, 10**9) == [(0, 0)]

    @pytest.mark.parametrize("place", [0, 2])
    def test_an_error_is_passed_on_and_nothing_is_left_behind(self, place, monkeypatch):
        monkeypatch.setenv("XPNET_THREADS", "2")
        with pytest.raises(ZeroDivisionError):
            thread_pool.in_threads(lambda start, stop: 1 // (start - place), 4, 10**9)
        assert thread_pool.in_threads(lambda start, stop: stop, 4, 10**9) == [2, 4]

    def test_an_answer_that_nobody_fetched_is_thrown_away(self, monkeypatch):
        """As after Ctrl-C in the middle of a step."""
        monkeypatch.setenv("XPNET_THREADS", "2")
        thread_pool._workers(1)[0].ask(lambda start, stop: "stale", 0, 1)
        assert thread_pool.in_threads(lambda start, stop: stop, 4, 10**9) == [2, 4]

        def interrupted(start, stop):
            if start == 0:
                raise KeyboardInterrupt
            return "stale"

        with pytest.raises(KeyboardInterrupt):
            thread_pool.in_threads(interrupted, 4, 10**9)
        assert thread_pool.in_threads(lambda start, stop: stop, 4, 10**9) == [2, 4]

    def test_a_busy_thread_changes_nothing(self, monkeypatch):
        monkeypatch.setenv("XPNET_THREADS", "3")
        with thread_pool._workers(2)[0].lock:
            assert thread_pool.in_threads(lambda start, stop: (start, stop), 7, 10**9) == [(0, 2), (2, 4), (4, 7)]

    def test_two_callers_at_once_get_what_is_theirs(self, monkeypatch):
        monkeypatch.setenv("XPNET_THREADS", "2")
        wrong = []

        def call(name):
            for _ in range(300):
                if thread_pool.in_threads(lambda start, stop: (name, stop), 4, 10**9) != [(name, 2), (name, 4)]:
                    wrong.append(name)

        callers = [threading.Thread(target=call, args=(name,)) for name in "ab"]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert wrong == []

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    def test_a_forked_process_has_threads_of_its_own(self, monkeypatch):
        monkeypatch.setenv("XPNET_THREADS", "2")
        start = functools.partial(thread_pool.in_threads, lambda i, j: j, 4, 10**9)
        start()
        child = os.fork()
        if child == 0:
            os._exit(0 if start() == [2, 4] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class TestSmallProducts:
    def test_the_blas_gets_its_threads_back(self):
        controller = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed").ThreadpoolController
        count = lambda: [each.num_threads for each in controller().select(user_api="blas").lib_controllers]  # noqa: E731
        before, within = count(), []

        def product(a, b):
            within.append(count())
            return a @ b

        product_of = blas.SmallProducts()
        small, large = normal(100, 100), normal(200, 200)
        np.testing.assert_allclose(product_of(product, small, small), small @ small, rtol=0, atol=1e-4)
        assert within.pop() == [1] * len(before)
        product_of(product, large, large)
        assert within.pop() == before
        with pytest.raises(ZeroDivisionError):
            product_of(lambda a, b: 1 // 0, small, small)
        assert count() == before


BAD = {
    "nan": [np.nan], "infinity": [np.inf], "minus infinity": [-np.inf], "all": [np.inf, -np.inf, np.nan],
    "smallest": [1e-42, -1e-42, 0.0, -0.0], "hundreds": [100.0, -100.0, 88.5, -88.5],
}  # fmt: skip
SAME = {"padding": ((1, 1), (1, 1))}


def every_kernel():
    """Name, arrays (bad numbers go into the first) and options."""
    sequences_ = {
        kind: [normal(4, 3, 5), *states, normal(g * 4, 5), normal(g * 4, 4), normal(g * 4), normal(g * 4), np.array([4, 2, 3])]
        for kind, g, states in (("lstm", 4, [normal(3, 4)] * 2), ("gru", 3, [normal(3, 4)]))
    }  # fmt: skip
    return [
        ("conv2d", [normal(2, 16, 7, 7), normal(16, 16, 3, 3), normal(16)], SAME),
        ("conv2d", [normal(2, 3, 7, 7), normal(4, 3, 3, 3), normal(4)], {"stride": (2, 2), **SAME}),
        ("max_pool2d", [normal(2, 3, 7, 7)], {"kernel": (3, 3), "stride": (2, 2), **SAME}),
        ("avg_pool2d", [normal(2, 3, 7, 7)], {"kernel": (3, 3), "stride": (2, 2)}),
        ("batch_norm", [normal(4, 5, 3, 3), normal(5), normal(5)], {}),
        ("layer_norm", [normal(6, 8), normal(8), normal(8)], {}),
        ("softmax", [normal(6, 8)], {}), ("log_softmax", [normal(6, 8)], {}),
        ("cross_entropy", [normal(6, 8), np.arange(6)], {}),
        *((name, [normal(60)], {}) for name in ("relu", "leaky_relu", "elu", "gelu", "sigmoid", "silu")),
        *((kind, arrays, {}) for kind, arrays in sequences_.items()),
    ]  # fmt: skip


class TestSpecialValues:
    def test_every_kernel_has_its_case(self):
        of_one_op = {name for name in KERNELS if "+" not in name} - {"gemm"}  # joint ones: tests/test_fusion.py
        assert {name for name, *_ in every_kernel()} == of_one_op

    @pytest.mark.parametrize("bad", BAD)
    @pytest.mark.parametrize("case", every_kernel(), ids=lambda case: case[0])
    @pytest.mark.parametrize("seed", range(3))
    def test_equal_to_the_op(self, case, bad, seed):
        """Finite where the op is, and NaN where it is NaN, except for sums that add infinities in another order."""
        name, arrays, options = case
        rng = np.random.default_rng(seed)
        arrays = [arrays[0].copy(), *arrays[1:]]
        arrays[0].reshape(-1)[rng.integers(arrays[0].size, size=2 * len(BAD[bad]))] = 2 * BAD[bad]
        found = []
        with np.errstate(all="ignore"):
            for function in (getattr(ops, name), KERNELS[name]):
                result = function(np, *arrays, **options)
                if result is None:  # declined: the op it is
                    return
                y, backward = result
                ys = y if isinstance(y, tuple) else (y,)
                dy = normal(*ys[0].shape, seed=1)
                dys = (dy, *[None] * (len(ys) - 1))
                gradients = backward(dys if isinstance(y, tuple) else dy, [a.dtype == np.float32 for a in arrays])
                found.append([*ys, *[g for g in gradients if g is not None]])
        for expected, other in zip(*found, strict=True):
            finite = np.isfinite(expected)
            np.testing.assert_array_equal(np.isfinite(other), finite)
            close = 2e-5 * max(1.0, np.abs(expected[finite]).max(initial=0))
            np.testing.assert_allclose(other[finite], expected[finite], rtol=1e-5, atol=close)
            if name not in ("batch_norm", "layer_norm", "lstm", "gru"):
                np.testing.assert_array_equal(other[~finite], expected[~finite])

    @pytest.mark.parametrize("name", ["relu", "leaky_relu", "max_pool2d"])
    @pytest.mark.parametrize("dy", [np.inf, -np.inf, np.nan])
    def test_an_infinite_gradient_goes_where_the_op_sends_it(self, name, dy):
        pooling = name == "max_pool2d"
        x = np.round(normal(1, 2, 6, 6)) if pooling else np.float32([-np.inf, -1, -0.0, 0, 1e-45, 1, np.inf, np.nan])
        options = {"kernel": (3, 3), "stride": (2, 2), **SAME} if pooling else {}
        gradients = []
        for function in (getattr(ops, name), KERNELS[name]):
            y, backward = function(np, x, **options)
            with np.errstate(invalid="ignore"):
                gradients.append(backward(np.full_like(y, dy))[0])
        np.testing.assert_array_equal(gradients[1], gradients[0])
        assert (gradients[1] == 0).any() or name == "leaky_relu"

    def test_an_infinite_gradient_of_a_loss_of_zero(self):
        z, target = np.float32([[200.0, 0.0], [0.0, 200.0]]), np.array([0, 1])
        for function in (ops.cross_entropy, KERNELS["cross_entropy"]):
            assert not function(np, z, target)[1](np.float32(np.inf))[0].any()

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("place", [(0, 0), (0, 11), (3, 4), (5, 7), (11, 11)])
    def test_winograd_spreads_nothing(self, value, place):
        """One bad pixel, then one bad gradient: only the windows that see it are touched."""
        x, weight = normal(2, 16, 12, 12, last=True).copy(order="K"), normal(17, 16, 3, 3, seed=2)
        dy = normal(2, 17, 12, 12, seed=1)
        for changed in (x, dy):
            kept = changed[1, 5, *place].copy()
            changed[1, 5, *place] = value
            results = []
            with np.errstate(invalid="ignore"):
                for function in (ops.conv2d, conv.conv2d):
                    y, backward = function(np, x, weight, **SAME)
                    results.append([y, *backward(dy)[:2]])
            for expected, found in zip(*results, strict=True):
                np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
                np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
                finite = np.isfinite(expected)
                np.testing.assert_allclose(found[finite], expected[finite], rtol=0, atol=1e-3)
            changed[1, 5, *place] = kept

    @pytest.mark.parametrize("name", ["gelu", "silu", "elu", "sigmoid", "relu", "leaky_relu"])
    def test_signs_and_tails(self, name):
        """The sign equals that of float64, and a function that is monotonic beyond a point stays monotonic."""
        x = np.concatenate([np.linspace(-20, 20, 400_001), np.linspace(-104, 104, 20_001), [0.0, -0.0, 1e-45, -1e-45]])
        x = np.sort(x.astype(np.float32))
        y = KERNELS[name](np, x)[0]
        wide = getattr(ops, name)(np, x.astype(np.float64))[0]
        assert not (np.sign(y) * np.sign(wide) < 0).any()
        whole = abs(wide) > 1e-37
        assert (np.sign(y) == np.sign(wide))[whole].all()
        np.testing.assert_allclose(y[whole], wide[whole], rtol=2e-5)
        assert not np.signbit(y[(x == 0) & ~np.signbit(x)]).any()
        if name in ("sigmoid", "elu"):
            assert y.max() <= (1.0 if name == "sigmoid" else 104.0)
            assert y.min() >= (0.0 if name == "sigmoid" else -1.0)
            assert KERNELS[name](np, np.float32([-np.inf]))[0][0] == (0.0 if name == "sigmoid" else -1.0)
