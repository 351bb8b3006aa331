"""Kernels for the NumPy backend."""

from __future__ import annotations

from ..base import Kernel

KERNELS: dict[str, Kernel] = {}
