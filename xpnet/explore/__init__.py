"""Looking inside: why a network does what it does."""

from . import doctor, landscape
from .activations import activations
from .doctor import Finding, Report, examine
from .gradcam import gradcam
from .pages import page, simulator_page
from .simulate import Edit, finite_differences, flow, narrate
from .snapshots import Snapshot, Snapshots
from .trace import Step, Trace, Value, trace

__all__ = [
    "Edit", "Finding", "Report", "Snapshot", "Snapshots", "Step", "Trace", "Value", "activations", "doctor",
    "examine", "finite_differences", "flow", "gradcam", "landscape", "narrate", "page", "simulator_page",
    "trace",
]  # fmt: skip
