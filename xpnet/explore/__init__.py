"""Looking inside: why a network does what it does."""

from . import doctor, landscape
from .activations import activations
from .doctor import Finding, Report, examine
from .gradcam import gradcam
from .pages import page, simulator_page
from .profiling import Cost, Profile, profile
from .signals import variance_by_depth
from .simulate import Edit, finite_differences, flow, narrate
from .snapshots import Snapshot, Snapshots
from .space import Choice, Integers, LogUniform, Uniform
from .style import RandomEye, RandomFeatures, SqueezeNetEye, SqueezeNetFeatures, VGGEye, VGGFeatures
from .trace import Step, Trace, TracedOp, TracedValue, Value, trace
from .tune import Results, Trial, halving_cost, random_search, successive_halving

__all__ = [
    "Choice", "Cost", "Edit", "Finding", "Integers", "LogUniform", "Profile", "RandomEye", "RandomFeatures", "Report",
    "Results", "Snapshot", "Snapshots", "SqueezeNetEye", "SqueezeNetFeatures", "Step", "Trace", "TracedOp",
    "TracedValue", "Trial", "Uniform", "VGGEye", "VGGFeatures", "Value", "activations", "doctor", "examine",
    "finite_differences", "flow", "gradcam", "halving_cost", "landscape", "narrate", "page", "profile",
    "random_search", "simulator_page", "successive_halving", "trace", "variance_by_depth",
]  # fmt: skip
