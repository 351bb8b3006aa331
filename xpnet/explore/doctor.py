"""What is wrong with this training?  The checks that an experienced person makes, each with a remedy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from xpnet import optim
from xpnet.nn import Module
from xpnet.nn.recording import Recording, recorded_ops
from xpnet.nn.utils import for_model, keep_modes
from xpnet.tensor import Tensor, no_grad
from xpnet_backends import Array, random, to_numpy

Loss = Callable[[Any, Any], Tensor]

DEAD, SATURATED = 0.5, 0.5  # share of a layer's units from which it is worth a word
FLAT = {"sigmoid": (0.02, 0.98), "tanh": (-0.98, 0.98)}  # outside, the slope is below a tenth of its largest
VANISHING = 1e-4  # the first layer's gradient against the last one's, per weight
EXPLODED = 1e3  # a gradient against its weights
UPDATE = (1e-5, 1e-1)  # of the size of the weights, per step


@dataclass(frozen=True)
class Finding:
    """One check: ``level`` is "ok", "notice" or "problem"; ``what`` was seen, and the ``remedy``."""

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
        """Those that are wrong."""
        return [f for f in self.findings if f.level == "problem"]

    def add(self, level: str, check: str, what: str, remedy: str = "") -> None:
        """One finding more."""
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
    history: Mapping[str, Sequence[float]] | None = None,
) -> Report:
    """Look at data, network, gradients and history.

    ``inputs, targets`` are samples as the network gets them, a few hundred are enough;
    ``fresh()`` makes the network anew, with initial weights: two checks need it.  ``lr`` is the learning rate in use.
    The model's weights and the random state are as they were afterwards.
    """
    if len(inputs) < 2:
        raise ValueError(f"the doctor needs at least two samples, got {len(inputs)}")
    inputs, targets = (for_model(model, part).data for part in (inputs, targets))
    report = Report()
    weights, moment = model.state_dict(), random.state.step
    try:
        with np.errstate(all="ignore"), keep_modes(model):
            check_data(report, inputs, targets)
            if fresh is not None:
                check_first_loss(report, fresh(), loss, inputs, targets)
                check_one_batch(report, fresh, loss, inputs, targets)
            check_units(report, model, loss, inputs, targets)
            check_gradients(report, model, loss, inputs, targets, lr)
            if history is not None:
                check_history(report, history)
    finally:
        model.load_state_dict(weights)
        model.zero_grad()
        random.state.set_step(moment)
    return report


# -- the data --------------------------------------------------------------------------------------------------------


def check_data(report: Report, inputs: Array, targets: Array) -> None:
    """Finite, of a reasonable scale, not constant; labels that vary, and are not simply sorted."""
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
    if len(np.unique(flat, axis=0)) == 1:
        report.add("problem", "inputs", "all samples are equal", "look at how they are read")
    if t.dtype.kind in "iu" and t.ndim == 1:
        _check_labels(report, flat, t)


def _check_labels(report: Report, flat: np.ndarray, labels: np.ndarray) -> None:
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) == 1:
        report.add("problem", "labels", f"all are {classes[0]}", "shuffle before splitting; look at how they are read")
        return
    if len(labels) > 2 * len(classes) and (np.diff(labels) >= 0).all():
        report.add("notice", "labels", "they come sorted by class", "shuffle, else each batch sees one class")
    rare = counts.min() / counts.max()
    if rare < 0.1:
        what = f"the rarest class has {rare:.0%} of the samples of the most frequent"
        report.add("notice", "labels", what, "look at F1 instead of accuracy; class weights")
    _, inverse = np.unique(flat, axis=0, return_inverse=True)
    pairs = len(np.unique(np.stack([inverse.ravel(), labels]), axis=1).T)
    clashes = pairs - len(np.unique(inverse))
    if clashes:
        what = f"{clashes} equal inputs have different labels"
        report.add("problem", "labels", what, "no network can learn both: look at how labels are matched to inputs")
    elif rare >= 0.1:
        report.add("ok", "labels", f"{len(classes)} classes")


# -- the network before training -------------------------------------------------------------------------------------


def check_first_loss(report: Report, model: Module, loss: Loss, inputs: Array, targets: Array) -> None:
    """A network that knows nothing yet should say so: cross-entropy ln C."""
    with no_grad():
        output = model.eval()(inputs)
        value = float(loss(output, targets).numpy())
    t = to_numpy(targets)
    if t.dtype.kind not in "iu" or output.ndim != 2 or output.shape[1] < 2:
        report.add("ok" if math.isfinite(value) else "problem", "loss at the start", f"{value:.3g}")
        return
    expected = math.log(output.shape[1])
    what = f"{value:.3g}, and ln {output.shape[1]} = {expected:.3g} for a network that knows nothing"
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
    """Any network that works can learn a few samples by heart, at one learning rate or another."""
    x, t = inputs[:16], targets[:16]
    for lr in (1e-2, 1e-3):
        first, last, steps = _by_heart(fresh(), loss, x, t, lr)
        what = f"loss {first:.3g} to {last:.3g} on {len(x)} samples in {steps} steps"
        if last < 0.1 * first:
            report.add("ok", "learns one batch by heart", what)
            return
    remedy = "the bug is in the network or the loss: wrong axis, detached part, labels that do not belong to inputs"
    report.add("problem", "learns one batch by heart", what, remedy)


def _by_heart(model: Module, loss: Loss, x: Array, t: Array, lr: float, steps: int = 200) -> tuple[float, float, int]:
    """First and last loss, and the number of steps."""
    for module in model.modules():  # dropout would hide it
        if type(module).__name__.startswith("Dropout"):
            module.p = 0.0
    model.train()
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


def _recorded(model: Module, loss: Loss, inputs: Array, targets: Array) -> tuple[Recording, Tensor]:
    model.eval()
    model.zero_grad()
    with Recording(model) as recording:
        value = loss(model(Tensor(inputs)), targets)
    return recording, value


def check_units(report: Report, model: Module, loss: Loss, inputs: Array, targets: Array) -> None:
    """ReLU units that are zero for every sample; sigmoid and tanh units that are flat for most."""
    recording, value = _recorded(model, loss, inputs, targets)
    seen = 0
    for node, outputs in recorded_ops(value):
        layer = recording.layer_of(node) or "the model"
        if node.name == "relu":
            seen += 1
            _dead(report, layer, to_numpy(outputs[0].data))
        elif node.name in FLAT:
            seen += 1
            _saturated(report, layer, to_numpy(outputs[0].data), *FLAT[node.name])
    if seen and not any(f.check in ("dead units", "saturated units") for f in report.findings):
        report.add("ok", "units", f"{seen} activations, none dead or saturated")


def _dead(report: Report, layer: str, y: np.ndarray) -> None:
    by_unit = np.moveaxis(y, 1, 0).reshape(y.shape[1], -1) if y.ndim > 1 else y.reshape(1, -1)
    share = float((by_unit <= 0).all(axis=1).mean())
    if share >= DEAD:
        remedy = "smaller learning rate, He initialisation, LeakyReLU, or batch norm before it"
        report.add("problem", "dead units", f"{share:.0%} of the units of {layer} are 0 for every sample", remedy)
    elif share >= 0.1:
        report.add("notice", "dead units", f"{share:.0%} of the units of {layer} are 0 for every sample")


def _saturated(report: Report, layer: str, y: np.ndarray, low: float, high: float) -> None:
    share = float(((y < low) | (y > high)).mean())
    if share >= SATURATED:
        remedy = "smaller weights (Xavier), normalised inputs, or batch norm before it: a flat unit learns nothing"
        report.add("problem", "saturated units", f"{share:.0%} of the outputs of {layer} are at their limits", remedy)


def check_gradients(report: Report, model: Module, loss: Loss, inputs: Array, targets: Array, lr: float) -> None:
    """Size by layer, from the first to the last; the size of an Adam-like step against the weights."""
    model.eval()
    model.zero_grad()
    loss(model(Tensor(inputs)), targets).backward()
    matrices = [(n, p) for n, p in model.named_parameters() if p.ndim >= 2]
    without = [n for n, p in matrices if p.grad is None and p.requires_grad]
    if without:
        remedy = "it is not part of the computation of the loss: used nowhere, or cut off by detach() or no_grad()"
        report.add("problem", "gradients", f"{', '.join(without)} gets none", remedy)
    sizes = [(n, _rms(p.grad), _rms(p.data)) for n, p in matrices if p.grad is not None]
    bad = [n for n, g, _ in sizes if not math.isfinite(g)]
    if bad:
        report.add("problem", "gradients", f"not finite in {', '.join(bad)}", "train again: the run will name the op")
        return
    if len(sizes) > 1:
        _check_flow(report, sizes)
    steps = [(n, lr / w) for n, _, w in sizes if w > 0]
    if steps:
        _check_steps(report, steps)


def _check_flow(report: Report, sizes: Sequence[tuple[str, float, float]]) -> None:
    first, last = sizes[0][1], sizes[-1][1]
    ratio = first / last if last else math.inf
    what = f"{sizes[0][0]} {first:.2g}, {sizes[-1][0]} {last:.2g} (root mean square): ratio {ratio:.2g}"
    if first == last == 0:
        report.add("notice", "gradients by layer", "all are zero: nothing is left to learn, or all units are dead")
    elif ratio < VANISHING:
        remedy = (
            "they vanish on the way: ReLU instead of sigmoid, residual connections, batch norm, better initial weights"
        )
        report.add("problem", "gradients by layer", what, remedy)
    elif ratio > 1 / VANISHING or any(g > EXPLODED * w for _, g, w in sizes):
        report.add(
            "problem", "gradients by layer", what, "they explode on the way: clip them, normalise, smaller weights"
        )
    else:
        report.add("ok", "gradients by layer", what)


def _check_steps(report: Report, steps: Sequence[tuple[str, float]]) -> None:
    """A step of Adam moves every weight by about lr, whatever the gradient."""
    name, most = max(steps, key=lambda s: s[1])
    what = f"a step of Adam moves {name} by {most:.2g} of its size"
    if most > UPDATE[1]:
        report.add("problem", "size of steps", what, "a smaller learning rate; find one with a range test")
    elif most < UPDATE[0]:
        report.add("notice", "size of steps", what, "a larger learning rate; find one with a range test")
    else:
        report.add("ok", "size of steps", what)


def _rms(array: Array) -> float:
    return float(np.sqrt(np.square(to_numpy(array).astype(np.float64)).mean()))


# -- the history -----------------------------------------------------------------------------------------------------


def check_history(report: Report, history: Mapping[str, Sequence[float]]) -> None:
    """Does it learn, does it jump, does it learn by heart, did it stop too early?"""
    train = [float(v) for v in history.get("train_loss", ())]
    val = [float(v) for v in history.get("val_loss", ())]
    if len(train) < 3:
        return
    if train[-1] > 0.95 * train[0]:
        remedy = "another learning rate (range test); look at the other findings"
        report.add("problem", "training loss", f"{train[0]:.3g} to {train[-1]:.3g}: it does not go down", remedy)
    elif sum(b > 1.2 * a for a, b in pairwise(train)) > len(train) // 4:
        report.add("problem", "training loss", "it jumps up again and again", "a smaller learning rate, larger batches")
    else:
        report.add("ok", "training loss", f"{train[0]:.3g} to {train[-1]:.3g}")
    if len(val) != len(train):
        return
    best = int(np.nanargmin(val))
    if val[-1] > 1.15 * val[best] and best < len(val) - 2:
        what = f"validation loss was least ({val[best]:.3g}) after epoch {best + 1}, then rose to {val[-1]:.3g}"
        report.add("notice", "overfitting", what, "early stopping, dropout, weight decay, augmentation, more data")
    elif best == len(val) - 1 and val[-1] < 0.97 * val[-2]:
        report.add("notice", "training length", "validation loss was still falling", "train for more epochs")
    else:
        report.add("ok", "validation loss", f"{val[0]:.3g} to {val[-1]:.3g}, least after epoch {best + 1}")
