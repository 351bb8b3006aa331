"""The table of ``model.summary()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xpnet.nn.modes import keep_modes
from xpnet.tensor import Tensor, no_grad

if TYPE_CHECKING:
    from xpnet.nn.module import Module


class Summary(str):
    """A string whose repr keeps its line breaks, for the interactive prompt."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def summarise(model: Module, input_shape: tuple[int, ...] | None = None) -> Summary:
    """Path, type, output shape and parameter count of every module without children, and the totals."""
    shapes = _output_shapes(model, input_shape) if input_shape is not None else {}
    rows = [("layer", "type", "output shape", "parameters")]
    for path, module in model.named_modules():
        if not module._modules:
            count = sum(p.size for p in module._parameters.values() if p is not None)
            rows.append((path or "(model)", type(module).__name__, shapes.get(id(module), "-"), f"{count:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(row[:3], widths, strict=False)) for row in rows]
    lines = [f"{line}  {row[3].rjust(widths[3])}" for line, row in zip(lines, rows, strict=True)]
    if not shapes:
        drop = slice(widths[0] + widths[1] + 4, widths[0] + widths[1] + widths[2] + 6)
        lines = [line[: drop.start] + line[drop.stop :] for line in lines]
    parameters = list(model.parameters())
    total = sum(p.size for p in parameters)
    trainable = sum(p.size for p in parameters if p.requires_grad)
    memory = sum(p.data.nbytes for p in parameters)
    rule = "-" * len(lines[0])
    foot = f"total {total:,} parameters ({trainable:,} trainable), {memory / 2**20:.2f} MiB"
    return Summary("\n".join([lines[0], rule, *lines[1:], rule, foot]))


def _output_shapes(model: Module, input_shape: tuple[int, ...]) -> dict[int, str]:
    """Run zeros through the model in evaluation mode, and record the output shape of each module."""
    shapes: dict[int, str] = {}

    def note(module: Module, inputs: tuple[Any, ...], y: Any) -> None:
        shapes[id(module)] = str(tuple(y.shape)) if hasattr(y, "shape") else type(y).__name__

    first = next(iter(model.parameters()), None)
    backend, dtype = (first.backend, first.dtype) if first is not None else (None, None)
    removers = [m.register_forward_hook(note) for m in model.modules()]
    try:
        with keep_modes(model), no_grad():
            xp = backend.xp if backend is not None else __import__("numpy")
            model.eval()(Tensor(xp.zeros(input_shape, dtype=dtype or "float32")))
    finally:
        for remove in removers:
            remove()
    return shapes
