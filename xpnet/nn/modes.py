"""Training and evaluation mode for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xpnet_backends.blocks import Lent

if TYPE_CHECKING:
    from xpnet.nn.module import Module

_modes = Lent()


@contextmanager
def keep_modes(model: Module) -> Iterator[None]:
    """After the block every module is in the mode, training or evaluation, that it was in: a part may be frozen."""
    with _modes.block({module: module.training for module in model.modules()}, _set_mode):
        yield


def _set_mode(module: Module, training: bool) -> None:
    module.__dict__["training"] = training
