"""Metrics in the trainer: over the whole epoch, exact, also across an interrupted one."""

import json

import numpy as np
import pytest

import xpnet
from tests.train.test_trainer import StopAt, blobs, loader
from xpnet import metrics, nn, optim
from xpnet.data import ArrayDataset, DataLoader
from xpnet.nn import functional as F
from xpnet.serialization import CheckpointError
from xpnet.train import Trainer
from xpnet.train.checkpoint import load_checkpoint

NAMES = ["accuracy", "f1", "roc_auc", "calibration_error", "log_loss"]


def make(folder=None, names=NAMES, **options):
    xpnet.manual_seed(7)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = optim.Adam(model.named_parameters(), lr=0.01)
    return Trainer(model, F.cross_entropy, optimizer, metrics=names, folder=folder, **options)


def test_names_are_computed_over_the_whole_epoch():
    x, labels = blobs(40)
    trainer = make()
    trainer.optimizer.param_groups[0]["lr"] = 0.0
    row = trainer.fit(DataLoader(ArrayDataset(x, labels), 16), (x, labels), epochs=1).rows[0]
    logits = trainer.model(x).data
    assert list(row) == ["epoch", "train_loss", *[f"train_{n}" for n in NAMES], "val_loss",
                         *[f"val_{n}" for n in NAMES], "lr"]  # fmt: skip
    for name in NAMES:
        expected = getattr(metrics, name)(logits, labels, logits=True)
        np.testing.assert_allclose([row[f"train_{name}"], row[f"val_{name}"]], expected, rtol=1e-6)  # other batches
    assert trainer.evaluate((x, labels), batch_size=7)["f1"] == row["val_f1"]


def test_objects_functions_and_names_together():
    f1 = metrics.F1(average="micro")
    trainer = make(names={"micro": f1, "accuracy": metrics.accuracy, "area": "roc_auc"})
    history = trainer.fit(loader(), blobs(seed=1), epochs=2)
    np.testing.assert_allclose(history["val_micro"], history["val_accuracy"], rtol=1e-6)
    assert history["val_area"][-1] > 0.9
    assert f1.state_dict() == {}  # the trainer counts with its own copies


def test_regression():
    x, y = blobs()[0], blobs()[0].sum(axis=1, keepdims=True)
    model = nn.Linear(4, 1)
    trainer = Trainer(model, F.mse_loss, optim.SGD(model.parameters(), lr=0.1), metrics=["rmse", "r2"])
    history = trainer.fit((x, y), (x, y), epochs=20)
    assert history["val_r2"][-1] > 0.95
    np.testing.assert_allclose(np.square(history["val_rmse"]), history["val_loss"], rtol=1e-5)


@pytest.mark.parametrize("at", [(1, 2), (2, 5)])
def test_an_interrupted_epoch_resumes_with_its_metrics(tmp_path, at):
    history = make().fit(loader(), blobs(seed=1), epochs=3)
    with pytest.raises(KeyboardInterrupt, match="saved after epoch"):
        make(tmp_path, callbacks=[StopAt(*at)]).fit(loader(), blobs(seed=1), epochs=3)
    kept = load_checkpoint(tmp_path / "last.safetensors")["arrays"]
    assert len(kept["meter.roc_auc.output"]) == 16 * at[1]
    resumed = make(tmp_path)
    resumed.resume()
    assert resumed.fit(loader(), blobs(seed=1), epochs=3) == history
    other = make(tmp_path / "other", names=[*NAMES, "recall"])
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, callbacks=[StopAt(*at)]).fit(loader(), epochs=3)
    other.resume(tmp_path / "last.safetensors")
    with pytest.raises(CheckpointError, match="begun without the metric 'recall'"):
        other.fit(loader(), epochs=3)


def test_on_each_backend(backend):
    x, labels = blobs(40)
    found = make().fit(DataLoader(ArrayDataset(x, labels), 16, backend=backend), (x, labels), epochs=2)
    with xpnet.use(backend="numpy"):
        expected = make().fit(DataLoader(ArrayDataset(x, labels), 16), (x, labels), epochs=2)
    for name in found.columns():
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4)


def test_an_area_without_a_value_is_nan_and_the_run_goes_on(tmp_path):
    x, _ = blobs()
    trainer = make(tmp_path, names=["roc_auc"])
    history = trainer.fit(loader(), (x, np.zeros(len(x), dtype=int)), epochs=1)
    assert np.isnan(history["val_roc_auc"][0])
    assert (tmp_path / "history.csv").exists()
    assert json.loads(json.dumps(history.rows[0]))["epoch"] == 1


@pytest.mark.parametrize(("given", "message"), [
    ({"f1": metrics.f1}, r"the mean of f1 over batches would be wrong; give the name \"f1\", or"),
    (["acuracy"], "unknown metric 'acuracy': did you mean 'accuracy'"),
    ({"m": metrics.ConfusionMatrix()}, "metric 'm' is not one number"),
])  # fmt: skip
def test_errors(given, message):
    with pytest.raises(ValueError, match=message):
        make(names=given)
