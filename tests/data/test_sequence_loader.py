"""Batches of sequences: padding, buckets, order, resume, training."""

import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpnet
from xpnet import nn, optim
from xpnet.data import SequenceLoader
from xpnet.nn import functional as F
from xpnet.train import Trainer
from xpnet_backends import backend_of, to_numpy

SEQUENCES = [[i + 1] * (1 + i * 7 % 11) for i in range(23)]  # the token says which sequence it is


def seen(batches):
    """Which sequences are in the batches, in order."""
    return [int(row[0]) - 1 for (tokens, _), _ in batches for row in to_numpy(tokens)]


def test_batches_in_order(backend):
    batches = list(SequenceLoader(SEQUENCES, np.arange(23), 5, backend=backend))
    assert len(batches) == 5
    assert seen(batches) == list(range(23))
    for (tokens, lengths), labels in batches:
        rows, counts = to_numpy(tokens), to_numpy(lengths)
        assert rows.shape[1] == counts.max()
        np.testing.assert_array_equal((rows > 0).sum(axis=1), counts)
        np.testing.assert_array_equal(rows[:, 0] - 1, to_numpy(labels))
        assert backend_of(tokens) is backend_of(lengths) is backend_of(labels) is backend


@given(st.integers(1, 23), st.sampled_from([None, 1, 2, 3, 50]), st.integers(0, 5))
def test_every_sequence_once_an_epoch(batch_size, bucket, epoch):
    loader = SequenceLoader(SEQUENCES, np.arange(23), batch_size, shuffle=True, bucket=bucket, seed=3)
    loader.load_state_dict({"epoch": epoch, "position": 0})
    batches = list(loader)
    assert len(batches) == len(loader)
    assert sorted(seen(batches)) == list(range(23))
    assert seen(batches) == to_numpy(np.concatenate([labels for _, labels in batches])).tolist()


@given(st.integers(0, 8), st.sampled_from([None, 2]))
def test_a_resumed_pass_goes_on(position, bucket):
    options = {"shuffle": True, "bucket": bucket, "seed": 1}
    whole = SequenceLoader(SEQUENCES, None, 3, **options)
    next(iter(whole))
    batches = list(whole)  # the second epoch
    resumed = SequenceLoader(SEQUENCES, None, 3, **options)
    resumed.load_state_dict({"epoch": 1, "position": position})
    assert seen(resumed) == seen(batches[position:])
    assert resumed.state_dict() == {"epoch": 2, "position": 0} == whole.state_dict()


def test_epochs_and_seeds_differ_and_nothing_else_does():
    def orders(seed, bucket=2):
        loader = SequenceLoader(SEQUENCES, None, 4, shuffle=True, bucket=bucket, seed=seed)
        return [seen(loader), seen(loader)]

    first, second = orders(0)
    assert first != second
    assert orders(0) == [first, second]
    assert orders(1)[0] != first


def test_buckets_save_padding():
    rng = np.random.default_rng(0)
    sequences = [[1] * n for n in rng.integers(1, 60, 400)]

    def padded(bucket):
        loader = SequenceLoader(sequences, None, 16, shuffle=True, bucket=bucket, seed=0)
        return sum(tokens.size for (tokens, _), _ in loader)

    real = sum(map(len, sequences))
    assert padded(None) > 1.6 * real
    assert padded(25) < 1.1 * real


def test_drop_last_and_max_length():
    loader = SequenceLoader(SEQUENCES, None, 5, shuffle=True, bucket=2, drop_last=True, max_length=4, seed=0)
    batches = list(loader)
    assert [len(tokens) for (tokens, _), _ in batches] == [5] * 4
    assert max(tokens.shape[1] for (tokens, _), _ in batches) == 4
    assert all(labels is None for _, labels in batches)


@pytest.mark.parametrize(("arguments", "options", "match"), [
    ([SEQUENCES, None, 0], {}, "batch_size must be a positive whole number, got 0"),
    ([SEQUENCES, None, 24], {}, r"batch_size 24 is larger than the data \(23 sequences\)"),
    ([SEQUENCES, [1, 2], 2], {}, "sequences and labels differ in number: 23 and 2"),
    ([[], None, 1], {}, "there are no sequences to pad"),
    ([[[1], []], None, 1], {}, "sequence 1 is empty"),
    ([SEQUENCES, None, 2], {"bucket": 3}, "bucket=3 must be a number of batches >= 1, with shuffle=True"),
    ([SEQUENCES, None, 2], {"bucket": 0, "shuffle": True}, "bucket=0 must be"),
])  # fmt: skip
def test_what_is_wrong(arguments, options, match):
    with pytest.raises(ValueError, match=match):
        SequenceLoader(*arguments, **options)


def test_a_position_that_is_none():
    with pytest.raises(ValueError, match="there is no batch 9 of 5 in epoch 0"):
        SequenceLoader(SEQUENCES, None, 5).load_state_dict({"epoch": 0, "position": 9})


class MeanOfLengths(nn.Module):
    """Says whether a sequence is long: a line through its length."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(1, 2)

    def forward(self, batch):
        tokens, lengths = batch
        assert len(tokens) == len(lengths)
        return self.line(lengths[:, None].astype("float32"))


class Stop:
    """A callback that presses Ctrl-C after some steps."""

    def __init__(self, after):
        self.left = after

    def on_epoch_start(self, trainer, epoch, batches):
        pass

    def on_batch_end(self, trainer, meter):
        self.left -= 1
        if not self.left:
            signal.raise_signal(signal.SIGINT)

    def on_epoch_end(self, trainer, row):
        pass


def test_the_trainer_takes_it_and_resumes_in_the_middle(tmp_path, backend):
    labels = np.array([len(s) > 5 for s in SEQUENCES], dtype=np.int64)
    train = SequenceLoader(SEQUENCES, labels, 4, shuffle=True, bucket=2, seed=0, backend=backend)
    val = SequenceLoader(SEQUENCES, labels, 8, backend=backend)

    def trainer(name, *callbacks):
        xpnet.manual_seed(0)
        model = MeanOfLengths()
        (tmp_path / name).mkdir(exist_ok=True)
        optimizer = optim.Adam(model.parameters(), lr=0.1)
        return Trainer(model, F.cross_entropy, optimizer, folder=tmp_path / name, callbacks=callbacks)

    uninterrupted = trainer("whole")
    whole = uninterrupted.fit(train, val, epochs=4)
    assert uninterrupted.samples == 4 * len(SEQUENCES)
    assert whole["val_loss"][-1] < whole["val_loss"][0]
    with pytest.raises(KeyboardInterrupt, match="saved after epoch 1, step 3"):
        trainer("cut", Stop(9)).fit(train, val, epochs=4)
    resumed = trainer("cut")
    resumed.resume()
    assert resumed.fit(train, val, epochs=4) == whole
