"""Sums over many numbers: as accurate along any axis, in any memory order, on every backend."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xpnet_backends import get_backend, pairwise_mean, pairwise_sum, sum_of_squares, sums, to_numpy

LONG = 300_000


def close(found, expected, rtol=1e-6):
    np.testing.assert_allclose(to_numpy(found), expected, rtol=rtol)


ORDERS = {
    "rows": lambda x: x,
    "columns": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "reversed": lambda x: x[::-1].copy()[::-1],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("shape", "axis"), [
    ((LONG, 2), 0), ((2, LONG), 1), ((LONG, 3), None), ((LONG // 4, 2, 4), (0, 2)), ((2, LONG // 4, 4), (1, 2)),
    ((600, 600, 2), (0, 1)), ((600, 2, 600), (0, 2)), ((LONG,), 0), ((2, LONG, 2), 1), ((2, LONG, 2), -2),
])  # fmt: skip
def test_a_long_sum_is_right_to_float32(backend, shape, axis, order):
    x = ORDERS[order](np.full(shape, 1.1, np.float32))
    expected = x.astype(np.float64).sum(axis=axis)
    close(pairwise_sum(backend.asarray(x), axis), expected)
    close(pairwise_mean(backend.asarray(x), axis), np.full(np.shape(expected), np.float32(1.1)))


def test_numpy_alone_is_not():
    """The fault that the helper is there for."""
    x = np.full((LONG, 2), 1.1, np.float32)
    assert abs(x.sum(axis=0)[0] / (LONG * 1.1) - 1) > 1e-5


def test_a_sum_that_float32_can_no_longer_count(backend):
    ones = np.broadcast_to(np.float32(1), (2**24 + 2**20, 2))  # added in order, it ends at 2**24
    assert float(pairwise_mean(backend.asarray(ones), 0)[1]) == 1.0


@pytest.mark.parametrize("length", [0, 1, 1023, 1024, 1025, 2048, 2050])
def test_no_number_is_lost_at_the_ends_of_blocks(backend, length):
    x = np.arange(2.0 * length).reshape(length, 2)
    close(pairwise_sum(backend.asarray(x), 0), x.sum(axis=0))
    close(sum_of_squares(backend.asarray(x)), (x * x).sum())


@pytest.mark.parametrize("length", [0, 5, 4095, 4096, 4097, 9000])
def test_squares_at_the_ends_of_pieces(backend, length):
    x = np.arange(1.0, length + 1)
    close(sum_of_squares(backend.asarray(x)), (x * x).sum(), rtol=1e-12)


def test_squares_of_many_numbers(backend):
    x = np.full(LONG, 1.1, np.float32)
    close(sum_of_squares(backend.asarray(x)), LONG * float(np.float32(1.1)) ** 2)
    assert abs(np.vdot(x, x) / (LONG * float(np.float32(1.1)) ** 2) - 1) > 4e-6  # one scalar product alone


@given(data=st.data(), shape=hnp.array_shapes(max_dims=4, max_side=5), keepdims=st.booleans())
def test_short_blocks_give_what_numpy_gives(data, shape, keepdims):
    axis = data.draw(st.none() | st.sets(st.integers(-len(shape), -1)).map(tuple) | st.integers(0, len(shape) - 1))
    x = np.random.default_rng(0).standard_normal(shape).transpose(data.draw(st.permutations(range(len(shape)))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sums, "LONG", 2)
        patch.setattr(sums, "BLOCK", 2)
        for ours, plain in ((pairwise_sum, np.sum), (pairwise_mean, np.mean)):
            found, expected = ours(x, axis, keepdims), plain(x, axis=axis, keepdims=keepdims)
            assert np.shape(found) == np.shape(expected)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_a_long_row_on_a_device(monkeypatch):
    """On a device contiguous axes are summed in blocks too, because one thread would add too many numbers in order."""
    x = get_backend("standin").asarray(np.ones((2, 5000), np.float32))
    plain = sums._side_by_side(x, (1,))
    monkeypatch.setattr(sums, "THREADS", 1)
    assert (plain, sums._side_by_side(x, (1,)), sums._side_by_side(to_numpy(x), (1,))) == ((1,), (), (1,))
    assert to_numpy(pairwise_sum(x, 1)).tolist() == [5000.0, 5000.0]


def test_up_to_a_block_the_sum_is_numpys_own():
    x = np.random.default_rng(0).standard_normal((1024, 3)).astype(np.float32)
    np.testing.assert_array_equal(pairwise_sum(x, 0), x.sum(axis=0))


@pytest.mark.parametrize(("dtype", "found"), [
    ("float16", "float16"), ("float32", "float32"), ("float64", "float64"), ("int64", "int64"), ("bool", "int64"),
])  # fmt: skip
def test_the_dtype(backend, dtype, found):
    x = backend.asarray(np.ones((2000, 2), dtype))
    assert pairwise_sum(x, 0).dtype == found
    close(pairwise_sum(x, 0), [2000, 2000])


def test_float16_is_added_in_float32(backend):
    x = backend.asarray(np.full((70_000, 2), 10, np.float16))
    assert to_numpy(pairwise_mean(x, 0)).tolist() == [10.0, 10.0]
    assert to_numpy(pairwise_sum(backend.asarray(np.ones((5000, 2), np.float16)), 0)).tolist() == [5000.0, 5000.0]
    assert float(sum_of_squares(x)) == pytest.approx(1.4e7)
    assert sum_of_squares(x).dtype == "float32"


@pytest.mark.parametrize("length", [2, 3000])
@pytest.mark.parametrize(("axis", "message"), [(2, "out of bounds"), (-3, "out of bounds"), ((0, 0), "duplicate")])
def test_an_axis_that_does_not_exist_is_numpys_error(length, axis, message):
    for function in (pairwise_sum, pairwise_mean):
        with pytest.raises(ValueError, match=message):
            function(np.ones((length, 2)), axis)


def test_the_mean_of_nothing_is_nan_without_a_warning(backend):
    assert math.isnan(float(pairwise_mean(backend.asarray(np.zeros(0, np.float32)))))
    assert np.isnan(to_numpy(pairwise_mean(backend.asarray(np.zeros((0, 2), np.float32)), 0))).all()
