"""The examples on images, run as a learner runs them."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from xpnet.data import load_digits, write_idx

ROOT = Path(__file__).parent.parent.parent


def run(name, folder, *arguments, backend="numpy", fails=False, environment=()):
    """Returns what it printed and its metrics; the folder holds its pictures."""
    code = (
        "import runpy, sys\nfrom tests.support.standin import StandinBackend\nfrom xpnet_backends import register_backend\n"
        "register_backend('standin', StandinBackend)\nsys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    )
    env = {k: v for k, v in os.environ.items() if k != "XPNET_DATA"}
    env |= {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "backends")]), "XPNET_CACHE": str(folder / "none")}
    command = [sys.executable, "-W", "error", "-c", code, str(ROOT / "examples" / name), "--backend", backend]
    command += ["--quick", "--out", str(folder / "out"), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env | dict(environment))
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    if fails:
        assert done.returncode == 2
        return done.stderr, None
    assert done.stdout.splitlines()[-1].startswith("--quick: this run was too short")
    return done.stdout, json.loads((folder / "out/metrics.json").read_text())


def enlarged(part):
    return np.pad(np.kron(part.inputs, np.ones((1, 3, 3), "uint8")), ((0, 0), (2, 2), (2, 2)))


@pytest.fixture(scope="module")
def idx_folder(tmp_path_factory):
    """Files of the names and format that MNIST and Fashion-MNIST share."""
    folder = tmp_path_factory.mktemp("idx")
    for name, part, count in zip(("train", "t10k"), load_digits(), (700, 200), strict=True):
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", enlarged(part)[:count])
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", part.targets[:count].astype("uint8"))
    return folder


def test_digits_by_hand_from_three_sources(tmp_path, idx_folder):
    printed, found = run("03_mnist.py", tmp_path)
    assert "using scikit-learn's digits, 8x8 pixels, instead" in printed
    assert "W1    10 x 64" in printed
    assert re.search(r"a batch of m = 64:\n +X +64 x 64 ", printed)
    assert found["gradient_difference"] < 1e-6
    assert found["by_hand_accuracy"] > 0.7
    assert found["layers_accuracy"] > 0.8
    assert (tmp_path / "out/mistakes.png").exists()
    printed, found = run("03_mnist.py", tmp_path, "--data-dir", str(idx_folder), "--epochs", "1")
    assert "700 training images, 200 test images, 784 pixels each; 1 epochs" in printed
    assert found["data"] == "MNIST"
    train, _ = load_digits()
    rows = np.column_stack([train.targets[:200], train.inputs[:200].reshape(200, -1)])
    header = ",".join(["label", *(f"pixel{i}" for i in range(64))])
    with gzip.open(tmp_path / "train.csv.gz", "wt") as file:
        np.savetxt(file, rows, "%d", ",", header=header, comments="")
    printed, _ = run("03_mnist.py", tmp_path, "--csv", "train.csv.gz", "--epochs", "1")
    assert "160 training images, 40 test images, 64 pixels each" in printed


def test_the_cnn_on_files_of_fashion_mnist(tmp_path, idx_folder):
    printed, found = run("11_cnn.py", tmp_path, "--dataset", "fashion", "--data-dir", str(idx_folder))
    assert "Fashion-MNIST: 540 training images, 200 test images" in printed
    assert found["covered_hottest"] <= found["accuracy_of_1000"] + 0.1
    for name in ("curves", "filters", "feature_maps", "gradcam"):
        assert (tmp_path / f"out/{name}.png").exists()


def test_the_residual_network_on_records_of_cifar(tmp_path):
    rng = np.random.default_rng(0)
    for name, count in (("data_batch_1.bin", 200), ("test_batch.bin", 60)):
        records = rng.integers(0, 256, (count, 3073), dtype=np.uint8)
        records[:, 0] = np.arange(count) % 10
        (tmp_path / name).write_bytes(records.tobytes())
    printed, found = run("12_image_classification.py", tmp_path, "--data-dir", str(tmp_path), "--full", "--epochs", "1")
    assert "200 training images, 60 test images" in printed
    assert found["parameters"] == 272_474
    assert {"nearest_mean", "linear_softmax", "test_accuracy"} < set(found)


def test_regularisation_is_measured_on_images_that_nobody_saw(tmp_path):
    printed, found = run("09_regularisation.py", tmp_path, "--images", "60", "--seeds", "1")
    assert "60 training images of digits, 100 for validation, the rest for the test" in printed
    assert found["methods"]["dropout"]["gap_of_loss"] < found["methods"]["nothing"]["gap_of_loss"]
    assert found["dropout_gain_standard_error"] is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["03_mnist.py", "09_regularisation.py", "11_cnn.py", "12_image_classification.py"], ids=lambda n: n[:2]
)
def test_on_the_stand_in_for_a_device(name, tmp_path):
    _, there = run(name, tmp_path, backend="standin")
    _, here = run(name, tmp_path)
    assert there["backend"] == "standin"
    accuracy = next((k for k in here if k.endswith("accuracy")), None)
    if accuracy:
        assert there[accuracy] == pytest.approx(here[accuracy], abs=0.05)


@pytest.mark.parametrize(("name", "arguments", "message"), [
    ("03_mnist.py", ["--data-dir", "nowhere"], "error: MNIST: there is no folder nowhere"),
    ("03_mnist.py", ["--csv", "none.csv"], "none.csv"),
    ("03_mnist.py", ["--csv", "a", "--data-dir", "b"], "not allowed with"),
    ("03_mnist.py", ["--epochs", "0"], "must be a whole number from 1 on, got 0"),
    ("09_regularisation.py", ["--images", "5"], "--images must lie in 20..1697, got 5"),
    ("11_cnn.py", ["--data-dir", "nowhere"], "error: MNIST: there is no folder nowhere"),
    ("11_cnn.py", ["--dataset", "cats"], "invalid choice"),
    ("12_image_classification.py", ["--data-dir", "."], "CIFAR-10 is not in ."),
])  # fmt: skip
def test_wrong_use_is_one_line(name, arguments, message, tmp_path):
    printed, _ = run(name, tmp_path, *arguments, fails=True)
    assert message in printed
    assert "Traceback" not in printed
