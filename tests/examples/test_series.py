"""Examples 05, 10, 13 and 14: what they find, and what they say to wrong use."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLES / name), "--quick", "--out", str(folder / "out"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)


def found(done, folder):
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "out/metrics.json").read_text())


@pytest.mark.slow
def test_a_forecast_by_windows_is_better_than_none(tmp_path):
    result = found(run("10_time_series.py", tmp_path), tmp_path)
    mae = result["mae"]
    assert mae["MLP, seed 0"] < mae["seasonal naive (12)"] < mae["naive"]
    assert mae["seasonal naive (12)"] == pytest.approx(35.74, abs=0.01)
    assert 0.5 < result["coverage"] <= 1.0
    assert len(result["forecast"]) == 12


@pytest.mark.slow
def test_a_table_of_ones_own(tmp_path):
    rows = [f"{i % 7},{'ab'[i % 2]},{'' if i % 5 == 0 else i % 3},{'yes' if i % 2 else 'no'}" for i in range(80)]
    (tmp_path / "t.csv").write_text("\n".join(["x,c,gaps,y", *rows]))
    result = found(run("05_table.py", tmp_path, "--data", "t.csv", "--target", "y"), tmp_path)
    assert result["your table"]["MLP"]["accuracy"] > 0.8
    assert result["your table"]["most frequent class"]["balanced_accuracy"] == 0.5


@pytest.mark.slow
def test_sentiment_asks_about_each_of_two_tenths_and_compares_with_the_bag(tmp_path):
    result = found(run("13_sentiment.py", tmp_path, "--folds", "2"), tmp_path)
    methods = result["methods"]
    bag = methods["bag of words"]
    assert result["test"] == pytest.approx(result["sentences"] / 5, abs=2)
    assert bag["accuracy"] > 0.55
    assert (bag["gain"], bag["standard_error"]) == (0.0, 0.0)
    for method in methods.values():
        assert method["gain"] == pytest.approx(method["accuracy"] - bag["accuracy"], abs=1e-5)


@pytest.mark.parametrize(("name", "arguments", "message"), [
    ("05_table.py", ["--data", "none.csv"], "--data FILE and --target COLUMN belong together"),
    ("05_table.py", ["--data", "none.csv", "--target", "y"], "none.csv"),
    ("10_time_series.py", ["--data", "s.csv"], "need a longer series than 3 values"),
    ("10_time_series.py", ["--season", "0"], "--season 0"),
    ("13_sentiment.py", ["--data-dir", "nowhere"], "rt-polarity.neg"),
    ("13_sentiment.py", ["--folds", "11"], "--folds 11"),
    ("14_forecasting.py", ["--data", "s.csv"], "there are 3 values"),
    ("14_forecasting.py", ["--data", "s.csv", "--column", "z"], "has no column 'z'"),
])  # fmt: skip
def test_wrong_use_is_one_line_and_status_2(tmp_path, name, arguments, message):
    (tmp_path / "s.csv").write_text("month,value\na,1\nb,2\nc,3\n")
    done = run(name, tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
