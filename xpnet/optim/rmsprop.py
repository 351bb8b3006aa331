"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xpnet.optim.optimizer import Clock, Optimizer, Parameters
from xpnet_backends import Array, Namespace


class RMSprop(Optimizer):
    """``s ← αs + (1 − α)g²``;  ``θ ← θ − η g / (√s + ε)``.

    Source: Tieleman & Hinton 2012, lecture 6.5; Graves 2013, arXiv:1308.0850, eq. 38-45 (centered).

    Parameters
    ----------
    params : see ``Optimizer``.
    lr : learning rate η.
    alpha : decay rate α of the average s.
    eps : ε, added to the denominator.
    weight_decay : λ; ``λθ`` is added to the gradient.
    momentum : μ of a velocity ``v ← μv + g / (√s + ε)``, which then replaces the quotient.
    centered : divide by the standard deviation ``√(s − ḡ²)`` instead of √s.
    maximize : maximise the objective instead of minimising it.

    >>> import xpnet
    >>> RMSprop([xpnet.nn.Parameter([1.0])], lr=0.01, momentum=0.9).param_groups[0]["momentum"]
    0.9
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(params, {**defaults, "centered": centered, "maximize": maximize})

    def check(self, options: Mapping[str, Any]) -> None:
        super().check(options)
        if not 0.0 <= options["alpha"] <= 1.0:
            raise ValueError(f"RMSprop: alpha must be in 0..1, got {options['alpha']!r}")

    def state_names(self, options: Mapping[str, Any]) -> Sequence[str]:
        return (
            ["square_avg"]
            + (["grad_avg"] if options["centered"] else [])
            + (["momentum_buffer"] if options["momentum"] else [])
        )

    def update(
        self, xp: Namespace, theta: Array, g: Array, state: dict[str, Array], clock: Clock, options: dict[str, Any]
    ) -> None:
        alpha, s = options["alpha"], state["square_avg"]
        if options["weight_decay"]:
            g = g + options["weight_decay"] * theta
        s *= alpha
        s += (1.0 - alpha) * g * g
        variance = s
        if options["centered"]:
            mean = state["grad_avg"]
            mean *= alpha
            mean += (1.0 - alpha) * g
            variance = s - mean * mean
        quotient = g / (xp.sqrt(variance) + options["eps"])
        if options["momentum"]:
            v = state["momentum_buffer"]
            v *= options["momentum"]
            v += quotient
            quotient = v
        theta -= clock.lr * quotient
