"""``xpnet evaluate``: a trained run on its test data again."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from xpnet.cli.datasets import load_splits, prepare
from xpnet.cli.run import in_words, load_run, measured
from xpnet.metrics import accuracy, confusion_matrix
from xpnet.nn import functional as F
from xpnet.train.trainer import predict
from xpnet_backends import to_numpy


def evaluate(arguments: argparse.Namespace) -> None:
    """Print accuracy and loss on the test data, and the most frequent mistakes."""
    run = load_run(Path(arguments.run), arguments.backend)
    if arguments.data_dir is not None:
        run.settings.data_dir = arguments.data_dir
    test = prepare(load_splits(run.settings).test, run.settings)
    logits = predict(run.model, test.inputs, run.backend)
    target = run.backend.asarray(test.targets)
    more = measured([*run.settings.metric, *(arguments.metric or [])], logits, target)
    result = {
        "test_accuracy": float(accuracy(logits, target)),
        "test_loss": float(F.cross_entropy(logits, target)),
        **more,
        "samples": len(test),
        "dataset": run.settings.dataset,
        "backend": run.backend.name,
    }
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{run.settings.dataset}: {len(test):,} test samples")
    print(f"test accuracy {result['test_accuracy']:.4f}, test loss {result['test_loss']:.4f}")
    if more:
        print(in_words(more.items()))
    matrix = to_numpy(confusion_matrix(target, logits.argmax(axis=1), len(run.settings.classes)))
    for line in mistakes(matrix, run.settings.classes):
        print(line)


def mistakes(matrix: np.ndarray, classes: list[str], count: int = 5) -> list[str]:
    """The most frequent confusions, in words."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(wrong, axis=None, kind="stable")[::-1][:count]
    pairs = [divmod(int(i), len(classes)) for i in order]
    return [f"  {wrong[t, p]:>4} x {classes[t]} taken for {classes[p]}" for t, p in pairs if wrong[t, p]]
