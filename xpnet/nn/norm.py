"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xpnet.nn import functional as F
from xpnet.nn import init
from xpnet.nn.module import Module, Parameter, new_parameter
from xpnet.tensor import Tensor, TensorLike, as_tensor
from xpnet_backends import Array, Backend, get_backend


class _Affine(Module):
    """A learned scale, starting at one, and shift, starting at zero; either may be absent."""

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self, shape: tuple[int, ...], weight: bool, bias: bool, backend: str | Backend | None, dtype: Any
    ) -> None:
        super().__init__()
        self.register_parameter("weight", new_parameter(shape, backend, dtype) if weight else None)
        self.register_parameter("bias", new_parameter(shape, backend, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Scale one, shift zero."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _BatchNorm(_Affine):
    running_mean: Array | None
    running_var: Array | None
    num_batches_tracked: Array | None
    _ndims: tuple[int, ...]
    _shape: str
    _wide_buffers = frozenset({"running_mean", "running_var"})

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__((num_features,), affine, affine, backend, dtype)
        self.num_features, self.eps, self.momentum, self.affine = num_features, eps, momentum, affine
        self.track_running_stats = track_running_stats
        xp = get_backend(backend).xp
        kind = "float64" if dtype is not None and np.dtype(dtype) == "float64" else "float32"
        tracked = track_running_stats
        self.register_buffer("running_mean", xp.zeros(num_features, dtype=kind) if tracked else None)
        self.register_buffer("running_var", xp.ones(num_features, dtype=kind) if tracked else None)
        self.register_buffer("num_batches_tracked", xp.zeros((), dtype="int64") if tracked else None)

    def forward(self, x: TensorLike) -> Tensor:
        t = as_tensor(x)
        if t.ndim not in self._ndims or t.shape[1] != self.num_features:
            raise ValueError(f"expected input of shape {self._shape.format(self.num_features)}, got {t.shape}")
        by_batch = self.training or self.running_mean is None
        factor = self._count() if self.training and self.track_running_stats else 0.0
        statistics = (self.running_mean, self.running_var)
        y, mean, variance = F.batch_norm(t, *statistics, self.weight, self.bias, by_batch, factor, self.eps)
        if self.training and self.track_running_stats:
            self._keep(mean, variance)
        return y

    def _count(self) -> Any:
        """Count this batch; its weight in the running statistics: ``momentum``, or 1/count for a plain average."""
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        self.num_batches_tracked[...] += 1
        if self.momentum is not None:
            return self.momentum
        return 1.0 / self.num_batches_tracked.astype(self.running_mean.dtype)

    def _keep(self, mean: Any, variance: Any) -> None:
        """Write the new statistics into the buffers: they stay where they are in memory, as a recorded step needs."""
        assert self.running_mean is not None
        assert self.running_var is not None
        self.running_mean[...] = mean
        self.running_var[...] = variance

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"


class BatchNorm2d(_BatchNorm):
    """``y = w (x − μ) / √(v + ε) + b``, each channel by the batch's mean and variance, in evaluation by running ones.

    x (N, C, H, W), weight, bias (C,).  ``running ← (1 − momentum) running + momentum · batch``; ``momentum=None``
    averages over all batches instead.
    """

    _ndims = (4,)
    _shape = "(N, {}, H, W)"


class BatchNorm1d(_BatchNorm):
    """As ``BatchNorm2d``, each feature or channel.  x (N, C) or (N, C, T)."""

    _ndims = (2, 3)
    _shape = "(N, {0}) or (N, {0}, T)"


class LayerNorm(_Affine):
    """``y = w (x − μ) / √(v + ε) + b``, each sample by mean and variance of its last axes.

    Those axes, and weight and bias, are of shape ``normalized_shape``.
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        super().__init__(shape, elementwise_affine, elementwise_affine and bias, backend, dtype)
        self.normalized_shape, self.eps = shape, eps

    def forward(self, x: TensorLike) -> Tensor:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}"


class RMSNorm(_Affine):
    """``y = w x / √(mean(x²) + ε)`` over each sample's last axes, of shape ``normalized_shape``, as the weight."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        super().__init__(shape, elementwise_affine, False, backend, dtype)
        self.normalized_shape, self.eps = shape, eps

    def forward(self, x: TensorLike) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}"


class GroupNorm(_Affine):
    """``y = w (x − μ) / √(v + ε) + b``, each sample by mean and variance of ``num_groups`` groups of its channels.

    x (N, C, ...), weight, bias (C,).
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_groups} groups do not divide {num_channels} channels")
        super().__init__((num_channels,), affine, affine, backend, dtype)
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps

    def forward(self, x: TensorLike) -> Tensor:
        t = as_tensor(x)
        if t.ndim < 2 or t.shape[1] != self.num_channels:
            raise ValueError(f"expected input of shape (N, {self.num_channels}, ...), got {t.shape}")
        return F.group_norm(t, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}"


class _InstanceNorm(_Affine):
    _ndim: int
    _shape: str

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        if track_running_stats:
            raise ValueError(f"{type(self).__name__}: running statistics are not kept; use BatchNorm for those")
        super().__init__((num_features,), affine, affine, backend, dtype)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum

    def forward(self, x: TensorLike) -> Tensor:
        t = as_tensor(x)
        if t.ndim != self._ndim or t.shape[1] != self.num_features:
            raise ValueError(f"expected input of shape {self._shape.format(self.num_features)}, got {t.shape}")
        return F.instance_norm(t, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}"


class InstanceNorm2d(_InstanceNorm):
    """``y = w (x − μ) / √(v + ε) + b``, each channel of each image by its own mean and variance.  x (N, C, H, W)."""

    _ndim = 4
    _shape = "(N, {}, H, W)"


class InstanceNorm1d(_InstanceNorm):
    """``y = w (x − μ) / √(v + ε) + b``, each channel of each sequence by its own mean and variance.  x (N, C, T)."""

    _ndim = 3
    _shape = "(N, {}, T)"
