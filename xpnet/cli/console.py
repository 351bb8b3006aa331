"""Output that cannot fail a program: characters that the encoding lacks, and readers that go away."""

from __future__ import annotations

import json
import math
import os
import sys
from typing import Any

_TOLERANT = ("replace", "ignore", "backslashreplace", "xmlcharrefreplace", "namereplace")


def tolerate() -> None:
    """Print "?" for a character that stdout or stderr cannot encode (ASCII, cp1252), where it would raise."""
    for stream in (sys.stdout, sys.stderr):
        errors = getattr(stream, "errors", None)
        reconfigure = getattr(stream, "reconfigure", None)
        if errors not in _TOLERANT and reconfigure is not None:
            reconfigure(errors="replace")


def flush() -> None:
    """Write out what is printed.  Raises: ``BrokenPipeError``, ``OSError`` for a full disk."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def finish() -> None:
    """Write out what is printed, quietly where its reader went away; for ``atexit``."""
    try:
        flush()
    except BrokenPipeError:
        discard()


def discard() -> None:
    """Send what is still to be printed nowhere, so that Python does not try to write it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # no real file, as in a notebook or a test
        pass
    finally:
        os.close(nowhere)


def describe_error(error: BaseException) -> str:
    """What an error says: for a file that could not be opened, which and why; for one without a text, its name."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def to_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON, which knows neither NaN nor infinity: they become null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
