"""XOR: what one layer cannot do, and how a hidden layer does it.

Why: it is the smallest problem that shows what hidden layers are for.
Look at: the loss of one layer, which stays at ln 2, and the picture of the hidden space, where a line is enough.

XOR is 1 where exactly one of two inputs is 1.  One layer answers 1 where w₁x₁ + w₂x₂ + b > 0, and no w, b is right on
all four inputs.  Suppose some were:

    (0,0) → 0:            b ≤ 0        (1,0) → 1:   w₁ + b > 0
    (1,1) → 0:  w₁ + w₂ + b ≤ 0        (0,1) → 1:   w₂ + b > 0

The left two add up to w₁ + w₂ + 2b ≤ 0, the right two to w₁ + w₂ + 2b > 0, a contradiction (Minsky & Papert 1969).
A hidden layer maps the four points to places that a line can separate.
"""

from __future__ import annotations

import numpy as np

import xpnet
from xpnet import nn, optim, plot
from xpnet.lesson import start
from xpnet.nn import functional as F

lesson = start(__doc__, __file__)
backend = lesson.backend
X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
Y = np.array([0, 1, 1, 0])
x, y = backend.asarray(X), backend.asarray(Y.astype(np.float32)[:, None])  # (4, 2) and (4, 1)


def train(model, steps, lr=0.1):
    """Full batches: there are only four samples.  The model gives logits; returns the loss after each step."""
    optimizer = optim.Adam(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        loss = F.binary_cross_entropy_with_logits(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if losses[-1] < 0.05:  # good enough: the loss has no minimum, it keeps falling as the weights grow
            break
    return losses


def answers(model, points):
    """The logits for points on the host, returned on the host."""
    with xpnet.no_grad():
        return model(backend.asarray(points.astype(np.float32))).numpy()


def right(model):
    """How many of the four answers are correct."""
    return int(((answers(model, X)[:, 0] > 0) == Y).sum())


def mlp(hidden):
    """2 - hidden - 1.  tanh keeps the hidden space within -1..1, so that it can be drawn."""
    return nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 1))


steps = 300 if lesson.quick else 1000

# 1. One layer, trained: the best it can do is to predict 0.5 everywhere, with a loss of ln 2 = 0.693.
one = nn.Linear(2, 1)
one_losses = train(one, steps)
weights = ", ".join(f"{w:.3f}" for w in np.abs(one.weight.numpy()[0]))
lesson.say(f"one layer: loss {one_losses[-1]:.4f} (ln 2 = {np.log(2):.4f}), sizes of its weights {weights}")

# This does not depend on the training: none of a million random lines has more than three of four right.
w = np.random.default_rng(lesson.seed).normal(size=(1_000_000, 3)).astype(np.float32)
scores = w[:, :2] @ X.T + w[:, 2:]  # (1000000, 4)
best = int(((scores > 0) == Y).sum(axis=1).max())
lesson.say(f"of {len(w):,} random lines the best has {best} of 4 right")

# 2. A hidden layer of two units can solve it, but not from all initial weights: the loss has flat regions where two or
# three answers are correct and gradient descent gets stuck.  Wider networks rarely get stuck.
tries, solved, example = (8 if lesson.quick else 25), {}, None
lesson.say(f"\nhidden units   correct on all four, of {tries} initialisations")
for hidden in (2, 3, 4, 8):
    count = 0
    for start_number in range(tries):
        xpnet.manual_seed(lesson.seed + start_number)
        model = mlp(hidden)
        losses = train(model, steps)
        count += right(model) == 4
        if hidden == 2 and (example is None or losses[-1] < example[1][-1]):
            example = model, losses
    solved[hidden] = count
    lesson.say(f"{hidden:12}   {count:3}")

# 3. The hidden space of the best two-unit network: where the first layer maps the four points.  For XOR one number is
# enough, x₁ + x₂ (1 or not?) or x₁ - x₂ (0 or not?); which one is found depends on the initial weights.  Two of the
# four points are mapped to the same place, and the whole input square to a bent curve, which a line can cut twice.
model, losses = example
first, last = model[0], model[2]
with xpnet.no_grad():
    hidden = first(x).tanh().numpy()
lesson.say("\nthe best network of two hidden units:\n  x1 x2    h1     h2    P(1)")
for point, h, logit in zip(X, hidden, answers(model, X)[:, 0], strict=True):
    lesson.say(f"  {point[0]:2.0f} {point[1]:2.0f}  {h[0]:6.2f} {h[1]:6.2f}  {1 / (1 + np.exp(-logit)):6.3f}")


def spaces():
    """Input space of one layer, of two, and the hidden space in between."""
    figure, axes = plot.panels(["One layer: impossible", "Two layers: input space", "Two layers: hidden space"])
    names = ["XOR = 0", "XOR = 1"]
    plot.decision_boundary(lambda p: answers(one, p), X, Y, level=0, names=names, axes=axes[0], margin=0.4)
    plot.decision_boundary(lambda p: answers(model, p), X, Y, level=0, names=names, axes=axes[1], margin=0.4)
    v, b = last.weight.numpy()[0], last.bias.numpy()[0]
    plot.decision_boundary(lambda h: h @ v + b, hidden, Y, level=0, names=names, axes=axes[2], margin=0.4)
    mesh = np.linspace(0, 1, 41)
    for level in np.linspace(0, 1, 9):  # grid lines of the input square, mapped by the first layer
        for points in (np.stack([mesh, 0 * mesh + level], 1), np.stack([0 * mesh + level, mesh], 1)):
            with xpnet.no_grad():
                bent = first(backend.asarray(points.astype(np.float32))).tanh().numpy()
            axes[1].plot(*points.T, color="#6B6B6B", linewidth=0.4)
            axes[2].plot(*bent.T, color="#6B6B6B", linewidth=0.4)
    for one_of_them, (across, up) in zip(axes, [("x₁", "x₂"), ("x₁", "x₂"), ("h₁", "h₂")], strict=True):
        one_of_them.set(xlabel=across, ylabel=up)
    return figure


lesson.draw("spaces", spaces)
curves, heading = {"one layer": one_losses, "two layers": losses}, "XOR: one layer stays at ln 2"
lesson.draw("loss", lambda: plot.lines(curves, xlabel="step", ylabel="loss", xscale="log", heading=heading))
found = {"one_layer_loss": one_losses[-1], "two_layer_loss": losses[-1], "two_layer_right": right(model)}
lesson.finish(found | {"best_random_line": best, "starts": tries, "solved": solved})
