"""Looking inside: why a network does what it does."""

from . import doctor
from .doctor import Finding, Report, examine
from .pages import page, simulator_page
from .simulate import Edit, finite_differences, flow, narrate
from .snapshots import Snapshot, Snapshots
from .trace import Step, Trace, Value, trace

__all__ = [
    "Edit", "Finding", "Report", "Snapshot", "Snapshots", "Step", "Trace", "Value", "doctor", "examine",
    "finite_differences", "flow", "narrate", "page", "simulator_page", "trace",
]  # fmt: skip
