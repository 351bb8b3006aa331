"""``--metric`` of ``xpnet train`` and ``xpnet evaluate``."""

import csv
import json
import re

import numpy as np
import pytest

from xpnet import nn, plot
from xpnet.cli import main
from xpnet.cli.show import Progress
from xpnet.train import History, Trainer

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


@pytest.fixture
def drawn(monkeypatch):
    """The titles of the panels of curves.png."""
    titles = []
    whole = plot.curves

    def watched(history, **options):
        figure = whole(history, **options)
        titles[:] = [axes.get_title("left") for axes in figure.axes if axes.axison]
        return figure

    monkeypatch.setattr(plot, "curves", watched)
    return titles


def test_the_table_and_the_picture_show_them(tmp_path, drawn, capsys):
    assert main([*TRAIN, "--metric", "f1", "--metric", "top_3_accuracy"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()[4:7]
    names = ["train loss", "accuracy", "f1", "top 3 accuracy", "val loss", "accuracy", "f1", "top 3 accuracy"]
    assert re.split(r"\s{2,}", header.strip()) == ["epoch", *names, "lr", "seconds"]
    with (tmp_path / "run/history.csv").open() as file:
        rows = list(csv.DictReader(file))
    for line, row in zip(lines, rows, strict=True):
        shown = [
            float(row[f"{part}_{kind}"])
            for part in ("train", "val")
            for kind in ("loss", "accuracy", "f1", "top_3_accuracy")
        ]
        assert [f"{value:.4f}" for value in shown] == line.split()[1:9]
        assert len(line.rstrip("*")) == len(header)
    assert drawn == ["Loss", "Accuracy", "F1", "Top 3 accuracy", "Learning rate"]


def test_a_regression_shows_them_in_the_target_s_units(tmp_path, drawn, capsys):
    pairs = np.random.default_rng(0).standard_normal((200, 2))
    rows = [f"{a:.3f},{b:.3f},{1000 * a - 500 * b + 3e6:.1f}" for a, b in pairs]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y", *rows]))
    options = [
        "--target",
        "y",
        "--epochs",
        "30",
        "--lr",
        "0.01",
        "--metric",
        "mae",
        "--metric",
        "r2",
        "--backend",
        "numpy",
    ]
    assert main(["train", "t.csv", *options, "--out", "run"]) == 0
    assert "val loss      mae       r2" in capsys.readouterr().out
    assert drawn == ["Loss", "MAE", "R²", "Learning rate"]
    history = History.from_csv((tmp_path / "run/history.csv").read_text())
    assert history["val_mae"][0] > 100  # of the standardised target it would be below 2
    assert history["val_mae"][-1] < 50
    assert history["val_r2"][-1] > 0.95
    assert evaluate(capsys, "--data", "t.csv")["test_mae"] == pytest.approx(history["train_mae"][-1], rel=0.2)


def test_a_narrow_terminal_leaves_out_what_further_metrics_are_on_the_training_data(monkeypatch, capsys):
    names = [f"{part}_{kind}" for part in ("train", "val") for kind in ("loss", "accuracy", "f1")]
    row = {"epoch": 1, "lr": 0.001, **dict.fromkeys(names, 0.5), "train_loss": 123456.0, "val_f1": None}
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for columns, expected in (("80", 76), ("120", 91)):
        monkeypatch.setenv("COLUMNS", columns)
        progress = Progress(2, names)
        progress.header()
        progress.on_epoch_end(Trainer(nn.Linear(1, 1), None, None), row)
        header, line = capsys.readouterr().out.splitlines()
        assert len(header) == len(line.rstrip("* ")) == expected
        assert header.split().count("f1") == (1 if columns == "80" else 2)
        assert "123456.0000" in line
        assert "nan" in line


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
