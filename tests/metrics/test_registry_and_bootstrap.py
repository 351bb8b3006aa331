"""Metrics by name, and how sure they are."""

import numpy as np
import pytest

from tests.support.standin import no_traffic
from xpnet import metrics
from xpnet_backends import to_numpy

RNG = np.random.default_rng(1)
LOGITS, LABELS = RNG.standard_normal((30, 4)) * 3, RNG.integers(0, 4, 30)


@pytest.mark.parametrize("name", metrics.names("classification"))
def test_names_take_logits(name):
    metric = metrics.get(name)
    metric.update(LOGITS[:11], LABELS[:11])
    metric.update(LOGITS[11:], LABELS[11:])
    function = getattr(metrics, name)
    np.testing.assert_allclose(metric.compute(), function(LOGITS, LABELS, logits=True), rtol=1e-12)
    two = metrics.get(name)(LOGITS[:, 0], LABELS > 1)
    np.testing.assert_allclose(two, function(LOGITS[:, :1], LABELS > 1, logits=True), rtol=1e-12)
    assert metric.task == "classification"


@pytest.mark.parametrize("name", metrics.names("regression"))
def test_names_of_regression(name):
    metric = metrics.get(name)
    assert metric(LOGITS[:, :1], LOGITS[:, 1]) == getattr(metrics, name)(LOGITS[:, 0], LOGITS[:, 1])
    assert metric.task == "regression"


def test_names_with_an_average():
    for name, average in [("f1_macro", "macro"), ("precision_micro", "micro"), ("recall_weighted", "weighted")]:
        expected = getattr(metrics, name.partition("_")[0])(LOGITS, LABELS, average=average)
        assert metrics.get(name)(LOGITS, LABELS) == expected
    expected = metrics.roc_auc(LOGITS, LABELS, average="weighted", logits=True)
    assert metrics.get("roc_auc_weighted")(LOGITS, LABELS) == expected
    assert metrics.get("top_3_accuracy")(LOGITS, LABELS) == metrics.top_k_accuracy(LOGITS, LABELS, k=3)
    assert metrics.get("fbeta", beta=2.0)(LOGITS, LABELS) == metrics.fbeta(LOGITS, LABELS, beta=2.0)


def test_options_and_errors():
    assert metrics.get("f1", average=None)(LOGITS, LABELS).shape == (4,)
    with pytest.raises(ValueError, match="unknown metric 'roc_aux': did you mean 'roc_auc'"):
        metrics.get("roc_aux")
    with pytest.raises(ValueError, match="unknown metric 'zzz': choose one of accuracy, "):
        metrics.get("zzz")
    with pytest.raises(ValueError, match="unknown metric 'roc_auc_micro'"):
        metrics.get("roc_auc_micro")
    with pytest.raises(ValueError, match="task must be 'classification', 'regression' or None"):
        metrics.names("clustering")
    with pytest.raises(TypeError, match=r"a list of names or a dict, got the text 'f1': metrics=\['f1'\]"):
        metrics.named("f1")
    for bad in (metrics.ConfusionMatrix(), metrics.F1(average=None), metrics.R2(multioutput="raw_values"),
                metrics.ROCAUC(average=None)):  # fmt: skip
        with pytest.raises(ValueError, match="metric 'm' is not one number"):
            metrics.named({"m": bad})
    assert set(metrics.names()) == {*metrics.names("classification"), *metrics.names("regression")}
    assert metrics.named({"a": metrics.accuracy, "b": "f1"})["a"] is metrics.accuracy
    assert list(metrics.named(["f1", "mae"])) == ["f1", "mae"]


def test_bootstrap_of_a_mean_is_its_normal_interval():
    x = np.random.default_rng(0).standard_normal(400)
    found = metrics.bootstrap(metrics.mae, x, np.zeros(400), level=0.9, resamples=500)
    error = np.abs(x).std() / 20
    assert found.value == np.abs(x).mean()
    assert abs(found.low - (found.value - 1.645 * error)) < 0.4 * error
    assert abs(found.high - (found.value + 1.645 * error)) < 0.4 * error


def test_bootstrap_is_the_percentile_of_resamples():
    seen = []

    def metric(output, target, sample_weight):
        seen.append((output, target, sample_weight))
        return (output == target) @ sample_weight

    found = metrics.bootstrap(metric, LABELS, LABELS, level=0.8, resamples=20, seed=3, sample_weight=np.ones(30) / 30)
    assert found.value == pytest.approx(1.0)
    values = [float(metric(*given)) for given in seen[:20]]
    assert all(np.array_equal(output, target) for output, target, _ in seen)
    assert (found.low, found.high) == (np.percentile(values, 10), np.percentile(values, 90))


def test_bootstrap_on_each_backend(backend):
    with no_traffic(h2d=2):  # the samples themselves
        found = metrics.bootstrap("f1", backend.asarray(LOGITS), backend.asarray(LABELS), resamples=20, seed=5)
    expected = metrics.bootstrap("f1", LOGITS, LABELS, resamples=20, seed=5)
    for ours, theirs in zip(found, expected, strict=True):
        assert isinstance(ours, backend.array_type)
        np.testing.assert_allclose(to_numpy(ours), theirs, rtol=1e-12)
    assert expected.low <= expected.value <= expected.high
    assert metrics.bootstrap("f1", LOGITS, LABELS, resamples=20, seed=6).low != expected.low


def test_bootstrap_leaves_out_what_has_no_value():
    scores, labels = np.array([0.1, 0.2, 0.9]), np.array([0, 0, 1])  # many resamples lack a class
    found = metrics.bootstrap("roc_auc", scores, labels, resamples=50)
    assert found == (1.0, 1.0, 1.0)
    found = metrics.bootstrap("roc_auc", scores[:1], labels[:1], resamples=3)
    assert np.isnan([float(x) for x in found]).all()
    each = metrics.bootstrap(metrics.F1(average=None), LOGITS, LABELS, resamples=10)
    assert each.low.shape == each.value.shape == (4,)


@pytest.mark.parametrize(("options", "message"), [
    ({"level": 95}, "level must be between 0 and 1"), ({"resamples": 0}, "resamples must be at least 1"),
    ({"sample_weight": np.ones(3)}, "equally many samples"),
])  # fmt: skip
def test_bootstrap_errors(options, message):
    with pytest.raises(ValueError, match=message):
        metrics.bootstrap("f1", LOGITS, LABELS, **options)
