"""Options at the ends of their ranges, options changed on the way, states of other options and other groups."""

import json

import numpy as np
import pytest

from xpnet import optim
from xpnet.nn import Parameter
from xpnet.optim import lr_scheduler

RNG = np.random.default_rng(0)
GRADIENTS = RNG.standard_normal((12, 3))
BETAS = ["Adam", "AdamW", "Adamax", "NAdam", "RAdam"]


def start(backend, dtype="float64"):
    return Parameter(backend.asarray(np.array([1.0, -2.0, 0.5]), dtype))


def walk(optimizer, p, changes=(), steps=range(8), skip=()):
    """Take steps; before step t, options change to ``changes[t]``.  Returns the values after each."""
    path = []
    for t in steps:
        optimizer.param_groups[0].update(dict(changes).get(t, {}))
        p.grad = None if t in skip else p.backend.asarray(GRADIENTS[t], p.dtype)
        optimizer.step()
        path.append(p.backend.to_numpy(p.data).copy())
    return np.array(path)


@pytest.mark.parametrize("name", BETAS)
@pytest.mark.parametrize("betas", [(0, 0.9), (0.9, 0.0), (0.0, 0), [0.0, 0.99]])
def test_betas_of_nothing_forget_everything(name, betas, backend):
    p = start(backend)
    optimizer = getattr(optim, name)([p], lr=0.1, betas=betas, weight_decay=0.0)
    path = walk(optimizer, p)
    assert np.isfinite(path).all()
    if name in ("Adam", "AdamW") and not any(betas):  # m = g and v = g²: a step of η by the sign
        expected = [1.0, -2.0, 0.5] - 0.1 * np.cumsum(np.sign(GRADIENTS[:8]), axis=0)
        np.testing.assert_allclose(path, expected, rtol=1e-6)
    if name == "Adam" and tuple(betas) == (0, 0.9):
        v, theta, expected = 0.0, np.array([1.0, -2.0, 0.5]), []
        for t, g in enumerate(GRADIENTS[:8], start=1):
            v = 0.9 * v + 0.1 * g * g
            theta = theta - 0.1 * g / (np.sqrt(v / (1 - 0.9**t)) + 1e-8)
            expected.append(theta)
        np.testing.assert_allclose(path, expected, rtol=1e-10)


@pytest.mark.parametrize(("name", "options"), [
    *[(name, {}) for name in ("SGD", "RMSprop", "Adagrad", "Adadelta", "Adam", "AdamW", "Adamax", "NAdam", "RAdam")],
    ("SGD", {"momentum": 0.0, "dampening": 0.5}), ("RMSprop", {"alpha": 0.0}), ("RMSprop", {"alpha": 1.0}),
    ("RMSprop", {"momentum": 0.0, "eps": 0.0}), ("Adadelta", {"rho": 0.0}), ("Adadelta", {"rho": 1.0}),
    ("Adagrad", {"eps": 0.0, "lr_decay": 0.0}), ("NAdam", {"momentum_decay": 0.0}), ("Adam", {"eps": 0}),
])  # fmt: skip
def test_a_rate_of_nothing_moves_nothing(name, options, backend):
    p = start(backend)
    optimizer = getattr(optim, name)([p], lr=0, weight_decay=0, **options)
    np.testing.assert_array_equal(walk(optimizer, p)[-1], [1.0, -2.0, 0.5])
    optimizer.param_groups[0]["lr"] = 0.1
    assert (walk(optimizer, p)[-1] != [1.0, -2.0, 0.5]).all()


@pytest.mark.parametrize("dampening", [0.0, 0.3])
@pytest.mark.parametrize("first", [0, 1, 4])
def test_momentum_is_switched_on(dampening, first, backend):
    """The velocity begins with the whole gradient, as in PyTorch; switched off, it waits for the next time."""
    p = start(backend)
    changes = {first: {"momentum": 0.9}, first + 2: {"momentum": 0.0}, first + 3: {"momentum": 0.5}}
    path = walk(optim.SGD([p], lr=0.1, dampening=dampening), p, changes.items())
    theta, v, momentum = np.array([1.0, -2.0, 0.5]), None, 0.0
    for t, g in enumerate(GRADIENTS[:8]):
        momentum = changes.get(t, {}).get("momentum", momentum)
        step = g
        if momentum:
            v = step = g if v is None else momentum * v + (1 - dampening) * g
        theta = theta - 0.1 * step
        np.testing.assert_allclose(path[t], theta, rtol=1e-12)


def test_momentum_is_switched_on_for_one_that_had_no_gradient():
    numpy = Parameter(np.zeros(3))
    p, q = numpy, Parameter(np.zeros(3))
    optimizer = optim.SGD([p, q], lr=1.0, dampening=0.5)
    for t in range(4):
        optimizer.param_groups[0]["momentum"] = 0.5 if t >= 1 else 0.0
        p.grad, q.grad = np.ones(3), None if t < 3 else np.ones(3)
        optimizer.step()
    assert p.numpy()[0] == -(1.0 + 1.0 + (0.5 + 0.5) + (0.5 + 0.5))
    assert q.numpy()[0] == -1.0, "its velocity begins with the whole gradient"


@pytest.mark.parametrize(("name", "options", "changes"), [
    ("SGD", {"momentum": 0.9}, {3: {"nesterov": True}}),
    ("SGD", {}, {3: {"momentum": 0.9, "nesterov": True}, 6: {"dampening": 0.5, "nesterov": False}}),
    ("RMSprop", {}, {3: {"momentum": 0.9}, 5: {"centered": True}}),
    ("RMSprop", {"centered": True, "momentum": 0.9}, {3: {"momentum": 0.0, "centered": False}, 6: {"momentum": 0.5}}),
    ("Adam", {}, {3: {"amsgrad": True}}), ("AdamW", {"amsgrad": True}, {3: {"amsgrad": False}, 6: {"amsgrad": True}}),
    ("NAdam", {}, {3: {"decoupled_weight_decay": True, "weight_decay": 0.1}}),
    ("Adagrad", {}, {3: {"lr_decay": 0.1, "maximize": True}}),
])  # fmt: skip
def test_an_option_is_switched_on_and_its_state_saved(name, options, changes, backend):
    whole, p = start(backend), start(backend)
    make = getattr(optim, name)
    expected = walk(make([whole], lr=0.1, **options), whole, changes.items())
    assert np.isfinite(expected).all()
    optimizer = make([p], lr=0.1, **options)
    walk(optimizer, p, changes.items(), range(5))
    again = make([p], lr=0.1, **options)  # made with the options of the start
    again.load_state_dict(optimizer.state_dict())
    rest = walk(again, p, changes.items(), range(5, 8))
    np.testing.assert_array_equal(rest, expected[5:])


def test_amsgrad_takes_the_largest_from_where_it_was_switched_on(backend):
    p = start(backend)
    path = walk(optim.Adam([p], lr=0.1, betas=(0.0, 0.5)), p, {2: {"amsgrad": True}}.items(), range(5))
    theta, v, most = np.array([1.0, -2.0, 0.5]), 0.0, 0.0
    for t, g in enumerate(GRADIENTS[:5], start=1):
        v = 0.5 * v + 0.5 * g * g
        most = np.maximum(most, v) if t > 2 else most
        theta = theta - 0.1 * g / (np.sqrt((most if t > 2 else v) / (1 - 0.5**t)) + 1e-8)
        np.testing.assert_allclose(path[t - 1], theta, rtol=1e-10)


def test_a_cyclic_schedule_and_momentum_by_hand():
    p = Parameter(np.zeros(3))
    optimizer = optim.SGD([p], lr=0.1)
    optimizer.param_groups[0]["momentum"] = 0.9
    schedule = lr_scheduler.OneCycleLR(optimizer, 1.0, 10)
    for g in GRADIENTS[:8]:
        p.grad = g.copy()
        optimizer.step()
        schedule.step()
    assert np.isfinite(p.numpy()).all()
    assert 0.85 <= optimizer.param_groups[0]["momentum"] <= 0.95


# -- states that do not fit ------------------------------------------------------------------------------------------


def adam(*sizes, groups=1):
    parameters = [Parameter(np.zeros(n)) for n in sizes]
    return optim.Adam([{"params": parameters[i::groups]} for i in range(groups)])


@pytest.mark.parametrize(("ours", "theirs", "match"), [
    (adam(2, 3), adam(2, 3, groups=2), r"has 2 parameter groups, this Adam has 1: build it with the same groups"),
    (adam(2, 3, groups=2), adam(2, 3), r"has 1 parameter groups, this Adam has 2"),
    (adam(2, 3), adam(2, 3, 4), r"belongs to another model: its groups have \[3\] parameters, those of this Adam have \[2\]"),
    (adam(2, 3), adam(2, 4), r"state 'exp_avg': expected shape \(3,\), got \(4,\)"),
    (optim.SGD([Parameter(np.zeros(2))]), adam(2), "SGD has no option 'amsgrad'|SGD has no option 'betas'"),
])  # fmt: skip
def test_a_state_that_does_not_fit_changes_nothing(ours, theirs, match):
    for group in theirs.param_groups:
        group["lr"] = 0.7
        for p in group["params"]:
            p.grad = np.ones(p.shape)
    theirs.step()
    before = ours.state_dict()
    with pytest.raises(ValueError, match=match):
        ours.load_state_dict(theirs.state_dict())
    after = ours.state_dict()
    assert before["param_groups"] == after["param_groups"]
    for name, entry in before["state"].items():
        for key, value in entry.items():
            np.testing.assert_array_equal(after["state"][name][key], value)


def test_options_of_numpy_and_lists_come_back():
    p = Parameter(np.zeros(3))
    first = optim.Adam([p], lr=np.float64(0.1), betas=[np.float32(0.5), 0.9])
    first.param_groups[0].update(lr=np.linspace(0.1, 0.2, 2)[1], betas=[0.25, np.float64(0.75)], eps=np.float32(0.5))
    assert json.loads(json.dumps(first.state_dict()["param_groups"]))[0]["betas"] == [0.25, 0.75]
    second = optim.Adam([p])
    for _ in range(2):  # also into one whose options are of NumPy already
        second.load_state_dict(first.state_dict())
        options = {name: second.param_groups[0][name] for name in ("lr", "betas", "eps")}
        assert options == {"lr": 0.2, "betas": (0.25, 0.75), "eps": 0.5}
        assert type(options["lr"]) is float
        second.param_groups[0].update(lr=np.float32(1), betas=[0.1, 0.1])


def test_a_state_with_momentum_for_an_optimizer_without():
    p = Parameter(np.zeros(3))
    first = optim.SGD([p], lr=0.1, momentum=0.9)
    walk(first, p, steps=range(3))
    second = optim.SGD([p], lr=0.5)
    second.load_state_dict(first.state_dict())
    assert second.param_groups[0]["momentum"] == 0.9
    np.testing.assert_array_equal(
        second.state_dict()["state"]["0"]["momentum_buffer"], first.state_dict()["state"]["0"]["momentum_buffer"]
    )


class Halving(optim.Optimizer):
    """A user's own, with betas among its options."""

    def __init__(self, params, betas):
        super().__init__(params, {"lr": 0.1, "betas": betas})

    def state_names(self, options):
        return []

    def update(self, xp, theta, g, state, clock, options):
        theta *= options["betas"][0]


@pytest.mark.parametrize("betas", [(0.5, 1.0), (-0.1, 0.5), (0.5,), (0.5, 0.5, 0.5), (float("nan"), 0.5)])
def test_betas_are_checked_for_every_optimizer(betas, backend):
    for name in BETAS:
        with pytest.raises(ValueError, match=rf"^{name}: betas must be two numbers in \[0, 1\), got \("):
            getattr(optim, name)([start(backend)], betas=betas)
    with pytest.raises(ValueError, match=r"^Halving: betas must be two numbers in"):
        Halving([start(backend)], betas)


def test_an_optimizer_of_ones_own_with_betas(backend):
    p = start(backend)
    path = walk(Halving([p], (0.5, 0.9)), p, steps=range(2))
    np.testing.assert_array_equal(path[-1], [0.25, -0.5, 0.125])
