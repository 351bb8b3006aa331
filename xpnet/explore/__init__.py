"""Looking inside: why a network does what it does."""

from . import doctor
from .doctor import Finding, Report, examine

__all__ = ["Finding", "Report", "doctor", "examine"]
