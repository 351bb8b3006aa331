"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xpnet.optim.optimizer import Clock, Optimizer, Parameters
from xpnet_backends import Array, Namespace


class SGD(Optimizer):
    """``g ← ∇L + λθ``;  ``v ← μv + (1 − τ)g`` (``v = g`` in the first step);  ``θ ← θ − ηv``.

    Nesterov momentum: ``θ ← θ − η(g + μv)``.  Source: Sutskever et al., ICML 2013, as in PyTorch.

    Parameters
    ----------
    params : parameters, ``(name, parameter)`` pairs, or groups with their own options; see ``Optimizer``.
    lr : learning rate η.
    momentum : μ.
    dampening : τ.
    weight_decay : λ; ``λθ`` is added to the gradient.
    nesterov : use Nesterov momentum.
    maximize : maximise the objective instead of minimising it.

    >>> import xpnet
    >>> w = xpnet.nn.Parameter([1.0, -2.0])
    >>> optimizer = SGD([w], lr=0.25)
    >>> (w * w).sum().backward()
    >>> _ = optimizer.step()
    >>> w.tolist()
    [0.5, -1.0]
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "nesterov": nesterov, "maximize": maximize})

    def check(self, options: Mapping[str, Any]) -> None:
        super().check(options)
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError("SGD: nesterov needs momentum > 0 and dampening 0")

    def state_names(self, options: Mapping[str, Any]) -> Sequence[str]:
        return ["momentum_buffer"] if options["momentum"] else []

    def update(
        self, xp: Namespace, theta: Array, g: Array, state: dict[str, Array], clock: Clock, options: dict[str, Any]
    ) -> None:
        momentum = options["momentum"]
        if options["weight_decay"]:
            g = g + options["weight_decay"] * theta
        if momentum:
            v = state["momentum_buffer"]
            v *= momentum
            v += g if "momentum_buffer" in clock.fresh else (1.0 - options["dampening"]) * g
            g = g + momentum * v if options["nesterov"] else v
        theta -= clock.lr * g
