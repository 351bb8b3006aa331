"""Read image files, and convert drawings of digits to the form of MNIST.  Pillow is imported on first use."""

from __future__ import annotations

import errno
import io
import os
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from xpnet._extras import require
from xpnet._files import write_atomically
from xpnet.data.errors import DataError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # none that runs another program, as EPS does
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error, zlib.error)

_WORKING = 192  # pixels of the longer side for separating ink from background
_COARSEST = 64  # ... or fewer, down to this, for noisy images
_GROUND = 48  # ... for estimating the illumination
_FAINTEST = 12.0  # smallest contrast between ink and background, in grey levels
_DULL = 100  # grey level: ink of a dataset is brighter
_NO_INK = "draw it in one colour that stands out from a plain ground, large in the picture"


# -- reading ---------------------------------------------------------------------------------------------------------


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """The pixels of an image file, uint8: (H, W) if it is grey, (H, W, 3) if it has colours.

    The orientation in the metadata is applied, 16 bits are reduced to 8, and of several frames the first is read.  The
    background of transparent pixels is white, or black if the ink is light, so that white ink remains visible.

    Raises: ``FileNotFoundError``; ``DataError`` for a file that is not an image, is damaged or much too large;
    ``MissingExtraError`` without Pillow.
    """
    name = os.fspath(path)
    pillow = _pillow("reading images")
    content = _read(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about unusual metadata; the pixels are valid
        warnings.simplefilter("error", pillow.DecompressionBombWarning)
        try:
            image = pillow.open(io.BytesIO(content), formats=FORMATS)
            return _pixels(require("PIL.ImageOps", extra="plot", purpose="reading images").exif_transpose(image))
        except (pillow.DecompressionBombWarning, pillow.DecompressionBombError) as error:
            raise DataError(
                f"{name} is too large: {error}; if you trust it, make it smaller with an image editor"
            ) from error
        except pillow.UnidentifiedImageError:
            raise DataError(
                f"{name} is no image: it starts with {content[:8]!r}; expected one of {', '.join(FORMATS)}"
            ) from None
        except _DAMAGED as error:
            raise DataError(f"{name} is truncated or damaged ({error}): save or copy it again") from error


def load_photographs() -> dict[str, np.ndarray]:
    """Two photographs embedded in scikit-learn, "temple" and "flower", each uint8 (427, 640, 3).

    Raises: ``MissingExtraError`` without scikit-learn or Pillow.
    """
    purpose = "loading the embedded photographs"
    _pillow(purpose)
    temple, flower = require("sklearn.datasets", extra="sklearn", purpose=purpose).load_sample_images().images
    return {"temple": temple, "flower": flower}


def write_image(path: str | os.PathLike[str], pixels: np.ndarray) -> None:
    """Write pixels, uint8 (H, W) or (H, W, 3), as a PNG, atomically.

    Raises: ``ValueError`` for a name that does not end in .png, or other pixels; ``OSError``; ``MissingExtraError``.
    """
    pixels = np.ascontiguousarray(pixels)
    if pixels.dtype != np.uint8 or not pixels.size or pixels.shape[2:] not in ((), (3,)) or pixels.ndim < 2:
        raise ValueError(f"write_image: expected uint8 (H, W) or (H, W, 3), got {pixels.dtype} {pixels.shape}")
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"images are written as PNG: {os.fspath(path)!r} must end in .png")
    content = io.BytesIO()
    _pillow("writing images").fromarray(pixels).save(content, format="PNG")
    write_atomically(path, content.getvalue())


def _pillow(purpose: str) -> Any:
    return require("PIL.Image", extra="plot", purpose=purpose)


def _read(name: str) -> bytes:
    try:
        content = Path(name).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, "no such image file: check its name and folder", name) from None
    except IsADirectoryError:
        raise DataError(f"{name} is a folder: give the image files in it") from None
    if not content:
        raise DataError(f"{name} is an empty file, not an image: save or copy it again")
    return content


def _pixels(image: Any) -> np.ndarray:
    """A Pillow image of any mode as uint8 grey or RGB."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits, 32 bits, floating point
        return _to_8_bits(np.asarray(image))
    grey = image.mode in ("1", "L", "LA", "La")
    if "transparency" in image.info or image.mode.upper().endswith("A"):
        layer = image.convert("RGBA")
        ground = _pillow("reading images").new("RGBA", image.size, _behind(layer))
        ground.alpha_composite(layer)
        image = ground
    return np.array(image.convert("L" if grey else "RGB"))


def _behind(layer: Any) -> str:
    """The background for an RGBA image: black or white, whichever is further from its ink.

    If the opaque part has its own background, with ink of another tone inside (a screenshot with round corners), the
    transparent part gets the tone of that background.
    """
    alpha, grey = np.asarray(layer.getchannel("A")), np.asarray(layer.convert("RGB").convert("L")).astype(int)
    visible = alpha > max(0.9 * int(alpha.max()), 0)
    if not visible.any():
        return "white"
    rim = visible & ~_inside(visible)
    tone = float(np.median(grey[rim]))
    other_ink = np.abs(grey[visible] - tone) > 64
    if np.mean(np.abs(grey[rim] - tone) <= 32) >= 0.95 and 0.01 <= other_ink.mean() <= 0.5:
        return "white" if tone >= 128 else "black"
    return "white" if np.average(grey, weights=alpha) < 128 else "black"


def _inside(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask whose four neighbours are in it too."""
    padded = np.pad(mask, 1)
    beside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    inside: np.ndarray = mask & beside
    return inside


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    """Scale to 0..255: 16-bit values by the range of 16 bits, others by their own minimum and maximum.

    Integers within 0..255 in an image of more bits are already grey levels.
    """
    if values.dtype.kind in "iu" and values.size and 0 <= values.min() <= values.max() < 256:
        return values.astype(np.uint8)
    if values.dtype == np.uint16:
        return (values // 257).astype(np.uint8)
    finite = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = (
        (0.0, 65535.0)
        if values.dtype.kind == "i" and 0 <= values.min() <= values.max() < 1 << 16
        else (float(finite.min()), float(finite.max()))
    )
    return np.rint((finite - low) * (255.0 / max(high - low, 1e-30))).astype(np.uint8)


# -- digits ----------------------------------------------------------------------------------------------------------


def to_digit(image: np.ndarray, size: int = 28) -> np.ndarray:
    """A drawing or photo of one digit in the form of MNIST: white on black, uint8 (size, size).

    image uint8 (H, W) or (H, W, 3), of any size, dark on light or light on dark.  Uneven illumination is corrected; the
    background becomes 0 and the ink 255.  The bounding box of the ink is scaled to 20 of 28 pixels with its aspect
    ratio, and its centre of mass is centred (LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to
    document recognition").  Below 16 pixels, as for scikit-learn's digits, the ink fills the image.  An image with the
    final size, a black background and its digit in the middle is returned unchanged, so that images of these datasets
    are too.

    Raises: ``ValueError`` if no digit is found.
    """
    if not isinstance(size, int) or size < 4:
        raise ValueError(f"size must be a whole number of at least 4 pixels, got {size!r}")
    grey = _to_grey(image)
    ink = _find_ink(grey)
    if grey.shape == (size, size) and _looks_finished(grey, ink):
        return grey.astype(np.uint8)
    close = _crop(grey, ink)
    if close.size < 0.5 * grey.size:  # a small digit: repeat on the crop
        ink = _find_ink(close)
    elif grey.shape == (size, size) and _looks_placed(ink):
        return _to_uint8(ink)
    return _center(_scale(ink, size), size)


def looks_like_mnist(image: np.ndarray) -> bool:
    """Whether an image, uint8 (S, S), shows one digit, light on dark, that fills its frame as MNIST's digits do."""
    try:
        grey = _to_grey(image)
        return _looks_finished(grey, _find_ink(grey), most=1.0)
    except ValueError:
        return False


def _to_grey(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ValueError(f"expected pixels, uint8 (H, W) or (H, W, 3), got {image.dtype} {image.shape}: see read_image")
    if min(image.shape[:2]) < 4:
        raise ValueError(f"no digit found: the image has only {image.shape[1]}x{image.shape[0]} pixels")
    return ink_levels(image).astype(np.float32)


def ink_levels(image: np.ndarray) -> np.ndarray:
    """Grey levels in which ink stands out from its ground.  uint8 (H, W) or (H, W, 3) -> uint8 (H, W).

    Usually the brightness; for such ink as yellow on white, or blue on black, the colour channel that differs most.
    """
    if image.ndim == 2:
        return image
    grey = np.asarray(_pillow("reading digits").fromarray(np.ascontiguousarray(image)).convert("L"))
    levels = [grey, *np.moveaxis(image, -1, 0)]
    spreads = [int(level.max()) - int(level.min()) for level in levels]
    best = int(np.argmax(spreads))
    return np.ascontiguousarray(levels[best]) if spreads[0] < 0.5 * spreads[best] else grey


def _resize(values: np.ndarray, height: int, width: int, resampling: str) -> np.ndarray:
    pillow = _pillow("reading digits")
    image = pillow.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(image.resize((width, height), getattr(pillow.Resampling, resampling)))


def _shrink(values: np.ndarray, side: int) -> np.ndarray:
    """Average pixels until the longer side has at most ``side``."""
    scale = side / max(values.shape)
    if scale >= 1:
        return values
    height, width = (max(4, round(length * scale)) for length in values.shape)
    return _resize(values, height, width, "BOX")


def _find_ink(grey: np.ndarray, side: int = _WORKING) -> np.ndarray:
    """The amount of ink in each pixel of a smaller image, 0..1, without noise and stray marks."""
    small = _shrink(grey, side)
    contrast = small - _ground(small)
    noise = float(np.quantile(np.abs(contrast), 0.25)) / 0.3186  # σ of a normal distribution; most are background
    least = max(5.0 * noise, _FAINTEST)
    lighter, darker = (np.maximum(sign * contrast - least, 0).sum() for sign in (1, -1))
    contrast = contrast if lighter > darker else -contrast
    marks = contrast[contrast > least]
    full = float(np.quantile(marks, 0.9)) if len(marks) else 0.0
    if least > max(0.3 * full, _FAINTEST) and max(small.shape) > _COARSEST:
        return _find_ink(grey, max(small.shape) // 2)  # averaging four pixels halves the noise
    if not len(marks):
        raise ValueError(f"no digit found: the image is blank or too faint; {_NO_INK}")
    faint = max(3.0 * noise, 0.06 * full)
    ink = np.where(contrast > faint, np.clip(contrast / full, 0, 1), 0)
    return _without_stray_marks(ink, sure=contrast > least)


def _ground(grey: np.ndarray) -> np.ndarray:
    """The illumination of the background: the level of the border, or a quadratic surface.

    The one that is closer to a quarter of all pixels is used.  The level suits a drawing that fills its image, the
    surface a photo.
    """
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    level, surface = np.full_like(grey, np.median(border)), _surface(grey)
    distances = [float(np.quantile(np.abs(grey - light), 0.25)) for light in (level, surface)]
    return level if distances[0] <= distances[1] else surface


def _surface(grey: np.ndarray) -> np.ndarray:
    """A quadratic surface through the pixels without ink.

    It minimises the sum of absolute differences by reweighted least squares, which ignores the ink as long as ink is
    less than half of the weight; the border, where ink is rare, has as much weight as the rest.
    """
    small = _shrink(grey, _GROUND)
    inside = np.zeros(small.shape, dtype=bool)
    inside[1:-1, 1:-1] = True
    fair = np.where(inside, 1 / inside.sum(), 1 / (~inside).sum()).ravel()
    terms, values = _quadratic(small.shape), small.ravel()
    weights = fair
    for _ in range(30):
        root = np.sqrt(weights / weights.max())
        factors = np.linalg.lstsq(terms * root[:, None], values * root, rcond=None)[0]
        weights = fair / (np.abs(values - terms @ factors) + 0.3)
    surface: np.ndarray = (_quadratic(grey.shape) @ factors).reshape(grey.shape)
    return surface


def _quadratic(shape: tuple[int, ...]) -> np.ndarray:
    """The terms 1, x, y, xy, x², y² at each pixel, x and y in −1..1 over the image.  -> (H*W, 6)."""
    y, x = ((np.arange(n) + 0.5) * (2.0 / n) - 1.0 for n in shape)
    y, x = (a.ravel() for a in np.meshgrid(y, x, indexing="ij"))
    return np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1)


def _without_stray_marks(ink: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """Keep the largest connected mark, and others that are not much smaller."""
    reach = max(ink.shape) // 64  # pixels: strokes at most this far apart belong together
    labels = _label(_grow(sure, reach))
    mass = np.bincount(labels.ravel(), (ink * sure).ravel())
    mass[0] = 0
    kept = np.isin(labels, np.flatnonzero(mass >= 0.08 * mass.max()) if mass.max() > 0 else [])
    rows, columns = np.nonzero(kept & sure)
    if np.ptp(rows) < 3 and np.ptp(columns) < 3:
        raise ValueError(f"no digit found: there are only specks in the image; {_NO_INK}")
    clean: np.ndarray = ink * (_grow(kept, 1) > 0)
    return clean


def _grow(mask: np.ndarray, reach: int) -> np.ndarray:
    """True within ``reach`` pixels of a true pixel, along rows, columns and diagonals."""
    for axis in (0, 1):
        mask = np.apply_along_axis(lambda line: np.convolve(line, np.ones(2 * reach + 1), "same") > 0.5, axis, mask)
    return mask


def _label(mask: np.ndarray) -> np.ndarray:
    """Number the 8-connected parts of a mask from 1; 0 is outside."""
    height, width = mask.shape
    labels = np.zeros((height, width), dtype=np.int64)
    unseen = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    number = 0
    while unseen:
        number += 1
        edge = [unseen.pop()]
        while edge:
            y, x = edge.pop()
            labels[y, x] = number
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & unseen
            unseen -= near
            edge.extend(near)
    return labels


def _box(ink: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of the ink, the ends excluded."""
    rows, columns = (np.flatnonzero((ink > 0.2).any(axis=axis)) for axis in (1, 0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _crop(grey: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """The part of an image around the ink that was found in a smaller version, with a margin."""
    top, bottom, left, right = _box(ink)
    margin = 0.3 * max(bottom - top, right - left)
    y, x = (big / small for big, small in zip(grey.shape, ink.shape, strict=True))
    rows = slice(max(0, int((top - margin) * y)), int((bottom + margin) * y) + 1)
    columns = slice(max(0, int((left - margin) * x)), int((right + margin) * x) + 1)
    return grey[rows, columns]


def _inner(size: int) -> int:
    """The side of the box to which the ink is scaled: 20 of 28 as in MNIST, or the whole of a very small image."""
    return round(size * 20 / 28) if size >= 16 else size


def _looks_placed(ink: np.ndarray) -> bool:
    """Whether the ink of an image of the final size already has the correct size and position, within two pixels."""
    top, bottom, left, right = _box(ink)
    side, inner = max(bottom - top, right - left), _inner(len(ink))
    off_center = [abs(_center_of_mass(ink, axis) - len(ink) // 2) for axis in (0, 1)]
    return 0.85 * inner <= side <= inner and max(off_center) <= 1.0


def _looks_finished(grey: np.ndarray, ink: np.ndarray, most: float = 1.3) -> bool:
    """Whether an image of the final size resembles those of a dataset: bright ink on black, roughly centred.

    The longer side of the ink is 0.6 to ``most`` times its target.
    """
    top, bottom, left, right = _box(ink)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    off_center = max(abs(_center_of_mass(ink, axis) - len(ink) // 2) for axis in (0, 1))
    size = max(bottom - top, right - left) / _inner(len(ink))
    strong = bool(grey.max() > _DULL and np.median(border) <= 2)
    return strong and 0.6 <= size <= most and off_center <= max(2.0, len(ink) * 3 / 28)


def _center_of_mass(ink: np.ndarray, axis: int) -> float:
    mass = ink.sum(axis=1 - axis)
    return float(mass @ np.arange(len(mass)) / mass.sum())


def _scale(ink: np.ndarray, size: int) -> np.ndarray:
    """Scale the longer side of the ink's box to that of MNIST, and thicken thin lines, which would fade."""
    top, bottom, left, right = _box(ink)
    scale = _inner(size) / max(bottom - top, right - left)
    width = _stroke_width(ink) * scale * 20 / _inner(size)  # in pixels of MNIST, where it is 2 to 5
    reach = round((1.8 - width) / 2 * _inner(size) / 20 / scale)
    if reach > 0:
        return _scale(_thicken(ink, reach), size)
    height, width = (max(1, round(length * scale)) for length in ink.shape)
    scaled: np.ndarray = np.clip(_resize(ink, height, width, "BICUBIC"), 0, 1)
    return scaled


def _stroke_width(ink: np.ndarray) -> float:
    """Twice the area divided by the length of the outline, measured by eroding one pixel all around."""
    mask = np.pad(ink > 0.5, 1)
    inner = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return float(2 * mask.sum() / max(1, mask.sum() - inner.sum()))


def _thicken(ink: np.ndarray, reach: int) -> np.ndarray:
    filters = require("PIL.ImageFilter", extra="plot", purpose="reading digits")
    image = _pillow("reading digits").fromarray(np.rint(np.pad(ink, reach) * 255).astype(np.uint8))
    for _ in range(reach):
        image = image.filter(filters.MaxFilter(3))
    return np.asarray(image).astype(np.float32) / 255


def _center(ink: np.ndarray, size: int) -> np.ndarray:
    """Cut out size x size pixels around the centre of mass, without cutting the ink's box."""
    box = _box(ink)
    padded = np.pad(ink, size)
    starts = []
    for axis, (low, high) in enumerate([box[:2], box[2:]]):
        middle = _center_of_mass(ink, axis) if size >= 16 else (low + high) / 2
        start = round(middle) - size // 2
        starts.append(size + min(max(start, high - size), low))
    top, left = starts
    return _to_uint8(padded[top : top + size, left : left + size])


def _to_uint8(ink: np.ndarray) -> np.ndarray:
    pixels: np.ndarray = np.rint(ink * (255 / ink.max())).astype(np.uint8)
    return pixels


# -- showing ---------------------------------------------------------------------------------------------------------


def show_digit(image: np.ndarray, ascii: bool = False) -> str:  # noqa: A002
    """A small grey image, uint8 (H, W), as text for a terminal; one character shows two pixels, one above the other.

    >>> print(show_digit(np.array([[0, 0, 255, 255, 90], [0, 255, 255, 0, 90]], dtype=np.uint8)) + "|")
     ▄█▀░|
    """
    image = np.asarray(image)
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ValueError(f"show_digit: expected grey pixels, uint8 (H, W), got {image.dtype} {image.shape}")
    even = np.pad(image, ((0, len(image) % 2), (0, 0))).astype(int)
    character = _ascii_character if ascii else _block_character
    rows = zip(even[::2].tolist(), even[1::2].tolist(), strict=True)
    return "\n".join("".join(map(character, above, below)) for above, below in rows)


def _ascii_character(above: int, below: int) -> str:
    return " .:-=+*#%@"[(above + below) * 10 // 511]


def _block_character(above: int, below: int) -> str:
    if above - below > 127:
        return "▀"
    if below - above > 127:
        return "▄"
    return " ░▒▓█"[(above + below) * 5 // 511]
