"""Layers, in every way their arguments can be used; the names and arguments are PyTorch's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """A layer and the shape of its input."""

    layer: str
    arguments: tuple[Any, ...]
    shape: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        options = ",".join(f"{k}={v}" for k, v in self.options.items())
        return f"{self.layer}({','.join(map(str, self.arguments))}{',' if options else ''}{options})"


def case(layer: str, *arguments: Any, shape: tuple[int, ...], **options: Any) -> Case:
    return Case(layer, arguments, shape, options)


IMAGE = (2, 4, 7, 6)
CASES = [
    case("Linear", 6, 4, shape=(5, 6)),
    case("Linear", 6, 4, bias=False, shape=(2, 3, 6)),
    case("Identity", shape=(5, 6)),
    case("Flatten", shape=IMAGE),
    case("Flatten", 0, 2, shape=IMAGE),
    case("ReLU", shape=(5, 6)),
    case("LeakyReLU", 0.2, shape=(5, 6)),
    case("ELU", alpha=1.5, shape=(5, 6)),
    case("GELU", shape=(5, 6)),
    case("GELU", approximate="tanh", shape=(5, 6)),
    case("Sigmoid", shape=(5, 6)),
    case("Tanh", shape=(5, 6)),
    case("Softmax", dim=1, shape=IMAGE),
    case("LogSoftmax", dim=-1, shape=(5, 6)),
    case("Conv2d", 4, 6, 3, shape=IMAGE),
    case("Conv2d", 4, 6, (3, 2), stride=(2, 1), padding=(1, 2), shape=IMAGE),
    case("Conv2d", 4, 6, 3, dilation=(2, 1), groups=2, bias=False, shape=IMAGE),
    case("Conv2d", 4, 8, 3, padding=1, groups=4, shape=IMAGE),
    case("Conv2d", 4, 3, (4, 3), padding="same", dilation=(1, 2), shape=IMAGE),
    case("Conv2d", 4, 3, 2, padding="valid", stride=3, shape=IMAGE),
    case("Conv2d", 4, 3, 3, padding=(2, 1), padding_mode="reflect", shape=IMAGE),
    case("Conv2d", 4, 3, 3, padding=2, padding_mode="replicate", shape=IMAGE),
    case("Conv2d", 4, 3, 3, padding="same", padding_mode="circular", shape=IMAGE),
    case("Conv2d", 4, 5, 1, stride=2, shape=IMAGE),
    case("Conv2d", 4, 6, 3, padding=1, shape=IMAGE[1:]),
    case("Conv1d", 3, 4, 3, shape=(2, 3, 9)),
    case("Conv1d", 4, 4, 3, stride=2, padding=1, dilation=2, groups=2, shape=(2, 4, 9)),
    case("Conv1d", 3, 4, 4, padding="same", bias=False, shape=(2, 3, 9)),
    case("Conv1d", 3, 4, 3, padding=2, padding_mode="reflect", shape=(3, 9)),
    case("ConvTranspose2d", 4, 6, 3, shape=IMAGE),
    case("ConvTranspose2d", 4, 6, (3, 2), stride=(2, 3), padding=(1, 0), output_padding=(1, 2), shape=IMAGE),
    case("ConvTranspose2d", 4, 6, 3, stride=2, dilation=2, groups=2, bias=False, shape=IMAGE),
    case("MaxPool2d", 2, shape=IMAGE),
    case("MaxPool2d", (3, 2), stride=(1, 2), padding=(1, 1), shape=IMAGE),
    case("MaxPool2d", 3, stride=2, padding=1, ceil_mode=True, shape=IMAGE),
    case("MaxPool2d", 2, stride=2, dilation=2, ceil_mode=True, shape=IMAGE[1:]),
    case("MaxPool1d", 3, stride=2, padding=1, ceil_mode=True, shape=(2, 3, 8)),
    case("AvgPool2d", 2, shape=IMAGE),
    case("AvgPool2d", 3, stride=2, padding=1, shape=IMAGE),
    case("AvgPool2d", 3, stride=2, padding=1, ceil_mode=True, count_include_pad=False, shape=IMAGE),
    case("AvgPool2d", (2, 3), stride=(2, 1), padding=(1, 0), ceil_mode=True, shape=IMAGE),
    case("AvgPool2d", 3, stride=2, divisor_override=5, shape=IMAGE),
    case("AvgPool1d", 3, stride=2, padding=1, count_include_pad=False, shape=(2, 3, 8)),
    case("AdaptiveAvgPool2d", (3, 4), shape=IMAGE),
    case("AdaptiveAvgPool2d", (None, 1), shape=IMAGE),
    case("AdaptiveAvgPool2d", 9, shape=IMAGE),
    case("AdaptiveMaxPool2d", (3, 4), shape=IMAGE),
    case("AdaptiveAvgPool1d", 4, shape=(2, 3, 7)),
    case("AdaptiveMaxPool1d", 5, shape=(2, 3, 7)),
    case("BatchNorm2d", 4, shape=IMAGE),
    case("BatchNorm2d", 4, eps=1e-3, momentum=None, shape=IMAGE),
    case("BatchNorm2d", 4, affine=False, shape=IMAGE),
    case("BatchNorm2d", 4, track_running_stats=False, momentum=0.3, shape=IMAGE),
    case("BatchNorm1d", 5, shape=(8, 5)),
    case("BatchNorm1d", 3, momentum=0.5, shape=(4, 3, 6)),
    case("LayerNorm", 6, shape=IMAGE),
    case("LayerNorm", (7, 6), eps=1e-3, shape=IMAGE),
    case("LayerNorm", (7, 6), bias=False, shape=IMAGE),
    case("LayerNorm", 6, elementwise_affine=False, shape=IMAGE),
    case("RMSNorm", 6, shape=IMAGE),
    case("RMSNorm", (7, 6), eps=1e-3, shape=IMAGE),
    case("GroupNorm", 2, 4, shape=IMAGE),
    case("GroupNorm", 4, 4, affine=False, eps=1e-3, shape=IMAGE),
    case("GroupNorm", 1, 5, shape=(8, 5)),
    case("InstanceNorm2d", 4, shape=IMAGE),
    case("InstanceNorm2d", 4, affine=True, shape=IMAGE),
    case("InstanceNorm1d", 3, affine=True, shape=(4, 3, 6)),
    case("Upsample", scale_factor=2, shape=IMAGE),
    case("Upsample", size=(5, 11), shape=IMAGE),
    case("Upsample", scale_factor=1.5, shape=IMAGE),
    case("Upsample", scale_factor=(2, 1.7), mode="bilinear", shape=IMAGE),
    case("Upsample", size=(5, 11), mode="bilinear", align_corners=True, shape=IMAGE),
    case("Upsample", size=(14, 1), mode="bilinear", shape=IMAGE),
    case("ZeroPad2d", (1, 2, 0, 3), shape=IMAGE),
    case("ConstantPad2d", 1, 2.5, shape=IMAGE),
    case("ConstantPad1d", (2, 0), -1.0, shape=(2, 3, 5)),
    case("ReflectionPad2d", (3, 2, 1, 6), shape=IMAGE),
    case("ReflectionPad1d", 3, shape=(2, 3, 5)),
    case("ReplicationPad2d", (1, 0, 2, 3), shape=IMAGE),
    case("ReplicationPad1d", (4, 1), shape=(2, 3, 5)),
    case("CircularPad2d", (2, 6, 7, 1), shape=IMAGE),
    case("CircularPad1d", (5, 2), shape=(2, 3, 5)),
]


def generator(case: Case, what: str) -> np.random.Generator:
    """The same numbers here and where PyTorch's answers are recorded."""
    key = int.from_bytes(f"{case.name}/{what}".encode()[-8:], "little") ^ len(case.name)
    return np.random.Generator(np.random.Philox(key=key))


def inputs(case: Case) -> np.ndarray:
    """All values distinct, so that no maximum is shared."""
    rng = generator(case, "x")
    n = int(np.prod(case.shape))
    return ((rng.permutation(n) - n / 2) / n * 4 + rng.uniform(0, 1e-3, n)).reshape(case.shape)


def fill(case: Case, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Parameters and buffers; variances are positive."""
    values = generator(case, key).uniform(-1, 1, shape)
    return np.abs(values) + 0.5 if key == "running_var" else values
