"""Weights and networks from and for other programs."""

from .npz import load_npz, save_npz
from .pth import load_pth

__all__ = ["load_npz", "load_pth", "save_npz"]
