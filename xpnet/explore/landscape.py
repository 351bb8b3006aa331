"""The loss as a function of the weights, along lines and in planes.

    xs = np.linspace(-1, 1, 21)
    first, second = (landscape.random_direction(model, number) for number in (0, 1))
    surface = landscape.across(model, loss, batches, first, second, xs, xs)

Everything is computed in evaluation mode and without the tape.  Afterwards each layer's mode, all weights and all
buffers are restored bit for bit.  Weights are dicts from names to arrays, as ``state_dict()`` gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np

from xpnet.data import Loader
from xpnet.data.loading.loader import keep_place
from xpnet.nn import LayerNorm, Module, Parameter, RMSNorm
from xpnet.nn.utils import left_as_it_was
from xpnet.tensor import Tensor, no_grad
from xpnet_backends import Array, backend_of, get_backend, is_array, random, to_numpy

Weights: TypeAlias = Mapping[str, Any]
"""Arrays by the names of ``model.named_parameters()``; further entries of a state dict are ignored."""

Loss: TypeAlias = Callable[[Any, Any], Tensor]

_MANY_AXES = (LayerNorm, RMSNorm)  # norms whose scale may have more than one axis


@dataclass(frozen=True)
class Curve:
    """The loss along a line.  steps (A,), losses (A,)."""

    steps: np.ndarray
    losses: np.ndarray


@dataclass(frozen=True)
class Surface:
    """The loss in a plane.  xs (A,) along the first direction, ys (B,) along the second, losses (B, A)."""

    xs: np.ndarray
    ys: np.ndarray
    losses: np.ndarray


@dataclass(frozen=True)
class Plane:
    """A plane in weight space: ``origin + x first + y second``, both directions of length one.

    explained : the share of the path's variance along each direction.
    """

    origin: dict[str, np.ndarray]
    first: dict[str, np.ndarray]
    second: dict[str, np.ndarray]
    explained: tuple[float, float]

    def project(self, path: Sequence[Weights]) -> tuple[np.ndarray, np.ndarray]:
        """The projection of each point of a path onto the plane, and its distance.  -> (K, 2), (K,)."""
        offsets = _rows(path, self.origin) - _row(self.origin, self.origin)
        axes = np.stack([_row(d, self.origin) for d in (self.first, self.second)])  # (2, D)
        places = offsets @ axes.T
        return places, np.linalg.norm(offsets - places @ axes, axis=1)


# -- directions ------------------------------------------------------------------------------------------------------


def snapshot(model: Module) -> dict[str, np.ndarray]:
    """Copy all parameters to the host: one point of a path."""
    return {name: np.array(p.numpy()) for name, p in model.named_parameters()}


def random_direction(model: Module, number: int = 0, *, normalize: bool = True) -> dict[str, np.ndarray]:
    """A normal random direction with the norms of the model's filters: ``dᵢ ← dᵢ ‖wᵢ‖ / ‖dᵢ‖``.

    Filter i is a row of a weight's first axis: all weights of one unit.  Biases and the parameters of norm layers have
    a zero direction, as in the authors' own plots.  Networks whose weights differ in scale can then be compared: a ReLU
    network computes the same function with one layer's weights doubled and the next one's halved.  The direction
    depends only on ``number`` and the seed.

    Source: Li, Xu, Taylor, Studer, Goldstein 2018, arXiv:1712.09913, section 4.
    """
    direction = {}
    for name, p in model.named_parameters():
        w = p.numpy()
        if w.ndim < 2 or _is_of_norm(model, p):
            direction[name] = np.zeros_like(w)
            continue
        stream = random.Stream(random.state.seed, f"landscape.{name}", draw=number)
        d = stream.normal(get_backend("numpy"), w.shape, "float64")
        direction[name] = (d * (_lengths(w) / _lengths(d)) if normalize else d).astype(w.dtype)
    return direction


def _is_of_norm(model: Module, parameter: Parameter) -> bool:
    return any(parameter is p for m in model.modules() if isinstance(m, _MANY_AXES) for p in m.parameters())


def _lengths(w: np.ndarray) -> np.ndarray:
    """The norm of each row of the first axis, with a shape that broadcasts."""
    lengths: np.ndarray = np.sqrt((w.astype(np.float64) ** 2).sum(axis=tuple(range(1, w.ndim)), keepdims=True))
    return lengths


def pca_plane(model: Module, path: Sequence[Weights], through: Weights | None = None) -> Plane:
    """The plane in which a path varies most: its first two principal components, through its last point.

    path : weights in the order of training, of one run, or of several runs concatenated.
    through : another point that the plane contains.

    A large explained variance alone says little: for a long random walk in many dimensions, two components explain
    ``6/π² (1 + 1/4) = 76%`` (Antognini & Sohl-Dickstein 2018, arXiv:1806.08805).

    Raises: ``ValueError`` if the path does not span a plane.
    """
    names = {name: p.numpy() for name, p in model.named_parameters()}
    points = _rows(path, names)
    if len(points) < 3:
        raise ValueError(f"pca_plane: a path needs at least 3 points to span a plane, got {len(points)}")
    if not np.isfinite(points).all():
        raise ValueError("pca_plane: the path has weights that are not finite: leave out the run that diverged")
    _, sizes, axes = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    if sizes[1] <= 1e-12 * max(sizes[0], 1e-300):
        raise ValueError("pca_plane: the path lies on a line, or in one point: take one that turns, or several runs")
    variance = sizes**2 / (sizes**2).sum()
    first, second = (axis if (points[-1] - points[0]) @ axis >= 0 else -axis for axis in axes[:2])  # fix the signs
    origin = points[-1] if through is None else _row(through, names)
    a, b, c = (_split(row, names) for row in (origin, first, second))
    return Plane(a, b, c, (float(variance[0]), float(variance[1])))


def _row(weights: Weights, like: Weights) -> np.ndarray:
    """One vector, in the order of ``like``, in float64."""
    parts = []
    for name, expected in like.items():
        if name not in weights:
            raise ValueError(f"weights: {name!r} is missing; there are {', '.join(map(repr, weights)) or 'none'}")
        values = _on_host(weights[name])
        if values.shape != expected.shape:
            raise ValueError(f"weights: {name!r} must have shape {expected.shape}, got {values.shape}")
        parts.append(values.astype(np.float64).ravel())
    return np.concatenate(parts)


def _rows(path: Sequence[Weights], like: Weights) -> np.ndarray:
    return np.stack([_row(weights, like) for weights in path]) if len(path) else np.empty((0, 0))


def _split(row: np.ndarray, like: Weights) -> dict[str, np.ndarray]:
    ends = np.cumsum([w.size for w in like.values()])[:-1]
    return {name: part.reshape(like[name].shape) for name, part in zip(like, np.split(row, ends), strict=True)}


def _on_host(values: Any) -> np.ndarray:
    values = values.data if isinstance(values, Tensor) else values
    return to_numpy(values) if is_array(values) else np.asarray(values)


# -- slices ----------------------------------------------------------------------------------------------------------


def along(
    model: Module, loss: Loss, batches: Loader, direction: Weights, steps: Any, *, origin: Weights | None = None
) -> Curve:
    """``L(θ + a d)`` for each a in ``steps``; θ are the model's weights, or ``origin``.

    Parameters
    ----------
    loss : function of the outputs and the targets; the mean over samples, batches are weighted by their sizes.
    batches : pairs of inputs and targets.
    direction : d, by the names of the parameters.
    steps : the values of a.
    """
    steps = _axis("steps", steps)
    with _Probe(model, loss, batches) as probe:
        theta, d = probe.bring(origin), probe.bring(direction)
        losses = [probe.at({name: theta[name] + float(a) * d[name] for name in theta}) for a in steps]
    return Curve(steps, np.array(losses))


def across(
    model: Module,
    loss: Loss,
    batches: Loader,
    first: Weights,
    second: Weights,
    xs: Any,
    ys: Any,
    *,
    origin: Weights | None = None,
) -> Surface:
    """``L(θ + x d₁ + y d₂)`` for each x in ``xs`` and y in ``ys``; see ``along``."""
    xs, ys = _axis("xs", xs), _axis("ys", ys)
    losses = np.empty((len(ys), len(xs)))
    with _Probe(model, loss, batches) as probe:
        theta, d1, d2 = map(probe.bring, (origin, first, second))
        for i, y in enumerate(ys):
            start = {name: theta[name] + float(y) * d2[name] for name in theta}
            for j, x in enumerate(xs):
                losses[i, j] = probe.at({name: start[name] + float(x) * d1[name] for name in theta})
    return Surface(xs, ys, losses)


def between(model: Module, loss: Loss, batches: Loader, start: Weights, end: Weights, steps: Any) -> Curve:
    """``L((1 − a) θ₀ + a θ₁)`` for each a in ``steps``: the line from one solution (a = 0) to another (a = 1).

    start, end : state dicts, or snapshots.  If both have running statistics, these are interpolated too, but not
    extrapolated, because a variance could become negative.  Source: Goodfellow, Vinyals, Saxe 2014, arXiv:1412.6544.
    """
    steps = _axis("steps", steps)
    losses = []
    with _Probe(model, loss, batches) as probe:
        a, b = probe.bring(start), probe.bring(end)
        for t in map(float, steps):
            probe.mix_buffers(start, end, min(max(t, 0.0), 1.0))
            losses.append(probe.at({name: (1.0 - t) * a[name] + t * b[name] for name in a}))
    return Curve(steps, np.array(losses))


def _axis(name: str, values: Any) -> np.ndarray:
    axis: np.ndarray = np.asarray(values, dtype=np.float64)
    if axis.ndim != 1 or not axis.size or not np.isfinite(axis).all():
        raise ValueError(f"{name} must be a list of finite numbers, got {values!r}")
    return axis


class _Probe:
    """A context that computes the loss of a model with any weights, and restores everything afterwards."""

    def __init__(self, model: Module, loss: Loss, batches: Loader) -> None:
        self._model, self._loss = model, loss
        self._parameters: dict[str, Parameter] = dict(model.named_parameters())
        if not self._parameters:
            raise ValueError("the model has no parameters, so it has no loss landscape")
        self._backend = next(iter(self._parameters.values())).backend
        with keep_place(batches):
            self._batches = [(self._brought(x), self._brought(t)) for x, t in batches]
        if not sum(len(t) for _, t in self._batches):
            raise ValueError("batches: expected at least one pair of inputs and targets, got none")

    def __enter__(self) -> Self:
        self._held = ExitStack()
        self._held.enter_context(left_as_it_was(self._model))
        self._held.enter_context(np.errstate(all="ignore"))  # far away the loss may overflow
        self._held.enter_context(no_grad())
        self._model.eval()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._held.__exit__(kind, error, where)

    def _brought(self, values: Any) -> Any:
        values = values.data if isinstance(values, Tensor) else values
        if not is_array(values):
            values = np.asarray(values)
        return values if backend_of(values) is self._backend else self._backend.asarray(to_numpy(values))

    def bring(self, weights: Weights | None) -> dict[str, Array]:
        """Weights or a direction, by default the model's own weights, as arrays on the model's backend."""
        if weights is None:
            return {name: p.data.copy() for name, p in self._parameters.items()}
        _row(weights, self._parameters)  # checks names and shapes against the model's
        return {name: self._backend.asarray(_on_host(weights[name]), p.dtype) for name, p in self._parameters.items()}

    def mix_buffers(self, start: Weights, end: Weights, t: float) -> None:
        """Interpolate the running statistics between two states."""
        for path, module in self._model.named_modules():
            for name, array in module._buffers.items():
                key = f"{path}.{name}" if path else name
                if array is not None and array.dtype.kind == "f" and key in start and key in end:
                    mixed = (1.0 - t) * _on_host(start[key]) + t * _on_host(end[key])
                    setattr(module, name, self._backend.asarray(mixed, array.dtype))

    def at(self, weights: Mapping[str, Array]) -> float:
        """The mean loss over all samples, with these weights."""
        for name, p in self._parameters.items():
            p.copy_(weights[name])
        total, count = None, 0
        for x, t in self._batches:
            value = self._loss(self._model(x), t)
            if value.size != 1:
                raise ValueError(f"loss must give one number, the mean over samples, got shape {value.shape}")
            part = value.data.reshape(()) * len(t)
            total, count = part if total is None else total + part, count + len(t)
        return float(to_numpy(self._backend.asarray(total))) / count
