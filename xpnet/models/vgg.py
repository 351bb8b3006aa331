"""VGG: a network of 3x3 convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpnet import nn
from xpnet.tensor import Tensor, TensorLike
from xpnet_backends import Backend

# Channels of each convolution; "M" is a max-pool.  Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, A, B, D, E.
_PLANS: dict[int, list[int | str]] = {
    11: [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    13: [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    16: [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"],
    19: [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}


class VGG(nn.Module):
    """VGG of ``depth`` 11, 13, 16 or 19, torchvision's state-dict names.  x (N, C, H, W), at least 32x32 -> logits.

    Parameters
    ----------
    depth, num_classes, in_channels : the number of layers, of logits, and of input channels.
    batch_norm : batch normalisation after each convolution.
    dropout : probability of dropping a unit in the classifier.
    small : the version for images of 32x32, as commonly used on CIFAR-10: one linear layer after a 1x1 average.
    backend, dtype : of the parameters.
    """

    def __init__(
        self,
        depth: int = 16,
        num_classes: int = 1000,
        *,
        batch_norm: bool = False,
        dropout: float = 0.5,
        small: bool = False,
        in_channels: int = 3,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if depth not in _PLANS:
            raise ValueError(f"VGG: depth must be one of {', '.join(map(str, _PLANS))}, got {depth!r}")
        where: dict[str, Any] = {"backend": backend, "dtype": dtype}
        self.features = _features(_PLANS[depth], in_channels, batch_norm, where)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1) if small else (7, 7))
        if small:
            self.classifier: nn.Module = nn.Linear(512, num_classes, **where)
        else:
            self.classifier = nn.Sequential(
                nn.Linear(512 * 7 * 7, 4096, **where), nn.ReLU(), nn.Dropout(dropout),
                nn.Linear(4096, 4096, **where), nn.ReLU(), nn.Dropout(dropout),
                nn.Linear(4096, num_classes, **where),
            )  # fmt: skip
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: TensorLike) -> Tensor:
        y: Tensor = self.classifier(nn.functional.flatten(self.avgpool(self.features(x)), 1))
        return y


def _features(plan: Sequence[int | str], channels: int, batch_norm: bool, where: dict[str, Any]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in plan:
        if isinstance(width, str):
            layers.append(nn.MaxPool2d(2))
            continue
        layers.append(nn.Conv2d(channels, width, 3, padding=1, **where))
        layers += [nn.BatchNorm2d(width, **where)] if batch_norm else []
        layers.append(nn.ReLU())
        channels = width
    return nn.Sequential(*layers)
