"""Residual networks: each block computes a term that is added to its input (He et al. 2015, arXiv:1512.03385)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


class ZeroPadding(nn.Module):
    """Every ``stride``-th pixel, between channels of zeros: the shortcut A of the paper, which has no parameters.

    x (N, C, H, W) -> (N, O, ⌈H/stride⌉, ⌈W/stride⌉).
    """

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        if out < channels:
            raise ValueError(f"ZeroPadding: {channels} channels cannot be padded to {out}")
        self.stride, self.front, self.back = stride, (out - channels) // 2, (out - channels + 1) // 2

    def forward(self, x: TensorLike) -> Tensor:
        return F.pad(as_tensor(x)[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.front, self.back))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, front={self.front}, back={self.back}"


class Bottleneck(nn.Module):
    """``relu(shortcut(x) + 1x1 (3x3 (1x1 x)))``: the 3x3 has a quarter of the output channels, and the stride."""

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
    """A stem, stages of blocks, global average pooling, and a linear layer.

    x (N, C, H, W) -> logits (N, num_classes).

    Parameters
    ----------
    block, depths :
        The block class, and the number of blocks in each stage.
    num_classes, in_channels :
        The number of logits, and of input channels.
    width :
        Channels of the first stage.
    stem :
        ``"imagenet"`` (7x7 stride 2 and a max-pool; torchvision's state-dict names) or ``"cifar"`` (one 3x3).
    shortcut :
        For blocks that change the shape: ``"B"``, a 1x1 convolution, or ``"A"``, zeros for the new channels and no
        parameters (section 3.3).  The paper's networks for CIFAR-10 have A.  With A and the stem "cifar" the last layer
        is called ``linear``, as in the commonly shared weights of those networks (``resnet20-12fca82f.th``).
    backend, dtype :
        Of the parameters.

    Raises: ``ValueError`` for another stem or shortcut.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        num_classes: int = 1000,
        *,
        width: int = 64,
        stem: str = "imagenet",
        shortcut: str = "B",
        in_channels: int = 3,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if stem not in ("imagenet", "cifar"):
            raise ValueError(f"ResNet: stem must be 'imagenet' or 'cifar', got {stem!r}")
        if shortcut not in _SHORTCUTS:
            raise ValueError(f"ResNet: shortcut must be 'A' (zeros) or 'B' (a 1x1 convolution), got {shortcut!r}")
        where: dict[str, Any] = {"backend": backend, "dtype": dtype}
        large = stem == "imagenet"
        window = {"kernel_size": 7, "stride": 2, "padding": 3} if large else {"kernel_size": 3, "padding": 1}
        self.conv1 = nn.Conv2d(in_channels, width, bias=False, **window, **where)  # type: ignore[arg-type]
        self.bn1 = nn.BatchNorm2d(width, **where)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if large else nn.Identity()
        channels = width
        self._stages = [f"layer{i}" for i in range(1, len(depths) + 1)]
        for i, (name, depth) in enumerate(zip(self._stages, depths, strict=True)):
            stride = 1 if i == 0 else 2
            stage, channels = _stage(block, channels, width << i, depth, stride, _SHORTCUTS[shortcut], where)
            setattr(self, name, stage)
        self._head = "fc" if large or shortcut == "B" else "linear"
        setattr(self, self._head, nn.Linear(channels, num_classes, **where))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: TensorLike) -> Tensor:
        y = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        for name in self._stages:
            y = getattr(self, name)(y)
        head = getattr(self, self._head)
        return F.linear(y.mean(axis=(2, 3)), head.weight, head.bias)


def _projection(channels: int, out: int, stride: int, where: dict[str, Any]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False, **where), nn.BatchNorm2d(out, **where))


_SHORTCUTS: dict[str, Callable[..., nn.Module]] = {
    "A": lambda channels, out, stride, where: ZeroPadding(channels, out, stride),
    "B": _projection,
}


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    channels: int,
    width: int,
    depth: int,
    stride: int,
    shortcut_of: Callable[..., nn.Module],
    where: dict[str, Any],
) -> tuple[nn.Sequential, int]:
    """``depth`` blocks; the first has the stride and, if shapes change, a shortcut that changes them too."""
    out, blocks = width * block.expansion, []
    for i in range(depth):
        shortcut: nn.Module | None = None
        if i == 0 and (stride != 1 or channels != out):
            shortcut = shortcut_of(channels, out, stride, where)
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
    """20 layers for CIFAR: 3, 3, 3 basic blocks of 16, 32, 64 channels (section 4.2; the paper's has shortcut="A").

    >>> resnet20().summary().splitlines()[-1]
    'total 272,474 parameters (272,474 trainable), 1.04 MiB'
    """
    return _for_cifar(3, num_classes, options)


def resnet32(num_classes: int = 10, **options: Any) -> ResNet:
    """32 layers for CIFAR: 5, 5, 5 blocks as in ``resnet20``."""
    return _for_cifar(5, num_classes, options)


def resnet44(num_classes: int = 10, **options: Any) -> ResNet:
    """44 layers for CIFAR: 7, 7, 7 blocks as in ``resnet20``."""
    return _for_cifar(7, num_classes, options)


def resnet56(num_classes: int = 10, **options: Any) -> ResNet:
    """56 layers for CIFAR: 9, 9, 9 blocks as in ``resnet20``."""
    return _for_cifar(9, num_classes, options)


def resnet110(num_classes: int = 10, **options: Any) -> ResNet:
    """110 layers for CIFAR: 18, 18, 18 blocks as in ``resnet20``."""
    return _for_cifar(18, num_classes, options)


def _for_cifar(depth: int, num_classes: int, options: dict[str, Any]) -> ResNet:
    """6n + 2 layers."""
    return ResNet(BasicBlock, (depth,) * 3, num_classes, **{"width": 16, "stem": "cifar", **options})
