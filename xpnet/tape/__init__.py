"""The tape: reverse-mode differentiation over ops.

``apply`` runs an op and, where a gradient may be asked for, hangs a ``Node`` with the op's ``backward`` on the result.
``backpropagate`` walks from a result back to its origins, newest op first, and adds up gradients on the way.

Contract
--------
- The tape knows arrays and ops, and of a tensor only its base class, ``Recorded``.
- Time is the tape's clock: ``tick()`` gives the next moment.  An op is newer than the ops that made its inputs, and an
  array that was changed in place after an op saved it is found by comparing moments.
- ``walk(result)`` lists the ops behind a result.  ``run_backward`` runs one of them.  Tracing, profiling and debugging
  use the same two functions as ``backpropagate``.
- What a backward saved is freed as soon as it ran, unless ``retain_graph`` is asked for.
- Hooks see a gradient when it is complete: all contributions of this walk have been added.
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
from .switches import is_grad_enabled, no_grad, note_plain, observe

__all__ = [
    "GradientHook", "Handle", "Node", "Op", "Recorded", "TensorLike", "apply", "backpropagate", "fusing",
    "gradients_kept", "held", "hooks_of", "is_grad_enabled", "keep_for_hooks", "mark_changed", "no_fusion", "no_grad",
    "node_of", "note_plain", "observe", "results_of_apply", "run_backward", "settle", "tick", "value_of", "walk",
    "wrap",
]  # fmt: skip
