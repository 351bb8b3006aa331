"""Compile the source of CUDA kernels with g++ and run it on the CPU, to test kernels without a GPU."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(\w+)\s*\(([^)]*)\)')
GUARD = 256  # bytes before and after each array
FLAGS = ("-std=c++17", "-O1", "-shared", "-fPIC", "-ffp-contract=off", "-Wall", "-Wno-unused", "-Wno-unknown-pragmas")

needs_compiler = pytest.mark.skipif(
    shutil.which("g++") is None, reason="g++ is not installed: kernels not run on the CPU"
)

ENTRY = """
extern "C" const unsigned long sizes_{name}[] = {{{sizes}}};
extern "C" const char* launch_{name}(const dim3* grid, const dim3* block, int order, void** a) {{
  return cpu::launch(*grid, *block, order, [=] {{ {name}({arguments}); }});
}}
"""


def compile_cuda(source: str) -> dict[str, CpuKernel]:
    """The kernels of a CUDA source, by name."""
    library = _library(source)
    return {name: CpuKernel(name, library, len(types)) for name, types in _kernels(source).items()}


def _kernels(source: str) -> dict[str, list[str]]:
    """The C types of each kernel's parameters."""
    found = {}
    for name, text in KERNEL.findall(source):
        parameters = [p.replace("__restrict__", "").strip() for p in text.split(",")]
        found[name] = [re.sub(r"\w+$", "", p).strip() for p in parameters]
    return found


def _entry(name: str, types: Sequence[str]) -> str:
    arguments = ", ".join(f"*({kind}*)a[{i}]" for i, kind in enumerate(types))
    return ENTRY.format(name=name, arguments=arguments, sizes=", ".join(f"sizeof({kind})" for kind in types))


@cache
def _library(source: str) -> ctypes.CDLL:
    entries = "".join(_entry(name, types) for name, types in _kernels(source).items())
    with tempfile.TemporaryDirectory() as folder:  # the loaded library outlives its file
        code, target = Path(folder, "kernels.cpp"), Path(folder, "kernels.so")
        code.write_text(f'#include "cuda_on_cpu.h"\n{source}\n{entries}', encoding="utf-8")
        subprocess.run(["g++", *FLAGS, f"-I{HERE}", str(code), "-o", str(target)], check=True)
        return ctypes.CDLL(str(target))


class Dim3(ctypes.Structure):
    """CUDA's dim3."""

    _fields_ = (("x", ctypes.c_uint), ("y", ctypes.c_uint), ("z", ctypes.c_uint))


@dataclass
class Guarded:
    """A copy of an array between guard bytes that must not change (0xFF: NaN for a kernel that reads too far)."""

    array: np.ndarray

    def __post_init__(self) -> None:
        self.memory = np.full(self.array.nbytes + 2 * GUARD, 0xFF, dtype=np.uint8)
        self.inside = self.memory[GUARD : GUARD + self.array.nbytes]
        self.inside[:] = np.ascontiguousarray(self.array).reshape(-1).view(np.uint8)

    def bring_back(self) -> None:
        if (self.memory[:GUARD] != 0xFF).any() or (self.memory[-GUARD:] != 0xFF).any():
            raise IndexError("a kernel wrote outside an array")
        self.array[...] = self.inside.view(self.array.dtype).reshape(self.array.shape)


class CpuKernel:
    """A kernel, called as CuPy's ``RawKernel`` is: ``kernel(grid, block, arguments)``.

    ``order`` is the order in which threads and blocks run: 0 ascending, 1 descending, else a shuffle.
    """

    def __init__(self, name: str, library: ctypes.CDLL, parameters: int) -> None:
        self.name, self.order = name, 0
        self._sizes = list((ctypes.c_ulong * parameters).in_dll(library, f"sizes_{name}"))
        self._launch = getattr(library, f"launch_{name}")
        self._launch.restype = ctypes.c_char_p

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], arguments: Sequence[Any]) -> None:
        guarded = [Guarded(x) if isinstance(x, np.ndarray) else None for x in arguments]
        values = [self._value(x, g) for x, g in zip(arguments, guarded, strict=True)]
        self._check_sizes(values)
        pointers = (ctypes.c_void_p * len(values))(*[v.ctypes.data for v in values])
        error = self._launch(ctypes.byref(_dim3(grid)), ctypes.byref(_dim3(block)), self.order, pointers)
        if error:
            raise RuntimeError(f"{self.name}: {error.decode()}")
        for g in guarded:
            if g is not None:
                g.bring_back()

    @staticmethod
    def _value(x: Any, guarded: Guarded | None) -> np.ndarray:
        """The value at an argument's pointer: a number, or the address of an array."""
        return np.asarray(x) if guarded is None else np.asarray(guarded.inside.ctypes.data, dtype=np.uint64)

    def _check_sizes(self, values: Sequence[np.ndarray]) -> None:
        sizes = [v.itemsize for v in values]
        if sizes != self._sizes:
            raise TypeError(f"{self.name} takes arguments of {self._sizes} bytes, got {sizes}")


def _dim3(shape: tuple[int, ...]) -> Dim3:
    return Dim3(*(*shape, 1, 1)[:3])
