"""Snapshots of a network during training: its weights, and its activations for the same samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from xpnet.nn import Linear, Module
from xpnet.nn.utils import for_model, left_as_it_was
from xpnet.tensor import Tensor, no_grad
from xpnet_backends import Array, to_numpy

from .pages import page
from .trace import Numbers

_MOST = 16  # units of a layer in the page
_BINS = 30


@dataclass(frozen=True)
class Snapshot:
    """One moment of the training.

    Attributes
    ----------
    moment : the epoch or step.
    figures : the loss, and other numbers of this moment.
    weights, biases : one array for each Linear layer; None for a layer without bias.
    activations : one (N, units) for each column of units, the input first: after the activation function.
    """

    moment: int
    figures: dict[str, float]
    weights: tuple[Numbers, ...]
    biases: tuple[Numbers | None, ...]
    activations: tuple[Numbers, ...]


class Snapshots:
    """Snapshots of a sequence of Linear layers, taken during training.

    samples (N, features) : the samples whose activations are recorded, in evaluation mode.

    >>> from xpnet import nn
    >>> model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> snapshots = Snapshots(model, np.ones((5, 2), "float32"))
    >>> shot = snapshots.take(0, loss=0.7)
    >>> [w.shape for w in shot.weights], [a.shape for a in shot.activations]
    ([(3, 2), (1, 3)], [(5, 2), (5, 3), (5, 1)])

    Raises: ``ValueError`` for a model without Linear layers, or whose layers are not in a row.
    """

    def __init__(self, model: Module, samples: Any) -> None:
        self._model, self._samples = model, for_model(model, samples)
        self._layers = [(name, m) for name, m in model.named_modules() if isinstance(m, Linear)]
        if not self._layers:
            raise ValueError("Snapshots: the model has no Linear layers")
        shapes = [m.weight.shape for _, m in self._layers]
        if any(a[0] != b[1] for a, b in pairwise(shapes)):
            raise ValueError(f"Snapshots: the Linear layers are not in a row: weights of shapes {shapes}")
        self.names = [name for name, _ in self._layers]
        self.shots: list[Snapshot] = []

    def take(self, moment: int, **figures: float) -> Snapshot:
        """Record the current weights and activations."""
        weights = tuple(_copy(m.weight.data) for _, m in self._layers)
        biases = tuple(None if m.bias is None else _copy(m.bias.data) for _, m in self._layers)
        found = Snapshot(moment, {k: float(v) for k, v in figures.items()}, weights, biases, tuple(self._watch()))
        self.shots.append(found)
        return found

    def _watch(self) -> list[Numbers]:
        """The values of each column: the input of each Linear layer, and the output of the model."""
        seen: list[Numbers] = []

        def before(_: Module, inputs: tuple[Any, ...]) -> None:
            seen.append(_rows(inputs[0]))

        undo = [m.register_forward_pre_hook(before) for _, m in self._layers]
        try:
            with left_as_it_was(self._model), no_grad():
                output = self._model.eval()(self._samples)
            return [*seen, _rows(output)]
        finally:
            for remove in undo:
                remove()

    def limits(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """The smallest and the largest weight of each layer, and value of each column, over all moments."""
        weights = [_range([shot.weights[i] for shot in self.shots]) for i in range(len(self.names))]
        values = [_range([shot.activations[i] for shot in self.shots]) for i in range(len(self.names) + 1)]
        return weights, values

    def histograms(self, shot: Snapshot, bins: int = _BINS) -> tuple[list[Any], list[Any]]:
        """``(counts, edges)`` of the weights of each layer and the values of each column, on a common scale."""
        weights, values = self.limits()
        return (
            [np.histogram(w, bins, limits) for w, limits in zip(shot.weights, weights, strict=True)],
            [np.histogram(a, bins, limits) for a, limits in zip(shot.activations, values, strict=True)],
        )

    def to_page(
        self,
        title: str = "A network as it trains",
        about: str = "",
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        samples: Mapping[str, int] | None = None,
    ) -> str:
        """A self-contained page with a slider over the moments.

        Parameters
        ----------
        title, about : the heading of the page, and a line below it.
        inputs, outputs : names of the first and of the last column of units.
        samples : names and row numbers of the samples whose activations are shown; by default the first row.

        Raises: ``ValueError`` if no snapshot was taken, or for a row that does not exist.
        """
        if not self.shots:
            raise ValueError("Snapshots: nothing was taken: call take(moment) during training")
        chosen = dict(samples or {"sample 1": 0})
        if any(not 0 <= row < len(self.shots[0].activations[0]) for row in chosen.values()):
            raise ValueError(f"Snapshots: rows from 0 to {len(self.shots[0].activations[0]) - 1}, got {chosen}")
        widths = [a.shape[1] for a in self.shots[0].activations]
        units = [np.unique(np.linspace(0, n - 1, min(n, _MOST)).round().astype(int)) for n in widths]
        weights, values = self.limits()
        histograms = [self.histograms(shot) for shot in self.shots]
        rows = np.array(list(chosen.values()))
        data = {
            "title": title, "about": about, "layers": self.names, "widths": widths,
            "units": [u.tolist() for u in units], "inputs": list(inputs), "outputs": list(outputs),
            "samples": list(chosen), "weightLimits": weights, "valueLimits": values,
            "shots": [
                {
                    "moment": shot.moment, "figures": {k: _short(v) for k, v in shot.figures.items()},
                    "weights": [_short(w[np.ix_(units[i + 1], units[i])]) for i, w in enumerate(shot.weights)],
                    "biases": [None if b is None else _short(b[units[i + 1]]) for i, b in enumerate(shot.biases)],
                    "values": [_short(a[np.ix_(rows, units[i])]) for i, a in enumerate(shot.activations)],
                    "weightCounts": [counts.tolist() for counts, _ in of_weights],
                    "valueCounts": [counts.tolist() for counts, _ in of_values],
                }
                for shot, (of_weights, of_values) in zip(self.shots, histograms, strict=True)
            ],
        }  # fmt: skip
        return page("visualiser", data)


def _copy(array: Array) -> Numbers:
    return np.array(to_numpy(array))


def _rows(x: Any) -> Numbers:
    found = _copy(x.data if isinstance(x, Tensor) else x)
    return found.reshape(len(found), -1)


def _range(arrays: Sequence[Numbers]) -> tuple[float, float]:
    finite = np.concatenate([a[np.isfinite(a)].ravel() for a in arrays])
    if not finite.size:
        return -1.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _short(x: Any) -> Any:
    """Four significant digits; None for NaN and infinity."""
    if isinstance(x, np.ndarray):
        return _short(x.tolist())
    if isinstance(x, list):
        return [_short(v) for v in x]
    return float(f"{x:.4g}") if np.isfinite(x) else None
