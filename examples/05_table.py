"""Your own table: from a CSV file to a classifier, and an honest report about it.

Why: most data are tables, and their missing cells, categories and rare classes are where results go wrong unnoticed.
Look at: balanced accuracy and macro F1 beside accuracy, most of all where one class is rare.

- Columns become numbers: categories one column each, numbers standardised, missing ones filled and said so by a column.
- All of this is learned from the training rows alone. Medians or means of the whole table would tell the training
  about the test rows.
- Where one class is rare, accuracy flatters: a network that never says "rare" can still be nearly always right. Class
  weights make each class count the same; balanced accuracy, F1, ROC and precision-recall show what they change.
- One split proves little: everything is done on several, and the spread is shown.

By default the tables are scikit-learn's wine and breast cancer. Breast cancer is also used with a fifth of its cells
removed, and with one in eight of its malignant rows, because the originals have no missing values and no rare class.

    python examples/05_table.py
    python examples/05_table.py --data titanic.csv --target Survived
"""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

import xpnet
from xpnet import data, metrics, models, nn, optim, plot
from xpnet.lesson import start
from xpnet.train import EarlyStopping


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", metavar="FILE", help="a CSV file (default: scikit-learn's breast cancer and wine)")
    parser.add_argument(
        "--target", metavar="COLUMN", help="the column to learn; a file without header has column1, ..."
    )
    parser.add_argument("--ignore", metavar="COLUMN", action="append", default=[], help="a column to leave out")


lesson = start(__doc__, __file__, add_options)
options, backend = lesson.options, lesson.backend
splits = 1 if lesson.quick else 5


def read(path: str) -> data.Table:
    """Read a CSV file, and print what was detected about it."""
    try:
        table = data.read_table(path)
    except OSError as error:
        lesson.refuse(error)
    for note in table.notes:
        lesson.say(note)
    return table


def blanked(table: data.Table, target: str, share: float) -> data.Table:
    """The table with some cells set to missing, except in the target column."""
    rng = np.random.default_rng(lesson.seed)
    columns = dict(table.columns)
    for name in table.names:
        if name != target:
            gone = rng.random(len(table)) < share
            columns[name] = np.where(gone, "", table[name]).tolist()
    return replace(table, name=f"{table.name}, {share:.0%} missing", columns=columns)


def thinned(table: data.Table, rare: str, every: int) -> data.Table:
    """The table with only one in ``every`` rows of one class of its last column, so that this class is rare."""
    cells = np.array(table[table.names[-1]])
    common, thin = np.flatnonzero(cells != rare), np.flatnonzero(cells == rare)[::every]
    return replace(table.take(np.sort([*common, *thin])), name=f"{table.name}, {rare} rare")


def train(model: nn.Module, loss: nn.Module, x: np.ndarray, labels: np.ndarray, val: np.ndarray) -> nn.Module:
    """Train on the rows that are not in ``val``, until the loss on the rows of ``val`` stops falling."""
    rest = np.setdiff1d(np.arange(len(x)), val)
    loader = data.DataLoader(data.ArrayDataset(x[rest], labels[rest]), min(32, len(rest)), shuffle=True)
    x_val, labels_val = backend.asarray(x[val]), backend.asarray(labels[val])
    optimizer = optim.AdamW(model.named_parameters(), lr=1e-2, weight_decay=1e-2)
    stopping, best = EarlyStopping(patience=20), model.state_dict()
    for epoch in range(1, 5 if lesson.quick else 101):
        model.train()
        for inputs, target in loader:
            found = loss(model(inputs), target)
            optimizer.zero_grad()
            found.backward()
            optimizer.step()
        model.eval()  # no dropout during evaluation
        with xpnet.no_grad():
            value = loss(model(x_val), labels_val).item()
        if stopping.update(value, epoch):
            best = model.state_dict()
        if stopping.should_stop:
            break
    model.load_state_dict(best)
    return model


def study(table: data.Table, target: str) -> dict[str, dict[str, float]]:
    """Evaluate every method on one table: mean scores over the splits, and pictures of the first split."""
    scores: dict[str, list[list[float]]] = {}
    for split in range(splits):
        seed = lesson.seed + split
        xpnet.manual_seed(seed)
        kinds = dict.fromkeys(options.ignore, "ignore")
        classes = np.array(table[target])  # stratified: every part has the same share of each class
        kept, test = data.split_rows(len(table), 0.25, labels=classes, seed=seed)
        # To avoid leakage, imputation, scaling and encoding are fitted on the training rows only.
        prepare = data.TablePreprocessor(target, task="classification", kinds=kinds).fit(table, kept)
        x, y = prepare.transform(table), prepare.transform_target(table)
        _, val = data.split_rows(len(kept), 0.2, labels=y[kept], seed=seed)
        count = len(prepare.classes)
        if split == 0:
            describe(table, prepare, y)
        plain = nn.CrossEntropyLoss()
        weighted = nn.CrossEntropyLoss(weight=backend.asarray(data.class_weights(y[kept], count)))
        recipes = {
            "logistic regression": (nn.Linear(x.shape[1], count), plain),
            "MLP": (models.MLP(x.shape[1], [32], count, dropout=0.2), plain),
            "MLP, class weights": (models.MLP(x.shape[1], [32], count, dropout=0.2), weighted),
        }
        common = np.bincount(y[kept], minlength=count)
        logits = {"most frequent class": np.tile(np.eye(count)[common.argmax()], (len(test), 1))}
        for name, (model, loss) in recipes.items():
            trained = train(model, loss, x[kept], y[kept], val)
            with xpnet.no_grad():
                logits[name] = trained(backend.asarray(x[test])).numpy()
        for name, z in logits.items():
            scores.setdefault(name, []).append(judge(z, y[test]))
        if split == 0:
            show(table, prepare.classes, logits, y[test])
    lesson.say(f"\n{table.name}: mean (and deviation) over {splits} splits, on the held-out quarter of the rows")
    lesson.say(f"{'':22}" + "".join(f"{name:>19}" for name in ("accuracy", "balanced accuracy", "macro F1", "ROC AUC")))
    for name, rows in scores.items():
        pairs = zip(np.mean(rows, axis=0), np.std(rows, axis=0), strict=True)
        lesson.say(f"{name:22}" + "".join(f"{f'{m:.3f} ({s:.3f})':>19}" for m, s in pairs))
    names = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc")
    return {name: dict(zip(names, np.mean(rows, axis=0), strict=True)) for name, rows in scores.items()}


def judge(logits: np.ndarray, labels: np.ndarray) -> list[float]:
    """Accuracy, balanced accuracy, macro F1 and the area under the ROC curve."""
    accuracy, balanced = metrics.accuracy(logits, labels), metrics.balanced_accuracy(logits, labels)
    f1, area = metrics.f1(logits, labels, average="macro"), metrics.roc_auc(logits, labels, logits=True)
    return [float(score) for score in (accuracy, balanced, f1, area)]


def describe(table: data.Table, prepare: data.TablePreprocessor, labels: np.ndarray) -> None:
    """Print how the columns are encoded, and the number of rows of each class."""
    lesson.say(f"\n{table.name}: {len(table)} rows, {len(prepare.outputs)} numbers each")
    lines = prepare.describe()
    for line in lines[:5]:
        lesson.say(f"  {line}")
    if len(lines) > 5:
        lesson.say(f"  ... and {len(lines) - 5} more columns")
    counts = np.bincount(labels, minlength=len(prepare.classes))
    lesson.say("  classes: " + ", ".join(f"{c} {n}" for c, n in zip(prepare.classes, counts, strict=True)))


def show(table: data.Table, classes: list[str], logits: dict[str, np.ndarray], y: np.ndarray) -> None:
    """Print the report of the weighted network on the first split, and draw its pictures."""
    z = logits["MLP, class weights"]
    lesson.say(f"\n{table.name}, the first split, MLP with class weights:")
    lesson.say(metrics.classification_report(z, y, class_names=classes))
    label = re.sub(r"\W+", "-", Path(table.name).name.removesuffix(".csv"))
    matrix = metrics.confusion_matrix(y, z.argmax(axis=1), len(classes))
    lesson.draw(f"confusion-{label}", lambda: plot.confusion(matrix, classes))
    if len(classes) == 2:  # the score of the second class against the rest
        columns = {name: (found[:, 1] - found[:, 0], y) for name, found in logits.items() if "most" not in name}
    else:
        common = np.argsort(-np.bincount(y, minlength=len(classes)))[:6]
        columns = {classes[c]: (z[:, c] - np.delete(z, c, axis=1).max(axis=1), (y == c).astype(int)) for c in common}
    columns = {name: (score, true) for name, (score, true) in columns.items() if 0 < true.sum() < len(true)}
    if not columns:
        lesson.say("The test part has rows of one class only: there are no ROC curves.")
        return
    roc = {name: metrics.roc_curve(*column)[:2] for name, column in columns.items()}
    lesson.draw(f"roc-{label}", lambda: plot.roc(roc))
    precision_recall = {name: metrics.precision_recall_curve(*column)[:2] for name, column in columns.items()}
    share = float((y == 1).mean()) if len(classes) == 2 else None
    lesson.draw(f"precision-recall-{label}", lambda: plot.precision_recall(precision_recall, share=share))


if (options.data is None) != (options.target is None):
    lesson.refuse("--data FILE and --target COLUMN belong together")
try:
    if options.data:
        results = {"your table": study(read(options.data), options.target)}
    else:
        cancer, wine = data.embedded_table("breast-cancer"), data.embedded_table("wine")
        with_gaps, with_a_rare_class = blanked(cancer, "diagnosis", 0.2), thinned(cancer, "malignant", 8)
        results = {table.name: study(table, "diagnosis") for table in (cancer, with_gaps, with_a_rare_class)}
        results[wine.name] = study(wine, "cultivar")
except ValueError as error:  # the table is invalid or unsuitable
    lesson.refuse(error)
lesson.finish({"splits": splits, **results})
