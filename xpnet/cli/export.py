"""``xpnet export``: write a trained network for other programs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.cli.datasets import as_inputs
from xpnet.cli.parser import Commands
from xpnet.cli.run import load_run


def add_parser(commands: Commands) -> None:
    """The command line of ``xpnet export``."""
    parser = commands.add_parser(
        "export",
        help="write a trained network for other programs",
        description="An ONNX file (operator set 17) for any batch size. It takes normalised inputs: how is printed "
        "and stored in the file's metadata.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN", help="the run's folder, e.g. runs/mnist-1")
    parser.add_argument("--onnx", metavar="FILE", required=True, help="where it goes, e.g. model.onnx")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def run(arguments: argparse.Namespace) -> None:
    """Write the best weights of a run as ONNX; the file's metadata describe its inputs and outputs."""
    from xpnet.interchange import to_onnx  # imported here, so that the other commands start faster

    run = load_run(Path(arguments.run), "numpy")
    settings = run.settings
    of_table = settings.target is not None
    x = np.zeros((1, *settings.input_shape), np.float32 if of_table else np.uint8)
    x = x if of_table else as_inputs(x, settings)
    scale = {"preprocessing": settings.table["preprocessing"]} if of_table else {"normalize": settings.normalize}
    about = {"dataset": settings.dataset, "model": settings.model, "classes": json.dumps(settings.classes)}
    output = "value" if settings.task == "regression" else "logits"
    about |= {name: json.dumps(state) for name, state in scale.items()}
    to_onnx(run.model, x, arguments.onnx, output_name=output, metadata=about)
    shape = ["N", *x.shape[1:]]
    result: dict[str, Any] = {"file": arguments.onnx, "input": shape, "classes": settings.classes}
    if arguments.json:
        print(json.dumps({**result, **scale}))
        return
    print(
        f"{arguments.onnx}: input ({', '.join(map(str, shape))}) float32 -> {output} (N, {len(settings.classes) or 1})"
    )
    if of_table:
        print("rows are taken as xpnet prepares them: how, and the target's scale, is in the metadata (preprocessing)")
    else:
        print(f"pixels are taken as 0..1, then normalised: {json.dumps(settings.normalize)}")
