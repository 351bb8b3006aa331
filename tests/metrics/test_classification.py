"""Held to scikit-learn, on data with ties, weights and classes that do not occur."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.cases import samples
from xpnet import metrics, tensor
from xpnet_backends import to_numpy

sk = pytest.importorskip("sklearn.metrics", reason="compared with scikit-learn: pip install 'xpnet[sklearn]'")

SCORES = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score, "fbeta": sk.fbeta_score}


def quietly(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def same(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@given(samples())
def test_accuracy(data):
    scores, labels, weight = data
    same(metrics.accuracy(scores, labels, sample_weight=weight),
         sk.accuracy_score(labels, scores.argmax(1), sample_weight=weight))  # fmt: skip


@given(samples(), st.data())
def test_top_k_accuracy(data, more):
    scores, labels, weight = data
    if scores.shape[1] == 2:  # scikit-learn takes one column of scores then
        scores = np.column_stack([scores, scores[:, 0]])
    k = more.draw(st.integers(1, scores.shape[1]))
    ours = metrics.top_k_accuracy(scores, labels, k=k, sample_weight=weight)
    classes = np.arange(scores.shape[1])
    same(ours, quietly(sk.top_k_accuracy_score, labels, scores, k=k, sample_weight=weight, labels=classes))


@pytest.mark.parametrize("name", SCORES)
@given(samples(), st.sampled_from(["macro", "micro", "weighted", None]), st.sampled_from([0.0, 1.0, np.nan]),
       st.sampled_from([0.0, 0.5, 2.0]))  # fmt: skip
def test_scores_of_many_classes(name, data, average, zero_division, beta):
    scores, labels, weight = data
    options = {"average": average, "zero_division": zero_division, "sample_weight": weight}
    options |= {"beta": beta} if name == "fbeta" else {}
    ours = getattr(metrics, name)(scores, labels, **options)
    if average is None:
        options["labels"] = np.arange(scores.shape[1])
    same(ours, quietly(SCORES[name], labels, scores.argmax(1), **options))


@pytest.mark.parametrize("name", SCORES)
@given(samples(classes=2), st.sampled_from([0, 1]), st.sampled_from([0.0, 1.0, np.nan]))
def test_scores_of_two_classes(name, data, pos_label, zero_division):
    scores, labels, weight = data
    options = {"pos_label": pos_label, "zero_division": zero_division, "sample_weight": weight}
    options |= {"beta": 2.0} if name == "fbeta" else {}
    theirs = quietly(SCORES[name], labels, scores.argmax(1), average="binary", **options)
    function = getattr(metrics, name)
    same(function(scores, labels, **options), theirs)
    same(function(scores, labels, average="binary", **options), theirs)
    same(function(scores.argmax(1), labels, num_classes=2, **options), theirs)


@given(samples())
def test_balanced_accuracy_and_matthews(data):
    scores, labels, weight = data
    guesses = scores.argmax(1)
    ours = metrics.balanced_accuracy(scores, labels, sample_weight=weight)
    same(ours, quietly(sk.balanced_accuracy_score, labels, guesses, sample_weight=weight))
    if len(np.unique(labels)) > 1:
        ours = metrics.balanced_accuracy(scores, labels, adjusted=True, sample_weight=weight)
        same(ours, quietly(sk.balanced_accuracy_score, labels, guesses, adjusted=True, sample_weight=weight))
    ours = metrics.matthews_corrcoef(scores, labels, sample_weight=weight)
    same(ours, quietly(sk.matthews_corrcoef, labels, guesses, sample_weight=weight))


@given(samples())
def test_confusion_matrix(data):
    scores, labels, weight = data
    ours = metrics.confusion_matrix(labels, scores.argmax(1), scores.shape[1], sample_weight=weight)
    classes = np.arange(scores.shape[1])
    np.testing.assert_array_equal(
        ours, sk.confusion_matrix(labels, scores.argmax(1), labels=classes, sample_weight=weight)
    )
    assert ours.dtype == ("int64" if weight is None else "float64")


@given(samples(), st.integers(0, 4))
def test_report(data, digits):
    scores, labels, _ = data
    labels[0] = scores[0].argmax()  # without any hit scikit-learn writes the support as 2.0
    ours = metrics.classification_report(scores, labels, digits=digits)
    assert ours == quietly(sk.classification_report, labels, scores.argmax(1), digits=digits, zero_division=0)


def test_report_with_names():
    scores, labels = np.eye(3)[[0, 1, 2, 2]], np.array([0, 1, 2, 1])
    names = ["a", "a rather long name", "c"]
    ours = metrics.classification_report(scores, labels, class_names=names)
    assert ours == sk.classification_report(labels, scores.argmax(1), target_names=names)
    with pytest.raises(ValueError, match="2 class_names for 3 classes"):
        metrics.classification_report(scores, labels, class_names=names[:2])


def test_the_forms_of_two_classes_agree():
    probability = np.array([0.2, 0.7, 0.5, 0.9, 0.51])
    labels = np.array([0, 1, 1, 0, 1])
    logit = np.log(probability / (1 - probability))
    expected = metrics.f1(np.array([0, 1, 0, 1, 1]), labels, num_classes=2)
    assert expected == 2 / 3
    one_hot = np.eye(2)[labels]
    two = np.stack([1 - probability, probability], axis=1)
    for output, target, options in [
        (probability, labels, {}), (probability[:, None], labels[:, None], {}), (probability[:, None], labels, {}),
        (two, labels, {}), (two, one_hot, {}), (logit, labels.astype("float32"), {"logits": True}),
        (tensor(two), tensor(labels), {}),
    ]:  # fmt: skip
        assert metrics.f1(output, target, **options) == expected
        assert metrics.accuracy(output, target, **options) == 0.6


def test_sequences_of_class_scores():
    scores, labels = np.eye(3)[[[0, 1], [2, 0]]], np.array([[0, 1], [2, 2]])
    assert metrics.accuracy(scores, labels) == 0.75
    assert metrics.recall(scores, labels, average=None).tolist() == [1.0, 1.0, 0.5]


def test_float32_is_accumulated_in_float64():
    scores = np.zeros((3, 2), dtype="float32")
    assert metrics.f1(scores, np.array([0, 1, 1])).dtype == "float64"


@pytest.mark.parametrize(("call", "message"), [
    (lambda: metrics.f1(np.zeros(3, int), np.zeros(3, int)), "does not tell how many classes there are: num_classes=10"),
    (lambda: metrics.f1(np.zeros((3, 2)), np.zeros(4, int)), r"output \(3, 2\) and target \(4,\) do not fit"),
    (lambda: metrics.f1(np.zeros((3, 2)), np.array([0, 1, 2])), "target holds 2, but 2 classes are numbered 0..1"),
    (lambda: metrics.f1(np.zeros((3, 2)), np.array([0, 0.5, 1])), "target holds 0.5, but 2 classes"),
    (lambda: metrics.f1(np.array([0, -1]), np.array([0, 1]), num_classes=2), "output holds -1"),
    (lambda: metrics.f1(np.zeros((3, 4)), np.zeros(3, int), num_classes=2), "num_classes=2, but the output has 4"),
    (lambda: metrics.f1(np.zeros((3, 4)), np.zeros(3, int), average="binary"), "is for two classes, there are 4"),
    (lambda: metrics.f1(np.zeros((3, 4)), np.zeros(3, int), average="mean"), "average must be one of 'auto', 'binary'"),
    (lambda: metrics.f1(np.zeros((3, 2)), np.zeros(3, int), pos_label=2), "pos_label must be 0 or 1, got 2"),
    (lambda: metrics.f1(np.zeros((3, 2)), np.zeros(3, int), sample_weight=np.ones(2)), r"sample_weight has shape \(2,\)"),
    (lambda: metrics.fbeta(np.zeros((3, 2)), np.zeros(3, int), beta=-1.0), "beta must be a number >= 0"),
    (lambda: metrics.top_k_accuracy(np.zeros((3, 2)), np.zeros(3, int), k=3), r"k must be in 1..2"),
    (lambda: metrics.top_k_accuracy(np.zeros(3), np.zeros(3, int)), r"needs scores \(N, C\)"),
])  # fmt: skip
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", ["accuracy", "f1_macro", "balanced_accuracy", "top_2_accuracy", "matthews_corrcoef"])
def test_targets_of_minus_100_do_not_count(backend, name):
    rng = np.random.default_rng(3)
    scores, labels = rng.standard_normal((40, 4)), rng.integers(0, 4, 40)
    labels[::3] = -100
    kept, weight = labels != -100, rng.random(40)
    for more, fewer in (({}, {}), ({"sample_weight": weight}, {"sample_weight": weight[kept]})):
        found, expected = metrics.get(name), metrics.get(name)
        found.update(
            backend.asarray(scores), backend.asarray(labels), **{k: backend.asarray(v) for k, v in more.items()}
        )
        expected.update(scores[kept], labels[kept], **fewer)
        np.testing.assert_allclose(float(found.compute()), float(expected.compute()), rtol=1e-12)


def test_a_confusion_matrix_without_ignored_targets(backend):
    scores, labels = np.eye(3)[[0, 1, 2, 0]], np.array([0, 1, -100, 2])
    matrix = metrics.get("accuracy")
    matrix.update(backend.asarray(scores), backend.asarray(labels))
    assert float(matrix.compute()) == pytest.approx(2 / 3)
    found = metrics.confusion_matrix(backend.asarray(labels), backend.asarray(scores.argmax(1)), 3)
    assert to_numpy(found).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert found.dtype == "int64"
