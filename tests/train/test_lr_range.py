"""The learning-rate range test."""

import numpy as np
import pytest

import xpnet
from tests.train.test_trainer import blobs, make
from xpnet import nn, optim
from xpnet.data import ArrayDataset, DataLoader
from xpnet.explore import examine
from xpnet.nn import functional as F
from xpnet.train import Trainer, lr_range_test
from xpnet_backends import random


def batches(backend="numpy"):
    return DataLoader(ArrayDataset(*blobs()), 16, shuffle=True, seed=0, backend=backend)


def test_finds_a_rate_that_learns_and_puts_everything_back(backend):
    trainer = make(dropout=0.2)
    trainer.model.to(backend=backend)
    trainer.model.eval()
    before = {k: backend.to_numpy(v) for k, v in trainer.model.state_dict().items()}
    random.state.set_step(5)
    found = lr_range_test(trainer.model, F.cross_entropy, trainer.optimizer, batches(backend), low=1e-6, high=100.0)
    assert 1e-4 < found.suggestion < 1.0
    assert found.rates == sorted(found.rates)
    assert len(found.rates) == len(found.losses) == len(found.smoothed)
    for key, value in trainer.model.state_dict().items():
        np.testing.assert_array_equal(backend.to_numpy(value), before[key])
    assert trainer.optimizer.param_groups[0]["lr"] == 0.01
    assert not trainer.model.training
    assert random.state.step == 5
    trainer.fit(blobs(), epochs=1)  # and it still trains


@pytest.mark.parametrize("given", [blobs(), ArrayDataset(*blobs())], ids=["pair", "dataset"])
def test_arrays_are_taken_as_by_fit(given):
    trainer = make()
    found = lr_range_test(trainer.model, F.cross_entropy, trainer.optimizer, given, steps=12)
    assert len(found.rates) == 12
    inputs = blobs()[0]
    for alone in (inputs, xpnet.tensor(inputs)):
        with pytest.raises(TypeError, match=r"the batches must be a pair \(inputs, targets\).*got float32\(96, 4\)"):
            lr_range_test(trainer.model, F.cross_entropy, trainer.optimizer, alone)


def frozen_in_part():
    """A network in training, but for its batch normalisation."""
    xpnet.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    model[1].eval()
    return model, [module.training for module in model.modules()]


def test_every_module_gets_its_own_mode_back():
    x, y = blobs()
    model, modes = frozen_in_part()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    uses = {
        "lr_range_test": lambda: lr_range_test(model, F.cross_entropy, optimizer, batches(), steps=10),
        "evaluate": lambda: Trainer(model, F.cross_entropy, optimizer).evaluate((x, y)),
        "predict": lambda: Trainer(model, F.cross_entropy, optimizer).predict(x),
        "examine": lambda: examine(model, F.cross_entropy, x, y),
    }
    for name, use in uses.items():
        use()
        assert [module.training for module in model.modules()] == modes, name


def test_the_modes_come_back_after_an_error_too():
    model, modes = frozen_in_part()
    with pytest.raises(ValueError, match="expected"):
        Trainer(model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.1)).predict(np.zeros((2, 5), "float32"))
    assert [module.training for module in model.modules()] == modes


def test_the_rates_grow_by_a_constant_factor():
    trainer = make()
    found = lr_range_test(trainer.model, F.cross_entropy, trainer.optimizer, batches(), low=1e-6, high=1e-3, steps=31)
    np.testing.assert_allclose(np.diff(np.log10(found.rates)), 0.1, rtol=1e-9)
    assert found.rates[-1] == pytest.approx(1e-3)


def test_ends_where_the_loss_explodes():
    trainer = make()
    found = lr_range_test(trainer.model, F.cross_entropy, trainer.optimizer, batches(), low=1e-3, high=1e6, steps=200)
    assert len(found.rates) < 200
    assert found.suggestion < found.rates[-1]


def test_errors():
    trainer = make()
    with pytest.raises(ValueError, match=r"needs 0 < low < high and steps >= 10, got 1\.0, 0\.1, 100"):
        lr_range_test(trainer.model, F.cross_entropy, trainer.optimizer, batches(), low=1.0, high=0.1)
    bad = ArrayDataset(np.full((16, 4), np.nan, "float32"), np.zeros(16, int))
    with pytest.raises(ValueError, match="the loss is nan already at the rate 1e-07: look at the data"):
        lr_range_test(trainer.model, F.cross_entropy, trainer.optimizer, DataLoader(bad, 16))
