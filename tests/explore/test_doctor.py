"""The doctor finds planted faults, and nothing in a healthy training."""

import json

import numpy as np
import pytest

import xpnet
from xpnet import nn, optim
from xpnet.cli import main
from xpnet.explore import doctor, examine
from xpnet.explore.doctor import Report, check_history
from xpnet.nn import functional as F
from xpnet.train import History, Trainer
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
    assert is_problem(leaking, "loss at the start", "guessing gives")


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
    ({"train_loss": [1.0, 1.0, 0.99, 1.0]}, "training loss", "does not decrease"),
    ({"train_loss": [1.0, 0.5, 0.8, 0.4, 0.7, 0.3]}, "training loss", "jumps"),
    ({"train_loss": [1, 0.5, 0.3, 0.2, 0.1], "val_loss": [1, 0.6, 0.7, 0.8, 0.9]}, "overfitting", "after epoch 2"),
    ({"train_loss": [1, 0.8, 0.6], "val_loss": [1, 0.8, 0.6]}, "training length", "still falling"),
])  # fmt: skip
def test_history(history, check, words):
    assert words in found(examine(network(), F.cross_entropy, *data(), history=history), check).what


def trained(lr, epochs=8, *, change=lambda x, y: (x, y), make=network, optimizer="adam"):
    """What the doctor says of a real run."""
    x, y = data(240)
    model, kind = make(), {"adam": optim.Adam, "sgd": optim.SGD}[optimizer]
    trainer = Trainer(model, F.cross_entropy, kind(model.parameters(), lr=lr), metrics=["accuracy"])
    trainer.fit(change(x[:160], y[:160]), val=(x[160:], y[160:]), epochs=epochs, batch_size=16)
    x, y = change(x[:160], y[:160])
    return examine(model, F.cross_entropy, x, y, fresh=make, lr=lr, history=trainer.history, optimizer=optimizer)


@pytest.mark.parametrize(("lr", "optimizer"), [(1e-2, "adam"), (0.1, "sgd")])
def test_runs_that_went_well(lr, optimizer):
    report = trained(lr, 12, optimizer=optimizer)
    assert report.problems == [], str(report)


def levels(report, level="problem"):
    return {f.check for f in report.findings if f.level == level}


def test_a_rate_that_is_much_too_high():
    report = trained(5.0)
    assert levels(report) >= {"size of steps", "size of weights"}, str(report)
    assert levels(report) & {"validation loss", "training loss", "loss now", "dead units"}
    assert "smaller learning rate" in found(report, "size of steps").remedy
    assert "moves" in found(report, "size of steps").what


def test_a_rate_that_is_much_too_low():
    report = trained(1e-7)
    assert is_problem(report, "training loss", "does not decrease")
    assert "a larger learning rate" in found(report, "training loss").remedy


def test_validation_worse_than_chance_is_no_ok():
    history = {"train_loss": [8100.0, 5.0, 2.18], "val_loss": [28.1, 29.0, 29.4]}
    report = Report()
    check_history(report, history, chance=2.3)
    assert levels(report) == {"validation loss"}
    assert "29.4 at the end, where guessing gives 2.3" in found(report, "validation loss").what


def test_a_gradient_ratio_of_1200_is_no_ok():
    model = nn.Sequential(nn.Linear(6, 16), nn.Linear(16, 3))
    with xpnet.no_grad():
        model[0].weight *= 0.01
        model[0].bias *= 0.01
        model[1].weight *= 100.0
    finding = found(examine(model, lambda y, t: (y * 1e-3).sum(), *data()), "gradients by layer")
    assert finding.level == "problem"
    assert "ratio" in finding.what


@pytest.mark.parametrize(("ratio", "level"), [(5e-5, "problem"), (5e-4, "notice"), (0.2, "ok"), (300, "notice"),
                                              (1200, "problem")])  # fmt: skip
def test_ratios_of_gradients(ratio, level):
    report = Report()
    doctor._check_flow(report, [("first", ratio, 1.0), ("middle", 1.0, 1.0), ("last", 1.0, 1.0)])
    assert report.findings[0].level == level


def test_a_layer_in_the_middle_without_gradient():
    report = Report()
    doctor._check_flow(report, [("first", 1.0, 1.0), ("middle", 0.0, 1.0), ("last", 1.0, 1.0)])
    assert is_problem(report, "gradients by layer", "middle: all are zero")


def test_random_labels_and_a_validation_set_prepared_otherwise():
    shuffled = lambda x, y: (x, np.random.default_rng(1).permutation(y))  # noqa: E731
    report = trained(2e-2, 60, change=shuffled, make=lambda: network(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 16)))
    assert "how labels are matched" in found(report, "validation loss").remedy, str(report)
    other = trained(1e-2, change=lambda x, y: (-x, y))
    assert is_problem(other, "validation loss", "where guessing gives")


def test_a_softmax_too_many():
    report = examine(nn.Sequential(nn.Linear(6, 3), nn.Softmax(dim=1)), F.cross_entropy, *data())
    assert is_problem(report, "outputs", "probabilities, and the loss takes logits")
    own = examine(nn.Sequential(nn.Linear(6, 3), nn.Softmax(dim=1)), lambda y, t: F.nll_loss(y.log(), t), *data())
    assert found(own, "outputs") is None


def test_a_network_that_says_the_same_of_every_sample():
    model = network()
    with xpnet.no_grad():
        model[2].weight *= 0.0
    assert is_problem(examine(model, F.cross_entropy, *data()), "outputs", "the same for every sample")
    with xpnet.no_grad():
        model[2].weight[...] = 0.01
        model[2].bias[...] = np.array([5.0, 0.0, 0.0], "float32")
    report = examine(model, F.cross_entropy, *data(), history={"train_loss": [2.0, 1.9, 1.8, 1.8]})
    assert is_problem(report, "outputs", "class 0 is predicted for every sample")


def test_outputs_and_weights_that_are_not_finite():
    model = network()
    with xpnet.no_grad():
        model[2].bias[0] = np.nan
    report = examine(model, F.cross_entropy, *data())
    assert is_problem(report, "outputs", "120 of 360 outputs are NaN")
    with xpnet.no_grad():
        model[0].weight[0, 0] = np.inf
    assert is_problem(examine(model, F.cross_entropy, *data()), "weights", "not finite: 0.weight")


def test_a_leak_and_features_of_their_own_scale():
    x, y = data()
    leaking = x.copy()
    leaking[:, 4] = y * 0.5
    assert is_problem(examine(network(), F.cross_entropy, leaking, y), "leak", "feature 4 alone determines every label")
    x[:, 2] *= 300.0
    assert is_problem(examine(network(), F.cross_entropy, x, y), "scale of features", "feature 2 varies by")


def test_labels_in_blocks_of_any_order():
    x, y = data()
    assert "sorted" in found(examine(network(), F.cross_entropy, x, -np.sort(-y)), "labels").what


def test_some_equal_inputs_are_no_problem():
    x, y = data()
    x[1] = x[0]
    y[:2] = 0, 1
    finding = found(examine(network(), F.cross_entropy, x, y), "labels")
    assert (finding.level, finding.what) == (
        "notice", "1 equal inputs have different labels: the best possible accuracy is 99%"
    )  # fmt: skip


def test_targets_of_a_regression():
    x, _ = data()
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    y = x[:, :1] * 1e5
    assert found(examine(model, F.mse_loss, x, y), "scale of targets").level == "notice"
    assert found(examine(model, F.mse_loss, x, x[:, :1]), "scale of targets").level == "ok"
    y[3] = np.nan
    assert is_problem(examine(model, F.mse_loss, x, y), "targets", "1 values are NaN")


def test_a_sure_sigmoid_at_the_end_is_no_fault():
    x, y = data()
    model = nn.Sequential(nn.Linear(6, 1), nn.Sigmoid())
    with xpnet.no_grad():
        model[0].weight *= 1000.0
    report = examine(model, F.binary_cross_entropy, x, (y > 0).astype("float32")[:, None])
    assert found(report, "saturated units") is None


@pytest.mark.parametrize(("loss", "expected"), [
    (F.mse_loss, 0.25), (F.binary_cross_entropy_with_logits, np.log(2)), (F.l1_loss, 0.5),
])  # fmt: skip
def test_what_guessing_gives(loss, expected):
    x, y = data()
    values = (np.arange(len(y)) % 2).astype("float32")[:, None]
    assert doctor._chance(nn.Linear(6, 1), loss, x, values) == pytest.approx(expected, rel=1e-5)
    assert doctor._chance(nn.Linear(6, 1), lambda output, target: output.sum().log(), x, values * np.nan) is None
    shares = np.bincount(y) / len(y)
    guessing = doctor._chance(network(), F.cross_entropy, x, y)
    assert guessing == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-3)


def test_sorted_samples_are_not_learned_by_heart_from_one_class():
    x, y = data()
    order = np.argsort(y)
    seen = set()

    def loss(output, target):
        seen.update(np.unique(target).tolist() if len(target) == 16 else [])
        return F.cross_entropy(output, target)

    examine(network(), loss, x[order], y[order], fresh=network)
    assert seen == {0, 1, 2}


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(("history", "check", "level", "words"), [
    ({"train_loss": [1.0, 0.5, NAN]}, "training loss", "problem", "it is nan in epoch 3"),
    ({"train_loss": [1.0, NAN, 0.5]}, "training loss", "problem", "it is nan in epoch 2"),
    ({"train_loss": [1.0, 0.5, INF]}, "training loss", "problem", "it is inf in epoch 3"),
    ({"train_loss": [NAN]}, "training loss", "problem", "it is nan in epoch 1"),
    ({"train_loss": [1, 0.5, 0.4], "val_loss": [NAN, NAN, NAN]}, "validation loss", "problem", "nan in epoch 1"),
    ({"train_loss": [1, 0.5, 0.4], "val_loss": [1, INF, 0.5]}, "validation loss", "problem", "inf in epoch 2"),
    ({"train_loss": [1, 0.5, 0.4], "val_f1": [0.5, NAN, 0.7]}, "validation f1", "notice", "nan in epoch 2"),
    ({"train_loss": [1.0]}, "training loss", "notice", "1 epoch: too few to judge"),
    ({"train_loss": [1.0, 0.8]}, "training loss", "notice", "2 epochs: too few to judge"),
    ({}, "history", "notice", "has no values"),
    ({"epoch": [1, 2], "lr": [0.1, 0.1]}, "history", "notice", "has no values"),
    ({"train_loss": [None, None]}, "history", "notice", "has no values"),
    ({"train_loss": [1, 0.8, 0.6], "val_loss": [None, None, 0.6]}, "validation loss", "ok", "0.6 to 0.6, least after epoch 3"),
    ({"train_loss": [1, 0.8, 0.6, 0.5, 0.4], "val_loss": [None, 0.6, 0.7, 0.8, 0.9]}, "overfitting", "notice", "after epoch 2"),
    ({"train_loss": [1.0, 0.3, 0.2, 0.9]}, "training loss", "problem", "was least (0.2) after epoch 3, then rose to 0.9"),
    ({"train_loss": [-1.0, -2.0, -3.0]}, "training length", "notice", "still falling"),
    ({"train_loss": [-1.0, -0.9, -0.8]}, "training loss", "problem", "does not decrease"),
    ({"train_loss": [1, 1e-3, 1e-6, 2e-6, 1e-6, 2e-6, 1e-6]}, "training loss", "ok", "1 to 1e-06"),
    ({"train_loss": [1, 0.5, 0.4], "val_r2": [0.1, -0.2, -0.3]}, "validation r2", "problem", "worse than predicting the mean"),
    ({"val_accuracy": [0.2, 0.3, 0.31]}, "validation accuracy", "problem", "no better than the most frequent class"),
    ({"val_accuracy": [0.5, 0.9, 0.6]}, "validation accuracy", "notice", "it was 90.0% after epoch 2, then fell"),
])  # fmt: skip
def test_histories_of_every_kind(history, check, level, words):
    finding = found(examine(network(), F.cross_entropy, *data(), history=history), check)
    if finding is None:
        report = Report()
        check_history(report, history)
        finding = found(report, check)
    assert finding is not None
    assert (finding.level, words in finding.what) == (level, True), finding


def test_a_column_that_is_no_number():
    with pytest.raises(ValueError, match=r"history: the column 'train_loss' must be numbers, got \['low', 1\]"):
        examine(network(), F.cross_entropy, *data(), history={"train_loss": ["low", 1]})
    report = examine(network(), F.cross_entropy, *data(), history={"note": ["warm"], "train_loss": [1.0]})
    assert found(report, "training loss").level == "notice"


def test_a_trainers_own_history_where_validation_came_later():
    x, y = data()
    model = network()
    trainer = Trainer(model, F.cross_entropy, optim.Adam(model.parameters(), lr=1e-2))
    trainer.fit((x, y), epochs=2)
    trainer.fit((x, y), val=(x, y), epochs=6)
    assert trainer.history["val_loss"][:2] == [None, None]
    for history in (
        trainer.history,
        trainer.history.rows,
        trainer.history.as_dict(),
        History.from_csv(trainer.history.to_csv()),
    ):
        report = examine(model, F.cross_entropy, x, y, history=history)
        assert any("validation" in f.check or "validation" in f.what for f in report.findings), str(report)


def test_tensors_and_lists():
    x, y = data()
    expected = str(examine(network(), F.cross_entropy, x, y))
    assert str(examine(network(), F.cross_entropy, xpnet.tensor(x), xpnet.tensor(y))) == expected


def test_needs_gradients():
    with xpnet.no_grad(), pytest.raises(ValueError, match=r"call examine\(\) outside no_grad"):
        examine(network(), F.cross_entropy, *data())


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
    (tmp_path / "run/history.csv").write_text("\ufefftrain_loss,epoch\r\n1,1\r\n\r\n,\r\nnan,2\r\n", encoding="utf-8")
    assert main(["doctor", "run", "--backend", "numpy"]) == 1
    assert "training loss: it is nan in epoch 2" in capsys.readouterr().out
    (tmp_path / "run/history.csv").write_text("")
    assert main(["doctor", "run", "--backend", "numpy"]) == 0
    assert "history: it has no values" in capsys.readouterr().out
    (tmp_path / "run/history.csv").write_text("epoch,train_loss\n1,x\n")
    assert main(["doctor", "run"]) == 1
    assert "history.csv was damaged or edited" in capsys.readouterr().err
    assert main(["doctor", "nowhere"]) == 2
