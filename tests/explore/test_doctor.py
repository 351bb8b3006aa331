"""The doctor finds planted faults, and nothing in a healthy training."""

import json

import numpy as np
import pytest

import xpnet
from xpnet import nn
from xpnet.cli import main
from xpnet.explore import examine
from xpnet.nn import functional as F
from xpnet_backends import random


def data(n=120, classes=3):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    return (rng.standard_normal((n, 6)) + 1.5 * np.eye(6)[labels]).astype("float32"), labels


def network(*hidden):
    xpnet.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), *(hidden or (nn.ReLU(),)), nn.Linear(16, 3))


def found(report, check):
    return next((f for f in report.findings if f.check == check), None)


def is_problem(report, check, words):
    finding = found(report, check)
    assert finding is not None, str(report)
    assert finding.level == "problem"
    assert words in finding.what, finding.what
    assert finding.remedy
    return True


def test_a_healthy_training_has_no_problems(backend):
    x, y = data()
    model = network(nn.ReLU(), nn.Dropout(0.5)).to(backend=backend)
    history = {"train_loss": [1.0, 0.6, 0.4, 0.3], "val_loss": [1.0, 0.7, 0.55, 0.54]}
    before = {k: backend.to_numpy(v) for k, v in model.state_dict().items()}
    random.state.set_step(7)
    fresh = lambda: network(nn.ReLU(), nn.Dropout(0.5)).to(backend=backend)  # noqa: E731
    report = examine(model, F.cross_entropy, backend.asarray(x), backend.asarray(y), fresh=fresh, history=history)
    assert report.problems == [], str(report)
    assert len(report.findings) >= 8
    assert "0 problems found" in str(report)
    assert random.state.step == 7
    assert model.training
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(backend.to_numpy(value), before[key])


def test_inputs_that_are_not_normalised():
    x, y = data()
    report = examine(network(), F.cross_entropy, (255.0 * (x > 0) + x).astype("float32"), y)
    assert is_problem(report, "scale of inputs", "deviation")


def test_inputs_that_are_not_finite():
    x, y = data()
    x[3, 2] = np.nan
    assert is_problem(examine(network(), F.cross_entropy, x, y), "inputs", "1 values are NaN")


@pytest.mark.parametrize(("change", "words"), [
    (lambda x, y: (x, np.zeros_like(y)), "all are 0"),
    (lambda x, y: (np.concatenate([x, x]), np.concatenate([y, (y + 1) % 3])), "equal inputs have different labels"),
])  # fmt: skip
def test_labels(change, words):
    assert is_problem(examine(network(), F.cross_entropy, *change(*data())), "labels", words)


def test_sorted_and_rare_labels_are_noticed():
    x, y = data()
    assert "sorted" in found(examine(network(), F.cross_entropy, x, np.sort(y)), "labels").what
    y = np.where(np.arange(len(y)) % 40 == 0, 1, 0)
    assert "rarest class" in found(examine(network(), F.cross_entropy, x, y), "labels").what


def test_loss_at_the_start():
    def loud():
        model = network()
        with xpnet.no_grad():
            model[2].weight *= 50.0
        return model

    report = examine(network(), F.cross_entropy, *data(), fresh=loud)
    assert is_problem(report, "loss at the start", "ln 3 = 1.1")
    leaking = examine(network(), lambda y, t: F.cross_entropy(y, t) * 0.1, *data(), fresh=network)
    assert is_problem(leaking, "loss at the start", "knows nothing")


class CutOff(nn.Module):
    """A bug that is made often: the computation is cut off in the middle."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, x):
        return self.second(self.first(x).detach() * 0.0)


def test_a_network_that_cannot_learn():
    report = examine(CutOff(), F.cross_entropy, *data(), fresh=CutOff)
    assert is_problem(report, "learns one batch by heart", "on 16 samples")
    assert is_problem(report, "gradients", "first.weight gets none")


def test_dead_units():
    model = network()
    with xpnet.no_grad():
        model[0].bias -= 100.0
    assert is_problem(examine(model, F.cross_entropy, *data()), "dead units", "100% of the units of 1")


@pytest.mark.parametrize("kind", [nn.Tanh, nn.Sigmoid])
def test_saturated_units(kind):
    model = network(kind())
    with xpnet.no_grad():
        model[0].weight *= 100.0
    assert is_problem(examine(model, F.cross_entropy, *data()), "saturated units", "of the outputs of 1")


def test_vanishing_gradients():
    deep = [layer for _ in range(12) for layer in (nn.Sigmoid(), nn.Linear(16, 16))]
    assert is_problem(examine(network(*deep), F.cross_entropy, *data()), "gradients by layer", "0.weight")


def test_exploding_gradients():
    model = network(*[nn.Linear(16, 16) for _ in range(8)])
    with xpnet.no_grad():
        for layer in list(model)[1:]:
            layer.weight *= 60.0
    assert is_problem(examine(model, lambda y, t: y.sum(), *data()), "gradients by layer", "ratio")


@pytest.mark.parametrize(("lr", "level"), [(1.0, "problem"), (1e-3, "ok"), (1e-9, "notice")])
def test_size_of_steps(lr, level):
    assert found(examine(network(), F.cross_entropy, *data(), lr=lr), "size of steps").level == level


@pytest.mark.parametrize(("history", "check", "words"), [
    ({"train_loss": [1.0, 1.0, 0.99, 1.0]}, "training loss", "does not go down"),
    ({"train_loss": [1.0, 0.5, 0.8, 0.4, 0.7, 0.3]}, "training loss", "jumps"),
    ({"train_loss": [1, 0.5, 0.3, 0.2, 0.1], "val_loss": [1, 0.6, 0.7, 0.8, 0.9]}, "overfitting", "after epoch 2"),
    ({"train_loss": [1, 0.8, 0.6], "val_loss": [1, 0.8, 0.6]}, "training length", "still falling"),
])  # fmt: skip
def test_history(history, check, words):
    assert words in found(examine(network(), F.cross_entropy, *data(), history=history), check).what


def test_needs_samples():
    with pytest.raises(ValueError, match="at least two samples, got 1"):
        examine(network(), F.cross_entropy, *(part[:1] for part in data()))


def test_command(tmp_path, capsys, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "digits", "--epochs", "12", "--out", "run", "--quiet", "--backend", "numpy"]) == 0
    capsys.readouterr()
    assert main(["doctor", "run", "--backend", "numpy"]) == 0, capsys.readouterr().out
    assert "learns one batch by heart" in capsys.readouterr().out
    assert main(["doctor", "run", "--json", "--backend", "numpy"]) == 0
    assert {f["level"] for f in json.loads(capsys.readouterr().out)} <= {"ok", "notice"}
    (tmp_path / "run/history.csv").write_text("epoch,train_loss\n1,x\n")
    assert main(["doctor", "run"]) == 1
    assert "history.csv was damaged or edited" in capsys.readouterr().err
    assert main(["doctor", "nowhere"]) == 2
