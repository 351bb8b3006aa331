"""Search for hyper-parameters: random search and successive halving, at the same cost.

Why: a comparison of settings is fair only at the same cost, and only if the test data play no part in it.
Look at: the best trials of both searches, and the test accuracy of the winners beside that of the untuned defaults.

Rate, width, dropout and optimizer of a network for handwritten digits are searched.  A grid would try few values of
each and spend most trials on settings that do not matter; random trials try a new value of everything each time.
Successive halving starts more of them and stops the worse ones early.  Three things keep the result honest: what is
compared is the error on validation data, never on the test data; the winner is trained once more and measured on the
test data once; and the untuned defaults are measured beside it.
"""

from __future__ import annotations

from typing import Any

import xpnet
from xpnet import data, explore, nn, optim, plot
from xpnet.lesson import start
from xpnet.metrics import accuracy
from xpnet.train import Trainer

lesson = start(__doc__, __file__)
epochs = 3 if lesson.quick else 18  # of every random trial, and of the longest trials of successive halving
trials = 4 if lesson.quick else 20

train, test = data.load_digits()  # 1,797 real digits of 8x8 pixels, embedded in scikit-learn
fit, validation = data.train_val_split(train, 0.25, lesson.seed)
x_fit, x_val, x_train, x_test = (data.to_float(d.inputs) for d in (fit, validation, train, test))

OPTIMIZERS = {"sgd": optim.SGD, "adam": optim.Adam, "rmsprop": optim.RMSprop}
space = {
    "lr": explore.LogUniform(1e-4, 1.0),  # learning rates differ by factors, so their logarithm is uniform
    "width": explore.Integers(8, 256, log=True),
    "layers": explore.Integers(1, 3),
    "dropout": explore.Uniform(0.0, 0.6),
    "optimizer": explore.Choice(*OPTIMIZERS),
}
defaults = {"lr": 1e-3, "width": 128, "layers": 1, "dropout": 0.0, "optimizer": "adam"}


def trained(settings: dict[str, Any], epochs: int, inputs: Any, labels: Any) -> Trainer:
    """A network with these settings, trained for ``epochs``."""
    layers: list[nn.Module] = [nn.Flatten()]
    width = 64
    for _ in range(settings["layers"]):
        layers += [nn.Linear(width, settings["width"]), nn.ReLU(), nn.Dropout(settings["dropout"])]
        width = settings["width"]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    optimizer = OPTIMIZERS[settings["optimizer"]](model.named_parameters(), lr=settings["lr"])
    trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, metrics={"accuracy": accuracy})
    trainer.fit((inputs, labels), epochs=epochs, batch_size=32, verbose=0)
    return trainer


def objective(settings: dict[str, Any], epochs: int = epochs) -> float:
    """The validation error, which the searches minimise.  A diverging run raises, and counts as a failed trial."""
    trainer = trained(settings, epochs, x_fit, fit.targets)
    return 1.0 - trainer.evaluate((x_val, validation.targets))["accuracy"]


# Both searches may spend the same number of epochs.  The file allows an interrupted search to continue.
lesson.say(f"random search: {trials} trials of {epochs} epochs")
at_random = explore.random_search(objective, space, trials, seed=lesson.seed)
lesson.say(at_random.table(5))

least, many = max(epochs // 9, 1), 2
while explore.halving_cost(many + 1, least=least, most=epochs) <= trials * epochs:
    many += 1
lesson.say(f"\nsuccessive halving: {many} trials from {least} epochs, a third continue with three times as many")
halved = explore.successive_halving(objective, space, many, least=least, most=epochs, seed=lesson.seed)
lesson.say(halved.table(5))
for name, found in (("random", at_random), ("halving", halved)):
    spent = sum(t.budget or epochs for t in found.trials)
    lesson.say(f"{name}: {len(found)} trials, {spent} epochs, {len(found.failed)} failed")
    lesson.write(f"{name}.csv", found.to_csv())
    lesson.draw(name, lambda found=found: plot.tuning(found, score="validation error"))
    lesson.draw(f"{name}_table", lambda found=found: plot.tuning_table(found))

# The best validation error was selected from many, so it is optimistic.  The test data are used only now, once for
# each. The mean over several seeds separates good settings from luck.
seeds = range(lesson.seed, lesson.seed + (1 if lesson.quick else 3))
lesson.say("\ntrained again on all the training data, measured on the test data:")
accuracies = {}
for name, settings in (("defaults", defaults), ("random", at_random.best.settings), ("halving", halved.best.settings)):
    found = []
    for seed in seeds:
        xpnet.manual_seed(seed)
        final = trained(settings, epochs, x_train, train.targets)
        found.append(final.evaluate((x_test, test.targets))["accuracy"])
    accuracies[name] = found
    lesson.say(f"  {name:9} accuracy {sum(found) / len(found):.4f} ({', '.join(f'{a:.4f}' for a in found)})")

lesson.finish(
    {
        "test_accuracy": accuracies,
        "validation_error": {"random": at_random.best.score, "halving": halved.best.score},
        "trials": {"random": len(at_random), "halving": many},
        "failed": {"random": len(at_random.failed), "halving": len(halved.failed)},
    }
)
