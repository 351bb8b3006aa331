"""Activation functions: their shapes, and what the shapes do to training.

Why: on the way back the gradient is multiplied by their slope in every layer, so the slope decides what can be trained.
Look at: how the gradient fades through 20 layers (depth.png), and the accuracy with 2 and with 12 hidden layers.

Without one between them, two linear layers are one linear layer.  What makes a good one is mostly its slope: on the way
back, the gradient is multiplied by it in every layer.  So four things are measured on eight functions, and at the end
stands when to use which:

    slope         the largest slope, and the share of inputs where it is nearly flat (saturated) and passes no gradient
    depth         how large the gradient of each of 20 layers is
    dead units    ReLU units that are 0 for every sample: they get no gradient, so they never recover
    accuracy      on digits, with 2 and with 12 hidden layers, each with its best learning rate
"""

from __future__ import annotations

import numpy as np

import xpnet
from xpnet import data, nn, optim, plot
from xpnet.lesson import start
from xpnet.nn import functional as F

lesson = start(__doc__, __file__)
backend = lesson.backend
FUNCTIONS = {
    "Identity": nn.Identity, "Sigmoid": nn.Sigmoid, "Tanh": nn.Tanh, "ReLU": nn.ReLU, "LeakyReLU": nn.LeakyReLU,
    "ELU": nn.ELU, "GELU": nn.GELU, "SiLU": nn.SiLU,
}  # fmt: skip

digits, test = data.load_digits()
digits, validation = data.train_val_split(digits, 0.2)  # learning rates are chosen on this part, never on the test data
scale = data.Normalize.fit(data.to_float(digits.inputs))  # from the training part only
parts = (digits, validation, test)
x, x_val, x_test = (backend.asarray(scale(data.to_float(part.inputs)).reshape(-1, 64)) for part in parts)
y, y_val, y_test = (backend.asarray(part.targets) for part in parts)


def network(activation, hidden, width=64):
    """64 - width × hidden - 10, with suitable initial weights: He for ReLU and similar functions, Xavier otherwise."""
    layers = []
    for i in range(hidden):
        layers += [nn.Linear(64 if i == 0 else width, width), activation()]
    model = nn.Sequential(*layers, nn.Linear(width if hidden else 64, 10))
    for layer in linear_layers(model):
        if activation in (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        else:
            nn.init.xavier_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
    return model


def linear_layers(model):
    return [layer for layer in model if isinstance(layer, nn.Linear)]


def train(model, lr, epochs):
    """SGD with momentum.  Gradients are clipped, so that too high a rate gives a poor result and not NaN."""
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for _ in range(epochs):
        for inputs, labels in data.DataLoader(data.ArrayDataset(x, y), 64, shuffle=True):
            loss = F.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
    return model


def accuracy(model, inputs, labels):
    with xpnet.no_grad():
        return float((model(inputs).data.argmax(axis=1) == labels).mean())


# 1. Shapes and slopes.  The slope comes from the tape: the gradient of a sum is each element's own derivative.
def slope(activation, points):
    points = xpnet.tensor(points, requires_grad=True, backend=backend)
    values = activation()(points)
    values.sum().backward()
    return values.numpy(), backend.to_numpy(points.grad)


line = np.linspace(-5, 5, 401, dtype=np.float32)
normal = np.random.default_rng(lesson.seed).normal(size=100_000).astype(np.float32)
shapes, slopes = {}, {}
lesson.say("          largest slope   nearly flat (below 0.05) for inputs ~ N(0, 9)   mean output for inputs ~ N(0, 1)")
for name, activation in FUNCTIONS.items():
    values, steep = slope(activation, line)
    flat = float((np.abs(slope(activation, 3 * normal)[1]) < 0.05).mean())
    shapes[name] = values, steep
    slopes[name] = {"largest": steep.max(), "flat": flat, "mean": slope(activation, normal)[0].mean()}
    lesson.say(f"{name:10}{steep.max():14.2f}{flat:29.0%}{slopes[name]['mean']:37.2f}")

# 2. Depth: the gradient at each of 20 layers, before training.
gradients = {}
for name, activation in FUNCTIONS.items():
    xpnet.manual_seed(lesson.seed)
    model, arrived = network(activation, 20), []
    for layer in linear_layers(model)[:-1]:
        layer.register_full_backward_hook(lambda layer, dx, dz, to=arrived: to.append(dz[0]))
    F.cross_entropy(model(x[:256]), y[:256]).backward()
    gradients[name] = [float((dz**2).mean()) ** 0.5 for dz in reversed(arrived)]  # the last layer's came first
lesson.say("\nhow many times smaller the gradient of the first of 20 layers is than that of the last:")
shrinks = {name: values[-1] / values[0] for name, values in gradients.items()}
lesson.say(", ".join(f"{name} {shrink:.2g}" for name, shrink in shrinks.items()))

# 3. Dead units: too large a step can make a unit negative for every sample.  ReLU then stays flat for all of them.
epochs = 2 if lesson.quick else 15
dead = {}
lesson.say(
    "\nhidden units with the same output for every digit, after training with a good rate and with too high a rate:"
)
for name in ("ReLU", "LeakyReLU", "GELU", "Tanh"):
    for lr in (0.05, 1.0):
        xpnet.manual_seed(lesson.seed)
        model = train(network(FUNCTIONS[name], 2), lr, epochs)
        with xpnet.no_grad():
            outputs = [model[:2](x).data, model[:4](x).data]
        share = float(np.mean([float((out.max(axis=0) - out.min(axis=0) < 1e-6).mean()) for out in outputs]))
        dead.setdefault(name, {})[str(lr)] = share
    lesson.say(f"  {name:10} " + ", ".join(f"rate {lr}: {share:5.1%}" for lr, share in dead[name].items()))

# 4. Accuracy.  Each function gets the rate that is best on the validation part, and is then tested with other seeds.
rates, seeds = ((0.02,), 1) if lesson.quick else ((0.003, 0.01, 0.03, 0.1), 3)
found = {}
lesson.say(f"\ntest accuracy, mean of {seeds} seeds     2 hidden layers      12 hidden layers")
for name, activation in FUNCTIONS.items():
    row = {}
    for hidden in (2, 12):
        scores = []
        for lr in rates:
            xpnet.manual_seed(lesson.seed)
            scores.append(accuracy(train(network(activation, hidden), lr, epochs), x_val, y_val))
        best, tests = rates[int(np.argmax(scores))], []
        for k in range(seeds):
            xpnet.manual_seed(lesson.seed + 1 + k)
            tests.append(accuracy(train(network(activation, hidden), best, epochs), x_test, y_test))
        row[hidden] = {"rate": best, "accuracy": np.mean(tests), "deviation": np.std(tests)}
    found[name] = row
    lesson.say(f"{name:33}" + "".join(f"{r['accuracy']:7.1%} (rate {r['rate']:5})  " for r in row.values()))

lesson.say("""
Which to use when (from the figures above and general experience):
  ReLU the default for hidden layers: cheap, no saturation above 0; use He initialisation and a moderate rate.
  LeakyReLU, ELU if units die: a slope below 0 lets them recover. GELU, SiLU smooth variants of ReLU: the default in
  transformers and many newer networks, at a higher cost. Tanh recurrent networks, bounded outputs; zero-centred, but
  flat outside of -2..2. Sigmoid outputs that are probabilities, and gates; not in hidden layers: its slope is at most
  1/4. Identity the output layer of a regression; between layers it adds nothing.""")


def draw_shapes():
    figure, axes = plot.panels([*FUNCTIONS], width=2.6, height=2.3)
    for one, (values, steep) in zip(axes, shapes.values(), strict=True):
        plot.lines({"f": values, "f′": steep}, x=line, ylim=(-1.6, 3.2), xlabel="z", ylabel="f(z), f′(z)", axes=one)
    return figure


lesson.draw("shapes", draw_shapes)
heading, ylabel = "Gradients through 20 layers, before training", "gradient at the layer, RMS"
lesson.draw("depth", lambda: plot.lines(gradients, yscale="log", xlabel="layer", ylabel=ylabel, heading=heading))
lesson.finish({"slopes": slopes, "first_to_last": shrinks, "dead": dead, "accuracy": found})
