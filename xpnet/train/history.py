"""The history of a training run: one row per epoch."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from xpnet._files import table_rows

Row = dict[str, Any]


class History:
    """Rows of numbers, one per epoch.  It contains nothing that differs between runs of the same seed, such as times.

    >>> history = History([{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25}])
    >>> history["train_loss"]
    [0.5, 0.25]
    """

    def __init__(self, rows: Sequence[Row] = ()) -> None:
        self.rows: list[Row] = [dict(row) for row in rows]

    def append(self, row: Row) -> None:
        """Add an epoch."""
        self.rows.append(dict(row))

    def columns(self) -> list[str]:
        """The names, in the order in which they first appeared."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def as_dict(self) -> dict[str, list[Any]]:
        """Columns by name, with None for missing values."""
        return {name: [row.get(name) for row in self.rows] for name in self.columns()}

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.columns():
            raise KeyError(f"no column {name!r} in the history: {', '.join(self.columns()) or 'it is empty'}")
        return [row.get(name) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self.rows == other.rows

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<History of {len(self)} epochs: {', '.join(self.columns())}>"

    def to_csv(self) -> str:
        """The rows as text, with all digits."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    @classmethod
    def from_csv(cls, text: str | bytes) -> History:
        """Read text that ``to_csv`` wrote, even if a spreadsheet saved it since.

        Raises: ``ValueError`` for a cell that is no number, with its row and column.
        """
        rows = enumerate(table_rows(text), start=1)
        return cls([{name: _number(i, name, cell) for name, cell in row.items()} for i, row in rows])


def _number(row: int, name: str, cell: str) -> int | float:
    try:
        return int(cell)
    except ValueError:
        try:
            return float(cell)
        except ValueError:
            raise ValueError(f"row {row} has {cell!r} in the column {name!r}, which is no number") from None
