"""Indices that occur several times: sums and maxima that are right in each dtype, and the same each time."""

import numpy as np
import pytest

import xpnet
from xpnet import metrics, nn, ops
from xpnet.nn import functional as F


def put(backend, values, dtype=None):
    return backend.asarray(np.asarray(values, dtype))


def test_maxima_of_bags_in_float64_keep_their_digits(backend):
    weight = np.array([[1.0 + 1e-12, -1e-300], [1.0, -2e-300], [0.1, 0.3]])
    bag = F.embedding_bag(
        put(backend, [[0, 1], [1, 2]], "int64"), xpnet.tensor(weight, backend=backend), mode="max"
    ).numpy()
    np.testing.assert_array_equal(bag, [[1.0 + 1e-12, -1e-300], [1.0, 0.3]])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_maximum_of_minus_infinity_is_no_empty_bag(backend, dtype):
    weight = xpnet.tensor(np.array([[-np.inf], [2.0]], dtype), requires_grad=True, backend=backend)
    y = F.embedding_bag(put(backend, [0, 0, 1]), weight, put(backend, [0, 2, 2]), mode="max")
    np.testing.assert_array_equal(y.numpy(), np.array([[-np.inf], [0.0], [2.0]], dtype))
    y.backward(put(backend, [[3.0], [5.0], [7.0]], dtype))
    np.testing.assert_array_equal(backend.to_numpy(weight.grad), np.array([[3.0], [7.0]], dtype))


def test_nan_in_a_bag_is_its_maximum_and_takes_the_gradient(backend):
    weight = xpnet.tensor(np.array([[1.0, 5.0], [np.nan, 4.0]]), requires_grad=True, backend=backend)
    y = F.embedding_bag(put(backend, [[0, 1], [0, 0]]), weight, mode="max")
    np.testing.assert_array_equal(y.numpy(), [[np.nan, 5.0], [1.0, 5.0]])
    y.sum().backward()
    np.testing.assert_array_equal(backend.to_numpy(weight.grad), [[1.0, 2.0], [1.0, 0.0]])


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_what_stands_at_the_padding_does_not_matter(backend, mode):
    weight = xpnet.tensor(np.array([[np.nan], [2.0], [4.0]]), requires_grad=True, backend=backend)
    y = F.embedding_bag(put(backend, [[0, 1, 2], [0, 0, 1]]), weight, mode=mode, padding_idx=0)
    np.testing.assert_array_equal(y.numpy(), {"sum": [[6], [2]], "mean": [[3], [2]], "max": [[4], [2]]}[mode])
    y.sum().backward()
    expected = {"sum": [[0], [2], [1]], "mean": [[0], [1.5], [0.5]], "max": [[0], [1], [1]]}[mode]
    np.testing.assert_array_equal(backend.to_numpy(weight.grad), expected)


def test_embedding_gradients_in_float16_add_up_in_float32(backend):
    weight = xpnet.tensor(np.zeros((2, 1), "float16"), requires_grad=True, backend=backend)
    F.embedding(put(backend, np.ones(5000), "int64"), weight).sum().backward()
    assert weight.grad.dtype == "float16"
    np.testing.assert_array_equal(backend.to_numpy(weight.grad), [[0.0], [5000.0]])


INDICES = {
    "one array": lambda p: p([1, 1, 0, 1]),
    "two arrays": lambda p: (p([0, 2, 0]), p([1, 1, 1])),
    "three arrays": lambda p: (p([0, 2, 0]), p([1, 1, 1]), p([3, 0, 3])),
    "behind a slice": lambda p: (slice(None), p([2, 2, 0])),
    "around a slice": lambda p: (p([0, 0]), slice(1, None), p([3, 3])),
    "last axis": lambda p: (..., p([3, 3, 3])),
    "with a number": lambda p: (1, p([0, 0])),
    "with a new axis": lambda p: (None, p([1, 1])),
    "negative": lambda p: p([-1, 2, -1]),
    "small numbers": lambda p: p([1, 2, 1]).astype("uint8"),
    "one in a tuple": lambda p: (p([2, 2]),),
    "a list": lambda p: [1, 1, 2],
    "a list of flags": lambda p: [True, False, True],
    "lists of flags": lambda p: [[True, False, True], [False, False, True], [False, True, True]],
    "a table": lambda p: p([[1, 1], [0, 1]]),
    "none": lambda p: p(np.zeros(0, "int64")),
    "with a mask": lambda p: (p([0, 0, 1]), p([True, True, True])),
    "a mask of two axes": lambda p: (p(np.eye(3, 3, dtype=bool)), p([1, 1, 0])),
}


@pytest.mark.parametrize("case", INDICES)
def test_gradients_of_what_an_index_picks(backend, case):
    x = xpnet.tensor(np.arange(36.0).reshape(3, 3, 4), requires_grad=True, backend=backend)
    there, here = INDICES[case](lambda v: put(backend, v)), INDICES[case](np.asarray)
    picked = x.numpy()[here]
    np.testing.assert_array_equal(x[there].numpy(), picked)
    dy = np.random.default_rng(0).standard_normal(picked.shape)
    x[there].backward(put(backend, dy))
    expected = np.zeros((3, 3, 4))
    np.add.at(expected, here, dy)
    np.testing.assert_allclose(backend.to_numpy(x.grad), expected, rtol=1e-12, atol=1e-15)


def test_an_element_picked_often_counts_each_time(backend):
    for dtype, n in (("float16", 3000), ("float32", 70_000)):
        x = xpnet.tensor(np.ones(3, dtype), requires_grad=True, backend=backend)
        x[put(backend, np.ones(n), "int64")].backward(put(backend, np.full(n, 0.125), dtype))
        assert x.grad.dtype == dtype
        assert backend.to_numpy(x.grad)[1] == n / 8


def test_overlapping_windows_of_adaptive_max_pooling(backend):
    x = np.zeros((1, 2, 3, 3))
    x[0, 0, 1, 1] = x[0, 1, 0, 0] = 5.0
    (_, index), backward = ops.adaptive_max_pool2d(backend.xp, backend.asarray(x), size=(2, 2))
    (dx,) = backward((put(backend, np.arange(1.0, 9.0).reshape(1, 2, 2, 2)), None))
    assert backend.to_numpy(index)[0, 0].tolist() == [[4, 4], [4, 4]]
    assert backend.to_numpy(dx)[0, 0].tolist() == [[0, 0, 0], [0, 10, 0], [0, 0, 0]]


def test_ctc_of_a_target_that_repeats_a_label(backend):
    log_p = xpnet.tensor(np.full((5, 1, 3), -np.log(3)), requires_grad=True, backend=backend)
    F.ctc_loss(log_p, put(backend, [[1, 1]]), put(backend, [5]), put(backend, [2]), reduction="sum").backward()
    grad = backend.to_numpy(log_p.grad)
    np.testing.assert_allclose(grad.sum(axis=2), -1.0)  # at each time one of the states
    assert (grad[:, 0, 2] == 0).all()
    np.testing.assert_allclose(grad, grad[::-1], rtol=1e-12)  # the target reads the same backwards


def test_weighted_counts_of_metrics(backend):
    labels, guesses, weight = [0, 1, 1, 0, 1], [0, 1, 0, 1, 1], [0.5, 1.0, 2.0, 4.0, 8.0]
    y, t, w = put(backend, guesses), put(backend, labels), put(backend, weight)
    matrix = metrics.confusion_matrix(t, y, num_classes=2, sample_weight=w)
    assert backend.to_numpy(matrix).tolist() == [[0.5, 4.0], [2.0, 9.0]]
    counts = metrics.confusion_matrix(t, y, num_classes=2)
    assert counts.dtype == "int64"
    assert backend.to_numpy(counts).tolist() == [[1, 1], [1, 2]]


def test_a_training_step_with_embeddings_is_the_same_each_time(backend):
    def trained():
        xpnet.manual_seed(0)
        layer = nn.EmbeddingBag(7, 4, backend=backend)
        rng = np.random.default_rng(0)
        rows = put(backend, rng.integers(0, 7, (40, 9)))
        optimizer = xpnet.optim.SGD(layer.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (layer(rows) ** 2).sum().backward()
            optimizer.step()
        return layer.weight.numpy().copy()

    np.testing.assert_array_equal(trained(), trained())
