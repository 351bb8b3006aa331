"""``xpnet profile``: measure the time and memory of a run's training steps."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import xpnet
from xpnet.cli.console import to_json
from xpnet.cli.datasets import load_splits, prepare
from xpnet.cli.options import add_common, positive
from xpnet.cli.parser import Commands
from xpnet.cli.run import load_run
from xpnet.cli.settings import check_picture
from xpnet.cli.train import loss_of


def add_parser(commands: Commands) -> None:
    """The command line of ``xpnet profile``."""
    parser = commands.add_parser(
        "profile",
        help="where the time and memory of a run's steps go",
        description="Time a training step of a run by layer and op, forward and backward; memory kept in between.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", help="the run's folder, e.g. runs/mnist-1")
    parser.add_argument("--by", choices=("layer", "op", "both"), default="layer", help="(default: layer)")
    parser.add_argument("--repeats", type=positive, default=5, metavar="N", help="steps to time (default: 5)")
    parser.add_argument("--out", metavar="FILE.png", help="draw it")
    add_common(parser)


def run(arguments: argparse.Namespace) -> None:
    """Time training steps of a run on its first training batch; the run is not changed."""
    from xpnet.explore import profile as profile_of  # imported here, so that the other commands start faster

    check_picture(arguments.out, "profile.png")
    run = load_run(Path(arguments.run), arguments.backend, arguments.data_dir)
    settings = run.settings
    train = prepare(load_splits(settings).train, settings)
    inputs, targets = train[: settings.batch_size]
    labels = run.backend.asarray(targets)
    with xpnet.use(backend=run.backend):
        loss = loss_of(settings, run.backend)
        found = profile_of(run.model.train(), inputs, lambda y: loss(y, labels), repeats=arguments.repeats)
    if arguments.out is not None:
        from xpnet import plot

        plot.save(plot.profile(found, "op" if arguments.by == "op" else "layer"), arguments.out)
    if arguments.json:
        costs = [asdict(cost) for cost in found.costs]
        print(to_json({"batch_size": len(labels), "backend": found.backend, "costs": costs}))
        return
    print(found.table(arguments.by))
    drawn = f"; drawn in {arguments.out}" if arguments.out is not None else ""
    print(f"a step on {len(labels)} samples without the optimizer's, {found.backend}, median of {found.repeats}{drawn}")
