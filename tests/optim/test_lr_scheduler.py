"""Schedules: PyTorch's learning rates, and what they save."""

from pathlib import Path

import numpy as np
import pytest

from tests.optim.cases import PLATEAUS, SCHEDULES, metrics, name_of
from xpnet import optim
from xpnet.nn import Parameter
from xpnet.optim import lr_scheduler

RECORDED = np.load(Path(__file__).parent.parent / "fixtures/optim.npz", allow_pickle=False)


def optimizer(lr=0.1):
    return optim.SGD([Parameter(np.zeros(1))], lr=lr)


def lr(schedule):
    return schedule.get_last_lr()[0]


@pytest.mark.parametrize("case", SCHEDULES, ids=name_of)
def test_equal_to_pytorch(case):
    schedule = getattr(lr_scheduler, case[0])(optimizer(), **case[1])
    rates = [lr(schedule)]
    for _ in metrics():
        schedule.step()
        rates.append(lr(schedule))
    np.testing.assert_allclose(rates, RECORDED[name_of(case)], rtol=1e-12, atol=1e-17)


@pytest.mark.parametrize("i", range(len(PLATEAUS)))
def test_plateau_equal_to_pytorch(i):
    schedule = lr_scheduler.ReduceLROnPlateau(optimizer(), **PLATEAUS[i])
    rates = [lr(schedule)]
    for metric in metrics():
        schedule.step(metric)
        rates.append(lr(schedule))
    np.testing.assert_allclose(rates, RECORDED[f"plateau {i}"], rtol=1e-12)


@pytest.mark.parametrize("case", SCHEDULES, ids=name_of)
def test_state(case):
    first = getattr(lr_scheduler, case[0])(optimizer(), **case[1])
    for _ in range(5):
        first.step()
    second = getattr(lr_scheduler, case[0])(optimizer(), **case[1])
    second.load_state_dict(first.state_dict())
    assert lr(second) == lr(first)
    first.step()
    second.step()
    assert lr(second) == lr(first)


def test_plateau_state():
    first = lr_scheduler.ReduceLROnPlateau(optimizer(), patience=1)
    for metric in metrics()[:14]:
        first.step(metric)
    second = lr_scheduler.ReduceLROnPlateau(optimizer(), patience=1)
    second.load_state_dict(first.state_dict())
    for metric in metrics()[14:]:
        first.step(metric)
        second.step(metric)
        assert lr(first) == lr(second)


@pytest.mark.parametrize(("make", "match"), [
    (lambda o: lr_scheduler.StepLR(o, 0), "step_size must be a positive whole number of epochs, got 0"),
    (lambda o: lr_scheduler.CosineAnnealingLR(o, 2.5), "T_max must be a positive whole number"),
    (lambda o: lr_scheduler.LinearLR(o, start_factor=0.0), "start_factor must lie in 0..1"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, mode="low"), "mode must be 'min' or 'max', got 'low'"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0), "factor must lie in"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, threshold_mode="x"), "threshold_mode must be"),
])  # fmt: skip
def test_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make(optimizer())
