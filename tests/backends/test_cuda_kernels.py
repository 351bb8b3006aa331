"""The CUDA kernels' own source, compiled for the CPU and held to NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.cuda_on_cpu import compile_cuda, needs_compiler
from xpnet_backends import get_backend
from xpnet_backends.kernels.cuda import launch

pytestmark = needs_compiler
MAX = (1 << 64) - 1

BLOCK_SUM = r"""
extern "C" __global__ void block_sum(const float* x, float* y, int n) {
  __shared__ float s[64];
  s[threadIdx.x] = threadIdx.x < n ? x[threadIdx.x] : 0.0f;
  __syncthreads();
  for (int half = 32; half > 0; half /= 2) {
    if (threadIdx.x < half) s[threadIdx.x] += s[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) y[0] = s[0];
}
extern "C" __global__ void warp_sum(const float* x, float* y, int n) {
  float v = threadIdx.x < n ? x[threadIdx.x] : 0.0f;
  for (int d = 16; d > 0; d /= 2) v += __shfl_xor_sync(0xffffffffu, v, d);
  if (threadIdx.x == 0) y[0] = v;
}
extern "C" __global__ void overrun(float* x, int n) { x[n] = 1.0f; }
extern "C" __global__ void divergent(float* x, int n) { if (threadIdx.x < n) __syncthreads(); x[0] = 1.0f; }
"""


def philox(count: int, key: tuple[int, ...], counter: tuple[int, ...], order: int = 0) -> np.ndarray:
    """The kernel's words, through the same launcher as on a GPU."""
    kernel = compile_cuda(launch.source("philox.cu"))["philox4x64"]
    kernel.order = order
    words = np.zeros(count, dtype=np.uint64)
    launch.Launcher("philox4x64", launch.PHILOX, kernel)((count + 3) // 4, words, count, *key, *counter)
    return words


def of_numpy(count: int, key: tuple[int, ...], counter: tuple[int, ...]) -> np.ndarray:
    bits = np.random.Philox(key=np.array(key, np.uint64), counter=np.array(counter, np.uint64))
    return bits.random_raw(count)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 1000, 1025])
def test_philox_equals_numpy(count: int, order: int) -> None:
    key, counter = (7, MAX - 5), (0, 3, 1, 0)
    np.testing.assert_array_equal(philox(count, key, counter, order), of_numpy(count, key, counter))


@pytest.mark.parametrize(
    "counter",
    [
        (MAX, 0, 0, 0),
        (MAX - 1, 5, 0, 0),
        (MAX - 2, MAX, 0, 0),
        (MAX - 2, MAX, MAX, 7),
        (MAX - 1, MAX, MAX, MAX),  # the last carry falls off the end
        (0, MAX, MAX, MAX),
    ],
)
def test_philox_carries_across_the_counters_words(counter: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(philox(41, (1, 2), counter), of_numpy(41, (1, 2), counter))


words = st.one_of(st.integers(0, MAX), st.integers(MAX - 9, MAX), st.integers(0, 9))


@given(st.tuples(words, words), st.tuples(words, words, words, words), st.integers(0, 70), st.integers(0, 5))
def test_philox_equals_numpy_for_any_key_and_counter(
    key: tuple[int, ...], counter: tuple[int, ...], count: int, order: int
) -> None:
    np.testing.assert_array_equal(philox(count, key, counter, order), of_numpy(count, key, counter))


def test_philox_equals_the_numpy_backend() -> None:
    expected = get_backend("numpy").philox(9, (3, 4), (5, 6, 7, 8))
    np.testing.assert_array_equal(philox(9, (3, 4), (5, 6, 7, 8)), expected)


@given(
    st.tuples(words, words),
    st.tuples(words, words),
    st.lists(st.integers(0, (1 << 63) - 1), max_size=7),
    st.integers(1, 20),
    st.integers(0, 5),
)
def test_philox_rows_equal_numpy(
    key: tuple[int, ...], moment: tuple[int, ...], numbers: list[int], count: int, order: int
) -> None:
    kernel = compile_cuda(launch.source("philox.cu"))["philox4x64_rows"]
    kernel.order = order
    rows, found = np.array(numbers, np.int64), np.zeros((len(numbers), count), np.uint64)
    launcher = launch.Launcher("philox4x64_rows", launch.PHILOX_ROWS, kernel)
    launcher(len(rows) * ((count + 3) // 4), found, rows, len(rows), count, *key, *moment)
    for row, number in zip(found, numbers, strict=True):
        np.testing.assert_array_equal(row, of_numpy(count, key, (0, *moment, number)))


@given(
    st.tuples(words, words),
    st.tuples(words, words, words, words),
    st.lists(st.integers(0, (1 << 63) - 1), max_size=5),
    st.integers(1, 20),
    st.integers(0, 5),
)
def test_philox_reads_the_step_from_memory(
    key: tuple[int, ...], counter: tuple[int, ...], numbers: list[int], count: int, order: int
) -> None:
    kernels = compile_cuda(launch.source("philox.cu"))
    step = np.array(counter[1], np.uint64)
    kernels["philox4x64_at"].order = kernels["philox4x64_rows_at"].order = order
    found = np.zeros(count, np.uint64)
    launcher = launch.Launcher("philox4x64_at", launch.PHILOX_AT, kernels["philox4x64_at"])
    launcher((count + 3) // 4, found, step, count, *key, counter[0], *counter[2:])
    np.testing.assert_array_equal(found, of_numpy(count, key, counter))
    rows, of_rows = np.array(numbers, np.int64), np.zeros((len(numbers), count), np.uint64)
    launcher = launch.Launcher("philox4x64_rows_at", launch.PHILOX_ROWS_AT, kernels["philox4x64_rows_at"])
    launcher(len(rows) * ((count + 3) // 4), of_rows, rows, step, len(rows), count, *key, counter[2])
    for row, number in zip(of_rows, numbers, strict=True):
        np.testing.assert_array_equal(row, of_numpy(count, key, (0, counter[1], counter[2], number)))


def run(source: str, name: str, order: int = 0, threads: int = 64, n: int = 50) -> float:
    kernel = compile_cuda(source)[name]
    kernel.order = order
    x, y = np.arange(1, n + 1, dtype=np.float32), np.full(1, np.nan, dtype=np.float32)
    kernel((1,), (threads,), (x, y, np.int32(n)))
    return float(y[0])


@pytest.mark.parametrize("order", range(5))
def test_the_cpu_runs_barriers_and_shuffles(order: int) -> None:
    assert run(BLOCK_SUM, "block_sum", order) == 50 * 51 / 2
    assert run(BLOCK_SUM, "warp_sum", order, threads=32, n=20) == 20 * 21 / 2


def test_a_missing_barrier_is_found() -> None:
    """In some order of the threads, the kernel without its second barrier is wrong."""
    first, second, rest = BLOCK_SUM.split("__syncthreads();", 2)
    broken = f"{first}__syncthreads();{second}{rest}"
    assert {run(broken, "block_sum", order) for order in range(4)} != {50 * 51 / 2}


def test_a_write_outside_an_array_is_found() -> None:
    kernel = compile_cuda(BLOCK_SUM)["overrun"]
    with pytest.raises(IndexError, match="wrote outside an array"):
        kernel((1,), (1,), (np.zeros(3, np.float32), np.int32(3)))
    kernel((1,), (1,), (x := np.zeros(3, np.float32), np.int32(2)))
    assert x[2] == 1.0


def test_a_barrier_that_some_threads_never_reach_is_found() -> None:
    with pytest.raises(RuntimeError, match="divergent: a barrier that some threads never reach"):
        compile_cuda(BLOCK_SUM)["divergent"]((1,), (4,), (np.zeros(1, np.float32), np.int32(2)))


def test_an_argument_of_the_wrong_size_is_found() -> None:
    with pytest.raises(TypeError, match=r"takes arguments of \[8, 4\] bytes, got \[8, 8\]"):
        compile_cuda(BLOCK_SUM)["overrun"]((1,), (1,), (np.zeros(1, np.float32), np.float64(2)))


class TestLauncher:
    def launcher(self) -> launch.Launcher:
        self.calls: list[tuple[object, ...]] = []
        parameters = {"x": "array of float32", "a": "float32", "n": "int32"}
        return launch.Launcher("scale", parameters, lambda *call: self.calls.append(call))

    def test_numbers_become_the_kernels_types(self) -> None:
        x = np.zeros(300, np.float32)
        self.launcher()(300, x, 0.5, 300)
        ((grid, block, (given_x, a, n)),) = self.calls
        assert (grid, block) == ((2,), (256,))
        assert given_x is x
        assert (a.dtype, n.dtype) == (np.float32, np.int32)

    def test_nothing_is_launched_for_no_threads(self) -> None:
        self.launcher()(0, np.zeros(0, np.float32), 0.5, 0)
        assert self.calls == []

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((np.zeros(2, np.float32), 1.0), "kernel scale takes 3 arguments, got 2"),
            ((np.zeros(2, np.float64), 1.0, 2), "x must be an array of float32, got float64"),
            (([0.0], 1.0, 2), "x must be an array of float32, got list"),
            ((np.zeros((2, 3), np.float32).T, 1.0, 2), "x must be a C-contiguous array"),
            ((np.zeros(2, np.float32), "1", 2), "a must be a number of type float32, got '1'"),
            ((np.zeros(2, np.float32), 1.0, 2.5), "n must be a number of type int32, got 2.5"),
        ],
    )
    def test_wrong_arguments_are_refused(self, arguments: tuple[object, ...], message: str) -> None:
        with pytest.raises(TypeError, match=message):
            self.launcher()(2, *arguments)
