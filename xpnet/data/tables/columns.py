"""The encoding of each column as numbers, fitted on the training rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from xpnet.data.errors import DataError
from xpnet.data.suggest import did_you_mean
from xpnet.data.tables.dates import FORMATS, as_days, guess_dates
from xpnet.data.tables.kinds import BOOLEANS, MOST_CLASSES, boolean_pair, is_pair
from xpnet.data.tables.reader import Table, is_missing, is_number


class Column(Protocol):
    """A fitted input column."""

    @property
    def name(self) -> str:
        """The column's name in the table."""

    @property
    def outputs(self) -> list[str]:
        """The names of its encoded numbers."""

    def encode(self, table: Table, unseen: str) -> np.ndarray:
        """The numbers, float64 (N, len(outputs))."""

    def unseen_rows(self, table: Table) -> list[int]:
        """Rows whose value did not occur in the training rows."""

    def state(self) -> dict[str, Any]:
        """As plain values, for JSON."""


@dataclass(frozen=True)
class NumericColumn:
    """``(x − mean) / std``; missing values become the median, with an indicator column."""

    name: str
    median: float
    mean: float
    std: float
    indicator: bool
    kind: str = "numeric"

    def __post_init__(self) -> None:
        if not all(math.isfinite(x) for x in (self.median, self.mean, self.std)) or self.std <= 0:
            raise ValueError(f"column {self.name!r}: median, mean and std must be finite, and std above 0")

    @classmethod
    def fit(cls, table: Table, name: str) -> NumericColumn:
        """Fit on all rows of ``table``.  Raises: ``DataError`` if the deviation overflows float64."""
        values = table.numbers(name)
        missing = np.isnan(values)
        median = 0.0 if missing.all() else float(np.median(values[~missing]))
        values[missing] = median
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = float(values.mean()), float(values.std())
        if not (math.isfinite(mean) and math.isfinite(std)):
            raise DataError(f"{table.name}: the numbers of column {name!r} are too large to be standardised")
        constant = std <= len(values) * np.finfo(np.float64).eps * abs(mean)  # rounding error: scikit-learn's bound
        return cls(name, median, mean, 1.0 if constant or std == 0.0 else std, bool(missing.any()))

    @property
    def outputs(self) -> list[str]:
        return [self.name, *([f"{self.name} is missing"] if self.indicator else [])]

    def encode(self, table: Table, unseen: str) -> np.ndarray:
        values = table.numbers(self.name)
        missing = np.isnan(values)
        with np.errstate(over="ignore"):
            scaled = (np.where(missing, self.median, values) - self.mean) / self.std
        far = np.flatnonzero(np.abs(scaled) > np.finfo(np.float32).max)
        if far.size:
            place = table.place(int(far[0]), self.name)
            raise DataError(f"{place}: {values[far[0]]:g} is far beyond the training rows: correct it")
        return np.stack([scaled, missing][: 1 + self.indicator], axis=1)

    def unseen_rows(self, table: Table) -> list[int]:
        return []

    def state(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class CategoryColumn:
    """One 0/1 column for each category; for a boolean one column for its second value.

    Missing values become the most frequent category, with an indicator column.  Categories that do not occur in the
    training rows are all zeros.
    """

    name: str
    categories: tuple[str, ...]
    frequent: str
    indicator: bool
    kind: str = "categorical"
    _numbers: dict[str, int] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        if not all(isinstance(c, str) for c in self.categories) or self.frequent not in self.categories:
            raise ValueError(f"column {self.name!r}: its categories must be texts, the most frequent among them")
        self._numbers.update(numbering(self.categories))

    @classmethod
    def fit(cls, table: Table, name: str, kind: str) -> CategoryColumn:
        """Fit on all rows of ``table``."""
        cells = table[name]
        known = [cell for cell in cells if not is_missing(cell)]
        if kind == "boolean" and (pair := boolean_pair(known)) is not None:
            known = [cell.casefold() for cell in known]
            categories: tuple[str, ...] = pair
        else:
            categories = tuple(in_order(set(known))) or ("",)  # no value at all: the indicator shows it
        if len(categories) > MOST_CLASSES:
            raise DataError(
                f"{table.name}: column {name!r} has {len(categories):,} categories, at most {MOST_CLASSES:,} can be "
                "encoded: leave it out"
            )
        counts = Counter(known)
        frequent = max(categories, key=lambda c: counts[c])
        return cls(name, categories, frequent, len(known) < len(cells), kind)

    @property
    def outputs(self) -> list[str]:
        used = self.categories[1:] if self._is_pair else self.categories
        return [f"{self.name}={c}" for c in used] + ([f"{self.name} is missing"] if self.indicator else [])

    @property
    def _is_pair(self) -> bool:
        return self.kind == "boolean" and len(self.categories) == 2

    def encode(self, table: Table, unseen: str) -> np.ndarray:
        rows = self.unseen_rows(table)
        if rows and unseen == "error":
            cell = table[self.name][rows[0]]
            raise DataError(
                f"{table.place(rows[0], self.name)}: {cell[:40]!r} was not among the {len(self.categories)} categories "
                f"of the training rows{did_you_mean(cell, self.categories)}: correct it, or use unseen='ignore'"
            )
        missing = np.array([is_missing(cell) for cell in table[self.name]], dtype=bool)
        numbers = np.array([self._number(cell) for cell in table[self.name]], dtype=np.int64)
        hot = (numbers[:, None] == np.arange(len(self.categories))).astype(np.float64)
        hot = hot[:, 1:] if self._is_pair else hot
        return np.concatenate([hot, missing[:, None]], axis=1) if self.indicator else hot

    def _number(self, cell: str) -> int:
        return self._numbers[self.frequent] if is_missing(cell) else find(self._numbers, cell, self.kind == "boolean")

    def unseen_rows(self, table: Table) -> list[int]:
        return [row for row, cell in enumerate(table[self.name]) if self._number(cell) < 0]

    def state(self) -> dict[str, Any]:
        names = ("name", "categories", "frequent", "indicator", "kind")
        return {**{name: getattr(self, name) for name in names}, "categories": list(self.categories)}


_PARTS = {"month": 12, "weekday": 7, "hour": 24}


@dataclass(frozen=True)
class DateColumn:
    """``(days − mean) / std``, and sine and cosine of the month, weekday and hour if they vary in the training rows.

    Missing values become the median, with an indicator column.
    """

    name: str
    format: str
    median: float
    mean: float
    std: float
    parts: tuple[str, ...]
    indicator: bool
    kind: str = "date"

    def __post_init__(self) -> None:
        if not all(math.isfinite(x) for x in (self.median, self.mean, self.std)) or self.std <= 0:
            raise ValueError(f"column {self.name!r}: median, mean and std must be finite, and std above 0")
        if self.format not in FORMATS or not set(self.parts) <= set(_PARTS):
            raise ValueError(f"column {self.name!r}: dates are not known as {self.format!r} with {self.parts!r}")

    @classmethod
    def fit(cls, table: Table, name: str, form: str) -> DateColumn:
        """Fit on all rows of ``table``, with dates in the format ``form``."""
        values = as_days(table[name], form)
        missing = np.isnan(values)
        median = 0.0 if missing.all() else float(np.median(values[~missing]))
        values[missing] = median
        std = float(values.std())
        parts = tuple(part for part in _PARTS if len(np.unique(_part(values, part))) > 1)
        return cls(name, form, median, float(values.mean()), std or 1.0, parts, bool(missing.any()))

    @property
    def outputs(self) -> list[str]:
        turns = [f"{self.name} {turn} of {part}" for part in self.parts for turn in ("sine", "cosine")]
        return [self.name, *turns, *([f"{self.name} is missing"] if self.indicator else [])]

    def encode(self, table: Table, unseen: str) -> np.ndarray:
        values = as_days(table[self.name], self.format)
        missing = np.array([is_missing(cell) for cell in table[self.name]], dtype=bool)
        if (wrong := np.flatnonzero(np.isnan(values) & ~missing)).size:
            row = int(wrong[0])
            place = table.place(row, self.name)
            raise DataError(f"{place}: {table[self.name][row][:40]!r} is no date written as {self.format}")
        values = np.where(missing, self.median, values)
        angles = [2 * np.pi * _part(values, part) / _PARTS[part] for part in self.parts]
        turns = [turn(angle) for angle in angles for turn in (np.sin, np.cos)]
        return np.stack([(values - self.mean) / self.std, *turns, *([missing] if self.indicator else [])], axis=1)

    def unseen_rows(self, table: Table) -> list[int]:
        return []

    def state(self) -> dict[str, Any]:
        return {**asdict(self), "parts": list(self.parts)}


def _part(days: np.ndarray, part: str) -> np.ndarray:
    """Month, weekday or hour of days since 1970, counted from 0."""
    if part == "hour":
        return np.floor(days * 24 + 1e-6) % 24
    whole = np.floor(days + 1e-9).astype("datetime64[D]")
    if part == "weekday":
        return (whole.astype(np.int64) + 3) % 7  # 1970 began on a Thursday
    return whole.astype("datetime64[M]").astype(np.int64) % 12


def fit_column(table: Table, name: str, kind: str, cells: Sequence[str]) -> Column:
    """Fit a column of this kind on all rows of ``table``; ``cells`` are those of the whole file."""
    if kind == "numeric":
        return NumericColumn.fit(table, name)
    if kind == "date":
        dates = guess_dates(name, [cell for cell in cells if not is_missing(cell)])
        assert dates is not None
        return DateColumn.fit(table, name, dates.name)
    return CategoryColumn.fit(table, name, kind)


def column_from_state(state: Mapping[str, Any]) -> Column:
    """Back from ``state()``."""
    if state["kind"] == "numeric":
        return NumericColumn(**state)
    if state["kind"] == "date":
        return DateColumn(**{**state, "parts": tuple(state["parts"])})
    return CategoryColumn(**{**state, "categories": tuple(state["categories"])})


# -- categories ------------------------------------------------------------------------------------------------------


def in_order(categories: set[str]) -> list[str]:
    """Categories sorted: numbers by value, texts alphabetically."""
    if all(map(is_number, categories)):
        return sorted(categories, key=lambda c: (float(c), c))
    return sorted(categories)


def numbering(categories: Sequence[str]) -> dict[str, int]:
    """The number of each category, also under the plain form of a number: "1" for "1.0"."""
    plain = {_plain(category): i for i, category in reversed(list(enumerate(categories)))}
    return plain | {category: i for i, category in enumerate(categories)}


def find(numbers: Mapping[str, int], cell: str, fold: bool = False) -> int:
    """The number of a cell's category, or −1."""
    cell = cell.casefold() if fold else cell
    return numbers.get(cell, numbers.get(_plain(cell), -1))


def _plain(cell: str) -> str:
    value = float(cell) if is_number(cell) else math.nan
    return str(int(value)) if math.isfinite(value) and value == int(value) else cell


def class_order(classes: Sequence[str]) -> list[str]:
    """Classes sorted: numbers by value, texts alphabetically; in a pair such as yes and no the second is "yes"."""
    if is_pair(classes) and not all(map(is_number, classes)):
        second = {pair[1] for pair in BOOLEANS}
        return sorted(classes, key=lambda c: c.casefold() in second)
    return in_order(set(classes))


class Labels:
    """The number of each class, also for other spellings: "1" for "1.0", "YES" for "yes"."""

    def __init__(self, classes: Sequence[str]) -> None:
        self._fold = is_pair(classes)
        self._numbers = numbering([c.casefold() for c in classes] if self._fold else classes)

    def number(self, cell: str) -> int:
        """The class number of a cell, or −1."""
        return find(self._numbers, cell, self._fold)
