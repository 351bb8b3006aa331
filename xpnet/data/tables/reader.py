"""A CSV file, read strictly: every row as long as the header, every complaint with its line."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from xpnet.data.errors import DataError
from xpnet.data.idx import read_bytes
from xpnet.data.suggest import did_you_mean

MISSING = frozenset({"", "?", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none"})
"""Cells that say that a value is missing, in any case: those of pandas, and UCI's question mark."""

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def is_missing(cell: str) -> bool:
    """Whether a cell says that its value is missing."""
    return cell.casefold() in MISSING


def is_number(cell: str) -> bool:
    """Whether a cell is a number, infinities among them: ``numbers`` then says where they are."""
    return bool(NUMBER.fullmatch(cell) or INFINITE.fullmatch(cell))


@dataclass(frozen=True)
class Table:
    """Cells as text, by column; ``lines`` is where in the file each row stands."""

    name: str
    columns: dict[str, list[str]]
    lines: list[int]
    header: bool = True
    digest: str = ""
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def names(self) -> list[str]:
        """The names of the columns, from left to right."""
        return list(self.columns)

    def __getitem__(self, column: str) -> list[str]:
        """The cells of a column.  Raises: ``DataError`` with the nearest name where there is none."""
        if column not in self.columns:
            raise DataError(
                f"{self.name} has no column {column!r}{did_you_mean(column, self.columns)} "
                f"(its columns: {', '.join(self.names)})"
            )
        return self.columns[column]

    def numbers(self, column: str) -> np.ndarray:
        """A column as float64 (N,), NaN where it is missing.

        Raises: ``DataError`` with the line of the first cell that is no finite number.
        """
        return np.array([self._number(column, i, cell) for i, cell in enumerate(self[column])], dtype=np.float64)

    def _number(self, column: str, row: int, cell: str) -> float:
        if is_missing(cell):
            return math.nan
        if not is_number(cell):
            raise DataError(f"{self.place(row, column)}: {cell[:40]!r} is not a number")
        value = float(cell)
        if not math.isfinite(value):
            raise DataError(f"{self.place(row, column)}: {cell[:40]!r} is not finite: correct it or leave it empty")
        return value

    def place(self, row: int, column: str) -> str:
        """File, line and column of a cell, for messages."""
        return f"{self.name}: line {self.lines[row]}, column {column!r}"

    def take(self, rows: Sequence[int] | np.ndarray) -> Table:
        """Some rows, in that order."""
        chosen = [int(row) for row in rows]
        columns = {name: [cells[row] for row in chosen] for name, cells in self.columns.items()}
        return replace(self, columns=columns, lines=[self.lines[row] for row in chosen])


def read_table(path: str | os.PathLike[str], *, header: bool | None = None) -> Table:
    """The cells of a CSV file in UTF-8, packed or not, with commas, semicolons or tabs between them.

    ``header`` says whether the first row names the columns; None guesses: it does where none of it is a number or
    missing.  Without one the columns are called column1, column2, ...

    Raises: ``DataError`` with the line: a ragged or empty row, an open quote, a column named twice, no rows at all.
    """
    name = os.fspath(path)
    content = read_bytes(path)
    text = _decode(name, content)
    delimiter = _guess_delimiter(text)
    rows, lines = _read_rows(name, text, delimiter)
    notes = [] if delimiter == "," else [f"the cells of {name} are divided by {_DELIMITERS[delimiter]}"]
    first = rows[0]
    if header is None:
        header = not any(is_missing(cell) or is_number(cell) for cell in first) and len(set(first)) == len(first)
        if not header:
            notes.append(f"the first row looks like data: no header, columns column1 to column{len(first)}")
    if header:
        found = _check_header(name, first, notes)
        rows, lines = rows[1:], lines[1:]
    else:
        found = [f"column{i}" for i in range(1, len(first) + 1)]
    if not rows:
        raise DataError(f"{name} has a header and no rows")
    columns = {column: [row[i] for row in rows] for i, column in enumerate(found)}
    return Table(name, columns, lines, header, hashlib.sha256(content).hexdigest(), tuple(notes))


def _decode(name: str, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not text in UTF-8 ({error}): save it as a CSV in UTF-8") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{name}: line {line} holds a zero byte: it is no CSV file")
    return text


def _guess_delimiter(text: str) -> str:
    """That which divides the first line into the most cells; a comma where all are equal."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", first)
    return max(_DELIMITERS, key=unquoted.count)


def _read_rows(name: str, text: str, delimiter: str) -> tuple[list[list[str]], list[int]]:
    rows: list[list[str]] = []
    lines: list[int] = []
    empty: int | None = None
    for line, row in _csv_rows(name, text, delimiter):
        if len(row) > 1 and not any(row):
            raise DataError(f"{name}: line {line} has only empty cells: delete it")
        if not any(row):
            empty = empty or (line if rows else None)
            continue
        if empty is not None:
            raise DataError(f"{name}: line {empty} is empty: delete it")
        if rows and len(row) != len(rows[0]):
            raise DataError(f"{name}: line {line} has {len(row)} values, the first row has {len(rows[0])}")
        rows.append(row)
        lines.append(line)
    if not rows:
        raise DataError(f"{name} has no rows")
    return rows, lines


def _csv_rows(name: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    line = 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"{name}: line {line}: {error}: look for a quote that is not closed") from None
        yield line, [cell.strip() for cell in row]
        line = reader.line_num + 1


def _check_header(name: str, row: list[str], notes: list[str]) -> list[str]:
    names = [cell or f"unnamed{i}" for i, cell in enumerate(row, start=1)]
    notes += [f"column {i} has no name: it is called unnamed{i}" for i, cell in enumerate(row, start=1) if not cell]
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{name}: line 1 names the column {twice[0]!r} twice: rename one of them")
    return names
