"""Losses and activations at their edges; row by row they are tested with the table."""

import math
import warnings

import numpy as np
import pytest

from xpnet import ops
from xpnet_backends import to_numpy

EXTREME = np.array([-3e38, -1e4, -88.0, -1.0, 0.0, 1.0, 88.0, 1e4, 3e38], "float32")
ACTIVATIONS = [
    (ops.celu, {}), (ops.selu, {}), (ops.silu, {}), (ops.mish, {}), (ops.softplus, {}), (ops.softplus, {"threshold": 1e9}),
    (ops.softsign, {}), (ops.logsigmoid, {}), (ops.tanhshrink, {}), (ops.hardtanh, {}), (ops.hardsigmoid, {}),
    (ops.hardshrink, {}), (ops.softshrink, {}), (ops.threshold, {"threshold": 0.0, "value": 1.0}),
    (ops.hardswish, {}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "options"), ACTIVATIONS)
def test_extreme_values_stay_finite_without_warnings(op, options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, backward = op(np, EXTREME, **options)
        assert np.isfinite(y).all()
        assert np.isfinite(backward(np.ones_like(EXTREME))[0]).all()


@pytest.mark.parametrize(("op", "options"), ACTIVATIONS)
def test_nan_is_passed_on(op, options, backend):
    y, _ = op(backend.xp, backend.asarray(np.array([1.0, math.nan])), **options)
    assert np.isnan(to_numpy(y)).tolist() == [False, True]


LOSSES = [
    (lambda x, t: ops.huber_loss(np, x, t)),
    (lambda x, t: ops.smooth_l1_loss(np, x, t, beta=1e-6)),
    (lambda x, t: ops.sigmoid_focal_loss(np, x, t, reduction="mean")),
    (lambda x, t: ops.sigmoid_focal_loss(np, x, t, gamma=0.5, reduction="mean")),
    (lambda x, t: ops.hinge_embedding_loss(np, x, 2 * t - 1)),
    (lambda x, t: ops.focal_loss(np, x.reshape(3, 3), np.array([0, 2, 1]), gamma=0.5)),
    (lambda x, t: ops.multi_margin_loss(np, x.reshape(3, 3), np.array([0, 2, 1]))),
]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_losses_of_extreme_values_stay_finite_without_warnings(loss, target):
    x = EXTREME.clip(-1e4, 1e4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y, backward = loss(x, np.full_like(x, target))
        assert np.isfinite(y)
        assert np.isfinite(backward(np.float32(1))[0]).all()


def test_certain_probabilities_cost_at_most_a_hundred(backend):
    p, t = (backend.asarray(np.array(v)) for v in ([0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]))
    loss, backward = ops.binary_cross_entropy(backend.xp, p, t, reduction="none")
    assert to_numpy(loss).tolist() == [0.0, 100.0, 100.0, 0.0]
    dp, dt, _ = backward(backend.asarray(np.ones(4)))
    np.testing.assert_allclose(to_numpy(dp), [0.0, -1e12, 1e12, 0.0])
    assert to_numpy(dt).tolist() == [100.0, 100.0, -100.0, -100.0]


def test_a_distance_of_zero_has_no_slope():
    x = np.ones((2, 3))
    for p in (1, 2, 3.5, math.inf):
        loss, backward = ops.triplet_margin_loss(np, x, x, x, eps=0.0, p=p, swap=True)
        assert loss == 1
        assert not np.any(backward(np.float64(1))), p


def test_equal_largest_coordinates_share_the_slope():
    a, b = np.array([[1.0, -1.0, 0.0]]), np.zeros((1, 3))
    _, backward = ops.triplet_margin_loss(np, a, b, b + 9, eps=0.0, p=math.inf, margin=100)
    _, dp, _ = backward(np.float64(1))
    np.testing.assert_allclose(dp, [[-0.5, 0.5, 0.0]])


@pytest.mark.parametrize("op", [ops.multi_margin_loss, ops.focal_loss])
def test_a_label_that_is_no_class_makes_the_loss_nan(op, backend):
    x, target = backend.asarray(np.zeros((3, 2), "f")), backend.asarray(np.array([0, 2, 1]))
    assert np.isnan(to_numpy(op(backend.xp, x, target)[0]))


def test_ignored_labels_have_no_part_in_the_focal_loss():
    x = np.random.default_rng(0).standard_normal((3, 4))
    loss, backward = ops.focal_loss(np, x, np.array([1, -100, 3]))
    assert loss == pytest.approx(ops.focal_loss(np, x[[0, 2]], np.array([1, 3]))[0])
    assert not backward(np.float64(1))[0][1].any()
    loss, backward = ops.focal_loss(np, x, np.full(3, -100))
    assert np.isnan(loss)
    assert not backward(np.float64(1))[0].any()


def test_divergence_from_what_cannot_happen():
    log_p, t = np.array([-math.inf, 0.0]), np.array([0.0, 1.0])
    loss, backward = ops.kl_div(np, log_p, t, reduction="sum")
    assert loss == 0
    dlog_p, dt = backward(np.float64(1))
    assert dlog_p.tolist() == [0.0, -1.0]
    assert dt.tolist() == [-math.inf, 1.0]


def test_the_mean_of_no_samples_is_nan():
    x = np.zeros((0, 2))
    for op in (ops.huber_loss, ops.kl_div, ops.binary_cross_entropy, ops.poisson_nll_loss):
        assert np.isnan(op(np, x, x)[0])
        assert op(np, x, x, reduction="sum")[0] == 0
    assert np.isnan(ops.kl_div(np, x, x, reduction="batchmean")[0])
    loss, backward = ops.multi_margin_loss(np, x, np.zeros(0, int), reduction="sum")
    assert loss == 0
    assert backward(np.float64(1))[0].shape == (0, 2)


def test_selu_keeps_mean_zero_and_variance_one():
    """The closed form in docs/losses-and-activations.md."""

    def below(x):
        return 0.5 * math.erfc(-x / math.sqrt(2.0))

    once, twice = math.sqrt(math.e) * below(-1.0), math.e**2 * below(-2.0)  # E[eˣ] and E[e²ˣ] over x < 0
    alpha = 1.0 / math.sqrt(2.0 * math.pi) / (0.5 - once)
    scale = 1.0 / math.sqrt(0.5 + alpha**2 * (twice - 2.0 * once + 0.5))
    y, _ = ops.selu(np, np.array([1.0, -1e3]))
    np.testing.assert_allclose(y, [scale, -scale * alpha], rtol=1e-12)


def test_the_two_gelus_are_close():
    x = np.linspace(-8.0, 8.0, 16001)
    gap = np.abs(ops.gelu(np, x)[0] - ops.gelu(np, x, approximate="tanh")[0]).max()
    assert 0.0004 < gap < 0.0005


def test_the_gradient_is_what_is_expected_less_what_was_observed():
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((3, 4)), rng.dirichlet(np.ones(4), 3)
    one = np.ones(())
    softmax, sigmoid = ops.softmax(np, x)[0], ops.sigmoid(np, x)[0]
    log_p, through = ops.log_softmax(np, x)
    found = {
        "classes": (ops.cross_entropy(np, x, t, reduction="sum")[1](one, (True, False))[0], softmax - t),
        "divergence": (through(ops.kl_div(np, log_p, t, reduction="sum")[1](one)[0])[0], softmax - t),
        "binary": (ops.binary_cross_entropy_with_logits(np, x, t, reduction="sum")[1](one)[0], sigmoid - t),
        "counts": (ops.poisson_nll_loss(np, x, t, reduction="sum")[1](one)[0], np.exp(x) - t),
        "numbers": (0.5 * ops.mse_loss(np, x, t, reduction="sum")[1](one)[0], x - t),
    }
    for name, (gradient, expected) in found.items():
        np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-15, err_msg=name)
