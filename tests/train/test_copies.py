"""Trainer, step and what belongs to them can be copied and pickled, and go on as the original does."""

import copy
from multiprocessing.reduction import ForkingPickler  # as a process sends objects to another

import numpy as np
import pytest

from tests.train.test_trainer import StopAt, assert_same, blobs, loader, make, weights
from xpnet import nn, optim
from xpnet.metrics import F1
from xpnet.nn import functional as F
from xpnet.optim.lr_scheduler import OneCycleLR
from xpnet.train import EarlyStopping, History, Step, Trainer
from xpnet_backends import random

needs_copies = pytest.mark.skipif(
    "__getstate__" not in vars(optim.Optimizer), reason="optimizers cannot be copied before their own change is merged"
)
pytestmark = needs_copies
BOTH = {"deepcopy": copy.deepcopy, "pickle": lambda x: ForkingPickler.loads(ForkingPickler.dumps(x))}
each = pytest.mark.parametrize("way", BOTH)


def everything(**options):
    trainer = make(scheduler=None, accumulate=2, interval="step", early_stopping=EarlyStopping(patience=9), **options)
    trainer.metrics = {**trainer.metrics, "f1": F1()}
    trainer.scheduler = OneCycleLR(trainer.optimizer, 0.05, 12)
    trainer.ema = optim.EMA(trainer.model.named_parameters(), decay=0.9)
    trainer.step.penalty = nn.Penalty(l2=0.01)
    return trainer


@each
def test_a_trainer_goes_on_as_the_original(way):
    original = everything()
    original.scheduler.total_steps = 6
    original.fit(loader(), blobs(seed=1), epochs=2)
    original.scheduler.total_steps = 12
    copied = BOTH[way](original)
    assert copied.history == original.history
    moment = random.state.step
    results = []
    for trainer in (original, copied):
        random.state.set_step(moment)
        trainer.fit(loader(), blobs(seed=1), epochs=4)
        trainer.load_best()
        results.append((trainer.history, weights(trainer)))
    assert results[0][0] == results[1][0]
    assert_same(results[0][1], results[1][1])


@each
def test_a_copy_is_its_own(way):
    original = everything(dropout=0.0)
    original.scheduler.total_steps = 3
    original.fit(loader(), blobs(seed=1), epochs=1)
    before = weights(original)
    rows = list(original.history.rows)
    copied = BOTH[way](original)
    assert copied.optimizer.param_groups[0]["params"][0] is next(copied.model.parameters())
    assert copied.scheduler.optimizer is copied.optimizer
    copied.scheduler = None
    copied.fit(loader(), blobs(seed=1), epochs=3)
    assert_same(before, weights(original))
    assert original.history.rows == rows
    assert (weights(copied)["0.weight"] != before["0.weight"]).any()


@each
def test_a_step_in_the_middle_of_an_epoch(way, backend):
    if way == "pickle" and backend.name == "standin":
        pytest.skip("arrays of the stand-in are not pickled")

    def start():
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, 3)).to(backend=backend)
        step = Step(model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.1, momentum=0.9), accumulate=2)
        step.start(6)
        return step

    x, labels = (backend.asarray(part) for part in blobs())
    step = start()
    for i in range(2):
        step(x[16 * i : 16 * i + 16], labels[16 * i : 16 * i + 16])
    copied = BOTH[way](step)
    assert (copied.place, copied.meter.batches) == (0, 2)
    moment, states = random.state.step, []
    for each_step in (step, copied):
        random.state.set_step(moment)
        for i in range(2, 6):
            each_step(x[16 * i : 16 * i + 16], labels[16 * i : 16 * i + 16])
        states.append({k: backend.to_numpy(v) for k, v in each_step.model.state_dict().items()})
    assert_same(*states)
    assert step.meter.mean("loss") == copied.meter.mean("loss")
    assert step.guard.good == copied.guard.good == 3


@each
def test_small_parts(way):
    stopping = EarlyStopping("val_loss", patience=3, min_delta=0.1)
    stopping.update(0.5, 1)
    assert vars(BOTH[way](stopping)) == vars(stopping)
    history = History([{"epoch": 1, "loss": 0.5}])
    copied = BOTH[way](history)
    copied.append({"epoch": 2, "loss": 0.1})
    assert len(history) == 1
    assert isinstance(BOTH[way](StopAt(1, 2)), StopAt)


@each
def test_before_training_and_with_callbacks(way):
    model = nn.Linear(4, 3)
    callbacks = [StopAt(9, 9)]
    trainer = Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters()), callbacks=callbacks)
    copied = BOTH[way](trainer)
    assert np.isfinite(copied.fit(blobs(), epochs=1)["train_loss"]).all()
    assert copied.callbacks[0].epoch == 1
    assert callbacks[0].epoch == 0
    assert trainer.epoch == 0
