"""Parse the command line, run the command, and turn errors into one line and an exit status."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from xpnet import __version__
from xpnet.cli import (
    backends,
    console,
    datasets,
    doctor,
    evaluate,
    example,
    export,
    lr_range,
    models,
    predict,
    profile,
    train,
)
from xpnet.cli.parser import Commands, Parser
from xpnet.cli.settings import UsageError
from xpnet_backends import BackendError

_EXAMPLES = """begin with:
  xpnet train                              learn handwritten digits: MNIST, or scikit-learn's digits without it
  xpnet predict runs/mnist-1 photo.png     what is in this picture? (the last line of the training names the run)

more examples:
  xpnet train mnist --hidden 256 128 --epochs 20 --dropout 0.2
  xpnet train digits.csv --out runs/mine       your own digits: label,pixel0,...,pixel783
  xpnet train titanic.csv --target Survived    any table: which column is to be learned?
  xpnet train --resume runs/mnist-1            resume a run that was stopped
  xpnet evaluate runs/mnist-1                  measure on the test set (--metric f1 --metric roc_auc)
  xpnet predict runs/mnist-1 scans/ "*.jpg"    all pictures of a folder, and those that match a pattern
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


class _Command(Protocol):
    """The interface of a command's module."""

    def add_parser(self, commands: Commands) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int | None: ...


COMMANDS: dict[str, _Command] = {  # in the order in which the help lists them
    "train": train, "evaluate": evaluate, "predict": predict, "export": export, "doctor": doctor, "models": models,
    "datasets": datasets, "backends": backends, "lr-range": lr_range, "profile": profile, "example": example,
}  # fmt: skip


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = Parser(
        prog="xpnet",
        description="Neural networks from scratch on NumPy and CuPy.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"xpnet {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS.values():
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.  Returns 0; 1 for failures at run time, 2 for wrong use, 130 after Ctrl-C."""
    console.tolerate()
    try:
        status = _main(argv)
        console.flush()
        return status
    except BrokenPipeError:  # the reader closed the pipe, as `head` does
        console.discard()
        return 1
    except OSError as error:  # the output could not be written
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
        return COMMANDS[arguments.command].run(arguments) or 0
    except UsageError as error:
        return _report(error, 2)
    except SystemExit as end:  # an example that exits by itself
        return _status(end.code)
    except KeyboardInterrupt as stop:
        print(f"\nxpnet: stopped{': ' + str(stop) if str(stop) else ''}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        raise
    except (ValueError, OSError, BackendError, ImportError, RuntimeError, MemoryError) as error:
        return _report(error, 1)


def _as_meant(given: list[str]) -> list[str]:
    """``xpnet help train``, ``xpnet train help`` and ``xpnet -help`` show help, too."""
    if given[:1] == ["help"]:
        return ["--help"] if given[1:2] in ([], ["help"]) else [given[1], "--help"]
    if given[1:] == ["help"] and not given[0].startswith("-") and given[0] != "example" and not Path("help").exists():
        return [given[0], "--help"]
    return ["--help"] if given == ["-help"] else given


def _status(code: str | int | None) -> int:
    """The exit status of a process; a text is printed, as Python does."""
    if isinstance(code, str):
        print(code, file=sys.stderr)
        return 1
    return code or 0


def _report(error: BaseException, status: int) -> int:
    print(f"xpnet: error: {console.describe_error(error)}", file=sys.stderr)
    return status
