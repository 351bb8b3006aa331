"""A network that can be watched: its units, its weights, and how both change during training.

Why: a network of a few units can be drawn whole, so that training is something to see, not only a falling number.
Look at: visualiser.html in the output folder: how weights grow, and how units drift to the ends of their range.

Iris (Fisher 1936; embedded in scikit-learn): four measures of a flower, three species, 150 flowers.  The network is
4-8-6-3, small enough to draw whole.  At one epoch after another we note all weights, and what each unit answers to the
same flowers.  What there is to see:

- at the start all weights are small and the outputs carry no information: one flower in three is correct, as by chance;
- the weights grow to several times their size, most in the layers near the output;
- activations of the hidden units move towards the limits of tanh, -1 and 1.  Saturated units learn slowly, because the
  slope of tanh, 1 - y², is nearly 0 there.

visualiser.html in the output folder shows every recorded epoch, with a slider; training.gif is an animation.

python examples/04_visualiser.py
python examples/04_visualiser.py --hidden 5 --activation relu --epochs 100
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

import numpy as np

from xpnet import data, explore, nn, no_grad, optim, plot, tensor
from xpnet.lesson import positive, start
from xpnet.nn import functional as F

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid}


def add_options(parser):
    """Options of the network and of the training."""
    parser.add_argument("--hidden", type=positive, nargs="+", default=[8, 6], metavar="N", help="units (default: 8 6)")
    parser.add_argument("--activation", choices=ACTIVATIONS, default="tanh")
    parser.add_argument("--epochs", type=positive, default=200)
    parser.add_argument("--frames", type=positive, default=40, help="epochs to record (default: 40)")


lesson = start(__doc__, __file__, add_options)
epochs, frames = (20, 3) if lesson.quick else (lesson.options.epochs, lesson.options.frames)
if frames < 2:
    lesson.refuse(f"--frames must be at least 2, the beginning and the end, got {frames}")

# A third of each species is held out for the test; the scaling is computed from the training flowers only.
iris = data.embedded_table("iris")  # included in scikit-learn: no download
*columns, answer = iris.names
measures = [name.removesuffix(" (cm)") for name in columns]
names, labels = np.unique(iris[answer], return_inverse=True)
train, test = data.split_rows(len(iris), 1 / 3, labels=labels, seed=lesson.seed)
x = np.stack([iris.numbers(name) for name in columns], axis=1).astype("float32")  # (150, 4)
x = data.Normalize.fit(x[train], axis=0)(x)

layers = OrderedDict()
sizes = [4, *lesson.options.hidden, 3]
for depth, (before, after) in enumerate(pairwise(sizes), start=1):
    last = depth == len(sizes) - 1
    layers["output" if last else f"hidden{depth}"] = nn.Linear(before, after)
    if not last:
        layers[f"{lesson.options.activation}{depth}"] = ACTIVATIONS[lesson.options.activation]()
model = nn.Sequential(layers)
optimizer = optim.Adam(model.named_parameters(), lr=0.01)
x_train, x_test = tensor(lesson.backend.asarray(x[train])), tensor(lesson.backend.asarray(x[test]))
y_train, y_test = lesson.backend.asarray(labels[train]), lesson.backend.asarray(labels[test])


def measure():
    """Loss on the training flowers, accuracy on those held out."""
    with no_grad():
        right = model(x_test).argmax(axis=1) == y_test
        return {
            "training loss": F.cross_entropy(model(x_train), y_train).item(),
            "test accuracy": float(right.numpy().mean()),
        }


# The weights change most in early epochs, so more of those are recorded.  Activations are those of the test flowers.
moments = {0, *np.unique(np.geomspace(1, epochs, frames - 1).round().astype(int)).tolist()}
snapshots = explore.Snapshots(model, x_test)
for epoch in range(epochs + 1):
    if epoch in moments:
        snapshots.take(epoch, **measure())
    F.cross_entropy(model(x_train), y_train).backward()  # 102 flowers: one batch is an epoch
    optimizer.step()
    optimizer.zero_grad()

first, last = snapshots.shots[0], snapshots.shots[-1]
network = f"{'-'.join(map(str, sizes))}, {lesson.options.activation}"
lesson.say(f"{network}: {len(train)} flowers for training, {len(test)} held out")
for shot in (first, last):
    lesson.say(f"epoch {shot.moment:4}: training loss {shot.figures['training loss']:.4f}, "
               f"test accuracy {shot.figures['test accuracy']:.4f}")  # fmt: skip
growth = [float(np.linalg.norm(b) / np.linalg.norm(a)) for a, b in zip(first.weights, last.weights, strict=True)]
for name, factor in zip(snapshots.names, growth, strict=True):
    lesson.say(f"the weights of {name} grew by a factor of {factor:.2f}")
sure = {}
if lesson.options.activation == "tanh":
    for name, i in zip(snapshots.names[:-1], range(1, len(sizes) - 1), strict=True):
        before, after = (float((np.abs(shot.activations[i]) > 0.9).mean()) for shot in (first, last))
        sure[name] = after
        lesson.say(f"values of {name} beyond ±0.9: {before:.0%} at the start, {after:.0%} at the end")

# The animation, its last frame as a picture, and the histograms over time.
top = max(max(abs(low), abs(high)) for low, high in snapshots.limits()[0])
flowers = {f"a flower of {name}": int(np.flatnonzero(labels[test] == k)[0]) for k, name in enumerate(names)}
one = flowers["a flower of virginica"]


def frame(shot):
    """One recorded epoch: the activations for one flower, with histograms of weights and activations."""
    of_weights, of_values = snapshots.histograms(shot)
    panels = [(f"weights, {n}", *h) for n, h in zip(snapshots.names, of_weights, strict=True)]
    panels += [(f"values, {n}", *h) for n, h in zip(snapshots.names, of_values[1:], strict=True)]
    loss, accuracy = shot.figures["training loss"], shot.figures["test accuracy"]
    heading = f"epoch {shot.moment}: loss {loss:.3f}, accuracy {accuracy:.0%}"
    return plot.network(shot.weights, [a[one] for a in shot.activations], inputs=measures, outputs=names,
                        heading=heading, scale=top, histograms=panels[:6])  # fmt: skip


lesson.animate("training", (frame(shot) for shot in snapshots.shots), seconds=0.25, hold=3)
lesson.draw("network", lambda: frame(last))
shots = snapshots.shots
lesson.draw("histograms", lambda: plot.histograms(
    {f"weights, {name}": [s.weights[i] for s in shots] for i, name in enumerate(snapshots.names)}
    | {f"values, {name}": [s.activations[i + 1] for s in shots] for i, name in enumerate(snapshots.names)},
    [s.moment for s in shots]))  # fmt: skip
about = f"{network}, Iris, seed {lesson.seed}. Keys: ← → Home End; space plays."
page = lesson.write("visualiser.html", snapshots.to_page(about=about, inputs=measures, outputs=names, samples=flowers))
lesson.say(f"watch it in a browser: {page}")
lesson.finish({"training_loss": last.figures["training loss"], "test_accuracy": last.figures["test accuracy"],
               "moments": len(shots), "growth": growth, "beyond_0.9": sure})  # fmt: skip
