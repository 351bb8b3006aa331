"""Train a small network on MNIST: the whole loop on one page, without the Trainer.

python examples/train_mnist.py --backend numpy
python examples/train_mnist.py --backend cupy --epochs 10
"""

from __future__ import annotations

import argparse
import time

import xpnet
from xpnet import data, nn, optim
from xpnet.nn import functional as F

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--backend", default="auto", help="numpy, cupy or auto")
parser.add_argument("--dataset", default="mnist", choices=["mnist", "digits"])
parser.add_argument("--data-dir", help="folder with the MNIST files (default: XPNET_DATA, cache, download)")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--batch-size", type=int, default=64)
parser.add_argument("--lr", type=float, default=1e-3)
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()

xpnet.use(backend=arguments.backend)
xpnet.manual_seed(arguments.seed)
backend = xpnet.get_backend()

train, test = data.load_mnist(arguments.data_dir) if arguments.dataset == "mnist" else data.load_digits()
normalise = data.Normalize.fit(data.to_float(train.inputs))  # mean and deviation of the training pixels only
x_train, x_test = normalise(data.to_float(train.inputs)), normalise(data.to_float(test.inputs))
loader = data.DataLoader(data.ArrayDataset(x_train, train.targets), arguments.batch_size, shuffle=True)

pixels = x_train[0].size
model = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 128), nn.ReLU(), nn.Linear(128, 10))
optimizer = optim.Adam(model.named_parameters(), lr=arguments.lr)
print(model.summary((arguments.batch_size, *x_train.shape[1:])), f"\non {backend.name}")

for epoch in range(1, arguments.epochs + 1):
    started = time.perf_counter()
    for x, labels in loader:
        loss = F.cross_entropy(model(x), labels)  # forward: the tape records every op
        optimizer.zero_grad()
        loss.backward()  # backward: the tape is walked from the loss to the weights
        optimizer.step()
    seconds = time.perf_counter() - started

    with xpnet.no_grad():
        predicted = model(backend.asarray(x_test)).argmax(axis=1).numpy()
    accuracy = (predicted == test.targets).mean()
    print(f"epoch {epoch}: last batch's loss {loss.item():.4f}, test accuracy {accuracy:.4f}, {seconds:.1f} s")
