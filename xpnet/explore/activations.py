"""The output of each layer of a network for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpnet.nn import Module
from xpnet.nn.utils import for_model, keep_modes
from xpnet.tensor import Tensor, TensorLike, no_grad
from xpnet_backends import Array


def find_layer(model: Module, path: str) -> Module:
    """The layer at a path such as "conv1" or "layer3.0.conv2".

    Raises: ``ValueError`` for an unknown path; it lists the known ones.
    """
    layers = {name: module for name, module in model.named_modules() if name}
    if path not in layers:
        known = ", ".join(list(layers)[:20]) + (", ..." if len(layers) > 20 else "")
        raise ValueError(f"{type(model).__name__} has no layer {path!r}; its layers are {known}")
    return layers[path]


def activations(model: Module, x: TensorLike, layers: Sequence[str] | None = None) -> dict[str, Array]:
    """The outputs of ``layers`` (by default all layers without sublayers) for a batch, in evaluation mode.

    Raises: ``ValueError`` for a layer that does not exist or was not used.

    >>> from xpnet import nn
    >>> found = activations(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), [[1.0, 2.0]])
    >>> {name: y.shape for name, y in found.items()}
    {'0': (1, 3), '1': (1, 3)}
    """
    paths = layers if layers is not None else [n for n, m in model.named_modules() if n and not list(m.children())]
    found: dict[str, Array] = {}

    def note(path: str) -> Any:
        def hook(module: Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                found[path] = output.data

        return hook

    undo = [find_layer(model, path).register_forward_hook(note(path)) for path in paths]
    try:
        with keep_modes(model), no_grad():
            model.eval()
            model(for_model(model, x))
    finally:
        for remove in undo:
            remove()
    for path in layers or ():
        if path not in found:
            raise ValueError(f"the layer {path!r} was not used, or its output is not a tensor")
    return {path: found[path] for path in paths if path in found}
