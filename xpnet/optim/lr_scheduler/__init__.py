"""Learning-rate schedules.

Call ``step()`` once an epoch, after the optimizer's steps; the cyclic ones once a batch.  As in PyTorch, most multiply
the rate that is there, so that several work on one optimizer and a rate set by hand stays; ``LambdaLR``,
``CosineAnnealingWarmRestarts``, ``OneCycleLR`` and ``CyclicLR`` set it from the count of their steps alone.
"""

from .base import LRScheduler
from .combined import ChainedScheduler, SequentialLR
from .cyclic import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from .decay import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from .plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR", "PolynomialLR",
    "ReduceLROnPlateau", "SequentialLR", "StepLR",
]  # fmt: skip
