"""Where MNIST is found, and what happens where it is not."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from tests.support.mirror import Mirror
from xpnet.data import DataError, DataUnavailableError, load_fashion_mnist, load_mnist, write_idx
from xpnet.data.images import mnist
from xpnet.data.readers import download

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


# -- sets that share their names ---------------------------------------------------------------------------------------

FASHION_LABELS = {"train": "90030272550955791064", "t10k": "92116146574573412480"}  # as published
MNIST_LABELS = {"train": "50419213143536172869", "t10k": "72104149590690159734"}


def write_labelled(folder, labels, suffix=""):
    folder.mkdir(parents=True, exist_ok=True)
    for part, first in labels.items():
        values = np.array(list(map(int, first + "0123456789" * 2)), np.uint8)
        write_idx(folder / f"{part}-labels-idx1-ubyte{suffix}", values)
        write_idx(folder / f"{part}-images-idx3-ubyte{suffix}", np.full((len(values), 28, 28), 7, np.uint8))


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_fashion_mnist_given_as_mnist_and_the_reverse(tmp_path, suffix):
    write_labelled(tmp_path / "a", FASHION_LABELS, suffix)
    with pytest.warns(mnist.OtherDatasetWarning, match="are Fashion-MNIST's, not MNIST's: the classes are T-shirt/top"):
        train, test = load_mnist(tmp_path / "a")
    assert (train.name, train.classes[7], test.classes[9]) == ("Fashion-MNIST", "Sneaker", "Ankle boot")
    assert load_fashion_mnist(tmp_path / "a")[0].notes == ()
    write_labelled(tmp_path / "b", MNIST_LABELS, suffix)
    with pytest.warns(mnist.OtherDatasetWarning, match="are MNIST's, not Fashion-MNIST's"):
        train, test = load_fashion_mnist(tmp_path / "b")
    assert (train.name, test.classes) == ("MNIST", tuple("0123456789"))
    assert load_mnist(tmp_path / "b")[0].notes == ()


def test_published_sums_tell_the_set(tmp_path, monkeypatch):
    """Whatever is in them: packed files of the published size and SHA-256."""
    write_set(tmp_path / "mnist", ".gz")
    contents = {path.name: path.read_bytes() for path in (tmp_path / "mnist").iterdir()}
    files = {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()}
    monkeypatch.setattr(mnist, "FASHION_MNIST", replace(mnist.FASHION_MNIST, files=files))
    with pytest.warns(mnist.OtherDatasetWarning, match="are Fashion-MNIST's, not MNIST's"):
        train, _ = load_mnist(tmp_path)
    assert train.classes[0] == "T-shirt/top"
    assert load_fashion_mnist(tmp_path)[0].name == "Fashion-MNIST"  # though the folder is called mnist


def test_kmnist_by_its_sums(tmp_path, monkeypatch):
    from xpnet.data.images import mnist_family

    write_set(tmp_path, ".gz")
    sums = tuple(hashlib.md5(path.read_bytes()).hexdigest() for path in tmp_path.glob("*labels*"))
    member = replace(mnist_family.FAMILY["KMNIST"], md5=sums)
    monkeypatch.setitem(mnist_family.FAMILY, "KMNIST", member)
    with pytest.warns(mnist.OtherDatasetWarning, match="are KMNIST's, not MNIST's: the classes are o, ki, su"):
        assert load_mnist(tmp_path)[0].name == "KMNIST"


def test_files_of_two_sets(tmp_path):
    write_labelled(tmp_path, {"train": MNIST_LABELS["train"], "t10k": FASHION_LABELS["t10k"]})
    with pytest.raises(
        DataError, match=r"holds files of two sets: .*is MNIST's, .*is Fashion-MNIST's: keep those of one"
    ):
        load_mnist(tmp_path)
    labels = {part: first + "0123456789" * 10 for part, first in MNIST_LABELS.items()}
    write_labelled(tmp_path, labels)
    for part in labels:
        images = np.zeros((len(labels[part]) + 20, 28, 28), np.uint8)
        images[:, :14] = 9
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", images)
    with pytest.raises(DataError, match="holds MNIST's labels, and images that are not MNIST's"):
        load_mnist(tmp_path)


def test_other_files_are_taken_as_they_are(tmp_path):
    write_set(tmp_path)
    train, _ = load_mnist(tmp_path)
    assert train.classes == tuple("0123456789")
    assert "are not the published ones of MNIST: they are taken as they are" in train.notes[0]
    write_set(tmp_path, n=(100, 100), labels=np.arange(100) % 10)
    for share, load, said in (
        (14, load_mnist, "if these are clothes, say fashion-mnist"),
        (5, load_fashion_mnist, "0 to 9"),
    ):
        images = np.zeros((100, 28, 28), np.uint8)
        images[:, :share] = 9
        write_idx(tmp_path / "train-images-idx3-ubyte", images)
        train, _ = load(tmp_path)
        assert said in train.notes[0]
        assert train.classes == tuple("0123456789")


@pytest.mark.parametrize(("split", "labels", "classes"), [
    ("letters", [1, 26], "AZ"), ("balanced", [10, 46], "At"), ("byclass", [10, 61], "Az"), ("digits", [0, 9], "09"),
])  # fmt: skip
def test_emnist_by_its_names(tmp_path, split, labels, classes):
    image = np.arange(28 * 28, dtype=np.int64).reshape(28, 28) % 251
    for part in ("train", "test"):
        write_idx(
            tmp_path / f"emnist-{split}-{part}-images-idx3-ubyte.gz", np.stack([image.T, image.T]).astype(np.uint8)
        )
        write_idx(tmp_path / f"emnist-{split}-{part}-labels-idx1-ubyte.gz", np.array(labels, np.uint8))
    with pytest.warns(mnist.OtherDatasetWarning, match="the images are turned upright"):
        train, test = load_mnist(tmp_path)
    assert train.name == f"EMNIST {split}"
    assert "".join(train.classes[label] for label in test.targets) == classes
    np.testing.assert_array_equal(train.inputs[0], image)


@pytest.mark.parametrize(("images", "labels"), [
    ("train-images.idx3-ubyte", "train-labels.idx1-ubyte"),
    ("train-images.idx3-ubyte.gz", "train-labels-idx1-ubyte"),
    ("TRAIN-IMAGES-IDX3-UBYTE", "Train-Labels.idx1-ubyte.gz"),
    ("train_images_idx3_ubyte", "train-labels.idx1-ubyte"),
    ("train-images-idx3-ubyte/train-images-idx3-ubyte", "train-labels-idx1-ubyte/train-labels-idx1-ubyte"),
    ("train-images.idx", "train-labels.idx"),
])  # fmt: skip
@pytest.mark.parametrize("sub", [".", "MNIST/raw", "raw"])
def test_names_that_are_in_use(tmp_path, images, labels, sub):
    folder = tmp_path / sub
    for part, count in (("train", 5), ("t10k", 3)):
        for name, array in ((images, np.full((count, 28, 28), 7)), (labels, np.arange(count))):
            path = folder / name.replace("train", part).replace("TRAIN", part.upper()).replace("Train", part)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_idx(path, array.astype(np.uint8))
    train, test = load_mnist(tmp_path)
    assert (len(train), len(test)) == (5, 3)


def test_several_splits_of_emnist_are_named(tmp_path):
    for split in ("digits", "letters"):
        for part in ("train", "test"):
            write_idx(tmp_path / f"emnist-{split}-{part}-images-idx3-ubyte", np.zeros((2, 28, 28), np.uint8))
            write_idx(tmp_path / f"emnist-{split}-{part}-labels-idx1-ubyte", np.ones(2, np.uint8))
    with pytest.raises(DataUnavailableError, match="there are the splits digits, letters of EMNIST: keep one"):
        load_mnist(tmp_path)


def test_the_real_files_are_known(data_dir):
    train, test = load_mnist(data_dir)
    assert (train.name, train.notes, test.notes) == ("MNIST", (), ())
    folder = data_dir / "mnist"
    for name, labels in (("train-labels-idx1-ubyte.gz", train.targets), ("t10k-labels-idx1-ubyte.gz", test.targets)):
        assert mnist._whose(folder / name, labels) == "MNIST"
        assert mnist.of_labels(labels) == "MNIST"


def test_real_mnist(data_dir):
    train, test = load_mnist(data_dir)
    assert train.inputs.shape == (60000, 28, 28)
    assert test.inputs.shape == (10000, 28, 28)
    assert np.bincount(test.targets).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
