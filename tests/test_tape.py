"""The tape: walks, hooks, what a backward keeps, graphs that are walked twice."""

import functools
from dataclasses import dataclass

import numpy as np
import pytest

import xpnet
from tests.ops.test_ops import ROWS, differentiable, on, options_on
from tests.support.standin import no_traffic
from xpnet import nn, ops, optim, tape
from xpnet_backends import to_numpy


def leaf(backend, *values):
    return xpnet.tensor(backend.asarray(np.array(values)), requires_grad=True)


def numbers(gradient):
    return to_numpy(gradient).tolist()


# -- walking ---------------------------------------------------------------------------------------------------------


def test_a_walk_lists_ops_in_the_order_in_which_they_ran():
    x = xpnet.tensor([1.0, 2.0], requires_grad=True)
    y = (x.exp() * x).sum()
    assert [(node.name, len(outputs)) for node, outputs in tape.walk(y)] == [
        ("exp", 1), ("multiply", 1), ("reduce_sum", 1),
    ]  # fmt: skip
    y.backward()
    with pytest.raises(RuntimeError, match=r"'reduce_sum' a second time.*retain_graph=True"):
        tape.walk(y)


def test_retain_graph_walks_the_same_graph_again(backend):
    x = leaf(backend, 1.0, 2.0)
    y = x * x
    z = (y * x).sum()
    z.backward(retain_graph=True)
    z.backward(retain_graph=True)
    assert numbers(x.grad) == [6.0, 24.0]  # two times 3 x²
    assert numbers(y.grad) == [1.0, 2.0]  # an interior tensor shows the last walk
    z.backward()
    assert numbers(x.grad) == [9.0, 36.0]
    with pytest.raises(RuntimeError, match="a second time"):
        z.backward()


def test_two_results_share_a_retained_part(backend):
    x = leaf(backend, 1.0, 2.0)
    shared = x.exp()
    first, second = shared.sum(), (shared * 2).sum()
    first.backward(retain_graph=True)
    second.backward()
    np.testing.assert_allclose(to_numpy(x.grad), 3 * np.exp([1.0, 2.0]))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_retained_op_gives_the_same_gradients_twice(row):
    """No op and no kernel of NumPy uses up what it saved."""
    backend = xpnet.get_backend("numpy")
    for dtype in ("float32", "float64"):
        arrays = [on(backend, x, dtype) for x in row.make()]
        needs = differentiable(row, arrays)
        given = [xpnet.tensor(x, requires_grad=True) if need else x for x, need in zip(arrays, needs, strict=True)]
        y = xpnet.apply(row.op, *given, **options_on(backend, row, dtype))
        y = y[0] if isinstance(y, tuple) else y
        found = []
        for _ in range(2):
            for t in given:
                if isinstance(t, xpnet.Tensor):
                    t.grad = None
            y.backward(np.ones(y.shape, y.dtype), retain_graph=True)
            found.append([t.grad for t, need in zip(given, needs, strict=True) if need])
        for first, second in zip(*found, strict=True):
            np.testing.assert_array_equal(first, second)


# -- hooks -----------------------------------------------------------------------------------------------------------


def test_a_hook_sees_the_complete_gradient_and_may_replace_it(backend):
    x = leaf(backend, 1.0, 2.0)
    y = x * 2
    seen = []
    y.register_hook(lambda g: seen.append(numbers(g)))
    y.register_hook(lambda g: g * 10)
    (y * y + y).sum().backward()  # two uses of y
    assert seen == [[5.0, 9.0]]
    assert numbers(x.grad) == [100.0, 180.0]
    assert numbers(y.grad) == [50.0, 90.0]


def test_a_leafs_hook_sees_this_walk_alone_and_adds_what_it_returns(backend):
    x = leaf(backend, 1.0, 2.0)
    (x * 3).sum().backward()
    seen = []
    handle = x.register_hook(lambda g: (seen.append(numbers(g)), g * 2)[1])
    (x * x + x).sum().backward()
    assert seen == [[3.0, 5.0]]
    assert numbers(x.grad) == [9.0, 13.0]
    handle.remove()
    handle()  # a second removal does nothing
    x.sum().backward()
    assert len(seen) == 1
    assert numbers(x.grad) == [10.0, 14.0]


def test_a_hook_of_a_leaf_that_is_its_own_result():
    x = xpnet.tensor(2.0, requires_grad=True)
    with x.register_hook(lambda g: g * 5):
        x.backward()
    x.backward()
    assert x.grad == 6.0


def test_post_accumulate_hooks_run_as_soon_as_a_leaf_is_done():
    first, second = (xpnet.tensor([value], requires_grad=True) for value in (2.0, 3.0))
    order = []
    for name, t in (("first", first), ("second", second)):
        t.register_post_accumulate_grad_hook(lambda t, name=name: order.append((name, t.grad.tolist())))
    (first.exp() * 0 + first * second * second).sum().backward()
    assert order == [("second", [12.0]), ("first", [9.0])]


def test_hooks_of_parameters_in_a_flat_buffer(backend):
    layer = nn.Linear(2, 1, bias=False).to(backend=backend)
    optimizer = optim.SGD(layer.parameters(), lr=1.0)
    x = backend.asarray(np.ones((1, 2), "float32"))
    for _ in range(2):  # from the second step on, gradients live in the optimizer's buffer
        optimizer.zero_grad()
        layer(x).sum().backward()
        optimizer.step()
    before = to_numpy(layer.weight.data).copy()
    layer.weight.register_hook(lambda g: g * 3)
    optimizer.zero_grad()
    layer(x).sum().backward()
    layer(x).sum().backward()
    optimizer.step()
    np.testing.assert_allclose(to_numpy(layer.weight.data), before - 6)


def test_an_error_on_the_way_leaves_a_hooked_leaf_as_it_was():
    x = xpnet.tensor([1.0], requires_grad=True)
    (x * 7).sum().backward()
    x.register_hook(lambda g: g)
    y = x * 2
    y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        (y + x).sum().backward()
    assert x.grad.tolist() == [7.0]


def test_what_hooks_refuse():
    x = xpnet.tensor([1.0], requires_grad=True)
    x.register_hook(lambda g: np.ones(3, "float32"))
    with pytest.raises(ValueError, match=r"hook of a leaf tensor must return a gradient float32\(1,\).*float32\(3,\)"):
        (x * 2).sum().backward()
    with pytest.raises(RuntimeError, match="requires_grad=True"):
        xpnet.tensor([1.0]).register_hook(print)
    with pytest.raises(RuntimeError, match="leaf tensors"):
        (x * 2).register_post_accumulate_grad_hook(print)


def test_hooks_cost_no_traffic_on_a_device():
    backend = xpnet.get_backend("standin")
    x = xpnet.tensor(backend.asarray(np.ones(3, "float32")), requires_grad=True)
    x.register_hook(lambda g: g * 2)
    with no_traffic():
        (x * x).sum().backward()
    assert numbers(x.grad) == [4.0, 4.0, 4.0]


# -- what a backward keeps -------------------------------------------------------------------------------------------


def keeping(kind):
    """An op whose backward keeps its input inside a container or an object of this kind."""

    def kept(xp, x):
        class Held:
            def __init__(self):
                self.x = x

        box = {
            "dict": {"x": x}, "nested": {"layers": [({"x": x},)]}, "default": None, "partial": None, "method": None,
            "tensor": xpnet.as_tensor(x), "dataclass": {"x": Saved(x)},
        }[kind]  # fmt: skip
        if kind == "default":
            return x * 1, lambda dy, needs, saved=x: (dy * saved,)
        if kind == "partial":
            return x * 1, functools.partial(lambda saved, dy, needs: (dy * saved,), x)
        if kind == "method":
            return x * 1, Keeper(x).backward

        def backward(dy, needs):
            return (dy * find(box),)

        return x * 1, backward

    return kept


@dataclass
class Saved:
    x: object


class Keeper:
    __slots__ = ("x",)

    def __init__(self, x):
        self.x = x

    def backward(self, dy, needs):
        return (dy * self.x,)


def find(box):
    while not hasattr(box, "dtype") or isinstance(box, xpnet.Tensor):
        box = (
            box.data if isinstance(box, xpnet.Tensor) else next(iter(box.values())) if isinstance(box, dict) else box[0]
        )
    return box


@pytest.mark.parametrize("kind", ["dict", "nested", "default", "partial", "method", "tensor", "dataclass"])
def test_a_change_in_place_is_found_wherever_the_array_is_kept(kind):
    x = xpnet.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    z = xpnet.apply(keeping(kind), y)
    assert any(np.may_share_memory(a, y.data) for a in tape.held(tape.node_of(z).backward))
    with xpnet.no_grad():
        y += 1
    with pytest.raises(RuntimeError, match="saved for its backward was changed in place"):
        z.sum().backward()


def test_what_was_not_kept_may_change():
    x = xpnet.tensor([1.0, 2.0], requires_grad=True)
    y = x * 3
    z = y + 1  # addition keeps neither
    with xpnet.no_grad():
        y += 1
    z.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_gradients_kept_puts_back_values_and_arrays():
    x = xpnet.tensor([1.0], requires_grad=True)
    (x * 2).sum().backward()
    array = x.grad
    with tape.gradients_kept([x]):
        (x * 5).sum().backward()
        assert x.grad.tolist() == [7.0]
    assert x.grad is array
    assert x.grad.tolist() == [2.0]


def test_apply_by_hand_still_gives_tensors():
    y = xpnet.apply(ops.exp, np.zeros(2))
    assert isinstance(y, xpnet.Tensor)
    assert not y.requires_grad
