"""Forecast twelve months with recurrent networks: RNN, LSTM and GRU, compared with each other and with baselines.

Why: one lucky seed, or a missing baseline, makes any network look good on a series.
Look at: how many seeds of each network are better than the seasonal naive forecast.

A recurrent layer reads the last 24 months one by one; from its last state a linear layer gives the next 12 at once
(so that no forecast is fed back as if it were known). Every network is fitted anew at every origin of a walk forward
through the last third of the series, scaler included, on what was known there, and several times: one seed proves
nothing. The baselines of example 10 forecast the same months.

    python examples/14_forecasting.py
    python examples/14_forecasting.py --data monthly-sunspots.csv --season 132
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

import xpnet
from xpnet import data, nn, optim, plot
from xpnet.lesson import positive, start
from xpnet.nn import functional as F

WINDOW, HORIZON, HIDDEN = 24, 12, 16


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="FILE", help="CSV with a header, oldest first (default: airline passengers)")
    parser.add_argument("--column", help="the column of the values (default: the last)")
    parser.add_argument("--season", type=positive, default=12, metavar="N", help="values in a season (default: 12)")
    parser.add_argument("--seeds", type=positive, default=3, metavar="N", help="runs of each network (default: 3)")


lesson = start(__doc__, __file__, add_options)
options, season = lesson.options, lesson.options.season
own = options.data is not None
try:
    if options.column is not None and not own:
        raise ValueError("--column names a column of the file that --data gives")
    values = data.read_series(options.data, options.column) if own else data.load_airline_passengers()
    least = max(6 * HORIZON, 2 * season)
    if len(values) < least:
        raise ValueError(f"at least {least} values and two seasons are needed: there are {len(values)} values")
    if abs(values).max() > 1e12:
        raise ValueError(f"values of up to {abs(values).max():.3g} are too large: give them in a larger unit")
except (ValueError, OSError) as error:
    lesson.refuse(error)

# For a positive series the inputs are the changes of the logarithm, in which all years look alike.
if (values > 0).all():
    to_scale, from_scale = np.log, np.exp
else:
    to_scale = from_scale = np.array


class Forecaster(nn.Module):
    """A recurrent layer over the window, and the horizon from its last output.  x (N, T) -> (N, horizon)."""

    def __init__(self, cell: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.cell = cell(1, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, HORIZON)

    def forward(self, x):
        outputs, _ = self.cell(x[:, :, None])  # (N, T, hidden)
        return self.head(outputs[:, -1])


def fit(make: Callable[[], nn.Module], history: np.ndarray, seed: int) -> tuple[nn.Module, data.StandardScaler]:
    """Train on all windows of a history; the scaler is fitted on this history too."""
    xpnet.manual_seed(seed)
    model = make()
    changes = data.difference(to_scale(history))
    scaler = data.StandardScaler().fit(changes)
    x, y = data.sliding_windows(scaler.transform(changes).astype("float32"), WINDOW, HORIZON)
    x, y = lesson.backend.asarray(x), lesson.backend.asarray(y)
    optimizer = optim.AdamW(model.named_parameters(), lr=0.01, weight_decay=0.01)
    for _ in range(25 if lesson.quick else 150):  # the best number on the first two thirds
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # the gradient of a long sequence may explode
        optimizer.step()
    return model, scaler


def forecaster(make: Callable[[], nn.Module], seed: int) -> Callable[[np.ndarray, int], np.ndarray]:
    """A forecast for ``walk_forward``."""

    def forecast(history: np.ndarray, horizon: int) -> np.ndarray:
        model, scaler = fit(make, history, seed)
        known = to_scale(history)
        window = scaler.transform(data.difference(known)[-WINDOW:]).astype("float32")
        with xpnet.no_grad():
            made = model(lesson.backend.asarray(window[None])).numpy()[0]
        return from_scale(data.undifference(scaler.inverse_transform(made.astype(float)), known[-1:]))

    return forecast


test_start = len(values) * 2 // 3  # the values after this were not used for any choice
step = max(HORIZON if lesson.quick else HORIZON // 4, (len(values) - test_start) // 12)


def walk(forecast: Callable[[np.ndarray, int], np.ndarray]) -> data.WalkForward:
    """A forecast every ``step`` values, each from the data known at that time."""
    return data.walk_forward(values, forecast, start=test_start, horizon=HORIZON, step=step)


baselines = {"naive": data.naive, "drift": data.drift, "seasonal naive": data.seasonal_naive(season)}
networks = {
    "MLP": lambda: nn.Sequential(nn.Linear(WINDOW, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HORIZON)),
    "RNN": lambda: Forecaster(nn.RNN),
    "LSTM": lambda: Forecaster(nn.LSTM),
    "GRU": lambda: Forecaster(nn.GRU),
}
seeds = [lesson.seed + i for i in range(1 if lesson.quick else options.seeds)]
runs = {name: [walk(method)] for name, method in baselines.items()}
origins = runs["naive"][0].origins
lesson.say(
    f"{len(origins)} forecasts of {HORIZON} steps, from value {test_start} of {len(values)} on; mean absolute error:"
)
for name, (run,) in runs.items():
    lesson.say(f"  {name:15} {run.mae:7.2f}")
best = runs["seasonal naive"][0].mae
for name, make in networks.items():
    runs[name] = [walk(forecaster(make, seed)) for seed in seeds]
    errors = [run.mae for run in runs[name]]
    better = sum(error < best for error in errors)
    lesson.say(
        f"  {name:15} {np.mean(errors):7.2f} ({min(errors):.2f} to {max(errors):.2f}; "
        f"better than seasonal naive: {better} of {len(seeds)} seeds)"
    )


calendar = {} if own else {"begin": 1949.0, "every": 1 / 12, "unit": "thousand passengers", "time": "year"}


def draw_forecasts():
    """Up to four origins, so far apart that their forecasts do not overlap."""
    apart = np.arange(0, len(origins), max(1, -(-HORIZON // step)))[-4:]
    made = {name: runs[name][0].predicted[apart] for name in ("seasonal naive", "RNN", "LSTM", "GRU")}
    show = len(values) - int(origins[apart[0]]) + HORIZON
    heading = "Forecasts, made at the dashed lines"
    return plot.forecast(values, origins[apart], made, show=show, heading=heading, **calendar)


shown = [name for name in runs if name not in ("naive", "drift")]
by_step = {name: np.mean([run.mae_by_step for run in found], axis=0) for name, found in runs.items()}
lesson.draw("forecasts", draw_forecasts)
by_step_shown = {name: by_step[name] for name in shown}
lesson.draw("errors", lambda: plot.errors_by_step(by_step_shown, unit=calendar.get("unit", "")))
lesson.finish(
    {
        "mae": {name: [run.mae for run in found] for name, found in runs.items()},
        "rmse": {name: [run.rmse for run in found] for name, found in runs.items()},
        "mae_by_step": {name: errors.tolist() for name, errors in by_step.items()},
    }
)
