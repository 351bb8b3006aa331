"""``xpnet export``: a trained network for other programs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from xpnet.cli.datasets import as_inputs
from xpnet.cli.run import load_run
from xpnet.interchange import to_onnx


def export(arguments: argparse.Namespace) -> None:
    """Write the best weights of a run as ONNX; what its inputs and outputs mean goes into the file's metadata."""
    run = load_run(Path(arguments.run), "numpy")
    settings = run.settings
    x = as_inputs(np.zeros((1, *settings.input_shape), np.uint8), settings)
    about = {
        "dataset": settings.dataset,
        "model": settings.model,
        "classes": json.dumps(settings.classes),
        "normalize": json.dumps(settings.normalize),
    }
    to_onnx(run.model, x, arguments.onnx, output_name="logits", metadata=about)
    shape = ["N", *x.shape[1:]]
    result: dict[str, Any] = {"file": arguments.onnx, "input": shape, "classes": settings.classes}
    if arguments.json:
        print(json.dumps({**result, "normalize": settings.normalize}))
        return
    print(f"{arguments.onnx}: input ({', '.join(map(str, shape))}) float32 -> logits (N, {len(settings.classes)})")
    print(f"pixels are taken as 0..1, then normalised: {json.dumps(settings.normalize)}")
