"""What looks at a model leaves it, its optimizer, its loader and the random state as they were."""

import signal
import threading

import numpy as np
import pytest

import xpnet
from xpnet import nn, optim
from xpnet.data import ArrayDataset, DataLoader, SequenceLoader
from xpnet.data.loading.loader import keep_place
from xpnet.explore import (
    Choice,
    Snapshots,
    activations,
    examine,
    gradcam,
    landscape,
    profile,
    random_search,
    trace,
    variance_by_depth,
)
from xpnet.gradcheck import gradcheck
from xpnet.nn import functional as F
from xpnet.nn.utils import left_as_it_was
from xpnet.tensor import is_grad_enabled
from xpnet.train import Trainer, lr_range_test
from xpnet_backends import random, to_numpy

RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 4)).astype("float32")
Y = RNG.integers(0, 3, 48)


class Situation:
    """A network in the middle of things: gradients, moments, two rates, a frozen part, a begun epoch, drawn numbers."""

    def __init__(self, backend="numpy"):
        xpnet.manual_seed(3)
        self.model = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)
        ).to(backend=backend)
        self.model[1].eval()
        first, rest = [*self.model[0].parameters()], [p for m in [*self.model][1:] for p in m.parameters()]
        groups = [{"params": first, "lr": 0.01}, {"params": rest, "lr": np.float64(0.02)}]
        self.optimizer = optim.Adam(groups, betas=[0.9, 0.99])
        self.loader = DataLoader(ArrayDataset(X, Y), 8, shuffle=True, seed=1, backend=backend)
        self.x, self.y = next(iter(self.loader))
        for _ in range(2):
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(self.x), self.y).backward()
            self.optimizer.step()
        self.model[4].weight.grad = None
        self.model[0].bias.requires_grad = False
        self.loader.load_state_dict({"epoch": 4, "position": 2})
        self.hooks = 0
        self.model[2].register_forward_hook(self.count)
        random.state.next("somebody")

    def count(self, *_):
        self.hooks += 1

    def state(self):
        gradients = [None if p.grad is None else to_numpy(p.grad).tolist() for p in self.model.parameters()]
        moments = self.optimizer.state_dict()
        return {
            "weights": {k: to_numpy(v).tolist() for k, v in self.model.state_dict().items()},
            "arrays": [id(p.data) for p in self.model.parameters()],
            "gradients": gradients,
            "required": [p.requires_grad for p in self.model.parameters()],
            "modes": [m.training for m in self.model.modules()],
            "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in self.model.modules()],
            "dropout": self.model[3].p,
            "options": [{k: v for k, v in g.items() if k not in ("params",)} for g in self.optimizer.param_groups],
            "moments": {
                k: {n: v if n == "step" else to_numpy(v).tolist() for n, v in entry.items()}
                for k, entry in moments["state"].items()
            },
            "loader": self.loader.state_dict(),
            "random": (random.state.seed, random.state.step, dict(random.state._here().draws)),
            "recording": is_grad_enabled(),
        }


def sequences(s):
    loader = SequenceLoader([[1, 2], [3], [4, 5, 6]], [0, 1, 2], 1, shuffle=True, seed=0)
    loader.load_state_dict({"epoch": 2, "position": 1})
    with random.fork_rng(0):
        model = nn.Sequential(nn.Linear(1, 3))
    with keep_place(loader):
        assert len(list(loader)) == 3
    Trainer(Lengths(model), F.cross_entropy, optim.SGD(model.parameters(), lr=0.1)).evaluate(loader)
    assert loader.state_dict() == {"epoch": 2, "position": 1}


class Lengths(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, batch):
        return self.model(batch[1].astype("float32")[:, None])


def loss(output):
    return F.cross_entropy(output, Y[:8])


USES = {
    "lr_range_test": lambda s: lr_range_test(s.model, F.cross_entropy, s.optimizer, s.loader, steps=12),
    "evaluate": lambda s: Trainer(s.model, F.cross_entropy, s.optimizer).evaluate(s.loader),
    "predict": lambda s: Trainer(s.model, F.cross_entropy, s.optimizer).predict(X),
    "examine": lambda s: examine(s.model, F.cross_entropy, s.x, s.y, fresh=lambda: Situation().model),
    "examine, fresh gives the model": lambda s: examine(s.model, F.cross_entropy, s.x, s.y, fresh=lambda: s.model),
    "trace": lambda s: trace(s.model, X[:8], loss=loss),
    "profile": lambda s: profile(s.model, X[:8], loss, repeats=1),
    "along": lambda s: landscape.along(
        s.model, F.cross_entropy, s.loader, landscape.random_direction(s.model), [-1.0, 0.0, 1.0]
    ),
    "snapshots": lambda s: Snapshots(s.model, X[:8]).take(0),
    "variance_by_depth": lambda s: variance_by_depth(s.model, X[:8], loss),
    "activations": lambda s: activations(s.model, X[:8]),
    "summary": lambda s: s.model.summary((2, 4)),
    "tune": lambda s: random_search(lambda _: float(random.state.next("x").step), {"a": Choice(1, 2)}, 2),
    "sequences": sequences,
}


@pytest.mark.parametrize("name", USES)
def test_all_is_as_it_was(name):
    situation = Situation()
    before = situation.state()
    USES[name](situation)
    assert situation.state() == before


class StopError(Exception):
    pass


@pytest.mark.parametrize("error", [StopError, KeyboardInterrupt])
@pytest.mark.parametrize("name", [n for n in USES if n not in ("tune", "sequences")])
def test_after_an_exception_and_after_ctrl_c_too(name, error):
    situation = Situation()
    before = situation.state()

    def stop(*_):
        raise error

    remove = situation.model[5].register_forward_hook(stop)
    with pytest.raises(error):
        USES[name](situation)
    remove()
    assert situation.state() == before


def test_ctrl_c_in_the_middle_of_a_range_test():
    situation = Situation()
    before = situation.state()
    timer = threading.Timer(0.15, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        lr_range_test(situation.model, F.cross_entropy, situation.optimizer, iter(list(situation.loader)), steps=10**7)
    timer.join()
    situation.loader.load_state_dict(before["loader"])  # ``list`` above moved it
    assert situation.state() == before


def test_a_graph_that_was_recorded_before_still_goes_back(backend):
    situation = Situation(backend)
    value = F.cross_entropy(situation.model(situation.x), situation.y)
    lr_range_test(situation.model, F.cross_entropy, situation.optimizer, situation.loader, steps=12)
    value.backward()
    assert situation.model[4].weight.grad is not None


@pytest.mark.parametrize("make", [list, iter, lambda b: (pair for pair in b)], ids=["list", "iterator", "generator"])
def test_a_range_test_over_batches_that_end(make):
    situation = Situation()
    few = list(situation.loader)[:2]
    found = lr_range_test(situation.model, F.cross_entropy, situation.optimizer, make(few), steps=15, stop_at=1e9)
    assert len(found.rates) == 15
    same = lr_range_test(situation.model, F.cross_entropy, situation.optimizer, few, steps=15, stop_at=1e9)
    assert found == same


class OnceOnly:
    """Its passes share one iterator."""

    def __init__(self, batches):
        self.source = (pair for pair in batches)

    def __iter__(self):
        return self.source


def test_a_range_test_without_batches():
    situation = Situation()
    before = situation.state()
    for empty in ([], iter([]), (pair for pair in [])):
        with pytest.raises(ValueError, match="batches gave none"):
            lr_range_test(situation.model, F.cross_entropy, situation.optimizer, empty)
    with pytest.raises(
        ValueError, match="ended after 2 of 10 steps and cannot start over: give a DataLoader or a list"
    ):
        lr_range_test(
            situation.model, F.cross_entropy, situation.optimizer, OnceOnly([(situation.x, situation.y)] * 2), steps=10
        )
    assert situation.state() == before


def test_a_range_test_needs_gradients():
    situation = Situation()
    with xpnet.no_grad(), pytest.raises(ValueError, match=r"call it outside no_grad\(\)"):
        lr_range_test(situation.model, F.cross_entropy, situation.optimizer, situation.loader)
    assert is_grad_enabled()


def test_a_range_test_over_one_batch_and_with_threads():
    situation = Situation()
    one = DataLoader(ArrayDataset(X[:8], Y[:8]), 8, prefetch=2)
    threads = threading.active_count()
    found = lr_range_test(situation.model, F.cross_entropy, situation.optimizer, one, steps=12, stop_at=1e9)
    assert len(found.rates) == 12
    assert one.state_dict() == {"epoch": 0, "position": 0}
    assert threading.active_count() == threads


def test_evaluate_sees_all_of_a_loader_that_stands_in_the_middle():
    situation = Situation()
    trainer = Trainer(situation.model, F.cross_entropy, situation.optimizer)
    assert trainer.evaluate(situation.loader)["loss"] == pytest.approx(trainer.evaluate((X, Y))["loss"], rel=1e-5)


def test_gradcam_leaves_the_gradient_of_its_input():
    class Shortcut(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(16, 2)

        def forward(self, x):
            return self.head((self.conv(x) + x).reshape(len(x.data), -1))

    x = xpnet.tensor(np.ones((2, 1, 4, 4), "float32"), requires_grad=True)
    gradcam(Shortcut(), "conv", x)
    assert x.grad is None


def test_gradcheck_leaves_gradients_and_random_state():
    layer, other = nn.Linear(3, 2, dtype="float64"), nn.Linear(2, 2, dtype="float64")
    x = RNG.standard_normal((4, 3))
    optimizer = optim.SGD([*layer.parameters(), *other.parameters()], lr=0.1)
    other(layer(x)).sum().backward()
    layer.bias.grad = None
    random.state.next("somebody")
    before = [None if p.grad is None else p.grad.copy() for g in optimizer.param_groups for p in g["params"]]
    draws = dict(random.state._here().draws)
    gradcheck(lambda x: other(layer(x)), x, parameters=list(layer.parameters()))
    for p, gradient in zip(optimizer.param_groups[0]["params"], before, strict=True):
        np.testing.assert_array_equal(p.grad, gradient)
    assert random.state._here().draws == draws


def test_buffers_that_are_not_saved_come_back():
    layer = nn.Linear(2, 2)
    layer.register_buffer("seen", np.zeros(2), persistent=False)
    array = layer.seen
    with left_as_it_was(layer):
        layer.seen += 1.0
        layer.seen = layer.seen * 2
    assert layer.seen is array is layer._buffers["seen"]
    assert array.tolist() == [0.0, 0.0]
