"""The visualiser and the simulator: what their files say, and wrong use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def run(name, *arguments, out, answers=""):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLES / name), "--out", str(out), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, input=answers, timeout=120)
    return done.returncode, done.stdout, done.stderr


def test_the_visualiser_leaves_a_film_and_a_page(tmp_path):
    from PIL import Image

    code, told, error = run("04_visualiser.py", "--quick", out=tmp_path)
    assert code == 0, error
    assert told.splitlines()[-1].startswith("--quick: this run was too short")
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["test_accuracy"] > 0.5
    with Image.open(tmp_path / "training.gif") as film:
        assert film.n_frames == found["moments"] >= 3
    assert "virginica" in (tmp_path / "visualiser.html").read_text(encoding="utf-8")


def test_the_simulator_is_right_and_takes_edits(tmp_path):
    code, told, error = run("07_backpropagation.py", "--set", "hidden1.weight[1,0]=-0.17", out=tmp_path)
    assert code == 0, error
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["finite_differences"] < 1e-7
    assert found["foretold"] == pytest.approx(found["loss"], rel=1e-3)  # a small change
    assert told.index("→ 4/4  mse_loss") < told.index("← 4/4  mse_loss") < told.index("← 1/4  linear")
    record = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    assert [s["op"] for s in record["steps"]] == ["linear", "tanh", "linear", "mse_loss"]


def test_the_simulator_asks(tmp_path):
    code, told, error = run(
        "07_backpropagation.py",
        *("--interactive", "--activation", "elu"),
        out=tmp_path,
        answers="\nb\nnonsense\noutput.bias[0]=1e300\ninput[0,0]=2\n",
    )
    assert code == 0, error
    assert "an edit reads NAME[i,j]=VALUE" in told
    assert "what if input[0,0]=2 instead of 0.5?" in told
    assert "too large for float64" in told  # and the number is put back
    assert json.loads((tmp_path / "metrics.json").read_text())["loss"] < 100
    assert told.count("→ 1/4") == 5


@pytest.mark.parametrize(("name", "arguments", "message"), [
    ("04_visualiser.py", ["--frames", "1"], "--frames must be at least 2"),
    ("04_visualiser.py", ["--hidden", "4", "0"], "--hidden: must be a whole number from 1 on, got 0"),
    ("07_backpropagation.py", ["--layers", "2"], "two or more sizes"),
    ("07_backpropagation.py", ["--input", "1"], "the network has 2 inputs, --input gave 1"),
    ("07_backpropagation.py", ["--target", "1", "2"], "the network has 1 outputs, --target gave 2"),
    ("07_backpropagation.py", ["--loss", "cross_entropy", "--target", "3"], "one class from 0 to 0"),
    ("07_backpropagation.py", ["--input", "nan", "1"], "--input: must be a finite number, got nan"),
    ("07_backpropagation.py", ["--target", "inf"], "--target: must be a finite number, got inf"),
    ("07_backpropagation.py", ["--set", "output.bias[0]=1e200"], "too large for float64"),
    ("07_backpropagation.py", ["--set", "x=1"], "an edit reads NAME"),
    ("07_backpropagation.py", ["--set", "w[0]=1"], "there is no 'w' to change: choose from input, hidden1.weight"),
])  # fmt: skip
def test_wrong_use_is_one_line_and_status_2(name, arguments, message, tmp_path):
    code, _, error = run(name, *arguments, out=tmp_path)
    assert (code, error.count("\n")) == (2, 1)
    assert message in error
