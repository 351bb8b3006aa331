"""Every CUDA source compiles for current GPUs.  NVRTC needs no GPU, only CuPy and the NVRTC library."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest

from xpnet_backends.kernels.cuda import launch

SOURCES = sorted(f.name for f in resources.files("xpnet_backends.kernels.cuda").iterdir() if f.name.endswith(".cu"))


@pytest.fixture(scope="module")
def compiler() -> Any:
    """CuPy's compiler module, if NVRTC answers."""
    pytest.importorskip("cupy", reason="CuPy is not installed: kernels not compiled by NVRTC")
    from cupy.cuda import compiler, nvrtc

    try:
        nvrtc.getVersion()
    except Exception as error:
        pytest.skip(f"NVRTC could not be loaded: kernels not compiled by it ({error})")
    return compiler


def compiled(compiler: Any, source: str, architecture: int) -> bytes:
    from cupy._core import core

    program = compiler._NVRTCProgram(source, "kernel.cu", (), (), method="cubin")
    options = core.assemble_cupy_compiler_options(())
    target = (f"-arch=sm_{architecture}", "-ftz=true", "--device-as-default-execution-space")
    binary: bytes = program.compile(options + target, None)[0]
    return binary


def test_there_are_sources() -> None:
    assert "philox.cu" in SOURCES


@pytest.mark.parametrize("architecture", [75, 80, 90])
@pytest.mark.parametrize("file", SOURCES)
def test_source_compiles(compiler: Any, file: str, architecture: int) -> None:
    assert compiled(compiler, launch.source(file), architecture).startswith(b"\x7fELF")


def test_a_mistake_is_found(compiler: Any) -> None:
    with pytest.raises(compiler.CompileException, match="undefined"):
        compiled(compiler, 'extern "C" __global__ void f() { int a = b; }', 80)
