"""Clipping of gradients: 0-d ones, every norm, what cannot be clipped."""

import math

import numpy as np
import pytest

import xpnet
from xpnet import nn
from xpnet.nn.utils import clip_grad_norm_, clip_grad_value_


def learned(backend, dtype="float32"):
    """A scale of no dimensions and a weight; the gradients are 6 and (2, 0, −3)."""
    scale = nn.Parameter(backend.asarray(np.array(2.0, dtype)))
    weight = nn.Parameter(backend.asarray(np.array([1.0, 2.0, 3.0], dtype)))
    (weight * scale * backend.asarray(np.array([1.0, 0.0, -1.5], dtype))).sum().backward()
    (scale * 9.5).backward()
    return [scale, weight]


def gradients(parameters):
    return [p.backend.to_numpy(p.grad).tolist() for p in parameters]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gradient_without_dimensions_is_clipped_by_norm(backend, dtype):
    parameters = learned(backend, dtype)
    assert gradients(parameters) == [6.0, [2.0, 0.0, -3.0]]
    norm = clip_grad_norm_(parameters, 3.5)
    assert norm.item() == pytest.approx(7.0)
    assert norm.dtype == dtype
    np.testing.assert_allclose(gradients(parameters)[0], 3.0, rtol=1e-6)
    np.testing.assert_allclose(gradients(parameters)[1], [1.0, 0.0, -1.5], rtol=1e-6)
    assert all(type(p.grad) is backend.array_type for p in parameters)


def test_a_gradient_without_dimensions_is_clipped_by_value(backend):
    parameters = learned(backend)
    clip_grad_value_(parameters, 2.5)
    assert gradients(parameters) == [2.5, [2.0, 0.0, -2.5]]


@pytest.mark.parametrize("limit", [np.float32(3.5), np.float64(3.5), np.array(3.5)], ids=repr)
def test_the_limit_may_be_a_number_of_numpy(limit, backend):
    parameters = learned(backend)
    clip_grad_norm_(parameters, limit)
    np.testing.assert_allclose(gradients(parameters)[0], 3.0, rtol=1e-6)


@pytest.mark.parametrize("how", ["to", "optimizer", "product", "assigned", "twice"])
def test_wherever_the_gradient_came_from(how, backend):
    parameters = learned(backend)
    scale = parameters[0]
    if how == "to":
        model = nn.Module()
        model.scale, model.weight = parameters
        model.to(dtype="float64")
    elif how == "optimizer":
        optimizer = xpnet.optim.SGD(parameters, lr=1.0)
        optimizer.zero_grad()
        (scale * 6.0).backward()
    elif how == "product":
        scale.grad = scale.grad * 1
    elif how == "assigned":
        scale.grad = backend.asarray(np.array(6.0, "float32"))[()]
    else:
        scale.grad = None
        (scale * 2.0).backward()
        (scale * 4.0).backward()
    assert clip_grad_norm_(scale, 3.0).item() == pytest.approx(6.0)
    assert backend.to_numpy(scale.grad) == pytest.approx(3.0, rel=1e-6)
    clip_grad_value_(scale, 0.5)
    assert backend.to_numpy(scale.grad) == 0.5
    if how == "optimizer":
        optimizer.step()
        assert scale.item() == 1.5


@pytest.mark.parametrize(("norm_type", "norm"), [
    (1, 11.0), (2.0, 7.0), (3.0, (216 + 8 + 27) ** (1 / 3)), (0.5, (6**0.5 + 2**0.5 + 3**0.5) ** 2), (math.inf, 6.0),
    ("inf", 6.0), (-math.inf, 0.0), (0, 3.0), (-1.0, 0.0),
])  # fmt: skip
def test_every_norm(norm_type, norm, backend):
    parameters = learned(backend, "float64")
    assert clip_grad_norm_(parameters, 1.0, norm_type).item() == pytest.approx(norm, rel=1e-12)
    factor = min(1.0, 1.0 / (norm + 1e-6))
    np.testing.assert_allclose(gradients(parameters)[0], 6 * factor, rtol=1e-12)


def test_what_is_not_finite_is_passed_on_or_refused(backend):
    for bad, left in ((math.inf, [math.nan, 0.0]), (math.nan, [math.nan, math.nan])):
        p = nn.Parameter(backend.asarray(np.zeros(2)))
        p.grad = backend.asarray(np.array([bad, 1.0]))
        with pytest.raises(RuntimeError, match=f"norm of the gradients is {bad}; nothing was scaled"):
            clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
        np.testing.assert_array_equal(gradients([p])[0], [bad, 1.0])
        np.testing.assert_equal(clip_grad_norm_([p], 1.0).item(), bad)
        np.testing.assert_array_equal(gradients([p])[0], left)


def test_tensors_generators_and_two_dtypes(backend):
    x = xpnet.tensor([3.0], requires_grad=True, backend=backend)
    y = xpnet.tensor([2.0], requires_grad=True, backend=backend, dtype="float64")
    z = xpnet.tensor([2.0], requires_grad=True, backend=backend)  # without a gradient
    (x * 3.0).sum().backward()
    (y * 4.0).sum().backward()
    assert clip_grad_norm_((t for t in (x, z, y)), 2.5).item() == pytest.approx(5.0)
    np.testing.assert_allclose(gradients([x, y]), [[1.5], [2.0]], rtol=1e-6)
    assert (x.grad.dtype, y.grad.dtype, z.grad) == ("float32", "float64", None)
    clip_grad_value_(iter([x, y, z]), 1.75)
    np.testing.assert_allclose(gradients([x, y]), [[1.5], [1.75]], rtol=1e-6)
    assert clip_grad_norm_(x, 1.0).item() == pytest.approx(1.5)


def test_gradients_without_elements(backend):
    p = nn.Parameter(backend.asarray(np.zeros((0, 2))))
    p.grad = backend.asarray(np.zeros((0, 2)))
    for norm_type in (2, math.inf, -math.inf, 0):
        assert clip_grad_norm_([p], 1.0, norm_type).item() == 0.0
    assert clip_grad_norm_([p, *learned(backend, "float64")], 1.0, math.inf).item() == 6.0


@pytest.mark.parametrize(("act", "match"), [
    (lambda p: clip_grad_norm_(p, -1.0), "max_norm must be > 0, got -1.0"),
    (lambda p: clip_grad_norm_(p, math.nan), "max_norm must be > 0, got nan"),
    (lambda p: clip_grad_norm_(p, 1.0, math.nan), "norm_type must be a number or inf, got nan"),
    (lambda p: clip_grad_norm_([], 1.0), "no parameter has a gradient: call loss.backward"),
    (lambda p: clip_grad_value_(p, 0), "clip_value must be > 0, got 0"),
])  # fmt: skip
def test_errors(act, match, backend):
    parameters = learned(backend)
    with pytest.raises(ValueError, match=match):
        act(parameters)
    assert gradients(parameters)[0] == 6.0
