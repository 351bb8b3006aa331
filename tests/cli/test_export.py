"""``xpnet export``."""

import json

import numpy as np
import pytest

from xpnet.cli import main
from xpnet.cli.datasets import as_inputs
from xpnet.cli.run import load_run
from xpnet.interchange import from_onnx

pytest.importorskip("sklearn", reason="these tests train on scikit-learn's digits: pip install 'xpnet[sklearn]'")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert main(["train", "digits", "--epochs", "1", "--quiet", "--backend", "numpy", "--out", str(folder)]) == 0
    return folder


def test_a_run_as_onnx(trained, tmp_path, capsys):
    path = tmp_path / "m.onnx"
    assert main(["export", str(trained), "--onnx", str(path)]) == 0
    assert f"{path}: input (N, 8, 8) float32 -> logits (N, 10)" in capsys.readouterr().out
    run, model = load_run(trained, "numpy"), from_onnx(path)
    x = as_inputs(np.random.default_rng(0).integers(0, 256, (5, 8, 8)).astype("uint8"), run.settings)
    np.testing.assert_allclose(model(x).numpy(), run.model(x).numpy(), rtol=1e-6, atol=1e-6)
    assert model.output_names == ["logits"]
    assert json.loads(model.metadata["classes"]) == run.settings.classes
    assert json.loads(model.metadata["normalize"]) == run.settings.normalize


def test_as_json(trained, tmp_path, capsys):
    capsys.readouterr()
    assert main(["export", str(trained), "--onnx", str(tmp_path / "m.onnx"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["input"], len(found["classes"])) == (["N", 8, 8], 10)
    assert set(found) == {"file", "input", "classes", "normalize"}


@pytest.mark.parametrize(("arguments", "status", "message"), [
    (["export", "nowhere", "--onnx", "m"], 2, "not the folder of a run"),
    (["export", "nowhere"], 2, "the following arguments are required: --onnx"),
])  # fmt: skip
def test_wrong_use(arguments, status, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == status
    assert message in capsys.readouterr().err


def test_a_folder_that_is_not_there(trained, tmp_path, capsys):
    assert main(["export", str(trained), "--onnx", str(tmp_path / "no/m.onnx")]) == 1
    assert "choose another folder" in capsys.readouterr().err
