"""ROC, precision and recall over all thresholds: held to scikit-learn, ties and weights included."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.metrics.cases import samples, softmax
from tests.metrics.test_classification import quietly, same
from xpnet import metrics

sk = pytest.importorskip("sklearn.metrics", reason="compared with scikit-learn: pip install 'xpnet[sklearn]'")

AREAS = {"roc_auc": sk.roc_auc_score, "average_precision": sk.average_precision_score}


@pytest.mark.parametrize("name", AREAS)
@given(samples(classes=2))
def test_areas_of_two_classes(name, data):
    scores, labels, weight = data
    function, theirs = getattr(metrics, name), quietly(AREAS[name], labels, scores[:, 1], sample_weight=weight)
    same(function(scores[:, 1], labels, sample_weight=weight), theirs)
    same(function(scores, labels, sample_weight=weight), theirs)
    same(function(scores[:, 1:], labels, sample_weight=weight, logits=True), theirs)


@pytest.mark.parametrize("name", AREAS)
@given(samples(least=3), st.sampled_from(["macro", "weighted", None]))
def test_areas_of_many_classes(name, data, average):
    scores, labels, weight = data
    classes = np.arange(scores.shape[1])
    assume(len(labels) >= len(classes))
    labels[: len(classes)] = classes  # scikit-learn wants them all
    p = np.round(softmax(scores), 2)  # still ties
    p[:, 0] = 1 - p[:, 1:].sum(axis=1)
    options = {"average": average, "sample_weight": weight}
    theirs = AREAS[name](labels, p, **options, **({"multi_class": "ovr"} if name == "roc_auc" else {}))
    same(getattr(metrics, name)(p, labels, **options), theirs)


@given(samples(classes=3))
def test_logits_are_ranked_by_probability(data):
    scores, labels, _ = data
    scores = scores + np.random.default_rng(0).random(scores.shape)  # no ties for rounding to break
    ours = metrics.roc_auc(scores, labels, average=None, logits=True)
    same(ours, metrics.roc_auc(softmax(scores), labels, average=None))


def test_two_logits_far_apart_do_not_saturate():
    logits = np.array([[0.0, 50.0], [0.0, 60.0]])
    assert metrics.roc_auc(logits, np.array([0, 1]), logits=True) == 1.0


@given(samples(classes=2), st.booleans())
def test_roc_curve(data, drop):
    scores, labels, weight = data
    ours = metrics.roc_curve(scores[:, 1], labels, sample_weight=weight, drop_intermediate=drop)
    theirs = quietly(sk.roc_curve, labels, scores[:, 1], sample_weight=weight, drop_intermediate=drop, pos_label=1)
    for a, b in zip(ours, theirs, strict=True):
        same(a, b)


@given(samples(classes=2))
def test_precision_recall_curve(data):
    scores, labels, weight = data
    ours = metrics.precision_recall_curve(scores[:, 1], labels, sample_weight=weight)
    theirs = quietly(sk.precision_recall_curve, labels, scores[:, 1], sample_weight=weight, pos_label=1)
    for a, b in zip(ours, theirs, strict=True):
        same(a, b)


def test_samples_without_weight_are_not_there():
    scores, labels, weight = np.array([0.9, 0.8, 0.3, 0.1]), np.array([1, 0, 1, 0]), np.array([1.0, 0.0, 2.0, 1.0])
    kept = weight > 0
    for function in (metrics.roc_curve, metrics.precision_recall_curve):
        weighted = function(scores, labels, sample_weight=weight)
        for a, b in zip(weighted, function(scores[kept], labels[kept], sample_weight=weight[kept]), strict=True):
            same(a, b)
    for function in (metrics.roc_auc, metrics.average_precision):
        same(function(scores, labels, sample_weight=weight), 1.0)


def test_what_has_no_area_is_nan():
    assert np.isnan(metrics.roc_auc(np.array([0.1, 0.2]), np.array([1, 1])))
    assert np.isnan(metrics.roc_auc(np.array([0.1, np.nan]), np.array([0, 1])))
    assert np.isnan(metrics.average_precision(np.array([0.1, np.nan]), np.array([0, 1])))
    assert metrics.average_precision(np.array([0.1, 0.2]), np.array([0, 0])) == 0.0
    each = metrics.roc_auc(np.eye(3)[[0, 1]], np.array([0, 1]), average=None)
    assert each[:2].tolist() == [1.0, 1.0]
    assert np.isnan(each[2])
    assert metrics.roc_auc(np.eye(3)[[0, 1]], np.array([0, 1]), average="weighted") == 1.0


@pytest.mark.parametrize(("call", "message"), [
    (lambda: metrics.roc_auc(np.zeros(2), np.array([0, 2])), "target holds 2, but 2 classes"),
    (lambda: metrics.roc_auc(np.zeros((0, 3)), np.zeros(0, int)), "roc_auc needs at least one sample"),
    (lambda: metrics.roc_auc(np.zeros((2, 3)), np.zeros(2, int), average="micro"), "must be 'macro', 'weighted' or None"),
    (lambda: metrics.roc_curve(np.zeros((2, 3)), np.zeros(2, int)), "roc_curve is of two classes, got 3"),
])  # fmt: skip
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
