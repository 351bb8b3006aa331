"""Neural networks from scratch on plain arrays: the same code on NumPy and CuPy."""

from typing import TYPE_CHECKING

from xpnet_backends import BackendError, CaptureError, available_backends, capture, get_backend, use
from xpnet_backends.random import state as _random_state

from . import nn, ops, optim, serialization
from ._version import __version__
from .gradcheck import gradcheck
from .serialization import CheckpointError, load, save
from .tensor import (
    Tensor,
    apply,
    concatenate,
    is_grad_enabled,
    maximum,
    minimum,
    no_grad,
    stack,
    tensor,
    where,
)
from .tensor import placed_tensor as as_tensor

if TYPE_CHECKING:  # what is imported when it is first used
    from . import cli as cli
    from . import data as data
    from . import explore as explore
    from . import interchange as interchange
    from . import lesson as lesson
    from . import metrics as metrics
    from . import models as models
    from . import plot as plot
    from . import sklearn as sklearn
    from . import train as train
else:
    _LATER = ("cli", "data", "explore", "interchange", "lesson", "metrics", "models", "plot", "sklearn", "train")

    def __getattr__(name):
        """A part that was not imported yet.  Raises: ``AttributeError`` that says what may have been meant."""
        if name in _LATER:
            from importlib import import_module

            return import_module(f"xpnet.{name}")
        raise AttributeError(
            f"module 'xpnet' has no attribute {name!r}{'' if name.startswith('_') else _meant(name)}",
            name=name,
            obj=__import__("sys").modules["xpnet"],
        )

    def __dir__():
        """The names that can be used, imported or not."""
        return sorted({*globals(), *_LATER} - {"TYPE_CHECKING"})

    def _meant(name):
        from difflib import get_close_matches
        from sys import modules

        parts = [f"xpnet.{part}" for part in ("nn", "nn.functional", "optim", *_LATER)]
        inside = [part for part in parts if part in modules and name in getattr(modules[part], "__all__", ())]
        close = [f"{part}.{name}" for part in inside]
        close += [f"xpnet.{known}" for known in get_close_matches(name, [*__all__, *_LATER], 1)]
        return f": did you mean {close[0]}?" if close else ""


manual_seed = _random_state.manual_seed
serialization.keep_type("tensor", Tensor, Tensor)
serialization.keep_type("parameter", nn.Parameter, nn.Parameter)

__all__ = [
    "BackendError", "CaptureError", "CheckpointError", "Tensor", "__version__", "apply", "as_tensor",
    "available_backends", "capture", "concatenate", "get_backend", "gradcheck", "is_grad_enabled", "load",
    "manual_seed", "maximum", "minimum", "nn", "no_grad", "ops", "optim", "save", "stack", "tensor", "use", "where",
]  # fmt: skip
