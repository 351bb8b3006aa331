"""Datasets, samplers, collation, workers and batches of every kind that users bring."""

import collections
import os
import signal
import threading

import numpy as np
import pytest

import xpnet
from tests.support.process import environment, python
from xpnet import data
from xpnet.data import DataError, DataLoader
from xpnet_backends import to_numpy


class Squares:
    """A user's dataset: sample i is (i², i), with noise of its own."""

    def __init__(self, length=10, noise=False):
        self.length, self.noise = length, noise

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        if not isinstance(i, int):
            raise TypeError(f"one sample at a time, got {i!r}")
        noise = data.sample_generator().random() if self.noise else 0.0
        return np.float32([i * i + noise]), i


def lists(loader):
    return [tuple(to_numpy(part).tolist() for part in batch) for batch in loader]


# -- datasets --------------------------------------------------------------------------------------------------------


def test_a_dataset_of_the_users_own(backend):
    loader = DataLoader(Squares(5), batch_size=2)
    assert len(loader) == 3
    assert lists(loader) == [([[0.0], [1.0]], [0, 1]), ([[4.0], [9.0]], [2, 3]), ([[16.0]], [4])]
    x, y = next(iter(loader))
    assert type(x) is type(y) is backend.array_type
    assert x.dtype == "float32"
    assert y.dtype == "int64"


def test_shuffle_is_the_same_for_all_kinds_of_datasets():
    x, y = np.arange(10.0), np.arange(10)
    kinds = [data.ArrayDataset(x, y), data.TensorDataset(x, y), list(zip(x, y, strict=True)), xpnet.data.Subset(
        data.TensorDataset(x, y), range(10))]  # fmt: skip
    orders = [[lists(DataLoader(kind, 3, shuffle=True, seed=4)) for _ in range(2)] for kind in kinds]
    for other in orders[1:]:
        assert other == orders[0]


def test_tensor_dataset(backend):
    x = backend.asarray(np.arange(6.0).reshape(3, 2))
    dataset = data.TensorDataset(xpnet.tensor(x), [4, 5, 6], np.arange(3))
    assert len(dataset) == 3
    assert [np.asarray(to_numpy(part)).tolist() for part in dataset[1]] == [[2.0, 3.0], 5, 1]
    with pytest.raises(ValueError, match="differ in length: 3, 2"):
        data.TensorDataset(np.zeros(3), np.zeros(2))
    with pytest.raises(ValueError, match="at least one array"):
        data.TensorDataset()


def test_subset_and_concat():
    first, second = Squares(3), Squares(4)
    both = data.ConcatDataset([first, second])
    assert [both[i][1] for i in range(len(both))] == [0, 1, 2, 0, 1, 2, 3]
    assert both[-1][1] == 3
    with pytest.raises(IndexError, match="no sample 7 among 7"):
        both[7]
    part = data.Subset(both, [6, 0])
    assert [part[i][1] for i in range(2)] == [3, 0]
    assert lists(DataLoader(part, 2))[0][1] == [3, 0]
    with pytest.raises(IndexError, match="from 0 to 7, but the dataset has 7"):
        data.Subset(both, [0, 7])
    with pytest.raises(ValueError, match="at least one dataset"):
        data.ConcatDataset([])


def test_a_subset_of_arrays_on_a_device(backend):
    x = backend.asarray(np.arange(8.0))
    part = data.Subset(data.TensorDataset(x, x), [5, 1, 3])
    assert lists(DataLoader(part, 2)) == [([5.0, 1.0], [5.0, 1.0]), ([3.0], [3.0])]
    assert sorted(x for batch in lists(DataLoader(part, 2, shuffle=True)) for x in batch[0]) == [1.0, 3.0, 5.0]


def test_random_split():
    parts = data.random_split(range(10), [7, 3], seed=1)
    assert sorted(p[i] for p in parts for i in range(len(p))) == list(range(10))
    again = data.random_split(range(10), [7, 3], seed=1)
    assert [p.indices.tolist() for p in parts] == [p.indices.tolist() for p in again]
    assert [len(p) for p in data.random_split(range(11), [0.5, 0.5])] == [6, 5]
    for lengths, match in (([3, 3], "add up to 6, but the dataset has 10"), ([0.5, 0.4], "which add up to 0.9"),
                           ([11, -1], "must not be negative")):  # fmt: skip
        with pytest.raises(ValueError, match=match):
            data.random_split(range(10), lengths)


def test_a_dataset_that_can_be_iterated_only():
    class Stream:
        def __iter__(self):
            return iter([(float(i), i) for i in range(5)])

    loader = DataLoader(Stream(), 2)
    assert [b[1] for b in lists(loader)] == [[0, 1], [2, 3], [4]]
    assert [b[1] for b in lists(loader)] == [[0, 1], [2, 3], [4]]
    loader.load_state_dict({"epoch": 3, "position": 1})
    assert [b[1] for b in lists(loader)] == [[2, 3], [4]]
    assert [b[1] for b in lists(DataLoader(Stream(), 2, drop_last=True))] == [[0, 1], [2, 3]]
    with pytest.raises(TypeError, match="can be iterated only"):
        len(loader)
    with pytest.raises(ValueError, match="comes in its own order"):
        DataLoader(Stream(), 2, shuffle=True)


# -- orders ----------------------------------------------------------------------------------------------------------


def test_batches_larger_than_the_data():
    assert lists(DataLoader(Squares(3), 64)) == [([[0.0], [1.0], [4.0]], [0, 1, 2])]
    assert lists(DataLoader(data.ArrayDataset(np.arange(3), np.arange(3)), 64, shuffle=True, seed=0))[0][0] != []


def test_samplers():
    loader = DataLoader(Squares(10), 4, sampler=[3, 1, 1], seed=0)
    assert [b[1] for b in lists(loader)] == [[3, 1, 1]]
    assert len(data.RandomSampler(range(5), replacement=True, num_samples=9)) == 9
    assert sorted(data.RandomSampler(range(5))) == [0, 1, 2, 3, 4]
    assert set(data.SubsetRandomSampler([2, 4])) == {2, 4}
    sampler = data.WeightedRandomSampler([0.0, 1.0, 3.0], 4000)
    counts = np.bincount(sampler.order(0, 0), minlength=3)
    assert counts[0] == 0
    assert abs(counts[2] / 4000 - 0.75) < 0.03
    assert sampler.order(0, 0).tolist() != sampler.order(0, 1).tolist()
    assert list(data.BatchSampler(data.SequentialSampler(range(5)), 2)) == [[0, 1], [2, 3], [4]]
    assert len(data.BatchSampler(data.SequentialSampler(range(5)), 2, drop_last=True)) == 2
    loader = DataLoader(Squares(5), batch_sampler=[[0, 4], [1]])
    assert [b[1] for b in lists(loader)] == [[0, 4], [1]]
    assert len(loader) == 2


@pytest.mark.parametrize(("make", "match"), [
    (lambda: data.WeightedRandomSampler([0, 0], 1), "only 0 weights are above 0"),
    (lambda: data.WeightedRandomSampler([1, 0], 2, replacement=False), "num_samples=2, but only 1"),
    (lambda: data.WeightedRandomSampler([1, -1], 2), "none negative"),
    (lambda: data.WeightedRandomSampler([1, float("nan")], 2), "finite"),
    (lambda: data.RandomSampler(range(3), num_samples=4), "needs replacement=True"),
    (lambda: data.RandomSampler(range(3), num_samples=0), "positive whole number, got 0"),
    (lambda: DataLoader(Squares(), sampler=[0], shuffle=True), "leave out shuffle"),
    (lambda: DataLoader(Squares(), batch_sampler=[[0]], shuffle=True), "batch_sampler decides"),
    (lambda: DataLoader(Squares(), num_workers=-1), "num_workers must be"),
    (lambda: DataLoader(Squares(), worker_type="fork"), '"thread" or "process", got \'fork\''),
    (lambda: DataLoader([], 2), "the dataset is empty"),
    (lambda: DataLoader(Squares(), mix=data.augment.MixUp(2)), "needs an ArrayDataset, got Squares"),
])  # fmt: skip
def test_what_samplers_and_loaders_refuse(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_what_is_no_dataset():
    with pytest.raises(TypeError, match="int has neither"):
        DataLoader(5)


def test_any_loader_resumes_in_the_middle_of_an_epoch():
    for options in ({"shuffle": True}, {"sampler": data.WeightedRandomSampler(np.ones(10), 10)}, {"num_workers": 2}):
        whole = DataLoader(Squares(10, noise=True), 3, seed=5, **options)
        next(iter(whole))
        second = lists(whole)
        resumed = DataLoader(Squares(10, noise=True), 3, seed=5, **options)
        resumed.load_state_dict({"epoch": 1, "position": 2})
        assert lists(resumed) == second[2:]


# -- collation -------------------------------------------------------------------------------------------------------


def test_collation_of_everything_a_sample_may_hold():
    Point = collections.namedtuple("Point", "x label")
    batch = data.default_collate([Point({"a": np.zeros(2, "float32"), "name": "n"}, [1, 2.5, True])] * 2)
    assert isinstance(batch, Point)
    assert batch.x["a"].shape == (2, 2)
    assert batch.x["name"] == ["n", "n"]
    assert [part.dtype.name for part in batch.label] == ["int64", "float32", "bool"]
    assert data.default_collate([xpnet.tensor([1.0]), xpnet.tensor([2.0])]).tolist() == [[1.0], [2.0]]
    assert data.default_collate([np.float64(1), np.float64(2)]).dtype == "float64"


@pytest.mark.parametrize(("samples", "error", "match"), [
    ([np.zeros((2, 3)), np.zeros((2, 4))], ValueError, r"\(2, 3\), and \(2, 4\) at place 1.*collate_fn"),
    ([{"a": 1}, {"b": 1}], ValueError, "different keys in one batch"),
    ([(1, 2), (1,)], ValueError, "different lengths in one batch: 2, and 1 at place 1"),
    ([None, None], TypeError, "a sample holds a NoneType"),
    ([1, "a"], TypeError, "numbers and other things"),
    ([], ValueError, "no samples"),
])  # fmt: skip
def test_collation_errors(samples, error, match):
    with pytest.raises(error, match=match):
        data.default_collate(samples)


def test_a_collate_function_of_the_users_own(backend):
    def padded(samples):
        width = max(len(s) for s in samples)
        return np.array([[*s, *[0] * (width - len(s))] for s in samples]), np.array([len(s) for s in samples])

    loader = DataLoader([[1], [2, 3], [4, 5, 6]], 2, collate_fn=padded)
    assert lists(loader) == [([[1, 0], [2, 3]], [1, 2]), ([[4, 5, 6]], [3])]
    arrays = data.ArrayDataset(np.arange(4), np.arange(4))
    assert lists(DataLoader(arrays, 4, collate_fn=lambda s: (np.array([x for x, _ in s]) * 2, np.array([0]))))[0][0] == [
        0, 2, 4, 6,
    ]  # fmt: skip


def test_dict_batches_go_to_the_backend(backend):
    loader = DataLoader([{"image": np.float32([i]), "label": i, "name": str(i)} for i in range(3)], 3)
    (batch,) = loader
    assert type(batch["image"]) is backend.array_type
    assert batch["name"] == ["0", "1", "2"]


# -- workers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 5])
def test_threads_change_nothing(number):
    alone = DataLoader(Squares(23, noise=True), 4, shuffle=True, seed=3)
    helped = DataLoader(Squares(23, noise=True), 4, shuffle=True, seed=3, num_workers=number)
    for _ in range(2):
        assert lists(helped) == lists(alone)
    helped.close()


@pytest.mark.slow
def test_processes_change_nothing():
    alone = DataLoader(Squares(9, noise=True), 2, shuffle=True, seed=3)
    helped = DataLoader(Squares(9, noise=True), 2, shuffle=True, seed=3, num_workers=2, worker_type="process")
    for _ in range(2):
        assert lists(helped) == lists(alone)
    helped.close()


class Broken(Squares):
    def __getitem__(self, i):
        if i == 3:
            raise OSError("the disk says no")
        return super().__getitem__(i)


class Killed(Squares):
    def __getitem__(self, i):
        os.kill(os.getpid(), signal.SIGKILL)


def test_an_error_in_a_thread_reaches_the_loop_and_the_next_pass_works():
    loader = DataLoader(Broken(5), 1, num_workers=2)
    with pytest.raises(OSError, match="the disk says no"):
        list(loader)
    loader.dataset.__class__ = Squares
    assert len(lists(loader)) == 5
    loader.close()


@pytest.mark.slow
def test_a_process_that_is_killed_is_said():
    loader = DataLoader(Killed(5), 1, num_workers=1, worker_type="process")
    with pytest.raises(DataError, match="a worker process of the loader ended"):
        list(loader)
    loader.close()


def test_threads_end_with_their_loader():
    before = set(threading.enumerate())
    loader = DataLoader(Squares(50), 1, num_workers=3)
    next(iter(loader))  # left in the middle
    started = set(threading.enumerate()) - before
    assert started
    loader.close()
    for thread in started:
        thread.join(5)
        assert not thread.is_alive()


def test_sample_generator_outside_a_loader():
    with pytest.raises(RuntimeError, match="for the __getitem__ of a dataset"):
        data.sample_generator()


@pytest.mark.slow
def test_a_script_with_processes_ends_by_itself(tmp_path):
    (tmp_path / "numbers_data.py").write_text(
        "class Numbers:\n    def __len__(self): return 4\n    def __getitem__(self, i): return float(i)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(
        "from xpnet.data import DataLoader\nfrom numbers_data import Numbers\n"
        "if __name__ == '__main__':\n"
        "    print([b.tolist() for b in DataLoader(Numbers(), 2, num_workers=1, worker_type='process')])\n"
    )
    done = python(str(script), timeout=60, env=environment())
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[[0.0, 1.0], [2.0, 3.0]]"


# -- batches ---------------------------------------------------------------------------------------------------------

X, Z, Y = np.zeros((3, 2)), np.ones((3, 4)), np.arange(3)


@pytest.mark.parametrize(("batch", "arguments", "named", "target"), [
    ((X, Y), [X], {}, Y),
    ([X, Y], [X], {}, Y),
    (((X, Z), Y), [(X, Z)], {}, Y),
    ((X, Z, Y), [X, Z], {}, Y),
    (({"a": X, "b": Z}, Y), [], {"a": X, "b": Z}, Y),
    ({"a": X, "b": Z, "target": Y}, [], {"a": X, "b": Z}, Y),
    ({"image": X, "label": Y}, [X], {}, Y),
    ({"image": X}, [X], {}, None),
    (X, [X], {}, None),
    ((X,), [X], {}, None),
])  # fmt: skip
def test_what_is_in_a_batch(batch, arguments, named, target):
    inputs, found = data.split_batch(batch)
    assert found is target
    for one, other in zip(inputs.arguments, arguments, strict=True):
        if isinstance(other, tuple):
            assert all(a is b for a, b in zip(one, other, strict=True))
        else:
            assert one is other
    assert inputs.named.keys() == named.keys()
    assert all(inputs.named[key] is named[key] for key in named)
    assert data.samples_in(inputs) == 3


def test_what_is_no_batch():
    for batch, error, match in ((5, TypeError, "got int"), ((), ValueError, "empty"), ({"y": Y}, ValueError, "'y'")):
        with pytest.raises(error, match=match):
            data.split_batch(batch)


def test_protocols():
    assert isinstance(Squares(), data.Dataset)
    assert isinstance(DataLoader(Squares()), data.ResumableLoader)
    assert isinstance([1], data.Loader)
    assert not isinstance([1], data.ResumableLoader)


# -- pictures --------------------------------------------------------------------------------------------------------


def picture(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    pytest.importorskip("PIL.Image").fromarray(pixels).save(path)


def test_image_folder(tmp_path):
    picture(tmp_path / "dog" / "b.png", np.full((4, 6), 200, "uint8"))
    picture(tmp_path / "cat" / "a.png", np.zeros((8, 8, 3), "uint8"))
    picture(tmp_path / "cat" / "deep" / "c.JPG", np.zeros((8, 8, 3), "uint8"))
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden").mkdir()
    folder = data.ImageFolder(tmp_path, size=5)
    assert folder.classes == ["cat", "dog"]
    assert folder.class_to_idx == {"cat": 0, "dog": 1}
    assert folder.targets.tolist() == [0, 0, 1]
    (pixels, labels), = DataLoader(folder, 3, num_workers=2)  # fmt: skip
    assert pixels.shape == (3, 3, 5, 5)
    assert pixels.dtype == "uint8"
    assert labels.tolist() == [0, 0, 1]
    assert pixels[2].min() == 200
    grey = data.ImageFolder(tmp_path, size=(2, 3), color=False, transform=lambda x: x / np.float32(255))
    assert grey[2][0].shape == (1, 2, 3)
    assert grey[2][0].dtype == "float32"
    with pytest.raises(ValueError, match="samples of different shapes"):
        list(DataLoader(data.ImageFolder(tmp_path), 3))


def test_image_folder_errors(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        data.ImageFolder(tmp_path / "none")
    with pytest.raises(DataError, match="it has no subfolders"):
        data.ImageFolder(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="its subfolders cat"):
        data.ImageFolder(tmp_path)
    (tmp_path / "cat" / "a.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a\.png is no image"):
        list(DataLoader(data.ImageFolder(tmp_path), 1, num_workers=1))
