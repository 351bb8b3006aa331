"""The floating dtype of the written file.

A network computed in float64, for example on scikit-learn's arrays, is written in float32 by default, because runtimes
on a CPU have float64 kernels for some ops only.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from xpnet.interchange.onnx.messages import DTYPE_CODES, Graph, OnnxError, Tensor, to_array, to_tensor

_SINGLE, _DOUBLE = DTYPE_CODES["float32"], DTYPE_CODES["float64"]

# Ops that this writer uses and onnxruntime 1.32 cannot compute in float64 on a CPU; each was tested.
NO_DOUBLE = frozenset((
    "AveragePool", "Celu", "Conv", "ConvTranspose", "Elu", "Erf", "GRU", "GlobalAveragePool", "GlobalMaxPool",
    "HardSigmoid", "HardSwish", "InstanceNormalization", "LSTM", "RNN", "Selu", "Softplus", "Softsign",
))  # fmt: skip


def is_double(graph: Graph) -> bool:
    """Whether an input or a weight is float64.  An explicit cast inside the network is kept."""
    inputs = (v.type.tensor.dtype for v in graph.inputs if v.type and v.type.tensor)
    return any(dtype == _DOUBLE for dtype in (*inputs, *(w.dtype for w in graph.weights)))


def check_kernels(ops: Iterable[str], advice: str) -> None:
    """Raises: ``OnnxError`` for ops in float64 for which onnxruntime has no float64 kernel."""
    if found := sorted({*ops} & NO_DOUBLE):
        raise OnnxError(f"to_onnx(): onnxruntime has no kernel of float64 for {', '.join(found)} on a CPU: {advice}")


def to_single(graph: Graph) -> None:
    """Float64 becomes float32, in place.  Raises: ``OnnxError`` for a weight that float32 cannot hold."""
    for tensor in graph.weights:
        if tensor.dtype == _DOUBLE and _overflows(to_array(tensor)):
            raise OnnxError(
                f"weight {tensor.name!r} has numbers beyond float32: to_onnx(keep_float64=True) keeps float64"
            )
    graph.weights = [_single(tensor) for tensor in graph.weights]
    for node in graph.nodes:
        for a in node.attributes:
            a.t = None if a.t is None else _single(a.t)
            if node.op == "Cast" and a.name == "to" and a.i == _DOUBLE:
                a.i = _SINGLE
    for value in (*graph.inputs, *graph.outputs):
        if value.type and value.type.tensor and value.type.tensor.dtype == _DOUBLE:
            value.type.tensor.dtype = _SINGLE


def _overflows(array: np.ndarray) -> bool:
    return bool((np.isfinite(array) & (np.abs(array) > np.finfo(np.float32).max)).any())


def _single(tensor: Tensor) -> Tensor:
    """Finite numbers stay finite: float64's lowest number, used as "lower than all", becomes float32's, not −∞."""
    if tensor.dtype != _DOUBLE:
        return tensor
    array, limit = to_array(tensor), np.finfo(np.float32).max
    return to_tensor(np.where(np.isfinite(array), np.clip(array, -limit, limit), array).astype(np.float32), tensor.name)
