"""One step as an object: it stays where it is in memory, comes in three parts, and weighs batches by what they count."""

import numpy as np
import pytest

import xpnet
from tests.support.standin import counters, no_traffic
from xpnet import nn, optim
from xpnet.metrics import accuracy
from xpnet.nn import functional as F
from xpnet.train import Step
from xpnet_backends import get_backend, random

BATCH = 6


def network(backend="numpy", dropout=0.25):
    xpnet.manual_seed(3)
    with xpnet.use(backend=backend):
        return nn.Sequential(
            nn.Conv2d(1, 3, 3, bias=False),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(48, 4),
        )


def make(backend="numpy", model=None, **options):
    model = network(backend) if model is None else model
    step = Step(model, F.cross_entropy, optim.Adam(model.named_parameters(), lr=0.01), **options)
    step.start(40)
    return step


def everything(backend="numpy", accumulate=1):
    model = network(backend)
    average = optim.EMA(model.named_parameters(), decay=0.9)
    options = {"metrics": {"accuracy": accuracy}, "max_grad_norm": 0.5, "penalty": nn.Penalty(l2=0.01)}
    return make(backend, model, ema=average, accumulate=accumulate, **options)


def batches(backend, count, size=BATCH):
    rng = np.random.default_rng(1)
    backend = get_backend(backend)
    for _ in range(count):
        x, t = rng.standard_normal((size, 1, 6, 6)).astype("f"), rng.integers(0, 4, size)
        yield backend.asarray(x), backend.asarray(t)


def state(step):
    """All that a checkpoint would hold, on the host."""
    found = {f"model.{k}": v for k, v in step.model.state_dict().items()}
    for name, entry in step.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{name}.{k}": v for k, v in entry.items()}
    if step.ema is not None:
        found |= {f"ema.{k}": v for k, v in step.ema.averages.items()} | {"ema.steps": step.ema.steps}
    arrays, sizes = step.meter.state()
    found |= {f"meter.{k}": v for k, v in arrays.items()} | {"sizes": sizes, "random": random.state.step}
    found["guard"] = step.guard.good
    return {k: step.backend.to_numpy(v) if hasattr(v, "dtype") else np.asarray(v) for k, v in found.items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key], b[key], err_msg=key)


def places(step):
    """All arrays that live from one step to the next."""
    found = dict(step.model.named_buffers()) | {k: p.data for k, p in step.model.named_parameters()}
    for i, flat in enumerate(f for flats in step.optimizer._flats for f in flats):
        found |= {f"values{i}": flat.values, f"grads{i}": flat.grads, **{f"{k}{i}": v for k, v in flat.state.items()}}
        found |= {f"numbers{i}.{j}": run.numbers for j, run in enumerate(flat.spans)}
    found |= {f"ema.{k}": v for k, v in step.ema.averages.items()}
    found |= {f"ema.count.{k}": v for k, v in step.ema._counts.items()}
    found |= {f"meter.{k}": v for k, v in step.meter._values.items()}
    found |= {"place": step.meter._place, "counts": step.meter._counts["loss"], "fine": step.guard._fine}
    found |= {"total": step._total, "random": random.state.cell(step.backend)}
    return found


@pytest.mark.parametrize("accumulate", [1, 2])
def test_what_lives_from_step_to_step_keeps_its_place(backend, accumulate):
    step = everything(backend.name, accumulate)
    for batch in batches(backend.name, 2):
        step(*batch)
    before = places(step)
    kept = step.model.state_dict(), step.optimizer.state_dict(), step.ema.state_dict()
    for batch in batches(backend.name, 2):
        step(*batch)
    step.start(30)
    for batch in batches(backend.name, 2):
        step(*batch)
    for part, saved in zip((step.model, step.optimizer, step.ema), kept, strict=True):
        part.load_state_dict(saved)
    for key, array in places(step).items():
        assert array is before[key] or np.shares_memory(_host(array), _host(before[key])), key


def _host(array):
    return array if isinstance(array, np.ndarray) else array._a


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_step_makes_no_transfer_and_no_synchronisation(accumulate):
    step = everything("standin", accumulate)
    given = list(batches("standin", 12))
    for batch in given[:6]:
        step(*batch)
    with no_traffic():
        for batch in given[6:]:
            step(*batch)
    counters.reset()
    assert step.meter.batches == 12
    assert not step.guard.found_bad()


@pytest.mark.parametrize("accumulate", [1, 3])
def test_both_backends_compute_the_same(accumulate):
    states = []
    for name in ("numpy", "standin"):
        step = everything(name, accumulate)
        for batch in batches(name, 7):
            step(*batch, last=step.meter.batches == 6)
        states.append(state(step))
    for key, value in states[0].items():
        np.testing.assert_allclose(states[1][key], value, rtol=1e-4, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_replays_between_prepare_and_advance_leave_the_state_of_eager_steps(backend, accumulate):
    """A replay runs the work on the backend again, with host code around it only."""
    eager = everything(backend.name, accumulate)
    for batch in batches(backend.name, 8):
        eager.optimizer.param_groups[0]["lr"] *= 0.9
        eager(*batch)
    expected = state(eager)
    other = everything(backend.name, accumulate)
    for i, batch in enumerate(batches(backend.name, 8)):
        other.optimizer.param_groups[0]["lr"] *= 0.9
        last = (i + 1) % accumulate == 0
        other.prepare(last)
        other.compute(*batch, first=i % accumulate == 0, last=last)
        other.advance(BATCH, last)
    assert_same(state(other), expected)


def test_the_work_reads_no_number_from_the_host_that_changes():
    """Books put out of order do not change what the backend computes, the random step aside."""
    runs = []
    for disturb in (False, True):
        model = network("standin", dropout=0.0)
        average = optim.EMA(model.named_parameters(), decay=0.9)
        step = make("standin", model, ema=average)
        for batch in batches("standin", 6):
            if disturb and step.meter.batches > 1:
                average.steps += 100
                for run in step.optimizer._flats[0][0].spans:
                    run.steps += 100
            step(*batch)
        runs.append(step)
    for key, value in runs[0].model.state_dict().items():
        np.testing.assert_array_equal(runs[1].model.state_dict()[key]._a, value._a, err_msg=key)
    for key, value in average.averages.items():
        np.testing.assert_array_equal(runs[0].ema.averages[key]._a, value._a, err_msg=key)


def test_the_random_step_is_written_in_place(backend):
    cell = random.state.cell(backend)
    assert str(cell.dtype) == "uint64"
    step = make(backend.name)
    for batch in batches(backend.name, 3):
        before = random.state.step
        step(*batch)
        assert int(cell) == before == random.state.step - 1
    assert random.state.cell(backend) is cell
    random.state.set_step(7)
    step.prepare()
    assert int(cell) == 7
    with random.fork_rng(5, step=3):
        step.prepare()
        assert int(cell) == 3


@pytest.mark.parametrize(
    ("dtype", "expected"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64")]
)
def test_rates_and_counts_are_float64_beside_float64_else_float32(dtype, expected):
    model = nn.Linear(2, 1).to(dtype=dtype)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    (run,) = optimizer._flats[0][0].spans
    assert run.numbers.dtype == expected
    state = optimizer.state_dict()
    for entry in state["state"].values():
        entry["step"] = 2048
    optimizer.load_state_dict(state)
    model(np.ones((1, 2), dtype)).sum().backward()
    optimizer.step()
    assert optimizer._flats[0][0].spans[0].numbers[1] == 2049


def test_a_user_can_step_without_a_trainer():
    model = nn.Linear(2, 1)
    step = Step(model, F.mse_loss, optim.SGD(model.parameters(), lr=0.1))
    x, y = np.ones((4, 2), "f"), np.ones((4, 1), "f")
    losses = [float(step(x, y)) for _ in range(40)]  # more than the meter had room for at first
    assert losses[-1] < 1e-3 * losses[0]
    assert step.meter.mean("loss") == pytest.approx(np.mean(losses), rel=1e-6)
    assert step.meter.batches == 40


def test_a_model_that_was_moved_takes_the_step_along(backend):
    step = make("numpy")
    step.model.to(backend=backend)
    step.start(4)
    for batch in batches(backend.name, 4):
        loss = step(*batch)
    assert loss.backend is backend
    assert np.isfinite(step.meter.mean("loss"))


def test_a_bad_batch_leaves_the_weights_alone(backend):
    step = make(backend.name, network(backend.name, dropout=0.0))
    given = list(batches(backend.name, 3))
    step(*given[0])
    before = {key: backend.to_numpy(p.data).copy() for key, p in step.model.named_parameters()}
    step(given[1][0] * np.float32(np.inf), given[1][1])
    assert step.guard.found_bad()
    assert step.stopped is backend.on_host
    assert step.guard.good == 1
    if not backend.on_host:
        step(*given[2])  # nobody looked yet, and nothing after the bad update has an effect
        assert step.guard.good == 1
    for key, p in step.model.named_parameters():
        np.testing.assert_array_equal(backend.to_numpy(p.data), before[key], err_msg=key)


def test_errors():
    model = nn.Linear(2, 1)
    with pytest.raises(ValueError, match=r"accumulate must be a positive whole number of batches, got 2\.0"):
        Step(model, F.mse_loss, optim.SGD(model.parameters()), accumulate=2.0)
    optimizer = optim.LBFGS(model.parameters())
    assert not Step(model, F.mse_loss, optimizer).recordable
    assert Step(model, F.mse_loss, optim.SGD(model.parameters())).recordable


def test_averages_count_on_through_moves_to_and_fro():
    counts = []
    for homes in (["numpy"] * 4, ["numpy", "standin", "standin", "numpy"]):
        xpnet.manual_seed(0)
        model = nn.Linear(2, 1)
        average = optim.EMA(model.named_parameters(), decay=0.9)
        for i, home in enumerate(homes):
            model.to(backend=home)
            with xpnet.no_grad():
                model.weight += i + 1.0
            average.update()
        counts.append((average.steps, average.averages["weight"]))
    assert counts[0][0] == counts[1][0] == 4
    np.testing.assert_allclose(counts[1][1], counts[0][1], rtol=1e-6)
