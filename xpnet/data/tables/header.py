"""Detect whether the first row is a header, and make column names unique."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from xpnet.data.tables.dates import FORMATS, days
from xpnet.data.tables.numbers import is_missing, looks_numeric

_YEARS = (1800, 2200)
_SEEN = 1000  # rows used for guesses


def is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is a header, by comparing it with the rows below.

    It is a header if it has no numbers, missing cells or repeated names; if it has a text above a column of numbers; or
    if its numbers count columns or years, as in pandas' ``,0,1,2`` and ``country,2015,2016``.  A date above dates is
    data.
    """
    first, below = rows[0], rows[1 : 1 + _SEEN]
    if not below:
        return not any(is_missing(cell) or looks_numeric(cell) for cell in first)
    columns = [[row[i] for row in below if not is_missing(row[i])] for i in range(len(first))]
    numeric = [bool(cells) and (all(map(looks_numeric, cells)) or all(map(_is_date, cells))) for cells in columns]
    dated = any(_is_date(cell) and columns[i] and all(map(_is_date, columns[i])) for i, cell in enumerate(first))
    numbers = [i for i, cell in enumerate(first) if looks_numeric(cell) and (first[i].isdigit() or not _is_date(cell))]
    texts = [i for i, cell in enumerate(first) if not is_missing(cell) and i not in numbers]
    if dated:
        return False
    over_numbers = sum(numeric[i] for i in texts)
    index = not first[0] and _is_index(columns[0], below)
    if numbers:
        return _numbers_are_names(first, columns, numbers, index, over_numbers)
    if index or over_numbers:
        return True
    if len(texts) < len(first) or len(set(first)) < len(first):
        return False
    return 2 * sum(first[i] in columns[i] for i in texts) < len(first)  # names do not occur again below


def _is_date(cell: str) -> bool:
    return any(days(cell, form) is not None for form in FORMATS if form != "yearmonthday")


def _is_index(cells: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    return len(cells) == len(below) and (len(set(cells)) == len(cells) or all(cell.isdigit() for cell in cells))


def _numbers_are_names(
    first: Sequence[str], columns: Sequence[Sequence[str]], numbers: list[int], index: bool, over_numbers: int
) -> bool:
    """Whether the numbers in the first row are years in order, or count the columns."""
    if not all(first[i].isdigit() for i in numbers):
        return False
    values = [int(first[i]) for i in numbers]
    if any(is_missing(cell) for cell in first[1:]) or (not first[0] and not index):
        return False
    steps = [b - a for a, b in pairwise(values)]
    one_by_one = all(step == 1 for step in steps)
    if all(_YEARS[0] <= v <= _YEARS[1] for v in values):
        if one_by_one and steps:
            return not _run_below(columns, numbers, _YEARS)
        texts = [i for i in range(len(first)) if i not in numbers]
        again = any(_holds_years(columns[i]) for i in numbers) or any(first[i] in columns[i] for i in texts)
        return not again and (all(step > 0 for step in steps) or all(step < 0 for step in steps))
    if not one_by_one:
        return False
    if index or over_numbers:
        return values[0] in (0, 1)
    all_counted = values[0] == 0 and len(values) == len(first) >= 3 and min(map(len, columns)) > 1
    return all_counted and not _run_below(columns, numbers, (0, math.inf))


def _holds_years(cells: Sequence[str]) -> bool:
    return any(re.fullmatch(r"\d{4}", cell) and _YEARS[0] <= int(cell) <= _YEARS[1] for cell in cells)


def _run_below(columns: Sequence[Sequence[str]], numbers: list[int], within: tuple[float, float]) -> bool:
    """Whether a row below counts too, within a range; then the first row is data."""
    for row in zip(*(columns[i] for i in numbers), strict=False):
        starts = {int(cell) - k if cell.isdigit() else None for k, cell in enumerate(row)}
        if len(starts) == 1 and None not in starts and within[0] <= int(row[0]) <= within[1]:
            return True
    return False


def distinct_names(name: str, row: Sequence[str], line: int, notes: list[str]) -> list[str]:
    """Unique names from a header: as in pandas, the second ``a`` becomes ``a.1``, and an empty name "unnamed"."""
    taken = {cell for cell in row if cell}
    names: list[str] = []
    seen: Counter[str] = Counter()
    for i, cell in enumerate(row, start=1):
        chosen = cell
        if not cell:
            chosen = _free(f"unnamed{i}", taken, "_")
            notes.append(f"column {i} has no name: it is called {chosen}")
        elif seen[cell]:
            chosen = _free(f"{cell}.{seen[cell]}", taken, ".")
            notes.append(f"line {line} of {name} names the column {cell!r} again: column {i} is called {chosen!r}")
        seen[cell] += 1
        taken.add(chosen)
        names.append(chosen)
    return names


def _free(wanted: str, taken: set[str], joint: str) -> str:
    chosen, k = wanted, 1
    while chosen in taken:
        chosen, k = f"{wanted}{joint}{k}", k + 1
    return chosen
