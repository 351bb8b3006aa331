"""What a column holds: guessed from its cells, and said in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from xpnet.data.errors import DataError
from xpnet.data.tables.reader import Table, is_missing, is_number

USED = ("numeric", "categorical", "boolean")
KINDS = (*USED, "text", "id", "constant", "empty", "ignore")
"""The first three are learned from; the others are left out."""

BOOLEANS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"), ("0", "1"))
MAX_CATEGORIES = 100  # of a column that is guessed to be categorical
MOST_CLASSES = 1000  # also where somebody insists: each becomes a column or an output
_FEW = 10  # so many different texts are categories even where no two rows agree
_ID_NAME = re.compile(r"(?:^|[\s_.-])(?:id|uuid|index|idx|row|key|nr|no|number)$|^unnamed", re.IGNORECASE)
_ID_TAIL = re.compile(r"[a-z]I[dD]$")  # PassengerId


@dataclass(frozen=True)
class Guess:
    """A kind, and why."""

    kind: str
    why: str


def guess_column(table: Table, name: str) -> Guess:
    """What a column holds.

    numeric: all cells are numbers.  boolean: two values such as yes and no, or 0 and 1.  categorical: few different
    texts.  Left out: id (numbers that only count the rows), text (nearly as many texts as rows), constant, empty.

    Raises: ``DataError`` for a column of numbers in which a few cells are none, and there are too many for categories.
    """
    cells = [cell for cell in table[name] if not is_missing(cell)]
    missing = f", {len(table) - len(cells):,} missing" if len(cells) < len(table) else ""
    different = Counter(cells)
    if not cells:
        return Guess("empty", "all cells are missing: left out")
    if len(different) == 1 and not missing:
        return Guess("constant", f"always {cells[0][:40]!r}: left out")
    if boolean_pair(cells) is not None:
        return Guess("boolean", f"{' or '.join(sorted(different)[:4])}{missing}")
    numbers = sum(is_number(cell) for cell in cells)
    if numbers == len(cells):
        if _counts_rows(name, cells):
            return Guess("id", "a different whole number in each row, an identifier by its name: left out")
        return Guess("numeric", f"{len(different):,} different numbers{missing}")
    if len(different) > max(_FEW, min(MAX_CATEGORIES, len(cells) // 2)):
        _check_nearly_numeric(table, name, numbers / len(cells))
        return Guess("text", f"{len(different):,} different texts in {len(cells):,} rows{missing}: left out")
    return Guess("categorical", f"{len(different):,} different texts{missing}")


def boolean_pair(cells: Sequence[str]) -> tuple[str, str] | None:
    """Such a pair as ("no", "yes") where the cells are its two values, in any case."""
    found = {cell.casefold() for cell in cells}
    return next((pair for pair in BOOLEANS if found == set(pair)), None)


def _counts_rows(name: str, cells: Sequence[str]) -> bool:
    named = _ID_NAME.search(name) or _ID_TAIL.search(name)
    return bool(named) and all(cell.isdigit() for cell in cells) and len(set(cells)) == len(cells)


def _check_nearly_numeric(table: Table, name: str, share: float) -> None:
    if share < 0.9:
        return
    row = next(i for i, cell in enumerate(table[name]) if not is_missing(cell) and not is_number(cell))
    raise DataError(
        f"{table.place(row, name)}: {table[name][row][:40]!r} is not a number, but {share:.0%} of the column are: "
        "correct the cell, leave it empty, or leave the column out"
    )


def check_target(table: Table, target: str, task: str) -> None:
    """Raises: ``DataError`` for a target with one value only, or for classes nearly as many as rows."""
    cells = [cell for cell in table[target] if not is_missing(cell)]
    different = len(set(cells))
    if different < 2:
        only = f"always {cells[0][:40]!r}" if cells else "missing in every row"
        raise DataError(f"{table.name}: the target {target!r} is {only}: there is nothing to learn")
    if task == "classification" and different > max(2, min(MOST_CLASSES, len(cells) // 2)):
        raise DataError(
            f"{table.name}: the target {target!r} has {different:,} different values in {len(cells):,} rows: these are "
            "no classes; choose another column, or the task regression where they are numbers"
        )


def guess_task(table: Table, target: str) -> Guess:
    """Whether a target is one of few classes ("classification") or a number on a scale ("regression")."""
    cells = [cell for cell in table[target] if not is_missing(cell)]
    different = set(cells)
    if boolean_pair(cells) is not None:
        return Guess("classification", "two values")
    if not all(map(is_number, cells)):
        return Guess("classification", f"{len(different):,} different texts")
    whole = all(cell.lstrip("+-").isdigit() for cell in different)
    if whole and len(different) <= _FEW and 3 * len(different) <= len(cells):
        return Guess("classification", f"only {len(different)} different whole numbers")
    return Guess("regression", f"{len(different):,} different numbers")
