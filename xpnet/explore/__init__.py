"""Looking inside: why a network does what it does."""

from .space import Choice, Integers, LogUniform, Uniform
from .tune import Results, Trial, halving_cost, random_search, successive_halving

__all__ = [
    "Choice", "Integers", "LogUniform", "Results", "Trial", "Uniform", "halving_cost", "random_search",
    "successive_halving",
]  # fmt: skip
