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
    return optim.SGD([Parameter(np.zeros(1))], lr=lr, momentum=0.9)


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


def test_warm_up_and_functions_equal_to_pytorch():
    o = optimizer()
    parts = [lr_scheduler.LinearLR(o, 0.1, 1.0, 5), lr_scheduler.CosineAnnealingLR(o, 25)]
    schedules = {"warm-up": lr_scheduler.SequentialLR(o, parts, [5]), "lambda": None}
    schedules["lambda"] = lr_scheduler.LambdaLR(optimizer(), lambda t: 1 / (1 + t))
    for name, schedule in schedules.items():
        rates = [lr(schedule)]
        for _ in metrics():
            schedule.step()
            rates.append(lr(schedule))
        np.testing.assert_allclose(rates, RECORDED[name], rtol=1e-10, atol=1e-17, err_msg=name)


@pytest.mark.parametrize("case", [c for c in SCHEDULES if c[0] in ("OneCycleLR", "CyclicLR")], ids=name_of)
def test_momentum_cycles_as_in_pytorch(case):
    o = optimizer()
    schedule = getattr(lr_scheduler, case[0])(o, **case[1])
    momenta = [o.param_groups[0]["momentum"]]
    for _ in metrics():
        schedule.step()
        momenta.append(o.param_groups[0]["momentum"])
    np.testing.assert_allclose(momenta, RECORDED[f"{name_of(case)} momentum"], rtol=1e-12)
    adam = optim.Adam([Parameter(np.zeros(1))])
    getattr(lr_scheduler, case[0])(adam, **case[1])
    assert adam.param_groups[0]["betas"][0] == pytest.approx(momenta[0])


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
    (lambda o: lr_scheduler.MultiStepLR(o, [0]), "a milestone must be a positive whole number"),
    (lambda o: lr_scheduler.LambdaLR(o, [abs, abs]), "2 functions for 1 parameter groups"),
    (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1)], [3]), "1 schedules need 0 increasing milestones"),
    (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(optimizer(), 1)], []), "must be of this optimizer"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 10, anneal_strategy="x"), "anneal_strategy must be 'cos' or 'linear'"),
    (lambda o: lr_scheduler.OneCycleLR(o, 1.0, 10, pct_start=2), "pct_start must lie in 0..1"),
    (lambda o: lr_scheduler.CyclicLR(o, 0.1, 1.0, mode="x"), "mode must be 'triangular'"),
    (lambda o: lr_scheduler.CyclicLR(optim.SGD([Parameter(np.zeros(1))]), 0.1, 1.0), "pass cycle_momentum=False"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, mode="low"), "mode must be 'min' or 'max', got 'low'"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0), "factor must lie in"),
    (lambda o: lr_scheduler.ReduceLROnPlateau(o, threshold_mode="x"), "threshold_mode must be"),
])  # fmt: skip
def test_errors(make, match):
    with pytest.raises(ValueError, match=match):
        make(optimizer())
