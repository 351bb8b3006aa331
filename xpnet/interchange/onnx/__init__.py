"""Import and export of ONNX files.  The reader and writer need no other library."""

from .messages import OnnxError
from .reader import OnnxModel, from_onnx
from .writer import to_onnx

__all__ = ["OnnxError", "OnnxModel", "from_onnx", "to_onnx"]
