"""Schedules in the training loop: once an epoch or after every update, and totals that do not fit."""

import numpy as np
import pytest

import xpnet
from tests.train.test_trainer import StopAt, assert_same, blobs, loader, make, weights
from xpnet.optim.lr_scheduler import (
    CosineAnnealingLR,
    CyclicLR,
    LambdaLR,
    LinearLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

UPDATES = 6  # an epoch: 96 samples in batches of 16


def trainer(schedule, folder=None, interval="step", **options):
    made = make(folder, scheduler=None, interval=interval, **options)
    made.scheduler = schedule(made.optimizer)
    return made


class Rates:
    """The rate that each update was made with."""

    def __init__(self, made):
        self.seen, self.momenta, self.made = [], [], made
        step = made.optimizer.apply_update
        made.optimizer.apply_update = lambda *a, **k: (self.note(), step(*a, **k))

    def note(self):
        self.seen.append(self.made.optimizer._flats[0][0].spans[0].numbers[0].item())
        self.momenta.append(self.made.optimizer.param_groups[0]["betas"][0])


SCHEDULES = {
    "OneCycleLR": lambda total: lambda o: OneCycleLR(o, 0.05, total),
    "CyclicLR": lambda total: lambda o: CyclicLR(o, 0.001, 0.02, step_size_up=4),
    "StepLR": lambda total: lambda o: StepLR(o, 5),
    "Sequential": lambda total: (
        lambda o: SequentialLR(o, [LinearLR(o, 0.1, total_iters=4), CosineAnnealingLR(o, total)], [4])
    ),
}
each = pytest.mark.parametrize("name", SCHEDULES)


@each
@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_schedule_counts_updates(name, accumulate):
    updates = 2 * -(-UPDATES // accumulate)
    made = trainer(SCHEDULES[name](updates), accumulate=accumulate)
    rates = Rates(made)
    history = made.fit(loader(), epochs=2)
    other = make(scheduler=None)
    schedule = SCHEDULES[name](updates)(other.optimizer)
    expected = []
    for _ in range(updates):
        expected.append(other.optimizer.param_groups[0]["lr"])
        schedule.step()
    np.testing.assert_allclose(rates.seen, expected, rtol=1e-6)
    np.testing.assert_allclose(history["lr"], [expected[updates // 2 - 1], expected[-1]], rtol=1e-12)


def test_by_default_it_counts_epochs():
    made = trainer(lambda o: StepLR(o, 1, gamma=0.5), interval="epoch")
    rates = Rates(made)
    assert made.fit(loader(), epochs=3)["lr"] == [0.01, 0.005, 0.0025]
    np.testing.assert_allclose(rates.seen, np.repeat([0.01, 0.005, 0.0025], UPDATES), rtol=1e-6)
    assert make().interval == "epoch"


@each
@pytest.mark.parametrize(("at", "accumulate"), [((1, 2), 1), ((2, 6), 1), ((2, 3), 2), ((2, 6), 4)])
def test_a_resume_in_the_middle_of_an_epoch_is_bit_identical(tmp_path, name, at, accumulate):
    updates = 3 * -(-UPDATES // accumulate)
    start = lambda folder, *calls: trainer(SCHEDULES[name](updates), folder, accumulate=accumulate, callbacks=calls)  # noqa: E731
    whole = start(tmp_path / "a")
    history = whole.fit(loader(), blobs(seed=1), epochs=3)
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "b", StopAt(*at)).fit(loader(), blobs(seed=1), epochs=3)
    again = start(tmp_path / "b")
    again.resume()
    assert again.fit(loader(), blobs(seed=1), epochs=3) == history
    assert_same(weights(whole), weights(again))


def test_momentum_cycles_with_the_rate():
    made = trainer(lambda o: OneCycleLR(o, 0.05, 2 * UPDATES))
    rates = Rates(made)
    made.fit(loader(), epochs=2)
    assert rates.momenta[0] == rates.momenta[-1] == 0.95
    assert min(rates.momenta) < 0.86


def refused(made, message, epochs=3):
    before = weights(made)
    with pytest.raises(ValueError, match=message):
        made.fit(loader(), blobs(seed=1), epochs=epochs)
    assert made.epoch == 0
    assert_same(before, weights(made))


@pytest.mark.parametrize("total", [1, 17, 19, 180])
def test_a_one_cycle_schedule_whose_total_does_not_fit_is_refused(total):
    message = (
        rf"OneCycleLR has total_steps={total}, but 18 updates \(3 epochs of 6 each\) lie ahead: use total_steps=18"
    )
    refused(trainer(lambda o: OneCycleLR(o, 0.05, total)), message)


def test_one_that_counts_updates_but_is_stepped_by_epochs_is_told_of_the_interval():
    made = trainer(lambda o: OneCycleLR(o, 0.05, 3 * UPDATES), interval="epoch")
    refused(made, r"total_steps=18, but 3 epochs lie ahead: use total_steps=3; .* give the Trainer interval='step'")
    made.interval = "step"
    assert len(made.fit(loader(), epochs=3)) == 3


def test_accumulation_makes_fewer_updates():
    refused(
        trainer(lambda o: OneCycleLR(o, 0.05, 18), accumulate=4), r"6 updates \(3 epochs of 2 each\).*total_steps=6"
    )
    assert len(trainer(lambda o: OneCycleLR(o, 0.05, 6), accumulate=4).fit(loader(), epochs=3)) == 3


def test_a_one_cycle_schedule_inside_another_is_looked_at():
    def schedule(total):
        return lambda o: SequentialLR(o, [LinearLR(o, total_iters=4), OneCycleLR(o, 0.05, total)], [4])

    refused(trainer(schedule(18)), r"OneCycleLR has total_steps=18.*use total_steps=14")
    assert len(trainer(schedule(14)).fit(loader(), epochs=3)) == 3


def test_a_rate_that_would_be_zero_for_the_rest_is_refused():
    refused(trainer(lambda o: PolynomialLR(o, 3)), "total_iters=3, from where on its rate is 0, but 18 updates")
    refused(trainer(lambda o: PolynomialLR(o, 2), interval="epoch"), "total_iters=2, .* but 3 epochs lie ahead")
    assert len(trainer(lambda o: PolynomialLR(o, 3), interval="epoch").fit(loader(), epochs=3)) == 3


def test_what_was_done_before_counts(tmp_path):
    made = trainer(lambda o: OneCycleLR(o, 0.05, 12), tmp_path)
    made.fit(loader(), blobs(seed=1), epochs=2)
    with pytest.raises(ValueError, match=r"after the 12 steps it has taken 6 updates .*use total_steps=18"):
        made.fit(loader(), blobs(seed=1), epochs=3)
    made.scheduler = OneCycleLR(made.optimizer, 0.02, UPDATES)
    assert len(made.fit(loader(), blobs(seed=1), epochs=3)) == 3


def test_other_mistakes():
    with pytest.raises(ValueError, match="interval must be 'epoch' or 'step'"):
        make(interval="batch")
    refused(trainer(ReduceLROnPlateau), "once an epoch: use interval='epoch'")
    assert len(trainer(lambda o: LambdaLR(o, lambda t: 0.9**t)).fit(loader(), epochs=2)) == 2


@pytest.mark.parametrize("accumulate", [1, 2])
def test_on_each_backend(backend, accumulate):
    updates = 2 * UPDATES // accumulate
    made = trainer(SCHEDULES["OneCycleLR"](updates), accumulate=accumulate, dropout=0.0)
    made.model.to(backend=backend)
    made.fit(blobs(), epochs=2, batch_size=16)
    with xpnet.use(backend="numpy"):
        other = trainer(SCHEDULES["OneCycleLR"](updates), accumulate=accumulate, dropout=0.0)
        other.fit(blobs(), epochs=2, batch_size=16)
    for key, value in weights(other).items():
        np.testing.assert_allclose(backend.to_numpy(made.model.state_dict()[key]), value, rtol=1e-3, atol=1e-5)
