"""Recurrent layers, cells and tables, in every way their arguments can be used; names and arguments are PyTorch's."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """A layer with the shape of its input.  ``states``: how many initial states are given, each of ``state_shape``."""

    layer: str
    arguments: tuple[Any, ...]
    shape: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)
    lengths: tuple[int, ...] | None = None
    states: int = 0
    state_shape: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        options = "".join(f",{k}={v}" for k, v in self.options.items())
        what = "".join(
            [",lengths" * (self.lengths is not None), "" if self.states else ",zeros", f",{len(self.shape)}-d"]
        )
        return f"{self.layer}({','.join(map(str, self.arguments))}{options}){what}"

    def values(self, what: str, shape: tuple[int, ...]) -> np.ndarray:
        """Numbers for an input or a parameter, the same here and where PyTorch's answers are recorded."""
        rng = np.random.Generator(np.random.Philox(key=zlib.crc32(f"{self.name}/{what}".encode())))
        return rng.uniform(-1, 1, shape)

    def initial(self) -> list[np.ndarray]:
        return [self.values(f"state {i}", self.state_shape) for i in range(self.states)]


T, N, IN, H = 5, 3, 4, 3


def layers(name: str, *, given: bool = True, alone: bool = False, ragged: bool = False, **options: Any) -> Case:
    shape = (T, IN) if alone else (N, T, IN) if options.get("batch_first") else (T, N, IN)
    count = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    states = (2 if name == "LSTM" else 1) if given else 0
    batch = () if alone else (N,)
    return Case(name, (IN, H), shape, options, (3, 5, 1) if ragged else None, states, (count, *batch, H))


def cell(name: str, *, given: bool = True, alone: bool = False, **options: Any) -> Case:
    batch = () if alone else (N,)
    states = (2 if name == "LSTMCell" else 1) if given else 0
    return Case(name, (IN, H), (*batch, IN), options, None, states, (*batch, H))


WAYS: list[dict[str, Any]] = [
    {},
    {"given": False},
    {"alone": True},
    {"alone": True, "given": False, "bidirectional": True},
    {"ragged": True},
    {"ragged": True, "given": False},
    {"bias": False, "ragged": True, "bidirectional": True},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "ragged": True, "batch_first": True},
    {"num_layers": 3, "bias": False, "batch_first": True},
    {"num_layers": 2, "dropout": 1.0},  # everything dropped in training: no chance in it
]
RECURRENT = [
    *(layers(name, **way) for name in ("RNN", "LSTM", "GRU") for way in WAYS),
    *(layers("RNN", nonlinearity="relu", **way) for way in WAYS[4:9]),
    *(cell(name, **way) for name in ("RNNCell", "LSTMCell", "GRUCell") for way in ({}, {"given": False}, {"alone": True}, {"bias": False})),
    cell("RNNCell", nonlinearity="relu"),
]  # fmt: skip


@dataclass(frozen=True)
class Table(Case):
    """A table with the numbers to look up, and for bags their offsets and the weights of their members."""

    numbers: Any = ()
    offsets: tuple[int, ...] | None = None
    weighted: bool = False

    @property
    def name(self) -> str:
        return f"{super().name},{self.numbers},{self.offsets},{self.weighted}"


def table(layer: str, numbers: Any, *, offsets: Any = None, weighted: bool = False, **options: Any) -> Table:
    return Table(layer, (6, 3), np.shape(numbers), options, numbers=numbers, offsets=offsets, weighted=weighted)


ROWS, LINE = ((1, 0, 5, 1), (2, 2, 2, 4)), (5, 1, 1, 0, 3, 2, 3)
TABLES = [
    table("Embedding", ROWS),
    table("Embedding", ROWS, padding_idx=2),
    table("Embedding", LINE, padding_idx=-1),
    table("Embedding", 4),
    *(table("EmbeddingBag", ROWS, mode=mode, **rest) for mode in ("sum", "mean", "max") for rest in ({}, {"padding_idx": 2})),
    *(table("EmbeddingBag", LINE, offsets=(0, 3, 3, 4), mode=mode) for mode in ("sum", "mean", "max")),
    *(table("EmbeddingBag", LINE, offsets=(0, 1, 5, 7), mode=mode, include_last_offset=True, padding_idx=-3) for mode in ("sum", "mean", "max")),
    table("EmbeddingBag", ROWS, mode="sum", weighted=True),
    table("EmbeddingBag", LINE, offsets=(0, 2, 7), mode="sum", weighted=True, padding_idx=1),
]  # fmt: skip
