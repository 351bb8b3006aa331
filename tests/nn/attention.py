"""Attention layers in every way their arguments can be used; names and arguments are PyTorch's.

A case is built and run by the library given to it, PyTorch where its answers are recorded, xpnet where they are compared.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

N, L, S, HEADS = 2, 3, 4, 2


@dataclass(frozen=True)
class Case:
    """A layer, what it is made of, and the arguments of its call, random arrays by their shapes."""

    name: str
    layer: str
    shapes: tuple[tuple[int, ...], ...]
    same: tuple[int, ...]  # the inputs as places in ``shapes``
    options: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)

    def generator(self, what: str) -> np.random.Generator:
        """The same numbers here and where PyTorch's answers are recorded."""
        return np.random.Generator(np.random.Philox(key=zlib.crc32(f"{self.name}/{what}".encode())))

    def inputs(self) -> list[np.ndarray]:
        return [self.generator(f"x{i}").standard_normal(shape) for i, shape in enumerate(self.shapes)]

    def arguments(self) -> dict[str, Any]:
        """Call options, masks as arrays: ("bool", shape), ("float", shape) or ("causal", length)."""
        return {k: self.mask(k, *v) if isinstance(v, tuple) else v for k, v in self.call.items()}

    def mask(self, key: str, kind: str, shape: Any) -> np.ndarray:
        if kind == "causal":
            return np.triu(np.ones((shape, shape), bool), 1)
        rng = self.generator(key)
        hidden = rng.random(shape) < 0.4
        hidden[..., 0] = False  # PyTorch gives NaN where nothing is visible
        return hidden if kind == "bool" else np.where(hidden, -np.inf, rng.standard_normal(shape))

    def fill(self, key: str, shape: tuple[int, ...]) -> np.ndarray:
        return self.generator(key).uniform(-1, 1, shape)

    def build(self, library: Any) -> Any:
        """The layer, from ``torch.nn`` or ``xpnet.nn``."""
        options = dict(self.options)
        if options.get("activation") == "function":
            options["activation"] = library.functional.tanh
        elif options.get("activation") == "layer":
            options["activation"] = library.ELU()
        if self.layer != "TransformerEncoder":
            return getattr(library, self.layer)(**options)
        layers, norm = options.pop("num_layers"), options.pop("norm")
        layer = library.TransformerEncoderLayer(**options)
        return library.TransformerEncoder(layer, layers, library.LayerNorm(4) if norm else None)


def mha(name: str, kind: str = "self", *, e: int = 4, call: dict[str, Any] | None = None, **options: Any) -> Case:
    """``kind``: which inputs are one and the same; "self", "cross", or "three"."""
    first, dims = options.get("batch_first", False), (e, options.get("kdim") or e, options.get("vdim") or e)
    lengths = (L, L, L) if kind == "self" else (L, S, S)
    unbatched = options.pop("unbatched", False)
    shapes = tuple(
        (t, d) if unbatched else (N, t, d) if first else (t, N, d) for t, d in zip(lengths, dims, strict=True)
    )
    places = {"self": (0, 0, 0), "cross": (0, 1, 1), "three": (0, 1, 2)}[kind]
    options = {"embed_dim": e, "num_heads": HEADS, **options}
    return Case(
        f"MultiheadAttention {name}", "MultiheadAttention", shapes[: max(places) + 1], places, options, call or {}
    )


def encoder(name: str, layer: str, *, call: dict[str, Any] | None = None, **options: Any) -> Case:
    unbatched, first = options.pop("unbatched", False), options.get("batch_first", False)
    shape = (L, 4) if unbatched else (N, L, 4) if first else (L, N, 4)
    options = {"d_model": 4, "nhead": HEADS, "dim_feedforward": 5, "dropout": 0.0, **options}
    return Case(f"{layer} {name}", layer, (shape,), (0,), options, call or {})


def layer(name: str, **options: Any) -> Case:
    return encoder(name, "TransformerEncoderLayer", **options)


def stack(name: str, *, norm: bool = False, **options: Any) -> Case:
    return encoder(name, "TransformerEncoder", num_layers=2, norm=norm, **options)


def _cases() -> Iterator[Case]:
    extra = {"add_bias_kv": True, "add_zero_attn": True}
    both = {"attn_mask": ("bool", (L, S)), "key_padding_mask": ("bool", (N, S))}
    yield mha("self")
    yield mha("cross", "cross")
    yield mha("three", "three")
    yield mha("batch first", batch_first=True)
    yield mha("three batch first", "three", batch_first=True)
    yield mha("unbatched", unbatched=True)
    yield mha("three unbatched", "three", unbatched=True, batch_first=True)
    yield mha("six features", e=6)
    yield mha("no bias", bias=False)
    yield mha("no bias three", "three", bias=False)
    yield mha("bias_kv", "cross", add_bias_kv=True)
    yield mha("zero_attn", "cross", add_zero_attn=True)
    yield mha("extra keys, masks", "cross", **extra, call=both)
    yield mha("extra keys, added masks", "cross", **extra, call={"attn_mask": ("float", (L, S))})
    yield mha("extra keys, unbatched", **extra, unbatched=True)
    yield mha("extra keys, causal", **extra, call={"attn_mask": ("causal", L), "is_causal": True})
    yield mha("kdim vdim", "three", kdim=3, vdim=5)
    yield mha("kdim", "three", kdim=3, bias=False, batch_first=True)
    yield mha("vdim, extra keys", "three", vdim=3, **extra)
    yield mha("no weights", call={"need_weights": False})
    yield mha("weights of heads", "cross", call={"average_attn_weights": False})
    yield mha("weights of heads unbatched", unbatched=True, call={"average_attn_weights": False})
    yield mha("mask", "cross", call={"attn_mask": ("bool", (L, S))})
    yield mha("mask of heads", "cross", call={"attn_mask": ("bool", (N * HEADS, L, S))})
    yield mha("mask of heads unbatched", "cross", unbatched=True, call={"attn_mask": ("bool", (HEADS, L, S))})
    yield mha("added mask", "cross", call={"attn_mask": ("float", (L, S))})
    yield mha("added mask of heads", "cross", call={"attn_mask": ("float", (N * HEADS, L, S)), "need_weights": False})
    yield mha("padding", "cross", call={"key_padding_mask": ("bool", (N, S))})
    yield mha("padding batch first", "three", batch_first=True, call={"key_padding_mask": ("bool", (N, S))})
    yield mha("padding unbatched", "cross", unbatched=True, call={"key_padding_mask": ("bool", (S,))})
    yield mha("padding added", "cross", call={"key_padding_mask": ("float", (N, S))})
    yield mha("both masks", "cross", call=both)
    yield mha("both masks added", "cross", call={"attn_mask": ("float", (L, S)), "key_padding_mask": ("float", (N, S))})
    yield mha("mixed masks", "cross", call={"attn_mask": ("float", (L, S)), "key_padding_mask": ("bool", (N, S))})
    yield mha("causal", call={"attn_mask": ("causal", L), "is_causal": True})
    yield mha("causal, no weights", call={"attn_mask": ("causal", L), "is_causal": True, "need_weights": False})
    yield mha(
        "causal, padding", call={"attn_mask": ("causal", L), "key_padding_mask": ("bool", (N, L)), "is_causal": True}
    )
    yield layer("relu")
    yield layer("norm first", norm_first=True)
    yield layer("gelu", activation="gelu", batch_first=True)
    yield layer("function", activation="function", layer_norm_eps=0.1)
    yield layer("layer", activation="layer")
    yield layer("no bias", bias=False, norm_first=True)
    yield layer("unbatched", unbatched=True)
    yield layer("masks", call={"src_mask": ("bool", (L, L)), "src_key_padding_mask": ("bool", (N, L))})
    yield layer("added mask of heads", batch_first=True, call={"src_mask": ("float", (N * HEADS, L, L))})
    yield layer("causal", norm_first=True, call={"src_mask": ("causal", L), "is_causal": True})
    yield stack("plain")
    yield stack("norm", norm=True, norm_first=True, activation="gelu", batch_first=True)
    yield stack("masks", call={"mask": ("bool", (L, L)), "src_key_padding_mask": ("bool", (N, L))})
    yield stack("causal", call={"mask": ("causal", L)})
    yield stack("causal by flag", call={"mask": ("causal", L), "is_causal": True})


CASES = list(_cases())
