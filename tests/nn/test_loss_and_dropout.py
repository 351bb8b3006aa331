"""Losses as users call them, dropout, initial values, clipping.  The mathematics is tested in tests/ops."""

import math

import numpy as np
import pytest

import xpnet
from tests.support.standin import no_traffic
from xpnet import nn
from xpnet.nn import functional as F
from xpnet.nn import init
from xpnet_backends import get_backend, random

RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((5, 3))
LABELS = np.array([0, 2, 1, 1, 0])
WEIGHT = np.array([0.5, 1.0, 2.0])


def test_loss_layers_are_their_functions(backend):
    x, t, w = backend.asarray(LOGITS), backend.asarray(LABELS), backend.asarray(WEIGHT)
    soft = backend.asarray(np.abs(LOGITS))
    pairs = [
        (nn.CrossEntropyLoss(), F.cross_entropy(x, t), (x, t)),
        (nn.CrossEntropyLoss(w, 1, "sum", 0.1), F.cross_entropy(x, t, w, 1, "sum", 0.1), (x, t)),
        (nn.NLLLoss(w, reduction="none"), F.nll_loss(x, t, w, reduction="none"), (x, t)),
        (nn.MSELoss("sum"), F.mse_loss(x, soft, "sum"), (x, soft)),
        (nn.L1Loss(), F.l1_loss(x, soft), (x, soft)),
        (nn.BCEWithLogitsLoss(w, pos_weight=w), F.binary_cross_entropy_with_logits(x, soft, w, pos_weight=w), (x, soft)),
    ]  # fmt: skip
    for layer, expected, arguments in pairs:
        np.testing.assert_array_equal(layer(*arguments).numpy(), expected.numpy())
        assert "reduction=" in repr(layer)


def test_kernel_and_op_agree_on_class_numbers():
    from xpnet import ops

    pytest.importorskip("numba", reason="numba is not installed (the extra 'fast')")
    kernel = get_backend("numpy").kernels["cross_entropy"]
    x = LOGITS.astype("float32")
    one, two = kernel(np, x, LABELS), ops.cross_entropy(np, x, LABELS)
    np.testing.assert_allclose(one[0], two[0], rtol=1e-6)
    np.testing.assert_allclose(one[1](np.float32(2.0))[0], two[1](np.float32(2.0))[0], rtol=1e-5, atol=1e-7)
    assert one[1](np.float32(2.0))[0].dtype == "float32"
    assert kernel(np, LOGITS, LABELS) is None, "float64 is the op's business"
    declined = [
        {"weight": WEIGHT}, {"label_smoothing": 0.1}, {"reduction": "sum"}, {"ignore_index": 1},
        {"target": np.array([0, -100, 1, 1, 0])}, {"target": np.abs(LOGITS)}, {"target": np.full(5, 3)},
    ]  # fmt: skip
    for options in declined:
        assert kernel(np, x, options.pop("target", LABELS), options.pop("weight", None), **options) is None


def test_one_hot_labels_are_probabilities():
    hot = F.one_hot(LABELS, 3)
    assert hot.dtype == "float32"
    same = F.cross_entropy(LOGITS, LABELS).item()
    assert F.cross_entropy(LOGITS, hot.astype("float64")).item() == pytest.approx(same, rel=1e-12)
    assert F.cross_entropy(LOGITS, hot.numpy().astype("int64")).item() == pytest.approx(same, rel=1e-12)


@pytest.mark.parametrize(("make", "error", "match"), [
    (lambda: F.cross_entropy(LOGITS, LABELS + 1), ValueError, r"label 3 is out of range for 3 classes \(0..2\); 1 of 5 labels"),
    (lambda: F.cross_entropy(LOGITS, LABELS - 1), ValueError, "label -1 is out of range"),
    (lambda: F.cross_entropy(LOGITS, LABELS * 1.0), TypeError, "labels must be integers of shape .*got float64"),
    (lambda: F.cross_entropy(LOGITS, LABELS[:4]), ValueError, r"needs labels of shape \(5,\), got \(4,\)"),
    (lambda: F.cross_entropy(LOGITS, LABELS, WEIGHT[:2]), ValueError, "one entry for each of 3 classes"),
    (lambda: F.cross_entropy(LOGITS, LABELS, label_smoothing=2), ValueError, "label_smoothing must be a probability"),
    (lambda: F.cross_entropy(LABELS, LABELS), TypeError, "expected floating-point input, got int64"),
    (lambda: F.cross_entropy(np.float64(1.0) * np.ones(()), LABELS), ValueError, "got a single number"),
    (lambda: F.nll_loss(LOGITS, LABELS + 5), ValueError, "nll_loss: label 5 is out of range"),
    (lambda: F.mse_loss(LOGITS[:, :1], LOGITS[:, 0]), ValueError, r"\(5, 1\), target \(5,\): they must be equal"),
    (lambda: F.l1_loss(LOGITS, LOGITS[0]), ValueError, "they must be equal"),
    (lambda: F.binary_cross_entropy_with_logits(LOGITS, LOGITS[0]), ValueError, "they must be equal"),
    (lambda: F.one_hot(np.array([0.0]), 2), TypeError, "labels must be integers, got float64"),
    (lambda: F.dropout(LOGITS, -0.1), ValueError, "p must be a probability"),
    (lambda: F.flatten(LOGITS, 1, 0), ValueError, "start_dim 1 is after end_dim 0"),
])  # fmt: skip
def test_errors(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_ignored_labels_need_no_range():
    loss = F.cross_entropy(LOGITS, np.array([0, -100, 1, -100, 2]))
    assert loss.item() == pytest.approx(F.cross_entropy(LOGITS[[0, 2, 4]], np.array([0, 1, 2])).item(), rel=1e-12)
    assert math.isnan(F.cross_entropy(LOGITS, np.full(5, -100)).item())


# -- dropout ---------------------------------------------------------------------------------------------------------


def test_dropout_scales_so_that_the_mean_stays(backend):
    layer = nn.Dropout(0.3)
    x = xpnet.tensor(np.ones((200, 200), "f"), requires_grad=True, backend=backend)
    y = layer(x)
    values = y.numpy()
    assert set(np.unique(values)) == {0.0, np.float32(1) / np.float32(0.7)}
    assert values.mean() == pytest.approx(1.0, abs=0.02)
    y.sum().backward()
    np.testing.assert_array_equal(backend.to_numpy(x.grad), values)


def test_dropout_at_its_ends_and_in_evaluation(backend):
    x = xpnet.tensor(np.ones((4, 4), "f"), backend=backend)
    assert nn.Dropout(0.0)(x) is x
    assert not nn.Dropout(1.0)(x).numpy().any()
    layer = nn.Dropout(0.5).eval()
    assert layer(x) is x


def mask(layer, name="numpy"):
    return layer(xpnet.tensor(np.ones((6, 7), "f"), backend=name)).numpy()


def test_a_mask_is_a_function_of_seed_path_step_and_draw():
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    first, second = mask(model[0]), mask(model[0])
    assert (first != second).any(), "two draws in one step differ"
    assert (mask(model[1]) != first).any(), "two layers differ"
    random.state.set_step(1)
    later = mask(model[0])
    assert (later != first).any()
    random.state.set_step(0)
    mask(model[1])  # what another layer draws does not matter
    np.testing.assert_array_equal(mask(model[0]), first)
    random.state.set_step(0)
    np.testing.assert_array_equal(mask(model[0], "standin"), first)
    xpnet.manual_seed(1)
    assert (mask(model[0]) != first).any()


# -- initial values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fill", "std", "bound"), [
    (lambda t: init.xavier_uniform_(t, 2.0), 2 * math.sqrt(2 / 500), 2 * math.sqrt(6 / 500)),
    (lambda t: init.xavier_normal_(t), math.sqrt(2 / 500), None),
    (lambda t: init.kaiming_uniform_(t, nonlinearity="relu"), math.sqrt(2 / 300), math.sqrt(6 / 300)),
    (lambda t: init.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"), math.sqrt(2 / 200), None),
    (lambda t: init.lecun_uniform_(t), math.sqrt(1 / 300), math.sqrt(3 / 300)),
    (lambda t: init.lecun_normal_(t), math.sqrt(1 / 300), None),
    (lambda t: init.uniform_(t, -2, 4), math.sqrt(3), 4),
    (lambda t: init.normal_(t, 0, 0.3), 0.3, None),
    (lambda t: init.trunc_normal_(t, 0, 1, -1, 1), 0.5396, 1),
])  # fmt: skip
def test_initial_values_have_their_spread(fill, std, bound, backend):
    tensor = xpnet.tensor(np.zeros((200, 300), "f"), backend=backend)
    assert fill(tensor) is tensor
    values = tensor.numpy()
    assert values.std() == pytest.approx(std, rel=0.02)
    if bound is not None:
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.98 * bound


def test_initial_values_are_the_same_on_every_backend():
    drawn = []
    for name in ("numpy", "standin"):
        xpnet.manual_seed(3)
        drawn.append(nn.Linear(5, 4, backend=name).weight.numpy())
    np.testing.assert_array_equal(*drawn)
    assert np.abs(drawn[0]).max() <= 1 / math.sqrt(5)


def test_orthogonal_eye_constant():
    for shape in ((6, 4), (4, 6), (4, 2, 3)):
        q = init.orthogonal_(xpnet.tensor(np.zeros(shape)), gain=2.0).numpy().reshape(shape[0], -1)
        small = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
        np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)
    assert init.eye_(xpnet.tensor(np.zeros((2, 3)))).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert init.ones_(xpnet.tensor([0.0])).tolist() == [1]
    assert init.zeros_(xpnet.tensor([5.0])).tolist() == [0]


def test_gains_are_pytorch_s():
    expected = {"linear": 1, "sigmoid": 1, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    for name, gain in expected.items():
        assert init.calculate_gain(name) == gain
    assert init.calculate_gain("leaky_relu") == pytest.approx(math.sqrt(2 / (1 + 0.01**2)))
    assert init.calculate_gain("leaky_relu", 0.2) == pytest.approx(math.sqrt(2 / 1.04))


@pytest.mark.parametrize(("make", "match"), [
    (lambda t: init.calculate_gain("swish"), "unknown nonlinearity 'swish'"),
    (lambda t: init.xavier_uniform_(t), "need at least two axes"),
    (lambda t: init.orthogonal_(t), "at least two axes"),
    (lambda t: init.eye_(t), "needs a matrix"),
    (lambda t: init.kaiming_normal_(xpnet.tensor(np.zeros((2, 2))), mode="in"), "mode must be 'fan_in' or 'fan_out'"),
    (lambda t: init.trunc_normal_(t, a=2, b=1), "must be an interval"),
])  # fmt: skip
def test_init_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make(xpnet.tensor([1.0, 2.0]))


# -- clipping --------------------------------------------------------------------------------------------------------


def with_gradients(backend, *gradients):
    parameters = [nn.Parameter(backend.asarray(np.zeros(len(g)))) for g in gradients]
    for p, g in zip(parameters, gradients, strict=True):
        p.grad = backend.asarray(np.array(g))
    return parameters


def test_clip_by_norm(backend):
    parameters = with_gradients(backend, [3.0, 0.0], [4.0])
    assert nn.utils.clip_grad_norm_(parameters, 1.0).item() == pytest.approx(5)
    grads = [backend.to_numpy(p.grad) for p in parameters]
    np.testing.assert_allclose(np.concatenate(grads), np.array([3, 0, 4]) / 5, rtol=1e-6)
    assert nn.utils.clip_grad_norm_(parameters, 10.0).item() == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(backend.to_numpy(parameters[1].grad), [0.8], rtol=1e-6)
    assert nn.utils.clip_grad_norm_(parameters, 10.0, math.inf).item() == pytest.approx(0.8, rel=1e-6)
    with no_traffic():
        nn.utils.clip_grad_norm_(parameters, 0.1)


def test_clip_by_value_and_errors(backend):
    parameters = with_gradients(backend, [3.0, -0.1], [-4.0])
    nn.utils.clip_grad_value_(parameters, 0.5)
    assert [backend.to_numpy(p.grad).tolist() for p in parameters] == [[0.5, -0.1], [-0.5]]
    with pytest.raises(ValueError, match="max_norm must be > 0, got 0"):
        nn.utils.clip_grad_norm_(parameters, 0)
    with pytest.raises(ValueError, match="clip_value must be > 0"):
        nn.utils.clip_grad_value_(parameters, -1)
    with pytest.raises(ValueError, match="no parameter has a gradient"):
        nn.utils.clip_grad_norm_([nn.Parameter(np.zeros(1))], 1.0)
    bad = with_gradients(backend, [math.inf])
    with pytest.raises(RuntimeError, match="norm of the gradients is inf"):
        nn.utils.clip_grad_norm_(bad, 1.0, error_if_nonfinite=True)
