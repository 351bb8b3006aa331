"""The record of a pass."""

import json

import numpy as np
import pytest

import xpnet
from xpnet import nn, ops
from xpnet.explore import trace
from xpnet.explore.trace import describe
from xpnet_backends import to_numpy


def small(backend):
    return nn.Sequential(nn.Linear(2, 3, backend=backend), nn.Tanh(), nn.Linear(3, 1, backend=backend))


def squared(y):
    return (y * y).mean()


X = np.array([[0.5, -1.0], [2.0, 0.25]], dtype="float32")


def test_every_op_with_its_layer_its_numbers_and_where_they_came_from(backend):
    model = small(backend)
    found = trace(model, backend.asarray(X), loss=squared)
    assert [(s.layer, s.op) for s in found.steps] == [
        ("0", "linear"), ("1", "tanh"), ("2", "linear"), ("", "multiply"), ("", "reduce_mean"),
    ]  # fmt: skip
    first, second = found.steps[:2]
    assert [(v.argument, v.kind, v.name, v.source) for v in first.inputs] == [
        ("x", "input", "input", None), ("weight", "parameter", "0.weight", None), ("bias", "parameter", "0.bias", None),
    ]  # fmt: skip
    assert [(v.kind, v.source) for v in second.inputs] == [("result", 0)]
    np.testing.assert_allclose(second.outputs[0].array, np.tanh(first.outputs[0].array), rtol=1e-6)
    np.testing.assert_array_equal(second.inputs[0].gradient, first.outputs[0].gradient)
    assert found.steps[-1].gradient_norm == 1
    assert found.loss == pytest.approx(float(np.square(to_numpy(model(backend.asarray(X)).data)).mean()))


def test_gradients_are_those_of_the_tape(backend):
    model = small(backend)
    found = trace(model, backend.asarray(X), loss=squared)
    x = xpnet.tensor(X, backend=backend)
    x.requires_grad = True
    squared(model(x)).backward()
    expected = {"input": x.grad, **{name: p.grad for name, p in model.named_parameters()}}
    assert found.gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        np.testing.assert_array_equal(found.gradients[name], to_numpy(gradient))
        assert found.norms()[name] == pytest.approx(float(np.linalg.norm(to_numpy(gradient))), rel=1e-6)


def test_an_input_used_twice_gets_the_sum_of_its_parts():
    found = trace(nn.Identity(), X, loss=lambda y: (y * y).sum())
    a, b = found.steps[0].inputs
    np.testing.assert_allclose(a.gradient + b.gradient, found.gradients["input"])


def test_the_model_is_left_as_it_was(backend):
    model = nn.Sequential(nn.Linear(2, 3, backend=backend), nn.BatchNorm1d(3, backend=backend))
    optimizer = xpnet.optim.SGD(model.parameters(), lr=0.1)
    x = backend.asarray(X)
    optimizer.zero_grad()
    squared(model(x)).backward()
    grads = {n: p.grad for n, p in model.named_parameters()}
    before = {n: to_numpy(g).copy() for n, g in grads.items()}
    buffers = {n: to_numpy(b).copy() for n, b in model.named_buffers()}
    trace(model, x, loss=lambda y: (y**3).sum())
    for name, p in model.named_parameters():
        assert p.grad is grads[name]
        np.testing.assert_array_equal(to_numpy(p.grad), before[name])
    for name, b in model.named_buffers():
        np.testing.assert_array_equal(to_numpy(b), buffers[name])
    optimizer.zero_grad()
    trace(model, x)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("model", [
    lambda: nn.LSTM(2, 4), lambda: nn.GRU(2, 3),
    lambda: nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.Dropout(0.5), nn.GELU()),
])  # fmt: skip
def test_works_on_any_model(model):
    found = trace(model(), X[None])
    again = json.loads(found.to_json())
    assert len(again["steps"]) == len(found.steps) > 0
    assert again["loss"] == pytest.approx(found.loss)
    assert str(found).count("\n") == len(found.steps) + 1


def test_images_and_class_numbers():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, 3))
    images = np.random.default_rng(0).standard_normal((2, 1, 8, 8)).astype("float32")
    found = trace(model, images, loss=lambda y: nn.CrossEntropyLoss()(y, np.array([0, 2])))
    assert [s.layer for s in found.steps] == ["0", "1", "2", "3", "4", ""]
    target = found.steps[-1].inputs[1]
    assert (target.argument, target.kind, target.gradient) == ("target", "constant", None)
    images_out = found.to_dict(most=10)["steps"][0]["outputs"][0]
    assert images_out["values"] is None
    assert images_out["min"] < images_out["max"]


def test_what_is_not_finite_is_json_too():
    with np.errstate(divide="ignore"):
        found = trace(nn.Identity(), np.array([0.0, 1.0], "float32"), loss=lambda y: (1 / y).sum())
    assert json.loads(found.to_json())["loss"] == "inf"


def test_ops_of_ones_own_and_without_gradient():
    def double(xp, x):
        """``y = 2 x``;  ``dx = 2 dy``."""
        return 2 * x, lambda dy, needs=(True,): (2 * dy,)

    class Twice(nn.Module):
        def forward(self, x):
            return xpnet.apply(double, x)

    (step, _) = trace(Twice(), X).steps
    assert (step.op, step.formula, step.derivative) == ("double", "y = 2 x", "dx = 2 dy")


@pytest.mark.parametrize(("loss", "message"), [
    (lambda y: y, r"one element, got shape \(2, 1\)"), (lambda y: 3.0, "one element, got float"),
    (lambda y: y.detach().sum(), "nothing in the loss has a gradient"),
])  # fmt: skip
def test_a_loss_that_is_none(loss, message, backend):
    with pytest.raises(ValueError, match=message):
        trace(small(backend), backend.asarray(X), loss=loss)


def test_every_op_says_what_it_does():
    for name in ops.__all__:
        formula, _ = describe(getattr(ops, name))
        assert formula, name
        assert "``" not in formula, name
    assert describe(ops.cross_entropy) == (
        "L = −Σ_c w_c q_c ln p_c, p = softmax(logits)",
        "dlogits = (p Σ_c w_c q_c − w q) dL",
    )
    assert describe(ops.mish)[1] == "dy/dx = t + x (1 − t²) σ(x)"
    assert describe(lambda xp, x: None) == ("<lambda>", "")
