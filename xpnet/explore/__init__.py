"""Looking inside: why a network does what it does."""

from . import landscape

__all__ = ["landscape"]
