"""Import and export of weights and networks.  Reading a file never executes anything in it."""

from .npz import load_npz, save_npz
from .onnx import OnnxError, OnnxModel, from_onnx, to_onnx
from .pth import load_pth

__all__ = ["OnnxError", "OnnxModel", "from_onnx", "load_npz", "load_pth", "save_npz", "to_onnx"]
