"""Regression metrics.

``output`` and ``target`` are (N,) or (N, 1), or (N, M) for M values per sample; ``multioutput`` selects the mean over
the M values ("uniform_average") or one result for each, (M,) ("raw_values").
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import numpy as np

from xpnet.tensor import TensorLike
from xpnet_backends import Array

from . import _inputs
from ._inputs import Part, divide, namespace, raw

MultiOutput: TypeAlias = Literal["uniform_average", "raw_values"]


def _columns(name: str, output: TensorLike, target: TensorLike) -> tuple[Array, Array]:
    """Both as (N, M), float64; (N,) and (N, 1) match and are never broadcast to (N, N)."""
    output, target = raw(output), raw(target)
    namespace(output, target)
    columns = [x[:, None] if x.ndim == 1 else x for x in (output, target)]
    if columns[0].shape != columns[1].shape or columns[0].ndim != 2:
        raise ValueError(
            f"{name}: output {tuple(output.shape)} and target {tuple(target.shape)} do not fit: expected (N,) or "
            "(N, M) of both"
        )
    return columns[0].astype("float64"), columns[1].astype("float64")


def _over_outputs(values: Array, multioutput: MultiOutput) -> Array:
    if multioutput not in ("uniform_average", "raw_values"):
        raise ValueError(f"multioutput must be 'uniform_average' or 'raw_values', got {multioutput!r}")
    return values if multioutput == "raw_values" else namespace(values).asarray(values.mean())


def mean_value(part: Part, *, multioutput: MultiOutput = "uniform_average") -> Array:
    """The mean over the samples."""
    return _over_outputs(_inputs.mean(part), multioutput)


def mae(
    output: TensorLike,
    target: TensorLike,
    *,
    sample_weight: TensorLike | None = None,
    multioutput: MultiOutput = "uniform_average",
) -> Array:
    """Mean absolute error, ``|y − ŷ|``."""
    return mean_value(mae_part(output, target, sample_weight), multioutput=multioutput)


def mae_part(output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None) -> Part:
    """The sum of absolute errors."""
    guess, y = _columns("mae", output, target)
    return _inputs.weighted_sum(abs(y - guess), _inputs.weights("mae", sample_weight, len(y)))


def mse(
    output: TensorLike,
    target: TensorLike,
    *,
    sample_weight: TensorLike | None = None,
    multioutput: MultiOutput = "uniform_average",
) -> Array:
    """Mean squared error, ``(y − ŷ)²``."""
    return mean_value(mse_part(output, target, sample_weight), multioutput=multioutput)


def mse_part(output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None) -> Part:
    """The sum of squared errors."""
    guess, y = _columns("mse", output, target)
    return _inputs.weighted_sum((y - guess) ** 2, _inputs.weights("mse", sample_weight, len(y)))


def rmse(
    output: TensorLike,
    target: TensorLike,
    *,
    sample_weight: TensorLike | None = None,
    multioutput: MultiOutput = "uniform_average",
) -> Array:
    """``√mse``, in the units of y."""
    return rmse_value(mse_part(output, target, sample_weight), multioutput=multioutput)


def rmse_value(part: Part, *, multioutput: MultiOutput = "uniform_average") -> Array:
    """The root of each output's mean."""
    means = _inputs.mean(part)
    return _over_outputs(namespace(means).sqrt(means), multioutput)


def mape(
    output: TensorLike,
    target: TensorLike,
    *,
    sample_weight: TensorLike | None = None,
    multioutput: MultiOutput = "uniform_average",
) -> Array:
    """Mean absolute percentage error, ``|y − ŷ| / |y|``: 0.1 is ten percent; very large where y is 0."""
    return mean_value(mape_part(output, target, sample_weight), multioutput=multioutput)


def mape_part(output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None) -> Part:
    """The sum of relative errors."""
    guess, y = _columns("mape", output, target)
    errors = abs(y - guess) / abs(y).clip(float(np.finfo("float64").eps), math.inf)
    return _inputs.weighted_sum(errors, _inputs.weights("mape", sample_weight, len(y)))


def r2(
    output: TensorLike,
    target: TensorLike,
    *,
    sample_weight: TensorLike | None = None,
    multioutput: MultiOutput = "uniform_average",
) -> Array:
    """``1 − Σ(y − ŷ)² / Σ(y − ȳ)²``: 1 is perfect, 0 no better than the mean.

    If y is constant, it is 1 for a perfect prediction, else 0.  NaN for fewer than two samples.
    """
    return r2_value(moments(output, target, sample_weight), multioutput=multioutput)


def explained_variance(
    output: TensorLike,
    target: TensorLike,
    *,
    sample_weight: TensorLike | None = None,
    multioutput: MultiOutput = "uniform_average",
) -> Array:
    """``1 − Var(y − ŷ) / Var(y)``: like ``r2``, but a constant offset has no effect."""
    return explained_value(moments(output, target, sample_weight), multioutput=multioutput)


def moments(output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None) -> Part:
    """Means and sums of squared deviations of the target and of the error, and the sum of squared errors."""
    guess, y = _columns("r2", output, target)
    xp = namespace(y)
    weight = _inputs.weights("r2", sample_weight, len(y))
    weight = (xp.ones(len(y), dtype="float64") if weight is None else weight)[:, None]
    total, error = weight.sum(), y - guess
    y_mean, error_mean = (divide((weight * x).sum(axis=0), total, 0.0) for x in (y, error))
    return {
        "samples": xp.full((), len(y), dtype="float64"),
        "weight": xp.asarray(total),
        "y_mean": y_mean,
        "y_squares": (weight * (y - y_mean) ** 2).sum(axis=0),
        "error_mean": error_mean,
        "error_squares": (weight * (error - error_mean) ** 2).sum(axis=0),
        "squared_errors": (weight * error**2).sum(axis=0),
    }


def merge_moments(a: Part, b: Part) -> Part:
    """The moments of both parts, corrected for their different means.

    Source: Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1.
    """
    merged = {key: a[key] + b[key] for key in ("samples", "weight", "squared_errors")}
    share = divide(b["weight"], merged["weight"], 0.0)
    for name in ("y", "error"):
        step = b[f"{name}_mean"] - a[f"{name}_mean"]
        merged[f"{name}_mean"] = a[f"{name}_mean"] + step * share
        merged[f"{name}_squares"] = a[f"{name}_squares"] + b[f"{name}_squares"] + step**2 * a["weight"] * share
    return merged


def r2_value(part: Part, *, multioutput: MultiOutput = "uniform_average") -> Array:
    """R² from moments."""
    value = _over_outputs(_one_minus(part["squared_errors"], part["y_squares"]), multioutput)
    return namespace(value).where((part["samples"] < 2) | (part["weight"] == 0), math.nan, value)


def explained_value(part: Part, *, multioutput: MultiOutput = "uniform_average") -> Array:
    """Explained variance from moments."""
    value = _over_outputs(_one_minus(part["error_squares"], part["y_squares"]), multioutput)
    return namespace(value).where(part["weight"] == 0, math.nan, value)


def _one_minus(left: Array, all_of_it: Array) -> Array:
    """``1 − a / b``; if b is 0, it is 1 for a = 0, else 0."""
    xp = namespace(left)
    unclear = xp.where(xp.isnan(left), math.nan, 0.0)
    return xp.where(all_of_it == 0, 1.0 * (left == 0), 1.0 - divide(left, all_of_it, 0.0)) + unclear
