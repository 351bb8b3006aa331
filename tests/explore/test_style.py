"""The eyes of style transfer: which layers they look at, and what they say to wrong files."""

import numpy as np
import pytest

import xpnet
from xpnet import explore, nn
from xpnet.interchange import save_npz
from xpnet.models import VGG

PICTURE = np.random.default_rng(0).random((1, 3, 32, 48), dtype=np.float32)


def test_a_random_eye(backend):
    xpnet.manual_seed(0)
    eye = explore.RandomFeatures((4, 6, 8), backend=backend)
    style, content = eye(backend.asarray(PICTURE))
    assert [f.shape for f in style] == [(1, 4, 32, 48), (1, 6, 16, 24), (1, 8, 8, 12)]
    assert content is style[1]
    assert all(np.isfinite(f.numpy()).all() and f.numpy().min() == 0 for f in style)


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """A VGG-11 with the names of torchvision, and a file of its weights."""
    xpnet.manual_seed(0)
    model = VGG(11, 1, small=True, backend="numpy")
    path = tmp_path_factory.mktemp("vgg") / "vgg11.npz"
    state = {name: value for name, value in model.state_dict().items() if name.startswith("features.")}
    save_npz({**state, "classifier.0.weight": np.zeros((2, 2), np.float32)}, path)
    return model, path


def test_vgg_gives_the_layers_of_the_paper(vgg):
    model, path = vgg
    style, content = explore.VGGFeatures(path, backend="numpy")(PICTURE)
    assert [f.shape for f in style] == [
        (1, 64, 32, 48), (1, 128, 16, 24), (1, 256, 8, 12), (1, 512, 4, 6), (1, 512, 2, 3),
    ]  # fmt: skip
    colours = (PICTURE - np.array([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)) / np.array([0.229, 0.224, 0.225]).reshape(
        1, 3, 1, 1
    )
    layers = list(model.features)
    assert [type(layer) for layer in layers[11:15]] == [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU]
    expected = nn.Sequential(*layers[:15])(colours.astype(np.float32)).numpy()  # up to relu4_2
    np.testing.assert_allclose(content.numpy(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(style[0].numpy(), nn.Sequential(*layers[:2])(colours.astype(np.float32)).numpy(), rtol=1e-4,
                               atol=1e-5)  # fmt: skip


def test_an_eye_passes_gradients_to_the_picture(vgg):
    x = xpnet.tensor(PICTURE, requires_grad=True, backend="numpy")
    style, content = explore.VGGFeatures(vgg[1], backend="numpy")(x)
    (content.sum() + style[4].sum()).backward()
    assert np.abs(x.grad).max() > 0


def test_squeezenet(data_dir):
    eye = explore.SqueezeNetFeatures(data_dir / "pretrained/squeezenet_fp16.onnx", backend="numpy")
    style, content = eye(np.repeat(PICTURE, 2, axis=3))
    assert [f.shape[1] for f in style] == [64, 128, 128, 256, 384]
    np.testing.assert_array_equal(content.numpy(), style[3].numpy())


def test_other_networks_are_named(tmp_path, data_dir, vgg):
    with pytest.raises(ValueError, match=r"mnist-8.onnx is not SqueezeNet 1.0: it has no value 'conv1_2'"):
        explore.SqueezeNetFeatures(data_dir / "pretrained/mnist-8.onnx", backend="numpy")
    save_npz({"fc.weight": np.zeros((2, 2), np.float32)}, tmp_path / "other.npz")
    with pytest.raises(ValueError, match=r"other.npz holds no weights of VGG: expected features.0.weight"):
        explore.VGGFeatures(tmp_path / "other.npz", backend="numpy")
    state = {name: value for name, value in vgg[0].state_dict().items() if name.startswith("features.")}
    state["features.0.weight"] = np.zeros((5, 3, 3, 3), np.float32)
    save_npz(state, tmp_path / "thin.npz")
    with pytest.raises(ValueError, match=r"thin.npz, taken for VGG-11: .* 0.weight: expected shape \(64, 3, 3, 3\)"):
        explore.VGGFeatures(tmp_path / "thin.npz", backend="numpy")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ValueError, match=r"text.pth"):
        explore.VGGFeatures(tmp_path / "text.pth", backend="numpy")
    with pytest.raises(FileNotFoundError):
        explore.VGGFeatures(tmp_path / "none.pth", backend="numpy")


def test_the_old_names_still_mean_the_same():
    assert explore.RandomEye is explore.RandomFeatures
    assert explore.SqueezeNetEye is explore.SqueezeNetFeatures
    assert explore.VGGEye is explore.VGGFeatures
