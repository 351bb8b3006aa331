"""Exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from xpnet.nn import Parameter
from xpnet.optim.flat import state_dtype
from xpnet.tensor import no_grad
from xpnet_backends import Array, Backend, backend_of, is_array, to_numpy
from xpnet_backends.blocks import Lent

_lent = Lent()


class _Same:
    """A parameter as a dict key, compared by identity."""

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter

    def __hash__(self) -> int:
        return id(self.parameter)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.parameter is self.parameter


def _put_back(key: _Same, own: Array) -> None:
    with no_grad():
        key.parameter.copy_(own)


class EMA:
    """``θ̄ ← β θ̄ + (1 − β) θ`` after every step, with ``β = min(decay, (1 + t) / (10 + t))``.

    The average often generalises better than the last weights, which fluctuate.  The smaller β of the first steps lets
    it forget the initial weights.  Averages of float16 weights are kept in float32, because their updates are too small
    for float16.  Source: Polyak & Juditsky 1992; the warm-up is that of TensorFlow's ``ExponentialMovingAverage``.

    Parameters
    ----------
    params : parameters or ``(name, parameter)`` pairs.
    decay : β after the warm-up.
    warmup : use the smaller β at the start; False uses ``decay`` from the first step on.

    >>> import xpnet
    >>> layer = xpnet.nn.Linear(2, 1)
    >>> ema = EMA(layer.named_parameters(), decay=0.9)
    >>> ema.update()
    >>> with ema.applied():
    ...     y = layer(xpnet.tensor([[1.0, 2.0]]))
    """

    def __init__(
        self,
        params: Iterable[Parameter] | Iterable[tuple[str, Parameter]],
        decay: float = 0.999,
        *,
        warmup: bool = True,
    ) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"EMA: decay must be in [0, 1), got {decay!r}")
        self.decay, self.warmup, self.steps = decay, warmup, 0
        named = (p if isinstance(p, tuple) else (str(i), p) for i, p in enumerate(params))
        self._parameters: dict[str, Parameter] = dict(named)
        if not self._parameters:
            raise ValueError("EMA got no parameters: is the model empty, or was its iterator used up?")
        self._counts: dict[str, Array] = {}  # ``steps`` as an array on each backend, always in the same memory
        self.averages: dict[str, Array] = {
            name: p.data.astype(state_dtype(p.dtype)) for name, p in self._parameters.items()
        }

    def update(self) -> None:
        """Update the averages with the current weights."""
        self.blend()
        self.advance()

    def blend(self) -> None:
        """The device part of ``update``.  It counts steps on the device, so that it can be captured and replayed."""
        weights: dict[tuple[str, Any], Array] = {}
        for name, p in self._parameters.items():
            average = self._at_home(name, p)
            kind = p.backend.name, average.dtype
            if kind not in weights:
                weight = self._weight(p.backend, count=p.backend.name not in {n for n, _ in weights})
                weights[kind] = weight.astype(average.dtype)
            average += weights[kind] * (p.data - average)
        for name in set(self._counts) - {name for name, _ in weights}:
            del self._counts[name]  # the model was moved away, and may come back later

    def _weight(self, backend: Backend, count: bool) -> Array:
        """``1 − β`` as a float64 array on the backend, after counting the step there if ``count``."""
        xp = backend.xp
        if backend.name not in self._counts:
            self._counts[backend.name] = xp.full((), self.steps, dtype="float64")
        t = self._counts[backend.name]
        if count:
            t[...] += 1.0
        decay = xp.minimum((1.0 + t) / (10.0 + t), self.decay) if self.warmup else xp.full_like(t, self.decay)
        return xp.asarray(1.0 - decay)

    def lasting(self) -> Iterator[Array]:
        """All arrays that live from one step to the next: the averages, and their counts."""
        yield from self.averages.values()
        yield from self._counts.values()

    def advance(self) -> None:
        """The host part of ``update``: count the step.  Call it after ``blend`` or a replay of it."""
        self.steps += 1

    def _at_home(self, name: str, p: Parameter) -> Array:
        """The average, moved to the current backend of the parameter if necessary."""
        average: Array = self.averages[name]
        if backend_of(average) is p.backend and average.dtype == state_dtype(p.dtype):
            return average
        self.averages[name] = p.backend.asarray(to_numpy(average)).astype(state_dtype(p.dtype))
        return self.averages[name]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averages into the model for the block, and restore its own weights afterwards."""
        with _lent.block({_Same(p): p.data.copy() for p in self._parameters.values()}, _put_back):
            self.copy_to_model()
            yield

    def copy_to_model(self) -> None:
        """Overwrite the weights of the model with the averages."""
        self._overwrite({name: self._at_home(name, p) for name, p in self._parameters.items()})

    def _overwrite(self, values: Mapping[str, Array]) -> None:
        with no_grad():
            for name, p in self._parameters.items():
                p.copy_(values[name])

    def state_dict(self) -> dict[str, Any]:
        """The number of steps, and copies of the averages by name."""
        return {"steps": self.steps, "averages": {name: a.copy() for name, a in self.averages.items()}}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Load a state dict.  Raises: ``ValueError`` if names or shapes do not match."""
        theirs = saved["averages"]
        if set(theirs) != set(self._parameters):
            raise ValueError(
                f"the averages belong to other parameters: expected {sorted(self._parameters)}, got {sorted(theirs)}"
            )
        for name, p in self._parameters.items():
            if tuple(theirs[name].shape) != p.shape:
                raise ValueError(f"average {name!r}: expected shape {p.shape}, got {tuple(theirs[name].shape)}")
        for name, p in self._parameters.items():
            values = to_numpy(theirs[name]) if is_array(theirs[name]) else theirs[name]
            self._at_home(name, p)[...] = p.backend.asarray(values).astype(state_dtype(p.dtype))
        self.steps = int(saved["steps"])
        for count in self._counts.values():
            count[...] = self.steps
