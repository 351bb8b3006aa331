"""How the ops of a file are called, and helpers that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from xpnet.interchange.onnx.messages import OnnxError
from xpnet.tensor import Tensor, tensor

MAX_ELEMENTS = 1 << 27  # limit on sizes that a file can request with a few numbers
MAX_WINDOW = 1 << 16


@dataclass(frozen=True)
class Call:
    """How an op is called: its options, the version of the operator set, and the state of the network.

    ``batch`` holds the batch size that the file was written for and the actual one, if they differ; ``outputs`` is the
    number of results of the node.
    """

    options: Mapping[str, Any]
    version: int
    training: bool = False
    batch: tuple[int, int] | None = None
    dtype: str | None = None
    outputs: int = 1

    def get(self, name: str, kind: type, default: Any) -> Any:
        """An option, checked for its type."""
        value = self.options.get(name, default)
        if value is not default and not isinstance(value, kind):
            raise OnnxError(f"{name}={value!r} should be of type {kind.__name__}")
        return value

    def window(self, name: str, count: int, default: int, least: int) -> list[int]:
        """One integer for each of ``count`` axes."""
        values = self.get(name, list, [default] * count)
        if len(values) != count or not all(isinstance(n, int) and least <= n <= MAX_WINDOW for n in values):
            raise OnnxError(f"{name}={values!r} should be {count} integers in {least}..{MAX_WINDOW}")
        return list(values)


def to_host(x: Any) -> np.ndarray[Any, Any]:
    """A value as a host array, for ops that must read its numbers."""
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)


def numbers(x: Any) -> list[int]:
    array = to_host(x)
    if array.dtype.kind not in "iu" or array.ndim > 1:
        raise OnnxError(f"needs a list of integers, got {array.dtype}{array.shape}")
    return [int(n) for n in array.reshape(-1)]


def axis_of(axis: int, ndim: int, *, after: bool = False) -> int:
    """An axis counted from the front.  With ``after`` the position after the last axis is allowed."""
    if not -ndim <= axis < ndim + after:
        raise OnnxError(f"axis {axis} does not exist in a tensor of {ndim} axes")
    return axis % ndim if axis < ndim and ndim else axis


def on_device(x: np.ndarray[Any, Any], like: Tensor, dtype: Any = None) -> Tensor:
    """A host array as an operand next to a tensor: if both are floating, it takes the tensor's dtype."""
    own = like.dtype if x.dtype.kind == "f" and like.dtype.kind == "f" else None
    return tensor(x, backend=like.backend, dtype=own if dtype is None else dtype)


def together(*values: Any) -> tuple[Any, ...]:
    """All operands as tensors if any is one; floating host arrays take the dtype of the tensors."""
    tensors = [v for v in values if isinstance(v, Tensor)]
    if not tensors or len(tensors) == len(values):
        return values
    like = next((t for t in tensors if t.dtype.kind == "f"), tensors[0])
    return tuple(v if isinstance(v, Tensor) else on_device(np.asarray(v), like) for v in values)


def check_size(what: str, shape: Any) -> tuple[int, ...]:
    """A shape that a file requests.  Raises: ``OnnxError`` if it is invalid or too large."""
    lengths, total = tuple(int(n) for n in shape), 1
    for n in lengths:
        total *= n
    if min(lengths, default=0) < 0 or len(lengths) > 32 or total > MAX_ELEMENTS:
        raise OnnxError(f"{what} of shape {lengths[:33]}: it must have at most {MAX_ELEMENTS} elements")
    return lengths


def raw(x: Any) -> Any:
    """The array of a value, whether on the host or on a device."""
    return x.data if isinstance(x, Tensor) else x


def like_input(x: Any, array: Any) -> Any:
    """A result without a derivative, on the host or the device like its input."""
    return Tensor(x.backend.xp.asarray(array)) if isinstance(x, Tensor) else np.asarray(array)
