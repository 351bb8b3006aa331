"""Grad-CAM: which part of an image a convolutional network used for a class."""

from __future__ import annotations

from typing import Any

from xpnet.nn import Module
from xpnet.nn import functional as F
from xpnet.nn.utils import for_model, keep_modes
from xpnet.tensor import Tensor, TensorLike, is_grad_enabled
from xpnet_backends import Array, pairwise_mean, pairwise_sum

from .activations import find_layer


def gradcam(model: Module, layer: str, x: TensorLike, target: Any = None) -> Array:
    """``relu(Σₖ αₖ Aₖ)``: the maps Aₖ of a layer, weighted by ``αₖ``, the mean of ∂y_c/∂Aₖ; y_c is a logit.

    x (N, C, H, W) -> (N, H, W) from 0 to 1; each map is divided by its largest value and resized to the images' size.
    The model is left unchanged, including the gradients of its parameters.

    Parameters
    ----------
    layer : path of a layer with maps (N, K, P, Q), usually the last one.
    target : the class, one class for each image, or None for the predicted classes.

    Source: Selvaraju et al. 2016, arXiv:1610.02391, eqs. 1 and 2.

    Raises: ``ValueError`` for a layer without maps, one on which the output does not depend, or a class out of range.

    >>> from xpnet import models
    >>> gradcam(models.LeNet5(), "relu2", [[[[0.5] * 28] * 28]], target=3).shape
    (1, 28, 28)
    """
    images, place = for_model(model, x).detach(), find_layer(model, layer)
    if not is_grad_enabled():
        raise ValueError("gradcam needs gradients: call it outside no_grad()")
    maps: list[Tensor] = []

    def cut(module: Module, inputs: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor) or output.ndim != 4:
            raise ValueError(f"gradcam: the layer {layer!r} gives {_shape(output)}, not maps (N, K, P, Q)")
        maps.append(Tensor(output.data, requires_grad=True))  # a new leaf: the backward stops here
        return maps[-1]

    parameters = [(p, p.requires_grad) for p in model.parameters()]
    remove = place.register_forward_hook(cut)
    try:
        for p, _ in parameters:
            p.requires_grad = False
        with keep_modes(model):
            model.eval()
            logits = model(images)
    finally:
        remove()
        for p, required in parameters:
            p.requires_grad = required
    if not maps or not logits.requires_grad:
        raise ValueError(f"gradcam: the output does not depend on the layer {layer!r}")
    (logits * _chosen(logits, target)).sum().backward()  # samples are independent in evaluation mode
    a, slope = maps[-1].data, maps[-1].grad
    assert slope is not None
    heat = F.relu(
        Tensor(pairwise_sum(pairwise_mean(slope, (2, 3), keepdims=True) * a, 1, keepdims=True))
    )  # (N, 1, P, Q)
    large = F.interpolate(heat, tuple(images.shape[2:]), mode="bilinear").data[:, 0]  # (N, H, W)
    xp = images.backend.xp
    result: Array = large / xp.maximum(large.max(axis=(1, 2), keepdims=True), 1e-12)
    return result


def _chosen(logits: Tensor, target: Any) -> Array:
    """One-hot rows of the chosen classes: (N, C)."""
    if logits.ndim != 2:
        raise ValueError(f"gradcam: expected a model that gives logits (N, C), got {_shape(logits)}")
    n, classes = logits.shape
    backend = logits.backend
    if target is None:
        numbers = logits.data.argmax(axis=1)
    else:
        numbers = backend.asarray(target, "int64") + backend.xp.zeros(n, "int64")
        if not bool(((numbers >= 0) & (numbers < classes)).all()):
            raise ValueError(f"gradcam: the class must lie in 0..{classes - 1}, got {target}")
    return (numbers[:, None] == backend.xp.arange(classes)).astype(logits.dtype)


def _shape(output: Any) -> str:
    return f"an output of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
