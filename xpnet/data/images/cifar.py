"""CIFAR-10: its binary version, records of a label byte and 3072 pixel bytes, and its Python version, dicts of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from xpnet.data.errors import DataError, DataUnavailableError
from xpnet.data.loading.dataset import ArrayDataset
from xpnet.data.readers.download import Progress, Source, in_cache
from xpnet.data.readers.idx import read_bytes
from xpnet.data.readers.plain_pickle import read_plain_pickle
from xpnet.data.readers.tar import read_tar

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10 = Source(
    "CIFAR-10",
    ("cifar10", "cifar-10", "cifar-10-batches-bin", "cifar10-subset", "cifar-10-batches-py"),
    (
        "https://www.cs.toronto.edu/~kriz/",
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/",
    ),
    {
        "cifar-10-binary.tar.gz": (
            170052171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        )
    },
    CLASSES,
)

Images = tuple[np.ndarray, np.ndarray]
_PIXELS = 3 * 32 * 32
_LARGEST = 1 << 25  # bytes of a batch of 10,000 images in either version, and a tenth more
_BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
_LAYOUTS = {"cifar-10-batches-bin": tuple(f"{batch}.bin" for batch in _BATCHES), "cifar-10-batches-py": _BATCHES}
_OTHERS = ("batches.meta", "batches.meta.txt", "readme.html")


def read_cifar_records(path: str | os.PathLike[str]) -> Images:
    """Images uint8 (N, 3, 32, 32) and labels int64 (N,) from one file of the binary version, raw or gzip.

    Raises: ``DataError`` if it does not consist of whole records, or if a label is not a class.
    """
    return _from_records(read_bytes(path), os.fspath(path))


def read_cifar_batch(path: str | os.PathLike[str]) -> Images:
    """As ``read_cifar_records``, from one file of the Python version (``data_batch_1``); nothing in it is executed.

    Raises: ``DataError`` if it is damaged, is another file, or contains anything except plain data.
    """
    return _from_pickle(read_bytes(path), os.fspath(path))


def read_cifar_archive(path: str | os.PathLike[str]) -> tuple[Images, Images]:
    """Training and test data of ``cifar-10-binary.tar.gz`` or ``cifar-10-python.tar.gz``; nothing is extracted.

    Raises: ``DataError`` if it is damaged, or is not the published archive.
    """
    folder, files = read_tar(path, _LAYOUTS, others=_OTHERS, largest=_LARGEST)
    read = _from_pickle if folder.endswith("py") else _from_records
    parts = [read(files.pop(file), f"{os.fspath(path)}: {file}") for file in sorted(files)]
    return _joined(parts[:-1]), parts[-1]  # "test_batch" comes after "data_batch_5"


def _from_records(content: bytes, name: str) -> Images:
    if not content or len(content) % (1 + _PIXELS):
        raise DataError(
            f"{name} is not a whole CIFAR-10 file: {len(content)} bytes are no multiple of {1 + _PIXELS} "
            "(a label and 3x32x32 pixels); download it again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + _PIXELS)
    labels = records[:, 0].astype(np.int64)
    _check_labels(labels, name)
    return records[:, 1:].reshape(-1, 3, 32, 32).copy(), labels


def _from_pickle(content: bytes, name: str) -> Images:
    batch = read_plain_pickle(content, name)
    if not isinstance(batch, dict):
        raise DataError(f"{name} is no batch of CIFAR-10: expected a dict, got a {type(batch).__name__}")
    entries = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in batch.items()}
    pixels, numbers = entries.get("data"), entries.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.ndim != 2 or pixels.shape[1] != _PIXELS or not len(pixels):
        got = getattr(pixels, "shape", type(pixels).__name__)
        raise DataError(f"{name} is no batch of CIFAR-10: expected 'data' uint8 (N, {_PIXELS}), got {got}")
    if not isinstance(numbers, list) or len(numbers) != len(pixels) or any(type(n) is not int for n in numbers):
        got = f"{len(numbers)} entries" if isinstance(numbers, list) else type(numbers).__name__
        raise DataError(f"{name} is no batch of CIFAR-10: expected 'labels', {len(pixels)} whole numbers, got {got}")
    labels = np.array([n if 0 <= n < len(CLASSES) else len(CLASSES) for n in numbers], np.int64)
    _check_labels(labels, name, numbers)
    return pixels.reshape(-1, 3, 32, 32).copy(), labels


def _check_labels(labels: np.ndarray, name: str, numbers: list[int] | None = None) -> None:
    wrong = np.flatnonzero(labels >= len(CLASSES))
    if len(wrong):
        first = int(wrong[0])
        label = labels[first] if numbers is None else numbers[first]
        raise DataError(f"{name}: record {first} has label {label}, out of range 0..{len(CLASSES) - 1}")


def load_cifar10(
    data_dir: str | os.PathLike[str] | None = None, *, download: bool = True, progress: Progress | None = None
) -> tuple[ArrayDataset, ArrayDataset]:
    """CIFAR-10 (Krizhevsky 2009): images uint8 (N, 3, 32, 32) and labels, for training and test.

    The data are searched in ``data_dir``, in the folder in ``XPNET_DATA``, and in the cache; otherwise they are
    downloaded (170 MB) into the cache.  A folder and its usual sub-folders may contain, also in part,
    ``data_batch_*.bin`` or ``train*.bin`` and ``test*.bin``, compressed or not; ``data_batch_*`` and ``test_batch`` of
    the Python version; or an archive, ``cifar-10-binary.tar.gz`` or ``cifar-10-python.tar.gz``.  ``data_dir`` may also
    be the archive itself.

    Raises: ``DataUnavailableError`` if the data cannot be found or downloaded; ``DataError`` for damaged files.
    """
    if data_dir is not None:
        read = _found_in(Path(data_dir))
        if read is None:
            raise DataUnavailableError(_missing(Path(data_dir)))
        return _datasets(*read())
    if folder := os.environ.get("XPNET_DATA"):
        read = _found_in(Path(folder))
        if read is not None:
            return _datasets(*read())
    [archive] = in_cache(CIFAR10, download, progress)
    return _datasets(*read_cifar_archive(archive))


def _found_in(place: Path) -> Callable[[], tuple[Images, Images]] | None:
    """A function that reads the files found in ``place``, or None."""
    if place.is_file():
        return partial(read_cifar_archive, place)
    for folder in (place, *(place / name for name in CIFAR10.folders)):
        for train, test, read in (
            (("data_batch_*.bin", "train*.bin"), "test*.bin", read_cifar_records),
            (("data_batch_[1-5]",), "test_batch", read_cifar_batch),
        ):
            trains, tests = _matching(folder, train), _matching(folder, (test,))
            if trains and tests:
                return partial(_read_files, trains, tests, read)
        for version in ("binary", "python"):
            for path in _matching(folder, (f"cifar-10-{version}.tar",)):
                return partial(read_cifar_archive, path)
    return None


def _missing(place: Path) -> str:
    if not place.exists():
        return f"CIFAR-10: there is no file or folder {place}"
    return (
        f"CIFAR-10 is not in {place} (nor in its sub-folders {', '.join(CIFAR10.folders)}): expected data_batch_*.bin "
        "and test_batch.bin, with or without .gz, or data_batch_* and test_batch of the Python version, or "
        "cifar-10-binary.tar.gz, or cifar-10-python.tar.gz"
    )


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    found = [path for pattern in patterns for suffix in ("", ".gz") for path in folder.glob(pattern + suffix)]
    return sorted(path for path in found if path.is_file())


def _read_files(train: list[Path], test: list[Path], read: Callable[[Path], Images]) -> tuple[Images, Images]:
    return _joined(map(read, train)), _joined(map(read, test))


def _joined(parts: Iterable[Images]) -> Images:
    images, labels = zip(*parts, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _datasets(train: Images, test: Images) -> tuple[ArrayDataset, ArrayDataset]:
    return tuple(ArrayDataset(*part, classes=CLASSES, name="CIFAR-10") for part in (train, test))  # type: ignore[return-value]
