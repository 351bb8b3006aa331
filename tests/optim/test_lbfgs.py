"""LBFGS against PyTorch, and what it promises."""

from pathlib import Path

import numpy as np
import pytest

import xpnet
from tests.optim.lbfgs_cases import CASES, STARTS, STEPS, loss
from xpnet import nn, optim
from xpnet.optim.line_search import Point, cubic_minimum, strong_wolfe

RECORDED = np.load(Path(__file__).parent.parent / "fixtures/lbfgs.npz", allow_pickle=False)


def start(backend="numpy", **options):
    named = {name: nn.Parameter(xpnet.tensor(value, backend=backend).data) for name, value in STARTS.items()}
    optimizer = optim.LBFGS(list(named.items()), **options)

    def closure():
        optimizer.zero_grad()
        value = loss(**named)
        value.backward()
        return value

    return named, optimizer, closure


@pytest.mark.parametrize("i", range(len(CASES)), ids=lambda i: str(CASES[i]))
def test_equal_to_pytorch(i, backend):
    named, optimizer, closure = start(backend, **CASES[i])
    for step in range(STEPS):
        value = float(optimizer.step(closure).numpy())
        np.testing.assert_allclose(value, RECORDED[f"{i}/loss"][step], rtol=1e-6, atol=1e-12)
        for name, p in named.items():
            np.testing.assert_allclose(p.numpy(), RECORDED[f"{i}/{name}"][step], rtol=1e-6, atol=1e-9)


def test_finds_the_minimum_of_rosenbrock():
    point = nn.Parameter(np.array([-1.2, 1.0]))
    optimizer = optim.LBFGS([point], max_iter=100, tolerance_change=1e-14, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = (1.0 - point[0]) ** 2 + 100.0 * (point[1] - point[0] ** 2) ** 2
        value.backward()
        return value

    for _ in range(3):
        optimizer.step(closure)
    np.testing.assert_allclose(point.numpy(), [1.0, 1.0], atol=1e-5)


def test_its_state_goes_round_a_checkpoint(tmp_path):
    from xpnet.train.checkpoint import load_checkpoint, save_checkpoint

    named, optimizer, closure = start(line_search_fn="strong_wolfe", max_iter=3)
    for _ in range(2):
        optimizer.step(closure)
    values = {name: p.numpy().copy() for name, p in named.items()}
    save_checkpoint(tmp_path / "x.safetensors", model=values, optimizer=optimizer.state_dict(), arrays={}, state={})
    again, other, other_closure = start(line_search_fn="strong_wolfe", max_iter=3)
    saved = load_checkpoint(tmp_path / "x.safetensors")
    other.load_state_dict(saved["optimizer"])
    with xpnet.no_grad():
        for name, p in again.items():
            p[...] = saved["model"][name]
    optimizer.step(closure), other.step(other_closure)
    for name in named:
        np.testing.assert_array_equal(named[name].numpy(), again[name].numpy())


def test_errors():
    p = nn.Parameter(np.zeros(2))
    with pytest.raises(ValueError, match="line_search_fn must be None or 'strong_wolfe', got 'armijo'"):
        optim.LBFGS([p], line_search_fn="armijo")
    with pytest.raises(TypeError, match=r"LBFGS needs step\(closure\)"):
        optim.LBFGS([p]).step()
    with pytest.raises(ValueError, match="one group of parameters of one dtype"):
        optim.LBFGS([p, nn.Parameter(np.zeros(2, "float32"))])


def test_the_cubic_through_a_parabola_finds_its_minimum():
    at = lambda t: Point(t, (t - 3.0) ** 2, None, 2.0 * (t - 3.0))  # noqa: E731
    assert cubic_minimum(at(0.0), at(5.0)) == pytest.approx(3.0)
    assert cubic_minimum(at(5.0), at(0.0)) == pytest.approx(3.0)
    assert cubic_minimum(at(0.0), at(5.0), bounds=(0.0, 2.0)) == 2.0


@pytest.mark.parametrize("t", [1e-3, 1.0, 50.0])
def test_the_line_search_keeps_its_promise(t):
    f = lambda t: -t / (t * t + 2.0)  # noqa: E731
    slope = lambda t: (t * t - 2.0) / (t * t + 2.0) ** 2  # noqa: E731
    start = Point(0.0, f(0.0), None, slope(0.0))
    found, calls = strong_wolfe(lambda t: Point(t, f(t), None, slope(t)), start, t, 1.0, 1e-9)
    assert found.f <= start.f + 1e-4 * found.t * start.slope
    assert abs(found.slope) <= 0.9 * abs(start.slope)
    assert calls <= 26
