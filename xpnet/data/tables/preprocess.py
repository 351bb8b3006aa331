"""Convert raw rows to the inputs of a network, in the same way for training and prediction."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xpnet.data.errors import DataError
from xpnet.data.suggest import did_you_mean, listed
from xpnet.data.tables.columns import (
    Column,
    DateColumn,
    Labels,
    NumericColumn,
    class_order,
    column_from_state,
    fit_column,
)
from xpnet.data.tables.kinds import (
    KINDS,
    LEARNED,
    USED,
    Guess,
    check_target,
    fold_classes,
    guess_column,
    guess_task,
    known_targets,
)
from xpnet.data.tables.reader import Layout, Table, is_missing, is_number, read_like

TASKS = ("classification", "regression")
UNSEEN = ("ignore", "error")
_SHOWN = 60  # largest number of columns with a line each


class TablePreprocessor:
    """Converts the columns of a table to float32 (N, F), and its target to class numbers or standardised numbers.

    The kinds of columns are detected on the whole table.  Medians, categories, means and deviations are fitted on the
    training rows only.

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
    target : the column to predict.
    task : "classification" or "regression"; by default it is detected.
    kinds : kinds of columns that are detected wrongly: {"Pclass": "categorical", "Ticket": "ignore"}.
    unseen : for categories that do not occur in the training rows: "ignore" (all zeros) or "error".
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
        self.layout = Layout()

    # -- learning --------------------------------------------------------------------------------------------------

    def fit(self, table: Table, rows: Sequence[int] | np.ndarray | None = None) -> TablePreprocessor:
        """Detect the columns of ``table``, and fit on its training ``rows``, or all rows.

        Raises: ``DataError`` for a target that is missing or cannot be learned, or if no input column is left.
        """
        self._guess(table)
        train = table if rows is None else table.take(rows)
        self._fit_target(train)
        self.columns = [fit_column(train, name, guess.kind, table[name]) for name, guess in self.guesses.items()
                        if guess.kind in LEARNED]  # fmt: skip
        if not self.columns:
            reasons = "; ".join(f"{name}: {guess.why}" for name, guess in self.guesses.items()) or "there is no other"
            raise DataError(f"{table.name} has no column to learn {self.target!r} from ({reasons})")
        return self

    def _guess(self, table: Table) -> None:
        for column in (self.target, *self.kinds):
            table[column]  # raises for a missing column
        if self.kinds.get(self.target):
            raise DataError(f"{self.target!r} is the target: it cannot be {self.kinds[self.target]!r} as well")
        if not self.task:
            guess = guess_task(table, self.target)
            self.task, self.why_task = guess.kind, guess.why
        self.names, self.header, self.layout = table.names, table.header, table.layout
        self.guesses = {
            name: Guess(self.kinds[name], "as asked for") if name in self.kinds else guess_column(table, name)
            for name in table.names
            if name != self.target
        }

    def _fit_target(self, table: Table) -> None:
        check_target(table, self.target, self.task)
        known = table.take(known_targets(table, self.target, self.task))
        if self.task == "regression":
            column = NumericColumn.fit(known, self.target)
            self.center, self.scale = column.mean, column.std
            return
        self.classes = class_order(fold_classes(known[self.target]))

    def read(self, path: str | os.PathLike[str], **options: Any) -> Table:
        """Read raw rows from a file with the layout of the training file, with or without the target.

        The options are those of the training file; ``options``, as in ``read_table``, override them.  Numbers have the
        format of the training file's column, if it fits the whole column here.

        Raises: ``DataError`` for a file without header that has another number of columns.
        """
        header = options.pop("header", None)
        header = self.header if header is None else header
        chosen = {name: value for name, value in options.items() if value not in (None, [], ())}
        layout = replace(self.layout, given=tuple({*self.layout.given, *chosen}), **chosen)
        if {"decimal", "thousands"} & set(chosen):
            layout = replace(layout, formats={})  # what is said goes before what was seen
        numeric = [column.name for column in self.columns if isinstance(column, NumericColumn)]
        numeric += [self.target] if self.task == "regression" else []
        return read_like(path, layout, header=header, numeric=numeric, names=self.names, target=self.target)

    # -- using -----------------------------------------------------------------------------------------------------

    @property
    def outputs(self) -> list[str]:
        """The names of the F encoded numbers of a row."""
        return [output for column in self.columns for output in column.outputs]

    def transform(self, table: Table) -> np.ndarray:
        """Encode rows as float32 (N, F).  The target and unused columns are not needed.

        Raises: ``DataError`` with line and column of an invalid cell, or with the name of a missing column.
        """
        self._check_fitted()
        return np.concatenate([column.encode(table, self.unseen) for column in self.columns], axis=1).astype(np.float32)

    def transform_target(self, table: Table) -> np.ndarray:
        """Class numbers int64 (N,), or standardised numbers float32 (N, 1).

        Raises: ``DataError`` for a missing value, or a class that does not occur in the training rows.
        """
        self._check_fitted()
        known = Labels(self.classes)
        for row, cell in enumerate(table[self.target]):
            if is_missing(cell) and (self.task == "regression" or known.number(cell) < 0):
                raise DataError(f"{table.place(row, self.target)}: the target is missing: leave the row out")
        if self.task == "regression":
            column = NumericColumn(self.target, self.center, self.center, self.scale, False)
            return column.encode(table, self.unseen).astype(np.float32)
        labels = [known.number(cell) for cell in table[self.target]]
        if -1 in labels:
            row = labels.index(-1)
            cell = table[self.target][row]
            raise DataError(
                f"{table.place(row, self.target)}: {cell[:40]!r} is not a class of the training rows"
                f"{did_you_mean(cell, self.classes)} (they are {listed(self.classes, 10)})"
            )
        return np.array(labels, dtype=np.int64)

    def labelled(self, table: Table) -> tuple[list[int], dict[str, int]]:
        """The rows whose target can be compared with a prediction, and counts of the cells of the other rows."""
        self._check_fitted()
        known, cells = Labels(self.classes), table[self.target]
        usable = {cell: is_number(cell) and math.isfinite(float(cell)) if self.task == "regression"
                  else known.number(cell) >= 0 for cell in set(cells)}  # fmt: skip
        return [row for row, cell in enumerate(cells) if usable[cell]], dict(Counter(c for c in cells if not usable[c]))

    def inverse_target(self, y: Any) -> np.ndarray:
        """The outputs of a regression, (N, 1) or (N,), in the units of the target: float64 (N,)."""
        return np.asarray(y, dtype=np.float64).reshape(len(y)) * self.scale + self.center

    def unseen_cells(self, table: Table) -> list[str]:
        """A description of what ``transform`` ignores: one line per column with unseen categories."""
        said = []
        for column in self.columns:
            if rows := column.unseen_rows(table):
                first = table.place(rows[0], column.name)
                cell = table[column.name][rows[0]][:40]
                many = f", nor were {len(rows) - 1} more" if len(rows) > 1 else ""
                said.append(f"{first}: {cell!r} was never seen in training{many}: it counts as none of the categories")
        return said

    def describe(self) -> list[str]:
        """The detected kinds, one line per column, for the first ones if there are very many."""
        widest = max(map(len, self.guesses), default=0)
        widest = min(widest, 24)
        filled = {column.name: _fill(column) for column in self.columns}
        lines = [f"{name:{widest}}  {guess.kind:11} {guess.why}{filled.get(name, '')}"
                 for name, guess in self.guesses.items()]  # fmt: skip
        if len(lines) <= _SHOWN:
            return lines
        rest = Counter(guess.kind for guess in list(self.guesses.values())[_SHOWN:])
        more = ", ".join(f"{count:,} {kind}" for kind, count in rest.most_common())
        return [*lines[:_SHOWN], f"and {len(lines) - _SHOWN:,} more columns: {more}"]

    def _check_fitted(self) -> None:
        if not self.columns:
            raise ValueError("this TablePreprocessor knows nothing yet: call fit() with the training rows first")

    # -- saving ----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The whole state as plain values, for JSON."""
        self._check_fitted()
        return {
            "target": self.target,
            "task": self.task,
            "unseen": self.unseen,
            "names": self.names,
            "header": self.header,
            "layout": self.layout.state(),
            "classes": self.classes,
            "center": self.center,
            "scale": self.scale,
            "columns": [column.state() for column in self.columns],
            "left_out": {name: guess.kind for name, guess in self.guesses.items() if guess.kind not in LEARNED},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TablePreprocessor:
        """Restore from ``state()``.  Raises: ``ValueError`` if it is damaged."""
        try:
            made = cls(state["target"], task=state["task"], unseen=state["unseen"])
            made.names, made.header = [str(name) for name in state["names"]], bool(state["header"])
            if "layout" in state:  # runs of earlier versions have none
                made.layout = Layout.from_state(state["layout"])
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
    """A description of how missing cells are filled; "" if there are none."""
    if not getattr(column, "indicator", False):
        return ""
    value = f"the median {column.median:g}" if isinstance(column, NumericColumn) else ""
    value = "the median date" if isinstance(column, DateColumn) else value
    value = value or f"the most frequent, {getattr(column, 'frequent', '')!r}"
    return f": filled with {value}, and a column that says so"
