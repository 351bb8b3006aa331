"""Sums and maxima of rows that go to one place: right in each dtype, and the same bits each time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xpnet_backends import Backend, BackendError, get_backend, max_rows, sum_rows
from xpnet_backends.segments import MANY

DTYPES = ["float16", "float32", "float64", "int32", "int64"]
CASES = {  # places, how many there are
    "repeated": ([2, 0, 2, 2, 5, 0, 2], 6),
    "one place": ([1] * 9, 3),
    "each once": ([3, 1, 0, 2], 4),
    "none": ([], 3),
    "no places": ([], 0),
}


def given(backend: Backend, places: list[int], dtype: str, features: int = 3) -> tuple[np.ndarray, Any, Any]:
    rows = np.random.default_rng(0).integers(-9, 9, (len(places), features)).astype(dtype)
    return rows, backend.asarray(rows), backend.asarray(np.array(places, dtype="int64"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_sums(backend: Backend, case: str, dtype: str) -> None:
    places, count = CASES[case]
    for features in (1, 3):
        rows, device_rows, to = given(backend, places, dtype, features)
        expected = np.zeros((count, features))
        for row, place in zip(rows, places, strict=True):
            expected[place] += row
        y = sum_rows(device_rows, to, count)
        assert y.dtype == dtype
        np.testing.assert_array_equal(backend.to_numpy(y), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_maxima(backend: Backend, case: str, dtype: str) -> None:
    places, count = CASES[case]
    rows, device_rows, to = given(backend, places, dtype)
    lowest = -np.inf if dtype.startswith("float") else np.iinfo(dtype).min
    expected = np.full((count, 3), lowest, dtype)
    for row, place in zip(rows, places, strict=True):
        expected[place] = np.maximum(expected[place], row)
    y = max_rows(device_rows, to, count)
    assert y.dtype == dtype
    np.testing.assert_array_equal(backend.to_numpy(y), expected)


def test_maxima_of_doubles_keep_their_digits(backend: Backend) -> None:
    rows = np.array([[1.0 + 1e-12], [1.0], [-1e-300], [-2e-300]])
    y = max_rows(backend.asarray(rows), backend.asarray(np.array([0, 0, 1, 1])), 2)
    assert backend.to_numpy(y)[:, 0].tolist() == [1.0 + 1e-12, -1e-300]


@pytest.mark.parametrize(("dtype", "value", "number"), [("float16", 1.0, 5000), ("float16", 300.0, 200)])
def test_half_precision_adds_up_in_float32(backend: Backend, dtype: str, value: float, number: int) -> None:
    rows = backend.asarray(np.full((number, 1), value, dtype))
    y = sum_rows(rows, backend.asarray(np.zeros(number, "int64")), 1)
    assert y.dtype == dtype
    assert y.item() == np.float16(value * number)


def test_many_rows_keep_float32s_digits(backend: Backend) -> None:
    n = MANY + 1000
    rows = np.full((n, 1), 0.1, "float32")
    y = sum_rows(backend.asarray(rows), backend.asarray(np.zeros(n, "int64")), 1)
    assert abs(float(y.item()) / (n * float(np.float32(0.1))) - 1) < 2e-7


def test_one_nan_or_infinity_stays_in_its_place(backend: Backend) -> None:
    rows = backend.asarray(np.array([[1.0, np.nan], [2.0, 3.0], [np.inf, 4.0], [5.0, 6.0]], "float32"))
    to = backend.asarray(np.array([0, 1, 2, 1]))
    np.testing.assert_array_equal(backend.to_numpy(sum_rows(rows, to, 3)), [[1, np.nan], [7, 9], [np.inf, 4]])
    np.testing.assert_array_equal(backend.to_numpy(max_rows(rows, to, 3)), [[1, np.nan], [5, 6], [np.inf, 4]])


def test_the_same_bits_each_time(backend: Backend) -> None:
    rng = np.random.default_rng(0)
    rows = backend.asarray((rng.standard_normal((3000, 4)) * 10.0 ** rng.integers(-6, 6, (3000, 1))).astype("float32"))
    to = backend.asarray(rng.integers(0, 7, 3000))
    first = backend.to_numpy(sum_rows(rows, to, 7))
    for _ in range(3):
        np.testing.assert_array_equal(backend.to_numpy(sum_rows(rows, to, 7)), first)


def test_both_backends_agree() -> None:
    numpy, standin = get_backend("numpy"), get_backend("standin")
    rng = np.random.default_rng(0)
    rows, to = rng.standard_normal((500, 3)), rng.integers(0, 40, 500)
    for reduce in (sum_rows, max_rows):
        there = standin.to_numpy(reduce(standin.asarray(rows), standin.asarray(to), 40))
        np.testing.assert_allclose(there, reduce(numpy.asarray(rows), numpy.asarray(to), 40), rtol=1e-13, atol=1e-13)


def test_rows_and_places_on_two_backends() -> None:
    with pytest.raises(BackendError, match="arrays of two backends"):
        sum_rows(get_backend("standin").asarray(np.ones((2, 1))), np.zeros(2, "int64"), 1)


@pytest.mark.parametrize("n", [MANY + 1, 20_000])
def test_many_rows_of_one_place_beside_few_of_others(backend: Backend, n: int) -> None:
    """As the gradient of a frequent word: one after the other, 20,000 times 0.1 loses four digits in float32."""
    to = np.concatenate((np.zeros(n, "int64"), np.arange(1, 50)))
    rows = np.full((len(to), 2), 0.1, "float32")
    y = backend.to_numpy(sum_rows(backend.asarray(rows), backend.asarray(to), 50))
    assert y.dtype == "float32"
    np.testing.assert_allclose(y[0], n * float(np.float32(0.1)), rtol=1e-6)
    assert (y[1:] == np.float32(0.1)).all()
