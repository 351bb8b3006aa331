"""What a user does from end to end, on the stand-in for CuPy: whatever treats a device's array as NumPy's fails here."""

import copy
import csv
import json

import numpy as np
import pytest

import xpnet
from tests.support.standin import StandinBackend
from xpnet import data, explore, interchange, nn, optim, plot
from xpnet.cli import main
from xpnet.metrics import accuracy
from xpnet.nn import functional as F
from xpnet.train import Trainer, lr_range_test
from xpnet_backends import get_backend

RNG = np.random.default_rng(0)
X, LABELS = RNG.standard_normal((48, 6)).astype("float32"), RNG.integers(0, 3, 48)
IMAGES = RNG.standard_normal((5, 1, 8, 8)).astype("float32")


@pytest.fixture(autouse=True)
def standin():
    with xpnet.use(backend="standin") as chosen:
        yield chosen


def mlp():
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 3))


def cnn():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))


def trainer(folder=None, ema=False):
    model = mlp()
    average = optim.EMA(model.named_parameters()) if ema else None
    return Trainer(
        model,
        F.cross_entropy,
        optim.Adam(model.parameters()),
        metrics={"accuracy": accuracy},
        folder=folder,
        ema=average,
    )


@pytest.mark.parametrize("ema", [False, True])
def test_a_run_with_checkpoints_is_resumed_as_if_never_stopped(tmp_path, ema):
    xpnet.manual_seed(1)
    whole = trainer(tmp_path / "whole", ema)
    whole.fit((X, LABELS), (X, LABELS), epochs=4)
    xpnet.manual_seed(1)
    trainer(tmp_path / "halves", ema).fit((X, LABELS), (X, LABELS), epochs=2)
    resumed = trainer(tmp_path / "halves", ema)
    resumed.resume()
    resumed.fit((X, LABELS), (X, LABELS), epochs=4)
    assert resumed.history.rows == whole.history.rows
    for run in (whole, resumed):
        run.load_best()
        assert all(type(value) is StandinBackend.array_type for value in run.model.state_dict().values())
    for key, value in whole.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[key].get(), value.get())
    with xpnet.use(backend="numpy"):  # and its files are read on a machine without a GPU
        other = trainer(tmp_path / "halves", ema)
        other.resume()
        other.load_best()
        np.testing.assert_allclose(other.predict(X), resumed.predict(X).get(), atol=1e-6)


@pytest.mark.parametrize("ema", [False, True])
def test_best_weights_in_memory(ema):
    run = trainer(ema=ema)
    run.fit((X, LABELS), (X, LABELS), epochs=2)
    run.load_best()
    best = run.history.rows[run.stopping.best_epoch - 1]
    assert run.evaluate((X, LABELS))["loss"] == pytest.approx(best["val_loss"], rel=1e-6)


def test_weights_through_every_kind_of_file(tmp_path):
    model, x = cnn(), xpnet.tensor(IMAGES)
    expected = model(x).numpy()
    xpnet.save(model.state_dict(), tmp_path / "m.safetensors")
    interchange.save_npz(model.state_dict(), tmp_path / "m.npz")
    interchange.to_onnx(model, IMAGES, tmp_path / "m.onnx")
    for state in (xpnet.load(tmp_path / "m.safetensors"), interchange.load_npz(tmp_path / "m.npz")):
        other = cnn()
        other.load_state_dict(state)
        np.testing.assert_array_equal(other(x).numpy(), expected)
    np.testing.assert_allclose(interchange.from_onnx(tmp_path / "m.onnx")(x).numpy(), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(copy.deepcopy(model)(x).numpy(), expected)


@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.LBFGS])
def test_the_state_of_an_optimizer(tmp_path, make):
    def step(model, optimizer):
        def closure():
            optimizer.zero_grad()
            loss = F.cross_entropy(model(xpnet.tensor(X)), xpnet.tensor(LABELS))
            loss.backward()
            return loss

        return optimizer.step(closure) if make is optim.LBFGS else (closure(), optimizer.step())

    model = nn.Linear(6, 3)
    optimizer = make(model.parameters(), lr=0.1)
    step(model, optimizer)
    other = nn.Linear(6, 3)
    other.load_state_dict(model.state_dict())
    taken_over = make(other.parameters(), lr=0.1)
    taken_over.load_state_dict(optimizer.state_dict())
    step(model, optimizer)
    step(other, taken_over)
    np.testing.assert_array_equal(other.weight.numpy(), model.weight.numpy())


def test_looking_inside():
    model = mlp()
    found = explore.activations(model, X)
    assert found["2"].shape == (48, 8)
    assert explore.gradcam(cnn(), "0", IMAGES).shape == (5, 8, 8)
    assert len(explore.variance_by_depth(model, X, lambda y: (y * y).mean())[0]) == 2
    shot = explore.Snapshots(nn.Sequential(nn.Linear(6, 2), nn.Tanh(), nn.Linear(2, 1)), X).take(0)
    assert [a.shape for a in shot.activations] == [(48, 6), (48, 2), (48, 1)]
    traced = explore.trace(nn.Linear(6, 3), X[:2], loss=lambda y: (y * y).mean())
    assert traced.gradients["weight"].shape == (3, 6)
    assert explore.profile(model, X).costs
    assert explore.examine(model, F.cross_entropy, X, LABELS, fresh=mlp, lr=1e-3).findings
    loader = data.DataLoader(data.ArrayDataset(X, LABELS), 16)
    assert lr_range_test(model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.1), loader).rates


def test_pictures_of_tensors_and_arrays(tmp_path):
    pytest.importorskip("matplotlib")
    model, images = cnn(), xpnet.tensor(IMAGES)
    here = get_backend("standin").asarray
    figures = [
        plot.filters(model[0].weight),
        plot.filters(model[0].weight.data),
        plot.feature_maps({"conv": model[0](images)[0]}),
        plot.pictures({"one": images[0, 0], "two": images.data[1, 0]}),
        plot.confusion(here(np.eye(3, dtype=int)), list("abc")),
        plot.histograms({"w": [here(X[:, 0]), xpnet.tensor(X[:, 1])]}, [0, 1]),
        plot.decision_boundary(nn.Linear(2, 3), X[:, :2], here(LABELS), resolution=5),
        plot.decision_boundary(lambda p: nn.Linear(2, 3)(xpnet.tensor(p)), here(X[:, :2]), LABELS, resolution=5),
    ]
    for figure in figures:
        plot.save(figure, tmp_path / "a.png")
        assert (tmp_path / "a.png").stat().st_size > 1000


def test_estimators(tmp_path):
    pytest.importorskip("sklearn")
    from xpnet.sklearn import XPClassifier, XPRegressor

    for kind, y in ((XPClassifier, LABELS), (XPRegressor, X[:, 0])):
        made = kind(epochs=2, random_state=0).fit(X, y)
        guesses = made.predict(X)
        assert type(guesses) is np.ndarray
        made.save(tmp_path / "m")
        np.testing.assert_array_equal(kind.load(tmp_path / "m").predict(X), guesses)
        np.testing.assert_array_equal(kind.load(tmp_path / "m", backend="numpy").predict(X).round(3), guesses.round(3))


def said(capsys, *arguments):
    assert main(list(arguments)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def examined(capsys, run, *options):
    """What the doctor says of a run, good or bad: the levels of its findings."""
    assert main(["doctor", run, "--json", *options]) in (0, 1)
    return [(finding["check"], finding["level"]) for finding in json.loads(capsys.readouterr().out)]


def test_the_command_line_on_images(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))
    there = ["--backend", "standin"]
    options = ["--ema", "0.9", "--clip-norm", "1", "--accumulate", "2", "--metric", "f1", "--augment", "shift"]
    said(capsys, "train", "digits", "--epochs", "1", "--hidden", "16", "--out", "run", *there, *options)
    result = json.loads(said(capsys, "train", "--resume", "run", "--epochs", "2", "--json"))
    assert result["epochs"] == 2
    scores = json.loads(said(capsys, "evaluate", "run", "--json", *there))
    assert scores["backend"] == "standin"
    assert scores["test_loss"] == pytest.approx(
        json.loads(said(capsys, "evaluate", "run", "--json"))["test_loss"], 1e-5
    )
    bar = np.pad(np.full((20, 4), 255, "uint8"), ((4, 4), (12, 12)))
    data.write_image(tmp_path / "p.png", bar)
    assert json.loads(said(capsys, "predict", "run", "p.png", "--json", *there))[0]["file"] == "p.png"
    assert examined(capsys, "run", *there) == examined(capsys, "run", "--backend", "numpy")
    assert "standin" in said(capsys, "profile", "run", *there)
    said(capsys, "export", "run", "--onnx", "m.onnx")
    assert "begin with --lr" in said(capsys, "lr-range", "digits", *there)


def test_the_command_line_on_tables(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with open("t.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "color", "size", "kind"])
        writer.writerows([*map(float, x[:2]), "red" if x[2] > 0 else "blue", float(x[0] + x[3]), "yes" if x[0] > 0 else "no"]
                         for x in RNG.standard_normal((80, 4)))  # fmt: skip
    there = ["--backend", "standin"]
    for target, other in (("kind", "size"), ("size", "kind")):
        said(capsys, "train", "t.csv", "--target", target, "--ignore", other, "--epochs", "2", "--out", target, *there)
        said(capsys, "evaluate", target, "--data", "t.csv", *there)
        said(capsys, "predict", target, "t.csv", "--out", "p.csv", *there)
        with open("p.csv", newline="") as file:
            assert len(list(csv.reader(file))) == 81
        assert examined(capsys, target, *there) == examined(capsys, target, "--backend", "numpy")
