"""Where data go: lists and NumPy arrays to the backend in force, arrays of a device stay, ``backend=`` overrides."""

import numpy as np
import pytest

import xpnet
from xpnet import data, metrics, nn, optim
from xpnet.nn import functional as F
from xpnet.train import Trainer
from xpnet_backends import BackendError, get_backend

X = np.random.default_rng(0).standard_normal((12, 4)).astype("float32")
LABELS = np.arange(12) % 3
STANDIN, NUMPY = get_backend("standin"), get_backend("numpy")


@pytest.fixture(params=["block", "process", "environment"])
def standin_in_force(request, monkeypatch):
    """The stand-in as the backend in force, in each way that there is."""
    if request.param == "environment":
        monkeypatch.setenv("XPNET_BACKEND", "standin")
        yield
    elif request.param == "process":
        xpnet.use(backend="standin")
        yield
    else:
        with xpnet.use(backend="standin"):
            yield


MAKERS = {
    "tensor": xpnet.tensor,
    "as_tensor": xpnet.as_tensor,
    "Parameter": nn.Parameter,
    "loss weight": lambda x: xpnet.as_tensor(nn.CrossEntropyLoss(weight=x).weight),
    "embedding": lambda x: nn.Embedding.from_pretrained(x[:, None]).weight,
}
VALUES = {
    "numpy": np.array([1.0, 2.0, 3.0], "float32"),
    "read-only": np.broadcast_to(np.float32(2), 3),
    "float64": np.array([1.0, 2.0]),
}


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.usefixtures("standin_in_force")
def test_numpy_arrays_go_to_the_backend_in_force(maker, values):
    made = MAKERS[maker](VALUES[values])
    assert made.backend is STANDIN
    assert made.dtype == VALUES[values].dtype
    assert made.numpy().ravel().tolist() == VALUES[values].tolist()


@pytest.mark.parametrize("make", [xpnet.tensor, xpnet.as_tensor, nn.Parameter])
@pytest.mark.parametrize("values", [[1.0, 2.0], [[1.0], [2.0]], 3.0, (1.0, 2.0)])
def test_lists_and_numbers_go_to_the_backend_in_force(backend, make, values):
    made = make(values)
    assert made.backend is backend
    assert made.dtype == "float32"


def test_whole_numbers_flags_and_numpys_own_numbers(backend):
    for values, dtype in (
        (np.arange(3), "int64"), (np.array([True]), "bool"), (np.float64(2), "float64"), (np.array(5, "int32"), "int32"),
    ):  # fmt: skip
        assert xpnet.tensor(values).backend is xpnet.as_tensor(values).backend is backend
        assert xpnet.tensor(values).dtype == xpnet.as_tensor(values).dtype == dtype


@pytest.mark.parametrize("make", [xpnet.tensor, xpnet.as_tensor, nn.Parameter])
def test_arrays_of_a_device_stay(make):
    array = STANDIN.asarray(X)
    assert make(array).backend is STANDIN
    assert make(xpnet.tensor(X, backend="standin")).backend is STANDIN
    with xpnet.use(backend="standin"):
        assert make(xpnet.tensor(X, backend="numpy")).backend is NUMPY  # a tensor was placed before


@pytest.mark.parametrize("make", [xpnet.tensor, xpnet.as_tensor])
@pytest.mark.parametrize("values", [X, [1.0, 2.0], STANDIN.asarray(X)])
def test_the_argument_overrides(make, values):
    with xpnet.use(backend="standin"):
        assert make(values, backend="numpy").backend is NUMPY
        assert make(values, backend=NUMPY).backend is NUMPY
    assert make(values, backend="standin").backend is STANDIN
    assert make(xpnet.tensor(X), backend="standin").backend is STANDIN
    assert make(values, backend="standin", dtype="float64").dtype == "float64"


def test_a_copy_or_the_same_memory(backend):
    array = backend.asarray(X.copy())
    assert xpnet.as_tensor(array).data is array
    assert not backend.xp.may_share_memory(xpnet.tensor(array).data, array)
    t = xpnet.tensor(X)
    assert xpnet.as_tensor(t) is t
    assert xpnet.as_tensor(t, dtype="float64").dtype == "float64"


def test_what_is_no_number(backend):
    for make in (xpnet.tensor, xpnet.as_tensor):
        with pytest.raises(TypeError, match=r"tensor\(\) takes numbers, got an array of <U1"):
            make(np.array(["a"]))


@pytest.mark.usefixtures("standin_in_force")
def test_layers_made_with_a_backend_of_their_own_stay_there():
    for layer in (nn.Linear(4, 3, backend="numpy"), nn.Embedding(4, 3, backend="numpy")):
        assert all(p.backend is NUMPY for p in layer.parameters())
    norm = nn.BatchNorm1d(4, backend="numpy")
    assert xpnet.as_tensor(norm(X)).backend is NUMPY
    assert type(norm.running_mean) is np.ndarray


OPERATIONS = {
    "arithmetic": lambda t, x: t + x,
    "product": lambda t, x: t @ x.T,
    "function": lambda t, x: F.linear(x, t),
    "layer": lambda t, x: nn.Linear(4, 3)(x),
    "loss": lambda t, x: F.mse_loss(t, x),
    "class numbers": lambda t, x: F.cross_entropy(t, LABELS),
    "assignment": lambda t, x: t.__setitem__(slice(None), x),
    "metric": lambda t, x: metrics.accuracy(t, LABELS),
    "concatenate": lambda t, x: xpnet.concatenate([t, x]),
    "gradient": lambda t, x: (t * 1.0).requires_grad or xpnet.tensor(t, requires_grad=True).backward(x),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.usefixtures("standin_in_force")
def test_inside_ops_nothing_is_moved(name):
    with pytest.raises(BackendError, match="arrays of two backends"):
        OPERATIONS[name](xpnet.tensor(X), X)


def test_the_error_says_how_to_move_the_array_to_the_device():
    with pytest.raises(BackendError, match=r'a NumPy array: xpnet\.tensor\(array, backend="standin"\)$'):
        nn.Linear(4, 3, backend="standin")(X)


def fitted(model):
    return Trainer(model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.1), metrics={"a": metrics.accuracy})


GIVEN = {
    "numpy": lambda x, y: (x, y),
    "lists": lambda x, y: (x.tolist(), y.tolist()),
    "standin": lambda x, y: (STANDIN.asarray(x), STANDIN.asarray(y)),
    "tensors": lambda x, y: (xpnet.tensor(x, backend="standin"), xpnet.tensor(y, backend="standin")),
    "tensors on the host": lambda x, y: (xpnet.tensor(x, backend="numpy"), xpnet.tensor(y, backend="numpy")),
}


@pytest.mark.parametrize("where", ["numpy", "standin"])
@pytest.mark.parametrize("given", GIVEN)
def test_a_trainer_takes_data_from_anywhere(backend, given, where):
    trainer = fitted(nn.Linear(4, 3, backend=where))
    x, labels = GIVEN[given](X, LABELS)
    trainer.fit((x, labels), (x, labels), epochs=1, batch_size=5)
    scores = trainer.evaluate((x, labels))
    y = trainer.predict(x)
    assert type(y) is get_backend(where).array_type
    assert y.shape == (12, 3)
    assert y.dtype == "float32"
    assert scores["a"] == pytest.approx((get_backend(where).to_numpy(y).argmax(axis=1) == LABELS).mean())


def test_loaders_bring_batches_to_the_backend_in_force(backend):
    for inputs in (X, STANDIN.asarray(X)):
        loader = data.DataLoader(data.ArrayDataset(inputs, LABELS), 5, shuffle=True, prefetch=1)
        assert [type(part) for batch in loader for part in batch] == [backend.array_type] * 6


def test_floats_of_a_list_are_float32_in_a_dataset_too():
    dataset = data.ArrayDataset([[1.0], [2.0]], [0.5, 1.5])
    assert dataset.inputs.dtype == dataset.targets.dtype == "float32"
    assert data.ArrayDataset([[1]], [2]).targets.dtype == "int64"
    assert data.ArrayDataset(np.ones((1, 1))).inputs.dtype == "float64"


def test_files_are_read_to_the_backend_in_force(backend, tmp_path):
    xpnet.save({"weight": X[:3], "bias": X[0, :3]}, tmp_path / "a.safetensors")
    state = xpnet.load(tmp_path / "a.safetensors")
    assert all(type(value) is backend.array_type for value in state.values())
    for there in ("numpy", "standin"):  # a state dict may come from anywhere
        layer = nn.Linear(4, 3, backend=there)
        layer.load_state_dict(state)
        layer.load_state_dict({key: backend.to_numpy(value) for key, value in state.items()})
        assert layer.weight.backend.name == there
        np.testing.assert_array_equal(layer.weight.numpy(), X[:3])


def test_lists_in_an_assignment(backend):
    t = xpnet.tensor(X)
    t[0] = [1, 2, 3, 4]
    assert t.numpy()[0].tolist() == [1, 2, 3, 4]
