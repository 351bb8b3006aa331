"""``--metric`` of ``xpnet train`` and ``xpnet evaluate``."""

import csv
import json

import pytest

from xpnet.cli import main

pytest.importorskip("sklearn", reason="these tests train on scikit-learn's digits: pip install 'xpnet[sklearn]'")

TRAIN = ["train", "digits", "--epochs", "2", "--backend", "numpy", "--out", "run"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XPNET_DATA", raising=False)


def evaluate(capsys, *options):
    assert main(["evaluate", "run", "--json", "--backend", "numpy", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_train_and_evaluate_measure_what_is_asked(tmp_path, capsys):
    assert main([*TRAIN, "--metric", "f1", "--metric", "roc_auc"]) == 0
    out = capsys.readouterr().out
    measured = json.loads((tmp_path / "run/metrics.json").read_text())
    assert f"test f1 {measured['test_f1']:.4f}, test roc auc {measured['test_roc_auc']:.4f}" in out
    assert 0.8 < measured["test_f1"] < measured["test_roc_auc"] < 1
    with (tmp_path / "run/history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"train_f1", "val_f1", "train_roc_auc", "val_roc_auc"} <= set(rows[0])
    again = evaluate(capsys, "--metric", "top_3_accuracy", "--metric", "f1", "--metric", "accuracy")
    assert again["test_f1"] == measured["test_f1"]
    assert again["test_accuracy"] == measured["test_accuracy"] < again["test_top_3_accuracy"]
    assert main(["evaluate", "run", "--backend", "numpy", "--metric", "f1_micro"]) == 0
    assert f"test f1 micro {measured['test_accuracy']:.4f}" in capsys.readouterr().out


def test_a_resumed_run_keeps_its_metrics(tmp_path, capsys):
    assert main([*TRAIN, "--quiet", "--metric", "log_loss"]) == 0
    assert main(["train", "--resume", "run", "--epochs", "3", "--json"]) == 0
    assert "test_log_loss" in json.loads(capsys.readouterr().out.splitlines()[-1])
    with (tmp_path / "run/history.csv").open() as file:
        assert all(float(row["val_log_loss"]) > 0 for row in csv.DictReader(file))


@pytest.mark.parametrize(("arguments", "status", "message"), [
    ([*TRAIN, "--metric", "f9"], 2, "unknown metric 'f9'"),
    ([*TRAIN, "--metric", "mae"], 2, "mae is not for a classification"),
    (["train", "--resume", "run", "--metric", "f1"], 2, "(leave out --metric)"),
    (["evaluate", "run", "--metric", "acuracy"], 2, "did you mean 'accuracy'"),
    ([*TRAIN, "--quiet", "--metric", "top_11_accuracy"], 1, "k must be in 1..10"),
])  # fmt: skip
def test_misuse(arguments, status, message, capsys):
    assert main(arguments) == status
    assert message in capsys.readouterr().err


def test_an_edited_name_is_found(tmp_path, capsys):
    assert main([*TRAIN, "--quiet"]) == 0
    config = tmp_path / "run/config.json"
    config.write_text(config.read_text().replace('"metric": []', '"metric": ["zzz"]'))
    assert main(["evaluate", "run"]) == 1
    assert "config.json was damaged or edited: unknown metric 'zzz'" in capsys.readouterr().err
