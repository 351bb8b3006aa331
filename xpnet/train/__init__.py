"""Training: the step, the loop, history and checkpoints."""

from .early_stopping import EarlyStopping
from .history import History
from .lr_range import LRRange, lr_range_test
from .provenance import Provenance
from .step import Step
from .trainer import Callback, NonFiniteLossError, Trainer

__all__ = [
    "Callback", "EarlyStopping", "History", "LRRange", "NonFiniteLossError", "Provenance", "Step", "Trainer",
    "lr_range_test",
]  # fmt: skip
