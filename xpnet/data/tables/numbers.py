"""Convert formatted numbers, ``1.234,5``, ``1,234.5``, ``$1,200`` and ``12 %``, to plain ones, column by column."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

MISSING = frozenset({
    "", "?", "na", "n/a", "#n/a", "<na>", "nan", "-nan", "null", "none", "\\n", "0000-00-00", "0000-00-00 00:00:00",
})  # fmt: skip
"""Markers of missing values, in upper or lower case: those of pandas and of databases, and UCI's question mark."""

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
DECIMALS = (".", ",")
THOUSANDS = {",": ",", ".": r"\.", " ": "[ \u00a0\u202f\u2009]", "'": "['\u2019]"}
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")  # the point may separate thousands or decimals
_SIGNS = "%$€£¥₹"
_LOOSE = re.compile(
    rf"[{_SIGNS}]?\s?[+\-\u2212(]?\s?[{_SIGNS}]?\s?[\d.,' \u00a0\u202f\u2009\u2019]+(?:[eE][+-]?\d+)?"
    rf"\s?[{_SIGNS}]?[)-]?"
)


def is_missing(cell: str) -> bool:
    """Whether a cell marks a missing value."""
    return cell.casefold() in MISSING or cell == "NaT"  # pandas' date that is none; "Nat" is a name


def is_number(cell: str) -> bool:
    """Whether a cell is a number; infinities count, and ``numbers`` reports their position."""
    return bool(NUMBER.fullmatch(cell) or INFINITE.fullmatch(cell))


def looks_numeric(cell: str) -> bool:
    """Whether a cell is a number in any supported format."""
    return is_number(cell) or bool(_LOOSE.fullmatch(cell) and re.search(r"\d", cell))


@dataclass(frozen=True)
class NumberFormat:
    """The number format of a column: decimal sign "." or ",", thousands separator, and a sign in every cell.

    >>> NumberFormat(",", ".").plain("-1.234,5")
    '-1234.5'
    >>> NumberFormat(".", ",", "$").plain("$1,200"), NumberFormat(".", ",", "$").plain("($1,200)")
    ('1200', '-1200')
    >>> NumberFormat(",", ".").plain("1.2.2020") is None
    True
    """

    decimal: str = "."
    thousands: str = ""
    sign: str = ""

    def __post_init__(self) -> None:
        wrong = self.decimal not in DECIMALS or (self.thousands and self.thousands not in THOUSANDS)
        if wrong or self.thousands == self.decimal or (self.sign and self.sign not in _SIGNS):
            raise ValueError(f"no numbers are written with {self.decimal!r}, {self.thousands!r} and {self.sign!r}")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        d = re.escape(self.decimal)
        groups = rf"\d{{1,3}}(?:{THOUSANDS[self.thousands]}\d{{3}})+|" if self.thousands else ""
        number = rf"(?:(?:{groups}\d+)(?:{d}\d*)?|{d}\d+)(?:e[+-]?\d+)?"
        sign = re.escape(self.sign)
        before, after = (rf"(?:{sign}\s?)?", rf"(?:\s?{sign})?") if sign else ("", "")
        plus = r"(?P<minus>[+\-\u2212])?"
        return re.compile(
            rf"{before}{plus}{before}(?P<number>{number}){after}(?P<behind>-)?"
            rf"|{before}(?P<bracket>\(){before}(?P<inside>{number}){after}\){after}",
            re.ASCII | re.I,
        )

    def plain(self, cell: str) -> str | None:
        """The number in Python's notation; None if the cell does not match this format."""
        found = self._pattern.fullmatch(cell)
        if not found or cell.count(self.sign or "\0") != bool(self.sign):
            return None
        if found["minus"] and found["behind"]:
            return None
        digits = found["number"] or found["inside"]
        digits = re.sub(THOUSANDS[self.thousands], "", digits) if self.thousands else digits
        minus = "-" if found["minus"] in ("-", "\u2212") or found["behind"] or found["bracket"] else ""
        return minus + digits.replace(self.decimal, ".")

    def fits(self, cells: Iterable[str]) -> bool:
        """Whether all known cells are written so."""
        return all(is_missing(cell) or self.plain(cell) is not None or bool(INFINITE.fullmatch(cell)) for cell in cells)

    def words(self) -> str:
        """A description for notes."""
        parts = ["a decimal comma" if self.decimal == "," else "a decimal point"]
        parts += [f"{self.thousands!r} between thousands"] if self.thousands else []
        parts += [f"{self.sign} in every cell"] if self.sign else []
        return ", ".join(parts)


Formats = dict[str, NumberFormat]


def find_formats(
    columns: Mapping[str, Sequence[str]],
    *,
    decimal: str | None = None,
    thousands: str | None = None,
    delimiter: str = ",",
    only: Collection[str] | None = None,
) -> Formats:
    """The formats of columns whose known cells are all numbers, but not plain ones.

    A comma or point before three digits is ambiguous.  It is resolved by other cells of the column, else by the other
    columns.  Otherwise a comma is a decimal sign if the delimiter is a semicolon, and a thousands separator if not.
    """
    cells: dict[str, list[str]] = {}
    votes: dict[str, str | None] = {}
    for name, column in columns.items():
        known = [cell for cell in dict.fromkeys(column) if not is_missing(cell)]
        if (only is not None and name not in only) or not known:
            continue
        if all(map(is_number, known)):
            points = [cell for cell in known if "." in cell]
            if not points:
                continue
            if not all(map(_EITHER.fullmatch, points)):
                votes[name] = "."
                continue
        if all(_LOOSE.fullmatch(cell) or INFINITE.fullmatch(cell) for cell in known):
            cells[name], votes[name] = known, _vote(known)
    settled = decimal or _settle(votes.values())
    found: Formats = {}
    for name, known in cells.items():
        first = decimal or votes[name] or settled
        others = (first,) if decimal else (first, *(d for d in DECIMALS if d != first))
        if first is None:
            others = (",", ".") if delimiter == ";" and not all(map(is_number, known)) else (".", ",")
        if (made := _fitting(known, [d for d in others if d], thousands)) is not None:
            found[name] = made
    return found


def _vote(cells: Iterable[str]) -> str | None:
    """The only possible decimal sign of a column's cells; None if both are possible."""
    bare = [cell.strip(_SIGNS + "() \u00a0").removesuffix("-") for cell in cells]
    point = {d: all(_either(cell, d) for cell in bare) for d in DECIMALS}
    if point["."] == point[","]:
        return None
    return "." if point["."] else ","


def _either(cell: str, decimal: str) -> bool:
    other = "," if decimal == "." else "."
    if re.fullmatch(r"[+\-\u2212]?0\d*" + re.escape(other) + r"\d+.*", cell):
        return False  # "0,125": a group of thousands does not start with 0
    return any(NumberFormat(decimal, t).plain(cell) is not None for t in (other, " ", "'"))


def _settle(votes: Iterable[str | None]) -> str | None:
    """The decimal sign of the unambiguous columns, if they agree."""
    said = {vote for vote in votes if vote}
    return said.pop() if len(said) == 1 else None


def _fitting(cells: Sequence[str], decimals: Sequence[str], thousands: str | None) -> NumberFormat | None:
    """The first format that fits all cells; None if none does, or if they are plain numbers."""
    signs = {c for c in cells[0] if c in _SIGNS}
    sign = signs.pop() if len(signs) == 1 else ""
    for decimal in decimals:
        if decimal == "." and not sign and all(map(is_number, cells)) and thousands != ".":
            return None
        for t in ["", *(THOUSANDS if thousands is None else [thousands])]:
            if t == decimal:
                continue
            made = NumberFormat(decimal, t, sign)
            if all(made.plain(cell) is not None or (INFINITE.fullmatch(cell) and not sign) for cell in cells):
                plain = not sign and all(made.plain(cell) == cell for cell in cells)
                return None if plain else made
    return None


def as_plain(cells: Sequence[str], made: NumberFormat) -> list[str]:
    """A column with plain numbers; other cells are unchanged."""
    return [cell if (plain := made.plain(cell)) is None else plain for cell in cells]


def describe_formats(columns: Mapping[str, Sequence[str]], formats: Mapping[str, NumberFormat]) -> list[str]:
    """A note for each detected format, with its columns and an example."""
    said: dict[NumberFormat, list[str]] = {}
    for name, made in formats.items():
        said.setdefault(made, []).append(name)
    notes = []
    for made, names in said.items():
        changed = [cell for cell in columns[names[0]] if made.plain(cell) not in (None, cell)]
        if not changed:
            continue
        cell = max(changed, key=len)
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        notes.append(
            f"numbers with {made.words()} in {', '.join(names[:4])}{more}: {cell[:40]!r} is read as {made.plain(cell)}"
        )
    return notes


def formats_state(formats: Mapping[str, NumberFormat]) -> dict[str, list[str]]:
    """As plain values, for JSON."""
    return {name: [made.decimal, made.thousands, made.sign] for name, made in formats.items()}


def formats_from_state(state: Mapping[str, Any]) -> Formats:
    """Back from ``formats_state``."""
    return {str(name): NumberFormat(*map(str, parts)) for name, parts in state.items()}
