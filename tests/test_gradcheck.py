"""The gradient check itself: it must bite."""

import numpy as np
import pytest

import xpnet
from xpnet import nn, ops
from xpnet.gradcheck import GradientError, gradcheck, gradcheck_op
from xpnet.nn import functional as F

RNG = np.random.default_rng(0)
X, SQUARE, BIAS = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 3)), RNG.standard_normal(3)


def linear_without_sum(xp, x, w, b):
    """The bias gradient of the first sample only."""
    y, right = ops.linear(xp, x, w, b)

    def backward(dy, needs=(True,) * 3):
        dx, dw, _ = right(dy, needs)
        return dx, dw, dy[0]

    return y, backward


def linear_transposed(xp, x, w, b):
    """The weight gradient transposed: the shapes of a square matrix do not tell."""
    y, right = ops.linear(xp, x, w, b)

    def backward(dy, needs=(True,) * 3):
        dx, dw, db = right(dy, needs)
        return dx, dw.T, db

    return y, backward


def overwriting_getitem(xp, x, *, index):
    """``=`` in place of ``+=``."""

    def backward(dy, needs=(True,)):
        dx = xp.zeros_like(x)
        dx[index] = dy
        return (dx,)

    return x[index], backward


def dropout_without_scale(xp, x, keep, *, p):
    """The 1/(1 − p) forgotten on the way back."""
    y, _ = ops.dropout(xp, x, keep, p=p)
    return y, lambda dy, needs=(True, False): (dy * keep, None)


def softmax_wrong_axis(xp, x):
    y, _ = ops.softmax(xp, x)
    return y, lambda dy, needs=(True,): (y * (dy - (dy * y).sum(axis=0, keepdims=True)),)


def wrong_sign(xp, x):
    return xp.cos(x), lambda dy, needs=(True,): (dy * xp.sin(x),)


def nan_gradient(xp, x):
    return xp.exp(x), lambda dy, needs=(True,): (dy * np.nan,)


def wrong_shape(xp, x):
    return x * 2, lambda dy, needs=(True,): (2 * dy.sum(axis=0),)


def value_used_twice(xp, x):
    """``y = x²`` as ``x · x``: the second use overwrites the gradient of the first."""

    def backward(dy, needs=(True,)):
        dx = dy * x
        dx = dy * x  # should be +=
        return (dx,)

    return x * x, backward


def off_by_a_little(xp, x):
    return x * 2, lambda dy, needs=(True,): (dy * 2.00001,)


def wrong_in_one_element(xp, x):
    def backward(dy, needs=(True,)):
        dx = 2 * dy
        dx.reshape(-1)[-1] *= 1.001
        return (dx,)

    return x * 2, backward


def no_gradient(xp, x):
    return x * 2, lambda dy, needs=(True,): (None,)


@pytest.mark.parametrize(("op", "arrays", "options"), [
    (linear_without_sum, (X, SQUARE, BIAS), {}),
    (linear_transposed, (X, SQUARE, BIAS), {}),
    (overwriting_getitem, (X,), {"index": np.array([0, 1, 1])}),
    (dropout_without_scale, (X, X > 0), {"p": 0.5}),
    (softmax_wrong_axis, (X,), {}),
    (wrong_sign, (X,), {}),
    (nan_gradient, (X,), {}),
    (wrong_shape, (X,), {}),
    (no_gradient, (X,), {}),
    (value_used_twice, (X,), {}),
    (off_by_a_little, (X,), {}),
    (wrong_in_one_element, (X,), {}),
    (wrong_in_one_element, (RNG.standard_normal((20, 20)),), {}),
    (wrong_sign, (X.T,), {}),
    (wrong_sign, (X[::-1, ::2],), {}),
    (wrong_sign, (np.array(0.5),), {}),
])  # fmt: skip
def test_planted_mistakes_are_caught(op, arrays, options):
    with pytest.raises(GradientError, match="gradient of input"):
        gradcheck_op(op, *arrays, options=options)


def test_the_right_ones_pass():
    assert gradcheck_op(ops.linear, X, SQUARE, BIAS) < 1e-7
    assert gradcheck_op(ops.getitem, X, options={"index": np.array([0, 1, 1])}) < 1e-7
    assert gradcheck_op(ops.dropout, X, X > 0, options={"p": 0.5}) < 1e-7


def test_the_error_names_input_place_and_numbers():
    with pytest.raises(
        GradientError, match=r"gradient of input 0 \(.*\): backward says .*, finite differences say .*allowed"
    ):
        gradcheck_op(wrong_sign, X)


def test_inputs_must_be_float64():
    with pytest.raises(TypeError, match="gradcheck needs float64, got float32"):
        gradcheck(lambda x: x * 2, X.astype("float32"))
    with pytest.raises(TypeError, match="no float64 input"):
        gradcheck(lambda x: x, np.array([1, 2]))


def test_a_gradient_of_float32_is_wrong():
    def op(xp, x):
        return x * 2, lambda dy, needs=(True,): ((dy * 2).astype("float32"),)

    with pytest.raises(GradientError, match=r"must be float64\(4, 3\), backward gave float32\(4, 3\)"):
        gradcheck_op(op, X)


def test_a_function_that_forgets_its_history_is_caught():
    with pytest.raises(GradientError, match="backward says 0,"):
        gradcheck(lambda x: (x * 2).detach(), X)


def test_a_function_that_answers_differently_each_time_is_caught():
    calls = iter(range(10_000))
    with pytest.raises(GradientError):
        gradcheck(lambda x: x * float(next(calls)), X)


def test_the_answer_is_the_largest_error_and_the_tolerance_counts():
    def op(xp, x):
        return x * 2, lambda dy, needs=(True,): (dy * 2.001,)

    assert 1e-4 < gradcheck_op(op, X, tolerance=0.01) < 1e-3
    with pytest.raises(GradientError, match="allowed 1e-04"):
        gradcheck_op(op, X, tolerance=1e-4)


def test_the_same_array_twice_is_two_inputs():
    assert gradcheck(lambda a, b: a * b, X, X) < 1e-7


def test_an_array_that_cannot_be_written_is_fine():
    assert gradcheck(lambda a: a * a, np.broadcast_to(2.0, (3, 2))) < 1e-7


def test_inputs_stay_as_they_were_where_the_function_fails():
    x = X.copy()

    def fails_off_the_spot(a):
        if not np.array_equal(a.data, X):
            raise KeyboardInterrupt
        return a * 2

    with pytest.raises(KeyboardInterrupt):
        gradcheck(fails_off_the_spot, x)
    np.testing.assert_array_equal(x, X)


def test_parameters_must_be_float64():
    weight = xpnet.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="gradcheck needs float64, got float32"):
        gradcheck(lambda x: x.sum() + weight.astype("float64").sum(), X, parameters=[weight])


def test_at_least_one_direction():
    with pytest.raises(ValueError, match="directions must be at least 1, got 0"):
        gradcheck(lambda x: xpnet.apply(wrong_sign, x), np.ones(100), directions=0)


def test_inputs_and_parameters_are_left_as_they_were():
    x = X.copy()
    model = nn.Linear(3, 2, dtype="float64")
    before = model.state_dict()
    gradcheck(model, x, parameters=list(model.parameters()))
    np.testing.assert_array_equal(x, X)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    assert all(p.grad is None for p in model.parameters())


def test_parameters_are_checked():
    weight = xpnet.tensor(SQUARE, requires_grad=True)
    with pytest.raises(GradientError, match="gradient of input 1"):
        gradcheck(lambda x: xpnet.apply(linear_transposed, x, weight, BIAS), X, parameters=[weight])


def test_whole_numbers_pass_through_and_several_outputs_are_added(backend):
    labels = backend.asarray(np.array([0, 2, 1, 1]))
    x = backend.asarray(X.copy())
    assert gradcheck(lambda a, t: (F.cross_entropy(a, t), a.tanh()), x, labels) < 1e-6


def test_a_network_with_its_loss():
    xpnet.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Dropout(0.4), nn.Linear(5, 4)).to(dtype="float64")

    def loss(x):
        xpnet.manual_seed(1)  # the same dropout mask every time
        return F.cross_entropy(model(x), np.array([0, 1, 2, 3]), label_smoothing=0.1)

    assert gradcheck(loss, X, parameters=list(model.parameters())) < 1e-7


def test_empty_and_single_inputs():
    assert gradcheck(lambda x: x * 2, np.zeros((0, 3))) == 0.0
    assert gradcheck(lambda x: x * x, np.array(1.5)) < 1e-8
