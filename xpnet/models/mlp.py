"""The multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from xpnet import nn
from xpnet_backends import Backend


class MLP(nn.Sequential):
    """``Flatten, [Linear, ReLU, Dropout] × len(hidden), Linear``.  x (N, ...) -> logits (N, out_features).

    Parameters
    ----------
    in_features, hidden, out_features : the number of inputs, the widths of the hidden layers, the number of logits.
    dropout : probability of dropping a hidden unit.
    backend, dtype : of the parameters.

    >>> MLP(784, [128], 10).summary().splitlines()[-1]
    'total 101,770 parameters (101,770 trainable), 0.39 MiB'
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        out_features: int,
        *,
        dropout: float = 0.0,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        widths = [in_features, *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after, backend=backend, dtype=dtype), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
        super().__init__(*layers, nn.Linear(widths[-1], out_features, backend=backend, dtype=dtype))
