"""Schedules that share an optimizer: PyTorch's rates over 200 steps, groups that come later, states, refusals."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from tests.optim.schedule_cases import ALONE, CASES, GOES_ON, RATES, STEPS, build, run
from xpnet import optim
from xpnet.nn import Parameter
from xpnet.optim import lr_scheduler

RECORDED = np.load(Path(__file__).parent.parent / "fixtures/schedules.npz", allow_pickle=False)
PER_GROUP = {
    "functions", "each multiplied", "one cycle", "cyclic", "functions in a sequence", "multiplied in a sequence",
}  # fmt: skip
by_name = pytest.mark.parametrize("name", CASES)


def two_groups(**options):
    return optim.SGD([{"params": [Parameter(np.zeros(1))], "lr": lr} for lr in RATES], momentum=0.9, **options)


def made(name, optimizer):
    return [build(lr_scheduler, optimizer, spec) for spec in CASES[name]]


@by_name
@pytest.mark.parametrize("by_hand", [False, True])
def test_equal_to_pytorch(name, by_hand):
    optimizer = two_groups()
    rates = run(optimizer, made(name, optimizer), by_hand=by_hand)
    np.testing.assert_allclose(rates, RECORDED[f"{name} by hand" if by_hand else name], rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("name", GOES_ON)
def test_goes_on_after_last_epoch_as_in_pytorch(name):
    optimizer = two_groups()
    for group in optimizer.param_groups:
        group["initial_lr"] = 2.0 * group["lr"]
    schedule = build(lr_scheduler, optimizer, ALONE[name], last_epoch=29)
    np.testing.assert_allclose(
        run(optimizer, [schedule], by_hand=False), RECORDED[f"{name} goes on"], rtol=1e-9, atol=1e-16
    )


def test_last_epoch_needs_an_optimizer_that_was_scheduled():
    with pytest.raises(ValueError, match=r"StepLR: last_epoch=5 continues .* group 0 has no 'initial_lr': load"):
        lr_scheduler.StepLR(two_groups(), 3, last_epoch=5)


@by_name
def test_a_state_in_the_middle_goes_on(name):
    """Also after a rate was set by hand, through JSON, and in either order of the schedules."""
    optimizer = two_groups()
    schedules = made(name, optimizer)
    run(optimizer, schedules, by_hand=True, last=75)
    saved = optimizer.state_dict(), json.loads(json.dumps([s.state_dict() for s in schedules]))
    other = two_groups()
    again = made(name, other)
    other.load_state_dict(saved[0])
    for schedule, state in reversed(list(zip(again, saved[1], strict=True))):
        schedule.load_state_dict(state)
    assert [s.get_last_lr() for s in again] == [s.get_last_lr() for s in schedules]
    rest = run(other, again, by_hand=True, first=75)
    np.testing.assert_allclose(rest, RECORDED[f"{name} by hand"][76:], rtol=1e-9, atol=1e-16)


@by_name
def test_a_deep_copy_goes_on_alone(name):
    optimizer = two_groups()
    schedules = made(name, optimizer)
    run(optimizer, schedules, by_hand=False, last=35)
    other, again = copy.deepcopy((optimizer, schedules))
    assert all(s.optimizer is other for s in again)
    rest = run(other, again, by_hand=False, first=35)
    np.testing.assert_allclose(rest, RECORDED[name][36:], rtol=1e-9, atol=1e-16)
    assert [s.last_epoch for s in schedules] == [35] * len(schedules)


@by_name
def test_a_group_that_comes_later(name):
    optimizer = two_groups()
    schedules = made(name, optimizer)
    run(optimizer, schedules, by_hand=False, last=5)
    optimizer.add_param_group({"params": [Parameter(np.zeros(1))], "lr": 0.5})
    per_group = name in PER_GROUP
    if per_group:
        with pytest.raises(ValueError, match=r"for 3 parameter groups|for 2 parameter groups, not 3"):
            [s.step() for s in schedules for _ in range(100)]
        return
    for _ in range(STEPS - 5):
        for s in schedules:
            s.step()
    first, _, third = (group["lr"] for group in optimizer.param_groups)
    assert first == pytest.approx(RECORDED[name][-1, 0], rel=1e-9, abs=1e-16)
    assert 0.0 <= third < 5.01
    assert optimizer.param_groups[2]["initial_lr"] == 0.5
    restored = two_groups()
    restored.add_param_group({"params": [Parameter(np.zeros(1))], "lr": 0.5})
    again = made(name, restored)
    for s, old in zip(again, schedules, strict=True):
        s.load_state_dict(old.state_dict())
    assert [group["lr"] for group in restored.param_groups][2] == third


def test_a_later_group_is_multiplied_from_where_it_began():
    optimizer = two_groups()
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.5)
    schedule.step()
    optimizer.add_param_group({"params": [Parameter(np.zeros(1))], "lr": 0.8})
    assert optimizer.param_groups[2]["lr"] == 0.8
    schedule.step()
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.025, 0.005, 0.4])


def test_a_plateau_beside_another_schedule():
    optimizer = two_groups()
    plateau, exponential = (
        lr_scheduler.ReduceLROnPlateau(optimizer, patience=0),
        lr_scheduler.ExponentialLR(optimizer, 0.5),
    )
    for loss in (1.0, 1.0):
        plateau.step(loss)
        exponential.step()
    assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.1 * 0.1 / 4, 0.02 * 0.1 / 4])


def test_a_plateau_has_a_least_rate_for_each_group():
    optimizer = two_groups()
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.05, 0.0])
    for loss in (1.0, 1.0):
        plateau.step(loss)
    assert plateau.get_last_lr() == pytest.approx([0.05, 0.002])
    with pytest.raises(ValueError, match="min_lr: 1 values for 2 parameter groups"):
        lr_scheduler.ReduceLROnPlateau(optimizer, min_lr=[0.1])


@pytest.mark.parametrize("make", [
    lambda o, parts: lr_scheduler.SequentialLR(o, parts, [3]), lambda o, parts: lr_scheduler.ChainedScheduler(parts),
])  # fmt: skip
def test_a_plateau_is_no_part_of_another_schedule(make):
    optimizer = two_groups()
    parts = [lr_scheduler.StepLR(optimizer, 1), lr_scheduler.ReduceLROnPlateau(optimizer)]
    with pytest.raises(ValueError, match="schedule 1 is a ReduceLROnPlateau, which depends on more than the step"):
        make(optimizer, parts)


def test_a_sequence_in_a_sequence_begins_when_its_turn_comes():
    optimizer = two_groups()
    inner = [lr_scheduler.ConstantLR(optimizer, 0.5, 3), lr_scheduler.ExponentialLR(optimizer, 0.5)]
    inner = lr_scheduler.SequentialLR(optimizer, inner, [2])
    outer = lr_scheduler.SequentialLR(optimizer, [lr_scheduler.LinearLR(optimizer, 0.1, 1.0, 10), inner], [3])
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(7):
        outer.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.01, 0.019, 0.028, 0.05, 0.05, 0.1, 0.05, 0.025])


def test_a_chain_in_a_sequence_begins_with_all_its_factors():
    optimizer = two_groups()
    chain = [lr_scheduler.ConstantLR(optimizer, 0.5, 2), lr_scheduler.ExponentialLR(optimizer, 0.1)]
    chain = lr_scheduler.ChainedScheduler(chain)
    outer = lr_scheduler.SequentialLR(optimizer, [lr_scheduler.StepLR(optimizer, 9), chain], [2])
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(4):
        outer.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.1, 0.05, 0.005, 0.001])


def test_restarts_go_to_a_fraction_of_an_epoch():
    optimizer = two_groups()
    schedule = lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 4)
    schedule.step(1.5)
    assert schedule.get_last_lr()[0] == pytest.approx(0.05 * (1 + np.cos(np.pi * 1.5 / 4)))
    again = lr_scheduler.CosineAnnealingWarmRestarts(two_groups(), 4)
    again.load_state_dict(schedule.state_dict())
    again.step()
    assert again.get_last_lr()[0] == pytest.approx(0.05 * (1 + np.cos(np.pi * 2.5 / 4)))
    again.step(4)
    assert again.get_last_lr()[0] == pytest.approx(0.1)
    with pytest.raises(ValueError, match="epoch must be >= 0, got -1"):
        again.step(-1)


def test_a_schedule_of_ones_own_in_either_form():
    class Closed(lr_scheduler.LRScheduler):
        def lr_at(self, base_lr, epoch):
            return base_lr / (1 + epoch)

    class Chainable(lr_scheduler.LRScheduler):
        def get_lr(self):
            return [group["lr"] * (0.5 if self.last_epoch else 1.0) for group in self.optimizer.param_groups]

    optimizer = two_groups()
    own = lr_scheduler.SequentialLR(optimizer, [Closed(optimizer), Chainable(optimizer)], [2])
    rates = [own.get_last_lr()[0]]
    for _ in range(3):
        own.step()
        rates.append(own.get_last_lr()[0])
    assert rates == pytest.approx([0.1, 0.05, 0.05, 0.025])
    with pytest.raises(NotImplementedError, match=r"LRScheduler has no closed form: define lr_at"):
        lr_scheduler.LRScheduler(optimizer)


def test_whole_numbers_of_numpy():
    optimizer = two_groups()
    assert lr_scheduler.OneCycleLR(optimizer, 1.0, np.int64(30)).total_steps == 30
    optimizer.param_groups[0]["lr"] = np.float32(0.5)
    state = lr_scheduler.StepLR(optimizer, np.int32(3)).state_dict()
    assert json.loads(json.dumps(state))["lrs"][0] == 0.5


def test_one_cycle_knows_its_total():
    total = lr_scheduler.OneCycleLR(two_groups(), 1.0, epochs=3, steps_per_epoch=7)
    assert total.total_steps == 21
    for _ in range(21):
        total.step()
    with pytest.raises(ValueError, match="step 22 is after total_steps=21"):
        total.step()
    for few in (1, 2, 3):  # phases without length
        short = lr_scheduler.OneCycleLR(two_groups(), 1.0, few, pct_start=0.5)
        short.step()
        assert np.isfinite(short.get_last_lr()).all()


def test_an_older_state_of_a_sequence_has_the_count_alone():
    optimizer = two_groups()
    schedule = build(lr_scheduler, optimizer, CASES["one after the other"][0])
    schedule.load_state_dict({"last_epoch": 75, "base_lrs": list(RATES)})
    expected = RECORDED["one after the other"]
    assert schedule.get_last_lr() == pytest.approx(expected[75, :2], rel=1e-9)
    schedule.step()
    assert schedule.get_last_lr() == pytest.approx(expected[76, :2], rel=1e-9)


@pytest.mark.parametrize(("act", "error", "match"), [
    (lambda o: lr_scheduler.StepLR([], 3), TypeError, "StepLR takes an optimizer, got list"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(None), TypeError, "ReduceLROnPlateau takes an optimizer, got NoneType"),
    (lambda o: lr_scheduler.SequentialLR(o, [], []), ValueError, "SequentialLR needs at least one schedule"),
    (lambda o: lr_scheduler.ChainedScheduler([]), ValueError, "ChainedScheduler needs at least one schedule"),
    (lambda o: lr_scheduler.ConstantLR(o, 2.0), ValueError, "factor must lie in 0..1, got 2.0"),
    (lambda o: lr_scheduler.MultiplicativeLR(o, 0.5), TypeError, "not iterable|must be a function"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1.0), ValueError, "needs total_steps, or epochs and steps_per_epoch"),
    (lambda o: lr_scheduler.OneCycleLR(o, [1.0], 9), ValueError, "max_lr: 1 values for 2 parameter groups"),
    (lambda o: lr_scheduler.CyclicLR(o, 0.1, [1.0]), ValueError, "max_lr: 1 values for 2 parameter groups"),
    (lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, scale_mode="x"), ValueError, "scale_mode must be 'cycle' or"),
    (lambda o: lr_scheduler.StepLR(o, 3).load_state_dict({"last_epoch": 1, "base_lrs": [0.1]}), ValueError,
     r"belongs to a StepLR with 1 parameter groups, but the optimizer has 2: build it with the same groups"),
    (lambda o: lr_scheduler.StepLR(o, 3).load_state_dict({"last_epoch": 1.5, "base_lrs": [1, 1]}), ValueError,
     "not a state of a StepLR: last_epoch is 1.5"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o).load_state_dict({"lrs": [1.0]}), ValueError, "with 1 parameter groups"),
    (lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(o, 3)]).load_state_dict(
        {"last_epoch": 1, "base_lrs": [1, 1], "_schedulers": []}), ValueError, "has 0 schedules, expected 1"),
])  # fmt: skip
def test_errors(act, error, match):
    with pytest.raises(error, match=match):
        act(two_groups())
