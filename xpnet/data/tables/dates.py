"""Dates in a table: detect their format, and convert them to days since 1970."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_ZONES = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}  # RFC 2822's
_ZONE = rf"(?P<zone>Z|(?:UTC|GMT)?[+-]\d{{2}}(?::?\d{{2}})?|UTC|GMT|{'|'.join(_ZONES)})"
_CLOCK = r"(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2}(?:[.,]\d+)?))?"
_TIME = rf"(?:[T ,:]\s*{_CLOCK}\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*{_ZONE}?(?:\s*\([^()]*\))?)?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WORD = (
    r"(?P<word>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,?\s+)?"
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?"
_FORMATS = {
    "year-month-day": rf"(?P<y>\d{{4}})(?P<sep>[-/.])(?P<m>\d{{1,2}})(?P=sep)(?P<d>\d{{1,2}}){_TIME}",
    "day-month-year": rf"(?P<d>\d{{1,2}})(?P<sep>[-/.])(?P<m>\d{{1,2}})(?P=sep)(?P<y>\d{{4}}|\d{{2}}){_TIME}",
    "month-day-year": rf"(?P<m>\d{{1,2}})(?P<sep>[-/.])(?P<d>\d{{1,2}})(?P=sep)(?P<y>\d{{4}}|\d{{2}}){_TIME}",
    "year-month": r"(?P<y>\d{4})[-/](?P<m>\d{1,2})",
    "day month year": rf"{_WEEKDAY}{_DAY}[-\s/]{_WORD},?[-\s/](?P<y>\d{{4}}|\d{{2}}){_TIME}",
    "month day year": rf"{_WEEKDAY}{_WORD}[-\s]{_DAY},?[-\s](?P<y>\d{{4}}){_TIME}",
    "month day time year": rf"{_WEEKDAY}{_WORD}\s+{_DAY}\s+{_CLOCK}\s*{_ZONE}?\s+(?P<y>\d{{4}})",
    "month year": rf"{_WORD}(?:\s|-|\s?')(?P<y>\d{{4}}|(?<=[-'])\d{{2}})",
    "month-year": r"(?P<m>\d{1,2})[-/](?P<y>(?:1[89]|20)\d{2})",
    "year quarter": r"(?P<y>\d{4})[-\s/]?Q(?P<q>[1-4])",
    "quarter year": r"Q(?P<q>[1-4])[-\s/]?(?P<y>\d{4})",
    "year-week": r"(?P<y>\d{4})-?W(?P<w>\d{2})(?:-?(?P<wd>[1-7]))?",
    "year\u5e74month\u6708day\u65e5": (
        r"(?P<y>\d{4})\s?[\u5e74\ub144]\s?(?P<m>\d{1,2})\s?[\u6708\uc6d4]\s?(?P<d>\d{1,2})\s?[\u65e5\uc77c]"
    ),
    "yearmonthdayThour": (
        r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})T"
        rf"(?P<H>\d{{2}}):?(?P<M>\d{{2}})(?::?(?P<S>\d{{2}}))?{_ZONE}?"
    ),
    "yearmonthday": r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?:(?P<H>\d{2})(?P<M>\d{2})(?P<S>\d{2}))?",
}
FORMATS = tuple(_FORMATS)
_PATTERNS = {name: re.compile(text, re.ASCII | re.IGNORECASE) for name, text in _FORMATS.items()}
_EPOCH = datetime.datetime(1970, 1, 1)
_DATED = re.compile(r"date|day|time|when|datum|fecha", re.IGNORECASE)


@dataclass(frozen=True)
class DateFormat:
    """The date format of a column; ``sure`` is false if day and month could be swapped."""

    name: str
    sure: bool = True


def days(cell: str, form: str) -> float | None:
    """Days since 1970, with the time of the day as a fraction; None if the cell is not a date in this format.

    >>> days("1970-01-02 12:00", "year-month-day"), days("31.12.1969", "day-month-year")
    (1.5, -1.0)
    """
    found = _PATTERNS[form].fullmatch(cell)
    if found is None:
        return None
    part = found.groupdict()
    year, month = int(part["y"]), _month(part)
    if len(part["y"]) == 2:
        year += 1900 if year >= 69 else 2000  # POSIX's rule
    hour, minute, second = int(part.get("H") or 0), int(part.get("M") or 0), part.get("S") or "0"
    if half := part.get("half"):
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    try:
        moment = datetime.datetime(year, month, int(part.get("d") or 1), hour, minute)
        if week := part.get("w"):
            moment = datetime.datetime.fromisocalendar(year, int(week), int(part["wd"] or 1))
    except ValueError:
        return None
    seconds = float(second.replace(",", ".")) - _offset(part.get("zone") or "")
    return (moment - _EPOCH).total_seconds() / 86400 + seconds / 86400


def _month(part: dict[str, str | None]) -> int:
    """A month by name, number or quarter; the first where there is none."""
    if word := part.get("word"):
        return _MONTHS.index(word[:3].lower()) + 1
    if quarter := part.get("q"):
        return 3 * int(quarter) - 2
    return int(part.get("m") or 1)


def _offset(zone: str) -> float:
    """The offset of a time zone in seconds."""
    zone = zone.upper().removeprefix("UTC").removeprefix("GMT")
    if zone in ("", "Z"):
        return 0.0
    if zone in _ZONES:
        return _ZONES[zone] * 3600.0
    digits = zone[1:].replace(":", "")
    return (-1 if zone[0] == "-" else 1) * (int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60)


def guess_dates(name: str, cells: Sequence[str]) -> DateFormat | None:
    """The date format of a column, if all known cells are dates and they differ.

    If both day and month could be first, the day is first in dates with points; otherwise the order that sorts the rows
    is used; otherwise the month is first, with ``sure`` false.
    """
    different = list(dict.fromkeys(cells))
    if len(different) < 2:
        return None
    fits = [form for form in FORMATS if (form != "yearmonthday" or _DATED.search(name))
            and all(days(cell, form) is not None for cell in different)]  # fmt: skip
    if not fits:
        return None
    if {"day-month-year", "month-day-year"} <= set(fits):
        return _day_or_month(cells)
    return DateFormat(fits[0])


def _day_or_month(cells: Sequence[str]) -> DateFormat:
    if "." in cells[0][:3]:
        return DateFormat("day-month-year")
    ordered = [form for form in ("month-day-year", "day-month-year") if in_order(as_days(cells, form))]
    if len(ordered) == 1:
        return DateFormat(ordered[0])
    return DateFormat("month-day-year", sure=False)


def as_days(cells: Sequence[str], form: str) -> np.ndarray:
    """A column as float64 (N,), NaN for a missing value or another format."""
    known = {cell: days(cell, form) for cell in set(cells)}
    return np.array([np.nan if (value := known[cell]) is None else value for cell in cells], dtype=np.float64)


def in_order(values: np.ndarray) -> bool:
    """Whether days are sorted in either direction, with at least three different values."""
    known = values[~np.isnan(values)]
    steps = np.diff(known)
    return len(np.unique(known)) >= 3 and (bool((steps >= 0).all()) or bool((steps <= 0).all()))
