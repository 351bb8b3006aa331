"""The random stream: the same bits everywhere, and a function of seed, path, step and draw alone."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from xpnet_backends import Backend, get_backend
from xpnet_backends.random import RandomState, Stream, fork_rng, state

STREAM = Stream(seed=3, path="model.2.dropout", step=5, draw=1)
KNOWN_BITS = [3144607399, 2538122976, 685759978]
KNOWN_NORMALS = [0.021748521763278225, -0.5133963472976284, 1.3841285220033415]
SHAPES = [(), (1,), (7,), (3, 5), (0,), (2, 0, 3)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_is_numpys_bit_for_bit(backend: Backend, shape: tuple[int, ...], dtype: Any) -> None:
    u = STREAM.uniform(backend, shape, dtype)
    assert (u.shape, str(u.dtype)) == (shape, dtype)
    np.testing.assert_array_equal(backend.to_numpy(u), STREAM.generator().random(shape, dtype=dtype))


@pytest.mark.parametrize("count", [0, 1, 2, 5, 1000])
def test_bits_are_the_halves_of_numpys_words(backend: Backend, count: int) -> None:
    words = STREAM.generator().bit_generator.random_raw(count)  # type: ignore[attr-defined]
    halves = np.stack([words & 0xFFFFFFFF, words >> np.uint64(32)], axis=1).reshape(-1)[:count]
    np.testing.assert_array_equal(backend.to_numpy(STREAM.bits(backend, count)), halves)


@pytest.mark.parametrize("high", [1, 2, 10, 1000, 1 << 31])
def test_integers(backend: Backend, high: int) -> None:
    numbers = backend.to_numpy(STREAM.integers(backend, (50,), high=high))
    bits = backend.to_numpy(STREAM.bits(backend, 50))
    assert numbers.dtype == np.int64
    assert numbers.tolist() == [int(b) * high >> 32 for b in bits]


@pytest.mark.parametrize("high", [0, -1, (1 << 31) + 1])
def test_integers_refuse_their_bounds(backend: Backend, high: int) -> None:
    with pytest.raises(ValueError, match=re.escape(f"high must be in 1..2**31, got {high}")):
        STREAM.integers(backend, 3, high=high)


@pytest.mark.parametrize(("p", "expected"), [(0.0, 0), (1.0, 400), (0.25, 100)])
def test_mask(backend: Backend, p: float, expected: int) -> None:
    kept = backend.to_numpy(STREAM.mask(backend, (20, 20), p=p))
    assert kept.dtype == bool
    assert abs(int(kept.sum()) - expected) <= 5 * math.sqrt(400 * p * (1 - p))
    np.testing.assert_array_equal(kept.reshape(-1), backend.to_numpy(STREAM.bits(backend, 400)) < p * 2.0**32)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 64, 65, 300])
def test_every_row_has_the_stream_of_its_number(backend: Backend, count: int) -> None:
    numbers = np.array([7, 0, 7, (1 << 40) + 3])
    words = backend.to_numpy(STREAM.rows(backend.asarray(numbers)).words(count))
    assert (words.shape, words.dtype) == ((4, count), np.uint64)
    for row, number in zip(words, numbers.tolist(), strict=True):
        expected = get_backend("numpy").philox(count, STREAM.key, (0, STREAM.step, STREAM.draw, number))
        np.testing.assert_array_equal(row, expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_are_uniform_and_normal(backend: Backend, shape: tuple[int, ...], dtype: Any) -> None:
    rows = STREAM.rows(backend.asarray(np.array([0, 3])))
    u, z = rows.uniform(shape, dtype), rows.normal(shape, dtype)
    assert u.shape == z.shape == (2, *shape)
    assert str(u.dtype) == str(z.dtype) == dtype
    first = STREAM.uniform(backend, shape, dtype)  # row 0 is the plain stream
    np.testing.assert_array_equal(backend.to_numpy(u)[0], backend.to_numpy(first))


def test_statistics_of_rows(backend: Backend) -> None:
    n = 20_000
    rows = STREAM.rows(backend.asarray(np.arange(n)))
    u, z = backend.to_numpy(rows.uniform((4,))), backend.to_numpy(rows.normal((5,)))
    assert np.abs(u.mean(axis=0) - 0.5).max() < 4 * math.sqrt(1 / 12 / n)
    assert np.abs(z.mean(axis=0)).max() < 4 / math.sqrt(n)
    assert np.abs(z.std(axis=0) - 1).max() < 4 / math.sqrt(2 * n)
    assert np.abs(np.corrcoef(np.concatenate([u, z], axis=1).T) - np.eye(9))[:4, :4].max() < 4.5 / math.sqrt(n)
    assert np.abs(np.corrcoef(z.T) - np.eye(5)).max() < 4.5 / math.sqrt(n)
    assert abs(np.corrcoef(u[1:, 0], u[:-1, 0])[0, 1]) < 4 / math.sqrt(n)  # neighbours in the dataset


def test_no_rows_at_all(backend: Backend) -> None:
    assert STREAM.rows(backend.asarray(np.zeros(0, np.int64))).uniform((3,)).shape == (0, 3)


def test_normal_is_box_and_muller(backend: Backend) -> None:
    z = backend.to_numpy(STREAM.normal(backend, (3, 4), "float64"))
    u, v = STREAM.generator().random((2, 3, 4))
    np.testing.assert_allclose(z, np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v), rtol=1e-13)
    assert STREAM.normal(backend, (3,)).dtype == np.float32


def test_known_values(backend: Backend) -> None:
    """Recorded once: a seed keeps its meaning from version to version."""
    stream = Stream(seed=0, path="example")
    assert stream.bits(backend, 3).tolist() == KNOWN_BITS
    assert stream.integers(backend, 5, high=10).tolist() == [7, 5, 1, 5, 5]
    np.testing.assert_allclose(stream.normal(backend, (3,), "float64").tolist(), KNOWN_NORMALS, rtol=1e-13)


@pytest.mark.parametrize(
    "other",
    [
        Stream(4, "model.2.dropout", 5, 1),
        Stream(3, "model.3.dropout", 5, 1),
        Stream(3, "model.2.dropout", 6, 1),
        Stream(3, "model.2.dropout", 5, 2),
        Stream(3, "model.2.dropout", 1, 5),
    ],
)
def test_streams_that_differ_in_one_thing_are_independent(backend: Backend, other: Stream) -> None:
    a = backend.to_numpy(STREAM.uniform(backend, (20_000,)))
    b = backend.to_numpy(other.uniform(backend, (20_000,)))
    assert not np.intersect1d(a[:100], b[:100]).size
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / math.sqrt(20_000)


def test_statistics(backend: Backend) -> None:
    n = 100_000
    u = backend.to_numpy(STREAM.uniform(backend, (n,)))
    z = backend.to_numpy(STREAM.normal(backend, (n,), "float64"))
    assert u.min() >= 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < 4 * math.sqrt(1 / 12 / n)
    assert abs(z.mean()) < 4 / math.sqrt(n)
    assert abs(z.std() - 1) < 4 / math.sqrt(2 * n)
    assert abs((z**4).mean() - 3) < 4 * math.sqrt(96 / n)
    counts = np.bincount(backend.to_numpy(STREAM.integers(backend, (n,), high=10)), minlength=10)
    assert ((counts - n / 10) ** 2 / (n / 10)).sum() < 27.9  # chi-squared with 9 degrees of freedom, 0.1 %


def test_a_draw_does_not_depend_on_other_consumers() -> None:
    alone, crowded = RandomState(seed=1), RandomState(seed=1)
    for _ in range(3):
        crowded.next("other")
    assert alone.next("mine") == crowded.next("mine") == Stream(1, "mine", 0, 0)
    assert crowded.next("mine") == Stream(1, "mine", 0, 1)


def test_a_step_starts_over() -> None:
    rng = RandomState(seed=1)
    rng.next("a")
    rng.set_step(4)
    assert rng.next("a") == Stream(1, "a", 4, 0)


@pytest.mark.parametrize("seed", [-1, 1 << 64, 1.5, "0"])
def test_manual_seed_refuses(seed: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(f"seed must be a whole number in 0..2**64-1, got {seed!r}")):
        RandomState().manual_seed(seed)


def test_manual_seed_starts_over() -> None:
    state.set_step(9)
    state.next("a")
    state.manual_seed((1 << 64) - 1)
    assert state.next("a") == Stream((1 << 64) - 1, "a", 0, 0)


def in_a_thread(function: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_a_thread_begins_where_the_main_thread_stands_and_moves_on_alone() -> None:
    rng = RandomState(seed=3, step=5)
    rng.next("a")

    def elsewhere() -> Stream:
        first = rng.next("a")
        rng.manual_seed(9)
        rng.set_step(70)
        rng.next("a")
        return first

    assert in_a_thread(elsewhere) == Stream(3, "a", 5, 1)
    assert rng.next("a") == Stream(3, "a", 5, 1)
    rng.manual_seed(4)
    assert in_a_thread(lambda: rng.next("a")) == Stream(4, "a", 0, 0)


def test_fork_rng_is_of_one_thread() -> None:
    with fork_rng(7, step=2) as forked:
        assert in_a_thread(lambda: (state.seed, state.step)) == (7, 2)  # it began inside the block
        with ThreadPoolExecutor(1) as pool:
            pool.submit(state.set_step, 40).result()
            assert (forked.seed, forked.step) == (7, 2)
            assert pool.submit(lambda: state.step).result() == 40


def fails_inside(draws):
    with fork_rng(7, step=2):
        draws.append(state.next("x"))
        raise KeyError


def test_fork_rng_draws_from_another_seed_and_leaves_all_as_it_was():
    state.manual_seed(3)
    first, second, inside = state.next("x"), state.next("x"), []
    state.manual_seed(3)
    assert state.next("x") == first
    with pytest.raises(KeyError):
        fails_inside(inside)
    assert inside == [Stream(7, "x", 2, 0)]
    assert state.next("x") == second
