"""``xpnet doctor``: find problems in a run."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from xpnet.cli.console import to_json
from xpnet.cli.datasets import load_splits, prepare
from xpnet.cli.options import add_common
from xpnet.cli.parser import Commands
from xpnet.cli.run import load_run
from xpnet.cli.settings import build_model
from xpnet.cli.train import loss_of
from xpnet.nn import Module
from xpnet.train import History
from xpnet_backends import random
from xpnet_backends.random import Stream

SAMPLES = 256


def add_parser(commands: Commands) -> None:
    """The command line of ``xpnet doctor``."""
    parser = commands.add_parser(
        "doctor",
        help="what is wrong with a run, and what to do",
        description="Look at a run's data, network, gradients and history; exit status 1 where there are problems.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", help="the run's folder, e.g. runs/mnist-1")
    add_common(parser)


def run(arguments: argparse.Namespace) -> int:
    """Examine a run on samples of its training data; return 1 if there are problems, else 0."""
    from xpnet.explore import examine  # imported here, so that the other commands start faster

    folder = Path(arguments.run)
    run = load_run(folder, arguments.backend, arguments.data_dir)
    random.state.manual_seed(run.settings.seed)
    train = prepare(load_splits(run.settings).train, run.settings)
    chosen = Stream(run.settings.seed, "doctor").generator().permutation(len(train))[:SAMPLES]
    inputs, targets = (run.backend.asarray(part) for part in train[chosen])

    def fresh() -> Module:
        return build_model(run.settings, run.backend)

    report = examine(
        run.model,
        loss_of(run.settings, run.backend),
        inputs,
        targets,
        fresh=fresh,
        lr=run.settings.lr,
        optimizer=run.settings.optimizer,
        history=_history(folder / "history.csv"),
    )
    if arguments.json:
        print(to_json([asdict(finding) for finding in report.findings]))
    else:
        print(report)
    return 1 if report.problems else 0


def _history(path: Path) -> History | None:
    if not path.exists():
        return None
    try:
        return History.from_csv(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} was damaged or edited: {error}") from None
