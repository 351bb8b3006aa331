"""Recorded steps on the stand-in: equal to eager ones to the last bit, and dropped where the host has a say."""

import random as python_random
import re
import warnings

import numpy as np
import pytest

import xpnet
from tests.support.standin import counters, no_traffic
from tests.train.test_step import assert_same, batches, network, state
from xpnet import nn, optim
from xpnet.metrics import accuracy
from xpnet.nn import functional as F
from xpnet.train import Callback, Step, Trainer
from xpnet_backends import get_backend, random

STANDIN = get_backend("standin")
OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-4),
    "Nesterov": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "AMSGrad": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: optim.RMSprop(p, lr=1e-3, momentum=0.5, centered=True),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.01, initial_accumulator_value=0.1),
    "Adadelta": lambda p: optim.Adadelta(p, lr=0.5),
    "NAdam": lambda p: optim.NAdam(p, lr=0.01),
    "RAdam": lambda p: optim.RAdam(p, lr=0.01),
}


@pytest.fixture(autouse=True)
def standin():
    with xpnet.use(backend="standin"):
        yield


def make(capture, optimizer="Adam", model=None, loss=F.cross_entropy, batches=60, **options):
    model = network("standin") if model is None else model
    step = Step(model, loss, OPTIMIZERS[optimizer](model.named_parameters()), capture=capture, **options)
    step.start(batches)
    return step


def train(step, count, rate=None, sizes=(6,), lasts=()):
    """``count`` batches with new data each; ``rate(i)`` changes the learning rate."""
    losses = []
    for i, (x, t) in enumerate(batches("standin", count, max(sizes))):
        if rate is not None:
            step.optimizer.param_groups[0]["lr"] = rate(i)
        size = sizes[i % len(sizes)]
        losses.append(step(x[:size].copy(), t[:size].copy(), last=i in lasts))
    return [float(loss) for loss in losses]


def both(count=12, seconds=None, **options):
    """The same training with and without recordings; the recorded one must have been replayed."""
    arguments = {name: options.pop(name) for name in ("rate", "sizes", "lasts") if name in options}
    runs = []
    for capture in (False, True):
        xpnet.manual_seed(3)
        made = {name: value() if name in ("model", "ema") else value for name, value in options.items()}
        step = make(capture, **made)
        runs.append((step, train(step, count, **arguments), state(step), random.state.draws))
    (_, losses, expected, draws), (step, found, after, drawn) = runs
    assert step.recordings.replayed > 0
    assert found == losses
    assert_same(after, expected)
    assert drawn == draws
    return step


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_recorded_steps_equal_eager_ones(optimizer):
    step = both(optimizer=optimizer, rate=lambda i: 0.01 / (1 + i))
    assert step.recordings.replayed >= 6


def everything(**options):
    xpnet.manual_seed(3)
    model = network("standin")
    average = optim.EMA(model.named_parameters(), decay=0.9)
    return {
        "model": model,
        "ema": average,
        "metrics": {"accuracy": accuracy},
        "max_grad_norm": 0.5,
        "penalty": nn.Penalty(l2=0.01),
    } | options


@pytest.mark.parametrize(
    ("optimizer", "accumulate"), [("SGD", 1), ("SGD", 3), ("Adam", 2), ("AdamW", 1), ("AdamW", 3), ("RMSprop", 2)]
)
def test_with_everything_at_once(optimizer, accumulate):
    runs = []
    for capture in (False, True):
        step = make(capture, optimizer, **everything(accumulate=accumulate))
        losses = train(step, 30, rate=lambda i: 0.02 * 0.9**i, lasts=(7, 29))
        runs.append((losses, state(step)))
    assert step.recordings.replayed >= 8
    assert runs[0][0] == runs[1][0]
    assert_same(runs[1][1], runs[0][1])


@pytest.mark.parametrize("metrics", [["accuracy"], ["f1"], ["accuracy", "f1"]])
def test_streaming_metrics_see_every_batch(metrics):
    runs = []
    for capture in (False, True):
        step = make(capture, **everything(metrics=metrics))
        train(step, 14)
        runs.append([step.meter.mean(name) for name in ("loss", *metrics)])
    assert step.recordings.replayed > 0
    assert runs[0] == runs[1]


def test_dropout_draws_a_new_mask_in_every_replay():
    class Mask(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.drop = nn.Linear(1, 1), nn.Dropout(0.5)
            self.register_buffer("seen", STANDIN.xp.zeros((40,), dtype="float32"))

        def forward(self, x):
            mask = self.drop(x)
            self.seen[...] = mask.data[:, 0]
            return self.linear(mask)

    seen = {}
    for capture in (False, True):
        xpnet.manual_seed(3)
        step = make(capture, "SGD", Mask(), F.mse_loss)
        x = STANDIN.xp.ones((40, 1), dtype="float32")
        seen[capture] = []
        for _ in range(12):
            step(x, x)
            seen[capture].append(step.model.seen.get().tolist())
    assert step.recordings.replayed >= 6
    assert seen[True] == seen[False]
    assert len({str(mask) for mask in seen[True]}) == 12


@pytest.mark.parametrize("accumulate", [2, 3, 5])
def test_accumulation_with_dropout_draws_the_masks_of_eager_steps(accumulate):
    both(count=accumulate * 9, accumulate=accumulate)


@pytest.mark.parametrize("sizes", [(6, 4), (6, 6, 6, 2), (3, 6, 6)])
def test_accumulation_with_uneven_batches(sizes):
    both(count=48, accumulate=2, sizes=sizes)


def test_a_ragged_last_batch():
    both(count=30, sizes=(6, 6, 6, 6, 2))


def ignoring(output, target):
    return F.cross_entropy(output, target, ignore_index=0)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_batches_that_count_differently(accumulate):
    both(count=30, accumulate=accumulate, loss=ignoring)


def test_eager_and_recorded_steps_may_alternate():
    runs = []
    for capture in (False, True):
        step = make(capture)
        for i, batch in enumerate(batches("standin", 24)):
            if capture and i % 5 == 4:
                kept, step.recordings = step.recordings, None
                step(*batch)
                step.recordings = kept
            else:
                step(*batch)
        runs.append(state(step))
    assert step.recordings.replayed >= 10
    assert_same(runs[1], runs[0])


def test_gradients_can_be_read_after_a_replay_and_forgotten_before_one():
    runs = []
    for capture in (False, True):
        step, seen = make(capture), []
        for batch in batches("standin", 12):
            step.optimizer.zero_grad()
            step(*batch)
            seen += [p.grad.get() for p in step.model.parameters()]
        runs.append(seen)
    assert step.recordings.replayed > 0
    for found, expected in zip(runs[1], runs[0], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_loss_that_was_kept_is_not_overwritten():
    step = make(True)
    kept = [step(*batch) for batch in batches("standin", 12)]
    assert step.recordings.replayed > 0
    assert len({float(loss) for loss in kept}) == 12


@pytest.mark.parametrize("bad", [7, 9])
def test_a_nan_in_the_middle_leaves_the_weights_before_it(bad):
    runs = []
    for capture in (False, True):
        step = make(capture, **everything(penalty=None))
        for i, (x, t) in enumerate(batches("standin", 14)):
            step(x * np.float32(np.nan) if i == bad else x, t)
        assert step.guard.found_bad()
        assert step.guard.good == bad
        runs.append(state(step))
    assert step.recordings.replayed > 0
    assert_same(runs[1], runs[0])


def test_a_replay_makes_no_transfer_and_no_synchronisation():
    step = make(True, **everything())
    given = list(batches("standin", 16))
    for batch in given[:8]:
        step(*batch)
    counters.reset()
    with no_traffic():
        for batch in given[8:]:
            step(*batch)
    assert step.recordings.replayed >= 8
    eager = make(False, **everything())
    launches, _ = counters.launches, counters.reset()
    for batch in given[8:]:
        eager(*batch)
    assert launches < counters.launches / 10


def test_several_inputs_and_targets():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, pair):
            return self.linear(pair[0]) * pair[1]

    def loss(output, target):
        return F.mse_loss(output, target["y"])

    runs, rng = [], np.random.default_rng(0)
    data = [rng.standard_normal((3, 5, 3)).astype("f") for _ in range(10)]
    for capture in (False, True):
        xpnet.manual_seed(0)
        step = make(capture, "SGD", Two(), loss)
        for a, b, c in data:
            step((STANDIN.asarray(a), xpnet.tensor(b[:, :1])), {"y": STANDIN.asarray(c[:, :2].copy())})
        runs.append(state(step))
    assert step.recordings.replayed > 0
    assert_same(runs[1], runs[0])


# -- the trainer: schedules, epochs, checkpoints -----------------------------------------------------------------------

RNG = np.random.default_rng(0)
X, LABELS = RNG.standard_normal((70, 1, 6, 6)).astype("float32"), RNG.integers(0, 4, 70)


class Count(Callback):
    """How many steps of each epoch were replayed."""

    def __init__(self):
        self.replayed = []

    def on_epoch_start(self, trainer, epoch, batches):
        self.before = trainer.step.recordings.replayed if trainer.step.recordings else 0

    def on_batch_end(self, trainer, meter): ...

    def on_epoch_end(self, trainer, row):
        self.replayed.append((trainer.step.recordings.replayed if trainer.step.recordings else 0) - self.before)


SCHEDULES = {
    "none": lambda o: {},
    "epoch": lambda o: {"scheduler": optim.lr_scheduler.StepLR(o, 1, 0.5)},
    "step": lambda o: {"scheduler": optim.lr_scheduler.CosineAnnealingLR(o, 40), "interval": "step"},
    "plateau": lambda o: {"scheduler": optim.lr_scheduler.ReduceLROnPlateau(o, patience=0)},
}


def trainer(folder, capture, schedule="none", optimizer="Adam", accumulate=1, **options):
    model = network("standin")
    made = OPTIMIZERS[optimizer](model.named_parameters())
    options = {"metrics": {"accuracy": accuracy}, **SCHEDULES[schedule](made), **options}
    average = optim.EMA(model.named_parameters(), decay=0.9)
    return Trainer(
        model, F.cross_entropy, made, folder=folder, ema=average, max_grad_norm=1.0, accumulate=accumulate,
        capture=capture, callbacks=[Count()], **options,
    )  # fmt: skip


def fit(run, epochs):
    return run.fit((X, LABELS), (X[:20], LABELS[:20]), epochs=epochs, batch_size=8, verbose=False)


@pytest.mark.parametrize(
    ("schedule", "accumulate"), [("none", 1), ("epoch", 2), ("step", 1), ("step", 2), ("plateau", 1)]
)
def test_checkpoints_are_the_same_byte_for_byte(tmp_path, monkeypatch, schedule, accumulate):
    monkeypatch.setattr("time.perf_counter", lambda: 0.0)  # the seconds of a run are in its checkpoint
    for capture in (False, True):
        run = trainer(tmp_path / str(capture), capture, schedule, accumulate=accumulate)
        fit(run, 3)
    assert sum(run.callbacks[0].replayed) > 0
    for name in ("best.safetensors", "last.safetensors", "history.csv"):
        assert (tmp_path / "True" / name).read_bytes() == (tmp_path / "False" / name).read_bytes()


def test_the_first_step_of_every_epoch_runs_eagerly(tmp_path):
    run = trainer(None, True)
    fit(run, 3)
    assert run.callbacks[0].replayed == [4, 7, 7]  # of eight whole batches and a ragged one


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop"])
def test_a_resumed_run_goes_on_as_if_never_stopped(tmp_path, optimizer):
    whole = trainer(None, False, "step", optimizer)
    fit(whole, 4)
    fit(trainer(tmp_path, True, "step", optimizer), 2)
    random.state.set_step(999)
    resumed = trainer(tmp_path, True, "step", optimizer)
    resumed.resume()
    fit(resumed, 4)
    assert sum(resumed.callbacks[0].replayed) > 0
    assert resumed.history.rows == whole.history.rows
    for key, value in whole.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[key].get(), value.get(), err_msg=key)


def test_loading_a_state_between_steps_is_seen_by_replays():
    runs = []
    for capture in (False, True):
        step = make(capture)
        given = list(batches("standin", 24))
        for batch in given[:8]:
            step(*batch)
        kept = step.model.state_dict(), step.optimizer.state_dict()
        for batch in given[8:16]:
            step(*batch)
        step.model.load_state_dict(kept[0])
        step.optimizer.load_state_dict(kept[1])
        for batch in given[16:]:
            step(*batch)
        runs.append(state(step))
    assert step.recordings.replayed >= 12
    assert_same(runs[1], runs[0])


# -- switched off ------------------------------------------------------------------------------------------------------


def test_switched_off(monkeypatch):
    assert make(True).recordings is not None
    assert make(False).recordings is None
    assert trainer(None, False).step.recordings is None
    monkeypatch.setenv("XPNET_GRAPH", "0")
    assert make(True).recordings is None
    monkeypatch.setenv("XPNET_GRAPH", "1")
    step = make(True)
    assert step.recordings is not None
    step.capture = False
    step.start(5)
    assert step.recordings is None
    step.capture = True
    step.start(5)
    assert step.recordings is not None


def test_numpy_has_nothing_to_record():
    model = network("numpy")
    step = Step(model, F.cross_entropy, optim.SGD(model.parameters()))
    assert step.recordings is None


def test_a_model_that_moves_takes_its_recordings_along():
    model = network("numpy")
    step = Step(model, F.cross_entropy, optim.SGD(model.parameters()))
    model.to(backend="standin")
    step.start(20)
    train(step, 10)
    assert step.recordings.replayed > 0


# -- host code that has to run -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["forward", "pre", "backward", "gradient", "observer"])
def test_hooks_and_observers_are_called_in_every_step(kind):
    step, seen = make(True), []
    train(step, 8)  # there is a recording by now
    before = step.recordings.replayed
    assert before > 0
    layer = step.model[5]
    if kind == "forward":
        handle = layer.register_forward_hook(lambda *a: seen.append(1))
    elif kind == "pre":
        handle = layer.register_forward_pre_hook(lambda *a: seen.append(1))
    elif kind == "backward":
        handle = layer.register_full_backward_hook(lambda *a: seen.append(1))
    elif kind == "gradient":
        handle = layer.weight.register_hook(lambda g: seen.append(1))
    else:
        from xpnet.tape import observe

        with observe(lambda op, *a: seen.append(1) if op.__name__ == "linear" else None):
            train(step, 4)
        handle = None
    if handle is not None:
        train(step, 4)
        handle.remove()
    assert len(seen) == 4
    assert step.recordings.replayed == before
    train(step, 4)
    assert step.recordings.replayed == before + 4


def test_an_optimizer_with_a_step_of_its_own_runs_eagerly():
    class Own(optim.SGD):
        def step(self, closure=None, *, only_if=None):
            return super().step(closure, only_if=only_if)

    model = network("standin")
    step = Step(model, F.cross_entropy, Own(model.parameters(), lr=0.1))
    train(step, 10)
    assert step.recordings.replayed == 0


# -- planted faults ----------------------------------------------------------------------------------------------------


class Faulty(nn.Module):
    """A network in which ``fault(self, x)`` has a say."""

    def __init__(self, fault):
        super().__init__()
        self.inner, self.calls, self.rng = nn.Linear(4, 3), 0, np.random.default_rng(0)
        self.mean = STANDIN.xp.zeros(4, dtype="float32")
        self.register_buffer("buffer", STANDIN.xp.zeros(4, dtype="float32"))
        self.held, self.fault = [STANDIN.xp.zeros(4, dtype="float32"), 0], fault

    def forward(self, x):
        x = xpnet.as_tensor(x)
        return self.inner(self.fault(self, x))


SHARED = {"calls": 0}
CALLS = 0


def of_a_counter(self, x):
    self.calls += 1
    return x * (1.0 + 0.1 * self.calls)


def of_a_raw_counter(self, x):
    self.calls += 1
    return xpnet.tensor(x.data * (1.0 + 0.1 * self.calls))


def of_a_counter_in_a_list(self, x):
    self.held[1] += 1
    return xpnet.tensor(x.data * (1.0 + 0.1 * self.held[1]))


def of_a_global_counter(self, x):
    global CALLS
    CALLS += 1
    return xpnet.tensor(x.data * (1.0 + 0.1 * CALLS))


def of_a_shared_counter(self, x):
    SHARED["calls"] += 1
    return xpnet.tensor(x.data * (1.0 + 0.1 * SHARED["calls"]))


def of_pythons_random(self, x):
    return x * python_random.random()


def of_a_rare_draw(self, x):
    return x * 2.0 if python_random.random() < 0.05 else x


def of_numpys_random(self, x):
    return xpnet.tensor(x.data * float(np.random.default_rng(self.calls).random())) if np.random.rand() < 2 else x


def of_a_generator(self, x):
    return xpnet.tensor(x.data * float(self.rng.random()))


def of_a_rebound_array(self, x):
    self.mean = 0.9 * self.mean + 0.1 * x.data.mean(axis=0)
    return x - xpnet.tensor(self.mean)


def of_a_rebound_buffer(self, x):
    self.buffer = 0.9 * self.buffer + 0.1 * x.data.mean(axis=0)
    return x - xpnet.tensor(self.buffer)


def of_a_hidden_array(self, x):
    self.held[0] = 0.9 * self.held[0] + 0.1 * x.data.mean(axis=0)
    return x - xpnet.tensor(self.held[0])


class Schedule:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return 1.0 + 0.1 * self.calls


def of_an_object(self, x):
    if not hasattr(self, "schedule"):
        self.schedule = Schedule()
    return xpnet.tensor(x.data * self.schedule())


def of_the_random_step(self, x):
    return x * (1.0 + random.state.step)


def of_a_stream_of_its_own(self, x):
    self.held[1] += 1
    return x * random.Stream(0, "mine", self.held[1]).uniform(STANDIN, x.shape)


def of_a_growing_list(self, x):
    self.held.append(0)
    return xpnet.tensor(x.data * len(self.held))


def of_changing_ops(self, x):
    self.calls += 1
    return x.tanh() if self.calls % 2 else x


def of_a_changing_allocation(self, x):
    self.calls += 1
    extra = STANDIN.xp.zeros((self.calls, 4), dtype="float32")
    return x + xpnet.tensor(extra).sum()


def of_time(self, x):
    import time

    return xpnet.tensor(x.data * (time.perf_counter_ns() % 1000 / 1000))


FAULTS = [
    of_a_counter, of_a_raw_counter, of_a_counter_in_a_list, of_a_global_counter, of_a_shared_counter, of_pythons_random,
    of_a_rare_draw, of_numpys_random, of_a_generator, of_a_rebound_array, of_a_rebound_buffer, of_a_hidden_array, of_an_object,
    of_the_random_step, of_a_stream_of_its_own, of_a_growing_list, of_changing_ops, of_a_changing_allocation,
]  # fmt: skip


def rows(count):
    rng = np.random.default_rng(2)
    for _ in range(count):
        yield STANDIN.asarray(rng.standard_normal((5, 4)).astype("f")), STANDIN.asarray(rng.integers(0, 3, 5))


def run_faulty(fault, capture, count=16):
    global CALLS
    CALLS, SHARED["calls"] = 0, 0
    python_random.seed(0)
    np.random.seed(0)
    xpnet.manual_seed(0)
    step = make(capture, "SGD", Faulty(fault))
    losses = [float(step(*batch)) for batch in rows(count)]
    return step, losses


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.__name__)
def test_what_changes_on_the_host_is_not_frozen(fault):
    _, expected = run_faulty(fault, False)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        step, found = run_faulty(fault, True)
    assert found == expected
    assert step.recordings.replayed == 0
    assert len(said) == 1
    assert "training steps run without a recording" in str(said[0].message)


def test_what_only_the_calls_tell_is_not_frozen():
    """The clock is no attribute and no op: the two recordings of a step differ."""
    with pytest.warns(RuntimeWarning, match="the calls on the device have other numbers"):
        step, _ = run_faulty(of_time, True, count=40)
    assert step.recordings.replayed <= 8  # the first replay after each recording is of its own step


@pytest.mark.parametrize("schedule", ["OneCycleLR", "CyclicLR"])
def test_a_schedule_that_moves_the_momentum_too(schedule):
    """Its steps run eagerly, unless only the rate moves; neither is a fault to warn of."""
    for cycles in (True, False):
        runs = []
        for capture in (False, True):
            step = make(capture, "SGD")
            options = {"OneCycleLR": (0.1, 30), "CyclicLR": (0.01, 0.1, 5)}[schedule]
            moves = getattr(optim.lr_scheduler, schedule)(step.optimizer, *options, cycle_momentum=cycles)
            for batch in batches("standin", 14):
                step(*batch)
                moves.step()
            runs.append(state(step))
        assert_same(runs[1], runs[0])
        assert (step.recordings.replayed > 0) is not cycles
        assert ("the option momentum of group 0 changes" in str(step.recordings.reason)) is cycles


def test_an_optimizer_that_counts_on_the_host():
    class Slowing(optim.SGD):
        def update(self, xp, theta, g, state, clock, options):
            theta -= (1.0 / clock.steps) * g

    runs = []
    for capture in (False, True):
        model = network("standin")
        step = Step(model, F.cross_entropy, Slowing(model.parameters(), lr=0.1), capture=capture)
        if capture:
            with pytest.warns(RuntimeWarning, match=r"no two steps are alike: clock\.steps\(\d\)"):
                train(step, 12)
        else:
            train(step, 12)
        runs.append(state(step))
    assert step.recordings.replayed == 0
    assert_same(runs[1], runs[0])


def rebind_statistics(monkeypatch):
    def keep(self, mean, variance):
        self.running_mean, self.running_var = mean, variance

    monkeypatch.setattr(nn.BatchNorm2d, "_keep", keep)


def rebind_moments(monkeypatch):
    inner = optim.Adam.update

    def update(self, xp, theta, g, state, clock, options):
        (flat,) = self._flats[0]
        flat.state["exp_avg"] = flat.state["exp_avg"].copy()
        inner(self, xp, theta, g, {**state, "exp_avg": flat.state["exp_avg"]}, clock, options)

    monkeypatch.setattr(optim.Adam, "update", update)


def rebind_averages(monkeypatch):
    def blend(self):
        for name, p in self._parameters.items():
            self.averages[name] = self.averages[name] * 0.9 + p.data * 0.1

    monkeypatch.setattr(optim.EMA, "blend", blend)


def rebind_the_meter(monkeypatch):
    def write(self, values, count):
        self._place = self._place + 1
        self._values["loss"][self._place - 1] = values["loss"]

    monkeypatch.setattr("xpnet.train.meter.Meter.write", write)


@pytest.mark.parametrize("plant", [rebind_statistics, rebind_moments, rebind_averages, rebind_the_meter])
def test_an_array_of_the_librarys_own_that_moves(monkeypatch, plant):
    plant(monkeypatch)
    runs = []
    for capture in (False, True):
        step = make(capture, **everything(metrics=None))
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            losses = train(step, 14)
        runs.append((losses, {k: v.get().tolist() for k, v in step.model.state_dict().items()}))
    assert step.recordings.replayed == 0
    assert "is another array or object after a step" in str(said[0].message)
    assert runs[0] == runs[1]


def test_an_attribute_that_changes_between_steps():
    runs = []
    for capture in (False, True):
        step = make(capture)
        for i, batch in enumerate(batches("standin", 30)):
            if i == 12:
                step.model[4].p = 0.5
            if i == 20:
                step.optimizer.param_groups[0]["betas"] = (0.5, 0.9)
            if i == 24:
                step.max_grad_norm = 0.1
            step(*batch)
        runs.append(state(step))
    assert step.recordings.replayed >= 10
    assert_same(runs[1], runs[0])


def test_a_layer_that_is_frozen_in_the_middle():
    runs = []
    for capture in (False, True):
        step = make(capture)
        for i, batch in enumerate(batches("standin", 30)):
            if i in (10, 20):
                step.model[0].requires_grad_(i == 20)
            step(*batch)
        runs.append(state(step))
    assert step.recordings.replayed >= 10
    assert_same(runs[1], runs[0])


def test_another_seed_is_another_recording():
    runs = []
    for capture in (False, True):
        step = make(capture)
        train(step, 8)
        xpnet.manual_seed(77)
        train(step, 8)
        runs.append(state(step))
    assert step.recordings.replayed >= 6
    assert_same(runs[1], runs[0])


def test_a_forward_that_depends_on_the_epoch():
    class Warm(Callback):
        def on_epoch_start(self, trainer, epoch, batches):
            EPOCH[0] = epoch

        def on_batch_end(self, trainer, meter): ...

        def on_epoch_end(self, trainer, row): ...

    def loss(output, target):
        return F.cross_entropy(output, target) * (1.0 / current_epoch())

    rows = []
    for capture in (False, True):
        xpnet.manual_seed(0)
        model = network("standin")
        made = optim.SGD(model.parameters(), lr=0.1)
        run = Trainer(model, loss, made, capture=capture, callbacks=[Warm(), Count()])
        rows.append(run.fit((X, LABELS), epochs=3, batch_size=8, verbose=False).rows)
    assert run.callbacks[1].replayed[0] > 0
    assert rows[1] == rows[0]


EPOCH = [0]


def current_epoch():
    return 1.0 + EPOCH[0]


READS = {
    "item": lambda x: x * float(x.data.mean()),
    "if": lambda x: x * 2.0 if (x.data.sum() > -1e9) else x,
    "numpy": lambda x: x * float(x.numpy()[0, 0] * 0.0 + 1.0),
    "mask": lambda x: x * (1.0 + 0.0 * x.data[x.data > 0.0].sum()),
    "transfer": lambda x: x * STANDIN.asarray(np.full(4, 2.0, "float32")),
    "cublas": lambda x: xpnet.tensor(x.data @ STANDIN.xp.eye(4, dtype="float32")),
}


@pytest.mark.parametrize("name", ["if", "numpy", "mask", "transfer", "cublas"])
def test_a_host_read_runs_eagerly_and_is_said_once(name):
    def fault(self, x):
        return READS[name](x)

    _, expected = run_faulty(fault, False)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        step, found = run_faulty(fault, True)
    assert found == expected
    assert step.recordings.replayed == 0
    (warning,) = said
    assert re.search(r"cannot be recorded.*, in .*test_capture\.py:\d+: .*READS|lambda x", str(warning.message))


def test_a_number_read_from_the_device_is_a_number_that_changes():
    with pytest.warns(RuntimeWarning, match=r"no two steps are alike: mul.*, before mul.*, in test_capture\.py:\d+"):
        step, found = run_faulty(lambda self, x: READS["item"](x), True)
    assert found == run_faulty(lambda self, x: READS["item"](x), False)[1]
    assert step.recordings.replayed == 0


@pytest.mark.parametrize("accumulate", [2, 3])
def test_a_refused_recording_leaves_no_trace(accumulate):
    """Gradients and draws that the attempt left on the host are put back."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.a, self.b = nn.Dropout(0.5), nn.Linear(4, 8), nn.Linear(8, 3)

        def forward(self, x):
            y = self.b(self.drop(self.a(xpnet.as_tensor(x))).relu())
            return y * 2.0 if (y.data.sum() > 1e9) else y

    runs = []
    for capture in (False, True):
        xpnet.manual_seed(0)
        step = make(capture, "Adam", Net(), accumulate=accumulate)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            losses = [float(step(*batch)) for batch in rows(24)]
        runs.append((losses, state(step)))
    assert runs[0][0] == runs[1][0]
    assert_same(runs[1][1], runs[0][1])


def test_errors_of_the_model_are_raised_as_ever():
    calls = [0]

    class Net(nn.Linear):
        def forward(self, x):
            if broken():
                raise ValueError("mine")
            return super().forward(x)

    def broken():
        calls[0] += 1
        return calls[0] == 5

    step = make(True, "SGD", Net(4, 3))
    given = rows(8)
    for _ in range(4):
        step(*next(given))
    with pytest.raises(ValueError, match="mine"):
        step(*next(given))


def test_a_batch_that_requires_a_gradient_runs_eagerly():
    step = make(True, "SGD", nn.Linear(4, 3))
    for x, t in rows(10):
        given = xpnet.Tensor(x, requires_grad=True)
        step(given, t)
        assert given.grad is not None
    assert step.recordings.replayed == 0
