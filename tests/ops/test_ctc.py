"""Connectionist temporal classification: equal to PyTorch, and to the sum over all paths that defines it."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from tests.ops.ctc_cases import CASES
from tests.support.standin import no_traffic
from xpnet import ops
from xpnet.gradcheck import gradcheck_op
from xpnet_backends import get_backend, to_numpy

RECORDED = np.load(Path(__file__).parent.parent / "fixtures/losses.npz", allow_pickle=False)
by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
NEEDS = (True, False, False, False, False)


def on(backend, case, dtype="float64"):
    logits, *rest = case.make()
    return [backend.asarray(x) for x in (logits.astype(dtype), *rest)]


def call(xp, logits, targets, inputs, lengths, weights, options):
    """Loss, and gradient of the logits."""
    log_p, softmax_backward = ops.log_softmax(xp, logits)
    y, backward = ops.ctc_loss(xp, log_p, targets, inputs, lengths, **options)
    return y, softmax_backward(backward(weights(y), NEEDS)[0])[0]


@by_case
def test_equal_to_pytorch(case, backend):
    def weights(y):
        return backend.asarray(case.weights(y.shape))

    y, dx = call(backend.xp, *on(backend, case), weights, case.options)
    np.testing.assert_allclose(to_numpy(y), RECORDED[f"ctc {case.name}/y"], rtol=1e-12)
    np.testing.assert_allclose(to_numpy(dx), RECORDED[f"ctc {case.name}/0"], rtol=1e-10, atol=1e-13)


@by_case
def test_float32_stays_float32(case, backend):
    def weights(y):
        return backend.asarray(case.weights(y.shape).astype("float32"))

    y, dx = call(backend.xp, *on(backend, case, "float32"), weights, case.options)
    assert y.dtype == dx.dtype == "float32"
    np.testing.assert_allclose(to_numpy(y), RECORDED[f"ctc {case.name}/y"], rtol=1e-5)
    np.testing.assert_allclose(to_numpy(dx), RECORDED[f"ctc {case.name}/0"], rtol=1e-3, atol=1e-5)


@by_case
def test_finite_differences(case):
    """Of log-probabilities that need not add up to one: it is the derivative of the formula itself."""
    logits, *rest = case.make()
    assert gradcheck_op(ops.ctc_loss, logits, *rest, options=case.options) < 1e-6


@by_case
def test_no_traffic_on_a_device(case):
    standin = get_backend("standin")
    arrays = on(standin, case, "float32")
    dy = standin.asarray(case.weights(RECORDED[f"ctc {case.name}/y"].shape).astype("float32"))
    with no_traffic():
        call(standin.xp, *arrays, lambda y: dy, case.options)


def collapse(path, blank):
    """Repeats are dropped first, then blanks."""
    return [label for label, _ in itertools.groupby(path) if label != blank]


@pytest.mark.parametrize("target", [[], [1], [2, 1], [1, 1], [2, 2, 1], [1, 2, 1, 2]])
@pytest.mark.parametrize("steps", [3, 5])
def test_the_sum_over_all_paths(target, steps, backend):
    xp, log_p = backend.xp, ops.log_softmax(np, np.random.default_rng(steps).standard_normal((5, 1, 3)))[0]
    padded = np.array([target + [7] * (4 - len(target))])  # what stands behind a target does not matter
    arrays = [backend.asarray(np.asarray(x)) for x in (log_p, padded, [steps], [len(target)])]
    paths = [p for p in itertools.product(range(3), repeat=steps) if collapse(p, 0) == target]
    total = sum(math.exp(sum(log_p[t, 0, c] for t, c in enumerate(path))) for path in paths)
    y, backward = ops.ctc_loss(xp, *arrays, reduction="sum")
    assert math.exp(-float(y)) == pytest.approx(total, rel=1e-12)
    if not paths:
        return
    expected = np.zeros((5, 1, 3))  # how often a path has this label at this time, negative
    for path in paths:
        for t, c in enumerate(path):
            expected[t, 0, c] -= math.exp(sum(log_p[s, 0, k] for s, k in enumerate(path))) / total
    dx = to_numpy(backward(backend.asarray(np.array(1.0)))[0])
    np.testing.assert_allclose(dx, expected, rtol=1e-10, atol=1e-14)


def test_a_target_that_does_not_fit(backend):
    case = next(c for c in CASES if c.name == "zero infinity none")
    arrays, dy = on(backend, case), backend.asarray(np.ones(3))
    y, backward = ops.ctc_loss(backend.xp, *arrays, reduction="none")
    assert np.isinf(to_numpy(y)).tolist() == [False, True, False]
    dx = to_numpy(backward(dy)[0])
    assert np.isnan(dx[:, 1]).any()
    assert np.isfinite(dx[:, ::2]).all()
    y, backward = ops.ctc_loss(backend.xp, *arrays, reduction="none", zero_infinity=True)
    assert float(y[1]) == 0
    assert not to_numpy(backward(dy)[0])[:, 1].any()


def test_no_input_at_all(backend):
    """Nothing explains an empty target with certainty, and any other not at all."""
    log_p = backend.asarray(np.log(np.full((2, 2, 3), 1 / 3)))
    targets, inputs, lengths = (backend.asarray(np.array(x)) for x in ([[1], [1]], [0, 0], [0, 1]))
    y, backward = ops.ctc_loss(backend.xp, log_p, targets, inputs, lengths, reduction="none", zero_infinity=False)
    assert to_numpy(y).tolist() == [0.0, math.inf]
    assert not to_numpy(backward(backend.asarray(np.ones(2)))[0])[:, 0].any()


def test_impossible_labels_and_nan(backend):
    log_p = np.log(np.full((3, 1, 3), 1 / 2))
    log_p[:, :, 2] = -math.inf
    rest = [backend.asarray(np.array(x)) for x in ([[1]], [3], [1])]
    y, backward = ops.ctc_loss(backend.xp, backend.asarray(log_p), *rest)
    assert float(y) == pytest.approx(-math.log(6 / 8))  # of eight paths of 0 and 1 all but 000 and 101 collapse to 1
    assert np.isfinite(to_numpy(backward(backend.asarray(np.array(1.0)))[0])).all()
    log_p[1, 0, 0] = math.nan
    with np.errstate(invalid="ignore"):  # NumPy's logaddexp says that it met a NaN
        y, _ = ops.ctc_loss(backend.xp, backend.asarray(log_p), *rest, zero_infinity=True)
    assert math.isnan(float(y))


def test_a_long_input_does_not_underflow():
    log_p = ops.log_softmax(np, np.random.default_rng(0).standard_normal((2000, 1, 4)).astype("float32"))[0]
    y, backward = ops.ctc_loss(
        np, log_p, np.tile([1, 2, 3], 20)[None], np.array([2000]), np.array([60]), reduction="sum"
    )
    assert 1000 < y < 5000
    (dx, *_) = backward(np.float32(1))
    np.testing.assert_allclose(dx.sum(axis=2), -1, rtol=1e-2)  # at each time one of the states is passed


def test_nobody_asks():
    case = CASES[0]
    _, backward = ops.ctc_loss(np, *case.make())
    assert backward(np.float64(1), (False,) * 5) == (None,) * 5
