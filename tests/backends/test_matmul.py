"""The one matrix product, on every kind of operand."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import xpnet
from xpnet import apply, nn, ops
from xpnet.nn import functional as F
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


@pytest.mark.parametrize(
    ("a_shape", "b_shape", "message"),
    [
        ((3, 4), (5, 4), "matmul: inner lengths differ: (3, 4) @ (5, 4)"),
        ((300, 400), (500, 400), "matmul: inner lengths differ: (300, 400) @ (500, 400)"),  # large ones have a kernel
        ((3, 1), (4, 3), "matmul: inner lengths differ: (3, 1) @ (4, 3)"),
        ((2, 3, 4), (2, 5, 4), "matmul: inner lengths differ: (2, 3, 4) @ (2, 5, 4)"),
        ((2, 3, 4), (5, 4), "matmul: inner lengths differ: (2, 3, 4) @ (5, 4)"),
        ((0, 4), (5, 4), "matmul: inner lengths differ: (0, 4) @ (5, 4)"),
        ((2, 3, 4), (5, 4, 6), "matmul: leading axes do not broadcast: (2, 3, 4) @ (5, 4, 6)"),
        ((7, 2, 3, 4), (3, 4, 6), "matmul: leading axes do not broadcast: (7, 2, 3, 4) @ (3, 4, 6)"),
        ((4,), (4, 5), "matmul: expected matrices (..., M, K) @ (..., K, N), got shapes (4,) @ (4, 5)"),
        ((3, 4), (4,), "matmul: expected matrices (..., M, K) @ (..., K, N), got shapes (3, 4) @ (4,)"),
        ((), (4, 5), "matmul: expected matrices (..., M, K) @ (..., K, N), got shapes () @ (4, 5)"),
    ],
)
def test_shapes_that_do_not_fit(
    backend: Backend, a_shape: tuple[int, ...], b_shape: tuple[int, ...], message: str
) -> None:
    (_, a), (_, b) = operands(backend, a_shape, b_shape, dtype="float32")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        matmul(a, b)


A = (2, 3, 4, 4)  # images


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t(3, 4) @ t(5, 4), "inner lengths differ: (3, 4) @ (5, 4)"),
        (lambda t: t(4) @ t(5), "inner lengths differ: (4,) @ (5,)"),
        (lambda t: t(2, 3, 4) @ t(3), "inner lengths differ: (2, 3, 4) @ (3,)"),
        (lambda t: t(2, 3, 4) @ t(5, 4, 2), "leading axes do not broadcast: (2, 3, 4) @ (5, 4, 2)"),
        (lambda t: t(4).data @ t(5), "inner lengths differ: (4,) @ (5,)"),
        (lambda t: t() @ t(5), "inner lengths differ: () @ (5,)"),
        (lambda t: ops.matmul(t.xp, t(3).data, t(4, 5).data), "inner lengths differ: (3,) @ (4, 5)"),
        (lambda t: ops.matmul(t.xp, t(3, 4).data, t(5).data), "inner lengths differ: (3, 4) @ (5,)"),
        (lambda t: ops.linear(t.xp, t(6, 3).data, t(5, 4).data), "inner lengths differ: (6, 3) @ (4, 5)"),
        (lambda t: ops.linear(t.xp, t(2, 3, 3).data, t(5, 4).data), "inner lengths differ: (6, 3) @ (4, 5)"),
        (lambda t: F.linear(t(6, 3), t(5, 4)), "expected input of shape (..., 4), got (6, 3)"),
        (lambda t: F.linear(t(6, 4), t(4)), "weight must have shape (O, I), got (4,) beside input (6, 4)"),
        (lambda t: F.conv2d(t(*A), t(3, 4)), "weight must have shape (O, C/groups, K, L), got (3, 4)"),
        (lambda t: F.conv1d(t(2, 3, 9), t(3, 4)), "weight must have shape (O, C/groups, K), got (3, 4)"),
        (lambda t: F.conv_transpose2d(t(*A), t(3, 4, 2)), "weight must have shape (C, O/groups, K, L), got (3, 4, 2)"),
        (lambda t: nn.Linear(4, 5)(t(6, 3)), "expected input of shape (..., 4), got (6, 3)"),
        (lambda t: apply(ops.linear, t(6, 3), t(5, 4)), "inner lengths differ: (6, 3) @ (4, 5)"),
        (lambda t: ops.conv2d(t.xp, t(*A).data, t(1, 2, 3, 3).data), "@ (2, 1, 27, 4)"),
        (lambda t: apply(ops.conv2d, t(*A), t(4, 2, 3, 3)), "(1, 4, 18) @ (2, 1, 27, 4)"),
        (lambda t: F.conv2d(t(*A), t(1, 2, 3, 3)), "expected 2 input channels, got 3"),
        (lambda t: nn.Conv2d(2, 5, 3)(t(*A)), "expected 2 input channels, got 3"),
        (lambda t: nn.Conv1d(2, 5, 3)(t(2, 3, 9)), "expected 2 input channels, got 3"),
        (lambda t: nn.ConvTranspose2d(2, 5, 3)(t(*A)), "expected 2 input channels, got 3"),
        (lambda t: ops.conv_transpose2d(t.xp, t(*A).data, t(2, 5, 3, 3).data), "@ (2, 1, 3, 16)"),
        (lambda t: nn.RNN(4, 5)(t(3, 2, 6)), "(3, 2, 6)"),
        (lambda t: nn.LSTM(4, 5)(t(3, 2, 6)), "(3, 2, 6)"),
        (lambda t: nn.GRU(4, 5)(t(3, 2, 6)), "(3, 2, 6)"),
        (
            lambda t: ops.rnn(t.xp, *(t(*s).data for s in ((3, 2, 6), (2, 5), (5, 4), (5, 5)))),
            "inner lengths differ: (6, 6) @ (4, 5)",
        ),
        (
            lambda t: apply(ops.lstm, *(t(*s) for s in ((3, 2, 6), (2, 5), (2, 5), (20, 4), (20, 5)))),
            "inner lengths differ: (6, 6) @ (4, 4, 5)",
        ),
        (
            lambda t: apply(ops.gru, *(t(*s) for s in ((3, 2, 6), (2, 5), (15, 4), (15, 5)))),
            "inner lengths differ: (6, 6) @ (3, 4, 5)",
        ),
        (
            lambda t: apply(ops.gru, *(t(*s) for s in ((3, 2, 4), (2, 5), (15, 4), (15, 7)))),
            "inner lengths differ: (2, 5) @ (3, 7, 5)",
        ),
        (lambda t: F.scaled_dot_product_attention(t(2, 3, 4), t(2, 3, 5), t(2, 3, 5)), "key (2, 3, 5)"),
        (
            lambda t: ops.scaled_dot_product_attention(t.xp, *(t(*s).data for s in ((2, 3, 4), (2, 3, 5), (2, 3, 5)))),
            "inner lengths differ: (2, 3, 4) @ (2, 5, 3)",
        ),
        (lambda t: nn.MultiheadAttention(4, 2)(t(3, 2, 6), t(3, 2, 6), t(3, 2, 6)), "(3, 2, 6)"),
    ],
)
def test_every_way_to_a_product_names_the_shapes(backend: Backend, call: Any, message: str) -> None:
    def t(*shape: int) -> Any:
        return xpnet.tensor(np.ones(shape, "float32"), backend=backend)

    t.xp = backend.xp  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=re.escape(message)):
        call(t)


def test_operands_of_two_backends() -> None:
    numpy, standin = get_backend("numpy"), get_backend("standin")
    with pytest.raises(BackendError, match=r"\(numpy and standin\): nothing is moved silently"):
        matmul(numpy.asarray(np.ones((2, 2))), standin.asarray(np.ones((2, 2))))


def test_something_that_is_no_array() -> None:
    with pytest.raises(TypeError, match=r"expected an array of a backend \(.*numpy.*\), got list"):
        matmul(np.ones((2, 2)), [[1.0], [2.0]])
