"""Photographs in ten classes: a residual network on CIFAR-10, compared with simple baselines.

Why: an accuracy means nothing without baselines on the same images.
Look at: the test accuracy beside the nearest class mean and a linear softmax, and which classes are confused.

What is learned: what a residual network is trained with (momentum, weight decay, a falling learning rate, crops and
flips), and that an accuracy means nothing without baselines: the nearest class mean and a linear softmax, on the same
images.

--full is the recipe of He, Zhang, Ren, Sun 2015 (arXiv:1512.03385, section 4.2): ResNet-20, SGD with rate 0.1, momentum
0.9 and weight decay 1e-4, batches of 128, the rate divided by 10 after 32,000 and after 48,000 of 64,000 iterations,
crops with padding 4, flips.  On 50,000 images they report 91.25 % (table 6).  It needs a GPU.

python examples/12_image_classification.py --data-dir FOLDER          a part of CIFAR-10 (binary version) is enough
python examples/12_image_classification.py --full --data-dir FOLDER --backend cupy
python examples/12_image_classification.py                            without data: scikit-learn's 8x8 digits
"""

from __future__ import annotations

import numpy as np

from xpnet import data, explore, metrics, nn, ops, optim, plot
from xpnet.data.augment import Compose, RandomCrop, RandomHorizontalFlip
from xpnet.lesson import positive, start
from xpnet.models import resnet20
from xpnet.train import Trainer


def add_options(parser):
    parser.add_argument("--data-dir", metavar="DIR", help="folder with data_batch_*.bin (or train*.bin) and test*.bin")
    parser.add_argument("--full", action="store_true", help="the whole recipe of the paper: hours on a CPU")
    parser.add_argument("--epochs", type=positive, metavar="N", help="default: 20; --full: 64,000 iterations")


lesson = start(__doc__, __file__, add_options)
options, xp = lesson.options, lesson.backend.xp


def digits():
    return tuple(
        data.ArrayDataset(p.inputs[:, None], p.targets, classes=p.classes, name=p.name) for p in data.load_digits()
    )


note = "CIFAR-10 was not found (--data-dir, XPNET_DATA): using scikit-learn's digits, grey and 8x8, instead."
train, test = lesson.load(lambda: data.load_cifar10(options.data_dir), digits, note)
if lesson.quick:
    train, test = train.subset(slice(400)), test.subset(slice(200))
photographs, channels = train.inputs.shape[1] == 3, train.inputs.shape[1]
normalise = data.Normalize.fit(data.to_float(train.inputs), axis=(0, 2, 3))  # per channel, training images only
x_train, x_test = (lesson.backend.asarray(normalise(data.to_float(part.inputs))) for part in (train, test))
t_train, t_test = (lesson.backend.asarray(part.targets) for part in (train, test))
classes = len(train.classes)
lesson.say(f"{train.name}: {len(train)} training images, {len(test)} test images")

# -- Baselines --------------------------------------------------------------------------------------------------------

flat, flat_test = x_train.reshape(len(train), -1), x_test.reshape(len(test), -1)
means = xp.stack([flat[t_train == c].mean(axis=0) for c in range(classes)])
distance = (means * means).sum(axis=1) - 2.0 * flat_test @ means.T  # |x - mean|^2 without |x|^2
nearest_mean = float((distance.argmin(axis=1) == t_test).mean())

linear = nn.Sequential(nn.Flatten(), nn.Linear(flat.shape[1], classes))
lr, decay = (0.001, 0.3) if photographs else (0.01, 0.001)  # the best of a few values on a fifth of the training images
decayed = optim.SGD(linear.named_parameters(), lr=lr, momentum=0.9, weight_decay=decay)
fitted = Trainer(linear, nn.CrossEntropyLoss(), decayed, metrics={"accuracy": metrics.accuracy})
fitted.fit((x_train, t_train), epochs=3 if lesson.quick else 15, verbose=0)
softmax = fitted.evaluate((x_test, t_test))["accuracy"]
lesson.say(f"baselines: nearest class mean {nearest_mean:.3f}, linear softmax {softmax:.3f}, chance {1 / classes:.3f}")

# -- The network ------------------------------------------------------------------------------------------------------

per_epoch = -(-len(train) // 128)  # rounded up: batches of 128
model = resnet20(classes, in_channels=channels)
if options.full:
    epochs = options.epochs or -(-64_000 // per_epoch)  # rounded up
    optimizer = optim.SGD(model.named_parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    milestones = [max(1, 32_000 // per_epoch), max(2, 48_000 // per_epoch)]
    schedule, batch = optim.lr_scheduler.MultiStepLR(optimizer, milestones), 128
else:  # small batches, to get many steps from few images, and a cosine schedule instead of steps
    epochs = options.epochs or (1 if lesson.quick else 20)
    optimizer = optim.SGD(model.named_parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule, batch = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs), 64
if photographs:
    augment = Compose([RandomCrop(padding=4), RandomHorizontalFlip()])  # padding with 0, the mean colour
else:
    augment = RandomCrop(padding=1, fill=float(x_train.min()))  # black padding; no flips: a mirrored 2 is not a 2

loader = data.DataLoader(data.ArrayDataset(x_train, t_train), batch, shuffle=True, transform=augment)
folder = lesson.out / "run" if options.full else None  # a run of hours can be resumed
measured = {"accuracy": metrics.accuracy}
trainer = Trainer(model, nn.CrossEntropyLoss(), optimizer, scheduler=schedule, metrics=measured, folder=folder)
parameters = sum(p.size for p in model.parameters())
lesson.say(f"ResNet-20, {parameters:,} parameters, {epochs} epochs of {len(loader)} batches:")


class Report:
    """Prints progress on the training images only; the test images are used at the end."""

    def on_epoch_start(self, trainer, epoch, batches):
        pass

    def on_batch_end(self, trainer, meter):
        pass

    def on_epoch_end(self, trainer, row):
        if row["epoch"] in (1, epochs) or row["epoch"] % max(1, epochs // 5) == 0:
            lesson.say(f"   epoch {row['epoch']}: loss {row['train_loss']:.3f}, accuracy {row['train_accuracy']:.3f}")


trainer.callbacks.append(Report())
history = trainer.fit(loader, epochs=epochs, verbose=0)
p = lesson.backend.to_numpy(ops.softmax(xp, trainer.predict(x_test, batch_size=256))[0])
predicted = p.argmax(axis=1)
accuracy = float((predicted == test.targets).mean())
lesson.say(f"test accuracy {accuracy:.3f}: {accuracy - max(nearest_mean, softmax):+.3f} to the better baseline")

# -- Predictions, confusions, and Grad-CAM ----------------------------------------------------------------------------

matrix = metrics.confusion_matrix(test.targets, predicted, num_classes=classes)
lesson.draw("confusion", lambda: plot.confusion(matrix, test.classes))
lesson.draw("curves", lambda: plot.curves(history.as_dict()))
shown = test.inputs[:24], test.targets[:24], predicted[:24], p[:24]
lesson.draw("predictions", lambda: plot.predictions(*shown, classes=test.classes))
kernels = model.conv1.weight.data
lesson.draw("filters", lambda: plot.filters(kernels, name="the first kernels"))
heat = explore.gradcam(model, "layer3" if photographs else "layer2", x_test[:6])
titles = [
    f"{test.classes[c]} {p[i, c]:.0%}" + ("" if c == test.targets[i] else " ✗") for i, c in enumerate(predicted[:6])
]
lesson.draw("gradcam", lambda: plot.heatmap_overlay(test.inputs[:6], heat, titles))
pairs = matrix * (1 - np.eye(classes, dtype=int))
true, taken = np.unravel_index(pairs.argmax(), pairs.shape)
if pairs.any():
    lesson.say(
        f"the most frequent mistake: {test.classes[true]} predicted as {test.classes[taken]}, {pairs.max()} times"
    )
lesson.finish(
    {
        "data": train.name,
        "train_images": len(train),
        "test_images": len(test),
        "epochs": epochs,
        "parameters": parameters,
        "nearest_mean": nearest_mean,
        "linear_softmax": softmax,
        "test_accuracy": accuracy,
    }
)
