"""What is wrong with this training?  The checks that an experienced person makes, each with a fix."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from xpnet import optim
from xpnet.nn import Module
from xpnet.nn.recording import Recording
from xpnet.nn.utils import for_model, left_as_it_was
from xpnet.tape import Node, walk
from xpnet.tensor import Tensor, is_grad_enabled, no_grad
from xpnet.train import History
from xpnet_backends import Array, is_array, to_numpy

Loss = Callable[[Any, Any], Tensor]
Columns: TypeAlias = Mapping[str, Sequence[Any]] | Sequence[dict[str, Any]]

DEAD, SATURATED = 0.5, 0.5  # share of a layer's units from which it is a problem
FLAT = {"sigmoid": (0.02, 0.98), "tanh": (-0.98, 0.98)}  # outside, the slope is below a tenth of its largest
VANISHING = (1e-4, 1e-3)  # ratio of the first layer's gradient to the last one's, per weight: a problem, a notice
EXPLODING = (1e2, 1e3)  # the same: a notice, a problem
EXPLODED = 1e3  # ratio of a gradient to its weights
UPDATE = (1e-5, 1e-1, 1.0)  # size of a step relative to the weights: too small, a notice, a problem
GROWN = 30  # by which factor weights may grow during training
SCALES = 100  # ratio of the largest feature's deviation to the median one


@dataclass(frozen=True)
class Finding:
    """The result of one check: ``level`` is "ok", "notice" or "problem", ``what`` was found, and the ``remedy``."""

    level: str
    check: str
    what: str
    remedy: str = ""


@dataclass
class Report:
    """All findings, in the order of the checks."""

    findings: list[Finding] = field(default_factory=list)

    @property
    def problems(self) -> list[Finding]:
        """The findings of level "problem"."""
        return [f for f in self.findings if f.level == "problem"]

    def add(self, level: str, check: str, what: str, remedy: str = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(level, check, what, remedy))

    def __str__(self) -> str:
        marks = {"ok": "ok     ", "notice": "notice ", "problem": "PROBLEM"}
        lines = []
        for f in self.findings:
            lines.append(f"{marks[f.level]}  {f.check}: {f.what}")
            lines += [f"           remedy: {f.remedy}"] if f.remedy else []
        count = len(self.problems)
        return "\n".join([*lines, f"{count} problem{'s' if count != 1 else ''} found"])


def examine(
    model: Module,
    loss: Loss,
    inputs: Array,
    targets: Array,
    *,
    fresh: Callable[[], Module] | None = None,
    lr: float = 1e-3,
    history: History | Columns | None = None,
    optimizer: str = "adam",
) -> Report:
    """Check the data, the network, its gradients and the history of a training.

    The model and the random state are left unchanged.

    Parameters
    ----------
    inputs, targets : samples as the network gets them; a few hundred are enough.
    fresh : creates the same network with initial weights; four checks need it.
    lr, optimizer : those in use.  A step of "sgd" and "momentum" is proportional to the gradient, else about ``lr``.
    history : a trainer's history, its rows, or its columns by name.  Missing values are absent in rows and None in
        columns.

    Raises: ``ValueError`` for fewer than two samples, inside ``no_grad()``, or for a history that is not numeric.

    >>> from xpnet import nn
    >>> report = examine(nn.Linear(1, 2), nn.CrossEntropyLoss(), np.zeros((4, 1), "float32"), np.array([0, 1, 0, 1]))
    >>> [(f.what, f.remedy) for f in report.problems if f.check == "inputs"]
    [('all samples are equal', 'check how they are read')]
    """
    inputs, targets = (_array(x) for x in (inputs, targets))
    if len(inputs) < 2:
        raise ValueError(f"the doctor needs at least two samples, got {len(inputs)}")
    if not is_grad_enabled():
        raise ValueError("the doctor needs gradients: call examine() outside no_grad()")
    columns = None if history is None else _columns(history)
    inputs, targets = (for_model(model, part).data for part in (inputs, targets))
    report = Report()
    with np.errstate(all="ignore"), left_as_it_was(model):
        check_data(report, inputs, targets)
        first = None
        if fresh is not None:
            check_first_loss(report, fresh(), loss, inputs, targets)
            check_one_batch(report, fresh, loss, inputs, targets)
            first = _sizes(fresh(), loss, inputs, targets)
        check_output(report, model, loss, inputs, targets, trained=bool(columns))
        check_units(report, model, loss, inputs, targets)
        check_gradients(report, model, loss, inputs, targets, lr, first=first, optimizer=optimizer)
        if columns is not None:
            check_history(report, columns, chance=_chance(model, loss, inputs, targets), targets=targets)
    return report


def _array(x: Any) -> Array:
    x = x.data if isinstance(x, Tensor) else x
    return x if is_array(x) else np.asarray(x)


# -- the data --------------------------------------------------------------------------------------------------------


def check_data(report: Report, inputs: Array, targets: Array) -> None:
    """Inputs must be finite, of a reasonable scale and not constant; labels must vary, and should not be sorted."""
    x, t = to_numpy(inputs), to_numpy(targets)
    bad = int((~np.isfinite(x)).sum()) if x.dtype.kind == "f" else 0
    if bad:
        report.add("problem", "inputs", f"{bad} values are NaN or infinite", "clean the data or leave these rows out")
        return
    flat = x.reshape(len(x), -1)
    if x.dtype.kind == "f":
        mean, deviation = float(flat.mean()), float(flat.std())
        if abs(mean) > 10 * max(deviation, 1e-12) or not 0.05 < deviation < 20:
            remedy = "normalise: subtract the training mean, divide by its deviation (xpnet.data.Normalize)"
            report.add("problem", "scale of inputs", f"mean {mean:.3g}, deviation {deviation:.3g}", remedy)
        else:
            report.add("ok", "scale of inputs", f"mean {mean:.3g}, deviation {deviation:.3g}")
        if x.ndim == 2:
            _check_features(report, flat)
    if len(np.unique(flat, axis=0)) == 1:
        report.add("problem", "inputs", "all samples are equal", "check how they are read")
    if t.dtype.kind in "iu" and t.ndim == 1:
        _check_labels(report, flat, t)
    elif t.dtype.kind == "f":
        _check_values(report, t)


def _check_features(report: Report, flat: np.ndarray) -> None:
    """No column of a table should have a much larger scale than the others."""
    deviations = flat.std(axis=0, dtype=np.float64)
    varying = deviations[deviations > 0]
    if len(varying) > 1 and varying.max() > SCALES * np.median(varying):
        what = f"feature {int(deviations.argmax())} varies by {varying.max():.3g}, most by {np.median(varying):.3g}"
        report.add("problem", "scale of features", what, "normalise each feature by itself (xpnet.data.StandardScaler)")


def _check_values(report: Report, t: np.ndarray) -> None:
    """Targets of a regression must be finite, must vary, and should have a scale that a network can reach."""
    if bad := int((~np.isfinite(t)).sum()):
        report.add("problem", "targets", f"{bad} values are NaN or infinite", "leave these samples out")
        return
    mean, deviation = float(t.mean(dtype=np.float64)), float(t.std(dtype=np.float64))
    if deviation == 0:
        report.add("problem", "targets", f"all are {mean:.3g}", "check how they are read")
    elif deviation > 20 or abs(mean) > 20 * deviation:
        remedy = "standardise them for training (xpnet.data.StandardScaler), and transform predictions back"
        report.add("notice", "scale of targets", f"mean {mean:.3g}, deviation {deviation:.3g}", remedy)
    else:
        report.add("ok", "scale of targets", f"mean {mean:.3g}, deviation {deviation:.3g}")


def _check_labels(report: Report, flat: np.ndarray, labels: np.ndarray) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) == 1:
        report.add("problem", "labels", f"all are {classes[0]}", "shuffle before splitting; check how they are read")
        return
    if len(labels) > 2 * len(classes) and np.count_nonzero(np.diff(labels)) == len(classes) - 1:
        report.add("notice", "labels", "they are sorted by class", "shuffle, otherwise each batch has one class only")
    rare = counts.min() / counts.max()
    if rare < 0.1:
        what = f"the rarest class has {rare:.0%} of the samples of the most frequent"
        report.add("notice", "labels", what, "use F1 instead of accuracy; class weights")
    _, inverse = np.unique(flat, axis=0, return_inverse=True)
    counts = np.zeros((inverse.max() + 1, len(classes)), dtype=np.int64)
    np.add.at(counts, (inverse.ravel(), np.searchsorted(classes, labels)), 1)
    clashes, best = int((np.count_nonzero(counts, axis=1) > 1).sum()), counts.max(axis=1).sum() / len(labels)
    if clashes:
        what = f"{clashes} equal inputs have different labels: the best possible accuracy is {best:.0%}"
        remedy = "no network can learn both: check how labels are matched to inputs"
        report.add("problem" if best < 0.95 else "notice", "labels", what, remedy)
    elif rare >= 0.1:
        report.add("ok", "labels", f"{len(classes)} classes")
    _check_leak(report, flat, labels, len(classes))


def _check_leak(report: Report, flat: np.ndarray, labels: np.ndarray, classes: int) -> None:
    """Find a feature that encodes the label: constant within each class, and different for every class."""
    if flat.shape[1] < 2 or len(labels) < 10 * classes or flat.dtype.kind not in "fiu":
        return
    means = np.stack([flat[labels == c].mean(axis=0) for c in np.unique(labels)])  # (C, D)
    spreads = np.stack([np.ptp(flat[labels == c], axis=0) for c in np.unique(labels)]).max(axis=0)  # (D,)
    gaps = np.diff(np.sort(means, axis=0), axis=0).min(axis=0)
    leaks = np.flatnonzero((gaps > 0) & (spreads < 0.01 * gaps))
    if len(leaks):
        what = f"feature {leaks[0]} alone determines every label"
        report.add("problem", "leak", what, "leave it out if it is not known when the network is used")


# -- what guessing would give ------------------------------------------------------------------------------------------


def _chance(model: Module, loss: Loss, inputs: Array, targets: Array) -> float | None:
    """The loss of the best output that is the same for all samples; None if it cannot be determined.

    For classes the output is the logarithm of their frequencies; for values it is their mean, or the logit of the mean
    if that is better.
    """
    with no_grad():
        output = model.eval()(Tensor(inputs))
        t = to_numpy(targets)
        if not isinstance(output, Tensor) or not t.size:
            return None
        if _is_classification(output, t):
            counts = np.bincount(t, minlength=output.shape[1])[: output.shape[1]]
            constants = [np.log((counts + 1e-3) / (counts + 1e-3).sum())]
        elif t.dtype.kind == "f" and t.shape == output.shape and np.isfinite(t).all():
            mean = t.mean(axis=0, dtype=np.float64)
            constants = [mean, np.log(mean / (1.0 - mean))] if ((mean > 0) & (mean < 1)).all() else [mean]
        else:
            return None
        values = []
        for constant in constants:
            rows = np.ascontiguousarray(np.broadcast_to(constant, output.shape)).astype(str(output.dtype))
            try:
                values.append(float(loss(Tensor(output.backend.asarray(rows)), targets).numpy()))
            except (ValueError, TypeError, RuntimeError):  # the loss does not accept such outputs
                continue
    return min((v for v in values if math.isfinite(v)), default=None)


def _is_classification(output: Any, t: np.ndarray) -> bool:
    inside = t.dtype.kind in "iu" and t.ndim == 1 and output.ndim == 2 and output.shape[1] >= 2
    return bool(inside and t.size and t.min() >= 0)


# -- the network before training -------------------------------------------------------------------------------------


def check_first_loss(report: Report, model: Module, loss: Loss, inputs: Array, targets: Array) -> None:
    """The loss of a fresh network should be that of guessing: ln C for cross-entropy."""
    with no_grad():
        output = model.eval()(inputs)
        value = float(loss(output, targets).numpy())
    t = to_numpy(targets)
    if t.dtype.kind not in "iu" or output.ndim != 2 or output.shape[1] < 2:
        report.add("ok" if math.isfinite(value) else "problem", "loss at the start", f"{value:.3g}")
        return
    expected = math.log(output.shape[1])
    what = f"{value:.3g}; guessing gives ln {output.shape[1]} = {expected:.3g}"
    if not value < 1.5 * expected + 0.5:
        remedy = (
            "smaller initial weights in the last layer; normalise the inputs; logits, not probabilities, to the loss"
        )
        report.add("problem", "loss at the start", what, remedy)
    elif value < 0.5 * expected:
        report.add("problem", "loss at the start", what, "the labels leak into the inputs, or the loss is wrong")
    else:
        report.add("ok", "loss at the start", what)


def check_one_batch(report: Report, fresh: Callable[[], Module], loss: Loss, inputs: Array, targets: Array) -> None:
    """A correct network can overfit a few samples, with at least one of several learning rates."""
    spread = slice(None, None, max(len(inputs) // 16, 1))  # spread out: sorted samples would have one class only
    x, t = inputs[spread][:16], targets[spread][:16]
    for lr in (1e-2, 1e-3):
        model = fresh()
        with left_as_it_was(model):
            first, last, steps = _by_heart(model, loss, x, t, lr)
            known = _knows(model, x, t)
        what = f"loss {first:.3g} to {last:.3g} on {len(x)} samples in {steps} steps"
        enough = 0.8 if to_numpy(t).dtype.kind == "f" else 0.9  # real values are harder to fit exactly
        if last < first - enough * abs(first) or (known and last < first):  # smoothed labels: loss > 0
            report.add("ok", "learns one batch by heart", what)
            return
    remedy = "the bug is in the network or the loss: wrong axis, detached part, labels that do not belong to inputs"
    if to_numpy(t).dtype.kind == "f":
        remedy += "; or targets on a large scale: standardise them"
    if not math.isfinite(last):
        remedy = "check the data and the loss: logarithms, divisions and roots of 0, values that are too large"
    report.add("problem", "learns one batch by heart", what, remedy)


def _knows(model: Module, x: Array, t: Array) -> bool:
    """Whether the largest output of each sample is its class."""
    with no_grad():
        output = model.eval()(Tensor(x))
    classes = to_numpy(t)
    return _is_classification(output, classes) and bool((output.numpy().argmax(axis=1) == classes).all())


def _by_heart(model: Module, loss: Loss, x: Array, t: Array, lr: float, steps: int = 200) -> tuple[float, float, int]:
    """First and last loss, and the number of steps."""
    model.train()
    for module in model.modules():  # dropout would hide it
        if "Dropout" in type(module).__name__:
            module.eval()
    optimizer = optim.Adam(model.parameters(), lr=lr)
    first = last = math.nan
    for i in range(steps):
        optimizer.zero_grad()
        value = loss(model(x), t)
        last = float(value.numpy())
        first = last if i == 0 else first
        if not math.isfinite(last) or last < 0.01 * first:
            break
        value.backward()
        optimizer.param_groups[0]["lr"] = lr * (1 - i / steps)
        optimizer.step()
    return first, last, i + 1


# -- the network as it is --------------------------------------------------------------------------------------------


def check_output(
    report: Report, model: Module, loss: Loss, inputs: Array, targets: Array, *, trained: bool = False
) -> None:
    """Outputs must be finite and differ between samples; the loss must be better than guessing."""
    with no_grad():
        output = model.eval()(Tensor(inputs))
        if not isinstance(output, Tensor) or output.ndim < 1 or len(output) != len(inputs):
            return
        value = float(loss(output, targets).numpy())
    y, t, chance = output.numpy().astype(np.float64), to_numpy(targets), _chance(model, loss, inputs, targets)
    if bad := int((~np.isfinite(y)).sum()):
        remedy = "the weights are broken: train again, with a smaller learning rate"
        report.add("problem", "outputs", f"{bad} of {y.size} outputs are NaN or infinite", remedy)
        return
    differ = bool((np.ptp(y, axis=0) > 1e-5 * (np.abs(y).max() + 1e-30)).any())
    classified = _is_classification(output, t)
    guesses: Any = np.unique(y.argmax(axis=1)) if classified else []
    if not differ:
        remedy = "units are dead or saturated, or the weights are 0: see the other findings; a smaller learning rate"
        report.add("problem", "outputs", "they are the same for every sample", remedy)
    elif trained and len(guesses) == 1 and len(np.unique(t)) > 1:
        remedy = "another learning rate, more epochs; for imbalanced classes, class weights"
        report.add("problem", "outputs", f"class {guesses[0]} is predicted for every sample", remedy)
    if classified and _takes_logits(y, t, value):
        remedy = "leave out the softmax at the end of the network"
        report.add("problem", "outputs", "they are probabilities, and the loss takes logits", remedy)
    what = f"{value:.3g}" + ("" if chance is None else f", where guessing gives {chance:.3g}")
    if chance is not None and not value < 1.5 * chance + 0.5 * (1.0 if classified else abs(chance)):
        remedy = "a smaller learning rate; train again" + ("" if classified else "; standardise the targets")
        report.add("problem", "loss now", what, f"worse than guessing: {remedy}")
    elif chance is not None and trained and value > chance - 0.05 * abs(chance):
        report.add("notice", "loss now", what, "it has learned nothing: see the other findings")
    else:
        report.add("ok", "loss now", what)


def _takes_logits(y: np.ndarray, t: np.ndarray, value: float) -> bool:
    """Whether probabilities were given to the cross-entropy of logits, recognised by its value."""
    if y.min() < 0 or np.abs(y.sum(axis=1) - 1).max() > 1e-4 or t.max() >= y.shape[1]:
        return False
    of_logits = (np.log(np.exp(y).sum(axis=1)) - y[np.arange(len(t)), t]).mean()
    return bool(abs(value - of_logits) < 1e-4 * of_logits)


def _recorded(model: Module, loss: Loss, inputs: Array, targets: Array) -> tuple[Recording, Tensor, Any]:
    model.eval()
    model.zero_grad()
    with Recording(model) as recording:
        output = model(Tensor(inputs))
        value = loss(output, targets)
    return recording, value, output


def check_units(report: Report, model: Module, loss: Loss, inputs: Array, targets: Array) -> None:
    """Find ReLU units that are zero for every sample, and sigmoid and tanh units that are saturated for most."""
    recording, value, output = _recorded(model, loss, inputs, targets)
    seen = 0
    for node, outputs in walk(value):
        layer = recording.layer_of(node) or "the model"
        if node.name in ("relu", "relu6"):
            seen += 1
            _dead(report, layer, to_numpy(outputs[0].data), _unit_axis(node, outputs[0].ndim))
        elif node.name in FLAT and outputs[0] is not output:  # a saturated output of the network is not a fault
            seen += 1
            _saturated(report, layer, to_numpy(outputs[0].data), *FLAT[node.name])
    if seen and not any(f.check in ("dead units", "saturated units") for f in report.findings):
        report.add("ok", "units", f"{seen} activations, none dead or saturated")


def _unit_axis(node: Node, ndim: int) -> int:
    """The axis of the units: 1, or the last one for linear layers on sequences (N, T, F)."""
    if ndim != 3:
        return min(1, ndim - 1)
    before: Node | None = node
    while before is not None:
        if "conv" in before.name:
            return 1
        if before.name in ("linear", "matmul"):
            return 2
        before = next((x._node for x in before.inputs if isinstance(x, Tensor) and x._node is not None), None)
    return 2


def _dead(report: Report, layer: str, y: np.ndarray, axis: int) -> None:
    by_unit = np.moveaxis(y, axis, 0).reshape(y.shape[axis], -1)
    share = float((by_unit <= 0).all(axis=1).mean())
    if share >= DEAD:
        remedy = "smaller learning rate, He initialisation, LeakyReLU, or batch norm before it"
        report.add("problem", "dead units", f"{share:.0%} of the units of {layer} are 0 for every sample", remedy)
    elif share >= 0.1:
        report.add("notice", "dead units", f"{share:.0%} of the units of {layer} are 0 for every sample")


def _saturated(report: Report, layer: str, y: np.ndarray, low: float, high: float) -> None:
    share = float(((y < low) | (y > high)).mean())
    if share >= SATURATED:
        remedy = "smaller weights (Xavier), normalised inputs, or batch norm before it: a saturated unit hardly learns"
        report.add("problem", "saturated units", f"{share:.0%} of the outputs of {layer} are at their limits", remedy)
    elif share >= SATURATED / 2:
        report.add("notice", "saturated units", f"{share:.0%} of the outputs of {layer} are at their limits")


Size = tuple[str, float, float]  # a weight's name, root mean squares of its gradient and of itself


def _sizes(model: Module, loss: Loss, inputs: Array, targets: Array) -> list[Size]:
    """The sizes of each matrix that has a gradient."""
    with left_as_it_was(model):
        model.eval()
        value = loss(model(Tensor(inputs)), targets)
        if value.requires_grad:
            value.backward()
        matrices = [(n, p) for n, p in model.named_parameters() if p.ndim >= 2]
        return [(n, _rms(p.grad), _rms(p.data)) for n, p in matrices if p.grad is not None]


def check_gradients(
    report: Report,
    model: Module,
    loss: Loss,
    inputs: Array,
    targets: Array,
    lr: float,
    *,
    first: Sequence[Size] | None = None,
    optimizer: str = "adam",
) -> None:
    """Check gradients from the first layer to the last, and the size of weights and steps; ``first``: at the start."""
    sizes = _sizes(model, loss, inputs, targets)
    matrices = [n for n, p in model.named_parameters() if p.ndim >= 2 and p.requires_grad]
    if without := sorted(set(matrices) - {n for n, _, _ in sizes}, key=matrices.index):
        remedy = "it is not part of the computation of the loss: used nowhere, or cut off by detach() or no_grad()"
        report.add("problem", "gradients", f"{', '.join(without)} gets none", remedy)
    if broken := [n for n, _, w in sizes if not math.isfinite(w)]:
        remedy = "train again, from the start, with a smaller learning rate"
        report.add("problem", "weights", f"not finite: {', '.join(broken)}", remedy)
        return
    if bad := [n for n, g, _ in sizes if not math.isfinite(g)]:
        report.add("problem", "gradients", f"not finite in {', '.join(bad)}", "train again: the error names the op")
        return
    if len(sizes) > 1:
        _check_flow(report, sizes)
    before = {n: (g, w) for n, g, w in first or sizes}
    steps = []
    for n, g, w in sizes:
        g0, w0 = before.get(n, (g, w))
        along = max(g, g0) if optimizer in ("sgd", "momentum") else 1.0
        along *= 10.0 if optimizer == "momentum" else 1.0  # 1 / (1 - 0.9)
        if smaller := min(x for x in (w, w0, math.inf) if x > 0):
            steps.append((n, lr * along / smaller))
    if steps:
        _check_steps(report, steps, optimizer)
    grown = [(w / before[n][1], n) for n, _, w in sizes if n in before and before[n][1] > 0]
    if grown and max(grown)[0] > GROWN:
        factor, name = max(grown)
        remedy = "a smaller learning rate, weight decay; train again, from the start"
        report.add("problem", "size of weights", f"{name} is {factor:.0f} times as large as at the start", remedy)


def _check_flow(report: Report, sizes: Sequence[Size]) -> None:
    first, last = sizes[0][1], sizes[-1][1]
    ratio = first / last if last else math.inf
    what = f"{sizes[0][0]} {first:.2g}, {sizes[-1][0]} {last:.2g} (root mean square): ratio {ratio:.2g}"
    vanish = "they vanish with depth: ReLU instead of sigmoid, residual connections, batch norm, better initial weights"
    explode = "they explode with depth: clip them, normalise, smaller weights"
    silent = [n for n, g, _ in sizes if g == 0]
    if first == last == 0:
        report.add("notice", "gradients by layer", "all are zero: nothing is left to learn, or all units are dead")
    elif ratio < VANISHING[0]:
        report.add("problem", "gradients by layer", what, vanish)
    elif ratio > EXPLODING[1] or any(g > EXPLODED * w > 0 for _, g, w in sizes):
        remedy = f"{explode}; or the last units are dead or saturated"
        report.add("problem", "gradients by layer", what, remedy)
    elif silent:
        report.add("problem", "gradients by layer", f"{', '.join(silent)}: all are zero", "its units are dead")
    elif not VANISHING[1] <= ratio <= EXPLODING[0]:
        report.add("notice", "gradients by layer", what, vanish if ratio < 1 else explode)
    else:
        report.add("ok", "gradients by layer", what)


def _check_steps(report: Report, steps: Sequence[tuple[str, float]], optimizer: str) -> None:
    """A step of Adam moves every weight by about lr, whatever the gradient; one of SGD by lr times the gradient."""
    name, most = max(steps, key=lambda s: s[1])
    what = f"a step of {optimizer} moves {name} by {most:.2g} of its size"
    if most > UPDATE[1]:
        level = "problem" if most > UPDATE[2] else "notice"
        report.add(level, "size of steps", what, "a smaller learning rate; find one with a range test")
    elif most < UPDATE[0]:
        report.add("notice", "size of steps", what, "a larger learning rate; find one with a range test")
    else:
        report.add("ok", "size of steps", what)


def _rms(array: Array) -> float:
    return float(np.sqrt(np.square(to_numpy(array).astype(np.float64)).mean()))


# -- the history -----------------------------------------------------------------------------------------------------


def _columns(history: History | Columns) -> dict[str, list[float | None]]:
    """Numbers by name, None where there is none."""
    found: dict[str, list[float | None]] = {}
    history = history if isinstance(history, Mapping | History) else History(history)  # rows
    for name, values in (history.as_dict() if isinstance(history, History) else history).items():
        try:
            found[name] = [None if v is None or v == "" else float(v) for v in values]
        except (TypeError, ValueError):
            if name.startswith(("train_", "val_")):
                raise ValueError(f"history: the column {name!r} must be numbers, got {list(values)[:3]}...") from None
    return found


def check_history(
    report: Report,
    history: History | Columns,
    *,
    chance: float | None = None,
    targets: Array | None = None,
) -> None:
    """Check that the training learns and is stable, whether it overfits or stopped too early, and beats guessing.

    chance : the loss of an output that is the same for all samples.
    """
    columns = _columns(history)
    rows = {n: [(i, v) for i, v in enumerate(c, 1) if v is not None] for n, c in columns.items()}
    seen = {n: c for n, c in rows.items() if n.startswith(("train_", "val_")) and c}
    if not seen:
        report.add("notice", "history", "it has no values in train_ or val_ columns", "check how it was written")
        return
    broken = {n: next((e for e, v in c if not math.isfinite(v)), None) for n, c in seen.items()}
    for name in [n for n, epoch in broken.items() if epoch is not None]:
        bad = next(v for e, v in seen[name] if e == broken[name])
        remedy = "a smaller learning rate, clipped gradients; check the data, and logarithms and divisions in the loss"
        if _words(name).endswith("loss"):
            report.add("problem", _words(name), f"it is {bad:g} in epoch {broken[name]}", remedy)
        else:
            report.add("notice", _words(name), f"it is {bad:g} in epoch {broken[name]}", "check how it is computed")
    finite = {n: c for n, c in seen.items() if broken[n] is None}
    for name, course in finite.items():
        _check_score(report, name, course, targets)
    train, val = finite.get("train_loss", []), finite.get("val_loss", [])
    if train:
        _check_training(report, train, chance, alone=not val)
    if val:
        _check_validation(report, train, val, chance)


Course = Sequence[tuple[int, float]]  # epochs and values


def _words(name: str) -> str:
    part, _, what = name.partition("_")
    return f"{'training' if part == 'train' else 'validation'} {what.replace('_', ' ')}"


def _check_training(report: Report, course: Course, chance: float | None, *, alone: bool) -> None:
    train = [v for _, v in course]
    first, last, least = train[0], train[-1], min(train)
    what = f"{first:.3g} to {last:.3g}"
    gain = max(first - least, 0.0)
    jumps = sum(b > a + 0.2 * abs(a) and b - a > 0.02 * gain for a, b in pairwise(train))
    if chance is not None and last > chance + 0.1 * abs(chance):
        remedy = "a smaller learning rate (range test)"
        if all(b <= a for a, b in pairwise(train)) and last > 0.3 * first:
            remedy = "a larger learning rate (range test), more epochs; standardised inputs and targets"
        report.add("problem", "training loss", f"{what}, where guessing gives {chance:.3g}", remedy)
    elif len(train) < 3:
        what = f"{what} in {len(train)} epoch{'s' if len(train) > 1 else ''}: too few to judge"
        report.add("notice", "training loss", what, "train for more epochs")
    elif last > first - 0.05 * abs(first):
        slow = all(b <= a for a, b in pairwise(train))
        remedy = "a larger learning rate (range test), or more epochs" if slow else "another learning rate (range test)"
        what = f"{what}: it does not decrease"
        report.add("problem", "training loss", what, f"{remedy}; look at the other findings")
    elif chance is not None and last > chance - 0.05 * abs(chance):
        remedy = "another learning rate (range test); look at the other findings"
        report.add("problem", "training loss", f"{what}: no better than guessing, which gives {chance:.3g}", remedy)
    elif jumps > len(train) // 4:
        report.add("problem", "training loss", "it repeatedly jumps up", "a smaller learning rate, larger batches")
    elif last - least > 0.5 * gain:
        what = f"it was least ({least:.3g}) after epoch {course[train.index(least)][0]}, then rose to {last:.3g}"
        report.add("problem", "training loss", what, "a smaller or decreasing learning rate; clipped gradients")
    elif alone and train[-2] - last > 0.03 * abs(train[-2]) and last == least and abs(last) > 0.02 * abs(first):
        report.add("notice", "training length", "training loss was still falling", "train for more epochs")
    else:
        report.add("ok", "training loss", what)


def _check_validation(report: Report, train: Course, course: Course, chance: float | None) -> None:
    val = [v for _, v in course]
    best = int(np.argmin(val))
    gap = val[-1] - train[-1][1] if train else 0.0
    rose = val[-1] > val[best] + 0.15 * abs(val[best]) and best < len(val) - 2
    if chance is not None and val[-1] > chance + 0.1 * abs(chance) and not (rose and val[best] < 0.8 * chance):
        what = f"{val[-1]:.3g} at the end, where guessing gives {chance:.3g}"
        remedy = "worse than guessing: a smaller learning rate"
        if train and train[-1][1] < 0.8 * chance:
            remedy = "it does not generalise at all: check how labels are matched to inputs; prepare "
            remedy += "validation data like training data; early stopping, more data"
        report.add("problem", "validation loss", what, remedy)
    elif rose:
        what = f"validation loss was least ({val[best]:.3g}) after epoch {course[best][0]}, then rose to {val[-1]:.3g}"
        report.add("notice", "overfitting", what, "early stopping, dropout, weight decay, augmentation, more data")
    elif chance is not None and len(val) > 2 and val[-1] > chance - 0.05 * abs(chance):
        what = f"{val[-1]:.3g} at the end: no better than guessing, which gives {chance:.3g}"
        report.add("problem", "validation loss", what, "another learning rate (range test); look at the other findings")
    elif len(val) > 1 and best == len(val) - 1 and val[-2] - val[-1] > 0.03 * abs(val[-2]):
        report.add("notice", "training length", "validation loss was still falling", "train for more epochs")
    elif train and gap > 2 * abs(train[-1][1]) and chance is not None and gap > 0.2 * abs(chance):
        what = f"validation loss {val[-1]:.3g}, training loss {train[-1][1]:.3g}"
        report.add("notice", "overfitting", what, "dropout, weight decay, augmentation, more data")
    else:
        report.add("ok", "validation loss", f"{val[0]:.3g} to {val[-1]:.3g}, least after epoch {course[best][0]}")


def _check_score(report: Report, name: str, course: Course, targets: Array | None) -> None:
    """Compare accuracy with the most frequent class and R² with the mean, and find a large fall from its best value."""
    what, last = _words(name), course[-1][1]
    best, epoch = max((v, -e) for e, v in course)
    if what.endswith(" r2"):
        if last < 0:
            remedy = "another learning rate, more epochs; standardised inputs and targets"
            report.add("problem", what, f"{last:.3g}: worse than predicting the mean", remedy)
    elif what.endswith("accuracy"):
        labels = None if targets is None else to_numpy(targets)
        if labels is not None and labels.dtype.kind in "iu" and labels.ndim == 1 and len(labels):
            often = float(np.bincount(labels - labels.min()).max() / len(labels))
            if last <= often + 0.5 / len(labels) and often < 1.0:
                remedy = "another learning rate, more epochs; look at the other findings"
                report.add("problem", what, f"{last:.1%}: no better than the most frequent class, {often:.1%}", remedy)
                return
        if best - last > 0.1:
            remedy = "early stopping, a smaller learning rate"
            report.add("notice", what, f"it was {best:.1%} after epoch {-epoch}, then fell to {last:.1%}", remedy)
