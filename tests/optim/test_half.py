"""float16 weights: state, step count and learning rate in float32, so that small numbers do not vanish."""

import numpy as np
import pytest

from xpnet import nn, optim, tensor
from xpnet.optim.flat import LR, STEP
from xpnet_backends import to_numpy

MAKE = {
    "SGD": lambda p: optim.SGD(p, lr=0.05),
    "SGD with momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "Adam": lambda p: optim.Adam(p, lr=0.05),
    "AMSGrad": lambda p: optim.Adam(p, lr=0.05, amsgrad=True, weight_decay=1e-3),
    "AdamW": lambda p: optim.AdamW(p, lr=0.05),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.05, lr_decay=0.01),
    "Adadelta": lambda p: optim.Adadelta(p, lr=5.0),
    "Adamax": lambda p: optim.Adamax(p, lr=0.05),
    "NAdam": lambda p: optim.NAdam(p, lr=0.05),
    "RAdam": lambda p: optim.RAdam(p, lr=0.05),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.05, momentum=0.9, centered=True),
    "maximize": lambda p: optim.Adam(p, lr=0.05, maximize=True),
}


def run(name, dtype, backend, scale, steps=6):
    parameter = nn.Parameter(tensor(backend.asarray(np.linspace(-1, 1, 8).astype(np.float16).astype(dtype))))
    optimizer = MAKE[name]([parameter])
    rng = np.random.default_rng(0)
    for _ in range(steps):
        gradient = (rng.standard_normal(8) * scale).astype(np.float16)
        parameter.grad = backend.asarray(gradient.astype(dtype))
        optimizer.step()
    return to_numpy(parameter.data), optimizer


@pytest.mark.parametrize("scale", [1e-4, 1.0, 400.0])  # whose squares are 0, and infinite, in float16
@pytest.mark.parametrize("name", MAKE)
def test_steps_are_those_of_float64_but_for_the_weights_rounding(name, scale, backend):
    found, optimizer = run(name, "float16", backend, scale)
    expected, _ = run(name, "float64", backend, scale)
    assert found.dtype == np.float16
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.astype(np.float64), expected, rtol=3e-3, atol=3e-3 * np.abs(expected).max())
    flat = optimizer._flats[0][0]
    assert {v.dtype.name for v in flat.state.values()} <= {"float32"}


def test_the_step_count_goes_on_beyond_2048(backend):
    _, optimizer = run("Adam", "float16", backend, 1.0, steps=1)
    state = optimizer.state_dict()
    state["state"]["0"]["step"] = 2048
    optimizer.load_state_dict(state)
    parameter = optimizer.param_groups[0]["params"][0]
    for _ in range(3):
        parameter.grad = backend.asarray(np.ones(8, np.float16))
        optimizer.step()
    numbers = to_numpy(optimizer._flats[0][0].spans[0].numbers)
    assert numbers[STEP] == 2051
    assert numbers[LR] == np.float32(0.05)
    assert optimizer.state_dict()["state"]["0"]["step"] == 2051


@pytest.mark.parametrize(("dtype", "kept"), [("float16", "float32"), ("float32", "float32"), ("float64", "float64")])
def test_numbers_and_state_follow_the_model(dtype, kept, backend):
    parameter, optimizer = (lambda o: (o.param_groups[0]["params"][0], o))(run("Adam", "float32", backend, 1.0)[1])
    before = to_numpy(optimizer._flats[0][0].state["exp_avg"]).copy()
    parameter.data = parameter.data.astype(dtype)
    parameter.grad = backend.asarray(np.zeros(8, dtype))
    optimizer.step()
    flat = optimizer._flats[0][0]
    assert (parameter.dtype, flat.values.dtype) == (dtype, dtype)
    assert (flat.state["exp_avg"].dtype, flat.spans[0].numbers.dtype) == (kept, kept)
    np.testing.assert_allclose(to_numpy(flat.state["exp_avg"]), 0.9 * before, rtol=1e-6)


def test_a_float16_state_comes_back(backend):
    _, optimizer = run("Adam", "float16", backend, 1e-4)
    saved = optimizer.state_dict()
    assert saved["state"]["0"]["exp_avg_sq"].dtype == "float32"
    assert (to_numpy(saved["state"]["0"]["exp_avg_sq"]) > 0).all()
    _, other = run("Adam", "float16", backend, 1.0, steps=1)
    other.load_state_dict(saved)
    np.testing.assert_array_equal(
        to_numpy(other.state_dict()["state"]["0"]["exp_avg_sq"]), to_numpy(saved["state"]["0"]["exp_avg_sq"])
    )


def test_squared_gradients_of_float16(backend):
    _, optimizer = run("Adam", "float16", backend, 1.0)
    parameter = optimizer.param_groups[0]["params"][0]
    parameter.grad = backend.asarray(np.full(8, 500, np.float16))
    assert [float(s) for s in optimizer.squared_gradients()] == [8 * 500.0**2]


def test_squared_gradients_of_many(backend):
    parameter = nn.Parameter(tensor(backend.asarray(np.zeros(300_000, np.float32))))
    optimizer = optim.SGD([parameter], lr=0.1)
    parameter.grad = backend.asarray(np.full(300_000, 1.1, np.float32))
    assert float(optimizer.squared_gradients()[0]) == pytest.approx(300_000 * float(np.float32(1.1)) ** 2, rel=1e-6)


def test_an_average_of_float16_weights_moves_by_small_steps(backend):
    parameter = nn.Parameter(tensor(backend.asarray(np.ones(2, np.float16))))
    average = optim.EMA([parameter], decay=0.9999, warmup=False)
    parameter.data = backend.asarray(np.full(2, 1.5, np.float16))
    for _ in range(10):
        average.update()
    held = average.averages["0"]
    assert held.dtype == "float32"
    np.testing.assert_allclose(to_numpy(held), 1.5 - 0.5 * 0.9999**10, rtol=1e-6)
    with average.applied():
        assert parameter.dtype == "float16"


def test_lbfgs_in_float16(backend):
    parameter = nn.Parameter(tensor(backend.asarray(np.array([3.0, -2.0], np.float16))))
    optimizer = optim.LBFGS([parameter], lr=0.5, max_iter=20)

    def closure():
        optimizer.zero_grad()
        loss = (parameter * parameter).sum() * 100.0
        loss.backward()
        return loss

    optimizer.step(closure)
    assert parameter.dtype == "float16"
    assert np.abs(to_numpy(parameter.data)).max() < 0.1
