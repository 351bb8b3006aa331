"""Atomic file writes, and tables of numbers as spreadsheets write them."""

from __future__ import annotations

import codecs
import csv
import errno
import os
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write to a file beside ``path``, flush it to disk, and rename it: a crash or a full disk leaves the old file.

    Raises: ``OSError`` with the path and, for a full disk or a missing permission, the fix.
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
    """Make the rename itself durable, if the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot open a folder
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def table_rows(content: bytes | str) -> list[dict[str, str]]:
    r"""The rows of a table of numbers, as dicts by the names in its first line, without empty cells and empty rows.

    Accepts what spreadsheets write: a byte order mark, UTF-16, semicolons (then with decimal commas) or tabs, and any
    line endings.

    >>> table_rows("\ufeffepoch;train_loss\r\n1;0,5\r\n;\r\n")
    [{'epoch': '1', 'train_loss': '0.5'}]
    """
    if isinstance(content, bytes):
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        content = content.decode("utf-16" if wide else "utf-8")
    lines = [line for line in content.removeprefix("\ufeff").splitlines() if line.strip()]
    if not lines:
        return []
    separator = max(",;\t", key=lines[0].count)
    if lines[0].lower().startswith("sep="):  # Excel's own directive
        separator, lines = lines[0][4:5] or separator, lines[1:] or [""]
    names, *rows = csv.reader(lines, delimiter=separator)
    found = []
    for row in rows:
        cells = {name.strip(): cell.strip() for name, cell in zip(names, row, strict=False) if name.strip()}
        if separator == ";":
            cells = {name: cell.replace(",", ".") for name, cell in cells.items()}
        found.append({name: cell for name, cell in cells.items() if cell})
    return [row for row in found if row]
