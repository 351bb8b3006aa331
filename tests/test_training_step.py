"""A whole training step on the stand-in: no transfer and no synchronisation but the loss when it is shown."""

import contextvars
import threading

import numpy as np
import pytest

import xpnet
from tests.support.standin import counters, no_traffic
from xpnet import models, nn, optim
from xpnet.nn import functional as F
from xpnet_backends import get_backend

OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-4),
    "RMSprop": lambda p: optim.RMSprop(p, lr=1e-3),
    "Adam": lambda p: optim.Adam(p, lr=1e-3),
    "AdamW": lambda p: optim.AdamW(p, lr=1e-3),
}


def setup(name, optimizer, model=None):
    backend = get_backend(name)
    xpnet.manual_seed(0)
    with xpnet.use(backend=backend):
        model = (model or (lambda: models.MLP(12, [16, 8], 4, dropout=0.25)))()
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((20, 12)).astype("float32"), rng.integers(0, 4, 20)
    return model, OPTIMIZERS[optimizer](model.parameters()), backend.asarray(x), backend.asarray(labels)


def step(model, optimizer, x, labels):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), labels, label_smoothing=0.1)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_makes_no_transfer_and_no_synchronisation(optimizer):
    parts = setup("standin", optimizer)
    step(*parts)
    with no_traffic():
        loss = step(*parts)
    counters.reset()
    assert np.isfinite(loss.item())
    assert counters.syncs == 1


def test_a_convolutional_step_neither():
    standin = get_backend("standin")
    xpnet.manual_seed(0)
    with xpnet.use(backend=standin):
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.2),
            nn.Conv2d(4, 8, 3), nn.GroupNorm(2, 8), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3),
        )  # fmt: skip
    optimizer = optim.Adam(model.parameters())
    rng = np.random.default_rng(0)
    x, labels = standin.asarray(rng.standard_normal((6, 1, 8, 8)).astype("f")), standin.asarray(rng.integers(0, 3, 6))
    step(model, optimizer, x, labels)
    with no_traffic():
        step(model, optimizer, x, labels)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_twenty_steps_are_the_same_on_both_backends(optimizer):
    states = []
    for name in ("numpy", "standin"):
        parts = setup(name, optimizer)
        for _ in range(20):
            step(*parts)
        states.append({k: get_backend(name).to_numpy(v) for k, v in parts[0].state_dict().items()})
    for key, value in states[0].items():
        np.testing.assert_allclose(states[1][key], value, rtol=1e-4, atol=1e-6, err_msg=key)


def test_two_backends_are_alive_in_one_process():
    first, second = setup("numpy", "Adam"), setup("standin", "Adam")
    for _ in range(3):
        a, b = step(*first), step(*second)
    assert a.backend.name == "numpy"
    assert b.backend.name == "standin"
    assert np.isfinite([a.item(), b.item()]).all()


def test_a_thread_carries_its_context():
    found = []
    with xpnet.use(backend="standin"):
        context = contextvars.copy_context()
    for run in (context.run, lambda f: f()):
        thread = threading.Thread(target=run, args=(lambda: found.append(nn.Linear(2, 2).weight.backend.name),))
        thread.start()
        thread.join()
    assert found == ["standin", "numpy"]
