"""Loss layers as users call them: equal to PyTorch's, on every backend, with clear errors."""

import inspect
from pathlib import Path

import numpy as np
import pytest

import xpnet
from tests.nn.loss_cases import CASES, CLASSES, LOG_P, SIGN, SIGNS, WEIGHT, P, Q, X, Y, Z, weights
from tests.support.standin import no_traffic
from xpnet import nn
from xpnet.nn import functional as F
from xpnet_backends import get_backend

RECORDED = np.load(Path(__file__).parent.parent / "fixtures/loss_layers.npz", allow_pickle=False)
by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def is_float(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def call(case, backend, dtype="float64"):
    """The loss, and the inputs that get gradients."""
    inputs = [
        xpnet.tensor(x, is_float(x), backend=backend, dtype=dtype if is_float(x) else None)
        if isinstance(x, np.ndarray)
        else x
        for x in case.inputs
    ]
    layer = getattr(nn, case.layer)(*case.arguments, **case.options).to(backend=backend, dtype=dtype)
    called = [F.log_softmax(inputs[0], -1), *inputs[1:]] if case.layer == "CTCLoss" else inputs
    return layer(*called), [x for x in inputs if isinstance(x, xpnet.Tensor) and x.requires_grad]


def run(case, backend, dtype="float64"):
    y, moving = call(case, backend, dtype)
    y.backward(backend.asarray(weights(y.shape).astype(dtype)))
    return y, moving


@by_case
def test_equal_to_pytorch(case, backend):
    y, moving = run(case, backend)
    np.testing.assert_allclose(y.numpy(), RECORDED[f"{case.name}/y"], rtol=1e-10)
    assert sum(key.startswith(f"{case.name}/") for key in RECORDED.files) == 1 + len(moving)
    for i, x in enumerate(moving):
        expected = RECORDED[f"{case.name}/{i}"]
        np.testing.assert_allclose(backend.to_numpy(x.grad), expected, rtol=1e-10, atol=1e-13, err_msg=f"input {i}")


@by_case
def test_float32_stays_float32(case, backend):
    y, moving = run(case, backend, "float32")
    assert {y.dtype.name, *(x.grad.dtype.name for x in moving)} == {"float32"}
    np.testing.assert_allclose(y.numpy(), RECORDED[f"{case.name}/y"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", [c for c in CASES if c.layer != "CTCLoss"], ids=lambda case: case.name)
def test_no_traffic_on_a_device(case):
    standin = get_backend("standin")
    layer = getattr(nn, case.layer)(*case.arguments, **case.options).to(backend=standin, dtype="float32")
    inputs = [
        xpnet.tensor(x, is_float(x), backend=standin, dtype="float32" if is_float(x) else None) for x in case.inputs
    ]
    layer(*inputs).sum().backward()
    with no_traffic():
        layer(*inputs).sum().backward()


@by_case
def test_layers_show_their_options(case):
    text = repr(getattr(nn, case.layer)(*case.arguments, **case.options))
    assert f"reduction={case.options.get('reduction', 'mean')!r}" in text
    assert all(f"{name}={value!r}" in text for name, value in case.options.items() if name != "weight")


def test_every_loss_has_its_cases():
    losses = {name for name in nn.__all__ if name.endswith("Loss")}
    elsewhere = {"BCEWithLogitsLoss", "CrossEntropyLoss", "L1Loss", "MSELoss", "NLLLoss", "FocalLoss"}
    assert losses - elsewhere == {case.layer for case in CASES}


def test_whole_numbers_are_welcome_as_targets():
    x = X.astype("float32")
    for loss, args in [
        (F.margin_ranking_loss, (x, x, SIGNS)), (F.poisson_nll_loss, (x, SIGNS + 1)), (F.hinge_embedding_loss, (x, SIGNS)),
        (F.binary_cross_entropy, (P.astype("float32"), (SIGNS + 1) // 2)), (F.sigmoid_focal_loss, (x, (SIGNS + 1) // 2)),
        (F.cosine_embedding_loss, (x, x, SIGN)), (F.kl_div, (x, (SIGNS + 1) // 2)),
        (F.binary_cross_entropy_with_logits, (x, (SIGNS + 1) // 2)),
    ]:  # fmt: skip
        assert loss(*args).dtype == "float32", loss.__name__


REGRESSION = {
    "mse_loss": F.mse_loss, "l1_loss": F.l1_loss, "huber_loss": F.huber_loss, "smooth_l1_loss": F.smooth_l1_loss,
    "gaussian_nll_loss": lambda x, t: F.gaussian_nll_loss(x, t, 0.5),
}  # fmt: skip


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("target", [SIGNS, SIGNS > 0, SIGNS.tolist()], ids=["int", "bool", "list"])
def test_class_numbers_are_no_measurements(name, target, backend):
    x = xpnet.tensor(X.astype("float32"))
    target = target if isinstance(target, list) else backend.asarray(target)
    with pytest.raises(TypeError, match=rf"{name}: expected a floating-point target, .*target.astype\('float32'\)"):
        REGRESSION[name](x, target)
    loss = REGRESSION[name](x, xpnet.tensor(SIGNS).astype("float32"))
    assert np.isfinite(loss.item())


def test_a_variance_may_be_a_number(backend):
    x, y = backend.asarray(X), backend.asarray(Y)
    same = F.gaussian_nll_loss(x, y, backend.asarray(np.full_like(X, 0.7)))
    np.testing.assert_allclose(F.gaussian_nll_loss(x, y, 0.7).numpy(), same.numpy(), rtol=1e-15)
    same = F.gaussian_nll_loss(x[0, 0], y[0, 0], backend.asarray(np.array(0.7)))
    assert same.shape == ()


def test_focal_loss(backend):
    x, classes, hot = backend.asarray(X), backend.asarray(CLASSES), backend.asarray((SIGNS + 1) // 2)
    w = backend.asarray(WEIGHT)
    pairs = [
        (nn.FocalLoss(), x, hot, F.sigmoid_focal_loss(x, hot, 0.25, 2.0, "mean")),
        (nn.FocalLoss(-1, 0.0, "none"), x, hot, F.binary_cross_entropy_with_logits(x, hot, reduction="none")),
        (nn.FocalLoss(multiclass=True), x, classes, F.focal_loss(x, classes)),
        (nn.FocalLoss(w, 0.0, multiclass=True, ignore_index=1), x, classes, F.cross_entropy(x, classes, w, 1)),
    ]  # fmt: skip
    for layer, logits, target, expected in pairs:
        np.testing.assert_allclose(layer(logits, target).numpy(), expected.numpy(), rtol=1e-12)
        assert f"gamma={layer.gamma}" in repr(layer)


# -- CTC -------------------------------------------------------------------------------------------------------------


def ctc_arguments():
    log_p = np.log(np.full((6, 2, 4), 0.25)) - np.random.default_rng(0).uniform(0, 1, (6, 2, 4))
    return log_p, np.array([[1, 2, 1], [3, 0, 0]]), [6, 4], [3, 1]


def test_forms_of_ctc_targets(backend):
    log_p, targets, inputs, lengths = ctc_arguments()
    x, t = backend.asarray(log_p), backend.asarray(targets)
    expected = F.ctc_loss(x, t, inputs, lengths, reduction="none").numpy()
    row = backend.asarray(np.array([1, 2, 1, 3]))
    on_device = [backend.asarray(np.array(v)) for v in (inputs, lengths)]
    for args in [
        (t, tuple(inputs), np.array(lengths, "int32")), (row, inputs, lengths), (t, *on_device), (row, *on_device),
        (t, *(xpnet.Tensor(v) for v in on_device)), (xpnet.Tensor(row), inputs, np.array(lengths, "uint8")),
    ]:  # fmt: skip
        np.testing.assert_array_equal(F.ctc_loss(x, *args, reduction="none").numpy(), expected)
    for i in range(2):
        single = x[:, i], t[i], inputs[i], lengths[i]
        assert F.ctc_loss(*single, reduction="none").shape == ()
        assert F.ctc_loss(*single).item() == pytest.approx(expected[i] / lengths[i], rel=1e-12)
    assert nn.CTCLoss()(x, t, inputs, lengths).item() == pytest.approx((expected / lengths).mean(), rel=1e-12)
    empty = F.ctc_loss(x, backend.asarray(np.zeros(0, int)), inputs, [0, 0], reduction="sum").item()
    assert empty == pytest.approx(-(log_p[:6, 0, 0].sum() + log_p[:4, 1, 0].sum()))


def test_ctc_on_a_device_makes_no_traffic():
    standin = get_backend("standin")
    log_p, *rest = (standin.asarray(np.asarray(v)) for v in ctc_arguments())
    x = xpnet.Tensor(log_p, requires_grad=True)
    with no_traffic():
        F.ctc_loss(x, *rest).backward()
    assert x.grad.shape == (6, 2, 4)


def test_ctc_learns():
    rng = np.random.default_rng(0)
    logits = xpnet.tensor(rng.standard_normal((8, 2, 4)), requires_grad=True)
    targets, lengths = np.array([[1, 1, 2], [3, 2, 0]]), [3, 2]
    for _ in range(200):
        logits.grad = None
        loss = F.ctc_loss(F.log_softmax(logits, -1), targets, [8, 8], lengths)
        loss.backward()
        logits.data = logits.data - 2.0 * logits.grad
    assert loss.item() < 0.05
    best = logits.numpy().argmax(axis=-1).T
    decoded = [
        [int(c) for c, before in zip(path, [-1, *path[:-1]], strict=True) if c not in (0, before)] for path in best
    ]
    assert decoded == [[1, 1, 2], [3, 2]]


# -- style -----------------------------------------------------------------------------------------------------------


def test_gram_matrix_and_total_variation(backend):
    image = np.arange(24.0).reshape(1, 2, 3, 4)
    x = backend.asarray(image)
    flat = image.reshape(2, 12)
    np.testing.assert_allclose(F.gram_matrix(x).numpy()[0], flat @ flat.T / 24, rtol=1e-14)
    np.testing.assert_allclose(F.gram_matrix(x[0]).numpy(), flat @ flat.T / 24, rtol=1e-14)
    # downwards every pixel differs by 4 (2 x 2 x 4 pairs), to the right by 1 (2 x 3 x 3 pairs)
    assert F.total_variation(x).item() == 16 * 4 + 18
    assert F.total_variation(x, 2, "sum").item() == 16 * 16 + 18
    assert F.total_variation(x, reduction="none").shape == (1,)


# -- errors ----------------------------------------------------------------------------------------------------------

SCORES, TARGETS, INPUTS, LENGTHS = ctc_arguments()


@pytest.mark.parametrize(("make", "error", "match"), [
    (lambda: F.huber_loss(X, Y, delta=0), ValueError, "delta must be greater than 0, got 0"),
    (lambda: F.huber_loss(X, Y[0]), ValueError, "they must be equal"),
    (lambda: F.smooth_l1_loss(X, Y, beta=-1), ValueError, "beta must be at least 0, got -1"),
    (lambda: F.smooth_l1_loss(X, Y[0]), ValueError, "they must be equal"),
    (lambda: F.binary_cross_entropy(P + 1, Q), ValueError, r"values must lie in 0..1, got 1\.\d+: apply a sigmoid first"),
    (lambda: F.binary_cross_entropy(P, -Q), ValueError, "target: values must lie in 0..1"),
    (lambda: F.binary_cross_entropy(P, Q[0]), ValueError, "they must be equal"),
    (lambda: F.kl_div(X, P, "batch"), ValueError, "reduction must be 'batchmean', 'mean', 'sum' or 'none', got 'batch'"),
    (lambda: nn.KLDivLoss("max"), ValueError, "'batchmean', .* got 'max'"),
    (lambda: nn.HuberLoss("batchmean"), ValueError, "reduction must be 'mean', 'sum' or 'none', got 'batchmean'"),
    (lambda: F.kl_div(X, P[0]), ValueError, "they must be equal"),
    (lambda: F.gaussian_nll_loss(X, Y, -P), ValueError, "var: values must lie in 0..inf, got -.*predict its logarithm"),
    (lambda: F.gaussian_nll_loss(X, Y, P[0]), ValueError, r"var must have the shape of the input \(5, 3\), or \(5,\), or \(5, 1\), got \(3,\)"),
    (lambda: F.gaussian_nll_loss(X, Y, P, eps=0), ValueError, "eps must be greater than 0, got 0"),
    (lambda: F.gaussian_nll_loss(X, Y[0], P), ValueError, "they must be equal"),
    (lambda: F.poisson_nll_loss(X, P[0]), ValueError, "they must be equal"),
    (lambda: F.sigmoid_focal_loss(X, P, alpha=2), ValueError, "alpha must lie in 0..1, or be -1 for no weights, got 2"),
    (lambda: F.sigmoid_focal_loss(X, P, gamma=-1), ValueError, "gamma must be at least 0, got -1"),
    (lambda: F.focal_loss(X, CLASSES, gamma=-1), ValueError, "focal_loss: gamma must be at least 0"),
    (lambda: F.focal_loss(X, CLASSES + 3), ValueError, "focal_loss: label . is out of range for 3 classes"),
    (lambda: nn.FocalLoss(0.25, multiclass=True), ValueError, "one weight for each class, got 0.25"),
    (lambda: F.hinge_embedding_loss(X, SIGNS[0]), ValueError, "they must be equal"),
    (lambda: F.margin_ranking_loss(X, Y, SIGNS[0]), ValueError, "they must be equal"),
    (lambda: F.multi_margin_loss(X, CLASSES, p=3), ValueError, "p must be 1 or 2, got 3"),
    (lambda: F.multi_margin_loss(X, CLASSES + 3), ValueError, "out of range for 3 classes"),
    (lambda: F.multi_margin_loss(X[None], CLASSES), ValueError, r"expected input \(N, C\) or \(C,\), got \(1, 5, 3\)"),
    (lambda: F.multi_margin_loss(X, CLASSES, weight=WEIGHT[:2]), ValueError, "one entry for each of 3 classes"),
    (lambda: F.cosine_embedding_loss(X, Y, SIGNS), ValueError, r"a target \(N,\), .* got \(5, 3\) with \(5, 3\)"),
    (lambda: F.cosine_embedding_loss(X, Y[:2], SIGN), ValueError, "they must be equal"),
    (lambda: F.triplet_margin_loss(X, Y, Z[:2]), ValueError, r"equal shapes .* got \(5, 3\), \(5, 3\) and \(2, 3\)"),
    (lambda: F.triplet_margin_loss(X, Y, Z, margin=0), ValueError, "margin must be greater than 0, got 0"),
    (lambda: F.triplet_margin_loss(X, Y, Z, p=0), ValueError, "p must be greater than 0, got 0"),
    (lambda: F.ctc_loss(SCORES[0, 0], TARGETS, INPUTS, LENGTHS), ValueError, r"expected log_probs \(T, N, C\) or \(T, C\), got \(4,\)"),
    (lambda: F.ctc_loss(SCORES, TARGETS, INPUTS, LENGTHS, blank=4), ValueError, r"blank must be one of 4 classes \(0..3\), got 4"),
    (lambda: F.ctc_loss(SCORES, TARGETS, [7, 4], LENGTHS), ValueError, "input_lengths must be at most 6, the length T of log_probs, got 7"),
    (lambda: F.ctc_loss(SCORES, TARGETS, INPUTS, [4, 1]), ValueError, "target_lengths must be at most 3, the width S of targets, got 4"),
    (lambda: F.ctc_loss(SCORES, TARGETS, INPUTS, [-1, 1]), ValueError, "target_lengths must not be negative, got -1"),
    (lambda: F.ctc_loss(SCORES, TARGETS, INPUTS, [1.0, 1.0]), TypeError, "target_lengths must be whole numbers, got float64"),
    (lambda: F.ctc_loss(SCORES, TARGETS, INPUTS[:1], LENGTHS), ValueError, r"one entry for each of 2 samples, got \(1,\)"),
    (lambda: F.ctc_loss(SCORES, TARGETS[0], INPUTS, [1, 1]), ValueError, "add up to 2, but targets has 3 labels"),
    (lambda: F.ctc_loss(SCORES, TARGETS[:1], INPUTS, LENGTHS), ValueError, r"expected targets \(2, S\) or concatenated labels, got \(1, 3\)"),
    (lambda: F.ctc_loss(SCORES, TARGETS * 1.0, INPUTS, LENGTHS), TypeError, "targets must be class indices, got float64"),
    (lambda: F.ctc_loss(SCORES, TARGETS + 2, INPUTS, LENGTHS), ValueError, r"label 4 is out of range for 4 classes \(0..3\)"),
    (lambda: F.ctc_loss(SCORES, TARGETS, INPUTS, [3, 2]), ValueError, "targets must not contain the blank, 0"),
    (lambda: F.gram_matrix(X), ValueError, r"expected features \(N, C, H, W\) or \(C, H, W\), got \(5, 3\)"),
    (lambda: F.total_variation(X), ValueError, r"expected images \(N, C, H, W\), got \(5, 3\)"),
    (lambda: F.total_variation(X[None, None], 3), ValueError, "p must be 1 or 2, got 3"),
    (lambda: F.hardtanh(X, 1, 0), ValueError, "min_val 1 must not exceed max_val 0"),
    (lambda: F.softshrink(X, -1), ValueError, "lambd must be at least 0, got -1"),
    (lambda: F.softplus(X, 0), ValueError, "beta must not be 0"),
    (lambda: F.celu(X, 0), ValueError, "alpha must not be 0"),
    (lambda: F.glu(X), ValueError, r"dim -1 must be an axis of even length, got input of shape \(5, 3\)"),
    (lambda: F.glu(X, 2), ValueError, "dim 2 must be an axis of even length"),
    (lambda: F.prelu(X, WEIGHT[:2]), ValueError, r"3 channels \(axis 1\) and needs a weight of shape \(1,\) or \(3,\), got \(2,\)"),
    (lambda: F.prelu(X[0], WEIGHT), ValueError, "1 channels"),
    (lambda: nn.PReLU(0), ValueError, "num_parameters must be a positive whole number, got 0"),
    (lambda: F.mish(CLASSES), TypeError, "mish: expected floating-point input, got int64"),
])  # fmt: skip
def test_errors(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_arguments_are_pytorch_s():
    """In PyTorch's order, except the deprecated ``size_average`` and ``reduce``."""
    expected = {
        "HuberLoss": "reduction delta", "SmoothL1Loss": "reduction beta", "BCELoss": "weight reduction",
        "KLDivLoss": "reduction log_target", "GaussianNLLLoss": "full eps reduction",
        "PoissonNLLLoss": "log_input full eps reduction", "HingeEmbeddingLoss": "margin reduction",
        "MarginRankingLoss": "margin reduction", "MultiMarginLoss": "p margin weight reduction",
        "CosineEmbeddingLoss": "margin reduction", "TripletMarginLoss": "margin p eps swap reduction",
        "CTCLoss": "blank reduction zero_infinity", "Hardtanh": "min_val max_val", "Softplus": "beta threshold",
        "Threshold": "threshold value", "PReLU": "num_parameters init backend dtype",
    }  # fmt: skip
    for name, arguments in expected.items():
        assert list(inspect.signature(getattr(nn, name)).parameters) == arguments.split(), name


def test_kl_of_a_distribution_with_itself_is_nothing():
    log_p = LOG_P.astype("float64")
    assert F.kl_div(log_p, np.exp(log_p), "batchmean").item() == pytest.approx(0, abs=1e-15)
    assert F.kl_div(log_p, log_p, "sum", log_target=True).item() == 0
