"""``xpnet lr-range`` and ``xpnet profile``."""

import json

import numpy as np
import pytest

from xpnet.cli import main

pytest.importorskip("sklearn", reason="these tests train on scikit-learn's digits: pip install 'xpnet[sklearn]'")

PNG = b"\x89PNG\r\n\x1a\n"
RANGE = ["lr-range", "digits", "--backend", "numpy"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_lr_range_says_a_rate_and_draws(tmp_path, capsys):
    assert main([*RANGE, "--out", "lr.png", "--optimizer", "sgd"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("begin with --lr ")
    assert "(sgd, batches of 64)" in out
    assert (tmp_path / "lr.png").read_bytes().startswith(PNG)
    assert [p.name for p in tmp_path.iterdir()] == ["lr.png"], "no run was begun"


def test_lr_range_as_json_and_the_same_twice(capsys):
    found = []
    for _ in range(2):
        assert main([*RANGE, "--json", "--dropout", "0.2", "--low", "1e-6", "--high", "1", "--steps", "40"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]
    assert 1e-5 < found[0]["suggestion"] < 0.1
    assert len(found[0]["rates"]) == len(found[0]["smoothed"]) <= 40
    assert found[0]["picture"] is None


def test_lr_range_takes_models_augmentation_and_tables(tmp_path, capsys):
    assert main([*RANGE, "--model", "alexnet", "--augment", "shift", "--steps", "10"]) == 0
    rng = np.random.default_rng(0)
    (tmp_path / "t.csv").write_text("\n".join(["a,y", *(f"{a:.3f},{2 * a:.3f}" for a in rng.standard_normal(80))]))
    assert main(["lr-range", "t.csv", "--target", "y", "--backend", "numpy"]) == 0
    assert "batches of 32" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "message"), [
    (["lr-range", "imagenet"], "unknown dataset 'imagenet'"),
    ([*RANGE, "--out", "lr.pdf"], "--out is the name of a picture, e.g. lr.png; got lr.pdf"),
    ([*RANGE, "--low", "1", "--high", "0.1"], "needs --low < --high and --steps >= 10, got 1, 0.1, 100"),
    ([*RANGE, "--steps", "3"], "--steps >= 10, got 1e-07, 10, 3"),
    ([*RANGE, "--low", "0"], "must be a positive number, got 0"),
    ([*RANGE, "--model", "lenet"], "lenet takes square images of 28x28"),
    ([*RANGE, "--epochs", "3"], "unrecognized arguments: --epochs 3"),
    (["profile", "nowhere"], "nowhere is not the folder of a run"),
    (["profile", "nowhere", "--out", "x.pdf"], "--out is the name of a picture"),
    (["profile", "nowhere", "--repeats", "0"], "must be a positive whole number, got 0"),
])  # fmt: skip
def test_wrong_use(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_profile_of_a_run(tmp_path, capsys):
    assert main(["train", "digits", "--epochs", "1", "--backend", "numpy", "--quiet", "--out", "run"]) == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    capsys.readouterr()
    assert main(["profile", "run", "--backend", "numpy", "--repeats", "2", "--out", "p.png"]) == 0
    out = capsys.readouterr().out
    assert "Linear" in out
    assert "a step on 64 samples without the optimizer's, numpy, median of 2; drawn in p.png" in out
    assert (tmp_path / "p.png").read_bytes().startswith(PNG)
    assert main(["profile", "run", "--backend", "numpy", "--by", "op", "--json"]) == 0
    costs = json.loads(capsys.readouterr().out)["costs"]
    assert {c["op"] for c in costs} >= {"linear", "relu", "cross_entropy"}
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before
