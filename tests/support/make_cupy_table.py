"""Write ``cupy_table.json``, the names, methods and keywords of CuPy.

Run it with a CuPy wheel installed; it needs no GPU::

    pip install cupy-cuda13x cuda-pathfinder
    python tests/support/make_cupy_table.py
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import cupy
import numpy as np

TABLE = Path(__file__).with_name("cupy_table.json")


def parameters(function: Any) -> str:
    """The parameters as words: ``a axis= * blocking= **kwargs``; "=" marks a default, "*" the start of keyword-only ones."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return from_docstring(function.__doc__ or "")
    words: list[str] = []
    for p in signature.parameters.values():
        if p.kind is p.KEYWORD_ONLY and "*" not in words and not any(w.startswith("*") for w in words):
            words.append("*")
        words.append(str(p).partition(":")[0].partition("=")[0].strip() + "=" * (p.default is not p.empty))
    return " ".join(word for word in words if word != "self")


def from_docstring(doc: str) -> str:
    """The same, for compiled functions: ``_ndarray_base.sum(self, axis=None, int k=0) -> ...``."""
    found = re.search(r"\((.*)\)", doc.partition("\n")[0])
    if found is None:
        return "*args **kwargs"
    parts = [part.strip() for part in found[1].split(",")]
    words = [part.partition("=")[0].split()[-1] + "=" * ("=" in part) for part in parts if part]
    return " ".join(word for word in words if word != "self")


def functions(module: ModuleType, peer: ModuleType) -> dict[str, str]:
    """The functions of a CuPy module that NumPy has, too."""
    shared = {name: getattr(module, name, None) for name in dir(peer) if not name.startswith("_")}
    return {
        name: parameters(function)
        for name, function in shared.items()
        if callable(function) and not inspect.isclass(function) and not isinstance(function, cupy.ufunc)
    }


def methods() -> dict[str, str]:
    """The public methods of ``cupy.ndarray``."""
    members = {name: getattr(cupy.ndarray, name) for name in dir(cupy.ndarray) if not name.startswith("_")}
    return {name: parameters(member) for name, member in members.items() if callable(member)}


def attributes(kind: type) -> str:
    """The public attributes of a class that are not methods."""
    return " ".join(n for n in dir(kind) if not n.startswith("_") and not callable(getattr(kind, n)))


def protocols() -> str:
    """The special methods of ``cupy.ndarray`` for other libraries and Python, except operators and those of ``object``."""
    own = ["__array__", "__array_function__", "__array_ufunc__", "__copy__", "__cuda_array_interface__"]
    own += ["__deepcopy__", "__dlpack__", "__dlpack_device__", "__reduce__"]
    return " ".join(n for n in own if hasattr(cupy.ndarray, n))


def constants() -> str:
    """The classes and constants that are NumPy's own objects: float32, pi, newaxis ..."""
    own = [n for n in dir(cupy) if not n.startswith("_") and hasattr(np, n) and getattr(cupy, n) is getattr(np, n)]
    return " ".join(n for n in own if isinstance(getattr(np, n), type | float) or n == "newaxis")


def main() -> None:
    table = {
        "cupy": cupy.__version__,
        "numpy": np.__version__,
        "constants": constants(),
        "ufuncs": " ".join(n for n in dir(cupy) if isinstance(getattr(cupy, n), cupy.ufunc) and hasattr(np, n)),
        "functions": functions(cupy, np) | {n: parameters(getattr(cupy, n)) for n in ("asnumpy", "get_array_module")},
        "methods": methods(),
        "attributes": attributes(cupy.ndarray),
        "protocols": protocols(),
        "memory_pointer": " ".join(n for n in dir(cupy.cuda.MemoryPointer) if not n.startswith("_")),
        "device": " ".join(n for n in dir(cupy.cuda.Device) if not n.startswith("_")),
        "linalg": functions(cupy.linalg, np.linalg),
        "stride_tricks": functions(cupy.lib.stride_tricks, np.lib.stride_tricks),
    }
    TABLE.write_text(json.dumps(table, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
