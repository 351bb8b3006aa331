"""Digits as a table: Kaggle's ``label,pixel0,...,pixel783``, and the submission that goes back."""

from __future__ import annotations

import math
import os
import warnings

import numpy as np

from xpnet._files import write_atomically
from xpnet.data.dataset import ArrayDataset
from xpnet.data.errors import DataError
from xpnet.data.idx import read_bytes

CLASSES = 10


def read_digit_csv(path: str | os.PathLike[str]) -> ArrayDataset:
    """Images uint8 (N, S, S) and their labels; without a label column the targets are None.  Packed or not.

    Raises: ``DataError`` with the line number: a missing column, text in a number, a ragged row, a value out of range.
    """
    name = os.fspath(path)
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not text in UTF-8 ({error}): it is no CSV file") from error
    lines = text.splitlines()
    labelled, side = _check_header(name, lines[0] if lines else "")
    values = _parse(name, lines[1:], side * side + labelled)
    if not len(values):
        raise DataError(f"{name} has a header and no rows")
    pixels = values[:, labelled:]
    _check_range(name, pixels, 255, "pixel", labelled)
    images = pixels.astype(np.uint8).reshape(-1, side, side)
    if not labelled:
        return ArrayDataset(images, classes=tuple("0123456789"), name=name)
    _check_range(name, values[:, :1], CLASSES - 1, "label", 0)
    return ArrayDataset(images, values[:, 0].astype(np.int64), classes=tuple("0123456789"), name=name)


def _check_header(name: str, header: str) -> tuple[int, int]:
    """Whether there is a label column, and the side of the square images."""
    columns = [column.strip().strip('"') for column in header.split(",")]
    labelled = int(columns[0] == "label")
    pixels = len(columns) - labelled
    side = max(math.isqrt(pixels), 1)
    if not any(column.startswith("pixel") for column in columns):
        raise DataError(f"{name}: line 1 must name the columns label,pixel0,pixel1,..., got {header[:60]!r}")
    side = side if side * side == pixels else side + 1
    expected = [f"pixel{i}" for i in range(side * side)]
    missing = [column for column in expected if column not in set(columns)]
    if missing:
        raise DataError(f"{name}: line 1 lacks the column {missing[0]!r} ({len(missing)} missing in all)")
    if columns[labelled:] != expected:
        raise DataError(f"{name}: the pixel columns must be pixel0 to pixel{side * side - 1}, in this order")
    return labelled, side


def _parse(name: str, lines: list[str], columns: int) -> np.ndarray:
    """All numbers at once; where that fails, line by line, to say where."""
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        return np.empty((0, columns))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = np.loadtxt(lines, delimiter=",", ndmin=2, comments=None)
        if values.shape == (len(lines), columns):
            return values
    except (ValueError, UserWarning):
        pass
    raise DataError(_first_fault(name, lines, columns))


def _first_fault(name: str, lines: list[str], columns: int) -> str:
    for number, line in enumerate(lines, start=2):
        cells = line.split(",")
        if len(cells) != columns:
            return f"{name}: line {number} has {len(cells)} values, the header has {columns}"
        for column, cell in enumerate(cells, start=1):
            try:
                float(cell)
            except ValueError:
                return f"{name}: line {number}, column {column}: {cell!r} is not a number"
    return f"{name}: its rows could not be read"


def _check_range(name: str, values: np.ndarray, largest: int, what: str, skipped: int) -> None:
    wrong = ~((values >= 0) & (values <= largest) & (values == np.floor(values)))  # NaN is wrong too
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        place = f"line {row + 2}, column {column + skipped + 1}"
        raise DataError(f"{name}: {place}: {what} {values[row, column]:g} is not a whole number in 0..{largest}")


def write_submission(path: str | os.PathLike[str], labels: np.ndarray) -> None:
    """``ImageId,Label``, counted from 1."""
    rows = [f"{i},{int(label)}" for i, label in enumerate(labels, start=1)]
    write_atomically(path, "\n".join(["ImageId,Label", *rows]) + "\n")
