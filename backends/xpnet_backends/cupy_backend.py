"""The CuPy backend for NVIDIA GPUs.  No other module imports cupy, and it does so only when this backend is used."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np

from .base import Array, Backend, BackendError, CaptureError, R
from .kernels import registry
from .kernels.cuda import launch

WHEELS = {"cupy-cuda13x": "cuda13", "cupy-cuda12x": "cuda12", "cupy-cuda11x": None, "cupy": None}  # wheel -> our extra
INSTALL = 'pip install "xpnet[cuda13]" (driver 580 or newer) or "xpnet[cuda12]"'

NO_DRIVER, NO_DEVICE, DRIVER_MISMATCH = 35, 100, 803  # cudaError_t; 35 also means that the driver is too old
HIDDEN = ("", "-1")  # values of CUDA_VISIBLE_DEVICES that leave no device


class CupyBackend(Backend):
    """Arrays in the memory of an NVIDIA GPU.

    Raises: ``BackendError`` that names what is missing and the fix, if CuPy does not work on this machine.
    """

    name = "cupy"
    kernels = registry.CUDA
    on_host = False
    # False as long as products go through CuPy's cuBLAS, which a stream that is being captured refuses: no step with a
    # product could be recorded.  ``capture`` itself works for functions without one.
    captures = False

    def __init__(self) -> None:
        self.xp = probe()
        self.array_type = self.xp.ndarray
        self._philox = self._kernel("philox.cu", "philox4x64", launch.PHILOX)
        self._philox_rows = self._kernel("philox.cu", "philox4x64_rows", launch.PHILOX_ROWS)
        self._philox_at = self._kernel("philox.cu", "philox4x64_at", launch.PHILOX_AT)
        self._philox_rows_at = self._kernel("philox.cu", "philox4x64_rows_at", launch.PHILOX_ROWS_AT)

    def _kernel(self, file: str, name: str, parameters: dict[str, str]) -> launch.Launcher:
        return launch.Launcher(name, parameters, self.xp.RawKernel(launch.source(file), name))

    def asarray(self, values: Any, dtype: Any = None) -> Array:
        return self.xp.asarray(values, dtype=dtype)

    def to_numpy(self, array: Array) -> np.ndarray:
        values: np.ndarray = self.xp.asnumpy(array)
        return values

    def matmul(self, a: Array, b: Array) -> Array:
        # CuPy refuses its cuBLAS calls while a CUDA graph is captured.  A captured step needs cublasGemmEx here, called
        # through ctypes with a handle and a workspace of our own.
        return a @ b

    def philox(
        self, count: int, key: tuple[int, int], counter: tuple[int, int, int, int], step: Array | None = None
    ) -> Array:
        words = self.xp.empty(count, dtype="uint64")
        if step is None:
            self._philox((count + 3) // 4, words, count, *key, *counter)
        else:
            self._philox_at((count + 3) // 4, words, step, count, *key, counter[0], *counter[2:])
        return words

    def philox_rows(
        self, count: int, key: tuple[int, int], moment: tuple[int, int], rows: Array, step: Array | None = None
    ) -> Array:
        words = self.xp.empty((len(rows), count), dtype="uint64")
        rows = self.xp.ascontiguousarray(rows, dtype="int64")
        threads = len(rows) * ((count + 3) // 4)
        if step is None:
            self._philox_rows(threads, words, rows, len(rows), count, *key, *moment)
        else:
            self._philox_rows_at(threads, words, rows, step, len(rows), count, *key, moment[1])
        return words

    def capture(self, function: Callable[[], R]) -> Callable[[], R]:
        """A CUDA graph of ``function``, with memory of its own.  *Not yet run on hardware in this form.*"""
        cuda = self.xp.cuda
        pool, stream = cuda.MemoryPool(), cuda.Stream(non_blocking=True)
        with cuda.using_allocator(pool.malloc), stream:
            stream.begin_capture()
            try:
                result = function()
            except BaseException as error:
                _abandon(stream)
                if isinstance(error, RuntimeError | MemoryError):  # CUDA's errors and CuPy's refusals are
                    raise CaptureError(_why_not_captured(error)) from error
                raise
            try:
                graph = stream.end_capture()
            except RuntimeError as error:  # CUDA noticed only now that something cannot be recorded
                raise CaptureError(_why_not_captured(error)) from error

        def replay() -> R:
            graph.launch(cuda.get_current_stream())  # in order with the work before and after it
            return result

        replay.kept = pool, stream  # type: ignore[attr-defined]  # a pool that is collected frees the graph's memory
        return replay

    def synchronize(self) -> None:
        self.xp.cuda.Device().synchronize()

    def describe(self) -> dict[str, str]:
        runtime, device = self.xp.cuda.runtime, self.xp.cuda.Device()
        major, minor = device.compute_capability[:-1], device.compute_capability[-1]
        return {
            "version": f"CuPy {self.xp.__version__}",
            "device": runtime.getDeviceProperties(device.id)["name"].decode(),
            "compute capability": f"{major}.{minor}",
            "driver": f"CUDA {_version(runtime.driverGetVersion())}",
            "runtime": f"CUDA {_version(runtime.runtimeGetVersion())}",
        }


def _abandon(stream: Any) -> None:
    """End a capture that failed: CUDA says so once more, after the error that matters."""
    try:
        stream.end_capture()
    except RuntimeError:
        return


def _why_not_captured(error: Exception) -> str:
    reason = _first_line(error)
    if "cublas" in reason.lower():
        reason = f"a matrix product by CuPy's cuBLAS cannot be recorded ({reason})"
    return f"{reason}: a recording allows no product by CuPy's cuBLAS, no transfer and no waiting for the device"


def probe() -> Any:
    """Import cupy and check that it computes on this machine.  Raises: ``BackendError``."""
    wheels = installed_wheels()
    if len(wheels) > 1:
        found = ", ".join(wheels)
        raise _unavailable(
            f"several CuPy packages are installed ({found}) and overwrite each other",
            f"pip uninstall -y {' '.join(w.split()[0] for w in wheels)}, then {INSTALL}",
        )
    wheel = wheels[0] if wheels else None
    cupy = _import_cupy(wheel)
    _find_device(cupy, wheel)
    for library, load in _libraries(cupy).items():
        _load(library, load, wheel)
    _run_kernel(cupy, wheel)
    return cupy


def installed_wheels() -> list[str]:
    """Names and versions of the installed CuPy packages."""
    found = []
    for name in WHEELS:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return found


def _unavailable(missing: str, fix: str) -> BackendError:
    return BackendError(f"backend='cupy' is not available: {missing}: {fix}")


def _import_cupy(wheel: str | None) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cupy = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        if error.name != "cupy":
            raise _unavailable(f"CuPy failed to import ({error})", f"pip install {error.name}") from error
        cupy = None
    except Exception as error:
        raise _unavailable(f"CuPy failed to import ({wheel}; {_first_line(error)})", _reinstall(wheel)) from error
    if hasattr(cupy, "__version__"):
        return cupy
    if wheel is None:
        raise _unavailable("CuPy is not installed", INSTALL)
    raise _unavailable(f"{wheel} is installed, but its files are gone", _reinstall(wheel))


def _find_device(cupy: Any, wheel: str | None) -> None:
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise _unavailable(*_why_no_device(runtime, error, wheel)) from error
    if count == 0:
        raise _unavailable(*_no_device())


def _why_no_device(runtime: Any, error: Any, wheel: str | None) -> tuple[str, str]:
    """What an error of the first CUDA call means, and the fix."""
    driver = runtime.driverGetVersion()
    if error.status == NO_DRIVER and driver == 0:
        return "no NVIDIA driver was found", "install the driver (nvidia-smi must work), or run with backend='numpy'"
    if error.status == NO_DRIVER:
        built_for = _version(runtime.runtimeGetVersion())
        missing = f"the driver supports CUDA {_version(driver)} only, but {wheel or 'this CuPy'} needs CUDA {built_for}"
        return missing, 'update the driver, or pip uninstall CuPy and install one that fits, "xpnet[cuda12]"'
    if error.status == NO_DEVICE:
        return _no_device()
    if error.status == DRIVER_MISMATCH:
        return "the driver and its kernel module have different versions", "reboot, or reload the nvidia module"
    return f"the driver failed ({_first_line(error)})", "see what nvidia-smi says"


def _no_device() -> tuple[str, str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in HIDDEN:
        return f"CUDA_VISIBLE_DEVICES={visible!r} hides every GPU", "unset it, or set it to 0"
    return "the driver reports no CUDA device", "check that nvidia-smi lists one, or run with backend='numpy'"


def _libraries(cupy: Any) -> dict[str, Callable[[], Any]]:
    """The CUDA libraries that networks need besides the driver, each with a call that loads it."""
    return {"NVRTC": cupy.cuda.nvrtc.getVersion, "cuBLAS": cupy.cuda.get_cublas_handle}


def _load(library: str, load: Callable[[], Any], wheel: str | None) -> None:
    try:
        load()
    except Exception as error:
        missing = f"the CUDA library {library} could not be loaded ({_first_line(error)})"
        raise _unavailable(missing, f"{_toolkit(wheel)}, or install the CUDA toolkit") from error


def _run_kernel(cupy: Any, wheel: str | None) -> None:
    """Compile, launch, and read the result back."""
    try:
        total = int((cupy.arange(4, dtype="float32") * 2).sum())
    except Exception as error:
        missing = f"the first kernel failed ({_first_line(error)})"
        raise _unavailable(missing, f"{_toolkit(wheel)}; see what nvidia-smi says") from error
    if total != 12:
        raise _unavailable(f"the first kernel computed {total}, not 12", "see what nvidia-smi says")


def _reinstall(wheel: str | None) -> str:
    return f"pip install --force-reinstall {wheel.split()[0] if wheel else 'cupy-cuda13x'}"


def _toolkit(wheel: str | None) -> str:
    extra = WHEELS.get(wheel.split()[0]) if wheel else None
    return f'pip install "xpnet[{extra or "cuda13"}]"'


def _version(number: int) -> str:
    """CUDA's integer version as text: 12040 is "12.4"."""
    return f"{number // 1000}.{number % 1000 // 10}"


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
