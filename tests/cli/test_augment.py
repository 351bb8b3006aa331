"""``xpnet train --augment``."""

import json

import pytest

from xpnet.cli import main

pytest.importorskip("sklearn", reason="these tests train on scikit-learn's digits: pip install 'xpnet[sklearn]'")


@pytest.mark.parametrize("kind", ["shift", "crop-flip"])
def test_a_run_with_augmentation_is_the_same_again_and_under_resume(tmp_path, capsys, kind):
    train = ["train", "digits", "--augment", kind, "--backend", "numpy"]
    for run, epochs in (("a", "3"), ("b", "1")):
        assert main([*train, "--epochs", epochs, "--schedule", "none", "--out", str(tmp_path / run)]) == 0
    assert f"augment {kind}" in capsys.readouterr().out
    assert main(["train", "--resume", str(tmp_path / "b"), "--epochs", "3", "--quiet"]) == 0
    assert json.loads((tmp_path / "b/config.json").read_text())["augment"] == kind
    history = [(tmp_path / run / "history.csv").read_text() for run in "ab"]
    assert history[0] == history[1]
    assert main(["evaluate", str(tmp_path / "b"), "--backend", "numpy"]) == 0


def test_augmentation_changes_the_training_only(tmp_path):
    losses = {}
    for kind in ("none", "shift"):
        assert (
            main(
                [
                    "train",
                    "digits",
                    "--augment",
                    kind,
                    "--epochs",
                    "1",
                    "--quiet",
                    "--backend",
                    "numpy",
                    "--out",
                    str(tmp_path / kind),
                ]
            )
            == 0
        )
        losses[kind] = (tmp_path / kind / "history.csv").read_text()
    assert losses["none"] != losses["shift"]


def test_a_kind_that_is_none(capsys):
    assert main(["train", "digits", "--augment", "blur"]) == 2
    assert "invalid choice: 'blur'" in capsys.readouterr().err
