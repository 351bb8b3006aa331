"""A convolutional network, and what it sees: LeNet-5, its filters, its feature maps, and where it looks.

Why: what a convolutional network has learned can be looked at, but a convincing picture is not yet a proof.
Look at: the filters, the feature maps, and whether covering the hottest ink of Grad-CAM hurts more than other ink.

What is learned: what the kernels of a trained network look for, how an image becomes maps and the maps a decision, and
by Grad-CAM (Selvaraju et al. 2016, arXiv:1610.02391) which part of the image decided.  Such a map looks convincing
whether it is right or not, so it is tested: a fifth of the ink is covered where the map is hottest, where it is
coldest, and where the map of another image is hottest.  If the last hurts as much as the first, the map shows where
strokes matter in digits, and little about this one.

python examples/11_cnn.py --data-dir FOLDER                     MNIST's four IDX files (also found in XPNET_DATA)
python examples/11_cnn.py --dataset fashion --data-dir FOLDER   Fashion-MNIST's, with the same names and format
python examples/11_cnn.py                                       without data: scikit-learn's 8x8 digits, enlarged
"""

from __future__ import annotations

import numpy as np

from xpnet import data, explore, metrics, nn, ops, optim, plot
from xpnet.lesson import positive, start
from xpnet.models import LeNet5
from xpnet.train import Trainer

READ = {"mnist": data.load_mnist, "fashion": data.load_fashion_mnist}


def add_options(parser):
    parser.add_argument("--dataset", choices=sorted(READ), default="mnist")
    parser.add_argument("--data-dir", metavar="DIR", help="folder with the four files")
    parser.add_argument("--epochs", type=positive, metavar="N", help="default: 5; 20 for few images")


lesson = start(__doc__, __file__, add_options)
options, xp = lesson.options, lesson.backend.xp

# -- The images -------------------------------------------------------------------------------------------------------


def enlarged_digits():
    """Each pixel of 8x8 becomes 3x3 pixels; with a border of 2 the image has 28x28."""
    parts = data.load_digits()
    grown = [np.pad(np.kron(p.inputs, np.ones((1, 3, 3), "uint8")), ((0, 0), (2, 2), (2, 2))) for p in parts]
    return tuple(
        data.ArrayDataset(x, p.targets, classes=p.classes, name=p.name) for x, p in zip(grown, parts, strict=True)
    )


train, test = lesson.load(
    lambda: READ[options.dataset](options.data_dir, download=False),
    enlarged_digits,
    f"{options.dataset} was not found (--data-dir, XPNET_DATA): using scikit-learn's 8x8 digits, enlarged, instead.",
)
if lesson.quick:
    train, test = train.subset(slice(600)), test.subset(slice(200))
train, aside = data.train_val_split(train, 0.1, lesson.seed)  # for validation; the test part is used at the end only
normalise = data.Normalize.fit(data.to_float(train.inputs))  # from the training pixels only


def prepared(part):
    return lesson.backend.asarray(normalise(data.to_float(part.inputs))[:, None]), lesson.backend.asarray(part.targets)


# -- Training ---------------------------------------------------------------------------------------------------------

epochs = options.epochs or (2 if lesson.quick else 5 if len(train) > 20_000 else 20)
model = LeNet5(num_classes=len(train.classes))
lesson.say(f"{train.name}: {len(train)} training images, {len(test)} test images; LeNet-5:")
lesson.say(str(model.summary((1, 1, 28, 28))))
optimizer = optim.Adam(model.named_parameters(), lr=2e-3)
schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, scheduler=schedule, metrics={"accuracy": metrics.accuracy})
history = trainer.fit(prepared(train), val=prepared(aside), epochs=epochs)
x_test, t_test = prepared(test)
p = lesson.backend.to_numpy(ops.softmax(xp, trainer.predict(x_test))[0])
predicted = p.argmax(axis=1)
accuracy = float((predicted == test.targets).mean())
lesson.say(f"after {epochs} epochs: test accuracy {accuracy:.4f}")
lesson.draw("curves", lambda: plot.curves(history.as_dict()))

# -- What it looks for ------------------------------------------------------------------------------------------------

# A kernel that is red on one side and blue on the other responds to an edge; one that is red along a line, to a stroke.
lesson.draw("filters", lambda: plot.filters(model.conv1.weight.data, name="conv1", columns=6))

# -- The feature maps of an image -------------------------------------------------------------------------------------

layers = ["relu1", "pool1", "relu2", "pool2", "relu3", "relu4"]
found = explore.activations(model, x_test[:1], layers)
maps = {name: a[0] if a.ndim == 4 else a[0][:, None, None] for name, a in found.items()}
lesson.draw("feature_maps", lambda: plot.feature_maps(maps, image=test.inputs[0]))
for name, a in found.items():
    silent = float((a == 0).mean())
    lesson.say(f"   {name}: {' x '.join(map(str, a.shape[1:])):>12}, {silent:4.0%} of the values are zero")

# -- Where it looks ---------------------------------------------------------------------------------------------------

# relu2 is the last layer whose maps have spatial positions: 10x10.  Mistakes are shown twice: with the map of the
# predicted class, and with that of the true class.
wrong, right = np.flatnonzero(predicted != test.targets), np.flatnonzero(predicted == test.targets)
surest = wrong[np.argsort(-p[wrong].max(axis=1))][:3]
shown = np.concatenate([right[:6], np.repeat(surest, 2)])
asked = np.concatenate([predicted[right[:6]], np.stack([predicted[surest], test.targets[surest]], axis=1).ravel()])
heat = explore.gradcam(model, "relu2", x_test[lesson.backend.asarray(shown)], target=asked)
marks = ["" if c == test.targets[i] else " ✗" for i, c in zip(shown, asked, strict=True)]
titles = [f"{test.classes[c]}?  {p[i, c]:.0%}{mark}" for i, c, mark in zip(shown, asked, marks, strict=True)]
lesson.draw("gradcam", lambda: plot.heatmap_overlay(test.inputs[shown], heat, titles))

# -- Is that where it looks? ------------------------------------------------------------------------------------------

some = x_test[:1000]
heat = explore.gradcam(model, "relu2", some).reshape(len(some), -1)
ink = (some > some.min()).reshape(len(some), -1)  # only ink is covered, because covering the background changes nothing
other = xp.roll(heat, 1, axis=0)  # the map of another image: equally smooth, but unrelated to this image


def covered(order):
    """Accuracy when the fifth of each image's ink that comes first in ``order`` is set to the background."""
    first = xp.argsort(xp.where(ink, -order, xp.inf), axis=1)  # pixels, the hottest ink first, background last
    rank = xp.argsort(first, axis=1)  # the rank of each pixel in that order
    hidden = rank < 0.2 * ink.sum(axis=1, keepdims=True)
    changed = xp.where(hidden.reshape(some.shape), some.min(), some)
    return float((trainer.predict(changed).argmax(axis=1) == t_test[: len(some)]).mean())


before = float((predicted[:1000] == test.targets[:1000]).mean())
hot, cold, foreign = covered(heat), covered(-heat), covered(other)
lesson.say(f"with a fifth of the ink covered, accuracy falls from {before:.3f} to {hot:.3f} where Grad-CAM is hottest,")
lesson.say(f"to {cold:.3f} where it is coldest, and to {foreign:.3f} where the map of another image is hottest")
lesson.finish(
    {
        "data": train.name,
        "train_images": len(train),
        "test_images": len(test),
        "epochs": epochs,
        "test_accuracy": accuracy,
        "mistakes": len(wrong),
        "accuracy_of_1000": before,
        "covered_hottest": hot,
        "covered_coldest": cold,
        "covered_by_other_map": foreign,
    }
)
