"""Scalers: equal to scikit-learn's, fitted on the training part only."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xpnet.data import MinMaxScaler, StandardScaler
from xpnet_backends import to_numpy

SCALERS = [StandardScaler, MinMaxScaler, lambda: MinMaxScaler((-1.0, 3.0))]
by_scaler = pytest.mark.parametrize("make", SCALERS, ids=["standard", "minmax", "minmax(-1, 3)"])
TABLES = arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.floats(-1e6, 1e6))


@by_scaler
@pytest.mark.parametrize("constant", [False, True])
def test_equal_to_scikit_learn(make, constant):
    sklearn = pytest.importorskip("sklearn.preprocessing", reason="compares with scikit-learn")
    rng = np.random.default_rng(0)
    train, later = rng.normal(5, 3, (20, 4)), rng.normal(5, 3, (6, 4))
    if constant:
        train[:, 1] = 0.1
    ours = make()
    options = {} if isinstance(ours, StandardScaler) else {"feature_range": ours.feature_range}
    theirs = getattr(sklearn, type(ours).__name__)(**options).fit(train)
    np.testing.assert_allclose(ours.fit(train).transform(later), theirs.transform(later), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(ours.inverse_transform(later), theirs.inverse_transform(later), rtol=1e-12)


@by_scaler
@given(TABLES)
def test_round_trip(make, x):
    scaler = make()
    y = scaler.fit_transform(x)
    assert np.isfinite(y).all()
    np.testing.assert_allclose(scaler.inverse_transform(y), x, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(x).max()))
    again = type(scaler).from_state(json.loads(json.dumps(scaler.state())))
    np.testing.assert_array_equal(again.transform(x), y)


@by_scaler
def test_a_series_and_dtypes(make, backend):
    scaler = make().fit([1.0, 2.0, 4.0])
    for dtype in ("float32", "float64"):
        x = backend.asarray(np.array([1.0, 3.0], dtype=dtype))
        y = scaler.transform(x)
        assert y.dtype == scaler.inverse_transform(y).dtype == dtype
        np.testing.assert_allclose(to_numpy(scaler.inverse_transform(y)), [1.0, 3.0], rtol=1e-6)
    assert scaler.transform([1, 2]).dtype == np.float64
    assert scaler.transform(np.ones((2, 3))).shape == (2, 3)


def test_what_it_learned_does_not_depend_on_what_comes_later():
    train, scaler = np.arange(10.0), StandardScaler()
    scaler.fit(train)
    before = scaler.state()
    scaler.transform(np.full(5, 1e9))
    assert scaler.state() == before == {"shift": 4.5, "scale": float(train.std())}


@pytest.mark.parametrize(("use", "match"), [
    (lambda: StandardScaler().transform([1.0]), "StandardScaler knows nothing yet: call fit"),
    (lambda: MinMaxScaler().state(), "MinMaxScaler knows nothing yet: call fit"),
    (lambda: StandardScaler().fit([]), r"needs at least one value, got shape \(0,\)"),
    (lambda: StandardScaler().fit(3.0), "needs at least one value"),
    (lambda: StandardScaler().fit([[1.0, 2.0], [3.0, np.nan]]), r"StandardScaler\.fit: nan at \(1, 1\): fill"),
    (lambda: MinMaxScaler().fit([1.0, np.inf]), r"MinMaxScaler\.fit: inf at \(1,\)"),
    (lambda: StandardScaler().fit(np.ones((3, 2))).transform(np.ones((3, 4))), r"fitted on 2 columns, got shape \(3, 4\)"),
    (lambda: MinMaxScaler((1, 1)), r"feature_range must be \(low, high\) with low < high, got \(1, 1\)"),
])  # fmt: skip
def test_what_is_wrong(use, match):
    with pytest.raises(ValueError, match=match):
        use()
