"""Find the layer that recorded an op.  Tracing, debugging and drawing of networks use it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from xpnet.nn.module import Module
from xpnet.tape import Node, no_fusion, tick


class Recording:
    """A context manager that records when each layer of ``model`` computes, by the tape's clock.

    >>> import xpnet
    >>> from xpnet.tape import walk
    >>> model = xpnet.nn.Sequential(xpnet.nn.Linear(2, 3), xpnet.nn.ReLU())
    >>> with Recording(model) as recording:
    ...     y = model(xpnet.tensor([[1.0, 2.0]]))
    >>> [(recording.layer_of(node), node.name) for node, _ in walk(y)]
    [('0', 'linear'), ('1', 'relu')]
    """

    def __init__(self, model: Module) -> None:
        self._model = model
        self._intervals: list[tuple[int, int, str]] = []
        self._open: list[tuple[int, str]] = []  # the layers at work, the innermost last, with when they began
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        self._undo.append(self._alone())  # a fused op would belong to two layers
        for path, module in self._model.named_modules():
            self._watch(path, module)
        return self

    @staticmethod
    def _alone() -> Callable[[], None]:
        separately = ExitStack()
        separately.enter_context(no_fusion())
        return separately.close

    def _watch(self, path: str, module: Module) -> None:
        def before(_: Module, inputs: tuple[Any, ...]) -> None:
            self._open.append((tick(), path))

        def after(_: Module, inputs: tuple[Any, ...], output: Any) -> None:
            started, _path = self._open.pop()
            self._intervals.append((started, tick(), path))

        self._undo += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for undo in self._undo:
            undo()
        self._undo = []

    @property
    def layer_at_work(self) -> str | None:
        """The path of the innermost layer that is computing now; None outside the model."""
        return self._open[-1][1] if self._open else None

    def layer_of(self, node: Node) -> str:
        """The path of the innermost layer that recorded an op; "" outside all layers."""
        return self.layer_at(node.time)

    def layer_at(self, time: int) -> str:
        """The path of the innermost layer that was computing at a time of the tape's clock; "" outside all layers."""
        around = [(end - start, path) for start, end, path in self._intervals if start < time < end]
        return min(around)[1] if around else ""
