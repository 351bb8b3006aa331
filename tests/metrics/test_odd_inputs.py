"""Inputs that are not what a metric assumes: the right value, NaN, or an error; never silently something else."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import xpnet
from tests.metrics.cases import softmax
from tests.metrics.test_classification import quietly, same
from xpnet import metrics
from xpnet_backends import to_numpy

sk = pytest.importorskip("sklearn.metrics", reason="compared with scikit-learn: pip install 'xpnet[sklearn]'")

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.5, 0.4, 0.1]])
T = np.array([0, 1, 2, 1])
OF_CLASSES = [
    "accuracy", "top_k_accuracy", "balanced_accuracy", "f1", "precision", "recall", "matthews_corrcoef", "log_loss",
    "brier_score", "calibration_error", "roc_auc", "average_precision",
]  # fmt: skip
OF_NUMBERS = ["mae", "mse", "rmse", "mape", "r2", "explained_variance"]
DECIDING = [name for name in OF_CLASSES if name not in ("roc_auc", "average_precision")]


def value(name, output, target, **options):
    return to_numpy(getattr(metrics, name)(output, target, **options))


# -- scores that are not finite --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_CLASSES)
def test_a_score_that_is_nan_gives_nan(name, backend):
    for place in ((0, 0), (2, 1)):
        p = P.copy()
        p[place] = np.nan
        assert np.isnan(value(name, backend.asarray(p), backend.asarray(T))).all()
    all_nan = np.full((4, 3), np.nan, "float32")
    assert np.isnan(value(name, backend.asarray(all_nan), backend.asarray(T))).all()


@pytest.mark.parametrize("name", ["accuracy", "f1", "log_loss", "brier_score", "calibration_error", "roc_auc"])
def test_a_score_of_class_1_that_is_nan_gives_nan(name, backend):
    p, t = backend.asarray(np.array([0.2, np.nan, 0.8])), backend.asarray(np.array([0, 0, 1]))
    assert np.isnan(value(name, p, t))
    assert np.isnan(value(name, p, t, logits=True))


@pytest.mark.parametrize("name", OF_CLASSES)
def test_a_batch_with_nan_makes_the_whole_nan(name):
    bad = P.copy()
    bad[1] = np.nan
    metric = metrics.get("top_2_accuracy" if name == "top_k_accuracy" else name)
    for p in (np.log(P), bad, np.log(P)):
        metric.update(p, T)
    assert np.isnan(float(metric.compute()))


def test_a_matrix_and_a_report_have_no_nan(backend):
    p, t = np.array([np.nan, 0.9]), np.array([0, 1])
    with pytest.raises(ValueError, match="confusion_matrix: the output holds NaN"):
        metrics.ConfusionMatrix()(p, t)
    with pytest.raises(ValueError, match="classification_report: the output holds NaN"):
        metrics.classification_report(backend.asarray(p), backend.asarray(t))


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_numbers_that_are_nan(name):
    y = np.array([1.0, 1.0, 1.0])
    assert np.isnan(value(name, np.array([1.0, np.nan, 1.0]), y))
    assert np.isnan(value(name, y, np.array([1.0, np.nan, 1.0])))


# -- several labels a sample -----------------------------------------------------------------------------------------

LABELS = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1]])


@pytest.mark.parametrize("name", DECIDING)
@pytest.mark.parametrize("dtype", ["int64", "float32", "bool"])
def test_several_labels_are_not_taken_for_one_hot(name, dtype):
    with pytest.raises(ValueError, match=rf"{'classification|' + name}: .* the row \[1, 1, 0\] is not one-hot"):
        value(name, P, LABELS.astype(dtype))


@pytest.mark.parametrize("name", DECIDING)
def test_on_a_device_they_give_nan(name):
    p, t = (xpnet.tensor(x, backend="standin") for x in (P, LABELS))
    assert np.isnan(value(name, p, t)).all()


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.sampled_from(["macro", "weighted", None]), st.booleans())
def test_areas_of_several_labels(name, seed, classes, average, weighted):
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 20)
    scores = np.round(rng.standard_normal((n, classes)), rng.integers(0, 2))
    labels = (rng.random((n, classes)) < rng.choice([0.3, 0.7])).astype(rng.choice(["int64", "float32", "bool"]))
    assume(labels.any() and not (labels.sum(axis=1) == 1).all())
    weight = rng.integers(1, 5, n) / 2 if weighted else None
    reference = {"roc_auc": sk.roc_auc_score, "average_precision": sk.average_precision_score}[name]
    theirs = quietly(reference, labels.astype(int), scores, average=average, sample_weight=weight)
    same(getattr(metrics, name)(scores, labels, average=average, sample_weight=weight), theirs)
    same(getattr(metrics, name)(scores, labels, average=average, sample_weight=weight, logits=True), theirs)
    metric = metrics.get(name, average=average)
    cut = n // 2
    for part in (slice(cut), slice(cut, None)):
        metric.update(scores[part], labels[part], None if weight is None else weight[part])
    same(metric.compute(), theirs)


def test_areas_of_several_labels_on_a_device():
    scores, labels = P[:, :3], LABELS
    there = [xpnet.tensor(x, backend="standin") for x in (scores, labels)]
    for logits in (False, True):
        same(value("roc_auc", *there, logits=logits), value("roc_auc", scores, labels, logits=logits))
    two = [xpnet.tensor(x, backend="standin") for x in (P[:, :2], LABELS[:, :2])]
    assert np.isnan(value("roc_auc", *two))  # two columns are one-hot there


@pytest.mark.parametrize("name", OF_CLASSES)
def test_one_hot_is_as_class_numbers(name, backend):
    expected = value(name, P, T)
    for dtype in ("int64", "float32", "bool"):
        same(value(name, backend.asarray(P), backend.asarray(np.eye(3)[T].astype(dtype))), expected)


def test_mixed_samples_have_shares_of_classes():
    shares = np.array([[0.7, 0.3, 0.0], [0.0, 0.4, 0.6]])
    assert value("accuracy", P[:2], shares) == 0.5
    same(value("log_loss", P[:2], shares), -(shares * np.log(P[:2])).sum(axis=1).mean())
    same(value("log_loss", np.log(P[:2]), shares, logits=True), -(shares * np.log(P[:2])).sum(axis=1).mean())
    same(value("brier_score", P[:2], shares), ((P[:2] - shares) ** 2).sum(axis=1).mean())


def test_class_0_probability_0_costs_nothing_where_another_is_right():
    logits = np.array([[0.0, -np.inf], [0.0, -np.inf]])
    assert value("log_loss", logits, np.array([0, 0]), logits=True) == 0.0


@pytest.mark.parametrize("shape", [(2, 5), (2, 4, 4)])
def test_pixels_are_not_taken_for_classes(shape):
    p, t = np.full(shape, 0.3), np.zeros(shape)
    with pytest.raises(ValueError, match=r"is not one-hot; .* of one label a pixel, flatten both"):
        metrics.accuracy(p, t)
    assert metrics.accuracy(p.reshape(-1), t.reshape(-1)) == 1.0


def test_class_numbers_with_two_axes():
    with pytest.raises(ValueError, match=r"accuracy: output and target are class numbers \(2, 2\), one axis too many"):
        metrics.accuracy(np.eye(2, dtype=int), np.eye(2, dtype=int))
    assert metrics.accuracy(np.array([[1], [0]]), np.array([[1], [1]])) == 0.5


# -- probabilities ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["accuracy", "f1", "log_loss", "brier_score", "calibration_error"])
def test_what_is_no_probability(name):
    with pytest.raises(ValueError, match=r"the output holds 2\.5, which is no probability: .*, logits=True"):
        value(name, np.array([0.1, 2.5]), np.array([0, 1]))
    device = value(name, *(xpnet.tensor(x, backend="standin") for x in (np.array([0.1, 2.5]), np.array([0, 1]))))
    assert np.isnan(device)


@pytest.mark.parametrize("name", ["log_loss", "brier_score"])
def test_rows_that_do_not_add_up_to_1(name):
    with pytest.raises(ValueError, match=r"probabilities must add up to 1, a row adds up to 0\.5"):
        value(name, np.array([[0.3, 0.2], [0.5, 0.5]]), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"holds -1, which is no probability"):
        value(name, np.array([[-1.0, 2.0], [0.5, 0.5]]), np.array([0, 1]))
    half = softmax(np.random.default_rng(0).standard_normal((50, 20))).astype("float16")
    assert np.isfinite(value(name, half, np.arange(50) % 20))


@pytest.mark.parametrize("name", ["log_loss", "brier_score", "calibration_error"])
def test_probabilities_where_logits_are_wanted(name):
    with pytest.raises(ValueError, match="got probabilities: logits=False"):
        metrics.get(name)(P, T)
    same(metrics.get(name, logits=False)(P, T), value(name, P, T))
    with pytest.raises(ValueError, match="got probabilities"):
        metrics.bootstrap(name, P, T)
    assert metrics.bootstrap(name, P, T, logits=False, resamples=5).value == value(name, P, T)


def test_options_of_a_bootstrapped_function():
    p, t = np.array([0.2, 0.4, 0.7]), np.array([0, 0, 1])
    assert metrics.bootstrap("accuracy", p, t, logits=False, resamples=5).value == 1.0
    with pytest.raises(TypeError, match="logits are options of a metric by name"):
        metrics.bootstrap(metrics.accuracy, p, t, logits=False)


# -- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_CLASSES)
@pytest.mark.parametrize("label", [-1, 3, 0.5, np.nan, -99])
def test_labels_that_are_no_class(name, label):
    t = np.array([0, 1, 2, label])
    with pytest.raises(ValueError, match="target holds"):
        value(name, P, t)
    assert np.isnan(value(name, *(xpnet.tensor(x, backend="standin") for x in (P, t)))).all()


@pytest.mark.parametrize("name", [*OF_CLASSES, *OF_NUMBERS])
@pytest.mark.parametrize("kind", [str, object])
def test_text_is_refused(name, kind):
    with pytest.raises(ValueError, match="metrics take numbers, got an array of"):
        value(name, P if name in OF_CLASSES else P[:, 0], np.array(["0", "1", "2", "1"], kind))


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "uint64", "float16", "float32", ">i4"])
@pytest.mark.parametrize("name", OF_CLASSES)
def test_labels_of_every_dtype(name, kind):
    same(value(name, P, T.astype(kind)), value(name, P, T))


def test_small_integers_do_not_overflow():
    rng = np.random.default_rng(0)
    scores, t = rng.random((600, 250)), rng.integers(0, 250, 600)
    same(metrics.f1(scores, t.astype("uint8")), metrics.f1(scores, t))
    assert metrics.confusion_matrix(t.astype("uint8"), t.astype("uint8"), 250).trace() == 600
    same(metrics.mse(np.array([0, 255], "uint8"), np.array([255, 0], "uint8")), 255.0**2)
    same(metrics.mae(np.array([-128], "int8"), np.array([127], "int8")), 255.0)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_lists_columns_and_tensors(name):
    expected = value(name, P, T)
    same(value(name, P.tolist(), T.tolist()), expected)
    same(value(name, xpnet.tensor(P, requires_grad=True), T), expected)
    if name not in ("top_k_accuracy",):
        same(value(name, P[:, 1], (T == 1)[:, None]), value(name, P[:, 1:2], T == 1))


# -- weights and sizes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OF_CLASSES, *OF_NUMBERS])
@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_weights_that_are_none(name, weight):
    output = P if name in OF_CLASSES else P[:, 0]
    weights = np.array([1.0, weight, 1.0, 1.0])
    with pytest.raises(ValueError, match=r"sample_weight holds .*: weights are numbers >= 0"):
        value(name, output, T, sample_weight=weights)
    there = [xpnet.tensor(x, backend="standin") for x in (output, T, weights)]
    assert np.isnan(value(name, *there[:2], sample_weight=there[2])).all()


@pytest.mark.parametrize("name", [*OF_CLASSES, *OF_NUMBERS])
def test_without_any_weight_there_is_no_value(name):
    assert np.isnan(value(name, P if name in OF_CLASSES else P[:, 0], T, sample_weight=np.zeros(4)))


@pytest.mark.parametrize("name", [n for n in OF_CLASSES if n not in ("roc_auc", "average_precision")])
def test_without_samples_there_is_no_value(name):
    assert np.isnan(value(name, np.zeros((0, 3)), np.zeros(0, int)))


def test_batches_that_differ_in_classes():
    for metric in (metrics.F1(), metrics.ROCAUC(), metrics.ConfusionMatrix()):
        metric.update(P, T)
        with pytest.raises(ValueError, match=r"this batch has .* those before had"):
            metric.update(P[:, :2] / P[:, :2].sum(axis=1, keepdims=True), T % 2)
    numbers = metrics.R2(multioutput="raw_values")
    numbers.update(P, P)
    with pytest.raises(ValueError, match=r"R2: this batch has \(1,\) classes or outputs, those before had \(3,\)"):
        numbers.update(P[:, 0], P[:, 0])


@pytest.mark.parametrize("name", OF_CLASSES)
@given(seed=st.integers(0, 2**32 - 1))
def test_batches_are_as_the_whole(name, seed):
    rng = np.random.default_rng(seed)
    n, classes = int(rng.integers(2, 30)), int(rng.integers(2, 5))
    logits, t = rng.standard_normal((n, classes)).round(1), rng.integers(0, classes, n)
    weight = rng.integers(1, 4, n).astype("float64") if rng.random() < 0.5 else None
    one_hot = np.eye(classes)[t]
    metric = metrics.get("top_2_accuracy" if name == "top_k_accuracy" else name)
    whole = metric(logits, t, weight)
    cuts = np.unique([0, *rng.integers(0, n, 2), n])
    for a, b in pairwise(cuts):
        metric.update(logits[a:b], one_hot[a:b], None if weight is None else weight[a:b])
    same(metric.compute(), whole)


def test_a_mean_of_plain_numbers():
    mean = metrics.Mean()
    mean.update(np.float64(2.0), sample_weight=np.int64(3))
    mean.update([1.0, 2.0])
    assert mean.compute() == 9.0 / 5.0


def test_a_masked_array_is_refused():
    with pytest.raises(ValueError, match="metrics do not look at masks"):
        metrics.accuracy(np.ma.array([0.2, 0.8], mask=[False, True]), np.array([1, 0]))


def test_class_numbers_written_as_floats():
    t, guess = np.array([0, 1, 2, 2]), np.array([2.0, 1.0, 0.0, 2.0])
    assert metrics.confusion_matrix(t, guess, 3).tolist() == metrics.confusion_matrix(t, guess.astype(int), 3).tolist()
    same(metrics.f1(guess, t, num_classes=3), metrics.f1(guess.astype(int), t, num_classes=3))
    for wrong in (0.5, 3.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="output holds"):
            metrics.f1(np.array([2.0, 1.0, 0.0, wrong]), t, num_classes=3)


def test_the_interval_of_what_has_no_value():
    p = np.array([[np.nan, 0.5], [0.6, 0.4], [0.1, 0.9]])
    assert np.isnan(metrics.bootstrap(metrics.accuracy, p, np.array([1, 0, 1]), resamples=20)).all()


# -- labels that the losses ignore -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_CLASSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_samples_that_the_losses_ignore_are_not_counted(name, weighted, backend):
    labels = np.array([0, -100, 1, 2, -100, 1, 0])
    p = np.random.default_rng(3).dirichlet(np.ones(3), len(labels))
    weight = np.arange(1.0, 8.0)
    kept = labels >= 0
    options = [{"sample_weight": backend.asarray(w)} if weighted else {} for w in (weight, weight[kept])]
    found = value(name, backend.asarray(p), backend.asarray(labels), **options[0])
    expected = value(name, backend.asarray(p[kept]), backend.asarray(labels[kept]), **options[1])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_ignored_samples_in_a_matrix_in_averages_and_in_batches(backend):
    labels, guesses = np.array([2, -100, 1, 2]), np.array([2, 0, 2, 1])
    matrix = to_numpy(metrics.confusion_matrix(backend.asarray(labels), backend.asarray(guesses), 3))
    assert matrix.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 1]]
    assert matrix.dtype == "int64"
    p = np.eye(3)[guesses]
    # class 0 does not occur: it has no part in the mean
    assert value("f1", backend.asarray(p), backend.asarray(labels)) == pytest.approx(0.25)
    metric = metrics.get("accuracy")
    for part in ([0, 1], [1, 1], [2, 3]):
        metric.update(backend.asarray(p[part]), backend.asarray(labels[part]))
    assert float(to_numpy(metric.compute())) == pytest.approx(1 / 3)
    nothing = backend.asarray(np.full(4, -100))
    assert np.isnan(value("accuracy", backend.asarray(p), nothing))


def test_only_a_target_may_be_ignored():
    with pytest.raises(ValueError, match="output holds -100"):
        metrics.confusion_matrix([0, 1], [0, -100], 2)
    with pytest.raises(ValueError, match="target holds -1,"):
        metrics.accuracy(P, [0, 1, -1, 2])
