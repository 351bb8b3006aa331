"""Convert pictures of any size and kind to the form of the training images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xpnet._extras import MissingExtraError, require
from xpnet.data.images.files import ink_levels, looks_like_mnist, to_digit

GROUNDS = ("", "dark", "light")
_SAMPLE = 20  # number of training images that are examined
_SHARE = 0.8  # share of them that must agree
_DARK, _LIGHT = 64, 191  # grey levels


@dataclass(frozen=True)
class PictureRecipe:
    """The form of the training images, for converting pictures to the same form.

    Parameters
    ----------
    size : height and width in pixels.
    channels : 1 for grey, 3 for colour.
    digits : whether the images are digits as in MNIST, scaled and centred; pictures are converted by ``to_digit``.
    ground : "dark" or "light" if the border of the images is, else "".
    """

    size: tuple[int, int]
    channels: int = 1
    digits: bool = False
    ground: str = ""

    def __post_init__(self) -> None:
        if len(self.size) != 2 or any(type(n) is not int or n < 1 for n in self.size):
            raise ValueError(f"size must be height and width in pixels, got {self.size!r}")
        if self.channels not in (1, 3) or self.ground not in GROUNDS or not isinstance(self.digits, bool):
            raise ValueError(
                "expected channels 1 or 3, digits true or false, ground dark, light or empty; got "
                f"{self.channels!r}, {self.digits!r}, {self.ground!r}"
            )
        if self.digits and (self.channels != 1 or self.size[0] != self.size[1] or self.size[0] < 4):
            raise ValueError(f"digits are square and grey, of at least 4x4 pixels, got {self.size} x {self.channels}")

    @classmethod
    def fit(cls, images: np.ndarray, classes: Sequence[str] = ()) -> PictureRecipe:
        """The recipe of a dataset.  images uint8 (N, H, W), (N, 1, H, W) or (N, 3, H, W).

        Images are taken as digits if the classes are 0 to 9 and they are placed like MNIST's digits.
        """
        channels = 3 if images.ndim == 4 and images.shape[1] == 3 else 1
        chosen = images[np.linspace(0, len(images) - 1, min(len(images), _SAMPLE)).astype(int)]
        grey = chosen.mean(axis=1) if chosen.ndim == 4 else chosen
        ground = _ground_of(grey)
        height, width = grey.shape[1:]
        named = tuple(classes) == tuple("0123456789")
        digits = bool(named and channels == 1 and ground and height == width >= 4)
        if digits:
            digits = _are_digits(grey.astype(np.uint8) if ground == "dark" else 255 - grey.astype(np.uint8))
        return cls((int(height), int(width)), channels, digits, ground)

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        """A picture, uint8 (H, W) or (H, W, 3) of any size, as a training image: uint8 (H, W), or (3, H, W).

        A picture of the correct size, or one enlarged by an integer factor, is unchanged; a digit only if it is
        centred. Other pictures are scaled.  If the training images have a uniform background, the picture gets margins
        of its own background, and is inverted if its background is the opposite; otherwise its middle is cut out.

        Raises: ``ValueError`` if a digit is required and none is found; ``MissingExtraError`` without Pillow.
        """
        if self.digits:
            picture = _shrunk_back(ink_levels(picture), self.size)
            turned = picture if self.ground == "dark" else 255 - picture
            digit = to_digit(turned, size=self.size[0])
            return digit if self.ground == "dark" else 255 - digit
        picture = _with_channels(picture, self.channels)
        if picture.shape[:2] != self.size:
            picture = 255 - picture if self.inverts(picture) else picture
            picture = _padded(picture, self.size) if self.ground else _cut(picture, self.size)
        return picture if self.channels == 1 else np.ascontiguousarray(picture.transpose(2, 0, 1))

    def inverts(self, picture: np.ndarray) -> bool:
        """Whether a picture is inverted, because its background is light and that of the training images dark, or vice
        versa.
        """
        if self.digits or not self.ground or picture.shape[:2] == self.size:
            return False
        grey = picture if picture.ndim == 2 else picture.mean(axis=2)
        return _ground_of(grey[None]) == {"dark": "light", "light": "dark"}[self.ground]

    def describe(self) -> str:
        """A description, e.g. ``"28x28, grey, digits put in the middle, dark ground"``."""
        parts = [f"{self.size[1]}x{self.size[0]}", "grey" if self.channels == 1 else "colour"]
        parts += ["digits put in the middle"] if self.digits else []
        return ", ".join([*parts, f"{self.ground} ground"] if self.ground else parts)

    def state(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {**asdict(self), "size": list(self.size)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> PictureRecipe:
        """Restore from ``state()``.  Raises: ``ValueError`` for other content."""
        if set(state) != {"size", "channels", "digits", "ground"} or not isinstance(state["size"], (list, tuple)):
            raise ValueError(f"expected size, channels, digits and ground, got {', '.join(state) or 'nothing'}")
        return cls(**{**state, "size": tuple(state["size"])})


def _ground_of(grey: np.ndarray) -> str:
    """The tone of the border of most images, "dark" or "light"; else "".  grey (N, H, W)."""
    borders = np.concatenate([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)
    levels = np.median(borders, axis=1)
    if np.mean(levels < _DARK) >= _SHARE:
        return "dark"
    return "light" if np.mean(levels > _LIGHT) >= _SHARE else ""


def _are_digits(images: np.ndarray) -> bool:
    try:
        return bool(np.mean([looks_like_mnist(image) for image in images]) >= _SHARE)
    except MissingExtraError:  # without Pillow large images cannot be examined, nor pictures read
        return True


def _with_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    if channels == 1 and picture.ndim == 3:
        return np.asarray(_image(picture).convert("L"))
    return np.stack([picture] * 3, axis=-1) if channels == 3 and picture.ndim == 2 else picture


def _image(picture: np.ndarray) -> Any:
    pillow = require("PIL.Image", extra="plot", purpose="reading images")
    return pillow.fromarray(np.ascontiguousarray(picture))


def _shrunk_back(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The original of an image that was enlarged to this picture by repeating pixels; else the picture."""
    factor = len(picture) // size[0]
    if factor < 2 or picture.shape != (size[0] * factor, size[1] * factor):
        return picture
    small = picture[::factor, ::factor]
    return small if np.array_equal(small.repeat(factor, axis=0).repeat(factor, axis=1), picture) else picture


def _padded(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The whole picture scaled to fit ``size``, with margins in the tone of its border."""
    height, width = picture.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    small = _resized(picture, (max(1, round(height * scale)), max(1, round(width * scale))))
    edges = [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
    result = np.empty((*size, *picture.shape[2:]), picture.dtype)
    result[:] = np.median(np.concatenate(edges), axis=0)
    top, left = ((whole - part) // 2 for whole, part in zip(size, small.shape, strict=False))
    result[top : top + len(small), left : left + small.shape[1]] = small
    return result


def _cut(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of a picture with the aspect ratio of ``size``, scaled to it."""
    height, width = picture.shape[:2]
    ratio = size[1] / size[0]
    rows, columns = min(height, max(1, round(width / ratio))), min(width, max(1, round(height * ratio)))
    top, left = (height - rows) // 2, (width - columns) // 2
    return _resized(picture[top : top + rows, left : left + columns], size)


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture scaled to ``size``; enlargement by an integer factor is reversed exactly."""
    whole = all(big % small == 0 for big, small in zip(picture.shape, size, strict=False))
    resampling = require("PIL.Image", extra="plot", purpose="reading images").Resampling
    image = _image(picture).resize((size[1], size[0]), resampling.BOX if whole else resampling.BICUBIC)
    return np.asarray(image)
