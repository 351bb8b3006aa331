"""The search space: one dimension for each setting.

A dimension maps a number u, uniform in [0, 1), to a value.  The only random part of a search is u.
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
        """The scale of an axis that shows its values."""

    def at(self, u: float) -> Any:
        """The value at ``u`` in [0, 1)."""


@dataclass(frozen=True, init=False)
class Choice:
    """One of several options with equal probability.

    Options may be any objects.  A search with a file accepts plain values only: None, booleans, numbers, text, NumPy
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
    """A number uniformly distributed between ``low`` and ``high``."""

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
    """A number from ``low`` to ``high`` with a uniform logarithm: 0.001 to 0.01 is as likely as 0.01 to 0.1.

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
    """An integer from ``low`` to ``high``, both included; with ``log`` small numbers are more likely.

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
        low, high = self.low - 0.5, self.high + 0.5  # each integer has an interval of length 1
        return int(min(max(round(low * (high / low) ** u), self.low), self.high))


def _check(dimension: Uniform | LogUniform | Integers, log: bool = False) -> None:
    low, high = dimension.low, dimension.high
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"{dimension!r}: needs low < high, both finite")
    if log and low <= 0:
        raise ValueError(f"{dimension!r}: a logarithmic scale needs low > 0")
