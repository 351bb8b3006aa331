"""Series: windows, forecasts to compare with, walk-forward evaluation."""

from .airline import load_airline_passengers, read_series
from .forecasting import (
    WalkForward,
    chronological_split,
    difference,
    drift,
    naive,
    seasonal_means,
    seasonal_naive,
    sliding_windows,
    undifference,
    walk_forward,
)
from .intervals import interval_widths

__all__ = [
    "WalkForward",
    "chronological_split",
    "difference",
    "drift",
    "interval_widths",
    "load_airline_passengers",
    "naive",
    "read_series",
    "seasonal_means",
    "seasonal_naive",
    "sliding_windows",
    "undifference",
    "walk_forward",
]
