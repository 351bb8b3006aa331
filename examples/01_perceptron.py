"""The perceptron (Rosenblatt 1958): a line that learns from its mistakes.

Why: it is the oldest learning rule, and one whose success can be proved where a line separates the classes.
Look at: how few mistakes it makes on two separable species, and that it never stops where two species overlap.

A perceptron says +1 where w·x > 0, else −1.  It looks at one flower after the other, and changes only on a mistake:

    w ← w + y x          y is +1 or −1, the correct answer

so that y w·x grows by |x|².  If a line separates the classes, it stops after at most (R/γ)² mistakes: R is the length
of the longest x, γ the largest margin of any line (Novikoff 1962).  If no line does, it never stops.  The example shows
both cases, on two pairs of iris species; the inputs are the length and width of the petals.
"""

from __future__ import annotations

import numpy as np

from xpnet import data, plot
from xpnet.lesson import start

PETALS = ["petal length (cm)", "petal width (cm)"]
SEPALS = ["sepal length (cm)", "sepal width (cm)"]

lesson = start(__doc__, __file__)
xp = lesson.backend.xp
rng = np.random.default_rng(lesson.seed)
iris = data.embedded_table("iris")  # Fisher's 150 flowers come with scikit-learn: no network needed
species = np.array(iris["species"])


def flowers(first, second, columns=PETALS, standardise=False):
    """Two measurements of two species, with a leading 1 (its weight is the bias), and the targets −1 and +1."""
    chosen = (species == first) | (species == second)
    lengths = np.array([iris[column] for column in columns], dtype=float).T[chosen]
    if standardise:
        lengths = (lengths - lengths.mean(axis=0)) / lengths.std(axis=0)
    return np.column_stack([np.ones(len(lengths)), lengths]), np.where(species[chosen] == second, 1.0, -1.0)


def perceptron(x, y, epochs):
    """Rosenblatt's rule by hand.  Returns w after each mistake, and the number of mistakes in each pass."""
    x, y = lesson.backend.asarray(x), lesson.backend.asarray(y)
    w = xp.zeros(3)
    history, mistakes = [w], []
    for _ in range(epochs):
        before = len(history)
        for i in rng.permutation(len(y)).tolist():
            if y[i] * (w @ x[i]) <= 0:  # wrong, or on the line
                w = w + y[i] * x[i]
                history.append(w)
        mistakes.append(len(history) - before)
        if mistakes[-1] == 0:  # a whole pass without a mistake: it has converged, and would never change again
            break
    return np.stack([lesson.backend.to_numpy(w) for w in history]), mistakes


def count_mistakes(x, y, orders, passes):
    """The same rule for many orders of the flowers at once, one row of w per order.  Returns the mistakes of each."""
    x, y = lesson.backend.asarray(x), lesson.backend.asarray(y)
    w, mistakes = xp.zeros((len(orders), 3)), xp.zeros(len(orders))
    for _ in range(passes):
        before = float(mistakes.sum())
        for places in lesson.backend.asarray(orders.T):
            chosen, answer = x[places], y[places]
            wrong = answer * (w * chosen).sum(axis=1) <= 0
            w += (wrong * answer)[:, None] * chosen
            mistakes += wrong
        if float(mistakes.sum()) == before:
            return lesson.backend.to_numpy(mistakes)
    raise RuntimeError(f"not converged after {passes} passes: are the classes separable?")


def widest_margin(x, y, steps=20_000):
    """γ: the distance of the convex hull of all y x from the origin (Mitchell, Demyanov, Malozemov 1974: move weight α
    to the flower with the smallest margin, from the one with the largest margin that has weight).
    """
    points = x * y[:, None]
    alpha = np.full(len(y), 1 / len(y))
    for _ in range(steps):
        w = alpha @ points
        margins = points @ w
        worst, best = margins.argmin(), np.where(alpha > 0, margins, -np.inf).argmax()
        step = points[worst] - points[best]
        share = np.clip(-(w @ step) / max(step @ step, 1e-30), 0, alpha[best])
        alpha[worst] += share
        alpha[best] -= share
    return margins.min() / np.linalg.norm(w)  # the margin of an actual line: the bound is valid even if not converged


def draw(x, y, w, names, heading):
    """The flowers and the line w·x = 0."""
    xlabel, ylabel = PETALS
    return plot.decision_boundary(
        lambda p: w[0] + p @ w[1:],
        x[:, 1:],
        y > 0,
        level=0.0,
        names=names,
        heading=heading,
        xlabel=xlabel,
        ylabel=ylabel,
        resolution=80,
    )


# 1. Separable: setosa and versicolor.  It converges.
names = ["setosa", "versicolor"]
x, y = flowers(*names)
history, mistakes = perceptron(x, y, epochs=100)
lesson.say(f"setosa and versicolor: {sum(mistakes)} mistakes, then a pass of {len(y)} flowers without one")

# No order of the flowers can give more mistakes than the bound.  This is checked for many orders, and on other inputs.
# Inputs far from the origin have a large R and a small γ, so standardising helps; a narrow gap costs the most mistakes.
inputs = {
    "petals in cm": flowers(*names),
    "petals, standardised": flowers(*names, standardise=True),
    "sepals, standardised": flowers(*names, SEPALS, standardise=True),
    "sepals in cm": flowers(*names, SEPALS),
}
number_of_orders = 20 if lesson.quick else 1000
found = {}
lesson.say(f"\n{'':24}{'R':>6}{'margin γ':>10}{'(R/γ)²':>9}   mistakes: fewest, mean, most")
for name, (vectors, answers) in inputs.items():
    R, gamma = np.linalg.norm(vectors, axis=1).max(), widest_margin(vectors, answers)
    bound = (R / gamma) ** 2
    orders = np.stack([rng.permutation(len(answers)) for _ in range(number_of_orders)])
    counts = count_mistakes(vectors, answers, orders, passes=2000)
    of_mistakes = f"{counts.min():.0f}, {counts.mean():.1f}, {counts.max():.0f} in {number_of_orders} orders"
    lesson.say(f"{name:24}{R:6.2f}{gamma:10.3f}{bound:9.1f}   {of_mistakes}")
    assert counts.max() <= bound, "the theorem does not hold?"
    found[name] = {"radius": R, "margin": gamma, "bound": bound, "most": counts.max(), "mean": counts.mean()}

# 2. Not separable: versicolor and virginica overlap, and w never converges.  Each species has one flower with petals of
# exactly 4.8 by 1.8 cm, and no line separates those two.
names2 = ["versicolor", "virginica"]
x2, y2 = flowers(*names2)
history2, mistakes2 = perceptron(x2, y2, epochs=30 if lesson.quick else 300)
errors = ((history2[1:] @ x2.T) * y2 <= 0).sum(axis=1)  # flowers on the wrong side, after each change
lesson.say(f"\nversicolor and virginica: still {mistakes2[-1]} mistakes in pass {len(mistakes2)}; it will never stop")

# So which w should be kept?  Not the last one, but the best so far, the "pocket" (Gallant 1990).
pocket = errors.argmin()
lately = errors[-50:]
lesson.say(f"misclassified, of {len(y2)}: {errors[-1]} with the last w, {errors[pocket]} with the best,")
lesson.say(f"{lately.min()} to {lately.max()} with the last 50")

# 3. Pictures.
lesson.draw("separable", lambda: draw(x, y, history[-1], names, f"Converged after {sum(mistakes)} mistakes"))
lesson.draw("overlapping", lambda: draw(x2, y2, history2[1 + pocket], names2, f"The pocket: {errors[pocket]} wrong"))
ends = np.cumsum(mistakes2) - 1  # the last change of each pass
curves = {"w after each pass": errors[ends], "the pocket": np.minimum.accumulate(errors)[ends]}
heading, ylabel = "Classes that overlap", f"flowers on the wrong side, of {len(y2)}"
lesson.draw("errors", lambda: plot.lines(curves, xlabel="pass", ylabel=ylabel, heading=heading))
films = {"separable": (x, y, history, names), "overlapping": (x2, y2, history2, names2)}
for kind, (vectors, answers, path, classes) in films.items():
    shown = np.unique(np.linspace(1, len(path) - 1, 4 if lesson.quick else 30).astype(int))
    frames = (draw(vectors, answers, path[k], classes, f"{kind.title()}: after mistake {k}") for k in shown)
    lesson.animate(kind, frames, seconds=0.3)
overlapping = {"passes": len(mistakes2), "wrong_last": errors[-1], "wrong_pocket": errors[pocket]}
lesson.finish({"mistakes": sum(mistakes), "passes": len(mistakes), "bounds": found, "overlapping": overlapping})
