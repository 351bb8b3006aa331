"""Optional libraries, which only some parts of xpnet need."""

from __future__ import annotations

import importlib
from typing import Any


class MissingExtraError(ImportError):
    """A library is not installed; the message says what needs it and how to install it."""


def require(module: str, *, extra: str, purpose: str) -> Any:
    """Import ``module``.  Raises: ``MissingExtraError``."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        name = module.partition(".")[0]
        raise MissingExtraError(
            f'{purpose} needs {name}, which is not installed: pip install "xpnet[{extra}]"'
        ) from error
