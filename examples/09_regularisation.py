"""Too few examples: what keeps a network from overfitting.

Why: a network that knows its 200 training digits by heart can still be wrong on new ones.
Look at: the gap between training and validation, with each of seven ways to make it smaller.

What is learned: a large network that has seen 200 digits knows all 200, and is wrong on 6 of 100 new ones.  The gap
between the two is what L1, L2, dropout, batch normalisation, early stopping and augmentation are for; here they are
side by side, each with the same data, the same network, as many epochs (early stopping: fewer), and several seeds.

Training and validation loss and accuracy are both measured in evaluation mode (dropout off, batch statistics frozen).
If dropout were on, the training figures would look worse than they are, and the gap too small.  The strengths of
dropout, L1 and L2 were chosen on the validation part of other seeds (a few values each), the others were guessed.  The
test part is used for the table only.

python examples/09_regularisation.py                        scikit-learn's 1,797 digits of 8x8 pixels
python examples/09_regularisation.py --data-dir FOLDER      MNIST's four IDX files
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import xpnet
from xpnet import data, metrics, nn, optim, plot
from xpnet.data.augment import Compose, RandomAffine
from xpnet.lesson import positive, start
from xpnet.nn.penalty import Penalty
from xpnet.train import EarlyStopping, Trainer


def add_options(parser):
    parser.add_argument("--data-dir", metavar="DIR", help="folder with MNIST's four files")
    parser.add_argument("--images", type=positive, default=200, metavar="N", help="training images (default: 200)")
    parser.add_argument("--seeds", type=positive, metavar="N", help="runs to average (default: 5)")


lesson = start(__doc__, __file__, add_options)
options = lesson.options
seeds = options.seeds or (2 if lesson.quick else 5)
epochs, aside = (5, 100) if lesson.quick else (100, 300)


def read():
    if options.data_dir is not None:
        return data.load_mnist(options.data_dir, download=False)[0]
    parts = data.load_digits()
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in ("inputs", "targets"))
    return data.ArrayDataset(*joined, name="digits")


pool = lesson.load(read, read)
if not 20 <= options.images <= len(pool) - aside:
    lesson.refuse(f"--images must lie in 20..{len(pool) - aside}, got {options.images}")
pixels = pool.inputs[0].size


@dataclass
class Method:
    """What is done against overfitting; None and False switch a method off."""

    dropout: tuple[float, float] = (0.0, 0.0)  # of the pixels, and of hidden units
    batch_norm: bool = False
    penalty: Penalty | None = None
    augment: RandomAffine | None = None
    early: bool = False


turned = RandomAffine(degrees=12, translate=(0.08, 0.08), scale=(0.9, 1.1))
METHODS = {
    "nothing": Method(),
    "L1": Method(penalty=Penalty(l1=3e-4)),
    "L2": Method(penalty=Penalty(l2=3e-3)),
    "dropout": Method(dropout=(0.2, 0.5)),
    "batch norm": Method(batch_norm=True),
    "early stopping": Method(early=True),
    "augmentation": Method(augment=turned),
    "dropout + augmentation": Method(dropout=(0.0, 0.3), augment=turned),
}


def network(method):
    """nn.Dropout divides the kept values by 1 - p to preserve the mean, so nothing is scaled when dropout is off."""
    of_pixels, of_units = method.dropout

    def hidden(inputs):
        norm = [nn.BatchNorm1d(256)] if method.batch_norm else []
        return [nn.Linear(inputs, 256), *norm, nn.ReLU(), nn.Dropout(of_units)]

    return nn.Sequential(nn.Flatten(), nn.Dropout(of_pixels), *hidden(pixels), *hidden(256), nn.Linear(256, 10))


def run(method, seed):
    """Train once.  Returns the history, and the final accuracies and losses of training, validation and test."""
    xpnet.manual_seed(seed)
    few, rest = data.train_val_split(pool, len(pool) - options.images, seed)  # different images for each seed
    rest, val = data.train_val_split(rest, aside, seed)
    test = rest.subset(slice(10_000))  # used neither for training nor for choosing
    normalise = data.Normalize.fit(data.to_float(few.inputs))
    train, val, final = (data.ArrayDataset(data.to_float(p.inputs)[:, None], p.targets) for p in (few, val, test))
    steps = [normalise] if method.augment is None else [method.augment, normalise]  # rotate on black, then normalise
    loader = data.DataLoader(train, 20, shuffle=True, transform=Compose(steps))
    train, val, final = (data.ArrayDataset(normalise(part.inputs), part.targets) for part in (train, val, final))
    model = network(method)
    optimizer = optim.Adam(model.named_parameters(), lr=1e-3)
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, penalty=method.penalty,
                      metrics={"accuracy": metrics.accuracy})  # fmt: skip
    history, stopping, best = {"epoch": [], "train_loss": [], "val_loss": []}, EarlyStopping(patience=10), {}
    for epoch in range(1, epochs + 1):
        trainer.fit(loader, epochs=epoch, verbose=0)  # one more
        found = trainer.evaluate(train)["loss"], trainer.evaluate(val)["loss"]  # both in evaluation mode
        for name, value in zip(history, (epoch, *found), strict=True):
            history[name].append(value)
        if method.early and stopping.update(found[1], epoch):
            best = {name: array.copy() for name, array in model.state_dict().items()}
        if stopping.should_stop:
            break
    if method.early:  # restore the epoch that was best on the validation part
        model.load_state_dict(best)
        history = {name: column[: stopping.best_epoch] for name, column in history.items()}
    return history, {name: trainer.evaluate(part) for name, part in (("train", train), ("val", val), ("test", final))}


lesson.say(f"{options.images} training images of {pool.name}, {aside} for validation, the rest for the test;")
lesson.say(f"{pixels}-256-256-10, {epochs} epochs, mean of {seeds} seeds; test ± standard error\n")
lesson.say(f"{'':24}{'training':>9}{'validation':>12}{'gap':>8}{'gap of loss':>13}{'test':>9}")


def standard_error(values):
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


table, histories, tests = {}, {}, {}
for name, method in METHODS.items():
    runs = [run(method, lesson.seed + i) for i in range(seeds)]
    histories[name] = runs[0][0]  # of the first seed, for the picture
    row = {f"{part}_{what}": float(np.mean([scores[part][what] for _, scores in runs]))
           for part in ("train", "val", "test") for what in ("accuracy", "loss")}  # fmt: skip
    row["gap"] = row["train_accuracy"] - row["val_accuracy"]
    row["gap_of_loss"] = row["val_loss"] - row["train_loss"]
    tests[name] = np.array([scores["test"]["accuracy"] for _, scores in runs])
    row["test_standard_error"] = standard_error(tests[name])
    table[name] = row
    lesson.say(
        f"{name:24}{row['train_accuracy']:9.1%}{row['val_accuracy']:12.1%}{row['gap']:8.1%}"
        f"{row['gap_of_loss']:13.3f}{row['test_accuracy']:9.1%} ± {row['test_standard_error']:.1%}"
    )

plain, dropped, gain = table["nothing"], table["dropout"], tests["dropout"] - tests["nothing"]
lesson.say(
    f"\nWith dropout the accuracy gap changes from {plain['gap']:.1%} to {dropped['gap']:.1%}, the loss gap from "
    f"{plain['gap_of_loss']:.3f} to {dropped['gap_of_loss']:.3f}.\n"
    f"Test accuracy changes by {gain.mean():+.2%} ± {standard_error(gain):.2%}, paired by seed."
)
lesson.draw("gaps", lambda: plot.gaps(histories))
lesson.finish({"images": options.images, "seeds": seeds, "epochs": epochs, "methods": table,
    "dropout_gain": gain.mean(), "dropout_gain_standard_error": standard_error(gain)})  # fmt: skip
