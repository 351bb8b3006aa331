"""From raw rows to the numbers that a network takes, the same way in training and ever after."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.data.errors import DataError
from xpnet.data.suggest import did_you_mean
from xpnet.data.tables.columns import (
    CategoryColumn,
    Column,
    NumericColumn,
    column_from_state,
    find,
    in_order,
    numbering,
)
from xpnet.data.tables.kinds import KINDS, USED, Guess, check_target, guess_column, guess_task
from xpnet.data.tables.reader import Table, is_missing, read_table

TASKS = ("classification", "regression")
UNSEEN = ("ignore", "error")


class TablePreprocessor:
    """Columns of a table to float32 (N, F), and its target to class numbers or a standardised number.

    What a column holds is guessed from the whole table; whatever is learned (medians, categories, means, deviations)
    is learned from the training rows alone.

    >>> table = Table("t", {"x": ["1", "3", ""], "c": ["a", "b", "a"], "y": ["no", "yes", "no"]}, [2, 3, 4])
    >>> prepare = TablePreprocessor("y").fit(table)
    >>> prepare.outputs
    ['x', 'x is missing', 'c=a', 'c=b']
    >>> prepare.transform(table)[:, 1:].tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    >>> prepare.classes, prepare.transform_target(table).tolist()
    (['no', 'yes'], [0, 1, 0])

    Parameters
    ----------
    target : the column to be learned.
    task : "classification" or "regression"; None guesses.
    kinds : what a column holds, where the guess is wrong: {"Pclass": "categorical", "Ticket": "ignore"}.
    unseen : what to do with a category that the training rows did not have: "ignore" (all zeros) or "error".
    """

    def __init__(
        self, target: str, *, task: str | None = None, kinds: Mapping[str, str] | None = None, unseen: str = "ignore"
    ) -> None:
        if task is not None and task not in TASKS:
            raise ValueError(f"task must be one of {', '.join(TASKS)}, got {task!r}")
        if unseen not in UNSEEN:
            raise ValueError(f"unseen must be 'ignore' or 'error', got {unseen!r}")
        for column, kind in (kinds or {}).items():
            if kind not in (*USED, "ignore"):
                allowed = ", ".join((*USED, "ignore"))
                raise ValueError(f"the kind of {column!r} must be one of {allowed}, got {kind!r}")
        self.target, self.unseen = target, unseen
        self.task = "" if task is None else task
        self.why_task = "" if task is None else "as asked for"
        self.kinds = dict(kinds or {})
        self.columns: list[Column] = []
        self.guesses: dict[str, Guess] = {}
        self.classes: list[str] = []
        self.center, self.scale = 0.0, 1.0  # of a regression's target
        self.names: list[str] = []
        self.header = True

    # -- learning --------------------------------------------------------------------------------------------------

    def fit(self, table: Table, rows: Sequence[int] | np.ndarray | None = None) -> TablePreprocessor:
        """Guess the columns of ``table``, and learn from its training ``rows``, or all.

        Raises: ``DataError`` for a target that is not there or cannot be learned, or where no column is left.
        """
        self._guess(table)
        train = table if rows is None else table.take(rows)
        self._fit_target(train)
        self.columns = [self._fit_column(train, name, guess.kind) for name, guess in self.guesses.items()
                        if guess.kind in USED]  # fmt: skip
        if not self.columns:
            reasons = "; ".join(f"{name}: {guess.why}" for name, guess in self.guesses.items()) or "there is no other"
            raise DataError(f"{table.name} has no column to learn {self.target!r} from ({reasons})")
        return self

    def _guess(self, table: Table) -> None:
        for column in (self.target, *self.kinds):
            table[column]  # an error where there is none
        if self.kinds.get(self.target):
            raise DataError(f"{self.target!r} is the target: it cannot be {self.kinds[self.target]!r} as well")
        if not self.task:
            guess = guess_task(table, self.target)
            self.task, self.why_task = guess.kind, guess.why
        self.names, self.header = table.names, table.header
        self.guesses = {
            name: Guess(self.kinds[name], "as asked for") if name in self.kinds else guess_column(table, name)
            for name in table.names
            if name != self.target
        }

    def _fit_column(self, table: Table, name: str, kind: str) -> Column:
        return NumericColumn.fit(table, name) if kind == "numeric" else CategoryColumn.fit(table, name, kind)

    def _fit_target(self, table: Table) -> None:
        check_target(table, self.target, self.task)
        known = table.take([row for row, cell in enumerate(table[self.target]) if not is_missing(cell)])
        if self.task == "regression":
            column = NumericColumn.fit(known, self.target)
            self.center, self.scale = column.mean, column.std
            return
        self.classes = in_order(set(known[self.target]))

    def read(self, path: str | os.PathLike[str]) -> Table:
        """Raw rows from a file laid out like the training file, with or without the target.

        Raises: ``DataError`` for a file without header of another number of columns.
        """
        table = read_table(path, header=self.header)
        if self.header:
            return table
        inputs = [name for name in self.names if name != self.target]
        for names in (self.names, inputs):
            if len(names) == len(table.names):
                return replace(table, columns=dict(zip(names, table.columns.values(), strict=True)))
        raise DataError(
            f"{table.name} has {len(table.names)} columns, the training file had {len(self.names)}, "
            f"or {len(inputs)} without the target {self.target!r}"
        )

    # -- using -----------------------------------------------------------------------------------------------------

    @property
    def outputs(self) -> list[str]:
        """The names of the F numbers that a row becomes."""
        return [output for column in self.columns for output in column.outputs]

    def transform(self, table: Table) -> np.ndarray:
        """float32 (N, F).  The target need not be there; columns that were not learned from do not matter.

        Raises: ``DataError`` with line and column of a cell that does not fit, or naming a column that is missing.
        """
        self._check_fitted()
        return np.concatenate([column.encode(table, self.unseen) for column in self.columns], axis=1).astype(np.float32)

    def transform_target(self, table: Table) -> np.ndarray:
        """Class numbers int64 (N,), or standardised numbers float32 (N, 1).

        Raises: ``DataError`` for a missing value, or a class that the training rows did not have.
        """
        self._check_fitted()
        for row, cell in enumerate(table[self.target]):
            if is_missing(cell):
                raise DataError(f"{table.place(row, self.target)}: the target is missing: leave the row out")
        if self.task == "regression":
            column = NumericColumn(self.target, self.center, self.center, self.scale, False)
            return column.encode(table, self.unseen).astype(np.float32)
        numbers = numbering(self.classes)
        labels = [find(numbers, cell) for cell in table[self.target]]
        if -1 in labels:
            row = labels.index(-1)
            cell, known = table[self.target][row], ", ".join(self.classes[:10])
            raise DataError(
                f"{table.place(row, self.target)}: {cell[:40]!r} is no class of the training rows"
                f"{did_you_mean(cell, self.classes)} (they are {known})"
            )
        return np.array(labels, dtype=np.int64)

    def inverse_target(self, y: Any) -> np.ndarray:
        """A regression's outputs, (N, 1) or (N,), in the target's own units: float64 (N,)."""
        return np.asarray(y, dtype=np.float64).reshape(len(y)) * self.scale + self.center

    def unseen_cells(self, table: Table) -> list[str]:
        """What ``transform`` ignores, in words: a line for each column with categories unseen in training."""
        said = []
        for column in self.columns:
            if rows := column.unseen_rows(table):
                first = table.place(rows[0], column.name)
                cell = table[column.name][rows[0]][:40]
                many = f", nor were {len(rows) - 1} more" if len(rows) > 1 else ""
                said.append(f"{first}: {cell!r} was never seen in training{many}: it counts as none of the categories")
        return said

    def describe(self) -> list[str]:
        """What was guessed, a line for each column."""
        widest = max(map(len, self.guesses), default=0)
        widest = min(widest, 24)
        filled = {column.name: _fill(column) for column in self.columns}
        return [f"{name:{widest}}  {guess.kind:11} {guess.why}{filled.get(name, '')}"
                for name, guess in self.guesses.items()]  # fmt: skip

    def _check_fitted(self) -> None:
        if not self.columns:
            raise ValueError("this TablePreprocessor knows nothing yet: call fit() with the training rows first")

    # -- saving ----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        self._check_fitted()
        return {
            "target": self.target,
            "task": self.task,
            "unseen": self.unseen,
            "names": self.names,
            "header": self.header,
            "classes": self.classes,
            "center": self.center,
            "scale": self.scale,
            "columns": [column.state() for column in self.columns],
            "left_out": {name: guess.kind for name, guess in self.guesses.items() if guess.kind not in USED},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TablePreprocessor:
        """Back from ``state()``.  Raises: ``ValueError`` where it was damaged."""
        try:
            made = cls(state["target"], task=state["task"], unseen=state["unseen"])
            made.names, made.header = [str(name) for name in state["names"]], bool(state["header"])
            made.classes = [str(name) for name in state["classes"]]
            made.center, made.scale = float(state["center"]), float(state["scale"])
            made.columns = [column_from_state(entry) for entry in state["columns"]]
            made.guesses = {name: Guess(kind, "left out") for name, kind in state["left_out"].items()}
            made._check_fitted()
            damaged = not (math.isfinite(made.center) and math.isfinite(made.scale) and made.scale > 0)
            if damaged or any(guess.kind not in KINDS for guess in made.guesses.values()):
                raise ValueError("center, scale or kinds are wrong")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"the saved preprocessing was damaged or edited: {error!r}") from error
        return made


def _fill(column: Column) -> str:
    """How missing cells are filled, in words; nothing where there are none."""
    if not getattr(column, "indicator", False):
        return ""
    value = f"the median {column.median:g}" if isinstance(column, NumericColumn) else ""
    value = value or f"the most frequent, {getattr(column, 'frequent', '')!r}"
    return f": filled with {value}, and a column that says so"
