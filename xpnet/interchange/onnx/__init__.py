"""Networks from and for ONNX, by an own reader and writer of the format: no other library is needed."""

from .messages import OnnxError
from .reader import OnnxModel, from_onnx
from .writer import to_onnx

__all__ = ["OnnxError", "OnnxModel", "from_onnx", "to_onnx"]
