"""Digits as a table with a label and one column per pixel, as on Kaggle; and the file of a submission."""

from __future__ import annotations

import csv
import io
import math
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xpnet._files import write_atomically
from xpnet.data.errors import DataError
from xpnet.data.images.mnist_family import FASHION_CLASSES, looks_like_fashion
from xpnet.data.loading.dataset import ArrayDataset
from xpnet.data.readers.idx import read_bytes
from xpnet.data.tables.encoding import decode

CLASSES = 10
_MOST_CLASSES = 1000
_FEWEST = 64  # smallest number of pixel columns without pixel names
_LABELS = ("label", "labels", "class", "digit", "target", "y", "category")
_KEYS = re.compile(r"|unnamed.*|id|index|idx|image_?id|row_?id|row", re.IGNORECASE)
_PIXEL = re.compile(r"([a-z]{0,12})[ _.-]?(\d+)", re.IGNORECASE)
_CELL = re.compile(
    r"(?:r|row|pixel)?[ _.-]?(\d+)[x_,:-](?:c|col)?(\d+)|x[ _.-]?(\d+)[ _,.-]?y[ _.-]?(\d+)", re.IGNORECASE
)
_DELIMITERS = ",;\t|"


def is_csv(name: str) -> bool:
    """Whether a file name is that of a table, compressed or not."""
    return name.casefold().removesuffix(".gz").endswith((".csv", ".tsv", ".txt", ".data", ".tab", ".dat"))


@dataclass(frozen=True)
class _Columns:
    """The roles of columns: the label, if there is one; the first pixel; the side of the square images."""

    header: bool
    width: int
    label: int | None
    first: int
    side: int

    @property
    def pixels(self) -> slice:
        return slice(self.first, self.first + self.side * self.side)


def read_digit_csv(path: str | os.PathLike[str]) -> ArrayDataset:
    """Images uint8 (N, S, S) and their labels; without a label column the targets are None.  Compressed or not.

    Pixel columns are named pixel0, pixel1, ... from 0 or 1, or 1x1, 1x2, ..., row by row; the label is the column
    before or after them.  In files without names the label is the first column, or the last if the first one is
    constant. Pixels in 0..1, or in 0..16 for images of 8x8, are scaled to 0..255, with a note in ``notes``.

    Raises: ``DataError`` with the line number for a missing column, text instead of a number, a ragged row, or a value
    out of range; also for images in colour, or that are not square.
    """
    name = os.fspath(path)
    text, _, notes = decode(name, read_bytes(path))
    lines = re.split(r"\r\n|\r|\n", text.replace("\r\r\n", "\n"))
    delimiter = max(_DELIMITERS, key=lines[0].count)
    lines = _without_tail(lines, delimiter)
    columns = _find_columns(name, [line.split(delimiter) for line in lines[:50]])
    values = _parse(name, lines[columns.header :], columns.width, delimiter, 1 + columns.header)
    if not len(values):
        raise DataError(f"{name} has a header and no rows")
    if not columns.header and columns.label == 0:
        columns = _label_first_or_last(columns, values)
    pixels = _brightness(values[:, columns.pixels], columns.side, notes)
    first = 1 + columns.header
    _check_range(name, pixels, 255, "pixel", columns.first, first)
    images = pixels.astype(np.uint8).reshape(-1, columns.side, columns.side)
    if columns.label is None:
        return ArrayDataset(images, classes=tuple("0123456789"), name=name, notes=notes)
    given = values[:, columns.label : columns.label + 1]
    many = len(np.unique(given)) > CLASSES  # a few labels above 9 are errors, many are classes
    _check_range(name, given, _MOST_CLASSES - 1 if many else CLASSES - 1, "label", columns.label, first)
    labels = given[:, 0].astype(np.int64)
    classes = tuple(map(str, range(labels.max() + 1 if many else CLASSES)))
    if ("fashion" in os.path.basename(name).casefold() and not many) or looks_like_fashion(images, labels):
        classes = FASHION_CLASSES
        notes.append(f"{name} holds Fashion-MNIST: its classes are {', '.join(classes)}")
    return ArrayDataset(images, labels, classes=classes, name=name, notes=notes)


def holds_digits(path: str | os.PathLike[str]) -> bool:
    """Whether a file's first lines look like a digit CSV, by names and shape.

    Raises: ``DataError`` for a file that is not text.
    """
    name = os.fspath(path)
    text = decode(name, read_bytes(path))[0]
    lines = re.split(r"\r\n|\r|\n", text[: 1 << 18])[:20]
    if "pixel" in lines[0].casefold():
        return True
    delimiter = max(_DELIMITERS, key=lines[0].count)
    try:
        _find_columns(name, [line.split(delimiter) for line in lines[:-1] or lines])
    except DataError as error:
        return "colour" in str(error)
    return True


# -- columns ---------------------------------------------------------------------------------------------------------


def _find_columns(name: str, rows: list[list[str]]) -> _Columns:
    """Find the columns.  Raises: ``DataError`` if the first row, or the number of columns, does not match."""
    names = [cell.strip().strip('"').strip() for cell in rows[0]]
    if all(re.fullmatch(r"[+-]?\d*\.?\d+(?:e[+-]?\d+)?", cell, re.IGNORECASE) for cell in names):
        return _without_names(name, names, rows)
    found = [_PIXEL.fullmatch(cell) or _CELL.fullmatch(cell) for cell in names]
    labels = [i for i, cell in enumerate(names) if cell.casefold() in _LABELS]
    pixels = [i for i, match in enumerate(found) if match and i not in labels]
    others = [i for i in range(len(names)) if i not in pixels]
    keys = [i for i in others if i not in labels and _KEYS.fullmatch(names[i])]
    unknown = [i for i in others if i not in labels and i not in keys]
    bare = all(names[i].isdigit() for i in pixels)  # pandas' default column names
    if (
        not labels
        and not unknown
        and bare
        and len(pixels) > _FEWEST
        and math.isqrt(len(pixels) - 1) ** 2 == len(pixels) - 1
    ):
        labels, pixels = pixels[:1], pixels[1:]
    called = (
        any(cell.casefold().startswith("pixel") for cell in names) or sum(map(bool, map(_CELL.fullmatch, names))) > 15
    )
    if not labels and len(unknown) == 1 and (not pixels or unknown[0] in (pixels[0] - 1, pixels[-1] + 1)):
        labels, unknown = unknown, []
    if not pixels or unknown or len(labels) > 1 or not (called or len(pixels) >= _FEWEST):
        raise DataError(f"{name}: line 1 must name the columns label,pixel0,pixel1,..., got {','.join(names)[:60]!r}")
    side = _check_names(name, [names[i] for i in pixels])
    if pixels != list(range(pixels[0], pixels[0] + len(pixels))):
        stranger = next(i for i in others if pixels[0] < i < pixels[-1])
        raise DataError(
            f"{name}: line 1 has the column {names[stranger]!r} among the pixels: put it before or after them"
        )
    return _Columns(True, len(names), labels[0] if labels else None, pixels[0], side)


def _without_names(name: str, names: list[str], rows: list[list[str]]) -> _Columns:
    """The columns of a file without names, by their number: a square, or one more."""
    width = len(names)
    whole = all(cell.isdigit() for cell in names)
    counted = whole and [int(cell) for cell in names] == list(range(int(names[0]), int(names[0]) + width))
    for labelled in (1, 0):
        side = math.isqrt(width - labelled)
        if side * side == width - labelled >= _FEWEST:
            return _Columns(counted, width, 0 if labelled else None, labelled, side)
        _refuse_colour(name, width - labelled)
    raise DataError(f"{name}: line 1 must name the columns label,pixel0,pixel1,..., got {','.join(names)[:60]!r}")


def _refuse_colour(name: str, pixels: int) -> None:
    side = math.isqrt(pixels // 3)
    if pixels >= 3 * _FEWEST and 3 * side * side == pixels:
        raise DataError(
            f"{name}: {pixels} pixels are {side}x{side} in three colours: only grey images are read from a CSV; write "
            "colour images as pictures, or make them grey: 0.299 R + 0.587 G + 0.114 B"
        )


def _check_names(name: str, names: list[str]) -> int:
    """The side of square images whose pixel columns have these names, in this order."""
    count = len(names)
    _refuse_colour(name, count)
    side = max(math.isqrt(count), 1)
    if cells := [_CELL.fullmatch(cell) for cell in names if not _PIXEL.fullmatch(cell)]:
        places = [(int(m[1]), int(m[2])) if m[1] else (int(m[4]), int(m[3])) for m in cells if m]  # row, column
        base = min(min(place) for place in places)
        if side * side != count or len(cells) != count:
            raise DataError(
                f"{name}: line 1 names {count} pixels, {names[0]} to {names[-1]}: no square image has so many"
            )
        if places != [(base + i // side, base + i % side) for i in range(count)]:
            raise DataError(f"{name}: the pixel columns must be {names[0]} to {side}x{side}, row by row")
        return side
    numbers = [int(match[2]) for cell in names if (match := _PIXEL.fullmatch(cell))]
    base = 0 if 0 in numbers else 1
    side = side if side * side == count else side + 1
    found = re.fullmatch(r"(.*?)(\d+)", names[0])
    prefix, digits = (
        (found[1], len(found[2]) if found[2].startswith("0") and len(found[2]) > 1 else 0) if found else ("", 0)
    )
    expected = [f"{prefix}{i:0{digits}}" for i in range(base, base + side * side)]
    missing = sorted(set(range(base, base + side * side)) - set(numbers))
    if missing:
        raise DataError(
            f"{name}: line 1 lacks the column {expected[missing[0] - base]!r} ({len(missing)} missing in all)"
        )
    if numbers != list(range(base, base + side * side)):
        raise DataError(f"{name}: the pixel columns must be {expected[0]} to {expected[-1]}, in this order")
    return side


def _label_first_or_last(columns: _Columns, values: np.ndarray) -> _Columns:
    """In a file without names the label is the first column, unless only the last one can be labels."""

    def can_be(column: np.ndarray) -> bool:
        whole = bool((column == np.floor(column)).all())
        return whole and column.min() >= 0 and column.max() < CLASSES and column.min() < column.max()

    last = columns.width - 1
    if can_be(values[:, last]) and not can_be(values[:, 0]):
        return _Columns(columns.header, columns.width, last, 0, columns.side)
    return columns


# -- values ----------------------------------------------------------------------------------------------------------


def _without_tail(lines: list[str], delimiter: str) -> list[str]:
    """Remove empty lines at the end, and the empty columns that a spreadsheet leaves."""
    while lines and not lines[-1].strip(delimiter + ' "'):
        lines.pop()
    if not lines:
        return [""]
    empty = len(lines[0]) - len(lines[0].rstrip(delimiter))
    tail = delimiter * empty
    return [line[:-empty] for line in lines] if empty and all(line.endswith(tail) for line in lines) else lines


def _brightness(pixels: np.ndarray, side: int, notes: list[str]) -> np.ndarray:
    """Scale pixels to 0..255 if all lie in 0..1, or in 0..16 as in UCI's 8x8 digits."""
    if not pixels.size or not pixels.min() >= 0:
        return pixels
    largest, whole = pixels.max(), bool((pixels == np.floor(pixels)).all())
    if 0 < largest <= 1 and (not whole or side * side >= _FEWEST):
        notes.append("pixels in 0..1 are taken as 0..255")
        pixels = np.rint(pixels * 255)
    elif 1 < largest <= 16 and side == 8 and whole:
        notes.append("pixels in 0..16 are taken as 0..255")
        pixels = np.rint(pixels * (255 / 16))
    return pixels


def _parse(name: str, lines: list[str], columns: int, delimiter: str, first: int) -> np.ndarray:
    """Parse all numbers at once; if that fails, line by line to find the error."""
    if not lines:
        return np.empty((0, columns))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = np.loadtxt(lines, delimiter=delimiter, ndmin=2, comments=None, quotechar='"')
        if values.shape == (len(lines), columns):
            return values
    except (ValueError, UserWarning):
        pass
    raise DataError(_first_fault(name, lines, columns, delimiter, first))


def _first_fault(name: str, lines: list[str], columns: int, delimiter: str, first: int) -> str:
    for number, line in enumerate(lines, start=first):
        cells = line.split(delimiter)
        if len(cells) != columns:
            return f"{name}: line {number} has {len(cells)} values, the header has {columns}"
        for column, cell in enumerate(cells, start=1):
            try:
                float(cell.strip().strip('"'))
            except ValueError:
                return f"{name}: line {number}, column {column}: {cell[:40]!r} is not a number"
    return f"{name}: its rows could not be read"


def _check_range(name: str, values: np.ndarray, largest: int, what: str, skipped: int, first: int) -> None:
    wrong = ~((values >= 0) & (values <= largest) & (values == np.floor(values)))  # NaN is wrong too
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        place = f"line {row + first}, column {column + skipped + 1}"
        raise DataError(f"{name}: {place}: {what} {values[row, column]:g} is not a whole number in 0..{largest}")


def write_submission(path: str | os.PathLike[str], labels: np.ndarray, classes: Sequence[str] = ()) -> None:
    """Write ``ImageId,Label``, counted from 1; if the classes have names, also a third column ``Class``."""
    named = any(name != str(i) for i, name in enumerate(classes))
    rows = [["ImageId", "Label", *(["Class"] if named else [])]]
    rows += [[str(i), str(int(label)), *([classes[label]] if named else [])] for i, label in enumerate(labels, start=1)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_atomically(path, text.getvalue())
