"""``xpnet evaluate``: measure a trained run on its test data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.cli.console import to_json
from xpnet.cli.datasets import load_splits, prepare
from xpnet.cli.options import add_common, add_metric, add_reading
from xpnet.cli.parser import Commands
from xpnet.cli.run import TrainedRun, load_run
from xpnet.cli.scores import headline, in_words, measured, score
from xpnet.cli.settings import UsageError
from xpnet.cli.tables import load_labelled, reading
from xpnet.data import ArrayDataset
from xpnet.metrics import confusion_matrix
from xpnet.train.trainer import predict
from xpnet_backends import to_numpy


def add_parser(commands: Commands) -> None:
    """The command line of ``xpnet evaluate``."""
    parser = commands.add_parser("evaluate", help="measure a trained run on its test set", allow_abbrev=False)
    parser.add_argument("run", metavar="RUN", help="the run's folder, e.g. runs/mnist-1")
    add_metric(parser)
    parser.add_argument("--data", metavar="FILE", help="measure on the labelled rows of this CSV (runs on tables)")
    add_reading(parser)
    add_common(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the scores on the test data, and the most frequent mistakes."""
    run = load_run(Path(arguments.run), arguments.backend, arguments.data_dir)
    test = _data(run, arguments.data, reading(arguments))
    logits = predict(run.model, test.inputs, run.backend)
    target = run.backend.asarray(test.targets)
    more = measured(run.settings, [*run.settings.metric, *(arguments.metric or [])], logits, target)
    result = {
        **score(run.settings, logits, target),
        **more,
        "samples": len(test),
        "dataset": arguments.data or run.settings.dataset,
        "backend": run.backend.name,
    }
    if arguments.json:
        print(to_json(result))
        return
    print(f"{result['dataset']}: {len(test):,} {'labelled rows' if arguments.data else 'test samples'}")
    print(headline(result))
    if more:
        print(in_words(more.items()))
    if run.settings.task == "regression":
        return
    matrix = to_numpy(confusion_matrix(target, logits.argmax(axis=1), len(run.settings.classes)))
    for line in mistakes(matrix, run.settings.classes):
        print(line)


def _data(run: TrainedRun, path: str | None, options: dict[str, Any]) -> ArrayDataset:
    """The run's own test data, or all labelled rows of another table."""
    if path is None:
        if options:
            raise UsageError(f"--{next(iter(options))} describes the format of another file: give it with --data FILE")
        return prepare(load_splits(run.settings).test, run.settings)
    if run.settings.target is None:
        raise UsageError(f"--data is for runs on tables; this run was trained on {run.settings.dataset}")
    data, said = load_labelled(run, path, options)
    for line in said:
        print(f"note: {line}", file=sys.stderr)
    return data


def mistakes(matrix: np.ndarray, classes: list[str], count: int = 5) -> list[str]:
    """The most frequent confusions, in words."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(wrong, axis=None, kind="stable")[::-1][:count]
    pairs = [divmod(int(i), len(classes)) for i in order]
    return [f"  {wrong[t, p]:>4} x {classes[t]} taken for {classes[p]}" for t, p in pairs if wrong[t, p]]
