"""However samples are batched, a metric gives what its function gives over all of them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.cases import samples, softmax
from tests.metrics.test_classification import same
from tests.metrics.test_regression import numbers
from tests.support.standin import no_traffic
from xpnet import metrics
from xpnet_backends import to_numpy

OF_CLASSES = [
    (metrics.Accuracy, metrics.accuracy, {}),
    (metrics.TopKAccuracy, metrics.top_k_accuracy, {"k": 2}),
    (metrics.Precision, metrics.precision, {"average": "macro"}),
    (metrics.Recall, metrics.recall, {"average": None}),
    (metrics.F1, metrics.f1, {"average": "weighted", "zero_division": 1.0}),
    (metrics.FBeta, metrics.fbeta, {"beta": 2.0}),
    (metrics.BalancedAccuracy, metrics.balanced_accuracy, {}),
    (metrics.MatthewsCorrCoef, metrics.matthews_corrcoef, {}),
    (metrics.ROCAUC, metrics.roc_auc, {"average": None, "logits": True}),
    (metrics.AveragePrecision, metrics.average_precision, {"logits": True}),
    (metrics.LogLoss, metrics.log_loss, {"logits": True}),
    (metrics.BrierScore, metrics.brier_score, {"logits": True}),
    (metrics.CalibrationError, metrics.calibration_error, {"bins": 7, "logits": True}),
]
OF_NUMBERS = [
    (metrics.MeanAbsoluteError, metrics.mae, {}),
    (metrics.MeanSquaredError, metrics.mse, {"multioutput": "raw_values"}),
    (metrics.RootMeanSquaredError, metrics.rmse, {}),
    (metrics.MeanAbsolutePercentageError, metrics.mape, {}),
    (metrics.R2, metrics.r2, {}),
    (metrics.ExplainedVariance, metrics.explained_variance, {}),
]
name_of = {"ids": lambda x: x.__name__ if hasattr(x, "__name__") else ""}


def batched(metric, output, target, weight, cuts):
    """Update batch by batch, with a save and a load in between."""
    edges = [0, *sorted(cuts), len(output)]
    for a, b in pairwise(edges):
        if a < b:
            metric.update(output[a:b], target[a:b], None if weight is None else weight[a:b])
        other = metric.fresh()
        other.load_state_dict({k: v.copy() for k, v in metric.state_dict().items()})
        metric = other
    return metric.compute()


@pytest.mark.parametrize(("kind", "function", "options"), OF_CLASSES, **name_of)
@given(samples(), st.lists(st.integers(0, 40), max_size=4))
def test_classes(kind, function, options, data, cuts):
    scores, labels, weight = data
    cuts = [min(c, len(labels)) for c in cuts]
    ours = batched(kind(**options), scores, labels, weight, cuts)
    same(ours, function(scores, labels, sample_weight=weight, **options))
    same(kind(**options)(scores, labels, weight), function(scores, labels, sample_weight=weight, **options))


@pytest.mark.parametrize(("kind", "function", "options"), OF_NUMBERS, **name_of)
@given(numbers(), st.lists(st.integers(0, 30), max_size=4), st.sampled_from([0.0, 1e6]))
def test_numbers(kind, function, options, data, cuts, far):
    output, target, weight = data
    output, target = output + far, target + far  # sums of squares must not cancel
    cuts = [min(c, len(output)) for c in cuts]
    ours = batched(kind(**options), output, target, weight, cuts)
    expected = function(output, target, sample_weight=weight, **options)
    np.testing.assert_allclose(ours, expected, rtol=1e-9 if far else 1e-12, atol=1e-9 if far else 1e-12)


@given(samples())
def test_confusion_matrix(data):
    scores, labels, weight = data
    metric = metrics.ConfusionMatrix()
    for i in range(len(labels)):
        metric.update(scores[i : i + 1], labels[i : i + 1], None if weight is None else weight[i : i + 1])
    expected = metrics.confusion_matrix(labels, scores.argmax(1), scores.shape[1], sample_weight=weight)
    np.testing.assert_array_equal(metric.compute(), expected)


def test_mean():
    metric = metrics.Mean()
    metric.update(np.array([1.0, 2.0]))
    metric.update(np.array(6.0, dtype="float32"), sample_weight=2)
    metric.update(np.array([1.0, 3.0]), sample_weight=np.array([0.5, 0.5]))
    assert metric.compute() == (3.0 + 12.0 + 2.0) / 5.0


def test_reset_and_copies():
    metric = metrics.ROCAUC()
    scores, labels = np.array([0.1, 0.9]), np.array([0, 1])
    metric.update(scores, labels)
    scores[:] = 0.0  # a buffer that is used again
    assert metric.compute() == 1.0
    other = metric.fresh()
    for empty in (other, metrics.F1()):
        with pytest.raises(ValueError, match="needs a batch first"):
            empty.compute()
    other.update(np.array([0.9, 0.1]), labels)
    assert (float(metric.compute()), float(other.compute())) == (1.0, 0.0)
    metric.reset()
    assert metric.state_dict() == {}
    metric.load_state_dict({})
    assert metric.state_dict() == {}


def test_weights_with_every_batch_or_none():
    metric = metrics.ROCAUC()
    metric.update(np.array([0.1, 0.9]), np.array([0, 1]))
    with pytest.raises(ValueError, match="with every batch or with none"):
        metric.update(np.array([0.1, 0.9]), np.array([0, 1]), np.ones(2))


def test_unknown_options():
    with pytest.raises(TypeError, match="F1 takes no k: its options are average, logits, num_classes, pos_label"):
        metrics.F1(k=3)
    with pytest.raises(TypeError, match="ROCAUC takes no bins: its options are average, logits"):
        metrics.ROCAUC(bins=3)
    with pytest.raises(TypeError, match="FBeta needs beta"):
        metrics.get("fbeta")


@pytest.mark.parametrize(("kind", "function", "options"), [*OF_CLASSES, *OF_NUMBERS], **name_of)
def test_on_each_backend_without_traffic(kind, function, options, backend):
    rng = np.random.default_rng(0)
    output, target = rng.standard_normal((20, 3)).astype("float32"), rng.integers(0, 3, 20)
    if (kind, function, options) in OF_NUMBERS:
        target = rng.standard_normal((20, 3)).astype("float32")
    weight = rng.random(20).astype("float32")
    for w in (None, weight):
        on = [backend.asarray(x) if x is not None else None for x in (output, target, w)]
        metric = kind(**options)
        with no_traffic():
            value = function(on[0], on[1], sample_weight=on[2], **options)
            metric.update(on[0][:7], on[1][:7], None if w is None else on[2][:7])
            metric.update(on[0][7:], on[1][7:], None if w is None else on[2][7:])
            streamed = metric.compute()
        assert isinstance(value, backend.array_type)
        assert value.dtype == streamed.dtype == "float64"
        expected = function(output, target, sample_weight=w, **options)
        same(to_numpy(value), expected)
        same(to_numpy(streamed), expected)


def test_curves_and_report_on_each_backend(backend):
    p, labels = np.array([0.1, 0.4, 0.4, 0.8]), np.array([0, 1, 0, 1])
    on = backend.asarray(p), backend.asarray(labels)
    for function in (metrics.roc_curve, metrics.precision_recall_curve):
        for ours, expected in zip(function(*on), function(p, labels), strict=True):
            assert isinstance(ours, backend.array_type)
            same(to_numpy(ours), expected)
    assert metrics.classification_report(*on) == metrics.classification_report(p, labels)
    matrix = metrics.confusion_matrix(on[1], on[1], 2)
    np.testing.assert_array_equal(to_numpy(matrix), [[2, 0], [0, 2]])


def test_a_stray_class_number_is_nan_on_a_device():
    from xpnet_backends import get_backend

    device = get_backend("standin")
    output, target = device.asarray(softmax(np.eye(3))), device.asarray(np.array([0, 1, 7]))
    for function in (metrics.f1, metrics.precision, metrics.balanced_accuracy, metrics.matthews_corrcoef):
        assert np.isnan(to_numpy(function(output, target)))
    assert to_numpy(metrics.confusion_matrix(target, device.asarray(np.array([0, 1, 2])), 3)).sum() == 2
