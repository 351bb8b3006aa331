"""``xpnet predict``: apply a trained run to pictures or to a CSV file."""

from __future__ import annotations

import argparse
import glob
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xpnet._extras import MissingExtraError
from xpnet.cli import console
from xpnet.cli.console import to_json
from xpnet.cli.datasets import as_inputs, picture_recipe
from xpnet.cli.options import add_common, add_reading
from xpnet.cli.parser import Commands
from xpnet.cli.run import TrainedRun, load_run
from xpnet.cli.settings import UsageError
from xpnet.cli.tables import predict_table, reading
from xpnet.data import read_digit_csv, read_image, show_digit, write_submission
from xpnet.data.images.digit_csv import is_csv
from xpnet.data.images.pictures import PictureRecipe
from xpnet.data.suggest import did_you_mean
from xpnet.nn import functional as F
from xpnet.train.trainer import predict as outputs_of
from xpnet_backends import to_numpy

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm",
    ".pnm",
)  # fmt: skip
_TOGETHER = 100  # pictures per batch
_DRAWN = 10  # with more pictures than this, none is drawn


@dataclass(frozen=True)
class _Picture:
    """A file, with its pixels as a training image or with the error."""

    name: str
    pixels: np.ndarray | None = None
    error: str = ""


def add_parser(commands: Commands) -> None:
    """The command line of ``xpnet predict``."""
    parser = commands.add_parser(
        "predict",
        help="classify images with a trained run",
        description="Images (PNG, JPEG, ...) of any size are converted to look like the training images: digits are "
        "found, centred and inverted if necessary, others are scaled. Or a CSV of pixel rows, which gives a "
        "submission file; or the raw rows of a table, for a run on one. A picture that cannot be read is named, the "
        "others go on, and the exit status is 1.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", help="the run's folder, e.g. runs/mnist-1")
    parser.add_argument(
        "files", metavar="IMAGE", nargs="+", help="image files, folders of them, patterns; or one CSV file"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="where a CSV's predictions go (default: submission.csv or predictions.csv)",
    )
    add_reading(parser)
    add_common(parser, data=False)


def run(arguments: argparse.Namespace) -> int:
    """Classify image files or the rows of a CSV; return 1 if one of several pictures could not be read, else 0."""
    run = load_run(Path(arguments.run), arguments.backend, before=arguments.files)
    if run.settings.target is not None:
        if len(arguments.files) > 1:
            raise UsageError("give one CSV file: this run was trained on a table")
        _keep(arguments.files[0], arguments.out or "predictions.csv")
        predict_table(run, arguments.files[0], arguments.out or "predictions.csv", arguments.json, reading(arguments))
        return 0
    if options := reading(arguments):
        raise UsageError(f"--{next(iter(options))} is for tables; this run was trained on {run.settings.dataset}")
    tables = [name for name in arguments.files if is_csv(name)]
    if tables and len(arguments.files) > 1:
        raise UsageError("give either images or one CSV file")
    if tables:
        _keep(tables[0], arguments.out or "submission.csv")
        _predict_table(run, tables[0], arguments.out or "submission.csv", arguments.json)
        return 0
    if arguments.out:
        raise UsageError("--out is for the predictions of a CSV file")
    return _predict_pictures(run, arguments.files, arguments.json)


def _keep(name: str, out: str) -> None:
    """Check that the predictions do not overwrite the data."""
    if Path(name).exists() and Path(out).exists() and Path(name).samefile(out):
        raise UsageError(f"the predictions would overwrite {name}: choose another file with --out")


def _probabilities(run: TrainedRun, pixels: np.ndarray) -> np.ndarray:
    logits = outputs_of(run.model, as_inputs(pixels, run.settings), run.backend)
    return to_numpy(F.softmax(logits).data)


# -- pictures --------------------------------------------------------------------------------------------------------


def _predict_pictures(run: TrainedRun, arguments: list[str], as_json: bool) -> int:
    recipe, note = picture_recipe(run.settings)
    if note:
        _complain(f"note: {note}")
    files = [found for argument in arguments for found in _files(argument)]
    drawn = recipe.channels == 1 and max(recipe.size) <= 40 and len(files) <= _DRAWN and not as_json
    results, failed = [], 0
    for start in range(0, len(files), _TOGETHER):
        for picture, p in _classified(run, recipe, files[start : start + _TOGETHER]):
            if picture.error:
                failed += 1
                _complain(f"xpnet: error: {picture.error}")
            elif not as_json:
                _show(picture, p, run.settings.classes, drawn)
            results.append(_result(picture, p, run.settings.classes))
    if as_json:
        print(to_json(results))
    if failed and len(files) > 1:
        _complain(f"{failed} of {len(files)} pictures could not be classified")
    return 1 if failed else 0


def _complain(text: str) -> None:
    console.flush()  # keeps both streams in order on a terminal
    print(text, file=sys.stderr, flush=True)


def _files(argument: str) -> Iterator[_Picture]:
    """The files of an argument: a file, all image files in a folder and below it, or all that match a pattern."""
    path = Path(argument)
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not found:
            yield _Picture(argument, error=f"{argument} is a folder without image files ({', '.join(SUFFIXES[:3])}...)")
        yield from (_Picture(str(file)) for file in found)
    elif not path.exists() and glob.has_magic(argument):
        matches = sorted(glob.glob(argument, recursive=True))
        if not matches:
            yield _Picture(argument, error=f"{argument}: no file matches this pattern")
        for match in matches:
            yield from _files(match)
    else:
        yield _Picture(argument)


def _classified(run: TrainedRun, recipe: PictureRecipe, files: list[_Picture]) -> list[tuple[_Picture, np.ndarray]]:
    """Pictures with the probabilities of their classes; an empty array for a picture that cannot be read."""
    pictures = [file if file.error else _read(file.name, recipe) for file in files]
    pixels = [picture.pixels for picture in pictures if picture.pixels is not None]
    rows = iter(_probabilities(run, np.stack(pixels)) if pixels else ())
    return [(picture, next(rows) if picture.pixels is not None else np.empty(0)) for picture in pictures]


def _read(name: str, recipe: PictureRecipe) -> _Picture:
    try:
        pixels = read_image(name)
    except MissingExtraError:
        raise  # none can be read
    except OSError as error:
        return _Picture(name, error=f"{name}: {error.strerror or error}{_near(name)}")
    except ValueError as error:
        return _Picture(name, error=str(error))
    try:
        if recipe.inverts(pixels):
            _complain(f"note: {name}: inverted, because the training images have a {recipe.ground} ground")
        return _Picture(name, recipe(pixels))
    except ValueError as error:
        return _Picture(name, error=f"{name}: {error}")


def _near(name: str) -> str:
    """A hint on an existing file that may have been meant by a missing one."""
    path = Path(name)
    if path.exists() or not path.parent.is_dir():
        return ""
    return did_you_mean(path.name, (file.name for file in path.parent.iterdir() if file.is_file()))


def _show(picture: _Picture, p: np.ndarray, classes: list[str], drawn: bool) -> None:
    best = np.argsort(-p, kind="stable")[:3]
    print(f"{picture.name}: {classes[best[0]]} ({p[best[0]]:.1%})")
    if len(best) > 1:
        print("  then " + ", ".join(f"{classes[i]} ({p[i]:.1%})" for i in best[1:]))
    if drawn and picture.pixels is not None:
        print(show_digit(picture.pixels, ascii=not (sys.stdout.encoding or "").lower().startswith("utf")))


def _result(picture: _Picture, p: np.ndarray, classes: list[str]) -> dict[str, Any]:
    if picture.error:
        return {"file": picture.name, "error": picture.error}
    best = int(p.argmax())
    probabilities = {name: float(value) for name, value in zip(classes, p, strict=True)}
    return {
        "file": picture.name, "class": classes[best], "probability": float(p[best]), "probabilities": probabilities,
    }  # fmt: skip


# -- rows of pixels --------------------------------------------------------------------------------------------------


def _predict_table(run: TrainedRun, name: str, out: str, as_json: bool) -> None:
    table = read_digit_csv(name)
    if list(table.inputs.shape[1:]) != run.settings.input_shape:
        got, expected = table.inputs.shape[1:], tuple(run.settings.input_shape)
        raise ValueError(f"{name} has images of {got}, this run was trained on {expected}")
    p = _probabilities(run, table.inputs)
    labels = p.argmax(axis=1)
    write_submission(out, labels, run.settings.classes)
    result: dict[str, Any] = {"file": name, "rows": len(labels), "written": out}
    if table.targets is not None:
        result["accuracy"] = float((labels == table.targets).mean())
    if as_json:
        print(to_json(result))
    else:
        known = f", accuracy {result['accuracy']:.4f} on its labels" if "accuracy" in result else ""
        print(f"{len(labels):,} prediction{'s' * (len(labels) != 1)} written to {out}{known}")
