"""Array backends.  This package knows nothing about networks; user code imports ``xpnet``."""

from . import random
from .base import Array, Backend, BackendError, Backward, CaptureError, Kernel, Namespace
from .loaded import register_backend
from .replay import capture
from .select import (
    available_backends,
    backend_names,
    backend_of,
    check_product,
    get_backend,
    is_array,
    matmul,
    max_rows,
    sum_rows,
    to_numpy,
    use,
    why_unavailable,
)
from .sums import pairwise_mean, pairwise_sum, sum_of_squares


def _numpy() -> Backend:
    from .numpy_backend import NumpyBackend

    return NumpyBackend()


def _cupy() -> Backend:
    from .cupy_backend import CupyBackend

    return CupyBackend()


register_backend("numpy", _numpy)
register_backend("cupy", _cupy)
get_backend("numpy")  # so that NumPy arrays are always known

__all__ = [
    "Array",
    "Backend",
    "BackendError",
    "Backward",
    "CaptureError",
    "Kernel",
    "Namespace",
    "available_backends",
    "backend_names",
    "backend_of",
    "capture",
    "check_product",
    "get_backend",
    "is_array",
    "matmul",
    "max_rows",
    "pairwise_mean",
    "pairwise_sum",
    "random",
    "register_backend",
    "sum_of_squares",
    "sum_rows",
    "to_numpy",
    "use",
    "why_unavailable",
]
