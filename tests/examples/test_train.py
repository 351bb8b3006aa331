"""The training loops on one page: what they leave, and what they say to wrong use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = ("train_mnist.py", "train_cnn.py")


def run(name, folder, *options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XPNET_DATA": "", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLES / name), "--out", str(folder / "out"), *options]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_they_learn(name, tmp_path):
    done = run(name, tmp_path, "--dataset", "digits", "--epochs", "3")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out/metrics.json").read_text())["test_accuracy"] > 0.85


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize(("options", "message"), [
    (["--data-dir", "nowhere"], "error: MNIST: there is no folder nowhere"),
    (["--dataset", "digits", "--batch-size", "9999"], "--batch-size must be at most 1438, got 9999"),
    (["--dataset", "digits", "--lr", "nan"], "--lr must be a number above 0, got nan"),
    (["--epochs", "0"], "must be a whole number from 1 on, got 0"),
    (["--backend", "tpu"], "unknown backend 'tpu'"),
])  # fmt: skip
def test_wrong_use_is_one_line_and_status_2(name, options, message, tmp_path):
    done = run(name, tmp_path, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
