"""Looking inside: why a network does what it does."""

from .profiling import Cost, Profile, profile
from .space import Choice, Integers, LogUniform, Uniform
from .tune import Results, Trial, halving_cost, random_search, successive_halving

__all__ = [
    "Choice", "Cost", "Integers", "LogUniform", "Profile", "Results", "Trial", "Uniform", "halving_cost", "profile",
    "random_search", "successive_halving",
]  # fmt: skip
