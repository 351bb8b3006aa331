"""MNIST and Fashion-MNIST: found in a folder, in the cache, or downloaded."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from xpnet.data.dataset import ArrayDataset
from xpnet.data.download import Progress, Source, in_cache
from xpnet.data.errors import DataError, DataUnavailableError
from xpnet.data.idx import read_idx

_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _files(*sizes_and_hashes: tuple[int, str]) -> dict[str, tuple[int, str]]:
    return {f"{name}.gz": check for name, check in zip(_FILES, sizes_and_hashes, strict=True)}


MNIST = Source(
    "MNIST",
    ("mnist", "MNIST", "MNIST/raw"),
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ),
    _files(
        (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
    tuple("0123456789"),
)

FASHION_MNIST = Source(
    "Fashion-MNIST",
    ("fashion-mnist", "FashionMNIST", "FashionMNIST/raw"),
    (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ),
    _files(
        (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
    ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


def load_mnist(
    data_dir: str | os.PathLike[str] | None = None, *, download: bool = True, progress: Progress | None = None
) -> tuple[ArrayDataset, ArrayDataset]:
    """MNIST: 60,000 training and 10,000 test images, uint8 (N, 28, 28), and their labels.

    Looked for in ``data_dir``, in the folder in ``XPNET_DATA``, in the cache; else downloaded into the cache.

    Raises: ``DataUnavailableError`` where it cannot be had, ``DataError`` for damaged files.
    """
    return load_source(MNIST, data_dir, download=download, progress=progress)


def load_fashion_mnist(
    data_dir: str | os.PathLike[str] | None = None, *, download: bool = True, progress: Progress | None = None
) -> tuple[ArrayDataset, ArrayDataset]:
    """Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747): as ``load_mnist``, ten kinds of clothes."""
    return load_source(FASHION_MNIST, data_dir, download=download, progress=progress)


def load_source(
    source: Source, data_dir: str | os.PathLike[str] | None, *, download: bool, progress: Progress | None = None
) -> tuple[ArrayDataset, ArrayDataset]:
    """Find the four files of a dataset, and read them."""
    if data_dir is not None:
        paths = _in_folder(source, Path(data_dir))
        if paths is None:
            raise DataUnavailableError(_missing(source, Path(data_dir)))
        return _read(source, paths)
    if folder := os.environ.get("XPNET_DATA"):
        paths = _in_folder(source, Path(folder))
        if paths is not None:
            return _read(source, paths)
    return _read(source, in_cache(source, download, progress))


def _in_folder(source: Source, folder: Path) -> list[Path] | None:
    """The files in a folder, in its parent's usual sub-folders, packed or not; None unless all are there."""
    for place in (folder, *(folder / name for name in source.folders)):
        found = [_packed_or_raw(place, name) for name in source.files]
        if all(found):
            return [path for path in found if path is not None]
    return None


def _packed_or_raw(folder: Path, name: str) -> Path | None:
    for candidate in (folder / name, folder / name.removesuffix(".gz")):
        if candidate.is_file():
            return candidate
    return None


def _missing(source: Source, folder: Path) -> str:
    if not folder.is_dir():
        return f"{source.name}: there is no folder {folder}"
    missing = [name for name in source.files if _packed_or_raw(folder, name) is None]
    return (
        f"{source.name} is not in {folder} (nor in its sub-folders {', '.join(source.folders)}): missing "
        f"{', '.join(missing)}, with or without .gz"
    )


def _read(source: Source, paths: list[Path]) -> tuple[ArrayDataset, ArrayDataset]:
    train_images, train_labels, test_images, test_labels = paths
    return _pair(source, train_images, train_labels), _pair(source, test_images, test_labels)


def _pair(source: Source, images_path: Path, labels_path: Path) -> ArrayDataset:
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(f"{images_path}: expected images, uint8 (N, H, W), got {images.dtype}{images.shape}")
    if labels.ndim != 1 or labels.dtype != np.uint8:
        raise DataError(f"{labels_path}: expected labels, uint8 (N,), got {labels.dtype}{labels.shape}")
    if len(images) != len(labels):
        raise DataError(f"{images_path} has {len(images)} images, {labels_path} {len(labels)} labels")
    if len(labels) and labels.max() >= len(source.classes):
        raise DataError(f"{labels_path}: label {labels.max()} is out of range 0..{len(source.classes) - 1}")
    return ArrayDataset(images, labels.astype(np.int64), classes=source.classes, name=source.name)
