"""Looking inside: why a network does what it does."""

from .trace import Step, Trace, Value, trace

__all__ = ["Step", "Trace", "Value", "trace"]
