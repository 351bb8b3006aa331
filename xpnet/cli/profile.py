"""``xpnet profile``: where the time and memory of a run's steps go."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import xpnet
from xpnet.cli.console import to_json
from xpnet.cli.datasets import load_splits, prepare
from xpnet.cli.run import load_run
from xpnet.cli.settings import check_picture
from xpnet.cli.train import loss_of
from xpnet.explore import profile as profile_of


def profile(arguments: argparse.Namespace) -> None:
    """Time training steps of a run on its first training batch; nothing of the run is changed."""
    check_picture(arguments.out, "profile.png")
    run = load_run(Path(arguments.run), arguments.backend, arguments.data_dir)
    settings = run.settings
    train = prepare(load_splits(settings).train, settings)
    inputs, targets = train[: settings.batch_size]
    labels = run.backend.asarray(targets)
    with xpnet.use(backend=run.backend):
        loss = loss_of(settings)
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
