"""Build a network and its optimizer from an estimator's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from xpnet import nn, optim
from xpnet_backends import to_numpy

ACTIVATIONS = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "logistic": nn.Sigmoid, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU,
    "gelu": nn.GELU, "identity": nn.Identity,
}  # fmt: skip
OPTIMIZERS = {
    "sgd": optim.SGD, "rmsprop": optim.RMSprop, "adam": optim.Adam, "adamw": optim.AdamW, "nadam": optim.NAdam,
    "radam": optim.RAdam, "adagrad": optim.Adagrad, "adamax": optim.Adamax,
}  # fmt: skip


def build(recipe: Mapping[str, Any]) -> tuple[nn.Module, optim.Optimizer]:
    """The network and its optimizer, with initial weights in the dtype of the data."""
    if recipe["model"] is None:
        model = _layers(recipe)
    elif isinstance(recipe["model"], nn.Module) or not callable(recipe["model"]):
        raise TypeError(
            f"model must be a function (n_features, n_outputs) -> Module, so that each fit creates a new network, "
            f"got {type(recipe['model']).__name__}"
        )
    else:
        model = recipe["model"](recipe["inputs"], recipe["outputs"])
    model.to(backend=recipe["backend"], dtype=recipe["dtype"])
    make = recipe["optimizer"]
    if not callable(make):
        make = OPTIMIZERS.get(make)
        if make is None:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, got {recipe['optimizer']!r}")
    return model, make(model.named_parameters(), lr=recipe["lr"], weight_decay=recipe["weight_decay"])


def _layers(recipe: Mapping[str, Any]) -> nn.Module:
    sizes = recipe["hidden_layer_sizes"]
    hidden = list(sizes) if isinstance(sizes, (tuple, list)) else [sizes]
    if not all(type(width) is int and width > 0 for width in hidden):
        raise ValueError(f"hidden_layer_sizes must be positive whole numbers, got {recipe['hidden_layer_sizes']!r}")
    if recipe["activation"] not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {recipe['activation']!r}")
    widths = [recipe["inputs"], *hidden]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after, dtype=recipe["dtype"]), ACTIVATIONS[recipe["activation"]]()]
        layers += [nn.Dropout(recipe["dropout"])] if recipe["dropout"] else []
    return nn.Sequential(*layers, nn.Linear(widths[-1], recipe["outputs"], dtype=recipe["dtype"]))


def on_host(value: Any) -> Any:
    """Nested dicts and lists with all arrays copied to the host."""
    if isinstance(value, dict):
        return {key: on_host(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [on_host(entry) for entry in value]
    return to_numpy(value) if hasattr(value, "dtype") else value
