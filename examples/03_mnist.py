"""Handwritten digits three times: by hand in rows, by hand in columns, and with layers.

Why: a network of two layers needs only matrix products and one formula a line, and nothing of it is hidden here.
Look at: the shape of each variable, that the library's tape finds the same gradients, and what more layers bring.

python examples/03_mnist.py --data-dir FOLDER        the four IDX files of MNIST (also found in XPNET_DATA)
python examples/03_mnist.py --csv train.csv.gz       Kaggle's digit recognizer: label,pixel0,...,pixel783
python examples/03_mnist.py                          neither: scikit-learn's 1,797 digits of 8x8 pixels
"""

from __future__ import annotations

import numpy as np

import xpnet
from xpnet import data, metrics, nn, ops, optim, plot
from xpnet.lesson import positive, start
from xpnet.nn import functional as F
from xpnet.train import Trainer


def add_options(parser):
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data-dir", metavar="DIR", help="folder with MNIST's four files")
    source.add_argument("--csv", metavar="FILE", help="digits as a table; a fifth is kept for the test")
    parser.add_argument("--epochs", type=positive, metavar="N", help="default: 10; 30 for few images")


lesson = start(__doc__, __file__, add_options)
options, xp = lesson.options, lesson.backend.xp


def read():
    if options.csv is None:
        return data.load_mnist(options.data_dir, download=False)
    table = data.read_digit_csv(options.csv)
    if table.targets is None:
        raise data.DataError(f"{options.csv} has no label column: there is nothing to learn from")
    return data.train_val_split(table, 0.2, lesson.seed)  # the test part is not used before the end


note = "MNIST was not found (--data-dir, XPNET_DATA): using scikit-learn's digits, 8x8 pixels, instead."
train, test = lesson.load(read, data.load_digits, note)
if lesson.quick:
    train, test = train.subset(slice(1000)), test.subset(slice(300))
x_train, x_test = (lesson.backend.asarray(data.to_float(part.inputs)) for part in (train, test))  # 0..1
x_train, x_test = x_train.reshape(len(train), -1), x_test.reshape(len(test), -1)
t_train, t_test = (lesson.backend.asarray(part.targets) for part in (train, test))
pixels, batch = x_train.shape[1], 64
epochs = options.epochs or (2 if lesson.quick else 10 if len(train) > 20_000 else 30)
lesson.say(f"{len(train)} training images, {len(test)} test images, {pixels} pixels each; {epochs} epochs")


def weights(rng, *shape, fan_in):  # He et al. 2015: preserves the variance of signals through ReLU
    return lesson.backend.asarray(rng.standard_normal(shape) * np.sqrt(2 / fan_in), "float32")


def batches(rng):  # every image once per epoch, in a new order each time
    order = lesson.backend.asarray(rng.permutation(len(train)))
    return (order[i : i + batch] for i in range(0, len(train), batch))


def accuracy(scores, labels):
    return float((scores.argmax(axis=1) == labels).mean())


# 1. By hand, one image per row: 784-128-10
rng = np.random.default_rng(lesson.seed)
W1, b1 = weights(rng, pixels, 128, fan_in=pixels), xp.zeros(128, "float32")
W2, b2 = weights(rng, 128, 10, fan_in=128), xp.zeros(10, "float32")


def rows(X, Y):
    """The loss of a batch X (m, pixels) with one-hot Y (m, 10), and its gradient for each parameter."""
    m = len(X)
    Z1 = X @ W1 + b1  # (m, 128)
    A1, relu_backward = ops.relu(xp, Z1)
    Z2 = A1 @ W2 + b2  # (m, 10)
    A2, _ = ops.softmax(xp, Z2)
    loss = -(Y * xp.log(A2 + 1e-12)).sum() / m
    dZ2 = (A2 - Y) / m  # softmax and cross-entropy together; the only division by m
    dW2, db2 = A1.T @ dZ2, dZ2.sum(axis=0)
    (dZ1,) = relu_backward(dZ2 @ W2.T)  # dA1 where Z1 > 0, else 0
    dW1, db1 = X.T @ dZ1, dZ1.sum(axis=0)
    return loss, (dW1, db1, dW2, db2)


# Check: the tape differentiates the same formula op by op, and must give the same gradients.
X, Y = x_train[:50], data.one_hot(t_train[:50], 10)
tape = [xpnet.Tensor(p, requires_grad=True) for p in (W1.copy(), b1.copy(), W2.copy(), b2.copy())]
F.cross_entropy((xpnet.Tensor(X) @ tape[0] + tape[1]).relu() @ tape[2] + tape[3], t_train[:50]).backward()
_, gradients = rows(X, Y)
difference = max(float(xp.abs(t.grad - ours).max()) for t, ours in zip(tape, gradients, strict=True))
lesson.say(f"\n1. By hand, {pixels}-128-10. The tape's gradients differ from ours by at most {difference:.1e}.")

for epoch in range(1, epochs + 1):
    for index in batches(rng):
        loss, gradients = rows(x_train[index], data.one_hot(t_train[index], 10))
        for parameter, gradient in zip((W1, b1, W2, b2), gradients, strict=True):
            parameter -= 0.1 * gradient  # in place: gradient descent
    by_hand = accuracy(xp.maximum(x_test @ W1 + b1, 0) @ W2 + b2, t_test)
    if epoch in (1, epochs):
        lesson.say(f"   epoch {epoch}: loss of the last batch {float(loss):.4f}, test accuracy {by_hand:.4f}")

# 2. By hand, one image per column: Z = W X + b, 784-10-10
W1, b1 = weights(rng, 10, pixels, fan_in=pixels), xp.zeros((10, 1), "float32")
W2, b2 = weights(rng, 10, 10, fan_in=10), xp.zeros((10, 1), "float32")


def columns(X, Y):
    """As ``rows``, transposed.  The gradient of a bias is the sum over the images (axis 1), not over everything."""
    m = X.shape[1]
    Z1 = W1 @ X + b1
    A1, relu_backward = ops.relu(xp, Z1)
    Z2 = W2 @ A1 + b2
    A2, _ = ops.softmax(xp, Z2, axis=0)
    loss = -(Y * xp.log(A2 + 1e-12)).sum() / m
    dZ2 = (A2 - Y) / m
    dW2, db2 = dZ2 @ A1.T, dZ2.sum(axis=1, keepdims=True)
    (dZ1,) = relu_backward(W2.T @ dZ2)
    dW1, db1 = dZ1 @ X.T, dZ1.sum(axis=1, keepdims=True)
    given = {"X": X, "Y": Y, "W1": W1, "b1": b1, "W2": W2, "b2": b2}
    forward = {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2, "L": loss}
    backward = {"dZ2": dZ2, "dW2": dW2, "db2": db2, "dZ1": dZ1, "dW1": dW1, "db1": db1}
    return given | forward | backward


MEANING = {
    "X": "images, one per column, pixels 0..1",
    "Y": "one-hot labels, one per column",
    "W1": "weights, a row for each hidden unit",
    "b1": "their biases",
    "Z1": "W1 X + b1",
    "A1": "max(Z1, 0)",
    "W2": "weights, a row for each digit",
    "b2": "their biases",
    "Z2": "W2 A1 + b2",
    "A2": "softmax of each column: probabilities",
    "L": "-1/m sum of ln A2 at the label",
    "dZ2": "(A2 - Y)/m",
    "dW2": "dZ2 A1'",
    "db2": "dZ2 summed over the images",
    "dZ1": "W2' dZ2 where Z1 > 0, else 0",
    "dW1": "dZ1 X'",
    "db1": "dZ1 summed over the images",
}
X, Y = x_train[:batch].T, data.one_hot(t_train[:batch], 10).T
lesson.say(f"\n2. By hand in columns, {pixels}-10-10; the variables of a batch of m = {batch}:")
for name, value in columns(X, Y).items():
    shape = " x ".join(str(size) for size in value.shape) or "a number"
    lesson.say(f"   {name:4}{shape:>10}  {MEANING[name]}")

for _ in range(epochs):
    for index in batches(rng):
        found = columns(x_train[index].T, data.one_hot(t_train[index], 10).T)
        for name in ("W1", "b1", "W2", "b2"):
            found[name] -= 0.1 * found[f"d{name}"]
in_columns = accuracy((W2 @ xp.maximum(W1 @ x_test.T + b1, 0) + b2).T, t_test)
lesson.say(f"   test accuracy {in_columns:.4f} with ten hidden units")

# 3. With layers: wider, dropout, Adam, a decreasing learning rate
model = nn.Sequential(
    nn.Linear(pixels, 512), nn.ReLU(), nn.Dropout(0.2), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10)
)
optimizer = optim.Adam(model.named_parameters(), lr=2e-3)
schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, scheduler=schedule, metrics={"accuracy": metrics.accuracy})
rest, aside = data.train_val_split(data.ArrayDataset(x_train, t_train), 0.1, lesson.seed)  # for the curves
history = trainer.fit(rest, val=aside, epochs=epochs, batch_size=128)
scores = trainer.predict(x_test)  # evaluation mode: dropout off
with_layers = accuracy(scores, t_test)
lesson.say(f"\n3. With layers, {pixels}-512-128-10: test accuracy {with_layers:.4f}")

# 4. The mistakes
p = lesson.backend.to_numpy(ops.softmax(xp, scores)[0])
predicted = p.argmax(axis=1)
wrong = np.flatnonzero(predicted != test.targets)
surest = wrong[np.argsort(-p[wrong].max(axis=1))][:24]
lesson.say(f"   {len(wrong)} of {len(test)} are wrong; the most confident ones are in mistakes.png")
if len(surest):
    shown = test.inputs[surest], test.targets[surest], predicted[surest], p[surest]
    lesson.draw("mistakes", lambda: plot.predictions(*shown))
matrix = metrics.confusion_matrix(test.targets, predicted, num_classes=10)
lesson.draw("confusion", lambda: plot.confusion(matrix, test.classes))
lesson.draw("curves", lambda: plot.curves(history.as_dict()))
about = {"data": train.name, "train_images": len(train), "test_images": len(test), "epochs": epochs}
accuracies = {"by_hand_accuracy": by_hand, "columns_accuracy": in_columns, "layers_accuracy": with_layers}
lesson.finish(about | accuracies | {"gradient_difference": difference, "mistakes": len(wrong)})
