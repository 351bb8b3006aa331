"""Datasets, splits, transforms, batches."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpnet.data import ArrayDataset, DataLoader, Normalize, one_hot, to_float, train_val_split
from xpnet_backends import backend_of, get_backend


def numbered(n=10, backend=None):
    inputs, targets = np.arange(n * 2, dtype="float32").reshape(n, 2), np.arange(n)
    if backend is not None:
        inputs, targets = backend.asarray(inputs), backend.asarray(targets)
    return ArrayDataset(inputs, targets)


def targets_of(loader):
    return [backend_of(t).to_numpy(t).tolist() for _, t in loader]


def test_dataset():
    data = numbered()
    assert len(data) == 10
    x, t = data[3]
    assert x.tolist() == [6, 7]
    assert t == 3
    assert data.subset(np.array([4, 1])).targets.tolist() == [4, 1]
    assert ArrayDataset(np.zeros((2, 3)))[0][1] is None
    assert "inputs float32(10, 2)" in repr(data)


def test_dataset_errors():
    with pytest.raises(ValueError, match="differ in length: 3 and 2"):
        ArrayDataset(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="is empty"):
        ArrayDataset(np.zeros((0, 3)), np.zeros(0))
    x = np.zeros((3, 2))
    x[1, 1], x[2, 0] = np.inf, np.nan
    with pytest.raises(ValueError, match=r"inputs hold 2 NaN or infinite values, the first \(inf\) at \(1, 1\)"):
        ArrayDataset(x, np.zeros(3)).check_finite()
    ArrayDataset(np.zeros(3), np.zeros(3, int)).check_finite()


def test_split():
    data = numbered(100)
    rest, aside = train_val_split(data, 0.2, seed=1)
    assert (len(rest), len(aside)) == (80, 20)
    assert sorted(rest.targets.tolist() + aside.targets.tolist()) == list(range(100))
    assert aside.targets.tolist() == sorted(aside.targets.tolist())
    assert train_val_split(data, 20, seed=1)[1].targets.tolist() == aside.targets.tolist()
    assert train_val_split(data, 0.2, seed=2)[1].targets.tolist() != aside.targets.tolist()
    for bad, match in ((1.5, "between 0 and 1, got 1.5"), (0, "cannot put 0 of 100"), (100, "cannot put 100 of 100")):
        with pytest.raises(ValueError, match=match):
            train_val_split(data, bad)


@given(
    n=st.integers(1, 40),
    batch=st.integers(1, 40),
    shuffle=st.booleans(),
    drop=st.booleans(),
    prefetch=st.integers(0, 2),
)
def test_every_sample_once(n, batch, shuffle, drop, prefetch):
    batch = min(batch, n)
    loader = DataLoader(numbered(n), batch, shuffle=shuffle, drop_last=drop, seed=0, prefetch=prefetch)
    batches = targets_of(loader)
    assert len(batches) == len(loader)
    seen = [t for part in batches for t in part]
    assert len(set(seen)) == len(seen)
    assert len(seen) == (n // batch * batch if drop else n)
    assert shuffle or seen == list(range(len(seen)))


def test_the_order_is_a_function_of_seed_and_epoch(backend):
    first = DataLoader(numbered(50, backend), 8, shuffle=True, seed=3, backend=backend)
    epochs = [targets_of(first) for _ in range(3)]
    assert epochs[0] != epochs[1]
    second = DataLoader(numbered(50, get_backend("numpy")), 8, shuffle=True, seed=3, prefetch=2, backend="numpy")
    second.load_state_dict({"epoch": 1, "position": 2})
    assert targets_of(second) == epochs[1][2:]
    assert targets_of(second) == epochs[2]
    assert second.state_dict() == {"epoch": 3, "position": 0}
    with pytest.raises(ValueError, match="there is no batch 9 of 7 in epoch 0"):
        second.load_state_dict({"epoch": 0, "position": 9})


def test_batches_come_to_the_backend(backend):
    for home in ("numpy", backend.name):
        loader = DataLoader(numbered(10, get_backend(home)), 4, backend=backend, transform=lambda x: x * 2)
        for x, t in loader:
            assert backend_of(x, t) is backend
        assert backend.to_numpy(x).tolist() == [[32, 34], [36, 38]]


def test_device_data_are_indexed_on_the_device():
    from tests.support.standin import no_traffic

    standin = get_backend("standin")
    batches = iter(DataLoader(numbered(12, standin), 4, shuffle=True, seed=0, backend=standin))
    next(batches)  # the permutation is brought over once
    with no_traffic():
        assert len(list(batches)) == 2


def test_prefetch_passes_errors_on_and_leaves_no_thread():
    before = threading.active_count()

    def fail(x):
        raise ValueError("broken transform")

    with pytest.raises(ValueError, match="broken transform"):
        list(DataLoader(numbered(), 2, transform=fail, prefetch=2))
    for _ in DataLoader(numbered(), 2, prefetch=1):
        break
    deadline = time.monotonic() + 2
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


@pytest.mark.parametrize(("options", "match"), [
    ({"batch_size": 0}, "batch_size must be a positive whole number, got 0"),
    ({"batch_size": 2.5}, "got 2.5"),
    ({"batch_size": 11, "drop_last": True}, r"batch_size 11 is larger than the dataset \(10 samples\).*nothing"),
    ({"batch_size": 2, "prefetch": -1}, "prefetch must be >= 0"),
])  # fmt: skip
def test_loader_errors(options, match):
    with pytest.raises(ValueError, match=match):
        DataLoader(numbered(), **options)


def test_to_float_and_one_hot(backend):
    image = backend.asarray(np.array([[0, 51, 255]], np.uint8))
    np.testing.assert_allclose(backend.to_numpy(to_float(image)), [[0, 0.2, 1]], rtol=1e-6)
    assert to_float(image).dtype == np.float32
    assert to_float(backend.asarray(np.array([2.5]))).dtype == np.float32
    hot = one_hot(backend.asarray(np.array([2, 0])), 3)
    assert backend.to_numpy(hot).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert hot.dtype == np.float32
    with pytest.raises(TypeError, match="labels must be integers, got float64"):
        one_hot(np.zeros(2), 3)
    with pytest.raises(ValueError, match=r"labels must lie in 0\.\.2, got 0\.\.3"):
        one_hot(np.array([0, 3]), 3)


def test_normalize(backend):
    x = np.random.default_rng(0).normal(3, 2, (50, 4)).astype("float32")
    x[:, 2] = 1.0
    whole = Normalize.fit(x)
    y = backend.to_numpy(whole(backend.asarray(x)))
    assert y.dtype == np.float32
    assert y.mean() == pytest.approx(0, abs=1e-5)
    assert y.std() == pytest.approx(1, abs=1e-5)
    columns = Normalize.fit(x, axis=0)
    y = backend.to_numpy(columns(backend.asarray(x)))
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(y[:, 2], 0)  # a constant column stays finite
    assert Normalize.from_state(columns.state()) == columns
