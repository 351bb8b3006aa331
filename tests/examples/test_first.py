"""Perceptron, XOR, activations, optimizers, approximation: what they find, on small settings."""

from __future__ import annotations

import json
import math
import runpy
import sys
from pathlib import Path

import pytest

import xpnet

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(monkeypatch, folder, name, *options, backend="numpy"):
    """What the example wrote into metrics.json."""
    monkeypatch.setattr(sys, "argv", [name, "--quick", "--out", str(folder), "--backend", backend, *options])
    with xpnet.use(backend=backend):
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    return json.loads((folder / "metrics.json").read_text())


def test_the_perceptron_obeys_its_bound_and_moves(monkeypatch, tmp_path):
    from PIL import Image

    found = run(monkeypatch, tmp_path, "01_perceptron")
    for about in found["bounds"].values():
        assert 1 <= about["mean"] <= about["most"] <= about["bound"]
    assert found["bounds"]["petals in cm"]["margin"] == pytest.approx(
        0.26836, abs=1e-3
    )  # by a quadratic program as well
    assert 1 <= found["overlapping"]["wrong_pocket"] <= found["overlapping"]["wrong_last"]
    for name in ("separable", "overlapping"):
        with Image.open(tmp_path / f"{name}.gif") as image:
            assert image.n_frames == 4


@pytest.mark.parametrize("backend", ["numpy", "standin"])
def test_xor_needs_a_hidden_layer(monkeypatch, tmp_path, backend):
    found = run(monkeypatch, tmp_path, "02_xor", backend=backend)
    assert found["one_layer_loss"] == pytest.approx(math.log(2), abs=1e-4)
    assert found["best_random_line"] == 3
    assert found["two_layer_right"] == 4
    assert found["solved"]["8"] >= found["solved"]["2"]
    assert (tmp_path / "spaces.png").exists()


def test_the_constructed_network_and_the_initial_weights(monkeypatch, tmp_path):
    found = run(monkeypatch, tmp_path, "17_approximation")
    errors = found["errors"]
    for by_hand, bound in zip(errors["constructed"], errors["its bound"], strict=True):
        assert by_hand <= bound
    kept = {name: change["signal"] for name, change in found["variance"].items()}
    assert 0.1 < kept["ReLU, He"] < 10
    assert kept["ReLU, Xavier"] < 1e-6
    assert 0.005 < kept["tanh, Xavier"] < 1


def test_the_optimizers_go_down_the_valley(monkeypatch, tmp_path):
    found = run(monkeypatch, tmp_path, "16_optimizers")
    assert found["valley"]["Nesterov 0.8"] < found["valley"]["SGD"] < found["valley"]["SGD, noisy gradient"]
    assert found["digits"]["stochastic"]["steps"] == 1150
    assert found["digits"]["batch"]["loss"] > found["digits"]["momentum"]["loss"]


def test_the_slopes_of_activations(monkeypatch, tmp_path):
    found = run(monkeypatch, tmp_path, "08_activations")
    assert found["slopes"]["Sigmoid"]["largest"] == pytest.approx(0.25)
    assert found["slopes"]["ReLU"]["mean"] == pytest.approx(1 / math.sqrt(2 * math.pi), abs=0.01)
    assert found["first_to_last"]["Sigmoid"] > 1e6
    assert found["dead"]["LeakyReLU"]["1.0"] < found["dead"]["ReLU"]["1.0"]
