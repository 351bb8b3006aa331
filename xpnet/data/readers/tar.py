"""Tar archives (POSIX 1003.1 ustar), read in memory: no file is written, so a malicious path has no effect."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from xpnet.data.errors import DataError

_BLOCK = 512
_FILE, _FOLDER, _NOTES = b"0\0", b"5", b"xgLK"  # notes: times and long names from newer programs
_MOST_MEMBERS = 100


def read_tar(
    path: str | os.PathLike[str], layouts: Mapping[str, Collection[str]], *, others: Collection[str], largest: int
) -> tuple[str, dict[str, bytes]]:
    """The folder in a tar archive, and its files by name; gzip is supported.

    ``layouts`` gives the required files of each possible folder.  Files in ``others`` are allowed and skipped.
    ``largest`` is the maximum size of a file in bytes.

    Raises: ``DataError`` if the archive is damaged or incomplete, and for any other member: an unknown name, a path
    outside the archive, a link, a device, a file that is too large, a duplicate name.
    """
    name = os.fspath(path)
    folder = None
    found: dict[str, bytes] = {}
    with Path(path).open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        archive: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            for member, size, stream in _members(archive, name, largest):
                place, _, file = member.removeprefix("./").rpartition("/")
                folder = place if folder is None and place in layouts else folder
                if folder is None or place != folder or file not in {*layouts[folder], *others}:
                    known = " or ".join(layouts) if folder is None else ", ".join((*layouts[folder], *others))
                    raise DataError(
                        f"{name} holds {member[:100]!r}, but only {known} are expected: it is another archive"
                    )
                if file in found:
                    raise DataError(f"{name} holds {member[:100]!r} twice: it is not the published archive")
                content = _take(stream, size, name)
                if file in layouts[folder]:
                    found[file] = content
        except (EOFError, OSError, zlib.error) as error:
            raise DataError(f"{name} is a truncated or damaged archive ({error}): download it again") from error
    if folder is None:
        raise DataError(f"{name} is an empty archive: expected {' or '.join(layouts)} in it")
    if missing := [file for file in layouts[folder] if file not in found]:
        raise DataError(f"{name} lacks {', '.join(missing)}: it is not the published archive, or not whole")
    return folder, found


def _members(stream: IO[bytes], name: str, largest: int) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name and size of each file, and the stream at the start of its content."""
    for _ in range(_MOST_MEMBERS):
        header = _take(stream, _BLOCK, name)
        if not any(header):  # the end; read the rest, so that gzip verifies its checksum
            if len(stream.read(1 << 20)) == 1 << 20:
                raise DataError(f"{name} goes on after the end of the archive: download it again")
            return
        if _octal(header[148:156]) != sum(header[:148]) + 8 * 0x20 + sum(header[156:]):
            raise DataError(f"{name} is no tar archive, or damaged: a header's checksum is wrong; download it again")
        member, size, kind = _text(header[:100]), _octal(header[124:136]), header[156:157]
        if prefix := _text(header[345:500]) if header[257:265] == b"ustar\x0000" else "":
            member = f"{prefix}/{member}"
        if size is None or size > largest:
            raise DataError(f"{name}: the size of {member[:100]!r} is out of range, at most {largest} bytes")
        if member.startswith("/") or ".." in member.split("/") or "\\" in member:
            raise DataError(f"{name}: refused: {member[:100]!r} leads out of the archive")
        if kind in _FILE:
            yield member, size, stream
        elif kind in _NOTES:
            _take(stream, size, name)
        elif kind not in _FOLDER or size:
            raise DataError(f"{name}: refused: {member[:100]!r} is a link or a device, not a file (type {kind!r})")
        _take(stream, -size % _BLOCK, name)
    raise DataError(f"{name} has more than {_MOST_MEMBERS} members: it is not the published archive")


def _take(stream: IO[bytes], size: int, name: str) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise DataError(f"{name} ends too early: it was truncated; download it again")
    return content


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def _octal(field: bytes) -> int | None:
    """A number in octal digits; None for anything else, including the binary form for 8 GB and more."""
    digits = field.strip(b" \0")
    return int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else None
