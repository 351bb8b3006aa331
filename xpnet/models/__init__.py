"""Networks to start from."""

from .alexnet import AlexNet, SmallAlexNet
from .lenet import LeNet5
from .mlp import MLP
from .resnet import ResNet, resnet18, resnet20, resnet34, resnet50
from .vgg import VGG

__all__ = [
    "MLP", "VGG", "AlexNet", "LeNet5", "ResNet", "SmallAlexNet", "resnet18", "resnet20", "resnet34", "resnet50",
]  # fmt: skip
