"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write beside ``path``, flush to the disk, rename: a crash or a full disk leaves the old file as it was.

    Raises: ``OSError`` with the path and, for a full disk or a missing right, what to do.
    """
    target = Path(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except OSError as error:
        beside.unlink(missing_ok=True)
        kept = "; the file that was there before is unchanged" if target.exists() else ""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = "free some space or choose another folder" if full else "choose another folder or name"
        raise OSError(error.errno, f"cannot write ({error.strerror}{kept}): {fix}", str(target)) from error
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _flush_folder(target.parent)


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows has no such thing
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
