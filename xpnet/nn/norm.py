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
    """A learned scale (initially one) and shift (initially zero); each may be absent."""

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
        """Set the scale to one and the shift to zero."""
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
        """Count this batch.  Returns its weight in the running statistics: ``momentum``, or 1/count for an average."""
        assert self.num_batches_tracked is not None
        assert self.running_mean is not None
        self.num_batches_tracked[...] += 1
        if self.momentum is not None:
            return self.momentum
        return 1.0 / self.num_batches_tracked.astype(self.running_mean.dtype)

    def _keep(self, mean: Any, variance: Any) -> None:
        """Write the new statistics into the buffers, which keep their memory, as a captured step requires."""
        assert self.running_mean is not None
        assert self.running_var is not None
        self.running_mean[...] = mean
        self.running_var[...] = variance

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}"


class BatchNorm2d(_BatchNorm):
    """``y = w (x − μ) / √(v + ε) + b`` for each channel, with batch statistics; in evaluation with running statistics.

    x (N, C, H, W), weight, bias (C,).  ``running ← (1 − momentum) running + momentum · batch``.

    Parameters
    ----------
    num_features : C.
    eps : ε.
    momentum : the weight of a batch in the running statistics; None averages over all batches.
    affine : whether there are w and b.
    track_running_stats : keep running statistics; otherwise evaluation uses batch statistics too.
    backend, dtype : of the parameters.

    >>> import xpnet
    >>> x = xpnet.tensor([[[[1.0, 3.0]]], [[[5.0, 7.0]]]])
    >>> abs(float(BatchNorm2d(1)(x).mean())) < 1e-6
    True
    """

    _ndims = (4,)
    _shape = "(N, {}, H, W)"


class BatchNorm1d(_BatchNorm):
    """Like ``BatchNorm2d``, for features or channels of sequences.  x (N, C) or (N, C, T).

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, backend, dtype : as in ``BatchNorm2d``.
    """

    _ndims = (2, 3)
    _shape = "(N, {0}) or (N, {0}, T)"


class LayerNorm(_Affine):
    """``y = w (x − μ) / √(v + ε) + b`` with the mean and variance of each sample over the last axes.

    Parameters
    ----------
    normalized_shape : the shape of the last axes, and of w and b.
    eps : ε.
    elementwise_affine : whether there are w and b.
    bias : whether there is b.
    backend, dtype : of the parameters.

    >>> import xpnet
    >>> LayerNorm(2, eps=0.0)(xpnet.tensor([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
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
    """``y = w x / √(mean(x²) + ε)``, with the mean over the last axes of each sample.

    Parameters
    ----------
    normalized_shape : the shape of the last axes, and of w.
    eps : ε; the machine epsilon of the dtype by default.
    elementwise_affine : whether there is w.
    backend, dtype : of the parameters.
    """

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
    """``y = w (x − μ) / √(v + ε) + b`` with the mean and variance of each group of channels of each sample.

    x (N, C, ...), weight, bias (C,).

    Parameters
    ----------
    num_groups : the number of groups, a divisor of C.
    num_channels : C.
    eps : ε.
    affine : whether there are w and b.
    backend, dtype : of the parameters.
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
    """``y = w (x − μ) / √(v + ε) + b`` with the mean and variance of each channel of each image.  x (N, C, H, W).

    Parameters
    ----------
    num_features : C.
    eps : ε.
    momentum, track_running_stats : for compatibility; running statistics are not supported.
    affine : whether there are w and b.
    backend, dtype : of the parameters.
    """

    _ndim = 4
    _shape = "(N, {}, H, W)"


class InstanceNorm1d(_InstanceNorm):
    """``y = w (x − μ) / √(v + ε) + b`` with the mean and variance of each channel of each sequence.  x (N, C, T).

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats, backend, dtype : as in ``InstanceNorm2d``.
    """

    _ndim = 3
    _shape = "(N, {}, T)"
