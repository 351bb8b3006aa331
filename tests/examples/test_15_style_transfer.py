"""Neural style transfer: what it leaves, and what it says to wrong use."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xpnet.data import read_image, write_image

SCRIPT = Path(__file__).parents[2] / "examples" / "15_style_transfer.py"
pytestmark = pytest.mark.slow


def run(tmp_path, *options):
    return subprocess.run(
        [sys.executable, str(SCRIPT), "--quick", "--out", str(tmp_path / "out"), *options],
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_the_style_comes_nearer(tmp_path, optimizer):
    rng = np.random.default_rng(0)
    write_image(tmp_path / "grey.png", rng.integers(0, 256, (40, 50), dtype=np.uint8))  # grey pictures do as well
    options = "--content", str(tmp_path / "grey.png"), "--optimizer", optimizer, "--size", "40"
    done = run(tmp_path, *options)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out/metrics.json").read_text())
    history = found["history"]
    assert {*history} == {"content", "style", "total variation"}
    assert len({len(record) for record in history.values()}) == 1
    assert found["final"]["style"] < 0.8 * history["style"][0]
    assert found["network"] == "random"
    assert "random weights" in done.stdout
    assert read_image(tmp_path / "out/result.png").shape == (32, 40, 3)
    assert (tmp_path / "out/losses.png").exists()


def test_features_of_squeezenet(tmp_path, data_dir):
    done = run(tmp_path, "--onnx", str(data_dir / "pretrained/squeezenet_fp16.onnx"), "--noise")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out/metrics.json").read_text())
    assert found["network"] == "onnx"
    assert found["final"]["style"] < found["history"]["style"][0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--content", "missing.png"], "argument --content: .*no such image file"),
        (["--style", str(SCRIPT)], "argument --style: .* is no image"),
        (["--onnx", "missing.onnx"], "argument --onnx: .*missing.onnx"),
        (["--onnx", str(SCRIPT)], "argument --onnx: .*15_style_transfer.py"),
        (["--size", "20"], "argument --size: expected a whole number of at least 32, got 20"),
        (["--tv-weight", "-1"], "argument --tv-weight: expected a number of at least 0, got -1"),
    ],
)
def test_wrong_use(tmp_path, options, message):
    done = run(tmp_path, *options)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert re.search(message, done.stderr.splitlines()[-1]), done.stderr
