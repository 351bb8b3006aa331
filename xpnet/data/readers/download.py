"""Download datasets.  Each file is checked against its published size and SHA-256, and written atomically."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xpnet._files import write_atomically
from xpnet.data.errors import DataError, DataUnavailableError

Progress = Callable[[str, int, int], None]
TIMEOUT = 20.0  # seconds without an answer before the next mirror is tried


@dataclass(frozen=True)
class Source:
    """The mirrors of a dataset, and size and SHA-256 of each file."""

    name: str
    folders: tuple[str, ...]
    mirrors: tuple[str, ...]
    files: dict[str, tuple[int, str]]
    classes: tuple[str, ...]


def cache_dir() -> Path:
    """``XPNET_CACHE``, else the user's cache folder."""
    if folder := os.environ.get("XPNET_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xpnet"


def in_cache(source: Source, download: bool, progress: Progress | None) -> list[Path]:
    """The checked files of a dataset in the cache; missing files are downloaded.

    Raises: ``DataUnavailableError`` if a download fails; ``DataError`` for a wrong file in the cache.
    """
    folder = cache_dir() / source.folders[0]
    paths = []
    for name, (size, digest) in source.files.items():
        path = folder / name
        if path.exists():
            check_file(path, path.read_bytes(), size, digest)
        elif download:
            fetch(source, name, path, progress)
        else:
            raise DataUnavailableError(f"{source.name}: {path} is not there, and downloading was switched off")
        paths.append(path)
    return paths


def check_file(path: Path | str, content: bytes, size: int, digest: str) -> None:
    """Raises: ``DataError`` if size or SHA-256 differ from the published ones."""
    got = hashlib.sha256(content).hexdigest()
    if len(content) == size and got == digest:
        return
    kind = "a web page" if content[:64].lstrip().lower().startswith((b"<!doctype", b"<html")) else "not the right file"
    raise DataError(
        f"{path} is {kind}: {len(content)} bytes with SHA-256 {got[:12]}..., expected {size} bytes with "
        f"{digest[:12]}...: delete it, and it is downloaded again"
    )


def fetch(source: Source, name: str, path: Path, progress: Progress | None) -> None:
    """Download one file from the first mirror that provides the correct one, and write it atomically."""
    size, digest = source.files[name]
    failures = []
    for mirror in source.mirrors:
        try:
            content = _download(mirror + name, size, progress)
            check_file(mirror + name, content, size, digest)
        except (OSError, DataError, ValueError) as error:
            failures.append(f"  {mirror}: {error}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
        return
    raise DataUnavailableError(
        f"{source.name} could not be downloaded from any of {len(source.mirrors)} mirrors: give its folder with "
        f"--data-dir (data_dir=...) or in XPNET_DATA, or check the network\n" + "\n".join(failures)
    )


def _download(url: str, size: int, progress: Progress | None) -> bytes:
    """Read at most ``size`` + 1 bytes from ``url``; the extra byte detects a file that is too long."""
    import urllib.request

    request = urllib.request.Request(url, headers={"User-Agent": "xpnet"})
    parts, done = [], 0
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        while done <= size and (part := answer.read(min(1 << 16, size + 1 - done))):
            parts.append(part)
            done += len(part)
            if progress is not None:
                progress(url, done, size)
    return b"".join(parts)
