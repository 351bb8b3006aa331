"""From a name on the command line to normalised arrays."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from xpnet.cli.console import describe_error
from xpnet.cli.parser import Commands
from xpnet.cli.settings import Settings, UsageError
from xpnet.cli.tables import load_parts
from xpnet.data import (
    ArrayDataset,
    DataUnavailableError,
    Normalize,
    load_cifar10,
    load_digits,
    load_fashion_mnist,
    load_mnist,
    read_digit_csv,
    to_float,
    train_val_split,
)
from xpnet.data.augment import AnyTransform, Compose, RandomCrop, RandomHorizontalFlip, Transform
from xpnet.data.images.digit_csv import is_csv
from xpnet.data.images.mnist import OtherDatasetWarning
from xpnet.data.images.pictures import PictureRecipe
from xpnet.data.suggest import did_you_mean, listed
from xpnet_backends import Array

ABOUT = {
    "mnist": "70,000 handwritten digits, 28x28, grey; downloaded if missing (12 MB)",
    "fashion-mnist": "70,000 pictures of ten kinds of clothes, 28x28, grey; downloaded if missing (31 MB)",
    "cifar10": "60,000 photos of ten kinds of things, 32x32, colour; downloaded if missing (170 MB)",
    "digits": "1,797 handwritten digits, 8x8, grey, from scikit-learn: no network needed",
    "FILE.csv": "your own digits: label,pixel0,pixel1,...; packed (.csv.gz) or not",
}
NAMES = tuple(ABOUT)[:-1]
OF_MNISTS_KIND = ("mnist", "fashion-mnist", "kmnist")  # recognised by their content, as EMNIST's splits are
Parts: TypeAlias = tuple[ArrayDataset, ArrayDataset]  # for training and testing
Say = Callable[[str], None]


@dataclass(frozen=True)
class Splits:
    """Raw training, validation and test data."""

    train: ArrayDataset
    val: ArrayDataset | None
    test: ArrayDataset


@dataclass(frozen=True)
class ChosenDataset:
    """A dataset by name.  For a fallback, also the requested dataset and the reason; the data if already read."""

    name: str
    asked_for: str | None = None
    why: str = ""
    loaded: Parts | None = None


def add_parser(commands: Commands) -> None:
    """The command line of ``xpnet datasets``."""
    parser = commands.add_parser("datasets", help="the data that it can train on", allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """``xpnet datasets``: print each dataset with a description."""
    if arguments.json:
        print(json.dumps(ABOUT, indent=2))
        return
    for name, text in ABOUT.items():
        print(f"{name:15}{text}")


def _announce(url: str, done: int, size: int) -> None:
    """Print what is being downloaded when the first block has arrived."""
    if done <= 1 << 16:
        print(f"downloading {url} ({size / 1e6:.1f} MB)", file=sys.stderr, flush=True)


def run_name(dataset: str) -> str:
    """The name of a run on this dataset."""
    return Path(dataset.casefold().removesuffix(".gz")).stem if is_csv(dataset) else dataset


def choose_dataset(name: str | None, data_dir: str | None) -> ChosenDataset:
    """The dataset to train on.  Without a name it is MNIST, or scikit-learn's digits if MNIST is not available."""
    if name is not None:
        if name not in NAMES and not is_csv(name):
            known = f"choose {', '.join(NAMES)}, or the path of a .csv or .csv.gz file"
            raise UsageError(f"unknown dataset {name!r}: {known}{_hint(name)}")
        return ChosenDataset(name)
    try:
        return ChosenDataset("mnist", loaded=_quietly(load_mnist, data_dir))
    except DataUnavailableError as error:
        return ChosenDataset("digits", asked_for="mnist", why=describe_error(error).splitlines()[0])


def _hint(name: str) -> str:
    """A hint on the dataset that may have been meant by an unknown name."""
    path = Path(name)
    if path.exists():
        folder = path if path.is_dir() else path.parent
        return f"; for files in MNIST's or CIFAR's format: mnist --data-dir {folder}, or another of these names"
    return did_you_mean(name, NAMES)


def _quietly(load: Callable[..., Parts], data_dir: str | None) -> Parts:
    """Print what the files are as a note."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OtherDatasetWarning)
        return load(data_dir, progress=_announce)


def load_splits(settings: Settings, say: Say = lambda text: None, loaded: Parts | None = None) -> Splits:
    """The raw data of a run, which are read unless they are ``loaded`` already.

    Validation data are a part of the training data.  The test data are used for the final result only.

    The data of a table are numbers already; a note says what was guessed about its columns.
    """
    try:
        if settings.target is not None:
            return Splits(*load_parts(settings, say))
        train, test = loaded or _load(settings.dataset, settings.data_dir, settings.seed)
    except (FileNotFoundError, DataUnavailableError) as error:
        if not settings.input_shape:  # a new run
            raise
        raise DataUnavailableError(
            f"{describe_error(error)}; if the data were moved, give their folder with --data-dir"
        ) from None
    _call_by_name(settings, train, say)
    if settings.input_shape and list(train.inputs.shape[1:]) != settings.input_shape:
        got, expected = train.inputs.shape[1:], tuple(settings.input_shape)
        raise UsageError(f"these are different data: images of {got}, but the run was trained on {expected}")
    if settings.val_split == 0.0:
        return Splits(train, None, test)
    rest, val = train_val_split(train, settings.val_split, settings.seed)
    return Splits(rest, val, test)


def _call_by_name(settings: Settings, data: ArrayDataset, say: Say) -> None:
    """Print the notes on the data; a new run gets the name of the dataset that the files contain.

    Raises: ``UsageError`` if the run was trained on another dataset with other classes.
    """
    fresh = not settings.classes
    for note in data.notes if fresh else ():
        say(f"note: {note}")
    found = data.name.casefold().replace(" ", "-")
    if settings.dataset not in OF_MNISTS_KIND and not settings.dataset.startswith("emnist-"):
        return
    if fresh and (found in OF_MNISTS_KIND or found.startswith("emnist-")):
        settings.dataset = found
    elif data.classes is not None and settings.classes and list(data.classes) != settings.classes:
        raise UsageError(
            f"this run learned the classes {listed(settings.classes, 10)} of {settings.dataset}; the files there are "
            f"{data.name}'s: give the folder of {settings.dataset} with --data-dir"
        )


def _load(name: str, data_dir: str | None, seed: int) -> Parts:
    if name == "mnist" or name == "kmnist" or name.startswith("emnist-"):
        return _quietly(load_mnist, data_dir)
    if name == "fashion-mnist":
        return _quietly(load_fashion_mnist, data_dir)
    if name == "cifar10":
        return load_cifar10(data_dir, progress=_announce)
    if name == "digits":
        return load_digits()
    path = Path(name) if data_dir is None else Path(data_dir) / name
    whole = read_digit_csv(path)
    if whole.targets is None:
        fix = f"train on the labelled file, then `xpnet predict RUN {path.name}`"
        raise UsageError(f"{path} has no label column: {fix}")
    return train_val_split(whole, 0.1, seed)  # such a file has no test set: a tenth is held out


def fit_normalisation(train: ArrayDataset) -> Normalize:
    """Mean and standard deviation of all training pixels."""
    return Normalize.fit(to_float(train.inputs))


def picture_recipe(settings: Settings) -> tuple[PictureRecipe, str]:
    """How pictures are converted to images like those of the training, and a note about it.

    Runs of older versions do not store it.  In that case it is derived from the dataset's name.
    """
    if settings.pictures:
        return PictureRecipe.from_state(settings.pictures), ""
    *channels, height, width = settings.input_shape
    digits = settings.dataset != "fashion-mnist" and settings.classes == list("0123456789") and not channels
    dark = digits or settings.dataset == "fashion-mnist"
    recipe = PictureRecipe((height, width), channels[0] if channels else 1, digits, "dark" if dark else "")
    made = f"xpnet {settings.version}" if settings.version else "an older xpnet"
    return recipe, f"{made} kept no recipe for pictures with this run; taken from its dataset: {recipe.describe()}"


def as_inputs(pixels: Array, settings: Settings) -> Array:
    """Pixels (N, H, W) as input of the run's network: normalised float32, for convolutions (N, 1, H, W)."""
    x = Normalize.from_state(settings.normalize)(to_float(pixels))
    return x if settings.model == "mlp" or x.ndim == 4 else x[:, None]


def augmented(data: ArrayDataset, settings: Settings) -> tuple[ArrayDataset, Transform | None]:
    """Training data, and the transform of each batch: the run's augmentation on raw images, then ``prepare``.

    "shift" moves images by up to a fourteenth of their height, "crop-flip" by up to an eighth and mirrors half.
    """
    if settings.augment == "none":
        return prepare(data, settings), None
    images = data.inputs if data.inputs.ndim == 4 else data.inputs[:, None]
    height = images.shape[2]
    steps: list[AnyTransform] = [RandomCrop(padding=max(1, height // 14))]
    if settings.augment == "crop-flip":
        steps = [RandomCrop(padding=max(1, height // 8)), RandomHorizontalFlip()]
    steps.append(partial(as_inputs, settings=settings))
    return ArrayDataset(images, data.targets, classes=data.classes, name=data.name), Compose(steps)


def prepare(data: ArrayDataset, settings: Settings) -> ArrayDataset:
    """A dataset prepared for the run's network."""
    if settings.target is not None:
        return data
    return ArrayDataset(as_inputs(data.inputs, settings), data.targets, classes=data.classes, name=data.name)
