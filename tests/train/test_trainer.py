"""The trainer: history, early stopping, checkpoints, resume, Ctrl-C, bad losses."""

import json
import math
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import xpnet
from xpnet import nn, optim
from xpnet.data import ArrayDataset, DataLoader
from xpnet.metrics import accuracy
from xpnet.nn import functional as F
from xpnet.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau, StepLR
from xpnet.serialization import CheckpointError
from xpnet.train import EarlyStopping, History, NonFiniteLossError, Trainer
from xpnet_backends import random

N = 96


def blobs(n=N, seed=0):
    """Three classes around three points, in four dimensions."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    centres = np.array([[2, 0, 0, 1], [0, 2, 0, -1], [0, 0, 2, 0]], dtype="float32")
    return (centres[labels] + 0.5 * rng.standard_normal((n, 4))).astype("float32"), labels


def make(folder=None, scheduler=True, dropout=0.3, **options):
    xpnet.manual_seed(7)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3))
    optimizer = optim.Adam(model.named_parameters(), lr=0.01)
    schedule = CosineAnnealingLR(optimizer, T_max=6) if scheduler is True else scheduler
    return Trainer(
        model, F.cross_entropy, optimizer, scheduler=schedule, metrics={"accuracy": accuracy}, folder=folder, **options
    )


def loader():
    return DataLoader(ArrayDataset(*blobs()), 16, shuffle=True, seed=3)


def weights(trainer):
    return {key: value.copy() for key, value in trainer.model.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def test_learns_and_records_a_row_an_epoch():
    trainer = make()
    history = trainer.fit(loader(), blobs(seed=1), epochs=6)
    assert len(history) == 6
    assert history.columns() == ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr"]
    assert history["epoch"] == [1, 2, 3, 4, 5, 6]
    assert history["train_loss"][-1] < 0.5 * history["train_loss"][0]
    assert history["val_accuracy"][-1] > 0.9
    assert history["lr"][0] == 0.01
    assert history["lr"][-1] < 0.001


def test_train_loss_is_the_mean_over_samples_also_with_a_ragged_last_batch():
    x, labels = blobs(20)
    trainer = make(scheduler=None, dropout=0.0)
    trainer.optimizer.param_groups[0]["lr"] = 0.0
    history = trainer.fit(DataLoader(ArrayDataset(x, labels), 8), epochs=1)
    expected = float(F.cross_entropy(trainer.model(x), labels))
    assert history["train_loss"][0] == pytest.approx(expected, rel=1e-6)
    assert trainer.evaluate((x, labels), batch_size=7)["loss"] == pytest.approx(expected, rel=1e-6)


def test_the_same_seed_twice_gives_the_same_history_and_weights():
    runs = []
    for _ in range(2):
        trainer = make()
        runs.append((trainer.fit(loader(), blobs(seed=1), epochs=3), weights(trainer)))
    assert runs[0][0] == runs[1][0]
    assert_same(runs[0][1], runs[1][1])


def test_evaluation_uses_no_dropout_and_changes_nothing():
    trainer = make()
    before = weights(trainer)
    first, second = trainer.evaluate(blobs()), trainer.evaluate(blobs())
    assert first == second
    assert trainer.model.training
    assert_same(before, weights(trainer))


def test_resume_is_bit_identical(tmp_path):
    whole = make(tmp_path / "whole")
    (tmp_path / "whole").mkdir()
    history = whole.fit(loader(), blobs(seed=1), epochs=6)
    (tmp_path / "cut").mkdir()
    make(tmp_path / "cut").fit(loader(), blobs(seed=1), epochs=2)
    resumed = make(tmp_path / "cut")
    xpnet.manual_seed(123)  # whatever happened in between
    resumed.resume()
    assert resumed.epoch == 2
    assert resumed.fit(loader(), blobs(seed=1), epochs=6) == history
    assert_same(weights(whole), weights(resumed))
    assert (tmp_path / "cut/history.csv").read_text() == (tmp_path / "whole/history.csv").read_text()
    assert (tmp_path / "cut/best.safetensors").read_bytes() == (tmp_path / "whole/best.safetensors").read_bytes()


class StopAt:
    """A Ctrl-C at a given batch."""

    def __init__(self, epoch, batch):
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_start(self, trainer, epoch, batches):
        self.epoch = epoch

    def on_batch_end(self, trainer, meter):
        if (self.epoch, meter.batches) == self.at:
            os.kill(os.getpid(), signal.SIGINT)

    def on_epoch_end(self, trainer, row):
        pass


@pytest.mark.parametrize("at", [(1, 2), (3, 1), (3, 6)])
def test_ctrl_c_in_the_middle_of_an_epoch_resumes_bit_identically(tmp_path, at):
    whole = make()
    history = whole.fit(loader(), blobs(seed=1), epochs=4)
    with pytest.raises(KeyboardInterrupt, match="saved after epoch"):
        make(tmp_path, callbacks=[StopAt(*at)]).fit(loader(), blobs(seed=1), epochs=4)
    resumed = make(tmp_path)
    resumed.resume()
    assert resumed.fit(loader(), blobs(seed=1), epochs=4) == history
    assert_same(weights(whole), weights(resumed))


@pytest.mark.parametrize("at", [(1, 2), (3, 6)])
def test_samples_and_seconds_count_the_batches_before_ctrl_c(tmp_path, at, monkeypatch):
    ticks = iter(range(100_000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))  # a look at the clock takes a second
    stopped = make(tmp_path, callbacks=[StopAt(*at)])
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(loader(), epochs=4)
    assert stopped.samples == (at[0] - 1) * N + at[1] * 16
    resumed = make(tmp_path)
    resumed.resume()
    assert (resumed.samples, resumed.seconds) == (stopped.samples, stopped.seconds)
    assert resumed.seconds >= at[0]
    resumed.fit(loader(), epochs=4)
    assert resumed.samples == 4 * N


def test_ctrl_c_gives_the_signal_handler_back(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, callbacks=[StopAt(1, 1)]).fit(loader(), epochs=2)
    assert signal.getsignal(signal.SIGINT) is before


def test_fits_in_a_worker_thread():
    trainer = make()
    thread = threading.Thread(target=trainer.fit, args=(loader(),), kwargs={"epochs": 1})
    thread.start()
    thread.join()
    assert len(trainer.history) == 1


def test_two_models_in_two_threads_are_the_same_as_one_after_the_other():
    def train(seed, meet):
        xpnet.manual_seed(seed)
        model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))

        def loss(output, target):
            meet()  # both are in the middle of a step
            return F.cross_entropy(output, target)

        trainer = Trainer(model, loss, optim.Adam(model.parameters(), lr=0.01))
        trainer.fit(DataLoader(ArrayDataset(*blobs()), 16, shuffle=True, prefetch=2), blobs(seed=1), epochs=3)
        return trainer.history, weights(trainer), random.state.step

    alone = [train(seed, lambda: None) for seed in (1, 2)]
    xpnet.manual_seed(0)
    together = threading.Barrier(2, timeout=30)
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(train, seed, together.wait) for seed in (1, 2)]
        for (history, ours, step), result in zip(alone, results, strict=True):
            assert result.result()[0] == history
            assert_same(result.result()[1], ours)
            assert result.result()[2] == step == 18
    assert (random.state.seed, random.state.step) == (0, 0), "this thread's own numbers were not touched"


def test_early_stopping_keeps_the_best(tmp_path):
    trainer = make(tmp_path, early_stopping=EarlyStopping("val_accuracy", mode="max", patience=2))
    trainer.optimizer.param_groups[0]["lr"] = trainer.scheduler.base_lrs[0] = 0.0
    trainer.fit(loader(), blobs(seed=1), epochs=6)
    assert trainer.epoch == 3  # the first is the best, two more without improvement
    assert trainer.stopping.best_epoch == 1


def test_load_best_takes_the_best_epoch(tmp_path):
    trainer = make(tmp_path)
    history = trainer.fit(loader(), blobs(seed=1), epochs=4)
    trainer.load_best()
    assert trainer.evaluate(blobs(seed=1))["loss"] == pytest.approx(min(history["val_loss"]), abs=1e-12)


def worse_every_epoch(folder=None, **options):
    """A run whose first epoch is the best: its rate is far too high."""
    trainer = make(folder, scheduler=None, dropout=0.0, **options)
    trainer.optimizer.param_groups[0]["lr"] = 30.0
    return trainer


@pytest.mark.parametrize("average", [False, True])
def test_without_a_folder_the_best_weights_are_kept_in_memory(tmp_path, backend, average):
    runs = []
    for folder in (tmp_path, None):
        trainer = worse_every_epoch(folder)
        trainer.model.to(backend=backend)
        if average:
            trainer.ema = optim.EMA(trainer.model.named_parameters(), decay=0.5)
        trainer.fit(blobs(), blobs(seed=1), epochs=4)
        assert trainer.stopping.best_epoch < 4
        last = {key: backend.to_numpy(value).copy() for key, value in trainer.model.state_dict().items()}
        trainer.load_best()
        assert all(p.backend is backend for p in trainer.model.parameters())
        runs.append({key: backend.to_numpy(value) for key, value in trainer.model.state_dict().items()})
        assert (runs[-1]["0.weight"] != last["0.weight"]).any()
    assert_same(*runs)


def test_the_best_weights_in_memory_after_a_resume_are_those_beside_the_checkpoint(tmp_path):
    make(tmp_path, scheduler=None).fit(loader(), blobs(seed=1), epochs=2)
    resumed = make(scheduler=None)
    with pytest.raises(ValueError, match=r"load_best\(\): no epoch was finished yet"):
        resumed.load_best()
    resumed.resume(tmp_path / "last.safetensors")
    resumed.optimizer.param_groups[0]["lr"] = 30.0  # far too high
    resumed.fit(loader(), blobs(seed=1), epochs=4)
    assert resumed.stopping.best_epoch <= 2
    resumed.load_best()
    assert_same(xpnet.load(tmp_path / "best.safetensors"), weights(resumed))


def test_reduce_on_plateau_gets_the_monitored_value():
    trainer = make(scheduler=None)
    trainer.scheduler = ReduceLROnPlateau(trainer.optimizer, patience=0, threshold=10.0)
    history = trainer.fit(loader(), blobs(seed=1), epochs=3)
    assert history["lr"] == pytest.approx([0.01, 0.01, 0.001])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_loss_stops_the_run_and_the_checkpoint_stands(tmp_path, bad):
    calls = []

    def loss(output, target):
        calls.append(1)
        value = F.cross_entropy(output, target)
        return value * bad if len(calls) == 9 else value  # 6 steps an epoch, no validation

    trainer = make(tmp_path)
    trainer.loss = loss
    with pytest.raises(NonFiniteLossError, match=r"epoch 2, step 3.*checkpoint of epoch 1 stands in .*last") as caught:
        trainer.fit(loader(), epochs=3)
    assert "smaller learning rate" in str(caught.value)
    assert all(np.isfinite(w).all() for w in weights(trainer).values())
    resumed = make(tmp_path)
    resumed.resume()
    assert resumed.epoch == 1


def test_errors_name_value_and_fix(tmp_path):
    x, labels = blobs()
    trainer = make()
    with pytest.raises(ValueError, match="epochs must be a positive whole number, got 0"):
        trainer.fit((x, labels), epochs=0)
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        trainer.fit((x, labels), epochs=1)
    with pytest.raises(ValueError, match="early stopping watches 'val_f1', but there are only epoch, train_loss"):
        make(early_stopping=EarlyStopping("val_f1")).fit(loader(), epochs=1)
    with pytest.raises(ValueError, match=r"resume\(\) needs a path"):
        trainer.resume()
    with pytest.raises(ValueError, match="patience must be at least 1"):
        EarlyStopping(patience=0)
    with pytest.raises(ValueError, match="mode must be 'min' or 'max', got 'up'"):
        EarlyStopping(mode="up")
    with pytest.raises(ValueError, match="at least one input"):
        trainer.predict(x[:0])


def damaged(path, change):
    """Rewrite the JSON in a checkpoint's metadata."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"].pop("crc32")
    change(header["__metadata__"])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def test_checkpoints_that_do_not_fit_are_refused(tmp_path):
    make(tmp_path).fit(loader(), epochs=1)
    path = tmp_path / "last.safetensors"
    whole = path.read_bytes()

    xpnet.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
    other = Trainer(model, F.cross_entropy, optim.Adam(model.named_parameters()), folder=tmp_path)
    with pytest.raises(CheckpointError, match=r"0.weight: expected shape \(8, 4\), got \(16, 4\)"):
        other.resume()
    with pytest.raises(CheckpointError, match="not a checkpoint to resume from"):
        make().resume(tmp_path / "best.safetensors")
    path.write_bytes(whole[:-10])
    with pytest.raises(CheckpointError, match="truncated"):
        make(tmp_path).resume()
    changes = [
        lambda meta: meta.update(checkpoint="{"),
        lambda meta: meta.update(checkpoint="[]"),
        lambda meta: meta.pop("checkpoint"),
        lambda meta: meta.update(checkpoint=json.dumps({"optimizer": {"steps": {}, "param_groups": []}, "state": {}})),
    ]
    for change in changes:
        path.write_bytes(whole)
        damaged(path, change)
        with pytest.raises(CheckpointError, match=r"edited or damaged|does not fit"):
            make(tmp_path).resume()


def state_with(path, **changes):
    """Change entries of a checkpoint's state (dots go down), as somebody with a program of their own might."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    meta = json.loads(header["__metadata__"]["checkpoint"])
    for name, value in changes.items():
        *above, last = name.split("__")
        at = meta
        for key in above:
            at = at[int(key)] if isinstance(at, list) else at[key]
        at[int(last) if isinstance(at, list) else last] = value
    header["__metadata__"] = {"format": header["__metadata__"]["format"], "checkpoint": json.dumps(meta)}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])


@pytest.mark.parametrize("change", [
    {"state__epoch": -1}, {"state__epoch": "3"}, {"state__epoch": True}, {"state__epoch": 1.0}, {"state__seed": 1 << 64},
    {"state__step": -1}, {"state__step": None}, {"state__seconds": "x"}, {"state__seconds": None}, {"state__samples": []},
    {"state__history": {}}, {"state__history": [[1]]}, {"state__history": [{"epoch": [1]}]}, {"state__batch_sizes": [0]},
    {"state__batch_sizes": [4]}, {"state__batch_sizes": "4"}, {"state__early_stopping__best": "x"}, {"state": []},
    {"state__early_stopping__best_epoch": None}, {"state__early_stopping": None}, {"state__scheduler": {"x": 1}},
    {"state__scheduler__last_epoch": "x"}, {"state__scheduler__last_epoch": -1}, {"state__scheduler__base_lrs": []},
    {"state__scheduler__base_lrs": ["x"]}, {"state__scheduler__base_lrs": 3}, {"state__scheduler__base_lrs": [float("nan")]},
    {"optimizer__param_groups__0__lr": "x"},
    {"optimizer__param_groups__0__lr": None}, {"optimizer__param_groups__0__betas": [0.9]},
    {"optimizer__param_groups__0__betas": "ab"}, {"optimizer__param_groups__0__amsgrad": 3},
    {"optimizer__param_groups__0__amsgrad": True}, {"optimizer__param_groups__0__magic": 1}, {"optimizer__param_groups__0": 7}, {"optimizer__param_groups": {}},
    {"optimizer__steps": {"0.weight": "x"}}, {"optimizer__steps": {"0.weight": -1}}, {"optimizer__steps": 5},
    {"optimizer": []},
], ids=str)  # fmt: skip
def test_a_checkpoint_with_impossible_entries_is_refused(tmp_path, change):
    def trainer():
        model = nn.Sequential(nn.Linear(4, 3))
        optimizer = optim.Adam(model.parameters())
        return Trainer(model, F.cross_entropy, optimizer, scheduler=StepLR(optimizer, 2), folder=tmp_path)

    trainer().fit(loader(), epochs=1)
    path = tmp_path / "last.safetensors"
    state_with(path)
    trainer().resume()
    state_with(path, **change)
    with pytest.raises(CheckpointError, match=r"edited or damaged|does not fit"):
        trainer().resume()


def test_metadata_without_end_is_refused(tmp_path):
    make(tmp_path).fit(loader(), epochs=1)
    path = tmp_path / "last.safetensors"
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = {"format": header["__metadata__"]["format"], "checkpoint": "[" * 200_000}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])
    with pytest.raises(CheckpointError, match="edited or damaged"):
        make(tmp_path).resume()


def test_a_run_without_validation_data_is_resumed(tmp_path):
    make(tmp_path).fit(loader(), epochs=2)
    resumed = make(tmp_path)
    resumed.resume()
    assert resumed.stopping.monitor == "train_loss"
    assert len(resumed.fit(loader(), epochs=3)) == 3


def test_best_weights_of_another_model_are_refused(tmp_path):
    make(tmp_path).fit(loader(), epochs=1)
    model = nn.Sequential(nn.Linear(4, 3))
    other = Trainer(model, F.cross_entropy, optim.SGD(model.parameters(), 0.1), folder=tmp_path)
    with pytest.raises(CheckpointError, match=r"best.safetensors does not fit this model: .*"):
        other.load_best()


def test_an_epoch_that_was_begun_with_smaller_batches_is_not_gone_on_with(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, callbacks=[StopAt(2, 4)]).fit(loader(), epochs=3)
    resumed = make(tmp_path, early_stopping=EarlyStopping("train_loss"))
    resumed.resume()
    with pytest.raises(
        ValueError, match=r"stopped after batch 4 of an epoch, which has only \d here: the same batch size"
    ):
        resumed.fit(blobs(), epochs=3, batch_size=1000)


def test_history():
    history = History([{"epoch": 1, "loss": 0.1}, {"epoch": 2, "loss": 0.05, "lr": 1.0}])
    assert history.as_dict() == {"epoch": [1, 2], "loss": [0.1, 0.05], "lr": [None, 1.0]}
    assert history.to_csv() == "epoch,loss,lr\n1,0.1,\n2,0.05,1.0\n"
    with pytest.raises(KeyError, match="no column 'acc'"):
        history["acc"]
    assert repr(history) == "<History of 2 epochs: epoch, loss, lr>"


def test_training_runs_on_every_backend(backend):
    xpnet.manual_seed(7)
    model = nn.Sequential(nn.Linear(4, 16, backend=backend), nn.ReLU(), nn.Linear(16, 3, backend=backend))
    trainer = Trainer(model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.1), metrics={"accuracy": accuracy})
    history = trainer.fit(blobs(), blobs(seed=1), epochs=3, batch_size=16)
    assert history["val_accuracy"][-1] > 0.8
    assert trainer.predict(blobs()[0]).shape == (N, 3)


def test_accumulated_batches_are_one_large_batch():
    x, y = blobs()
    runs = []
    for batch, accumulate in ((48, 1), (16, 3)):
        trainer = make(dropout=0.0, accumulate=accumulate)
        trainer.model.to(dtype="float64")
        trainer.fit(DataLoader(ArrayDataset(x.astype("float64"), y), batch), epochs=3)
        runs.append(weights(trainer))
    for key in runs[0]:
        np.testing.assert_allclose(runs[0][key], runs[1][key], rtol=1e-9, atol=1e-12)


def test_the_last_update_of_an_epoch_may_have_fewer_batches():
    trainer = make(dropout=0.0, accumulate=4)
    steps = []
    trainer.optimizer.step = lambda *args, step=trainer.optimizer.step, **kw: (steps.append(1), step(*args, **kw))
    trainer.fit(loader(), epochs=2)  # 6 batches: 4 + 2
    assert len(steps) == 4


def test_a_penalty_makes_weights_smaller_and_is_not_in_the_loss_that_is_shown():
    plain, held = make(dropout=0.0), make(dropout=0.0, penalty=nn.Penalty(l1=0.05))
    first = [t.fit(loader(), epochs=1)["train_loss"][0] for t in (plain, held)]
    assert first[1] < 2 * first[0]
    for t in (plain, held):
        t.fit(loader(), epochs=6)
    size = [sum(float(np.abs(w).sum()) for w in weights(t).values()) for t in (plain, held)]
    assert size[1] < 0.8 * size[0]


def test_the_average_of_weights_is_validated_and_kept_as_the_best(tmp_path):
    trainer = make(tmp_path)
    trainer.ema = optim.EMA(trainer.model.named_parameters(), decay=0.9)
    history = trainer.fit(loader(), blobs(seed=1), epochs=1)
    with trainer.ema.applied():
        expected = trainer.evaluate(blobs(seed=1))
    assert history["val_loss"] == [expected["loss"]] != [trainer.evaluate(blobs(seed=1))["loss"]]
    best = xpnet.load(tmp_path / "best.safetensors")
    np.testing.assert_array_equal(best["0.weight"], trainer.ema.averages["0.weight"])


@pytest.mark.parametrize("at", [(1, 3), (1, 4), (2, 6)])
def test_resume_with_averages_and_accumulation_is_bit_identical(tmp_path, at):
    def start(folder, callbacks=()):
        trainer = make(folder, accumulate=2, callbacks=callbacks)
        trainer.ema = optim.EMA(trainer.model.named_parameters(), decay=0.9)
        return trainer

    whole = start(tmp_path / "a")
    whole.fit(loader(), blobs(seed=1), epochs=3)
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "b", [StopAt(*at)]).fit(loader(), blobs(seed=1), epochs=3)
    again = start(tmp_path / "b")
    again.resume()
    again.fit(loader(), blobs(seed=1), epochs=3)
    assert again.history.rows == whole.history.rows
    assert_same(weights(whole), weights(again))
    assert_same(whole.ema.averages, again.ema.averages)


def test_resume_wants_the_same_accumulation_and_averages(tmp_path):
    make(tmp_path).fit(loader(), epochs=1)
    with pytest.raises(CheckpointError, match="it updated after every 1 batches, now accumulate is 2"):
        make(tmp_path, accumulate=2).resume()
    trainer = make(tmp_path)
    trainer.ema = optim.EMA(trainer.model.named_parameters())
    with pytest.raises(CheckpointError, match="it has no averaged weights"):
        trainer.resume()
    with pytest.raises(ValueError, match="accumulate must be a positive whole number of batches, got 0"):
        make(accumulate=0)


@pytest.mark.parametrize("change", [
    lambda text: "\ufeff" + text,
    lambda text: ("\ufeff" + text).encode(),
    lambda text: text.encode("utf-16"),
    lambda text: text.replace("\n", "\r\n"),
    lambda text: text.replace("\n", "\n\n") + ",,\n ,\n",
    lambda text: text.replace(",", ";").replace(".", ","),
    lambda text: "sep=;\r\n" + text.replace(",", ";").replace(".", ",").replace("\n", "\r\n"),
    lambda text: text.replace(",", "\t"),
    lambda text: text.replace("epoch", '"epoch"').replace("0.5", '"0.5"'),
], ids=["mark", "mark, bytes", "utf-16", "crlf", "blank", "semicolons", "sep line", "tabs", "quotes"])  # fmt: skip
def test_a_history_that_went_through_a_spreadsheet(change):
    history = History([{"epoch": 1, "train_loss": 0.5}, {"epoch": 2, "train_loss": 0.25, "val_loss": 0.75}])
    assert History.from_csv(change(history.to_csv())) == history


def test_a_history_without_rows_or_with_words():
    assert len(History.from_csv("")) == len(History.from_csv("epoch,train_loss\n")) == 0
    with pytest.raises(ValueError, match="row 2 has 'low' in the column 'train_loss', which is no number"):
        History.from_csv("epoch,train_loss\n1,0.5\n2,low\n")
    assert math.isnan(History.from_csv("train_loss\nnan\n")["train_loss"][0])


@pytest.mark.parametrize("lr", [np.float32(0.01), np.float64(0.01), np.int64(1)])
@pytest.mark.parametrize("betas", [(0.9, 0.99), (np.float64(0.9), np.float32(0.99)), [0.9, 0.99]])
def test_numbers_of_numpy_in_a_checkpoint(tmp_path, lr, betas):
    def made():
        model = nn.Sequential(nn.Linear(4, 3))
        optimizer = optim.Adam(model.parameters(), lr=lr, betas=betas)
        stopping = EarlyStopping("train_loss", patience=np.int64(3), min_delta=np.float32(0.1))
        return Trainer(model, F.cross_entropy, optimizer, early_stopping=stopping, folder=tmp_path)

    made().fit(blobs(), epochs=2)
    trainer = made()
    trainer.resume()
    assert len(trainer.fit(blobs(), epochs=3)) == 3
    assert trainer.optimizer.param_groups[0]["lr"] == float(lr)
