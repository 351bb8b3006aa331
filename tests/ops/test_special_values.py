"""Zeros, infinities, NaN, the smallest and the largest numbers: they affect only the elements that depend on them.

The right values are PyTorch's, or follow from the formula with ``0 · ∞ = 0`` if a selection, a mask or a weight of 0
excludes an element.
"""

import math

import numpy as np
import pytest

import xpnet
from xpnet import nn, ops
from xpnet.nn import functional as F
from xpnet.ops.resample import linear_matrix
from xpnet_backends import get_backend, to_numpy

INF, NAN = math.inf, math.nan
X = np.array([
    0.0, -0.0, 1e-45, -1e-45, 1e-40, -1e-40, 0.3, -0.3, 0.5, -0.5, 1.0, -1.0, 2.5, -2.5, 3.0, -3.0, 5.0, 6.0, -6.0,
    88.5, -88.5, 1e4, -1e4, 3e38, -3e38, INF, -INF, NAN,
], "float32")  # fmt: skip
GRADIENTS = [1.0, -2.0, 0.0, INF, -INF, NAN]


@pytest.fixture(autouse=True)
def _no_warnings():
    """Intermediate values that are discarded may be NaN."""
    with np.errstate(all="ignore"):
        yield


def on(backend, x):
    return backend.asarray(x) if isinstance(x, np.ndarray) else x


def both_ways(op, backend, arrays, dy, **options):
    """The first output and the gradients, on the host."""
    y, backward = op(backend.xp, *[on(backend, x) for x in arrays], **options)
    several = isinstance(y, tuple)
    first = y[0] if several else y
    dy = on(backend, np.broadcast_to(np.asarray(dy, first.dtype), first.shape).copy())
    gradients = backward((dy, *[None] * (len(y) - 1)) if several else dy)
    return to_numpy(first), [None if g is None else to_numpy(g) for g in gradients]


# -- functions of one number: where the function is flat, no gradient comes through --------------------------------------

FLAT = [  # the op, its options, where it is flat; at NaN PyTorch's definition decides
    (ops.relu, {}, lambda x: x <= 0),
    (ops.clip, {"low": -0.5, "high": 2.5}, lambda x: ~((x >= -0.5) & (x <= 2.5))),
    (ops.clip, {"low": 0.3}, lambda x: ~(x >= np.float32(0.3))),
    (ops.clip, {"high": 0.3}, lambda x: ~(x <= np.float32(0.3))),
    (ops.hardtanh, {}, lambda x: (x <= -1) | (x >= 1)),
    (ops.hardtanh, {"low": 0.0, "high": 6.0}, lambda x: (x <= 0) | (x >= 6)),
    (ops.hardsigmoid, {}, lambda x: ~(abs(x) < 3)),
    (ops.hardswish, {}, lambda x: x <= -3),
    (ops.hardshrink, {}, lambda x: abs(x) <= 0.5),
    (ops.softshrink, {}, lambda x: abs(x) <= 0.5),
    (ops.threshold, {"threshold": 0.5, "value": 7.0}, lambda x: x <= 0.5),
    (ops.absolute, {}, lambda x: ~(abs(x) > 0)),
]


@pytest.mark.parametrize(("op", "options", "flat"), FLAT)
@pytest.mark.parametrize("dy", GRADIENTS)
def test_no_gradient_comes_through_where_a_function_is_flat(op, options, flat, dy, backend):
    y, (dx,) = both_ways(op, backend, [X], dy, **options)
    slope = both_ways(op, backend, [X], 1.0, **options)[1][0]
    assert np.isnan(y[-1])
    assert dx.dtype == np.float32
    zero = flat(X)
    assert not dx[zero].any(), X[zero]
    assert slope[~zero].all()
    np.testing.assert_array_equal(dx[~zero], slope[~zero] * np.float32(dy))


def test_no_warning_where_a_function_is_flat():
    for op, options, _ in FLAT:
        with np.errstate(all="raise"):
            both_ways(op, get_backend("numpy"), [np.array([-6.0, 0.0, 0.2, 6.0], "f")], INF, **options)


COMPOSED = {
    "relu": lambda x: x.relu(), "clip": lambda x: x.clip(0.0, None), "relu6": F.relu6, "maximum": lambda x: xpnet.maximum(x, 0.0),
    "minimum": lambda x: -xpnet.minimum(-x, 0.0), "where": lambda x: xpnet.where(x > 0, x, 0.0), "threshold": lambda x: F.threshold(x, 0.0, 0.0),
    "hardtanh": lambda x: F.hardtanh(x, 0.0, 9.0), "max_pool": lambda x: F.max_pool1d(xpnet.stack([x.detach() * 0.0, x], axis=1)[None], 2)[0, :, 0],
}  # fmt: skip


@pytest.mark.parametrize("name", COMPOSED)
def test_a_root_of_what_was_cut_off(name, backend):
    """√ has slope ∞ at 0: with or without kernels, that of the cut-off side stays out."""
    for kernels in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not kernels:
                patch.setattr(backend, "kernels", {})
            x = xpnet.tensor([-1.0, 4.0], requires_grad=True, backend=backend)
            COMPOSED[name](x).sqrt().sum().backward()
            assert to_numpy(x.grad).tolist() == [0.0, 0.25]


def test_the_sign_of_zero_is_kept():
    for op in (ops.elu, ops.celu, ops.selu, ops.gelu, ops.silu, ops.tanh, ops.softshrink, ops.leaky_relu):
        y = op(np, np.array([0.0, -0.0]))[0]
        assert np.signbit(y).tolist() == [False, True] or op is ops.softshrink, op.__name__


def test_gelu_has_its_sign_and_digits_far_below_zero(backend):
    x = np.linspace(-13, 13, 2601).astype("f")
    expected = np.array([0.5 * v * math.erfc(-v * math.sqrt(0.5)) for v in x.astype(float)])
    y, _ = both_ways(ops.gelu, backend, [x], 1.0)
    np.testing.assert_allclose(y, expected, rtol=2e-5)
    assert np.array_equal(np.sign(y), np.sign(x))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_the_slope_of_gelu_of_huge_numbers(approximate, backend):
    x = np.array([-3e38, -1e20, -50.0, 50.0, 1e20, 3e38], "f")
    _, (dx,) = both_ways(ops.gelu, backend, [x], 1.0, approximate=approximate)
    assert dx.tolist() == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


# -- functions of two numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("op", "sign"), [(ops.maximum, 1), (ops.minimum, -1)])
@pytest.mark.parametrize("dy", [1.0, INF, -INF])
def test_the_winner_takes_the_gradient(op, sign, dy, backend):
    a, b = (x.ravel() for x in np.meshgrid(X, X))
    y, (da, db) = both_ways(op, backend, [a, b], dy)
    np.testing.assert_array_equal(y, np.maximum(a, b) if sign > 0 else np.minimum(a, b))
    unordered = np.isnan(a) | np.isnan(b)  # then both do, as in PyTorch
    for gradient, own, other in ((da, a, b), (db, b, a)):
        lost, tie = sign * own < sign * other, own == other
        assert not gradient[lost].any()
        assert (gradient[tie] == dy / 2).all()
        assert (gradient[~lost & ~tie] == dy).all()
        assert (gradient[unordered] == dy).all()


def test_where_takes_one_side_only(backend):
    c, a, b = np.array([True, False]), np.array([1.0, NAN], "f"), np.array([INF, 2.0], "f")
    y, (_, da, db) = both_ways(ops.where, backend, [c, a, b], INF)
    assert (y.tolist(), da.tolist(), db.tolist()) == ([1.0, 2.0], [INF, 0.0], [0.0, INF])


def test_powers(backend):
    a = np.array([0.0, 0.0, 0.0, 2.0, INF, -1.0])
    b = np.array([0.0, 2.0, -1.0, 0.0, 0.0, 2.0])
    _, (da, db) = both_ways(ops.power, backend, [a, b], 1.0)
    _, (da_inf, db_inf) = both_ways(ops.power, backend, [a, b], INF)
    _, (number, _) = both_ways(ops.power, backend, [a, 0.0], INF)
    np.testing.assert_array_equal(da, [0.0, 0.0, -INF, 0.0, 0.0, -2.0])  # PyTorch's
    np.testing.assert_array_equal(db, [0.0, 0.0, -INF, math.log(2), INF, NAN])
    np.testing.assert_array_equal(da_inf, [0.0, NAN, -INF, 0.0, 0.0, -INF])
    np.testing.assert_array_equal(db_inf, [0.0, 0.0, -INF, INF, INF, NAN])
    assert not number.any()


def test_dropout_of_an_infinity_is_zero(backend):
    x, keep = np.array([INF, NAN, 1.0, INF], "f"), np.array([False, False, True, True])
    y, (dx, _) = both_ways(ops.dropout, backend, [x, keep], INF, p=0.5)
    assert y.tolist() == [0.0, 0.0, 2.0, INF]
    assert dx.tolist() == [0.0, 0.0, INF, INF]
    y, (dx, _) = both_ways(ops.dropout, backend, [x, np.zeros(4, bool)], NAN, p=1.0)
    assert not y.any()
    assert not dx.any()


# -- reductions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("op", "sign"), [(ops.reduce_max, 1.0), (ops.reduce_min, -1.0)])
def test_only_the_largest_have_a_gradient(op, sign, backend):
    x = sign * np.array([[1.0, 2.0, 2.0], [-INF, -INF, -INF], [1.0, INF, -INF], [NAN, 5.0, NAN]], "f")
    for dy in (1.0, INF):
        y, (dx,) = both_ways(op, backend, [x], dy, axis=1)
        np.testing.assert_array_equal(sign * y, [2.0, -INF, INF, NAN])
        third = np.float32(dy) / np.float32(3)
        expected = [[0, dy / 2, dy / 2], [third] * 3, [0, dy, 0], [dy / 2, 0, dy / 2]]
        np.testing.assert_array_equal(dx, np.array(expected, "f"))


# -- losses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [ops.cross_entropy, ops.focal_loss, ops.nll_loss])
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_an_ignored_row_may_hold_anything(op, bad, backend):
    x = np.log(np.array([[0.25, 0.75], [0.5, 0.5], [0.1, 0.9]]))
    clean_loss, (clean, *_) = both_ways(op, backend, [x[[0, 2]], np.array([0, 1])], 1.0)
    x[1] = bad
    loss, (dx, *_) = both_ways(op, backend, [x, np.array([0, -100, 1])], 1.0)
    assert loss == clean_loss
    np.testing.assert_array_equal(dx[[0, 2]], clean)
    assert not dx[1].any()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("op", [ops.binary_cross_entropy, ops.binary_cross_entropy_with_logits])
def test_what_has_weight_zero_takes_no_part(op, reduction, backend):
    p = np.array([0.2, NAN, 0.7])
    t, w = np.array([1.0, 0.0, 0.0]), np.array([1.0, 0.0, 2.0])
    loss, (dp, dt, *_) = both_ways(op, backend, [p, t, w], 1.0, reduction=reduction)
    assert np.isfinite(loss).all()
    assert np.isfinite(dp).all()
    assert np.isfinite(dt).all()
    assert dp[1] == dt[1] == 0


def test_certain_logits(backend):
    """−ln σ(∞) is 0; PyTorch, which subtracts infinities, says NaN."""
    x, t = np.array([INF, -INF, -INF, INF, NAN]), np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    loss, (dx, *_) = both_ways(ops.binary_cross_entropy_with_logits, backend, [x, t, None, None], 1.0, reduction="none")
    np.testing.assert_array_equal(loss, [0.0, 0.0, INF, INF, NAN])
    np.testing.assert_array_equal(dx, [0.0, 0.0, -1.0, 1.0, NAN])
    loss, (dx, _) = both_ways(ops.sigmoid_focal_loss, backend, [x[:4], t[:4]], 1.0, alpha=-1)
    assert loss.tolist() == [0.0, 0.0, INF, INF]
    assert dx.tolist() == [0.0, 0.0, -1.0, 1.0]


def test_nothing_times_an_infinite_logarithm_is_nothing(backend):
    x, t = np.array([-INF, 0.0]), np.array([0.0, 1.0])
    loss, (dx, _) = both_ways(ops.kl_div, backend, [x, t], INF, reduction="none")
    assert (loss.tolist(), dx.tolist()) == ([0.0, 0.0], [0.0, -INF])
    loss, (_, dt) = both_ways(ops.kl_div, backend, [x, np.array([-INF, 0.0])], 1.0, reduction="none", log_target=True)
    assert (loss.tolist(), dt.tolist()) == ([0.0, 0.0], [0.0, 1.0])
    loss, (dx, _) = both_ways(ops.poisson_nll_loss, backend, [x, np.array([0.0, 1.0])], 1.0, reduction="none")
    assert (loss.tolist(), dx.tolist()) == ([0.0, 1.0], [0.0, 0.0])


def test_an_absolute_error_of_zero_has_no_gradient(backend):
    a, b = np.array([1.0, 2.0]), np.array([1.0, 0.0])
    _, (dp, dt) = both_ways(ops.l1_loss, backend, [a, b], INF, reduction="none")
    assert (dp.tolist(), dt.tolist()) == ([0.0, INF], [0.0, -INF])
    flat = np.ones((1, 1, 2, 2))
    assert not both_ways(ops.total_variation, backend, [flat], INF, reduction="none")[1][0].any()


def test_a_margin_that_is_kept_has_no_gradient(backend):
    kept, broken = np.array([[9.0, 0.0]]), np.array([[0.0, 9.0]])
    for x, slope in ((kept, [0.0, 0.0]), (broken, [-INF, INF])):
        _, (dx, *_) = both_ways(ops.multi_margin_loss, backend, [x, np.array([0])], INF, reduction="sum")
        assert dx[0].tolist() == slope
    one = np.array([[1.0, 0.0]])
    _, gradients = both_ways(ops.triplet_margin_loss, backend, [one, one, -9 * one], INF, reduction="sum")
    assert not np.any(gradients)
    _, gradients = both_ways(ops.cosine_embedding_loss, backend, [one, -one, np.array([-1])], INF, reduction="sum")
    assert not np.any(gradients[:2])


def test_a_distance_of_nan_costs_nan(backend):
    """A comparison with NaN is false, which looked like a margin that is kept."""
    x, away = np.array([NAN, 0.5]), np.array([-1, -1])
    np.testing.assert_array_equal(
        both_ways(ops.hinge_embedding_loss, backend, [x, away], 1.0, reduction="none")[0], [NAN, 0.5]
    )
    pair = np.array([[NAN, 1.0], [1.0, 0.0]], "f"), np.array([[1.0, 1.0], [1.0, 0.0]], "f"), away
    np.testing.assert_array_equal(
        both_ways(ops.cosine_embedding_loss, backend, pair, 1.0, reduction="none")[0], [NAN, 1.0]
    )


# -- pooling -----------------------------------------------------------------------------------------------------------


def largest(x, kernel, stride, padding, dilation=1, ceil=False):
    """By loops, as PyTorch does it: values, places and counts of wins of one sequence."""
    reach = dilation * (kernel - 1) + 1
    count = (len(x) + 2 * padding - reach) // stride + 1
    if ceil and (count - 1) * stride + reach < len(x) + 2 * padding and count * stride < len(x) + padding:
        count += 1
    values, places, wins = [], [], np.zeros(len(x))
    for p in range(count):
        inside = [i for i in range(p * stride - padding, p * stride - padding + reach, dilation) if 0 <= i < len(x)]
        best = inside[0]
        for i in inside:
            best = i if x[i] > x[best] or math.isnan(x[i]) else best
        values.append(x[best])
        places.append(best)
        wins[best] += 1
    return values, places, wins


@pytest.mark.parametrize("x", [
    [-INF] * 5, [-INF, 1.0, -INF, -INF, -INF], [NAN, 1.0, NAN, -INF, 2.0], [-INF, NAN, -INF, -INF, -INF], [INF, INF, 0.0, -INF, 1.0],
    [-3e38, -INF, -3e38, 0.0, -0.0],
], ids=str)  # fmt: skip
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "ceil"), [
    (2, 1, 1, 1, False), (3, 2, 1, 1, True), (3, 1, 1, 2, False), (2, 2, 0, 1, True), (2, 3, 1, 1, False),
])  # fmt: skip
def test_windows_of_nothing_but_minus_infinity(x, kernel, stride, padding, dilation, ceil, backend):
    values, places, wins = largest(x, kernel, stride, padding, dilation, ceil)
    options = (kernel, stride, padding, dilation, ceil)
    for indices in (False, True):
        t = xpnet.tensor(np.array([[x]], "f"), requires_grad=True, backend=backend)
        found = F.max_pool1d(t, *options, return_indices=indices)
        y = found[0] if indices else found
        np.testing.assert_array_equal(y.numpy()[0, 0], np.array(values, "f"))
        if indices:
            assert found[1].numpy()[0, 0].tolist() == places
        y.backward(backend.asarray(np.ones(y.shape, "f")))
        np.testing.assert_array_equal(to_numpy(t.grad)[0, 0], wins)


def test_images_of_minus_infinity(backend):
    x = xpnet.tensor(np.full((1, 2, 4, 4), -INF, "f"), requires_grad=True, backend=backend)
    y, places = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    assert places.numpy()[0, 0].tolist() == [[0, 1], [4, 5]]
    y.backward(backend.asarray(np.ones(y.shape, "f")))
    assert to_numpy(x.grad).sum() == y.size
    t = xpnet.tensor(np.full((1, 1, 5, 4), -INF, "f"), requires_grad=True, backend=backend)
    y, places = F.adaptive_max_pool2d(t, (2, 2), return_indices=True)
    assert places.numpy().ravel().tolist() == [0, 2, 8, 10]
    y.backward(backend.asarray(np.ones(y.shape, "f")))
    assert to_numpy(t.grad).sum() == 4


def test_an_infinite_gradient_goes_to_the_winner_only(backend):
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    for op, options in (
        (ops.max_pool2d, {"kernel": (2, 2), "stride": (1, 1)}),
        (ops.adaptive_max_pool2d, {"size": (2, 2)}),
    ):
        _, (dx,) = both_ways(op, backend, [x], INF, **options)
        assert set(dx.ravel().tolist()) == {0.0, INF}


# -- linear maps of data ------------------------------------------------------------------------------------------------


def means(length, count):
    """Rows of 1/n."""
    ends = [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]
    return np.array([[(low <= j < high) / (high - low) for j in range(length)] for low, high in ends])


def picks(source, length):
    return np.array([[float(s == j) for j in range(length)] for s in source])


LINES = {  # a function of sequences of 6 as images of height 5, and its matrix along the width
    "adaptive mean": (lambda x: F.adaptive_avg_pool2d(x, (5, 4)), means(6, 4)),
    "mean": (lambda x: F.avg_pool2d(x, (1, 2), (1, 2)), means(6, 3)),
    "nearest": (lambda x: F.interpolate(x, (5, 9)), picks([i * 6 // 9 for i in range(9)], 6)),
    "bilinear": (lambda x: F.interpolate(x, (5, 12), mode="bilinear"), linear_matrix(np, 6, 12, "f8", ratio=0.5, align_corners=False)),
    "aligned": (
        lambda x: F.interpolate(x, (5, 11), mode="bilinear", align_corners=True),
        linear_matrix(np, 6, 11, "f8", ratio=1.0, align_corners=True),
    ),
    "smaller": (lambda x: F.interpolate(x, (5, 3), mode="bilinear"), linear_matrix(np, 6, 3, "f8", ratio=2.0, align_corners=False)),
    "reflect": (lambda x: F.pad(x, (2, 1), "reflect"), picks([2, 1, 0, 1, 2, 3, 4, 5, 4], 6)),
    "replicate": (lambda x: F.pad(x, (2, 1), "replicate"), picks([0, 0, 0, 1, 2, 3, 4, 5, 5], 6)),
    "circular": (lambda x: F.pad(x, (2, 1), "circular"), picks([4, 5, 0, 1, 2, 3, 4, 5, 0], 6)),
    "constant": (lambda x: F.pad(x, (1, 2)), picks([-1, 0, 1, 2, 3, 4, 5, -1, -1], 6)),
}  # fmt: skip


def chosen_sum(matrix, x):
    """``Σ_j m_ij x_j`` over the j with a weight."""
    return np.array([[sum(w * v for w, v in zip(row, line, strict=True) if w) for row in matrix] for line in x])


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("bad", [[NAN], [INF], [-INF], [INF, -INF], [INF, INF]], ids=str)
def test_a_bad_number_stays_where_it_has_a_weight(name, bad, backend):
    function, matrix = LINES[name]
    for place in range(7 - len(bad)):
        x = np.random.default_rng(0).standard_normal((5, 6))
        x[2, place : place + len(bad)] = bad
        dy = np.random.default_rng(1).standard_normal((5, len(matrix)))
        dy[3, place : place + len(bad)] = bad[: len(matrix) - place] if place < len(matrix) else []
        t = xpnet.tensor(x[None, None], requires_grad=True, backend=backend)
        y = function(t)
        y.backward(backend.asarray(dy[None, None]))
        np.testing.assert_allclose(y.numpy()[0, 0], chosen_sum(matrix, x), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(to_numpy(t.grad)[0, 0], chosen_sum(matrix.T, dy), rtol=1e-12, atol=1e-12)


def test_along_both_axes(backend):
    x = np.ones((1, 2, 6, 6))
    x[0, 1, 0, 5] = NAN
    for y in (F.adaptive_avg_pool2d(backend.asarray(x), 3), F.interpolate(backend.asarray(x), 3, mode="bilinear")):
        assert np.argwhere(np.isnan(y.numpy())).tolist() == [[0, 1, 0, 2]]
    up = F.interpolate(backend.asarray(x), scale_factor=2, mode="bilinear").numpy()
    assert np.isnan(up).sum() == 9  # the pixel's own four and their neighbours inside: 3 x 3
    assert np.isnan(nn.Upsample(scale_factor=2)(backend.asarray(x)).numpy()).sum() == 4


def test_one_axis_only_may_be_padded_from_a_vector(backend):
    t = xpnet.tensor([1.0, 2.0, 3.0], requires_grad=True, backend=backend)
    y = F.pad(t, (1, 1), "circular")
    y.backward(backend.asarray(np.array([NAN, 1, 1, 1, 1], "f")))
    np.testing.assert_array_equal(to_numpy(t.grad), [2.0, 1.0, NAN])


def test_a_row_of_padding_may_hold_anything(backend):
    table = np.array([[NAN, INF], [1.0, 2.0], [3.0, 4.0]])
    for mode, expected in (("sum", [4.0, 6.0]), ("mean", [2.0, 3.0]), ("max", [3.0, 4.0])):
        w = xpnet.tensor(table, requires_grad=True, backend=backend)
        y = F.embedding_bag(backend.asarray(np.array([[0, 1, 2]])), w, mode=mode, padding_idx=0)
        assert y.numpy()[0].tolist() == expected
        y.sum().backward()
        assert np.isfinite(to_numpy(w.grad)).all()
    samples = xpnet.tensor(np.array([[INF, 1.0, 1.0]]), requires_grad=True, backend=backend)
    y = F.embedding_bag(
        backend.asarray(np.array([[0, 1, 2]])), w, mode="sum", per_sample_weights=samples, padding_idx=0
    )
    y.sum().backward()
    assert y.numpy()[0].tolist() == [4.0, 6.0]
    assert to_numpy(samples.grad)[0].tolist() == [0.0, 3.0, 7.0]


# -- sequences ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_an_infinite_gradient_of_a_sequence_that_has_ended(kind, backend):
    """It belongs to the last real step of its own sequence: the others' gradients, and x behind the end, stay finite."""
    rng = np.random.default_rng(0)
    gates = {"rnn": 1, "lstm": 4, "gru": 3}[kind]
    states = [rng.standard_normal((2, 3)) for _ in range(2 if kind == "lstm" else 1)]
    weights = [rng.standard_normal(s) for s in ((gates * 3, 2), (gates * 3, 3), (gates * 3,), (gates * 3,))]
    arrays = [rng.standard_normal((4, 2, 2)), *states, *weights, np.array([4, 2])]
    ys, backward = getattr(ops, kind)(backend.xp, *[backend.asarray(x) for x in arrays])
    last = np.ones((2, 3))
    last[1] = INF
    dx = to_numpy(backward((None, backend.asarray(last), None)[: len(ys)])[0])
    assert np.isfinite(dx[:, 0]).all()
    assert not dx[2:, 1].any()
    assert not np.isfinite(dx[1, 1]).any()


def test_attention_drops_infinite_gradients(backend):
    q = np.zeros((2, 3))
    keep = np.array([[True, False], [True, True]])
    y, backward = ops.scaled_dot_product_attention(
        backend.xp, *[backend.asarray(q)] * 3, None, backend.asarray(keep), p=0.5
    )
    dd = np.array([[1.0, INF], [1.0, 1.0]])
    dq, dk, *_ = backward((None, backend.asarray(dd)))
    assert np.isfinite(to_numpy(dq)).all()
    assert np.isfinite(to_numpy(dk)).all()
    assert to_numpy(y[1]).tolist() == [[1.0, 0.0], [1.0, 1.0]]


def test_a_window_that_sees_the_border_only(backend):
    """A dilated window can contain only the border, and then has no maximum."""
    x = xpnet.tensor(np.ones((1, 1, 3), "f"), requires_grad=True, backend=backend)
    for indices in (False, True):
        found = F.max_pool1d(x, 2, 1, 1, 4, return_indices=indices)
        y = found[0] if indices else found
        assert y.numpy().ravel().tolist() == [-INF]
    assert found[1].numpy().ravel().tolist() == [-1]
    y.backward(backend.asarray(np.ones(y.shape, "f")))
    assert not to_numpy(x.grad).any()
