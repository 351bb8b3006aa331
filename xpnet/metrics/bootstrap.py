"""Confidence intervals of metrics by resampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from xpnet.tensor import TensorLike
from xpnet_backends import Array, backend_of
from xpnet_backends.random import Stream

from ._inputs import raw
from .registry import get


class Interval(NamedTuple):
    """A value on all samples, and the ends of its confidence interval; arrays of the samples' backend."""

    value: Array
    low: Array
    high: Array


def bootstrap(
    metric: str | Callable[..., Any],
    output: TensorLike,
    target: TensorLike,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    sample_weight: TensorLike | None = None,
    **options: Any,
) -> Interval:
    """The percentile interval of ``metric(output, target)``.

    Resample i draws N of the N samples, with replacement, from ``Stream(seed, "metrics.bootstrap", i)``, so that the
    same seed gives the same interval on every backend.  Resamples without a value (NaN) are left out.

    Parameters
    ----------
    metric : a function, a metric or its name.  A name stands for ``get(name, **options)``, which takes logits; give
        ``logits=False`` for probabilities.
    level : the confidence level.
    resamples, seed : number of resamples, and the seed of their random numbers.
    sample_weight : weights (N,) of the samples.

    Source: Efron 1979, "Bootstrap methods: another look at the jackknife".
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"bootstrap: level must be between 0 and 1, e.g. 0.95, got {level!r}")
    if resamples < 1:
        raise ValueError(f"bootstrap: resamples must be at least 1, got {resamples!r}")
    if options and not isinstance(metric, str):
        raise TypeError(
            f"bootstrap: {', '.join(options)} are options of a metric by name: give them to the metric itself"
        )
    function = get(metric, **options) if isinstance(metric, str) else metric
    arrays = [raw(x) for x in (output, target, sample_weight) if x is not None]
    backend = backend_of(*arrays)
    count = len(arrays[0])
    if not count or any(len(x) != count for x in arrays):
        raise ValueError(f"bootstrap: expected equally many samples, at least one, got {[len(x) for x in arrays]}")

    def measure(given: list[Array]) -> Array:
        weight = {"sample_weight": given[2]} if len(given) > 2 else {}
        return backend.xp.asarray(function(given[0], given[1], **weight))

    values = []
    for i in range(resamples):
        picked = Stream(seed, "metrics.bootstrap", i).integers(backend, count, high=count)
        values.append(measure([x[picked] for x in arrays]))
    low, high = _percentiles(backend.xp, backend.xp.stack(values), (1.0 - level) / 2.0, (1.0 + level) / 2.0)
    value = measure(arrays)
    low, high = (backend.xp.where(backend.xp.isnan(value), math.nan, end) for end in (low, high))
    return Interval(value, low, high)


def _percentiles(xp: Any, values: Array, *shares: float) -> list[Array]:
    """Percentiles along axis 0 without NaN, linear between the values.  values (B, ...) -> (...) each."""
    ranked = xp.sort(values, axis=0)  # NaN comes last
    last = (~xp.isnan(ranked)).sum(axis=0, keepdims=True) - 1
    found = []
    for share in shares:
        place = xp.maximum(last, 0) * share
        below = xp.floor(place).astype("int64")
        above = xp.minimum(below + 1, xp.maximum(last, 0))
        a, b = xp.take_along_axis(ranked, below, 0), xp.take_along_axis(ranked, above, 0)
        found.append(xp.asarray(xp.where(last < 0, math.nan, a + (b - a) * (place - below))[0]))
    return found
