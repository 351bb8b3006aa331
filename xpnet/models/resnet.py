"""Residual networks: each block learns what to add to its input (He, Zhang, Ren, Sun 2015, arXiv:1512.03385)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpnet import nn
from xpnet.nn import functional as F
from xpnet.tensor import Tensor, TensorLike, as_tensor
from xpnet_backends import Backend


class BasicBlock(nn.Module):
    """``relu(shortcut(x) + bn(conv3x3(relu(bn(conv3x3(x))))))``."""

    expansion = 1

    def __init__(
        self, channels: int, width: int, stride: int, shortcut: nn.Module | None, where: dict[str, Any]
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False, **where)
        self.bn1 = nn.BatchNorm2d(width, **where)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False, **where)
        self.bn2 = nn.BatchNorm2d(width, **where)
        self.downsample = shortcut

    def forward(self, x: TensorLike) -> Tensor:
        t = as_tensor(x)
        y = F.relu(self.bn1(self.conv1(t)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (t if self.downsample is None else self.downsample(t)))


class Bottleneck(nn.Module):
    """``relu(shortcut(x) + 1x1 (3x3 (1x1 x)))``: the 3x3 works on a quarter of the channels; the stride is its own."""

    expansion = 4

    def __init__(
        self, channels: int, width: int, stride: int, shortcut: nn.Module | None, where: dict[str, Any]
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False, **where)
        self.bn1 = nn.BatchNorm2d(width, **where)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False, **where)
        self.bn2 = nn.BatchNorm2d(width, **where)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False, **where)
        self.bn3 = nn.BatchNorm2d(4 * width, **where)
        self.downsample = shortcut

    def forward(self, x: TensorLike) -> Tensor:
        t = as_tensor(x)
        y = F.relu(self.bn1(self.conv1(t)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (t if self.downsample is None else self.downsample(t)))


class ResNet(nn.Module):
    """A stem, stages of blocks each half as large and twice as wide as the one before, a mean, a linear layer.

    ``stem="imagenet"`` (7x7 stride 2 and a max-pool; torchvision's state-dict names) or "cifar" (one 3x3).
    x (N, C, H, W) -> logits (N, num_classes).
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        num_classes: int = 1000,
        *,
        width: int = 64,
        stem: str = "imagenet",
        in_channels: int = 3,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if stem not in ("imagenet", "cifar"):
            raise ValueError(f"ResNet: stem must be 'imagenet' or 'cifar', got {stem!r}")
        where: dict[str, Any] = {"backend": backend, "dtype": dtype}
        large = stem == "imagenet"
        window = {"kernel_size": 7, "stride": 2, "padding": 3} if large else {"kernel_size": 3, "padding": 1}
        self.conv1 = nn.Conv2d(in_channels, width, bias=False, **window, **where)  # type: ignore[arg-type]
        self.bn1 = nn.BatchNorm2d(width, **where)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if large else nn.Identity()
        channels = width
        self._stages = [f"layer{i}" for i in range(1, len(depths) + 1)]
        for i, (name, depth) in enumerate(zip(self._stages, depths, strict=True)):
            stage, channels = _stage(block, channels, width << i, depth, 1 if i == 0 else 2, where)
            setattr(self, name, stage)
        self.fc = nn.Linear(channels, num_classes, **where)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: TensorLike) -> Tensor:
        y = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for name in self._stages:
            y = getattr(self, name)(y)
        return F.linear(y.mean(axis=(2, 3)), self.fc.weight, self.fc.bias)


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    channels: int,
    width: int,
    depth: int,
    stride: int,
    where: dict[str, Any],
) -> tuple[nn.Sequential, int]:
    """``depth`` blocks, the first with the stride and, where shapes change, a 1x1 convolution as its shortcut."""
    out, blocks = width * block.expansion, []
    for i in range(depth):
        shortcut: nn.Module | None = None
        if i == 0 and (stride != 1 or channels != out):
            shortcut = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride=stride, bias=False, **where), nn.BatchNorm2d(out, **where)
            )
        blocks.append(block(channels, width, stride if i == 0 else 1, shortcut, where))
        channels = out
    return nn.Sequential(*blocks), channels


def resnet18(num_classes: int = 1000, **options: Any) -> ResNet:
    """18 layers: 2, 2, 2, 2 basic blocks."""
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, **options)


def resnet34(num_classes: int = 1000, **options: Any) -> ResNet:
    """34 layers: 3, 4, 6, 3 basic blocks."""
    return ResNet(BasicBlock, (3, 4, 6, 3), num_classes, **options)


def resnet50(num_classes: int = 1000, **options: Any) -> ResNet:
    """50 layers: 3, 4, 6, 3 bottlenecks."""
    return ResNet(Bottleneck, (3, 4, 6, 3), num_classes, **options)


def resnet20(num_classes: int = 10, **options: Any) -> ResNet:
    """20 layers for CIFAR: 3, 3, 3 basic blocks of 16, 32, 64 channels (section 4.2 of the paper)."""
    return ResNet(BasicBlock, (3, 3, 3), num_classes, **{"width": 16, "stem": "cifar", **options})
