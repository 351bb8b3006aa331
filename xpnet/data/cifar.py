"""CIFAR-10 in its binary version: records of a label byte and 3072 pixel bytes, red, green, blue, row by row."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from xpnet.data.dataset import ArrayDataset
from xpnet.data.errors import DataError, DataUnavailableError
from xpnet.data.idx import read_bytes

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDERS = ("cifar10", "cifar-10", "cifar-10-batches-bin", "cifar10-subset")
_RECORD = 1 + 3 * 32 * 32


def read_cifar_records(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 3, 32, 32) and labels int64 (N,) of one file, raw or gzip.

    Raises: ``DataError`` where it is not made of whole records, or a label is no class.
    """
    content = read_bytes(path)
    if len(content) % _RECORD:
        raise DataError(
            f"{os.fspath(path)} is not a whole CIFAR-10 file: {len(content)} bytes are no multiple of {_RECORD} "
            "(a label and 3x32x32 pixels); download it again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= len(CLASSES):
        first = int(np.flatnonzero(labels >= len(CLASSES))[0])
        raise DataError(f"{os.fspath(path)}: record {first} has label {labels[first]}, out of range 0..9")
    return records[:, 1:].reshape(-1, 3, 32, 32).copy(), labels


def load_cifar10(data_dir: str | os.PathLike[str] | None = None) -> tuple[ArrayDataset, ArrayDataset]:
    """CIFAR-10 (Krizhevsky 2009): images uint8 (N, 3, 32, 32) and labels, for training and test.

    Looked for in ``data_dir`` or else in the folder in ``XPNET_DATA``, there and in its usual sub-folders: the files
    ``data_batch_*.bin`` or ``train*.bin``, and ``test*.bin``, packed or not.  A part of the set will do.

    Raises: ``DataUnavailableError`` where there are none, ``DataError`` for damaged files.
    """
    named = data_dir if data_dir is not None else os.environ.get("XPNET_DATA")
    if named is None:
        raise DataUnavailableError(
            "CIFAR-10: give the folder of its binary version (cifar-10-batches-bin) with --data-dir (data_dir=...) or "
            "in XPNET_DATA"
        )
    for folder in (Path(named), *(Path(named) / name for name in FOLDERS)):
        train = _matching(folder, ("data_batch_*.bin", "train*.bin"))
        test = _matching(folder, ("test*.bin",))
        if train and test:
            return _join(train), _join(test)
    raise DataUnavailableError(
        f"CIFAR-10 is not in {named} (nor in its sub-folders {', '.join(FOLDERS)}): expected data_batch_*.bin and "
        "test_batch.bin, with or without .gz"
    )


def _matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    found = [path for pattern in patterns for suffix in ("", ".gz") for path in folder.glob(pattern + suffix)]
    return sorted(path for path in found if path.is_file())


def _join(paths: list[Path]) -> ArrayDataset:
    parts = [read_cifar_records(path) for path in paths]
    images, labels = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return ArrayDataset(images, labels, classes=CLASSES, name="CIFAR-10")
