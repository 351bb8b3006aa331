"""Run one batch through model and loss before training, to reject unsuitable data immediately."""

from __future__ import annotations

from typing import Any

from xpnet import nn
from xpnet.data.loading.collate import brought
from xpnet.nn.functional.checks import out_of_range
from xpnet.nn.utils import keep_modes
from xpnet.tensor import no_grad, observe
from xpnet.train.counting import OF_CLASSES, check_loss
from xpnet.train.intake import describe
from xpnet.train.step import Step, unwarned
from xpnet_backends import BackendError, random
from xpnet_backends.random import fork_rng


class _Classes:
    """An observer that records the number of classes of a loss of class numbers, and the ignored label."""

    def __init__(self, targets: Any) -> None:
        self._targets = targets
        self.found: tuple[int, int] | None = None

    def __call__(self, op: Any, args: tuple[Any, ...], options: dict[str, Any], result: Any) -> None:
        if op.__name__ in OF_CLASSES and self._are_targets(args[1].data):
            self.found = args[0].shape[min(args[0].ndim - 1, 1)], options["ignore_index"]

    def _are_targets(self, labels: Any) -> bool:
        """Whether they are the data's own, perhaps in another shape, and not made of them by the loss."""
        return _owner(labels) is _owner(self._targets) and labels.size == self._targets.size


def _owner(array: Any) -> Any:
    return array if array.base is None else array.base


def rehearse(step: Step, loader: Any, what: str) -> None:
    """Run model and loss on the first samples in evaluation mode, and check all labels.

    This is done for loaders made from arrays only, because iterating over a user's own loader may have side effects.

    Raises: the error of the model or the loss, with the shapes of the data and a fix; ``ValueError`` for a label out of
    range.
    """
    dataset = loader.dataset
    inputs, targets = dataset[: min(len(dataset), loader.batch_size)]
    inputs, targets = (brought(array, loader.backend) for array in (inputs, targets))
    classes = _Classes(targets)
    try:
        with keep_modes(step.model), no_grad(), unwarned(), fork_rng(random.state.seed, random.state.step):
            step.model.eval()
            output = step.model(inputs)
            with observe(classes):
                check_loss(step.loss(output, targets))
    except (ValueError, TypeError, BackendError) as error:
        if len(error.args) == 1:
            where = f"the {what} (inputs {describe(dataset.inputs)}, targets {describe(dataset.targets)}) do not fit"
            error.args = (f"{where}: {error.args[0]}{_hint(step, dataset, str(error.args[0]))}",)
        raise
    if classes.found is not None and dataset.targets.dtype.kind in "iu":
        _check_labels(dataset.targets, *classes.found, what)


def _hint(step: Step, dataset: Any, said: str) -> str:
    """A fix for the usual mistakes."""
    inputs, targets = dataset.inputs, dataset.targets
    kind = next((p.dtype for p in step.model.parameters()), None)
    for name, array in (("inputs", inputs), ("targets", targets)):
        if array.dtype.kind == "f" and kind is not None and array.dtype != kind:
            return f". The {name} are {array.dtype}, the model is {kind}: use {name}.astype('{kind}')"
    if inputs.ndim == 3 and any(isinstance(module, nn.Conv2d) for module in step.model.modules()):
        return ". For images of one channel add its axis: inputs[:, None]"
    if "labels of shape" in said and targets.ndim == 2 and targets.shape[1] == 1:
        return ". The targets have a second axis of length 1: use targets.reshape(-1)"
    return ""


def _check_labels(labels: Any, classes: int, ignored: int, what: str) -> None:
    wrong = out_of_range(labels, classes, ignored)
    count = int(wrong.sum())
    if count:
        first = int(wrong.reshape(-1).argmax())
        value = int(labels.reshape(-1)[first])
        raise ValueError(
            f"the {what} have labels out of range for the {classes} outputs of the model (0..{classes - 1}): the first "
            f"is {value} at {first}, {count} of {labels.size} are; number the classes from 0, or add outputs"
        )
