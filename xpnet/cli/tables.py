"""``xpnet train FILE.csv --target COLUMN``: what is special about runs on tables."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from xpnet._files import write_atomically
from xpnet.cli.run import Run
from xpnet.cli.scores import headline, score
from xpnet.cli.settings import Settings, UsageError
from xpnet.data import ArrayDataset, DataError, Table, TablePreprocessor, class_weights, read_table, split_rows
from xpnet.data.idx import read_bytes
from xpnet.data.suggest import did_you_mean
from xpnet.data.tables.kinds import check_target, guess_task
from xpnet.data.tables.reader import is_missing
from xpnet.nn import functional as F
from xpnet.train.trainer import predict as outputs_of
from xpnet_backends import to_numpy

TEST_SHARE = 0.2  # of the rows, put aside for the result
BATCH_SIZE = 32
STEPS = 2000  # as many as it takes, within 20 to 200 epochs
OPTIONS = ("task", "class_weight", "ignore", "categorical", "no_header")

Say = Callable[[str], None]


# -- the command line ------------------------------------------------------------------------------------------------


def table_settings(arguments: argparse.Namespace, known: tuple[str, ...]) -> dict[str, Any]:
    """What the command line says about a table; nothing without ``--target``.

    Raises: ``UsageError`` for a target without a file, options of tables without a target, or a table without one.
    """
    if arguments.target is None:
        given = [name for name in OPTIONS if getattr(arguments, name) is not None]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} is for tables: say which column to learn with --target")
        _insist_on_digits(arguments)
        return {}
    if arguments.dataset is None or arguments.dataset in known:
        raise UsageError("--target is for tables: xpnet train FILE.csv --target COLUMN")
    if arguments.model not in (None, "mlp"):
        raise UsageError(f"{arguments.model} takes images: for a table leave --model out, or choose mlp")
    kinds = dict.fromkeys(arguments.categorical or (), "categorical") | dict.fromkeys(arguments.ignore or (), "ignore")
    settings = {"kinds": kinds, "header": False if arguments.no_header else None}
    return settings if arguments.batch_size is not None else {**settings, "batch_size": 0}


def _insist_on_digits(arguments: argparse.Namespace) -> None:
    """A CSV without a target must be one of digits; where it clearly is another table, say what to do."""
    if arguments.dataset is None or not arguments.dataset.endswith((".csv", ".csv.gz")):
        return
    path = _path(arguments.dataset, arguments.data_dir)
    try:
        if b"pixel" in read_bytes(path).split(b"\n", 1)[0].lower():
            return
        names = read_table(path).names
    except (DataError, OSError):
        return  # the reader of digits will say what is wrong
    raise UsageError(
        f"{arguments.dataset} is no CSV of digits (label,pixel0,...). For another table say which column to learn, "
        f"e.g. --target {names[-1]} (its columns: {', '.join(names)})"
    )


def run_name(dataset: str) -> str:
    """What a run on this file is called."""
    return Path(dataset).name.split(".")[0] or "table"


def _path(dataset: str, data_dir: str | None) -> Path:
    return Path(dataset) if data_dir is None else Path(data_dir) / dataset


# -- training --------------------------------------------------------------------------------------------------------


def load_parts(settings: Settings, say: Say) -> tuple[ArrayDataset, ArrayDataset | None, ArrayDataset]:
    """Training, validation and test data, as numbers.

    The first time the columns are guessed, and what is learned from the training rows is put into the settings;
    later it is taken from there.

    Raises: ``DataError`` where the file was changed in between.
    """
    assert settings.target is not None
    path = _path(settings.dataset, settings.data_dir)
    fresh = not settings.table
    table = read_table(path, header=settings.header) if fresh else _saved(settings).read(path)
    if not fresh and table.digest != settings.table["sha256"]:
        raise DataError(
            f"{path} was changed since the run began, so that it is not known any more which rows it learned from: "
            "bring the old file back, or use `xpnet evaluate RUN --data FILE` or `xpnet predict RUN FILE`"
        )
    for note in table.notes if fresh else ():
        say(f"note: {note}")
    for column in (settings.target, *settings.kinds) if fresh else ():
        if column not in table.names:
            near = did_you_mean(column, table.names)
            raise UsageError(f"{path} has no column {column!r}{near} (its columns: {', '.join(table.names)})")
    labelled = _labelled(table, settings.target, say if fresh else None)
    train, val, test = _split(labelled, settings)
    if fresh:
        _learn(labelled, train, settings, say)
    prepare = _saved(settings)
    parts = [None if rows is None else _dataset(labelled.take(rows), prepare) for rows in (train, val, test)]
    assert parts[0] is not None
    assert parts[2] is not None
    return parts[0], parts[1], parts[2]


def _saved(settings: Settings) -> TablePreprocessor:
    return TablePreprocessor.from_state(settings.table["preprocessing"])


def _labelled(table: Table, target: str, say: Say | None) -> Table:
    """The rows whose target is known."""
    rows = [row for row, cell in enumerate(table[target]) if not is_missing(cell)]
    if not rows:
        raise DataError(f"{table.name}: the target {target!r} is missing in every row")
    if len(rows) < len(table) and say is not None:
        without = len(table) - len(rows)
        say(f"note: {without:,} row{'s' * (without > 1)} without {target} left out")
    return table.take(rows)


def _split(table: Table, settings: Settings) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Row numbers: a fifth for the test, then the share asked for to validate; of every class the same share."""
    assert settings.target is not None
    task = settings.task or guess_task(table, settings.target).kind
    check_target(table, settings.target, task)
    labels = np.array(table[settings.target]) if task == "classification" else None
    rest, test = split_rows(len(table), TEST_SHARE, labels=labels, seed=settings.seed, path="data.test")
    if settings.val_split == 0.0:
        return rest, None, test
    kept = None if labels is None else labels[rest]
    train, val = split_rows(len(rest), settings.val_split, labels=kept, seed=settings.seed)
    return rest[train], rest[val], test


def _learn(table: Table, train: np.ndarray, settings: Settings, say: Say) -> None:
    """Fit the preprocessing on the training rows and complete the settings by it."""
    assert settings.target is not None
    prepare = TablePreprocessor(settings.target, task=settings.task or None, kinds=settings.kinds)
    prepare.fit(table, train)
    settings.task, settings.classes = prepare.task, prepare.classes
    settings.batch_size = settings.batch_size or min(BATCH_SIZE, len(train))
    settings.epochs = settings.epochs or min(max(STEPS * settings.batch_size // len(train), 20), 200)
    settings.table = {"preprocessing": prepare.state(), "sha256": table.digest}
    if settings.class_weight == "balanced":
        if settings.task == "regression":
            raise UsageError("--class-weight is for classes: a regression has none")
        labels = prepare.transform_target(table.take(train))
        settings.table["class_weights"] = class_weights(labels, len(prepare.classes)).tolist()
    say(f"table    {table.name}: {len(table):,} rows, {len(table.names)} columns")
    say("\n".join(f"  {line}" for line in prepare.describe()))
    say(f"target   {settings.target}: {_target_in_words(table, prepare)}")


def _target_in_words(table: Table, prepare: TablePreprocessor) -> str:
    if prepare.task == "regression":
        values = table.numbers(prepare.target)
        return f"regression ({prepare.why_task}), {values.min():g} to {values.max():g}, mean {values.mean():.4g}"
    counts = Counter(table[prepare.target])
    shown = ", ".join(f"{name} {counts[name]:,}" for name in prepare.classes[:10])
    more = f", and {len(prepare.classes) - 10} more" if len(prepare.classes) > 10 else ""
    return f"classification ({prepare.why_task}): {shown}{more}"


def _dataset(table: Table, prepare: TablePreprocessor) -> ArrayDataset:
    inputs, targets = prepare.transform(table), prepare.transform_target(table)
    return ArrayDataset(inputs, targets, classes=prepare.classes, name=table.name)


# -- using -----------------------------------------------------------------------------------------------------------


def load_labelled(run: Run, path: str) -> tuple[ArrayDataset, list[str]]:
    """All labelled rows of another file, and what of them was never seen in training."""
    prepare = _saved(run.settings)
    table = _labelled(prepare.read(path), prepare.target, None)
    return _dataset(table, prepare), prepare.unseen_cells(table)


def predict_table(run: Run, path: str, out: str, as_json: bool) -> None:
    """Predict each raw row of a file, and write what was predicted beside the columns that identify the rows."""
    prepare = _saved(run.settings)
    table = prepare.read(path)
    outputs = outputs_of(run.model, prepare.transform(table), run.backend)
    rows = _predictions(prepare, table, outputs)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(rows)
    write_atomically(out, text.getvalue())
    result: dict[str, Any] = {"file": path, "rows": len(table), "written": out, "unseen": prepare.unseen_cells(table)}
    if prepare.target in table.names and not any(map(is_missing, table[prepare.target])):
        target = run.backend.asarray(prepare.transform_target(table))
        result |= {name.removeprefix("test_"): value for name, value in score(run.settings, outputs, target).items()}
    if as_json:
        print(json.dumps(result))
        return
    for line in result["unseen"]:
        print(f"note: {line}")
    found = {f"test_{name}": value for name, value in result.items()}
    known = f"; on its own {prepare.target}: {headline(found).replace('test ', '')}" if "loss" in result else ""
    print(f"{len(table):,} predictions written to {out}{known}")


def _predictions(prepare: TablePreprocessor, table: Table, outputs: Any) -> list[list[str]]:
    """A header and a row each: identifiers, or the row's number; the prediction; for classes its probability."""
    ids = [name for name, guess in prepare.guesses.items() if guess.kind == "id" and name in table.names]
    keys = [[table[name][row] for name in ids] or [str(row + 1)] for row in range(len(table))]
    header = [*(ids or ["row"]), prepare.target]
    if prepare.task == "regression":
        values = prepare.inverse_target(to_numpy(outputs))
        return [header, *([*key, f"{value:.7g}"] for key, value in zip(keys, values, strict=True))]
    p = to_numpy(F.softmax(outputs).data)
    best = p.argmax(axis=1)
    found = [[prepare.classes[label], f"{p[row, label]:.4f}"] for row, label in enumerate(best)]
    return [[*header, "probability"], *([*key, *cells] for key, cells in zip(keys, found, strict=True))]
