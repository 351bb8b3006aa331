"""The count that the mean of a batch's loss is divided by, so that batches combine like one larger batch.

Usually it is the number of samples.  With ``ignore_index`` it is the number of targets that are not ignored, with class
weights the sum of the targets' weights, and for an elementwise loss the number of elements.  It is determined by
observing the op of the loss while it runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from xpnet.tape import observer_in_force
from xpnet.tensor import Tensor, observe
from xpnet.train.meter import SUMMED
from xpnet_backends import Array, backend_of, is_array

Count: TypeAlias = Any
"""A number of samples or targets, or a number on the backend; ``SUMMED`` for a loss that is a sum."""

IGNORED = -100
OF_CLASSES = {"cross_entropy", "nll_loss", "focal_loss"}
_OF_ELEMENTS = {
    "mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "binary_cross_entropy", "kl_div", "gaussian_nll_loss",
    "binary_cross_entropy_with_logits", "poisson_nll_loss", "sigmoid_focal_loss",
}  # fmt: skip


class _Reductions:
    """An observer that records the ops with a reduction."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[Any, ...], dict[str, Any], Any]] = []
        self._outer = observer_in_force()  # who observed before goes on seeing everything

    def __call__(self, op: Any, args: tuple[Any, ...], options: dict[str, Any], result: Any) -> None:
        if "reduction" in options:
            self.seen.append((op.__name__, args, options, result))
        if self._outer is not None:
            self._outer(op, args, options, result)

    def plain(self, name: str, args: tuple[Any, ...], options: dict[str, Any], result: Any) -> None:
        """Handed on; there is no reduction in it."""
        if (plain := getattr(self._outer, "plain", None)) is not None:
            plain(name, args, options, result)


def weighed(
    loss: Callable[[Any, Any], Tensor], output: Any, target: Any, count: Callable[[Any, Any], Any] | None = None
) -> tuple[Tensor, Count | None, int | None]:
    """The loss of a batch, the count that its mean is divided by, and the target that it ignores.

    The count is ``count(output, target)``, or that of the loss's op; None stands for the number of samples.  The
    ignored target is None if the loss ignores none.

    Raises: ``ValueError`` for a loss of several elements, or a count that is not a number >= 0.
    """
    if count is not None:
        return check_loss(loss(output, target)), _checked(count(output, target)), None
    reductions = _Reductions()
    with observe(reductions):
        value = check_loss(loss(output, target))
    if not _count_alike(reductions.seen):  # a custom loss, or one with several terms
        return value, None, None
    name, args, options, result = reductions.seen[0]
    if options["reduction"] == "sum":
        return value, SUMMED if result is value else None, None  # later operations on the sum are unknown
    if options["reduction"] != "mean":
        return value, None, None
    if name in OF_CLASSES:
        logits, labels, weight = args
        weight = weight.data if isinstance(weight, Tensor) else weight
        ignored = options["ignore_index"]
        return value, _count_targets(logits.data, labels.data, weight, ignored), ignored
    return value, args[0].size if name in _OF_ELEMENTS else None, None


def counted_targets(target: Any, ignored: int | None) -> Any:
    """The targets for metrics: those that the loss ignores as −100, which metrics leave out."""
    if ignored in (None, IGNORED) or not is_array(target) or target.dtype.kind != "i":
        return target
    return backend_of(target).xp.where(target == ignored, IGNORED, target)


def _count_alike(parts: list[Any]) -> bool:
    """Whether a loss has one part, or several that are means over the same targets, as those of two heads are."""
    if len(parts) < 2:
        return len(parts) == 1
    if not all(name in OF_CLASSES and options["reduction"] == "mean" for name, _, options, _ in parts):
        return False
    arrays = [[x.data if isinstance(x, Tensor) else x for x in args] for _, args, _, _ in parts]
    means = {(id(a[1]), id(a[2]), a[0].shape, p[2]["ignore_index"]) for a, p in zip(arrays, parts, strict=True)}
    return len(means) == 1


def check_loss(value: Tensor) -> Tensor:
    """A loss as a single number.  Raises: ``ValueError`` for one of several elements."""
    if not value.shape:
        return value
    if value.size != 1:
        raise ValueError(f"the loss must be one number, got shape {value.shape}: reduce it, e.g. reduction='mean'")
    return value.reshape(())


def _checked(count: Any) -> Count:
    count = count.data if isinstance(count, Tensor) else count
    if isinstance(count, int | float) and not 0 <= count < math.inf:
        raise ValueError(f"count(output, target) must give a number >= 0, got {count!r}")
    return count


def _count_targets(logits: Array, target: Array, weight: Array | None, ignore_index: int) -> Count:
    """``Σ w_t`` over the targets that are not ignored; for targets that are probabilities, the number of positions."""
    classes = logits.shape[min(logits.ndim - 1, 1)]
    if target.dtype.kind == "f":
        return logits.size // max(classes, 1)
    xp = backend_of(logits).xp
    counted = target != ignore_index
    if weight is None:
        return xp.count_nonzero(counted)
    weights = xp.take(weight.astype("float64"), xp.clip(target, 0, classes - 1))
    return xp.where(counted, weights, 0.0).sum()
