"""Windows, splits, differences, baselines, walk-forward: right, and never ahead of time."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from xpnet.data import (
    chronological_split,
    difference,
    drift,
    naive,
    read_table,
    seasonal_means,
    seasonal_naive,
    sliding_windows,
    undifference,
    walk_forward,
)
from xpnet_backends import to_numpy

SMALL = st.integers(1, 6)


@given(st.integers(2, 40), SMALL, SMALL, SMALL, st.booleans())
def test_windows_are_what_the_loop_cuts(n, length, horizon, step, columns):
    assume(n >= length + horizon)
    values = np.arange(n * 2).reshape(n, 2) if columns else np.arange(n)
    inputs, targets = sliding_windows(values, length, horizon, step)
    starts = range(0, n - length - horizon + 1, step)
    np.testing.assert_array_equal(inputs, [values[i : i + length] for i in starts])
    np.testing.assert_array_equal(targets, [values[i + length : i + length + horizon] for i in starts])
    assert inputs.max() < targets.max()
    inputs[:] = -1
    assert values.min() == 0, "windows are copies"


def test_windows_on_a_backend(backend):
    inputs, targets = sliding_windows(backend.asarray(np.arange(5, dtype=np.float32)), 2)
    assert to_numpy(inputs).tolist() == [[0, 1], [1, 2], [2, 3]]
    assert to_numpy(targets).tolist() == [[2], [3], [4]]
    assert inputs.dtype == "float32"


@given(st.integers(4, 60), SMALL, SMALL, st.integers(0, 4))
def test_parts_follow_each_other(n, first, second, context):
    assume(n - first - second >= max(1, context))
    values = np.arange(n)
    train, val, test = chronological_split(values, first, second, context=context)
    np.testing.assert_array_equal(np.concatenate([train, val[context:], test[context:]]), values)
    assert (len(val), len(test)) == (first + context, second + context)
    if context:
        _, targets = sliding_windows(test, context)
        np.testing.assert_array_equal(targets[:, 0], values[-second:])


def test_shares_and_counts():
    assert [len(part) for part in chronological_split(np.arange(144), 0.1, 24)] == [106, 14, 24]


@given(st.lists(st.integers(-99, 99), min_size=2, max_size=30), SMALL)
def test_a_difference_is_undone(values, lag):
    assume(len(values) > lag)
    made = difference(values, lag)
    np.testing.assert_array_equal(made, [values[i + lag] - values[i] for i in range(len(values) - lag)])
    assert undifference(made, values[:lag]).tolist() == values[lag:]


def test_differences_of_unsigned_numbers_and_columns(backend):
    assert difference(np.array([3, 1], dtype=np.uint8)).tolist() == [-2]
    values = backend.asarray(np.arange(12.0).reshape(6, 2) ** 2)
    back = undifference(difference(values, 4), values[:4])
    np.testing.assert_allclose(to_numpy(back), to_numpy(values)[4:])


def test_a_season_is_found_and_taken_out():
    season = np.array([0.0, 3.0, -3.0])
    values = 10.0 + np.tile(season, 5)
    np.testing.assert_allclose(seasonal_means(values, 3), season)
    np.testing.assert_allclose(values - seasonal_means(values[:9], 3)[np.arange(15) % 3], 10.0)
    assert seasonal_means(np.ones((6, 2)), 3).shape == (3, 2)


def test_baselines():
    values = [1.0, 2.0, 4.0]
    assert naive(values, 2).tolist() == [4.0, 4.0]
    assert seasonal_naive(2)(values, 5).tolist() == [2.0, 4.0, 2.0, 4.0, 2.0]
    assert drift(values, 2).tolist() == [5.5, 7.0]
    rows = np.array([[1.0, 10.0], [3.0, 10.0]])
    assert drift(rows, 2).tolist() == [[5.0, 10.0], [7.0, 10.0]]
    assert seasonal_naive(2)(rows, 3).shape == naive(rows, 3).shape == (3, 2)


@given(st.integers(3, 40), st.integers(1, 10), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_a_forecast_sees_the_past_and_nothing_else(n, start, horizon, step, rolling):
    assume(n >= start + horizon)
    values, seen = np.arange(float(n)), []

    def spy(history, ahead):
        seen.append(history.tolist())
        assert history.base is None, "a copy: there is no way from it to what comes"
        history[:] = np.nan
        return np.zeros(ahead)

    result = walk_forward(values, spy, start=start, horizon=horizon, step=step, window=start if rolling else None)
    origins = list(range(start, n - horizon + 1, step))
    assert result.origins.tolist() == origins
    assert seen == [values[t - start if rolling else 0 : t].tolist() for t in origins]
    np.testing.assert_array_equal(result.actual, [values[t : t + horizon] for t in origins])


def test_changing_the_future_changes_no_forecast():
    rng = np.random.default_rng(0)
    values, changed = rng.normal(size=30), rng.normal(size=30)
    changed[:20] = values[:20]
    for forecast in (naive, seasonal_naive(4), drift):
        found = [walk_forward(v, forecast, start=10, horizon=3).predicted for v in (values, changed)]
        np.testing.assert_array_equal(found[0][:4], found[1][:4])  # origins 10 to 19


def test_errors_by_hand():
    result = walk_forward([1, 2, 4, 8], naive, start=1, horizon=2, step=1)
    assert result.predicted.tolist() == [[1, 1], [2, 2]]
    assert result.actual.tolist() == [[2, 4], [4, 8]]
    assert result.mae == (1 + 3 + 2 + 6) / 4
    assert result.rmse == np.sqrt((1 + 9 + 4 + 36) / 4)
    assert result.mae_by_step.tolist() == [1.5, 4.5]


SERIES = np.arange(10.0)


@pytest.mark.parametrize(("use", "match"), [
    (lambda: sliding_windows(SERIES, 8, 3), "a window of 8 and a horizon of 3 need 11 values, the series has 10"),
    (lambda: sliding_windows(SERIES, 0), "length must be a whole number >= 1, got 0"),
    (lambda: sliding_windows(SERIES, 2, 1.5), "horizon must be a whole number >= 1, got 1.5"),
    (lambda: sliding_windows(SERIES, 2, step=True), "step must be a whole number >= 1, got True"),
    (lambda: sliding_windows(["a", "b"], 1), r"a series must be numbers \(T,\) or \(T, F\), got <U1"),
    (lambda: chronological_split(SERIES), "say how large the later parts are"),
    (lambda: chronological_split(SERIES, 1.5), "a share must lie between 0 and 1, got 1.5"),
    (lambda: chronological_split(SERIES, 0.01), "a part must be a whole number >= 1, got 0"),
    (lambda: chronological_split(SERIES, 6, 4), r"parts of \[6, 4\] leave 0 of 10 values"),
    (lambda: chronological_split(SERIES, 6, context=5), r"parts of \[6\] leave 4 of 10 values"),
    (lambda: difference(SERIES, 10), "a difference with lag 10 needs more than 10 values, the series has 10"),
    (lambda: undifference(SERIES, []), "needs the values before the first difference"),
    (lambda: seasonal_means(SERIES, 12), "a season of 12 needs at least as many values, the series has 10"),
    (lambda: seasonal_naive(12)(SERIES, 1), "a season of 12 needs at least as many values, the history has 10"),
    (lambda: drift([1.0], 1), "drift needs at least two values, the history has 1"),
    (lambda: naive(SERIES, 0), "horizon must be a whole number >= 1, got 0"),
    (lambda: walk_forward(SERIES, naive, start=10), "start 10 and horizon 1 need 11 values, there are 10"),
    (lambda: walk_forward(SERIES, naive, start=3, window=4), "a window of 4 values does not fit before the first origin"),
    (lambda: walk_forward(SERIES, lambda h, n: [0.0], start=3, horizon=2), r"forecast at origin 3 must have shape \(2,\), got \(1,\)"),
    (lambda: walk_forward(SERIES, lambda h, n: [np.nan], start=3), "the forecast at origin 3 is not finite"),
])  # fmt: skip
def test_what_is_wrong(use, match):
    with pytest.raises(ValueError, match=match):
        use()


def test_airline_passengers(data_dir):
    path = data_dir / "timeseries/airline-passengers.csv"
    if not path.exists():
        pytest.skip("XPNET_DATA has no timeseries/")
    values = read_table(path).numbers("Passengers")
    assert (len(values), values[0], values[-1]) == (144, 112.0, 432.0)
    last_years = {name: walk_forward(values, f, start=96, horizon=12).rmse
                  for name, f in (("naive", naive), ("seasonal", seasonal_naive(12)), ("drift", drift))}  # fmt: skip
    assert last_years["seasonal"] < last_years["drift"] < last_years["naive"]


def test_a_long_float32_series_comes_back_from_its_differences(backend):
    """Rounded at every step, the sum of 200,000 steps would be off by a thousandth."""
    steps = np.full(200_000, 0.1, np.float32)
    found = undifference(backend.asarray(steps), backend.asarray(np.zeros(1, np.float32)))
    assert found.dtype == "float32"
    assert float(found[-1]) == pytest.approx(float(np.float32(0.1)) * 200_000, rel=1e-6)
    assert undifference([1, 2, 3], [1]).dtype == "int64"
