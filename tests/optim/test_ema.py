"""The average of weights."""

import numpy as np
import pytest

import xpnet
from xpnet import nn, optim
from xpnet.optim import EMA


def layer(backend="numpy"):
    xpnet.manual_seed(0)
    return nn.Linear(3, 2, backend=backend)


def walk(model, ema, steps=30):
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(steps):
        with xpnet.no_grad():
            for p in model.parameters():
                p[...] = p.backend.asarray(rng.standard_normal(p.shape).astype("float32"))
        ema.update()
        seen.append(model.weight.numpy().copy())
    return seen


@pytest.mark.parametrize("warmup", [True, False])
def test_is_the_recursion(warmup, backend):
    model = layer(backend)
    expected = model.weight.numpy().astype("float64")
    ema = EMA(model.named_parameters(), 0.9, warmup=warmup)
    for t, w in enumerate(walk(model, ema), start=1):
        beta = min(0.9, (1 + t) / (10 + t)) if warmup else 0.9
        expected = beta * expected + (1 - beta) * w
    np.testing.assert_allclose(backend.to_numpy(ema.averages["weight"]), expected, rtol=1e-4, atol=1e-6)


def test_applied_lends_the_averages_and_gives_back():
    model = layer()
    optimizer = optim.SGD(model.parameters(), lr=0.1)  # parameters are views of its buffer
    ema = EMA(model.named_parameters(), 0.9)
    walk(model, ema)
    own = model.weight.numpy().copy()

    def use():
        np.testing.assert_array_equal(model.weight.numpy(), ema.averages["weight"])
        raise KeyError

    with pytest.raises(KeyError), ema.applied():
        use()
    np.testing.assert_array_equal(model.weight.numpy(), own)
    ema.copy_to_model()
    np.testing.assert_array_equal(model.weight.numpy(), ema.averages["weight"])
    assert optimizer.param_groups[0]["params"][0] is model.weight


def test_state_goes_round(backend):
    model = layer(backend)
    ema, other = EMA(model.named_parameters()), EMA(model.named_parameters())
    walk(model, ema, 3)
    other.load_state_dict(ema.state_dict())
    walk(model, ema, 2), walk(model, other, 2)
    assert other.steps == ema.steps == 5
    np.testing.assert_array_equal(backend.to_numpy(other.averages["bias"]), backend.to_numpy(ema.averages["bias"]))


def test_follows_the_model():
    model = layer()
    ema = EMA(model.named_parameters())
    model.to(backend="standin", dtype="float64")
    ema.update()
    assert ema.averages["weight"].dtype == np.float64
    assert type(ema.averages["weight"]) is type(model.weight.data)


def test_errors():
    with pytest.raises(ValueError, match=r"EMA: decay must be in \[0, 1\), got 1.0"):
        EMA(layer().parameters(), 1.0)
    with pytest.raises(ValueError, match="EMA got no parameters"):
        EMA([])
    ema = EMA(layer().named_parameters())
    with pytest.raises(
        ValueError, match=r"averages belong to other parameters: expected \['bias', 'weight'\], got \['x'\]"
    ):
        ema.load_state_dict({"steps": 1, "averages": {"x": np.zeros(2)}})
    with pytest.raises(ValueError, match=r"average 'bias': expected shape \(2,\), got \(3,\)"):
        ema.load_state_dict({"steps": 1, "averages": {"weight": np.zeros((2, 3)), "bias": np.zeros(3)}})
