"""Time and memory of a step: what is counted where, and that nothing is left changed."""

import numpy as np
import pytest

import xpnet
from tests.support.standin import counters
from xpnet import nn, plot
from xpnet.explore import Cost, Profile, profile
from xpnet.nn import functional as F
from xpnet.nn.recording import Recording
from xpnet_backends import random


def batch(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def net():
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Sigmoid(), nn.Dropout(0.5), nn.Linear(8, 3))


def test_every_op_with_its_layer(backend):
    labels = backend.asarray(np.zeros(4, int))
    found = profile(net(), batch(4, 6), lambda y: F.cross_entropy(y, labels), repeats=2)
    assert [(c.layer, c.kind, c.op) for c in found.costs] == [
        ("0", "Linear", "linear"), ("1", "BatchNorm1d", "batch_norm"), ("2", "Sigmoid", "sigmoid"),
        ("3", "Dropout", "dropout"), ("4", "Linear", "linear"), ("(loss)", "", "cross_entropy"),
    ]  # fmt: skip
    assert all(c.calls == 1 and c.forward > 0 and c.backward > 0 for c in found.costs)
    assert found.backend == backend.name
    if backend.name == "standin":
        assert counters.syncs >= 3 * (6 + 6), "the device is waited for after every op"
    total = found.total
    assert total.seconds == pytest.approx(sum(c.seconds for c in found.costs))
    assert [c.layer for c in found.layers()] == ["0", "1", "2", "3", "4", "(loss)"]
    by_op = found.ops()
    assert {c.op: c.calls for c in by_op}["linear"] == 2
    assert [c.seconds for c in by_op] == sorted((c.seconds for c in by_op), reverse=True)


def test_memory_is_counted_once_and_without_weights_and_batch():
    x = batch(50, 6)
    model = nn.Sequential(nn.Linear(6, 8), nn.Sigmoid(), nn.Linear(8, 3))
    kept = {c.layer: c.kept for c in profile(model, x, lambda y: (y * y).mean(), repeats=1).costs}
    assert kept["0"] == 0, "its input is the batch, the rest its weights"
    y = 50 * 8 * 4  # and what it takes to begin where a line of the cache does
    assert y <= kept["1"] <= y + 64, "y, from which the slope of the sigmoid is computed"
    assert kept["2"] == 0, "its input is what the sigmoid holds already"
    squares = [c for c in profile(model, x, lambda y: (y * y).mean(), repeats=1).costs if c.op == "multiply"]
    assert [c.kept for c in squares] == [50 * 3 * 4]


def test_nothing_is_changed(backend):
    model = net()
    before = {k: backend.to_numpy(v) for k, v in model.state_dict().items()}
    random.state.set_step(4)
    stream = random.state.next("x")
    profile(model, batch(4, 6), repeats=1)
    assert random.state.step == 4
    assert random.state.next("x").step == stream.step
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(backend.to_numpy(value), before[key])
    assert all(p.grad is None for p in model.parameters())
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_the_model_s_own_ops_states_and_tuples_of_inputs():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(3, 4, batch_first=True)

        def forward(self, inputs):
            x, scale = inputs
            return self.rnn(x)[0][:, -1] * scale

    found = profile(Last(), (batch(2, 5, 3), 2.0), repeats=1)
    assert {c.layer: c.kind for c in found.layers()} == {"rnn": "LSTM", "(model)": "Last", "(loss)": ""}
    assert "(model)" in found.table()
    assert profile(nn.GRU(3, 4), batch(5, 2, 3), repeats=1).layers()[0].kind == "GRU"


def test_a_layer_used_twice_and_frozen_layers():
    layer = nn.Linear(4, 4)
    found = profile(nn.Sequential(layer, nn.Tanh(), layer), batch(2, 4), repeats=1)
    assert {c.layer: c.calls for c in found.costs}["0"] == 2
    frozen = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    frozen[0].requires_grad_(False)
    costs = {c.layer: c for c in profile(frozen, batch(2, 4), repeats=1).costs}
    assert costs["0"].backward == 0.0 < costs["0"].forward


def test_wrong_use():
    with pytest.raises(ValueError, match="repeats >= 1 and warmup >= 0, got 0 and 1"):
        profile(net(), batch(4, 6), repeats=0)
    with pytest.raises(ValueError, match="nothing to differentiate"):
        profile(nn.ReLU(), batch(4, 6))
    with pytest.raises(ValueError, match="layer '0'"):
        profile(net(), batch(4, 5))
    with pytest.raises(ValueError, match="by must be one of layer, op, both, got 'x'"):
        profile(net(), batch(4, 6), repeats=1).table("x")


def made(layers):
    costs = [Cost(f"layers.{i}", "Linear", "linear", 1, 1e-3 * (i + 1), 2e-3, 1 << 20) for i in range(layers)]
    return Profile(costs, "numpy", 3)


def test_the_table():
    lines = str(made(2)).splitlines()
    assert lines[0].split("  ")[0] == "layer"
    assert lines[2].split() == ["layers.0", "Linear", "1", "1.000", "2.000", "42.9%", "1.000"]
    assert lines[-1].split() == ["total", "2", "3.000", "4.000", "100.0%", "2.000"]
    assert made(2).table("both").splitlines()[0].split()[:3] == ["layer", "type", "op"]


def test_the_picture(tmp_path):
    figure = plot.profile(made(3))
    times, memory = figure.axes
    assert [label.get_text() for label in times.get_yticklabels()] == [f"layers.{i}  Linear" for i in range(3)]
    assert [bar.get_width() for bar in times.patches] == pytest.approx([1, 2, 3, 2, 2, 2])
    assert [bar.get_width() for bar in memory.patches] == [1, 1, 1]
    many = plot.profile(made(40))
    names = [label.get_text() for label in many.axes[0].get_yticklabels()]
    assert len(names) == 24
    assert names[-1] == "17 others"
    assert names[0] == "layers.17  Linear", "the dearest, in order"
    assert [label.get_text() for label in plot.profile(made(3), "op").axes[0].get_yticklabels()] == ["linear"]
    plot.save(many, tmp_path / "p.png")
    with pytest.raises(ValueError, match='by must be "layer" or "op"'):
        plot.profile(made(3), "both")


class Nested(nn.Module):
    """An op of its own before and after the same layer, which is used twice."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(6, 6))

    def forward(self, x):
        return (self.inner(self.inner(xpnet.as_tensor(x) * 2.0)) + 1.0).exp()


def test_ops_of_the_model_itself_and_of_a_layer_used_twice(backend):
    found = profile(Nested(), batch(4, 6), lambda y: y.sum(), repeats=1)
    calls = {(c.layer, c.op): c.calls for c in found.costs}
    assert calls == {
        ("(model)", "multiply"): 1, ("inner.0", "linear"): 2, ("(model)", "add"): 1, ("(model)", "exp"): 1,
        ("(loss)", "reduce_sum"): 1,
    }  # fmt: skip


def test_which_layer_is_at_work(backend):
    seen = []
    model = Nested()
    model.inner[0].register_forward_hook(lambda *about: seen.append(recording.layer_at_work))
    with Recording(model) as recording:
        assert recording.layer_at_work is None
        model(xpnet.tensor(batch(4, 6)))
        assert recording.layer_at_work is None
    assert seen == ["inner.0", "inner.0"]
