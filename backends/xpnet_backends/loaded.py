"""The registry of backends by name, and the backends that are loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Backend

loaders: dict[str, Callable[[], Backend]] = {}
loaded: dict[str, Backend] = {}
by_type: dict[type, Backend] = {}  # array type -> its backend, for the tape too


def register_backend(name: str, load: Callable[[], Backend]) -> None:
    """Register a backend under ``name``; ``load`` is called when the backend is first requested."""
    loaders[name] = load


def load_backend(name: str) -> Backend:
    """The backend called ``name``, created when it is first requested.

    Raises: ``ValueError`` for an unknown name; ``BackendError`` if the backend cannot work here.
    """
    if name not in loaded:
        if name not in loaders:
            known = ", ".join(repr(n) for n in [*loaders, "auto"])
            raise ValueError(f"unknown backend {name!r}: choose one of {known}")
        backend = loaders[name]()
        loaded[name] = backend
        by_type[backend.array_type] = backend
    return loaded[name]
