"""Every op: right by finite differences, equal to PyTorch, closed in its dtype, the same on every backend."""

import inspect
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.ops import attention, table, table_losses
from tests.ops.table import weights
from tests.support.standin import no_traffic
from xpnet import apply, ops
from xpnet.gradcheck import gradcheck
from xpnet.ops.special import erf
from xpnet_backends import get_backend, to_numpy

FIXTURES = Path(__file__).parent.parent / "fixtures"
TABLES = {  # the rows, by the file of their recorded values
    "ops.npz": table.ROWS, "ops_attention.npz": attention.ROWS, "losses.npz": table_losses.ROWS,
}  # fmt: skip
ROWS = [row for rows in TABLES.values() for row in rows]
RECORDED = {key: x for name in TABLES for key, x in np.load(FIXTURES / name, allow_pickle=False).items()}
ELSEWHERE = {"ctc_loss", "embedding", "embedding_bag", "gru", "lstm", "rnn"}  # ops with tests of their own
NUMPY = get_backend("numpy")


def rows(*chosen):
    return pytest.mark.parametrize("row", chosen or ROWS, ids=lambda row: row.name)


by_row = rows()


def is_float(x):
    return getattr(getattr(x, "dtype", None), "kind", "") == "f"


def differentiable(row, arrays):
    return tuple(is_float(x) and i not in row.constant for i, x in enumerate(arrays))


def on(backend, x, dtype="float64"):
    """Arrays on the backend, floating ones in ``dtype``, also inside a tuple; everything else as it is."""
    if type(x) is tuple:
        return tuple(on(backend, part, dtype) for part in x)
    if not isinstance(x, np.ndarray):
        return x
    return backend.asarray(x.astype(dtype) if is_float(x) and x.dtype != dtype else x)


def options_on(backend, row, dtype="float64"):
    options = {key: on(backend, value, dtype) for key, value in row.options.items()}
    return options | ({"dtype": dtype} if "dtype" in options else {})


def forward(row, backend, arrays, dtype="float64"):
    """The first output, and a backward that takes its gradient alone."""
    y, backward = row.op(backend.xp, *arrays, **options_on(backend, row, dtype))
    if type(y) is not tuple:
        return y, backward
    return y[0], lambda dy, needs: backward((dy, *[None] * (len(y) - 1)), needs)


def call(row, backend, arrays, dtype="float64"):
    """Value and gradients by hand, without tape."""
    needs = differentiable(row, arrays)
    y, backward = forward(row, backend, [on(backend, x, dtype) for x in arrays], dtype)
    return y, backward(on(backend, weights(row, y.shape), dtype), needs), needs


def check_recorded(row, y, gradients, needs, **tolerance):
    np.testing.assert_allclose(to_numpy(y), RECORDED[f"{row.name}/y"], **tolerance)
    for i, need in enumerate(needs):
        assert (f"{row.name}/{i}" in RECORDED) == need
        if need:
            expected = RECORDED[f"{row.name}/{i}"]
            assert gradients[i].shape == expected.shape
            np.testing.assert_allclose(to_numpy(gradients[i]), expected, **tolerance, err_msg=f"input {i}")


# -- the table -------------------------------------------------------------------------------------------------------


def test_the_table_has_every_op():
    assert {row.op.__name__ for row in ROWS} == set(ops.__all__) - ELSEWHERE
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_every_option_of_every_op_is_used():
    for name in set(ops.__all__) - ELSEWHERE:
        options = {
            p.name for p in inspect.signature(getattr(ops, name)).parameters.values() if p.kind is p.KEYWORD_ONLY
        }
        used = {option for row in ROWS if row.op.__name__ == name for option in row.options}
        assert options <= used, name


def test_the_recorded_rows_are_those_of_the_table():
    of_rows = {key for key in RECORDED if key != "torch" and not key.startswith("ctc ")}
    assert {key.rpartition("/")[0] for key in of_rows} == {row.name for row in ROWS}
    assert str(RECORDED["torch"])


# -- row by row ------------------------------------------------------------------------------------------------------


@by_row
def test_equal_to_pytorch(row, backend):
    check_recorded(row, *call(row, backend, row.make()), rtol=1e-12, atol=1e-12)


# Inputs are rounded to the dtype first and the answers are PyTorch's in float64, so that both kinds of rounding count;
# atol: where terms of order 1 to 10 cancel, what remains is a few units of rounding of those terms.
@by_row
@pytest.mark.parametrize(("dtype", "rtol", "atol"), [("float32", 1e-5, 1e-6), ("float16", 2e-2, 2e-2)])
def test_dtypes_are_closed(row, backend, dtype, rtol, atol):
    y, gradients, needs = call(row, backend, row.make(), dtype)
    assert y.dtype == dtype
    assert [g.dtype for g, need in zip(gradients, needs, strict=False) if need] == [dtype] * sum(needs)
    if not (row.kink and dtype == "float16"):  # rounded, an input may no longer stand at its kink
        check_recorded(row, y, gradients, needs, rtol=rtol, atol=atol)


LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: x[(slice(None, None, -1),) * x.ndim].copy()[(slice(None, None, -1),) * x.ndim],
}
by_layout = pytest.mark.parametrize("layout", LAYOUTS)


def laid_out(layout, x):
    return LAYOUTS[layout](x) if isinstance(x, np.ndarray) and x.ndim else x


def test_the_layouts_are_what_they_say():
    x = np.arange(12.0).reshape(3, 4)
    assert {name: laid_out(name, x).strides for name in LAYOUTS} == {
        "contiguous": (32, 8), "transposed": (8, 24), "strided": (64, 16), "reversed": (-32, -8),
    }  # fmt: skip
    for name in LAYOUTS:
        np.testing.assert_array_equal(laid_out(name, x), x)


@rows(*[row for row in ROWS if not row.kink and row.op is not ops.cast])  # a cast to the same dtype is the identity
@by_layout
def test_finite_differences(row, layout):
    arrays = row.make()
    keep = [i for i, need in enumerate(differentiable(row, arrays)) if need]

    def reference(xp, *arrays, **options):
        """The op on arrays of this layout; under this name no kernel takes its place."""
        y, backward = row.op(xp, *[laid_out(layout, x) for x in arrays], **options)
        return y, lambda dy, needs: backward(dy if type(dy) is tuple else laid_out(layout, dy), needs)

    def function(*moving):
        y = apply(reference, *fill(arrays, keep, moving), **row.options)
        return y[0] if isinstance(y, tuple) else y

    assert gradcheck(function, *[arrays[i] for i in keep]) < 1e-6


def fill(arrays, places, values):
    """``arrays`` with ``values`` at ``places``."""
    filled = list(arrays)
    for i, v in zip(places, values, strict=True):
        filled[i] = v
    return filled


@by_row
@by_layout
def test_strides_do_not_matter_and_inputs_stay_as_they_are(row, layout):
    arrays = [laid_out(layout, x) for x in row.make()]
    before = [np.copy(x) for x in arrays]
    needs = differentiable(row, arrays)
    y, backward = forward(row, NUMPY, arrays)
    y_before, dy = np.copy(y), laid_out(layout, weights(row, np.shape(y)))
    dy_before = dy.copy()
    check_recorded(row, y, backward(dy, needs), needs, rtol=1e-12, atol=1e-12)
    for x, old in zip([*arrays, y, dy], [*before, y_before, dy_before], strict=True):
        np.testing.assert_array_equal(x, old)


@by_row
def test_the_stand_in_gives_what_numpy_gives(row):
    arrays, standin = row.make(), get_backend("standin")
    y, gradients, needs = call(row, NUMPY, arrays, "float32")
    other_y, others, _ = call(row, standin, arrays, "float32")
    np.testing.assert_allclose(to_numpy(other_y), y, rtol=1e-6)
    for g, other in ((g, o) for g, o, need in zip(gradients, others, needs, strict=False) if need):
        np.testing.assert_allclose(to_numpy(other), g, rtol=1e-6, atol=1e-7)


def without_traffic(row):
    """Forward and backward on a device, all arrays being there already."""
    standin = get_backend("standin")
    needs = differentiable(row, row.make())
    arrays = [on(standin, x, "float32") for x in row.make()]
    dy = on(standin, weights(row, RECORDED[f"{row.name}/y"].shape), "float32")
    fixed = options_on(standin, row, "float32")
    with no_traffic():
        y, backward = row.op(standin.xp, *arrays, **fixed)
        backward((dy, *[None] * (len(y) - 1)) if type(y) is tuple else dy, needs)


@rows(*[row for row in ROWS if not row.syncs])
def test_no_traffic_on_a_device(row):
    without_traffic(row)


@rows(*[row for row in ROWS if row.syncs])
def test_masks_are_known_to_wait(row):
    with pytest.raises(AssertionError, match="hidden traffic"):
        without_traffic(row)


@by_row
def test_a_gradient_alone_is_what_it_is_with_others(row):
    arrays = row.make()
    _, gradients, needs = call(row, NUMPY, arrays)
    y, backward = forward(row, NUMPY, arrays)
    for i in (i for i, need in enumerate(needs) if need):
        only = backward(weights(row, np.shape(y)), tuple(j == i for j in range(len(arrays))))
        np.testing.assert_array_equal(only[i], gradients[i])


SEVERAL_INPUTS = [row for row in ROWS if sum(differentiable(row, row.make())) > 1]


@pytest.mark.parametrize("row", SEVERAL_INPUTS, ids=lambda row: row.name)
def test_what_nobody_needs_is_none(row):
    y, backward = forward(row, NUMPY, row.make())
    dy = weights(row, np.shape(y))
    for i, need in enumerate(differentiable(row, row.make())):
        needs = tuple(j != i for j in range(len(row.inputs)))
        assert not need or backward(dy, needs)[i] is None
    assert all(g is None for g in backward(dy, (False,) * len(row.inputs)))


# -- the edges -------------------------------------------------------------------------------------------------------


def test_the_mean_of_no_samples_is_nan():
    assert np.isnan(ops.mse_loss(np, np.zeros((0, 2)), np.zeros((0, 2)))[0])
    assert np.isnan(ops.cross_entropy(np, np.zeros((0, 2)), np.zeros(0, int))[0])
    assert ops.cross_entropy(np, np.zeros((0, 2)), np.zeros(0, int), reduction="sum")[0] == 0


IMAGES, TRIPLE = np.zeros((0, 2, 4, 4)), np.zeros((0, 4, 3))


@pytest.mark.parametrize(("op", "arrays", "options", "shape"), [
    (ops.softmax, [np.zeros((0, 4))], {}, (0, 4)),
    (ops.logsumexp, [np.zeros((0, 4))], {"axis": 1}, (0,)),
    (ops.reduce_max, [np.zeros((0, 4))], {"axis": 1}, (0,)),
    (ops.layer_norm, [np.zeros((0, 4)), np.ones(4), np.ones(4)], {}, (0, 4)),
    (ops.batch_norm_inference, [TRIPLE, np.zeros(4), np.ones(4), None, None], {}, (0, 4, 3)),
    (ops.max_pool2d, [IMAGES], {"kernel": (2, 2), "stride": (2, 2)}, (0, 2, 2, 2)),
    (ops.avg_pool2d, [IMAGES], {"kernel": (2, 2), "stride": (2, 2)}, (0, 2, 2, 2)),
    (ops.adaptive_avg_pool2d, [IMAGES], {"size": (3, 1)}, (0, 2, 3, 1)),
    (ops.pad, [IMAGES], {"widths": ((0, 0), (0, 0), (1, 1), (1, 1)), "mode": "reflect"}, (0, 2, 6, 6)),
    (ops.conv2d, [IMAGES, np.ones((3, 2, 2, 2)), np.ones(3)], {}, (0, 3, 3, 3)),
    (ops.conv_transpose2d, [IMAGES, np.ones((2, 3, 2, 2)), np.ones(3)], {}, (0, 3, 5, 5)),
    (ops.group_norm, [TRIPLE, np.ones(4), np.ones(4)], {"groups": 2}, (0, 4, 3)),
    (ops.adaptive_max_pool2d, [IMAGES], {"size": (3, 1)}, (0, 2, 3, 1)),
], ids=lambda x: getattr(x, "__name__", None))  # fmt: skip
def test_a_batch_without_samples(op, arrays, options, shape):
    y, backward = op(np, *arrays, **options)
    several = type(y) is tuple
    assert (y[0] if several else y).shape == shape
    dys = (np.zeros(shape), *[None] * (len(y) - 1)) if several else np.zeros(shape)
    for x, dx in zip(arrays, backward(dys), strict=False):
        if dx is not None:
            assert dx.shape == x.shape
            assert not dx.any()


def test_a_label_that_is_no_class_makes_the_loss_nan(backend):
    logits, target = backend.asarray(np.zeros((3, 2), "f")), backend.asarray(np.array([0, 2, 1]))
    for op in (ops.cross_entropy, ops.nll_loss):
        assert np.isnan(to_numpy(op(backend.xp, logits, target)[0]))


@pytest.mark.parametrize("op", [ops.cross_entropy, ops.nll_loss])
def test_a_class_that_is_ruled_out_costs_nothing(op, backend):
    x = np.array([[-np.inf, math.log(0.25), math.log(0.75)]])
    loss, backward = op(backend.xp, backend.asarray(x), backend.asarray(np.array([1])))
    assert float(loss) == pytest.approx(math.log(4))
    assert np.isfinite(to_numpy(backward(backend.asarray(np.array(1.0)), (True, False, False))[0])).all()


@pytest.mark.parametrize("op", [ops.cross_entropy, ops.nll_loss])
def test_nothing_but_ignored_labels_has_no_gradient(op):
    loss, backward = op(np, np.log(np.full((2, 3), 1 / 3)), np.array([-100, -100]))
    assert np.isnan(loss)
    np.testing.assert_array_equal(backward(np.float64(1))[0], np.zeros((2, 3)))


def test_logsumexp_of_nothing_but_minus_infinity():
    x = np.array([[-np.inf, -np.inf], [0.0, -np.inf]])
    assert ops.logsumexp(np, x, axis=1)[0].tolist() == [-np.inf, 0.0]


@pytest.mark.parametrize("name", [
    "softmax", "log_softmax", "sigmoid", "relu", "elu", "gelu", "tanh", "reduce_sum", "reduce_max",
    "logsumexp",
])  # fmt: skip
def test_nan_is_passed_on(name):
    assert np.isnan(getattr(ops, name)(np, np.array([1.0, np.nan]))[0]).any()


@pytest.mark.parametrize("index", [[0, 0, 2], ([0, 0, 2], [1, 1, 0]), (slice(None), [1, 1]), [[0, 0], [1, 0]]])
def test_a_list_picks_like_an_array(index):
    x, dy = (
        np.arange(9.0).reshape(3, 3),
        np.random.default_rng(0).uniform(-1, 1, np.arange(9).reshape(3, 3)[index].shape),
    )
    as_arrays = tuple(
        np.array(i) if isinstance(i, list) else i for i in (index if isinstance(index, tuple) else (np.array(index),))
    )
    expected = ops.getitem(np, x, index=as_arrays)[1](dy)[0]
    assert expected.sum() == pytest.approx(dy.sum())
    np.testing.assert_array_equal(ops.getitem(np, x, index=index)[1](dy)[0], expected)


def test_unknown_options():
    with pytest.raises(ValueError, match="reduction must be 'mean', 'sum' or 'none', got 'max'"):
        ops.mse_loss(np, np.zeros(2), np.zeros(2), reduction="max")
    with pytest.raises(ValueError, match="approximate must be 'none' or 'tanh', got 'erf'"):
        ops.gelu(np, np.zeros(2), approximate="erf")


def test_erf_is_the_error_function():
    x = np.concatenate([np.linspace(-7, 7, 2001), [0.0, -0.0, 1e-300, np.inf, -np.inf]])
    np.testing.assert_allclose(erf(np, x), [math.erf(v) for v in x], rtol=2e-15, atol=0)
    assert np.isnan(erf(np, np.array([np.nan])))[0]


# -- properties ------------------------------------------------------------------------------------------------------

BROADCAST = hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3)
PLAIN = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "power": np.power,
    "maximum": np.maximum, "minimum": np.minimum,
}  # fmt: skip


@given(shapes=BROADCAST, name=st.sampled_from(sorted(PLAIN)))
def test_broadcasting_sums_back(shapes, name):
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(0.5, 2, shape) for shape in shapes.input_shapes)
    op, dy = getattr(ops, name), rng.uniform(-1, 1, shapes.result_shape)
    y, backward = op(np, a, b)
    np.testing.assert_array_equal(y, PLAIN[name](a, b))
    wide_a, wide_b = (np.array(np.broadcast_to(x, shapes.result_shape)) for x in (a, b))
    whole = op(np, wide_a, wide_b)[1](dy)  # no broadcasting here
    for x, dx, wide in zip((a, b), backward(dy), whole, strict=True):
        origin = np.broadcast_to(np.arange(x.size).reshape(x.shape), wide.shape)  # which element of x stands there
        expected = np.bincount(origin.ravel(), wide.ravel(), minlength=x.size).reshape(x.shape)
        np.testing.assert_allclose(dx, expected, rtol=1e-12, atol=1e-13)


@given(data=st.data(), shape=hnp.array_shapes(max_dims=4, max_side=3), keepdims=st.booleans())
def test_reductions_over_any_axes(data, shape, keepdims):
    axes = data.draw(st.none() | st.sets(st.integers(-len(shape), -1)).map(tuple) | st.integers(0, len(shape) - 1))
    x = np.random.default_rng(0).standard_normal(shape)
    log_sum_exp = lambda x, **kw: np.log(np.exp(x).sum(**kw))  # noqa: E731
    for name, plain in (
        ("reduce_sum", np.sum), ("reduce_mean", np.mean), ("reduce_max", np.max), ("reduce_min", np.min),
        ("logsumexp", log_sum_exp),
    ):  # fmt: skip
        if axes == () and name not in ("reduce_sum", "reduce_mean"):
            continue
        y, backward = getattr(ops, name)(np, x, axis=axes, keepdims=keepdims)
        np.testing.assert_allclose(y, plain(x, axis=axes, keepdims=keepdims), rtol=1e-12, atol=1e-14)
        (dx,) = backward(np.ones(np.shape(y)))
        assert dx.shape == shape
        assert dx.sum() == pytest.approx(x.size if name == "reduce_sum" else np.size(y))


@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=4, max_side=4))
def test_reshape_and_transpose_there_and_back(data, shape):
    x = np.arange(math.prod(shape), dtype=float).reshape(shape)
    axes = tuple(data.draw(st.permutations(range(len(shape)))))
    target = tuple(data.draw(st.permutations(shape)))
    for name, options in (("transpose", {"axes": axes}), ("reshape", {"shape": target})):
        y, backward = getattr(ops, name)(np, x, **options)
        np.testing.assert_array_equal(y, getattr(np, name)(x, next(iter(options.values()))))
        np.testing.assert_array_equal(backward(y)[0], x)


@given(x=hnp.arrays(np.float64, (3, 4), elements=st.floats(-50, 50)), shift=st.floats(-50, 50))
def test_softmax_rows_sum_to_one_and_a_shift_changes_nothing(x, shift):
    for axis in (0, 1, -1):
        y, backward = ops.softmax(np, x, axis=axis)
        np.testing.assert_allclose(y.sum(axis=axis), 1, rtol=1e-14)
        np.testing.assert_allclose(y, ops.softmax(np, x + shift, axis=axis)[0], rtol=1e-11)
        np.testing.assert_allclose(np.log(y), ops.log_softmax(np, x, axis=axis)[0], rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(backward(np.full_like(x, 3.0))[0], 0, atol=1e-14)  # a shift of x moves nothing


@given(x=hnp.arrays(np.float32, (3, 4), elements=st.sampled_from([-1e4, -88.0, -1.0, 0.0, 1.0, 88.0, 1e4])))
def test_extreme_values_stay_finite_without_warnings(x):
    target, half, one = np.array([0, 1, 3]), np.full_like(x, 0.5), np.float32(1)
    calls = [(op, (x,), {}) for op in (
        ops.softmax, ops.log_softmax, ops.sigmoid, ops.tanh, ops.elu, ops.relu, ops.leaky_relu, ops.gelu, ops.logsumexp,
    )] + [
        (ops.gelu, (x,), {"approximate": "tanh"}), (ops.logsumexp, (x,), {"axis": 1}),
        (ops.cross_entropy, (x, target), {}), (ops.cross_entropy, (x, target), {"label_smoothing": 0.1}),
        (ops.cross_entropy, (x, half), {"reduction": "none"}),
        (ops.binary_cross_entropy_with_logits, (x, half), {}),
        (ops.binary_cross_entropy_with_logits, (x, half, None, half[0]), {}),
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for op, args, options in calls:
            y, backward = op(np, *args, **options)
            assert np.isfinite(y).all(), op.__name__
            assert np.isfinite(backward(np.full_like(y, one))[0]).all(), op.__name__
