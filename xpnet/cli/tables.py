"""``xpnet train FILE.csv --target COLUMN``: the parts of the command line that are specific to tables."""

from __future__ import annotations

import argparse
import csv
import io
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xpnet._files import write_atomically
from xpnet.cli.console import to_json
from xpnet.cli.run import TrainedRun
from xpnet.cli.scores import headline, score
from xpnet.cli.settings import Settings, UsageError
from xpnet.data import ArrayDataset, DataError, Table, TablePreprocessor, class_weights, read_table, split_rows
from xpnet.data.images.digit_csv import holds_digits, is_csv
from xpnet.data.suggest import did_you_mean, listed, short
from xpnet.data.tables.columns import Labels
from xpnet.data.tables.dates import as_days, guess_dates, in_order
from xpnet.data.tables.kinds import check_target, fold_classes, guess_task, known_targets
from xpnet.data.tables.reader import check_options, is_missing, is_number
from xpnet.nn import functional as F
from xpnet.train.trainer import predict as outputs_of
from xpnet_backends import to_numpy

TEST_SHARE = 0.2  # share of the rows that is held out for testing
BATCH_SIZE = 32
STEPS = 2000  # the number of epochs is chosen by this, within 20 to 200
READING = ("header", "delimiter", "decimal", "thousands", "encoding", "missing")  # the format of a file
OPTIONS = ("task", "class_weight", "ignore", "categorical", "split", *READING)
_TIME_NAME = re.compile(r"(?:^|[\s_.-])(?:year|date|time|timestamp|datetime|unix|epoch)s?$", re.IGNORECASE)
_NUMBERED = re.compile(r"column\d+")

Say = Callable[[str], None]


# -- the command line ------------------------------------------------------------------------------------------------


def table_settings(arguments: argparse.Namespace, known: tuple[str, ...]) -> dict[str, Any]:
    """The settings of a table from the command line; empty without ``--target``.

    Raises: ``UsageError`` for a target without a file, options of tables without a target, or a table without one.
    """
    if arguments.target is None:
        given = [name for name in OPTIONS if getattr(arguments, name) is not None]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} is for tables: name the column to learn with --target")
        _insist_on_digits(arguments)
        return {}
    if arguments.dataset is None or arguments.dataset in known:
        raise UsageError("--target is for tables: xpnet train FILE.csv --target COLUMN")
    if arguments.model not in (None, "mlp"):
        raise UsageError(f"{arguments.model} takes images: for a table leave --model out, or choose mlp")
    kinds = dict.fromkeys(arguments.categorical or (), "categorical") | dict.fromkeys(arguments.ignore or (), "ignore")
    settings: dict[str, Any] = {"kinds": kinds, **reading(arguments)}
    return settings if arguments.batch_size is not None else {**settings, "batch_size": 0}


def reading(arguments: argparse.Namespace) -> dict[str, Any]:
    """The format of a file from the command line.  Raises: ``UsageError`` for impossible formats."""
    given = {name: getattr(arguments, name) for name in READING if getattr(arguments, name) is not None}
    try:
        check_options(*(given.get(name) for name in ("delimiter", "decimal", "thousands", "encoding")))
    except ValueError as error:
        raise UsageError(str(error)) from None
    return given


def _insist_on_digits(arguments: argparse.Namespace) -> None:
    """Refuse a CSV without a target if it is clearly not one of digits, with the fix."""
    if arguments.dataset is None or not is_csv(arguments.dataset):
        return
    path = _path(arguments.dataset, arguments.data_dir)
    try:
        if holds_digits(path):
            return
        names = read_table(path).names
    except (DataError, OSError):
        return  # the reader of digits reports what is wrong
    raise UsageError(
        f"{arguments.dataset} is not a CSV of digits (label,pixel0,...). For another table name the column to learn, "
        f"e.g. --target {names[-1]} (its columns: {listed(names)})"
    )


def run_name(dataset: str) -> str:
    """The name of a run on this file."""
    return Path(dataset).name.split(".")[0] or "table"


def _path(dataset: str, data_dir: str | None) -> Path:
    return Path(dataset) if data_dir is None else Path(data_dir) / dataset


# -- training --------------------------------------------------------------------------------------------------------


def load_parts(settings: Settings, say: Say) -> tuple[ArrayDataset, ArrayDataset | None, ArrayDataset]:
    """Training, validation and test data as numbers.

    The first time, the types of the columns are guessed, and the preprocessing fitted on the training rows is stored in
    the settings.  Later it is taken from there.

    Raises: ``DataError`` if the file was changed in the meantime.
    """
    assert settings.target is not None
    path = _path(settings.dataset, settings.data_dir)
    fresh = not settings.table
    table = _read(path, settings) if fresh else _saved(settings).read(path)
    if not fresh and table.digest != settings.table["sha256"]:
        raise DataError(
            f"{path} was changed after the run began, so the rows that it was trained on are no longer known: "
            "restore the old file, or use `xpnet evaluate RUN --data FILE` or `xpnet predict RUN FILE`"
        )
    for note in table.notes if fresh else ():
        say(f"note: {note}")
    for column in (settings.target, *settings.kinds) if fresh else ():
        if column not in table.names:
            near = did_you_mean(column, table.names)
            raise UsageError(
                f"{path} has no column {short(column)!r}{near} (its columns: {listed(table.names)})"
                f"{_of_header(table, column)}"
            )
    if fresh and sum(name.casefold().startswith("pixel") for name in table.names) >= 64:
        say("note: this looks like a CSV of digits: without --target it is learned as images")
    quietly: Say = lambda text: None  # noqa: E731
    labelled = _labelled(table, settings, say if fresh else quietly)
    train, val, test = _split(labelled, settings, say if fresh else quietly)
    if fresh:
        _learn(labelled, train, settings, say)
    prepare = _saved(settings)
    parts = [None if rows is None else _dataset(labelled.take(rows), prepare) for rows in (train, val, test)]
    assert parts[0] is not None
    assert parts[2] is not None
    return parts[0], parts[1], parts[2]


def _of_header(table: Table, column: str) -> str:
    """The fix if the first row was mistaken for a header, or for data."""
    if not table.header:
        return "; the first row is taken for data: if it names the columns, use --header"
    return (
        "; the first row is taken for the header: if it is data, use --no-header" if _NUMBERED.fullmatch(column) else ""
    )


def _saved(settings: Settings) -> TablePreprocessor:
    return TablePreprocessor.from_state(settings.table["preprocessing"])


def _read(path: Path, settings: Settings) -> Table:
    options = {name: getattr(settings, name) for name in READING}
    return read_table(path, target=settings.target, **options)


def _labelled(table: Table, settings: Settings, say: Say) -> Table:
    """The rows whose target is known; a note says what the others contain."""
    target = settings.target
    assert target is not None
    rows = known_targets(table, target, settings.task)
    if not rows:
        raise DataError(f"{table.name}: the target {target!r} is missing in every row")
    cells = Counter(table[target])
    known = Counter(table[target][row] for row in rows)
    if without := len(table) - len(rows):
        say(f"note: {without:,} row{'s' * (without > 1)} without {target} left out: {_cells_in_words(cells - known)}")
    if words := [cell for cell in known if is_missing(cell) and settings.task != "regression"]:
        said = _cells_in_words({word: known[word] for word in words})
        say(f"note: {said} in {target}: a class like the others; if it means that the value is missing, use "
            f"--missing {' '.join(words)}")  # fmt: skip
    return table.take(rows)


def _cells_in_words(counts: Mapping[str, int]) -> str:
    """``3 empty, 2 with '?'``."""
    order = sorted(counts.items(), key=lambda item: -item[1])
    said = [f"{count:,} {f'with {cell[:40]!r}' if cell else 'empty'}" for cell, count in order[:5]]
    more = sum(count for _, count in order[5:])
    return ", ".join(said + ([f"{more:,} with others"] if more else []))


def _split(table: Table, settings: Settings, say: Say) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Row numbers: a fifth for testing, then the requested share for validation.

    A random split takes the same share of every class.  A split in time takes the last rows for testing and those
    before them for validation.
    """
    assert settings.target is not None
    task = settings.task or guess_task(table, settings.target).kind
    check_target(table, settings.target, task)
    labels = None
    if task == "classification":
        known = Labels(fold_classes(table[settings.target]))
        labels = np.array([known.number(cell) for cell in table[settings.target]])
    if settings.split == "time":
        return _split_in_time(table, settings, labels, say)
    if found := next((name for name, values in _times(table, settings.target) if in_order(values)), None):
        say(f"note: the rows are in order of {found}: a random split puts test rows between training rows; to test on "
            "the last rows, use --split time")  # fmt: skip
    rest, test = split_rows(len(table), TEST_SHARE, labels=labels, seed=settings.seed, path="data.test")
    if settings.val_split == 0.0:
        return rest, None, test
    kept = None if labels is None else labels[rest]
    train, val = split_rows(len(rest), settings.val_split, labels=kept, seed=settings.seed)
    return rest[train], rest[val], test


def _times(table: Table, target: str) -> list[tuple[str, np.ndarray]]:
    """The columns that give the time of a row: dates, and numbers called year or time."""
    found = []
    for name in table.names:
        cells = [cell for cell in table[name] if not is_missing(cell)]
        if name == target or not cells:
            continue
        if dates := guess_dates(name, cells):
            found.append((name, as_days(table[name], dates.name)))
        elif _TIME_NAME.search(name) and all(map(is_number, cells)):
            found.append((name, table.numbers(name)))
    return found


def _split_in_time(
    table: Table, settings: Settings, labels: np.ndarray | None, say: Say
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    times = _times(table, str(settings.target))
    name, values = next(((n, v) for n, v in times if in_order(v)), times[0] if times else ("", np.arange(len(table))))
    order = np.argsort(np.nan_to_num(values, nan=-np.inf), kind="stable")
    by = name or "the order of the rows, because no column gives the time"
    say(f"split    in time, by {by}; the last rows are the test's")
    test_size = round(TEST_SHARE * len(table))
    val_size = round(settings.val_split * (len(table) - test_size))
    cut = len(table) - test_size - val_size
    if min(cut, test_size) < 1 or (settings.val_split and not val_size):
        raise DataError(f"{table.name}: {len(table)} rows are too few to hold the last ones out")
    train, val, test = order[:cut], order[cut : cut + val_size], order[cut + val_size :]
    if labels is not None and (late := set(labels[order[cut:]].tolist()) - set(labels[train].tolist())):
        row = next(row for row in order[cut:] if labels[row] in late)
        cell = table[str(settings.target)][row]
        raise DataError(
            f"{table.place(int(row), str(settings.target))}: {cell[:40]!r} occurs only in the last rows, so "
            "it cannot be learned from the first ones: leave its rows out, or use --split random"
        )
    return train, (val if settings.val_split else None), test


def _learn(table: Table, train: np.ndarray, settings: Settings, say: Say) -> None:
    """Fit the preprocessing on the training rows and store it in the settings."""
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
        other = "; for classes use --task classification" if len(set(table[prepare.target])) <= 20 else ""
        return f"regression ({prepare.why_task}{other}), {values.min():g} to {values.max():g}, mean {values.mean():.4g}"
    known = Labels(prepare.classes)
    counts = Counter(prepare.classes[i] for i in map(known.number, table[prepare.target]) if i >= 0)
    shown = ", ".join(f"{name} {counts[name]:,}" for name in prepare.classes[:10])
    more = f", and {len(prepare.classes) - 10} more" if len(prepare.classes) > 10 else ""
    spelled = len(set(table[prepare.target])) - len(prepare.classes)
    alike = len(prepare.classes) - len({name.casefold() for name in prepare.classes})
    more += "; some differ in capital letters only" if alike else ""
    folded = "; other spellings of them count as the same" if spelled > 0 else ""
    scale = "; for a scale use --task regression" if prepare.why_task.endswith("whole numbers") else ""
    return f"classification ({prepare.why_task}{scale}): {shown}{more}{folded}"


def _dataset(table: Table, prepare: TablePreprocessor) -> ArrayDataset:
    inputs, targets = prepare.transform(table), prepare.transform_target(table)
    return ArrayDataset(inputs, targets, classes=prepare.classes, name=table.name)


# -- predicting - -----------------------------------------------------------------------------------------------------


def load_labelled(run: TrainedRun, path: str, options: dict[str, Any]) -> tuple[ArrayDataset, list[str]]:
    """All labelled rows of another file, and the notes about it."""
    prepare = _saved(run.settings)
    table = prepare.read(path, **options)
    rows, others = prepare.labelled(table)
    unknown = {cell: count for cell, count in others.items() if not is_missing(cell)}
    if unknown and prepare.task == "classification":
        row = next(row for row, cell in enumerate(table[prepare.target]) if cell in unknown)
        cell = table[prepare.target][row]
        raise DataError(
            f"{table.place(row, prepare.target)}: {cell[:40]!r} is not a class of the training rows"
            f"{did_you_mean(cell, prepare.classes)} (they are {listed(prepare.classes, 10)}; no class in all: "
            f"{_cells_in_words(unknown)})"
        )
    if unknown:
        table.numbers(prepare.target)  # raises an error that names the cell
    if not rows:
        raise DataError(f"{table.name}: the target {prepare.target!r} is missing in every row")
    said = (
        [f"{len(table) - len(rows):,} rows without {prepare.target} left out: {_cells_in_words(others)}"]
        if others
        else []
    )
    labelled = table.take(rows)
    return _dataset(labelled, prepare), [*table.notes, *said, *prepare.unseen_cells(labelled)]


def predict_table(run: TrainedRun, path: str, out: str, as_json: bool, options: dict[str, Any]) -> None:
    """Predict each raw row of a file, and write the predictions beside the columns that identify the rows.

    If the file has a target, the predictions are scored on the rows whose target is a class or number; a note says what
    the others contain.
    """
    prepare = _saved(run.settings)
    table = prepare.read(path, **options)
    outputs = outputs_of(run.model, prepare.transform(table), run.backend)
    rows = _predictions(prepare, table, outputs)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(rows)
    write_atomically(out, text.getvalue())
    result: dict[str, Any] = {"file": path, "rows": len(table), "written": out, "unseen": prepare.unseen_cells(table)}
    warning = ""
    if prepare.target in table.names:
        usable, others = prepare.labelled(table)
        if usable:
            target = run.backend.asarray(prepare.transform_target(table.take(usable)))
            scores = score(run.settings, outputs[run.backend.asarray(np.array(usable))], target)
            result |= {name.removeprefix("test_"): value for name, value in scores.items()}
        if set(others) - {""}:
            result["not_scored"] = others
            warning = _not_scored(prepare, others, len(usable))
    if as_json:
        print(to_json(result))
        if warning:
            print(f"warning: {warning}", file=sys.stderr)
        return
    for line in (*table.notes, *result["unseen"]):
        print(f"note: {line}")
    if warning:
        print(f"warning: {warning}")
    found = {f"test_{name}": value for name, value in result.items()}
    known = f"; on its own {prepare.target}: {headline(found).replace('test ', '')}" if "loss" in result else ""
    print(f"{len(table):,} prediction{'s' * (len(table) != 1)} written to {out}{known}")


def _not_scored(prepare: TablePreprocessor, others: Mapping[str, int], usable: int) -> str:
    """A note on targets of a file that cannot be compared with the predictions, and what they may mean."""
    cell = max((c for c in others if c), key=lambda c: others[c])
    what = "number" if prepare.task == "regression" else "class of the training rows"
    near = "" if prepare.task == "regression" else did_you_mean(cell, prepare.classes)
    score = f"the score is of the other {usable:,}" if usable else "there is no score"
    said = f"{sum(others.values()):,} rows have a {prepare.target} that is not a {what} ({_cells_in_words(others)})"
    return f"{said}{near}; {score}"


def _predictions(prepare: TablePreprocessor, table: Table, outputs: Any) -> list[list[str]]:
    """A header, and one row each: identifiers or the row's number, the prediction, and for classes its probability."""
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
