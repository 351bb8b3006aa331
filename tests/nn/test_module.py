"""Module: what belongs to it, its state, its errors; containers, hooks, the summary."""

import copy
from collections import OrderedDict

import numpy as np
import pytest

import xpnet
from xpnet import nn
from xpnet.nn import Parameter


def net():
    xpnet.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.ReLU(), nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2)))


def test_names_of_everything():
    model = net()
    assert [name for name, _ in model.named_parameters()] == ["1.weight", "1.bias", "3.1.weight", "3.1.bias"]
    assert [name for name, _ in model.named_modules()] == ["", "0", "1", "2", "3", "3.0", "3.1"]
    assert len(model) == 4
    assert isinstance(model[2], nn.ReLU)
    assert len(model[1:3]) == 2
    assert list(model.state_dict()) == ["1.weight", "1.bias", "3.1.weight", "3.1.bias"]
    named = nn.Sequential(OrderedDict(first=nn.Linear(2, 2), second=nn.ReLU()))
    assert list(named.state_dict()) == ["first.weight", "first.bias"]
    assert "(first): Linear(in_features=2, out_features=2, bias=True)" in repr(named)


def test_module_list_and_append():
    layers = nn.ModuleList([nn.Linear(2, 2)])
    layers.append(nn.ReLU()).extend([nn.Linear(2, 1)])
    assert len(layers) == 3
    assert isinstance(layers[2], nn.Linear)
    assert [type(m).__name__ for m in layers] == ["Linear", "ReLU", "Linear"]
    assert len(list(layers.parameters())) == 4
    assert len(nn.Sequential(nn.ReLU()).append(nn.Tanh())) == 2
    with pytest.raises(TypeError, match="expected a Module, got 3"):
        nn.Sequential(3)


def test_tied_parameters_count_once_and_have_one_name():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    x = np.ones((2, 3), "f")
    model(x).sum().backward()
    assert model[0].weight.grad.shape == (3, 3)
    assert set(model.state_dict()) == {"0.weight", "0.bias", "1.weight", "1.bias"}
    model.load_state_dict(model.state_dict())
    assert model[1].weight is model[0].weight


def test_state_dict_is_a_copy_and_comes_back(backend):
    model = net().to(backend=backend)
    saved = model.state_dict()
    before = backend.to_numpy(saved["1.weight"]).copy()
    with xpnet.no_grad():
        model[1].weight[0] = 7.0
    np.testing.assert_array_equal(backend.to_numpy(saved["1.weight"]), before)
    model.load_state_dict({key: backend.to_numpy(value) for key, value in saved.items()})
    np.testing.assert_array_equal(backend.to_numpy(model[1].weight.data), before)


def test_a_state_dict_that_does_not_fit_lists_everything_and_changes_nothing():
    model = net()
    before = model.state_dict()
    bad = {"1.weight": np.zeros((2, 2)), "3.1.weight": np.zeros((2, 4)), "other": np.zeros(1)}
    with pytest.raises(ValueError, match="does not fit Sequential") as caught:
        model.load_state_dict(bad)
    lines = str(caught.value).splitlines()[1:]
    assert [line.strip() for line in lines] == [
        "missing: 1.bias", "missing: 3.1.bias", "unexpected: other", "1.weight: expected shape (4, 6), got (2, 2)",
    ]  # fmt: skip
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    model.load_state_dict({"1.bias": np.ones(4), "other": np.zeros(1)}, strict=False)
    assert model[1].bias.tolist() == [1, 1, 1, 1]


def test_modes_gradients_and_freezing():
    model = net()
    model.eval()
    assert not any(m.training for m in model.modules())
    model.train()
    model(np.ones((2, 6), "f")).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    model.requires_grad_(False)
    assert not model(np.ones((2, 6), "f")).requires_grad


def test_to_and_deepcopy():
    model = net()
    parameters = list(model.parameters())
    model.to(dtype="float64")
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    assert model(np.ones((1, 6))).dtype == "float64"
    other = copy.deepcopy(model)
    with xpnet.no_grad():
        other[1].weight[0] = 9.0
    assert (model[1].weight.numpy() != 9).all()
    assert [name for name, _ in other.named_parameters()] == [name for name, _ in model.named_parameters()]


class Custom(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = Parameter(np.array([2.0]))
        self.register_parameter("shift", None)
        self.register_buffer("mean", np.array([1.0]))
        self.register_buffer("scratch", np.array([0.0]), persistent=False)
        self.name = "custom"

    def forward(self, x):
        return (xpnet.as_tensor(x) - self.mean) * self.scale


def test_a_module_of_one_s_own():
    module = Custom()
    assert module(np.array([3.0])).tolist() == [4]
    assert list(module.state_dict()) == ["scale", "mean"]
    assert [name for name, _ in module.named_buffers()] == ["mean", "scratch"]
    module.mean = np.array([2.0])
    assert dict(module.named_buffers())["mean"].tolist() == [2]
    module.load_state_dict({"scale": np.array([5.0]), "mean": np.array([0.5])})
    assert module.mean.tolist() == [0.5]
    module.shift = Parameter(np.array([1.0]))
    assert "shift" in dict(module.named_parameters())
    del module.shift
    assert "shift" not in dict(module.named_parameters())
    module.to(backend="standin")
    assert xpnet.as_tensor(module.mean).backend.name == "standin"


class Forgetful(nn.Module):
    def __init__(self):
        self.layer = nn.ReLU()


@pytest.mark.parametrize(("make", "error", "match"), [
    (Forgetful, AttributeError, r"call super\(\).__init__\(\) before assigning Forgetful.layer"),
    (lambda: setattr(nn.Linear(2, 2), "weight", np.zeros((2, 2))), TypeError, "Linear.weight is a parameter: assign a Parameter"),
    (lambda: nn.Module()(1), NotImplementedError, r"Module needs a forward\(\) method"),
    (lambda: nn.Linear(0, 2), ValueError, "in_features must be a positive whole number, got 0"),
    (lambda: nn.Linear(2, 2, dtype="int64"), TypeError, "parameters are floating-point numbers, got dtype int64"),
    (lambda: nn.Dropout(1.5), ValueError, "Dropout must be a probability between 0 and 1, got 1.5"),
    (lambda: nn.MSELoss("avg"), ValueError, "reduction must be 'mean', 'sum' or 'none', got 'avg'"),
])  # fmt: skip
def test_wrong_use(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_errors_carry_the_layer_s_path():
    model = net()
    with pytest.raises(ValueError, match=r"^layer '1' \(Linear\): expected input of shape \(..., 6\), got \(3, 5\)$"):
        model(np.zeros((3, 5), "f"))
    with pytest.raises(TypeError, match=r"^layer '1' \(Linear\): linear: two floating dtypes"):
        model(np.zeros((3, 6)))
    with pytest.raises(TypeError, match=r"layer '1' \(Linear\): linear: expected floating-point input, got int64"):
        model(np.zeros((3, 6), "int64"))
    with pytest.raises(xpnet.BackendError, match=r"layer '1' \(Linear\): linear: arrays of two backends"):
        model(xpnet.get_backend("standin").asarray(np.zeros((3, 6), "f")))
    outer = nn.Sequential(nn.Identity(), model)
    with pytest.raises(ValueError, match=r"^layer '1.1' \(Linear\)"):
        outer(np.zeros((3, 5), "f"))
    with pytest.raises(ValueError, match=r"got \(2, 3, 2\): put nn.Flatten\(\) in front"):
        nn.Linear(6, 1)(np.zeros((2, 3, 2), "f"))


def test_hooks_see_and_may_replace_the_output():
    layer, seen = nn.Linear(2, 2), []
    remove = layer.register_forward_hook(lambda module, inputs, y: seen.append(inputs[0].shape))
    layer.register_forward_hook(lambda module, inputs, y: y * 0)
    assert layer(np.ones((1, 2), "f")).tolist() == [[0, 0]]
    remove()
    layer(np.ones((3, 2), "f"))
    assert seen == [(1, 2)]


def test_summary():
    model = net()
    text = model.summary((5, 2, 3))
    assert "1      Linear   (5, 4)                28" in text
    assert text.splitlines()[-1] == "total 38 parameters (38 trainable), 0.00 MiB"
    assert repr(text) == text
    assert "output shape" not in model.summary()
    assert all(m.training for m in model.modules())
    model[1].weight.requires_grad = False
    assert "(14 trainable)" in model.summary()


def test_apply_visits_children_first():
    seen = []
    net().apply(lambda module: seen.append(type(module).__name__))
    assert seen == ["Flatten", "Linear", "ReLU", "Dropout", "Linear", "Sequential", "Sequential"]
