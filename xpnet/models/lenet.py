"""LeNet-5."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from xpnet import nn
from xpnet_backends import Backend


class LeNet5(nn.Sequential):
    """``[conv 5x5, ReLU, max-pool] × 2, conv 5x5, ReLU, linear 84, ReLU, linear``.  x (N, C, 28, 28) -> logits.

    Widths 6, 16, 120, 84 as in LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document
    recognition", but with ReLU and max-pooling instead of tanh and trained averages.

    Parameters
    ----------
    num_classes, in_channels : the number of logits, and of input channels.
    image_size : 28 or 32; images of 28x28 are padded by two pixels, as in the paper.
    dropout : probability of dropping a unit before the last layer.
    backend, dtype : of the parameters.

    >>> LeNet5().summary().splitlines()[-1]
    'total 61,706 parameters (61,706 trainable), 0.24 MiB'
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        *,
        image_size: int = 28,
        dropout: float = 0.0,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        if image_size not in (28, 32):
            raise ValueError(f"LeNet5 takes images of 28x28 or 32x32, got {image_size}x{image_size}")
        where: dict[str, Any] = {"backend": backend, "dtype": dtype}
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(in_channels, 6, 5, padding=2 if image_size == 28 else 0, **where),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(6, 16, 5, **where),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            conv3=nn.Conv2d(16, 120, 5, **where),
            relu3=nn.ReLU(),
            flatten=nn.Flatten(),
            fc1=nn.Linear(120, 84, **where),
            relu4=nn.ReLU(),
        )
        if dropout:
            layers["dropout"] = nn.Dropout(dropout)
        layers["fc2"] = nn.Linear(84, num_classes, **where)
        super().__init__(layers)
