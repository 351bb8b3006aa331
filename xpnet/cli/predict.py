"""``xpnet predict``: which class is it?"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.cli.datasets import as_inputs
from xpnet.cli.run import Run, load_run
from xpnet.cli.settings import UsageError
from xpnet.cli.tables import predict_table, reading
from xpnet.data import read_digit_csv, read_image, show_digit, to_digit, write_submission
from xpnet.data.digit_csv import is_csv
from xpnet.nn import functional as F
from xpnet.train.trainer import predict as outputs_of
from xpnet_backends import to_numpy


def predict(arguments: argparse.Namespace) -> None:
    """Classify image files, or the rows of a CSV."""
    run = load_run(Path(arguments.run), arguments.backend)
    if run.settings.target is not None:
        if len(arguments.files) > 1:
            raise UsageError("give one CSV file: this run was trained on a table")
        predict_table(run, arguments.files[0], arguments.out or "predictions.csv", arguments.json, reading(arguments))
        return
    if options := reading(arguments):
        raise UsageError(f"--{next(iter(options))} is for tables; this run was trained on {run.settings.dataset}")
    tables = [name for name in arguments.files if is_csv(name)]
    if tables and len(arguments.files) > 1:
        raise UsageError("give either images or one CSV file")
    if tables:
        _predict_table(run, tables[0], arguments.out or "submission.csv", arguments.json)
        return
    if arguments.out:
        raise UsageError("--out is for the predictions of a CSV file")
    results = [_predict_image(run, name, show=not arguments.json) for name in arguments.files]
    if arguments.json:
        print(json.dumps(results))


def _probabilities(run: Run, pixels: np.ndarray) -> np.ndarray:
    logits = outputs_of(run.model, as_inputs(pixels, run.settings), run.backend)
    return to_numpy(F.softmax(logits).data)


def _predict_image(run: Run, name: str, show: bool) -> dict[str, Any]:
    if len(run.settings.input_shape) != 2:
        raise UsageError(f"predict knows pictures of digits; this run was trained on {run.settings.dataset}")
    digit = to_digit(read_image(name), size=run.settings.input_shape[-1])
    p = _probabilities(run, digit[None])[0]
    best = np.argsort(p)[::-1][:3]
    classes = run.settings.classes
    if show:
        print(f"{name}: {classes[best[0]]} ({p[best[0]]:.1%})")
        print("  then " + ", ".join(f"{classes[i]} ({p[i]:.1%})" for i in best[1:]))
        print(show_digit(digit, ascii=not (sys.stdout.encoding or "").lower().startswith("utf")))
    probabilities = {classes[i]: float(p[i]) for i in range(len(classes))}
    return {"file": name, "class": classes[best[0]], "probability": float(p[best[0]]), "probabilities": probabilities}


def _predict_table(run: Run, name: str, out: str, as_json: bool) -> None:
    table = read_digit_csv(name)
    if list(table.inputs.shape[1:]) != run.settings.input_shape:
        got, expected = table.inputs.shape[1:], tuple(run.settings.input_shape)
        raise ValueError(f"{name} has images of {got}, this run was trained on {expected}")
    p = _probabilities(run, table.inputs)
    labels = p.argmax(axis=1)
    write_submission(out, labels, run.settings.classes)
    result: dict[str, Any] = {"file": name, "rows": len(labels), "written": out}
    if table.targets is not None:
        result["accuracy"] = float((labels == table.targets).mean())
    if as_json:
        print(json.dumps(result))
    else:
        known = f", accuracy {result['accuracy']:.4f} on its labels" if "accuracy" in result else ""
        print(f"{len(labels):,} predictions written to {out}{known}")
