"""Looking inside: why a network does what it does."""

from .activations import activations
from .gradcam import gradcam

__all__ = ["activations", "gradcam"]
