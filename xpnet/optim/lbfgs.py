"""Limited-memory BFGS."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from xpnet.optim.flat import Flat, state_dtype
from xpnet.optim.line_search import Point, strong_wolfe
from xpnet.optim.optimizer import Clock, Optimizer, Parameters
from xpnet.tensor import Tensor, no_grad
from xpnet_backends import Array, Namespace, is_array, random, to_numpy


class LBFGS(Optimizer):
    """Quasi-Newton steps ``θ ← θ − t H∇L``; H comes from the last ``history_size`` changes of θ and ∇L.

    With ``s = Δθ``, ``y = Δ∇L``, ``ρ = 1/yᵀs``, the two-loop recursion (Nocedal 1980) gives ``H∇L`` without forming H.
    Use it for deterministic losses on all data at once, e.g. small problems or style transfer.  ``step(closure)`` calls
    the closure, which computes the loss and its gradients, several times.  It reads numbers from the device.
    Source: Nocedal & Wright 2006, algorithms 7.4 and 7.5.

    Parameters
    ----------
    params : parameters of one dtype on one backend, in one group.
    lr : step length t without a line search, and the first trial with one.
    max_iter : the largest number of moves per step.
    max_eval : the largest number of closure calls per step; ``max_iter · 5/4`` by default.
    tolerance_grad : stop when the largest ``|∇L|`` is at most this.
    tolerance_change : stop when weights or loss change less than this.
    history_size : the number of stored changes.
    line_search_fn : None, or "strong_wolfe".

    >>> import xpnet
    >>> w = xpnet.nn.Parameter([1.0, -2.0])
    >>> optimizer = LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (w * w).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item(), float((w * w).sum()) < 1e-6
    (5.0, True)
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f"LBFGS: line_search_fn must be None or 'strong_wolfe', got {line_search_fn!r}")
        most = max_iter * 5 // 4 if max_eval is None else max_eval
        options = {"lr": lr, "max_iter": max_iter, "max_eval": most, "tolerance_grad": tolerance_grad}
        options |= {"tolerance_change": tolerance_change, "history_size": history_size}
        super().__init__(params, {**options, "line_search_fn": line_search_fn})
        if len(self._flats) != 1 or len(self._flats[0]) != 1:
            raise ValueError("LBFGS takes one group of parameters of one dtype and backend")
        self._iterations = 0
        self._steps: list[Array] = []  # s, oldest first
        self._changes: list[Array] = []  # y
        self._direction: Array | None = None
        self._gradient: Array | None = None  # before the last move
        self._t = 0.0

    def state_names(self, options: Mapping[str, Any]) -> Sequence[str]:
        return []

    def update(
        self, xp: Namespace, theta: Array, g: Array, state: dict[str, Array], clock: Clock, options: dict[str, Any]
    ) -> None:
        raise NotImplementedError("LBFGS overrides step() and has no update()")  # pragma: no cover

    # step and the state dicts replace those of Optimizer, against the house's rule: a step of L-BFGS evaluates the loss
    # several times and moves all parameters as one vector, so it cannot be written as an update() of one span, and the
    # history that it keeps belongs to no single parameter.

    def step(self, closure: Callable[[], Tensor] | None = None, *, only_if: Array | None = None) -> Tensor | None:
        """Make up to ``max_iter`` moves.  Returns the loss before them."""
        if closure is None:
            raise TypeError("LBFGS needs step(closure): it computes the loss and its gradients several times per step")
        flat, options = self._flats[0][0], self.param_groups[0]
        first = closure()
        loss, g = float(first.numpy()), self._gradients(flat)
        evaluations = 1
        if float(abs(g).max()) > options["tolerance_grad"]:
            for iteration in range(1, options["max_iter"] + 1):
                d = self._choose(flat.backend.xp, g)
                slope = float(g @ d)
                if slope > -options["tolerance_change"]:
                    break
                fresh = self._iterations == 1
                t = min(1.0, 1.0 / float(abs(g).sum())) * options["lr"] if fresh else options["lr"]
                before, self._gradient = loss, g
                last = iteration == options["max_iter"]
                loss, g, self._t, calls = self._move(closure, flat, Point(0.0, loss, g, slope), d, t, options, last)
                evaluations += calls
                if last or evaluations >= options["max_eval"] or self._arrived(g, d, loss - before, options):
                    break
        random.state.set_step(random.state.step + 1)
        return first

    def _arrived(self, g: Array, d: Array, change: float, options: Mapping[str, Any]) -> bool:
        small = options["tolerance_change"]
        flat = float(abs(g).max()) <= options["tolerance_grad"]
        return bool(flat or float(abs(d).max()) * abs(self._t) <= small or abs(change) < small)

    def _gradients(self, flat: Flat) -> Array:
        with no_grad():
            flat.adopt()
            for present, home in zip(flat.gather(), flat.grad_views, strict=True):
                if not present:
                    home[...] = 0
        return flat.grads.astype(state_dtype(flat.dtype))

    def _choose(self, xp: Namespace, g: Array) -> Array:
        """Store the last move, then return the direction ``−H g``."""
        self._iterations += 1
        if self._direction is None or self._gradient is None:
            self._direction = -g
            return self._direction
        y, s = g - self._gradient, self._direction * self._t
        if float(y @ s) > 1e-10:
            keep = self.param_groups[0]["history_size"] - 1
            self._changes = [*self._changes[-keep:], y] if keep else [y]
            self._steps = [*self._steps[-keep:], s] if keep else [s]
        self._direction = self._two_loops(-g)
        return self._direction

    def _two_loops(self, q: Array) -> Array:
        pairs = list(zip(self._steps, self._changes, strict=True))
        if not pairs:
            return q
        rho = [1.0 / float(y @ s) for s, y in pairs]
        alpha = [0.0] * len(pairs)
        for i in reversed(range(len(pairs))):
            s, y = pairs[i]
            alpha[i] = float(s @ q) * rho[i]
            q = q - alpha[i] * y
        s, y = pairs[-1]
        r = q * (float(y @ s) / float(y @ y))
        for i, (s, y) in enumerate(pairs):
            r = r + s * (alpha[i] - float(y @ r) * rho[i])
        return r

    def _move(
        self,
        closure: Callable[[], Tensor],
        flat: Flat,
        start: Point,
        d: Array,
        t: float,
        options: Mapping[str, Any],
        last: bool,
    ) -> tuple[float, Array, float, int]:
        """Move along d.  Returns the new loss and gradient, the step length, and the number of closure calls."""
        origin = flat.values.copy()

        def go(t: float) -> None:
            flat.values[...] = origin + t * d
            flat.note_change()

        def evaluate(t: float) -> Point:
            go(t)
            f = float(closure().numpy())
            g = self._gradients(flat)
            return Point(t, f, g, float(g @ d))

        if options["line_search_fn"] is None:
            if last:  # the loss at the new point is not needed
                go(t)
                return start.f, start.g, t, 0
            trial = evaluate(t)
            return trial.f, trial.g, t, 1
        trial, calls = strong_wolfe(evaluate, start, t, float(abs(d).max()), options["tolerance_change"])
        go(trial.t)
        return trial.f, trial.g, trial.t, calls

    # -- state ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state dict of all optimizers, with the stored moves under the single key "lbfgs"."""
        saved = super().state_dict()
        entry: dict[str, Any] = {"step": self._iterations}
        if self._direction is not None and self._gradient is not None:
            entry |= {"direction": self._direction.copy(), "gradient": self._gradient.copy(), "t": np.array([self._t])}
        entry |= {f"s{i}": s.copy() for i, s in enumerate(self._steps)}
        entry |= {f"y{i}": y.copy() for i, y in enumerate(self._changes)}
        saved["state"]["lbfgs"] = entry
        return saved

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Load a state dict.  Raises: ``ValueError`` if it does not match."""
        super().load_state_dict(saved)
        flat, entry = self._flats[0][0], saved["state"]["lbfgs"]

        def brought(name: str) -> Array | None:
            if name not in entry:
                return None
            values = to_numpy(entry[name]) if is_array(entry[name]) else entry[name]
            if values.shape != flat.values.shape:
                raise ValueError(f"LBFGS state {name!r}: expected shape {flat.values.shape}, got {values.shape}")
            return flat.backend.asarray(values, state_dtype(flat.dtype))

        self._iterations = int(entry["step"])
        self._direction, self._gradient = brought("direction"), brought("gradient")
        self._t = float(to_numpy(entry["t"])[0]) if "t" in entry else 0.0
        count = sum(name.startswith("s") and name != "step" for name in entry)
        pairs = [(brought(f"s{i}"), brought(f"y{i}")) for i in range(count)]
        self._steps, self._changes = [s for s, _ in pairs if s is not None], [y for _, y in pairs if y is not None]
