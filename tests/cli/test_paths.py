"""Runs can be used from another folder, and after their data were moved."""

import json
import shutil

import numpy as np
import pytest

from xpnet.cli import main
from xpnet.data import write_idx

QUICK = ["--epochs", "1", "--batch-size", "10", "--hidden", "8", "--quiet", "--backend", "numpy"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here/sub").mkdir(parents=True)
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XPNET_DATA", raising=False)


def write_digits(path, n=60, side=4):
    rng = np.random.default_rng(0)
    names = ["label", *(f"pixel{i}" for i in range(side * side))]
    rows = [[i % 10, *rng.integers(0, 256, side * side)] for i in range(n)]
    path.write_text("\n".join(",".join(map(str, row)) for row in [names, *rows]) + "\n")


def write_table(path):
    rng = np.random.default_rng(0)
    rows = [f"{a:.3f},{b:.3f},{'yes' if a > b else 'no'}" for a, b in rng.random((60, 2))]
    path.write_text("\n".join(["a,b,y", *rows]) + "\n")


def write_clothes(folder, side=28):
    rng = np.random.default_rng(0)
    for part, n in (("train", 60), ("t10k", 20)):
        write_idx(folder / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (n, side, side)).astype(np.uint8))
        write_idx(folder / f"{part}-labels-idx1-ubyte", rng.integers(0, 10, n).astype(np.uint8))


KINDS = {
    "digits": ["sub/d.csv"],
    "digits of another ending": ["sub/D.TXT"],
    "digits by --data-dir": ["d.csv", "--data-dir", "sub"],
    "table": ["sub/t.csv", "--target", "y"],
    "clothes": ["fashion-mnist", "--data-dir", "sub"],
}


@pytest.fixture(params=KINDS)
def run(request, tmp_path):
    """A run whose data were given by a relative path."""
    here = tmp_path / "here"
    if "clothes" in request.param:
        write_clothes(here / "sub")
    elif "table" in request.param:
        write_table(here / "sub/t.csv")
    else:
        write_digits(here / "sub" / ("D.TXT" if "ending" in request.param else "d.csv"))
    assert main(["train", *KINDS[request.param], *QUICK, "--out", "run"]) == 0
    return here / "run"


def test_every_command_works_from_another_folder(run, tmp_path, monkeypatch, capsys):
    config = json.loads((run / "config.json").read_text())
    assert config["data_dir"] == str(tmp_path / "here/sub")
    score = json.loads((run / "metrics.json").read_text())["test_accuracy"]
    monkeypatch.chdir(tmp_path / "there")
    capsys.readouterr()
    assert main(["evaluate", "../here/run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test_accuracy"] == score
    assert main(["doctor", "../here/run"]) in (0, 1)
    assert "problem" in capsys.readouterr().out
    assert main(["profile", "../here/run", "--repeats", "1"]) == 0
    assert main(["export", "../here/run", "--onnx", "x.onnx"]) == 0
    assert main(["train", "--resume", "../here/run", "--epochs", "2", "--quiet"]) == 0
    assert len((run / "history.csv").read_text().splitlines()) == 3


def test_data_that_were_moved(run, tmp_path, monkeypatch, capsys):
    score = json.loads((run / "metrics.json").read_text())["test_accuracy"]
    shutil.move("sub", "../moved")
    monkeypatch.chdir(tmp_path / "there")
    for command in (["evaluate", "../here/run"], ["train", "--resume", "../here/run"], ["doctor", "../here/run"]):
        capsys.readouterr()
        assert main(command) == 1
        assert "if the data were moved, give their folder with --data-dir" in capsys.readouterr().err
    assert main(["evaluate", "../here/run", "--json", "--data-dir", "../moved"]) == 0
    assert json.loads(capsys.readouterr().out)["test_accuracy"] == score
    assert main(["train", "--resume", "../here/run", "--epochs", "2", "--quiet", "--data-dir", "../moved"]) == 0
    assert json.loads((run / "config.json").read_text())["data_dir"] == str(tmp_path / "moved")
    assert main(["evaluate", "../here/run"]) == 0


def test_a_table_may_be_named_itself(tmp_path, capsys):
    write_digits(tmp_path / "here/sub/d.csv")
    assert main(["train", "sub/d.csv", *QUICK, "--out", "run"]) == 0
    shutil.move("sub/d.csv", "renamed.csv")
    assert main(["evaluate", "run", "--data-dir", "renamed.csv"]) == 0


def test_a_run_of_an_older_version_with_a_relative_path(tmp_path, monkeypatch, capsys):
    write_digits(tmp_path / "here/sub/d.csv")
    assert main(["train", "sub/d.csv", *QUICK, "--out", "run"]) == 0
    config = json.loads((tmp_path / "here/run/config.json").read_text())
    (tmp_path / "here/run/config.json").write_text(json.dumps({**config, "dataset": "sub/d.csv", "data_dir": None}))
    assert main(["evaluate", "run"]) == 0
    monkeypatch.chdir(tmp_path / "there")
    assert main(["evaluate", "../here/run"]) == 1
    assert "give their folder with --data-dir" in capsys.readouterr().err
    assert main(["evaluate", "../here/run", "--data-dir", "../here"]) == 0
    assert main(["evaluate", "../here/run", "--data-dir", "../here/sub"]) == 0


def test_a_wrong_folder_changes_nothing(tmp_path, capsys):
    write_clothes(tmp_path / "here/sub")
    assert main(["train", "fashion-mnist", "--data-dir", "sub", *QUICK, "--out", "run"]) == 0
    before = (tmp_path / "here/run/config.json").read_bytes()
    assert main(["train", "--resume", "run", "--data-dir", "nowhere"]) == 2
    assert "--data-dir nowhere: there is no such folder" in capsys.readouterr().err
    assert main(["train", "--resume", "run", "--data-dir", "../there"]) == 1
    write_clothes(tmp_path / "there", side=20)
    assert main(["train", "--resume", "run", "--data-dir", "../there"]) == 2
    assert "images of (20, 20), but the run was trained on (28, 28)" in capsys.readouterr().err
    assert (tmp_path / "here/run/config.json").read_bytes() == before


def test_the_home_folder_is_known(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "here"))
    write_clothes(tmp_path / "here/sub")
    assert main(["train", "fashion-mnist", "--data-dir=~/sub", *QUICK, "--out", "run"]) == 0
    assert main(["evaluate", "run", "--data-dir=~/sub"]) == 0
