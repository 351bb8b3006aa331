"""The record of a pass."""

import json
import re

import numpy as np
import pytest

import xpnet
from tests.ops import attention, table, table_losses
from xpnet import explore, nn, ops
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


LEFT_SIDE = re.compile(r"(?<![^\W\d_])(?:d[^\s,;:=]+|∂[^\s,;:=]+) \+?=")


@pytest.mark.parametrize("name", ops.__all__)
def test_every_op_says_what_it_does_and_what_its_derivatives_are(name):
    formula, derivative = describe(getattr(ops, name))
    assert " = " in formula or " += " in formula, f"{name}: no formula in {formula!r}"
    assert LEFT_SIDE.search(derivative), f"{name}: no derivative in {derivative!r}"
    assert not LEFT_SIDE.search(formula), f"{name}: a derivative in the formula {formula!r}"
    assert "``" not in formula + derivative, name


ROWS = [*table.ROWS, *table_losses.ROWS, *attention.ROWS]
OF_ANY_NUMBER = {"concatenate", "stack"}  # one formula stands for all arguments


@pytest.mark.parametrize("name", sorted({row.op.__name__ for row in ROWS} - OF_ANY_NUMBER))
def test_no_derivative_is_left_out(name):
    """As many are named as the op has arguments with a gradient."""

    def count(row):
        return sum(getattr(a, "dtype", None) == "float64" and i not in row.constant for i, a in enumerate(row.make()))

    found = max((row for row in ROWS if row.op.__name__ == name), key=count)
    named = set(LEFT_SIDE.findall(describe(found.op)[1]))
    assert len(named) >= count(found) > 0, f"{name}: {count(found)} arguments, but derivatives {named}"


@pytest.mark.parametrize(("layer", "shape", "op", "formula", "derivative"), [
    (nn.GELU, (2, 3), "gelu", "y = x Φ(x)", "dy/dx = Φ + x Φ'"),
    (lambda: nn.LSTM(3, 2), (2, 4, 3), "lstm", "c = f c' + i g, h = o tanh c", "dz_i = dc g (i − i²)"),
    (lambda: nn.GRU(3, 2), (2, 4, 3), "gru", "h = (1 − z) n + z h'", "dq = da_n r"),
    (lambda: nn.Conv2d(3, 2, 2), (1, 3, 4, 4), "conv2d", "y[n,o,p,q] = b[o] + Σ_ckl W", "dW = Σ_n dy · columnsᵀ"),
    (lambda: nn.LayerNorm(3), (2, 3), "layer_norm", "y = w x̂ + b", "dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ"),
])  # fmt: skip
def test_formula_and_derivative_of_a_layer(layer, shape, op, formula, derivative):
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    step = next(s for s in trace(layer(), x).steps if s.op == op)
    assert step.formula.startswith(formula)
    assert derivative in step.derivative


def test_formula_and_derivative_of_where():
    class Positive(nn.Module):
        def forward(self, x):
            return xpnet.where(x > 0, x, -x)

    step = next(s for s in trace(Positive(), X).steps if s.op == "where")
    assert step.formula == "y = a where the condition holds, else b"
    assert step.derivative == "da = dy where it holds, db = dy where not, 0 elsewhere"


def test_what_describe_takes_for_a_derivative():
    def op(xp, x):
        """``y = 2 d``, d = x (Somebody et al. 2001): a slope that has no gradient.  ``dx += 2 dy``; ``∂y/∂x = 2``.

        With ``d = x`` the gradient is known.
        """

    assert describe(op) == ("y = 2 d, d = x: a slope that has no gradient", "dx += 2 dy; ∂y/∂x = 2")
    assert describe(ops.mish)[1] == "dy/dx = t + x (1 − t²) σ(x)"
    assert describe(lambda xp, x: None) == ("<lambda>", "")


def test_the_old_names_still_mean_the_same():
    assert (explore.Step, explore.Value) == (explore.TracedOp, explore.TracedValue)
