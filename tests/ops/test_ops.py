"""Every op: right by finite differences, equal to PyTorch, closed in its dtype, the same on every backend."""

import inspect
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.ops.table import ROWS, THROUGH_LAYERS, weights
from tests.support.standin import no_traffic
from xpnet import apply, ops
from xpnet.gradcheck import gradcheck, gradcheck_op
from xpnet_backends import get_backend, to_numpy

RECORDED = np.load(Path(__file__).parent.parent / "fixtures/ops.npz", allow_pickle=False)
by_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def differentiable(row, arrays):
    return [
        i
        for i, x in enumerate(arrays)
        if getattr(getattr(x, "dtype", None), "kind", "") == "f" and i not in row.constant
    ]


def on(backend, x):
    return backend.asarray(x) if isinstance(x, np.ndarray) else x


def options_on(backend, row):
    index = row.options.get("index")
    if isinstance(index, tuple):
        return {"index": tuple(on(backend, part) for part in index)}
    return {**row.options, "index": on(backend, index)} if index is not None else row.options


def cast(x, dtype):
    return x.astype(dtype) if getattr(getattr(x, "dtype", None), "kind", "") == "f" else x


def call(row, backend, arrays, dtype="float64"):
    """Value and gradients by hand, without tape."""
    options = options_on(backend, row)
    if "dtype" in options:
        options = {"dtype": dtype}
    y, backward = row.op(backend.xp, *[on(backend, cast(x, dtype)) for x in arrays], **options)
    dy = on(backend, weights(row, y.shape).astype(dtype))
    needs = tuple(i in differentiable(row, arrays) for i in range(len(arrays)))
    return y, backward(dy, needs), needs


def test_the_table_has_every_op():
    missing = set(ops.__all__) - {row.op.__name__ for row in ROWS} - THROUGH_LAYERS
    assert not missing


def test_every_option_of_every_op_is_used():
    for name in set(ops.__all__) - THROUGH_LAYERS:
        options = {
            p.name for p in inspect.signature(getattr(ops, name)).parameters.values() if p.kind is p.KEYWORD_ONLY
        }
        used = {option for row in ROWS if row.op.__name__ == name for option in row.options}
        assert options <= used, name


@by_row
def test_equal_to_pytorch(row, backend):
    arrays = row.make()
    y, gradients, needs = call(row, backend, arrays)
    np.testing.assert_allclose(to_numpy(y), RECORDED[f"{row.name}/y"], rtol=1e-12, atol=1e-13)
    for i, need in enumerate(needs):
        assert (f"{row.name}/{i}" in RECORDED.files) == need
        if need:
            expected = RECORDED[f"{row.name}/{i}"]
            np.testing.assert_allclose(to_numpy(gradients[i]), expected, rtol=1e-11, atol=1e-12, err_msg=f"input {i}")


@by_row
@pytest.mark.parametrize(("dtype", "rtol", "atol"), [("float32", 2e-5, 2e-6), ("float16", 2e-2, 2e-2)])
def test_dtypes_are_closed(row, backend, dtype, rtol, atol):
    arrays = row.make()
    y, gradients, needs = call(row, backend, arrays, dtype)
    assert y.dtype == dtype
    np.testing.assert_allclose(to_numpy(y), RECORDED[f"{row.name}/y"], rtol=rtol, atol=atol)
    for i, need in enumerate(needs):
        if need:
            assert gradients[i].dtype == dtype
            assert gradients[i].shape == np.shape(arrays[i])


@by_row
def test_finite_differences(row):
    arrays = row.make()
    if "ties" in row.name:
        pytest.skip("equal values stand at a kink")
    if "dtype" in row.options:
        pytest.skip("a cast to the same dtype is the identity")
    keep = differentiable(row, arrays)
    function = lambda *moving: apply(row.op, *fill(arrays, keep, moving), **row.options)  # noqa: E731
    assert gradcheck(function, *[arrays[i] for i in keep]) < 1e-6


def fill(arrays, places, values):
    """``arrays`` with ``values`` at ``places``."""
    filled = list(arrays)
    for i, v in zip(places, values, strict=True):
        filled[i] = v
    return filled


def strided(x):
    """The same values with other strides: transposed, every second element, from behind."""
    if not isinstance(x, np.ndarray) or x.ndim == 0:
        return x
    wide = np.repeat(x, 2, axis=-1)[..., ::2]
    turned = np.ascontiguousarray(wide.T).T
    return turned[::-1].copy()[::-1]


@by_row
def test_strides_do_not_matter_and_inputs_stay_as_they_are(row):
    arrays = [strided(x) for x in row.make()]
    before = [np.copy(x) if isinstance(x, np.ndarray) else x for x in arrays]
    y, gradients, needs = call(row, get_backend("numpy"), arrays)
    np.testing.assert_allclose(y, RECORDED[f"{row.name}/y"], rtol=1e-12, atol=1e-13)
    for i, need in enumerate(needs):
        if need:
            np.testing.assert_allclose(gradients[i], RECORDED[f"{row.name}/{i}"], rtol=1e-11, atol=1e-12)
    for x, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(x, old) if isinstance(x, np.ndarray) else None


@by_row
def test_no_traffic_on_a_device(row):
    if row.syncs:
        pytest.skip("a mask's size must be known on the host")
    standin = get_backend("standin")
    arrays = [on(standin, cast(x, "float32")) for x in row.make()]
    options = options_on(standin, row)
    y, backward = row.op(standin.xp, *arrays, **options)
    dy = standin.xp.ones(y.shape, dtype=y.dtype)
    with no_traffic():
        _, backward = row.op(standin.xp, *arrays, **options)
        backward(dy, tuple(i in differentiable(row, row.make()) for i in range(len(arrays))))


@by_row
def test_needs_are_respected(row):
    arrays = row.make()
    _, gradients, needs = call(row, get_backend("numpy"), arrays)
    y, backward = row.op(np, *arrays, **row.options)
    for i in (i for i, need in enumerate(needs) if need):
        only = backward(weights(row, np.shape(y)), tuple(j == i for j in range(len(arrays))))
        np.testing.assert_array_equal(only[i], gradients[i])


EMPTY = ["exp", "relu", "sigmoid", "tanh", "elu", "gelu", "leaky_relu", "negative", "absolute", "reduce_sum"]


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("shape", [(0,), (3, 0), (1,), (1, 1, 1), ()])
def test_empty_and_single_inputs(name, shape):
    assert gradcheck_op(getattr(ops, name), np.full(shape, 0.7)) < 1e-6


def test_linear_and_losses_of_no_samples():
    y, backward = ops.linear(np, np.zeros((0, 3)), np.ones((2, 3)), np.ones(2))
    assert y.shape == (0, 2)
    dx, dw, db = backward(np.zeros((0, 2)))
    assert dx.shape == (0, 3)
    assert not dw.any()
    assert not db.any()
    assert np.isnan(ops.mse_loss(np, np.zeros((0, 2)), np.zeros((0, 2)))[0])
    assert np.isnan(ops.cross_entropy(np, np.zeros((0, 2)), np.zeros(0, int))[0])
    assert ops.cross_entropy(np, np.zeros((0, 2)), np.zeros(0, int), reduction="sum")[0] == 0


def test_a_label_that_is_no_class_makes_the_loss_nan(backend):
    logits, target = backend.asarray(np.zeros((3, 2), "f")), backend.asarray(np.array([0, 2, 1]))
    for op in (ops.cross_entropy, ops.nll_loss):
        assert np.isnan(to_numpy(op(backend.xp, logits, target)[0]))


def test_unknown_options():
    with pytest.raises(ValueError, match="reduction must be 'mean', 'sum' or 'none', got 'max'"):
        ops.mse_loss(np, np.zeros(2), np.zeros(2), reduction="max")
    with pytest.raises(ValueError, match="approximate must be 'none' or 'tanh', got 'erf'"):
        ops.gelu(np, np.zeros(2), approximate="erf")


def test_erf_is_the_error_function():
    import math

    from xpnet.ops.special import erf

    x = np.concatenate([np.linspace(-7, 7, 2001), [0.0, -0.0, 1e-300, np.inf, -np.inf]])
    np.testing.assert_allclose(erf(np, x), [math.erf(v) for v in x], rtol=2e-15, atol=0)
    assert np.isnan(erf(np, np.array([np.nan])))[0]


# -- properties ------------------------------------------------------------------------------------------------------

BROADCAST = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3)


@given(shapes=BROADCAST, name=st.sampled_from(["add", "subtract", "multiply", "maximum"]))
def test_broadcasting_sums_back(shapes, name):
    a, b = (np.full(shape, 1.0 + i) for i, shape in enumerate(shapes.input_shapes))
    y, backward = getattr(ops, name)(np, a, b)
    assert np.shape(y) == shapes.result_shape
    da, db = backward(np.ones(shapes.result_shape))
    assert np.shape(da) == a.shape
    assert np.shape(db) == b.shape


@given(data=st.data(), shape=hnp.array_shapes(max_dims=4, max_side=3), keepdims=st.booleans())
def test_reductions_over_any_axes(data, shape, keepdims):
    axes = data.draw(st.none() | st.sets(st.integers(-len(shape), -1)).map(tuple))
    x = np.random.default_rng(0).standard_normal(shape)
    for name, plain in (("reduce_sum", np.sum), ("reduce_mean", np.mean), ("reduce_max", np.max)):
        if axes == () and name != "reduce_sum":
            continue
        y, backward = getattr(ops, name)(np, x, axis=axes, keepdims=keepdims)
        np.testing.assert_allclose(y, plain(x, axis=axes, keepdims=keepdims))
        (dx,) = backward(np.ones(np.shape(y)))
        assert dx.shape == shape
        total = {"reduce_sum": x.size, "reduce_mean": np.size(y), "reduce_max": np.size(y)}[name]
        assert dx.sum() == pytest.approx(total)


@given(x=hnp.arrays(np.float32, (3, 4), elements=st.sampled_from([-1e4, -88.0, -1.0, 0.0, 1.0, 88.0, 1e4])))
def test_extreme_values_stay_finite_without_warnings(x):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("softmax", "log_softmax", "sigmoid", "tanh", "elu", "relu"):
            y, backward = getattr(ops, name)(np, x)
            assert np.isfinite(y).all()
            assert np.isfinite(backward(np.ones_like(x))[0]).all()
        np.testing.assert_allclose(ops.softmax(np, x)[0].sum(axis=-1), 1, rtol=1e-5)
        np.testing.assert_allclose(ops.softmax(np, x)[0], ops.softmax(np, x + np.float32(8))[0], rtol=1e-3, atol=1e-6)
        assert np.isfinite(ops.logsumexp(np, x, axis=1)[0]).all()
        loss, backward = ops.cross_entropy(np, x, np.array([0, 1, 3]))
        assert np.isfinite(loss)
        assert np.isfinite(backward(np.float32(1))[0]).all()
        loss, backward = ops.binary_cross_entropy_with_logits(np, x, np.full_like(x, 0.5))
        assert np.isfinite(loss)
        assert np.isfinite(backward(np.float32(1))[0]).all()


def test_logsumexp_of_nothing_but_minus_infinity():
    x = np.array([[-np.inf, -np.inf], [0.0, -np.inf]])
    assert ops.logsumexp(np, x, axis=1)[0].tolist() == [-np.inf, 0.0]
