"""The CuPy backend without CuPy: what it says where it cannot work, and what it calls where it can."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.cuda_on_cpu import compile_cuda, needs_compiler
from xpnet_backends import BackendError, CaptureError, cupy_backend, get_backend
from xpnet_backends.cupy_backend import CupyBackend

WHEEL = {"cupy-cuda13x": "14.2.0"}


class FakeCudaError(RuntimeError):
    def __init__(self, status: int) -> None:
        super().__init__(f"cudaError{status}: details\nand more lines")
        self.status = status


def fails(error: Exception) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        raise error

    return call


def fake_cupy(**runtime: Any) -> ModuleType:
    """A module with as much of CuPy as the backend uses, on NumPy."""
    cupy = ModuleType("cupy")
    calls = {
        "CUDARuntimeError": FakeCudaError,
        "getDeviceCount": lambda: 1,
        "driverGetVersion": lambda: 13020,
        "runtimeGetVersion": lambda: 13000,
        "getDeviceProperties": lambda index: {"name": b"Fake GPU"},
    }
    device = SimpleNamespace(id=0, compute_capability="120", synchronize=lambda: cupy.synchronised.append(True))
    vars(cupy).update(
        __version__="14.2.0",
        ndarray=np.ndarray,
        arange=np.arange,
        empty=np.empty,
        ascontiguousarray=np.ascontiguousarray,
        asarray=np.asarray,
        asnumpy=np.array,
        RawKernel=lambda source, name: compile_cuda(source)[name],
        synchronised=[],
        cuda=SimpleNamespace(
            runtime=SimpleNamespace(**(calls | runtime)),
            nvrtc=SimpleNamespace(getVersion=lambda: (13, 0)),
            get_cublas_handle=lambda: 1,
            Device=lambda: device,
        ),
    )
    return cupy


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make it look as if these wheels and this module were installed."""

    def install(module: ModuleType | None, wheels: dict[str, str]) -> None:
        def version(name: str) -> str:
            if name not in wheels:
                raise metadata.PackageNotFoundError(name)
            return wheels[name]

        monkeypatch.setattr(cupy_backend.metadata, "version", version)
        monkeypatch.setitem(sys.modules, "cupy", module)  # type: ignore[arg-type]

    return install


def message() -> str:
    with pytest.raises(BackendError) as caught:
        CupyBackend()
    return str(caught.value)


def test_importing_the_backends_does_not_import_cupy() -> None:
    code = "import sys, xpnet_backends; sys.exit('cupy' in sys.modules)"
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin"}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_not_installed(install: Any) -> None:
    install(None, {})
    assert message() == (
        "backend='cupy' is not available: CuPy is not installed: "
        'pip install "xpnet[cuda13]" (driver 580 or newer) or "xpnet[cuda12]"'
    )


def test_several_wheels(install: Any) -> None:
    install(fake_cupy(), WHEEL | {"cupy-cuda12x": "13.6.0"})
    said = message()
    assert "several CuPy packages are installed (cupy-cuda13x 14.2.0, cupy-cuda12x 13.6.0)" in said
    assert "pip uninstall -y cupy-cuda13x cupy-cuda12x, then pip install" in said


@pytest.mark.parametrize("module", [None, ModuleType("cupy")])  # nothing there, or an empty folder is left
def test_files_gone(install: Any, module: ModuleType | None) -> None:
    install(module, WHEEL)
    assert message().endswith(
        "cupy-cuda13x 14.2.0 is installed, but its files are gone: pip install --force-reinstall cupy-cuda13x"
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ImportError("libfoo.so: bad\nmore"),
            "(cupy-cuda13x 14.2.0; ImportError: libfoo.so: bad): pip install --force",
        ),
        (ModuleNotFoundError("No module named 'numpy'", name="numpy"), "(No module named 'numpy'): pip install numpy"),
    ],
)
def test_import_failure(install: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    install(None, WHEEL)
    monkeypatch.setattr(cupy_backend.importlib, "import_module", fails(error))
    assert f"CuPy failed to import {said}" in message()


def no_device(status: int, driver: int = 13020) -> ModuleType:
    return fake_cupy(getDeviceCount=fails(FakeCudaError(status)), driverGetVersion=lambda: driver)


@pytest.mark.parametrize(
    ("module", "missing", "fix"),
    [
        (no_device(35, driver=0), "no NVIDIA driver was found", "install the driver"),
        (
            no_device(35, driver=12040),
            "the driver supports CUDA 12.4 only, but cupy-cuda13x 14.2.0 needs CUDA 13.0",
            "update the driver",
        ),
        (no_device(100), "the driver reports no CUDA device", "check that nvidia-smi lists one"),
        (no_device(803), "the driver and its kernel module have different versions", "reboot"),
        (no_device(999), "the driver failed (FakeCudaError: cudaError999: details)", "see what nvidia-smi says"),
        (fake_cupy(getDeviceCount=lambda: 0), "the driver reports no CUDA device", "check that nvidia-smi lists one"),
    ],
)
def test_no_device(install: Any, monkeypatch: pytest.MonkeyPatch, module: ModuleType, missing: str, fix: str) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    install(module, WHEEL)
    assert message().startswith(f"backend='cupy' is not available: {missing}: {fix}")


@pytest.mark.parametrize("value", ["", "-1"])
def test_hidden_devices(install: Any, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    install(no_device(100), WHEEL)
    assert message().endswith(f"CUDA_VISIBLE_DEVICES={value!r} hides every GPU: unset it, or set it to 0")


@pytest.mark.parametrize("library", ["NVRTC", "cuBLAS"])
def test_missing_library(install: Any, library: str) -> None:
    module, error = fake_cupy(), RuntimeError("libx.so.13 not found\nmore")
    if library == "NVRTC":
        module.cuda.nvrtc.getVersion = fails(error)
    else:
        module.cuda.get_cublas_handle = fails(error)
    install(module, {"cupy-cuda12x": "14.2.0"})
    assert message().endswith(
        f"the CUDA library {library} could not be loaded (RuntimeError: libx.so.13 not found): "
        'pip install "xpnet[cuda12]", or install the CUDA toolkit'
    )


def test_first_kernel_fails(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake_cupy()
    install(module, WHEEL)
    monkeypatch.setattr(module, "arange", fails(RuntimeError("no kernel image")))
    assert 'the first kernel failed (RuntimeError: no kernel image): pip install "xpnet[cuda13]"' in message()


def test_first_kernel_is_wrong(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = fake_cupy()
    install(module, WHEEL)
    monkeypatch.setattr(module, "arange", lambda n, dtype: np.zeros(n, dtype))
    assert "the first kernel computed 0, not 12: see what nvidia-smi says" in message()


@needs_compiler
class TestWorkingBackend:
    """With a module that answers, down to the Philox kernel's own source."""

    @pytest.fixture
    def working(self, install: Any) -> CupyBackend:
        install(fake_cupy(), WHEEL)
        return CupyBackend()

    def test_philox_is_numpys(self, working: CupyBackend) -> None:
        for count in (0, 1, 5, 1000):
            words = working.philox(count, (7, 8), (1, 2, 3, 4))
            np.testing.assert_array_equal(words, get_backend("numpy").philox(count, (7, 8), (1, 2, 3, 4)))

    def test_philox_rows_are_numpys(self, working: CupyBackend) -> None:
        rows = np.array([5, 0, 5])
        for count in (0, 1, 4, 9):
            expected = get_backend("numpy").philox_rows(count, (7, 8), (2, 3), rows)
            np.testing.assert_array_equal(working.philox_rows(count, (7, 8), (2, 3), rows), expected)

    def test_philox_reads_the_step_on_the_device(self, working: CupyBackend) -> None:
        cell, rows, numpy = np.array(9, np.uint64), np.array([4, 0, 9]), get_backend("numpy")
        words = working.philox(5, (7, 8), (1, 99, 3, 4), cell)
        np.testing.assert_array_equal(words, numpy.philox(5, (7, 8), (1, 9, 3, 4)))
        words = working.philox_rows(5, (7, 8), (99, 3), rows, cell)
        np.testing.assert_array_equal(words, numpy.philox_rows(5, (7, 8), (9, 3), rows))

    def test_describe(self, working: CupyBackend) -> None:
        assert working.describe() == {
            "version": "CuPy 14.2.0",
            "device": "Fake GPU",
            "compute capability": "12.0",
            "driver": "CUDA 13.2",
            "runtime": "CUDA 13.0",
        }

    def test_arrays_products_and_synchronisation(self, working: CupyBackend) -> None:
        a = working.asarray([[1.0, 2.0]], dtype="float32")
        assert working.to_numpy(working.matmul(a, a.T)).tolist() == [[5.0]]
        working.synchronize()
        assert working.xp.synchronised == [True]
        assert not working.on_host


class FakeStream:
    """Writes down what is asked of a stream; ``failure`` is what CUDA says at the end of a capture."""

    failure: Exception | None = None

    def __init__(self, log: list[Any], **options: Any) -> None:
        self.log = log
        log.append(("stream", options))

    def __enter__(self) -> None:
        self.log.append("enter")

    def __exit__(self, *error: Any) -> None:
        self.log.append("exit")

    def begin_capture(self) -> None:
        self.log.append("begin")

    def end_capture(self) -> Any:
        self.log.append("end")
        if self.failure is not None:
            raise self.failure
        return SimpleNamespace(launch=lambda stream: self.log.append(("launch", stream)))


@needs_compiler
class TestCapture:
    @pytest.fixture
    def log(self) -> list[Any]:
        return []

    @pytest.fixture
    def working(self, install: Any, log: list[Any], monkeypatch: pytest.MonkeyPatch) -> CupyBackend:
        monkeypatch.setattr(FakeStream, "failure", None)
        cupy = fake_cupy()
        vars(cupy.cuda).update(
            MemoryPool=lambda: SimpleNamespace(malloc="private"),
            Stream=lambda **options: FakeStream(log, **options),
            using_allocator=contextlib.contextmanager(lambda malloc: (yield log.append(("allocator", malloc)))),
            get_current_stream=lambda: "current",
        )
        install(cupy, WHEEL)
        return CupyBackend()

    def test_a_graph_on_a_stream_and_with_memory_of_its_own(self, working: CupyBackend, log: list[Any]) -> None:
        replay = working.capture(lambda: log.append("work") or "result")  # type: ignore[func-returns-value]
        assert log == [
            ("stream", {"non_blocking": True}), ("allocator", "private"), "enter", "begin", "work", "end", "exit",
        ]  # fmt: skip
        log.clear()
        assert [replay(), replay()] == ["result", "result"]
        assert log == [("launch", "current")] * 2

    def test_steps_are_not_captured_while_products_are_cupys(self, working: CupyBackend) -> None:
        assert not working.captures

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (NotImplementedError("calling cuBLAS API during stream capture is currently unsupported"),
             "a matrix product by CuPy's cuBLAS cannot be recorded (NotImplementedError: calling cuBLAS API"),
            (MemoryError("Out of memory"), "MemoryError: Out of memory: a recording allows"),
            (FakeCudaError(900), "FakeCudaError: cudaError900: details: a recording allows no product by CuPy's"),
        ],
    )  # fmt: skip
    def test_what_cuda_refuses(self, working: CupyBackend, log: list[Any], error: Exception, said: str) -> None:
        with pytest.raises(CaptureError) as caught:
            working.capture(fails(error))
        assert said in str(caught.value)
        assert log[-2:] == ["end", "exit"]  # the capture is over, whatever happened

    def test_what_cuda_notices_at_the_end(
        self, working: CupyBackend, log: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(FakeStream, "failure", FakeCudaError(901))
        with pytest.raises(CaptureError, match="cudaError901"):
            working.capture(lambda: None)
        with pytest.raises(ValueError, match="mine"):  # the first error is the one that matters
            working.capture(fails(ValueError("mine")))
        assert log[-2:] == ["end", "exit"]
