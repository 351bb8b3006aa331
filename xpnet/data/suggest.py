"""Suggestions for misspelled names in error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """``"; did you mean 'Survived'?"`` if a known name is similar, else "".

    >>> did_you_mean("survivd", ["Age", "Survived"])
    "; did you mean 'Survived'?"
    """
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(wrong.strip().casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {short(folded[near[0]])!r}?" if near else ""


def short(name: str) -> str:
    """A name shortened to a readable length."""
    return name if len(name) <= 40 else f"{name[:37]}..."


def listed(names: Iterable[str], most: int = 12) -> str:
    """Names separated by commas; only the first of many, each shortened to a readable length.

    >>> listed(["Age", "Sex", "Fare"]), listed(map(str, range(785)), most=3)
    ('Age, Sex, Fare', '0, 1, 2, and 782 more')
    """
    shown = [short(name) for name in names]
    more = len(shown) - most
    return ", ".join(shown) if more <= 0 else f"{', '.join(shown[:most])}, and {more:,} more"
