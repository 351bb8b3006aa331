"""Which backend is selected, and to which backend arrays belong."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import numpy as np
import pytest

from xpnet_backends import (
    BackendError,
    available_backends,
    backend_names,
    backend_of,
    get_backend,
    is_array,
    loaded,
    register_backend,
    select,
    to_numpy,
    use,
    why_unavailable,
)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> str:
    """A backend that cannot work here."""

    def load() -> None:
        raise BackendError("backend='broken' is not available: it is broken: mend it")

    monkeypatch.setattr(loaded, "loaders", dict(loaded.loaders))
    monkeypatch.setattr(select, "loaders", loaded.loaders)
    register_backend("broken", load)  # type: ignore[arg-type]
    return "broken"


def test_numpy_without_a_choice() -> None:
    assert get_backend().name == "numpy"


def test_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XPNET_BACKEND", "standin")
    assert get_backend().name == "standin"
    use(backend="numpy")
    assert get_backend().name == "numpy"
    with use(backend="standin"):
        assert get_backend().name == "standin"
        assert get_backend("numpy").name == "numpy"
    assert get_backend().name == "numpy"


def test_an_empty_environment_variable_is_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XPNET_BACKEND", "")
    assert get_backend().name == "numpy"


def test_use_nests_and_ends_with_an_exception() -> None:
    use(backend="standin")

    def fail() -> None:
        with use(backend="numpy"), use(backend="standin"):
            assert get_backend().name == "standin"
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert get_backend().name == "standin"


def test_use_as_a_block_leaves_the_process_alone() -> None:
    with use(backend="standin") as backend:
        assert backend.name == "standin"
        assert run_in_thread(lambda: get_backend().name) == "numpy"
    assert get_backend().name == "numpy"


def run_in_thread(function: Callable[[], str]) -> str:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_a_thread_takes_over_a_copied_context() -> None:
    with use(backend="standin"):
        context = copy_context()
    assert run_in_thread(lambda: context.run(lambda: get_backend().name)) == "standin"


def test_a_process_wide_choice_holds_in_threads() -> None:
    use(backend="standin")
    assert run_in_thread(lambda: get_backend().name) == "standin"


def test_unknown_names(monkeypatch: pytest.MonkeyPatch) -> None:
    message = re.escape("unknown backend 'torch': choose one of 'numpy', 'cupy', 'standin', 'auto'")
    with pytest.raises(ValueError, match=message):
        get_backend("torch")
    with pytest.raises(ValueError, match=message):
        use(backend="torch")
    monkeypatch.setenv("XPNET_BACKEND", "torch")
    with pytest.raises(ValueError, match=message):
        get_backend()


def test_a_refused_choice_changes_nothing(broken: str) -> None:
    with pytest.raises(BackendError, match="it is broken: mend it"):
        use(backend=broken)
    assert get_backend().name == "numpy"


def test_a_backend_that_cannot_work(broken: str) -> None:
    assert broken in backend_names()
    assert broken not in available_backends()
    assert {"numpy", "standin"} <= set(available_backends())
    assert why_unavailable(broken) == "backend='broken' is not available: it is broken: mend it"
    assert why_unavailable("numpy") is None


def test_auto_takes_numpy_where_cupy_cannot_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "why_unavailable", lambda name: "no GPU")
    assert get_backend("auto").name == "numpy"


def test_auto_takes_cupy_where_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    standin = get_backend("standin")
    monkeypatch.setitem(loaded.loaded, "cupy", standin)
    assert get_backend("auto") is standin


def test_a_backend_is_made_once() -> None:
    assert get_backend("standin") is get_backend("standin")
    assert get_backend(get_backend("standin")) is get_backend("standin")


def test_two_backends_at_once() -> None:
    numpy, standin = get_backend("numpy"), get_backend("standin")
    a, b = numpy.asarray([1.0]), standin.asarray([1.0])
    assert backend_of(a) is numpy
    assert backend_of(b, b) is standin
    assert is_array(a)
    assert is_array(b)
    assert not is_array([1.0])


def test_arrays_of_two_backends() -> None:
    message = r'\(standin and numpy\): nothing is moved silently; move one .* tensor.to\(backend="standin"\)'
    with pytest.raises(BackendError, match=message):
        backend_of(get_backend("standin").asarray([1.0]), np.ones(1))


@pytest.mark.parametrize(("values", "named"), [([1.0], "list"), (None, "NoneType"), (1.0, "float")])
def test_no_arrays(values: object, named: str) -> None:
    with pytest.raises(TypeError, match=rf"expected an array of a backend \(.*\), got {named}"):
        backend_of(values)


def test_backend_of_nothing() -> None:
    with pytest.raises(TypeError, match="needs at least one array"):
        backend_of()


def test_a_subclass_belongs_to_its_class() -> None:
    class Own(np.ndarray):
        pass

    assert backend_of(np.ones(2).view(Own)).name == "numpy"


@pytest.mark.parametrize("name", ["numpy", "standin"])
def test_to_numpy(name: str) -> None:
    array = to_numpy(get_backend(name).asarray([1.0, 2.0]))
    assert type(array) is np.ndarray
    assert array.tolist() == [1.0, 2.0]
    assert to_numpy([1, 2]).tolist() == [1, 2]


@pytest.mark.parametrize("name", ["numpy", "standin"])
def test_describe_names_version_and_device(name: str) -> None:
    assert {"version", "device"} <= set(get_backend(name).describe())
    assert repr(get_backend(name)) == f"<xpnet backend {name!r}>"
