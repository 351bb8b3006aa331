"""Optimizers: the same gradient, used in different ways.

Why: they differ in how many samples they look at before a step, and in what they remember of earlier steps.
Look at: the paths down a narrow valley (valley.png), and the loss of eight optimizers on the same network and digits.

All of them walk downhill; they differ in how many samples they look at before a step, and in what they remember.

    batch          θ ← θ − η g, with g the mean over all samples: exact, but only one step per epoch
    stochastic     the same with one sample at a time: as many steps as samples, each one noisy
    mini-batch     a few dozen samples: the compromise that all methods below use
    momentum       v ← μ v + g;  θ ← θ − η v: consistent components add up, oscillating ones cancel
    RMSProp        s ← α s + (1 − α) g²;  θ ← θ − η g/√s: each weight has its own step size
    Adam           both, with a correction for the means' initial value of 0
    schedules      a large η for fast progress at first, a small one to converge

The first part is a valley in the plane, where the paths can be drawn.  The second trains the same network on digits
with each optimizer.
"""

from __future__ import annotations

import time

import numpy as np

import xpnet
from xpnet import data, nn, optim, plot
from xpnet.lesson import start
from xpnet.nn import functional as F
from xpnet.optim import lr_scheduler

lesson = start(__doc__, __file__)
backend = lesson.backend

# 1. A valley, f(x, y) = ½ (x² + 30 y²): thirty times steeper across than along.  Gradient descent needs η < 2/30, or it
# diverges across the valley; along the valley such a step is small.
STEEP, BEGIN, STEPS = 30.0, (-9.0, 1.6), 40
VALLEY = {
    "SGD": lambda p: optim.SGD(p, lr=0.06),
    "SGD, noisy gradient": lambda p: optim.SGD(p, lr=0.06),
    "momentum 0.8": lambda p: optim.SGD(p, lr=0.03, momentum=0.8),
    "Nesterov 0.8": lambda p: optim.SGD(p, lr=0.03, momentum=0.8, nesterov=True),
    "RMSProp": lambda p: optim.RMSprop(p, lr=0.5, alpha=0.9),
    "Adam": lambda p: optim.Adam(p, lr=0.8),
}


def height(x, y):
    return 0.5 * (x**2 + STEEP * y**2)


def walk(name):
    """The path of an optimizer (STEPS + 1, 2)."""
    noise = np.random.default_rng(lesson.seed)
    point = nn.Parameter(xpnet.tensor(BEGIN))
    optimizer, path = VALLEY[name]([point]), [point.numpy().copy()]
    for _ in range(STEPS):
        loss = height(point[0], point[1])
        if "noisy" in name:  # as if from a few samples: unbiased, but noisy
            loss = loss + (point * backend.asarray(noise.normal(0, (1.5, 6)).astype(np.float32))).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        path.append(point.numpy().copy())
    return np.stack(path)


paths = {name: walk(name) for name in VALLEY}
heights = {name: float(height(*path[-1].astype(float))) for name, path in paths.items()}
lesson.say(f"the valley: from {height(*BEGIN):.0f} down to, after {STEPS} steps:")
for name, value in heights.items():
    lesson.say(f"  {name:22}{value:10.2g}")

# 2. Digits.  The same network, initial weights and number of epochs for all.  Each optimizer has the learning rate that
# is best for it on the validation part; otherwise the comparison would be one of rates.
digits, test = data.load_digits()
digits, validation = data.train_val_split(digits, 0.2)
scale = data.Normalize.fit(data.to_float(digits.inputs))
parts = (digits, validation, test)
x, x_val, x_test = (backend.asarray(scale(data.to_float(part.inputs)).reshape(-1, 64)) for part in parts)
y, y_val, y_test = (backend.asarray(part.targets) for part in parts)
WAYS = {  # name: samples in a step, the optimizer, its schedule, rates to choose from
    "batch": (len(y), optim.SGD, {}, None, (0.1, 0.3, 1.0)),
    "stochastic": (1, optim.SGD, {}, None, (0.001, 0.003, 0.01)),
    "mini-batch": (32, optim.SGD, {}, None, (0.03, 0.1, 0.3)),
    "momentum": (32, optim.SGD, {"momentum": 0.9}, None, (0.01, 0.03, 0.1)),
    "RMSProp": (32, optim.RMSprop, {}, None, (0.0003, 0.001, 0.003)),
    "Adam": (32, optim.Adam, {}, None, (0.001, 0.003, 0.01)),
    "momentum, cosine": (32, optim.SGD, {"momentum": 0.9}, "cosine", (0.01, 0.03, 0.1)),
    "Adam, one cycle": (32, optim.Adam, {}, "one cycle", (0.003, 0.01, 0.03)),
}
epochs = 2 if lesson.quick else 20


def schedule(kind, optimizer, lr, steps):
    """A step of the schedule is a step of the optimizer."""
    if kind == "cosine":
        return lr_scheduler.CosineAnnealingLR(optimizer, steps)
    return lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps) if kind == "one cycle" else None


def train(way, lr, seed):
    """Returns the model, the loss on all training samples after each epoch, and the seconds per epoch."""
    batch, kind, options, plan, _ = way
    xpnet.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = kind(model.parameters(), lr=lr, **options)
    loader = data.DataLoader(data.ArrayDataset(x, y), batch, shuffle=True)
    changing = schedule(plan, optimizer, lr, epochs * len(loader))
    losses, seconds = [measure(model, x, y)[0]], 0.0
    for _ in range(epochs):
        started = time.perf_counter()
        for inputs, labels in loader:
            loss = F.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if changing is not None:
                changing.step()
        backend.synchronize()
        seconds += time.perf_counter() - started
        losses.append(measure(model, x, y)[0])
    return model, losses, seconds / epochs


def measure(model, inputs, labels):
    """Loss and accuracy."""
    with xpnet.no_grad():
        logits = model(inputs)
        return F.cross_entropy(logits, labels).item(), float((logits.data.argmax(axis=1) == labels).mean())


lesson.say(f"\ndigits, {epochs} epochs         steps an      rate   loss on training          test   seconds")
lesson.say("                           epoch               part: first, last   accuracy  an epoch")
histories, found = {}, {}
for name, way in WAYS.items():
    rates = way[-1][1:2] if lesson.quick else way[-1]
    runs = [train(way, lr, lesson.seed) for lr in rates]
    best = int(np.argmin([measure(model, x_val, y_val)[0] for model, _, _ in runs]))
    model, losses, seconds = runs[best]
    steps, accuracy = -(-len(y) // way[0]), measure(model, x_test, y_test)[1]
    histories[name] = losses
    found[name] = {"steps": steps, "rate": rates[best], "loss": losses[-1], "accuracy": accuracy, "seconds": seconds}
    numbers = f"{steps:9}{rates[best]:10}{losses[1]:10.3f}{losses[-1]:10.4f}{accuracy:12.1%}{seconds:10.3f}"
    lesson.say(f"  {name:20}{numbers}")
lesson.say(f"({len(y_test)} test digits: one standard error of an accuracy is about 1%, so the best do not differ)")


def draw_valley():
    figure, axes = plot.panels([*paths], width=4.2, height=2.4, columns=2)
    for one, (name, path) in zip(axes, paths.items(), strict=True):
        plot.descent(height, {name: path}, (-10, 4), (-2.2, 2.2), minimum=(0, 0), axes=one)
    return figure


def draw_losses():
    labels = {"xlabel": "epoch", "ylabel": "loss on all training samples", "heading": "The same network and data"}
    return plot.lines(histories, x=range(epochs + 1), yscale="log", **labels)


lesson.draw("valley", draw_valley)
lesson.draw("losses", draw_losses)
lesson.finish({"valley": heights, "digits": found, "epochs": epochs})
