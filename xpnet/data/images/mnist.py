"""MNIST and Fashion-MNIST: found in a folder, in the cache, or downloaded."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from pathlib import Path

import numpy as np

from xpnet.data.errors import DataError, DataUnavailableError
from xpnet.data.images.mnist_family import DIGITS, EMNIST_CLASSES, FAMILY, FASHION_CLASSES, ink, of_labels
from xpnet.data.loading.dataset import ArrayDataset
from xpnet.data.readers.download import Progress, Source, in_cache
from xpnet.data.readers.idx import read_idx

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
    DIGITS,
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
    FASHION_CLASSES,
)


_ROLE = re.compile(
    r"(?:emnist-(?P<split>[a-z]+)-)?(?P<part>train|t10k|test)-(?P<what>images|labels)(?:-idx[13])?(?:-ubyte)?(?:-idx)?"
)


def load_mnist(
    data_dir: str | os.PathLike[str] | None = None, *, download: bool = True, progress: Progress | None = None
) -> tuple[ArrayDataset, ArrayDataset]:
    """MNIST: 60,000 training and 10,000 test images, uint8 (N, 28, 28), and their labels.

    The data are searched in ``data_dir``, in the folder in ``XPNET_DATA``, and in the cache; otherwise they are
    downloaded into the cache.  Files of another dataset with the same names (Fashion-MNIST, KMNIST, EMNIST) are
    recognised by their content: ``name`` and ``classes`` are then those of that dataset, with a warning.  ``notes`` has
    remarks on unknown files.

    Raises: ``DataUnavailableError`` if the data cannot be found or downloaded; ``DataError`` for damaged files, or
    files of two datasets.
    """
    return _warned(MNIST, load_source(MNIST, data_dir, download=download, progress=progress))


def load_fashion_mnist(
    data_dir: str | os.PathLike[str] | None = None, *, download: bool = True, progress: Progress | None = None
) -> tuple[ArrayDataset, ArrayDataset]:
    """Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747): as ``load_mnist``, ten kinds of clothes."""
    return _warned(FASHION_MNIST, load_source(FASHION_MNIST, data_dir, download=download, progress=progress))


class OtherDatasetWarning(UserWarning):
    """The files belong to another dataset than the requested one."""


def _warned(source: Source, parts: tuple[ArrayDataset, ArrayDataset]) -> tuple[ArrayDataset, ArrayDataset]:
    if parts[0].name != source.name:
        warnings.warn(parts[0].notes[0], OtherDatasetWarning, stacklevel=3)
    return parts


def load_source(
    source: Source, data_dir: str | os.PathLike[str] | None, *, download: bool, progress: Progress | None = None
) -> tuple[ArrayDataset, ArrayDataset]:
    """Find and read the four files of a dataset."""
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


# -- finding ---------------------------------------------------------------------------------------------------------


def _in_folder(source: Source, folder: Path) -> list[Path] | None:
    """The files in a folder or its usual sub-folders, compressed or not; None unless all are there.

    In a sub-folder with the name of another dataset they are used only if they are recognised as this dataset.
    """
    for place in (folder, *(folder / name for name in (*source.folders, "raw"))):
        if (found := _in_place(place)) is not None:
            return found
    for other in (MNIST, FASHION_MNIST):
        for place in (folder / name for name in other.folders if name not in source.folders):
            if (found := _in_place(place)) is not None and _whose(found[1], read_idx(found[1])) == source.name:
                return found
    return None


def _in_place(folder: Path) -> list[Path] | None:
    """The four files in one folder, under any common name.

    Examples are ``train-images.idx3-ubyte``, upper case, each file in its own folder, or one split of EMNIST.
    """
    files = _files_by_role(folder)
    splits = sorted({split for split, _, _ in files})
    roles = [("train", "images"), ("train", "labels"), ("test", "images"), ("test", "labels")]
    whole = [split for split in splits if all((split, *role) in files for role in roles)]
    if not whole or (len(whole) > 1 and "" not in whole):
        return None
    return [files[(whole[0], *role)] for role in roles]


def _files_by_role(folder: Path) -> dict[tuple[str, str, str], Path]:
    if not folder.is_dir():
        return {}
    found: dict[tuple[str, str, str], Path] = {}
    entries = sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.suffix != ".gz", path.name not in _FILES))
    for path in entries:
        match = _ROLE.fullmatch(_plain(path.name))
        file = next((inner for inner in sorted(path.iterdir()) if _plain(inner.name) == _plain(path.name)), None) \
            if match and path.is_dir() else path  # fmt: skip
        if match and file is not None and file.is_file():
            part = "train" if match["part"] == "train" else "test"
            found.setdefault((match["split"] or "", part, match["what"]), file)
    return found


def _plain(name: str) -> str:
    """A file name in lower case with dashes, without ``.gz``."""
    return re.sub(r"[._ ]+", "-", name.casefold().removesuffix(".gz"))


def _missing(source: Source, folder: Path) -> str:
    if not folder.is_dir():
        return f"{source.name}: there is no folder {folder}"
    there = {role[1:] for role in _files_by_role(folder)}
    roles = [("train", "images"), ("train", "labels"), ("test", "images"), ("test", "labels")]
    missing = [name for name, role in zip(source.files, roles, strict=True) if role not in there]
    splits = sorted({role[0] for role in _files_by_role(folder)} - {""})
    several = f"; there are the splits {', '.join(splits)} of EMNIST: keep one" if len(splits) > 1 else ""
    return (
        f"{source.name} is not in {folder} (nor in its sub-folders {', '.join(source.folders)}): missing "
        f"{', '.join(missing or source.files)}, with or without .gz{several}"
    )


# -- reading ---------------------------------------------------------------------------------------------------------


def _read(source: Source, paths: list[Path]) -> tuple[ArrayDataset, ArrayDataset]:
    """Both parts, with the name and classes of the dataset they belong to."""
    split = (match := _ROLE.fullmatch(_plain(paths[0].name))) and match["split"]
    if split:
        return _read_emnist(split, paths)
    arrays = [read_idx(path) for path in paths]
    parts = [(paths[i], arrays[i], paths[i + 1], arrays[i + 1]) for i in (0, 2)]
    for part in parts:
        _check_shapes(*part)
    known = [whose for path, array in zip(paths, arrays, strict=True) if (whose := _whose(path, array))]
    if len(set(known)) > 1:
        said = ", ".join(f"{path.name} is {whose}'s" for path, array in zip(paths, arrays, strict=True)
                         if (whose := _whose(path, array)))  # fmt: skip
        raise DataError(f"{paths[0].parent} holds files of two sets: {said}: keep those of one")
    if (known[:1] == ["MNIST"]) and all(_has_ink_of_fashion(images) for _, images, _, _ in parts):
        raise DataError(
            f"{paths[0].parent} holds MNIST's labels, and images that are not MNIST's: bring both of one set"
        )
    name, classes = source.name, source.classes
    notes: tuple[str, ...] = ()
    if known and known[0] != source.name:
        name, classes = known[0], FAMILY[known[0]].classes
        notes = (
            f"the files in {paths[0].parent} are {name}'s, not {source.name}'s: the classes are {', '.join(classes)}",
        )
    elif not known:
        classes, notes = _of_unknown(source, paths[0], arrays[0])
    return tuple(_dataset(*part, classes, name, notes) for part in parts)  # type: ignore[return-value]


def _has_ink_of_fashion(images: np.ndarray) -> bool:
    return len(images) >= 100 and images.shape[1:] == (28, 28) and 0.45 < ink(images) < 0.55


def _whose(path: Path, array: np.ndarray) -> str | None:
    """The dataset of a file, by the published checksums of the compressed file, or by its first labels."""
    size = path.stat().st_size
    content = path.read_bytes() if path.suffix == ".gz" else b""
    for source in (MNIST, FASHION_MNIST):
        for published, digest in source.files.values():
            if content and published == size and hashlib.sha256(content).hexdigest() == digest:
                return source.name
    if array.ndim == 1:
        if (found := of_labels(array)) is not None:
            return found
    elif not content or array.shape not in ((60_000, 28, 28), (10_000, 28, 28)):
        return None
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest() if content else ""
    return next((member.name for member in FAMILY.values() if digest in member.md5), None)


def _of_unknown(source: Source, path: Path, images: np.ndarray) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Classes and a note for files of no published dataset, which are used unchanged."""
    share = ink(images)
    said = f"the files in {path.parent} are not the published ones of {source.name}: they are taken as they are"
    plenty = images.shape[1:] == (28, 28) and len(images) >= 100
    if source.classes == FASHION_CLASSES and plenty and share < 0.35:
        return DIGITS, (
            f"{said}; only {share:.0%} of the pixels are used, as in digits: the classes are called 0 to 9",
        )
    if source.classes == DIGITS and _has_ink_of_fashion(images):
        return DIGITS, (f"{said}; {share:.0%} of the pixels are used, where MNIST uses 19% and Fashion-MNIST 50%: if "
                        "these are clothes, say fashion-mnist",)  # fmt: skip
    return source.classes, (said,)


def _read_emnist(split: str, paths: list[Path]) -> tuple[ArrayDataset, ArrayDataset]:
    """A split of EMNIST, whose images are transposed, and whose letters are numbered from 1."""
    classes = EMNIST_CLASSES.get(split)
    if classes is None:
        raise DataError(f"{paths[0]}: the splits of EMNIST are {', '.join(EMNIST_CLASSES)}, not {split!r}")
    arrays = [read_idx(path) for path in paths]
    made = []
    notes = (f"the files in {paths[0].parent} are EMNIST's ({split}): the images are turned upright",)
    for i in (0, 2):
        _check_shapes(paths[i], arrays[i], paths[i + 1], arrays[i + 1])
        labels = arrays[i + 1].astype(np.int64) - (split == "letters")
        upright = np.ascontiguousarray(arrays[i].transpose(0, 2, 1))
        made.append(_dataset(paths[i], upright, paths[i + 1], labels, classes, f"EMNIST {split}", notes))
    return made[0], made[1]


def _check_shapes(images_path: Path, images: np.ndarray, labels_path: Path, labels: np.ndarray) -> None:
    if images.ndim != 3 or images.dtype != np.uint8:
        raise DataError(f"{images_path}: expected images, uint8 (N, H, W), got {images.dtype}{images.shape}")
    if labels.ndim != 1 or labels.dtype != np.uint8:
        raise DataError(f"{labels_path}: expected labels, uint8 (N,), got {labels.dtype}{labels.shape}")
    if len(images) != len(labels):
        raise DataError(f"{images_path} has {len(images)} images, {labels_path} {len(labels)} labels")


def _dataset(
    images_path: Path, images: np.ndarray, labels_path: Path, labels: np.ndarray, classes: tuple[str, ...], name: str,
    notes: tuple[str, ...],
) -> ArrayDataset:  # fmt: skip
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(classes):
        wrong = labels.max() if labels.max() >= len(classes) else labels.min()
        raise DataError(f"{labels_path}: label {wrong} is out of range 0..{len(classes) - 1}")
    return ArrayDataset(images, labels.astype(np.int64), classes=classes, name=name, notes=notes)
