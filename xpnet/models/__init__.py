"""Networks to start from."""

from .mlp import MLP

__all__ = ["MLP"]
