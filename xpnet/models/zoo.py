"""The models that the command line knows by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xpnet import nn
from xpnet.models.alexnet import SmallAlexNet
from xpnet.models.lenet import LeNet5
from xpnet.models.mlp import MLP
from xpnet.models.resnet import resnet18, resnet20
from xpnet.models.vgg import VGG


@dataclass(frozen=True)
class Entry:
    """A named model: its description, the images (C, H, W) it takes, and how to build it.

    ``build(channels, height, classes, dropout=..., backend=...)``; ``sizes`` is None if any size of at least
    ``smallest`` is allowed.
    """

    about: str
    build: Callable[..., nn.Module]
    sizes: tuple[int, ...] | None = None
    smallest: int = 1
    dropout: bool = True


ZOO: dict[str, Entry] = {
    "lenet": Entry(
        "LeNet-5: three convolutions 5x5, two linear layers; 62 thousand parameters",
        lambda channels, height, classes, **kw: LeNet5(classes, channels, image_size=height, **kw),
        sizes=(28, 32),
    ),
    "resnet20": Entry(
        "ResNet-20 for small images: three stages of 16, 32, 64 channels; 0.27 million parameters",
        lambda channels, height, classes, **kw: resnet20(classes, in_channels=channels, **kw),
        smallest=8,
        dropout=False,
    ),
    "resnet18": Entry(
        "ResNet-18 with the stem for small images; 11 million parameters",
        lambda channels, height, classes, **kw: resnet18(classes, in_channels=channels, stem="cifar", **kw),
        smallest=8,
        dropout=False,
    ),
    "alexnet": Entry(
        "AlexNet for small images: five convolutions, three linear layers; 3 million parameters",
        lambda channels, height, classes, **kw: SmallAlexNet(classes, in_channels=channels, **kw),
        smallest=8,
    ),
    "vgg11": Entry(
        "VGG-11 with batch normalisation for images of 32x32; 9 million parameters",
        lambda channels, height, classes, **kw: VGG(
            11, classes, small=True, batch_norm=True, in_channels=channels, **kw
        ),
        sizes=(32,),
        dropout=False,
    ),
}
NAMES = ("mlp", *ZOO)


def build(
    name: str, shape: Sequence[int], classes: int, *, hidden: Sequence[int], dropout: float, backend: Any = None
) -> nn.Module:
    """Build the model ``name`` for images of ``shape`` (H, W) or (C, H, W).

    Raises: ``ValueError`` for an unknown name, a size that the model does not take, or dropout for a model without it.
    """
    if name == "mlp":
        return MLP(math.prod(shape), hidden, classes, dropout=dropout, backend=backend)
    if name not in ZOO:
        raise ValueError(f"unknown model {name!r}: choose one of {', '.join(NAMES)}")
    entry = ZOO[name]
    channels, height, width = (1, *shape) if len(shape) == 2 else tuple(shape)
    if height != width or height < entry.smallest or (entry.sizes is not None and height not in entry.sizes):
        allowed = f"at least {entry.smallest}x{entry.smallest}" if entry.sizes is None else ""
        allowed = allowed or " or ".join(f"{n}x{n}" for n in entry.sizes or ())
        raise ValueError(f"{name} takes square images of {allowed}, these are {height}x{width}: choose another --model")
    if dropout and not entry.dropout:
        raise ValueError(f"{name} has no dropout: leave --dropout out")
    options = {"dropout": dropout} if entry.dropout else {}
    return entry.build(channels, height, classes, backend=backend, **options)
