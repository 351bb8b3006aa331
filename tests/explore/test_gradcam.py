from __future__ import annotations

import numpy as np
import pytest

import xpnet
from xpnet import explore, nn
from xpnet.models import LeNet5, resnet20


def network():
    """One convolution that copies its input, a mean over places, and weights that are known."""
    model = nn.Sequential(
        nn.Conv2d(2, 2, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)
    )
    xp = model[0].weight.backend.xp
    with xpnet.no_grad():
        model[0].weight.copy_(xp.eye(2, dtype="float32")[:, :, None, None])
        model[4].weight.copy_(xp.asarray([[1.0, -2.0], [0.5, 3.0], [-1.0, -1.0]], "float32"))
    return model


def test_the_map_is_the_formula(backend):
    a = np.random.default_rng(0).random((2, 2, 4, 4), dtype=np.float32)
    found = backend.to_numpy(explore.gradcam(network(), "1", backend.asarray(a), target=[0, 1]))
    weights = np.array([[1.0, -2.0], [0.5, 3.0]]) / 16  # ∂y_c/∂A is the class's weight, spread over 16 places
    expected = np.maximum((weights[:, :, None, None] * a).sum(axis=1), 0)
    np.testing.assert_allclose(found, expected / expected.max(axis=(1, 2), keepdims=True), rtol=2e-5, atol=1e-6)


def test_a_class_that_nothing_speaks_for_has_an_empty_map(backend):
    a = backend.asarray(np.ones((1, 2, 4, 4), "float32"))
    assert float(explore.gradcam(network(), "1", a, target=2).max()) == 0.0


def test_it_is_enlarged_and_the_model_stays_as_it_was(backend):
    xpnet.manual_seed(0)
    model = LeNet5()
    model[0].bias.requires_grad = False
    x = backend.asarray(np.random.default_rng(0).random((3, 1, 28, 28), dtype=np.float32))
    before = {name: backend.to_numpy(value).copy() for name, value in model.state_dict().items()}
    heat = explore.gradcam(model, "relu2", x)
    assert heat.shape == (3, 28, 28)
    assert float(heat.min()) >= 0.0
    assert float(heat.max()) <= 1.0
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert [p.requires_grad for p in model.parameters()] == [True, False, *[True] * 8]
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(backend.to_numpy(value), before[name])
    np.testing.assert_array_equal(backend.to_numpy(explore.gradcam(model, "relu2", x)), backend.to_numpy(heat))


def test_a_residual_network_in_training_mode_keeps_its_statistics():
    xpnet.manual_seed(0)
    model = resnet20()
    x = np.random.default_rng(0).random((2, 3, 32, 32), dtype=np.float32)
    mean = model.bn1.running_mean.copy()
    both = explore.gradcam(model, "layer3", x, target=3)
    np.testing.assert_allclose(both[:1], explore.gradcam(model, "layer3", x[:1], target=3), atol=1e-5)
    np.testing.assert_array_equal(model.bn1.running_mean, mean)
    assert explore.gradcam(model, "layer2.1.conv1", x, target=3).shape == (2, 32, 32)


def test_wrong_use():
    model, x = LeNet5(), np.zeros((2, 1, 28, 28), "float32")
    with pytest.raises(ValueError, match="LeNet5 has no layer 'conv9'; its layers are conv1, relu1, pool1"):
        explore.gradcam(model, "conv9", x)
    with pytest.raises(ValueError, match=r"'fc1' gives an output of shape \(2, 84\), not maps"):
        explore.gradcam(model, "fc1", x)
    with pytest.raises(ValueError, match=r"the class must lie in 0\.\.9, got 10"):
        explore.gradcam(model, "relu2", x, target=10)
    with xpnet.no_grad(), pytest.raises(ValueError, match="outside no_grad"):
        explore.gradcam(model, "relu2", x)
    maps = nn.Sequential(nn.Conv2d(1, 2, 3))
    with pytest.raises(ValueError, match=r"gives logits \(N, C\), got an output of shape \(2, 2, 26, 26\)"):
        explore.gradcam(maps, "0", x)
    assert all(p.requires_grad for p in model.parameters())


def test_activations(backend):
    xpnet.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Sequential(nn.ReLU()))
    x = backend.asarray(np.ones((2, 3), "float32"))
    found = explore.activations(model, x)
    assert list(found) == ["0", "1", "2.0"]
    assert found["0"] is found["1"] or bool((found["0"] == found["1"]).all())  # dropout is off
    assert list(explore.activations(model, x, ["2"])) == ["2"]
    assert model[1].training
    model[1].eval()
    explore.activations(model, x)
    assert not model[1].training
    with pytest.raises(ValueError, match="has no layer '7'"):
        explore.activations(model, x, ["7"])
