"""Train a convolutional network: the whole loop on one page, without the Trainer.

Why: all that training needs, forward, backward and step, is here in plain sight.
Look at: the test accuracy after each epoch, and the few lines of the loop that produce it.

python examples/train_cnn.py --backend numpy --dataset digits
python examples/train_cnn.py --backend cupy --dataset cifar10 --data-dir FOLDER
"""

from __future__ import annotations

import time

import xpnet
from xpnet import data, nn, optim
from xpnet.data.augment import RandomCrop
from xpnet.lesson import positive, start
from xpnet.nn import functional as F

READ = {"mnist": data.load_mnist, "cifar10": data.load_cifar10, "digits": lambda folder: data.load_digits()}


def add_options(parser):
    parser.add_argument("--dataset", default="mnist", choices=sorted(READ))
    parser.add_argument("--data-dir", metavar="DIR", help="folder with the files (default: XPNET_DATA)")
    parser.add_argument("--epochs", type=positive, default=3, metavar="N", help="default: 3")
    parser.add_argument("--batch-size", type=positive, default=64, metavar="N", help="default: 64")
    parser.add_argument("--lr", type=float, default=2e-3, help="the learning rate (default: 0.002)")


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


def images(part):  # (N, C, H, W) in 0..1
    x = data.to_float(part.inputs)
    return x if x.ndim == 4 else x[:, None]


normalise = data.Normalize.fit(images(train), axis=(0, 2, 3))  # per channel, from the training images only
x_train, x_test = normalise(images(train)), backend.asarray(normalise(images(test)))
shift = RandomCrop(padding=x_train.shape[-1] // 8, padding_mode="edge")  # on the backend, new each epoch
loader = data.DataLoader(data.ArrayDataset(x_train, train.targets), options.batch_size, shuffle=True, transform=shift)

channels, classes = x_train.shape[1], len(train.classes)
model = nn.Sequential(
    nn.Conv2d(channels, 16, 3, padding=1, bias=False),  # no bias: the normalisation has its own shift
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1, bias=False),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),  # the mean of each map: 64 numbers, whatever the size of the image
    nn.Flatten(),
    nn.Linear(64, classes),
)
optimizer = optim.Adam(model.named_parameters(), lr=options.lr)
lesson.say(f"{model.summary((options.batch_size, *x_train.shape[1:]))}\non {backend.name}")


def predict(x, batch_size=500):  # in batches: the maps of all test images at once need too much memory
    model.eval()  # batch normalisation uses its running statistics
    with xpnet.no_grad():
        found = [model(x[i : i + batch_size]).argmax(axis=1).data for i in range(0, len(x), batch_size)]
    model.train()
    return backend.to_numpy(backend.xp.concatenate(found))


for epoch in range(1, epochs + 1):
    started = time.perf_counter()
    for x, labels in loader:
        loss = F.cross_entropy(model(x), labels)  # forward: the tape records every op
        optimizer.zero_grad()
        loss.backward()  # backward: the tape is traversed from the loss to the kernels
        optimizer.step()
    seconds = time.perf_counter() - started
    accuracy = (predict(x_test) == test.targets).mean()
    lesson.say(f"epoch {epoch}: last batch's loss {loss.item():.4f}, test accuracy {accuracy:.4f}, {seconds:.1f} s")

lesson.finish({"data": train.name, "epochs": epochs, "test_accuracy": accuracy})
