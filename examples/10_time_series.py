"""Forecast a series with sliding windows and prediction intervals.

Why: a forecast that saw the future, or is compared with nothing, proves nothing.
Look at: the errors beside those of forecasts that need no network, and how often the intervals held the truth.

A window of the last 24 months goes into a small MLP, the next 12 come out. What makes such an example right:

- It never looks ahead. The data are split in time; scaler and network are fitted again at every origin, on the data
  known at that time (walk-forward evaluation).
- It is compared with forecasts without a network: the last value, the value a year before, a straight line.
- It reports its uncertainty: intervals computed from the errors of earlier forecasts, and how often they contained the
  observed value.

    python examples/10_time_series.py
    python examples/10_time_series.py --data monthly-sunspots.csv --season 132
"""

from __future__ import annotations

import argparse

import numpy as np

import xpnet
from xpnet import data, nn, optim, plot
from xpnet.lesson import start
from xpnet.nn import functional as F

HORIZON, LEVEL = 12, 0.8


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="FILE", help="CSV with a header, oldest first (default: airline passengers)")
    parser.add_argument("--column", help="the column of the values (default: the last)")
    parser.add_argument("--season", type=int, default=12, metavar="N", help="values in a season (default: 12)")


lesson = start(__doc__, __file__, add_options)
options, season, window = lesson.options, lesson.options.season, 24
own = options.data is not None
try:
    if options.column is not None and not own:
        raise ValueError("--column names a column of the file that --data gives")
    values = data.read_series(options.data, options.column) if own else data.load_airline_passengers()
    test_start = len(values) * 2 // 3  # the last third is used for the evaluation only
    first = max(len(values) * 5 // 12, window + 2 * HORIZON, season)  # the intervals use the errors from here on
    if season < 1 or first + 2 * HORIZON > test_start:
        raise ValueError(f"--season {season} and windows of {window} need a longer series than {len(values)} values")
    if abs(values).max() > 1e12:
        raise ValueError(f"values of up to {abs(values).max():.3g} are too large: give them in a larger unit")
except (ValueError, OSError) as error:
    lesson.refuse(error)

# A network learns relative growth best: for a positive series its inputs are the changes of the logarithm.
if (values > 0).all():
    to_scale, from_scale = np.log, np.exp
else:
    to_scale = from_scale = np.array


def fit(history: np.ndarray, seed: int) -> tuple[nn.Module, data.StandardScaler]:
    """Train on the windows of a history only."""
    xpnet.manual_seed(seed)
    changes = data.difference(to_scale(history))
    scaler = data.StandardScaler().fit(changes)
    x, y = data.sliding_windows(scaler.transform(changes).astype("float32"), window, HORIZON)
    x, y = lesson.backend.asarray(x), lesson.backend.asarray(y)
    model = nn.Sequential(nn.Linear(window, 16), nn.Tanh(), nn.Linear(16, HORIZON))
    optimizer = optim.AdamW(model.named_parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(20 if lesson.quick else 150):  # the best number on the first two thirds
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, scaler


def mlp(seed: int):
    """A forecast for ``walk_forward``: fitted at every origin on the history known at that time."""

    def forecast(history: np.ndarray, horizon: int) -> np.ndarray:
        model, scaler = fit(history, seed)
        known = to_scale(history)
        last = scaler.transform(data.difference(known)[-window:]).astype("float32")
        with xpnet.no_grad():
            made = model(lesson.backend.asarray(last[None])).numpy()[0]
        return from_scale(data.undifference(scaler.inverse_transform(made.astype(float)), known[-1:]))

    return forecast


# 1. Walk forward through the series: at each origin forecast the next 12 values from the values before it.
step = max(1, (len(values) - first) // (24 if lesson.quick else 80))
seeds = [lesson.seed + i for i in range(1 if lesson.quick else 3)]
methods = {"naive": data.naive, "drift": data.drift, f"seasonal naive ({season})": data.seasonal_naive(season)}
runs = {
    name: data.walk_forward(values, method, start=first, horizon=HORIZON, step=step)
    for name, method in (methods | {f"MLP, seed {seed}": mlp(seed) for seed in seeds}).items()
}
origins = runs["naive"].origins
judged = origins >= test_start


def tested(run: data.WalkForward) -> data.WalkForward:
    """The forecasts of the last third, which was not used for any choice."""
    return data.WalkForward(run.origins[judged], run.predicted[judged], run.actual[judged])


lesson.say(f"{len(values)} values; {judged.sum()} forecasts of {HORIZON} steps from value {test_start} on")
for name, run in runs.items():
    lesson.say(f"  {name:22} mean absolute error {tested(run).mae:7.2f}, root mean square {tested(run).rmse:7.2f}")

# 2. Intervals. At each origin only errors that were known at that time are used, so that the intervals do not look
#    ahead. The errors of a growing series grow with it, so they are computed on the logarithm.
run = runs[f"MLP, seed {seeds[0]}"]
errors = data.WalkForward(run.origins, to_scale(run.predicted), to_scale(run.actual))
widths = np.array([data.interval_widths(errors, LEVEL, origin) for origin in origins[judged]])
low, high = from_scale(errors.predicted[judged] - widths), from_scale(errors.predicted[judged] + widths)
known = np.isfinite(widths)  # False where too few errors were known
inside = (low <= run.actual[judged]) & (run.actual[judged] <= high)
coverage = inside[known].mean()
lesson.say(f"{LEVEL:.0%} intervals computed from earlier errors contain {coverage:.1%} of the {known.sum()} values")

# 3. The forecast of the future: fitted on all values, with the errors of the whole walk.
future = mlp(seeds[0])(values, HORIZON)
width = data.interval_widths(errors, LEVEL)
future_low, future_high = from_scale(to_scale(future) - width), from_scale(to_scale(future) + width)
lesson.say(f"next: {future[0]:.4g} ({future_low[0]:.4g} to {future_high[0]:.4g}),")
lesson.say(f"in {HORIZON} steps: {future[-1]:.4g} ({future_low[-1]:.4g} to {future_high[-1]:.4g})")

# 4. Pictures: up to six of the evaluated forecasts, chosen so that they do not overlap.
calendar = {} if own else {"begin": 1949.0, "every": 1 / 12, "unit": "thousand passengers", "time": "year"}
calendar["band"] = f"{LEVEL:.0%} interval"
apart = np.arange(0, judged.sum(), max(1, -(-HORIZON // step)))[-6:]
begin = int(origins[judged][apart][0]) - 2 * HORIZON
made = run.predicted[judged][apart]


def draw_walk():
    where = origins[judged][apart]
    return plot.forecast(values, where, made, low=low[apart], high=high[apart], show=len(values) - begin, **calendar)


def draw_future():
    bounds = {"low": future_low[None], "high": future_high[None]}
    heading = f"The next {HORIZON} values"
    return plot.forecast(values, [len(values)], future[None], **bounds, show=5 * HORIZON, heading=heading, **calendar)


shown = [name for name in runs if not name.startswith("MLP") or runs[name] is run]  # one of the MLPs is enough
lesson.draw("walk_forward", draw_walk)
lesson.draw("future", draw_future)
by_step = {name: tested(runs[name]).mae_by_step for name in shown}
lesson.draw("errors", lambda: plot.errors_by_step(by_step, unit=calendar.get("unit", "")))
lesson.finish(
    {
        "mae": {name: tested(found).mae for name, found in runs.items()},
        "rmse": {name: tested(found).rmse for name, found in runs.items()},
        "level": LEVEL,
        "coverage": coverage,
        "forecast": future.tolist(),
    }
)
