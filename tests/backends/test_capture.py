"""Recording work and replaying it: on NumPy the function itself, on the stand-in with the rules of a CUDA graph."""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import pytest

import xpnet
from tests.support.standin import counters, no_traffic, xp
from xpnet import nn
from xpnet_backends import CaptureError, get_backend, matmul, random, sum_rows
from xpnet_backends.random import Stream, state

STANDIN = get_backend("standin")
RNG = np.random.default_rng(0)


def device(*shape: int, dtype: Any = "float32") -> Any:
    return STANDIN.asarray(RNG.standard_normal(shape).astype(dtype))


def changed(x: Any) -> None:
    """Other values in the same memory."""
    x[...] = device(*x.shape, dtype=x.dtype.name) if x.dtype.kind == "f" else x + 1


def test_on_numpy_it_is_the_function_itself() -> None:
    def function() -> None: ...

    assert get_backend("numpy").capture(function) is function
    assert not get_backend("numpy").captures
    assert STANDIN.captures


def sort(x: Any) -> Any:
    y = x.copy()
    y.sort(axis=0)
    return y


def in_place(x: Any) -> Any:
    y = xp.zeros_like(x)
    y += x
    y *= 3.0
    y[1:] -= x[:-1]
    y[0] = x[-1]
    xp.maximum(y, x, out=y)
    return y


def scattered(x: Any) -> Any:
    y = xp.zeros(x.shape, dtype="int32")
    xp.add.at(y, xp.zeros(len(x), dtype="int64"), (x * 4.0).astype("int32"))
    z = xp.zeros_like(x)
    z[xp.arange(len(x))[::-1]] = x
    xp.put_along_axis(z, xp.zeros((1, x.shape[1]), dtype="int64"), x[:1], axis=0)
    return y + z


WORK = {
    "ufuncs": lambda x: xp.tanh(x) * 2.0 - x / (1.0 + x * x),
    "reductions": lambda x: (x.sum(), x.mean(axis=0), x.argmax(axis=1), xp.count_nonzero(x > 0.0)),
    "views": lambda x: x.T[1:, ::2].reshape(-1)[None] + x[0, 0],
    "empty views": lambda x: (x[:0].sum(), x[:0], x[:, :0].T, x.sum()),
    "a copy that may be a view": lambda x: (xp.ascontiguousarray(x.T), x.reshape(-1), x.ravel(), x.astype("float32")),
    "products": lambda x: (matmul(x, x.T), matmul(x[None], x.T[None])),
    "lists": lambda x: (xp.concatenate([x, x]), xp.stack([x, -x]), xp.split(x, 2)),
    "where": lambda x: xp.where(x > 0.0, x, xp.full_like(x, 0.5)),
    "indices": lambda x: (x[xp.argsort(x[:, 0])], xp.take(x, xp.arange(3), axis=0), xp.take_along_axis(x, x.argsort(0), 0)),
    "sort": sort,
    "in place": in_place,
    "scattered": scattered,
    "rows": lambda x: sum_rows(x, xp.arange(len(x)) % 2, 2),
    "strided": lambda x: xp.lib.stride_tricks.sliding_window_view(x, 2, axis=0).sum(axis=-1),
    "copies": lambda x: (copy.copy(x), copy.deepcopy(x), x.copy()),
    "random": lambda x: x * Stream(3, "a").uniform(STANDIN, x.shape),
}  # fmt: skip


def flat(result: Any) -> list[np.ndarray]:
    if isinstance(result, list | tuple):
        return [a for part in result for a in flat(part)]
    return [result.get()]


@pytest.mark.parametrize("name", WORK)
def test_a_replay_computes_what_the_function_would(name: str) -> None:
    x = device(4, 6)
    replay = STANDIN.capture(lambda: WORK[name](x))
    for _ in range(3):
        changed(x)
        for found, expected in zip(flat(replay()), flat(WORK[name](x)), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_recording_computes_nothing() -> None:
    x, count = device(3), xp.zeros((), dtype="int64")
    before = x.get()
    taken = []

    def step() -> Any:
        nonlocal x
        taken.append(1)
        x *= 2.0
        count[...] += 1
        return x + 1.0

    replay = STANDIN.capture(step)
    np.testing.assert_array_equal(x.get(), before)
    assert int(count) == 0
    for _ in range(2):
        y = replay()
    np.testing.assert_array_equal(x.get(), before * 4)
    np.testing.assert_array_equal(y.get(), before * 4 + 1)
    assert int(count) == 2
    assert len(taken) == 1  # host code ran once


def test_results_keep_their_memory_and_hold_rubbish_until_the_first_replay() -> None:
    x = device(3)
    made = []
    replay = STANDIN.capture(lambda: made.append(x + 1.0))
    assert not np.array_equal(made[0].get(), x.get() + 1)
    replay()
    first = made[0].get()
    changed(x)
    replay()
    assert not np.array_equal(made[0].get(), first)
    np.testing.assert_array_equal(made[0].get(), x.get() + 1)


def test_a_replay_is_one_launch_without_traffic() -> None:
    x = device(3)
    replay = STANDIN.capture(lambda: xp.exp(x) + xp.log1p(x * x))
    counters.reset()
    with no_traffic():
        replay()
    assert counters.launches == 1


def test_numbers_of_the_host_freeze() -> None:
    x, number = device(3), 2.0
    replay = STANDIN.capture(lambda: x * number)
    number = 5.0
    np.testing.assert_array_equal(replay().get(), x.get() * 2.0)


def test_memory_is_read_where_it_was() -> None:
    """An array that the function makes again in each step is the fault that batch norm once had."""
    held = {"mean": device(3)}
    x = device(3)

    def step() -> None:
        held["mean"] = 0.5 * held["mean"] + 0.5 * x

    first = held["mean"].get()
    replay = STANDIN.capture(step)
    for _ in range(3):
        replay()
    np.testing.assert_array_equal(held["mean"].get(), 0.5 * first + 0.5 * x.get())  # of one step, not of three


REFUSED = {
    ".get()": lambda x: x.get(),
    "item": lambda x: x[0].item(),
    "float": lambda x: float(x[0]),
    "int": lambda x: int(x[0]),
    "bool": lambda x: bool(x[0] > 0.0),
    "if": lambda x: 1 if x.sum() > 0 else 2,
    "tolist": lambda x: x.tolist(),
    "str": lambda x: str(x),
    "format": lambda x: f"{x[0]:.2f}",
    "tobytes": lambda x: x.tobytes(),
    "asnumpy": lambda x: xp.asnumpy(x),
    "to_numpy": lambda x: STANDIN.to_numpy(x),
    "asarray": lambda x: STANDIN.asarray(np.ones(3)),
    "array of a list": lambda x: xp.array([1.0, 2.0]),
    "a number": lambda x: xp.asarray(1.5),
    "set": lambda x: x.set(np.ones(3, "float32")),
    "mask": lambda x: x[x > 0.0],
    "list index": lambda x: x[[0, 1]],
    "assignment by a list": lambda x: x.__setitem__([0], 1.0),
    "number by an index array": lambda x: x.__setitem__(xp.arange(2), 1.0),
    "nonzero": lambda x: xp.nonzero(x),
    "where with one argument": lambda x: xp.where(x > 0.0),
    "unique": lambda x: xp.unique(x),
    "synchronize": lambda x: STANDIN.synchronize(),
    "device": lambda x: x.device.synchronize(),
    "initial weights": lambda x: STANDIN.asarray(Stream(0, "a").generator().random(3)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_graph_refuses_is_refused(name: str) -> None:
    x = device(3)
    REFUSED[name](x)  # outside it works
    before = x.get()
    with pytest.raises(CaptureError, match=r"cannot be recorded"):
        STANDIN.capture(lambda: (x.__imul__(2.0), REFUSED[name](x)))
    np.testing.assert_array_equal(x.get(), before)  # nothing of it was computed
    assert float(x.sum()) == pytest.approx(float(before.sum()))  # and everything is allowed again


CUBLAS = {
    "a @ b": lambda x: x @ x,
    "dot": lambda x: x.dot(x),
    "xp.dot": lambda x: xp.dot(x, x),
    "xp.matmul": lambda x: xp.matmul(x, x),
    "einsum": lambda x: xp.einsum("ij,jk->ik", x, x),
    "tensordot": lambda x: xp.tensordot(x, x, 1),
    "inner": lambda x: xp.inner(x, x),
    "inverse": lambda x: xp.linalg.inv(x),
}


@pytest.mark.parametrize("name", CUBLAS)
def test_products_by_cupys_cublas_are_refused(name: str) -> None:
    x = device(3, 3)
    CUBLAS[name](x)
    with pytest.raises(CaptureError, match=r"cuBLAS\) cannot be recorded: use xpnet_backends\.matmul"):
        STANDIN.capture(lambda: CUBLAS[name](x))


def test_a_recording_in_a_recording_and_a_replay_in_one_are_refused() -> None:
    x = device(3)
    replay = STANDIN.capture(lambda: x + 1.0)
    with pytest.raises(CaptureError, match="a recording inside a recording"):
        STANDIN.capture(lambda: STANDIN.capture(lambda: x + 1.0))
    with pytest.raises(CaptureError, match="a replay inside a recording"):
        STANDIN.capture(replay)
    STANDIN.capture(lambda: x + 1.0)()


def test_errors_of_the_function_pass_through() -> None:
    x = device(3)
    with pytest.raises(ValueError, match="shapes"):
        STANDIN.capture(lambda: x + device(4).reshape(2, 2) if False else x + xp.zeros(4, dtype="float32"))
    with no_traffic():
        x + 1.0


def test_another_thread_may_load_data_meanwhile() -> None:
    x, loaded = device(3), []

    def load() -> None:
        loaded.append(STANDIN.asarray(np.ones(3)).get())

    def step() -> Any:
        worker = threading.Thread(target=load)
        worker.start()
        worker.join()
        return x * 2.0

    replay = STANDIN.capture(step)
    np.testing.assert_array_equal(loaded[0], 1.0)
    np.testing.assert_array_equal(replay().get(), x.get() * 2)


# -- the random step ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 1, 7, (1 << 63) + 1])
def test_the_step_may_be_read_on_the_backend(backend: Any, step: int) -> None:
    cell = backend.asarray(np.array(step, np.uint64))
    key = (5, 6)
    expected = backend.to_numpy(backend.philox(9, key, (2, step, 3, 4)))
    np.testing.assert_array_equal(backend.to_numpy(backend.philox(9, key, (2, 99, 3, 4), cell)), expected)
    rows = backend.asarray(np.array([4, 0, 9]))
    expected = backend.to_numpy(backend.philox_rows(5, key, (step, 3), rows))
    np.testing.assert_array_equal(backend.to_numpy(backend.philox_rows(5, key, (99, 3), rows, cell)), expected)


def ignore(stream: Any) -> None: ...


DRAWS = {
    "bits": lambda s: s.bits(STANDIN, 5),
    "uniform": lambda s: s.uniform(STANDIN, (2, 3)),
    "double": lambda s: s.uniform(STANDIN, (2, 3), "float64"),
    "integers": lambda s: s.integers(STANDIN, 4, high=10),
    "mask": lambda s: s.mask(STANDIN, (50,), p=0.5),
    "normal": lambda s: s.normal(STANDIN, (3,)),
    "rows": lambda s: s.rows(xp.arange(3)).uniform((2,)),
    "rows of doubles": lambda s: s.rows(xp.arange(3)).normal((2,), "float64"),
}


@pytest.mark.parametrize("name", DRAWS)
def test_replays_draw_the_numbers_of_each_step(name: str) -> None:
    def draw() -> Any:
        return DRAWS[name](state.next("dropout")), DRAWS[name](state.next("dropout"))

    with state.from_cells(STANDIN, ignore):
        replay = STANDIN.capture(draw)
    seen = []
    for step in (0, 1, 2, 50):
        state.set_step(step)
        state.write_cells()
        found = [a.get().tolist() for a in replay()]
        assert found == [a.get().tolist() for a in draw()]
        assert found[0] != found[1]
        seen.append(found)
    assert len({str(numbers) for numbers in seen}) == 4


def test_streams_of_another_step_are_told_apart() -> None:
    noted: list[Any] = []
    with state.from_cells(STANDIN, noted.append):
        own = state.next("a").bits(STANDIN, 2)
        Stream(0, "b", 41).bits(STANDIN, 2)
        with random.fork_rng(7, step=12):
            state.next("c").bits(STANDIN, 2)
    assert noted == [(0, "a", 0), (0, "b", 41, 0), (7, "c", 12, 0)]
    np.testing.assert_array_equal(own.get(), Stream(0, "a").bits(STANDIN, 2).get())
    assert state.step_on(STANDIN, Stream(0, "a")) is None  # outside nothing is read from the cell


def test_the_draws_of_a_step_can_be_put_back() -> None:
    state.next("a")
    before = state.draws
    state.next("a")
    state.next("b")
    state.put_back(before)
    assert state.next("a").draw == 1
    assert state.next("b").draw == 0


# -- xpnet.capture -----------------------------------------------------------------------------------------------------


def test_a_function_of_ones_own() -> None:
    x = device(3)
    with xpnet.use(backend="standin"):
        replay = xpnet.capture(lambda: nn.functional.dropout(xpnet.tensor(x), 0.5) + 1.0)
        for step in (0, 3, 4):
            random.state.set_step(step)
            changed(x)
            found = replay().numpy()
            random.state.set_step(step)  # the draws of a step begin with the first
            np.testing.assert_array_equal(found, (nn.functional.dropout(xpnet.tensor(x), 0.5) + 1.0).numpy())


def test_a_function_of_ones_own_on_numpy_is_itself() -> None:
    def function() -> None: ...

    assert xpnet.capture(function) is function
    assert xpnet.capture(function, backend="numpy") is function


def test_a_function_that_reads_is_refused() -> None:
    x = device(3)
    with pytest.raises(xpnet.CaptureError, match=r"float\(\) \(a synchronisation\) cannot be recorded"):
        xpnet.capture(lambda: float(x.sum()), backend="standin")


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (2, 3.5), (1, 2), (True, False)])
def test_where_between_two_numbers_makes_no_transfer(backend: Any, a: Any, b: Any) -> None:
    x = xpnet.tensor([1.0, -1.0])
    with no_traffic():
        y = xpnet.where(x > 0.0, a, b)
    assert y.numpy().tolist() == [a, b]
    assert y.dtype == xpnet.tensor([a, b]).dtype
