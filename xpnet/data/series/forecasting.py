"""Time series: windows, chronological splits, baselines, and walk-forward evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from xpnet_backends import Array, backend_of, is_array, to_numpy

Forecast = Callable[[np.ndarray, int], Any]
"""``forecast(history (T, ...), horizon) -> (horizon, ...)``: the predicted values after the history."""


def _series(values: Any) -> Array:
    array = values if is_array(values) else np.asarray(values)
    if not array.ndim or array.dtype.kind not in "iuf":
        raise ValueError(f"a series must be numbers (T,) or (T, F), got {array.dtype} of shape {array.shape}")
    return array


def _count(name: str, value: Any, least: int = 1) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
    return int(value)


def sliding_windows(values: Any, length: int, horizon: int = 1, step: int = 1) -> tuple[Array, Array]:
    """Windows of ``length`` values, and the ``horizon`` values after each; windows start every ``step`` values.

    values (T, ...) -> (N, length, ...) and (N, horizon, ...), N = ⌊(T − length − horizon) / step⌋ + 1.

    Split a series before making windows, because windows overlap the next part otherwise.

    >>> [part.tolist() for part in sliding_windows([1, 2, 3, 4], length=2)]
    [[[1, 2], [2, 3]], [[3], [4]]]
    """
    array = _series(values)
    length, horizon, step = _count("length", length), _count("horizon", horizon), _count("step", step)
    count = (len(array) - length - horizon) // step + 1
    if len(array) < length + horizon:
        raise ValueError(
            f"a window of {length} and a horizon of {horizon} need {length + horizon} values, "
            f"the series has {len(array)}"
        )
    xp: Any = backend_of(array).xp
    starts = xp.arange(count)[:, None] * step
    return array[starts + xp.arange(length)], array[starts + length + xp.arange(horizon)]


def chronological_split(values: Any, *parts: float, context: int = 0) -> tuple[Array, ...]:
    """Split a series in time into a first part and ``len(parts)`` later parts, given as shares or numbers of values.

    Each later part starts with the ``context`` values before it, so that its first window predicts its own first value.
    These are inputs and never targets, so nothing leaks.

    >>> [part.tolist() for part in chronological_split([1, 2, 3, 4, 5, 6], 1, 2, context=1)]
    [[1, 2, 3], [3, 4], [4, 5, 6]]
    """
    array = _series(values)
    context = _count("context", context, 0)
    if not parts:
        raise ValueError("say how large the later parts are, e.g. chronological_split(values, 0.1, 0.2)")
    counts = [_part(part, len(array)) for part in parts]
    first = len(array) - sum(counts)
    if first < max(1, context):
        raise ValueError(f"parts of {counts} leave {first} of {len(array)} values to train on: make them smaller")
    bounds = np.cumsum([first, *counts]).tolist()
    return (array[:first], *(array[a - context : b] for a, b in pairwise(bounds)))


def _part(part: float, total: int) -> int:
    share = isinstance(part, float)
    if share and not 0.0 < part < 1.0:
        raise ValueError(f"a share must lie between 0 and 1, got {part!r}")
    return _count("a part", round(part * total) if share else part)


def difference(values: Any, lag: int = 1) -> Array:
    """``dₜ = xₜ₊lag − xₜ``: removes the trend (lag 1) or the season (lag = its period).  (T,) -> (T − lag,)."""
    array, lag = _series(values), _count("lag", lag)
    if len(array) <= lag:
        raise ValueError(f"a difference with lag {lag} needs more than {lag} values, the series has {len(array)}")
    array = array.astype("int64") if array.dtype.kind == "u" else array  # unsigned numbers would wrap
    return array[lag:] - array[:-lag]


def undifference(differences: Any, before: Any) -> Array:
    """The inverse of ``difference``, from the ``lag`` values before the first: ``xₜ₊lag = xₜ + dₜ``.

    differences (N, ...), before (lag, ...) -> (N, ...).

    >>> undifference(difference([1, 4, 9, 16], lag=2), before=[1, 4]).tolist()
    [9, 16]
    """
    steps, start = _series(differences), _series(before)
    lag, n = len(start), len(steps)
    if not lag:
        raise ValueError("undifference needs the values before the first difference, as many as the lag")
    xp: Any = backend_of(steps).xp
    filled = xp.zeros((-n % lag, *steps.shape[1:]), dtype=steps.dtype)
    rows = xp.concatenate([steps, filled]).reshape(-1, lag, *steps.shape[1:])  # one season per row
    if rows.dtype.kind != "f":
        return (start + xp.cumsum(rows, axis=0)).reshape(-1, *steps.shape[1:])[:n]
    values = start + xp.cumsum(rows, axis=0, dtype="float64")  # in float32, rounding errors would accumulate
    return values.reshape(-1, *steps.shape[1:])[:n].astype(np.result_type(start.dtype, rows.dtype))


def seasonal_means(values: Any, period: int) -> np.ndarray:
    """The mean deviation from the overall mean at each position of the season.  (T, ...) -> (period, ...).

    Compute it on the training part: ``values - seasonal_means(train, 12)[np.arange(len(values)) % 12]``.
    """
    array: np.ndarray = to_numpy(_series(values)).astype(np.float64)
    period = _count("period", period)
    if len(array) < period:
        raise ValueError(f"a season of {period} needs at least as many values, the series has {len(array)}")
    means: np.ndarray = np.stack([array[place::period].mean(axis=0) for place in range(period)])
    return np.asarray(means - array.mean(axis=0))


# -- baselines -------------------------------------------------------------------------------------------------------


def naive(history: Any, horizon: int) -> np.ndarray:
    """Forecast the last value for every step."""
    array = to_numpy(_series(history))
    return np.asarray(np.repeat(array[-1:], _count("horizon", horizon), axis=0))


def seasonal_naive(period: int) -> Forecast:
    """A forecast for ``walk_forward`` that repeats the last season."""
    period = _count("period", period)

    def forecast(history: Any, horizon: int) -> np.ndarray:
        array = to_numpy(_series(history))
        if len(array) < period:
            raise ValueError(f"a season of {period} needs at least as many values, the history has {len(array)}")
        return array[-period:][np.arange(_count("horizon", horizon)) % period]

    return forecast


def drift(history: Any, horizon: int) -> np.ndarray:
    """Extrapolate the line through the first and the last value: ``x_T + h (x_T − x₁) / (T − 1)``."""
    array = to_numpy(_series(history)).astype(np.float64)
    if len(array) < 2:
        raise ValueError(f"drift needs at least two values, the history has {len(array)}")
    steps = np.arange(1, _count("horizon", horizon) + 1).reshape(-1, *(1,) * (array.ndim - 1))
    return np.asarray(array[-1] + steps * ((array[-1] - array[0]) / (len(array) - 1)))


# -- evaluation ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WalkForward:
    """Forecasts made at ``origins`` (K,), and the observed values: ``predicted`` and ``actual`` (K, horizon, ...)."""

    origins: np.ndarray
    predicted: np.ndarray
    actual: np.ndarray

    @property
    def errors(self) -> np.ndarray:
        """Predicted minus actual."""
        return np.asarray(self.predicted - self.actual)

    @property
    def mae(self) -> float:
        """Mean absolute error."""
        return float(np.abs(self.errors).mean())

    @property
    def rmse(self) -> float:
        """Root of the mean squared error."""
        return float(np.sqrt(np.square(self.errors).mean()))

    @property
    def mae_by_step(self) -> np.ndarray:
        """Mean absolute error one step ahead, two steps ahead, ...: (horizon,)."""
        by_step: np.ndarray = np.abs(self.errors).reshape(*self.errors.shape[:2], -1).mean(axis=(0, 2))
        return by_step


def walk_forward(
    values: Any, forecast: Forecast, *, start: int, horizon: int = 1, step: int | None = None, window: int | None = None
) -> WalkForward:
    """Evaluate a forecast at many origins, each with the data known at that time.

    The first origin is ``start``, the others follow every ``step`` values (by default ``horizon``).  At origin t the
    forecast gets a copy of ``values[:t]`` (expanding), or of the last ``window`` values before t (rolling), so it
    cannot look ahead.  Scaling and fitting must happen inside it, or before ``start``.

    >>> walk_forward([1, 2, 3, 4, 5, 6], naive, start=3).mae
    1.0

    Raises: ``ValueError`` if the series is too short, or a forecast has the wrong shape or is not finite.
    """
    array = to_numpy(_series(values)).astype(np.float64)
    start, horizon = _count("start", start), _count("horizon", horizon)
    step = horizon if step is None else _count("step", step)
    if window is not None and _count("window", window) > start:
        raise ValueError(f"a window of {window} values does not fit before the first origin, {start}")
    origins = np.arange(start, len(array) - horizon + 1, step)
    if not origins.size:
        raise ValueError(f"start {start} and horizon {horizon} need {start + horizon} values, there are {len(array)}")
    predicted = [
        _ask(forecast, array[0 if window is None else t - window : t].copy(), horizon, t) for t in origins.tolist()
    ]
    actual = array[origins[:, None] + np.arange(horizon)]
    return WalkForward(origins, np.stack(predicted), actual)


def _ask(forecast: Forecast, history: np.ndarray, horizon: int, origin: int) -> np.ndarray:
    expected = (horizon, *history.shape[1:])
    found = forecast(history, horizon)
    made = to_numpy(found) if is_array(found) else np.asarray(found, dtype=np.float64)
    if made.shape != expected:
        raise ValueError(f"the forecast at origin {origin} must have shape {expected}, got {made.shape}")
    if not np.isfinite(made).all():
        raise ValueError(f"the forecast at origin {origin} is not finite: {made.ravel()[:4]}")
    return np.asarray(made, dtype=np.float64)
