"""Where MNIST is found, and what happens where it is not."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from tests.support.mirror import Mirror
from xpnet.data import DataError, DataUnavailableError, download, load_fashion_mnist, load_mnist, mnist, write_idx

NAMES = [name.removesuffix(".gz") for name in mnist.MNIST.files]


@pytest.fixture(autouse=True)
def _no_other_place(tmp_path, monkeypatch):
    """An empty cache, and no data folder."""
    monkeypatch.setenv("XPNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XPNET_DATA", raising=False)


def write_set(folder, suffix="", n=(5, 3), labels=None):
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", n[0]), ("t10k", n[1])):
        write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", np.full((count, 28, 28), 7, np.uint8))
        values = np.arange(count) if labels is None else labels
        write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", values.astype(np.uint8))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("sub", [".", "mnist", "MNIST/raw"])
def test_in_a_folder_or_below_its_parent_packed_or_raw(tmp_path, suffix, sub):
    write_set(tmp_path / "data" / sub, suffix)
    train, test = load_mnist(tmp_path / "data")
    assert train.inputs.shape == (5, 28, 28)
    assert train.inputs.dtype == np.uint8
    assert train.targets.dtype == np.int64
    assert train.classes == tuple("0123456789")
    assert len(test) == 3


def test_the_environment_names_a_folder(tmp_path, monkeypatch):
    write_set(tmp_path / "data/mnist")
    monkeypatch.setenv("XPNET_DATA", str(tmp_path / "data"))
    assert len(load_mnist(download=False)[0]) == 5


def test_fashion_mnist_style_data_work_unchanged(tmp_path):
    write_set(tmp_path / "fashion-mnist", ".gz")
    train, _ = load_fashion_mnist(tmp_path)
    assert train.classes[9] == "Ankle boot"
    assert train.name == "Fashion-MNIST"


def test_files_that_do_not_fit_each_other(tmp_path):
    write_set(tmp_path)
    labels = tmp_path / "train-labels-idx1-ubyte"
    write_idx(labels, np.arange(4).astype(np.uint8))
    with pytest.raises(DataError, match=r"has 5 images, .* 4 labels"):
        load_mnist(tmp_path)
    write_idx(labels, np.full(5, 12, np.uint8))
    with pytest.raises(DataError, match=r"label 12 is out of range 0\.\.9"):
        load_mnist(tmp_path)
    write_idx(labels, np.zeros((5, 2), np.uint8))
    with pytest.raises(DataError, match="expected labels"):
        load_mnist(tmp_path)
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((5, 28, 28), np.float32))
    with pytest.raises(DataError, match="expected images, uint8"):
        load_mnist(tmp_path)


def test_a_folder_without_them_is_an_error_that_lists_them(tmp_path):
    write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataUnavailableError, match=r"missing t10k-labels-idx1-ubyte.gz, with or without .gz"):
        load_mnist(tmp_path)
    with pytest.raises(DataUnavailableError, match="there is no folder"):
        load_mnist(tmp_path / "nowhere")
    with pytest.raises(DataUnavailableError, match="downloading was switched off"):
        load_mnist(download=False)


@pytest.fixture
def mirrors(tmp_path, monkeypatch):
    """Two mirrors with a small dataset, instead of the real ones."""
    served = tmp_path / "served"
    write_set(served, ".gz")
    contents = {path.name: path.read_bytes() for path in served.iterdir()}
    files = {name: (len(contents[name]), hashlib.sha256(contents[name]).hexdigest()) for name in mnist.MNIST.files}
    pair = Mirror(served), Mirror(served)
    source = replace(mnist.MNIST, mirrors=tuple(mirror.url for mirror in pair), files=files)
    monkeypatch.setattr(mnist, "MNIST", source)
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    yield pair
    for mirror in pair:
        mirror.server.shutdown()
        mirror.server.server_close()


def test_download_once_then_from_the_cache(mirrors, tmp_path):
    seen = []
    load_mnist(progress=lambda url, done, size: seen.append((done, size)))
    assert seen[-1][0] == seen[-1][1]
    assert mirrors[0].requests == 4
    assert len(load_mnist()[0]) == 5
    assert mirrors[0].requests == 4
    assert sorted(p.name for p in (tmp_path / "cache/mnist").iterdir()) == sorted(mnist.MNIST.files)


@pytest.mark.parametrize("fault", ["missing", "html", "wrong", "truncated", "stalled"])
def test_a_mirror_that_fails_is_passed_over(mirrors, fault):
    mirrors[0].fault = fault
    assert len(load_mnist()[0]) == 5
    assert mirrors[1].requests == 4


@pytest.mark.parametrize(("fault", "match"), [
    ("missing", "404"), ("html", "is a web page"), ("wrong", "is not the right file"), ("truncated", ""),
    ("stalled", "timed out"),
])  # fmt: skip
def test_all_mirrors_fail(mirrors, tmp_path, fault, match):
    for mirror in mirrors:
        mirror.fault = fault
    with pytest.raises(DataUnavailableError, match="could not be downloaded from any of 2 mirrors") as caught:
        load_mnist()
    text = str(caught.value)
    assert match in text
    assert "--data-dir" in text
    assert all(mirror.url in text for mirror in mirrors)
    assert not list((tmp_path / "cache").rglob("*.*")), "nothing half is left"


def test_no_network(monkeypatch, tmp_path):
    monkeypatch.setattr(mnist, "MNIST", replace(mnist.MNIST, mirrors=("http://127.0.0.1:9/",)))
    with pytest.raises(DataUnavailableError, match="check the network"):
        load_mnist()


def test_a_wrong_file_in_the_cache_is_never_used(mirrors, tmp_path):
    load_mnist()
    path = tmp_path / "cache/mnist/train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"expected \d+ bytes with .*: delete it, and it is downloaded again"):
        load_mnist()


def test_real_mnist(data_dir):
    train, test = load_mnist(data_dir)
    assert train.inputs.shape == (60000, 28, 28)
    assert test.inputs.shape == (10000, 28, 28)
    assert np.bincount(test.targets).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
