"""Fixtures for all tests: backends, random seed, data folder, no network."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import xpnet_backends
from tests.support.standin import StandinBackend, counters
from xpnet_backends import Backend, get_backend, register_backend, select

THIS_MACHINE = (None, "", "localhost", "127.0.0.1", "::1")

DATA = os.environ.get("XPNET_DATA")  # as it was before any test changed it

register_backend("standin", StandinBackend)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell leaves it for what runs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # for the tests of Ctrl-C, here and in other processes

settings.register_profile("quick", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "quick")


def backends_under_test() -> list[str]:
    """NumPy and the stand-in, or the one that XPNET_TEST_BACKEND names."""
    chosen = os.environ.get("XPNET_TEST_BACKEND")
    return [chosen] if chosen else ["numpy", "standin"]


@pytest.fixture(params=backends_under_test())
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Each backend under test, as the default backend."""
    chosen = get_backend(request.param)
    with xpnet_backends.use(chosen):
        yield chosen


@pytest.fixture
def xp(backend: Backend) -> Any:
    """The array namespace of the backend under test."""
    return backend.xp


@pytest.fixture(autouse=True)
def _fresh_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts from seed 0, the default backend, and counters at zero."""
    monkeypatch.delenv("XPNET_BACKEND", raising=False)
    monkeypatch.setattr(select, "_process_wide", None)
    xpnet_backends.random.state.manual_seed(0)
    counters.reset()


@pytest.fixture
def data_dir() -> Path:
    """The folder of real data sets."""
    if not DATA:
        pytest.skip("set XPNET_DATA to a folder with mnist/ (and kaggle-digits/ ...) to run the tests on real data")
    return Path(DATA).resolve()


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests see a machine without network, wherever they run: only this machine itself can be reached."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family != getattr(socket, "AF_UNIX", None) and address[0] not in THIS_MACHINE:
            raise OSError(errno.ENETUNREACH, f"a test tried to reach {address!r}; tests have no network")
        connect(self, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in THIS_MACHINE:
            raise socket.gaierror(socket.EAI_NONAME, f"a test tried to look up {host!r}; tests have no network")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)
