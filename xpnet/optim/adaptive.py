"""Adaptive optimizers related to RMSprop and Adam: they scale the step of each element by its past gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from xpnet.optim.adam import decay_weights, update_moments
from xpnet.optim.optimizer import Clock, Optimizer, Parameters
from xpnet_backends import Array, Namespace


class Adagrad(Optimizer):
    """``s ← s + g²``;  ``θ ← θ − η / (1 + (t − 1) lr_decay) · g / (√s + ε)``.

    Source: Duchi, Hazan, Singer, JMLR 12, 2011.

    Parameters
    ----------
    params : see ``Optimizer``.
    lr : learning rate η.
    lr_decay : decay of the learning rate over the steps t.
    weight_decay : λ; ``λθ`` is added to the gradient.
    initial_accumulator_value : the value at which s starts.
    eps : ε, added to the denominator.
    maximize : maximise the objective instead of minimising it.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay, "eps": eps, "maximize": maximize}
        super().__init__(params, {**defaults, "initial_accumulator_value": initial_accumulator_value})

    def check(self, options: Mapping[str, Any]) -> None:
        super().check(options)
        for name in ("lr_decay", "initial_accumulator_value"):
            if not options[name] >= 0.0:
                raise ValueError(f"Adagrad: {name} must be >= 0, got {options[name]!r}")

    def state_names(self, options: Mapping[str, Any]) -> Sequence[str]:
        return ["sum"]

    def update(
        self, xp: Namespace, theta: Array, g: Array, state: dict[str, Array], clock: Clock, options: dict[str, Any]
    ) -> None:
        g = decay_weights(theta, g, clock, options["weight_decay"], decoupled=False)
        s = state["sum"]
        if clock.first:
            s += options["initial_accumulator_value"]
        s += g * g
        rate = clock.lr / (1.0 + (clock.step - 1.0) * options["lr_decay"])
        theta -= rate * (g / (xp.sqrt(s) + options["eps"]))


class Adadelta(Optimizer):
    """``s ← ρs + (1 − ρ)g²``;  ``Δ = g √(u + ε) / √(s + ε)``;  ``u ← ρu + (1 − ρ)Δ²``;  ``θ ← θ − ηΔ``.

    Source: Zeiler 2012, arXiv:1212.5701, algorithm 1.

    Parameters
    ----------
    params : see ``Optimizer``.
    lr : factor η of the step.
    rho : decay rate ρ of both averages.
    eps : ε, added under the roots.
    weight_decay : λ; ``λθ`` is added to the gradient.
    maximize : maximise the objective instead of minimising it.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def check(self, options: Mapping[str, Any]) -> None:
        super().check(options)
        if not 0.0 <= options["rho"] <= 1.0:
            raise ValueError(f"Adadelta: rho must lie in 0..1, got {options['rho']!r}")

    def state_names(self, options: Mapping[str, Any]) -> Sequence[str]:
        return ["square_avg", "acc_delta"]

    def update(
        self, xp: Namespace, theta: Array, g: Array, state: dict[str, Array], clock: Clock, options: dict[str, Any]
    ) -> None:
        g = decay_weights(theta, g, clock, options["weight_decay"], decoupled=False)
        s, u = state["square_avg"], state["acc_delta"]
        rho, eps = options["rho"], options["eps"]
        s *= rho
        s += (1.0 - rho) * g * g
        delta = xp.sqrt(u + eps) / xp.sqrt(s + eps) * g
        u *= rho
        u += (1.0 - rho) * delta * delta
        theta -= clock.lr * delta


class Adamax(Optimizer):
    """``m ← β₁m + (1 − β₁)g``;  ``u ← max(β₂u, |g| + ε)``;  ``θ ← θ − η / (1 − β₁ᵗ) · m / u``.

    Source: Kingma & Ba 2014, arXiv:1412.6980, algorithm 2.

    Parameters
    ----------
    params, lr, betas, weight_decay, maximize : as in ``Adam``.
    eps : ε, added to ``|g|``.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, defaults)

    def state_names(self, options: Mapping[str, Any]) -> Sequence[str]:
        return ["exp_avg", "exp_inf"]

    def update(
        self, xp: Namespace, theta: Array, g: Array, state: dict[str, Array], clock: Clock, options: dict[str, Any]
    ) -> None:
        g = decay_weights(theta, g, clock, options["weight_decay"], decoupled=False)
        m, u = state["exp_avg"], state["exp_inf"]
        beta1, beta2 = options["betas"]
        m *= beta1
        m += (1.0 - beta1) * g
        u *= beta2
        xp.maximum(u, xp.abs(g) + options["eps"], out=u)
        theta -= (clock.lr / clock.bias_correction(beta1)) * (m / u)


class NAdam(Optimizer):
    """Adam with Nesterov momentum: ``θ ← θ − η [μ' m / (1 − Πμ μ') + (1 − μ) g / (1 − Πμ)] / (√v̂ + ε)``.

    ``μ = β₁ (1 − ½ · 0.96^{tψ})``; μ' is μ of the next step, and Πμ the product of all μ up to this step.
    Source: Dozat 2016, "Incorporating Nesterov momentum into Adam".

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, maximize : as in ``Adam``.
    momentum_decay : ψ.
    decoupled_weight_decay : decay the weights as ``AdamW`` does.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        rest = {"momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, {**defaults, **rest})

    def check(self, options: Mapping[str, Any]) -> None:
        super().check(options)
        if not options["momentum_decay"] >= 0.0:
            raise ValueError(f"NAdam: momentum_decay must be >= 0, got {options['momentum_decay']!r}")

    def state_names(self, options: Mapping[str, Any]) -> Sequence[str]:
        return ["exp_avg", "exp_avg_sq", "mu_product"]

    def update(
        self, xp: Namespace, theta: Array, g: Array, state: dict[str, Array], clock: Clock, options: dict[str, Any]
    ) -> None:
        (beta1, beta2), m, v = options["betas"], state["exp_avg"], state["exp_avg_sq"]
        g = decay_weights(theta, g, clock, options["weight_decay"], decoupled=options["decoupled_weight_decay"])
        product = state["mu_product"]  # Π μ: one number, kept for every element so that it is saved with its parameter
        if clock.first:
            product += 1.0
        decay = options["momentum_decay"] * math.log(0.96)
        mu = beta1 * (1.0 - 0.5 * xp.exp(clock.step * decay))
        mu_next = beta1 * (1.0 - 0.5 * xp.exp((clock.step + 1.0) * decay))
        product *= mu
        update_moments(m, v, g, options["betas"])
        denominator = xp.sqrt(v / clock.bias_correction(beta2)) + options["eps"]
        ahead = mu_next * m / (1.0 - product * mu_next) + (1.0 - mu) * g / (1.0 - product)
        theta -= clock.lr * (ahead / denominator)


class RAdam(Optimizer):
    """Rectified Adam: it corrects for the uncertain estimate of the variance in the first steps.

    ``ρ∞ = 2/(1 − β₂) − 1``, ``ρ = ρ∞ − 2t β₂ᵗ/(1 − β₂ᵗ)``.  If ρ > 5, ``θ ← θ − η r m̂ / (√v̂ + ε)`` with
    ``r = √((ρ − 4)(ρ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ))``, else ``θ ← θ − η m̂``.
    Source: Liu et al. 2019, arXiv:1908.03265, algorithm 2.  The bound 5 is PyTorch's; the paper uses 4.

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, maximize : as in ``Adam``.
    decoupled_weight_decay : decay the weights as ``AdamW`` does.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, {**defaults, "decoupled_weight_decay": decoupled_weight_decay})

    def state_names(self, options: Mapping[str, Any]) -> Sequence[str]:
        return ["exp_avg", "exp_avg_sq"]

    def update(
        self, xp: Namespace, theta: Array, g: Array, state: dict[str, Array], clock: Clock, options: dict[str, Any]
    ) -> None:
        (beta1, beta2), m, v = options["betas"], state["exp_avg"], state["exp_avg_sq"]
        g = decay_weights(theta, g, clock, options["weight_decay"], decoupled=options["decoupled_weight_decay"])
        update_moments(m, v, g, options["betas"])
        step = (clock.lr / clock.bias_correction(beta1)) * m
        limit = 2.0 / (1.0 - beta2) - 1.0
        if limit > 5.0:  # else no step is ever rectified
            known, r = self._rectification(xp, clock, math.log(beta2), limit)
            scale = (r * xp.sqrt(clock.bias_correction(beta2))).astype(theta.dtype)
            step = step * xp.where(known, scale, 1.0) / xp.where(known, xp.sqrt(v) + options["eps"], 1.0)
        theta -= step

    @staticmethod
    def _rectification(xp: Namespace, clock: Clock, log_beta: float, limit: float) -> tuple[Array, Array]:
        """Whether ρ > 5, and r.  Computed on the backend without a branch on the host.

        In float64, because ρ is a small difference of two numbers near ρ∞.
        """
        t = clock.step.astype("float64")
        rho = limit - 2.0 * t * xp.exp(t * log_beta) / -xp.expm1(t * log_beta)
        safe = xp.maximum(rho, 5.0)  # keeps the argument of the root positive
        return rho > 5.0, xp.sqrt((safe - 4.0) * (safe - 2.0) / safe * (limit / ((limit - 4.0) * (limit - 2.0))))
