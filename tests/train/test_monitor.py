"""What is monitored: NaN is never the best, the direction is known, and names are checked before training."""

import numpy as np
import pytest

import xpnet
from tests.train.test_trainer import blobs, loader, make, weights
from xpnet import metrics, optim
from xpnet.optim.lr_scheduler import ReduceLROnPlateau
from xpnet.serialization import CheckpointError
from xpnet.train import EarlyStopping

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(("mode", "values", "best"), [
    ("min", [NAN, 2.0, 3.0], 2), ("max", [NAN, 2.0, 1.0], 2), ("min", [-INF, 2.0, 1.0], 3), ("max", [INF, 1.0, 2.0], 3),
    ("min", [INF, 2.0, NAN], 2), ("max", [-INF, -3.0, NAN], 2), ("min", [1.0, -INF, 2.0], 1), ("max", [1.0, INF, 0.5], 1),
    ("min", [NAN, NAN, NAN], 0), ("max", [INF, INF, NAN], 0),
])  # fmt: skip
def test_a_value_that_is_not_finite_is_never_the_best(mode, values, best):
    stopping = EarlyStopping(mode=mode)
    told = [stopping.update(value, epoch) for epoch, value in enumerate(values, 1)]
    assert stopping.best_epoch == best
    assert stopping.best == (values[best - 1] if best else None)
    assert told[best - 1] is bool(best)


def test_epochs_with_nan_use_up_patience():
    stopping = EarlyStopping(patience=2)
    stopping.update(NAN, 1)
    assert not stopping.should_stop
    stopping.update(NAN, 2)
    assert stopping.should_stop


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_best_value_of_nan_in_an_older_checkpoint_is_forgotten(mode):
    stopping = EarlyStopping(mode=mode)
    stopping.load_state_dict({"best": NAN, "best_epoch": 1, "epochs_without_improvement": 4})
    assert (stopping.best, stopping.best_epoch) == (None, 0)
    assert stopping.update(0.5, 6)


@pytest.mark.parametrize(("mode", "bad"), [("min", NAN), ("max", NAN), ("min", -INF), ("max", INF)])
def test_a_plateau_schedule_ignores_it_too(mode, bad):
    schedule = ReduceLROnPlateau(optim.SGD(xpnet.nn.Linear(1, 1).parameters(), lr=1.0), mode, patience=1)
    schedule.step(bad)
    assert np.isinf(schedule.best)
    schedule.step(1.0)
    assert schedule.best == 1.0
    schedule.step(bad)
    assert (schedule.best, schedule.num_bad_epochs) == (1.0, 1)


def scripted(values):
    """A metric of one's own with these values, one an epoch: on one batch of validation data."""
    left = iter([v for value in values for v in (0.0,) * 6 + (value,)])
    return lambda output, target: np.float32(next(left))


@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_weights_are_those_of_a_finite_epoch(tmp_path, in_folder, mode):
    good = 0.5 if mode == "min" else 2.0
    trainer = make(tmp_path / "run" if in_folder else None, early_stopping=EarlyStopping("val_m", mode=mode))
    kept = []
    trainer.metrics = {"m": scripted([NAN, 1.0, good, -INF if mode == "min" else INF])}
    trainer.callbacks = [Watcher(lambda: kept.append(weights(trainer)))]
    trainer.fit(loader(), blobs(seed=1), epochs=4)
    assert trainer.stopping.best_epoch == 3
    trainer.load_best()
    for key, value in kept[2].items():
        np.testing.assert_array_equal(trainer.model.state_dict()[key], value)


class Watcher:
    def __init__(self, act):
        self.act = act

    def on_epoch_start(self, trainer, epoch, batches):
        pass

    def on_batch_end(self, trainer, meter):
        pass

    def on_epoch_end(self, trainer, row):
        self.act()


def test_without_a_finite_value_there_are_no_best_weights(tmp_path):
    for folder, error in ((None, ValueError), (tmp_path / "run", CheckpointError)):
        trainer = make(folder, early_stopping=EarlyStopping("val_m"))
        trainer.metrics = {"m": scripted([NAN, NAN])}
        trainer.fit(loader(), blobs(seed=1), epochs=2)
        with pytest.raises(error, match="in none of the 2 epochs was the monitored value finite"):
            trainer.load_best()


def test_nan_stays_no_best_across_a_resume(tmp_path):
    def start(values):
        trainer = make(tmp_path / "run", early_stopping=EarlyStopping("val_m", mode="max", patience=3))
        trainer.metrics = {"m": scripted(values)}
        return trainer

    start([NAN, NAN]).fit(loader(), blobs(seed=1), epochs=2)
    again = start([0.5, 0.1])
    again.resume()
    assert again.stopping.epochs_without_improvement == 2
    again.fit(loader(), blobs(seed=1), epochs=4)
    assert (again.stopping.best, again.stopping.best_epoch) == (0.5, 3)


def untouched(trainer, message, val=True, **options):
    before = weights(trainer)
    with pytest.raises(ValueError, match=message):
        trainer.fit(loader(), blobs(seed=1) if val else None, epochs=2, **options)
    assert trainer.epoch == 0
    for key, value in before.items():
        np.testing.assert_array_equal(trainer.model.state_dict()[key], value)


@pytest.mark.parametrize("monitor", ["val_f1", "accuracy", "loss", "val_", ""])
def test_a_monitor_that_does_not_exist_is_refused_before_training(tmp_path, monitor):
    trainer = make(tmp_path / "run", early_stopping=EarlyStopping(monitor))
    untouched(
        trainer, rf"early stopping watches '{monitor}', but there are only epoch, train_loss, train_accuracy, val_"
    )
    assert not (tmp_path / "run").exists()


def test_a_validation_monitor_without_validation_data_says_so():
    untouched(make(early_stopping=EarlyStopping("val_loss")), "there is no validation data", val=False)


@pytest.mark.parametrize(("monitor", "mode"), [
    ("val_loss", "max"), ("train_loss", "max"), ("val_accuracy", "min"), ("val_f1", "min"), ("val_own_auc", "min"),
    ("val_log_loss", "max"), ("val_brier", "max"), ("val_top_2_accuracy", "min"),
])  # fmt: skip
def test_a_monitor_that_goes_the_other_way_is_refused(monitor, mode):
    trainer = make(early_stopping=EarlyStopping(monitor, mode=mode))
    trainer.metrics = {
        "accuracy": metrics.accuracy, "f1": metrics.F1(), "own_auc": metrics.ROCAUC(), "log_loss": metrics.LogLoss(),
        "brier": metrics.brier_score, "top_2_accuracy": metrics.get("top_2_accuracy"),
    }  # fmt: skip
    other = "min" if mode == "max" else "max"
    untouched(trainer, rf"would take the worst {monitor} for the best.*use mode='{other}'")


def test_a_plateau_schedule_that_looks_the_wrong_way_is_refused():
    trainer = make(scheduler=None, early_stopping=EarlyStopping("val_accuracy", mode="max"))
    trainer.scheduler = ReduceLROnPlateau(trainer.optimizer)
    untouched(trainer, r"ReduceLROnPlateau\(mode='min'\).*val_accuracy.*gets better as it grows, use mode='max'")
    trainer.scheduler = ReduceLROnPlateau(trainer.optimizer, mode="max")
    assert len(trainer.fit(loader(), blobs(seed=1), epochs=2)) == 2
    plain = make(scheduler=None)
    plain.scheduler = ReduceLROnPlateau(plain.optimizer, mode="max")
    untouched(plain, r"ReduceLROnPlateau\(mode='max'\).*val_loss.*gets better as it falls, use mode='min'")


def test_a_function_of_ones_own_may_go_either_way():
    for mode in ("min", "max"):
        trainer = make(early_stopping=EarlyStopping("val_m", mode=mode))
        trainer.metrics = {"m": lambda output, target: output.mean()}
        assert len(trainer.fit(loader(), blobs(seed=1), epochs=1)) == 1
