"""The Winograd kernel against the op that it stands in for."""

import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xpnet import ops
from xpnet_backends.kernels import winograd, workers


def both(x, weight, bias, padding, needs=(True, True, True)):
    """Output and gradients by the op and by the kernel."""
    for conv2d in (ops.conv2d, winograd.conv2d):
        y, backward = conv2d(np, x, weight, bias, padding=padding)
        dy = np.random.default_rng(1).standard_normal(y.shape).astype(np.float32)
        yield y, *backward(dy, needs)


def images(n, channels, height, width, out=64):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, channels, height, width)).astype(np.float32)
    return x, rng.standard_normal((out, channels, 3, 3)).astype(np.float32), rng.standard_normal(out).astype(np.float32)


sides = st.tuples(st.integers(0, 2), st.integers(0, 2))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(64, 66), st.integers(3, 11), st.integers(3, 11), st.tuples(sides, sides))
def test_equal_to_the_op(n, channels, height, width, padding):
    for expected, found in zip(*both(*images(n, channels, height, width), padding), strict=True):
        assert found.shape == expected.shape
        assert found.dtype == np.float32
        assert found.flags.c_contiguous or found.ndim < 4
        np.testing.assert_allclose(found, expected, atol=2e-5 * abs(expected).max())


def test_several_pieces_give_what_one_gives(monkeypatch):
    arrays = images(7, 64, 9, 8)
    whole = list(both(*arrays, ((1, 1), (1, 1))))[1]
    monkeypatch.setattr(winograd, "CACHE", 1)
    for one, many in zip(whole, list(both(*arrays, ((1, 1), (1, 1))))[1], strict=True):
        np.testing.assert_allclose(many, one, atol=2e-5 * abs(one).max())


def test_only_what_is_needed():
    x, weight, bias = images(2, 64, 6, 6)
    for i in range(3):
        needs = tuple(j == i for j in range(3))
        _, *gradients = list(both(x, weight, bias, ((1, 1), (1, 1)), needs))[1]
        assert [g is not None for g in gradients] == list(needs)


@pytest.mark.parametrize("change", [
    {"stride": (2, 2)}, {"dilation": (2, 1)}, {"groups": 64}, {"padding": ((3, 3), (1, 1))}, {"dtype": "float64"},
    {"channels": 16}, {"kernel": 5}, {"n": 0},
], ids=str)  # fmt: skip
def test_declines(change):
    dtype, channels = change.pop("dtype", "float32"), change.pop("channels", 64)
    kernel, n = change.pop("kernel", 3), change.pop("n", 1)
    x = np.zeros((n, channels, 9, 9), dtype)
    weight = np.zeros((64, channels // change.get("groups", 1), kernel, kernel), dtype)
    assert winograd.conv2d(np, x, weight, None, **change) is None


class TestWorkers:
    def test_results_come_in_order(self):
        assert workers.over_parts(lambda a, b: (a, b), 7, 3) == [(0, 3), (3, 6), (6, 7)]
        assert workers.over_parts(lambda a, b: (a, b), 0, 3) == []

    def test_an_error_is_passed_on_and_blas_gets_its_threads_back(self):
        pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
        before = workers._threads_of_blas()
        with pytest.raises(ZeroDivisionError):
            workers.over_parts(lambda a, b: 1 // (a - 2), 4, 1)
        assert workers._threads_of_blas() == before

    @pytest.mark.skipif(workers.cores() < 2, reason="one processor: nothing runs side by side")
    def test_pieces_run_side_by_side(self):
        pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
        meeting = threading.Barrier(2, timeout=20)
        assert workers.over_parts(lambda a, b: meeting.wait() >= 0, 2, 1) == [True, True]

    def test_without_threadpoolctl_one_after_the_other(self, monkeypatch):
        monkeypatch.setattr(workers, "_blas", lambda: None)
        names = workers.over_parts(lambda a, b: threading.current_thread().name, 3, 1)
        assert set(names) == {threading.current_thread().name}

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
    def test_a_forked_process_has_threads_of_its_own(self):
        workers.over_parts(lambda a, b: a, 4, 1)
        child = os.fork()
        if child == 0:
            os._exit(0 if workers.over_parts(lambda a, b: a, 4, 1) == [0, 1, 2, 3] else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
