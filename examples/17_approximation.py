"""What a network can represent, and how deep it can be before its signals vanish.

Why: that weights exist which solve a problem does not mean that training finds them; both are measured.
Look at: the trained error beside the constructed one, and how the variance changes through thirty layers.

Universal approximation: with enough hidden units one layer comes as close to any continuous function as you like
(Cybenko 1989; Hornik 1991).  For ReLU in one dimension it can be written down: a network of one unit for each of n
knots draws straight lines between them, which is off by at most h²/8 · max|f″|, h being the distance of knots.  That
such weights exist does not mean that training finds them: both are shown.

Depth against width: a tent function composed k times has 2ᵏ linear pieces.  k layers need 2k units for it, one layer
needs 2ᵏ (Telgarsky 2015, arXiv:1509.08101), because each layer doubles the number of pieces.

But signals must pass through all layers.  Each layer multiplies the variance of its signal by a factor, thirty layers
thirty times.  The initialisation of Glorot & Bengio (2010, "Xavier") makes this factor 1 for tanh near 0, that of He et
al. (2015) for ReLU, which sets half of its inputs to 0.
"""

from __future__ import annotations

import numpy as np

import xpnet
from xpnet import data, explore, nn, optim, plot
from xpnet.lesson import start
from xpnet.nn import functional as F
from xpnet.optim import lr_scheduler

lesson = start(__doc__, __file__)
backend = lesson.backend


def f(t):
    """The function to approximate on -1..1, with max|f″| = 36 + 8."""
    return np.sin(6 * t) + 0.5 * np.cos(4 * t)


line = np.linspace(-1, 1, 401)
column = backend.asarray(line[:, None].astype(np.float32))  # (401, 1)


def fits(model):
    """The model's outputs on the line, on the host."""
    with xpnet.no_grad():
        return model(column).numpy()[:, 0]


def one_layer(units):
    return nn.Sequential(nn.Linear(1, units), nn.ReLU(), nn.Linear(units, 1))


def constructed(units):
    """1 - units - 1 without training: each unit starts at a knot, and its weight is the change of slope there."""
    knots = np.linspace(-1, 1, units + 1)
    slopes = np.diff(f(knots)) / np.diff(knots)
    weights = {
        "0.weight": np.ones((units, 1)),
        "0.bias": -knots[:-1],
        "2.weight": np.diff(slopes, prepend=0)[None],
        "2.bias": [f(knots[0])],
    }
    model = one_layer(units)
    model.load_state_dict({name: np.asarray(value, dtype=np.float32) for name, value in weights.items()})
    return model


def train(model, inputs, targets, steps, lr=0.01):
    """Adam with a learning rate that decreases to 0."""
    optimizer = optim.Adam(model.parameters(), lr=lr)
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        loss = F.mse_loss(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


# 1. Universal approximation: the error against the number of hidden units.
steps = 300 if lesson.quick else 2500
widths = (4, 16, 64) if lesson.quick else (4, 8, 16, 32, 64, 128)
target = backend.asarray(f(line)[:, None].astype(np.float32))
errors, trained = {"constructed": [], "its bound": [], "trained": []}, {}
lesson.say("one hidden layer of ReLU: largest error on -1..1")
lesson.say("   units  constructed  its bound   trained (the best of three)")
for units in widths:
    tries = [train(one_layer(units), column, target, steps) for _ in range(1 if lesson.quick else 3)]
    trained[units] = min(tries, key=lambda model: abs(fits(model) - f(line)).max())
    by_knots = float(abs(fits(constructed(units)) - f(line)).max())
    by_training = float(abs(fits(trained[units]) - f(line)).max())
    bound = (2 / units) ** 2 / 8 * 44
    errors["constructed"].append(by_knots)
    errors["its bound"].append(bound)
    errors["trained"].append(by_training)
    lesson.say(f"{units:8}{by_knots:13.4f}{bound:11.4f}{by_training:10.4f}")


# 2. Depth against width.  tent(t) = relu(2t) − relu(4t − 2) on 0..1: up to 1 and down again.
saw_x = np.linspace(0, 1, 2**8 + 1, dtype=np.float32)[:, None]
saw_column = backend.asarray(saw_x)


def folded(k):
    """The composition of k tents on 0..1: 2k units of ReLU."""
    first, last = nn.Linear(1, 2), nn.Linear(2, 1)
    first.load_state_dict({"weight": np.float32([[2], [4]]), "bias": np.float32([0, -2])})
    last.load_state_dict({"weight": np.float32([[1, -1]]), "bias": np.float32([0])})
    with xpnet.no_grad():
        return nn.Sequential(*[first, nn.ReLU(), last] * k)(saw_column)


def count_pieces(values):
    """The number of linear pieces of a zigzag: changes of the slope's sign, plus one."""
    return 1 + int((np.diff(np.sign(np.diff(values))) != 0).sum())


lesson.say("\ncomposed tents: linear pieces, units, and the least number of units in one layer")
for k in (1, 2, 3, 4, 5):
    pieces = count_pieces(folded(k).numpy()[:, 0])
    lesson.say(f"  {pieces:2} pieces with {2 * k:2} units, one layer: {pieces}")

# One layer needs a unit for each bend, and one for the first slope.  Does training find it?  Wide and deep networks
# with about the same number of weights are trained on the 8 pieces of three tents.
NETS = {"1 layer of 160": [160], "2 layers of 21": [21, 21], "4 layers of 12": [12] * 4}
saw, saw_errors = folded(3), {}
starts, rates = (1, (0.01,)) if lesson.quick else (3, (0.003, 0.01))
for name, sizes in NETS.items():
    results = []
    for k in range(starts):
        for lr in rates:
            xpnet.manual_seed(lesson.seed + k)
            layers = []
            for before, after in zip([1, *sizes], sizes, strict=False):
                layers += [nn.Linear(before, after), nn.ReLU()]
            model = train(nn.Sequential(*layers, nn.Linear(sizes[-1], 1)), saw_column, saw.data, steps, lr)
            results.append(F.mse_loss(model(saw_column), saw).item())
    weights = sum(p.size for p in model.parameters())
    saw_errors[name] = {"weights": weights, "best": min(results), "median": float(np.median(results))}
    about = f"{np.median(results):.4f} (median), {min(results):.6f} (best of {len(results)})"
    lesson.say(f"  trained on 8 pieces, {name} ({weights} weights): mean squared error {about}")
lesson.say(
    f"  a constant would have {float(saw.numpy().var()):.4f}: training may not find what a network can represent"
)

# 3. Thirty layers of 128 units on digits: how much of the signal's and of the gradient's variance is left at the end.
digits, _ = data.load_digits()
pixels = data.to_float(digits.inputs).reshape(-1, 64)[:512]
x = backend.asarray((pixels - pixels.mean()) / pixels.std())
labels = backend.asarray(digits.targets[:512])
DEPTH, WIDTH = 30, 128
STARTS = {
    "too small: N(0, 0.05²)": lambda w: nn.init.normal_(w, std=0.05),
    "Xavier": nn.init.xavier_normal_,
    "He": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "too large: N(0, 0.2²)": lambda w: nn.init.normal_(w, std=0.2),
}


def deep(activation, fill):
    """Thirty layers and ten classes; the weights of the thirty are filled by ``fill``."""
    layers, before = [], 64
    for _ in range(DEPTH):
        layer = nn.Linear(before, WIDTH)
        fill(layer.weight)
        nn.init.zeros_(layer.bias)
        layers += [layer, activation()]
        before = WIDTH
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


spreads = {}
for name, activation in {"tanh": nn.Tanh, "ReLU": nn.ReLU}.items():
    lesson.say(f"\n{DEPTH} layers with {name}: the factor by which {DEPTH} layers change the variance")
    for way, fill in STARTS.items():
        xpnet.manual_seed(lesson.seed)
        up, down = explore.variance_by_depth(deep(activation, fill), x, lambda y: F.cross_entropy(y, labels))
        up, down = up[:DEPTH], down[:DEPTH]  # without the layer of the ten classes
        spreads[name, way] = up, down
        last, first = up[-1] / up[0], down[0] / down[-1]
        lesson.say(f"  {way:24} signal, forward {last:9.2g}    gradient, backward {first:9.2g}")


# 4. Pictures.
def draw_errors():
    heading = "The error of one hidden layer"
    log = {"xscale": "log", "yscale": "log"}
    return plot.lines(errors, x=widths, xlabel="hidden units", ylabel="largest error", heading=heading, **log)


def draw_fits():
    figure, axes = plot.panels([f"{units} units" for units in (4, 16, 64)], width=3.2, height=2.6)
    for one, units in zip(axes, (4, 16, 64), strict=True):
        curves = {"f": f(line), "knots": fits(constructed(units)), "trained": fits(trained[units])}
        plot.lines(curves, x=line, xlabel="t", ylabel="output", axes=one)
    return figure


def draw_saw():
    figure, axes = plot.panels([f"{2 * k} units: {2**k} pieces" for k in (1, 3, 5)], width=3.2, height=2.2)
    for one, k in zip(axes, (1, 3, 5), strict=True):
        plot.lines({"tents": folded(k).numpy()[:, 0]}, x=saw_x[:, 0], xlabel="t", ylabel="output", axes=one)
    return figure


def draw_variance():
    names = [(activation, way) for activation in ("tanh", "ReLU") for way in ("signal", "gradient")]
    figure, axes = plot.panels([f"{activation}: {way}" for activation, way in names], 5, 3, 2)
    for one, (activation, way) in zip(axes, names, strict=True):
        place = 0 if way == "signal" else 1
        curves = {start.partition(":")[0]: spreads[activation, start][place] for start in STARTS}
        plot.lines(curves, yscale="log", xlabel="layer", ylabel="variance", axes=one)
    return figure


lesson.draw("errors", draw_errors)
lesson.draw("fits", draw_fits)
lesson.draw("saw", draw_saw)
lesson.draw("variance", draw_variance)
changes = {
    f"{name}, {way}": {"signal": up[-1] / up[0], "gradient": down[0] / down[-1]}
    for (name, way), (up, down) in spreads.items()
}
lesson.finish({"widths": widths, "errors": errors, "saw": saw_errors, "variance": changes})
