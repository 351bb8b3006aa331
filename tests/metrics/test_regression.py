"""Held to scikit-learn, with weights, several outputs, and targets that never change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.metrics.test_classification import quietly, same
from xpnet import metrics

sk = pytest.importorskip("sklearn.metrics", reason="compared with scikit-learn: pip install 'xpnet[sklearn]'")

SCORES = {
    "mae": sk.mean_absolute_error, "mse": sk.mean_squared_error, "rmse": sk.root_mean_squared_error,
    "mape": sk.mean_absolute_percentage_error, "r2": sk.r2_score, "explained_variance": sk.explained_variance_score,
}  # fmt: skip


@st.composite
def numbers(draw):
    n, m = draw(st.integers(1, 30)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = draw(st.sampled_from([1, 4, 1000]))
    target = rng.integers(-steps, steps + 1, (n, m)) / 4 + 1
    if draw(st.booleans()):
        target[:, 0] = 2.0
    output = target + rng.integers(-steps, steps + 1, (n, m)) / 8 * draw(st.sampled_from([0, 1]))
    return output, target, rng.integers(1, 9, n) / 4 if draw(st.booleans()) else None


@pytest.mark.parametrize("name", SCORES)
@given(numbers(), st.sampled_from(["uniform_average", "raw_values"]))
def test_scores(name, data, multioutput):
    output, target, weight = data
    options = {"sample_weight": weight, "multioutput": multioutput}
    ours = getattr(metrics, name)(output, target, **options)
    theirs = quietly(SCORES[name], target, output, **options)
    if name == "r2" and len(output) == 1:
        theirs = np.full_like(ours, np.nan)
    same(ours, theirs)


@pytest.mark.parametrize("name", SCORES)
def test_columns_and_vectors_fit_each_other(name):
    output, target = np.array([1.0, 2.0, 4.0]), np.array([1, 3, 3])
    function = getattr(metrics, name)
    expected = function(output, target)
    assert expected.shape == ()
    assert function(output[:, None], target) == function(output, target[:, None]) == expected
    assert function(output.astype("float32"), target).dtype == "float64"


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"mae: output \(3, 10\) and target \(3,\) do not fit"):
        metrics.mae(np.zeros((3, 10)), np.zeros(3))
    with pytest.raises(ValueError, match="multioutput must be 'uniform_average' or 'raw_values', got 'mean'"):
        metrics.mse(np.zeros(3), np.zeros(3), multioutput="mean")
    with pytest.raises(ValueError, match=r"sample_weight has shape \(2,\)"):
        metrics.r2(np.zeros(3), np.zeros(3), sample_weight=np.ones(2))
