"""The tape: reverse-mode differentiation over ops.

``apply`` runs an op.  If an input requires a gradient, it attaches a ``Node`` with the op's ``backward`` to the result.
``backpropagate`` visits the ops behind a result, newest first, and accumulates gradients.

Contract
--------
- The tape knows arrays, ops, and ``Recorded``, the base class of tensors.  It does not know ``Tensor``.
- The tape has a clock; ``tick()`` returns the next time.  An op is newer than the ops that made its inputs.  Comparing
  times reveals an array that was changed in place after an op saved it.
- ``walk(result)`` lists the ops behind a result.  ``run_backward`` runs one of them.  Tracing, profiling and debugging
  use the same two functions as ``backpropagate``.
- The arrays that a backward saved are freed as soon as it has run, unless ``retain_graph`` is set.
- Hooks see a gradient when it is complete, that is after all contributions of this walk have been added.
"""

from .backward import backpropagate, held, run_backward, walk
from .forward import apply
from .fusion import fusing, keep_for_hooks, no_fusion, settle
from .recorded import (
    GradientHook,
    Handle,
    Node,
    Op,
    Recorded,
    TensorLike,
    gradients_kept,
    hooks_of,
    mark_changed,
    node_of,
    results_of_apply,
    tick,
    value_of,
    wrap,
)
from .switches import is_grad_enabled, no_grad, note_plain, observe, observer_in_force

__all__ = [
    "GradientHook", "Handle", "Node", "Op", "Recorded", "TensorLike", "apply", "backpropagate", "fusing",
    "gradients_kept", "held", "hooks_of", "is_grad_enabled", "keep_for_hooks", "mark_changed", "no_fusion",
    "no_grad", "node_of", "note_plain", "observe", "observer_in_force", "results_of_apply", "run_backward",
    "settle", "tick", "value_of", "walk", "wrap",
]  # fmt: skip
