"""CIFAR-10's binary version: whole files are read, damaged ones are named."""

import gzip

import numpy as np
import pytest

from xpnet.data import DataError, DataUnavailableError, load_cifar10, read_cifar_records


def records(n, seed=0):
    rng = np.random.default_rng(seed)
    made = rng.integers(0, 256, (n, 3073)).astype(np.uint8)
    made[:, 0] %= 10
    return made


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch):
    monkeypatch.delenv("XPNET_DATA", raising=False)


@pytest.mark.parametrize("sub", [".", "cifar-10-batches-bin", "cifar10"])
def test_batches_in_a_folder(tmp_path, sub):
    folder = tmp_path / sub
    folder.mkdir(exist_ok=True)
    for i in (2, 1):
        (folder / f"data_batch_{i}.bin").write_bytes(records(3, seed=i).tobytes())
    (folder / "test_batch.bin.gz").write_bytes(gzip.compress(records(2, seed=9).tobytes()))
    train, test = load_cifar10(tmp_path)
    assert train.inputs.shape == (6, 3, 32, 32)
    assert train.targets.tolist() == [*records(3, seed=1)[:, 0], *records(3, seed=2)[:, 0]]
    np.testing.assert_array_equal(train.inputs[0].ravel(), records(3, seed=1)[0, 1:])
    assert len(test) == 2
    assert train.classes[9] == "truck"


def test_damaged_files(tmp_path):
    path = tmp_path / "test_batch.bin"
    path.write_bytes(records(2).tobytes()[:-1])
    with pytest.raises(
        DataError, match=r"test_batch.bin is not a whole CIFAR-10 file: 6145 bytes are no multiple of 3073"
    ):
        read_cifar_records(path)
    wrong = records(3)
    wrong[1, 0] = 10
    path.write_bytes(wrong.tobytes())
    with pytest.raises(DataError, match=r"record 1 has label 10, out of range 0\.\.9"):
        read_cifar_records(path)
    path.write_bytes(gzip.compress(records(2).tobytes())[:-5])
    with pytest.raises(DataError, match="damaged gzip"):
        read_cifar_records(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        read_cifar_records(path)


def test_where_there_are_none(tmp_path):
    with pytest.raises(
        DataUnavailableError, match=r"CIFAR-10 is not in .* expected data_batch_\*\.bin and test_batch\.bin"
    ):
        load_cifar10(tmp_path)
    with pytest.raises(DataUnavailableError, match="with --data-dir"):
        load_cifar10()


def test_mutations_give_an_error_or_images(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.bin"
    for content in (records(2).tobytes(), gzip.compress(records(2).tobytes())):
        for _ in range(150):
            changed = bytearray(content)
            for place in rng.integers(0, min(len(changed), 60), 2):
                changed[place] = rng.integers(0, 256)
            path.write_bytes(bytes(changed[: rng.choice([len(changed), int(rng.integers(1, len(changed)))])]))
            try:
                images, labels = read_cifar_records(path)
            except DataError:
                continue
            assert images.shape[1:] == (3, 32, 32)
            assert labels.max() < 10


def test_the_real_part(data_dir):
    if not (data_dir / "cifar10-subset").is_dir():
        pytest.skip("XPNET_DATA has no cifar10-subset/")
    train, test = load_cifar10(data_dir)
    assert train.inputs.shape == (4000, 3, 32, 32)
    assert test.inputs.shape == (1000, 3, 32, 32)
