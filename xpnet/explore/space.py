"""What a search may choose from: one dimension for each setting.

A dimension turns a number u, uniform in [0, 1), into a value.  Everything random about a search is in its u.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np


class Dimension(Protocol):
    """A setting that can be searched."""

    @property
    def scale(self) -> Literal["linear", "log", "choice"]:
        """How its values are best spread out on paper."""

    def at(self, u: float) -> Any:
        """The value at ``u`` in [0, 1)."""


@dataclass(frozen=True, init=False)
class Choice:
    """One of several options, each as likely.

    Options may be anything; a search with a file takes plain values only: None, truth values, numbers, text, NumPy's
    numbers, and tuples, lists and dicts of these.

    >>> Choice("sgd", "adam").at(0.7)
    'adam'
    """

    options: tuple[Any, ...]

    def __init__(self, *options: Any) -> None:
        if len(options) < 2 or _alike(options):
            raise ValueError(f"Choice needs at least two options, no two alike, got {options}")
        object.__setattr__(self, "options", options)

    @property
    def scale(self) -> Literal["choice"]:
        return "choice"

    def at(self, u: float) -> Any:
        """The setting at ``u`` of the way, 0 <= u < 1."""
        return self.options[int(u * len(self.options))]


def _alike(options: tuple[Any, ...]) -> bool:
    """Whether two options are equal."""
    try:
        return len(set(options)) < len(options)
    except TypeError:  # lists have no hash
        return len(set(map(repr, options))) < len(options)


@dataclass(frozen=True)
class Uniform:
    """Any number between ``low`` and ``high``."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check(self)

    @property
    def scale(self) -> Literal["linear"]:
        return "linear"

    def at(self, u: float) -> float:
        """The setting at ``u`` of the way, 0 <= u < 1."""
        return float(self.low + u * (self.high - self.low))


@dataclass(frozen=True)
class LogUniform:
    """Any number between ``low`` and ``high``; 0.001 to 0.01 is as likely as 0.01 to 0.1.  For rates and penalties.

    >>> round(LogUniform(0.001, 0.1).at(0.5), 12)
    0.01
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check(self, log=True)

    @property
    def scale(self) -> Literal["log"]:
        return "log"

    def at(self, u: float) -> float:
        """The setting at ``u`` of the way, 0 <= u < 1."""
        return float(self.low * (self.high / self.low) ** u)


@dataclass(frozen=True)
class Integers:
    """A whole number from ``low`` to ``high``, both included; with ``log`` the small ones more often.

    >>> Integers(1, 3).at(0.99)
    3
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            if isinstance(number := getattr(self, name), np.integer):
                object.__setattr__(self, name, int(number))
        if not (isinstance(self.low, int) and isinstance(self.high, int)):
            raise ValueError(f"{self!r}: low and high must be whole numbers")
        _check(self, log=self.log)

    @property
    def scale(self) -> Literal["linear", "log"]:
        return "log" if self.log else "linear"

    def at(self, u: float) -> int:
        """The setting at ``u`` of the way, 0 <= u < 1."""
        if not self.log:
            return self.low + int(u * (self.high - self.low + 1))
        low, high = self.low - 0.5, self.high + 0.5  # each number has the half around it
        return int(min(max(round(low * (high / low) ** u), self.low), self.high))


def _check(dimension: Uniform | LogUniform | Integers, log: bool = False) -> None:
    low, high = dimension.low, dimension.high
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{dimension!r}: needs low < high, both finite")
    if log and low <= 0:
        raise ValueError(f"{dimension!r}: a logarithmic scale needs low > 0")
