"""Compare backward passes with finite differences.  Tests use it, and so can authors of ops and layers.

For a loss ``L = Σ w · y`` with random weights w, the derivative along a direction v is ``⟨∇L, v⟩``.  It must equal
``(L(x + hv) − L(x − hv)) / 2h``.  A random direction tests all elements at once.  For small inputs, every element is
also tested separately.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.tape import node_of, walk
from xpnet.tensor import Tensor, as_tensor
from xpnet_backends import Array, backend_of, to_numpy
from xpnet_backends.random import Stream, fork_rng
from xpnet_backends.random import state as random

ELEMENTWISE_UP_TO = 64  # inputs of at most this many elements are tested element by element


class GradientError(AssertionError):
    """A gradient that does not match finite differences."""


@dataclass(frozen=True)
class Finding:
    """The largest error found for one input."""

    index: int
    where: str
    analytic: float
    numeric: float
    error: float


def gradcheck(
    function: Callable[..., Any],
    *inputs: Any,
    step: float = 1e-6,
    tolerance: float = 1e-6,
    directions: int = 3,
    seed: int = 0,
    parameters: Sequence[Tensor] = (),
) -> float:
    """Check the gradients of ``function(*inputs)``, a tensor or a tuple of tensors, for every float64 input.

    Returns the largest relative error, ``|analytic − numeric| / max(1, |analytic|, |numeric|)``.  Gradients and the
    random state are restored afterwards.  Choose inputs away from kinks: if ``step`` moves an element across a kink,
    the finite difference is not a derivative.

    Parameters
    ----------
    function : any function of tensors: an op through ``apply``, a layer, a model with its loss.
    inputs : its arguments; those that are floating-point must be float64.
    step : h of the finite differences.
    tolerance : the largest relative error allowed.
    directions : the number of random directions per input.
    seed : the seed of the directions.
    parameters : tensors that the function reads by itself; they are checked too.

    Raises: ``GradientError`` that names the input and place of the largest error; ``TypeError`` for inputs that are not
    float64, because finite differences in lower precision are useless.

    >>> gradcheck(lambda x: x * x, np.array([1.0, 2.0])) < 1e-6
    True
    """
    if directions < 1:
        raise ValueError(f"gradcheck: directions must be at least 1, got {directions}")
    leaves = [_leaf(x) for x in inputs]
    for p in parameters:
        _require_float64(p.dtype)
    checked = [x for x in leaves if isinstance(x, Tensor)] + list(parameters)
    if not checked:
        raise TypeError("gradcheck: no float64 input to check; pass float64 arrays or tensors")
    with fork_rng(random.seed, random.step):
        worst = _worst(function, leaves, checked, step, directions, seed)
    if not worst.error <= tolerance:
        raise GradientError(
            f"gradient of input {worst.index} ({worst.where}): backward says {worst.analytic:.9g}, finite differences "
            f"say {worst.numeric:.9g} (relative error {worst.error:.1e}, allowed {tolerance:.0e})"
        )
    return worst.error


def _worst(
    function: Callable[..., Any], leaves: list[Any], checked: list[Tensor], step: float, directions: int, seed: int
) -> Finding:
    """The largest error."""
    weights = [_random(y, Stream(seed, f"gradcheck.weight.{i}")) for i, y in enumerate(_outputs(function, leaves))]

    def loss() -> float:
        """``Σ w · y``, summed on the host."""
        return sum(_dot(w, y.data) for w, y in zip(weights, _outputs(function, leaves), strict=True))

    gradients = _analytic(function, leaves, weights, checked)
    worst = Finding(0, "", 0.0, 0.0, 0.0)
    for i, (x, gradient) in enumerate(zip(checked, gradients, strict=True)):
        for where, v in _directions(x, directions, seed + i):
            numeric = _difference(loss, x, v, step)
            analytic = _dot(gradient, v)
            error = abs(analytic - numeric) / max(1.0, abs(analytic), abs(numeric))
            if not error <= worst.error:  # NaN counts as the worst
                worst = Finding(i, where, analytic, numeric, error)
    return worst


def _leaf(x: Any) -> Any:
    """A leaf tensor on a copy of x with the same strides.  Other values than floating-point ones stay unchanged."""
    array = x.data if isinstance(x, Tensor) else x
    if getattr(getattr(array, "dtype", None), "kind", "") != "f":
        return x
    _require_float64(array.dtype)
    copy = backend_of(array).xp.array(array, order="K", copy=True)  # keep the caller's array unchanged
    return Tensor(copy, requires_grad=True)


def _require_float64(dtype: Any) -> None:
    if dtype != np.float64:
        raise TypeError(f"gradcheck needs float64, got {dtype}: finite differences are useless in lower precision")


def _outputs(function: Callable[..., Any], leaves: Sequence[Any]) -> list[Tensor]:
    y = function(*leaves)
    return [as_tensor(part) for part in (y if isinstance(y, tuple) else (y,))]


def _random(like: Tensor, stream: Stream) -> Array:
    """Random numbers with absolute values in 0.5..1.5, with the shape and backend of a tensor."""
    values = stream.generator().uniform(0.5, 1.5, like.shape) * stream.generator().choice([-1.0, 1.0], like.shape)
    return like.backend.asarray(values.astype(like.dtype))


def _dot(a: Array, b: Array) -> float:
    return float(np.sum(to_numpy(a) * to_numpy(b)))


def _analytic(
    function: Callable[..., Any], leaves: Sequence[Any], weights: Sequence[Array], checked: Sequence[Tensor]
) -> list[Array]:
    before: dict[int, tuple[Any, ...]] = {}  # the gradients of all leaves, including those that are not checked
    try:
        for i, w in enumerate(weights):  # one walk for each output; the gradients accumulate
            y = _outputs(function, leaves)[i]
            for x in [*checked, *_leaves_of(y)]:
                if id(x) not in before:
                    before[id(x)] = x, x._grad, x._owns_grad, None if x._grad is None else x._grad.copy()
                    x.grad = None
            if y.requires_grad:
                y.backward(w)
        return [_gradient_of(i, x) for i, x in enumerate(checked)]
    finally:
        for x, gradient, owned, values in before.values():
            if gradient is not None:
                gradient[...] = values
            x._grad, x._owns_grad = gradient, owned


def _leaves_of(y: Tensor) -> list[Tensor]:
    inputs = (x for node, _ in walk(y) for x in node.inputs)
    return [x for x in inputs if isinstance(x, Tensor) and node_of(x) is None and x.requires_grad]


def _gradient_of(i: int, x: Tensor) -> Array:
    gradient = x.backend.xp.zeros(x.shape, dtype=x.dtype) if x.grad is None else x.grad
    if gradient.shape != x.shape or gradient.dtype != x.dtype:
        got = f"{gradient.dtype}{tuple(gradient.shape)}"
        raise GradientError(f"gradient of input {i} must be {x.dtype}{x.shape}, backward gave {got}")
    return gradient.copy()


def _directions(x: Tensor, count: int, seed: int) -> list[tuple[str, Array]]:
    """Random directions, and every single element of a small input."""
    if x.size == 0:
        return []
    found = [(f"random direction {k}", _random(x, Stream(seed, "gradcheck.direction", k))) for k in range(count)]
    if x.size <= ELEMENTWISE_UP_TO:
        for place in np.ndindex(*x.shape):
            unit = np.zeros(x.shape)
            unit[place] = 1.0
            found.append((f"element {place}", x.backend.asarray(unit)))
    return found


def _difference(loss: Callable[[], float], x: Tensor, v: Array, step: float) -> float:
    """``(L(x + hv) − L(x − hv)) / 2h``.  Restores x exactly."""
    before = x.data.copy()
    ends = []
    try:
        for h in (step, -step):
            x.data[...] = before + h * v
            ends.append(loss())
    finally:
        x.data[...] = before
    return (ends[0] - ends[1]) / (2.0 * step)


def gradcheck_op(op: Callable[..., Any], *arrays: Any, **kwargs: Any) -> float:
    """Check an op ``op(xp, *arrays, **options)``.  Pass its options as ``options={...}``."""
    from xpnet.tensor import apply

    options = kwargs.pop("options", {})
    backend_of(*[a for a in arrays if hasattr(a, "dtype")])
    return gradcheck(lambda *tensors: apply(op, *tensors, **options), *arrays, **kwargs)
