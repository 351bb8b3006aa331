"""Console output that does not fail on characters missing from the encoding, or on closed pipes."""

from __future__ import annotations

import json
import math
import os
import sys
from typing import Any

_TOLERANT = ("replace", "ignore", "backslashreplace", "xmlcharrefreplace", "namereplace")


def tolerate() -> None:
    """Print "?" for a character that stdout or stderr cannot encode (ASCII, cp1252), instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        errors = getattr(stream, "errors", None)
        reconfigure = getattr(stream, "reconfigure", None)
        if errors not in _TOLERANT and reconfigure is not None:
            reconfigure(errors="replace")


def flush() -> None:
    """Flush stdout.  Raises: ``BrokenPipeError``; ``OSError`` for a full disk."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def finish() -> None:
    """Flush stdout and ignore a closed pipe; for ``atexit``."""
    try:
        flush()
    except BrokenPipeError:
        discard()


def discard() -> None:
    """Discard buffered output, so that Python does not try to write it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # not a real file, as in a notebook or a test
        pass
    finally:
        os.close(nowhere)


def describe_error(error: BaseException) -> str:
    """The text of an error: file name and reason if a file could not be opened, the error's class if it has no text."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def to_json(value: Any, indent: int | None = None) -> str:
    """A value as JSON.  NaN and infinity become null, because JSON has neither."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
