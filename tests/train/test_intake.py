"""What fit takes, and what it refuses before training with the fix."""

import numpy as np
import pytest

import xpnet
from tests.train.test_trainer import blobs, loader
from xpnet import nn, optim
from xpnet.data import ArrayDataset, DataLoader
from xpnet.nn import functional as F
from xpnet.train import Trainer

pandas = pytest.importorskip("pandas")


def make(loss=F.cross_entropy, outputs=3, first=None, **options):
    xpnet.manual_seed(1)
    model = nn.Sequential(first or nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, outputs))
    return Trainer(model, loss, optim.SGD(model.parameters(), lr=0.05), **options)


def weights(trainer):
    return {key: trainer.backend.to_numpy(value).copy() for key, value in trainer.model.state_dict().items()}


def trained(*args, loss=F.cross_entropy, outputs=3, **options):
    trainer = make(loss, outputs)
    trainer.fit(*args, epochs=2, batch_size=16, **options)
    return weights(trainer), trainer.history


X, Y = blobs()
XV, YV = blobs(seed=1)
FRAME = pandas.DataFrame(X, columns=list("abcd"))


def test_an_array_first_has_its_target_second_a_pair_first_the_validation_data():
    expected, history = trained((X, Y), (XV, YV))
    for arguments, options in [
        ((X, Y), {"val": (XV, YV)}), (((X, Y),), {"val": (XV, YV)}), (([X, Y], [XV, YV]), {}),
        ((ArrayDataset(X, Y), ArrayDataset(XV, YV)), {}), ((xpnet.tensor(X), xpnet.tensor(Y)), {"val": (XV, YV)}),
        ((FRAME, pandas.Series(Y)), {"val": (XV, YV)}), ((X.tolist(), Y.tolist()), {"val": (XV.tolist(), YV.tolist())}),
        (((FRAME.astype("float64"), Y.tolist()), (XV, pandas.Series(YV))), {}),
        ((DataLoader(ArrayDataset(X, Y), 16, shuffle=True), (XV, YV)), {}),
    ]:  # fmt: skip
        found, other = trained(*arguments, **options)
        assert other == history
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value)
    assert trained(X, Y)[1].columns() == ["epoch", "train_loss", "lr"]


def test_values_of_a_regression_in_lists_and_frames():
    target = X.sum(axis=1, keepdims=True)
    expected = trained(X, target, loss=F.mse_loss, outputs=1)
    for given in (target.tolist(), pandas.DataFrame(target.astype("float64"))):
        found = trained(FRAME, given, loss=F.mse_loss, outputs=1)
        assert found[1] == expected[1]
    whole = np.arange(8).reshape(2, 4).tolist()
    assert len(make(F.mse_loss, 1).fit(whole, [[1.0], [2.0]], epochs=1, val=(whole, [[1.0], [2.0]]))) == 1


def test_tokens_in_lists_stay_whole_numbers():
    xpnet.manual_seed(0)
    model = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(8, 3))
    trainer = Trainer(model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.1))
    assert len(trainer.fit([[1, 2], [3, 4], [0, 1]], [0, 1, 2], epochs=1)) == 1


def one_hot(labels, classes):
    return np.eye(classes, dtype=int)[labels]


REFUSED = {
    "another library's name": (lambda t: t.fit(X, Y, validation_data=(XV, YV)), TypeError, "use val=(inputs, targets)"),
    "its split": (lambda t: t.fit(X, Y, validation_split=0.2), TypeError, "train_val_split"),
    "its epochs": (lambda t: t.fit(X, Y, n_epochs=3), TypeError, "use epochs="),
    "its weights": (lambda t: t.fit(X, Y, class_weight={0: 1}), TypeError, "F.cross_entropy, weight="),
    "an unknown name": (lambda t: t.fit(X, Y, patience=3), TypeError, "no option 'patience': it takes train, y"),
    "four arrays": (lambda t: t.fit(X, Y, XV, YV), ValueError, "float32(96, 4); validation data go into val="),
    "no target": (lambda t: t.fit(X), TypeError, "float32(96, 4) without targets: use fit(x, y)"),
    "validation data for a target": (lambda t: t.fit(X, (XV, YV)), TypeError, "use fit(x, y, val=(x_val, y_val))"),
    "a target for validation data": (lambda t: t.fit((X, Y), YV), TypeError, "so the second must be validation data"),
    "the same with a loader": (lambda t: t.fit(loader(), XV), TypeError, "so the second must be validation data"),
    "validation data twice": (lambda t: t.fit((X, Y), (XV, YV), val=(XV, YV)), TypeError, "validation data twice"),
    "three parts": (lambda t: t.fit((X, Y, XV)), TypeError, "must be a pair (inputs, targets), a dataset or a loader"),
    "none as a target": (lambda t: t.fit((X, None)), TypeError, "lack their targets"),
    "a dataset without targets": (lambda t: t.fit(ArrayDataset(X)), ValueError, "have no targets"),
    "a path": (lambda t: t.fit("data.csv"), TypeError, "must be a pair (inputs, targets), a dataset or a loader, got str"),
    "lengths": (lambda t: t.fit(X, Y[:5]), ValueError, "differ in length: 96 and 5"),
    "lengths of the validation data": (lambda t: t.fit(X, Y, val=(XV, YV[:5])), ValueError, "length: 96 and 5"),
    "nothing": (lambda t: t.fit(X[:0], Y[:0]), ValueError, "is empty"),
    "rows of several lengths": (lambda t: t.fit([[1.0], [2.0, 3.0]], [0, 1]), ValueError, "their rows differ in length"),
    "text": (lambda t: t.fit(X, ["cat"] * 96), TypeError, "numpy.unique(y, return_inverse=True)"),
    "objects": (lambda t: t.fit(X.astype(object), Y), TypeError, "inputs of the training data are not numbers"),
    "columns of text": (
        lambda t: t.fit(FRAME.assign(town="Rome"), Y), TypeError, "columns that are not numbers (town): encode them",
    ),
    "float64": (lambda t: t.fit(X.astype("d"), Y), TypeError, "inputs are float64, the model is float32: use inputs.asty"),
    "whole numbers": (lambda t: t.fit(X.astype("int64"), Y), TypeError, "convert it, e.g. x.astype('float32')"),
    "width": (lambda t: t.fit(X[:, :3], Y), ValueError, "(inputs float32(96, 3), targets int64(96,)) do not fit: layer"),
    "width of the validation data": (
        lambda t: t.fit(X, Y, val=(XV[:, :3], YV)), ValueError, "the validation data (inputs float32(96, 3)",
    ),
    "labels as floats": (lambda t: t.fit(X, Y.astype("f")), TypeError, "labels.astype('int64')"),
    "labels (N, 1)": (lambda t: t.fit(X, Y[:, None]), ValueError, "use targets.reshape(-1)"),
    "one-hot of too many": (lambda t: t.fit(X, one_hot(Y, 5)), ValueError, "needs labels of shape (64,), got (64, 5)"),
    "labels from 1": (lambda t: t.fit(X, Y + 1), ValueError, "0..2"),
    "one label too large": (
        lambda t: t.fit(X, np.where(np.arange(96) == 90, 7, Y), batch_size=16), ValueError, "is 7 at 90, 1 of 96 are",
    ),
    "a label of the validation data": (
        lambda t: t.fit(X, Y, val=(np.tile(XV, (4, 1)), np.where(np.arange(384) == 380, -1, np.tile(YV, 4)))),
        ValueError, "the validation data have labels out of range for the 3 outputs of the model (0..2): the first is -1",
    ),
    "NaN": (lambda t: t.fit(np.where(X > 2, np.nan, X), Y), ValueError, "NaN"),
    "epochs": (lambda t: t.fit(X, Y, epochs=2.5), ValueError, "epochs must be a positive whole number, got 2.5"),
    "batch size": (lambda t: t.fit(X, Y, batch_size=0), ValueError, "batch_size must be a positive whole number, got 0"),
    "verbose": (lambda t: t.fit(X, Y, verbose="auto"), ValueError, "verbose must be True, False, 0, 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_mistakes_are_named_before_training(name, tmp_path):
    call, error, message = REFUSED[name]
    trainer = make(folder=tmp_path / "run")
    before = weights(trainer)
    with pytest.raises(error) as caught:
        call(trainer)
    assert message in str(caught.value)
    assert trainer.epoch == 0
    assert not (tmp_path / "run").exists()
    for key, value in before.items():
        np.testing.assert_array_equal(weights(trainer)[key], value)


@pytest.mark.parametrize(("loss", "target", "message"), [
    (F.mse_loss, X[:, 0], "reshape one of them, e.g. target.reshape(-1, 1)"),
    (F.mse_loss, Y[:, None], "convert what was measured, e.g. target.astype('float32')"),
    (F.mse_loss, X[:, :1].astype("float64"), "targets are float64, the model is float32: use targets.astype('float32')"),
    (F.binary_cross_entropy_with_logits, Y.astype("f"), "they must be equal"),
])  # fmt: skip
def test_targets_that_do_not_fit_the_loss(loss, target, message):
    with pytest.raises((ValueError, TypeError)) as caught:
        make(loss, 1).fit(X, target, epochs=1)
    assert message in str(caught.value)


def test_images_without_a_channel_axis():
    xpnet.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3))
    trainer = Trainer(model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.1))
    images = np.ones((9, 8, 8), "f")
    with pytest.raises(ValueError, match=r"add its axis: inputs\[:, None\]"):
        trainer.fit(images, np.zeros(9, int), epochs=1)
    assert len(trainer.fit(images[:, None], np.zeros(9, int), epochs=1)) == 1


def test_labels_that_are_ignored_are_in_range():
    labels = np.where(np.arange(96) % 3 == 0, -100, Y)
    assert len(make().fit(X, labels, epochs=1)) == 1
    assert len(make(nn.CrossEntropyLoss(ignore_index=7)).fit(X, np.where(labels < 0, 7, labels), epochs=1)) == 1


def test_one_hot_labels_and_probabilities_pass():
    assert trained(X, one_hot(Y, 3).astype("f"))[1] == trained(X, one_hot(Y, 3))[1]


def test_a_first_look_leaves_random_numbers_modes_and_buffers_alone():
    def run(data):
        xpnet.manual_seed(1)
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
        model[2].eval()
        trainer = Trainer(model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.05))
        trainer.fit(data, epochs=2, batch_size=16)
        return weights(trainer)

    looked, plain = run((X, Y)), run(DataLoader(ArrayDataset(X, Y), 16, shuffle=True, seed=1))
    for key, value in plain.items():
        np.testing.assert_array_equal(looked[key], value)


def test_on_each_backend(backend):
    trainer = make()
    trainer.model.to(backend=backend)
    history = trainer.fit(backend.asarray(X), backend.asarray(Y), epochs=2, val=(XV, YV))
    assert np.isfinite(history["val_loss"]).all()
    with pytest.raises(ValueError, match="out of range"):
        make().fit(X, np.where(Y[0] == Y, 3, Y), epochs=1)


@pytest.mark.parametrize(("call", "message"), [
    (lambda t: t.fit(3.0, Y), "the training data must be a pair (inputs, targets), a dataset or a loader, got 3.0"),
    (lambda t: t.fit(None, Y), "a dataset or a loader, got None"),
    (lambda t: t.fit(batch for batch in [(X, Y)]), "a generator gives its batches once"),
    (lambda t: t.fit({"x": X, "y": Y}), "a dataset or a loader, got dict of length 2"),
    (lambda t: t.fit(X, Y, val=X), "the validation data must be a pair"),
    (lambda t: t.evaluate(X, Y), "got int64(96,): give arrays as a pair, (x, y)"),
    (lambda t: t.evaluate(X), "the data must be a pair (inputs, targets), a dataset or a loader, got float32(96, 4)"),
])  # fmt: skip
def test_what_is_no_data_at_all(call, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        call(make())
    assert message in str(caught.value)


def test_a_loss_must_be_one_number(backend):
    each = make(lambda output, target: F.cross_entropy(output, target, reduction="none"))
    with pytest.raises(ValueError, match=r"the loss must be one number, got shape \(64,\): reduce it"):
        each.fit(X, Y, epochs=1)
    one = make(lambda output, target: F.cross_entropy(output, target).reshape(1), accumulate=2)
    one.model.to(backend=backend)
    assert one.fit(X, Y, epochs=2) == make(accumulate=2).fit(X, Y, epochs=2) or not backend.on_host


@pytest.mark.parametrize("count", [-1, -1.0, float("nan"), float("inf")])
def test_a_count_must_be_a_number(count):
    with pytest.raises(ValueError, match=r"count\(output, target\) must give a number >= 0, got"):
        make(count=lambda output, target: count).fit(X, Y, epochs=1)
    weighted = make(count=lambda output, target: xpnet.tensor(float(len(target))), accumulate=2)
    assert np.isfinite(weighted.fit(X, Y, epochs=1)["train_loss"]).all()


def test_targets_that_a_loss_looks_up_are_not_taken_for_labels():
    rows = np.arange(len(X))
    trainer = make(lambda output, rows: F.cross_entropy(output, Y[rows]))
    assert len(trainer.fit(X, rows, val=(X, rows), epochs=1)) == 1
    flat = make(lambda output, target: F.cross_entropy(output, target.reshape(-1)))
    with pytest.raises(ValueError, match="is 9 at 95"):
        flat.fit(X, np.where(rows == 95, 9, Y)[:, None], epochs=1)


def test_the_fix_that_is_named_fits_the_loss():
    column = Y[:, None]
    with pytest.raises(ValueError, match=r"use targets\.reshape\(-1\)"):
        make().fit(X, column)
    with pytest.raises(TypeError, match="convert what was measured") as error:
        make(F.mse_loss, 1).fit(X, column)
    assert "second axis" not in str(error.value)


@pytest.mark.parametrize("name", ["x", "X", "validation_data"])
def test_data_by_other_libraries_names(name):
    with pytest.raises(TypeError, match=f"fit\\(\\) has no option '{name}': use "):
        make().fit(**{name: X})
