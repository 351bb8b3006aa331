"""Variance of signal and gradient by depth in a deep network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from xpnet.nn import Conv1d, Conv2d, Linear, Module
from xpnet.nn.utils import for_model, left_as_it_was
from xpnet.tensor import Tensor, TensorLike
from xpnet_backends import to_numpy


def variance_by_depth(
    model: Module, x: TensorLike, loss: Callable[[Tensor], Tensor]
) -> tuple[list[float], list[float]]:
    """Variance of the output of each linear and convolutional layer, and of the gradient of that output.

    Both are in the order in which the layers run, and in float64, because the values may be too small for float32.  The
    model runs in its current mode and is left unchanged, including gradients and running statistics.

    Raises: ``ValueError`` if there is no such layer.
    """
    signals: list[float] = []
    gradients: list[float] = []

    def forward(layer: Module, inputs: Any, output: Tensor) -> None:
        signals.append(_variance(output.data))

    def backward(layer: Module, dx: Any, dy: Any) -> None:
        gradients.append(_variance(dy[0]))

    layers = [layer for layer in model.modules() if isinstance(layer, (Linear, Conv1d, Conv2d))]
    if not layers:
        raise ValueError(f"variance_by_depth: {type(model).__name__} has no linear or convolutional layer")
    hooks = [layer.register_forward_hook(forward) for layer in layers]
    hooks += [layer.register_full_backward_hook(backward) for layer in layers]
    try:
        with left_as_it_was(model):
            loss(model(for_model(model, x).detach())).backward()
    finally:
        for remove in hooks:
            remove()
    return signals, gradients[::-1]  # the gradient of the last layer came first


def _variance(array: Any) -> float:
    return float(to_numpy(array).astype(np.float64).var())
