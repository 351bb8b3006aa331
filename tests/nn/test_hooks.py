"""Hooks before, after and on the way back."""

import numpy as np
import pytest

import xpnet
from xpnet import nn


def network():
    xpnet.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(dtype="float64")


X = np.arange(6.0).reshape(2, 3) / 6


def test_a_pre_hook_may_replace_the_inputs():
    model, calls = network(), []
    expected = model[1:](xpnet.tensor(np.ones((2, 4)))) if hasattr(model, "__getitem__") else None
    remove = model[1].register_forward_pre_hook(
        lambda module, inputs: calls.append(type(module)) or xpnet.tensor(np.ones((2, 4)))
    )
    np.testing.assert_array_equal(model(X).data, expected.data)
    assert calls == [nn.Tanh]
    remove()
    assert not np.array_equal(model(X).data, expected.data)


def test_a_backward_hook_sees_the_gradients_on_both_sides(backend):
    model, seen = network().to(backend=backend), {}
    model[1].register_full_backward_hook(lambda module, dx, dy: seen.update(dx=dx, dy=dy))
    y = model(backend.asarray(X))
    y.sum().backward()
    h = np.tanh(X @ backend.to_numpy(model[0].weight.data).T + backend.to_numpy(model[0].bias.data))
    dy = np.ones((2, 2)) @ backend.to_numpy(model[2].weight.data)
    np.testing.assert_allclose(backend.to_numpy(seen["dy"][0]), dy, rtol=1e-12)
    np.testing.assert_allclose(backend.to_numpy(seen["dx"][0]), dy * (1 - h * h), rtol=1e-12)


def test_watching_changes_no_gradient():
    plain, watched = network(), network()
    for module in watched.modules():
        module.register_full_backward_hook(lambda module, dx, dy: None)
    for model in (plain, watched):
        model(X).sum().backward()
    for a, b in zip(plain.parameters(), watched.parameters(), strict=True):
        np.testing.assert_array_equal(a.grad, b.grad)


def test_a_backward_hook_may_replace_the_gradients():
    plain, changed = network(), network()
    changed[1].register_full_backward_hook(lambda module, dx, dy: 2.0 * dx[0])
    for model in (plain, changed):
        model(X).sum().backward()
    np.testing.assert_allclose(changed[0].weight.grad, 2.0 * plain[0].weight.grad)
    np.testing.assert_array_equal(changed[2].weight.grad, plain[2].weight.grad)


def test_inputs_without_gradient_come_as_none():
    model, seen = network(), []
    model[0].register_full_backward_hook(lambda module, dx, dy: seen.append((dx, dy[0].shape)))
    model(X).sum().backward()
    assert seen == [((None,), (2, 4))]


class Two(nn.Module):
    def forward(self, a, b):
        return a * b, a + b


def test_several_inputs_and_outputs():
    module, seen = Two(), []
    module.register_full_backward_hook(lambda module, dx, dy: seen.append((dx, dy)))
    a, b = (xpnet.tensor([2.0, 3.0], requires_grad=True) for _ in range(2))
    product, _ = module(a, b)
    product.sum().backward()
    ((dx, dy),) = seen
    assert dy[1] is None
    np.testing.assert_array_equal(dx[0], [2, 3])
    np.testing.assert_array_equal(b.grad, [2, 3])


def test_the_wrong_number_of_gradients():
    model = network()
    model[1].register_full_backward_hook(lambda module, dx, dy: (dx[0], dx[0]))
    with pytest.raises(
        ValueError,
        match=r"a backward hook of Tanh must return 1 gradients, as many as there are inputs, or None; got 2",
    ):
        model(X).sum().backward()


def test_removed_hooks_are_not_called():
    model, calls = network(), []
    remove = model[1].register_full_backward_hook(lambda module, dx, dy: calls.append(1))
    remove()
    model(X).sum().backward()
    assert calls == []
