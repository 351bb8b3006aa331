"""Standard network architectures."""

from .alexnet import AlexNet, SmallAlexNet
from .lenet import LeNet5
from .mlp import MLP
from .resnet import ResNet, resnet18, resnet20, resnet32, resnet34, resnet44, resnet50, resnet56, resnet110
from .vgg import VGG
from .zoo import NAMES, ZOO, build

__all__ = [
    "MLP", "NAMES", "VGG", "ZOO", "AlexNet", "LeNet5", "ResNet", "SmallAlexNet", "build", "resnet18", "resnet20",
    "resnet32", "resnet34", "resnet44", "resnet50", "resnet56", "resnet110",
]  # fmt: skip
