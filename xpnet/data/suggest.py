"""What somebody may have meant who named something that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """``"; did you mean 'Survived'?"`` where a known name is near, else nothing.

    >>> did_you_mean("survivd", ["Age", "Survived"])
    "; did you mean 'Survived'?"
    """
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(wrong.strip().casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[near[0]]!r}?" if near else ""
