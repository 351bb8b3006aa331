"""Backpropagation, op by op: what a network computes, and how the gradient of its loss is propagated back.

Why: backpropagation is one rule applied at every op, and with a few numbers it can be checked by hand.
Look at: what each op is handed and what it hands on, and simulator.html in the output folder, where you can edit it.

Forward, each op turns numbers into numbers.  Backward, each op is handed dy = ∂L/∂y, how much the loss L would change
with its result, and hands on ∂L/∂x to whatever it was computed from: the chain rule, one link at a time.  No op needs
to know the network around it.  The printed numbers are those of the library's own tape, not of a second program.

python examples/07_backpropagation.py                                       the network 2-3-1, shown step by step
python examples/07_backpropagation.py --layers 3 4 4 2 --activation relu --loss cross_entropy --target 1
python examples/07_backpropagation.py --set "hidden1.weight[1,0]=0.5"       what if this weight were different?
python examples/07_backpropagation.py --interactive                         step with Enter, type edits

simulator.html in the output folder does the same in a browser: buttons or arrow keys, and every number can be edited.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from itertools import pairwise

import numpy as np

import xpnet
from xpnet import explore, nn, plot
from xpnet.lesson import number, positive, start
from xpnet.nn import functional as F

ACTIVATIONS = {
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "softplus": nn.Softplus,
    "silu": nn.SiLU,
}


def add_options(parser):
    """Options for the network, its input and its target."""
    add = parser.add_argument
    add("--layers", type=positive, nargs="+", default=[2, 3, 1], metavar="N", help="units (default: 2 3 1)")
    add("--activation", choices=ACTIVATIONS, default="tanh")
    add("--loss", choices=["mse", "cross_entropy"], default="mse")
    add("--input", type=number, nargs="+", metavar="X", help="default: 0.5 -1 1.5 -2 ...")
    add("--target", type=number, nargs="+", metavar="T", help="numbers, or one class (default: 1, or 0)")
    add("--set", action="append", default=[], metavar="NAME[i,j]=VALUE")
    add("--interactive", action="store_true", help="wait after each step, and take edits")


lesson = start(__doc__, __file__, add_options)
options = lesson.options
sizes = options.layers
if len(sizes) < 2 or max(sizes) > 64:
    lesson.refuse(f"--layers needs two or more sizes from 1 to 64, got {sizes}")
given = options.input or [(-1) ** i * (i + 1) / 2 for i in range(sizes[0])]
if len(given) != sizes[0]:
    lesson.refuse(f"the network has {sizes[0]} inputs, --input gave {len(given)}")

# The network is in float64, so that every digit can be checked by hand.
layers = OrderedDict()
for depth, (before, after) in enumerate(pairwise(sizes), start=1):
    last = depth == len(sizes) - 1
    layers["output" if last else f"hidden{depth}"] = nn.Linear(before, after, dtype="float64")
    if not last:
        layers[f"{options.activation}{depth}"] = ACTIVATIONS[options.activation]()
model = nn.Sequential(layers)
x = xpnet.tensor([given], dtype="float64")

if options.loss == "mse":
    wanted = options.target or [1.0] * sizes[-1]
    if len(wanted) != sizes[-1]:
        lesson.refuse(f"the network has {sizes[-1]} outputs, --target gave {len(wanted)}")
    target = xpnet.tensor([wanted], dtype="float64")
    measure = F.mse_loss
else:
    wanted = options.target or [0]
    if len(wanted) != 1 or wanted[0] not in range(sizes[-1]):
        lesson.refuse(f"--target must be one class from 0 to {sizes[-1] - 1}, got {wanted}")
    target = xpnet.tensor([int(wanted[0])])
    measure = F.cross_entropy


def record():
    """Record one forward and backward.  Raises: ``ValueError`` if numbers overflow."""
    with np.errstate(all="ignore"):
        found = explore.trace(model, x, loss=lambda y: measure(y, target))
        sizes_of_gradients = list(found.norms().values())
    if not np.isfinite([found.loss, *sizes_of_gradients]).all():
        raise ValueError(f"these numbers are too large for float64: the loss is {found.loss}, or a gradient overflows")
    return found


# What if a number is changed?  The gradient predicts the new loss, accurately for small changes.
names = {"input": x, **dict(model.named_parameters())}
foretold = None


def edit(text, before):
    """Change one number and compute everything again; returns the new record and the predicted loss."""
    change = explore.Edit.parse(text)
    was = change.apply(names)
    try:
        after = record()
    except ValueError:
        replace(change, value=was).apply(names)  # undo the change
        raise
    slope = float(before.gradients[change.name][change.index])
    expected = before.loss + slope * (change.value - was)
    lesson.say(f"what if {text} instead of {was:.4g}?  L {before.loss:.6g} -> {after.loss:.6g};")
    lesson.say(f"the gradient predicted {expected:.6g}")
    return after, expected


try:
    found = record()
    for text in options.set:
        found, foretold = edit(text, found)
except ValueError as error:
    lesson.refuse(error)

blocks = list(explore.narrate(found))
place = 0
while place < len(blocks):
    lesson.say(f"\n{blocks[place]}")
    place += 1
    if not options.interactive:
        continue
    try:
        answer = input("[Enter: on, b: back, q: quit, or NAME[i,j]=VALUE] ").strip()
    except EOFError:
        answer = "q"
    if answer == "q":
        break
    if answer == "b":
        place = max(place - 2, 0)
    elif answer:
        try:
            found, foretold = edit(answer, found)
            blocks, place = list(explore.narrate(found)), 0
        except ValueError as error:
            lesson.say(str(error))
            place -= 1

lesson.say("\nGradient flow: the norm of ∂L/∂y at each op, from the input to the loss")
lesson.say(explore.flow(found))

# Check with finite differences: change each number a little in both directions, and compare the losses.
worst = explore.finite_differences(found.gradients, names, lambda: measure(model(x), target))
lesson.say(f"\nloss {found.loss:.6g}; finite differences agree with every gradient to {worst:.1e}")

network = "-".join(map(str, sizes))
about = f"{network}, {options.activation}, {options.loss}, seed {lesson.seed}. Keys: ← → Home End; space plays."
page = lesson.write("simulator.html", explore.simulator_page(found, about=about))
lesson.write("trace.json", found.to_json())
lesson.say(f"step through it in a browser: {page}")
norms = {f"{step.layer} {step.op}".strip(): step.gradient_norm for step in found.steps}
lesson.draw("gradient_flow", lambda: plot.gradient_flow(norms, "The gradient, layer by layer"))
figures = {"loss": found.loss, "steps": len(found.steps), "gradient_norms": found.norms()}
lesson.finish(figures | {"finite_differences": worst, "foretold": foretold})
