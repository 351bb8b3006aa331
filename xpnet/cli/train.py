"""``xpnet train``: train a network on a dataset and write it to a folder."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import xpnet
from xpnet._extras import MissingExtraError
from xpnet._files import write_atomically
from xpnet.cli import tables
from xpnet.cli.console import to_json
from xpnet.cli.datasets import (
    NAMES,
    ChosenDataset,
    Parts,
    Splits,
    augmented,
    choose_dataset,
    fit_normalisation,
    load_splits,
    prepare,
    run_name,
)
from xpnet.cli.options import add_data_and_network, add_metric, add_table, positive, positive_number, rate, share
from xpnet.cli.parser import Commands
from xpnet.cli.scores import check_metrics, headline, in_units, in_words, measured, score
from xpnet.cli.settings import (
    SCHEDULES,
    Settings,
    UsageError,
    build_model,
    build_optimizer,
    build_schedule,
    choose_backend,
    keep_paths,
    move_data,
    read_settings,
)
from xpnet.cli.show import Progress
from xpnet.cli.tables import table_settings
from xpnet.data import DataLoader
from xpnet.data.images.pictures import PictureRecipe
from xpnet.metrics import accuracy, confusion_matrix
from xpnet.nn import Penalty
from xpnet.nn import functional as F
from xpnet.optim import EMA
from xpnet.tensor import Tensor
from xpnet.train import Trainer
from xpnet_backends import Backend, get_backend, to_numpy

Say = Callable[[str], None]


_EXAMPLES = """examples:
  xpnet train
  xpnet train mnist --epochs 5 --seed 1
  xpnet train mnist --model lenet --epochs 3
  xpnet train cifar10 --model resnet20 --augment crop-flip
  xpnet train cifar10 --data-dir cifar-10-binary.tar.gz --model resnet20
  xpnet train fashion-mnist --data-dir ~/data --backend cupy
  xpnet train train.csv.gz --val-split 0.2
  xpnet train titanic.csv --target Survived
  xpnet train --resume runs/mnist-1 --epochs 30

a dataset is searched in --data-dir, the folder in XPNET_DATA, and the cache; otherwise it is downloaded.
"""

_RESUME_ONLY = "--resume uses the settings of the run: only --epochs and --data-dir may be given with it"


def add_parser(commands: Commands) -> None:
    """The command line of ``xpnet train``."""
    parser = commands.add_parser(
        "train",
        usage="xpnet train [DATASET] [OPTIONS]",
        help="train a network on images or a table",
        description="Train a network; the run's folder gets weights, history, metrics and pictures.\n"
        "Every option has a default: xpnet train alone learns handwritten digits.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_data_and_network(parser)
    add = parser.add_argument_group("training").add_argument
    add("--epochs", type=positive, metavar="N", help="passes over the data (default: 15; digits 50; tables 20..200)")
    add("--schedule", choices=SCHEDULES, help="how the learning rate changes over the epochs (default: cosine)")
    add("--l1", type=rate, metavar="X", help="L1 penalty, on the sum of the weights' absolute values (default: 0)")
    add("--clip-norm", type=positive_number, metavar="X", help="clip the norm of the gradients (default: off)")
    add("--accumulate", type=positive, metavar="N", help="batches averaged before each update (default: 1)")
    add("--ema", type=share, metavar="DECAY", help="validate and keep an average of the weights, e.g. 0.999")
    add_metric(parser)
    add_table(parser)
    add = parser.add_argument_group("the run").add_argument
    add("--out", metavar="DIR", help="folder of the run (default: runs/DATASET-1, -2, ...)")
    add("--resume", metavar="DIR", help="resume a run that was stopped; takes --epochs and --data-dir only")
    add("--quiet", action="store_true", help="print only the result")
    add("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> None:
    """Train or resume a run, then measure the best weights on the test data and draw the figures."""
    _check_resume(arguments)
    say: Say = (lambda text: None) if arguments.quiet or arguments.json else (lambda text: print(text, flush=True))
    settings, folder, loaded, why = _resumed(arguments) if arguments.resume else _fresh(arguments)
    resumed = arguments.resume is not None
    fell_back = settings.asked_for is not None
    notes = sys.stderr if arguments.json else sys.stdout
    if fell_back:
        print(fallback(why), file=notes, flush=True)
    try:
        backend = get_backend(settings.backend)
        splits = load_splits(settings, say, loaded)
        del loaded  # the splits hold everything that is needed
        if not resumed:
            _start(settings, splits, folder, backend)
        elif arguments.epochs is not None or arguments.data_dir is not None:
            write_atomically(folder / "config.json", settings.to_json())
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()  # nothing was started: leave no empty folder behind
        raise
    xpnet.manual_seed(settings.seed)
    with xpnet.use(backend=backend):
        progress = _progress(settings, splits)
        trainer = _trainer(settings, backend, folder, progress if not (arguments.quiet or arguments.json) else None)
        say(_describe(settings, splits, trainer))
        if resumed and (folder / "last.safetensors").exists():
            trainer.resume()
            say(f"resumed after epoch {trainer.epoch} of {settings.epochs}")
        elif resumed:
            say("the run was stopped before its first checkpoint: it starts over")
        _fit(settings, splits, trainer, progress, say)
        result = _result(settings, splits, trainer, folder, say)
    if arguments.json:
        print(to_json({"run": str(folder), **result}))
        return
    say(f"next     {_next_steps(settings, folder)}")
    if settings.metric:
        print(in_words((f"test_{name}", result[f"test_{name}"]) for name in settings.metric))
    print(f"{headline(result)}: {folder}")
    if fell_back:
        print(fallback())


# -- the run ---------------------------------------------------------------------------------------------------------


def _check_resume(arguments: argparse.Namespace) -> None:
    allowed = {"command", "resume", "epochs", "data_dir", "quiet", "json"}
    given = [name for name, value in vars(arguments).items() if name not in allowed and value is not None]
    if arguments.resume is not None and given:
        names = ", ".join("the dataset" if name == "dataset" else "--" + name.replace("_", "-") for name in given)
        raise UsageError(f"{_RESUME_ONLY} (leave out {names})")


def _fresh(arguments: argparse.Namespace) -> tuple[Settings, Path, Parts | None, str]:
    settings, loaded, why = fresh_settings(arguments)
    name = run_name(settings.dataset) if settings.target is None else tables.run_name(settings.dataset)
    return settings, _new_folder(arguments.out, name), loaded, why


def fresh_settings(arguments: argparse.Namespace) -> tuple[Settings, Parts | None, str]:
    """The settings of a new run; its data if they had to be read for that; the reason for a fallback."""
    of_table = table_settings(arguments, NAMES)
    if arguments.data_dir is not None:
        arguments.data_dir = os.path.expanduser(arguments.data_dir)  # the shell does not expand ~ in --data-dir=~/data
    chosen = ChosenDataset(arguments.dataset) if of_table else choose_dataset(arguments.dataset, arguments.data_dir)
    names = {f.name for f in fields(Settings)} - {"dataset", "backend"}
    given = {name: value for name, value in vars(arguments).items() if name in names and value is not None}
    backend = choose_backend(arguments.backend).name
    told = {"backend": backend, "asked_for": chosen.asked_for, "version": xpnet.__version__}
    return Settings(chosen.name, **{**told, **given, **of_table}), chosen.loaded, chosen.why


def _resumed(arguments: argparse.Namespace) -> tuple[Settings, Path, None, str]:
    folder = Path(arguments.resume)
    settings = read_settings(folder)
    move_data(settings, arguments.data_dir)
    settings.epochs = arguments.epochs or settings.epochs
    return settings, folder, None, ""


def _new_folder(out: str | None, name: str) -> Path:
    """An empty folder for the run: the requested one, or the next free number under ``runs``."""
    if out is not None:
        folder = Path(out)
        if folder.is_file():
            raise UsageError(f"--out {folder} is a file: give the name of a new folder")
        if (folder / "config.json").exists():
            raise UsageError(f"{folder} already holds a run: choose another --out, or continue with --resume {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    number = 1
    while True:
        folder = Path("runs") / f"{name}-{number}"
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1


def fallback(why: str = "") -> str:
    """The note, printed first and last, that scikit-learn's digits replace MNIST."""
    reason = f" ({why.rstrip('.')})" if why else ""
    return (
        f"note: this is not MNIST, which could not be found or downloaded{reason}, but the 1,797 digits in "
        "scikit-learn. For MNIST give its folder with --data-dir, or set XPNET_DATA"
    )


def _next_steps(settings: Settings, folder: Path) -> str:
    """The commands that make use of a trained run."""
    run = shlex.quote(str(folder))
    use = "NEW.csv" if settings.target is not None else "PICTURE.png"
    return f"xpnet predict {run} {use}   (or: xpnet evaluate {run}, xpnet doctor {run})"


def _start(settings: Settings, splits: Splits, folder: Path, backend: Backend) -> None:
    """Complete the settings from the data, and store them."""
    check_metrics(settings, settings.metric)
    complete(settings, splits, backend)
    keep_paths(settings)
    write_atomically(folder / "config.json", settings.to_json())


def complete(settings: Settings, splits: Splits, backend: Backend) -> None:
    """Add shape, classes and scale of the data to the settings.  Raises: ``UsageError`` if they do not fit."""
    train = splits.train
    settings.input_shape = list(train.inputs.shape[1:])
    if settings.target is None:  # a table's classes and scales are known from its preprocessing
        settings.classes = list(train.classes or [str(c) for c in np.unique(to_numpy(train.targets))])
        settings.normalize = fit_normalisation(train).state()
        settings.pictures = PictureRecipe.fit(to_numpy(train.inputs), settings.classes).state()
    if settings.batch_size > len(train):
        raise UsageError(f"--batch-size {settings.batch_size} is larger than the training data ({len(train)} samples)")
    build_model(settings, backend)  # raises if the model does not accept these images


def _progress(settings: Settings, splits: Splits) -> Progress:
    kinds = ["loss", *_metrics(settings)]
    parts = ["train", "val"] if splits.val is not None else ["train"]
    return Progress(settings.epochs, [f"{part}_{kind}" for part in parts for kind in kinds])


def _trainer(settings: Settings, backend: Backend, folder: Path, progress: Progress | None) -> Trainer:
    model = build_model(settings, backend)
    optimizer = build_optimizer(settings, model)
    return Trainer(
        model,
        loss_of(settings, backend),
        optimizer,
        scheduler=build_schedule(settings, optimizer),
        metrics=_metrics(settings),
        max_grad_norm=settings.clip_norm or None,
        accumulate=settings.accumulate,
        penalty=Penalty(l1=settings.l1) if settings.l1 else None,
        ema=EMA(model.named_parameters(), settings.ema) if settings.ema else None,
        folder=folder,
        callbacks=[] if progress is None else [progress],
    )


def _metrics(settings: Settings) -> dict[str, Any]:
    """The metrics in the history in addition to the loss; for a regression in the target's units."""
    if settings.task != "regression":
        return {"accuracy": accuracy, **{name: name for name in settings.metric}}
    return {name: in_units(settings, name) for name in settings.metric}


def loss_of(settings: Settings, backend: Backend) -> Callable[..., Tensor]:
    """The loss of a run."""
    if settings.task == "regression":
        return F.mse_loss
    weights = settings.table.get("class_weights")
    if weights is None:
        return F.cross_entropy
    return partial(F.cross_entropy, weight=backend.asarray(weights, "float32"))


def _describe(settings: Settings, splits: Splits, trainer: Trainer) -> str:
    counts = f"{len(splits.train):,} training"
    counts += f", {len(splits.val):,} validation" if splits.val is not None else ""
    net = "-".join(map(str, [int(np.prod(settings.input_shape)), *settings.hidden, len(settings.classes) or 1]))
    net = f"mlp {net}" if settings.model == "mlp" else settings.model
    net += f", augment {settings.augment}" if settings.augment != "none" else ""
    extras = {"l1": settings.l1, "clip norm": settings.clip_norm, "ema": settings.ema}
    extras |= {"accumulate": settings.accumulate if settings.accumulate > 1 else 0}
    more = "".join(f", {name} {value:g}" for name, value in extras.items() if value)
    device = trainer.backend.describe()
    return (
        f"data     {settings.dataset}: {counts}, {len(splits.test):,} test samples\n"
        f"network  {net}, {settings.optimizer}, lr {settings.lr:g}{more}, seed {settings.seed}\n"
        f"backend  {trainer.backend.name}: {device['version']} on {device['device']}\n"
        f"folder   {trainer.folder}"
    )


def _fit(settings: Settings, splits: Splits, trainer: Trainer, progress: Progress, say: Say) -> None:
    if trainer.epoch >= settings.epochs:
        say(f"all epochs are done ({trainer.epoch}; to train on, ask for more in all: --epochs {trainer.epoch + 10})")
        return
    backend = trainer.backend
    train, transform = augmented(splits.train, settings)
    loader = DataLoader(
        train, settings.batch_size, shuffle=True, seed=settings.seed, backend=backend, transform=transform
    )
    val = None
    if splits.val is not None:
        val = DataLoader(prepare(splits.val, settings), min(1000, len(splits.val)), backend=backend)
    if trainer.callbacks:
        progress.header()
    try:
        trainer.fit(loader, val, settings.epochs, verbose=0)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"{stop}; resume with: xpnet train --resume {trainer.folder}") from None
    finally:
        progress.close()
    say(_explain_columns(settings, splits))


def _explain_columns(settings: Settings, splits: Splits) -> str:
    """One line that explains the columns of the history and the star."""
    both = "loss and accuracy" if settings.task != "regression" else "loss"
    kept = "*: best so far, kept"
    if splits.val is None:
        return f"columns  {both}: means over the epoch, as it trained; {kept}"
    return f"columns  {both} of the training (means, as it went), then of the validation data; {kept}"


# -- the result ------------------------------------------------------------------------------------------------------


def _result(settings: Settings, splits: Splits, trainer: Trainer, folder: Path, say: Say) -> dict[str, Any]:
    """Measure the best weights on the test data, once, and write metrics and pictures."""
    trainer.load_best()
    test = prepare(splits.test, settings)
    logits = trainer.predict(test.inputs)
    target = trainer.backend.asarray(test.targets)
    result = {
        **score(settings, logits, target),
        **measured(settings, settings.metric, logits, target),
        "seconds": round(trainer.seconds, 3),
        "samples_per_second": round(trainer.samples / trainer.seconds, 1) if trainer.seconds else None,
        "backend": trainer.backend.name,
        "dataset": settings.dataset,
        "seed": settings.seed,
        "version": xpnet.__version__,
        "epochs": trainer.epoch,
        "best_epoch": trainer.stopping.best_epoch,
    }
    write_atomically(folder / "metrics.json", to_json(result, indent=2) + "\n")
    write_atomically(folder / "history.csv", trainer.history.to_csv())
    matrix = None
    if settings.task != "regression":
        matrix = to_numpy(confusion_matrix(target, logits.argmax(axis=1), len(settings.classes)))
    try:
        _draw(trainer, matrix, settings, folder)
    except (ValueError, RuntimeError, MissingExtraError) as error:  # the run is complete without them
        say(f"no pictures were drawn: {error}")
    return result


def _draw(trainer: Trainer, matrix: np.ndarray | None, settings: Settings, folder: Path) -> None:
    from xpnet import plot

    best = trainer.stopping.best_epoch
    plot.save(plot.curves(trainer.history, best_epoch=best), folder / "curves.png")
    if matrix is not None:
        plot.save(plot.confusion(matrix, settings.classes), folder / "confusion.png")
