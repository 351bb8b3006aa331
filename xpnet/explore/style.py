"""Feature networks for neural style transfer.

Each takes pictures (N, 3, H, W) in 0..1, and returns the features of several layers for the style and those of one
layer for the content:

    style, content = RandomFeatures()(x)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xpnet import nn
from xpnet.interchange import from_onnx, load_npz, load_pth
from xpnet.models import VGG
from xpnet.nn import functional as F
from xpnet.tensor import Tensor, TensorLike, as_tensor
from xpnet_backends import Backend, get_backend

_VGG_DEPTHS = {8: 11, 10: 13, 13: 16, 16: 19}  # by the number of its convolutions


class RandomFeatures(nn.Module):
    """A network like VGG, with 3x3 convolutions and random weights; mean pooling, as Gatys et al. 2015 recommend."""

    def __init__(self, widths: Sequence[int] = (24, 48, 96, 128), backend: str | Backend | None = None) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        channels = 3
        for width in widths:
            first = nn.Conv2d(channels, width, 3, padding=1, backend=backend)
            second = nn.Conv2d(width, width, 3, padding=1, backend=backend)
            for layer in (first, second):
                nn.init.orthogonal_(layer.weight, gain=2.0**0.5)  # orthogonal kernels: results depend less on the seed
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            self.stages.append(nn.Sequential(first, nn.ReLU(), second, nn.ReLU()))
            channels = width

    def forward(self, x: TensorLike) -> tuple[list[Tensor], Tensor]:
        y, found = as_tensor(x) * 4.0 - 2.0, []
        for i, stage in enumerate(self.stages):
            y = stage(F.avg_pool2d(y, 2) if i else y)
            found.append(y)
        return found, found[1]


class SqueezeNetFeatures(nn.Module):
    """SqueezeNet 1.0 from an ONNX file (Iandola et al. 2016, arXiv:1602.07360), trained on blue, green, red in 0..255.

    Raises: ``OSError``; ``OnnxError``, a ``ValueError``, for a damaged file or another network.
    """

    STYLE = ("conv1_2", "fire2/concat_1", "fire3/concat_1", "fire5/concat_1", "fire7/concat_1")
    CONTENT = "fire5/concat_1"

    def __init__(self, path: str | os.PathLike[str], backend: str | Backend | None = None) -> None:
        super().__init__()
        target = get_backend(backend)
        self.network = from_onnx(path, backend=target, dtype="float32")
        if missing := {*self.STYLE, self.CONTENT} - {*self.network.value_names}:
            raise ValueError(f"{os.fspath(path)} is not SqueezeNet 1.0: it has no value {min(missing)!r}")
        # A 1x1 convolution swaps the colours and subtracts ImageNet's mean.
        self.swap = target.asarray(255.0 * np.eye(3)[::-1, :, None, None], "float32")
        self.shift = target.asarray([-103.94, -116.78, -123.68], "float32")

    def forward(self, x: TensorLike) -> tuple[list[Tensor], Tensor]:
        found = self.network.features(F.conv2d(x, self.swap, self.shift), {*self.STYLE, self.CONTENT})
        return [found[name] for name in self.STYLE], found[self.CONTENT]


class VGGFeatures(nn.Module):
    """VGG of depth 11 to 19 with torchvision's weights, from a file of ``torch.save`` (.pth) or an .npz.

    The layers are those of Gatys et al. 2015 (arXiv:1508.06576): conv1_1 to conv5_1, and conv4_2 for the content.

    Raises: ``OSError``; ``ValueError`` for a damaged file or another network.
    """

    def __init__(self, path: str | os.PathLike[str], backend: str | Backend | None = None) -> None:
        super().__init__()
        target = get_backend(backend)
        state = (load_npz if Path(path).suffix == ".npz" else load_pth)(path, "numpy")
        weights = {name.removeprefix("features."): w for name, w in state.items() if name.startswith("features.")}
        depth = _VGG_DEPTHS.get(sum(w.ndim == 4 for w in weights.values()))
        if depth is None:
            raise ValueError(f"{os.fspath(path)} holds no weights of VGG: expected features.0.weight and so on")
        normed = any(name.endswith("running_mean") for name in weights)
        self.features = VGG(depth, 1, small=True, batch_norm=normed, backend=target).features
        try:
            self.features.load_state_dict(weights)
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}, taken for VGG-{depth}: {' '.join(str(error).split())}") from error
        self.eval()
        # torchvision's networks were trained on (x − mean) / deviation of ImageNet's colours.
        self.mean = target.asarray(np.array([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1), "float32")
        self.deviation = target.asarray(np.array([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1), "float32")

    def forward(self, x: TensorLike) -> tuple[list[Tensor], Tensor]:
        y: Any = (as_tensor(x) - self.mean) / self.deviation
        style, content, block, number = [], y, 1, 0
        for layer in self.features:
            y = layer(y)
            if isinstance(layer, nn.MaxPool2d):
                block, number = block + 1, 0
            if not isinstance(layer, nn.ReLU):
                continue
            number += 1
            if number == 1:
                style.append(y)
            if (block, number) == (4, 2):
                content = y
            if block == 5:  # no later layer is needed
                break
        return style, content


RandomEye, SqueezeNetEye, VGGEye = RandomFeatures, SqueezeNetFeatures, VGGFeatures  # the old names
