"""Libraries that a part of xpnet needs and that not everybody has."""

from __future__ import annotations

import importlib
from typing import Any


class MissingExtraError(ImportError):
    """A library that is not installed; the message says what it is for and how to get it."""


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Import ``module``.  Raises: ``MissingExtraError``."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        name = module.partition(".")[0]
        raise MissingExtraError(
            f'{purpose} needs {name}, which is not installed: pip install "xpnet[{extra}]"'
        ) from error
