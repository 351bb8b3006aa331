"""The one matrix product, on every kind of operand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from xpnet_backends import Backend, BackendError, get_backend, matmul

SHAPES = [
    ((3, 4), (4, 5)),
    ((1, 1), (1, 1)),
    ((2, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (4, 5)),
    ((2, 1, 3, 4), (6, 4, 5)),
    ((0, 4), (4, 5)),
    ((3, 0), (0, 5)),  # a sum of nothing: zeros
    ((3, 4), (4, 0)),
    ((2, 0, 4), (2, 4, 5)),
]


def operands(backend: Backend, *shapes: tuple[int, ...], dtype: str = "float64") -> list[tuple[np.ndarray, Any]]:
    rng = np.random.default_rng(0)
    host = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    return [(h, backend.asarray(h)) for h in host]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("a_shape", "b_shape"), SHAPES)
def test_plain(backend: Backend, a_shape: tuple[int, ...], b_shape: tuple[int, ...], dtype: str) -> None:
    (a, device_a), (b, device_b) = operands(backend, a_shape, b_shape, dtype=dtype)
    y = matmul(device_a, device_b)
    assert y.dtype == dtype
    expected = np.einsum("...ij,...jk->...ik", a.astype("float64"), b.astype("float64"))
    np.testing.assert_allclose(backend.to_numpy(y), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch", [(), (3,)])
def test_transposed(backend: Backend, batch: tuple[int, ...]) -> None:
    (a, device_a), (b, device_b) = operands(backend, (*batch, 4, 3), (*batch, 5, 4))
    y = matmul(device_a.swapaxes(-1, -2), device_b.swapaxes(-1, -2))
    np.testing.assert_allclose(backend.to_numpy(y), a.swapaxes(-1, -2) @ b.swapaxes(-1, -2), rtol=1e-13)


def test_not_contiguous(backend: Backend) -> None:
    (a, device_a), (b, device_b) = operands(backend, (6, 8), (8, 10))
    y = matmul(device_a[::2, ::-2], device_b[1::2, ::3])
    np.testing.assert_allclose(backend.to_numpy(y), a[::2, ::-2] @ b[1::2, ::3], rtol=1e-13)


def test_broadcast_operand(backend: Backend) -> None:
    (a, device_a), (b, device_b) = operands(backend, (1, 4), (4, 5))
    y = matmul(backend.xp.broadcast_to(device_a, (3, 4)), device_b)
    np.testing.assert_allclose(backend.to_numpy(y), np.broadcast_to(a, (3, 4)) @ b, rtol=1e-13)


def test_operands_stay_as_they_are(backend: Backend) -> None:
    (a, device_a), (b, device_b) = operands(backend, (3, 4), (4, 5))
    matmul(device_a, device_b)
    np.testing.assert_array_equal(backend.to_numpy(device_a), a)
    np.testing.assert_array_equal(backend.to_numpy(device_b), b)


def test_shapes_that_do_not_fit(backend: Backend) -> None:
    (_, a), (_, b) = operands(backend, (3, 4), (5, 4))
    with pytest.raises(ValueError, match=r"4.*5|5.*4"):
        matmul(a, b)


def test_operands_of_two_backends() -> None:
    numpy, standin = get_backend("numpy"), get_backend("standin")
    with pytest.raises(BackendError, match=r"\(numpy and standin\): nothing is moved silently"):
        matmul(numpy.asarray(np.ones((2, 2))), standin.asarray(np.ones((2, 2))))


def test_something_that_is_no_array() -> None:
    with pytest.raises(TypeError, match=r"expected an array of a backend \(.*numpy.*\), got list"):
        matmul(np.ones((2, 2)), [[1.0], [2.0]])
