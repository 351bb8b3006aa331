"""Augmentation in the loader and the trainer: a function of (seed, epoch, index), exact under resume."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

import xpnet
from tests.support.standin import no_traffic
from xpnet import nn, optim
from xpnet.data import ArrayDataset, DataLoader, Normalize, to_float
from xpnet.data.augment import (
    Compose,
    CutMix,
    Draw,
    MixUp,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)
from xpnet.metrics import accuracy
from xpnet.nn import functional as F
from xpnet.train import Trainer
from xpnet_backends import backend_of, get_backend, to_numpy

N = 30
TRANSFORM = Compose([RandomCrop(padding=1), RandomHorizontalFlip(), to_float, RandomAffine(10), RandomErasing(0.7)])


def dataset(home="numpy"):
    rng = np.random.default_rng(0)
    raw, labels = rng.integers(0, 256, (N, 1, 6, 6)).astype("uint8"), rng.integers(0, 4, N)
    backend = get_backend(home)
    return ArrayDataset(backend.asarray(raw), backend.asarray(labels))


def by_index(loader, epoch):
    """Each sample of an epoch, under its index in the dataset."""
    loader.load_state_dict({"epoch": epoch, "position": 0})
    x, t = (np.concatenate([to_numpy(part) for part in parts]) for parts in zip(*loader, strict=True))
    order = np.arange(N)
    if loader.shuffle:
        order = permutation(loader.seed, epoch)
    back = np.argsort(order)
    return x[back], t[back]


def permutation(seed, epoch):
    from xpnet_backends.random import Stream

    return Stream(seed, "data.shuffle", epoch).generator().permutation(N)


@pytest.mark.parametrize("mix", [None, MixUp(4, 0.4), CutMix(4)], ids=repr)
def test_a_sample_is_the_same_in_any_batch_order_and_thread(backend, mix):
    common = {"seed": 2, "transform": TRANSFORM, "mix": mix}
    x, t = by_index(DataLoader(dataset(), N, backend="numpy", **common), 1)
    raw = dataset()
    expected = TRANSFORM(raw.inputs, Draw(2, 1, np.arange(N)))
    if mix is not None:
        draw = Draw(2, 1, np.arange(N), "data.mix")
        partners = mix.partners(draw, N)
        expected, soft = mix(expected, raw.targets, expected[partners], raw.targets[partners], draw)
        np.testing.assert_array_equal(t, soft)
    np.testing.assert_array_equal(x, expected)
    for home in ("numpy", backend.name):
        for size, shuffle, prefetch in ((1, True, 0), (7, True, 2), (7, False, 1), (N, True, 0)):
            loader = DataLoader(
                dataset(home), size, shuffle=shuffle, prefetch=prefetch, backend=backend, drop_last=False, **common
            )
            again = by_index(loader, 1)
            np.testing.assert_array_equal(again[0], x)
            np.testing.assert_array_equal(again[1], t)
    other = by_index(DataLoader(dataset(), N, backend="numpy", **common), 2)
    assert not np.array_equal(other[0], x)


def test_raw_bytes_travel_and_are_changed_on_the_models_backend():
    standin = get_backend("standin")
    seen = []

    def watch(x):
        seen.append((backend_of(x).name, str(x.dtype)))
        return to_float(x)

    for x, t in DataLoader(dataset("numpy"), 8, backend=standin, transform=Compose([watch, RandomCrop(padding=1)])):
        assert backend_of(x, t) is standin
    assert seen == [("standin", "uint8")] * 4


@pytest.mark.parametrize("mix", [None, MixUp(4), CutMix(4)], ids=repr)
def test_data_on_a_device_make_no_traffic(mix):
    standin = get_backend("standin")
    loader = DataLoader(dataset("standin"), 8, shuffle=True, seed=0, backend=standin, transform=TRANSFORM, mix=mix)
    batches = iter(loader)
    next(batches)  # the permutation is brought over once
    with no_traffic():
        assert len(list(batches)) == 3


def test_mixing_needs_targets():
    data = ArrayDataset(dataset().inputs)
    with pytest.raises(ValueError, match=r"mix=MixUp\(.*\) mixes the targets as well, but the dataset has none"):
        DataLoader(data, 4, mix=MixUp(4))


class StopAt:
    """Ctrl-C after so many steps."""

    def __init__(self, step):
        self.left = step

    def on_epoch_start(self, trainer, epoch, batches):
        pass

    def on_batch_end(self, trainer, meter):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)

    def on_epoch_end(self, trainer, row):
        pass


def fit(folder, stop=None, resume=False):
    folder.mkdir(exist_ok=True)
    xpnet.manual_seed(7)
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 4))
    trainer = Trainer(
        model,
        F.cross_entropy,
        optim.Adam(model.named_parameters(), lr=0.01),
        metrics={"accuracy": accuracy},
        folder=folder,
        callbacks=[] if stop is None else [StopAt(stop)],
    )
    if resume:
        trainer.resume()
    loader = DataLoader(dataset(), 8, shuffle=True, seed=3, transform=TRANSFORM, mix=MixUp(4, 0.5))
    trainer.fit(loader, (to_float(dataset().inputs), dataset().targets), epochs=3)
    return trainer


@pytest.mark.parametrize("stop", [2, 4, 7])
def test_a_run_stopped_within_an_epoch_goes_on_bit_for_bit(tmp_path, stop):
    whole = fit(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt, match="saved after epoch"):
        fit(tmp_path / "stopped", stop=stop)
    resumed = fit(tmp_path / "stopped", resume=True)
    assert resumed.history.rows == whole.history.rows
    for key, value in whole.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[key], value, err_msg=key)


def test_a_loader_started_in_the_middle():
    loader = DataLoader(dataset(), 8, shuffle=True, seed=3, transform=TRANSFORM, mix=CutMix(4))
    list(loader)
    whole = list(loader)  # epoch 1
    loader.load_state_dict({"epoch": 1, "position": 2})
    for (x, t), (y, u) in zip(whole[2:], loader, strict=True):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(t, u)


def test_normalising_by_channel(backend):
    x = np.random.default_rng(0).normal([[[1.0]], [[5.0]], [[9.0]]], [[[1.0]], [[2.0]], [[3.0]]], (50, 3, 6, 3))
    fitted = Normalize.fit(x, axis=(0, 2, 3))  # three channels and a width of three: they must not be confused
    y = backend.to_numpy(fitted(backend.asarray(x.astype("float32"))))
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, atol=1e-5)
    assert Normalize.from_state(fitted.state()) == fitted
    assert np.shape(fitted.mean) == (3, 1, 1)
