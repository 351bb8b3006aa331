"""Too few examples: what keeps a network from learning them by heart.

What is learned: a large network that has seen 200 digits knows all 200 and is wrong on every tenth new one.  The gap
between the two is what L1, L2, dropout, batch normalisation, early stopping and augmentation are for; here they are
side by side, each with the same data, the same network, the same number of steps, and several seeds.

How it is measured: training and validation loss and accuracy are both taken in evaluation mode (dropout off, batch
statistics frozen); measured while dropout is on, the training part looks worse than it is, and the gap too small.
The strengths below were chosen on the validation part of other seeds; the test part is for the table only.

python examples/09_regularisation.py                        scikit-learn's 1,797 digits of 8x8 pixels
python examples/09_regularisation.py --data-dir FOLDER      MNIST's four IDX files: the test is 10,000 digits
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import xpnet
from xpnet import data, metrics, nn, optim, plot
from xpnet.data.augment import Compose, RandomAffine
from xpnet.lesson import start
from xpnet.nn.penalty import Penalty
from xpnet.train import Trainer


def add_options(parser):
    parser.add_argument("--data-dir", metavar="DIR", help="folder with MNIST's four files")
    parser.add_argument("--images", type=int, default=200, metavar="N", help="to learn from (default: 200)")
    parser.add_argument("--seeds", type=int, metavar="N", help="runs to average (default: 5)")


lesson = start(__doc__, __file__, add_options)
options = lesson.options
seeds = options.seeds or (2 if lesson.quick else 5)
epochs, aside = (8, 100) if lesson.quick else (60, 300)


def digits():
    if options.data_dir:
        return data.load_mnist(options.data_dir, download=False)
    return data.load_digits()


pool, test = lesson.load(digits, digits)
if not 20 <= options.images <= len(pool) - aside:
    raise SystemExit(f"{lesson.name}: error: --images must lie in 20..{len(pool) - aside}, got {options.images}")
pixels = pool.inputs[0].size


@dataclass
class Method:
    """What is done against learning by heart; None and False are nothing."""

    dropout: float = 0.0
    batch_norm: bool = False
    penalty: Penalty | None = None
    augment: RandomAffine | None = None
    early: bool = False


turned = RandomAffine(degrees=12, translate=(0.08, 0.08), scale=(0.9, 1.1))
METHODS = {
    "nothing": Method(),
    "L1": Method(penalty=Penalty(l1=3e-4)),
    "L2": Method(penalty=Penalty(l2=3e-3)),
    "dropout": Method(dropout=0.5),
    "batch norm": Method(batch_norm=True),
    "early stopping": Method(early=True),
    "augmentation": Method(augment=turned),
    "dropout + augmentation": Method(dropout=0.3, augment=turned),
}


def network(method):
    def hidden(inputs):  # nn.Dropout divides what it keeps by 1 - p, so that nothing changes when it is off
        yield nn.Linear(inputs, 256)
        if method.batch_norm:
            yield nn.BatchNorm1d(256)
        yield nn.ReLU()
        if method.dropout:
            yield nn.Dropout(method.dropout)

    return nn.Sequential(nn.Flatten(), *hidden(pixels), *hidden(256), nn.Linear(256, 10))


def run(method, seed):
    """Train once.  Returns the history, and accuracies and losses of training, validation and test at its end."""
    xpnet.manual_seed(seed)
    few, rest = data.train_val_split(pool, len(pool) - options.images, seed)  # other images for each seed
    val = data.train_val_split(rest, aside, seed)[1]
    normalise = data.Normalize.fit(data.to_float(few.inputs))
    train, val, final = (data.ArrayDataset(data.to_float(p.inputs)[:, None], p.targets) for p in (few, val, test))
    steps = [normalise] if method.augment is None else [method.augment, normalise]  # turned on black, then normalised
    loader = data.DataLoader(train, 20, shuffle=True, transform=Compose(steps))
    train, val, final = (data.ArrayDataset(normalise(part.inputs), part.targets) for part in (train, val, final))
    model = network(method)
    optimizer = optim.Adam(model.named_parameters(), lr=1e-3)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, penalty=method.penalty,
                      metrics={"accuracy": metrics.accuracy})  # fmt: skip
    history, best, weights = {"epoch": [], "train_loss": [], "val_loss": []}, np.inf, None
    for epoch in range(1, epochs + 1):
        trainer.fit(loader, epochs=epoch)  # one more
        found = trainer.evaluate(train)["loss"], trainer.evaluate(val)["loss"]  # both in evaluation mode
        for name, value in zip(history, (epoch, *found), strict=True):
            history[name].append(value)
        if method.early and found[1] < best:
            best, weights = found[1], {name: array.copy() for name, array in model.state_dict().items()}
    if weights is not None:  # back to the epoch that was best on the validation part
        model.load_state_dict(weights)
    return history, {name: trainer.evaluate(part) for name, part in (("train", train), ("val", val), ("test", final))}


lesson.say(f"{options.images} images of {pool.name} to learn from, {aside} for validation, {len(test)} for the test;")
lesson.say(f"{pixels}-256-256-10, {epochs} epochs, mean of {seeds} seeds (± standard error)\n")
lesson.say(f"{'':24}{'training':>9}{'validation':>12}{'gap':>8}{'gap of loss':>13}{'test':>9}")
table, histories = {}, {}
for name, method in METHODS.items():
    runs = [run(method, lesson.seed + i) for i in range(seeds)]
    histories[name] = {column: np.mean([h[column] for h, _ in runs], axis=0) for column in runs[0][0]}
    mean = {f"{part}_{what}": float(np.mean([scores[part][what] for _, scores in runs]))
            for part in ("train", "val", "test") for what in ("accuracy", "loss")}  # fmt: skip
    mean["gap"] = mean["train_accuracy"] - mean["val_accuracy"]
    mean["gap_of_loss"] = mean["val_loss"] - mean["train_loss"]
    tests = [scores["test"]["accuracy"] for _, scores in runs]
    mean["test_error_of_mean"] = float(np.std(tests, ddof=1) / np.sqrt(seeds)) if seeds > 1 else 0.0
    table[name] = mean
    lesson.say(
        f"{name:24}{mean['train_accuracy']:9.1%}{mean['val_accuracy']:12.1%}{mean['gap']:8.1%}"
        f"{mean['gap_of_loss']:13.3f}{mean['test_accuracy']:9.1%} ± {mean['test_error_of_mean']:.1%}"
    )

plain, dropped = table["nothing"], table["dropout"]
lesson.say(
    f"\ndropout: the gap goes from {plain['gap']:.1%} to {dropped['gap']:.1%} (of loss from {plain['gap_of_loss']:.3f} "
    f"to {dropped['gap_of_loss']:.3f}), test accuracy from {plain['test_accuracy']:.1%} to {dropped['test_accuracy']:.1%}"
)
lesson.draw("gaps", lambda: plot.gaps(histories))
lesson.finish({"images": options.images, "seeds": seeds, "epochs": epochs, "methods": table})
