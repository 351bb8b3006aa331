"""Detect the kind of a column from its cells, with a description."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from xpnet.data.errors import DataError
from xpnet.data.tables.dates import guess_dates
from xpnet.data.tables.reader import MISSING, Table, is_missing, is_number

USED = ("numeric", "categorical", "boolean")
"""The kinds that a user can choose for an input column."""
LEARNED = (*USED, "date")
KINDS = (*LEARNED, "text", "id", "constant", "empty", "ignore")
"""All kinds; columns of kinds that are not in ``LEARNED`` are left out."""

BOOLEANS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"), ("0", "1"))
MAX_CATEGORIES = 100  # largest number for a column detected as categorical
MOST_CLASSES = 1000  # upper limit even if chosen by the user, because each becomes a column or an output
_FEW = 10  # up to this number, different texts are categories even if no two rows agree
_ID_NAME = re.compile(
    r"(?:^|[\s_.-])(?:id|uuid|index|idx|row|rows|rownum|rownames?|obs|key|nr|no|number)$|^unnamed", re.IGNORECASE
)
_UNNAMED = re.compile(r"^unnamed", re.IGNORECASE)
_UNIT = re.compile(r"[+-]?[\d.,]+\s*[a-zA-Z\u00b0\u00b5\u03bc/]{1,6}\d?\.?")
_ID_TAIL = re.compile(r"[a-z]I[dD]$")  # PassengerId


@dataclass(frozen=True)
class Guess:
    """A kind, and the reason."""

    kind: str
    why: str


def guess_column(table: Table, name: str) -> Guess:
    """The kind of a column.

    numeric: all cells are numbers.  boolean: two values such as yes and no, or 0 and 1.  categorical: few different
    texts.  date: all cells are dates in one format.  Left out are: id (numbers that count the rows, and the unnamed
    index that pandas writes), text (nearly as many texts as rows), constant, empty.

    Raises: ``DataError`` for a column of numbers with a few cells that are not numbers, and too many values for
    categories.
    """
    cells = [cell for cell in table[name] if not is_missing(cell)]
    missing = f", {len(table) - len(cells):,} missing" if len(cells) < len(table) else ""
    different = Counter(cells)
    if not cells:
        return Guess("empty", "all cells are missing: left out")
    if len(different) == 1 and not missing:
        return Guess("constant", f"always {cells[0][:40]!r}: left out")
    if _UNNAMED.search(name) and name == table.names[0] and _is_index(cells):
        return Guess("id", "a first column without a name, as pandas writes a table's index: left out")
    if boolean_pair(cells) is not None:
        return Guess("boolean", f"{' or '.join(sorted(different)[:4])}{missing}")
    if (dates := guess_dates(name, cells)) is not None:
        other = "" if dates.sure else ", though days and months may be the other way round"
        return Guess("date", f"dates such as {cells[0][:30]!r}, {dates.name}{other}{missing}")
    numbers = sum(is_number(cell) for cell in cells)
    if numbers == len(cells):
        if _identifies(name, cells):
            return Guess("id", "a different whole number in each row, an identifier by its name: left out")
        return Guess("numeric", f"{len(different):,} different numbers{missing}")
    if _identifies(name, cells):
        return Guess("id", "a different text in each row, an identifier by its name: left out")
    if len(different) > max(_FEW, min(MAX_CATEGORIES, len(cells) // 2)):
        _check_nearly_numeric(table, name, numbers / len(cells))
        unit = f" (numbers with a unit, such as {cells[0][:20]!r}: as plain numbers they would be used)"
        units = unit if all(map(_UNIT.fullmatch, different)) else ""
        return Guess("text", f"{len(different):,} different texts in {len(cells):,} rows{missing}: left out{units}")
    return Guess("categorical", f"{len(different):,} different texts{missing}")


def boolean_pair(cells: Sequence[str]) -> tuple[str, str] | None:
    """The pair, such as ("no", "yes"), if the cells are its two values, in upper or lower case."""
    found = {cell.casefold() for cell in cells}
    return next((pair for pair in BOOLEANS if found == set(pair)), None)


def _identifies(name: str, cells: Sequence[str]) -> bool:
    """Whether a column is an identifier, by its name and by different integers or texts in each row."""
    named = _ID_NAME.search(name) or _ID_TAIL.search(name)
    unlike_numbers = all(cell.isdigit() for cell in cells) or not any(map(is_number, cells))
    return bool(named) and unlike_numbers and len(set(cells)) == len(cells)


def _is_index(cells: Sequence[str]) -> bool:
    """Whether cells are an index: integers, which repeat if tables were joined, or texts that all differ."""
    return all(cell.isdigit() for cell in cells) or (len(set(cells)) == len(cells) and not any(map(is_number, cells)))


def _check_nearly_numeric(table: Table, name: str, share: float) -> None:
    if share < 0.9:
        return
    row = next(i for i, cell in enumerate(table[name]) if not is_missing(cell) and not is_number(cell))
    raise DataError(
        f"{table.place(row, name)}: {table[name][row][:40]!r} is not a number, but {share:.0%} of the column are: "
        "correct the cell, leave it empty, or leave the column out"
    )


# -- the target ------------------------------------------------------------------------------------------------------

_NO_WORD = frozenset({"", "?", "nan", "-nan", "<na>", "#n/a", "\\n", "0000-00-00", "0000-00-00 00:00:00"})


def target_is_missing(cells: Sequence[str], task: str = "") -> frozenset[str]:
    """The lower-case texts that mark a missing target.

    For numbers they are the same as in any column.  For texts "None", "NA", "N/A" and "null" are classes, because they
    may be answers; markers of missing numbers and empty cells are missing.
    """
    known = [cell for cell in cells if not is_missing(cell)]
    numeric = bool(known) and all(map(is_number, set(known)))
    return MISSING if numeric or task == "regression" else _NO_WORD


def known_targets(table: Table, target: str, task: str = "") -> list[int]:
    """The rows whose target is known."""
    missing = target_is_missing(table[target], task)
    return [row for row, cell in enumerate(table[target]) if cell.casefold() not in missing]


def fold_classes(cells: Sequence[str]) -> list[str]:
    """The classes of a target, each with one spelling.

    "1" and "1.0" are one class; so are "YES" and "yes" if the cells are a pair such as yes and no.  The name of a class
    is its most frequent spelling.
    """
    counts = Counter(cells)
    fold = is_pair(list(counts))
    spellings: dict[object, list[str]] = {}
    for cell in counts:
        key: object = float(cell) if is_number(cell) else cell.casefold() if fold else cell
        spellings.setdefault(key, []).append(cell)
    return [max(sorted(same), key=lambda cell: counts[cell]) for same in spellings.values()]


def is_pair(cells: Sequence[str]) -> bool:
    """Whether cells are a pair of values such as yes and no, in upper or lower case, or 0.0 and 1.0."""
    plain = [str(int(float(cell))) if is_number(cell) and float(cell) in (0.0, 1.0) else cell for cell in cells]
    return boolean_pair(plain) is not None


def check_target(table: Table, target: str, task: str) -> None:
    """Raises: ``DataError`` for a target with one value only, or for classes nearly as many as rows."""
    cells = [table[target][row] for row in known_targets(table, target, task)]
    different = len(fold_classes(cells) if task == "classification" else set(cells))
    if different < 2:
        only = f"always {cells[0][:40]!r}" if cells else "missing in every row"
        raise DataError(f"{table.name}: the target {target!r} is {only}: there is nothing to learn")
    if task == "classification" and different > max(2, min(MOST_CLASSES, len(cells) // 2)):
        raise DataError(
            f"{table.name}: the target {target!r} has {different:,} different values in {len(cells):,} rows: these are "
            "not classes; choose another column, or the task regression if they are numbers"
        )


def guess_task(table: Table, target: str) -> Guess:
    """Whether a target is one of few classes ("classification") or a number on a scale ("regression")."""
    cells = [table[target][row] for row in known_targets(table, target)]
    different = fold_classes(cells)
    if is_pair(cells):
        return Guess("classification", "two values")
    if not all(map(is_number, different)):
        return Guess("classification", f"{len(different):,} different texts")
    whole = all(float(cell).is_integer() for cell in different)
    if whole and len(different) <= _FEW and 3 * len(different) <= len(cells):
        return Guess("classification", f"only {len(different)} different whole numbers")
    return Guess("regression", f"{len(different):,} different numbers")
