"""Blocks of all kinds: nested, used again, left in another order, by other threads, by generators and coroutines."""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import xpnet
from xpnet import nn
from xpnet.nn.utils import keep_modes
from xpnet.optim import EMA
from xpnet.tensor import observe
from xpnet_backends import get_backend, random, use


def recording():
    return xpnet.is_grad_enabled()


def in_thread(function, *arguments):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


# -- no_grad ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("decorate", [xpnet.no_grad, xpnet.no_grad()], ids=["bare", "called"])
def test_no_grad_before_a_function(decorate):
    @decorate
    def f(x, *, more=1):
        """What f does."""
        return recording(), x + more

    assert f(1, more=2) == (False, 3)
    assert f(1) == (False, 2), "a second time"
    assert recording()
    assert (f.__name__, f.__doc__) == ("f", "What f does.")

    @decorate
    def fails():
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert recording()


@pytest.mark.parametrize("decorate", [xpnet.no_grad, xpnet.no_grad()], ids=["bare", "called"])
def test_no_grad_before_methods(decorate):
    class Own:
        @decorate
        def method(self):
            return self, recording()

        @decorate
        @staticmethod
        def static():
            return recording()

        @classmethod
        @decorate
        def of_class(cls):
            return cls, recording()

        @decorate
        @classmethod
        def around_class(cls):
            return cls, recording()

    own = Own()
    assert own.method() == (own, False)
    assert own.static() is Own.static() is False
    assert own.of_class() == own.around_class() == (Own, False)
    assert recording()


def test_no_grad_before_a_module_leaves_the_function_without_its_parts():
    model = nn.Linear(2, 1)
    f = xpnet.no_grad(model)
    assert not f(np.ones((1, 2), "float32")).requires_grad
    assert model(np.ones((1, 2), "float32")).requires_grad
    assert not hasattr(f, "_parameters")


@pytest.mark.parametrize("what", [3, "f", nn.Linear])
def test_no_grad_decorates_functions_only(what):
    with pytest.raises(TypeError, match="only functions can be decorated"):
        xpnet.no_grad()(what)


@pytest.mark.parametrize("decorate", [xpnet.no_grad, xpnet.no_grad()], ids=["bare", "called"])
def test_no_grad_before_a_generator_is_for_its_body(decorate):
    events = []

    @decorate
    def numbers(n):
        try:
            for i in range(n):
                events.append((i, recording()))
                try:
                    got = yield i
                except ValueError as error:
                    got = str(error)
                events.append((got, recording()))
        finally:
            events.append(("end", recording()))
        return "done"

    steps = numbers(2)
    assert next(steps) == 0
    assert recording(), "the caller records while the generator waits"
    assert steps.send("sent") == 1
    with pytest.raises(StopIteration) as end:
        steps.throw(ValueError("thrown"))
    assert end.value.value == "done"
    assert events == [(0, False), ("sent", False), (1, False), ("thrown", False), ("end", False)]
    events.clear()
    steps = numbers(5)
    next(steps)
    steps.close()
    assert events == [(0, False), ("end", False)]
    assert recording()


def test_a_block_in_a_generator_that_is_left_in_the_middle():
    def numbers():
        with xpnet.no_grad():
            yield 1
            yield 2

    first, second = numbers(), numbers()
    next(first), next(second)
    first.close()
    assert not recording(), "the second is in its block"
    second.close()
    assert recording()
    third = numbers()
    next(third)
    with xpnet.no_grad():
        third.close()
        assert not recording()
    assert recording()


def test_a_generator_that_ends_in_another_thread_or_context():
    def numbers():
        with xpnet.no_grad():
            yield 1

    steps = numbers()
    next(steps)
    in_thread(steps.close)
    assert recording()
    steps = numbers()
    contextvars.copy_context().run(next, steps)
    assert recording()
    steps.close()
    assert recording()


def test_no_grad_before_coroutines():
    seen = []

    @xpnet.no_grad
    async def quiet(n):
        for _ in range(n):
            seen.append(("quiet", recording()))
            await asyncio.sleep(0)
        return n

    @xpnet.no_grad()
    async def numbers():
        for i in range(2):
            await asyncio.sleep(0)
            seen.append(("numbers", recording()))
            got = yield i
            assert got is None

    async def loud(n):
        for _ in range(n):
            seen.append(("loud", recording()))
            await asyncio.sleep(0)

    async def main():
        both = await asyncio.gather(quiet(3), loud(3))
        async for _ in numbers():
            seen.append(("loud", recording()))
        own = quiet(1)
        own.send(None)  # driven by hand, in this task
        seen.append(("loud", recording()))
        own.close()
        return both[0], await quiet(2)

    assert asyncio.run(main()) == (3, 2)
    assert {(name, state) for name, state in seen} == {("quiet", False), ("numbers", False), ("loud", True)}
    assert recording()


def test_one_no_grad_object_nested_and_again():
    block = xpnet.no_grad()
    for _ in range(2):
        with block:
            with block:
                assert not recording()
            assert not recording()
        assert recording()
    with pytest.raises(RuntimeError, match="left more often than it was entered"):
        block.__exit__(None, None, None)


def test_one_no_grad_object_in_many_threads():
    block, gate, seen = xpnet.no_grad(), threading.Barrier(4), []

    def work():
        for _ in range(20):
            with block:
                gate.wait()
                seen.append(recording())
            seen.append(not recording())

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert seen == [False] * 160
    assert recording()


def test_no_grad_blocks_left_in_the_order_they_were_entered():
    a, b = xpnet.no_grad(), xpnet.no_grad()
    a.__enter__()
    b.__enter__()
    a.__exit__(None, None, None)
    assert not recording()
    b.__exit__(None, None, None)
    assert recording()


# -- use -------------------------------------------------------------------------------------------------------------


def chosen():
    return get_backend().name


def test_use_blocks_left_in_the_order_they_were_entered():
    a, b = use(backend="standin"), use(backend="numpy")
    a.__enter__()
    b.__enter__()
    a.__exit__(None, None, None)
    assert chosen() == "numpy"
    b.__exit__(None, None, None)
    assert chosen() == "numpy"
    with use(backend="numpy"):
        c, d = use(backend="standin"), use(backend="standin")
        c.__enter__()
        d.__enter__()
        c.__exit__(None, None, None)
        assert chosen() == "standin"
        d.__exit__(None, None, None)
        assert chosen() == "numpy"


def test_blocks_made_before_they_are_entered():
    a, b = use(backend="standin"), use(backend="standin")
    with a:
        pass
    with b:
        assert in_thread(chosen) == "numpy"
    assert chosen() == in_thread(chosen) == "numpy"
    use(backend="standin")
    c = use(backend="numpy")
    with c:
        assert in_thread(chosen) == "standin"
    assert chosen() == "standin"
    use(backend="numpy")
    with c:
        pass
    assert chosen() == "numpy"


def test_use_blocks_of_threads_that_overlap():
    made, entered = threading.Barrier(2), threading.Barrier(2)
    seen = {}

    def work(name):
        block = use(backend=name)
        made.wait()
        with block:
            entered.wait()
            seen[name] = chosen()
            entered.wait()
        seen[name, "after"] = chosen()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("standin", "numpy")]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert seen["standin"] == "standin"
    assert seen["numpy"] == "numpy"
    assert chosen() == "numpy"
    assert in_thread(chosen) == "numpy"


def test_one_use_object_again_nested_and_around_functions():
    block = use(backend="standin")
    for _ in range(2):
        with block, block:
            assert chosen() == "standin"
        assert chosen() == "numpy"

    @use(backend="standin")
    def f():
        return chosen()

    assert (f(), chosen()) == ("standin", "numpy")

    @use(backend="standin")
    def names():
        yield chosen()
        yield chosen()

    for name in names():
        assert (name, chosen()) == ("standin", "numpy")


def test_a_use_block_left_by_another_thread():
    block = use(backend="standin")
    block.__enter__()
    in_thread(block.__exit__, None, None, None)
    assert chosen() == "numpy"


def test_use_in_a_generator_that_is_not_finished():
    def work():
        with use(backend="standin"):
            yield

    one, two = work(), work()
    next(one), next(two)
    one.close()
    del two
    assert chosen() == "numpy"


# -- what else opens and closes --------------------------------------------------------------------------------------


def test_observers_left_in_the_order_they_were_entered():
    seen = {"a": [], "b": []}
    a, b = (observe(lambda op, *_, k=k: seen[k].append(op.__name__)) for k in "ab")
    x = xpnet.tensor([1.0])
    a.__enter__()
    b.__enter__()
    x + 1
    a.__exit__(None, None, None)
    x * 2
    b.__exit__(None, None, None)
    x - 1
    with a, a:
        x / 2
    assert seen == {"a": ["divide"], "b": ["add", "multiply"]}


def test_forks_of_the_random_state_left_in_the_order_they_were_entered():
    state = random.state
    state.manual_seed(1)
    state.set_step(5)
    a, b = state.forked(2), state.forked(3)
    a.__enter__()
    b.__enter__()
    a.__exit__(None, None, None)
    assert state.seed == 3
    b.__exit__(None, None, None)
    assert (state.seed, state.step) == (1, 5)
    with pytest.raises(ValueError, match="seed must be a whole number"), state.forked(-1):
        pass

    def fail():
        with state.forked(4):
            assert in_thread(lambda: state.seed) == 4, "a thread begins where the main one stands"
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (state.seed, state.step) == (1, 5)


def test_a_fork_that_is_left_by_another_thread():
    random.state.manual_seed(1)
    block = random.state.forked(2)
    block.__enter__()
    in_thread(block.__exit__, None, None, None)
    assert random.state.seed == 1


def test_modes_put_back_by_blocks_in_either_order():
    model = nn.Sequential(nn.Dropout(), nn.Dropout())
    model[1].eval()
    a = keep_modes(model)
    a.__enter__()
    model.eval()
    b = keep_modes(model)
    b.__enter__()
    model.train()
    a.__exit__(None, None, None)
    b.__exit__(None, None, None)
    assert [m.training for m in model.modules()] == [True, True, False]


def test_modes_put_back_in_many_threads():
    models = [nn.Sequential(nn.Dropout(), nn.Dropout()) for _ in range(4)]

    def work(model):
        for _ in range(100):
            with keep_modes(model):
                model.eval()
                with keep_modes(model[0]):
                    model.train()

    threads = [threading.Thread(target=work, args=(model,)) for model in models]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert all(m.training for model in models for m in model.modules())


def test_averages_lent_by_blocks_in_either_order(backend):
    model = nn.Linear(2, 1, backend=backend)
    own = backend.to_numpy(model.weight.data).copy()
    first, second = EMA(model.parameters()), EMA([model.weight])
    with xpnet.no_grad():
        first.averages["0"] += 1
        second.averages["0"] += 2
    a, b = first.applied(), second.applied()
    a.__enter__()
    b.__enter__()
    a.__exit__(None, None, None)
    np.testing.assert_allclose(model.weight.numpy(), own + 2)
    b.__exit__(None, None, None)
    np.testing.assert_array_equal(model.weight.numpy(), own)
    with first.applied(), second.applied(), first.applied():
        np.testing.assert_allclose(model.weight.numpy(), own + 1)
    np.testing.assert_array_equal(model.weight.numpy(), own)


def test_averages_of_a_model_that_moves_meanwhile():
    model = nn.Linear(2, 1)
    own = model.weight.numpy().copy()
    ema = EMA(model.parameters())
    with ema.applied():
        model.to(backend="standin", dtype="float64")
    np.testing.assert_array_equal(model.weight.numpy(), own)
    assert model.weight.dtype == "float64"


def test_handles_of_hooks():
    model, seen = nn.Linear(2, 1), []
    x = np.ones((1, 2), "float32")
    handles = [
        model.register_forward_hook(lambda *_: seen.append("after")),
        model.register_forward_pre_hook(lambda *_: seen.append("before")),
        model.register_full_backward_hook(lambda *_: seen.append("back")),
    ]
    model(x).sum().backward()
    assert seen == ["before", "after", "back"]
    for handle in handles:
        handle.remove()
        handle()  # as before, and a second time
    model(x).sum().backward()
    assert len(seen) == 3

    def fail():
        with model.register_forward_hook(lambda *_: seen.append("block")):
            model(x)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    model(x)
    assert seen[3:] == ["block"]
