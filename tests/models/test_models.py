"""The models: names and sizes as elsewhere, gradients everywhere, and what pretrained weights score."""

import numpy as np
import pytest

import xpnet
from xpnet import data, models, nn, optim
from xpnet.nn import functional as F
from xpnet.train.trainer import predict
from xpnet_backends import get_backend

# Numbers of parameters: torchvision's own, and those of the papers' tables.
SIZES = [
    (lambda: models.MLP(784, [128], 10), (2, 1, 28, 28), 101_770),
    (lambda: models.LeNet5(), (2, 1, 28, 28), 61_706),
    (lambda: models.LeNet5(image_size=32, dropout=0.1), (2, 1, 32, 32), 61_706),
    (lambda: models.resnet20(), (2, 3, 32, 32), 272_474),
    (lambda: models.resnet20(shortcut="A"), (2, 3, 32, 32), 269_722),
    (lambda: models.resnet20(shortcut="A", in_channels=1), (2, 1, 9, 7), 269_434),
    (lambda: models.resnet32(shortcut="A"), (1, 3, 8, 8), 464_154),
    (lambda: models.resnet44(shortcut="A"), (1, 3, 8, 8), 658_586),
    (lambda: models.resnet56(shortcut="A"), (1, 3, 8, 8), 853_018),
    (lambda: models.resnet18(shortcut="A"), (1, 3, 64, 64), 11_515_688),
    (lambda: models.resnet18(), (1, 3, 64, 64), 11_689_512),
    (lambda: models.resnet34(), (2, 3, 32, 32), 21_797_672),
    (lambda: models.resnet50(), (2, 3, 32, 32), 25_557_032),
    (lambda: models.SmallAlexNet(), (2, 3, 32, 32), 3_044_170),
    (lambda: models.VGG(11, 10, small=True, batch_norm=True), (2, 3, 32, 32), 9_231_114),
]


@pytest.mark.parametrize(("make", "shape", "size"), SIZES)
def test_sizes_and_gradients(make, shape, size):
    model = make()
    assert sum(p.size for p in model.parameters()) == size
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    logits = model(x)
    assert logits.shape[0] == shape[0]
    assert logits.dtype == np.float32
    F.cross_entropy(logits, np.zeros(shape[0], int)).backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert np.isfinite(p.grad).all(), name


@pytest.mark.parametrize(("make", "size"), [
    (lambda: models.AlexNet(), 61_100_840), (lambda: models.VGG(11), 132_863_336),
])  # fmt: skip
def test_large_models_have_torchvision_s_sizes(make, size, monkeypatch):
    monkeypatch.setattr(nn.init, "_draw", lambda: Zeros())  # drawing a hundred million numbers takes seconds
    assert sum(p.size for p in make().parameters()) == size


class Zeros:
    """A generator that draws nothing."""

    def uniform(self, low, high, shape):
        return np.broadcast_to(0.0, shape)

    def normal(self, mean, std, shape):
        return np.broadcast_to(0.0, shape)


def test_state_dict_names_are_torchvision_s(monkeypatch):
    monkeypatch.setattr(nn.init, "_draw", lambda: Zeros())
    keys = set(models.resnet18().state_dict())
    expected = {"conv1.weight", "bn1.running_var", "layer2.0.downsample.0.weight", "layer4.1.bn2.bias", "fc.weight"}
    assert expected <= keys
    assert len(keys) == 122
    assert "layer1.0.downsample.0.weight" not in keys
    assert {"features.0.weight", "features.28.bias", "classifier.6.weight"} <= set(models.VGG(16).state_dict())


def test_a_small_network_learns(backend):
    xpnet.manual_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 32)
    x = rng.standard_normal((32, 1, 28, 28)).astype("float32") * 0.3
    x[labels == 1, :, 8:20, 8:20] += 1
    model = models.LeNet5(2, backend=backend)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    inputs, targets = backend.asarray(x), backend.asarray(labels)
    losses = []
    for _ in range(12):
        loss = F.cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_errors():
    with pytest.raises(ValueError, match="28x28 or 32x32, got 30x30"):
        models.LeNet5(image_size=30)
    with pytest.raises(ValueError, match="depth must be one of 11, 13, 16, 19, got 12"):
        models.VGG(12)
    with pytest.raises(ValueError, match="stem must be 'imagenet' or 'cifar', got 'tiny'"):
        models.resnet18(stem="tiny")


def test_the_shortcut_without_parameters():
    model = models.resnet20(shortcut="A", width=4)
    keys = set(model.state_dict())
    assert {"conv1.weight", "layer1.0.conv1.weight", "layer3.2.bn2.running_var", "linear.weight"} <= keys
    assert not [key for key in keys if "downsample" in key or key.startswith("fc")]
    assert "fc.weight" in models.resnet18(shortcut="A", width=4).state_dict()
    x = np.arange(2 * 4 * 5 * 3, dtype="float32").reshape(2, 4, 5, 3)
    y = model.layer2[0].downsample(x).numpy()
    np.testing.assert_array_equal(y[:, 2:6], x[:, :, ::2, ::2])
    assert not y[:, [0, 1, 6, 7]].any()
    with pytest.raises(ValueError, match=r"shortcut must be 'A' \(zeros\) or 'B' .*, got 'C'"):
        models.resnet20(shortcut="C")


def test_pretrained_lenet_scores_what_it_scored_elsewhere(data_dir):
    path = data_dir / "pretrained/lenet5_mnist.npz"
    if not path.exists():
        pytest.skip("XPNET_DATA has no pretrained/lenet5_mnist.npz")
    names = {"c1": "conv1", "c3": "conv2", "c5": "conv3", "f6": "fc1", "f7": "fc2"}
    state = {}
    with np.load(path, allow_pickle=False) as weights:
        for key in weights.files:
            _, layer, kind = key.split(".")
            state[f"{names[layer]}.{kind}"] = weights[key]
    model = models.LeNet5()
    model.load_state_dict(state)
    _, test = data.load_mnist(data_dir)
    logits = predict(model, data.to_float(test.inputs)[:, None], get_backend("numpy"))
    assert (logits.argmax(axis=1) == test.targets).mean() == pytest.approx(0.9861, abs=1e-9)
