"""``xpnet train --l1 --clip-norm --accumulate --ema``: they take effect, are stored, and survive a resume."""

import json

import numpy as np
import pytest

from xpnet.cli import main
from xpnet.cli import train as command
from xpnet.serialization import load
from xpnet.train.checkpoint import load_checkpoint
from xpnet_backends import to_numpy

pytest.importorskip("sklearn", reason="these tests train on scikit-learn's digits: pip install 'xpnet[sklearn]'")

QUICK = ["train", "digits", "--epochs", "2", "--hidden", "16", "--backend", "numpy", "--quiet"]
ALL = ["--l1", "1e-4", "--clip-norm", "0.5", "--accumulate", "2", "--ema", "0.9"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_they_reach_the_trainer_and_config_json(tmp_path, monkeypatch):
    seen = {}

    def watched(model, loss, optimizer, **options):
        seen.update(options)
        return trainer(model, loss, optimizer, **options)

    trainer = command.Trainer
    monkeypatch.setattr(command, "Trainer", watched)
    assert main([*QUICK, *ALL, "--out", "a"]) == 0
    assert seen["penalty"].l1 == 1e-4
    assert (seen["max_grad_norm"], seen["accumulate"], seen["ema"].decay) == (0.5, 2, 0.9)
    config = json.loads((tmp_path / "a/config.json").read_text())
    assert {name: config[name] for name in ("l1", "clip_norm", "accumulate", "ema")} == {
        "l1": 1e-4, "clip_norm": 0.5, "accumulate": 2, "ema": 0.9,
    }  # fmt: skip
    assert main([*QUICK, "--out", "b"]) == 0
    assert (seen["penalty"], seen["max_grad_norm"], seen["accumulate"], seen["ema"]) == (None, None, 1, None)


def test_a_resumed_run_is_the_same_run(tmp_path):
    dropout = ["--dropout", "0.2", "--schedule", "none"]
    assert main([*QUICK, *ALL, *dropout, "--out", "short"]) == 0
    assert main(["train", "--resume", "short", "--epochs", "4", "--quiet"]) == 0
    assert main([*QUICK, *ALL, *dropout, "--epochs", "4", "--out", "whole"]) == 0
    assert (tmp_path / "short/history.csv").read_bytes() == (tmp_path / "whole/history.csv").read_bytes()
    short, whole = (load_checkpoint(tmp_path / name / "last.safetensors") for name in ("short", "whole"))
    assert short["state"]["ema_steps"] == whole["state"]["ema_steps"] == 4 * 11  # 21 batches an epoch, two at a time
    averages = [name for name in whole["arrays"] if name.startswith("ema.")]
    assert len(averages) == 4
    for name in averages:
        np.testing.assert_array_equal(short["arrays"][name], whole["arrays"][name])


def test_the_average_is_what_is_kept_as_the_best(tmp_path):
    assert main([*QUICK, "--ema", "0.99", "--epochs", "1", "--out", "a"]) == 0
    best = load(tmp_path / "a/best.safetensors")
    average = load_checkpoint(tmp_path / "a/last.safetensors")["arrays"]
    last = load_checkpoint(tmp_path / "a/last.safetensors")["model"]
    for name, value in best.items():
        np.testing.assert_array_equal(to_numpy(value), to_numpy(average[f"ema.{name}"]))
    assert any((to_numpy(best[name]) != to_numpy(last[name])).any() for name in best)


def test_l1_makes_weights_small(tmp_path):
    sizes = []
    for name, options in (("without", []), ("with", ["--l1", "0.01"])):
        assert main([*QUICK, "--epochs", "4", *options, "--out", name]) == 0
        weights = load(tmp_path / name / "best.safetensors")
        sizes.append(sum(float(np.abs(to_numpy(w)).sum()) for w in weights.values() if w.ndim == 2))
    assert sizes[1] < 0.75 * sizes[0]


def test_the_table_of_a_run_takes_them_too(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["a,b,y", *(f"{a:.3f},{b:.3f},{a - b:.3f}" for a, b in rng.standard_normal((80, 2)))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    assert main(["train", "t.csv", "--target", "y", *QUICK[2:], *ALL]) == 0
    assert main(["evaluate", "runs/t-1"]) == 0


def test_they_are_said_at_the_start(capsys):
    assert main([*[a for a in QUICK if a != "--quiet"], *ALL]) == 0
    assert "lr 0.001, l1 0.0001, clip norm 0.5, ema 0.9, accumulate 2, seed 0" in capsys.readouterr().out


@pytest.mark.parametrize(("option", "value", "message"), [
    ("--ema", "1", "must be at least 0 and below 1, got 1"), ("--ema", "x", "must be at least 0 and below 1, got x"),
    ("--accumulate", "0", "must be a positive whole number, got 0"),
    ("--clip-norm", "0", "must be a positive number, got 0"), ("--clip-norm", "nan", "must be a positive number, got nan"),
    ("--l1", "-1", "must be a number >= 0, got -1"),
])  # fmt: skip
def test_wrong_use(option, value, message, capsys):
    assert main([*QUICK, option, value]) == 2
    assert message in capsys.readouterr().err


def test_none_goes_with_resume(capsys):
    assert main([*QUICK, "--out", "a"]) == 0
    assert main(["train", "--resume", "a", "--ema", "0.9", "--l1", "0"]) == 2
    assert "leave out --l1, --ema" in capsys.readouterr().err


@pytest.mark.parametrize("change", [
    {"ema": 1.5}, {"ema": "x"}, {"accumulate": 0}, {"accumulate": 1.5}, {"l1": -1}, {"l1": None}, {"clip_norm": -0.5},
])  # fmt: skip
def test_an_edited_config(change, tmp_path, capsys):
    assert main([*QUICK, "--epochs", "1", "--out", "a"]) == 0
    config = tmp_path / "a/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **change}))
    assert main(["evaluate", "a"]) == 1
    err = capsys.readouterr().err
    assert "config.json was damaged or edited" in err
    if all(isinstance(value, float) for value in change.values()):
        assert next(iter(change)) in err


def test_a_run_from_before_there_were_such_options(tmp_path):
    assert main([*QUICK, "--epochs", "1", "--out", "a"]) == 0
    config = tmp_path / "a/config.json"
    old = {n: v for n, v in json.loads(config.read_text()).items() if n not in ("l1", "clip_norm", "accumulate", "ema")}
    config.write_text(json.dumps(old))
    assert main(["train", "--resume", "a", "--epochs", "2", "--quiet"]) == 0
