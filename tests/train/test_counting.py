"""Batches count by what their loss is the mean of: accumulated, in the history, and in evaluation."""

from functools import partial

import numpy as np
import pytest

import xpnet
from tests.support.standin import no_traffic
from xpnet import nn, optim
from xpnet.data import ArrayDataset, DataLoader, SequenceLoader
from xpnet.metrics import accuracy, log_loss
from xpnet.nn import functional as F
from xpnet.train import Step, Trainer
from xpnet_backends import get_backend

N, CLASSES = 22, 3  # batches of 8: 8, 8, 6
IGNORED = -100


def data(ignored=0.5, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, N)
    labels[rng.random(N) < ignored] = IGNORED
    labels[:3] = [0, IGNORED, 1]
    return rng.standard_normal((N, 4)), labels


def masked(output, target):
    """A mean of one's own over some of the targets."""
    mask = xpnet.tensor((target != IGNORED).astype("float64"))
    losses = F.cross_entropy(output, np.where(target == IGNORED, 0, target), reduction="none")
    return (losses * mask).sum() / mask.sum()


def one_hot(labels):
    return np.eye(CLASSES)[np.maximum(labels, 0)]


WEIGHTS = np.array([0.2, 1.0, 5.0])
LOSSES = {
    "ignored labels": (F.cross_entropy, None),
    "in a function of one's own": (lambda output, target: 0.5 * F.cross_entropy(output, target), None),
    "as a layer": (nn.CrossEntropyLoss(label_smoothing=0.1), None),
    "class weights": (partial(F.cross_entropy, weight=WEIGHTS), None),
    "class weights, smoothed": (partial(F.cross_entropy, weight=WEIGHTS, label_smoothing=0.2), None),
    "nll": (lambda output, target: F.nll_loss(F.log_softmax(output, 1), target, WEIGHTS), None),
    "focal": (partial(F.focal_loss, weight=WEIGHTS), None),
    "sum": (partial(F.cross_entropy, reduction="sum"), None),
    "sum of squares": (lambda o, t: F.mse_loss(o, one_hot(t), reduction="sum"), None),
    "squares": (lambda o, t: F.mse_loss(o, one_hot(t)), None),
    "probabilities": (lambda o, t: F.cross_entropy(o, one_hot(t), weight=WEIGHTS), None),
    "batchmean": (lambda o, t: F.kl_div(F.log_softmax(o, 1), one_hot(t) * 0.8 + 0.1, "batchmean"), None),
    "sum divided by the samples": (lambda o, t: F.cross_entropy(o, t, reduction="sum") / len(t), None),
    "two losses": (lambda o, t: F.mse_loss(o, one_hot(t)) + F.l1_loss(o, one_hot(t)), None),
    "two heads": (lambda o, t: F.cross_entropy(o, t) + 0.3 * F.focal_loss(-o, t), None),
    "two heads with class weights": (
        lambda o, t: F.cross_entropy(o, t, WEIGHTS) + 0.3 * F.nll_loss(F.log_softmax(-o, 1), t, WEIGHTS),
        None,
    ),
    "counted by the user": (masked, lambda output, target: (target != IGNORED).sum()),
    "counted as a number": (masked, lambda output, target: int((target != IGNORED).sum())),
}
each = pytest.mark.parametrize("name", LOSSES)


def make(name, optimizer=None, dtype="float64", **options):
    xpnet.manual_seed(2)
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, CLASSES)).to(dtype=dtype)
    loss, count = LOSSES[name]
    optimizer = (optimizer or (lambda p: optim.SGD(p, lr=0.05, momentum=0.9)))(model.named_parameters())
    return Trainer(model, loss, optimizer, count=count, metrics={"accuracy": accuracy}, **options)


def weights(trainer):
    return {key: trainer.backend.to_numpy(value).copy() for key, value in trainer.model.state_dict().items()}


def assert_close(a, b, **tolerance):
    for key in a:
        np.testing.assert_allclose(a[key], b[key], err_msg=key, **(tolerance or {"rtol": 1e-9, "atol": 1e-12}))


@each
@pytest.mark.parametrize("options", [{}, {"max_grad_norm": 0.1, "penalty": nn.Penalty(l2=0.05)}], ids=["plain", "more"])
def test_accumulated_batches_are_one_larger_batch_also_an_uneven_one(name, options):
    runs = []
    for size, accumulate in ((N, 1), (8, 3)):
        trainer = make(name, accumulate=accumulate, **options)
        trainer.fit(DataLoader(ArrayDataset(*data()), size), epochs=3)
        runs.append(weights(trainer))
    assert_close(*runs)


@each
def test_the_history_and_evaluation_do_not_depend_on_the_batch_size(name):
    x, labels = data()
    trainer = make(name)
    trainer.optimizer.param_groups[0]["lr"] = 0.0
    history = trainer.fit(DataLoader(ArrayDataset(x, labels), 8), (x, labels), epochs=1)
    expected = float(trainer.loss(trainer.model(x), labels))
    found = [history["train_loss"][0], history["val_loss"][0]]
    found += [trainer.evaluate((x, labels), batch_size=size)["loss"] for size in (1, 5, 22)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_each_sample_counts_the_same_for_a_metric():
    x, labels = data(ignored=0.0)
    labels = np.abs(labels) % CLASSES
    trainer = make("squares")
    values = [trainer.evaluate((x, labels), batch_size=size)["accuracy"] for size in (1, 7, 22)]
    hits = trainer.model(x).numpy().argmax(1) == labels
    np.testing.assert_allclose(values, hits[labels != IGNORED].mean(), rtol=1e-6)


@pytest.mark.parametrize("metric", ["accuracy", accuracy, log_loss], ids=["name", "function", "loss"])
def test_what_is_ignored_does_not_count_for_a_metric_whatever_the_batch_size(metric, backend):
    x, labels = data()
    labels[5:10] = IGNORED  # a batch of five without any
    model = nn.Sequential(nn.Linear(4, CLASSES), nn.Softmax(1)).to(backend=backend)
    optimizer = optim.SGD(model.parameters(), lr=0.0)
    trainer = Trainer(model, F.cross_entropy, optimizer, metrics={"m": metric})
    kept = labels != IGNORED
    expected = trainer.evaluate((x[kept].astype("f"), labels[kept]))["m"]
    given = x.astype("f"), labels
    values = [trainer.evaluate(given, batch_size=size)["m"] for size in (1, 5, 22)]
    values += [trainer.fit(given, epochs=1, batch_size=5)["train_m"][0]]
    np.testing.assert_allclose(values, expected, rtol=1e-6)


def all_ignored(first):
    """Labels of which those of one batch of 8 are all ignored."""
    x, labels = data(ignored=0.0)
    labels[first : first + 8] = IGNORED
    return x, labels


@pytest.mark.parametrize("first", [0, 8])
@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_a_batch_of_ignored_labels_only_moves_no_weight_and_does_not_stop_training(backend, first, accumulate):
    x, labels = all_ignored(first)
    trainer = make("ignored labels", accumulate=accumulate)
    trainer.model.to(backend=backend)
    history = trainer.fit(DataLoader(ArrayDataset(x, labels), 8, backend=backend), (x, labels), epochs=2)
    assert np.isfinite(history["train_loss"] + history["val_loss"]).all()
    if accumulate == 3:  # as if only the others had been there
        other = make("ignored labels")
        kept = labels != IGNORED
        other.fit(DataLoader(ArrayDataset(x[kept], labels[kept]), int(kept.sum())), epochs=2)
        assert_close(weights(trainer), weights(other))


@pytest.mark.parametrize("name", ["ignored labels", "counted by the user", "class weights"])
@pytest.mark.parametrize("optimizer", [
    lambda p: optim.SGD(p, 0.1, weight_decay=0.1), lambda p: optim.AdamW(p, 0.01), lambda p: optim.RMSprop(p, 0.01),
])  # fmt: skip
def test_such_a_batch_alone_leaves_every_weight_where_it_is(name, optimizer):
    x, labels = all_ignored(0)
    trainer = make(name, optimizer, penalty=nn.Penalty(l2=1.0), max_grad_norm=1.0)
    step = trainer.step
    step.start(3)
    step(x[8:16], labels[8:16])
    before = weights(trainer)
    step(x[:8], labels[:8])
    assert not step.stopped
    assert_close(weights(trainer), before, rtol=0)
    step(x[8:16], labels[8:16])
    assert (weights(trainer)["0.weight"] != before["0.weight"]).all()
    assert np.isfinite(step.meter.mean("loss"))


def test_a_history_of_ignored_labels_only_is_nan_and_a_real_nan_still_stops(backend):
    x, labels = data()
    trainer = make("ignored labels")
    trainer.model.to(backend=backend)
    nothing = DataLoader(ArrayDataset(x, np.full(N, IGNORED)), 8, backend=backend)
    history = trainer.fit(nothing, epochs=1)
    assert np.isnan(history["train_loss"]).all()
    assert np.isnan(trainer.evaluate(nothing)["loss"])
    x[12, 0] = np.nan
    with pytest.raises(RuntimeError, match="the loss became nan"):
        trainer.fit(DataLoader(ArrayDataset(x, np.abs(labels) % 3), 8, backend=backend), epochs=2)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_counting_makes_no_transfer(accumulate):
    standin = get_backend("standin")
    x, labels = all_ignored(8)
    given = [(standin.asarray(x[i : i + 8].astype("f")), standin.asarray(labels[i : i + 8])) for i in (0, 8, 0, 8)]
    model = nn.Linear(4, CLASSES).to(backend=standin)
    loss = partial(F.cross_entropy, weight=standin.asarray(WEIGHTS.astype("f")))
    step = Step(model, loss, optim.Adam(model.parameters()), accumulate=accumulate)
    step.start(8)
    for batch in given:
        step(*batch)
    with no_traffic():
        for batch in given:
            step(*batch)
    assert not step.guard.found_bad()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_both_backends_skip_alike(accumulate):
    runs = []
    for name in ("numpy", "standin"):
        x, labels = all_ignored(8)
        trainer = make("ignored labels", lambda p: optim.Adam(p, 0.01), accumulate=accumulate)
        trainer.model.to(backend=name)
        trainer.fit(DataLoader(ArrayDataset(x, labels), 8, backend=name), epochs=3)
        runs.append(weights(trainer))
    assert_close(*runs)


class Tagger(nn.Module):
    """A class for each token."""

    def __init__(self):
        super().__init__()
        self.embedding, self.linear = nn.Embedding(9, 4), nn.Linear(4, CLASSES)

    def forward(self, batch):
        return self.linear(self.embedding(batch[0])).transpose(0, 2, 1)  # (N, C, T)


def sequences():
    rng = np.random.default_rng(4)
    lengths = [2, 3, 9, 1, 4, 7, 5]
    tokens = [rng.integers(1, 9, n) for n in lengths]
    labels = np.full((7, 9), IGNORED)
    for row, n in zip(labels, lengths, strict=True):
        row[:n] = rng.integers(0, CLASSES, n)
    return tokens, labels


def of_tokens(output, target):
    return F.cross_entropy(output, target[:, : output.shape[2]])


def tagger(**options):
    xpnet.manual_seed(5)
    model = Tagger().to(dtype="float64")
    return Trainer(model, of_tokens, optim.SGD(model.parameters(), lr=0.1), **options)


def test_padded_sequences_count_by_their_tokens():
    tokens, labels = sequences()
    trainer = tagger()
    values = [trainer.evaluate(SequenceLoader(tokens, labels, size))["loss"] for size in (1, 2, 3, 7)]
    np.testing.assert_allclose(values, values[-1], rtol=1e-6)
    runs = []
    for size, accumulate in ((7, 1), (3, 3)):
        trainer = tagger(accumulate=accumulate)
        trainer.fit(SequenceLoader(tokens, labels, size), epochs=2)
        runs.append(weights(trainer))
    assert_close(*runs)


def test_batches_that_are_dropped_do_not_count():
    x, labels = data()
    trainer = make("class weights", accumulate=2)
    trainer.optimizer.param_groups[0]["lr"] = 0.0
    history = trainer.fit(DataLoader(ArrayDataset(x, labels), 8, drop_last=True), epochs=1)
    expected = float(trainer.loss(trainer.model(x[:16]), labels[:16]))
    assert history["train_loss"][0] == pytest.approx(expected, rel=1e-6)
    assert trainer.samples == 16


@pytest.mark.parametrize("name", ["ignored labels", "sum"])
def test_an_interrupted_epoch_goes_on_with_its_counts(tmp_path, name):
    from tests.train.test_trainer import StopAt

    def start(folder, *callbacks):
        trainer = make(name, accumulate=2, folder=folder, callbacks=callbacks)
        return trainer, DataLoader(ArrayDataset(*data()), 4)

    whole, loader = start(tmp_path / "a")
    history = whole.fit(loader, epochs=2)
    for batch in (2, 6):
        first, loader = start(tmp_path / f"b{batch}", StopAt(1, batch))
        with pytest.raises(KeyboardInterrupt):
            first.fit(loader, epochs=2)
        again, loader = start(tmp_path / f"b{batch}")
        again.resume()
        assert again.fit(loader, epochs=2) == history


@pytest.mark.parametrize("ignored", [-100, 0, 255])
def test_metrics_leave_out_what_the_loss_ignores(ignored):
    x, labels = data(ignored=0.0)
    labels = np.abs(labels) % CLASSES
    labels[::4] = ignored
    xpnet.manual_seed(2)
    model = nn.Linear(4, CLASSES).to(dtype="float64")
    loss = partial(F.cross_entropy, ignore_index=ignored)
    for metric in (accuracy, "accuracy"):
        trainer = Trainer(model, loss, optim.SGD(model.parameters(), lr=0.0), metrics={"accuracy": metric})
        kept = labels != ignored
        expected = np.mean(model(x).numpy().argmax(1)[kept] == labels[kept])
        for size in (22, 5):
            found = trainer.evaluate((x, labels), batch_size=size)["accuracy"]
            if metric == "accuracy" or size == 22:  # the mean of batches' means counts batches
                assert found == pytest.approx(expected, rel=1e-6)
