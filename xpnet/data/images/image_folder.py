"""A folder of pictures with one subfolder per class, read lazily."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from xpnet._extras import require
from xpnet.data.errors import DataError
from xpnet.data.images.files import read_image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


class ImageFolder:
    """``root/cat/1.png``, ``root/dog/2.jpg``: sample i is ``(pixels (C, H, W) uint8, class number)``.

    The constructor reads file names only.  A picture is read whenever it is accessed; a loader with ``num_workers``
    reads ahead.

    Parameters
    ----------
    root : the folder; each of its subfolders is a class, in alphabetical order.
    size : (H, W) to which every picture is resized, or one number for both; by default pictures keep their size.
    color : three channels for every picture if True, one if False.
    transform : a function of the pixels, called on every picture after resizing.

    Raises: ``DataError`` if there is no such folder, or if it has no pictures.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        size: int | tuple[int, int] | None = None,
        *,
        color: bool = True,
        transform: Callable[[np.ndarray], Any] | None = None,
    ) -> None:
        self.root, self.color, self.transform = Path(root), color, transform
        self.size = (size, size) if isinstance(size, int) else size
        if not self.root.is_dir():
            raise DataError(f"{root} is no folder: ImageFolder needs one with a subfolder of pictures for each class")
        self.classes = sorted(p.name for p in self.root.iterdir() if p.is_dir() and not p.name.startswith("."))
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}
        self.samples = [
            (path, number)
            for name, number in self.class_to_idx.items()
            for path in sorted((self.root / name).rglob("*"))
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        ]
        if not self.samples:
            there = f"its subfolders {', '.join(self.classes[:5])}" if self.classes else "it has no subfolders"
            raise DataError(
                f"{root} holds no pictures ({there}): put the pictures of each class into a subfolder of their own, "
                f"as {', '.join(SUFFIXES)}"
            )
        self.targets = np.array([number for _, number in self.samples])

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        path, number = self.samples[index]
        pixels = np.moveaxis(self._scaled(read_image(path)), -1, 0)  # (C, H, W)
        pixels = np.ascontiguousarray(pixels)
        return (pixels if self.transform is None else self.transform(pixels)), number

    def _scaled(self, pixels: np.ndarray) -> np.ndarray:
        """The picture with the requested size and number of channels, (H, W, C)."""
        image = require("PIL.Image", extra="plot", purpose="reading images").fromarray(pixels)
        image = image.convert("RGB" if self.color else "L")
        if self.size is not None and (image.height, image.width) != self.size:
            image = image.resize((self.size[1], self.size[0]), resample=2)  # bilinear, over all pixels it covers
        found = np.asarray(image)
        return found if found.ndim == 3 else found[..., None]

    def __repr__(self) -> str:
        return f"<ImageFolder {self.root}: {len(self)} pictures in {len(self.classes)} classes>"
