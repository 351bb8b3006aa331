"""Backpropagation, op by op: what a network computes, and how the blame for its error travels back.

Forward, each op turns numbers into numbers.  Backward, each op is handed dy = ∂L/∂y, how much the loss L would change
with its result, and hands on ∂L/∂x to whatever it was computed from: the chain rule, one link at a time.  No op needs
to know the network around it.  The printed numbers are those of the library's own tape, not of a second program.

python examples/07_backpropagation.py                                       the network 2-3-1, told step by step
python examples/07_backpropagation.py --layers 3 4 4 2 --activation relu --loss cross_entropy --target 1
python examples/07_backpropagation.py --set "hidden1.weight[1,0]=0.5"       what if this weight were different?
python examples/07_backpropagation.py --interactive                         step with Enter, type edits

simulator.html in the output folder does the same in a browser: buttons or arrow keys, and every number can be edited.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import xpnet
from xpnet import explore, nn, plot
from xpnet.lesson import start
from xpnet.nn import functional as F

ACTIVATIONS = {"tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU,
               "softplus": nn.Softplus, "silu": nn.SiLU}  # fmt: skip


def add_options(parser):
    """The network, what goes in, and what should come out."""
    parser.add_argument("--layers", type=int, nargs="+", default=[2, 3, 1], metavar="N", help="units (default: 2 3 1)")
    parser.add_argument("--activation", choices=ACTIVATIONS, default="tanh")
    parser.add_argument("--loss", choices=["mse", "cross_entropy"], default="mse")
    parser.add_argument("--input", type=float, nargs="+", metavar="X", help="default: 0.5 -1 1.5 -2 ...")
    parser.add_argument("--target", type=float, nargs="+", metavar="T", help="numbers, or one class (default: 1, or 0)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME[i,j]=VALUE")
    parser.add_argument("--interactive", action="store_true", help="wait after each step, and take edits")


lesson = start(__doc__, __file__, add_options)
options = lesson.options
sizes = options.layers
if len(sizes) < 2 or min(sizes) < 1 or max(sizes) > 64:
    lesson.refuse(f"--layers needs two or more sizes from 1 to 64, got {sizes}")
given = options.input or [(-1) ** i * (i + 1) / 2 for i in range(sizes[0])]
if len(given) != sizes[0]:
    lesson.refuse(f"the network has {sizes[0]} inputs, --input gave {len(given)}")

# The network, in float64, so that every digit can be checked by hand.
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
    """One pass, forward and back, written down."""
    return explore.trace(model, x, loss=lambda y: measure(y, target))


# What if?  A number is changed; the gradient foretells what the loss will do, and is right for small changes.
names = {"input": x, **dict(model.named_parameters())}
found = record()
foretold = None


def edit(text):
    """Change one number and compute everything again."""
    global found, foretold
    change = explore.Edit.parse(text)
    old, was = found, change.apply(names)
    found = record()
    foretold = old.loss + float(old.gradients[change.name][change.index]) * (change.value - was)
    lesson.say(f"what if {text} instead of {was:.4g}?  L {old.loss:.6g} -> {found.loss:.6g}; "
               f"the gradient foretold {foretold:.6g}")  # fmt: skip


for text in options.set:
    try:
        edit(text)
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
            edit(answer)
            blocks, place = list(explore.narrate(found)), 0
        except ValueError as error:
            lesson.say(str(error))
            place -= 1

lesson.say("\nGradient flow: the norm of ∂L/∂y at each op, from the input to the loss")
lesson.say(explore.flow(found))

# Is it right?  Move each number a little to both sides, and see how the loss changes.
worst = explore.finite_differences(found.gradients, names, lambda: measure(model(x), target))
lesson.say(f"\nloss {found.loss:.6g}; finite differences agree with every gradient to {worst:.1e}")

network = "-".join(map(str, sizes))
about = f"{network}, {options.activation}, {options.loss}, seed {lesson.seed}. Keys: ← → Home End; space plays."
page = lesson.write("simulator.html", explore.simulator_page(found, about=about))
lesson.write("trace.json", found.to_json())
lesson.say(f"step through it in a browser: {page}")
lesson.draw("gradient_flow", lambda: plot.gradient_flow(
    {f"{s.layer} {s.op}".strip(): s.gradient_norm for s in found.steps}, "The gradient on its way back"))  # fmt: skip
lesson.finish({"loss": found.loss, "steps": len(found.steps), "gradient_norms": found.norms(),
               "finite_differences": worst, "foretold": foretold})  # fmt: skip
