"""The command line: ``xpnet ...`` and ``python -m xpnet ...``."""

from .main import main

__all__ = ["main"]
