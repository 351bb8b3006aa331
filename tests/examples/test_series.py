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
    assert done.stdout.splitlines()[-1].startswith("--quick: this run was too short")
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


def test_a_table_too_small_for_curves(tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n1,yes\n2,no\n3,yes\n4,no\n")
    done = run("05_table.py", tmp_path, "--data", "t.csv", "--target", "y")
    assert 0 <= found(done, tmp_path)["your table"]["MLP"]["accuracy"] <= 1
    assert "one class only: there are no ROC curves" in done.stdout


@pytest.mark.parametrize(("rows", "message", "said"), [
    ("x,y\n" + "".join(f"{i},{i * 1.5}\n" for i in range(40)), "40 rows in 40 classes are too few to put 25%", ""),
    ("1,2,a\n3,4,b\n", "has no column 'y'", ""),
    ("x,y\n1,a\n2,a\n", "is always 'a': there is nothing to learn", ""),
])  # fmt: skip
def test_tables_that_cannot_be_learned(rows, message, said, tmp_path):
    (tmp_path / "t.csv").write_text(rows)
    done = run("05_table.py", tmp_path, "--data", "t.csv", "--target", "y")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr
    assert said in done.stdout


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
    ("10_time_series.py", ["--column", "value"], "--column names a column of the file that --data gives"),
    ("10_time_series.py", ["--data", "huge.csv"], "values of up to 1e+300 are too large"),
    ("13_sentiment.py", ["--folds", "11"], "--folds 11"),
    ("14_forecasting.py", ["--data", "s.csv"], "there are 3 values"),
    ("14_forecasting.py", ["--season", "80"], "at least 160 values and two seasons are needed"),
    ("14_forecasting.py", ["--column", "value"], "--column names a column of the file that --data gives"),
    ("14_forecasting.py", ["--data", "huge.csv"], "values of up to 1e+300 are too large"),
    ("14_forecasting.py", ["--data", "s.csv", "--column", "z"], "has no column 'z'"),
])  # fmt: skip
def test_wrong_use_is_one_line_and_status_2(tmp_path, name, arguments, message):
    (tmp_path / "s.csv").write_text("month,value\na,1\nb,2\nc,3\n")
    (tmp_path / "huge.csv").write_text("month,value\n" + "a,1e300\nb,-1e300\n" * 150)
    done = run(name, tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
