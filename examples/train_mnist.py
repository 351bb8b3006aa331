"""Train a small network on MNIST: the whole loop on one page, without the Trainer.

Why: all that training needs, forward, backward and step, is here in plain sight.
Look at: the test accuracy after each epoch, and the few lines of the loop that produce it.

python examples/train_mnist.py --backend numpy
python examples/train_mnist.py --backend cupy --epochs 10
"""

from __future__ import annotations

import time

import xpnet
from xpnet import data, nn, optim
from xpnet.lesson import positive, start
from xpnet.nn import functional as F

READ = {"mnist": data.load_mnist, "digits": lambda folder: data.load_digits()}


def add_options(parser):
    parser.add_argument("--dataset", default="mnist", choices=sorted(READ))
    parser.add_argument(
        "--data-dir", metavar="DIR", help="folder with the four files (default: XPNET_DATA, cache, download)"
    )
    parser.add_argument("--epochs", type=positive, default=5, metavar="N", help="default: 5")
    parser.add_argument("--batch-size", type=positive, default=64, metavar="N", help="default: 64")
    parser.add_argument("--lr", type=float, default=1e-3, help="the learning rate (default: 0.001)")


lesson = start(__doc__, __file__, add_options)
options, backend = lesson.options, lesson.backend
epochs = 1 if lesson.quick else options.epochs
try:
    train, test = READ[options.dataset](options.data_dir)
except (data.DataError, OSError) as error:
    lesson.refuse(error)
if options.batch_size > len(train):
    lesson.refuse(f"--batch-size must be at most {len(train)}, got {options.batch_size}")
if not 0 < options.lr < float("inf"):
    lesson.refuse(f"--lr must be a number above 0, got {options.lr}")

normalise = data.Normalize.fit(data.to_float(train.inputs))  # mean and deviation of the training pixels only
x_train, x_test = normalise(data.to_float(train.inputs)), normalise(data.to_float(test.inputs))
loader = data.DataLoader(data.ArrayDataset(x_train, train.targets), options.batch_size, shuffle=True)

pixels = x_train[0].size
model = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = optim.Adam(model.named_parameters(), lr=options.lr)
lesson.say(f"{model.summary((options.batch_size, *x_train.shape[1:]))}\non {backend.name}")

for epoch in range(1, epochs + 1):
    started = time.perf_counter()
    for x, labels in loader:
        loss = F.cross_entropy(model(x), labels)  # forward: the tape records every op
        optimizer.zero_grad()
        loss.backward()  # backward: the tape is traversed from the loss to the weights
        optimizer.step()
    seconds = time.perf_counter() - started

    with xpnet.no_grad():
        predicted = model(backend.asarray(x_test)).argmax(axis=1).numpy()
    accuracy = (predicted == test.targets).mean()
    lesson.say(f"epoch {epoch}: last batch's loss {loss.item():.4f}, test accuracy {accuracy:.4f}, {seconds:.1f} s")

lesson.finish({"data": train.name, "epochs": epochs, "test_accuracy": accuracy})
