"""Options that several commands share, and the parsing of their values."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

from xpnet import metrics
from xpnet.cli.settings import AUGMENTS, CLASS_WEIGHTS, MODELS, OPTIMIZERS, SPLITS, TASKS
from xpnet.data.tables.numbers import DECIMALS, THOUSANDS


def _number(kind: type[int] | type[float], fits: Callable[[float], bool], what: str) -> Callable[[str], Any]:
    """A converter for argparse; for a value that does not fit, the error says what it must be."""

    def read(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not fits(value):
            raise argparse.ArgumentTypeError(f"must be {what}, got {text}")
        return value

    return read


positive = _number(int, lambda n: n >= 1, "a positive whole number")
share = _number(float, lambda x: 0.0 <= x < 1.0, "at least 0 and below 1")
rate = _number(float, lambda x: 0.0 <= x < math.inf, "a number >= 0")
positive_number = _number(float, lambda x: 0.0 < x < math.inf, "a positive number")
seed = _number(int, lambda n: 0 <= n < 1 << 64, "a whole number in 0..2**64-1")


def width(text: str) -> int:
    """A layer's width; the error explains common mistakes in a list of widths."""
    try:
        return positive(text)  # type: ignore[no-any-return]
    except argparse.ArgumentTypeError as error:
        hint = "put spaces between the numbers" if "," in text else "the dataset goes before the options"
        raise argparse.ArgumentTypeError(f"{error}" if text.lstrip("+-").isdigit() else f"{error}: {hint}") from None


def metric(text: str) -> str:
    """The name of a metric."""
    try:
        metrics.get(text)
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def add_common(parser: argparse.ArgumentParser, data: bool = True) -> None:
    """``--data-dir``, ``--backend`` and ``--json``, for the commands on a run."""
    moved = "folder with the dataset (default: where the run found it)" if data else argparse.SUPPRESS
    parser.add_argument("--data-dir", metavar="DIR", help=moved)
    parser.add_argument("--backend", help="numpy, cupy or auto (default: auto)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def add_metric(parser: argparse.ArgumentParser) -> None:
    """``--metric``."""
    names = ", ".join([*metrics.names("classification"), "top_5_accuracy", "f1_weighted", *metrics.names("regression")])
    text = f"measure this, too; may be given several times: {names}, ..."
    parser.add_argument("--metric", type=metric, action="append", metavar="NAME", help=text)


def add_data_and_network(parser: argparse.ArgumentParser) -> None:
    """The options that ``xpnet train`` and ``xpnet lr-range`` share."""
    add = parser.add_argument
    add("dataset", nargs="?", metavar="DATASET", help="mnist, fashion-mnist, cifar10, digits, or a CSV file")
    add("--model", choices=MODELS, help="the kind of network (default: mlp)")
    add("--hidden", type=width, nargs="+", metavar="N", help="widths of the hidden layers (default: 128)")
    add("--batch-size", type=positive, metavar="N", help="samples per step (default: 64; tables 32)")
    add("--optimizer", choices=OPTIMIZERS, help="(default: adam)")
    add("--lr", type=rate, metavar="X", help="learning rate (default: 0.001; sgd 0.1)")
    add("--dropout", type=share, metavar="P", help="share of hidden units dropped in training (default: 0)")
    add("--weight-decay", type=rate, metavar="X", help="(default: 0)")
    add("--augment", choices=AUGMENTS, help="images shifted at random, or shifted and mirrored (default: none)")
    add("--seed", type=seed, metavar="N", help="the same seed gives the same run (default: 0)")
    add("--val-split", type=share, metavar="P", help="share of the training data kept for validation (default: 0.1)")
    add("--data-dir", metavar="DIR", help="folder with the dataset, or its parent; for cifar10 also its archive")
    add("--backend", help="numpy, cupy or auto (default: auto)")


def add_table(parser: argparse.ArgumentParser) -> None:
    """The options for runs on tables."""
    add = parser.add_argument_group("tables").add_argument
    add(
        "--target",
        metavar="COLUMN",
        help="the column of a CSV to learn; the types of the others are guessed and printed",
    )
    add("--task", choices=TASKS, help="what the target is (default: guessed from it)")
    add("--class-weight", choices=CLASS_WEIGHTS, help="balanced: rare classes count more (default: none)")
    add("--ignore", nargs="+", metavar="COLUMN", help="columns of a CSV to leave out")
    add("--categorical", nargs="+", metavar="COLUMN", help="columns whose numbers are categories")
    add("--split", choices=SPLITS, help="which rows are held out: any, or the last ones in time (default: random)")
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """The format of a CSV; what is not given is guessed."""
    add = parser.add_argument
    add(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="the first row of the CSV names the columns, or is data (default: guessed)",
    )
    add("--delimiter", metavar="CHAR", help="the separator of cells: ',' ';' '|' tab space (default: guessed)")
    add("--decimal", choices=DECIMALS, metavar="SIGN", help="the decimal sign, a point or a comma (default: guessed)")
    add("--thousands", choices=tuple(THOUSANDS), metavar="SIGN", help="the separator of thousands (default: guessed)")
    add("--encoding", metavar="NAME", help="e.g. utf-16 or latin-1 (default: guessed)")
    add("--missing", nargs="+", metavar="CELL", help="cells that mark a missing value, e.g. NA or -999")
