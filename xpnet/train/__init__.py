"""Training: the loop and what it keeps."""

from .early_stopping import EarlyStopping
from .history import History
from .trainer import Callback, NonFiniteLossError, Trainer

__all__ = ["Callback", "EarlyStopping", "History", "NonFiniteLossError", "Trainer"]
