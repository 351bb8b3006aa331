"""Learning-rate schedules.

Call ``step()`` once per epoch, after the optimizer's steps; call it once per batch for the cyclic schedules.  As in
PyTorch, most schedules multiply the current rate.  So several of them can act on one optimizer, and a rate set by hand
persists.  ``LambdaLR``, ``CosineAnnealingWarmRestarts``, ``OneCycleLR`` and ``CyclicLR`` compute the rate from their
step count alone.
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
