"""Parse the command line, run the command, turn errors into one line and an exit status."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from xpnet import __version__, metrics
from xpnet.cli import console
from xpnet.cli.settings import (
    AUGMENTS,
    CLASS_WEIGHTS,
    MODELS,
    OPTIMIZERS,
    SCHEDULES,
    SPLITS,
    TASKS,
    UsageError,
    runs_in,
)
from xpnet.data.suggest import did_you_mean
from xpnet.data.tables.numbers import DECIMALS, THOUSANDS
from xpnet_backends import BackendError

_EXAMPLES = """begin with:
  xpnet train                              learn handwritten digits: MNIST, or scikit-learn's digits without it
  xpnet predict runs/mnist-1 photo.png     what is in this picture? (the last line of the training names the run)

more examples:
  xpnet train mnist --hidden 256 128 --epochs 20 --dropout 0.2
  xpnet train digits.csv --out runs/mine       your own digits: label,pixel0,...,pixel783
  xpnet train titanic.csv --target Survived    any table: which column is to be learned?
  xpnet train --resume runs/mnist-1            go on with a run that was stopped
  xpnet evaluate runs/mnist-1                  the test set again (--metric f1 --metric roc_auc)
  xpnet predict runs/mnist-1 scans/ "*.jpg"    all pictures of a folder, and those that fit a pattern
  xpnet export runs/mnist-1 --onnx m.onnx      the trained network for other programs
  xpnet doctor runs/mnist-1                    what is wrong with this training?
  xpnet backends                               what can compute here
  xpnet models                                 the networks that --model knows
  xpnet datasets                               the data that it can train on
  xpnet lr-range mnist --out lr.png            which learning rate to begin with
  xpnet profile runs/mnist-1                   where the time goes, layer by layer
  xpnet example list                           the numbered examples; xpnet example 01 runs one

xpnet help COMMAND, or xpnet COMMAND --help, shows the options of a command.
Exit status: 0 done, 1 failed, 2 used wrongly, 130 stopped by Ctrl-C.
"""

_TRAIN_EXAMPLES = """examples:
  xpnet train
  xpnet train mnist --epochs 5 --seed 1
  xpnet train mnist --model lenet --epochs 3
  xpnet train cifar10 --model resnet20 --augment crop-flip
  xpnet train cifar10 --data-dir cifar-10-binary.tar.gz --model resnet20
  xpnet train fashion-mnist --data-dir ~/data --backend cupy
  xpnet train train.csv.gz --val-split 0.2
  xpnet train titanic.csv --target Survived
  xpnet train --resume runs/mnist-1 --epochs 30

where a dataset is looked for: --data-dir, then the folder in XPNET_DATA, then the cache, then it is downloaded.
"""

_RESUME_ONLY = "--resume goes on with the settings of the run: with it only --epochs may be given, or --data-dir"


_OTHER_NAMES = {  # what the same thing is called elsewhere
    "--learning-rate": "--lr", "--wd": "--weight-decay", "--bs": "--batch-size", "--layers": "--hidden",
    "--width": "--hidden", "--device": "--backend", "--output": "--out", "--scheduler": "--schedule",
    "--data": "--data-dir", "--metrics": "--metric", "--l2": "--weight-decay",
}  # fmt: skip
_SHORT = 4  # lines: a usage up to this long is shown after an error


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        usage = self.format_usage()
        short = self.usage is None and usage.count("\n") <= _SHORT
        more = usage if short else f"{self.prog} --help shows all options\n"
        if "required: RUN" in message and (known := runs_in(Path("runs"))):
            message += f"; there are runs here: {', '.join(known[:5])}{', ...' if len(known) > 5 else ''}"
        self.exit(2, f"xpnet: error: {message}\n{more}")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; but a command refuses what it does not know by itself, and says what may be meant."""
        self._check_order(args)
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}{self._meant(unknown)}")
        return found, unknown

    def _check_order(self, args: Any) -> None:
        """Say where an option was given before the command that it belongs to."""
        commands = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        if not commands or not args or not args[0].startswith("-") or args[0] in self._option_string_actions:
            return
        named = [text for text in args if text in (commands[0].choices or ())]
        if named:
            rest = list(args)
            rest.remove(named[0])
            self.error(f"the command goes before its options: xpnet {named[0]} {' '.join(rest)}")

    def _meant(self, unknown: Sequence[str]) -> str:
        options = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        for text in unknown:
            name = text.partition("=")[0].replace("_", "-")
            if not name.startswith("-") or name.lstrip("-")[:1].isdigit():
                continue
            name = f"--{name.lstrip('-')}"
            other = _OTHER_NAMES.get(name)
            return f"; did you mean {other!r}?" if other in options else did_you_mean(name, options)
        return ""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            near = did_you_mean(str(value), map(str, action.choices or ()))
            raise argparse.ArgumentError(action, f"{error.message}{near}") from None


def _number(kind: type[int] | type[float], fits: Callable[[float], bool], what: str) -> Callable[[str], Any]:
    """A converter for argparse: what it reads must fit, else the error says what it must be."""

    def read(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not fits(value):
            raise argparse.ArgumentTypeError(f"must be {what}, got {text}")
        return value

    return read


_positive = _number(int, lambda n: n >= 1, "a positive whole number")
_share = _number(float, lambda x: 0.0 <= x < 1.0, "at least 0 and below 1")
_rate = _number(float, lambda x: 0.0 <= x < math.inf, "a number >= 0")
_positive_number = _number(float, lambda x: 0.0 < x < math.inf, "a positive number")
_seed = _number(int, lambda n: 0 <= n < 1 << 64, "a whole number in 0..2**64-1")


def _width(text: str) -> int:
    try:
        return _positive(text)  # type: ignore[no-any-return]
    except argparse.ArgumentTypeError as error:
        hint = "put spaces between the numbers" if "," in text else "the dataset goes before the options"
        raise argparse.ArgumentTypeError(f"{error}" if text.lstrip("+-").isdigit() else f"{error}: {hint}") from None


def _metric(text: str) -> str:
    try:
        metrics.get(text)
    except (ValueError, TypeError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="xpnet",
        description="Neural networks from scratch on NumPy and CuPy.",
        epilog=_EXAMPLES,
        formatter_class=formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"xpnet {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", parser_class=_Parser)
    _add_train(commands, formatter)
    evaluate = commands.add_parser("evaluate", help="measure a trained run on its test set", allow_abbrev=False)
    evaluate.add_argument("run", metavar="RUN", help="the run's folder, e.g. runs/mnist-1")
    _add_metric(evaluate)
    evaluate.add_argument("--data", metavar="FILE", help="measure on the labelled rows of this CSV (runs on tables)")
    _add_reading(evaluate)
    _add_common(evaluate)
    predict = commands.add_parser(
        "predict",
        help="classify images with a trained run",
        description="Images (PNG, JPEG, ...) of any size are made like those that the run was trained on: digits are "
        "found, put in the middle and inverted if need be, others are scaled. Or a CSV of pixel rows, which gives a "
        "submission file; or the raw rows of a table, for a run on one. A picture that cannot be read is named, the "
        "others go on, and the exit status is 1.",
        allow_abbrev=False,
    )
    predict.add_argument("run", metavar="RUN", help="the run's folder, e.g. runs/mnist-1")
    predict.add_argument(
        "files", metavar="IMAGE", nargs="+", help="image files, folders of them, patterns; or one CSV file"
    )
    predict.add_argument(
        "--out",
        metavar="FILE",
        help="where a CSV's predictions go (default: submission.csv or predictions.csv)",
    )
    _add_reading(predict)
    _add_common(predict, data=False)
    export = commands.add_parser(
        "export",
        help="write a trained network for other programs",
        description="An ONNX file, version 17 of its ops, for any batch size. It takes normalised inputs: how is said, "
        "and kept in the file's metadata.",
        allow_abbrev=False,
    )
    export.add_argument("run", metavar="RUN", help="the run's folder, e.g. runs/mnist-1")
    export.add_argument("--onnx", metavar="FILE", required=True, help="where it goes, e.g. model.onnx")
    export.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    doctor = commands.add_parser(
        "doctor",
        help="what is wrong with a run, and what to do",
        description="Look at a run's data, network, gradients and history; exit status 1 where there are problems.",
        allow_abbrev=False,
    )
    doctor.add_argument("run", metavar="RUN", help="the run's folder, e.g. runs/mnist-1")
    _add_common(doctor)
    models = commands.add_parser("models", help="the networks that --model knows", allow_abbrev=False)
    models.add_argument("--json", action="store_true", help="print JSON")
    datasets = commands.add_parser("datasets", help="the data that it can train on", allow_abbrev=False)
    datasets.add_argument("--json", action="store_true", help="print JSON")
    backends = commands.add_parser("backends", help="what can compute here, and why not", allow_abbrev=False)
    backends.add_argument("--json", action="store_true", help="print JSON")
    _add_lr_range(commands)
    _add_profile(commands)
    _add_example(commands)
    return parser


def _add_lr_range(commands: argparse._SubParsersAction[_Parser]) -> None:
    lr_range = commands.add_parser(
        "lr-range",
        help="which learning rate to begin with",
        description="Train for a few steps while the learning rate grows, and watch the loss. The options are those of "
        "xpnet train.",
        allow_abbrev=False,
    )
    add = lr_range.add_argument
    add("--out", metavar="FILE.png", help="draw the loss against the rate")
    add("--low", type=_positive_number, default=1e-7, metavar="X", help="the first rate (default: 1e-7)")
    add("--high", type=_positive_number, default=10.0, metavar="X", help="the last rate (default: 10)")
    add("--steps", type=_positive, default=100, metavar="N", help="(default: 100)")
    add("--json", action="store_true", help="print one JSON object and nothing else")
    _add_data_and_network(lr_range)
    _add_table(lr_range)


def _add_profile(commands: argparse._SubParsersAction[_Parser]) -> None:
    profile = commands.add_parser(
        "profile",
        help="where the time and memory of a run's steps go",
        description="Time a training step of a run by layer and op, forward and backward; memory kept in between.",
        allow_abbrev=False,
    )
    profile.add_argument("run", metavar="RUN", help="the run's folder, e.g. runs/mnist-1")
    profile.add_argument("--by", choices=("layer", "op", "both"), default="layer", help="(default: layer)")
    profile.add_argument("--repeats", type=_positive, default=5, metavar="N", help="steps to time (default: 5)")
    profile.add_argument("--out", metavar="FILE.png", help="draw it")
    _add_common(profile)


def _add_example(commands: argparse._SubParsersAction[_Parser]) -> None:
    example = commands.add_parser(
        "example",
        help="run a numbered example, or list them",
        description="The examples explain themselves as they run; pictures and metrics.json go to out/NAME.",
        allow_abbrev=False,
    )
    example.add_argument(
        "name", metavar="NAME", nargs="?", default="list", help="an example: 01, perceptron or 01_perceptron (or list)"
    )
    example.add_argument("options", nargs=argparse.REMAINDER, metavar="...", help="its options: --quick, ...")


def _add_common(parser: argparse.ArgumentParser, data: bool = True) -> None:
    moved = "folder with the dataset (default: where the run found it)" if data else argparse.SUPPRESS
    parser.add_argument("--data-dir", metavar="DIR", help=moved)
    parser.add_argument("--backend", help="numpy, cupy or auto (default: auto)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def _add_metric(parser: argparse.ArgumentParser) -> None:
    names = ", ".join([*metrics.names("classification"), "top_5_accuracy", "f1_weighted", *metrics.names("regression")])
    text = f"measure this too, may be given several times: {names}, ..."
    parser.add_argument("--metric", type=_metric, action="append", metavar="NAME", help=text)


def _add_train(commands: argparse._SubParsersAction[_Parser], formatter: type[argparse.HelpFormatter]) -> None:
    train = commands.add_parser(
        "train",
        usage="xpnet train [DATASET] [OPTIONS]",
        help="train a network on images or a table",
        description="Train a network; the run's folder gets weights, history, metrics and pictures.\n"
        "Every option has a default: xpnet train alone learns handwritten digits.",
        epilog=_TRAIN_EXAMPLES,
        formatter_class=formatter,
        allow_abbrev=False,
    )
    _add_data_and_network(train)
    add = train.add_argument_group("training").add_argument
    add("--epochs", type=_positive, metavar="N", help="passes over the data (default: 15; digits 50; tables 20..200)")
    add("--schedule", choices=SCHEDULES, help="how the learning rate changes over the epochs (default: cosine)")
    add("--l1", type=_rate, metavar="X", help="penalty on the sum of all weights' sizes (default: 0)")
    add("--clip-norm", type=_positive_number, metavar="X", help="clip the norm of the gradients (default: not)")
    add("--accumulate", type=_positive, metavar="N", help="batches averaged before each update (default: 1)")
    add("--ema", type=_share, metavar="DECAY", help="validate and keep an average of the weights, e.g. 0.999")
    _add_metric(train)
    _add_table(train)
    add = train.add_argument_group("the run").add_argument
    add("--out", metavar="DIR", help="folder of the run (default: runs/DATASET-1, -2, ...)")
    add("--resume", metavar="DIR", help="go on with a run that was stopped; only --epochs and --data-dir go with it")
    add("--quiet", action="store_true", help="print only the result")
    add("--json", action="store_true", help="print one JSON object and nothing else")


def _add_data_and_network(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dataset", nargs="?", metavar="DATASET", help="mnist, fashion-mnist, cifar10, digits, or a CSV file")
    add("--model", choices=MODELS, help="the kind of network (default: mlp)")
    add("--hidden", type=_width, nargs="+", metavar="N", help="widths of the hidden layers (default: 128)")
    add("--batch-size", type=_positive, metavar="N", help="samples a step (default: 64; tables 32)")
    add("--optimizer", choices=OPTIMIZERS, help="(default: adam)")
    add("--lr", type=_rate, metavar="X", help="learning rate (default: 0.001; sgd 0.1)")
    add("--dropout", type=_share, metavar="P", help="share of hidden units dropped in training (default: 0)")
    add("--weight-decay", type=_rate, metavar="X", help="(default: 0)")
    add("--augment", choices=AUGMENTS, help="images shifted at random, or shifted and mirrored (default: none)")
    add("--seed", type=_seed, metavar="N", help="the same seed gives the same run (default: 0)")
    add("--val-split", type=_share, metavar="P", help="share of the training data kept for validation (default: 0.1)")
    add("--data-dir", metavar="DIR", help="folder with the dataset, or its parent; for cifar10 also its archive")
    add("--backend", help="numpy, cupy or auto (default: auto)")


def _add_table(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("tables").add_argument
    add("--target", metavar="COLUMN", help="the column of a CSV to learn; what the others hold is guessed and said")
    add("--task", choices=TASKS, help="what the target is (default: guessed from it)")
    add("--class-weight", choices=CLASS_WEIGHTS, help="balanced: rare classes count more (default: none)")
    add("--ignore", nargs="+", metavar="COLUMN", help="columns of a CSV to leave out")
    add("--categorical", nargs="+", metavar="COLUMN", help="columns whose numbers are names of categories")
    add("--split", choices=SPLITS, help="which rows are put aside: any, or the last ones in time (default: random)")
    _add_reading(parser)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    """How a CSV is written; what is not said is guessed."""
    add = parser.add_argument
    add(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="the first row of the CSV names the columns, or is data (default: guessed)",
    )
    add("--delimiter", metavar="CHAR", help="what stands between cells: ',' ';' '|' tab space (default: guessed)")
    add("--decimal", choices=DECIMALS, metavar="SIGN", help="the decimal sign, a point or a comma (default: guessed)")
    add(
        "--thousands", choices=tuple(THOUSANDS), metavar="SIGN", help="what stands between thousands (default: guessed)"
    )
    add("--encoding", metavar="NAME", help="e.g. utf-16 or latin-1 (default: guessed)")
    add("--missing", nargs="+", metavar="CELL", help="cells that mean that a value is missing, e.g. NA or -999")


def _check_resume(arguments: argparse.Namespace) -> None:
    allowed = {"command", "resume", "epochs", "data_dir", "quiet", "json"}
    given = [name for name, value in vars(arguments).items() if name not in allowed and value is not None]
    if arguments.resume is not None and given:
        names = ", ".join("the dataset" if name == "dataset" else "--" + name.replace("_", "-") for name in given)
        raise UsageError(f"{_RESUME_ONLY} (leave out {names})")


def _run(arguments: argparse.Namespace) -> int:
    """Run the command; its exit status."""
    if arguments.command == "train":
        from xpnet.cli.train import train

        _check_resume(arguments)
        train(arguments)
    elif arguments.command == "evaluate":
        from xpnet.cli.evaluate import evaluate

        evaluate(arguments)
    elif arguments.command == "doctor":
        from xpnet.cli.doctor import doctor

        return doctor(arguments)
    elif arguments.command == "predict":
        from xpnet.cli.predict import predict

        return predict(arguments)
    elif arguments.command == "export":
        from xpnet.cli.export import export

        export(arguments)
    elif arguments.command == "lr-range":
        from xpnet.cli.lr_range import lr_range

        lr_range(arguments)
    elif arguments.command == "profile":
        from xpnet.cli.profile import profile

        profile(arguments)
    elif arguments.command == "example":
        from xpnet.cli.example import example

        example(arguments)
    elif arguments.command == "models":
        from xpnet.cli.models import models

        models(arguments)
    elif arguments.command == "datasets":
        from xpnet.cli.datasets import datasets

        datasets(arguments)
    else:
        from xpnet.cli.backends import backends

        backends(arguments)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.  Returns 0; 1 for failures at run time, 2 for wrong use, 130 after Ctrl-C."""
    console.tolerate()
    try:
        status = _main(argv)
        console.flush()
        return status
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        console.discard()
        return 1
    except OSError as error:  # what was printed could not be written
        console.discard()
        return _report(error, 1)


def _main(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    given = _as_meant(sys.argv[1:] if argv is None else list(argv))
    try:
        arguments = parser.parse_args(given)
    except SystemExit as end:  # --help, --version, and wrong use
        return int(end.code or 0)
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        return _run(arguments)
    except UsageError as error:
        return _report(error, 2)
    except SystemExit as end:  # an example that ends by itself
        return _status(end.code)
    except KeyboardInterrupt as stop:
        print(f"\nxpnet: stopped{': ' + str(stop) if str(stop) else ''}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise
    except (ValueError, OSError, BackendError, ImportError, RuntimeError, MemoryError) as error:
        return _report(error, 1)


def _as_meant(given: list[str]) -> list[str]:
    """``xpnet help train``, ``xpnet train help`` and ``xpnet -help`` show help too."""
    if given[:1] == ["help"]:
        return ["--help"] if given[1:2] in ([], ["help"]) else [given[1], "--help"]
    if given[1:] == ["help"] and not given[0].startswith("-") and given[0] != "example" and not Path("help").exists():
        return [given[0], "--help"]
    return ["--help"] if given == ["-help"] else given


def _status(code: str | int | None) -> int:
    """What a process would end with; a text is printed, as Python does."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
        return 1
    return code or 0


def _report(error: BaseException, status: int) -> int:
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = str(error) or type(error).__name__
    print(f"xpnet: error: {text}", file=sys.stderr)
    return status
