"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xpnet.optim.optimizer import Clock, Optimizer, Parameters
from xpnet_backends import Array, Namespace


def decay_weights(theta: Array, g: Array, clock: Clock, weight_decay: float, *, decoupled: bool) -> Array:
    """Apply weight decay to the weights (``θ ← θ − ηλθ``), or add it to the returned gradient (``g + λθ``)."""
    if weight_decay and decoupled:
        theta *= 1.0 - clock.lr * weight_decay
        return g
    return g + weight_decay * theta if weight_decay else g


def update_moments(m: Array, v: Array, g: Array, betas: tuple[float, float]) -> None:
    """``m ← β₁m + (1 − β₁)g``;  ``v ← β₂v + (1 − β₂)g²``, in place."""
    beta1, beta2 = betas
    m *= beta1
    m += (1.0 - beta1) * g
    v *= beta2
    v += (1.0 - beta2) * g * g


class Adam(Optimizer):
    """``m ← β₁m + (1 − β₁)g``;  ``v ← β₂v + (1 − β₂)g²``;  ``θ ← θ − η m̂ / (√v̂ + ε)``.

    ``m̂ = m / (1 − β₁ᵗ)``, ``v̂ = v / (1 − β₂ᵗ)``.
    Source: Kingma & Ba 2014, arXiv:1412.6980, algorithm 1; Reddi et al. 2018 (AMSGrad).

    Parameters
    ----------
    params : parameters, ``(name, parameter)`` pairs, or groups with their own options; see ``Optimizer``.
    lr : learning rate η.
    betas : decay rates β₁, β₂ of the moments.
    eps : ε, added to the denominator.
    weight_decay : λ; ``λθ`` is added to the gradient.
    amsgrad : use the largest v so far in place of v.
    maximize : maximise the objective instead of minimising it.

    >>> import xpnet
    >>> w = xpnet.nn.Parameter([1.0, -1.0])
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> _ = optimizer.step()
    >>> w.data.round(4)
    array([ 0.9, -0.9], dtype=float32)
    """

    decoupled = False

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "amsgrad": amsgrad, "maximize": maximize})

    def state_names(self, options: Mapping[str, Any]) -> Sequence[str]:
        return ["exp_avg", "exp_avg_sq"] + (["max_exp_avg_sq"] if options["amsgrad"] else [])

    def update(
        self, xp: Namespace, theta: Array, g: Array, state: dict[str, Array], clock: Clock, options: dict[str, Any]
    ) -> None:
        (beta1, beta2), m, v = options["betas"], state["exp_avg"], state["exp_avg_sq"]
        g = decay_weights(theta, g, clock, options["weight_decay"], decoupled=self.decoupled)
        update_moments(m, v, g, options["betas"])
        if options["amsgrad"]:
            v = xp.maximum(state["max_exp_avg_sq"], v, out=state["max_exp_avg_sq"])
        denominator = xp.sqrt(v)
        denominator /= xp.sqrt(clock.bias_correction(beta2))
        denominator += options["eps"]
        theta -= (clock.lr / clock.bias_correction(beta1)) * (m / denominator)


class AdamW(Adam):
    """Adam with decoupled weight decay: ``θ ← θ − ηλθ`` in addition to Adam's step.

    Source: Loshchilov & Hutter 2017, arXiv:1711.05101, algorithm 2.

    Parameters
    ----------
    params, lr, betas, eps, amsgrad, maximize : as in ``Adam``.
    weight_decay : λ of the decoupled decay.

    >>> import xpnet
    >>> model = xpnet.nn.Linear(2, 1)
    >>> AdamW(model.parameters(), lr=1e-3, weight_decay=0.05).param_groups[0]["weight_decay"]
    0.05
    """

    decoupled = True

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
