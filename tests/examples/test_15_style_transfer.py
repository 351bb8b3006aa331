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
    assert found["network"] == "RandomFeatures"
    assert "random weights" in done.stdout
    assert read_image(tmp_path / "out/result.png").shape == (32, 40, 3)
    assert (tmp_path / "out/losses.png").exists()


def test_features_of_squeezenet(tmp_path, data_dir):
    done = run(tmp_path, "--onnx", str(data_dir / "pretrained/squeezenet_fp16.onnx"), "--noise")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out/metrics.json").read_text())
    assert found["network"] == "SqueezeNetFeatures"
    assert found["final"]["style"] < found["history"]["style"][0]


def test_black_pictures_leave_finite_losses(tmp_path):
    write_image(tmp_path / "black.png", np.zeros((40, 50), np.uint8))
    done = run(tmp_path, "--style", str(tmp_path / "black.png"), "--size", "40")
    assert done.returncode == 0, done.stderr
    assert all(json.loads((tmp_path / "out/metrics.json").read_text())["final"].values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--content", "missing.png"], "error: .*no such image file"),
        (["--style", str(SCRIPT)], "error: .* is no image"),
        (["--content", "one.png"], "one.png has 1x1 pixels: at least 32 each way"),
        (["--onnx", "missing.onnx"], "error: .*missing.onnx"),
        (["--onnx", str(SCRIPT)], "error: .*15_style_transfer.py"),
        (["--vgg", str(SCRIPT)], "error: .*15_style_transfer.py"),
        (["--vgg", "a.pth", "--onnx", "b.onnx"], "not allowed with"),
        (["--size", "20"], "error: --size must be at least 32, got 20"),
        (["--tv-weight", "-1"], "--tv-weight must lie in 0..1,000,000, got .*-1.0"),
        (["--style-weight", "nan"], "--tv-weight must lie in 0..1,000,000, got .*nan"),
    ],
)
def test_wrong_use(tmp_path, options, message):
    write_image(tmp_path / "one.png", np.zeros((1, 1, 3), np.uint8))
    options = [str(tmp_path / option) if option == "one.png" else option for option in options]
    done = run(tmp_path, *options)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert re.search(message, done.stderr.splitlines()[-1]), done.stderr
