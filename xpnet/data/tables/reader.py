"""Read CSV files strictly: every row has the length of the header, and errors name the line."""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from xpnet.data.errors import DataError
from xpnet.data.readers.idx import read_bytes
from xpnet.data.suggest import did_you_mean, listed, short
from xpnet.data.tables.encoding import check_encoding, decode
from xpnet.data.tables.header import distinct_names, is_header
from xpnet.data.tables.layout import Rows, check_delimiter, read_rows
from xpnet.data.tables.numbers import (
    DECIMALS,
    MISSING,
    THOUSANDS,
    as_plain,
    describe_formats,
    find_formats,
    formats_from_state,
    formats_state,
    is_missing,
    is_number,
)

__all__ = ["MISSING", "Layout", "Table", "is_missing", "is_number", "read_table"]


@dataclass(frozen=True)
class Layout:
    """The layout of a file, for reading others in the same way; ``given`` are the options chosen by the user."""

    delimiter: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    missing: tuple[str, ...] = ()
    formats: dict[str, list[str]] = field(default_factory=dict)
    given: tuple[str, ...] = ()

    def state(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self) | {"missing": list(self.missing), "given": list(self.given)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Layout:
        """Restore from ``state()``.  Raises: ``ValueError``, ``TypeError`` or ``KeyError`` if it is damaged."""
        made = cls(**{**state, "missing": tuple(map(str, state["missing"])), "given": tuple(state["given"])})
        check_options(made.delimiter, made.decimal, made.thousands, made.encoding)
        formats_from_state(made.formats)
        if not set(made.given) <= {"delimiter", "decimal", "thousands", "encoding", "missing"}:
            raise ValueError("unknown options were given")
        return made

    def options(self) -> dict[str, Any]:
        """The options chosen by the user, for ``read_table``."""
        return {name: getattr(self, name) for name in self.given}


@dataclass(frozen=True)
class Table:
    """Cells as text, by column; ``lines`` are the line numbers of the rows in the file."""

    name: str
    columns: dict[str, list[str]]
    lines: list[int]
    header: bool = True
    digest: str = ""
    notes: tuple[str, ...] = ()
    layout: Layout = Layout()

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def names(self) -> list[str]:
        """The names of the columns, from left to right."""
        return list(self.columns)

    def __getitem__(self, column: str) -> list[str]:
        """The cells of a column.  Raises: ``DataError`` with the most similar name for an unknown column."""
        if column not in self.columns:
            raise DataError(
                f"{self.name} has no column {short(column)!r}{did_you_mean(column, self.columns)} "
                f"(its columns: {listed(self.names)})"
            )
        return self.columns[column]

    def numbers(self, column: str) -> np.ndarray:
        """A column as float64 (N,), NaN for missing values.

        Raises: ``DataError`` with the line of the first cell that is not a finite number.
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
        """The table with the given rows, in that order."""
        chosen = [int(row) for row in rows]
        columns = {name: [cells[row] for row in chosen] for name, cells in self.columns.items()}
        return replace(self, columns=columns, lines=[self.lines[row] for row in chosen])


def check_options(
    delimiter: str | None, decimal: str | None, thousands: str | None, encoding: str | None
) -> tuple[str | None, str | None]:
    """The delimiter as a character, and the decimal sign, which is "." if ``thousands`` is "," and vice versa.

    Raises: ``ValueError`` for an invalid option.
    """
    if decimal is not None and decimal not in DECIMALS:
        raise ValueError(f"decimal must be '.' or ',', got {decimal!r}")
    if thousands is not None and thousands not in THOUSANDS:
        raise ValueError(f"thousands must be one of {' '.join(map(repr, THOUSANDS))}, got {thousands!r}")
    if decimal is not None and decimal == thousands:
        raise ValueError(f"decimal and thousands cannot both be {decimal!r}")
    if encoding is not None:
        check_encoding(encoding)
    if decimal is None and thousands in DECIMALS:
        decimal = "," if thousands == "." else "."
    return None if delimiter is None else check_delimiter(delimiter), decimal


def read_table(
    path: str | os.PathLike[str],
    *,
    header: bool | None = None,
    target: str | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    missing: Sequence[str] = (),
) -> Table:
    """Read the cells of a CSV file, compressed or not.  Omitted options are detected, with a note in ``notes``.

    Numbers with a decimal comma, thousands separators, or a percent or currency sign in every cell of a column become
    plain numbers: "1.234,5" is "1234.5".

    Parameters
    ----------
    header : whether the first row names the columns; without a header they are called column1, column2, ...
    target : a required column; if the first row contains this name, it is the header.
    delimiter : one character between cells, or "tab" or "space".
    decimal : "." or ",".
    thousands : the separator of thousands: "," "." " " or "'".
    encoding : the name in Python, e.g. "latin-1".
    missing : additional markers of missing values, e.g. "-999".

    Raises: ``DataError`` with the line for a ragged or empty row, an open quote, or no rows; ``ValueError`` for invalid
    options.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "t.csv").write_text(chr(10).join(["x;y", "1,5;yes", "2,5;no"]))
    ...     table = read_table(Path(folder, "t.csv"))
    >>> table.names, table.numbers("x").tolist(), table["y"]
    (['x', 'y'], [1.5, 2.5], ['yes', 'no'])
    """
    given = {"delimiter": delimiter, "decimal": decimal, "thousands": thousands, "encoding": encoding,
             "missing": tuple(missing) or None}  # fmt: skip
    table = read_cells(
        path, header=header, target=target, delimiter=delimiter, encoding=encoding, missing=missing, decimal=decimal,
        thousands=thousands,
    )  # fmt: skip
    made = find_formats(
        table.columns, decimal=table.layout.decimal, thousands=thousands, delimiter=table.layout.delimiter or ","
    )
    return _converted(table, formats_state(made), tuple(name for name, value in given.items() if value is not None))


def _converted(table: Table, formats: Mapping[str, list[str]], given: tuple[str, ...]) -> Table:
    """The table with plain numbers in the columns of ``formats``."""
    made = {name: form for name, form in formats_from_state(formats).items() if name in table.columns}
    columns = {name: as_plain(cells, made[name]) if name in made else cells for name, cells in table.columns.items()}
    notes = (*table.notes, *describe_formats(table.columns, made))
    return replace(
        table, columns=columns, notes=notes, layout=replace(table.layout, formats=dict(formats), given=given)
    )


def read_like(
    path: str | os.PathLike[str],
    layout: Layout,
    *,
    header: bool,
    numeric: Sequence[str],
    names: Sequence[str],
    target: str,
) -> Table:
    """Read a file with a given ``layout``, with the options chosen for the original file.

    ``numeric`` are the columns that must be numbers, in the format of the original file if it fits the whole column,
    else in their own.  ``names`` are the columns of a file without a header, which may lack the ``target``.

    Raises: as ``read_table``.
    """
    table = _as_before(path, layout, header, names, [*numeric, *layout.formats])
    if not table.header:
        inputs = [name for name in names if name != target]
        here = next((given for given in (list(names), inputs) if len(given) == len(table.names)), None)
        if here is None:
            raise DataError(
                f"{table.name} has {len(table.names)} columns, the training file had {len(names)}, or {len(inputs)} "
                f"without the target {target!r}"
            )
        table = replace(table, columns=dict(zip(here, table.columns.values(), strict=True)))
    known = formats_from_state(layout.formats)
    kept = {name: form for name, form in known.items() if name not in table.columns or form.fits(table[name])}
    found = find_formats(
        table.columns, decimal=table.layout.decimal or layout.decimal, thousands=layout.thousands,
        delimiter=table.layout.delimiter or ",", only=[name for name in {*numeric, *known} if name not in kept],
    )  # fmt: skip
    plain = {
        name for name in known if name in table.columns and all(is_missing(c) or is_number(c) for c in table[name])
    }
    rest = {
        name: form for name, form in known.items() if name not in plain
    }  # an error will name the cell that fits none
    return _converted(table, formats_state({**rest, **kept, **found}), layout.given)


def _as_before(
    path: str | os.PathLike[str], layout: Layout, header: bool, names: Sequence[str], needed: Sequence[str]
) -> Table:
    """Read with a detected delimiter; if columns do not match, with the delimiter of the original file."""
    options = layout.options()
    problem, table = None, None
    try:
        table = read_cells(path, header=header, **options)
    except DataError as error:
        problem = error
    if table is not None and (set(needed) <= set(table.names) if table.header else len(table.names) >= len(names) - 1):
        return table
    if layout.delimiter is not None and "delimiter" not in options:
        try:
            again = read_cells(path, header=header, **{**options, "delimiter": layout.delimiter})
        except DataError:
            again = None
        if again is not None and (
            table is None or len(set(names) & set(again.names)) > len(set(names) & set(table.names))
        ):
            return again
    if table is None:
        assert problem is not None
        raise problem
    return table


def read_cells(
    path: str | os.PathLike[str],
    *,
    header: bool | None = None,
    target: str | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    thousands: str | None = None,
    encoding: str | None = None,
    missing: Sequence[str] = (),
) -> Table:
    """As ``read_table``, with all numbers unchanged."""
    delimiter, decimal = check_options(delimiter, decimal, thousands, encoding)
    name = os.fspath(path)
    content = read_bytes(path)
    text, encoding, notes = decode(name, content, encoding)
    rows, delimiter, said = read_rows(name, text, delimiter)
    notes += said
    names, rows, header = _named(name, rows, header, target, notes)
    columns = {column: [row[i] for _, row in rows] for i, column in enumerate(names)}
    _mark_missing(columns, missing, notes)
    layout = Layout(delimiter, decimal, thousands, encoding, tuple(missing))
    return Table(
        name, columns, [line for line, _ in rows], header, hashlib.sha256(content).hexdigest(), tuple(notes), layout
    )


def _named(
    name: str, rows: Rows, header: bool | None, target: str | None, notes: list[str]
) -> tuple[list[str], Rows, bool]:
    """The column names, the rows below them, and whether the file has a header."""
    line, first = rows[0]
    if len(rows) > 1 and len(rows[1][1]) == len(first) + 1:
        first = ["", *first]
        notes.append("the header is one name short: the first column is taken for the names of the rows")
    guessed = header is None
    if header is None:
        header = target in first or is_header([first, *(row for _, row in rows[1:])])
    if not header:
        if guessed:
            notes.append(
                f"the first row looks like data: no header, columns column1 to column{len(first)} (else use --header)"
            )
        return [f"column{i}" for i in range(1, len(first) + 1)], rows, False
    if guessed and any(is_number(cell) for cell in first):
        notes.append("the first row is taken for the header, though there are numbers in it (else use --no-header)")
    if len(rows) == 1:
        raise DataError(f"{name} has a header and no rows")
    return distinct_names(name, first, line, notes), rows[1:], True


def _mark_missing(columns: dict[str, list[str]], missing: Sequence[str], notes: list[str]) -> None:
    """Empty the cells that the user marked as missing, and note their number."""
    if not missing:
        return
    texts = {cell.casefold() for cell in missing}
    values = {float(cell) for cell in missing if is_number(cell)}
    counts: Counter[str] = Counter()
    for name, cells in columns.items():
        marked = {cell for cell in set(cells) if cell and (cell.casefold() in texts or _is_one_of(cell, values))}
        if marked:
            counts.update(cell for cell in cells if cell in marked)
            columns[name] = ["" if cell in marked else cell for cell in cells]
    unmet = [cell for cell in missing if cell and not any(cell.casefold() == found.casefold() for found in counts)]
    said = [f"{count:,} cell{'s' * (count > 1)} with {cell!r}" for cell, count in sorted(counts.items())]
    if said:
        notes.append(f"missing as asked for: {', '.join(said)}")
    notes += [f"no cell is {cell!r}, which was to be missing" for cell in unmet if not is_number(cell)]


def _is_one_of(cell: str, values: set[float]) -> bool:
    return bool(values) and is_number(cell) and float(cell) in values
