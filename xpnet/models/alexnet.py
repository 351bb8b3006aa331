"""AlexNet, and a version for small images."""

from __future__ import annotations

from typing import Any

from xpnet import nn
from xpnet.tensor import Tensor, TensorLike
from xpnet_backends import Backend


class _AlexNet(nn.Module):
    """Convolutional features, adaptive average pooling to a fixed size, and a classifier."""

    features: nn.Sequential
    avgpool: nn.AdaptiveAvgPool2d
    classifier: nn.Sequential

    def forward(self, x: TensorLike) -> Tensor:
        y: Tensor = self.classifier(nn.functional.flatten(self.avgpool(self.features(x)), 1))
        return y


class AlexNet(_AlexNet):
    """Five convolutions and three linear layers.  x (N, C, H, W), H and W at least 63 -> logits (N, num_classes).

    The one-tower form of Krizhevsky 2014, arXiv:1404.5997, as torchvision has it, with its state-dict names.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.5,
        *,
        in_channels: int = 3,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        where: dict[str, Any] = {"backend": backend, "dtype": dtype}
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 64, 11, stride=4, padding=2, **where), nn.ReLU(), nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2, **where), nn.ReLU(), nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1, **where), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1, **where), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1, **where), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(256 * 6 * 6, 4096, **where), nn.ReLU(),
            nn.Dropout(dropout), nn.Linear(4096, 4096, **where), nn.ReLU(),
            nn.Linear(4096, num_classes, **where),
        )  # fmt: skip


class SmallAlexNet(_AlexNet):
    """The same architecture for images of about 32x32: smaller kernels and strides, an eighth of the linear width.

    >>> SmallAlexNet(10).summary().splitlines()[-1]
    'total 3,044,170 parameters (3,044,170 trainable), 11.61 MiB'
    """

    def __init__(
        self,
        num_classes: int = 10,
        dropout: float = 0.5,
        *,
        in_channels: int = 3,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        where: dict[str, Any] = {"backend": backend, "dtype": dtype}
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 64, 3, padding=1, **where), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(64, 192, 3, padding=1, **where), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(192, 384, 3, padding=1, **where), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1, **where), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1, **where), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(256 * 2 * 2, 512, **where), nn.ReLU(),
            nn.Dropout(dropout), nn.Linear(512, 512, **where), nn.ReLU(),
            nn.Linear(512, num_classes, **where),
        )  # fmt: skip
