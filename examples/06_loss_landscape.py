"""What does a network's loss look like, as a function of its weights?

Why: training is a walk over this landscape, and its shape decides how easy the walk is.
Look at: the wall between two solutions, the paths of four optimizers, and how residual connections smooth the surface.

A network of 3,000 weights has a loss over 3,000 dimensions; a picture has two.  Which two are taken decides what is
seen, so this page takes them in four ways, all on real digits (scikit-learn's, 8x8 pixels):

1. Around a solution, in random directions.  They are filter-normalised; otherwise the picture shows the weights' scale.
2. On the line between two solutions: is there a barrier between them?
3. In the plane in which the paths of several optimizers from one start vary most, and what that plane leaves out.
4. A deep plain network against the same one with residual connections (Li et al. 2018, arXiv:1712.09913).

    python examples/06_loss_landscape.py
    python examples/06_loss_landscape.py --blocks 12
"""

from __future__ import annotations

import argparse

import numpy as np

import xpnet
from xpnet import data, nn, optim, plot
from xpnet.explore import landscape
from xpnet.lesson import start
from xpnet.nn import functional as F


def blocks(text: str) -> int:
    """Parse a number of residual blocks."""
    if not text.isdecimal() or not 1 <= int(text) <= 50:
        raise argparse.ArgumentTypeError(f"expected 1 to 50 blocks, got {text}")
    return int(text)


lesson = start(
    __doc__, __file__, lambda p: p.add_argument("--blocks", type=blocks, default=8, help="of the deep networks")
)
say, quick = lesson.say, lesson.quick
metrics: dict[str, object] = {}

train, test = data.load_digits()
normalise = data.Normalize.fit(data.to_float(train.inputs))  # mean and deviation of the training pixels only
digits = [normalise(data.to_float(part.inputs)).reshape(-1, 64) for part in (train, test)]
batches = [(digits[0], train.targets)]  # the landscape shows the training loss on all training digits


def fit(model, make_optimizer, epochs, cosine=False):
    """Train; returns the path: the weights before the first epoch and after each epoch."""
    optimizer = make_optimizer(model.parameters())
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs) if cosine else None
    loader = data.DataLoader(data.ArrayDataset(digits[0], train.targets), 64, shuffle=True, backend=lesson.backend)
    path = [landscape.snapshot(model)]
    for _ in range(epochs):
        for x, labels in loader:
            loss = F.cross_entropy(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if schedule is not None:
            schedule.step()
        path.append(landscape.snapshot(model))
    return path


def accuracy(model):
    """The accuracy on the test digits, in evaluation mode."""
    model.eval()
    with xpnet.no_grad():
        return float((model(lesson.backend.asarray(digits[1])).argmax(axis=1).numpy() == test.targets).mean())


def small():
    """The network of the first three parts."""
    return nn.Sequential(nn.Linear(64, 40), nn.ReLU(), nn.Linear(40, 10))


def sgd(parameters):
    return optim.SGD(parameters, lr=0.05, momentum=0.9)


# 1. Around a solution.  A random direction shows how the loss grows *on average* over all directions.  Its length must
# mean the same in every network, so each filter of the direction gets the norm of the network's own filter.
model = small()
first_solution = fit(model, sgd, 2 if quick else 20)[-1]
first, second = (landscape.random_direction(model, number) for number in (0, 1))
xs = np.linspace(-1, 1, 9 if quick else 31)
surface = landscape.across(model, F.cross_entropy, batches, first, second, xs, xs)
middle = surface.losses[len(xs) // 2, len(xs) // 2]
edge = np.concatenate([surface.losses[[0, -1]].ravel(), surface.losses[:, [0, -1]].ravel()])
say(f"1. A small network with a test accuracy of {accuracy(model):.1%} has a loss of {middle:.4f} at its solution")
say(f"   and {np.median(edge):.2f} (median) at the edge of a square of filter-normalised steps of -1 to 1 around it.")
metrics["around"] = {"loss": middle, "loss_at_the_edge": np.median(edge), "test_accuracy": accuracy(model)}
lesson.draw("1_contours", lambda: plot.loss_contours(surface, heading="Around a solution, in two random directions"))
lesson.draw("1_surface", lambda: plot.loss_surface(surface, heading="The same as a surface"))

# Why filter-normalised?  A ReLU network computes the same function with its first layer times 5 and the next times 1/5.
# Without normalisation one of the two copies looks much sharper than the other.
twin = small()
scales = {"0.weight": 5.0, "0.bias": 5.0, "2.weight": 0.2, "2.bias": 1.0}
twin.load_state_dict({name: scales[name] * weights for name, weights in first_solution.items()})
for kind in ("plain", "filter-normalised"):
    rises = []
    for network in (model, twin):
        direction = landscape.random_direction(network, normalize=kind != "plain")
        sides = landscape.along(network, F.cross_entropy, batches, direction, [-0.3, 0.3])
        rises.append(sides.losses.mean() - middle)
    rise, twins = rises
    say(f"   A step of 0.3 in a {kind} direction adds {rise:.3f} to the loss; in a rescaled copy {twins:.3f}.")
    metrics[f"step of 0.3, {kind}"] = {"network": rise, "rescaled_twin": twins}

# 2. Between two solutions.  The second one starts from other weights: the role of a unit in the first network is taken
# by another unit in the second, so halfway between them no unit is useful.  A second line leads from the first network
# to the same network trained further.
other = fit(small(), sgd, 2 if quick else 20)[-1]
model.load_state_dict(first_solution)
steps = np.linspace(-0.25, 1.25, 13 if quick else 61)
walls = {}
again = fit(model, sgd, 1 if quick else 10)[-1]  # the first one, trained further
for name, end in {"to a solution from another start": other, "to itself, trained further": again}.items():
    walls[name] = landscape.between(model, F.cross_entropy, batches, first_solution, end, steps)
    inside = walls[name].losses[(steps >= 0) & (steps <= 1)]
    wall = inside.max() - max(inside[0], inside[-1])
    say(f"2. On the line {name} the loss rises by {wall:.4f} above its ends.")
    metrics[f"wall {name}"] = wall
heading = "The loss on the line between two solutions"
lesson.draw("2_line", lambda: plot.loss_curves(walls, heading=heading, x_label="0: the first solution, 1: the other"))

# 3. The paths of optimizers from one start, in the plane in which all paths together vary most.
makers = {
    "SGD": lambda p: optim.SGD(p, lr=0.05),
    "momentum": lambda p: optim.SGD(p, lr=0.02, momentum=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.003),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.002),
}
model = small()
beginning = model.state_dict()
paths, ends = {}, {}
for name, make in makers.items():
    model.load_state_dict(beginning)
    paths[name] = fit(model, make, 4 if quick else 20)
    ends[name] = landscape.along(model, F.cross_entropy, batches, landscape.random_direction(model), [0.0]).losses[0]
everything = [weights for path in paths.values() for weights in path]
mean = {name: np.mean([weights[name] for weights in everything], axis=0) for name in everything[0]}
plane = landscape.pca_plane(model, everything, through=mean)
projected = {name: plane.project(path) for name, path in paths.items()}
places = np.concatenate([where for where, _ in projected.values()])
low, high = places.min(axis=0), places.max(axis=0)
margin = 0.15 * (high - low).max()
grid = [np.linspace(a - margin, b + margin, 9 if quick else 41) for a, b in zip(low, high, strict=True)]
bowl = landscape.across(model, F.cross_entropy, batches, plane.first, plane.second, *grid, origin=plane.origin)
say(f"3. The plane of the paths explains {sum(plane.explained):.1%} of their variance ({plane.explained[0]:.1%} and")
say(f"   {plane.explained[1]:.1%}); for a long random walk it would be 76%, so this alone shows little.")
say("   The ends of the paths are not in the plane, so their losses look higher in the picture than they are:")
for name, (where, away) in projected.items():
    at = landscape.across(
        model, F.cross_entropy, batches, plane.first, plane.second, where[-1:, 0], where[-1:, 1], origin=plane.origin
    )
    moved = np.sqrt(sum(((paths[name][-1][n] - paths[name][0][n]) ** 2).sum() for n in mean))
    end = ends[name]
    say(f"   {name:8} ends at a loss of {end:.4f}, {moved:.1f} from its start and {away[-1]:.1f} beside the plane;")
    say(f"            the point of the plane nearest to that end has a loss of {at.losses[0, 0]:.4f}.")
    metrics[f"path {name}"] = {"loss": end, "in_the_plane": at.losses[0, 0], "beside": away[-1], "moved": moved}
metrics["explained_variance"] = plane.explained
names = tuple(f"principal component {i} ({part:.0%} of the variance)" for i, part in enumerate(plane.explained, 1))
heading = "Paths of four optimizers from one start"
tracks = {name: where for name, (where, _) in projected.items()}
lesson.draw("3_paths", lambda: plot.loss_contours(bowl, tracks, heading=heading, labels=names))


# 4. Deep networks.  Both have the same layers and batch norm; only ``x +`` differs.  These pictures use a linear scale,
# because on a logarithmic one the deeper valley would look sharper.
class Block(nn.Module):
    """Two layers; a residual one learns what to add to its input."""

    def __init__(self, width, residual):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Linear(width, width, bias=False), nn.BatchNorm1d(width),
        )  # fmt: skip
        self.residual = residual

    def forward(self, x):
        y = self.layers(x)
        return F.relu(x + y if self.residual else y)


deep = {}
xs = np.linspace(-0.6, 0.6, 7 if quick else 25)
for name, residual in {"plain": False, "with residual connections": True}.items():
    xpnet.manual_seed(lesson.seed)
    stack = [Block(32, residual) for _ in range(3 if quick else lesson.options.blocks)]
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), *stack, nn.Linear(32, 10))
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    fit(model, lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=5e-4), 2 if quick else 30, cosine=True)
    right = accuracy(model)
    directions = [landscape.random_direction(model, number) for number in range(2 if quick else 10)]
    deep[name] = landscape.across(model, F.cross_entropy, batches, *directions[:2], xs, xs)
    lines = [landscape.along(model, F.cross_entropy, batches, d, [-0.25, 0.0, 0.25]).losses for d in directions]
    rises = [(left + right_side) / 2 - here for left, here, right_side in lines]
    metrics[name] = {"loss": lines[0][1], "test_accuracy": right, "rise": np.mean(rises), "rises": rises}
    say(f"4. {2 * len(stack) + 2} layers, {name}: loss {lines[0][1]:.4f}, test accuracy {right:.1%};")
    say(f"   a random step of 0.25 adds {np.mean(rises):.3f} to the loss ({min(rises):.3f} to {max(rises):.3f}).")
lesson.draw("4_contours", lambda: plot.loss_contours(deep, log=False, top=4))
lesson.draw("4_surface", lambda: plot.loss_surface(deep, log=False, top=4))
lesson.finish(metrics)
