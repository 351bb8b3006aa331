"""Prediction intervals from the errors of earlier forecasts."""

from __future__ import annotations

import math

import numpy as np

from xpnet.data.series.forecasting import WalkForward


def interval_widths(past: WalkForward, level: float = 0.8, origin: int | None = None) -> np.ndarray:
    """Half the width of an interval that should contain the value with probability ``level``, by step ahead.

    past: earlier forecasts (K, horizon) -> (horizon,).  The result is the ⌈(n + 1) level⌉-th smallest of the n absolute
    errors h steps ahead.  Only errors that were known at ``origin`` are used, those of values before it (None: all of
    ``past``).  NaN if n is too small for this level.  Source: Vovk, Gammerman & Shafer 2005, "Algorithmic learning in a
    random world" (split conformal prediction).  The guarantee requires exchangeable errors, which errors of a series
    are only approximately, so measure the coverage.

    >>> past = WalkForward(np.arange(4), np.zeros((4, 1)), np.array([[3.0], [1.0], [4.0], [2.0]]))
    >>> interval_widths(past, 0.8).tolist(), interval_widths(past, 0.5, origin=3).tolist()
    ([4.0], [3.0])
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, e.g. 0.8, got {level!r}")
    if past.errors.ndim != 2:
        raise ValueError(f"interval_widths is for one series, got errors of shape {past.errors.shape}")
    errors = np.abs(past.errors)
    widths = np.full(errors.shape[1], math.nan)
    for step in range(errors.shape[1]):
        known = errors[past.origins + step < (math.inf if origin is None else origin), step]
        rank = math.ceil((len(known) + 1) * level - 1e-9)  # in floating point 0.8 * 5 is slightly more than 4
        if rank <= len(known):
            widths[step] = np.sort(known)[rank - 1]
    return widths
