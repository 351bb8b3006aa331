"""Log loss and Brier score held to scikit-learn, the calibration error to its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.cases import samples, softmax
from tests.metrics.test_classification import same
from xpnet import metrics
from xpnet.nn import functional as F

sk = pytest.importorskip("sklearn.metrics", reason="compared with scikit-learn: pip install 'xpnet[sklearn]'")

SCORES = {"log_loss": sk.log_loss, "brier_score": sk.brier_score_loss}


@pytest.mark.parametrize("name", SCORES)
@given(samples())
def test_probabilities_of_many_classes(name, data):
    scores, labels, weight = data
    p, classes = softmax(scores), np.arange(scores.shape[1])
    theirs = SCORES[name](labels, p, sample_weight=weight, labels=classes)
    same(getattr(metrics, name)(p, labels, sample_weight=weight), theirs)
    same(getattr(metrics, name)(scores, labels, sample_weight=weight, logits=True), theirs)


@pytest.mark.parametrize("name", SCORES)
@given(samples(classes=2))
def test_probabilities_of_two_classes(name, data):
    scores, labels, weight = data
    p = softmax(scores)[:, 1]
    theirs = SCORES[name](labels, p, sample_weight=weight, labels=[0, 1])
    same(getattr(metrics, name)(p, labels, sample_weight=weight), theirs)
    logit = scores[:, 1] - scores[:, 0]
    same(getattr(metrics, name)(logit, labels, sample_weight=weight, logits=True), theirs)


def test_a_wrong_certainty_is_finite_but_logits_tell_how_wrong():
    labels = np.array([0, 1])
    same(metrics.log_loss(np.array([1.0, 1.0]), labels), sk.log_loss(labels, np.array([1.0, 1.0])))
    p = np.array([1.0, 1.0], dtype="float32")
    np.testing.assert_allclose(metrics.log_loss(p, labels), sk.log_loss(labels, p), rtol=1e-6)
    assert metrics.log_loss(np.array([800.0, 800.0]), labels, logits=True) == 400.0


def test_log_loss_of_logits_is_the_cross_entropy():
    logits, labels = np.random.default_rng(0).standard_normal((20, 4)), np.arange(20) % 4
    same(metrics.log_loss(logits, labels, logits=True), float(F.cross_entropy(logits, labels)))


def naive_calibration_error(p, labels, weight, bins):
    confidence, hit = p.max(axis=1), p.argmax(axis=1) == labels
    error = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if weight[inside].sum():
            gap = np.average(hit[inside], weights=weight[inside]) - np.average(
                confidence[inside], weights=weight[inside]
            )
            error += weight[inside].sum() / weight.sum() * abs(gap)
    return error


@given(samples(), st.integers(1, 20))
def test_calibration_error(data, bins):
    scores, labels, weight = data
    p = np.round(softmax(scores), 1)  # many on the edge of a bin
    ours = metrics.calibration_error(p, labels, bins=bins, sample_weight=weight)
    same(ours, naive_calibration_error(p, labels, np.ones(len(p)) if weight is None else weight, bins))


def test_calibration_error_of_two_classes_and_of_logits():
    p, labels = np.array([0.9, 0.8, 0.3, 0.6]), np.array([1, 0, 0, 1])
    two = np.stack([1 - p, p], axis=1)
    expected = metrics.calibration_error(two, labels, bins=5)
    same(metrics.calibration_error(p, labels, bins=5), expected)
    same(metrics.calibration_error(np.log(p / (1 - p)), labels, bins=5, logits=True), expected)
    with pytest.raises(ValueError, match="bins must be at least 1, got 0"):
        metrics.calibration_error(p, labels, bins=0)
    with pytest.raises(ValueError, match="log_loss: target holds 2"):
        metrics.log_loss(p, labels * 2)
