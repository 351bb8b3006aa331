"""Metrics over many batches: ``update`` with each, then ``compute`` over all of them.

The state stays on the batches' backend, without transfers to the host.  It consists of counts and sums in float64 if
the metric allows it, else (ranking) of the scores themselves.  The value equals that of the function over all samples,
for any batch sizes.
"""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from xpnet.tensor import TensorLike
from xpnet_backends import Array

from . import _inputs, classification, probability, ranking, regression
from ._inputs import Part


class Metric(ABC):
    """Call ``update(output, target)`` for each batch, then ``compute()``; ``reset()`` starts again.

    The options are those of the function of the same name.  ``metric(output, target)`` is the value for these samples
    only.

    >>> import numpy as np
    >>> metric = Accuracy()
    >>> metric.update(np.array([[0.2, 0.8], [0.6, 0.4]]), np.array([1, 1]))
    >>> metric.update(np.array([[0.1, 0.9]]), np.array([1]))
    >>> round(float(metric.compute()), 4)
    0.6667
    """

    task: ClassVar[Literal["classification", "regression", "any"]]

    def __init__(self) -> None:
        self._state: Part | None = None

    @abstractmethod
    def part(self, output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None) -> Part:
        """The state for one batch."""

    @abstractmethod
    def value(self, part: Part) -> Array:
        """The metric from the state."""

    @abstractmethod
    def merge(self, part: Part) -> None:
        """Add the state of another batch."""

    def __call__(self, output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None) -> Array:
        return self.value(self.part(output, target, sample_weight))

    def update(self, output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None) -> None:
        """Add a batch."""
        self.merge(self.part(output, target, sample_weight))

    def compute(self) -> Array:
        """The value over all batches since ``reset()``."""
        state = self.state_dict()
        if not state:
            raise ValueError(f"{type(self).__name__}.compute() needs a batch first: call update(output, target)")
        return self.value(state)

    def reset(self) -> None:
        """Forget all batches."""
        self._state = None

    def fresh(self) -> Metric:
        """A new metric with the same options and an empty state."""
        other = copy.copy(self)
        other.reset()
        return other

    def state_dict(self) -> Part:
        """The state over all batches, by name; empty before the first batch."""
        return dict(self._state or {})

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Go on from a state dict."""
        self._state = dict(state) or None

    @property
    def scalar(self) -> bool:
        """Whether the value is one number."""
        return True

    def _agree(self, state: Mapping[str, Array], part: Part) -> None:
        if state.keys() != part.keys():
            raise ValueError(f"{type(self).__name__}: give sample_weight with every batch or with none")


class Mean(Metric):
    """The mean of values over all samples: ``update(losses)``, or ``update(mean_of_batch, sample_weight=n)``.

    values (N,) or (), weight (N,) or a number.
    """

    task = "any"

    def part(self, output: TensorLike, target: TensorLike = None, sample_weight: TensorLike | None = None) -> Part:
        """Sum and weight."""
        values = _inputs.raw(output).reshape(-1)
        if isinstance(sample_weight, int | float | np.number):
            sample_weight = _inputs.namespace(values).full(len(values), float(sample_weight))
        return _inputs.weighted_sum(values, _inputs.weights("Mean", sample_weight, len(values)))

    def update(self, output: TensorLike, target: TensorLike = None, sample_weight: TensorLike | None = None) -> None:
        """Add values."""
        self.merge(self.part(output, target, sample_weight))

    def value(self, part: Part) -> Array:
        """The mean."""
        return _inputs.mean(part)

    def merge(self, part: Part) -> None:
        """Sums add up."""
        self._state = part if self._state is None else _inputs.add(self._state, part)


class Summed(Metric):
    """A metric of sums: ``value_of(part_of(batch) + part_of(batch) + ...)``.

    Each option is passed to the function that takes it.
    """

    part_of: ClassVar[Callable[..., Part]]
    value_of: ClassVar[Callable[..., Array]]
    merged: ClassVar[Callable[..., Part]] = staticmethod(_inputs.add)

    def __init__(self, **options: Any) -> None:
        super().__init__()
        of_part, of_value = _keywords(self.part_of), _keywords(self.value_of)
        _check_options(type(self), options, {**of_part, **of_value})
        self._part_options = {k: v for k, v in options.items() if k in of_part}
        self._value_options = {k: v for k, v in options.items() if k in of_value}

    def part(self, output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None) -> Part:
        """The batch's sums."""
        return type(self).part_of(output, target, sample_weight, **self._part_options)

    def value(self, part: Part) -> Array:
        """The metric from sums."""
        return type(self).value_of(part, **self._value_options)

    def merge(self, part: Part) -> None:
        """Add a batch's sums."""
        if self._state is not None:
            _inputs.check_alike(type(self).__name__, self._state, part)
        self._state = part if self._state is None else type(self).merged(self._state, part)

    @property
    def scalar(self) -> bool:
        """Whether the value is one number."""
        options = self._value_options
        return options.get("average", "auto") is not None and options.get("multioutput") != "raw_values"


class Stored(Metric):
    """A metric that needs all samples at once, and stores outputs and targets."""

    task = "classification"
    function: ClassVar[Callable[..., Any]]

    def __init__(self, **options: Any) -> None:
        super().__init__()
        _check_options(type(self), options, _keywords(self.function))
        self._options = options
        self._parts: list[Part] = []

    def part(self, output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None) -> Part:
        """A copy of the batch."""
        name = type(self).__name__
        scores, labels = _inputs.raw(output), _inputs.raw(target)
        if _inputs.is_by_class(scores, labels):  # one-hot or several labels per sample is decided over all batches
            scores, labels = (x.reshape(-1, scores.shape[-1]) for x in (scores, labels))
        else:
            scores, labels = _inputs.scores_and_labels(name, output, target)
        part = {"output": scores.copy(), "target": labels.copy()}
        weight = _inputs.weights(name, sample_weight, len(labels))
        return part if weight is None else {**part, "weight": weight}

    def value(self, part: Part) -> Array:
        """The function applied to all samples."""
        return type(self).function(part["output"], part["target"], sample_weight=part.get("weight"), **self._options)

    def merge(self, part: Part) -> None:
        """Add another batch."""
        if self._parts:
            self._agree(self._parts[0], part)
            _inputs.check_alike(type(self).__name__, self._parts[0], part, first_axis=False)
        self._parts.append(part)

    def reset(self) -> None:
        """Forget all batches."""
        self._parts = []

    def state_dict(self) -> Part:
        """All samples so far."""
        if len(self._parts) > 1:
            xp = _inputs.namespace(self._parts[0]["output"])
            self._parts = [{key: xp.concatenate([part[key] for part in self._parts]) for key in self._parts[0]}]
        return dict(self._parts[0]) if self._parts else {}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Go on from a state dict."""
        self._parts = [dict(state)] if state else []

    @property
    def scalar(self) -> bool:
        """Whether the value is one number."""
        return self._options.get("average", "macro") is not None


def _keywords(function: Callable[..., Any]) -> dict[str, bool]:
    """The options of a function, and whether they are required."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default is p.empty for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "sample_weight"}


def _check_options(kind: type[Metric], given: Mapping[str, Any], known: Mapping[str, bool]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise TypeError(f"{kind.__name__} takes no {', '.join(unknown)}: its options are {', '.join(sorted(known))}")
    if missing := [name for name, needed in known.items() if needed and name not in given]:
        raise TypeError(f"{kind.__name__} needs {', '.join(missing)}")


class _Classes(Summed):
    task = "classification"


class _Counted(_Classes):
    part_of = staticmethod(classification.class_counts)


class _Numbers(Summed):
    task = "regression"
    value_of = staticmethod(regression.mean_value)


class Accuracy(_Classes):
    """Streaming ``accuracy``."""

    part_of, value_of = staticmethod(classification.accuracy_part), staticmethod(_inputs.mean)


class TopKAccuracy(_Classes):
    """Streaming ``top_k_accuracy``."""

    part_of, value_of = staticmethod(classification.top_k_part), staticmethod(_inputs.mean)


class ConfusionMatrix(_Classes):
    """Streaming ``confusion_matrix``, of outputs and targets."""

    part_of, value_of = staticmethod(classification.confusion_part), staticmethod(classification.matrix_value)
    scalar = False


class Precision(_Counted):
    """Streaming ``precision``."""

    value_of = staticmethod(classification.precision_value)


class Recall(_Counted):
    """Streaming ``recall``."""

    value_of = staticmethod(classification.recall_value)


class F1(_Counted):
    """Streaming ``f1``."""

    value_of = staticmethod(classification.f1_value)


class FBeta(_Counted):
    """Streaming ``fbeta``."""

    value_of = staticmethod(classification.fbeta_value)


class BalancedAccuracy(_Counted):
    """Streaming ``balanced_accuracy``."""

    value_of = staticmethod(classification.balanced_value)


class MatthewsCorrCoef(_Counted):
    """Streaming ``matthews_corrcoef``."""

    value_of = staticmethod(classification.matthews_value)


class ROCAUC(Stored):
    """Streaming ``roc_auc``; stores all scores, because a histogram would not be exact."""

    function = staticmethod(ranking.roc_auc)


class AveragePrecision(Stored):
    """Streaming ``average_precision``; stores all scores."""

    function = staticmethod(ranking.average_precision)


class LogLoss(_Classes):
    """Streaming ``log_loss``."""

    part_of, value_of = staticmethod(probability.log_loss_part), staticmethod(_inputs.mean)


class BrierScore(_Classes):
    """Streaming ``brier_score``."""

    part_of, value_of = staticmethod(probability.brier_part), staticmethod(_inputs.mean)


class CalibrationError(_Classes):
    """Streaming ``calibration_error``."""

    part_of, value_of = staticmethod(probability.calibration_part), staticmethod(probability.calibration_value)


class MeanAbsoluteError(_Numbers):
    """Streaming ``mae``."""

    part_of = staticmethod(regression.mae_part)


class MeanSquaredError(_Numbers):
    """Streaming ``mse``."""

    part_of = staticmethod(regression.mse_part)


class RootMeanSquaredError(_Numbers):
    """Streaming ``rmse``."""

    part_of, value_of = staticmethod(regression.mse_part), staticmethod(regression.rmse_value)


class MeanAbsolutePercentageError(_Numbers):
    """Streaming ``mape``."""

    part_of = staticmethod(regression.mape_part)


class R2(_Numbers):
    """Streaming ``r2``."""

    part_of, value_of = staticmethod(regression.moments), staticmethod(regression.r2_value)
    merged = staticmethod(regression.merge_moments)


class ExplainedVariance(_Numbers):
    """Streaming ``explained_variance``."""

    part_of, value_of = staticmethod(regression.moments), staticmethod(regression.explained_value)
    merged = staticmethod(regression.merge_moments)
