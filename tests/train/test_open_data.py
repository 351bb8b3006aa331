"""Training on data of the user's own: datasets, iterables, several inputs, dicts."""

import signal

import numpy as np
import pytest

import xpnet
from xpnet import data, nn, optim
from xpnet.nn import functional as F
from xpnet.serialization import CheckpointError
from xpnet.train import Trainer
from xpnet_backends import to_numpy

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 3)).astype("float32")
Y = (X @ np.float32([[1.0], [-2.0], [0.5]])).astype("float32")


class Rows:
    """A dataset of the user's own."""

    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return X[i], Y[i]


class Batches:
    """Something that can be iterated, and knows nothing else."""

    def __iter__(self):
        return iter([(X[i : i + 6], Y[i : i + 6]) for i in range(0, 20, 6)])


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(1, 1), nn.Linear(2, 1, bias=False)

    def forward(self, a, b):
        return self.first(a) + self.second(b)


def trainer(model=None, **options):
    xpnet.manual_seed(0)
    model = model() if model is not None else nn.Linear(3, 1)
    return Trainer(model, F.mse_loss, optim.SGD(model.parameters(), lr=0.1), **options)


def weights(t):
    return np.concatenate([to_numpy(p.data).ravel() for p in t.model.parameters()])


def fitted(source, *, epochs=3, model=None, **options):
    t = trainer(model, **options)
    history = t.fit(source, epochs=epochs, batch_size=6, verbose=0)
    return weights(t), history["train_loss"]


REFERENCE = fitted(data.DataLoader(data.ArrayDataset(X, Y), 6))


@pytest.mark.parametrize("source", [
    Batches(), list(Batches()), data.DataLoader(Rows(), 6), data.DataLoader(Rows(), 6, num_workers=2),
    data.DataLoader(data.TensorDataset(X, Y), 6), data.DataLoader(data.Subset(Rows(), range(20)), 6),
    [{"x": x, "y": y} for x, y in Batches()], [{"anything": x, "target": y} for x, y in Batches()],
], ids=["iterable", "list", "dataset", "workers", "tensors", "subset", "dicts", "other names"])  # fmt: skip
def test_every_source_of_the_same_batches_trains_alike(source):
    found, losses = fitted(source)
    np.testing.assert_array_equal(found, REFERENCE[0])
    assert losses == REFERENCE[1]


@pytest.mark.parametrize("source", [Rows(), data.TensorDataset(X, Y), data.ConcatDataset([Rows(), Rows()])])
def test_a_dataset_goes_to_fit_itself(source):
    assert fitted(source)[1][-1] < 1.0


def test_several_inputs_by_position_and_by_name():
    tuples = [(x[:, :1], x[:, 1:], y) for x, y in Batches()]
    dicts = [{"b": x[:, 1:], "a": x[:, :1], "target": y} for x, y in Batches()]
    pairs = [({"a": x[:, :1], "b": x[:, 1:]}, y) for x, y in Batches()]
    first = fitted(tuples, model=TwoInputs)
    for source in (dicts, pairs, data.DataLoader(data.TensorDataset(X[:, :1], X[:, 1:], Y), 6)):
        found = fitted(source, model=TwoInputs)
        np.testing.assert_array_equal(found[0], first[0])
        assert found[1] == first[1]
    assert first[1][-1] < first[1][0]


def test_validation_and_evaluation_on_iterables():
    t = trainer()
    history = t.fit(Batches(), Batches(), epochs=2, verbose=0)
    assert history["val_loss"][-1] == pytest.approx(t.evaluate((X, Y))["loss"], rel=1e-6)
    assert t.evaluate(Batches()) == pytest.approx(t.evaluate((X, Y)), rel=1e-6)
    assert t.evaluate(iter(Batches())) == t.evaluate(Batches())


def test_accumulation_over_an_iterable_of_unknown_length():
    whole = fitted([(X, Y)], epochs=1)
    parts = fitted(Batches(), epochs=1, accumulate=4)
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-5)
    np.testing.assert_array_equal(
        fitted(Batches(), accumulate=3)[0], fitted(data.DataLoader(Rows(), 6), accumulate=3)[0]
    )


def test_a_generator_serves_one_epoch():
    t = trainer()
    t.fit(iter(Batches()), epochs=1, verbose=0)
    with pytest.raises(ValueError, match="a generator gives its batches once, but there are several epochs"):
        trainer().fit((batch for batch in Batches()), epochs=2, verbose=0)
    with pytest.raises(ValueError, match="gave no batch"):
        trainer().fit(iter([]), epochs=1, verbose=0)


def test_a_non_finite_loss_in_a_loader_that_cannot_go_back():
    bad = [(x * np.float32(np.nan if i == 2 else 1), y) for i, (x, y) in enumerate(Batches())]

    class Once:
        def __iter__(self):
            return iter(bad)

    with pytest.raises(RuntimeError, match="the loss became nan in epoch 1, step 3"):
        trainer().fit(Once(), epochs=1, verbose=0)
    with pytest.raises(RuntimeError, match="in the data"):
        trainer().fit(data.DataLoader(data.TensorDataset(X * np.float32(np.nan), Y), 6), epochs=1, verbose=0)


class Stopping:
    """Presses Ctrl-C after some batches."""

    def __init__(self, after):
        self.after = after

    def on_epoch_start(self, trainer, epoch, batches):
        pass

    def on_batch_end(self, trainer, meter):
        if trainer.epoch == 1 and meter.batches == self.after:
            signal.raise_signal(signal.SIGINT)

    def on_epoch_end(self, trainer, row):
        pass


def test_resume_in_the_middle_with_a_dataset_of_the_users_own(tmp_path):
    def loader():
        return data.DataLoader(Rows(), 6, shuffle=True, seed=1, num_workers=2)

    whole = trainer()
    whole.fit(loader(), epochs=3, verbose=0)
    stopped = trainer(folder=tmp_path, callbacks=[Stopping(2)])
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(loader(), epochs=3, verbose=0)
    resumed = trainer(folder=tmp_path)
    resumed.resume()
    resumed.fit(loader(), epochs=3, verbose=0)
    np.testing.assert_array_equal(weights(resumed), weights(whole))


def test_an_iterable_cannot_resume_in_the_middle(tmp_path):
    stopped = trainer(folder=tmp_path, callbacks=[Stopping(2)])
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(Batches(), epochs=3, verbose=0)
    resumed = trainer(folder=tmp_path)
    resumed.resume()
    with pytest.raises(CheckpointError, match="after batch 2 of an epoch, but a Batches cannot start there"):
        resumed.fit(Batches(), epochs=3, verbose=0)


def test_dict_batches_on_a_device(backend):
    xpnet.manual_seed(0)
    model = TwoInputs()
    samples = [{"a": x[:1], "b": x[1:], "label": y} for x, y in zip(X, Y, strict=True)]
    t = Trainer(model, F.mse_loss, optim.SGD(model.parameters(), lr=0.1))
    history = t.fit(data.DataLoader(samples, 6), epochs=3, verbose=0)
    assert history["train_loss"][-1] < history["train_loss"][0]
