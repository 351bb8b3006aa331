"""Rows of the table of ops: attention, rotary positions, split.  PyTorch's answers are in ``ops_attention.npz``."""

from __future__ import annotations

import numpy as np

from tests.ops.table import Row, mask, normal, row, value
from xpnet import ops

SDPA = ops.scaled_dot_product_attention
QKV = (normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 2))
HIDDEN_ROW = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]], dtype=bool)
TORCH = "T.scaled_dot_product_attention(a, b, c"
TURNED = "torch.stack([u * b - v * c, u * c + v * b], {0}).flatten(-2))({1})"

ROWS: list[Row] = [
    row("attention", SDPA, *QKV, torch=f"{TORCH})"),
    row("attention matrices", SDPA, normal(3, 4), normal(5, 4), normal(5, 2), torch=f"{TORCH})"),
    row("attention heads", SDPA, normal(2, 2, 3, 4), normal(2, 2, 5, 4), normal(2, 2, 5, 3), torch=f"{TORCH})"),
    row("attention repeated keys", SDPA, normal(2, 1, 3, 4), normal(1, 2, 5, 4), normal(2, 5, 2), torch=f"{TORCH})"),
    row("attention one", SDPA, normal(1, 1), normal(1, 1), normal(1, 1), torch=f"{TORCH})"),
    row("attention no keys", SDPA, normal(3, 4), normal(0, 4), normal(0, 2), torch=f"{TORCH})"),
    row("attention no batch", SDPA, normal(0, 3, 4), normal(0, 5, 4), normal(0, 5, 2), torch=f"{TORCH})"),
    row("attention scale", SDPA, *QKV, torch=f"{TORCH}, scale=0.7)", scale=0.7),
    row("attention causal", SDPA, *QKV, torch=f"{TORCH}, is_causal=True)", causal=True),
    row("attention causal long", SDPA, normal(4, 3), normal(2, 3), normal(2, 2), torch=f"{TORCH}, is_causal=True)", causal=True),
    row("attention visible", SDPA, *QKV, mask(2, 3, 5), torch=f"{TORCH}, d)"),
    row("attention visible keys", SDPA, *QKV, mask(2, 1, 5), torch=f"{TORCH}, d)"),
    row("attention hidden row", SDPA, *QKV, value(HIDDEN_ROW), torch=f"{TORCH}, d)"),
    row("attention hidden row added", SDPA, *QKV, value(np.where(HIDDEN_ROW, 0.5, -np.inf)), torch=f"{TORCH}, d)", constant=(3,)),
    row("attention added", SDPA, *QKV, normal(2, 3, 5), torch=f"{TORCH}, d)"),
    row("attention added to all", SDPA, *QKV, normal(1, 5), torch=f"{TORCH}, d.expand(3, 5))"),
    row("attention visible causal", SDPA, *QKV, mask(2, 3, 5), torch=f"{TORCH}, d & torch.ones(3, 5).tril().bool())", causal=True),
    row("attention dropout", SDPA, *QKV, None, mask(2, 3, 5), torch="((a / 2 @ b.mT).softmax(-1) * e / 0.6) @ c", p=0.4),
    row("attention dropout added", SDPA, *QKV, normal(3, 5), mask(2, 3, 5), torch="((a / 2 @ b.mT + d).softmax(-1) * e / 0.6) @ c", p=0.4),
    row("attention all dropped", SDPA, *QKV, None, value(np.zeros((2, 3, 5), bool)), torch=f"{TORCH}) * 0", p=1.0),
    row("rotary", ops.rotary, normal(2, 3, 4), normal(3, 2), normal(3, 2), torch=f"(lambda u, v: {TURNED.format(-1, 'a[..., 0::2], a[..., 1::2]')}", constant=(1, 2)),
    row("rotary halves", ops.rotary, normal(2, 3, 4), normal(3, 2), normal(3, 2), torch=f"(lambda u, v: {TURNED.format(-2, 'a[..., :2], a[..., 2:]')}", constant=(1, 2), interleaved=False),
    row("split", ops.split, normal(2, 5), torch="a.split((2, 1, 2), -1)[0]", sizes=(2, 1, 2)),
    row("split rows", ops.split, normal(4, 3), torch="a.split((3, 1))[0]", sizes=(3, 1), axis=0),
]  # fmt: skip
