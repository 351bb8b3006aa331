"""Fusion of adjacent ops: fewer passes over memory, the same bits, and no visible difference."""

import gc
import signal
import threading
import weakref

import numpy as np
import pytest

import xpnet
from tests.support.process import environment, python
from xpnet import models, nn, ops, optim, tape
from xpnet.nn import functional as F
from xpnet.tape import fusing, no_fusion
from xpnet.tape.fusion import OPEN, region
from xpnet_backends.deferred import Deferred
from xpnet_backends.numpy_backend import NumpyBackend

RNG = np.random.default_rng(0)


class Toys:
    """Kernels for exp, exp + relu, exp + add and exp + add + relu that note who worked."""

    def __init__(self, monkeypatch):
        self.log = []
        table = {
            "exp+": self.exp,
            "exp+relu": self.exp_relu,
            "exp+add": self.exp_add,
            "exp+add+relu": self.exp_add_relu,
        }
        monkeypatch.setattr(NumpyBackend, "kernels", table)

    def exp(self, xp, x):
        def run():
            self.log.append("exp")
            return np.exp(x)

        return Deferred(x.shape, x.dtype, run, x), lambda dy, needs: (dy * np.exp(x),)

    def exp_relu(self, xp, first):
        self.log.append("exp+relu")
        x = first.kept
        return np.maximum(np.exp(x), 0), lambda dy, needs: (np.where(np.exp(x) <= 0, 0, dy) * np.exp(x),)

    def exp_add(self, xp, first, other):
        x = first.kept

        def run():
            self.log.append("exp+add")
            return np.exp(x) + other

        return Deferred(first.shape, first.dtype, run, (x, other)), lambda dy, needs: (dy * np.exp(x), dy)

    def exp_add_relu(self, xp, first):
        self.log.append("exp+add+relu")
        x, other = first.kept
        y = np.maximum(np.exp(x) + other, 0)

        def backward(dy, needs):
            dy = np.where(y <= 0, 0, dy)
            return dy * np.exp(x), dy

        return y, backward


@pytest.fixture
def toys(monkeypatch):
    return Toys(monkeypatch)


def leaf(*values):
    return xpnet.tensor(np.array(values), requires_grad=True)


def slopes(function, *inputs):
    """The value and the gradients of a function of fresh leaves."""
    leaves = [leaf(*x) for x in inputs]
    with fusing():
        y = function(*leaves)
    y.sum().backward()
    return y.data, [t.grad for t in leaves]


def both_ways(function, *inputs):
    with no_fusion():
        value, gradients = slopes(function, *inputs)
    joined_value, joined_gradients = slopes(function, *inputs)
    np.testing.assert_array_equal(joined_value, value)
    for one, other in zip(joined_gradients, gradients, strict=True):
        np.testing.assert_array_equal(one, other)


def test_two_ops_join(toys):
    both_ways(lambda x: x.exp().relu(), [1.0, -2.0])
    assert toys.log == ["exp+relu"]


def test_three_ops_join_whichever_side_the_deferred_one_is_on(toys):
    both_ways(lambda x, z: (x.exp() + z).relu(), [1.0, -2.0], [3.0, -4.0])
    both_ways(lambda x, z: (z + x.exp()).relu(), [1.0, -2.0], [3.0, -4.0])
    assert toys.log == ["exp+add+relu", "exp+add+relu"]


def test_both_sides_deferred(toys):
    both_ways(lambda x, z: (x.exp() + z.exp()).relu(), [1.0, -2.0], [3.0, -4.0])
    assert toys.log == ["exp", "exp+add+relu"]


@pytest.mark.parametrize(("name", "read"), [
    ("data", lambda t: t.data), ("numpy", lambda t: t.numpy()), ("item", lambda t: t[0].item()), ("op", lambda t: t * 2),
    ("compare", lambda t: t > 0), ("print", repr), ("detach", lambda t: t.detach()), ("list", lambda t: t.tolist()),
    ("hook", lambda t: t.register_hook(lambda g: None)), ("other", lambda t: xpnet.tensor([1.0]).data),
    ("argmax", lambda t: t.argmax()), ("format", lambda t: f"{t[0]:.2f}"),
])  # fmt: skip
def test_every_reader_starts_the_work(toys, name, read):
    x = leaf(1.0, -2.0)
    with fusing():
        y = x.exp()
        assert toys.log == []
        assert (y.shape, y.ndim, y.size, y.dtype, len(y), y.requires_grad) == ((2,), 1, 2, np.float64, 2, True)
        assert toys.log == []
        read(y)
        assert toys.log == ["exp"]
        np.testing.assert_array_equal(y.relu().data, np.exp([1.0, -2.0]))
    assert toys.log == ["exp"]


def test_outside_a_region_nothing_waits(toys):
    y = leaf(1.0).exp()
    assert y.data[0] == np.exp(1.0)  # the op itself
    assert toys.log == []


def test_what_is_left_is_computed_when_the_region_ends(toys):
    with fusing():
        y = leaf(1.0).exp()
        with fusing():
            pass
        assert toys.log == []
    assert toys.log == ["exp"]
    assert y.data[0] == np.exp(1.0)


def test_what_nobody_holds_is_not_computed(toys):
    with fusing():
        leaf(1.0).exp()
        gc.collect()
    assert toys.log == []


def test_a_change_in_place_of_an_input_starts_the_work(toys):
    for change in (lambda x: x.copy_([9.0]), lambda x: x.__setitem__(0, 9.0), lambda x: x.__iadd__(1.0)):
        x = leaf(1.0)
        with fusing():
            y = x.exp()
            with xpnet.no_grad():
                change(x)
            assert y.data[0] == np.exp(1.0)


def test_an_array_that_was_handed_out_is_not_overtaken(toys):
    x = leaf(1.0)
    with fusing():
        y = x.exp()
        x.data[0] = 9.0  # reading .data of any tensor starts the work first
    assert y.data[0] == np.exp(1.0)


def test_a_tensor_that_was_taken_over_is_computed_again_and_has_its_gradient(toys):
    with no_fusion():
        x = leaf(1.0, -2.0)
        y = x.exp()
        y.relu().sum().backward()
        expected = x.grad, y.data, y.grad
    x = leaf(1.0, -2.0)
    with fusing():
        y = x.exp()
        z = y.relu()
    assert toys.log == ["exp+relu", "exp"]
    z.sum().backward()  # y is held: the two ops are walked one by one
    for found, wanted in zip((x.grad, y.data, y.grad), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_hooks_on_a_tensor_that_was_taken_over(toys):
    x = leaf(1.0)
    with fusing():
        y = x.exp()
        z = y.relu()
    y.register_hook(lambda g: g * 10)
    z.sum().backward()
    assert x.grad[0] == 10 * np.exp(1.0)


@pytest.mark.parametrize("which", ["first", "middle"])
def test_a_hook_is_called_though_nobody_holds_its_tensor(toys, which):
    """As where ops run one by one: there, the op that follows holds it."""

    def with_hook(x, w):
        a = x.exp()
        b = a + w
        y = b.relu()
        (a if which == "first" else b).register_hook(lambda g: g * 10)
        return y

    both_ways(with_hook, [1.0, -2.0], [3.0, -4.0])
    x = leaf(1.0)
    with fusing():
        y = with_hook(x, leaf(2.0))
    y.sum().backward()
    assert x.grad[0] == 10 * np.exp(1.0)


def test_a_walk_frees_the_inputs_of_joint_ops(toys):
    x, w = leaf(1.0), leaf(2.0)
    with fusing():
        y = (x.exp() + w).relu()
    gone = weakref.ref(x)
    y.sum().backward()
    del x
    gc.collect()
    assert gone() is None
    with pytest.raises(RuntimeError, match="a second time"):
        y.sum().backward()


@pytest.mark.parametrize("held", [(True, False), (False, True), (True, True)])
def test_tensors_in_the_middle_of_three(toys, held):
    with no_fusion():
        x, w = leaf(1.0, -2.0), leaf(3.0, -4.0)
        a = x.exp()
        b = a + w
        b.relu().sum().backward()
        expected = [x.grad, w.grad, *(t.grad for t, keep in zip((a, b), held, strict=True) if keep)]
    x, w = leaf(1.0, -2.0), leaf(3.0, -4.0)
    with fusing():
        a = x.exp()
        b = a + w
        z = b.relu()
        kept = [t for t, keep in zip((a, b), held, strict=True) if keep]
        del a, b
    z.sum().backward()
    found = [x.grad, w.grad, *(t.grad for t in kept)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_taken_tensor_that_is_used_once_more(toys):
    def twice(x):
        y = x.exp()
        return y.relu() + y * 3

    both_ways(twice, [1.0, -2.0])


def test_an_input_changed_before_a_joint_op_falls_apart_is_an_error(toys):
    x, w = leaf(1.0, -2.0), leaf(3.0, -4.0)
    with fusing():
        a = x.exp()
        z = (a + w).relu()
    with xpnet.no_grad():
        w += 1
    with pytest.raises(RuntimeError, match=r"'exp\+add\+relu' was changed in place"):
        z.sum().backward()


def test_without_gradients(toys):
    with xpnet.no_grad(), fusing():
        y = leaf(1.0).exp().relu()
    assert toys.log == ["exp+relu"]
    assert not y.requires_grad


def test_a_part_without_gradient(toys):
    x, w = leaf(1.0), leaf(2.0)
    with fusing():
        y = (xpnet.tensor(x.data).exp() + w).relu()
    y.sum().backward()
    assert w.grad.tolist() == [1.0]
    assert x.grad is None


def test_an_observer_sees_every_op(toys):
    seen = []
    with fusing(), tape.observe(lambda op, *rest: seen.append(op.__name__)):
        leaf(1.0).exp().relu()
    assert seen == ["exp", "relu"]
    assert toys.log == []


def test_two_threads(toys):
    found = {}

    def work(value):
        with fusing():
            found[value] = leaf(value).exp().relu().data[0]

    threads = [threading.Thread(target=work, args=(float(i),)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == {float(i): np.exp(float(i)) for i in range(4)}


def test_an_error_ends_the_region(toys):
    class Wrong(nn.Module):
        def forward(self, x):
            x.exp()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Wrong()(leaf(1.0))
    y = leaf(1.0).exp()
    assert y.data[0] == np.exp(1.0)
    assert toys.log == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_an_interrupt_at_any_moment_ends_the_region():
    """Ctrl-C strikes where a function begins, also where one is called to tidy up."""

    class Stopped(BaseException):
        pass

    def stop(*_):
        if armed:
            raise Stopped

    class Deep(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return x if self.inner is None else self.inner(x)

    model = Deep(None)
    for _ in range(40):
        model = Deep(model)
    x, stops, armed = leaf(1.0), 0, False
    before = signal.signal(signal.SIGALRM, stop)
    try:
        for i in range(400):
            try:
                armed = True
                signal.setitimer(signal.ITIMER_REAL, 1e-5 * (1 + i % 10))
                for _ in range(100):
                    model(x)
            except Stopped:
                stops += 1
            finally:
                armed = False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert stops > 300
    assert (OPEN[0], region.depth) == (0, 0)


# -- the kernels that there are --------------------------------------------------------------------------------------

numba = pytest.importorskip("numba", reason="numba is not installed (the extra 'fast')")


def images(*shape, dtype="float32"):
    return RNG.standard_normal(shape).astype(dtype)


class Block(nn.Module):
    """A residual block written by hand."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.first, self.second = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x):
        y = F.relu(self.first(self.conv(x)))
        return F.relu(self.second(self.conv(y)) + x)


def trained(make, x, steps=2):
    """Outputs, gradients and buffers after some steps."""
    xpnet.manual_seed(0)
    model = make()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        given = xpnet.tensor(x, requires_grad=True)
        y = model(given)
        (y * y).mean().backward()
        optimizer.step()
    return [y.data, given.grad, *(p.grad for p in model.parameters()), *model.state_dict().values()]


@pytest.mark.parametrize(("make", "shape"), [
    (lambda: Block(5), (4, 5, 7, 6)),
    (lambda: nn.Sequential(nn.BatchNorm2d(17), nn.ReLU(), nn.BatchNorm2d(17)), (3, 17, 5, 5)),
    (lambda: nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU()), (33, 6)),
    (lambda: models.resnet20(), (2, 3, 16, 16)),
])  # fmt: skip
def test_networks_have_the_same_bits_joined_or_not(make, shape):
    x = images(*shape)
    with no_fusion():
        expected = trained(make, x)
    for found, wanted in zip(trained(make, x), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_same_bits_where_numbers_are_not_finite(bad):
    x = images(4, 5, 7, 6)
    x[1, 2, 3, 4] = bad
    with np.errstate(all="ignore"):
        with no_fusion():
            expected = trained(lambda: Block(5), x, 1)
        joined = trained(lambda: Block(5), x, 1)
    for found, wanted in zip(joined, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_joint_kernels_are_used_and_held_to_the_ops(monkeypatch):
    """The reference of a joint kernel is the composition of the ops."""
    used = []
    kernels = dict(NumpyBackend.kernels)
    for name in [n for n in kernels if n.count("+") and not n.endswith("+")]:
        kernels[name] = lambda *a, name=name, kernel=kernels[name], **o: (used.append(name), kernel(*a, **o))[1]
    monkeypatch.setattr(NumpyBackend, "kernels", kernels)
    x = images(4, 5, 7, 6)
    found = trained(lambda: Block(5), x, 1)
    assert used == ["batch_norm+relu", "batch_norm+add", "batch_norm+add+relu"]
    monkeypatch.setattr(NumpyBackend, "kernels", {})
    for one, reference in zip(found, trained(lambda: Block(5), x, 1), strict=True):
        np.testing.assert_allclose(one, reference, atol=3e-5, rtol=1e-4)


def test_a_batch_norm_alone_and_with_another_dtype():
    layer = nn.BatchNorm2d(3)
    y = layer(images(2, 3, 4, 4))
    assert abs(y.data.mean()) < 1e-6
    with fusing():
        z = F.relu(layer.to(dtype="float64")(images(2, 3, 4, 4, dtype="float64")))
    assert z.dtype == "float64"
    assert z.data.min() == 0


def test_the_switch_in_the_environment():
    code = "from xpnet.tape import fusion; fusion.enter(); print(fusion.may_defer())"
    assert python("-c", code).stdout == "True\n"
    assert python("-c", code, env=environment(XPNET_FUSION="0")).stdout == "False\n"


def test_the_reference_ops_know_nothing_of_it():
    y, _ = ops.batch_norm(np, images(2, 3, 4, 4), None, None)
    assert not isinstance(y[0], Deferred)
